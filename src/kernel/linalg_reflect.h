/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_reflect.h: products of Householder reflections, H = I - tau v v^T, kept in blocks of 32 as I - V T V^T (Schreiber
 * and Van Loan 1989) so that applying them is two matrix products. */
#ifndef PARE_KERNEL_LINALG_REFLECT_H
#define PARE_KERNEL_LINALG_REFLECT_H

#include "kernel/linalg_private.h"

#define PARE_REFLECT 32 /* reflections in a block */

struct pare_reflect {
    double  *v;    /* [n][m]: row j is the vector of reflection j, zeros in front and at its end */
    double  *t;    /* [n / 32 rounded up][32][32], upper triangular */
    double  *w;    /* scratch, [2][32][larger of m, n] */
    uint64_t m, n;
    struct pare_mul_space space;
};
int  pare_reflect_init(struct pare_reflect *r, uint64_t m, uint64_t n, struct pare_diag *diag);
void pare_reflect_free(struct pare_reflect *r);
/* Makes x [n] into (beta, 0, ..): v with v[0] = 1 is left in x, *tau set (0: nothing to do), beta returned. Numbers below 1e-140 beside
 * those of a matrix scaled to 1 count as 0. */
double pare_reflect_make(double *x, uint64_t n, double *tau, const struct pare_linalg *ops);
/* Fills block b's t from its vectors and tau [32]; n: reflections in it. */
void pare_reflect_block(struct pare_reflect *r, uint64_t b, uint64_t n, const double *tau, const struct pare_linalg *ops);
/* c [m - r0][cols], row 0 being coordinate r0, becomes (I - V T V^T) c, or with T transposed. Vectors of block b are 0 before r0. */
void pare_reflect_left(const struct pare_reflect *r, uint64_t b, bool trans, double *c, uint64_t ldc, uint64_t r0, uint64_t cols,
                       struct pare_job *job);
/* c [rows][m - r0] becomes c (I - V T V^T)^T. */
void pare_reflect_right(const struct pare_reflect *r, uint64_t b, double *c, uint64_t ldc, uint64_t r0, uint64_t rows, struct pare_job *job);

#endif
