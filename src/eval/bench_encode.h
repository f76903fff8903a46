/* SPDX-License-Identifier: Apache-2.0
 * src/eval/bench_encode.h: how fast weights are quantized. */
#ifndef PARE_EVAL_BENCH_ENCODE_H
#define PARE_EVAL_BENCH_ENCODE_H

#include "base/job.h"
#include "tensor/dtype.h"

/* seconds[rounds]: how long a matrix of *weights normal f16 numbers took to become `type`, without importance, by all threads of the job;
 * a round before them touches the memory. PARE_E_USAGE for a type that is not written. */
int pare_bench_encode(const struct pare_dtype *type, struct pare_job *job, uint32_t rounds, double *seconds, uint64_t *weights,
                      struct pare_diag *diag);

#endif
