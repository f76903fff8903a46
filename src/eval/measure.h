/* SPDX-License-Identifier: Apache-2.0
 * src/eval/measure.h: likelihood and divergence of a model over windows, against a base that is recomputed in full precision. */
#ifndef PARE_EVAL_MEASURE_H
#define PARE_EVAL_MEASURE_H

#include "compress/stream.h"
#include "eval/bootstrap.h"

struct pare_measure {
    struct pare_walk *walk;         /* the model */
    struct pare_walk *base;         /* NULL: likelihood only. Same vocabulary */
    const struct pare_windows *win;
    uint32_t score_from;            /* first scored position of a window: its logits predict the next token */
    uint64_t max_rows;              /* residual rows of each model held at once: bounds memory */
    const char *phase;              /* for progress */
    struct pare_window_sum *sums;   /* [win->n] what each window adds, for bootstrapping over windows; NULL: not wanted */
};
/* Adds the scores of all windows, in order, to tally. */
int pare_measure_run(const struct pare_measure *m, struct pare_tally *tally, struct pare_diag *diag);

#endif
