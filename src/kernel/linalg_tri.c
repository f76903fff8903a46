/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_tri.c: triangular solves and inverses, in blocks of 128. All eight cases (upper, transposed, from the right) are the
 * same elimination seen through other strides. */
#include "kernel/linalg_private.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"

/* M y = rhs, y [n][m] in place; element (i, j) of y at y[i * rs + j * cs]. up: M is upper, rows are eliminated from the last. */
struct system {
    const struct pare_linalg *ops;
    struct pare_view m;
    double  *y;
    int64_t  rs, cs;
    uint64_t n, cols;
    bool     upper;
    double  *t, *strips;
    uint64_t b0, nb;       /* the block in work */
    uint64_t c0;           /* inverse: first column of the strips */
    bool     own;          /* inverse: y is the triangle itself, whose other side must stay */
};

static double at(struct pare_view v, uint64_t i, uint64_t j) { return v.p[(int64_t)i * v.rs + (int64_t)j * v.cs]; }
/* k-th row of the block in order of elimination. */
static uint64_t row_of(const struct system *s, uint64_t k) { return s->upper ? s->b0 + s->nb - 1 - k : s->b0 + k; }

static void take_block(const struct system *s)
{
    for (uint64_t k = 0; k < s->nb; k++)
        for (uint64_t j = k; j < s->nb; j++) s->t[k * s->nb + j] = at(s->m, row_of(s, j), row_of(s, k));
}

static void strip_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct system *s = ctx;
    double  *x = s->strips + worker * PARE_NB * PARE_STRIP;
    uint64_t r0 = s->c0 + (uint64_t)chunk * PARE_STRIP, have = pare_min_u64(PARE_STRIP, s->c0 + s->cols - r0);

    for (uint64_t k = 0; k < s->nb; k++) {
        const double *y = s->y + (int64_t)row_of(s, k) * s->rs + (int64_t)r0 * s->cs;
        for (uint64_t r = 0; r < PARE_STRIP; r++) {
            bool inside = !s->own || (s->upper ? r0 + r >= row_of(s, k) : r0 + r <= row_of(s, k));
            x[k * PARE_STRIP + r] = r < have && inside ? y[(int64_t)r * s->cs] : 0.0;
        }
    }
    s->ops->solve(x, s->t, s->nb);
    for (uint64_t k = 0; k < s->nb; k++) {
        double *y = s->y + (int64_t)row_of(s, k) * s->rs + (int64_t)r0 * s->cs;
        for (uint64_t r = 0; r < have; r++)
            if (!s->own || (s->upper ? r0 + r >= row_of(s, k) : r0 + r <= row_of(s, k))) y[(int64_t)r * s->cs] = x[k * PARE_STRIP + r];
    }
}

static int check_diagonal(struct pare_view m, uint64_t n, struct pare_diag *diag)
{
    for (uint64_t i = 0; i < n; i++) {
        double d = fabs(at(m, i, i));
        PARE_FAIL_IF(diag, !(d > 0.0 && d < INFINITY), PARE_E_CORRUPT, "a triangular matrix cannot be inverted: row %" PRIu64 " has %g on its diagonal", i, d);
    }
    return PARE_OK;
}

static int scratch(struct system *s, struct pare_job *job, struct pare_diag *diag)
{
    s->ops = pare_linalg_for(job);
    s->t = pare_aligned((PARE_NB * PARE_NB + (uint64_t)PARE_NB * PARE_STRIP * pare_team_size(pare_linalg_team(job))) * sizeof *s->t);
    if (s->t == NULL) return PARE_NOMEM(diag);
    s->strips = s->t + PARE_NB * PARE_NB;
    return PARE_OK;
}

static void solve_strips(struct system *s, struct pare_job *job)
{
    pare_team_run(pare_linalg_team(job), (uint32_t)((s->cols + PARE_STRIP - 1) / PARE_STRIP), strip_chunk, s);
}

/* Block number i of the elimination. */
static void set_block(struct system *s, uint64_t i)
{
    uint64_t done = i * PARE_NB;

    s->nb = pare_min_u64(PARE_NB, s->n - done);
    s->b0 = s->upper ? s->n - done - s->nb : done;
}

static int solve_system(struct system *s, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_mul_space space = { 0 };
    int rc;

    PARE_FORWARD(check_diagonal(s->m, s->n, diag));
    PARE_FORWARD(scratch(s, job, diag));
    rc = s->cs == 1 ? pare_mul_space_init(&space, s->n, s->cols, diag) : pare_mul_space_init(&space, s->cols, s->n, diag);
    for (uint64_t i = 0; rc == 0 && i * PARE_NB < s->n; i++) {
        uint64_t r0, rows;
        int64_t  dir = s->upper ? -1 : 1, k0;
        struct pare_view m, y;

        set_block(s, i);
        take_block(s);
        solve_strips(s, job);
        r0 = s->upper ? 0 : s->b0 + s->nb;
        rows = s->upper ? s->b0 : s->n - r0;
        k0 = (int64_t)row_of(s, 0);
        m = (struct pare_view){ s->m.p + (int64_t)r0 * s->m.rs + k0 * s->m.cs, s->m.rs, dir * s->m.cs };
        y = (struct pare_view){ s->y + k0 * s->rs, dir * s->rs, s->cs };
        if (s->cs == 1) {
            pare_matmul_in(&space, s->y + (int64_t)r0 * s->rs, (uint64_t)s->rs, rows, s->cols, s->nb, m, y, PARE_MUL_SUB, PARE_PART_ALL, job);
        } else {
            struct pare_view yt = { y.p, y.cs, y.rs }, mt = { m.p, m.cs, m.rs };
            pare_matmul_in(&space, s->y + r0, (uint64_t)s->cs, s->cols, rows, s->nb, yt, mt, PARE_MUL_SUB, PARE_PART_ALL, job);
        }
    }
    pare_mul_space_free(&space);
    pare_aligned_free(s->t);
    return rc;
}

