/* SPDX-License-Identifier: Apache-2.0
 * src/compress/columns.c: the column loop and its factor. */
#include "compress/columns.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/status.h"
#include "kernel/linalg.h"
#include "kernel/vec.h"

#define BLOCK 128u
#define ROWS 8u /* of a chunk */

/* ---- the factor ---- */

/* h becomes U, of which only the upper triangle counts. */
static int make_factor(double *h, const struct pare_second *in, double damp, struct pare_job *job, struct pare_diag *diag)
{
    const uint64_t n = in->cols;
    double         mean = 0;
    uint64_t       alive = 0;
    int            rc;

    for (uint64_t i = 0; i < n; i++) {
        mean += in->xx[i * n + i];
        alive += in->xx[i * n + i] > 0;
    }
    mean = alive != 0 ? mean / (double)alive : 1;
    for (int turn = 0; turn < 9; turn++, damp *= 10) {
        memcpy(h, in->xx, n * n * sizeof *h);
        for (uint64_t i = 0; i < n; i++) h[i * n + i] += in->xx[i * n + i] > 0 ? damp * mean : mean;
        for (uint64_t i = 0; i < n * n; i++) h[i] /= mean; /* U of the moments up to one factor, which cancels; nothing overflows in f32 */
        rc = pare_chol_reversed(h, n, n, NULL, job, NULL); /* H = R R^T with R upper triangular, and U = R^-1 */
        if (rc == PARE_OK) return pare_tri_inverse(h, n, n, PARE_UPPER, job, diag);
        if (rc != PARE_E_CORRUPT) return PARE_NOMEM(diag);
    }
    PARE_FAIL(diag, PARE_E_CORRUPT, "the second moment of %" PRIu64 " channels is not positive definite", n);
}

int pare_columns_open(struct pare_columns *c, const struct pare_second *in, double damp, struct pare_job *job, struct pare_diag *diag)
{
    const uint64_t n = in->cols;
    double        *h = NULL;
    int            rc;

    *c = (struct pare_columns){ .cols = n };
    PARE_FAIL_IF(diag, in->xx == NULL, PARE_E_USAGE, "the column loop needs the full second moment");
    h = pare_alloc_array(n * n, sizeof *h);
    c->u = pare_alloc_array(n * n, sizeof *c->u);
    c->inv_diag = pare_zalloc(n, sizeof *c->inv_diag);
    rc = h == NULL || c->u == NULL || c->inv_diag == NULL ? PARE_NOMEM(diag) : make_factor(h, in, damp, job, diag);
    for (uint64_t i = 0; rc == PARE_OK && i < n; i++)
        for (uint64_t k = 0; k < n; k++) {
            double v = k < i ? 0 : h[i * n + k];

            c->u[i * n + k] = (float)v;
            c->inv_diag[k] += v * v;
        }
    pare_free(h);
    if (rc < 0) pare_columns_free(c);
    return rc;
}

void pare_columns_free(struct pare_columns *c)
{
    pare_free(c->u);
    pare_free(c->inv_diag);
    memset(c, 0, sizeof *c);
}

/* ---- the loop ---- */

struct sweep {
    const struct pare_columns       *c;
    float                           *w;
    struct pare_mask                *mask;
    const struct pare_mask_rule     *rule;
    const struct pare_columns_round *round;
    const struct pare_vec           *vk;
    uint64_t c0, c1; /* the block */
    float   *score;  /* [rows][c1 - c0] */
    bool    *bad;    /* [rows] a weight is not finite */
};

static float obs(const struct sweep *s, uint64_t r, uint64_t c)
{
    float q = s->w[r * s->mask->cols + c] / s->c->u[c * s->c->cols + c];

    q *= q;
    return q > 3.0e38f ? 3.0e38f : q;
}

static void score_rows(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct sweep *s = ctx;
    const uint64_t      width = s->c1 - s->c0;

    (void)worker;
    for (uint64_t r = (uint64_t)chunk * ROWS; r < (uint64_t)(chunk + 1) * ROWS && r < s->mask->rows; r++)
        for (uint64_t c = s->c0; c < s->c1; c++) s->score[r * width + c - s->c0] = obs(s, r, c);
}

static void choose_nm(const struct sweep *s, uint64_t r, uint64_t c0)
{
    const uint32_t m = s->rule->m;
    float          score[64];
    uint8_t        stays[64];
    uint64_t       key[64];

    memset(stays, 1, sizeof stays);
    for (uint32_t i = 0; c0 + m <= s->mask->cols && i < m; i++) score[i] = obs(s, r, c0 + i);
    if (c0 + m <= s->mask->cols) pare_mask_best(score, m, s->rule->n, stays, key);
    for (uint64_t c = c0; c < c0 + m && c < s->mask->cols; c++) pare_mask_set(s->mask, r, c, stays[c - c0]);
}

