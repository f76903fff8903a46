/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/vec_attn_ref.c: the inner loops of attention in plain C. */
#include <math.h>

#include "base/checked.h"
#include "kernel/fmath_coef.h"
#include "kernel/kv_tile.h"
#include "kernel/ref/vec_ref.h"
#include "kernel/vec_tiers.h"

#define VALUES(name, value)                                                                                            \
    static void values_##name(float *o, const float *p, const uint8_t *v, uint64_t stride, uint32_t dv, uint32_t n)    \
    {                                                                                                                  \
        for (uint32_t j = 0; j < n; j++, v += stride)                                                                  \
            for (uint32_t i = 0; i < dv; i++) o[i] = fmaf(p[j], value, o[i]);                                          \
    }
VALUES(f32, pare_bits_f32(pare_le32(v + 4 * (uint64_t)i)))
VALUES(f16, pare_f16_to_f32(pare_le16(v + 2 * (uint64_t)i)))

/* Column c of the 32 that lie at p. */
static float tile_code(const uint8_t *p, enum pare_type type, uint32_t c)
{
    int nibble = p[c % 16] >> (c < 16 ? 0 : 4) & 15;

    if (type == PARE_Q8_0) return (float)(int8_t)p[c];
    return (float)(type == PARE_Q4_0 ? nibble - 8 : (nibble | (p[16 + c / 8] >> c % 8 & 1) << 4) - 16);
}

static void decode_tile(float *x, uint64_t ldx, const uint8_t *tile, enum pare_type type, uint32_t dv, uint32_t j0, uint32_t j1)
{
    const uint8_t *codes = tile + pare_vtile_codes_at(dv);
    uint32_t       bytes = pare_vtile_code(type), blocks = (dv + 31) / 32;

    for (uint32_t j = j0; j < j1; j++, x += ldx)
        for (uint32_t i = 0; i < 32 * blocks; i++) {
            float d = pare_f16_to_f32(pare_le16(tile + 2 * ((uint64_t)(i / 32) * PARE_ATTN_PAGE + j)));

            x[i] = d * tile_code(codes + ((uint64_t)j * blocks + i / 32) * bytes, type, i % 32);
        }
}

static void scores(float *s, const uint8_t *tile, bool f16, const float *x, uint64_t ldx, uint32_t dk, uint32_t rows, uint32_t p0, uint32_t p1)
{
    for (uint32_t r = 0; r < rows; r++, x += ldx, s += PARE_ATTN_PAGE)
        for (uint32_t j = p0 * PARE_PANEL; j < p1 * PARE_PANEL; j++) {
            s[j] = 0;
            for (uint32_t c = 0; c < dk; c++) {
                uint64_t at = ((uint64_t)(j / PARE_PANEL) * dk + c) * PARE_PANEL + j % PARE_PANEL;

                s[j] = fmaf(x[c], f16 ? pare_f16_to_f32(pare_le16(tile + 2 * at)) : pare_bits_f32(pare_le32(tile + 4 * at)), s[j]);
            }
        }
}

static float scale_max(float *s, float scale)
{
    float m = -INFINITY;

    for (int i = 0; i < PARE_ATTN_PAGE; i++) {
        s[i] *= scale;
        if (s[i] > m) m = s[i];
    }
    return m;
}

static float exp_sum(float *s, float m)
{
    float l[16] = { 0 };

    for (int i = 0; i < PARE_ATTN_PAGE; i++) {
        float x = s[i] - m;

        s[i] = x <= PARE_ATTN_EXP_LO ? 0.0f : pare_expf(x);
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

static const struct pare_attn_ops ops = {
    .values_f32 = values_f32, .values_f16 = values_f16, .values_rows = values_rows, .scores = scores,
    .decode_f16 = decode_f16, .decode_tile = decode_tile, .scale_max = scale_max, .exp_sum = exp_sum,
};

PARE_ATTN_ENTRIES(extern, pare_ref_attention, pare_vec_ref, ops)
