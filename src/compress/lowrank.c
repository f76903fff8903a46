/* SPDX-License-Identifier: Apache-2.0
 * src/compress/lowrank.c: the builder of thin factors. */
#include "compress/lowrank.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "kernel/linalg.h"
#include "kernel/vec.h"

#define SILENT 1e-3 /* least scale beside the mean one */

/* --- S --- */

/* scale [cols] for mean magnitudes m: m^alpha, with the floor on m. False where nothing was ever active. */
static bool make_scale(double *scale, uint64_t cols, double alpha)
{
    double mean = 0.0;

    for (uint64_t c = 0; c < cols; c++) mean += scale[c];
    mean /= (double)cols;
    if (!(mean > 0.0)) return false;
    for (uint64_t c = 0; c < cols; c++) {
        double m = scale[c] / mean; /* a common factor changes nothing */
        scale[c] = pare_pow(m < SILENT ? SILENT : m, alpha);
    }
    return true;
}

/* L of the damped second moment over its mean diagonal, in l [cols][cols]; damping rises tenfold until it is definite. */
static int whiten(struct pare_spectrum *sp, const struct pare_second *in, double *l, struct pare_job *job, struct pare_diag *diag)
{
    uint64_t n = in->cols;
    double   mean = 0.0;
    int rc = PARE_E_CORRUPT;

    for (uint64_t c = 0; c < n; c++) mean += in->xx[c * n + c] / (double)n;
    if (!(mean > 0.0)) return PARE_E_CORRUPT;
    /* E[x x^T] was summed from products in f32: below 1e-6 of the mean there is nothing to be known. */
    for (sp->damping = 1e-6; sp->damping < 0.5 && rc == PARE_E_CORRUPT; sp->damping *= 10.0) {
        for (uint64_t i = 0; i < n; i++)
            for (uint64_t j = 0; j <= i; j++) l[i * n + j] = in->xx[i * n + j] / mean + (i == j ? sp->damping : 0.0);
        rc = pare_chol(l, n, n, NULL, job, NULL);
    }
    sp->damping = rc == PARE_OK ? sp->damping / 10.0 : 0.0;
    if (rc == PARE_E_NOMEM) return PARE_NOMEM(diag);
    for (uint64_t i = 0; rc == PARE_OK && i < n; i++)
        for (uint64_t j = i + 1; j < n; j++) l[i * n + j] = 0.0;
    return rc;
}

/* x = W S in f64, and what undoes S on the right: s [cols] or l [cols][cols]. sp->input becomes what could be done. */
static int apply_input(struct pare_spectrum *sp, const float *w, const struct pare_second *in, double alpha, double *x, double *scale, double *l,
                       struct pare_job *job, struct pare_diag *diag)
{
    uint64_t rows = sp->rows, cols = sp->cols, n = rows * cols;
    int rc;

    for (uint64_t i = 0; i < n; i++) x[i] = (double)w[i];
    if (sp->input == PARE_LOWRANK_WHITENED) {
        rc = whiten(sp, in, l, job, diag);
        if (rc == PARE_OK) {
            double *y = pare_aligned(n * sizeof *y);
            if (y == NULL) return PARE_NOMEM(diag);
            memcpy(y, x, n * sizeof *y);
            rc = pare_matmul(x, cols, rows, cols, cols, (struct pare_view){ y, (int64_t)cols, 1 }, (struct pare_view){ l, (int64_t)cols, 1 },
                             PARE_MUL_SET, PARE_PART_ALL, job, diag);
            pare_aligned_free(y);
            return rc;
        }
        if (rc != PARE_E_CORRUPT) return rc;
        sp->input = PARE_LOWRANK_SCALED;
        for (uint64_t c = 0; c < cols; c++) scale[c] = sqrt(in->sumsq[c]);
        alpha = 1.0;
    } else if (sp->input == PARE_LOWRANK_SCALED) {
        memcpy(scale, in->sumabs, cols * sizeof *scale);
    }
    if (sp->input == PARE_LOWRANK_SCALED && !make_scale(scale, cols, alpha)) sp->input = PARE_LOWRANK_PLAIN;
    if (sp->input == PARE_LOWRANK_SCALED)
        for (uint64_t i = 0; i < n; i++) x[i] *= scale[i % cols];
    return PARE_OK;
}

static int undo_input(struct pare_spectrum *sp, const double *scale, const double *l, struct pare_job *job, struct pare_diag *diag)
{
    if (sp->input == PARE_LOWRANK_WHITENED)
        return pare_tri_solve_right(l, sp->cols, sp->cols, PARE_LOWER, false, sp->v, sp->cols, sp->k, job, diag);
    if (sp->input == PARE_LOWRANK_SCALED)
        for (uint64_t i = 0; i < sp->k * sp->cols; i++) sp->v[i] /= scale[i % sp->cols];
    return PARE_OK;
}

