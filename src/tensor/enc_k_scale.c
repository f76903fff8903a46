/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_k_scale.c: q3_k and q6_k, super-blocks of 16 groups of 16 with one f16 scale and no minima.
 *
 * Bytes (GGUF). q3_k, 110: 32 bytes of high bits (bit h of byte j: column 32 h + j), 64 bytes of low pairs of bits, 12 bytes of
 * 6-bit scales + 32, d. q6_k, 210: 128 bytes of low nibbles, 64 bytes of high pairs, 16 signed scales, d. In each half of 128
 * columns, byte j of the pairs holds columns j, j + 32, j + 64, j + 96 from the low bits up. */
#include <string.h>

#include "tensor/enc_put.h"
#include "tensor/enc_super.h"
#include "tensor/encode.h"

static void write_q3(uint8_t *p, const struct pare_enc_super *o, const uint8_t *code)
{
    memset(p, 0, 110);
    for (int i = 0; i < 256; i++) p[i % 32] |= (uint8_t)((code[i] >> 2) << (i / 32));
    for (int half = 0; half < 2; half++) pare_enc_put_pairs(p + 32 + 32 * half, code + 128 * half, 32);
    for (int g = 0; g < 16; g++) { /* low nibbles of groups g and g + 8 share a byte; four high pairs share one */
        unsigned s = (unsigned)(o->s[g] + 32);

        p[96 + g % 8] |= (uint8_t)((s & 15) << (g < 8 ? 0 : 4));
        p[104 + g % 4] |= (uint8_t)((s >> 4) << (2 * (g / 4)));
    }
    pare_enc_put16(p + 108, o->d_bits);
}

static void write_q6(uint8_t *p, const struct pare_enc_super *o, const uint8_t *code)
{
    uint8_t high[256];

    for (int i = 0; i < 256; i++) high[i] = code[i] >> 4;
    for (int half = 0; half < 2; half++) {
        pare_enc_put_nibbles(p + 64 * half, code + 128 * half, 64);
        pare_enc_put_pairs(p + 128 + 32 * half, high + 128 * half, 32);
    }
    memcpy(p + 192, o->s, 16);
    pare_enc_put16(p + 208, o->d_bits);
}

static void encode(uint8_t *dst, const float *src, uint64_t cols, const float *importance, int bits, struct pare_enc_super_layout l)
{
    struct pare_enc_book book;

    pare_enc_book_affine(&book, bits);
    l.book = &book;
    pare_enc_super_rows(&l, dst, src, cols, importance);
}

void pare_encode_q3_k(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode(dst, src, cols, importance, 3, (struct pare_enc_super_layout){ NULL, 16, -32, 31, 110, write_q3 });
}

void pare_encode_q6_k(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode(dst, src, cols, importance, 6, (struct pare_enc_super_layout){ NULL, 16, -128, 127, 210, write_q6 });
}
