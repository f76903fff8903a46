/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/entries.h: a sparse matrix in panels of 16 rows, so that one vector holds one entry of each of 16 outputs. A panel is a list
 * of slots; a slot has for each row a column and a value. Rows with fewer entries than the panel has slots have the value 0 at column 0
 * there. Recipe: acc = +0; for the slots in order acc = fma(value, x[column], acc). */
#ifndef PARE_KERNEL_ENTRIES_H
#define PARE_KERNEL_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>

#define PARE_ENTRIES_ROWS 16
struct pare_entries {
    uint64_t rows, cols;       /* cols <= 2^31 */
    uint64_t n_slots;          /* of all panels */
    bool     wide;             /* columns are u32, else u16 */
    bool     f16;              /* values are half precision, else f32 */
    const uint8_t *at;         /* u32 [panels + 1]: first slot of each panel; 4-byte aligned */
    const uint8_t *col, *val;  /* [n_slots][16]; 4-byte aligned */
};
static inline uint64_t pare_entries_panels(uint64_t rows) { return (rows + PARE_ENTRIES_ROWS - 1) / PARE_ENTRIES_ROWS; }

/* NULL, or what is wrong with the numbers of a matrix that comes from outside. Kernels trust them. */
const char *pare_entries_wrong(const struct pare_entries *s);

struct pare_entries_kernel {
    int tier;
    /* y[t * ldy + r - r0], rows [r0, r1), tokens [0, n): row r0 begins a panel. x: rows ldx floats apart, any alignment. */
    void (*gemm)(float *y, uint64_t ldy, const struct pare_entries *s, const float *x, uint64_t ldx, uint64_t r0, uint64_t r1, uint32_t n);
};
const struct pare_entries_kernel *pare_entries_for(int tier); /* clamped to the machine; never NULL */

extern const struct pare_entries_kernel pare_entries_ref;
#if defined(__x86_64__)
extern const struct pare_entries_kernel pare_entries_avx2, pare_entries_avx512;
#endif

#endif
