/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/linalg_reflect.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"

#define B PARE_REFLECT

int pare_reflect_init(struct pare_reflect *r, uint64_t m, uint64_t n, struct pare_diag *diag)
{
    uint64_t wide = m > n ? m : n;
    int rc;

    *r = (struct pare_reflect){ .m = m, .n = n };
    r->v = pare_aligned((n * m + 1) * sizeof *r->v);
    r->t = pare_aligned((n + B) * B * sizeof *r->t);
    r->w = pare_aligned((2 * B * wide + 1) * sizeof *r->w);
    rc = r->v == NULL || r->t == NULL || r->w == NULL ? PARE_NOMEM(diag) : pare_mul_space_init(&r->space, wide, wide, diag);
    if (rc != 0) pare_reflect_free(r);
    return rc;
}

void pare_reflect_free(struct pare_reflect *r)
{
    pare_aligned_free(r->v);
    pare_aligned_free(r->t);
    pare_aligned_free(r->w);
    pare_mul_space_free(&r->space);
    *r = (struct pare_reflect){ 0 };
}

double pare_reflect_make(double *x, uint64_t n, double *tau, const struct pare_linalg *ops)
{
    double alpha, beta, rest, d;

    *tau = 0.0;
    if (n == 0) return 0.0;
    alpha = x[0];
    rest = ops->dot(x + 1, x + 1, n - 1);
    d = alpha * alpha + rest;
    if (rest == 0.0 || d < 1e-280) { /* squares this small have lost their digits */
        memset(x, 0, n * sizeof *x);
        x[0] = 1.0;
        return alpha;
    }
    beta = alpha > 0.0 ? -sqrt(d) : sqrt(d);
    *tau = (beta - alpha) / beta;
    d = alpha - beta;
    for (uint64_t i = 1; i < n; i++) x[i] /= d;
    x[0] = 1.0;
    return beta;
}

void pare_reflect_block(struct pare_reflect *r, uint64_t b, uint64_t n, const double *tau, const struct pare_linalg *ops)
{
    double *t = r->t + b * B * B, g[B];

    memset(t, 0, B * B * sizeof *t);
    for (uint64_t j = 0; j < n; j++) {
        for (uint64_t i = 0; i < j; i++) g[i] = ops->dot(r->v + (b * B + i) * r->m, r->v + (b * B + j) * r->m, r->m);
        for (uint64_t i = 0; i < j; i++) {
            double s = 0.0;
            for (uint64_t k = i; k < j; k++) s += t[i * B + k] * g[k];
            t[i * B + j] = -tau[j] * s;
        }
        t[j * B + j] = tau[j];
    }
}

static uint64_t in_block(const struct pare_reflect *r, uint64_t b) { return pare_min_u64(B, r->n - b * B); }

void pare_reflect_left(const struct pare_reflect *r, uint64_t b, bool trans, double *c, uint64_t ldc, uint64_t r0, uint64_t cols, struct pare_job *job)
{
    uint64_t      nb = in_block(r, b), rows = r->m - r0;
    const double *v = r->v + b * B * r->m + r0, *t = r->t + b * B * B;
    double       *w = r->w, *u = r->w + B * cols;

    pare_matmul_in(&r->space, w, cols, nb, cols, rows, pare_view(v, r->m), pare_view(c, ldc), PARE_MUL_SET, PARE_PART_ALL, job);
    pare_matmul_in(&r->space, u, cols, nb, cols, nb, trans ? pare_view_t(t, B) : pare_view(t, B), pare_view(w, cols), PARE_MUL_SET, PARE_PART_ALL, job);
    pare_matmul_in(&r->space, c, ldc, rows, cols, nb, pare_view_t(v, r->m), pare_view(u, cols), PARE_MUL_SUB, PARE_PART_ALL, job);
}

void pare_reflect_right(const struct pare_reflect *r, uint64_t b, double *c, uint64_t ldc, uint64_t r0, uint64_t rows, struct pare_job *job)
{
    uint64_t      nb = in_block(r, b), cols = r->m - r0;
    const double *v = r->v + b * B * r->m + r0, *t = r->t + b * B * B;
    double       *w = r->w, *u = r->w + B * rows;

    pare_matmul_in(&r->space, w, B, rows, nb, cols, pare_view(c, ldc), pare_view_t(v, r->m), PARE_MUL_SET, PARE_PART_ALL, job);
    pare_matmul_in(&r->space, u, B, rows, nb, nb, pare_view(w, B), pare_view_t(t, B), PARE_MUL_SET, PARE_PART_ALL, job);
    pare_matmul_in(&r->space, c, ldc, rows, cols, nb, pare_view(u, B), pare_view(v, r->m), PARE_MUL_SUB, PARE_PART_ALL, job);
}
