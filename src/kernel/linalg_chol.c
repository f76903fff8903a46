/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_chol.c: Cholesky factors. Right-looking in blocks of 128 columns; each element takes its terms in ascending order
 * all the same, so the result is that of the textbook's three loops, bit for bit. */
#include "kernel/linalg_private.h"

#include <inttypes.h>
#include <math.h>

#include "base/mem.h"
#include "base/status.h"

struct panel {
    const struct pare_linalg *ops;
    double  *a, *t, *strips; /* t [nb][nb]: the block's factor, transposed; strips [threads][PARE_NB * PARE_STRIP] */
    uint64_t n, ld, j0, nb;
};

/* The block at the diagonal, by rows of the transposed factor. Returns the row of the block that fails, or nb. */
static uint64_t factor_block(const struct panel *p)
{
    double  *t = p->t;
    uint64_t nb = p->nb;

    for (uint64_t k = 0; k < nb; k++)
        for (uint64_t i = k; i < nb; i++) t[k * nb + i] = p->a[(p->j0 + i) * p->ld + p->j0 + k];
    for (uint64_t k = 0; k < nb; k++) {
        double *row = t + k * nb, d = row[k];

        if (!(d > 0.0) || d > 0x1.fffffffffffffp1023) return k;
        row[k] = sqrt(d);
        for (uint64_t i = k + 1; i < nb; i++) row[i] /= row[k];
        for (uint64_t i = k + 1; i < nb; i++) {
            double *to = t + i * nb, f = row[i];
            for (uint64_t j = i; j < nb; j++) to[j] -= f * row[j];
        }
    }
    for (uint64_t k = 0; k < nb; k++)
        for (uint64_t i = k; i < nb; i++) p->a[(p->j0 + i) * p->ld + p->j0 + k] = t[k * nb + i];
    return nb;
}

/* Sixteen rows below the block, side by side. */
static void rows_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct panel *p = ctx;
    double  *x = p->strips + worker * PARE_NB * PARE_STRIP;
    uint64_t r0 = p->j0 + p->nb + (uint64_t)chunk * PARE_STRIP, have = pare_min_u64(PARE_STRIP, p->n - r0);

    for (uint64_t r = 0; r < PARE_STRIP; r++)
        for (uint64_t k = 0; k < p->nb; k++) x[k * PARE_STRIP + r] = r < have ? p->a[(r0 + r) * p->ld + p->j0 + k] : 0.0;
    p->ops->solve(x, p->t, p->nb);
    for (uint64_t r = 0; r < have; r++)
        for (uint64_t k = 0; k < p->nb; k++) p->a[(r0 + r) * p->ld + p->j0 + k] = x[k * PARE_STRIP + r];
}

/* @return the failing row, or n. */
static uint64_t factor(double *a, uint64_t n, uint64_t ld, const struct pare_mul_space *s, double *t, double *strips, struct pare_job *job)
{
    struct panel p = { pare_linalg_for(job), a, t, strips, n, ld, 0, 0 };

    for (; p.j0 < n; p.j0 += PARE_NB) {
        uint64_t bad, j1, rest;

        p.nb = pare_min_u64(PARE_NB, n - p.j0);
        if ((bad = factor_block(&p)) < p.nb) return p.j0 + bad;
        j1 = p.j0 + p.nb;
        rest = n - j1;
        pare_team_run(pare_linalg_team(job), (uint32_t)((rest + PARE_STRIP - 1) / PARE_STRIP), rows_chunk, &p);
        pare_matmul_in(s, a + j1 * ld + j1, ld, rest, rest, p.nb, pare_view(a + j1 * ld + p.j0, ld), pare_view_t(a + j1 * ld + p.j0, ld),
                       PARE_MUL_SUB, PARE_PART_LOWER, job);
    }
    return n;
}

int pare_chol(double *a, uint64_t n, uint64_t ld, uint64_t *pivot, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_mul_space s = { 0 };
    uint64_t strip = PARE_NB * PARE_STRIP, bad = n;
    double  *t = pare_aligned((PARE_NB * PARE_NB + strip * pare_team_size(pare_linalg_team(job))) * sizeof *t);
    int rc;

    if (t == NULL) return PARE_NOMEM(diag);
    if ((rc = pare_mul_space_init(&s, n, n, diag)) == 0) bad = factor(a, n, ld, &s, t, t + PARE_NB * PARE_NB, job);
    pare_mul_space_free(&s);
    pare_aligned_free(t);
    PARE_FORWARD(rc);
    if (pivot != NULL) *pivot = bad;
    PARE_FAIL_IF(diag, bad < n, PARE_E_CORRUPT, "a matrix of %" PRIu64 " rows is not positive definite, or not finite, at row %" PRIu64, n, bad);
    return PARE_OK;
}

int pare_chol_reversed(double *a, uint64_t n, uint64_t ld, uint64_t *pivot, struct pare_job *job, struct pare_diag *diag)
{
    uint64_t bad = n;
    int rc;

    /* Turned round, the upper triangle is the lower one. */
    pare_reverse(a, n, ld);
    rc = pare_chol(a, n, ld, &bad, job, diag);
    pare_reverse(a, n, ld);
    if (pivot != NULL) *pivot = bad < n ? n - 1 - bad : n;
    return rc;
}
