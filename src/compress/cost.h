/* SPDX-License-Identifier: Apache-2.0
 * src/compress/cost.h: what each candidate costs: error by encoding a sample of rows, loss from the sensitivity, time by running
 * the very kernel on the very shape on this machine. */
#ifndef PARE_COMPRESS_COST_H
#define PARE_COMPRESS_COST_H

#include "compress/inputs.h"
#include "compress/target.h"

/* Fills err and loss of all candidates. Rows are sampled evenly; the same sample for every candidate. */
int pare_cost_errors(struct pare_targets *ts, struct pare_job *job, struct pare_diag *diag);
/* Fills err of the unit's candidates that will be rounded with error feedback, while the moments of their inputs are at hand; they are
 * used up. Call it before pare_cost_errors, which then leaves those errors alone. */
int pare_cost_feedback(struct pare_targets *ts, uint32_t unit, struct pare_inputs *in, struct pare_job *job, struct pare_diag *diag);
/* Fills decode_s and prefill_s, one measurement per (type, shape). Weights are random; caches are kept cold by rotating copies. */
int pare_cost_times(struct pare_targets *ts, struct pare_job *job, struct pare_diag *diag);

#endif
