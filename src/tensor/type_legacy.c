/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/type_legacy.c: the plain block formats of GGUF: 32 weights, one f16 scale, an f16 minimum or none.
 *
 * Bytes of a block, in order (GGUF; codes 0..15 of columns j and j + 16 share byte j, the lower column in the low bits):
 *     q4_0  d, 16 bytes of 4-bit codes                    value = d * (code - 8)
 *     q4_1  d, min, 16 bytes of 4-bit codes               value = d * code + min
 *     q5_0  d, 32 fifth bits, 16 bytes of 4-bit codes     value = d * (code - 16)
 *     q5_1  d, min, 32 fifth bits, 16 bytes               value = d * code + min
 *     q8_0  d, 32 signed bytes                            value = d * byte
 *     q8_1  d, d * (sum of the bytes), 32 signed bytes    value = d * byte; a format for activations, seldom stored
 * A minimum that is added is dmin = -min times m = 1 in the integer view. */
#include "base/checked.h"
#include "tensor/dtype_list.h"
#include "tensor/enc_put.h"
#include "tensor/encode.h"
#include "tensor/spread.h"
#include "tensor/unpacked.h"

/* 4 bytes: column c is bit c % 8 of byte c / 8 */
static void fifth_bits(uint8_t *idx, const uint8_t *p)
{
    for (int i = 0; i < 4; i++) pare_or8(idx + 8 * i, pare_spread1(p[i]) << 4);
}

/* A signed byte plus 128 is the same byte with its highest bit turned. */
static void signed_bytes(uint8_t *idx, const uint8_t *q)
{
    for (int j = 0; j < 32; j++) idx[j] = q[j] ^ 0x80;
}

/* unpack_NAME for blocks of `bytes` bytes: scales, then what codes says. */
#define UNPACK(name, bytes, min, codes)                                                                                \
    static void unpack_##name(const struct pare_unpacked *out, const void *src, uint64_t cols)                         \
    {                                                                                                                  \
        const uint8_t *p = src;                                                                                        \
        uint8_t *idx = out->idx;                                                                                       \
                                                                                                                       \
        for (uint64_t b = 0; b < cols / 32; b++, p += (bytes), idx += 32) {                                            \
            out->d[b] = pare_f16_to_f32(pare_le16(p));                                                                 \
            out->s[b] = 1;                                                                                             \
            if (min) {                                                                                                 \
                out->dmin[b] = -pare_f16_to_f32(pare_le16(p + 2));                                                     \
                out->m[b] = 1;                                                                                         \
            }                                                                                                          \
            codes;                                                                                                     \
        }                                                                                                              \
    }
UNPACK(q4_0, 18, 0, pare_nibbles32(idx, p + 2))
UNPACK(q4_1, 20, 1, pare_nibbles32(idx, p + 4))
UNPACK(q5_0, 22, 0, pare_nibbles32(idx, p + 6); fifth_bits(idx, p + 2))
UNPACK(q5_1, 24, 1, pare_nibbles32(idx, p + 8); fifth_bits(idx, p + 4))
UNPACK(q8_0, 34, 0, signed_bytes(idx, p + 2))
UNPACK(q8_1, 36, 0, signed_bytes(idx, p + 4))
#undef UNPACK

static void fifth_bits_back(uint8_t *p, const uint8_t *idx)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)pare_gather1(idx + 8 * i, 4);
}

/* q8_1's second field is what follows from the others; an encoder that rounded it another way does not come back. */
static uint16_t scaled_sum(float d, const uint8_t *idx)
{
    int sum = 0;

    for (int j = 0; j < 32; j++) sum += idx[j] - 128;
    return pare_f32_to_f16(d * (float)sum);
}

/* repack_NAME, the same backwards. */
#define REPACK(name, bytes, min, codes)                                                                                \
    static void repack_##name(void *dst, const struct pare_unpacked *in, uint64_t cols)                                \
    {                                                                                                                  \
        const uint8_t *idx = in->idx;                                                                                  \
        uint8_t *p = dst;                                                                                              \
                                                                                                                       \
        for (uint64_t b = 0; b < cols / 32; b++, p += (bytes), idx += 32) {                                            \
            pare_enc_put16(p, pare_f32_to_f16(in->d[b]));                                                              \
            if (min) pare_enc_put16(p + 2, pare_f32_to_f16(-in->dmin[b]));                                             \
            codes;                                                                                                     \
        }                                                                                                              \
    }
