/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/codec_group.c: formats that shape themselves after each group.
 *
 * bitmodB (BitMoD, arXiv 2411.11745): the code that would be minus zero of FP3 {0 1 2 4} or FP4 E2M1 becomes one special number, chosen
 *   for each group by least squared error: +3 -3 +6 -6, or +5 -5 +8 -8. Scale (a half): largest magnitude / largest level.
 * sefpM (OTARo, arXiv 2511.13147): one exponent E for 64 numbers (a byte), all below 2^E; a sign and M bits of |x| / 2^E, cut off, not
 *   rounded: so the format of fewer bits is the wider one cut further. A reader takes the middle of the interval that the bits name:
 *   that halves the error of a cut and costs nothing (own addition: the paper's is the lower end).
 * log2_B (PTQ4SAM, arXiv 2405.03144): numbers that are not negative as s * 2^(-code / tau), tau 1, 2 or 4 for each group. */
#include <string.h>

#include "tensor/codec_private.h"

/* ---- a number type for each group ------------------------------------------------------------------------------------------ */

static const float bitmod3[4][8] = { { -4, -2, -1, 0, 1, 2, 3, 4 }, { -4, -3, -2, -1, 0, 1, 2, 4 },
                                     { -4, -2, -1, 0, 1, 2, 4, 6 }, { -6, -4, -2, -1, 0, 1, 2, 4 } };
static const float bitmod4[4][16] = {
    { -6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 5, 6 }, { -6, -5, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6 },
    { -6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6, 8 }, { -8, -6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6 }
};

/* Nearest of n ascending levels, the lower one on a tie. */
static uint16_t nearest(const float *level, int n, float y)
{
    int k = 0;

    while (k < n - 1 && 2.0f * y > level[k] + level[k + 1]) k++;
    return (uint16_t)k;
}

static void encode_bitmod(const struct pare_codec *c, uint16_t *code, const float *x, uint64_t n, const uint8_t *head, float front)
{
    const float *level = pare_bitmod_levels(c, head[2]);
    float        s = pare_codec_get_scale(head);

    (void)front;
    for (uint64_t i = 0; i < n; i++) code[i] = nearest(level, 1 << c->bits, s == 0.0f ? 0.0f : x[i] / s);
}
static void decode_bitmod(const struct pare_codec *c, float *dst, const uint16_t *code, uint64_t n, const uint8_t *head, float front)
{
    const float *level = pare_bitmod_levels(c, head[2]);
    float        s = pare_codec_get_scale(head);

    (void)front;
    for (uint64_t i = 0; i < n; i++) dst[i] = s * level[code[i]];
}

static void fit_bitmod(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    float    amax = pare_codec_amax(x, n), y[PARE_CODEC_PIECE];
    double   best = 0.0;
    uint16_t code[PARE_CODEC_PIECE];
    uint8_t  tried[PARE_CODEC_HEAD] = { 0 };

    for (uint8_t type = 0; type < 4; type++) {
        const float *level = pare_bitmod_levels(c, type);
        float        last = level[(1 << c->bits) - 1], top = -level[0] > last ? -level[0] : last;
        double       err = 0.0;

        pare_codec_put_scale(tried, amax / top);
        tried[2] = type;
        for (uint64_t i = 0; i < n; i += PARE_CODEC_PIECE) {
            uint64_t m = n - i < PARE_CODEC_PIECE ? n - i : PARE_CODEC_PIECE;

            encode_bitmod(c, code, x + i, m, tried, front);
            decode_bitmod(c, y, code, m, tried, front);
            for (uint64_t k = 0; k < m; k++) err += ((double)x[i + k] - (double)y[k]) * ((double)x[i + k] - (double)y[k]);
        }
        if (type != 0 && !(err < best)) continue;
        best = err;
        memcpy(head, tried, 3);
    }
}

/* ---- shared exponent ------------------------------------------------------------------------------------------------------- */

/* The byte is E + 127 with amax < 2^E; groups below 2^-100 are zero, so that steps stay normal numbers. */
enum { SEFP_LOWEST = 27 };

static void fit_sefp(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    uint32_t e = (pare_f32_bits(pare_codec_amax(x, n)) >> 23) + 1; /* 1 .. 255: 2^128 is beyond floats and never formed */

    (void)c, (void)front;
    head[0] = e < SEFP_LOWEST ? 0 : (uint8_t)e;
}
static void encode_sefp(const struct pare_codec *c, uint16_t *code, const float *x, uint64_t n, const uint8_t *head, float front)
{
    unsigned m = c->bits - 1u;
    float    up;

    (void)front;
    memset(code, 0, n * sizeof *code);
    if (head[0] == 0) return;
    up = pare_bits_f32((uint32_t)(254 - (int)head[0] + (int)m) << 23); /* 2^(m - E), exact; at most 2^108 */
    for (uint64_t i = 0; i < n; i++) {
        uint32_t q = (uint32_t)((x[i] < 0.0f ? -x[i] : x[i]) * up);

        code[i] = (uint16_t)(q | (x[i] < 0.0f ? 1u << m : 0u));
    }
}
static void decode_sefp(const struct pare_codec *c, float *dst, const uint16_t *code, uint64_t n, const uint8_t *head, float front)
{
    unsigned m = c->bits - 1u;
    float    half = head[0] == 0 ? 0.0f : pare_bits_f32((uint32_t)((int)head[0] - (int)m - 1) << 23); /* half a step */

    (void)front;
    for (uint64_t i = 0; i < n; i++) {
        float v = half * (float)(2u * (code[i] & ((1u << m) - 1u)) + 1u);

        dst[i] = code[i] >> m != 0 ? -v : v;
    }
}

static bool is_sefp(const struct pare_codec *c) { return c->decode == decode_sefp; }

/* Rows and groups of both formats follow each other alike, so a walk over groups is all there is. */
bool pare_sefp_narrow(const struct pare_codec *to, uint8_t *dst, const struct pare_codec *from, const uint8_t *src, struct pare_codec_shape s)
{
    uint16_t code[PARE_CODEC_PIECE];
    unsigned drop, m;
    uint64_t bytes;

    if (!is_sefp(to) || !is_sefp(from) || to->bits > from->bits || !pare_codec_bytes(from, s, &bytes)) return false;
    drop = (unsigned)(from->bits - to->bits);
    m = from->bits - 1u;
    for (uint64_t r = 0; r < s.rows; r++)
        for (uint64_t at = 0; at < s.cols; at += from->group) {
            uint64_t n = s.cols - at < from->group ? s.cols - at : from->group;

            *dst++ = *src++;
            pare_codec_unpack(from, code, src, n);
            for (uint64_t i = 0; i < n; i++)
                code[i] = (uint16_t)((code[i] & ((1u << m) - 1u)) >> drop | (unsigned)(code[i] >> m) << (m - drop));
            pare_codec_pack(to, dst, code, n);
            src += pare_codec_code_bytes(from, n);
            dst += pare_codec_code_bytes(to, n);
        }
    return true;
}

/* ---- powers of two ------------------------------------------------------------------------------------------------------------ */

/* 2^(-k / 4). A level is 2^-(whole part) of one of these: a shift and a table of four. */
static const float quarter[4] = { 1.0f, 0x1.ae89fap-1f, 0x1.6a09e6p-1f, 0x1.306fe0p-1f };

static float log_level(const uint8_t *head, unsigned code)
{
    unsigned k = code << (2 - head[2]); /* in quarters: tau is 1 << head[2] */

    return quarter[k & 3] * pare_bits_f32((127u - (k >> 2)) << 23);
}

/* Nearest in the logarithm: x is nearer to the level above where x^2 > the product of both levels. Codes ascend as levels fall. */
static void encode_log(const struct pare_codec *c, uint16_t *code, const float *x, uint64_t n, const uint8_t *head, float front)
{
    unsigned last = (1u << c->bits) - 1u;
    double   edge[16], s = (double)pare_codec_get_scale(head);

    (void)front;
    for (unsigned k = 0; k < last; k++) edge[k] = (double)log_level(head, k) * (double)log_level(head, k + 1);
    for (uint64_t i = 0; i < n; i++) {
        double   y = s == 0.0 || x[i] < 0.0f ? 0.0 : (double)x[i] / s;
        unsigned k = 0;

        while (k < last && y * y < edge[k]) k++;
        code[i] = (uint16_t)k;
    }
}
static void decode_log(const struct pare_codec *c, float *dst, const uint16_t *code, uint64_t n, const uint8_t *head, float front)
{
    float s = pare_codec_get_scale(head);

    (void)c, (void)front;
    for (uint64_t i = 0; i < n; i++) dst[i] = s * log_level(head, code[i]);
}
static void fit_log(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front)
{
    float    top = 0.0f, y[PARE_CODEC_PIECE];
    double   best = 0.0;
    uint16_t code[PARE_CODEC_PIECE];

    for (uint64_t i = 0; i < n; i++) top = x[i] > top ? x[i] : top;
    for (uint8_t tau = 0; tau < 3; tau++) {
        uint8_t tried[PARE_CODEC_HEAD] = { 0 };
        double  err = 0.0;

        pare_codec_put_scale(tried, top);
        tried[2] = tau;
        for (uint64_t i = 0; i < n; i += PARE_CODEC_PIECE) {
            uint64_t m = n - i < PARE_CODEC_PIECE ? n - i : PARE_CODEC_PIECE;

            encode_log(c, code, x + i, m, tried, front);
            decode_log(c, y, code, m, tried, front);
            for (uint64_t k = 0; k < m; k++) err += ((double)x[i + k] - (double)y[k]) * ((double)x[i + k] - (double)y[k]);
        }
        if (tau != 0 && !(err < best)) continue;
        best = err;
        memcpy(head, tried, 3);
    }
}

#define ROW(id, nbits, nhead, ngroup, family, text)                                                                    \
    const struct pare_codec pare_codec_##id = { .name = #id, .bits = nbits, .head = nhead, .group = ngroup, .help = text, \
                                                .fit = fit_##family, .encode = encode_##family, .decode = decode_##family };
ROW(bitmod3, 3, 3, 0, bitmod, "FP3 with one special number chosen for each group.")
ROW(bitmod4, 4, 3, 0, bitmod, "FP4 with one special number chosen for each group.")
ROW(sefp3, 4, 1, 64, sefp, "Shared exponent, sign and 3 bits.")
ROW(sefp4, 5, 1, 64, sefp, "Shared exponent, sign and 4 bits.")
ROW(sefp5, 6, 1, 64, sefp, "Shared exponent, sign and 5 bits.")
ROW(sefp6, 7, 1, 64, sefp, "Shared exponent, sign and 6 bits.")
ROW(sefp7, 8, 1, 64, sefp, "Shared exponent, sign and 7 bits.")
ROW(sefp8, 9, 1, 64, sefp, "Shared exponent, sign and 8 bits; the narrower ones are cut from it.")
ROW(log2_3, 3, 3, 0, log, "Powers of 2^(-1/tau), 3 bits, for numbers that are not negative.")
ROW(log2_4, 4, 3, 0, log, "Powers of 2^(-1/tau), 4 bits, for numbers that are not negative.")

const float *pare_bitmod_levels(const struct pare_codec *c, uint32_t type)
{
    if (c->decode != decode_bitmod || type > 3) return NULL;
    return c->bits == 3 ? bitmod3[type] : bitmod4[type];
}
