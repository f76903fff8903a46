/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/fold_fireq.h"

#include "base/mem.h"
#include "compress/grid.h"
#include "compress/method.h"
#include "kernel/vec.h"

static const struct pare_method_option fireq_options[] = {
    { "strength", "number", "0 .. 1", "1", "how far pairs are made even before the rotation" },
    { "above", "number", "above 1", "2", "channels that get a scale after the rotation, by the head's middle channel" },
};
const struct pare_method pare_method_fireq = {
    .id = "fireq", .module = "compress/fold_fireq", .title = "Keys made even by pairs before their rotation and by channels after it; FP8 group scales.",
    .source = "FireQ", .stage = PARE_STAGE_ROUND, .guarantee = "bounded", .neutral = "strength = 0, above = infinity: ones, bit for bit",
    .tested = "tests/method/test_folds_static.c",
    .acceptance = "Scales by pairs alone change no logit by more than 1e-5 of the largest; squared errors of scores and of attention outputs with "
                  "4-bit keys are below those of plain 4-bit keys by token; no FP8 group scale becomes zero.",
    .measured = "demo-llama, 4-bit keys: squared error of scores 0.0196 instead of 0.0269, of outputs 0.0105 instead of 0.0127; 0 zero scales "
                "(36808 groups of the weights divided by 64 without the factor); logits change by 4e-7", PARE_OPTIONS(fireq_options),
};

static double reach_of(const float *k, uint64_t ld, uint32_t n, uint64_t c)
{
    double most = 0;

    for (uint32_t r = 0; r < n; r++) {
        double a = k[r * ld + c] < 0 ? -(double)k[r * ld + c] : (double)k[r * ld + c];
        most = a > most ? a : most;
    }
    return most;
}

/* The middle one of n numbers above 0; 0 when there are none. */
static double middle(const double *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t less = 0, same = 0;

        for (uint32_t j = 0; j < n; j++) {
            less += x[j] < x[i];
            same += x[j] == x[i];
        }
        if (less <= n / 2 && n / 2 < less + same) return x[i];
    }
    return 0;
}

int pare_fireq_pairs(const struct pare_sites *all, const float *k, uint64_t ld, uint32_t n, double strength, double *s, struct pare_diag *diag)
{
    uint32_t dk = all->dk, half = all->rotary / 2;
    double  *most = pare_alloc_array(dk, sizeof *most), mid;

    if (most == NULL) return PARE_NOMEM(diag);
    for (uint32_t h = 0; h < all->n_head_kv; h++) {
        for (uint32_t i = 0; i < dk; i++) most[i] = reach_of(k, ld, n, (uint64_t)h * dk + i);
        for (uint32_t i = 0; i < half; i++) {
            uint32_t a = all->pairs ? 2 * i : i, b = all->pairs ? 2 * i + 1 : i + half;
            most[a] = most[b] = most[a] > most[b] ? most[a] : most[b];
        }
        mid = middle(most, dk);
        for (uint32_t i = 0; i < dk; i++) s[h * dk + i] = most[i] > 0 && mid > 0 && strength != 0 ? pare_pow(most[i] / mid, strength) : 1;
    }
    pare_free(most);
    return PARE_OK;
}

int pare_fireq_channels(const struct pare_sites *all, const float *k, uint64_t ld, uint32_t n, double above, double *t, struct pare_diag *diag)
{
    uint32_t dk = all->dk;
    double  *most = pare_alloc_array(dk, sizeof *most), mid;

    if (most == NULL) return PARE_NOMEM(diag);
    for (uint32_t h = 0; h < all->n_head_kv; h++) {
        for (uint32_t i = 0; i < dk; i++) most[i] = reach_of(k, ld, n, (uint64_t)h * dk + i);
        mid = middle(most, dk);
        for (uint32_t i = 0; i < dk; i++) t[h * dk + i] = mid > 0 && most[i] > above * mid ? most[i] / (above * mid) : 1;
    }
    pare_free(most);
    return PARE_OK;
}

float pare_fp8_e4m3(float x)
{
    float step = 0x1p-9f;

    if (!(x < 464)) return 448;
    while (x >= step * 16) step *= 2; /* eight steps to a power of two, from 2^-6 on */
    return (x / step + 12582912.0f - 12582912.0f) * step;
}

int pare_fireq_weight(float *w, uint64_t rows, uint64_t cols, uint32_t group, float factor, uint64_t *zeros, struct pare_diag *diag)
{
    float most = 0;

    PARE_FAIL_IF(diag, group == 0, PARE_E_USAGE, "groups of 0 columns");
    *zeros = 0;
    for (uint64_t i = 0; i < rows * cols; i++) most = w[i] > most ? w[i] : -w[i] > most ? -w[i] : most;
    if (most == 0) return PARE_OK;
    bool keep = factor == 0;
    if (keep) factor = most / 7 / 448;
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < cols; c += group) {
            uint64_t n = cols - c < group ? cols - c : group;
            float   *g = w + r * cols + c, a = 0, s;

            for (uint64_t i = 0; i < n; i++) a = g[i] > a ? g[i] : -g[i] > a ? -g[i] : a;
            s = pare_fp8_e4m3(a / 7 / factor);
            if (s == 0 && a > 0 && keep) s = 0x1p-9f;
            *zeros += s == 0 && a > 0;
            for (uint64_t i = 0; i < n; i++) g[i] = s == 0 ? 0 : pare_grid_step(g[i], s * factor, 7);
        }
    return PARE_OK;
}
