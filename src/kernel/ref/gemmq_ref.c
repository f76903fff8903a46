/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/gemmq_ref.c: the definition of quantized products, in plain C. Every other tier must give the same bits.
 *
 *     acc = +0
 *     for each group of 16 or 32 columns, ascending, up to the padded width:
 *         idot = sum of value(code) * q over the group                      (exact in int32, below 2^22)
 *         acc  = fma((float)idot * dx, d * s, acc)                          (each product rounded once)
 *         acc  = fma(-(dmin * m), sx, acc)                                  (types with minima)
 *     y = acc, a NaN as 0x7fc00000
 * For types with int_sub a step is a block of 32 columns, groups 0 and 1:
 *         idot = s_0 * (sum over group 0) + s_1 * (sum over group 1)        (exact, below 2^22)
 *         acc  = fma((float)idot * dx, d, acc)
 *         acc  = fma(-(dmin * m_g), sx_g, acc)                              (types with minima; g = 0, then 1)
 * s = m = 1 where the type stores none. d, dmin, s, m, codes are what the panel holds, so groups beyond the last column take
 * part as zeros in every tier alike. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "kernel/gemmq_layout.h"
#include "kernel/kv_tile.h"
#include "tensor/dtype_list.h"
#include "tensor/trellis.h"

#define TILE 16 /* tokens for which one unpacked block is used */

/* The code of vector j, byte i of a block (gemmq_layout.h). */
static unsigned code_at(const uint8_t *at, enum pare_code_kind kind, int j, int i)
{
    switch (kind) {
    case PARE_CODE_T2: case PARE_CODE_T3:
        return (at[64 * (j >> 2) + i] >> (j & 3) * 2 & 3u) | (kind == PARE_CODE_T3 ? (at[128 + i] >> j & 1u) << 2 : 0u);
    case PARE_CODE_T4:
        return at[64 * (j >> 1) + i] >> (j & 1) * 4 & 15u;
    case PARE_CODE_A8:
        return at[64 * j + i];
    case PARE_CODE_A2: case PARE_CODE_L2:
        return at[64 * (j & 1) + i] >> (j >> 1) * 2 & 3u;
    case PARE_CODE_A3: case PARE_CODE_L3:
        return (at[64 * (j & 1) + i] >> (j >> 1) * 2 & 3u) | (at[128 + i] >> j & 1u) << 2;
    case PARE_CODE_A5:
        return (at[64 * (j & 3) + i] >> (j >> 2) * 4 & 15u) | (at[256 + i] >> j & 1u) << 4;
    case PARE_CODE_A6:
        return (at[64 * (j & 3) + i] >> (j >> 2) * 4 & 15u) | (at[256 + 64 * (j & 1) + i] >> (j >> 1) * 2 & 3u) << 4;
    default:
        return at[64 * (j & 3) + i] >> (j >> 2) * 4 & 15u;
    }
}

/* value[column][row] of one block */
static void block_values(int16_t value[PARE_QBLOCK][PARE_PANEL], const uint8_t *at, const struct pare_layout *l,
                         const struct pare_pack_traits *p)
{
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 64; i++) {
            unsigned code = code_at(at, l->kind, j, i);

            value[4 * j + i % 4][i / 4] = (int16_t)(p->lut != NULL ? p->lut[code] : (int)code + p->offset);
        }
}

/* Codes of one row of a block, in the order of columns. */
static void row_codes(uint8_t code[PARE_QBLOCK], const uint8_t *at, enum pare_code_kind kind, int r)
{
    for (int c = 0; c < PARE_QBLOCK; c++) code[c] = (uint8_t)code_at(at, kind, c / 4, 4 * r + c % 4);
}

/* The same along a trellis, where values depend on the block before. codes: of block 0. */
static void trellis_values(int16_t value[PARE_QBLOCK][PARE_PANEL], const uint8_t *codes, uint32_t b, const struct pare_layout *l,
                           const struct pare_trellis *t)
{
    for (int r = 0; r < PARE_PANEL; r++) {
        uint8_t code[PARE_QBLOCK], before[PARE_QBLOCK];
        int8_t v[PARE_QBLOCK];

        row_codes(code, codes + (uint64_t)(b != 0 ? b - 1 : l->n_block - 1) * l->block_bytes, l->kind, r);
        memcpy(before, code, sizeof before);
        if (b == 0) pare_trellis_wrap(before, code);
        row_codes(code, codes + (uint64_t)b * l->block_bytes, l->kind, r);
        pare_trellis_block(t, v, before, code);
        for (int c = 0; c < PARE_QBLOCK; c++) value[c][r] = v[c];
    }
}