static int decompose(struct pare_spectrum *sp, const double *x, const struct pare_lowrank_settings *s, struct pare_job *job, struct pare_diag *diag)
{
    uint64_t least = sp->rows < sp->cols ? sp->rows : sp->cols;

    for (uint64_t i = 0; i < sp->rows * sp->cols; i++) sp->total += x[i] * x[i];
    if (sp->k == least) return pare_svd(x, sp->rows, sp->cols, sp->cols, sp->u, sp->s, sp->v, job, diag);
    return pare_svd_truncated(x, sp->rows, sp->cols, sp->cols, sp->k, s->seed, sp->u, sp->s, sp->v, job, diag);
}

int pare_spectrum_create(struct pare_spectrum *sp, const float *w, uint64_t rows, uint64_t cols, const struct pare_second *in,
                         const struct pare_lowrank_settings *s, struct pare_job *job, struct pare_diag *diag)
{
    uint64_t least = rows < cols ? rows : cols, k = s->max_rank == 0 || s->max_rank > least ? least : s->max_rank;
    double  *x, *scale, *l = NULL;
    int rc = PARE_OK;

    *sp = (struct pare_spectrum){ .rows = rows, .cols = cols, .k = k, .input = s->input };
    if (in == NULL || !(in->weight > 0.0)) sp->input = PARE_LOWRANK_PLAIN;
    PARE_FAIL_IF(diag, sp->input != PARE_LOWRANK_PLAIN && in->cols != cols, PARE_E_USAGE, "moments of %llu inputs for a matrix of %llu columns",
                 (unsigned long long)in->cols, (unsigned long long)cols);
    PARE_FAIL_IF(diag, sp->input == PARE_LOWRANK_WHITENED && in->xx == NULL, PARE_E_USAGE, "whitening needs the full second moment of the inputs");
    sp->u = pare_aligned((rows * k + 1) * sizeof *sp->u);
    sp->s = pare_aligned((k + 1) * sizeof *sp->s);
    sp->v = pare_aligned((k * cols + 1) * sizeof *sp->v);
    x = pare_aligned((rows * cols + 1) * sizeof *x);
    scale = pare_aligned((cols + 1) * sizeof *scale);
    if (sp->input == PARE_LOWRANK_WHITENED) l = pare_aligned(cols * cols * sizeof *l);
    if (sp->u == NULL || sp->s == NULL || sp->v == NULL || x == NULL || scale == NULL || (sp->input == PARE_LOWRANK_WHITENED && l == NULL))
        rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) rc = apply_input(sp, w, in, s->alpha, x, scale, l, job, diag);
    if (rc == PARE_OK) rc = decompose(sp, x, s, job, diag);
    if (rc == PARE_OK) rc = undo_input(sp, scale, l, job, diag);
    pare_aligned_free(x);
    pare_aligned_free(scale);
    pare_aligned_free(l);
    if (rc < 0) pare_spectrum_free(sp);
    return rc;
}

void pare_spectrum_free(struct pare_spectrum *sp)
{
    pare_aligned_free(sp->u);
    pare_aligned_free(sp->s);
    pare_aligned_free(sp->v);
    memset(sp, 0, sizeof *sp);
}

double pare_spectrum_tail(const struct pare_spectrum *sp, uint64_t rank)
{
    double tail = 0.0;

    /* Small values first; where the spectrum was cut, the rest is what the total says. */
    for (uint64_t i = sp->k; i-- > rank;) tail += sp->s[i] * sp->s[i];
    if (sp->k < sp->rows && sp->k < sp->cols) {
        double rest = sp->total;
        for (uint64_t i = 0; i < sp->k; i++) rest -= sp->s[i] * sp->s[i];
        tail += rest > 0.0 ? rest : 0.0;
    }
    return tail;
}

/* --- factors --- */

int pare_lowrank_cut(struct pare_lowrank *l, const struct pare_spectrum *sp, uint64_t rank, struct pare_diag *diag)
{
    *l = (struct pare_lowrank){ .rows = sp->rows, .cols = sp->cols, .rank = rank, .type = PARE_F32 };
    PARE_FAIL_IF(diag, rank > sp->k, PARE_E_USAGE, "rank %llu of a spectrum of %llu", (unsigned long long)rank, (unsigned long long)sp->k);
    l->a = pare_aligned((sp->rows * rank + 1) * sizeof *l->a);
    l->b = pare_aligned((rank * sp->cols + 1) * sizeof *l->b);
    if (l->a == NULL || l->b == NULL) {
        pare_lowrank_free(l);
        return PARE_NOMEM(diag);
    }
    for (uint64_t i = 0; i < rank; i++) {
        double half = sqrt(sp->s[i]);
        for (uint64_t r = 0; r < sp->rows; r++) l->a[r * rank + i] = (float)(sp->u[r * sp->k + i] * half);
        for (uint64_t c = 0; c < sp->cols; c++) l->b[i * sp->cols + c] = (float)(sp->v[i * sp->cols + c] * half);
    }
    return PARE_OK;
}

void pare_lowrank_free(struct pare_lowrank *l)
{
    pare_aligned_free(l->a);
    pare_aligned_free(l->b);
    memset(l, 0, sizeof *l);
}

