/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The first i with x[i] == v; n where there is none. Blocks of a constant length become vector code; only the block that has it is
 * looked at one by one. */
static uint32_t first_equal(const float *x, uint32_t n, float v)
{
    uint32_t at = 0;

    for (; at + 64 <= n; at += 64) {
        int32_t hit = 0;

        for (int i = 0; i < 64; i++) hit |= x[at + (uint32_t)i] == v;
        if (hit) break;
    }
    while (at < n && x[at] != v) at++;
    return at;
}

uint32_t pare_argmax(const struct pare_vec *vk, const float *x, uint32_t n)
{
    uint32_t at = first_equal(x, n, vk->max(x, n));

    return at < n ? at : 0;
}

/* Differences of a block of logits from the largest (down) and between the two models; -inf minus -inf of masked tokens must not
 * become NaN. */
static void differences(float *down, float *diff, const float *base, const float *x, float max_b, uint32_t n)
{
    uint32_t i = 0;

    for (; i + 64 <= n; i += 64)
        for (int j = 0; j < 64; j++) {
            down[i + (uint32_t)j] = base[i + (uint32_t)j] - max_b;
            diff[i + (uint32_t)j] = base[i + (uint32_t)j] - x[i + (uint32_t)j];
        }
    for (; i < n; i++) {
        down[i] = base[i] - max_b;
        diff[i] = base[i] - x[i];
    }
}

void pare_score_row(struct pare_score *s, const struct pare_vec *vk, const float *base, const float *x, uint32_t n,
                    int64_t target, float *tmp)
{
    double lse = vk->logsumexp(x, n);

    memset(s, 0, sizeof *s);
    s->same_top = true;
    if (target >= 0) s->nll = lse - (double)x[target];
    if (base == NULL) return;
    {
        double lse_b = vk->logsumexp(base, n), sum = 0;
        float  max_b = vk->max(base, n);
        /* KL = sum p_b (x_b - x_q) + lse_q - lse_b with p_b = exp(x_b - max) * exp(max - lse_b). The differences are taken
         * before they are weighted, so equal logits give exactly zero. */
        for (uint32_t at = 0; at < n; at += 4096) {
            uint32_t m = n - at < 4096 ? n - at : 4096;
            float    diff[4096];
            differences(tmp, diff, base + at, x + at, max_b, m);
            vk->exp(tmp, tmp, m);
            for (uint32_t i = 0; i < m; i++)
                diff[i] = tmp[i] == 0 ? 0 : diff[i];
            sum += (double)vk->dot(tmp, diff, m);
        }
        s->kld = sum * pare_exp((double)max_b - lse_b) + (lse - lse_b);
        if (target >= 0) s->nll_base = lse_b - (double)base[target];
        s->same_top = pare_argmax(vk, base, n) == pare_argmax(vk, x, n);
    }
}

void pare_tally_add(struct pare_tally *t, const struct pare_score *s, bool has_target)
{
    if (has_target) {
        t->n_target++;
        t->nll += s->nll;
        t->nll2 += s->nll * s->nll;
        t->nll_base += s->nll_base;
        t->nll_base2 += s->nll_base * s->nll_base;
        t->nll_cross += s->nll * s->nll_base;
    }
    if (t->klds != NULL && t->n < t->cap) t->klds[t->n] = (float)s->kld;
    t->n++;
    t->kld += s->kld;
    t->kld2 += s->kld * s->kld;
    t->same += s->same_top;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static double se_of_mean(double sum, double sum2, uint64_t n)
{
    double mean, var;

    if (n < 2) return 0;
    mean = sum / (double)n;
    var = sum2 / (double)n - mean * mean;
    return var > 0 ? sqrt(var / (double)(n - 1)) : 0;
}

static float rank(const struct pare_tally *t, double r)
{
    uint64_t n = t->n < t->cap ? t->n : t->cap;
    int64_t  i = (int64_t)ceil(r) - 1;

    if (i < 0) i = 0;
    if (i >= (int64_t)n) i = (int64_t)n - 1;
    return t->klds[i];
}

void pare_tally_finish(struct pare_tally *t, struct pare_tally_result *r)
{
    double n = (double)t->n, nt = (double)t->n_target;

    memset(r, 0, sizeof *r);
    r->tokens = t->n;
    if (t->n_target > 0) {
        r->nll = t->nll / nt;
        r->nll_se = se_of_mean(t->nll, t->nll2, t->n_target);
        r->ppl = exp(r->nll);
        r->ppl_se = r->ppl * r->nll_se;
        r->nll_base = t->nll_base / nt;
        r->ppl_base = exp(r->nll_base);
        r->ppl_base_se = r->ppl_base * se_of_mean(t->nll_base, t->nll_base2, t->n_target);
        r->ln_ratio = r->nll - r->nll_base;
        r->ln_ratio_se = se_of_mean(t->nll - t->nll_base, t->nll2 + t->nll_base2 - 2 * t->nll_cross, t->n_target);
    }
    if (t->n == 0) return;
    r->kld = t->kld / n;
    r->kld_se = se_of_mean(t->kld, t->kld2, t->n);
    r->top1 = (double)t->same / n;
    r->top1_se = sqrt(r->top1 * (1 - r->top1) / n);
    if (t->klds != NULL) {
        uint64_t m = t->n < t->cap ? t->n : t->cap;
        double   q = 0.999 * (double)m, sigma = sqrt((double)m * 0.999 * 0.001);
        qsort(t->klds, m, sizeof *t->klds, by_value);
        r->kld_p999 = rank(t, q);
        r->kld_max = t->klds[m - 1];
        r->kld_p999_se = 0.5 * (double)(rank(t, q + sigma) - rank(t, q - sigma));
    }
}
