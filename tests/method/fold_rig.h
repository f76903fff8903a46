/* SPDX-License-Identifier: Apache-2.0
 * tests/method/fold_rig.h: a lab with folds: what the tests of methods that rewrite a model share. */
#ifndef PARE_TESTS_FOLD_RIG_H
#define PARE_TESTS_FOLD_RIG_H

#include "lab_rig.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "compress/fold_awq.h"
#include "compress/fold_rotate.h"
#include "compress/fold_smooth.h"
#include "compress/grid.h"

static struct rig         rig, *r = &rig;
static struct pare_folds *folds;
static struct pare_sites  sites;
static float             *first_logits; /* of the original, for some rows */
#define ROWS 16

#define NEED(call)                                                                                                     \
    do {                                                                                                               \
        struct pare_diag d = { 0 };                                                                                    \
        if ((call) < 0) fail_msg("%s: %s", #call, pare_diag_format(&d, (char[600]){ 0 }, 600));                        \
    } while (0)

static inline uint32_t head_unit(void) { return pare_model_info_of(r->lab.m)->n_units - 1; }
static inline bool in_layer(uint32_t i) { return r->lab.weight[i].unit != head_unit(); }

static inline void logits(float *out)
{
    const struct pare_model_info *info = pare_model_info_of(r->lab.m);
    uint64_t                      rows = (uint64_t)r->eval.n * r->eval.len;

    for (uint32_t i = 0; i < ROWS; i++)
        NEED(pare_head_logits(r->lab.m, r->lab.last + rows / ROWS * i * info->n_embd, 1, out + (uint64_t)i * info->n_vocab, r->lab.w->work, NULL,
                              r->job, &d));
}

/* The rewritten model, loaded, its last rows as the reference of measurements. @return largest change of a logit over the largest. */
static inline double refold(void)
{
    uint64_t n = (uint64_t)ROWS * pare_model_info_of(r->lab.m)->n_vocab;
    float   *now = pare_aligned(n * sizeof *now);
    double   diff = 0, most = 0;

    NEED(pare_fold_reload(r->lab.m, r->job, &d));
    NEED(pare_walk_units(r->lab.w, 0, head_unit(), &r->eval, r->lab.last, NULL, &d));
    logits(now);
    for (uint64_t i = 0; i < n; i++) {
        diff = fmax(diff, fabs((double)now[i] - (double)first_logits[i]));
        most = fmax(most, fabs((double)first_logits[i]));
    }
    pare_aligned_free(now);
    return diff / most;
}

static inline void unfold(void)
{
    pare_folds_back(folds, (struct pare_fold_mark){ 0 });
    assert_true(refold() == 0);
}

/* Weights and inputs of the layers on grids; the head as it is. */
struct scheme {
    const struct pare_grid *w, *a;
    bool                    clip; /* weights limited as AWQ does first */
};

static inline int round_weight(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    const struct scheme *q = user;
    uint64_t             cols = lab->weight[i].cols;
    const char          *role = lab->weight[i].role;

    if (!in_layer(i) || q->w == NULL) return 1;
    if (q->clip && strcmp(role, "attn_q") != 0 && strcmp(role, "attn_k") != 0)
        PARE_FORWARD(pare_awq_clip(w, lab->weight[i].rows, cols, q->w->group, lab->weight[i].in->xx, pare_grid_round, q->w, r->job, diag));
    for (uint64_t k = 0; k < lab->weight[i].rows; k++) pare_grid_round(q->w, w + k * cols, cols);
    return 0;
}

static inline bool round_input(void *user, const struct pare_lab *lab, uint32_t i, float *x, uint64_t ldx, uint32_t n)
{
    const struct scheme *q = user;

    if (!in_layer(i) || q->a == NULL) return false;
    for (uint32_t k = 0; k < n; k++) pare_grid_round(q->a, x + k * ldx, lab->weight[i].cols);
    return true;
}

static inline struct pare_tally_result measure(struct scheme q) { return rig_measure(r, &(struct pare_lab_change){ round_weight, round_input, &q }); }

static inline int open_all(void **state)
{
    bool large = getenv("PARE_ACCEPT") != NULL; /* a few windows of a large model */

    (void)state;
    rig_open(r, 128, large ? 4 : 12, large ? 3 : 8, true);
    NEED(pare_folds_create(&folds, r->lab.m, &d));
    NEED(pare_sites_of(&sites, r->lab.m, &d));
    first_logits = pare_aligned((uint64_t)ROWS * pare_model_info_of(r->lab.m)->n_vocab * sizeof(float));
    logits(first_logits);
    return 0;
}

static inline int close_all(void **state)
{
    (void)state;
    pare_sites_free(&sites);
    pare_folds_destroy(&folds);
    pare_aligned_free(first_logits);
    rig_close(r);
    return 0;
}

/* --- outliers: the same function with some channels of each norm far larger ---------------------------------------------------- */

static inline void add_outliers(double by)
{
    double *s = pare_alloc_array(1u << 16, sizeof *s);

    for (uint32_t i = 0; i < sites.n; i++) {
        const struct pare_site *x = &sites.site[i];

        if (x->kind != PARE_SITE_NORM || x->unit == head_unit()) continue;
        for (uint64_t c = 0; c < x->own; c++) s[c] = 1;
        for (uint32_t k = 0; k < 8; k++) s[pare_rng_u64(i, PARE_RNG_TEST, k) % x->own] = 1 / by;
        NEED(pare_site_scale(folds, x, s, &d));
    }
    pare_free(s);
}

#endif
