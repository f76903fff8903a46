/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_tiers.h: the inner loops of linalg by tier, and the layouts they share: strips of 16 columns, panels of 8 rows.
 * A strip holds n rows of 16 numbers side by side; whatever is solved or rotated, the 16 are independent of each other. */
#ifndef PARE_KERNEL_LINALG_TIERS_H
#define PARE_KERNEL_LINALG_TIERS_H

#include <stdint.h>

#define PARE_STRIP 16
#define PARE_MROWS 8

struct pare_rotation {
    double c, s;
};

struct pare_linalg {
    /* c [8][16], rows ldc apart: c[i][j] -= a[k][i] * b[k][j], k ascending; a [n][8], b [n][16]. */
    void (*tile)(double *c, int64_t ldc, const double *a, const double *b, uint64_t n);
    /* Forward substitution on x [n][16]: x[k] /= t[k][k], then x[j] -= t[k][j] * x[k] for j > k; t [n][n] is L transposed. */
    void (*solve)(double *x, const double *t, uint64_t n);
    /* Rows i and i + 1 of z [..][16] become c z[i] + s z[i+1] and c z[i+1] - s z[i], for i = 0 .. n - 1 one after the other. */
    void (*rotate)(double *z, const struct pare_rotation *r, uint64_t n);
    /* Sixteen lanes as in kernel/vec.h, in f64 with product and sum rounded apart. */
    double (*dot)(const double *a, const double *b, uint64_t n);
    void (*axpy)(double *y, double a, const double *x, uint64_t n); /* y += a * x */
};

extern const struct pare_linalg pare_linalg_ref;
#if defined(__x86_64__)
extern const struct pare_linalg pare_linalg_avx2, pare_linalg_avx512;
#endif

struct pare_job;
/* The loops of a job's tier; of the best tier for NULL. Never NULL. */
const struct pare_linalg *pare_linalg_for(const struct pare_job *job);

#endif
