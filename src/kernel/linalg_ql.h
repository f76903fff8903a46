/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_ql.h: the second half of pare_eigh. */
#ifndef PARE_KERNEL_LINALG_QL_H
#define PARE_KERNEL_LINALG_QL_H

#include "kernel/linalg_private.h"

/* pare_tridiagonal: eigenvalues of the symmetric tridiagonal matrix with diagonal d [n] and e [n - 1] beside it go to d, unordered; rows of
 * zt [n][n] are rotated along, so that zt = Q^T becomes (Q Y)^T. e is used up. Elements below 1e-30 count as 0. */
int pare_tridiagonal(double *d, double *e, double *zt, uint64_t n, uint64_t ld, struct pare_job *job, struct pare_diag *diag);

#endif
