/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/codec_float.c: floats of 4, 6 and 8 bits (OCP Open Compute Project: OFP8 and Microscaling Formats 1.0), and groups of
 * them under a scale: the largest magnitude of the group lands on the largest number of the format. */
#include <float.h>

#include "tensor/codec_private.h"

const struct pare_minifloat pare_e4m3 = { 4, 3, 0x7e, 7, 448.0f }; /* 0x7f is NaN, there is no infinity */
const struct pare_minifloat pare_e5m2 = { 5, 2, 0x7b, 15, 57344.0f };
const struct pare_minifloat pare_e2m3 = { 2, 3, 0x1f, 1, 7.5f };
const struct pare_minifloat pare_e3m2 = { 3, 2, 0x1f, 3, 28.0f };
const struct pare_minifloat pare_e2m1 = { 2, 1, 0x07, 1, 6.0f };

uint8_t pare_minifloat_encode(const struct pare_minifloat *f, float x)
{
    float    a = x < 0.0f ? -x : x;
    int      e = (int)(pare_f32_bits(a) >> 23) - 127, lowest = 1 - f->bias; /* a number below 2^-126 is below any step here */
    uint32_t k, code;

    if (a >= f->max) a = f->max, e = (int)(pare_f32_bits(a) >> 23) - 127;
    if (e < lowest) e = lowest;
    /* a in steps of its binade: exact division by a power of two, then at most 2^(mbits + 1); the last carries into the exponent. */
    k = (uint32_t)pare_codec_near(a * pare_bits_f32((uint32_t)(127 + f->mbits - e) << 23));
    code = k + ((uint32_t)(e - lowest) << f->mbits);
    if (code > f->max_code) code = f->max_code;
    return (uint8_t)(x < 0.0f && code != 0 ? code | 1u << (f->ebits + f->mbits) : code);
}

float pare_minifloat_decode(const struct pare_minifloat *f, uint8_t code)
{
    uint32_t sign = code >> (f->ebits + f->mbits) & 1u, e = code >> f->mbits & ((1u << f->ebits) - 1u), m = code & ((1u << f->mbits) - 1u);
    uint32_t k = e == 0 ? m : m + (1u << f->mbits), up = e == 0 ? 1u : e;
    float    v = (float)k * pare_bits_f32((uint32_t)(127 + (int)up - f->bias - f->mbits) << 23);

    return sign != 0 ? -v : v;
}

/* FP8 reaches over so many binades that the scale of small weights would be a denormal half: it is a float. */
static float scale_of(const struct pare_codec *c, const uint8_t *head)
{
    return c->head == 4 ? pare_bits_f32(pare_le32(head)) : pare_codec_get_scale(head);
}

static void fit(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    float    s = pare_codec_amax(x, n) / c->elem->max;
    uint32_t bits = pare_f32_bits(s < 0x1p-126f ? 0.0f : s);

    (void)front;
    if (c->head != 4) pare_codec_put_scale(head, s);
    else for (int b = 0; b < 4; b++) head[b] = (uint8_t)(bits >> 8 * b);
}
static void encode(const struct pare_codec *c, uint16_t *code, const float *x, uint64_t n, const uint8_t *head, float front)
{
    float s = scale_of(c, head);

    (void)front;
    for (uint64_t i = 0; i < n; i++) code[i] = s == 0.0f ? 0 : pare_minifloat_encode(c->elem, x[i] / s);
}
static void decode(const struct pare_codec *c, float *dst, const uint16_t *code, uint64_t n, const uint8_t *head, float front)
{
    float s = scale_of(c, head);

    (void)front;
    for (uint64_t i = 0; i < n; i++) {
        float v = s * pare_minifloat_decode(c->elem, (uint8_t)code[i]);

        dst[i] = v > FLT_MAX ? FLT_MAX : v < -FLT_MAX ? -FLT_MAX : v; /* the scale was rounded */
    }
}

#define ROW(id, nbits, nhead, element, text)                                                                           \
    const struct pare_codec pare_codec_##id = { .name = #id, .bits = nbits, .head = nhead, .elem = &element, .help = text, \
                                                .fit = fit, .encode = encode, .decode = decode };
ROW(fp8_e4m3, 8, 4, pare_e4m3, "FP8 with 3 bits of mantissa, a float as scale.")
ROW(fp8_e5m2, 8, 4, pare_e5m2, "FP8 with 2 bits of mantissa, a float as scale.")
ROW(fp6_e2m3, 6, 2, pare_e2m3, "FP6 with 3 bits of mantissa, a half as scale.")
ROW(fp6_e3m2, 6, 2, pare_e3m2, "FP6 with 2 bits of mantissa, a half as scale.")
ROW(fp4_e2m1, 4, 2, pare_e2m1, "FP4, a half as scale.")
