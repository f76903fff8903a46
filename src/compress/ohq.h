/* SPDX-License-Identifier: Apache-2.0
 * src/compress/ohq.h: types for matrices by what the machine at hand needs for them and by their outputs' errors, without any data
 * (after OHQ, Huang et al., arXiv 2309.01945). Inputs are made up from the norms in front of the matrices; times are those of
 * pare_cost_times; the choice is an integer program. */
#ifndef PARE_COMPRESS_OHQ_H
#define PARE_COMPRESS_OHQ_H

#include "compress/stream.h"
#include "compress/target.h"

/*
 * Mean squares of made-up inputs of each multiplied target, into t->importance (mean 1): a normed input is white noise times the norm's
 * weights; attention's output is what the value matrix makes of that, each head alike; the feed-forward part is computed on `rows`
 * made-up rows (0: 32; gate through SiLU). Inputs that no norm is known for count all channels alike.
 */
int pare_ohq_inputs(struct pare_targets *ts, struct pare_model *m, uint32_t rows, uint64_t seed, struct pare_job *job, struct pare_diag *diag);
/* The above, and err and loss of all candidates: the loss is what the model's output answers to an error of that size in that matrix
 * alone, on windows of tokens drawn at random (8 of at most 64). Nothing but the model is read. */
int pare_ohq_sense(struct pare_targets *ts, struct pare_walk *w, uint64_t seed, struct pare_diag *diag);

/* The choice with the least total loss whose decode_s (as measured, of the multiplied targets) stay within seconds and whose bytes within
 * `bytes` (0: no limit). Tables that are only looked up keep their type. pick [ts->n]. PARE_E_BUDGET when nothing does. */
int pare_ohq_plan(const struct pare_targets *ts, double seconds, uint64_t bytes, uint32_t *pick, double *loss, struct pare_diag *diag);

#endif
