/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/few_levels.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/method.h"
#include "tensor/dtype.h"

/* |x| < 2^22; ties to even, no libm. */
static float whole(float x) { return (x + 12582912.0f) - 12582912.0f; }
static float clamp(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }

/* Largest magnitude; a NaN or an infinity gives infinity. */
static float magnitude(const float *w, uint32_t n)
{
    float top = 0;

    for (uint32_t i = 0; i < n; i++) {
        float a = fabsf(w[i]);

        if (!(a <= 3.4e38f)) return INFINITY;
        if (a > top) top = a;
    }
    return top;
}

static float code_of(float w, float inverse, const struct pare_levels *g) { return whole(clamp(w * inverse, (float)g->lo, (float)g->hi)); }

static double error_of(const float *w, const float *importance, uint32_t n, float scale, const struct pare_levels *g)
{
    float inverse = 1.0f / scale;
    double sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        float e = w[i] - code_of(w[i], inverse, g) * scale;

        sum += (double)(e * e) * (double)(importance != NULL ? importance[i] : 1.0f);
    }
    return sum;
}

/* What an f16 holds; 0 where that or its inverse would overflow. */
static float scale_of(float s)
{
    s = pare_f16_to_f32(pare_f32_to_f16(s));
    return s > 0 && s <= 65504.0f ? s : 0;
}

float pare_levels_group(int16_t *q, float *w, const float *importance, uint32_t n, const struct pare_levels *g)
{
    float range = 2.0f * magnitude(w, n) / (float)(g->hi - g->lo), best = scale_of(range);

    if (!(range <= 65504.0f)) best = 0;
    if (best > 0 && g->search) {
        double err = error_of(w, importance, n, best, g);

        for (int i = 1; i <= 12; i++) {
            float s = scale_of(range * (1.0f - 0.05f * (float)i));
            double e;

            if (s == 0) break;
            e = error_of(w, importance, n, s, g);
            if (e < err) {
                err = e;
                best = s;
            }
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        float c = best > 0 ? code_of(w[i], 1.0f / best, g) : 0;

        if (q != NULL) q[i] = (int16_t)c;
        w[i] = c * best;
    }
    return best;
}

int pare_levels_round(float *w, int16_t *q, float *scale, uint64_t rows, uint64_t cols, uint32_t group, const float *importance,
                    const struct pare_levels *g, struct pare_diag *diag)
{
    uint64_t groups;

    PARE_FAIL_IF(diag, group == 0 || g->lo >= 0 || g->hi <= 0, PARE_E_USAGE, "a grid from %d to %d, groups of %u", g->lo, g->hi, group);
    groups = cols / group + (cols % group != 0);
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t k = 0; k < groups; k++) {
            uint64_t at = r * cols + k * group, left = cols - k * group;
            uint32_t n = left < group ? (uint32_t)left : group;
            float s = pare_levels_group(q != NULL ? q + at : NULL, w + at, importance != NULL ? importance + k * group : NULL, n, g);

            if (scale != NULL) scale[r * groups + k] = s;
        }
    return PARE_OK;
}

void pare_two_bit_group(float *w, uint32_t n)
{
    float lo = 0, hi = 0, s, zero;

    if (magnitude(w, n) > 3.4e38f) {
        memset(w, 0, n * sizeof *w);
        return;
    }
    for (uint32_t i = 0; i < n; i++) { /* the range includes 0, as everywhere (compression-facts 1.1.8) */
        lo = w[i] < lo ? w[i] : lo;
        hi = w[i] > hi ? w[i] : hi;
    }
    s = scale_of((hi - lo) / 3.0f);
    zero = s > 0 ? whole(-lo / s) : 0;
    for (uint32_t i = 0; i < n; i++) w[i] = s > 0 ? (whole(clamp(w[i] / s + zero, 0, 3)) - zero) * s : 0;
}

void pare_round_token(float *x, int16_t *q, float *d, uint64_t cols, uint32_t group, uint32_t bits)
{
    float top = (float)((1 << (bits - 1)) - 1);

    for (uint64_t c = 0, k = 0; c < cols; c += group, k++) {
        uint32_t n = cols - c < group ? (uint32_t)(cols - c) : group;
        float m = magnitude(x + c, n), s = m / top, inverse = m > 1e-30f ? top / m : 0;

        if (d != NULL) d[k] = isinf(m) ? 0 : s;
        for (uint32_t i = 0; i < n; i++) {
            float code = isinf(m) ? 0 : whole(clamp(x[c + i] * inverse, -top, top));

            if (q != NULL) q[c + i] = (int16_t)code;
            if (!isinf(m)) x[c + i] = code * s;
        }
    }
}

void pare_flexq_sensitive(const double *loss, uint32_t n, bool *wide)
{
    double sum = 0;

    for (uint32_t i = 0; i < n; i++) sum += loss[i];
    for (uint32_t i = 0; i < n; i++) wide[i] = loss[i] * (double)n > sum;
}

static const struct pare_method_option flexq_options[] = {
    { "activations", "int", "6, 8", "6", "bits of activations; sensitive kinds of matrices keep 8" },
};
const struct pare_method pare_method_flexq = {
    .id = "flexq", .module = "compress/few_levels, kernel/planes", .title = "Six-bit weights and activations in groups of 128; eight-bit inputs where it matters.",
    .source = "FlexQ, arXiv 2508.04405", .stage = PARE_STAGE_ROUND, .guarantee = "bounded",
    .neutral = "codes and scales of any width 1..8: the product equals the sum of integers exactly", .tested = "tests/kernel/test_planes.c, tests/method/test_plane_methods.c",
    .acceptance = "divergence and rise of perplexity at most ln 1.005 with six bits and eight-bit inputs of sensitive kinds; planes of six bits are 6/8 of those of "
                  "eight; products equal integers exactly",
    .measured = "demo-llama: divergence 0.0040 (perplexity +0.1 +- 0.4 %) with 8 bits before ffn_down, W6A6 0.0058, W6A8 0.0021. SmolLM2-135M does not meet it: 0.074 "
                "(+2.3 +- 1.7 %) with attn_v, ffn_up, ffn_down at 8, W6A6 0.177 (+13 %), and six-bit weights alone 0.030. W6A6 by popcount takes 2.4 times as long as "
                "the engine's 8-bit kernel",
    PARE_OPTIONS(flexq_options),
};
static const struct pare_method_option abq_options[] = {
    { "weights", "int", "1 .. 8", "2", "bits; 2 has five levels" }, { "activations", "int", "1 .. 8", "8", "bits" },
};
const struct pare_method pare_method_abq_llm = {
    .id = "abq-llm", .module = "compress/few_levels, kernel/planes", .title = "Any width on both sides by bit planes; two bits with five levels.",
    .source = "ABQ-LLM, arXiv 2408.08554", .stage = PARE_STAGE_ROUND, .guarantee = "bounded",
    .neutral = "codes of any width 1..8: the product equals the sum of integers exactly", .tested = "tests/kernel/test_planes.c, tests/method/test_plane_methods.c",
    .acceptance = "five levels lose less than four (-2 .. 1, and with a zero point) in groups of 64; every pair of widths from one kernel, exact",
    .measured = "demo-llama, perplexity 195: five levels 297, four 504, with a zero point 427; range searched 227 and 371. SmolLM2-135M, 42.0: 2.2e4, 2.5e7, "
                "4.3e5; searched 421 and 4.5e7",
    PARE_OPTIONS(abq_options),
};
