/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/type_table4.c: formats whose 4-bit codes choose from 16 fixed values: iq4_nl, iq4_xs, mxfp4.
 *
 * Bytes of a block, in order (codes of columns j and j + 16 of a group share a byte, the lower column in the low bits):
 *     iq4_nl  d (f16), 16 of codes                                        value = d * table[code]            32 weights
 *     iq4_xs  d, 8 x 2 high bits of scales, 8 x 4 low bits, 128 of codes  value = d * (s - 32) * table[code] 256 weights
 *     mxfp4   e, 16 of codes                                              value = 2^(e - 127) * E2M1[code]   32 weights
 * mxfp4 is the OCP Microscaling format (MX v1.0); its E2M1 values 0, 0.5, 1, 1.5, 2, 3, 4, 6 are kept doubled so that they
 * are integers, and the scale halved. e = 255 is NaN there; readers of GGUF take it as a plain exponent, and so do we. */
#include "base/checked.h"
#include "tensor/dtype_list.h"
#include "tensor/enc_put.h"
#include "tensor/encode.h"
#include "tensor/iq_tables.h"
#include "tensor/spread.h"
#include "tensor/unpacked.h"

static const int8_t e2m1_doubled[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

/* 2^(e - 128). The two lowest exponents give subnormal numbers, which have no exponent field to set. */
static float half_scale(uint8_t e)
{
    return pare_bits_f32(e < 2 ? UINT32_C(0x00200000) << e : (uint32_t)(e - 1) << 23);
}

static void unpack_iq4_nl(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 32; b++, p += 18) {
        out->d[b] = pare_f16_to_f32(pare_le16(p));
        out->s[b] = 1;
        pare_nibbles32(out->idx + b * 32, p + 2);
    }
}

static void unpack_iq4_xs(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 256; b++, p += 136) {
        unsigned high = pare_le16(p + 2);

        out->d[b] = pare_f16_to_f32(pare_le16(p));
        for (int g = 0; g < 8; g++) {
            unsigned s = (p[4 + g / 2] >> 4 * (g & 1) & 15u) | (high >> 2 * g & 3u) << 4;

            out->s[b * 8 + g] = (int8_t)((int)s - 32);
            pare_nibbles32(out->idx + b * 256 + g * 32, p + 8 + g * 16);
        }
    }
}

static void unpack_mxfp4(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 32; b++, p += 17) {
        out->d[b] = half_scale(p[0]);
        out->s[b] = 1;
        pare_nibbles32(out->idx + b * 32, p + 1);
    }
}

static void repack_iq4_nl(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 32; b++, p += 18) {
        pare_enc_put16(p, pare_f32_to_f16(in->d[b]));
        pare_enc_put_nibbles(p + 2, in->idx + b * 32, 16);
    }
}

static void repack_iq4_xs(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 256; b++, p += 136) {
        unsigned high = 0;

        pare_enc_put16(p, pare_f32_to_f16(in->d[b]));
        for (int g = 0; g < 8; g++) {
            unsigned s = (unsigned)(in->s[b * 8 + g] + 32) & 63u;

            high |= (s >> 4) << 2 * g;
            p[4 + g / 2] = (uint8_t)(g & 1 ? (p[4 + g / 2] & 15u) | (s & 15u) << 4 : s & 15u);
            pare_enc_put_nibbles(p + 8 + g * 16, in->idx + b * 256 + g * 32, 16);
        }
        pare_enc_put16(p + 2, (uint16_t)high);
    }
}

static void repack_mxfp4(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 32; b++, p += 17) {
        uint32_t bits = pare_f32_bits(in->d[b]);

        p[0] = (uint8_t)(bits < UINT32_C(0x00800000) ? bits >> 22 : (bits >> 23) + 1);
        pare_enc_put_nibbles(p + 1, in->idx + b * 32, 16);
    }
}

PARE_DECODE_BLOCKS(iq4_nl)
PARE_DECODE_BLOCKS(iq4_xs)
PARE_DECODE_BLOCKS(mxfp4)

const struct pare_dtype pare_dt_iq4_nl = {
    .name = "iq4_nl", .type = PARE_IQ4_NL, .gguf_id = 20, .block = 32, .block_bytes = 18,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD | PARE_DT_WRITE, .bits = 4.5,
    .help = "4-bit codes for 16 unevenly spaced values, a half-precision scale every 32 weights.",
    .decode = decode_iq4_nl, .encode = pare_encode_iq4_nl, .unpack = unpack_iq4_nl, .repack = repack_iq4_nl,
    .pack = { .bits = 4, .group = 32, .super = 32, .d_is_f16 = true, .lut = pare_iq4_values },
};
const struct pare_dtype pare_dt_iq4_xs = {
    .name = "iq4_xs", .type = PARE_IQ4_XS, .gguf_id = 23, .block = 256, .block_bytes = 136,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD | PARE_DT_WRITE, .bits = 4.25,
    .help = "4-bit codes for 16 unevenly spaced values, 6-bit scales every 32 weights.",
    .decode = decode_iq4_xs, .encode = pare_encode_iq4_xs, .unpack = unpack_iq4_xs, .repack = repack_iq4_xs,
    .pack = { .bits = 4, .group = 32, .super = 256, .has_sub = true, .d_is_f16 = true, .lut = pare_iq4_values },
};
const struct pare_dtype pare_dt_mxfp4 = {
    .name = "mxfp4", .type = PARE_MXFP4, .gguf_id = 39, .block = 32, .block_bytes = 17,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD, .bits = 4.25,
    .help = "4-bit floating point (E2M1), a power-of-two scale every 32 weights; read only.",
    .decode = decode_mxfp4, .unpack = unpack_mxfp4, .repack = repack_mxfp4,
    .pack = { .bits = 4, .group = 32, .super = 32, .lut = e2m1_doubled },
};
