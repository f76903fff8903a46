/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/pack.c: the shape of packed matrices and activations, and packing panels from the integer view of a row. The
 * layout stands in gemmq_layout.h. Packing works for every type because it starts from unpack, not from the type's bytes. */
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "kernel/gemmq_layout.h"

/* 2^31 columns keep every count of a row within 32 bits; no model comes near. */
#define MAX_COLS ((uint64_t)1 << 31)

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

/* -1: no kernel has codes like these. */
static int code_kind(const struct pare_pack_traits *p)
{
    if (p->trellis != NULL) return p->bits >= 2 && p->bits <= 4 ? PARE_CODE_T2 + p->bits - 2 : -1;
    if (p->lut != NULL) {
        if (p->bits >= 2 && p->bits <= 4) return PARE_CODE_L2 + p->bits - 2;
        return -1;
    }
    if (p->bits >= 2 && p->bits <= 6) return PARE_CODE_A2 + p->bits - 2;
    return p->bits == 8 ? PARE_CODE_A8 : -1;
}

bool pare_layout_of(struct pare_layout *l, const struct pare_dtype *t, uint64_t cols)
{
    const struct pare_pack_traits *p = &t->pack;
    int kind = code_kind(p);
    uint32_t groups;

    if (!(t->caps & PARE_DT_QUANT) || t->unpack == NULL || kind < 0 || cols > MAX_COLS) return false;
    if (p->trellis != NULL && (p->group != PARE_QBLOCK || p->super != 0 || p->has_sub || p->has_min)) return false;
    if ((p->group != 16 && p->group != 32) || p->super % PARE_QBLOCK != 0 || (p->int_sub && (p->group != 16 || !p->has_sub))) return false;
    *l = (struct pare_layout){ .kind = (enum pare_code_kind)kind, .f16 = p->d_is_f16, .sub = p->has_sub, .min = p->has_min,
                               .int_sub = p->int_sub };
    l->n_block = (uint32_t)(round_up(cols, PARE_QBLOCK) / PARE_QBLOCK);
    l->gpb = PARE_QBLOCK / p->group;
    l->super_blocks = p->super != 0 ? p->super / PARE_QBLOCK : l->n_block;
    if (l->super_blocks == 0) l->super_blocks = 1; /* a row without columns */
    l->d_bytes = PARE_PANEL * (p->d_is_f16 ? 2 : 4);
    l->group_at = l->d_bytes << p->has_min;
    l->group_bytes = p->has_sub ? PARE_PANEL << p->has_min : 0;
    l->block_bytes = 64u * p->bits;
    groups = l->super_blocks * l->gpb;
    l->head_bytes = l->group_at + (uint64_t)groups * l->group_bytes;
    l->codes_at = round_up((l->n_block + l->super_blocks - 1) / l->super_blocks * l->head_bytes, PARE_ALIGN);
    return true;
}

bool pare_packed_shape(struct pare_packed *p, const struct pare_dtype *t, uint64_t rows, uint64_t cols)
{
    struct pare_layout l;
    uint64_t row, panels = rows / PARE_PANEL + (rows % PARE_PANEL != 0), all;

    *p = (struct pare_packed){ .type = t, .rows = rows, .cols = cols };
    if (!pare_layout_of(&l, t, cols) || !pare_dtype_row_bytes(t, cols, &row) || panels > UINT32_MAX) return false;
    p->n_panels = (uint32_t)panels;
    p->panel_bytes = l.codes_at + (uint64_t)l.n_block * l.block_bytes;
    return pare_mul_u64(panels, p->panel_bytes, &all);
}

struct pare_row_view pare_row_view(const struct pare_dtype *t, uint64_t cols, void *mem)
{
    const struct pare_pack_traits *p = &t->pack;
    uint64_t kp = round_up(cols, PARE_QBLOCK), groups = kp / p->group;
    uint64_t supers = p->super != 0 ? (kp + p->super - 1) / p->super : 1;
    uint8_t *at = mem;
    struct pare_row_view v;

    /* The floats come first: they are the only part that needs its alignment. */
    v.u.d = (float *)mem;
    v.u.dmin = v.u.d + supers;
    v.u.idx = at + 2 * supers * sizeof(float);
    v.u.s = (int8_t *)(v.u.idx + kp);
    v.u.m = (uint8_t *)v.u.s + groups;
    v.bytes = 2 * supers * sizeof(float) + kp + 2 * groups;
    return v;
}

