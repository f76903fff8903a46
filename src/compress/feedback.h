/* SPDX-License-Identifier: Apache-2.0
 * src/compress/feedback.h: rounding with error feedback. The error that rounding makes in one column of a weight is partly taken back by
 * the columns that are rounded later, as far as their inputs are correlated with its own.
 *
 * With H = E[x x^T] (damped) = (U + I) D (U + I)^T, U strictly upper, the columns are rounded in order to
 *     q_k = Q(w_k + sum over j < k of (w_j - q_j) U_jk),
 * which leaves the output error tr((W - Q) H (W - Q)^T) = sum of D_k (what Q did to column k)^2. This is LDLQ (QuIP, arXiv 2307.13304),
 * the same rounding as GPTQ (arXiv 2210.17323), from one factorization instead of three. */
#ifndef PARE_COMPRESS_FEEDBACK_H
#define PARE_COMPRESS_FEEDBACK_H

#include "base/job.h"
#include "tensor/dtype.h"

struct pare_feedback {
    uint64_t  n;
    float    *ut;         /* [n][n]: row k holds U_jk for j < k; the rest is not looked at */
    float    *importance; /* [n] D_k over its mean: what an error of column k costs once later columns have answered */
    uint32_t *order;      /* [n] or NULL: position k holds column order[k] */
    double    damping;    /* what was added to the diagonal, as a part of its mean */
    double    scale;      /* mean of D over the mean diagonal: sum of scale * importance (w - q)^2 is the output error that is left */
};

struct pare_feedback_settings {
    double damping;  /* part of the mean diagonal that is added to it; 0: 0.01 */
    double ridge;    /* errors count as such too, by this times the mean diagonal (a tied head is also a table) */
    bool   by_size;  /* columns of large E[x^2] first (act-order) */
};

/* pare_feedback_create factors xx [n][n] (of struct pare_second) in its place; afterwards xx is what it was up to a factor, or spoilt where
 * it failed. Damping is raised tenfold up to three times where the factorization fails; PARE_E_CORRUPT when it still fails or xx is not
 * finite: the caller then rounds without feedback. */
int  pare_feedback_create(struct pare_feedback *f, double *xx, uint64_t n, const struct pare_feedback_settings *s,
                          struct pare_job *job, struct pare_diag *diag);
void pare_feedback_free(struct pare_feedback *f);

/* The same for what a walk has gathered, columns by size; where xx cannot be factored f->ut stays NULL: round without. */
struct pare_second;
int  pare_feedback_of(struct pare_feedback *f, struct pare_second *s, double ridge, const char *name, struct pare_job *job,
                      struct pare_diag *diag);
/* Rounds rows [rows][n] into dst (type's row bytes apart). The scales come from type->encode of the rows as they are, before any
 * feedback. err, if not NULL, gets for each row the output error that is left, in units in which the mean diagonal of H is 1 (damping
 * included). The same bytes for any threads and tier. */
int  pare_feedback_encode(const struct pare_feedback *f, const struct pare_dtype *type, const float *w, uint64_t rows, uint8_t *dst,
                          double *err, struct pare_job *job, struct pare_diag *diag);

#endif
