/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/entries_x86.h: the sparse product on sixteen lanes, one a row of a panel. Include once a tier, after v16_*.h. Tokens go
 * four by four, so that columns and values are read once for all of them. */
#ifndef PARE_KERNEL_X86_SPARSE_H
#define PARE_KERNEL_X86_SPARSE_H

#include <pare/job.h>

#include "base/checked.h"
#include "kernel/entries.h"

V16 void panel_of(float *y, uint64_t ldy, const struct pare_entries *s, const float *x, uint64_t ldx, uint64_t a, uint64_t b, uint32_t rows,
                  const int n, const bool wide, const bool f16)
{
    v16 acc[4];

#pragma GCC unroll 4
    for (int t = 0; t < n; t++) acc[t] = v_set1(0.0f);
    for (uint64_t k = a; k < b; k++) {
        const uint8_t *c = s->col + k * PARE_ENTRIES_ROWS * (wide ? 4 : 2), *p = s->val + k * PARE_ENTRIES_ROWS * (f16 ? 2 : 4);
        const v16      v = f16 ? v_load_f16(p) : v_load((const float *)(const void *)p);

#pragma GCC unroll 4
        for (int t = 0; t < n; t++) {
            const float *row = x + (uint64_t)t * ldx;
            acc[t] = v_fma(v, wide ? v_gather_u32(row, c) : v_gather_u16(row, c), acc[t]);
        }
    }
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) v_store_n(y + (uint64_t)t * ldy, acc[t], rows);
}

V16 void all(float *y, uint64_t ldy, const struct pare_entries *s, const float *x, uint64_t ldx, uint64_t r0, uint64_t r1, uint32_t n,
             const bool wide, const bool f16)
{
    for (uint64_t r = r0; r < r1; r += PARE_ENTRIES_ROWS) {
        const uint8_t *at = s->at + 4 * (r / PARE_ENTRIES_ROWS);
        const uint64_t a = pare_le32(at), b = pare_le32(at + 4);
        const uint32_t rows = r1 - r < PARE_ENTRIES_ROWS ? (uint32_t)(r1 - r) : PARE_ENTRIES_ROWS;
        uint32_t       t = 0;

        for (; t + 4 <= n; t += 4) panel_of(y + t * ldy + (r - r0), ldy, s, x + t * ldx, ldx, a, b, rows, 4, wide, f16);
        for (; t < n; t++) panel_of(y + t * ldy + (r - r0), ldy, s, x + t * ldx, ldx, a, b, rows, 1, wide, f16);
    }
}

static void gemm(float *y, uint64_t ldy, const struct pare_entries *s, const float *x, uint64_t ldx, uint64_t r0, uint64_t r1, uint32_t n)
{
    if (s->wide && s->f16) all(y, ldy, s, x, ldx, r0, r1, n, true, true);
    else if (s->wide) all(y, ldy, s, x, ldx, r0, r1, n, true, false);
    else if (s->f16) all(y, ldy, s, x, ldx, r0, r1, n, false, true);
    else all(y, ldy, s, x, ldx, r0, r1, n, false, false);
}

#endif
