/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/codec_block.c: the two families of small blocks.
 *
 * MX: 32 numbers, a scale 2^(byte - 127). mxNAME rounds the scale up, the least power that keeps the largest magnitude inside the
 * levels: nothing is clipped. mxNAME_floor follows the OCP text: floor(log2 amax) less the exponent of the largest power of two of the
 * element, which clips the top of the binade. Whole numbers are symmetric; mxintB_wide is _floor with the code -2^(B-1) as well: it
 * clips only at the positive end, and so is biased (INT v.s. FP, arXiv 2510.25602).
 *
 * NV: 16 numbers, a scale in E4M3 times a float of the whole tensor, amax / (448 * largest level), so that no scale overflows. */
#include <float.h>

#include "tensor/codec_private.h"

static float top_of(const struct pare_codec *c) { return c->elem != NULL ? c->elem->max : (float)c->hi; }

static void encode_at(const struct pare_codec *c, uint16_t *code, const float *x, uint64_t n, float s)
{
    if (c->elem != NULL)
        for (uint64_t i = 0; i < n; i++) code[i] = s == 0.0f ? 0 : pare_minifloat_encode(c->elem, x[i] / s);
    else
        for (uint64_t i = 0; i < n; i++) code[i] = (uint16_t)(pare_codec_whole(x[i], s, c->lo, c->hi) - c->lo);
}

/* Rounding up may lead past the largest float, where the numbers reach that far. */
static void decode_at(const struct pare_codec *c, float *dst, const uint16_t *code, uint64_t n, float s)
{
    for (uint64_t i = 0; i < n; i++) {
        float v = s * (c->elem != NULL ? pare_minifloat_decode(c->elem, (uint8_t)code[i]) : (float)((int)code[i] + c->lo));

        dst[i] = v > FLT_MAX ? FLT_MAX : v < -FLT_MAX ? -FLT_MAX : v;
    }
}

/* ---- MX ------------------------------------------------------------------------------------------------------------------- */

static void fit_mx(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    float    amax = pare_codec_amax(x, n), top = top_of(c);
    int      e = (int)(pare_f32_bits(amax) >> 23); /* 127 + floor(log2 amax), 0 below 2^-126 */
    uint32_t byte;

    (void)front;
    if (c->ceiling >= 0) {
        byte = (uint32_t)(e > c->ceiling ? e - c->ceiling : 0);
    } else { /* from below every candidate up to the first that holds amax: the products with powers of two are exact */
        byte = (uint32_t)(e > 9 + (int)(pare_f32_bits(top) >> 23) - 127 ? e - 9 - ((int)(pare_f32_bits(top) >> 23) - 127) : 0);
        while (byte < 254 && pare_codec_pow2((uint8_t)byte) * top < amax) byte++;
    }
    head[0] = (uint8_t)byte;
}
static void encode_mx(const struct pare_codec *c, uint16_t *code, const float *x, uint64_t n, const uint8_t *head, float front)
{
    (void)front;
    encode_at(c, code, x, n, pare_codec_pow2(head[0]));
}
static void decode_mx(const struct pare_codec *c, float *dst, const uint16_t *code, uint64_t n, const uint8_t *head, float front)
{
    (void)front;
    decode_at(c, dst, code, n, pare_codec_pow2(head[0]));
}

/* ---- NV ------------------------------------------------------------------------------------------------------------------- */

static float front_nv(const struct pare_codec *c, float amax)
{
    float f = amax / (pare_e4m3.max * top_of(c));

    return f < 0x1p-126f ? 0.0f : f; /* a tensor this small is zero: a denormal factor would have no precision left */
}
static float scale_nv(const uint8_t *head, float front) { return front * pare_minifloat_decode(&pare_e4m3, head[0]); }

static void fit_nv(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    head[0] = front == 0.0f ? 0 : pare_minifloat_encode(&pare_e4m3, pare_codec_amax(x, n) / top_of(c) / front);
}
static void encode_nv(const struct pare_codec *c, uint16_t *code, const float *x, uint64_t n, const uint8_t *head, float front)
{
    encode_at(c, code, x, n, scale_nv(head, front));
}
static void decode_nv(const struct pare_codec *c, float *dst, const uint16_t *code, uint64_t n, const uint8_t *head, float front)
{
    decode_at(c, dst, code, n, scale_nv(head, front));
}

#define MX(id, nbits, ceil, text, ...)                                                                                 \
    const struct pare_codec pare_codec_##id = {                                                                        \
        .name = #id, .bits = nbits, .head = 1, .group = 32, .ceiling = ceil, .help = text,                             \
        .fit = fit_mx, .encode = encode_mx, .decode = decode_mx, __VA_ARGS__                                           \
    };
#define NV(id, nbits, text, ...)                                                                                       \
    const struct pare_codec pare_codec_##id = {                                                                        \
        .name = #id, .bits = nbits, .head = 1, .front = 4, .group = 16, .help = text, .front_of = front_nv,            \
        .fit = fit_nv, .encode = encode_nv, .decode = decode_nv, __VA_ARGS__                                           \
    };
MX(mxint8, 8, -1, "Blocks of 32, whole numbers of 8 bits, power of two as scale.", .lo = -127, .hi = 127)
MX(mxint6, 6, -1, "Blocks of 32, whole numbers of 6 bits, power of two as scale.", .lo = -31, .hi = 31)
MX(mxint4, 4, -1, "Blocks of 32, whole numbers of 4 bits, power of two as scale.", .lo = -7, .hi = 7)
MX(mxfp8, 8, -1, "Blocks of 32, FP8 E4M3, power of two as scale.", .elem = &pare_e4m3)
MX(mxfp6, 6, -1, "Blocks of 32, FP6 E2M3, power of two as scale.", .elem = &pare_e2m3)
MX(mxfp4, 4, -1, "Blocks of 32, FP4 E2M1, power of two as scale.", .elem = &pare_e2m1)
MX(mxint8_floor, 8, 6, "MXINT8 with the scale of the OCP text, symmetric.", .lo = -127, .hi = 127)
MX(mxint4_floor, 4, 2, "MXINT4 with the scale of the OCP text, symmetric.", .lo = -7, .hi = 7)
MX(mxfp8_floor, 8, 8, "MXFP8 with the scale of the OCP text.", .elem = &pare_e4m3)
MX(mxfp4_floor, 4, 2, "MXFP4 with the scale of the OCP text.", .elem = &pare_e2m1)
MX(mxint8_wide, 8, 6, "MXINT8 with the scale of the OCP text and the code -128.", .lo = -128, .hi = 127)
MX(mxint4_wide, 4, 2, "MXINT4 with the scale of the OCP text and the code -8.", .lo = -8, .hi = 7)
NV(nvint4, 4, "Blocks of 16, whole numbers of 4 bits, FP8 scale.", .lo = -7, .hi = 7)
NV(nvfp4, 4, "Blocks of 16, FP4 E2M1, FP8 scale.", .elem = &pare_e2m1)
