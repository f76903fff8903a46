/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/sparse_ref.c: products with sparse matrices in plain C: the definition of every result. */
#include <math.h>
#include <string.h>

#include "kernel/ref/vec_ref.h"
#include "kernel/sparse_layout.h"

#define ARGS                                                                                                           \
    float *y, uint64_t ldy, const struct pare_sparse *s, const float *x, uint64_t ldx, const struct pare_qact *a, uint32_t n, uint32_t p0, uint32_t p1

static float value_at(enum pare_type type, const uint8_t *p, uint64_t i)
{
    return type == PARE_F16 ? pare_f16_to_f32(pare_le16(p + 2 * i)) : pare_bits_f32(pare_le32(p + 4 * i));
}

/* lanes[j][r]: what columns c with c mod 16 = j have added to row r. */
static void add_column(float lanes[16][16], uint64_t c, const float w[16], float x)
{
    for (int r = 0; r < 16; r++) lanes[c % 16][r] = fmaf(w[r], x, lanes[c % 16][r]);
}

static void finish(const struct pare_sparse *s, uint32_t panel, float *y, float lanes[16][16])
{
    float acc[16], l[16];

    for (int r = 0; r < 16; r++) {
        for (int j = 0; j < 16; j++) l[j] = lanes[j][r];
        acc[r] = pare_tree16(l);
    }
    pare_sparse_put(s, panel, y, acc);
}

static void tiled(ARGS)
{
    (void)a;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0; t < n; t++) {
            const uint8_t *head = s->data + s->at[p], *at = head + pare_sparse_up64(pare_sparse_tiles(s) * 4ull);
            float          lanes[16][16] = { { 0 } };

            for (uint64_t c0 = 0; c0 < s->cols; c0 += PARE_SPARSE_TILE) {
                const uint32_t pairs = pare_le32(head + c0 / PARE_SPARSE_TILE * 4);
                float          tile[PARE_SPARSE_TILE + 1][16];

                memset(tile, 0, sizeof tile);
                for (uint32_t i = 0; i < pairs; i++) (&tile[0][0])[pare_le16(at + i / 16 * 64 + i % 16 * 2)] = value_at(s->type, at + i / 16 * 64 + 32, i % 16);
                for (uint64_t c = c0; c < s->cols && c < c0 + PARE_SPARSE_TILE; c++) add_column(lanes, c, tile[c - c0], x[t * ldx + c]);
                at += 4ull * pairs;
            }
            finish(s, p, y + t * ldy, lanes);
        }
}

static void mask_float(ARGS)
{
    (void)a;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0; t < n; t++) {
            const uint8_t *mask = s->data + s->at[p], *values = mask + pare_sparse_up64(s->cols * 2);
            uint64_t       k = 0;
            float          lanes[16][16] = { { 0 } }, w[16];

            for (uint64_t c = 0; c < s->cols; c++) {
                for (int r = 0; r < 16; r++) w[r] = pare_le16(mask + 2 * c) >> r & 1 ? value_at(s->type, values, k++) : 0;
                add_column(lanes, c, w, x[t * ldx + c]);
            }
            finish(s, p, y + t * ldy, lanes);
        }
}

static void wide(ARGS)
{
    (void)a;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0; t < n; t++) {
            const uint8_t *head = s->data + s->at[p], *index = head + 64, *values;
            uint32_t       all = 0, k = 0;
            float          lanes[16][16] = { { 0 } }, w[16];

            for (int j = 0; j < 16; j++) all += pare_le32(head + 4 * j);
            values = head + pare_sparse_up64(64 + 2ull * all);
            for (uint64_t j = 0; j < 16; j++)
                for (uint32_t end = k + pare_le32(head + 4 * j); k < end; k++) {
                    const uint64_t c = pare_le16(index + 2ull * k) * 16ull + j;

                    for (uint64_t r = 0; r < 16; r++) w[r] = value_at(s->type, values, k * 16ull + r);
                    add_column(lanes, c, w, x[t * ldx + c]);
                }
            finish(s, p, y + t * ldy, lanes);
        }
}

