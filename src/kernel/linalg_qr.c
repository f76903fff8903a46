/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_qr.c: Householder QR in blocks of 32 columns, and random orthogonal matrices. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "kernel/linalg_reflect.h"

#define B PARE_REFLECT

/* Columns j0 .. j0 + nb - 1 of a lie in rows of f->v from coordinate j0 on; there they become reflections, and their part of R goes to a. */
static void panel(struct pare_reflect *f, double *a, uint64_t ld, uint64_t j0, uint64_t nb, const struct pare_linalg *ops)
{
    double tau[B];

    for (uint64_t c = 0; c < nb; c++) {
        double *x = f->v + (j0 + c) * f->m + j0, beta;

        for (uint64_t i = 0; i < c; i++) {
            a[(j0 + i) * ld + j0 + c] = x[i];
            x[i] = 0.0;
        }
        beta = pare_reflect_make(x + c, f->m - j0 - c, &tau[c], ops);
        a[(j0 + c) * ld + j0 + c] = beta;
        if (tau[c] == 0.0) continue;
        for (uint64_t d = c + 1; d < nb; d++) {
            double *y = f->v + (j0 + d) * f->m + j0;
            ops->axpy(y + c, -tau[c] * ops->dot(x + c, y + c, f->m - j0 - c), x + c, f->m - j0 - c);
        }
    }
    pare_reflect_block(f, j0 / B, nb, tau, ops);
}

static void factor(struct pare_reflect *f, double *a, uint64_t ld, double *r, uint64_t ldr, struct pare_job *job)
{
    const struct pare_linalg *ops = pare_linalg_for(job);
    uint64_t m = f->m, n = f->n, blocks = (n + B - 1) / B;

    for (uint64_t b = 0; b < blocks; b++) {
        uint64_t j0 = b * B, nb = pare_min_u64(B, n - j0);

        for (uint64_t c = 0; c < nb; c++) {
            double *x = f->v + (j0 + c) * m;
            memset(x, 0, j0 * sizeof *x);
            for (uint64_t i = j0; i < m; i++) x[i] = a[i * ld + j0 + c];
        }
        panel(f, a, ld, j0, nb, ops);
        if (j0 + nb < n) pare_reflect_left(f, b, true, a + j0 * ld + j0 + nb, ld, j0, n - j0 - nb, job);
    }
    for (uint64_t i = 0; r != NULL && i < n; i++)
        for (uint64_t j = 0; j < n; j++) r[i * ldr + j] = j < i ? 0.0 : a[i * ld + j];
    /* Q: the reflections applied to the first columns of the identity, the last block first, as each touches only what lies below. */
    for (uint64_t i = 0; i < m; i++)
        for (uint64_t j = 0; j < n; j++) a[i * ld + j] = i == j ? 1.0 : 0.0;
    for (uint64_t b = blocks; b-- > 0;) pare_reflect_left(f, b, false, a + b * B * ld + b * B, ld, b * B, n - b * B, job);
}

int pare_qr(double *a, uint64_t m, uint64_t n, uint64_t ld, double *r, uint64_t ldr, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_reflect f;
    double max = pare_max_abs(a, m, n, ld), scale;

    PARE_FAIL_IF(diag, m < n, PARE_E_USAGE, "an orthonormal basis of more columns than rows");
    PARE_FAIL_IF(diag, max == INFINITY, PARE_E_CORRUPT, "a matrix to be made orthonormal is not finite");
    PARE_FORWARD(pare_reflect_init(&f, m, n, diag));
    scale = pare_pow2_above(max);
    for (uint64_t i = 0; i < m; i++)
        for (uint64_t j = 0; j < n; j++) a[i * ld + j] /= scale;
    factor(&f, a, ld, r, ldr, job);
    for (uint64_t i = 0; r != NULL && i < n; i++)
        for (uint64_t j = i; j < n; j++) r[i * ldr + j] *= scale;
    pare_reflect_free(&f);
    return PARE_OK;
}

int pare_random_orthogonal(double *q, uint64_t n, uint64_t ld, uint64_t seed, struct pare_job *job, struct pare_diag *diag)
{
    double *r = pare_aligned((n * n + 1) * sizeof *r);
    int rc;

    if (r == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j < n; j++) q[i * ld + j] = (double)pare_rng_normal(seed, PARE_RNG_NOISE, i * n + j);
    rc = pare_qr(q, n, n, ld, r, n, job, diag);
    for (uint64_t j = 0; rc == 0 && j < n; j++)
        for (uint64_t i = 0; r[j * n + j] < 0.0 && i < n; i++) q[i * ld + j] = -q[i * ld + j];
    pare_aligned_free(r);
    return rc;
}
