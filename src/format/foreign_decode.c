/* SPDX-License-Identifier: Apache-2.0
 * src/format/foreign_decode.c: rows of packed weights as f32. All layouts mean (q - zero) * scale; they differ in where q and
 * zero lie. Shapes were checked by the scan; only group numbers are looked at again, because they are data in a mapping. */
#include <inttypes.h>

#include "base/checked.h"
#include "base/status.h"
#include "format/foreign.h"

float pare_foreign_scale(const struct pare_tensor *t, uint64_t i)
{
    if (t->type->type == PARE_F32) return pare_bits_f32(pare_le32(t->data + 4 * i));
    if (t->type->type == PARE_F16) return pare_f16_to_f32(pare_le16(t->data + 2 * i));
    return pare_bf16_to_f32(pare_le16(t->data + 2 * i));
}

static uint32_t word(const struct pare_tensor *t, uint64_t i) { return pare_le32(t->data + 4 * i); }

/* Value i of a stream of `bits` wide values in 32-bit words, lowest bits first; stride: words from one word of the stream to
 * the next. 2, 4 and 8 bits never cross a word; 3 bits do, and GPTQ's layout of 32 values in three words is this stream. */
static uint32_t stream(const struct pare_tensor *t, uint64_t first, uint64_t stride, uint64_t i, uint32_t bits)
{
    uint64_t bit = i * bits, w = bit / 32;
    uint32_t shift = (uint32_t)(bit % 32), v = word(t, first + w * stride) >> shift;

    if (shift + bits > 32) v |= word(t, first + (w + 1) * stride) << (32 - shift);
    return v & ((1u << bits) - 1u);
}

static bool group_of(const struct pare_foreign *f, uint64_t i, uint64_t *g)
{
    *g = f->g_idx != NULL ? word(f->g_idx, i) : i / f->group;
    return *g < f->groups;
}

static int bad_group(const struct pare_foreign *f, uint64_t i, struct pare_diag *diag)
{
    int rc = PARE_ERR(diag, PARE_E_CORRUPT, "input %" PRIu64 " is in no group", i);

    pare_diag_where(diag, f->name);
    return rc;
}

#define BLOCK 64u /* outputs decoded together: their zeros and scales change only where the group does */

struct block {
    uint64_t g, row0;
    uint32_t n;
    int32_t  zero[BLOCK];
    float    scale[BLOCK];
};

static void gptq_group(struct block *b, const struct pare_foreign *f, uint64_t g)
{
    uint32_t mask = (1u << f->bits) - 1u;

    b->g = g;
    for (uint32_t r = 0; r < b->n; r++) {
        uint64_t o = b->row0 + r;

        /* Version 1 stores zero - 1 modulo the width: a zero of 0 is stored as all ones and must come back as 0. */
        b->zero[r] = (int32_t)((stream(f->zeros, g * f->zeros->cols, 1, o, f->bits) + f->zero_plus) & mask);
        b->scale[r] = pare_foreign_scale(f->scales, g * f->rows + o);
    }
}

/* Inputs outside, outputs inside: one packed word serves neighbouring outputs, which lie side by side in the file. */
static int gptq_block(struct block *b, const struct pare_foreign *f, float *dst, struct pare_diag *diag)
{
    uint64_t g;

    b->g = UINT64_MAX;
    for (uint64_t i = 0; i < f->cols; i++) {
        if (!group_of(f, i, &g)) return bad_group(f, i, diag);
        if (g != b->g) gptq_group(b, f, g);
        for (uint32_t r = 0; r < b->n; r++)
            dst[r * f->cols + i] = (float)((int32_t)stream(f->q, b->row0 + r, f->rows, i, f->bits) - b->zero[r]) * b->scale[r];
    }
    return PARE_OK;
}

/* Where output o lies in its word: the reverse of the order 0 2 4 6 1 3 5 7 in which AWQ fills the eight places. */
static int32_t awq_nibble(const struct pare_tensor *t, uint64_t row, uint64_t o)
{
    static const uint8_t place[8] = { 0, 4, 1, 5, 2, 6, 3, 7 };

    return (int32_t)(word(t, row * t->cols + o / 8) >> (4 * place[o % 8]) & 15u);
}

