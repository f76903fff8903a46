/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_k_line.c: the bytes of q2_k, q4_k and q5_k (the search is in enc_k_min.c).
 *
 * q2_k, 84: 16 bytes (scale in the low nibble, minimum in the high one) for groups of 16, 64 bytes of pairs as in q3_k, d, dmin.
 * q4_k, 144: d, dmin, 12 bytes of 6-bit scales and minima for 8 groups of 32, 128 bytes: byte j of each 32 holds columns j and
 * j + 32 of its 64. q5_k, 176: the same with 32 bytes of fifth bits (bit g of byte j: column 32 g + j) before the nibbles. */
#include <string.h>

#include "tensor/enc_k_min.h"
#include "tensor/enc_put.h"
#include "tensor/enc_super.h"
#include "tensor/encode.h"

static void write_q2(uint8_t *p, const struct pare_enc_k_min *o, const uint8_t *code)
{
    for (int g = 0; g < 16; g++) p[g] = (uint8_t)(o->s[g] | o->m[g] << 4);
    for (int half = 0; half < 2; half++) pare_enc_put_pairs(p + 16 + 32 * half, code + 128 * half, 32);
    pare_enc_put16(p + 80, o->d_bits);
    pare_enc_put16(p + 82, o->dmin_bits);
}

/* Groups 0..3 keep their six bits in the low part of bytes 0..3 (scales) and 4..7 (minima). Groups 4..7 have their low nibbles in
 * bytes 8..11, and their upper pairs in the free upper bits of bytes 0..7. */
static void put_six_bits(uint8_t *p, const struct pare_enc_k_min *o)
{
    for (int g = 0; g < 4; g++) {
        p[g] = (uint8_t)(o->s[g] | o->s[g + 4] >> 4 << 6);
        p[g + 4] = (uint8_t)(o->m[g] | o->m[g + 4] >> 4 << 6);
        p[g + 8] = (uint8_t)((o->s[g + 4] & 15) | (o->m[g + 4] & 15) << 4);
    }
}

static void write_q4(uint8_t *p, const struct pare_enc_k_min *o, const uint8_t *code)
{
    pare_enc_put16(p, o->d_bits);
    pare_enc_put16(p + 2, o->dmin_bits);
    put_six_bits(p + 4, o);
    for (int q = 0; q < 4; q++) pare_enc_put_nibbles(p + 16 + 32 * q, code + 64 * q, 32);
}

static void write_q5(uint8_t *p, const struct pare_enc_k_min *o, const uint8_t *code)
{
    pare_enc_put16(p, o->d_bits);
    pare_enc_put16(p + 2, o->dmin_bits);
    put_six_bits(p + 4, o);
    memset(p + 16, 0, 32);
    for (int i = 0; i < 256; i++) p[16 + i % 32] |= (uint8_t)((code[i] >> 4) << (i / 32));
    for (int q = 0; q < 4; q++) pare_enc_put_nibbles(p + 48 + 32 * q, code + 64 * q, 32);
}

struct layout {
    int bits, group, s_max, bytes;
    void (*write)(uint8_t *p, const struct pare_enc_k_min *o, const uint8_t *code);
};

static void encode(uint8_t *dst, const float *src, uint64_t cols, const float *importance, const struct layout *l)
{
    struct pare_enc_lines j = { .bits = l->bits, .s_hi = (float)l->s_max };
    struct pare_enc_k_min o[2];
    uint8_t code[2 * 256];
    int k[2], n;

    for (uint64_t c = 0; c < cols; c += 256 * (uint64_t)n) {
        n = pare_enc_load_supers(&j.at, k, src + c, importance != NULL ? importance + c : NULL, cols - c, l->group);
        pare_enc_k_min_fit(&j, n, k, o, code);
        for (int b = 0; b < n; b++, dst += l->bytes) l->write(dst, &o[b], code + 256 * b);
    }
}

void pare_encode_q2_k(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode(dst, src, cols, importance, &(const struct layout){ 2, 16, 15, 84, write_q2 });
}

void pare_encode_q4_k(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode(dst, src, cols, importance, &(const struct layout){ 4, 32, 63, 144, write_q4 });
}

void pare_encode_q5_k(void *dst, const float *src, uint64_t cols, const float *importance)
{
    encode(dst, src, cols, importance, &(const struct layout){ 5, 32, 63, 176, write_q5 });
}
