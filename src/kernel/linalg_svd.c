/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_svd.c: singular values and vectors from products and eigenvectors. Those of the Gram matrix alone lose half of the
 * digits: values below 1e-8 of the largest are noise. Therefore only what lies within 1e-2 of the largest value is taken from
 * it; the rest of the columns, whose own Gram matrix has small elements, are worked on again until none is left. What the products
 * leave between the columns (about 1e-14 of the largest value) a QR factorization takes out, so that u is orthonormal even where s is 0. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "kernel/linalg_private.h"

#define TAKE 1e-4    /* of the largest eigenvalue: 1e-2 of the largest singular value */
#define EXTRA 10     /* columns beyond the wanted rank in a random start, and a tenth of it */
#define PASSES 4

/* x [p][q], p >= q, becomes x v with columns orthogonal up to rounding, in descending order of their length; vt [q][q] is v^T. */
static int turn(double *x, uint64_t p, uint64_t q, double *vt, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_mul_space s;
    double  *g = pare_aligned((q * q + 1) * sizeof *g), *w = pare_aligned((q + 1) * sizeof *w), *t = pare_aligned((p * q + 1) * sizeof *t);
    uint64_t done = 0;
    int rc = pare_mul_space_init(&s, p, q, diag);

    if (rc == 0 && (g == NULL || w == NULL || t == NULL)) rc = PARE_NOMEM(diag);
    while (rc == 0 && done < q) {
        uint64_t n = q - done, take = 1;

        pare_matmul_in(&s, g, n, n, n, p, pare_view_t(x + done, q), pare_view(x + done, q), PARE_MUL_SET, PARE_PART_LOWER, job);
        if ((rc = pare_eigh(g, n, n, w, job, diag)) != 0) break;
        pare_matmul_in(&s, t, n, p, n, n, pare_view(x + done, q), pare_view_t(g, n), PARE_MUL_SET, PARE_PART_ALL, job);
        for (uint64_t i = 0; i < p; i++) memcpy(x + i * q + done, t + i * n, n * sizeof *x);
        if (done == 0) memcpy(vt, g, n * n * sizeof *vt);
        else {
            pare_matmul_in(&s, t, q, n, q, n, pare_view(g, n), pare_view(vt + done * q, q), PARE_MUL_SET, PARE_PART_ALL, job);
            memcpy(vt + done * q, t, n * q * sizeof *vt);
        }
        while (take < n && (w[take] >= TAKE * w[0] || w[0] < 1e-60)) take++; /* x was scaled to 1: 1e-60 is rounding of rounding */
        done += take;
    }
    pare_mul_space_free(&s);
    pare_aligned_free(g);
    pare_aligned_free(w);
    pare_aligned_free(t);
    return rc;
}

/* The result in order: x = Q, r its diagonal. Column `from` of x and row `from` of vt are value number i. */
static void deliver(const double *x, uint64_t p, uint64_t q, const double *r, const double *vt, double scale, bool swapped, double *u, double *s,
                    double *v, const uint64_t *order)
{
    for (uint64_t i = 0; i < q; i++) {
        uint64_t from = order[i], big = 0;
        const double *row = vt + from * q;
        double sign = r[from * q + from] < 0.0 ? -1.0 : 1.0, turned = 1.0;

        s[i] = fabs(r[from * q + from]) * scale;
        if (swapped) { /* the rows of the result's vt are the columns of x */
            for (uint64_t k = 1; k < p; k++)
                if (fabs(x[k * q + from]) > fabs(x[big * q + from])) big = k;
            turned = x[big * q + from] * sign < 0.0 ? -1.0 : 1.0;
            for (uint64_t k = 0; k < p; k++) v[i * p + k] = turned * sign * x[k * q + from];
            for (uint64_t k = 0; k < q; k++) u[k * q + i] = turned * row[k];
        } else {
            for (uint64_t k = 1; k < q; k++)
                if (fabs(row[k]) > fabs(row[big])) big = k;
            turned = row[big] < 0.0 ? -1.0 : 1.0;
            for (uint64_t k = 0; k < q; k++) v[i * q + k] = turned * row[k];
            for (uint64_t k = 0; k < p; k++) u[k * q + i] = turned * sign * x[k * q + from];
        }
    }
}

static void sort_diagonal(uint64_t *order, const double *r, uint64_t q)
{
    for (uint64_t i = 0; i < q; i++) {
        uint64_t k = i;
        for (; k > 0 && fabs(r[order[k - 1] * (q + 1)]) < fabs(r[i * (q + 1)]); k--) order[k] = order[k - 1];
        order[k] = i;
    }
}

int pare_svd(const double *a, uint64_t m, uint64_t n, uint64_t ld, double *u, double *s, double *vt, struct pare_job *job, struct pare_diag *diag)
{
    bool      swapped = m < n;
    uint64_t  p = swapped ? n : m, q = swapped ? m : n, *order;
    double    max = pare_max_abs(a, m, n, ld), scale = pare_pow2_above(max);
    double   *x, *v, *r;
    int rc = PARE_OK;

    PARE_FAIL_IF(diag, max == INFINITY, PARE_E_CORRUPT, "a matrix whose singular values are asked for is not finite");
    if (q == 0) return PARE_OK;
    x = pare_aligned(p * q * sizeof *x);
    v = pare_aligned(q * q * sizeof *v);
    r = pare_aligned(q * q * sizeof *r);
    order = pare_alloc_array(q, sizeof *order);
    if (x == NULL || v == NULL || r == NULL || order == NULL) rc = PARE_NOMEM(diag);
    for (uint64_t i = 0; rc == 0 && i < m; i++)
        for (uint64_t j = 0; j < n; j++) x[swapped ? j * q + i : i * q + j] = a[i * ld + j] / scale;
    if (rc == 0) rc = turn(x, p, q, v, job, diag);
    if (rc == 0) rc = pare_qr(x, p, q, q, r, q, job, diag);
    if (rc == 0) {
        sort_diagonal(order, r, q);
        deliver(x, p, q, r, v, scale, swapped, u, s, vt, order);
    }
    pare_aligned_free(x);
    pare_aligned_free(v);
    pare_aligned_free(r);
    pare_free(order);
    return rc;
}

