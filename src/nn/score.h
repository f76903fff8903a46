/* SPDX-License-Identifier: Apache-2.0
 * src/nn/score.h: how far one row of logits is from another, and sums of such scores with their standard errors. The one place
 * where likelihood and divergence are computed: calibration, evaluation and proof share it. Full-precision logits only. */
#ifndef PARE_NN_SCORE_H
#define PARE_NN_SCORE_H

#include "kernel/vec.h"

struct pare_score {
    double nll;       /* -log softmax(x)[target], nats; 0 when target < 0 */
    double nll_base;  /* the same of the base, when a base is given */
    double kld;       /* KL(base || x) in nats, >= 0 up to rounding */
    bool   same_top;  /* argmax equal (lowest index among equals) */
};
/* base may be NULL (kld 0, same_top true). tmp: n floats. Bits do not depend on tier, threads or batch. */
void pare_score_row(struct pare_score *s, const struct pare_vec *vk, const float *base, const float *x, uint32_t n,
                    int64_t target, float *tmp);
uint32_t pare_argmax(const struct pare_vec *vk, const float *x, uint32_t n);

/* Sums in order of calls; the caller adds rows in row order. Windows are the independent samples of the standard errors:
 * neighbouring tokens are correlated, windows hardly. */
struct pare_tally {
    uint64_t n, n_target;
    double nll, nll2, nll_base, nll_base2, nll_cross;
    double kld, kld2;
    uint64_t same;
    float *klds;          /* [cap] every kld, for percentiles; NULL: not kept */
    uint64_t cap;
};
void pare_tally_add(struct pare_tally *t, const struct pare_score *s, bool has_target);

struct pare_tally_result {
    uint64_t tokens;
    double nll, nll_se, ppl, ppl_se;         /* se of ppl = ppl * se of nll */
    double nll_base, ppl_base, ppl_base_se;
    double ln_ratio, ln_ratio_se;            /* mean ln(PPL / PPL_base), paired (covariance-corrected) */
    double kld, kld_se, kld_p999, kld_max;   /* p999: 99.9 % quantile, nearest rank */
    double kld_p999_se;                      /* half the spread of the ranks one binomial sigma around it */
    double top1, top1_se;                    /* share of equal argmax, binomial */
};
/* Sorts t->klds. */
void pare_tally_finish(struct pare_tally *t, struct pare_tally_result *r);

#endif