static void sweep_row(struct sweep *s, uint64_t r)
{
    const uint64_t cols = s->mask->cols;
    const bool     nm = s->rule != NULL && s->rule->pattern == PARE_MASK_NM;
    float         *w = s->w + r * cols;

    for (uint64_t c = s->c0; c < s->c1; c++) {
        const float *u = s->c->u + c * cols;
        float        v, err;

        if (nm && c % s->rule->m == 0) choose_nm(s, r, c);
        if (s->round != NULL && c % s->round->group == 0) {
            uint64_t left = cols - c;

            s->round->begin(s->round->user, r, c, left < s->round->group ? (uint32_t)left : s->round->group, w + c);
        }
        v = !pare_mask_keeps(s->mask, r, c) ? 0 : s->round != NULL ? s->round->value(s->round->user, r, c, w[c]) : w[c];
        if (!isfinite(w[c])) s->bad[r] = true;
        err = (w[c] - v) / u[c];
        w[c] = v;
        if (err != 0) s->vk->axpy(w + c + 1, -err, u + c + 1, cols - c - 1);
    }
}

static void sweep_rows(void *ctx, uint32_t chunk, uint32_t worker)
{
    struct sweep *s = ctx;

    (void)worker;
    for (uint64_t r = (uint64_t)chunk * ROWS; r < (uint64_t)(chunk + 1) * ROWS && r < s->mask->rows; r++) sweep_row(s, r);
}

/* The mask of the block from the weights as they are now. */
static int choose_block(struct sweep *s, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_team *team = job != NULL ? job->team : NULL;
    struct pare_mask  part;
    int               rc;

    PARE_FORWARD(pare_mask_create(&part, s->mask->rows, s->c1 - s->c0, diag));
    pare_team_run(team, (uint32_t)((s->mask->rows + ROWS - 1) / ROWS), score_rows, s);
    rc = pare_mask_choose(&part, s->score, s->rule, job, diag);
    for (uint64_t r = 0; rc == PARE_OK && r < part.rows; r++)
        for (uint64_t c = 0; c < part.cols; c++) pare_mask_set(s->mask, r, s->c0 + c, pare_mask_keeps(&part, r, c));
    pare_mask_free(&part);
    return rc;
}

int pare_columns_sweep(const struct pare_columns *c, float *w, struct pare_mask *mask, const struct pare_mask_rule *rule,
                       const struct pare_columns_round *round, struct pare_job *job, struct pare_diag *diag)
{
    struct sweep s = { .c = c, .w = w, .mask = mask, .rule = rule, .round = round, .vk = pare_vec_for(job != NULL ? job->tier : PARE_TIER_BASE) };
    uint64_t     step = BLOCK;
    int          rc = PARE_OK;

    PARE_FAIL_IF(diag, mask->cols != c->cols, PARE_E_USAGE, "moments of %" PRIu64 " channels for %" PRIu64 " columns", c->cols, mask->cols);
    PARE_FAIL_IF(diag, mask->rows > UINT32_MAX, PARE_E_LIMIT, "a matrix of %" PRIu64 " rows is too large", mask->rows);
    if (rule != NULL) PARE_FORWARD(pare_mask_rule_check(rule, diag));
    if (rule != NULL && (rule->pattern == PARE_MASK_NM || rule->pattern == PARE_MASK_GROUP)) {
        PARE_FAIL_IF(diag, rule->m > BLOCK, PARE_E_USAGE, "groups of %" PRIu32 " columns: at most %u", rule->m, BLOCK);
        step = BLOCK - BLOCK % rule->m;
    }
    PARE_FAIL_IF(diag, round != NULL && (round->group == 0 || step % round->group != 0), PARE_E_USAGE, "groups of %" PRIu32 " columns do not suit blocks of %" PRIu64, round->group, step);
    s.score = pare_alloc_array(mask->rows * step, sizeof *s.score);
    s.bad = pare_zalloc(mask->rows, sizeof *s.bad);
    if (s.score == NULL || s.bad == NULL) rc = PARE_NOMEM(diag);
    for (s.c0 = 0; rc == PARE_OK && s.c0 < mask->cols; s.c0 = s.c1) {
        s.c1 = mask->cols - s.c0 < step ? mask->cols : s.c0 + step;
        if (rule != NULL && rule->pattern != PARE_MASK_NM) rc = choose_block(&s, job, diag);
        if (rc == PARE_OK) pare_team_run(job != NULL ? job->team : NULL, (uint32_t)((mask->rows + ROWS - 1) / ROWS), sweep_rows, &s);
    }
    for (uint64_t r = 0; rc == PARE_OK && r < mask->rows; r++)
        if (s.bad[r]) rc = PARE_ERR(diag, PARE_E_CORRUPT, "a weight of row %" PRIu64 " is not finite", r);
    pare_free(s.score);
    pare_free(s.bad);
    return rc;
}

