/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/codec_int.c: whole numbers times a scale, a half for each group. Four ways to choose scale and zero:
 *   intB       symmetric: -(2^(B-1) - 1) .. 2^(B-1) - 1, largest magnitude on the last level. One bit: -1 and +1 times the mean |x|.
 *   intB_full  all 2^B codes: the larger signed extreme on -2^(B-1), with a scale of either sign (compression-facts 1.6).
 *   intB_asym  value = s * (code - z), z a whole code (a byte): the range always holds 0, and 0 is exact.
 *   intB_zero  value = s * (code - z), z a half: the range need not hold 0; HQQ fits z (compression-facts 1.5).
 * Few levels, packed as digits: level3 (-1 0 1, scale the mean |x|, BitNet b1.58) and level5 (-2 .. 2, scale max / 2, ABQ-LLM). */
#include "tensor/codec_private.h"

static void fit_sym(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    (void)front;
    pare_codec_put_scale(head, pare_codec_amax(x, n) / (float)c->hi);
}

/* The mean in double precision, in the order of the columns. */
static void fit_mean(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    double sum = 0.0;

    (void)c, (void)front;
    for (uint64_t i = 0; i < n; i++) sum += x[i] < 0.0f ? -(double)x[i] : (double)x[i];
    pare_codec_put_scale(head, (float)(sum / (double)n));
}

static void fit_full(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    float e = 0.0f;

    (void)front;
    for (uint64_t i = 0; i < n; i++)
        if ((x[i] < 0.0f ? -x[i] : x[i]) > (e < 0.0f ? -e : e)) e = x[i];
    pare_codec_put_scale(head, e / (float)c->lo);
}

static void range_of(const float *x, uint64_t n, float *lo, float *hi)
{
    *lo = *hi = x[0];
    for (uint64_t i = 1; i < n; i++) {
        *lo = x[i] < *lo ? x[i] : *lo;
        *hi = x[i] > *hi ? x[i] : *hi;
    }
}

static void fit_asym(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    float lo, hi;

    (void)front;
    range_of(x, n, &lo, &hi);
    lo = lo > 0.0f ? 0.0f : lo;
    hi = hi < 0.0f ? 0.0f : hi;
    pare_codec_put_scale(head, hi / (float)c->hi - lo / (float)c->hi); /* the difference of the extremes may overflow */
    head[2] = (uint8_t)pare_codec_whole(-lo, pare_codec_get_scale(head), 0, c->hi);
}

/* A group of equal numbers is s * (0 - -1). */
static void fit_zero(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    float lo, hi, s;

    (void)front;
    range_of(x, n, &lo, &hi);
    pare_codec_put_scale(head, hi / (float)c->hi - lo / (float)c->hi);
    s = pare_codec_get_scale(head);
    if (s == 0.0f) pare_codec_put_scale(head, lo);
    pare_codec_put_scale(head + 2, s == 0.0f ? -1.0f : -lo / s);
}

static float zero_of(const struct pare_codec *c, const uint8_t *head)
{
    return c->head == 4 ? pare_codec_get_scale(head + 2) : c->head == 3 ? (float)head[2] : (float)-c->lo;
}

static void encode(const struct pare_codec *c, uint16_t *code, const float *x, uint64_t n, const uint8_t *head, float front)
{
    float s = pare_codec_get_scale(head), z = zero_of(c, head);
    int   top = c->hi - c->lo;

    (void)front;
    if (c->head == 2)
        for (uint64_t i = 0; i < n; i++) code[i] = (uint16_t)(pare_codec_whole(x[i], s, c->lo, c->hi) - c->lo);
    else
        for (uint64_t i = 0; i < n; i++) {
            float y = s == 0.0f ? z : x[i] / s + z;

            y = y < 0.0f ? 0.0f : y > (float)top ? (float)top : y;
            code[i] = (uint16_t)pare_codec_near(y);
        }
}

static void decode(const struct pare_codec *c, float *dst, const uint16_t *code, uint64_t n, const uint8_t *head, float front)
{
    float s = pare_codec_get_scale(head), z = zero_of(c, head);

    (void)front;
    for (uint64_t i = 0; i < n; i++) dst[i] = s * ((float)code[i] - z);
}

/* One bit, symmetric: no zero. */
static void encode_sign(const struct pare_codec *c, uint16_t *code, const float *x, uint64_t n, const uint8_t *head, float front)
{
    (void)c, (void)head, (void)front;
    for (uint64_t i = 0; i < n; i++) code[i] = x[i] >= 0.0f;
}
static void decode_sign(const struct pare_codec *c, float *dst, const uint16_t *code, uint64_t n, const uint8_t *head, float front)
{
    float s = pare_codec_get_scale(head);

    (void)c, (void)front;
    for (uint64_t i = 0; i < n; i++) dst[i] = code[i] != 0 ? s : -s;
}

#define ROW(id, nbits, nhead, l, h, fitter, text, ...)                                                                 \
    const struct pare_codec pare_codec_##id = {                                                                        \
        .name = #id, .bits = nbits, .head = nhead, .lo = l, .hi = h, .help = text,                                     \
        .fit = fitter, .encode = encode, .decode = decode, __VA_ARGS__                                                 \
    };
#define SYM(b) ROW(int##b, b, 2, -((1 << (b - 1)) - 1), (1 << (b - 1)) - 1, fit_sym, "Symmetric whole numbers, a half as scale.", )
#define FULL(b) ROW(int##b##_full, b, 2, -(1 << (b - 1)), (1 << (b - 1)) - 1, fit_full, "All two's complement codes, a half of either sign as scale.", )
#define ASYM(b) ROW(int##b##_asym, b, 3, 0, (1 << b) - 1, fit_asym, "Whole numbers with a whole zero point.", )
#define ZERO(b) ROW(int##b##_zero, b, 4, 0, (1 << b) - 1, fit_zero, "Whole numbers with a zero point in half precision.", )

const struct pare_codec pare_codec_int1 = {
    .name = "int1", .bits = 1, .head = 2, .lo = -1, .hi = 1, .help = "Signs times the mean magnitude.",
    .fit = fit_mean, .encode = encode_sign, .decode = decode_sign,
};
SYM(2) SYM(3) SYM(4) SYM(5) SYM(6) SYM(7) SYM(8)
FULL(1) FULL(2) FULL(3) FULL(4) FULL(5) FULL(6) FULL(7) FULL(8)
ASYM(1) ASYM(2) ASYM(3) ASYM(4) ASYM(5) ASYM(6) ASYM(7) ASYM(8)
ZERO(2) ZERO(3) ZERO(4) ZERO(8)
ROW(level3, 2, 2, -1, 1, fit_mean, "Three levels, 1.6 bits.", .radix = 3)
ROW(level5, 3, 2, -2, 2, fit_sym, "Five levels, 2.4 bits.", .radix = 5)
