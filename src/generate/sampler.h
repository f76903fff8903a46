/* SPDX-License-Identifier: Apache-2.0
 * src/generate/sampler.h: one token out of a row of logits. Candidates are selected, never is a whole vocabulary sorted: a
 * heap takes the best k, and where k is not given the filters widen the selection only as far as they need. The random number
 * of a step is keyed by (seed, position): the same whatever was sampled before or beside it. */
#ifndef PARE_GENERATE_SAMPLER_H
#define PARE_GENERATE_SAMPLER_H

#include <pare/generate.h>

#include "base/mem.h"
#include "kernel/vec.h"

struct pare_candidate { float key, logit, p; int32_t id; };

struct pare_sampler {
    struct pare_sampling   s;
    const struct pare_vec *vk;
    uint32_t               n_vocab;
    struct pare_candidate *cand;   /* [n_vocab] */
    float                 *row;    /* [n_vocab] changed logits */
    uint16_t              *count;  /* [n_vocab] occurrences among the latest tokens, 0 between calls */
};

/* Checks the settings (PARE_E_USAGE names what is wrong) and allocates for n_vocab; the biases are borrowed. */
int  pare_sampler_create(struct pare_sampler **out, const struct pare_sampling *s, uint32_t n_vocab, const struct pare_vec *vk,
                         struct pare_diag *diag);
void pare_sampler_destroy(struct pare_sampler **s);
/* The next token for position pos (the number of tokens before it), given all n tokens so far (for penalties). Logits stay
 * as they are. Allocates nothing. NaN logits count as -inf; when no token is allowed the result is -1. */
int32_t pare_sampler_next(struct pare_sampler *s, const float *logits, const int32_t *history, size_t n, uint64_t pos);
/* The distribution that next draws from: candidates best first (in order of ids where no filter is on), their probabilities
 * sum to 1; *n their number, 0 when no token is allowed. Valid until the next call. Temperature 0 gives the best alone. */
const struct pare_candidate *pare_sampler_candidates(struct pare_sampler *s, const float *logits, const int32_t *history, size_t n_history,
                                                     uint32_t *n);

#endif
