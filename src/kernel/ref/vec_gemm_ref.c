/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/vec_gemm_ref.c: products with float weights, one dot product of the 16-lane rule an output. */
#include <math.h>

#include "base/checked.h"
#include "kernel/ref/vec_ref.h"

float pare_ref_dot(const float *a, const float *b, uint64_t n)
{
    float l[16] = { 0 };

    for (uint64_t i = 0; i < n; i++) l[i & 15] = fmaf(a[i], b[i], l[i & 15]);
    return pare_tree16(l);
}

/* dot_NAME: the weight row has any alignment; `value` is the element at p, exact in f32. */
#define GEMM(name, size, value)                                                                                        \
    static float dot_##name(const uint8_t *p, const float *x, uint64_t k)                                              \
    {                                                                                                                  \
        float l[16] = { 0 };                                                                                           \
                                                                                                                       \
        for (uint64_t i = 0; i < k; i++, p += (size)) l[i & 15] = fmaf(value, x[i], l[i & 15]);                        \
        return pare_tree16(l);                                                                                         \
    }                                                                                                                  \
    void pare_ref_gemm_##name(float *y, uint64_t ldy, const void *w, uint64_t w_stride, const float *x, uint64_t ldx,  \
                              uint64_t k, uint64_t r0, uint64_t r1, uint32_t n)                                        \
    {                                                                                                                  \
        for (uint64_t r = r0; r < r1; r++)                                                                             \
            for (uint32_t t = 0; t < n; t++)                                                                           \
                y[t * ldy + r] = dot_##name((const uint8_t *)w + r * w_stride, x + t * ldx, k);                        \
    }
GEMM(f32, 4, pare_bits_f32(pare_le32(p)))
GEMM(f16, 2, pare_f16_to_f32(pare_le16(p)))
GEMM(bf16, 2, pare_bf16_to_f32(pare_le16(p)))
