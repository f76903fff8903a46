/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/type_iq2.c: iq2_xxs, iq2_xs, iq2_s: patterns of 8 magnitudes out of {8, 25, 43} chosen from a grid, and signs.
 *
 * Bytes of a super-block of 256 weights, in order:
 *     iq2_xxs  d, then for each 32 weights: 4 grid codes of 8 bits, u32 = 4 x 7 signs and a 4-bit scale on top
 *     iq2_xs   d, 32 x u16 = 9-bit grid code and 7 signs, 8 bytes of 4-bit scales, one per 16 weights
 *     iq2_s    d, 32 low bytes of 10-bit grid codes, 32 bytes of signs, 8 bytes of 2 high bits, 8 bytes of 4-bit scales
 * value = d * (scale + 1/2) / 4 * magnitude, which is (d / 8) * (2 scale + 1) * magnitude: all factors but the first are
 * integers, and d / 8 is exact in f32, though not always in f16. */
#include "base/checked.h"
#include "tensor/dtype_list.h"
#include "tensor/enc_put.h"
#include "tensor/iq_tables.h"
#include "tensor/spread.h"
#include "tensor/unpacked.h"

/* index = grid digit | minus << 2; the grids never hold the digit 3 */
static const int8_t values[8] = { 8, 25, 43, 0, -8, -25, -43, 0 };

static void pattern(uint8_t *idx, unsigned grid, unsigned signs)
{
    pare_store8(idx, pare_spread2(grid) | pare_spread1(signs) << 2);
}

static int8_t odd(unsigned scale)
{
    return (int8_t)(2u * (scale & 15u) + 1u);
}

static void unpack_iq2_xxs(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 256; b++, p += 66) {
        out->d[b] = pare_f16_to_f32(pare_le16(p)) * 0.125f;
        for (int g = 0; g < 8; g++) {
            const uint8_t *q = p + 2 + 8 * g;
            uint32_t w = pare_le32(q + 4);

            out->s[b * 8 + g] = odd(w >> 28);
            for (int k = 0; k < 4; k++)
                pattern(out->idx + b * 256 + g * 32 + k * 8, pare_grid_iq2_xxs[q[k]], pare_iq_signs(w >> 7 * k));
        }
    }
}

static void unpack_iq2_xs(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 256; b++, p += 74) {
        out->d[b] = pare_f16_to_f32(pare_le16(p)) * 0.125f;
        for (int g = 0; g < 16; g++) out->s[b * 16 + g] = odd(p[66 + g / 2] >> 4 * (g & 1));
        for (int k = 0; k < 32; k++) {
            unsigned w = pare_le16(p + 2 + 2 * k);
            pattern(out->idx + b * 256 + k * 8, pare_grid_iq2_xs[w & 511u], pare_iq_signs(w >> 9));
        }
    }
}

static void unpack_iq2_s(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 256; b++, p += 82) {
        out->d[b] = pare_f16_to_f32(pare_le16(p)) * 0.125f;
        for (int g = 0; g < 16; g++) out->s[b * 16 + g] = odd(p[74 + g / 2] >> 4 * (g & 1));
        for (int k = 0; k < 32; k++) {
            unsigned code = p[2 + k] | (p[66 + k / 4] >> 2 * (k % 4) & 3u) << 8;
            pattern(out->idx + b * 256 + k * 8, pare_grid_iq2_s[code], p[34 + k]);
        }
    }
}

/* Two scales of 4 bits, of neighbouring groups. */
static uint8_t scales_back(const int8_t *s)
{
    return (uint8_t)((s[0] >> 1 & 15) | (s[1] >> 1 & 15) << 4);
}

