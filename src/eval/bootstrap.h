/* SPDX-License-Identifier: Apache-2.0
 * src/eval/bootstrap.h: standard errors and intervals by drawing whole windows again with replacement (Efron 1979). Tokens of one
 * window hang together, so errors that take tokens as independent are too small; windows are nearly independent. Model and base are
 * drawn together: what both find hard cancels in their difference. Seeded, the same figures everywhere. */
#ifndef PARE_EVAL_BOOTSTRAP_H
#define PARE_EVAL_BOOTSTRAP_H

#include <jansson.h>

#include <pare/error.h>

#include "nn/score.h"

/* What one window adds to a measurement. Start from zeros. */
struct pare_window_sum {
    uint64_t n, same;
    double   nll, nll_base, kld;
};
void pare_window_add(struct pare_window_sum *w, const struct pare_score *s);

struct pare_interval { double se, lo, hi; }; /* standard error; 95 % between lo and hi */
struct pare_boot {
    struct pare_interval nll, ppl, ln_ratio, kld, top1;
    uint32_t rounds;
};
/* n windows, `rounds` draws (0: 1000). Fewer than two windows give errors of 0 and intervals of one point. PARE_E_NOMEM, PARE_E_USAGE
 * when no window has a token. */
int pare_bootstrap(struct pare_boot *out, const struct pare_window_sum *w, uint32_t n, uint32_t rounds, uint64_t seed, struct pare_diag *diag);

/* {"n","rounds","ppl_se","ppl_95":[,], ...}: with base also "ln_ppl_ratio", "kld", "top1". */
json_t *pare_boot_json(const struct pare_boot *b, bool base);

#endif