REPACK(q4_0, 18, 0, pare_enc_put_nibbles(p + 2, idx, 16))
REPACK(q4_1, 20, 1, pare_enc_put_nibbles(p + 4, idx, 16))
REPACK(q5_0, 22, 0, pare_enc_put_nibbles(p + 6, idx, 16); fifth_bits_back(p + 2, idx))
REPACK(q5_1, 24, 1, pare_enc_put_nibbles(p + 8, idx, 16); fifth_bits_back(p + 4, idx))
REPACK(q8_0, 34, 0, signed_bytes(p + 2, idx))
REPACK(q8_1, 36, 0, signed_bytes(p + 4, idx); pare_enc_put16(p + 2, scaled_sum(in->d[b], idx)))
#undef REPACK

PARE_DECODE_BLOCKS(q4_0)
PARE_DECODE_BLOCKS(q4_1)
PARE_DECODE_BLOCKS(q5_0)
PARE_DECODE_BLOCKS(q5_1)
PARE_DECODE_BLOCKS(q8_0)
PARE_DECODE_BLOCKS(q8_1)

#define CAPS (PARE_DT_QUANT | PARE_DT_STANDARD | PARE_DT_WRITE)

const struct pare_dtype pare_dt_q4_0 = {
    .name = "q4_0", .type = PARE_Q4_0, .gguf_id = 2, .block = 32, .block_bytes = 18, .caps = CAPS, .bits = 4.5,
    .help = "4-bit integers, a half-precision scale every 32 weights.",
    .decode = decode_q4_0, .encode = pare_encode_q4_0, .unpack = unpack_q4_0, .repack = repack_q4_0,
    .pack = { .bits = 4, .group = 32, .super = 32, .d_is_f16 = true, .offset = -8 },
};
const struct pare_dtype pare_dt_q4_1 = {
    .name = "q4_1", .type = PARE_Q4_1, .gguf_id = 3, .block = 32, .block_bytes = 20, .caps = CAPS, .bits = 5.0,
    .help = "4-bit integers, a half-precision scale and minimum every 32 weights.",
    .decode = decode_q4_1, .encode = pare_encode_q4_1, .unpack = unpack_q4_1, .repack = repack_q4_1,
    .pack = { .bits = 4, .group = 32, .super = 32, .has_min = true, .d_is_f16 = true },
};
const struct pare_dtype pare_dt_q5_0 = {
    .name = "q5_0", .type = PARE_Q5_0, .gguf_id = 6, .block = 32, .block_bytes = 22, .caps = CAPS, .bits = 5.5,
    .help = "5-bit integers, a half-precision scale every 32 weights.",
    .decode = decode_q5_0, .encode = pare_encode_q5_0, .unpack = unpack_q5_0, .repack = repack_q5_0,
    .pack = { .bits = 5, .group = 32, .super = 32, .d_is_f16 = true, .offset = -16 },
};
const struct pare_dtype pare_dt_q5_1 = {
    .name = "q5_1", .type = PARE_Q5_1, .gguf_id = 7, .block = 32, .block_bytes = 24, .caps = CAPS, .bits = 6.0,
    .help = "5-bit integers, a half-precision scale and minimum every 32 weights.",
    .decode = decode_q5_1, .encode = pare_encode_q5_1, .unpack = unpack_q5_1, .repack = repack_q5_1,
    .pack = { .bits = 5, .group = 32, .super = 32, .has_min = true, .d_is_f16 = true },
};
const struct pare_dtype pare_dt_q8_0 = {
    .name = "q8_0", .type = PARE_Q8_0, .gguf_id = 8, .block = 32, .block_bytes = 34, .caps = CAPS, .bits = 8.5,
    .help = "8-bit integers, a half-precision scale every 32 weights; hardly any loss.",
    .decode = decode_q8_0, .encode = pare_encode_q8_0, .unpack = unpack_q8_0, .repack = repack_q8_0,
    .pack = { .bits = 8, .group = 32, .super = 32, .d_is_f16 = true, .offset = -128 },
};
const struct pare_dtype pare_dt_q8_1 = {
    .name = "q8_1", .type = PARE_Q8_1, .gguf_id = 9, .block = 32, .block_bytes = 36,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD, .bits = 9.0,
    .help = "q8_0 with the sum of each block beside it; meant for activations, read only.",
    .decode = decode_q8_1, .unpack = unpack_q8_1, .repack = repack_q8_1,
    .pack = { .bits = 8, .group = 32, .super = 32, .d_is_f16 = true, .offset = -128 },
};