bool pare_lowrank_bytes(uint64_t rows, uint64_t cols, uint64_t rank, enum pare_type type, uint64_t *bytes)
{
    uint64_t a, b;

    if (!pare_dtype_bytes(pare_dtype_of(type), rank, rows, &a) || !pare_dtype_bytes(pare_dtype_of(type), rank, cols, &b)) return false;
    *bytes = a + b;
    return true;
}

/* One row through a type and back. */
static bool round_row(float *row, uint64_t n, const struct pare_dtype *t, void *bytes)
{
    t->encode(bytes, row, n, NULL);
    t->decode(row, bytes, n);
    for (uint64_t i = 0; i < n; i++)
        if (!(row[i] - row[i] == 0.0f)) return false;
    return true;
}

int pare_lowrank_round(struct pare_lowrank *l, enum pare_type type, struct pare_diag *diag)
{
    uint64_t bytes, wide = l->rows > l->cols ? l->rows : l->cols;
    const struct pare_dtype *t;
    float   *row;
    bool     ok = true;

    if (type == PARE_F32) return PARE_OK;
    if (l->rank == 0 || !pare_lowrank_bytes(l->rows, l->cols, l->rank, type, &bytes)) type = PARE_F16;
    t = pare_dtype_of(type);
    PARE_FAIL_IF(diag, t->encode == NULL, PARE_E_USAGE, "factors cannot be stored as %s", t->name);
    row = pare_alloc_array(2 * wide + 64, sizeof *row); /* a row, and its bytes: never more than those of f32 and a block */
    if (row == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < l->rank && ok; i++) {
        for (uint64_t r = 0; r < l->rows; r++) row[r] = l->a[r * l->rank + i];
        ok = round_row(row, l->rows, t, row + wide) && round_row(l->b + i * l->cols, l->cols, t, row + wide);
        for (uint64_t r = 0; r < l->rows; r++) l->a[r * l->rank + i] = row[r];
    }
    pare_free(row);
    PARE_FAIL_IF(diag, !ok, PARE_E_UNSUPPORTED, "a number of a low-rank factor is too large for %s", t->name);
    l->type = type;
    return PARE_OK;
}

int pare_lowrank_expand(const struct pare_lowrank *l, float *w, bool add, struct pare_job *job, struct pare_diag *diag)
{
    uint64_t na = l->rows * l->rank, nb = l->rank * l->cols, n = l->rows * l->cols;
    double  *a, *b, *c;
    int rc;

    if (add && l->rank == 0) return PARE_OK;
    a = pare_aligned((na + 1) * sizeof *a);
    b = pare_aligned((nb + 1) * sizeof *b);
    c = pare_aligned((n + 1) * sizeof *c);
    rc = a == NULL || b == NULL || c == NULL ? PARE_NOMEM(diag) : PARE_OK;
    for (uint64_t i = 0; rc == PARE_OK && i < na; i++) a[i] = (double)l->a[i];
    for (uint64_t i = 0; rc == PARE_OK && i < nb; i++) b[i] = (double)l->b[i];
    for (uint64_t i = 0; rc == PARE_OK && i < n; i++) c[i] = add ? (double)w[i] : 0.0;
    if (rc == PARE_OK)
        rc = pare_matmul(c, l->cols, l->rows, l->cols, l->rank, (struct pare_view){ a, (int64_t)l->rank, 1 },
                         (struct pare_view){ b, (int64_t)l->cols, 1 }, PARE_MUL_ADD, PARE_PART_ALL, job, diag);
    for (uint64_t i = 0; rc == PARE_OK && i < n; i++) w[i] = (float)c[i];
    pare_aligned_free(a);
    pare_aligned_free(b);
    pare_aligned_free(c);
    return rc;
}

int pare_lowrank_error(struct pare_lowrank *l, const float *w, const float *wq, uint64_t rows, uint64_t cols, uint64_t rank,
                       const struct pare_second *in, const struct pare_lowrank_settings *s, enum pare_type type, struct pare_job *job,
                       struct pare_diag *diag)
{
    struct pare_lowrank_settings cut = *s;
    struct pare_spectrum sp = { 0 };
    float *e = pare_aligned((rows * cols + 1) * sizeof *e);
    int rc = e == NULL ? PARE_NOMEM(diag) : PARE_OK;

    *l = (struct pare_lowrank){ .rows = rows, .cols = cols };
    cut.max_rank = rank == 0 ? 1 : rank; /* 0 would ask for everything */
    for (uint64_t i = 0; rc == PARE_OK && i < rows * cols; i++) e[i] = w[i] - wq[i];
    if (rc == PARE_OK) rc = pare_spectrum_create(&sp, e, rows, cols, in, &cut, job, diag);
    if (rc == PARE_OK) rc = pare_lowrank_cut(l, &sp, rank, diag);
    if (rc == PARE_OK) rc = pare_lowrank_round(l, type, diag);
    if (rc < 0) pare_lowrank_free(l);
    pare_spectrum_free(&sp);
    pare_aligned_free(e);
    return rc;
}