static float scale_at(const uint8_t *at, bool f16, int row)
{
    return f16 ? pare_f16_to_f32(pare_le16(at + row * 2)) : pare_bits_f32(pare_le32(at + row * 4));
}

/* dw and dmin * m of one group for the 16 rows */
static void group_scales(float dw[PARE_PANEL], float mm[PARE_PANEL], const uint8_t *panel, const struct pare_layout *l, uint32_t block, uint32_t g)
{
    const uint8_t *head = panel + (block / l->super_blocks) * l->head_bytes;
    const uint8_t *at = head + l->group_at + (uint64_t)(block % l->super_blocks * l->gpb + g) * l->group_bytes;

    for (int r = 0; r < PARE_PANEL; r++) {
        dw[r] = scale_at(head, l->f16, r) * (l->sub ? (float)(int8_t)at[r] : 1.0f);
        if (l->min) mm[r] = scale_at(head + l->d_bytes, l->f16, r) * (l->sub ? (float)at[PARE_PANEL + r] : 1.0f);
    }
}

/* The only places where floats are added: columns [0, n) of one token, and the minimum of a group. */
static void add_columns(float acc[PARE_PANEL], int16_t value[][PARE_PANEL], uint32_t n, const float *dw, const int8_t *q, float dx)
{
    int32_t idot[PARE_PANEL] = { 0 };

    for (uint32_t c = 0; c < n; c++)
        for (int r = 0; r < PARE_PANEL; r++) idot[r] += value[c][r] * q[c];
    for (int r = 0; r < PARE_PANEL; r++) acc[r] = fmaf((float)idot[r] * dx, dw[r], acc[r]);
}
static void add_minimum(float acc[PARE_PANEL], const float *mm, float sx)
{
    for (int r = 0; r < PARE_PANEL; r++) acc[r] = fmaf(-mm[r], sx, acc[r]);
}

/* A block in the form that is multiplied. With whole-number scales these are part of the values, and there is one step. */
struct steps {
    uint32_t n; /* 1 or 2 */
    int16_t  value[PARE_QBLOCK][PARE_PANEL];
    float    dw[2][PARE_PANEL], mm[2][PARE_PANEL];
};

static void block_steps(struct steps *s, const struct pare_packed *w, const struct pare_layout *l, const uint8_t *panel, uint32_t b)
{
    const uint8_t *head = panel + b / l->super_blocks * l->head_bytes;
    const uint8_t *group = head + l->group_at + (uint64_t)(b % l->super_blocks) * l->gpb * l->group_bytes;

    if (w->type->pack.trellis != NULL) trellis_values(s->value, panel + l->codes_at, b, l, w->type->pack.trellis);
    else block_values(s->value, panel + l->codes_at + (uint64_t)b * l->block_bytes, l, &w->type->pack);
    for (uint32_t g = 0; g < l->gpb; g++) group_scales(s->dw[g], s->mm[g], panel, l, b, g);
    s->n = l->int_sub ? 1 : l->gpb;
    for (int r = 0; r < PARE_PANEL && l->int_sub; r++) {
        for (uint32_t c = 0; c < PARE_QBLOCK; c++) s->value[c][r] = (int16_t)(s->value[c][r] * (int8_t)group[c / 16 * l->group_bytes + (uint32_t)r]);
        s->dw[0][r] = scale_at(head, l->f16, r);
    }
}

static void panel_tile(float acc[][PARE_PANEL], const struct pare_packed *w, const struct pare_layout *l, const uint8_t *panel,
                       const struct pare_qact *a, uint32_t t0, uint32_t t1)
{
    struct steps s;

    memset(acc, 0, TILE * sizeof acc[0]);
    for (uint32_t b = 0; b < l->n_block; b++) {
        block_steps(&s, w, l, panel, b);
        for (uint32_t t = t0; t < t1; t++) {
            const uint64_t at = pare_qact_block(a, t, b);
            const uint32_t n = PARE_QBLOCK / s.n;

            for (uint32_t g = 0; g < l->gpb; g++) {
                if (g < s.n) add_columns(acc[t - t0], s.value + g * n, n, s.dw[g], a->q + at * PARE_QBLOCK + g * n, a->d[at]);
                if (l->min) add_minimum(acc[t - t0], s.mm[g], l->gpb == 2 ? a->s16[2 * at + g] : a->s32[at]);
            }
        }
    }
}