/* ---- refinement ---- */

struct refine {
    const double           *h; /* [cols][cols] damped */
    const float            *w0;
    float                  *w;
    const struct pare_mask *mask;
    double                 *scratch; /* [workers][5][cols] */
    uint32_t                steps;
};

/* y = H x, x zero outside of the support; sums ascending. */
static void multiply(const struct refine *f, const double *x, double *y)
{
    const uint64_t n = f->mask->cols;

    memset(y, 0, n * sizeof *y);
    for (uint64_t k = 0; k < n; k++) { /* H is symmetric: row k times x_k */
        const double *row = f->h + k * n;

        if (x[k] == 0) continue;
        for (uint64_t i = 0; i < n; i++) y[i] += row[i] * x[k];
    }
}
static double inner(const double *a, const double *b, uint64_t n)
{
    double s = 0;

    for (uint64_t i = 0; i < n; i++) s += a[i] * b[i];
    return s;
}

static void refine_row(void *ctx, uint32_t r, uint32_t worker)
{
    const struct refine *f = ctx;
    const uint64_t       n = f->mask->cols;
    double              *v = f->scratch + worker * 5 * n, *g = v + n, *d = g + n, *hd = d + n, *left = hd + n, gg;

    for (uint64_t i = 0; i < n; i++) {
        v[i] = (double)f->w[r * n + i];
        left[i] = (double)f->w0[r * n + i] - v[i];
    }
    multiply(f, left, g);
    for (uint64_t i = 0; i < n; i++) d[i] = g[i] = pare_mask_keeps(f->mask, r, i) ? g[i] : 0;
    gg = inner(g, g, n);
    for (uint32_t k = 0; k < f->steps && gg > 0; k++) {
        double a, next;

        multiply(f, d, hd);
        a = gg / inner(d, hd, n);
        if (!isfinite(a)) break;
        for (uint64_t i = 0; i < n; i++) {
            v[i] += a * d[i];
            g[i] = pare_mask_keeps(f->mask, r, i) ? g[i] - a * hd[i] : 0;
        }
        next = inner(g, g, n);
        for (uint64_t i = 0; i < n; i++) d[i] = g[i] + next / gg * d[i];
        gg = next;
    }
    for (uint64_t i = 0; i < n; i++) f->w[r * n + i] = pare_mask_keeps(f->mask, r, i) ? (float)v[i] : 0;
}

int pare_columns_refine(const struct pare_second *in, double damp, const float *w0, float *w, const struct pare_mask *mask, uint32_t steps, struct pare_job *job,
                        struct pare_diag *diag)
{
    const uint64_t n = in->cols;
    struct refine  f = { .w0 = w0, .w = w, .mask = mask, .steps = steps };
    double        *h, mean = 0;

    PARE_FAIL_IF(diag, in->xx == NULL || n != mask->cols, PARE_E_USAGE, "refinement needs the full second moment of %" PRIu64 " channels", mask->cols);
    h = pare_alloc_array(n * n, sizeof *h);
    f.scratch = pare_alloc_array(pare_team_size(job != NULL ? job->team : NULL) * 5 * n, sizeof *f.scratch);
    if (h != NULL && f.scratch != NULL) {
        for (uint64_t i = 0; i < n; i++) mean += in->xx[i * n + i] / (double)n;
        for (uint64_t i = 0; i < n * n; i++) h[i] = in->xx[i] / (mean > 0 ? mean : 1);
        for (uint64_t i = 0; i < n; i++) h[i * n + i] += damp;
        f.h = h;
        pare_team_run(job != NULL ? job->team : NULL, (uint32_t)mask->rows, refine_row, &f);
    }
    mean = h == NULL || f.scratch == NULL;
    pare_free(f.scratch);
    pare_free(h);
    return mean != 0 ? PARE_NOMEM(diag) : PARE_OK;
}
