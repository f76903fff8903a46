/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/kv_tile.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "kernel/gemmq_layout.h"

bool pare_kv_tile_type(enum pare_type t) { return t == PARE_Q8_0 || t == PARE_Q5_0 || t == PARE_Q4_0; }

void pare_ktile_matrix(struct pare_packed *p, const uint8_t *tile, enum pare_type t, uint32_t dk)
{
    (void)pare_packed_shape(p, pare_dtype_of(t), PARE_ATTN_PAGE, ((uint64_t)dk + 31) / 32 * 32);
    p->data = (uint8_t *)(uintptr_t)tile;
}

uint64_t pare_ktile_bytes(enum pare_type t, uint32_t dk)
{
    struct pare_packed p;

    if (!pare_kv_tile_type(t)) return PARE_ATTN_PAGE * (uint64_t)pare_dtype_of(t)->block_bytes * dk;
    return pare_packed_shape(&p, pare_dtype_of(t), PARE_ATTN_PAGE, ((uint64_t)dk + 31) / 32 * 32) ? pare_packed_bytes(&p) : UINT64_MAX;
}

uint64_t pare_vtile_bytes(enum pare_type t, uint32_t dv)
{
    return pare_vtile_codes_at(dv) + ((uint64_t)dv + 31) / 32 * PARE_ATTN_PAGE * pare_vtile_code(t);
}

/* One block: codes as unsigned numbers (q8_0: value + 128) and the scale's bits. */
struct block {
    uint8_t  code[32];
    uint16_t d;
};

/* The extreme value, with its sign, gets the lowest code, which has no mirror image; the rest follows (q4_0 and q5_0 of GGUF). */
static void narrow_block(struct block *b, const float *x, int half)
{
    float extreme = 0, most = 0, d, inv;
    bool  finite = true;

    for (int i = 0; i < 32; i++) {
        float m = fabsf(x[i]);
        if (!(m < INFINITY)) finite = false;
        if (m > most) {
            most = m;
            extreme = x[i];
        }
    }
    d = extreme / (float)-half;
    b->d = finite ? pare_f32_to_f16(d) : 0x7e00;
    inv = finite && (b->d & 0x7fffu) != 0 ? 1.0f / d : 0;
    for (int i = 0; i < 32; i++) {
        int c = inv != 0 ? (int)(x[i] * inv + ((float)half + 0.5f)) : half;
        b->code[i] = (uint8_t)(c < 0 ? 0 : c >= 2 * half ? 2 * half - 1 : c);
    }
}

static void make_block(struct block *b, enum pare_type t, const struct pare_vec *vk, const float *x, uint32_t n)
{
    float   all[32];
    uint8_t q8[34];

    if (n < 32) { /* whole blocks only, so that every tier has one way */
        memset(all, 0, sizeof all);
        memcpy(all, x, n * sizeof *x);
        x = all;
    }
    if (t != PARE_Q8_0) {
        narrow_block(b, x, t == PARE_Q5_0 ? 16 : 8);
        return;
    }
    vk->store_q8(q8, x, 32);
    b->d = pare_le16(q8);
    for (int i = 0; i < 32; i++) b->code[i] = q8[2 + i] ^ 0x80u;
}

/* One column of a panel after the other, a few dozen columns at a time. */
static void put_floats(uint8_t *tile, enum pare_type t, const struct pare_vec *vk, uint32_t row, const float *k, uint32_t dk)
{
    const uint64_t es = pare_dtype_of(t)->block_bytes;
    uint16_t       half[64];

    tile += ((uint64_t)(row / PARE_PANEL) * dk * PARE_PANEL + row % PARE_PANEL) * es;
    for (uint32_t i = 0; i < dk; i++, tile += PARE_PANEL * es) {
        if (t == PARE_F16 && i % 64 == 0) vk->store_f16(half, k + i, dk - i < 64 ? dk - i : 64);
        if (t == PARE_F16) memcpy(tile, &half[i % 64], sizeof half[0]);
        else memcpy(tile, k + i, sizeof *k);
    }
}

void pare_ktile_put(uint8_t *tile, enum pare_type t, const struct pare_vec *vk, uint32_t row, const float *k, uint32_t dk)
{
    struct pare_packed p;
    struct pare_layout l;
    struct block       b;

    if (!pare_kv_tile_type(t)) {
        put_floats(tile, t, vk, row, k, dk);
        return;
    }
    pare_ktile_matrix(&p, tile, t, dk);
    (void)pare_layout_of(&l, p.type, p.cols);
    tile += row / PARE_PANEL * p.panel_bytes;
    for (uint32_t i = 0; i < dk; i += 32) {
        make_block(&b, t, vk, k + i, dk - i < 32 ? dk - i : 32);
        pare_pack_block(tile, &l, i / 32, row % PARE_PANEL, b.d, b.code);
    }
}

static void put_value_codes(uint8_t *at, enum pare_type t, const uint8_t c[32])
{
    uint32_t high = 0;

    if (t == PARE_Q8_0) {
        for (int i = 0; i < 32; i++) at[i] = c[i] ^ 0x80u;
        return;
    }
    for (int i = 0; i < 16; i++) at[i] = (uint8_t)((c[i] & 15u) | (c[i + 16] & 15u) << 4);
    if (t != PARE_Q5_0) return;
    for (int i = 0; i < 32; i++) high |= (uint32_t)(c[i] >> 4 & 1u) << i;
    for (int i = 0; i < 4; i++) at[16 + i] = (uint8_t)(high >> 8 * i);
}

void pare_vtile_put(uint8_t *tile, enum pare_type t, const struct pare_vec *vk, uint32_t row, const float *v, uint32_t dv)
{
    uint32_t     bytes = pare_vtile_code(t), blocks = (dv + 31) / 32;
    uint8_t     *codes = tile + pare_vtile_codes_at(dv) + (uint64_t)row * blocks * bytes;
    struct block b;

    for (uint32_t i = 0; i < blocks; i++, codes += bytes) {
        uint8_t *d = tile + 2 * ((uint64_t)i * PARE_ATTN_PAGE + row);

        make_block(&b, t, vk, v + 32 * (uint64_t)i, dv - 32 * i < 32 ? dv - 32 * i : 32);
        d[0] = (uint8_t)b.d;
        d[1] = (uint8_t)(b.d >> 8);
        put_value_codes(codes, t, b.code);
    }
}