/* All of them, cut to k. */
static int truncate_plain(const double *a, uint64_t m, uint64_t n, uint64_t k, double *u, double *s, double *vt, struct pare_job *job, struct pare_diag *diag)
{
    uint64_t q = m < n ? m : n;
    double  *uu = pare_aligned(m * q * sizeof *uu), *ss = pare_aligned(q * sizeof *ss), *vv = pare_aligned(q * n * sizeof *vv);
    int rc = uu == NULL || ss == NULL || vv == NULL ? PARE_NOMEM(diag) : pare_svd(a, m, n, n, uu, ss, vv, job, diag);

    for (uint64_t i = 0; rc == 0 && i < m; i++) memcpy(u + i * k, uu + i * q, k * sizeof *u);
    if (rc == 0) memcpy(s, ss, k * sizeof *s);
    if (rc == 0) memcpy(vt, vv, k * n * sizeof *vt);
    pare_aligned_free(uu);
    pare_aligned_free(ss);
    pare_aligned_free(vv);
    return rc;
}

/* y [m][l]: an orthonormal basis of what a [m][n] does most with; z [n][l] scratch. */
static int find_range(const double *a, uint64_t m, uint64_t n, uint64_t l, uint64_t seed, double *y, double *z, struct pare_job *job,
                      struct pare_diag *diag)
{
    for (uint64_t i = 0; i < n * l; i++) z[i] = (double)pare_rng_normal(seed, PARE_RNG_NOISE, i);
    for (uint32_t pass = 0;; pass++) {
        PARE_FORWARD(pare_matmul(y, l, m, l, n, pare_view(a, n), pare_view(z, l), PARE_MUL_SET, PARE_PART_ALL, job, diag));
        PARE_FORWARD(pare_qr(y, m, l, l, NULL, 0, job, diag));
        if (pass == PASSES) return PARE_OK;
        PARE_FORWARD(pare_matmul(z, l, n, l, m, pare_view_t(a, n), pare_view(y, l), PARE_MUL_SET, PARE_PART_ALL, job, diag));
        PARE_FORWARD(pare_qr(z, n, l, l, NULL, 0, job, diag));
    }
}

static int truncate_random(const double *a, uint64_t m, uint64_t n, uint64_t k, uint64_t l, uint64_t seed, double *u, double *s, double *vt,
                           struct pare_job *job, struct pare_diag *diag)
{
    double *y = pare_aligned(m * l * sizeof *y), *z = pare_aligned(n * l * sizeof *z), *uu = pare_aligned(l * l * sizeof *uu);
    double *vv = pare_aligned(l * n * sizeof *vv), *ss = pare_aligned(l * sizeof *ss);
    int rc = y == NULL || z == NULL || uu == NULL || vv == NULL || ss == NULL ? PARE_NOMEM(diag) : find_range(a, m, n, l, seed, y, z, job, diag);

    if (rc == 0) rc = pare_matmul(z, n, l, n, m, pare_view_t(y, l), pare_view(a, n), PARE_MUL_SET, PARE_PART_ALL, job, diag);
    if (rc == 0) rc = pare_svd(z, l, n, n, uu, ss, vv, job, diag);
    if (rc == 0) rc = pare_matmul(u, k, m, k, l, pare_view(y, l), pare_view(uu, l), PARE_MUL_SET, PARE_PART_ALL, job, diag);
    if (rc == 0) memcpy(s, ss, k * sizeof *s);
    if (rc == 0) memcpy(vt, vv, k * n * sizeof *vt);
    pare_aligned_free(y);
    pare_aligned_free(z);
    pare_aligned_free(uu);
    pare_aligned_free(vv);
    pare_aligned_free(ss);
    return rc;
}

int pare_svd_truncated(const double *a, uint64_t m, uint64_t n, uint64_t ld, uint64_t k, uint64_t seed, double *u, double *s, double *vt,
                       struct pare_job *job, struct pare_diag *diag)
{
    uint64_t q = m < n ? m : n, l = k + EXTRA + k / 10;
    double   max = pare_max_abs(a, m, n, ld), scale = pare_pow2_above(max), *x;
    int rc;

    PARE_FAIL_IF(diag, k > q, PARE_E_USAGE, "more singular values than the matrix has");
    PARE_FAIL_IF(diag, max == INFINITY, PARE_E_CORRUPT, "a matrix whose singular values are asked for is not finite");
    if (k == 0) return PARE_OK;
    if ((x = pare_aligned(m * n * sizeof *x)) == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < m; i++)
        for (uint64_t j = 0; j < n; j++) x[i * n + j] = a[i * ld + j] / scale;
    /* Ten products of q^2 l terms beside about twenty of q^3: half of the rank is where random starts stop being cheaper. */
    if (l >= q / 2) rc = truncate_plain(x, m, n, k, u, s, vt, job, diag);
    else rc = truncate_random(x, m, n, k, l, seed, u, s, vt, job, diag);
    for (uint64_t i = 0; rc == 0 && i < k; i++) s[i] *= scale;
    pare_aligned_free(x);
    return rc;
}
