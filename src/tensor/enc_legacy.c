/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_legacy.c: q4_0, q5_0, q8_0, q4_1, q5_1: blocks of 32 with an f16 scale of their own, and for the last two an f16
 * minimum. The layout is told in type_legacy.c. */
#include <string.h>

#include "tensor/enc_lanes.h"
#include "tensor/enc_min.h"
#include "tensor/enc_search.h"
#include "tensor/encode.h"

static void put_fifth_bits(uint8_t *dst, const uint8_t *code)
{
    memset(dst, 0, 4);
    for (int j = 0; j < 32; j++) dst[j / 8] |= (uint8_t)((code[j] >> 4) << (j % 8));
}

static void encode_scaled(uint8_t *p, const float *src, uint64_t cols, const float *importance, int bits)
{
    uint64_t bytes = bits == 8 ? 34 : bits == 5 ? 22 : 18;
    struct pare_enc_book book;
    float x[32], w[32];
    uint8_t code[32];

    pare_enc_book_affine(&book, bits);
    for (uint64_t c = 0; c < cols; c += 32, p += bytes) {
        const float *imp = importance != NULL ? importance + c : NULL;
        struct pare_enc_unit u = pare_enc_unit_of(src + c, imp, 32);
        uint16_t half;
        float d;

        pare_enc_load(&u, x, w, src + c, imp, 32, 32, 32);
        d = pare_enc_block_scale(&book, x, w, u.k, &half);
        pare_enc_codes(&book, x, 32, d, code);
        pare_enc_put16(p, half);
        if (bits == 8) {
            for (int j = 0; j < 32; j++) p[2 + j] = (uint8_t)(code[j] - 127);
            continue;
        }
        if (bits == 5) put_fifth_bits(p + 2, code);
        pare_enc_put_nibbles(p + bytes - 16, code, 16);
    }
}

void pare_encode_q4_0(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode_scaled(dst, src, cols, importance, 4);
}

void pare_encode_q5_0(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode_scaled(dst, src, cols, importance, 5);
}

void pare_encode_q8_0(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode_scaled(dst, src, cols, importance, 8);
}

static void encode_min(uint8_t *p, const float *src, uint64_t cols, const float *importance, int bits)
{
    uint64_t bytes = bits == 5 ? 24 : 20;
    float x[32], w[32];
    uint8_t code[32];

    for (uint64_t c = 0; c < cols; c += 32, p += bytes) {
        const float *imp = importance != NULL ? importance + c : NULL;
        struct pare_enc_unit u = pare_enc_unit_of(src + c, imp, 32);
        struct pare_enc_line line;
        uint16_t d_bits, m_bits;

        pare_enc_load(&u, x, w, src + c, imp, 32, 32, 32);
        line = pare_enc_block_line(x, w, bits, u.k, &d_bits, &m_bits);
        pare_enc_line_codes(&line, x, 32, (float)((1 << bits) - 1), code);
        pare_enc_put16(p, d_bits);
        pare_enc_put16(p + 2, m_bits);
        if (bits == 5) put_fifth_bits(p + 4, code);
        pare_enc_put_nibbles(p + bytes - 16, code, 16);
    }
}

void pare_encode_q4_1(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode_min(dst, src, cols, importance, 4);
}

void pare_encode_q5_1(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode_min(dst, src, cols, importance, 5);
}