static void awq_group(struct block *b, const struct pare_foreign *f, uint64_t g)
{
    b->g = g;
    for (uint32_t r = 0; r < b->n; r++) {
        b->zero[r] = awq_nibble(f->zeros, g, b->row0 + r);
        b->scale[r] = pare_foreign_scale(f->scales, g * f->rows + b->row0 + r);
    }
}

static int awq_block(struct block *b, const struct pare_foreign *f, float *dst, struct pare_diag *diag)
{
    uint64_t g;

    b->g = UINT64_MAX;
    for (uint64_t i = 0; i < f->cols; i++) {
        if (!group_of(f, i, &g)) return bad_group(f, i, diag);
        if (g != b->g) awq_group(b, f, g);
        for (uint32_t r = 0; r < b->n; r++)
            dst[r * f->cols + i] = (float)(awq_nibble(f->q, i, b->row0 + r) - b->zero[r]) * b->scale[r];
    }
    return PARE_OK;
}

static int in_blocks(int (*decode)(struct block *, const struct pare_foreign *, float *, struct pare_diag *), const struct pare_foreign *f,
                     uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    struct block b;

    for (uint64_t r = 0; r < n; r += b.n) {
        b.row0 = row0 + r;
        b.n = n - r < BLOCK ? (uint32_t)(n - r) : BLOCK;
        PARE_FORWARD(decode(&b, f, dst + r * f->cols, diag));
    }
    return PARE_OK;
}

/* Values and zeros are stored plus half the range, so the offsets cancel when there are zeros. */
static int ct_packed_rows(const struct pare_foreign *f, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    uint64_t g;

    for (uint64_t r = 0; r < n; r++) {
        uint64_t o = row0 + r;

        for (uint64_t i = 0; i < f->cols; i++) {
            int32_t q, z = 1 << (f->bits - 1);

            if (!group_of(f, i, &g)) return bad_group(f, i, diag);
            q = (int32_t)stream(f->q, o * f->q->cols, 1, i, f->bits);
            if (f->zeros != NULL) z = (int32_t)stream(f->zeros, g, f->groups, o, f->bits);
            dst[r * f->cols + i] = (float)(q - z) * pare_foreign_scale(f->scales, o * f->groups + g);
        }
    }
    return PARE_OK;
}

static int ct_int8_rows(const struct pare_foreign *f, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    uint64_t g;

    for (uint64_t r = 0; r < n; r++) {
        uint64_t       o = row0 + r, s = f->scale_rows == 1 ? 0 : o;
        const uint8_t *q = f->q->data + o * f->cols;

        for (uint64_t i = 0; i < f->cols; i++) {
            int32_t z = 0;

            if (!group_of(f, i, &g)) return bad_group(f, i, diag);
            if (f->zeros != NULL) z = (int8_t)f->zeros->data[s * f->groups + g];
            dst[r * f->cols + i] = (float)((int8_t)q[i] - z) * pare_foreign_scale(f->scales, s * f->groups + g);
        }
    }
    return PARE_OK;
}

static void int8_flat_rows(const struct pare_foreign *f, uint64_t row0, uint64_t n, float *dst)
{
    uint64_t first = row0 * f->cols;

    for (uint64_t i = 0; i < n * f->cols; i++)
        dst[i] = (float)(int8_t)f->q->data[first + i] * pare_foreign_scale(f->scales, (first + i) / f->group);
}

int pare_foreign_rows(const struct pare_foreign *f, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    switch (f->kind) {
    case PARE_FOREIGN_GPTQ: return in_blocks(gptq_block, f, row0, n, dst, diag);
    case PARE_FOREIGN_AWQ: return in_blocks(awq_block, f, row0, n, dst, diag);
    case PARE_FOREIGN_CT_PACKED: return ct_packed_rows(f, row0, n, dst, diag);
    case PARE_FOREIGN_CT_INT8: return ct_int8_rows(f, row0, n, dst, diag);
    default: int8_flat_rows(f, row0, n, dst); return PARE_OK;
    }
}
