/* SPDX-License-Identifier: Apache-2.0
 * src/nn/rope.c: rotary frequencies. What the public implementation does in tensors is done in f32 here, in its order; what it
 * does in Python numbers is done in f64. Powers and logarithms are our own, for the same bits everywhere. */
#include "nn/rope.h"

#include <math.h>
#include <string.h>

#include "base/status.h"
#include "kernel/vec.h"

#define TWO_PI 6.283185307179586

void pare_rope_defaults(struct pare_rope_params *p)
{
    *p = (struct pare_rope_params){ .type = PARE_ROPE_DEFAULT, .base = 10000.0, .beta_fast = 32.0, .beta_slow = 1.0, .truncate = true };
}

double pare_rope_mscale(double scale, double mscale)
{
    return scale <= 1.0 ? 1.0 : 0.1 * mscale * pare_log(scale) + 1.0;
}

static uint32_t orig_ctx(const struct pare_rope_params *p) { return p->orig_ctx != 0 ? p->orig_ctx : p->max_ctx; }

static double factor_of(const struct pare_rope_params *p)
{
    return p->factor != 0.0 ? p->factor : (double)p->max_ctx / orig_ctx(p);
}

/* base^(2i / dim): the exponent is an f32 quotient, the power is rounded once. */
static float pos_freq(double base, uint32_t i, uint32_t dim)
{
    return (float)pare_pow((double)(float)base, (double)((float)(2 * i) / (float)dim));
}

static void dynamic(const struct pare_rope_params *p, uint32_t n_ctx, float *inv)
{
    double len = n_ctx > p->max_ctx ? n_ctx : p->max_ctx, f = factor_of(p), base = p->base;

    /* With one frequency only the exponent would be infinite and the frequency is 1 for every base. */
    if (p->dim > 2) base *= pare_pow(f * len / p->max_ctx - (f - 1.0), p->dim / (p->dim - 2.0));
    for (uint32_t i = 0; i < p->dim / 2; i++) inv[i] = 1.0f / pos_freq(base, i, p->dim);
}

/* The (fractional) number of the frequency that turns `turns` times within the original context. */
static double yarn_dim(const struct pare_rope_params *p, double turns)
{
    return p->dim * pare_log(orig_ctx(p) / (turns * TWO_PI)) / (2.0 * pare_log(p->base));
}

static void yarn(const struct pare_rope_params *p, float *inv)
{
    double lo = yarn_dim(p, p->beta_fast), hi = yarn_dim(p, p->beta_slow), f = factor_of(p);
    float  flo, width;

    if (p->truncate) {
        lo = floor(lo);
        hi = ceil(hi);
    }
    if (lo < 0.0) lo = 0.0;
    if (hi > p->dim - 1.0) hi = p->dim - 1.0;
    if (lo == hi) hi += 0.001;
    flo = (float)lo;
    width = (float)(hi - lo);
    for (uint32_t i = 0; i < p->dim / 2; i++) {
        float pf = pos_freq(p->base, i, p->dim), ramp = ((float)i - flo) / width, keep;

        ramp = ramp < 0.0f ? 0.0f : ramp > 1.0f ? 1.0f : ramp;
        keep = 1.0f - ramp;
        inv[i] = 1.0f / ((float)f * pf) * (1.0f - keep) + 1.0f / pf * keep;
    }
}

static void longrope(const struct pare_rope_params *p, uint32_t n_ctx, float *inv)
{
    const float *ext = n_ctx > orig_ctx(p) ? p->long_factor : p->short_factor;

    for (uint32_t i = 0; i < p->dim / 2; i++) inv[i] = 1.0f / (ext[i] * pos_freq(p->base, i, p->dim));
}

static void llama3(const struct pare_rope_params *p, float *inv)
{
    double ctx = orig_ctx(p);
    float  f = (float)factor_of(p), low = (float)p->low_freq_factor, band = (float)(p->high_freq_factor - p->low_freq_factor);
    float  low_len = (float)(ctx / p->low_freq_factor), high_len = (float)(ctx / p->high_freq_factor);

    for (uint32_t i = 0; i < p->dim / 2; i++) {
        float len = 1.0f / inv[i] * (float)TWO_PI, smooth;

        if (len > low_len) inv[i] /= f;
        else if (len >= high_len) {
            smooth = ((float)ctx / len - low) / band;
            inv[i] = (1.0f - smooth) * inv[i] / f + smooth * inv[i];
        }
    }
}

static double attention_factor(const struct pare_rope_params *p)
{
    double f;

    if (p->attn_factor != 0.0) return p->attn_factor;
    if (p->type == PARE_ROPE_YARN) {
        f = factor_of(p);
        if (p->mscale != 0.0 && p->mscale_all_dim != 0.0)
            return pare_rope_mscale(f, p->mscale) / pare_rope_mscale(f, p->mscale_all_dim);
        return pare_rope_mscale(f, 1.0);
    }
    if (p->type == PARE_ROPE_LONGROPE) {
        f = factor_of(p);
        return f <= 1.0 ? 1.0 : sqrt(1.0 + pare_log(f) / pare_log((double)orig_ctx(p)));
    }
    return 1.0;
}

