/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_legacy.c: q4_0, q5_0, q8_0, q4_1, q5_1: blocks of 32 with an f16 scale of their own, and for the last two an f16
 * minimum. The layout is told in type_legacy.c. */
#include <string.h>

#include "tensor/enc_block.h"
#include "tensor/enc_put.h"
#include "tensor/encode.h"

static void put_fifth_bits(uint8_t *dst, const uint8_t *code)
{
    memset(dst, 0, 4);
    for (int j = 0; j < 32; j++) dst[j / 8] |= (uint8_t)((code[j] >> 4) << (j % 8));
}

static void write_4_0(uint8_t *p, const struct pare_enc_block *b)
{
    pare_enc_put16(p, b->d_bits);
    pare_enc_put_nibbles(p + 2, b->code, 16);
}

static void write_5_0(uint8_t *p, const struct pare_enc_block *b)
{
    pare_enc_put16(p, b->d_bits);
    put_fifth_bits(p + 2, b->code);
    pare_enc_put_nibbles(p + 6, b->code, 16);
}

static void write_8_0(uint8_t *p, const struct pare_enc_block *b)
{
    pare_enc_put16(p, b->d_bits);
    for (int j = 0; j < 32; j++) p[2 + j] = (uint8_t)(b->code[j] - 127);
}

static void write_4_1(uint8_t *p, const struct pare_enc_block *b)
{
    pare_enc_put16(p, b->d_bits);
    pare_enc_put16(p + 2, b->m_bits);
    pare_enc_put_nibbles(p + 4, b->code, 16);
}

static void write_5_1(uint8_t *p, const struct pare_enc_block *b)
{
    pare_enc_put16(p, b->d_bits);
    pare_enc_put16(p + 2, b->m_bits);
    put_fifth_bits(p + 4, b->code);
    pare_enc_put_nibbles(p + 8, b->code, 16);
}

static void encode_scaled(uint8_t *dst, const float *src, uint64_t cols, const float *importance, int bits, uint64_t bytes,
                          pare_enc_block_writer *write)
{
    struct pare_enc_book book;

    pare_enc_book_affine(&book, bits);
    pare_enc_scale_blocks(&book, bytes, write, dst, src, cols, importance);
}

void pare_encode_q4_0(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode_scaled(dst, src, cols, importance, 4, 18, write_4_0);
}

void pare_encode_q5_0(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode_scaled(dst, src, cols, importance, 5, 22, write_5_0);
}

void pare_encode_q8_0(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode_scaled(dst, src, cols, importance, 8, 34, write_8_0);
}

void pare_encode_q4_1(void *dst, const float *src, uint64_t cols, const float *importance)
{
    pare_enc_line_blocks(4, 20, write_4_1, dst, src, cols, importance);
}

void pare_encode_q5_1(void *dst, const float *src, uint64_t cols, const float *importance)
{
    pare_enc_line_blocks(5, 24, write_5_1, dst, src, cols, importance);
}
