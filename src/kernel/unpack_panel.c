/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/unpack_panel.c: packing backwards: rows out of panels, through the integer view of a row. What pack.c puts, this
 * takes from the same places, in the same order. */
#include <string.h>

#include "base/checked.h"
#include "kernel/gemmq_layout.h"
#include "tensor/trellis.h"
#include "tensor/unpacked.h"

static float get_scale(const uint8_t *at, bool f16, unsigned row)
{
    return f16 ? pare_f16_to_f32(pare_le16(at + 2 * row)) : pare_bits_f32(pare_le32(at + 4 * row));
}

static void get_heads(const uint8_t *panel, const struct pare_layout *l, const struct pare_unpacked *u, unsigned row, uint64_t n_group)
{
    uint64_t supers = (l->n_block + l->super_blocks - 1) / l->super_blocks, per = (uint64_t)l->super_blocks * l->gpb;

    for (uint64_t i = 0; i < supers; i++) {
        const uint8_t *head = panel + i * l->head_bytes, *at = head + l->group_at + row;

        u->d[i] = get_scale(head, l->f16, row);
        if (l->min) u->dmin[i] = get_scale(head + l->d_bytes, l->f16, row);
        for (uint64_t g = i * per; g < (i + 1) * per && g < n_group; g++, at += l->group_bytes) {
            u->s[g] = l->sub ? (int8_t)at[0] : 1;
            if (l->min) u->m[g] = l->sub ? at[PARE_PANEL] : 1;
        }
    }
}

static uint32_t get32(const uint8_t *plane)
{
    uint32_t w;

    memcpy(&w, plane, sizeof w);
    return w;
}

/* Vectors i, i + 2, i + 4, i + 6 of both planes of 2 bits, shifted to bit `to`. */
static void get_pairs(uint32_t w[8], const uint8_t *at, int to)
{
    for (int i = 0; i < 2; i++) {
        uint32_t plane = get32(at + 64 * i);

        for (int j = 0; j < 4; j++) w[i + 2 * j] |= (plane >> 2 * j & 0x03030303u) << to;
    }
}

static void get_bits(uint32_t w[8], const uint8_t *at, int to)
{
    uint32_t plane = get32(at);

    for (int j = 0; j < 8; j++) w[j] |= (plane >> j & 0x01010101u) << to;
}

static void get_trellis(uint32_t w[8], const uint8_t *at, enum pare_code_kind kind)
{
    const int bits = kind == PARE_CODE_T4 ? 4 : 2, per = 8 / bits;

    for (int i = 0; i < bits; i++) {
        uint32_t plane = get32(at + 64 * i);

        for (int j = 0; j < per; j++) w[per * i + j] = plane >> bits * j & 0x01010101u * ((1u << bits) - 1);
    }
    if (kind == PARE_CODE_T3) get_bits(w, at + 128, 2);
}

static void get_codes(uint32_t w[8], const uint8_t *at, enum pare_code_kind kind)
{
    memset(w, 0, 8 * sizeof *w);
    switch (kind) {
    case PARE_CODE_T2: case PARE_CODE_T3: case PARE_CODE_T4:
        get_trellis(w, at, kind);
        return;
    case PARE_CODE_A8:
        for (int j = 0; j < 8; j++) w[j] = get32(at + 64 * j);
        return;
    case PARE_CODE_A2: case PARE_CODE_L2: case PARE_CODE_A3: case PARE_CODE_L3:
        get_pairs(w, at, 0);
        if (kind == PARE_CODE_A3 || kind == PARE_CODE_L3) get_bits(w, at + 128, 2);
        return;
    default:
        for (int i = 0; i < 4; i++) {
            uint32_t plane = get32(at + 64 * i);

            w[i] = plane & 0x0f0f0f0fu;
            w[i + 4] = plane >> 4 & 0x0f0f0f0fu;
        }
        if (kind == PARE_CODE_A5) get_bits(w, at + 256, 4);
        if (kind == PARE_CODE_A6) get_pairs(w, at + 256, 4);
    }
}

