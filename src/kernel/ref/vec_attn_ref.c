/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/vec_attn_ref.c: the inner loops of attention in plain C. */
#include <math.h>

#include "base/checked.h"
#include "kernel/ref/vec_ref.h"
#include "kernel/vec_tiers.h"

/* Element i of a row of q8_0 blocks: one rounded product. */
static float q8_value(const uint8_t *row, uint32_t i)
{
    const uint8_t *b = row + (uint64_t)(i / 32) * 34;

    return pare_f16_to_f32(pare_le16(b)) * (float)(int8_t)b[2 + i % 32];
}

static void scores_q8(float *s, const uint8_t *k, uint64_t stride, const float *q, uint32_t dk, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++, k += stride) {
        float l[16] = { 0 };

        for (uint32_t i = 0; i < dk; i++) l[i & 15] = fmaf(q8_value(k, i), q[i], l[i & 15]);
        s[j] = pare_tree16(l);
    }
}

#define VALUES(name, value)                                                                                            \
    static void values_##name(float *o, const float *p, const uint8_t *v, uint64_t stride, uint32_t dv, uint32_t n)    \
    {                                                                                                                  \
        for (uint32_t j = 0; j < n; j++, v += stride)                                                                  \
            for (uint32_t i = 0; i < dv; i++) o[i] = fmaf(p[j], value, o[i]);                                          \
    }
VALUES(f32, pare_bits_f32(pare_le32(v + 4 * (uint64_t)i)))
VALUES(f16, pare_f16_to_f32(pare_le16(v + 2 * (uint64_t)i)))
VALUES(q8, q8_value(v, i))

static float exp_sum(float *s, float m)
{
    float l[16] = { 0 };

    for (int i = 0; i < PARE_ATTN_PAGE; i++) {
        s[i] = pare_expf(s[i] - m);
        l[i & 15] += s[i];
    }
    return pare_tree16(l);
}

static void values_rows(float *const *o, uint32_t rows, const float *p, const uint8_t *v, uint64_t stride, uint32_t dv, uint32_t n)
{
    for (uint32_t r = 0; r < rows; r++) values_f32(o[r], p + r * PARE_ATTN_PAGE, v, stride, dv, n);
}

static void decode_f16(float *x, uint64_t ldx, const uint8_t *row, uint64_t stride, uint32_t d, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++, x += ldx, row += stride)
        for (uint32_t i = 0; i < d; i++) x[i] = pare_f16_to_f32(pare_le16(row + 2 * (uint64_t)i));
}

static void decode_q8(float *x, uint64_t ldx, const uint8_t *row, uint64_t stride, uint32_t d, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++, x += ldx, row += stride)
        for (uint32_t i = 0; i < d; i++) x[i] = q8_value(row, i);
}

static const struct pare_attn_ops ops = {
    .scores_q8 = scores_q8, .values_f32 = values_f32, .values_f16 = values_f16, .values_q8 = values_q8, .values_rows = values_rows,
    .decode_f16 = decode_f16, .decode_q8 = decode_q8, .exp_sum = exp_sum,
};

PARE_ATTN_ENTRIES(extern, pare_ref_attention, pare_vec_ref, ops)
