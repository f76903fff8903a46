/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/fold_merge.h"

#include <string.h>

#include "base/mem.h"
#include "compress/grid.h"
#include "compress/method.h"
#include "kernel/vec.h"

static const struct pare_method_option merge_options[] = {
    { "bits", "int", "4 .. 8", "8", "of activations" },
};
const struct pare_method pare_method_mergequant = {
    .id = "mergequant", .module = "compress/fold_merge", .title = "Static activation scales by channel, folded into norms and neighbouring weights.",
    .source = "MergeQuant (Quantization Step Migration)", .stage = PARE_STAGE_ROUND, .guarantee = "bounded",
    .neutral = "no site: bit for bit", .tested = "tests/method/test_folds_static.c",
    .acceptance = "8-bit and 4-bit weights and activations with no pass for a row's largest value: the integer product equals the product of "
                  "rounded floats exactly, and perplexity is at most 5 % above that of scales by token.",
    .measured = "demo-llama: perplexity with 8 bits 226.9 (by token 226.0), with 4 bits 276.3 (264.1), divergence 0.0044 (0.0008) and 0.250 (0.204); "
                "0 passes instead of 43008. "
                "SmolLM2-135M, 384 tokens, 8 bits: perplexity 59.5 (by token 60.7), divergence 0.071 (0.049)", PARE_OPTIONS(merge_options),
};

void pare_merge_round(float *x, uint64_t n, uint32_t bits)
{
    float q = (float)((1u << (bits - 1)) - 1);

    for (uint64_t i = 0; i < n; i++) x[i] = pare_grid_step(x[i], 1, q);
}

#define ROWS 128  /* output rows that the choice looks at */
#define TOKENS PARE_FOLD_TOKENS /* many: what is limited shows in rare rows */

struct trial {
    const struct pare_fold_layer     *l;
    const struct pare_merge_settings *set;
    const struct pare_site           *x;
    const struct pare_fold_sample    *sample;
    float    *w, *y;     /* [rows][width] rows of all readers, [n][rows] their outputs */
    float    *wq, *xq, *yq;
    uint64_t  rows;
    uint32_t  n;
    double   *reach, *seen, *s, *wide; /* largest |x|: of all calibration, of the sample's even rows */
};

static int trial_rows(struct trial *t, struct pare_diag *diag)
{
    uint64_t all = 0, step, at = 0, width = t->x->width;

    for (uint32_t i = 0; i < t->x->n_to; i++) all += t->x->to[i]->rows;
    step = (all + ROWS - 1) / ROWS;
    for (uint32_t i = 0; i < t->x->n_to; i++) t->rows += (t->x->to[i]->rows + step - 1) / step;
    t->n = t->sample->n < TOKENS ? t->sample->n : TOKENS;
    t->w = pare_aligned(t->rows * width * sizeof *t->w);
    t->wq = pare_aligned(t->rows * width * sizeof *t->wq);
    t->y = pare_aligned(t->rows * t->n * sizeof *t->y);
    t->yq = pare_aligned(t->rows * t->n * sizeof *t->yq);
    t->xq = pare_aligned(t->n * width * sizeof *t->xq);
    t->reach = pare_zalloc(t->x->own, sizeof *t->reach);
    t->seen = pare_zalloc(t->x->own, sizeof *t->seen);
    t->s = pare_zalloc(t->x->own, sizeof *t->s);
    t->wide = pare_zalloc(width, sizeof *t->wide);
    if (t->w == NULL || t->wq == NULL || t->y == NULL || t->yq == NULL || t->xq == NULL || t->reach == NULL || t->seen == NULL || t->s == NULL || t->wide == NULL)
        return PARE_NOMEM(diag);
    for (uint32_t i = 0; i < t->x->n_to; i++)
        for (uint64_t r = 0; r < t->x->to[i]->rows; r += step, at++) PARE_FORWARD(pare_slot_rows(t->x->to[i], r, 1, t->w + at * width, diag));
    pare_vec_for(t->l->w->job->tier)->gemm_f32(t->y, t->rows, t->w, width * sizeof *t->w, t->sample->x, width, width, 0, t->rows, t->n);
    return PARE_OK;
}

static void trial_free(struct trial *t)
{
    pare_aligned_free(t->w);
    pare_aligned_free(t->wq);
    pare_aligned_free(t->y);
    pare_aligned_free(t->yq);
    pare_aligned_free(t->xq);
    pare_free(t->reach);
    pare_free(t->seen);
    pare_free(t->s);
    pare_free(t->wide);
}

static uint64_t own_of(const struct pare_site *x, uint64_t c)
{
    return x->share == 1 ? c : c / x->head / x->share * x->head + c % x->head;
}

