/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg.h: dense linear algebra in f64 for what decides bytes of an output file: factorizations of moments, eigenvectors,
 * singular values. Libraries for it give other bits on another processor or with other threads; here each element has one recipe:
 * an accumulator that starts at its old value and takes its terms one after the other in the order of k, a product and a sum rounded
 * once each (no fma: plain C without the instruction would take ages). Blocks, threads and tiers change no bit of it
 * (docs/linalg.md, tests/unit/test_linalg.c).
 *
 * Matrices lie in rows: element (i, j) at a[i * ld + j], ld >= columns. job gives threads and tier; NULL: the caller alone, best tier.
 * PARE_E_NOMEM is possible wherever int is returned, and then outputs hold nothing useful. */
#ifndef PARE_KERNEL_LINALG_H
#define PARE_KERNEL_LINALG_H

#include <stdbool.h>
#include <stdint.h>

#include <pare/error.h>

struct pare_job;

/* A matrix that is only read, with any strides: transposed or backwards without a copy. Element (i, j) at p[i * rs + j * cs]. */
struct pare_view {
    const double *p;
    int64_t rs, cs;
};

enum pare_mul { PARE_MUL_SET, PARE_MUL_ADD, PARE_MUL_SUB };
enum pare_part { PARE_PART_ALL, PARE_PART_LOWER }; /* LOWER: only elements with column <= row are computed and written */
/* pare_matmul: c [m][n] = a b, c += a b or c -= a b, with a [m][k], b [k][n]; neither may overlap c. Terms in ascending k (SET from +0). */
int pare_matmul(double *c, uint64_t ldc, uint64_t m, uint64_t n, uint64_t k, struct pare_view a, struct pare_view b, enum pare_mul how,
                enum pare_part part, struct pare_job *job, struct pare_diag *diag);
/* pare_mirror copies the lower triangle of a [n][n] to the upper one. */
void pare_mirror(double *a, uint64_t n, uint64_t ld);

/*
 * pare_chol factors the symmetric a [n][n] = L L^T. The lower triangle is read and becomes L; what lies above the diagonal is
 * neither read nor written. Not positive definite, or not finite: PARE_E_CORRUPT, *pivot (may be NULL) is the row where it showed, and
 * the lower triangle is spoilt (keep a copy for another try with more damping).
 * pare_chol_reversed factors a = M M^T with M upper triangular, by eliminating from the last row to the first: the upper triangle is
 * read and becomes M, the rest stays. With U the upper part of M diag(M)^-1, a = (U + I) D (U + I)^T, D = diag(M)^2: the LDL form of
 * error feedback. And M^-1 (pare_tri_inverse) is the upper factor of a^-1 = (M^-1)^T M^-1 that GPTQ uses.
 */
int pare_chol(double *a, uint64_t n, uint64_t ld, uint64_t *pivot, struct pare_job *job, struct pare_diag *diag);
int pare_chol_reversed(double *a, uint64_t n, uint64_t ld, uint64_t *pivot, struct pare_job *job, struct pare_diag *diag);

enum pare_tri { PARE_LOWER, PARE_UPPER };
/* pare_tri_inverse inverts a triangular matrix in place; the other triangle is neither read nor written. PARE_E_CORRUPT when an
 * element of the diagonal is 0 or not finite. */
int pare_tri_inverse(double *t, uint64_t n, uint64_t ld, enum pare_tri shape, struct pare_job *job, struct pare_diag *diag);
/* pare_tri_solve: x [n][m] becomes op(T)^-1 x; pare_tri_solve_right: x [m][n] becomes x op(T)^-1. op: transposed or not. Errors as above. */
int pare_tri_solve(const double *t, uint64_t ldt, uint64_t n, enum pare_tri shape, bool trans, double *x, uint64_t ldx, uint64_t m,
                   struct pare_job *job, struct pare_diag *diag);
int pare_tri_solve_right(const double *t, uint64_t ldt, uint64_t n, enum pare_tri shape, bool trans, double *x, uint64_t ldx, uint64_t m,
                         struct pare_job *job, struct pare_diag *diag);

/*
 * pare_qr: a [m][n], m >= n, becomes Q with orthonormal columns; r [n][n] (NULL: not wanted) the upper triangle with a = Q R, zeros
 * below. Householder: Q is orthonormal for any a, also of deficient rank. PARE_E_CORRUPT when a is not finite.
 * pare_random_orthogonal fills q [n][n] with a random orthogonal matrix, the same for the same seed everywhere: Q of a matrix of
 * normal numbers, columns' signs such that R's diagonal is not negative.
 */
int pare_qr(double *a, uint64_t m, uint64_t n, uint64_t ld, double *r, uint64_t ldr, struct pare_job *job, struct pare_diag *diag);
int pare_random_orthogonal(double *q, uint64_t n, uint64_t ld, uint64_t seed, struct pare_job *job, struct pare_diag *diag);

/*
 * pare_eigh: eigenvalues and eigenvectors of a symmetric matrix, of which the lower triangle is read. w [n] descending; a's rows become
 * the eigenvectors: row i belongs to w[i]. Householder tridiagonalization, then implicit QR steps (Golub and Van Loan 8.3).
 * PARE_E_CORRUPT when a is not finite. Signs: the component of largest magnitude (the first of equals) is positive.
 */
int pare_eigh(double *a, uint64_t n, uint64_t ld, double *w, struct pare_job *job, struct pare_diag *diag);

/*
 * pare_svd: a [m][n] = u diag(s) vt with k = min(m, n): u [m][k], s [k] descending, vt [k][n], all dense. Errors of s are small beside
 * s[0] (about 1e-13 of it); u and vt are orthonormal also where s is 0. a is only read. Signs: the component of largest magnitude of
 * each row of vt is positive. PARE_E_CORRUPT when a is not finite.
 * pare_svd_truncated: the first k of them by subspace iteration from a seeded random start, with four more passes (Halko, Martinsson, Tropp,
 * arXiv 0909.4061, algorithm 4.4); the plain one where that is no more work. u [m][k], s [k], vt [k][n].
 */
int pare_svd(const double *a, uint64_t m, uint64_t n, uint64_t ld, double *u, double *s, double *vt, struct pare_job *job,
             struct pare_diag *diag);
int pare_svd_truncated(const double *a, uint64_t m, uint64_t n, uint64_t ld, uint64_t k, uint64_t seed, double *u, double *s, double *vt,
                       struct pare_job *job, struct pare_diag *diag);

#endif