void pare_unpack_rows(const struct pare_packed *p, uint64_t row0, uint64_t n, uint8_t *rows, uint64_t row_stride, void *scratch)
{
    const struct pare_dtype *t = p->type;
    struct pare_row_view v = pare_row_view(t, p->cols, scratch);
    uint64_t n_group = (p->cols + t->pack.group - 1) / t->pack.group;
    struct pare_layout l;

    if (!pare_layout_of(&l, t, p->cols)) return; /* pare_packed_shape refused it already */
    memset(scratch, 0, v.bytes);
    for (uint64_t i = 0; i < n; i++) {
        unsigned row = (unsigned)((row0 + i) % PARE_PANEL);
        const uint8_t *panel = p->data + (row0 + i) / PARE_PANEL * p->panel_bytes, *at = panel + l.codes_at + 4 * row;

        get_heads(panel, &l, &v.u, row, n_group);
        for (uint32_t b = 0; b < l.n_block; b++, at += l.block_bytes) {
            uint32_t w[8];

            get_codes(w, at, l.kind);
            memcpy(v.u.idx + (uint64_t)b * PARE_QBLOCK, w, sizeof w);
        }
        t->repack(rows + i * row_stride, &v.u, p->cols);
    }
}

/* A row of a trellis code: each block needs the one before it. */
static void decode_trellis(const struct pare_packed *p, const struct pare_layout *l, const uint8_t *panel, unsigned r, float *dst)
{
    const struct pare_trellis *t = p->type->pack.trellis;
    const uint8_t *at = panel + l->codes_at + 4 * r;
    const float d = get_scale(panel, l->f16, r);
    uint32_t w[8];
    uint8_t code[2][PARE_QBLOCK];
    int8_t value[PARE_QBLOCK];

    for (uint32_t b = 0; b < l->n_block; b++) {
        uint64_t col = (uint64_t)b * PARE_QBLOCK, n = p->cols - col < PARE_QBLOCK ? p->cols - col : PARE_QBLOCK;

        if (b == 0) {
            get_codes(w, at + (uint64_t)(l->n_block - 1) * l->block_bytes, l->kind);
            memcpy(code[0], w, sizeof w);
            pare_trellis_wrap(code[1], code[0]);
        }
        get_codes(w, at + (uint64_t)b * l->block_bytes, l->kind);
        memcpy(code[b & 1], w, sizeof w);
        pare_trellis_block(t, value, code[~b & 1], code[b & 1]);
        for (uint64_t i = 0; i < n; i++) dst[col + i] = d * (float)value[i];
    }
}

void pare_unpack_decode(const struct pare_packed *p, uint64_t row, float *dst)
{
    const struct pare_pack_traits *t = &p->type->pack;
    const uint8_t *panel = p->data + row / PARE_PANEL * p->panel_bytes;
    unsigned r = (unsigned)(row % PARE_PANEL);
    struct pare_layout l;

    if (!pare_layout_of(&l, p->type, p->cols)) return;
    if (t->trellis != NULL) {
        decode_trellis(p, &l, panel, r, dst);
        return;
    }
    for (uint32_t b = 0; b < l.n_block; b++) {
        const uint8_t *head = panel + b / l.super_blocks * l.head_bytes;
        const uint8_t *sub = head + l.group_at + (uint64_t)(b % l.super_blocks) * l.gpb * l.group_bytes + r;
        float d = get_scale(head, l.f16, r), dmin = l.min ? get_scale(head + l.d_bytes, l.f16, r) : 0.0f;
        uint64_t col = (uint64_t)b * PARE_QBLOCK;
        uint8_t idx[PARE_QBLOCK];
        uint32_t w[8];

        get_codes(w, panel + l.codes_at + (uint64_t)b * l.block_bytes + 4 * r, l.kind);
        memcpy(idx, w, sizeof idx);
        for (uint32_t g = 0; g < l.gpb && col < p->cols; g++, col += t->group, sub += l.group_bytes) {
            uint64_t left = p->cols - col;
            float s = l.sub ? (float)(int8_t)sub[0] : 1.0f, m = l.sub && l.min ? (float)sub[PARE_PANEL] : 1.0f;

            pare_decode_group(t, dst + col, idx + g * t->group, left < t->group ? (unsigned)left : t->group, d * s, -(dmin * m));
        }
    }
}

bool pare_panel_keeps(const struct pare_packed *p, uint32_t panel, const uint8_t *rows, uint64_t row_stride, uint32_t n_rows,
                      uint8_t *line, void *scratch)
{
    uint64_t bytes;

    if (!pare_dtype_row_bytes(p->type, p->cols, &bytes)) return false;
    for (uint32_t r = 0; r < n_rows; r++) {
        pare_unpack_rows(p, (uint64_t)panel * PARE_PANEL + r, 1, line, bytes, scratch);
        if (memcmp(line, rows + r * row_stride, bytes) != 0) return false;
    }
    return true;
}