uint64_t pare_pack_scratch(const struct pare_dtype *t, uint64_t cols)
{
    uint64_t kp, groups, supers;

    if (cols > MAX_COLS || t->pack.group == 0) return 0;
    kp = round_up(cols, PARE_QBLOCK);
    groups = kp / t->pack.group;
    supers = t->pack.super != 0 ? (kp + t->pack.super - 1) / t->pack.super : 1;
    return round_up(2 * supers * sizeof(float) + kp + 2 * groups, PARE_ALIGN);
}

static void put_scale(uint8_t *at, bool f16, unsigned row, float d)
{
    uint32_t bits = f16 ? pare_f32_to_f16(d) : pare_f32_bits(d);

    at += row * (f16 ? 2 : 4);
    for (int i = 0; i < (f16 ? 2 : 4); i++) at[i] = (uint8_t)(bits >> 8 * i);
}

/* Headers of row `row`: scales of the super blocks, bytes of the groups. */
static void put_heads(uint8_t *panel, const struct pare_layout *l, const struct pare_unpacked *u, unsigned row, uint64_t n_group)
{
    uint64_t supers = (l->n_block + l->super_blocks - 1) / l->super_blocks, per = (uint64_t)l->super_blocks * l->gpb;

    for (uint64_t i = 0; i < supers; i++) {
        uint8_t *head = panel + i * l->head_bytes, *at = head + l->group_at + row;

        put_scale(head, l->f16, row, u->d[i]);
        if (l->min) put_scale(head + l->d_bytes, l->f16, row, u->dmin[i]);
        if (!l->sub) continue;
        for (uint64_t g = i * per; g < (i + 1) * per && g < n_group; g++, at += l->group_bytes) {
            at[0] = (uint8_t)u->s[g];
            if (l->min) at[PARE_PANEL] = u->m[g];
        }
    }
}

static void put32(uint8_t *plane, uint32_t w) { memcpy(plane, &w, sizeof w); }

/* Four codes to a word, eight words to a block. Codes were masked to their bits, so no shift below carries into a
 * neighbour; byte order does not matter because every operation is the same in all four bytes. */
/* Along a trellis: eight steps, four or two of them to a byte. */
static void put_trellis(uint8_t *at, enum pare_code_kind kind, const uint32_t w[8])
{
    const int bits = kind == PARE_CODE_T4 ? 4 : 2, per = 8 / bits;
    const uint32_t mask = 0x01010101u * ((1u << bits) - 1);
    uint32_t high = 0;

    for (int i = 0; i < bits; i++) {
        uint32_t plane = 0;
        for (int j = 0; j < per; j++) plane |= (w[per * i + j] & mask) << bits * j;
        put32(at + 64 * i, plane);
    }
    for (int j = 0; j < 8; j++) high |= (w[j] >> 2 & 0x01010101u) << j;
    if (kind == PARE_CODE_T3) put32(at + 128, high);
}

static void put_codes(uint8_t *at, enum pare_code_kind kind, const uint32_t w[8])
{
    const uint32_t ones = 0x01010101u;
    uint32_t high = 0;

    switch (kind) {
    case PARE_CODE_T2: case PARE_CODE_T3: case PARE_CODE_T4:
        put_trellis(at, kind, w);
        return;
    case PARE_CODE_A8:
        for (int j = 0; j < 8; j++) put32(at + 64 * j, w[j]);
        return;
    case PARE_CODE_A2: case PARE_CODE_L2: case PARE_CODE_A3: case PARE_CODE_L3:
        for (int i = 0; i < 2; i++) {
            uint32_t plane = 0;
            for (int j = 0; j < 4; j++) plane |= (w[i + 2 * j] & ones * 3) << 2 * j;
            put32(at + 64 * i, plane);
        }
        if (kind == PARE_CODE_A2 || kind == PARE_CODE_L2) return;
        for (int j = 0; j < 8; j++) high |= (w[j] >> 2 & ones) << j;
        put32(at + 128, high);
        return;
    default:
        for (int i = 0; i < 4; i++) put32(at + 64 * i, (w[i] & ones * 15) | (w[i + 4] & ones * 15) << 4);
        if (kind == PARE_CODE_A5) {
            for (int j = 0; j < 8; j++) high |= (w[j] >> 4 & ones) << j;
            put32(at + 256, high);
        } else if (kind == PARE_CODE_A6) {
            for (int i = 0; i < 2; i++) {
                uint32_t plane = 0;
                for (int j = 0; j < 4; j++) plane |= (w[i + 2 * j] >> 4 & ones * 3) << 2 * j;
                put32(at + 256 + 64 * i, plane);
            }
        }
    }
}

