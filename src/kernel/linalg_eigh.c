/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_eigh.c: symmetric eigenproblem. Householder reflections make the matrix tridiagonal, 32 at a time: within a block
 * the matrix itself stays and each new vector is multiplied with it and corrected (Dongarra, Hammarling, Sorensen 1989); then one product
 * brings the rest up to date. The whole square is kept, not a triangle, so that the multiplication is dot products of rows. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "kernel/linalg_ql.h"
#include "kernel/linalg_reflect.h"

#define B PARE_REFLECT
#define CHUNK (1u << 16) /* numbers of the matrix in a piece of a product with a vector: some ten microseconds */

struct tri {
    const struct pare_linalg *ops;
    struct pare_reflect f;     /* reflection j is about coordinates j + 1 and on */
    double  *a, *d, *e;
    double  *vwv;              /* [3 B][n]: vectors v of a block, w, and v again: both factors of V W^T + W V^T are slices of it */
    uint64_t n, ld;
    uint64_t r0, step;         /* first row of the product in work; rows of a piece */
    const double *v;
    double  *out;
};

static void multiply_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct tri *t = ctx;
    uint64_t i0 = t->r0 + chunk * t->step, i1 = pare_min_u64(t->n, i0 + t->step);

    (void)worker;
    for (uint64_t i = i0; i < i1; i++) t->out[i] = t->ops->dot(t->a + i * t->ld + t->r0, t->v + t->r0, t->n - t->r0);
}

/* out = A v on rows and columns from j on, with A as the c reflections before this one have made it. */
static void multiply(struct tri *t, uint64_t j, uint64_t c, double *v, double *out, struct pare_job *job)
{
    uint64_t len = t->n - j;

    t->r0 = j;
    t->step = CHUNK / len + 1;
    t->v = v;
    t->out = out;
    pare_team_run(pare_linalg_team(job), (uint32_t)((len + t->step - 1) / t->step), multiply_chunk, t);
    for (uint64_t p = 0; p < c; p++) {
        const double *pv = t->vwv + p * t->n + j, *pw = t->vwv + (B + p) * t->n + j;
        double a = t->ops->dot(pw, v + j, len), b = t->ops->dot(pv, v + j, len);

        t->ops->axpy(out + j, -a, pv, len);
        t->ops->axpy(out + j, -b, pw, len);
    }
}

/* Reflections j0 .. j0 + nb - 1. */
static void block(struct tri *t, uint64_t j0, uint64_t nb, struct pare_job *job)
{
    double   tau[B];
    uint64_t n = t->n, j1 = j0 + nb;

    memset(t->vwv, 0, 3 * B * n * sizeof *t->vwv);
    for (uint64_t c = 0; c < nb; c++) {
        uint64_t j = j0 + c, len = n - j - 1;
        double  *v = t->vwv + c * n, *w = t->vwv + (B + c) * n;

        memcpy(v + j, t->a + j * t->ld + j, (n - j) * sizeof *v);
        for (uint64_t p = 0; p < c; p++) {
            double *pv = t->vwv + p * n, *pw = t->vwv + (B + p) * n;
            t->ops->axpy(v + j, -pv[j], pw + j, n - j);
            t->ops->axpy(v + j, -pw[j], pv + j, n - j);
        }
        t->d[j] = v[j];
        v[j] = 0.0;
        t->e[j] = pare_reflect_make(v + j + 1, len, &tau[c], t->ops);
        if (tau[c] != 0.0) {
            multiply(t, j + 1, c, v, w, job);
            for (uint64_t i = j + 1; i < n; i++) w[i] *= tau[c];
            t->ops->axpy(w + j + 1, -0.5 * tau[c] * t->ops->dot(w + j + 1, v + j + 1, len), v + j + 1, len);
        }
        memcpy(t->f.v + j * n, v, n * sizeof *v);
        memcpy(t->vwv + (2 * B + c) * n, v, n * sizeof *v);
    }
    pare_reflect_block(&t->f, j0 / B, nb, tau, t->ops);
    pare_matmul_in(&t->f.space, t->a + j1 * t->ld + j1, t->ld, n - j1, n - j1, 2 * B, pare_view_t(t->vwv + j1, n), pare_view(t->vwv + B * n + j1, n),
                   PARE_MUL_SUB, PARE_PART_ALL, job);
}

