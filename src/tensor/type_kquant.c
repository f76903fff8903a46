/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/type_kquant.c: the K formats of GGUF: super-blocks of 256 weights whose groups have small integer scales.
 *
 * Bytes of a super-block, in order, and the value of a weight (s and m are those of its group):
 *     q2_k  16 x (m << 4 | s), 64 of 2-bit codes, d, dmin           d * s * code - dmin * m       groups of 16
 *     q3_k  32 of third bits, 64 of 2-bit codes, 12 of scales, d    d * s * (code - 4)            groups of 16
 *     q4_k  d, dmin, 12 of scales and minima, 128 of 4-bit codes    d * s * code - dmin * m       groups of 32
 *     q5_k  d, dmin, 12 ..., 32 of fifth bits, 128                  d * s * code - dmin * m       groups of 32
 *     q6_k  128 of low 4 bits, 64 of high 2 bits, 16 x s, d         d * s * (code - 32)           groups of 16
 *     q8_k  d (f32), 256 signed bytes, 16 sums of 16 bytes (i16)    d * byte
 * d and dmin are f16 elsewhere. Codes lie in planes: the same byte serves columns that are 32 (q6_k's low bits: 64) apart. */
#include "base/checked.h"
#include "tensor/dtype_list.h"
#include "tensor/enc_put.h"
#include "tensor/encode.h"
#include "tensor/unpacked.h"

#define QK 256

/* 256 columns of 2 bits: each 32 bytes hold 128 columns. */
static void plane2(uint8_t *restrict idx, const uint8_t *restrict q)
{
    for (int half = 0; half < 2; half++, q += 32, idx += 128)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 32; j++) idx[i * 32 + j] = q[j] >> 2 * i & 3;
}

/* 256 columns of 4 bits: each 32 bytes hold 64 columns. */
static void plane4(uint8_t *restrict idx, const uint8_t *restrict q)
{
    for (int i = 0; i < 4; i++, q += 32, idx += 64)
        for (int j = 0; j < 32; j++) {
            idx[j] = q[j] & 15;
            idx[j + 32] = q[j] >> 4;
        }
}

/* One more bit for 256 columns, to stand at bit `at`: column c is bit c / 32 of byte c % 32. */
static void plane1(uint8_t *restrict idx, const uint8_t *restrict h, int at)
{
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 32; j++) idx[i * 32 + j] |= (uint8_t)((h[j] >> i & 1) << at);
}

/* 8 scales and 8 minima of 6 bits in 12 bytes: the first four of each lie whole in bytes 0..3 and 4..7, the low halves of
 * the others in bytes 8..11, their high two bits on top of the first eight bytes. */
static void scales_k4(int8_t *s, uint8_t *m, const uint8_t *p)
{
    for (int i = 0; i < 4; i++) {
        s[i] = (int8_t)(p[i] & 63);
        m[i] = p[i + 4] & 63;
        s[i + 4] = (int8_t)((p[i + 8] & 15) | (p[i] >> 6) << 4);
        m[i + 4] = (uint8_t)(p[i + 8] >> 4 | (p[i + 4] >> 6) << 4);
    }
}

/* 16 scales of 6 bits, stored plus 32: low halves in 8 bytes (scale i and i + 8 share one), high two bits in 4 bytes. */
static void scales_k3(int8_t *s, const uint8_t *p)
{
    for (int i = 0; i < 16; i++) {
        int low = i < 8 ? p[i] & 15 : p[i - 8] >> 4, high = p[8 + i % 4] >> 2 * (i / 4) & 3;
        s[i] = (int8_t)((low | high << 4) - 32);
    }
}

static void unpack_q2_k(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / QK; b++, p += 84) {
        out->d[b] = pare_f16_to_f32(pare_le16(p + 80));
        out->dmin[b] = pare_f16_to_f32(pare_le16(p + 82));
        for (int i = 0; i < 16; i++) {
            out->s[b * 16 + i] = (int8_t)(p[i] & 15);
            out->m[b * 16 + i] = p[i] >> 4;
        }
        plane2(out->idx + b * QK, p + 16);
    }
}

static void unpack_q3_k(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / QK; b++, p += 110) {
        out->d[b] = pare_f16_to_f32(pare_le16(p + 108));
        scales_k3(out->s + b * 16, p + 96);
        plane2(out->idx + b * QK, p + 32);
        plane1(out->idx + b * QK, p, 2);
    }
}

static void unpack_q4_k(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / QK; b++, p += 144) {
        out->d[b] = pare_f16_to_f32(pare_le16(p));
        out->dmin[b] = pare_f16_to_f32(pare_le16(p + 2));
        scales_k4(out->s + b * 8, out->m + b * 8, p + 4);
        plane4(out->idx + b * QK, p + 16);
    }
}

