/* SPDX-License-Identifier: Apache-2.0
 * src/model/rotation.h: orthogonal maps of one axis: random signs followed by Hadamard matrices, or a dense matrix. Everything in f64 and
 * plain C, so that folded weights have the same bits everywhere.
 *
 * A Hadamard block of K * 2^m is a K x K matrix of Paley's constructions (K - 1 a prime, or K / 2 - 1 a prime of the form 4 i + 1) times
 * Sylvester's: n = 576 is 36 * 16, 4864 is 76 * 64, 18944 is 148 * 128. Widths that have no such K (11008 = 43 * 256) get blocks of
 * their largest power of two, and a width without a power of two above 1 gets signs only. */
#ifndef PARE_MODEL_ROTATION_H
#define PARE_MODEL_ROTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct pare_rotation {
    uint64_t n;          /* of the axis */
    uint64_t block;      /* columns of one Hadamard block, divides n; 1: signs only */
    uint32_t order;      /* K; 1: a power of two */
    int8_t  *table;      /* [order][order], NULL for order 1 */
    int8_t  *sign;       /* [n] */
    double  *dense;      /* [n][n], NULL: Hadamard */
};

/* Signs are keyed by seed. max_block 0: the widest block that the width allows; else blocks of at most that power of two. */
int  pare_rotation_hadamard(struct pare_rotation *r, uint64_t n, uint64_t max_block, uint64_t seed, struct pare_diag *diag);
/* A random orthogonal matrix: a product of Householder reflections of normal vectors (Stewart 1980), n^2 * 8 bytes. */
int  pare_rotation_random(struct pare_rotation *r, uint64_t n, uint64_t seed, struct pare_diag *diag);
/* Copies q [n][n], whose rows are orthonormal to 1e-9, else PARE_E_USAGE. */
int  pare_rotation_dense(struct pare_rotation *r, uint64_t n, const double *q, struct pare_diag *diag);
int  pare_rotation_copy(struct pare_rotation *r, const struct pare_rotation *from, struct pare_diag *diag);
void pare_rotation_free(struct pare_rotation *r);

/* x <- x R and x <- x R^T for one row x [n]; tmp [n]. */
void pare_rotation_apply(const struct pare_rotation *r, double *x, double *tmp);
void pare_rotation_back(const struct pare_rotation *r, double *x, double *tmp);

#endif