/* a becomes Q^T, d and e the tridiagonal matrix Q^T A Q. */
static void tridiagonalize(struct tri *t, struct pare_job *job)
{
    uint64_t n = t->n, last = n - 1; /* the last row needs no reflection */

    for (uint64_t j = 0; j < last; j += B) block(t, j, pare_min_u64(B, last - j), job);
    t->d[last] = t->a[last * t->ld + last];
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j < n; j++) t->a[i * t->ld + j] = i == j ? 1.0 : 0.0;
    for (uint64_t b = (last + B - 1) / B; b-- > 0;) {
        uint64_t r0 = b * B + 1;
        pare_reflect_right(&t->f, b, t->a + r0 * t->ld + r0, t->ld, r0, n - r0, job);
    }
}

/* Rows of a in descending order of d, signs fixed; the order of equal values is that of their rows. */
static int order(double *a, uint64_t n, uint64_t ld, double *d, double *w, struct pare_diag *diag)
{
    uint64_t *at = pare_alloc_array(n, sizeof *at);
    double   *row = pare_alloc_array(n * n, sizeof *row);

    if (at == NULL || row == NULL) {
        pare_free(at);
        pare_free(row);
        return PARE_NOMEM(diag);
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t k = i;
        while (k > 0 && d[at[k - 1]] < d[i]) {
            at[k] = at[k - 1];
            k--;
        }
        at[k] = i;
    }
    for (uint64_t i = 0; i < n; i++) memcpy(row + i * n, a + i * ld, n * sizeof *row);
    for (uint64_t i = 0; i < n; i++) {
        const double *from = row + at[i] * n;
        uint64_t big = 0;

        w[i] = d[at[i]];
        for (uint64_t j = 1; j < n; j++)
            if (fabs(from[j]) > fabs(from[big])) big = j;
        for (uint64_t j = 0; j < n; j++) a[i * ld + j] = from[big] < 0.0 ? -from[j] : from[j];
    }
    pare_free(at);
    pare_free(row);
    return PARE_OK;
}

int pare_eigh(double *a, uint64_t n, uint64_t ld, double *w, struct pare_job *job, struct pare_diag *diag)
{
    struct tri t = { .ops = pare_linalg_for(job), .a = a, .n = n, .ld = ld };
    double max, scale;
    int rc;

    if (n == 0) return PARE_OK;
    pare_mirror(a, n, ld);
    max = pare_max_abs(a, n, n, ld);
    PARE_FAIL_IF(diag, max == INFINITY, PARE_E_CORRUPT, "a matrix whose eigenvalues are asked for is not finite");
    scale = pare_pow2_above(max);
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j < n; j++) a[i * ld + j] /= scale;
    t.d = pare_aligned(2 * n * sizeof *t.d);
    t.vwv = pare_aligned(3 * B * n * sizeof *t.vwv);
    rc = t.d == NULL || t.vwv == NULL ? PARE_NOMEM(diag) : PARE_OK;
    if (rc == 0 && (rc = pare_reflect_init(&t.f, n, n > 1 ? n - 1 : 1, diag)) == 0) {
        t.e = t.d + n;
        tridiagonalize(&t, job);
        rc = pare_tridiagonal(t.d, t.e, a, n, ld, job, diag);
        pare_reflect_free(&t.f);
    }
    if (rc == 0) rc = order(a, n, ld, t.d, w, diag);
    for (uint64_t i = 0; rc == 0 && i < n; i++) w[i] *= scale;
    pare_aligned_free(t.d);
    pare_aligned_free(t.vwv);
    return rc;
}
