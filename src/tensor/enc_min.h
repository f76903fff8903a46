/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_min.h: encoders of types with minima, where a group is a line: value = scale * code + base, code 0 .. top.
 * Objective, scaled domain and arithmetic as in enc_search.h. */
#ifndef PARE_TENSOR_ENC_MIN_H
#define PARE_TENSOR_ENC_MIN_H

#include <stdbool.h>
#include <stdint.h>

struct pare_enc_line {
    float scale, base;
};
/* The error of a group (n = 16 or 32) on a line and what a refit needs, with r = x - value:
 * e = sum w r^2, gq = sum w r code, g1 = sum w r, hqq = sum w code^2, hq = sum w code, h1 = sum w. */
struct pare_enc_line_fit {
    float e, gq, g1, hqq, hq, h1;
};
struct pare_enc_line_fit pare_enc_line_probe(const struct pare_enc_line *l, const float *x, const float *w, int n, float top);
float pare_enc_line_error(const struct pare_enc_line *l, const float *x, const float *w, int n, float top);
void pare_enc_line_codes(const struct pare_enc_line *l, const float *x, int n, float top, uint8_t *code);

/* The best unrestricted line of a group, and the fit there. `below`: base must not be above 0; *bound is set where that cost
 * something. */
struct pare_enc_line pare_enc_ideal_line(const float *x, const float *w, int n, int bits, bool below, bool *bound,
                                         struct pare_enc_line_fit *fit);

/* The line of least error of a block of 32 columns, both numbers f16. */
struct pare_enc_line pare_enc_block_line(const float *x, const float *w, int bits, int k, uint16_t *scale_bits,
                                         uint16_t *base_bits);

#endif