int pare_tri_solve(const double *t, uint64_t ldt, uint64_t n, enum pare_tri shape, bool trans, double *x, uint64_t ldx, uint64_t m,
                   struct pare_job *job, struct pare_diag *diag)
{
    struct system s = { .m = trans ? pare_view_t(t, ldt) : pare_view(t, ldt), .y = x, .rs = (int64_t)ldx, .cs = 1, .n = n, .cols = m,
                        .upper = (shape == PARE_UPPER) != trans };

    return solve_system(&s, job, diag);
}

int pare_tri_solve_right(const double *t, uint64_t ldt, uint64_t n, enum pare_tri shape, bool trans, double *x, uint64_t ldx, uint64_t m,
                         struct pare_job *job, struct pare_diag *diag)
{
    /* x op(T) = rhs is op(T)^T x^T = rhs^T. One column to a row would leave no stride to tell the two apart, so ldx > 1 is taken. */
    struct system s = { .m = trans ? pare_view(t, ldt) : pare_view_t(t, ldt), .y = x, .rs = 1, .cs = (int64_t)ldx, .n = n, .cols = m,
                        .upper = (shape == PARE_UPPER) == trans };

    if (ldx == 1) return pare_tri_solve(t, ldt, n, shape, !trans, x, 1, m, job, diag); /* n == 1: rows are divided by one number */
    return solve_system(&s, job, diag);
}

int pare_tri_inverse(double *t, uint64_t n, uint64_t ld, enum pare_tri shape, struct pare_job *job, struct pare_diag *diag)
{
    struct system s = { .m = pare_view(t, ld), .y = t, .rs = (int64_t)ld, .cs = 1, .n = n, .upper = shape == PARE_UPPER, .own = true };
    struct pare_mul_space space = { 0 };
    double *side = NULL; /* the block's columns of the rows that are left, before they become sums of the inverse */
    int rc;

    PARE_FORWARD(check_diagonal(s.m, n, diag));
    PARE_FORWARD(scratch(&s, job, diag));
    rc = pare_mul_space_init(&space, n, n, diag);
    if (rc == 0 && (side = pare_aligned((n + 1) * PARE_NB * sizeof *side)) == NULL) rc = PARE_NOMEM(diag);
    for (uint64_t i = 0; rc == 0 && i * PARE_NB < n; i++) {
        uint64_t r0, rows;

        set_block(&s, i);
        take_block(&s);
        for (uint64_t r = s.b0; r < s.b0 + s.nb; r++)
            for (uint64_t c = s.b0; c < s.b0 + s.nb; c++)
                if (s.upper ? c >= r : c <= r) t[r * ld + c] = r == c ? 1.0 : 0.0;
        s.c0 = s.upper ? s.b0 : 0;
        s.cols = s.upper ? n - s.b0 : s.b0 + s.nb;
        solve_strips(&s, job);
        r0 = s.upper ? 0 : s.b0 + s.nb;
        rows = s.upper ? s.b0 : n - r0;
        for (uint64_t r = 0; r < rows; r++)
            for (uint64_t k = 0; k < s.nb; k++) {
                side[r * PARE_NB + k] = t[(r0 + r) * ld + row_of(&s, k)];
                t[(r0 + r) * ld + row_of(&s, k)] = 0.0;
            }
        /* Inside the block the inverse is triangular too, but the strips' other side holds the caller's numbers. */
        for (uint64_t part = 0; part < 2; part++) {
            uint64_t c0 = part == 1 ? s.b0 : s.upper ? s.b0 + s.nb : 0, cols = part == 1 ? s.nb : s.upper ? n - s.b0 - s.nb : s.b0;
            struct pare_view x = { t + row_of(&s, 0) * ld + c0, (s.upper ? -1 : 1) * (int64_t)ld, 1 };
            if (part == 1) {
                for (uint64_t k = 0; k < s.nb; k++)
                    for (uint64_t c = 0; c < s.nb; c++) {
                        uint64_t r = row_of(&s, k), col = s.b0 + c;
                        s.t[k * s.nb + c] = (s.upper ? col >= r : col <= r) ? t[r * ld + col] : 0.0;
                    }
                x = pare_view(s.t, s.nb);
            }
            pare_matmul_in(&space, t + r0 * ld + c0, ld, rows, cols, s.nb, pare_view(side, PARE_NB), x, PARE_MUL_SUB, PARE_PART_ALL, job);
        }
    }
    pare_aligned_free(side);
    pare_mul_space_free(&space);
    pare_aligned_free(s.t);
    return rc;
}