/* s = clip * reach^follow * most^(1 - follow) / q; a dead channel follows the largest. */
static void make(struct trial *t, const double *reach, double clip, double follow)
{
    double most = 0, q = (double)((1u << (t->set->bits - 1)) - 1);

    for (uint64_t i = 0; i < t->x->own; i++) most = reach[i] > most ? reach[i] : most;
    for (uint64_t i = 0; i < t->x->own; i++) {
        double a = reach[i] > most * 1e-4 ? reach[i] : most;

        t->s[i] = most > 0 ? clip * pare_pow(a, follow) * pare_pow(most, 1 - follow) / q : 1;
    }
    for (uint64_t c = 0; c < t->x->width; c++) t->wide[c] = t->s[own_of(t->x, c)];
}

static double loss(struct trial *t)
{
    uint64_t width = t->x->width;
    double   sum = 0;

    for (uint64_t r = 0; r < t->rows; r++) {
        for (uint64_t c = 0; c < width; c++) t->wq[r * width + c] = (float)((double)t->w[r * width + c] * t->wide[c]);
        t->set->round(t->set->ctx, t->wq + r * width, width);
    }
    for (uint64_t i = 0; i < t->n * width; i++) t->xq[i] = (float)((double)t->sample->x[i] / t->wide[i % width]);
    pare_merge_round(t->xq, t->n * width, t->set->bits);
    pare_vec_for(t->l->w->job->tier)->gemm_f32(t->yq, t->rows, t->wq, width * sizeof *t->wq, t->xq, width, width, 0, t->rows, t->n);
    /* Odd rows only: how far unseen rows go beyond the range is part of the choice. */
    for (uint64_t i = 0; i < t->rows * t->n; i++)
        if (i / t->rows % 2 == 1) sum += ((double)t->yq[i] - (double)t->y[i]) * ((double)t->yq[i] - (double)t->y[i]);
    return sum;
}

#define KEEP(k) (1.75 - 0.2 * (k)) /* 1.75 .. 0.35 */

static int merge_site(const struct pare_fold_layer *l, const struct pare_merge_settings *set, const struct pare_site *x, struct pare_diag *diag)
{
    struct trial              t = { .l = l, .set = set, .x = x, .sample = pare_fold_rows_of(l, x->to[0]) };
    const struct pare_second *m = pare_fold_moments(l, x->to[0]);
    double                    least = 0, clip = 1, follow = 0;
    int                       rc = trial_rows(&t, diag);

    for (uint64_t c = 0; rc == PARE_OK && c < x->width; c++) {
        double a = -(double)m->min[c] > (double)m->max[c] ? -(double)m->min[c] : (double)m->max[c];
        if (a > t.reach[own_of(x, c)]) t.reach[own_of(x, c)] = a;
    }
    for (uint32_t i = 0; rc == PARE_OK && i < t.n; i += 2)
        for (uint64_t c = 0; c < x->width; c++) {
            double a = (double)t.sample->x[i * x->width + c];
            a = a < 0 ? -a : a;
            if (a > t.seen[own_of(x, c)]) t.seen[own_of(x, c)] = a;
        }
    for (int k = 0; rc == PARE_OK && k < 8; k++)
        for (int j = 0; j < 4; j++) {
            double e;

            make(&t, t.seen, KEEP(k), j / 3.0);
            e = loss(&t);
            if ((k != 0 || j != 0) && !(e < least)) continue;
            least = e;
            clip = KEEP(k);
            follow = j / 3.0;
        }
    if (rc == PARE_OK) make(&t, t.reach, clip, follow);
    if (rc == PARE_OK) rc = pare_site_scale(l->f, x, t.s, diag);
    trial_free(&t);
    return rc;
}

struct state { const struct pare_merge_settings *set; uint32_t *sites; };

static int see_layer(void *user, const struct pare_fold_layer *l, struct pare_diag *diag)
{
    struct state *st = user;

    for (uint32_t i = 0; i < l->sites->n; i++) {
        const struct pare_site *x = &l->sites->site[i];

        if (x->unit != l->unit || !x->scales || x->n_to == 0 || pare_fold_moments(l, x->to[0]) == NULL) continue;
        PARE_FORWARD(merge_site(l, st->set, x, diag));
        ++*st->sites;
    }
    return PARE_OK;
}

int pare_fold_merge(struct pare_folds *f, struct pare_walk *w, const struct pare_windows *calib, const struct pare_merge_settings *s,
                    uint32_t *sites, struct pare_diag *diag)
{
    struct pare_fold_mark mark = pare_folds_mark(f);
    struct state          st = { s, sites };
    int                   rc;

    *sites = 0;
    rc = pare_fold_pass(f, w, calib, false, see_layer, &st, diag);
    if (rc < 0) pare_folds_back(f, mark);
    return rc;
}
