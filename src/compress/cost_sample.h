/* SPDX-License-Identifier: Apache-2.0
 * src/compress/cost_sample.h: the rows by which a target's candidates are judged. */
#ifndef PARE_COMPRESS_COST_SAMPLE_H
#define PARE_COMPRESS_COST_SAMPLE_H

#include "compress/target.h"

/* How many rows stand for the whole target. */
uint64_t pare_sample_count(const struct pare_target *t);
/* Reads n rows, evenly chosen. PARE_E_CORRUPT when a weight is not finite. */
int pare_sample_rows(const struct pare_target *t, uint64_t n, float *rows, struct pare_diag *diag);

#endif
