/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/entries_ref.c: the definition of the sparse product in plain C. */
#include <math.h>

#include <pare/job.h>

#include "base/checked.h"
#include "kernel/entries.h"
#include "tensor/dtype.h"

static float value(const struct pare_entries *s, uint64_t i)
{
    return s->f16 ? pare_f16_to_f32(pare_le16(s->val + 2 * i)) : pare_bits_f32(pare_le32(s->val + 4 * i));
}

static void gemm(float *y, uint64_t ldy, const struct pare_entries *s, const float *x, uint64_t ldx, uint64_t r0, uint64_t r1, uint32_t n)
{
    for (uint64_t r = r0; r < r1; r++) {
        uint64_t panel = r / PARE_ENTRIES_ROWS, a = pare_le32(s->at + 4 * panel), b = pare_le32(s->at + 4 * panel + 4);

        for (uint32_t t = 0; t < n; t++) {
            float acc = 0.0f;
            for (uint64_t k = a; k < b; k++) {
                uint64_t i = k * PARE_ENTRIES_ROWS + r % PARE_ENTRIES_ROWS;
                acc = fmaf(value(s, i), x[t * ldx + (s->wide ? pare_le32(s->col + 4 * i) : pare_le16(s->col + 2 * i))], acc);
            }
            y[t * ldy + (r - r0)] = acc;
        }
    }
}

const struct pare_entries_kernel pare_entries_ref = { PARE_TIER_BASE, gemm };
