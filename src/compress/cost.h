/* SPDX-License-Identifier: Apache-2.0
 * src/compress/cost.h: what each candidate costs: error by encoding a sample of rows, loss from the sensitivity, time by running
 * the very kernel on the very shape on this machine. */
#ifndef PARE_COMPRESS_COST_H
#define PARE_COMPRESS_COST_H

#include "compress/target.h"

/* Fills err and loss of all candidates. Rows are sampled evenly; the same sample for every candidate. */
int pare_cost_errors(struct pare_targets *ts, struct pare_job *job, struct pare_diag *diag);
/* Fills decode_s and prefill_s, one measurement per (type, shape). Weights are random; caches are kept cold by rotating copies. */
int pare_cost_times(struct pare_targets *ts, struct pare_job *job, struct pare_diag *diag);

#endif
