/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_loops.h: the inner loops of the encoders, in plain C here and in faster tiers in the kernel room, with the same bits
 * everywhere (the 16-lane rule, no contraction). Encoders are reached through the rows of dtype.h, whose signature has no room for a
 * tier; so each thread says once which loops it wants. */
#ifndef PARE_TENSOR_ENC_LOOPS_H
#define PARE_TENSOR_ENC_LOOPS_H

#include "tensor/enc_min.h"
#include "tensor/enc_search.h"
#include "tensor/enc_wide.h"

struct pare_enc_loops {
    struct pare_enc_fit (*probe)(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale);
    float (*error)(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale);
    struct pare_enc_line_fit (*line_probe)(const struct pare_enc_line *l, const float *x, const float *w, int n, float top);
    float (*line_error)(const struct pare_enc_line *l, const float *x, const float *w, int n, float top);
    const struct pare_enc_wide *wide;
};
extern const struct pare_enc_loops pare_enc_loops_plain;

/* The loops of the calling thread; NULL: plain C, as at the thread's start. */
void pare_enc_use(const struct pare_enc_loops *loops);
const struct pare_enc_wide *pare_enc_wide_now(void);

#endif