void pare_pack_block(uint8_t *panel, const struct pare_layout *l, uint32_t block, uint32_t row, uint16_t d, const uint8_t code[PARE_QBLOCK])
{
    uint8_t *head = panel + block * l->head_bytes + 2 * row;
    uint32_t w[8];

    head[0] = (uint8_t)d;
    head[1] = (uint8_t)(d >> 8);
    memcpy(w, code, sizeof w);
    put_codes(panel + l->codes_at + (uint64_t)block * l->block_bytes + 4 * row, l->kind, w);
}

void pare_pack_panel(const struct pare_packed *p, uint32_t panel, const uint8_t *rows, uint64_t row_stride, uint32_t n_rows, void *scratch)
{
    const struct pare_dtype *t = p->type;
    uint8_t *dst = p->data + (uint64_t)panel * p->panel_bytes;
    uint32_t mask = 0x01010101u * ((1u << t->pack.bits) - 1);
    struct pare_row_view v = pare_row_view(t, p->cols, scratch);
    uint64_t n_group = (p->cols + t->pack.group - 1) / t->pack.group;
    struct pare_layout l;

    if (!pare_layout_of(&l, t, p->cols)) return; /* pare_packed_shape refused it already */
    memset(dst, 0, n_rows < PARE_PANEL ? p->panel_bytes : l.codes_at);
    memset(scratch, 0, v.bytes);
    for (uint32_t r = 0; r < n_rows && r < PARE_PANEL; r++) {
        uint8_t *at = dst + l.codes_at + 4 * r;
        const uint8_t *idx = v.u.idx;

        t->unpack(&v.u, rows + r * row_stride, p->cols);
        put_heads(dst, &l, &v.u, r, n_group);
        for (uint32_t b = 0; b < l.n_block; b++, at += l.block_bytes, idx += PARE_QBLOCK) {
            uint32_t w[8];

            memcpy(w, idx, sizeof w);
            for (int j = 0; j < 8; j++) w[j] &= mask;
            put_codes(at, l.kind, w);
        }
    }
}

static uint64_t lay(uint64_t *at, uint64_t count, uint64_t size)
{
    uint64_t here = *at;

    *at += round_up(count * size, PARE_ALIGN);
    return here;
}

/* Offsets of the arrays of a pare_qact, in the order q, d, lift, sum16, s16, s32; returns the size of all. */
static uint64_t qact_offsets(uint64_t at[6], uint32_t n, uint64_t k)
{
    uint64_t blocks = n * (round_up(k, PARE_QBLOCK * PARE_QRUN) / PARE_QBLOCK), end = 0;

    at[0] = lay(&end, blocks, PARE_QBLOCK);
    at[1] = lay(&end, blocks, sizeof(float));
    at[2] = lay(&end, blocks, sizeof(float));
    at[3] = lay(&end, 2 * blocks, sizeof(int32_t));
    at[4] = lay(&end, 2 * blocks, sizeof(float));
    at[5] = lay(&end, blocks, sizeof(float));
    return end;
}

uint64_t pare_qact_bytes(uint32_t n, uint64_t k)
{
    uint64_t at[6];

    return qact_offsets(at, n, k);
}

void pare_qact_init(struct pare_qact *a, void *mem, uint32_t n, uint64_t k)
{
    uint64_t at[6];
    uint8_t *base = mem;

    (void)qact_offsets(at, n, k);
    a->n = a->stride = n;
    a->k = (uint32_t)k;
    a->kp = (uint32_t)round_up(k, PARE_QBLOCK);
    a->q = (int8_t *)base + at[0];
    a->d = (float *)(void *)(base + at[1]);
    a->lift = (float *)(void *)(base + at[2]);
    a->sum16 = (int32_t *)(void *)(base + at[3]);
    a->s16 = (float *)(void *)(base + at[4]);
    a->s32 = (float *)(void *)(base + at[5]);
}

struct pare_qact pare_qact_rows(const struct pare_qact *a, uint32_t t0, uint32_t t1)
{
    const uint64_t first = (uint64_t)t0 * PARE_QRUN; /* blocks of the rows before, in the first run as in every other */
    struct pare_qact some = *a;

    some.n = t1 - t0;
    some.q += first * PARE_QBLOCK;
    some.d += first;
    some.lift += first;
    some.sum16 += 2 * first;
    some.s16 += 2 * first;
    some.s32 += first;
    return some;
}
