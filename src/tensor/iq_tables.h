/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/iq_tables.h: the grids of the IQ formats: lists of magnitude patterns that a code chooses from. The values
 * are facts of the GGUF format; here each pattern is kept as small integers packed in 16 bits:
 *     grids of 8 columns (iq2, iq1): column j is (entry >> 2 * j) & 3, in 0..2;
 *     grids of 4 columns (iq3):      column j is (entry >> 4 * j) & 15, in 0..7.
 * What the small integers stand for is in the value tables of type_iq1.c, type_iq2.c and type_iq3.c. */
#ifndef PARE_TENSOR_IQ_TABLES_H
#define PARE_TENSOR_IQ_TABLES_H

#include <stdint.h>

extern const uint16_t pare_grid_iq2_xxs[256];
extern const uint16_t pare_grid_iq2_xs[512];
extern const uint16_t pare_grid_iq2_s[1024];
extern const uint16_t pare_grid_iq3_xxs[256];
extern const uint16_t pare_grid_iq3_s[512];
extern const uint16_t pare_grid_iq1[2048]; /* iq1_s and iq1_m */

/* The 16 values of iq4_nl and iq4_xs, ascending. */
extern const int8_t pare_iq4_values[16];

/* The code of a pattern: its place in a grid of n entries (a power of two), which ascend; some place when it is not there. */
static inline unsigned pare_grid_find(const uint16_t *grid, unsigned n, unsigned entry)
{
    unsigned at = 0;

    for (unsigned step = n / 2; step != 0; step /= 2)
        if (grid[at + step] <= entry) at += step;
    return at;
}

/* Where only 7 of 8 signs are stored, the eighth makes the number of minus signs even.
 * @return 8 bits, bit j set when column j is negative. */
static inline uint32_t pare_iq_signs(uint32_t seven)
{
    uint32_t s = seven & 127u;

    return s | (uint32_t)__builtin_parity(s) << 7;
}

#endif
