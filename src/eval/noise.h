/* SPDX-License-Identifier: Apache-2.0
 * src/eval/noise.h: how far a model is from itself when only the way of computing changes: what a divergence must exceed to mean
 * anything. */
#ifndef PARE_EVAL_NOISE_H
#define PARE_EVAL_NOISE_H

#include "base/job.h"
#include "base/json.h"

/* On at most 4 windows of the text. *out (owned): {"threads": 0 by construction and measured, "kv_f16", "int8_activations" (null for a
 * model of floats, which has none), "tokens"}; mean divergence in nats a token, against f32 activations and an f32 cache. */
int pare_noise_floor(const char *path, const char *text, size_t n, uint32_t ctx, bool bos, json_t **out, struct pare_job *job,
                     struct pare_diag *diag);

#endif
