/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/type_iq1.c: iq1_s and iq1_m: patterns of 8 ternary weights chosen from a grid, all shifted by +-1/8.
 *
 * Bytes of a super-block of 256 weights, in order:
 *     iq1_s  d, 32 low bytes of 11-bit grid codes, 8 x u16 = 4 x 3 high bits, 3-bit scale, sign of the shift (bit 15)
 *     iq1_m  32 low bytes, 16 bytes of two nibbles = 3 high bits and sign of the shift of 8 weights, 4 x u16 = 4 scales of
 *            3 bits (one per 16 weights) and 4 bits of d on top, the lowest first
 * value = d * (2 scale + 1) * (t +- 1/8) = (d / 8) * (2 scale + 1) * (8 t +- 1), with t in {-1, 0, 1}. */
#include "base/checked.h"
#include "tensor/dtype_list.h"
#include "tensor/enc_put.h"
#include "tensor/iq_tables.h"
#include "tensor/spread.h"
#include "tensor/unpacked.h"

/* index = grid digit (t + 1) | minus << 2; the grid never holds the digit 3 */
static const int8_t values[8] = { -7, 1, 9, 0, -9, -1, 7, 0 };

static void pattern(uint8_t *idx, unsigned grid, unsigned minus)
{
    pare_store8(idx, pare_spread2(grid) | (minus ? UINT64_C(0x0404040404040404) : 0));
}

static int8_t odd(unsigned scale)
{
    return (int8_t)(2u * (scale & 7u) + 1u);
}

static void unpack_iq1_s(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 256; b++, p += 50) {
        out->d[b] = pare_f16_to_f32(pare_le16(p)) * 0.125f;
        for (int g = 0; g < 8; g++) {
            unsigned h = pare_le16(p + 34 + 2 * g);

            out->s[b * 8 + g] = odd(h >> 12);
            for (int k = 0; k < 4; k++) {
                unsigned code = p[2 + g * 4 + k] | (h >> 3 * k & 7u) << 8;
                pattern(out->idx + b * 256 + g * 32 + k * 8, pare_grid_iq1[code], h >> 15);
            }
        }
    }
}

static void unpack_iq1_m(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 256; b++, p += 56) {
        unsigned d = 0;

        for (int i = 0; i < 4; i++) {
            unsigned w = pare_le16(p + 48 + 2 * i);

            d |= w >> 12 << 4 * i;
            for (int k = 0; k < 4; k++) out->s[b * 16 + i * 4 + k] = odd(w >> 3 * k);
        }
        out->d[b] = pare_f16_to_f32((uint16_t)d) * 0.125f;
        for (int k = 0; k < 32; k++) {
            unsigned h = p[32 + k / 2] >> 4 * (k & 1) & 15u;
            pattern(out->idx + b * 256 + k * 8, pare_grid_iq1[p[k] | (h & 7u) << 8], h >> 3);
        }
    }
}

static unsigned code_of(const uint8_t *idx)
{
    return pare_grid_find(pare_grid_iq1, 2048, pare_gather2(idx));
}

static void repack_iq1_s(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 256; b++, p += 50) {
        pare_enc_put16(p, pare_f32_to_f16(in->d[b] * 8.0f));
        for (int g = 0; g < 8; g++) {
            const uint8_t *idx = in->idx + b * 256 + g * 32;
            unsigned h = (in->s[b * 8 + g] >> 1 & 7u) << 12 | (idx[0] >> 2 & 1u) << 15;

            for (int k = 0; k < 4; k++) {
                unsigned code = code_of(idx + k * 8);
                p[2 + g * 4 + k] = (uint8_t)code;
                h |= code >> 8 << 3 * k;
            }
            pare_enc_put16(p + 34 + 2 * g, (uint16_t)h);
        }
    }
}

static void repack_iq1_m(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 256; b++, p += 56) {
        unsigned d = pare_f32_to_f16(in->d[b] * 8.0f);

        for (int i = 0; i < 4; i++) {
            unsigned w = (d >> 4 * i & 15u) << 12;

            for (int k = 0; k < 4; k++) w |= (in->s[b * 16 + i * 4 + k] >> 1 & 7u) << 3 * k;
            pare_enc_put16(p + 48 + 2 * i, (uint16_t)w);
        }
        for (int k = 0; k < 32; k++) {
            const uint8_t *idx = in->idx + b * 256 + k * 8;
            unsigned code = code_of(idx), h = code >> 8 | (idx[0] >> 2 & 1u) << 3;

            p[k] = (uint8_t)code;
            p[32 + k / 2] = (uint8_t)(k & 1 ? (p[32 + k / 2] & 15u) | h << 4 : h);
        }
    }
}

PARE_DECODE_BLOCKS(iq1_s)
PARE_DECODE_BLOCKS(iq1_m)

const struct pare_dtype pare_dt_iq1_s = {
    .name = "iq1_s", .type = PARE_IQ1_S, .gguf_id = 19, .block = 256, .block_bytes = 50,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD, .bits = 1.5625,
    .help = "Grid codes of 8 ternary weights, 1.56 bits a weight; read only.",
    .decode = decode_iq1_s, .unpack = unpack_iq1_s, .repack = repack_iq1_s,
    .pack = { .bits = 3, .group = 32, .super = 256, .has_sub = true, .lut = values },
};
const struct pare_dtype pare_dt_iq1_m = {
    .name = "iq1_m", .type = PARE_IQ1_M, .gguf_id = 29, .block = 256, .block_bytes = 56,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD, .bits = 1.75,
    .help = "Grid codes of 8 ternary weights, finer scales, 1.75 bits a weight; read only.",
    .decode = decode_iq1_m, .unpack = unpack_iq1_m, .repack = repack_iq1_m,
    .pack = { .bits = 3, .group = 16, .super = 256, .has_sub = true, .lut = values },
};