static void unpack_q5_k(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / QK; b++, p += 176) {
        out->d[b] = pare_f16_to_f32(pare_le16(p));
        out->dmin[b] = pare_f16_to_f32(pare_le16(p + 2));
        scales_k4(out->s + b * 8, out->m + b * 8, p + 4);
        plane4(out->idx + b * QK, p + 48);
        plane1(out->idx + b * QK, p + 16, 4);
    }
}

static void unpack_q6_k(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / QK; b++, p += 210) {
        out->d[b] = pare_f16_to_f32(pare_le16(p + 208));
        for (int i = 0; i < 16; i++) out->s[b * 16 + i] = (int8_t)p[192 + i];
        for (int half = 0; half < 2; half++) {
            uint8_t *restrict idx = out->idx + b * QK + half * 128;
            const uint8_t *restrict low = p + half * 64, *restrict high = p + 128 + half * 32;

            for (int j = 0; j < 32; j++) {
                idx[j] = (uint8_t)((low[j] & 15) | (high[j] & 3) << 4);
                idx[j + 32] = (uint8_t)((low[j + 32] & 15) | (high[j] >> 2 & 3) << 4);
                idx[j + 64] = (uint8_t)(low[j] >> 4 | (high[j] >> 4 & 3) << 4);
                idx[j + 96] = (uint8_t)(low[j + 32] >> 4 | (high[j] >> 6) << 4);
            }
        }
    }
}

static void unpack_q8_k(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / QK; b++, p += 292) {
        out->d[b] = pare_bits_f32(pare_le32(p));
        for (int i = 0; i < 8; i++) out->s[b * 8 + i] = 1;
        for (int j = 0; j < QK; j++) out->idx[b * QK + j] = p[4 + j] ^ 0x80;
    }
}

/* ---- and back ---- */

static void plane1_back(uint8_t *restrict h, const uint8_t *restrict idx, int at)
{
    for (int j = 0; j < 32; j++) h[j] = 0;
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 32; j++) h[j] |= (uint8_t)((idx[i * 32 + j] >> at & 1) << i);
}

static void plane2_back(uint8_t *q, const uint8_t *idx)
{
    for (int half = 0; half < 2; half++) pare_enc_put_pairs(q + half * 32, idx + half * 128, 32);
}

static void plane4_back(uint8_t *q, const uint8_t *idx)
{
    for (int i = 0; i < 4; i++) pare_enc_put_nibbles(q + i * 32, idx + i * 64, 32);
}

static void scales_k4_back(uint8_t *p, const int8_t *s, const uint8_t *m)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)((s[i] & 63) | (s[i + 4] & 48) << 2);
        p[i + 4] = (uint8_t)((m[i] & 63) | (m[i + 4] & 48) << 2);
        p[i + 8] = (uint8_t)((s[i + 4] & 15) | (m[i + 4] & 15) << 4);
    }
}

static void scales_k3_back(uint8_t *p, const int8_t *s)
{
    for (int i = 0; i < 12; i++) p[i] = 0;
    for (int i = 0; i < 16; i++) {
        int v = (s[i] + 32) & 63;
        p[i % 8] |= (uint8_t)((v & 15) << i / 8 * 4);
        p[8 + i % 4] |= (uint8_t)(v >> 4 << 2 * (i / 4));
    }
}

static void put_d(uint8_t *p, float d) { pare_enc_put16(p, pare_f32_to_f16(d)); }

static void repack_q2_k(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / QK; b++, p += 84) {
        for (int i = 0; i < 16; i++) p[i] = (uint8_t)((in->s[b * 16 + i] & 15) | (in->m[b * 16 + i] & 15) << 4);
        plane2_back(p + 16, in->idx + b * QK);
        put_d(p + 80, in->d[b]);
        put_d(p + 82, in->dmin[b]);
    }
}

static void repack_q3_k(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / QK; b++, p += 110) {
        plane1_back(p, in->idx + b * QK, 2);
        plane2_back(p + 32, in->idx + b * QK);
        scales_k3_back(p + 96, in->s + b * 16);
        put_d(p + 108, in->d[b]);
    }
}

static void repack_q4_k(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / QK; b++, p += 144) {
        put_d(p, in->d[b]);
        put_d(p + 2, in->dmin[b]);
        scales_k4_back(p + 4, in->s + b * 8, in->m + b * 8);
        plane4_back(p + 16, in->idx + b * QK);
    }
}

static void repack_q5_k(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / QK; b++, p += 176) {
        put_d(p, in->d[b]);
        put_d(p + 2, in->dmin[b]);
        scales_k4_back(p + 4, in->s + b * 8, in->m + b * 8);
        plane1_back(p + 16, in->idx + b * QK, 4);
        plane4_back(p + 48, in->idx + b * QK);
    }
}