static void repack_iq2_xxs(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 256; b++, p += 66) {
        pare_enc_put16(p, pare_f32_to_f16(in->d[b] * 8.0f));
        for (int g = 0; g < 8; g++) {
            const uint8_t *idx = in->idx + b * 256 + g * 32;
            uint8_t *q = p + 2 + 8 * g;
            uint32_t w = (in->s[b * 8 + g] >> 1 & 15u) << 28;

            for (int k = 0; k < 4; k++) {
                q[k] = (uint8_t)pare_grid_find(pare_grid_iq2_xxs, 256, pare_gather2(idx + k * 8));
                w |= (pare_gather1(idx + k * 8, 2) & 127u) << 7 * k;
            }
            pare_enc_put16(q + 4, (uint16_t)w);
            pare_enc_put16(q + 6, (uint16_t)(w >> 16));
        }
    }
}

static void repack_iq2_xs(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 256; b++, p += 74) {
        pare_enc_put16(p, pare_f32_to_f16(in->d[b] * 8.0f));
        for (int k = 0; k < 32; k++) {
            const uint8_t *idx = in->idx + b * 256 + k * 8;
            unsigned code = pare_grid_find(pare_grid_iq2_xs, 512, pare_gather2(idx));
            pare_enc_put16(p + 2 + 2 * k, (uint16_t)(code | (pare_gather1(idx, 2) & 127u) << 9));
        }
        for (int i = 0; i < 8; i++) p[66 + i] = scales_back(in->s + b * 16 + 2 * i);
    }
}

static void repack_iq2_s(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 256; b++, p += 82) {
        pare_enc_put16(p, pare_f32_to_f16(in->d[b] * 8.0f));
        for (int i = 0; i < 8; i++) p[66 + i] = 0;
        for (int k = 0; k < 32; k++) {
            const uint8_t *idx = in->idx + b * 256 + k * 8;
            unsigned code = pare_grid_find(pare_grid_iq2_s, 1024, pare_gather2(idx));

            p[2 + k] = (uint8_t)code;
            p[34 + k] = (uint8_t)pare_gather1(idx, 2);
            p[66 + k / 4] |= (uint8_t)(code >> 8 << 2 * (k % 4));
        }
        for (int i = 0; i < 8; i++) p[74 + i] = scales_back(in->s + b * 16 + 2 * i);
    }
}

PARE_DECODE_BLOCKS(iq2_xxs)
PARE_DECODE_BLOCKS(iq2_xs)
PARE_DECODE_BLOCKS(iq2_s)

#define CAPS (PARE_DT_QUANT | PARE_DT_STANDARD)

const struct pare_dtype pare_dt_iq2_xxs = {
    .name = "iq2_xxs", .type = PARE_IQ2_XXS, .gguf_id = 16, .block = 256, .block_bytes = 66, .caps = CAPS, .bits = 2.0625,
    .help = "Grid codes of 8 weights, signs and 4-bit scales, 2.06 bits a weight; read only.",
    .decode = decode_iq2_xxs, .unpack = unpack_iq2_xxs, .repack = repack_iq2_xxs,
    .pack = { .bits = 3, .group = 32, .super = 256, .has_sub = true, .lut = values },
};
const struct pare_dtype pare_dt_iq2_xs = {
    .name = "iq2_xs", .type = PARE_IQ2_XS, .gguf_id = 17, .block = 256, .block_bytes = 74, .caps = CAPS, .bits = 2.3125,
    .help = "Grid codes of 8 weights, signs and 4-bit scales, 2.31 bits a weight; read only.",
    .decode = decode_iq2_xs, .unpack = unpack_iq2_xs, .repack = repack_iq2_xs,
    .pack = { .bits = 3, .group = 16, .super = 256, .has_sub = true, .lut = values },
};
const struct pare_dtype pare_dt_iq2_s = {
    .name = "iq2_s", .type = PARE_IQ2_S, .gguf_id = 22, .block = 256, .block_bytes = 82, .caps = CAPS, .bits = 2.5625,
    .help = "Grid codes of 8 weights, signs and 4-bit scales, 2.56 bits a weight; read only.",
    .decode = decode_iq2_s, .unpack = unpack_iq2_s, .repack = repack_iq2_s,
    .pack = { .bits = 3, .group = 16, .super = 256, .has_sub = true, .lut = values },
};
