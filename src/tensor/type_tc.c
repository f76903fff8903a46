/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/type_tc.c: trellis-coded formats, for rows of any width; docs/own-types.md has the layout.
 *
 * A row: d (f16), then the codes of blocks of 32 columns. value(column) = d * (a whole number from the column's window, trellis.h). The
 * integer view holds codes, and struct pare_pack_traits.trellis says how they become values. */
#include <string.h>

#include "base/checked.h"
#include "tensor/dtype_list.h"
#include "tensor/enc_put.h"
#include "tensor/encode.h"
#include "tensor/trellis.h"

enum { BLOCK = PARE_TRELLIS_BLOCK };

void pare_trellis_wrap(uint8_t before[BLOCK], const uint8_t last[BLOCK])
{
    for (int i = 0; i < BLOCK; i += 4)
        for (int c = 0; c < 4; c++) before[i + c] = last[i + (c + 3) % 4];
}

void pare_trellis_block(const struct pare_trellis *t, int8_t value[BLOCK], const uint8_t before[BLOCK], const uint8_t code[BLOCK])
{
    uint8_t all[2 * BLOCK];
    unsigned n[3];

    memcpy(all, before, BLOCK);
    memcpy(all + BLOCK, code, BLOCK);
    for (int i = 0; i < BLOCK; i++) {
        pare_trellis_window(t->bits, all + BLOCK + i, 4, n);
        value[i] = (int8_t)pare_trellis_value(t, n);
    }
}

void pare_trellis_row(const struct pare_trellis *t, int8_t *value, const uint8_t *code, uint64_t cols)
{
    uint64_t blocks = (cols + BLOCK - 1) / BLOCK;
    uint8_t before[BLOCK];

    if (blocks == 0) return;
    pare_trellis_wrap(before, code + (blocks - 1) * BLOCK);
    for (uint64_t b = 0; b < blocks; b++) pare_trellis_block(t, value + b * BLOCK, b == 0 ? before : code + (b - 1) * BLOCK, code + b * BLOCK);
}

/* Bytes of a block: words of four bytes, byte c for the columns 4 j + c. */
static void block_codes(uint8_t code[BLOCK], const uint8_t *q, int bits)
{
    for (int j = 0; j < 8; j++)
        for (int c = 0; c < 4; c++) {
            uint8_t v = bits == 4 ? q[4 * (j / 2) + c] >> 4 * (j % 2) & 15 : q[4 * (j / 4) + c] >> 2 * (j % 4) & 3;

            if (bits == 3) v |= (uint8_t)((q[8 + c] >> j & 1) << 2);
            code[4 * j + c] = v;
        }
}

static void block_back(uint8_t *q, const uint8_t code[BLOCK], int bits)
{
    memset(q, 0, (size_t)(4 * bits));
    for (int j = 0; j < 8; j++)
        for (int c = 0; c < 4; c++) {
            unsigned v = code[4 * j + c];

            if (bits == 4) q[4 * (j / 2) + c] |= (uint8_t)((v & 15) << 4 * (j % 2));
            else q[4 * (j / 4) + c] |= (uint8_t)((v & 3) << 2 * (j % 4));
            if (bits == 3) q[8 + c] |= (uint8_t)((v >> 2 & 1) << j);
        }
}

static uint64_t blocks_of(uint64_t cols) { return cols / BLOCK + (cols % BLOCK != 0); }

static void unpack_row(const struct pare_unpacked *out, const uint8_t *p, uint64_t cols, int bits)
{
    uint64_t blocks = blocks_of(cols);

    if (blocks == 0) return;
    out->d[0] = pare_f16_to_f32(pare_le16(p));
    for (uint64_t b = 0; b < blocks; b++) {
        out->s[b] = 1;
        block_codes(out->idx + b * BLOCK, p + 2 + b * (uint64_t)(4 * bits), bits);
    }
}

static void repack_row(uint8_t *p, const struct pare_unpacked *in, uint64_t cols, int bits)
{
    uint64_t blocks = blocks_of(cols);

    pare_enc_put16(p, blocks == 0 ? 0 : pare_f32_to_f16(in->d[0]));
    for (uint64_t b = 0; b < blocks; b++) block_back(p + 2 + b * (uint64_t)(4 * bits), in->idx + b * BLOCK, bits);
}

static void decode_row(const struct pare_trellis *t, float *dst, const uint8_t *p, uint64_t cols)
{
    uint64_t blocks = blocks_of(cols), bytes = 4u * t->bits;
    const float d = pare_f16_to_f32(pare_le16(p));
    uint8_t code[2][BLOCK];

    if (blocks == 0) return;
    block_codes(code[0], p + 2 + (blocks - 1) * bytes, t->bits);
    pare_trellis_wrap(code[1], code[0]);
    for (uint64_t b = 0; b < blocks; b++) {
        uint64_t left = cols - b * BLOCK;
        int8_t value[BLOCK];

        block_codes(code[b & 1], p + 2 + b * bytes, t->bits);
        pare_trellis_block(t, value, code[~b & 1], code[b & 1]);
        for (uint64_t i = 0; i < (left < BLOCK ? left : BLOCK); i++) dst[b * BLOCK + i] = d * (float)value[i];
    }
}

#define TC(tag, NAME, nbits, text)                                                                                     \
    static void decode_##tag(float *dst, const void *src, uint64_t cols)                                               \
    {                                                                                                                  \
        decode_row(&pare_trellis_##tag, dst, src, cols);                                                               \
    }                                                                                                                  \
    static void unpack_##tag(const struct pare_unpacked *out, const void *src, uint64_t cols)                          \
    {                                                                                                                  \
        unpack_row(out, src, cols, nbits);                                                                             \
    }                                                                                                                  \
    static void repack_##tag(void *dst, const struct pare_unpacked *in, uint64_t cols)                                 \
    {                                                                                                                  \
        repack_row(dst, in, cols, nbits);                                                                              \
    }                                                                                                                  \
    const struct pare_dtype pare_dt_##tag = {                                                                          \
        .name = #tag, .type = NAME, .gguf_id = -1, .block = BLOCK, .block_bytes = 4 * (nbits), .row_bytes = 2,         \
        .caps = PARE_DT_QUANT | PARE_DT_WRITE | PARE_DT_ANYWIDTH | PARE_DT_SLOW, .bits = nbits, .help = text,                         \
        .decode = decode_##tag, .encode = pare_encode_##tag, .unpack = unpack_##tag, .repack = repack_##tag,           \
        .pack = { .bits = nbits, .group = BLOCK, .d_is_f16 = true, .trellis = &pare_trellis_##tag },                   \
    };

TC(tc2, PARE_TC2, 2, "Trellis code of 2 bits, one scale a row; rows of any width.")
TC(tc3, PARE_TC3, 3, "Trellis code of 3 bits, one scale a row; rows of any width.")
TC(tc4, PARE_TC4, 4, "Trellis code of 4 bits, one scale a row; rows of any width.")