/* The one step of the q8_0 formats; code [32][16]. A sum that is no number has one pattern, as in gemmq. */
static void add_block(float acc[16], const uint8_t *d, int8_t code[32][16], const struct pare_qact *a, uint32_t t, uint64_t b)
{
    const uint64_t at = pare_qact_block(a, t, b);

    for (int r = 0; r < 16; r++) {
        int32_t idot = 0;

        for (int c = 0; c < 32; c++) idot += code[c][r] * a->q[at * 32 + (uint64_t)c];
        acc[r] = fmaf((float)idot * a->d[at], pare_f16_to_f32(pare_le16(d + 2 * r)), acc[r]);
    }
}
static void finish_int(const struct pare_sparse *s, uint32_t panel, float *y, float acc[16])
{
    for (int r = 0; r < 16; r++)
        if (isnan(acc[r])) acc[r] = pare_bits_f32(0x7fc00000u);
    pare_sparse_put(s, panel, y, acc);
}

static void mask_q8(ARGS)
{
    (void)x, (void)ldx;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0; t < n; t++) {
            const uint8_t *head = s->data + s->at[p], *codes = head + pare_sparse_up64(s->cols / 32 * PARE_SPARSE_MASK_HEAD);
            float          acc[16] = { 0 };

            for (uint64_t b = 0; b < s->cols / 32; b++, head += PARE_SPARSE_MASK_HEAD) {
                int8_t code[32][16];

                for (int j = 0; j < 8; j++)
                    for (int i = 0; i < 64; i++) code[4 * j + i % 4][i / 4] = pare_le64(head + 32 + 8 * j) >> i & 1 ? (int8_t)(*codes++ ^ 0x80) : 0;
                add_block(acc, head, code, a, t, b);
            }
            finish_int(s, p, y + t * ldy, acc);
        }
}

static void n24(ARGS)
{
    (void)x, (void)ldx;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0; t < n; t++) {
            const uint8_t *at = s->data + s->at[p];
            float          acc[16] = { 0 };

            for (uint64_t b = 0; b < s->cols / 32; b++, at += PARE_SPARSE_N24_BLOCK) {
                int8_t code[32][16] = { { 0 } };

                for (int v = 0; v < 4; v++)
                    for (int i = 0; i < 64; i++) {
                        const int c = 8 * v + i % 4 / 2 * 4 + (at[32 + i] >> (2 * v) & 3);

                        code[c][i / 4] = (int8_t)(code[c][i / 4] + (int8_t)at[96 + 64 * v + i]); /* an empty place adds 0 */
                    }
                add_block(acc, at, code, a, t, b);
            }
            finish_int(s, p, y + t * ldy, acc);
        }
}

/* The sum over one group of row number at among the k that have it. */
static int32_t group_dot(const uint8_t *body, uint32_t k, uint32_t at, const int8_t *q)
{
    const int32_t zero = pare_le16(body + 2 * at) >> 12;
    int32_t       idot = 0;

    for (uint32_t c = 0; c < 16; c++) {
        const uint8_t b = body[2 * k + (c % 8 / 4 * k + at) * 4 + c % 4];

        idot += ((c < 8 ? b & 15 : b >> 4) - zero) * q[c];
    }
    return idot;
}

static void group(ARGS)
{
    (void)x, (void)ldx;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0; t < n; t++) {
            const uint8_t *panel = s->data + s->at[p], *mask = panel + 32, *body = panel + pare_sparse_up64(32 + s->cols / 8);
            float          acc[16] = { 0 };

            for (uint64_t g = 0; g < s->cols / 16; g++) {
                const uint32_t m = pare_le16(mask + 2 * g), k = (uint32_t)__builtin_popcount(m);
                const uint64_t block = pare_qact_block(a, t, g / 2);
                uint32_t       at = 0;

                for (int r = 0; r < 16; r++) { /* a row that lacks the group adds 0 * 0 */
                    const bool    have = m >> r & 1;
                    const int32_t idot = have ? group_dot(body, k, at, a->q + block * 32 + g % 2 * 16) : 0;
                    const float   scale = have ? (float)(pare_le16(body + 2 * at) & 0xfff) : 0;

                    acc[r] = fmaf((float)idot * a->d[block], pare_f16_to_f32(pare_le16(panel + 2 * r)) * scale, acc[r]);
                    at += have;
                }
                body += 10 * k;
            }
            finish_int(s, p, y + t * ldy, acc);
        }
}

static void mask_any(ARGS) { (s->type == PARE_Q8_0 ? mask_q8 : mask_float)(y, ldy, s, x, ldx, a, n, p0, p1); }

const struct pare_sparse_kernels pare_sparse_ref = {
    .tier = 0, .gemm = { [PARE_SPARSE_TILED] = tiled, [PARE_SPARSE_MASK] = mask_any, [PARE_SPARSE_N24] = n24, [PARE_SPARSE_GROUP] = group, [PARE_SPARSE_WIDE] = wide },
};
