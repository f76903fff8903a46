/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/hadamard_ref.c: the definition of the Hadamard loops in plain C. */
#include <string.h>

#include "kernel/ref/hadamard_ref.h"

void pare_ref_walsh(float *y, const float *x, uint32_t p, uint64_t blocks, float scale)
{
    if (y != x) memcpy(y, x, p * blocks * sizeof *y);
    for (uint64_t b = 0; b < blocks; b++, y += p) {
        for (uint32_t h = 1; h < p; h *= 2)
            for (uint32_t i = 0; i < p; i += 2 * h)
                for (uint32_t j = i; j < i + h; j++) {
                    float u = y[j], v = y[j + h];
                    y[j] = u + v;
                    y[j + h] = u - v;
                }
        for (uint32_t i = 0; i < p; i++) y[i] *= scale;
    }
}

void pare_ref_outer(float *y, const float *x, const float *t, uint32_t k, uint32_t p, float scale)
{
    float col[PARE_HADAMARD_MAX_K];

    for (uint32_t b = 0; b < p; b++) {
        for (uint32_t c = 0; c < k; c++) col[c] = x[c * p + b];
        for (uint32_t a = 0; a < k; a++) {
            float s = 0.0f;
            for (uint32_t c = 0; c < k; c++) s += t[a * k + c] * col[c]; /* a factor of +-1 rounds nothing: tiers may fuse */
            y[a * p + b] = s * scale;
        }
    }
}

const struct pare_hadamard_kernel pare_hadamard_ref = { PARE_TIER_BASE, pare_ref_walsh, pare_ref_outer };