static bool positive(double x) { return x > 0.0 && x <= 1e30; }

/* The numbers come from a config: whatever would divide by zero or take the log of nothing is refused with its name. */
static int check(const struct pare_rope_params *p, struct pare_diag *diag)
{
    bool scaled = p->type != PARE_ROPE_DEFAULT, ctx = p->type != PARE_ROPE_DEFAULT && p->type != PARE_ROPE_LINEAR;

    PARE_FAIL_IF(diag, p->dim == 0 || p->dim % 2 != 0, PARE_E_CORRUPT, "rotary width %u is not a positive even number", p->dim);
    PARE_FAIL_IF(diag, !positive(p->base), PARE_E_CORRUPT, "rope_theta %g is not a positive number", p->base);
    PARE_FAIL_IF(diag, ctx && (p->max_ctx == 0 || orig_ctx(p) < 2), PARE_E_CORRUPT,
                 "rope scaling needs the context lengths (max %u, original %u)", p->max_ctx, p->orig_ctx);
    PARE_FAIL_IF(diag, p->type == PARE_ROPE_LINEAR && !positive(p->factor), PARE_E_CORRUPT, "rope factor %g is not a positive number",
                 p->factor);
    PARE_FAIL_IF(diag, scaled && p->factor != 0.0 && !positive(p->factor), PARE_E_CORRUPT, "rope factor %g is not a positive number",
                 p->factor);
    PARE_FAIL_IF(diag, p->attn_factor != 0.0 && !positive(p->attn_factor), PARE_E_CORRUPT, "rope attention factor %g is not a positive number",
                 p->attn_factor);
    if (p->type == PARE_ROPE_LLAMA3)
        PARE_FAIL_IF(diag, !positive(p->low_freq_factor) || !(p->high_freq_factor > p->low_freq_factor), PARE_E_CORRUPT,
                     "rope low_freq_factor %g and high_freq_factor %g do not make a band", p->low_freq_factor, p->high_freq_factor);
    if (p->type == PARE_ROPE_YARN)
        PARE_FAIL_IF(diag, !positive(p->beta_fast) || !positive(p->beta_slow) || p->base <= 1.0, PARE_E_CORRUPT,
                     "yarn's beta_fast %g, beta_slow %g and rope_theta %g do not make a band", p->beta_fast, p->beta_slow, p->base);
    if (p->type == PARE_ROPE_DYNAMIC)
        PARE_FAIL_IF(diag, factor_of(p) < 1.0, PARE_E_CORRUPT, "dynamic rope factor %g is below 1", factor_of(p));
    if (p->type == PARE_ROPE_LONGROPE)
        PARE_FAIL_IF(diag, p->short_factor == NULL || p->long_factor == NULL, PARE_E_CORRUPT, "longrope without its two lists of factors");
    return PARE_OK;
}

int pare_rope_init(const struct pare_rope_params *p, uint32_t n_ctx, float *inv_freq, float *attn_scale, struct pare_diag *diag)
{
    uint32_t half = p->dim / 2;

    PARE_FORWARD(check(p, diag));
    for (uint32_t i = 0; i < half; i++) inv_freq[i] = 1.0f / pos_freq(p->base, i, p->dim);
    switch (p->type) {
    case PARE_ROPE_DEFAULT: break;
    case PARE_ROPE_LINEAR:
        for (uint32_t i = 0; i < half; i++) inv_freq[i] /= (float)p->factor;
        break;
    case PARE_ROPE_DYNAMIC: dynamic(p, n_ctx, inv_freq); break;
    case PARE_ROPE_YARN: yarn(p, inv_freq); break;
    case PARE_ROPE_LONGROPE: longrope(p, n_ctx, inv_freq); break;
    case PARE_ROPE_LLAMA3: llama3(p, inv_freq); break;
    }
    for (uint32_t i = 0; i < half; i++) {
        if (p->freq_factor != NULL) inv_freq[i] /= p->freq_factor[i];
        PARE_FAIL_IF(diag, !isfinite(inv_freq[i]), PARE_E_CORRUPT, "rotary frequency %u is not a finite number", i);
    }
    *attn_scale = (float)attention_factor(p);
    return PARE_OK;
}

void pare_rope_row(const float *inv_freq, uint32_t half, uint32_t pos, float attn_scale, float *cs)
{
    for (uint32_t i = 0; i < half; i++) {
        float s, c;

        pare_sincosf_pos((double)((float)pos * inv_freq[i]), &s, &c);
        cs[2 * i] = c * attn_scale;
        cs[2 * i + 1] = s * attn_scale;
    }
}