static void repack_q6_k(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / QK; b++, p += 210) {
        for (int half = 0; half < 2; half++) {
            const uint8_t *idx = in->idx + b * QK + half * 128;
            uint8_t *high = p + 128 + half * 32;

            pare_enc_put_nibbles(p + half * 64, idx, 64);
            for (int j = 0; j < 32; j++)
                high[j] = (uint8_t)((idx[j] >> 4 & 3) | (idx[j + 32] >> 4 & 3) << 2 | (idx[j + 64] >> 4 & 3) << 4 | (idx[j + 96] >> 4 & 3) << 6);
        }
        for (int i = 0; i < 16; i++) p[192 + i] = (uint8_t)in->s[b * 16 + i];
        put_d(p + 208, in->d[b]);
    }
}

/* The sums follow from the bytes. */
static void repack_q8_k(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / QK; b++, p += 292) {
        const uint8_t *idx = in->idx + b * QK;
        uint32_t bits = pare_f32_bits(in->d[b]);

        for (int i = 0; i < 4; i++) p[i] = (uint8_t)(bits >> 8 * i);
        for (int j = 0; j < QK; j++) p[4 + j] = idx[j] ^ 0x80;
        for (int i = 0; i < 16; i++) {
            int sum = 0;
            for (int j = 0; j < 16; j++) sum += idx[i * 16 + j] - 128;
            pare_enc_put16(p + 260 + 2 * i, (uint16_t)sum);
        }
    }
}

PARE_DECODE_BLOCKS(q2_k)
PARE_DECODE_BLOCKS(q3_k)
PARE_DECODE_BLOCKS(q4_k)
PARE_DECODE_BLOCKS(q5_k)
PARE_DECODE_BLOCKS(q6_k)
PARE_DECODE_BLOCKS(q8_k)

#define CAPS (PARE_DT_QUANT | PARE_DT_STANDARD | PARE_DT_WRITE)

const struct pare_dtype pare_dt_q2_k = {
    .name = "q2_k", .type = PARE_Q2_K, .gguf_id = 10, .block = QK, .block_bytes = 84, .caps = CAPS, .bits = 2.625,
    .help = "2-bit codes with 4-bit scales and minima every 16 weights.",
    .decode = decode_q2_k, .encode = pare_encode_q2_k, .unpack = unpack_q2_k, .repack = repack_q2_k,
    .pack = { .bits = 2, .group = 16, .super = QK, .has_sub = true, .has_min = true, .d_is_f16 = true, .int_sub = true },
};
const struct pare_dtype pare_dt_q3_k = {
    .name = "q3_k", .type = PARE_Q3_K, .gguf_id = 11, .block = QK, .block_bytes = 110, .caps = CAPS, .bits = 3.4375,
    .help = "3-bit codes with 6-bit scales every 16 weights.",
    .decode = decode_q3_k, .encode = pare_encode_q3_k, .unpack = unpack_q3_k, .repack = repack_q3_k,
    .pack = { .bits = 3, .group = 16, .super = QK, .has_sub = true, .d_is_f16 = true, .int_sub = true, .fold = 124, .offset = -4 },
};
const struct pare_dtype pare_dt_q4_k = {
    .name = "q4_k", .type = PARE_Q4_K, .gguf_id = 12, .block = QK, .block_bytes = 144, .caps = CAPS, .bits = 4.5,
    .help = "4-bit codes with 6-bit scales and minima every 32 weights.",
    .decode = decode_q4_k, .encode = pare_encode_q4_k, .unpack = unpack_q4_k, .repack = repack_q4_k,
    .pack = { .bits = 4, .group = 32, .super = QK, .has_sub = true, .has_min = true, .d_is_f16 = true },
};
const struct pare_dtype pare_dt_q5_k = {
    .name = "q5_k", .type = PARE_Q5_K, .gguf_id = 13, .block = QK, .block_bytes = 176, .caps = CAPS, .bits = 5.5,
    .help = "5-bit codes with 6-bit scales and minima every 32 weights.",
    .decode = decode_q5_k, .encode = pare_encode_q5_k, .unpack = unpack_q5_k, .repack = repack_q5_k,
    .pack = { .bits = 5, .group = 32, .super = QK, .has_sub = true, .has_min = true, .d_is_f16 = true },
};
const struct pare_dtype pare_dt_q6_k = {
    .name = "q6_k", .type = PARE_Q6_K, .gguf_id = 14, .block = QK, .block_bytes = 210, .caps = CAPS, .bits = 6.5625,
    .help = "6-bit codes with 8-bit scales every 16 weights.",
    .decode = decode_q6_k, .encode = pare_encode_q6_k, .unpack = unpack_q6_k, .repack = repack_q6_k,
    .pack = { .bits = 6, .group = 16, .super = QK, .has_sub = true, .d_is_f16 = true, .offset = -32 },
};
const struct pare_dtype pare_dt_q8_k = {
    .name = "q8_k", .type = PARE_Q8_K, .gguf_id = 15, .block = QK, .block_bytes = 292,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD, .bits = 9.125,
    .help = "8-bit integers, a single-precision scale every 256 weights; meant for activations, read only.",
    .decode = decode_q8_k, .unpack = unpack_q8_k, .repack = repack_q8_k,
    .pack = { .bits = 8, .group = 32, .super = QK, .offset = -128 },
};