static void gemm(float *y, uint64_t ldy, const struct pare_packed *w, const struct pare_qact *a, uint32_t p0, uint32_t p1,
                 uint32_t t0, uint32_t t1)
{
    float acc[TILE][PARE_PANEL];
    struct pare_layout l;

    if (!pare_layout_of(&l, w->type, w->cols)) return;
    for (uint32_t p = p0; p < p1; p++) {
        uint64_t row = (uint64_t)p * PARE_PANEL, rows = w->rows - row < PARE_PANEL ? w->rows - row : PARE_PANEL;

        for (uint32_t t = t0; t < t1; t += TILE) {
            uint32_t end = t1 - t < TILE ? t1 : t + TILE;

            panel_tile(acc, w, &l, w->data + p * w->panel_bytes, a, t, end);
            for (uint32_t i = t; i < end; i++)
                for (uint64_t r = 0; r < rows; r++)
                    y[i * ldy + row + r] = isnan(acc[i - t][r]) ? pare_bits_f32(PARE_NAN_BITS) : acc[i - t][r];
        }
    }
}

static void scores(float *y, uint64_t ldy, const uint8_t *tile, enum pare_type t, const struct pare_qact *a, uint32_t p0, uint32_t p1)
{
    struct pare_packed keys;

    pare_ktile_matrix(&keys, tile, t, a->k);
    gemm(y, ldy, &keys, a, p0, p1, 0, a->n);
}

/* Nearest integer, ties to even, for |x| <= 2^22: adding 1.5 * 2^23 leaves no bits for a fraction. */
static int nearest(float x)
{
    volatile float shifted = x + 12582912.0f;

    return (int)(shifted - 12582912.0f);
}

/* One block of 32. The largest magnitude is found on bit patterns: for them NaN > infinity > numbers, in any order. */
static void quantize_block(const struct pare_qact *a, uint64_t at, const float *x, unsigned n)
{
    int8_t *q = a->q + at * PARE_QBLOCK;
    float d = 0, inv = 0;
    uint32_t amax = 0;
    int32_t sum[2] = { 0, 0 };

    for (unsigned i = 0; i < n; i++) {
        uint32_t bits = pare_f32_bits(x[i]) & 0x7fffffffu;
        if (bits > amax) amax = bits;
    }
    if (amax >= PARE_QACT_MAX_BITS) {
        d = pare_bits_f32(PARE_NAN_BITS);
    } else if (amax >= PARE_QACT_MIN_BITS) {
        d = pare_qact_scale(pare_bits_f32(amax));
        inv = 127.0f / pare_bits_f32(amax);
    }
    for (unsigned i = 0; i < PARE_QBLOCK; i++) {
        q[i] = (int8_t)(inv != 0 && i < n ? nearest(x[i] * inv) : 0);
        sum[i / 16] += q[i];
    }
    pare_qact_put_scales(a, at, d, sum[0], sum[1]);
}

static void quantize(const struct pare_qact *a, const float *x, uint64_t ldx, uint32_t r0, uint32_t r1)
{
    for (uint32_t r = r0; r < r1; r++)
        for (uint32_t c = 0; c < a->k; c += PARE_QBLOCK) {
            unsigned n = a->k - c < PARE_QBLOCK ? a->k - c : PARE_QBLOCK;

            quantize_block(a, pare_qact_block(a, r, c / PARE_QBLOCK), x + r * ldx + c, n);
        }
}

static const char *describe(enum pare_type t)
{
    static const char *const names[PARE_TYPE_COUNT] = PARE_GEMMQ_NAMES(base);

    return (unsigned)t < PARE_TYPE_COUNT && (pare_dtype_of(t)->caps & PARE_DT_QUANT) ? names[t] : NULL;
}

const struct pare_gemmq pare_gemmq_ref = {
    .tier = 0, .quantize = quantize, .gemm = gemm, .scores = scores, .token_tile = TILE, .describe = describe,
};
