/* SPDX-License-Identifier: Apache-2.0
 * src/eval/bench_kernels.h: products of single matrices without anything around them. */
#ifndef PARE_EVAL_BENCH_KERNELS_H
#define PARE_EVAL_BENCH_KERNELS_H

#include "base/job.h"
#include "base/json.h"
#include "kernel/gemmq.h"

/* Appends a test for each quantized type at 1, 4, 8 and many tokens to `tests`, beside what the limits allow. */
int pare_bench_kernels(json_t *tests, const struct pare_limits *limits, struct pare_job *job, struct pare_diag *diag);

#endif
