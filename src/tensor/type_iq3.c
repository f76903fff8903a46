/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/type_iq3.c: iq3_xxs and iq3_s: patterns of 4 magnitudes of 8 possible ones, chosen from a grid, and signs.
 *
 * Bytes of a super-block of 256 weights, in order:
 *     iq3_xxs  d, 64 grid codes of 8 bits, 8 x u32 = 4 x 7 signs and a 4-bit scale on top, one per 32 weights
 *     iq3_s    d, 64 low bytes of 9-bit grid codes, 8 bytes of high bits, 32 bytes of signs, 4 bytes of 4-bit scales
 * iq3_xxs: value = d * (scale + 1/2) / 2 * magnitude = (d / 4) * (2 scale + 1) * magnitude; iq3_s: d * (2 scale + 1) *
 * magnitude. All factors but the first are integers. */
#include "base/checked.h"
#include "tensor/dtype_list.h"
#include "tensor/enc_put.h"
#include "tensor/iq_tables.h"
#include "tensor/spread.h"
#include "tensor/unpacked.h"

/* index = grid digit | minus << 3 */
static const int8_t values_xxs[16] = { 4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62 };
static const int8_t values_s[16] = { 1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15 };

/* Two patterns side by side share a byte of signs. */
static void patterns(uint8_t *idx, unsigned grid0, unsigned grid1, unsigned signs)
{
    pare_store8(idx, pare_spread4(grid0) | pare_spread4(grid1) << 32 | pare_spread1(signs) << 3);
}

static int8_t odd(unsigned scale)
{
    return (int8_t)(2u * (scale & 15u) + 1u);
}

static void unpack_iq3_xxs(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 256; b++, p += 98) {
        out->d[b] = pare_f16_to_f32(pare_le16(p)) * 0.25f;
        for (int g = 0; g < 8; g++) {
            uint32_t w = pare_le32(p + 66 + 4 * g);

            out->s[b * 8 + g] = odd(w >> 28);
            for (int k = 0; k < 4; k++) {
                const uint8_t *q = p + 2 + g * 8 + k * 2;
                patterns(out->idx + b * 256 + g * 32 + k * 8, pare_grid_iq3_xxs[q[0]], pare_grid_iq3_xxs[q[1]],
                         pare_iq_signs(w >> 7 * k));
            }
        }
    }
}

static void unpack_iq3_s(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 256; b++, p += 110) {
        out->d[b] = pare_f16_to_f32(pare_le16(p));
        for (int g = 0; g < 8; g++) out->s[b * 8 + g] = odd(p[106 + g / 2] >> 4 * (g & 1));
        for (int k = 0; k < 32; k++) {
            unsigned high = p[66 + k / 4] >> 2 * (k % 4);
            patterns(out->idx + b * 256 + k * 8, pare_grid_iq3_s[p[2 + 2 * k] | (high & 1u) << 8],
                     pare_grid_iq3_s[p[3 + 2 * k] | (high >> 1 & 1u) << 8], p[74 + k]);
        }
    }
}

static void repack_iq3_xxs(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 256; b++, p += 98) {
        pare_enc_put16(p, pare_f32_to_f16(in->d[b] * 4.0f));
        for (int g = 0; g < 8; g++) {
            uint32_t w = (in->s[b * 8 + g] >> 1 & 15u) << 28;

            for (int k = 0; k < 4; k++) {
                const uint8_t *idx = in->idx + b * 256 + g * 32 + k * 8;
                uint8_t *q = p + 2 + g * 8 + k * 2;

                q[0] = (uint8_t)pare_grid_find(pare_grid_iq3_xxs, 256, pare_gather3(idx));
                q[1] = (uint8_t)pare_grid_find(pare_grid_iq3_xxs, 256, pare_gather3(idx + 4));
                w |= (pare_gather1(idx, 3) & 127u) << 7 * k;
            }
            pare_enc_put16(p + 66 + 4 * g, (uint16_t)w);
            pare_enc_put16(p + 68 + 4 * g, (uint16_t)(w >> 16));
        }
    }
}

static void repack_iq3_s(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 256; b++, p += 110) {
        pare_enc_put16(p, pare_f32_to_f16(in->d[b]));
        for (int i = 0; i < 8; i++) p[66 + i] = 0;
        for (int k = 0; k < 32; k++) {
            const uint8_t *idx = in->idx + b * 256 + k * 8;
            unsigned c0 = pare_grid_find(pare_grid_iq3_s, 512, pare_gather3(idx));
            unsigned c1 = pare_grid_find(pare_grid_iq3_s, 512, pare_gather3(idx + 4));

            p[2 + 2 * k] = (uint8_t)c0;
            p[3 + 2 * k] = (uint8_t)c1;
            p[66 + k / 4] |= (uint8_t)((c0 >> 8 | c1 >> 8 << 1) << 2 * (k % 4));
            p[74 + k] = (uint8_t)pare_gather1(idx, 3);
        }
        for (int i = 0; i < 4; i++)
            p[106 + i] = (uint8_t)((in->s[b * 8 + 2 * i] >> 1 & 15) | (in->s[b * 8 + 2 * i + 1] >> 1 & 15) << 4);
    }
}

PARE_DECODE_BLOCKS(iq3_xxs)
PARE_DECODE_BLOCKS(iq3_s)

const struct pare_dtype pare_dt_iq3_xxs = {
    .name = "iq3_xxs", .type = PARE_IQ3_XXS, .gguf_id = 18, .block = 256, .block_bytes = 98,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD, .bits = 3.0625,
    .help = "Grid codes of 4 weights, signs and 4-bit scales, 3.06 bits a weight; read only.",
    .decode = decode_iq3_xxs, .unpack = unpack_iq3_xxs, .repack = repack_iq3_xxs,
    .pack = { .bits = 4, .group = 32, .super = 256, .has_sub = true, .lut = values_xxs },
};
const struct pare_dtype pare_dt_iq3_s = {
    .name = "iq3_s", .type = PARE_IQ3_S, .gguf_id = 21, .block = 256, .block_bytes = 110,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD, .bits = 3.4375,
    .help = "Grid codes of 4 weights, signs and 4-bit scales, 3.44 bits a weight; read only.",
    .decode = decode_iq3_s, .unpack = unpack_iq3_s, .repack = repack_iq3_s,
    .pack = { .bits = 4, .group = 32, .super = 256, .has_sub = true, .d_is_f16 = true, .lut = values_s },
};
