/* SPDX-License-Identifier: Apache-2.0
 * src/compress/partial_binary.h: a few salient weights in 8 bits, the rest one bit each (PB-LLM, arXiv 2310.00034, its calibrated part).
 * In every run of columns the largest scores of all rows together are salient: |w|, or what the output loses when the weight goes,
 * w^2 / [H^-1]_cc with the columns before c already fixed (the squared diagonal of the inverse's Cholesky factor, as the published
 * code has it; importance of struct pare_feedback is its reciprocal). The others become mu + alpha sign(w - mu), mu the mean and alpha the
 * mean distance of the row's binary weights in the run, which is best in squared error. With feedback the error of each column is handed on
 * to later ones (compress/feedback.h). */
#ifndef PARE_COMPRESS_PARTIAL_BINARY_H
#define PARE_COMPRESS_PARTIAL_BINARY_H

#include <stdbool.h>

#include "compress/feedback.h"

struct pare_partial_settings {
    double   share;   /* of salient weights, 0 .. 1; 1: every weight in 8 bits */
    uint32_t run;     /* columns that compete with each other and share mu and alpha; 0: 128 */
    bool     by_size; /* score |w| even where there is feedback */
    bool     no_feedback; /* round to nearest; f serves the scores only */
};

/* A matrix in parts. Values lie as the kernels need them; files hold what pare_partial_pack makes. */
struct pare_partial {
    uint64_t rows, cols;
    uint32_t run, n_runs;
    uint8_t *salient;  /* [rows][cols] 1: 8 bits */
    int8_t  *code;     /* [rows][cols] 8-bit code, or sign 1 / -1 */
    float   *mu, *alpha;/* [rows][n_runs], what an f16 holds */
    float   *scale;    /* [rows] of the 8-bit codes, what an f16 holds */
    uint64_t n_salient;
};

/* pare_partial_create rounds w [rows][cols]. f: of the input, without an order; NULL: scores by size and no feedback. On failure nothing is
 * held; PARE_E_CORRUPT when a weight is not finite or beyond an f16. The same bits for any tier. */
int  pare_partial_create(struct pare_partial *p, const float *w, uint64_t rows, uint64_t cols, const struct pare_feedback *f,
                         const struct pare_partial_settings *s, struct pare_job *job, struct pare_diag *diag);
/* pare_partial_shape allocates an empty one: the first half of create and of unpack. run 0: 128. */
int  pare_partial_shape(struct pare_partial *p, uint64_t rows, uint64_t cols, uint32_t run, struct pare_diag *diag);
void pare_partial_free(struct pare_partial *p);
void pare_partial_decode(const struct pare_partial *p, float *w);

/* What a file holds, in bits: a mask (gaps between salient weights in row order, Rice-coded), a sign for each other weight, 8 bits for each
 * salient one, and the scales. */
struct pare_buf;
struct pare_partial_size { uint64_t mask, signs, values, scales; };
/* pare_partial_pack appends those bits to buf (NULL: counts only). PARE_E_NOMEM. */
int pare_partial_pack(const struct pare_partial *p, struct pare_buf *buf, struct pare_partial_size *size, struct pare_diag *diag);
/* The inverse: n bytes that pare_partial_pack made for a matrix [rows][cols]. PARE_E_CORRUPT when they are none. */
int pare_partial_unpack(struct pare_partial *p, uint64_t rows, uint64_t cols, uint32_t run, const uint8_t *bytes, uint64_t n, struct pare_diag *diag);

#endif
