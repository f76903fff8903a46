/* SPDX-License-Identifier: Apache-2.0
 * src/compress/lowrank_plan.c: which rank for which matrix. */
#include "base/mem.h"
#include "base/status.h"
#include "compress/lowrank.h"
#include "compress/solve.h"

#define STEPS 32 /* ranks that are offered of a matrix, evenly up to the one that saves nothing */

uint64_t pare_lowrank_break_even(uint64_t rows, uint64_t cols)
{
    return rows == 0 || cols == 0 ? 0 : (rows * cols - 1) / (rows + cols);
}

uint64_t pare_lowrank_rank_for(uint64_t rows, uint64_t cols, double keep)
{
    double   r = keep * (double)rows * (double)cols / (double)(rows + cols);
    uint64_t least = rows < cols ? rows : cols;

    if (!(r >= 1.0)) return 0;
    if (r > (double)least) return least;
    /* The quotient may have been rounded up to a whole number. */
    return (double)((uint64_t)r * (rows + cols)) > keep * (double)(rows * cols) ? (uint64_t)r - 1 : (uint64_t)r;
}

static double dense_cost(const struct pare_spectrum *sp) { return (double)sp->rows * (double)sp->cols; }

/* Options of one matrix: dense first, then ranks. Losses at other ranks follow the dropped part of the spectrum. */
static uint32_t offer(const struct pare_rank_curve *c, struct pare_option *o, uint64_t *rank)
{
    const struct pare_spectrum *sp = c->sp;
    uint64_t top = pare_lowrank_break_even(sp->rows, sp->cols), last = 0;
    double   at = pare_spectrum_tail(sp, c->at);
    uint32_t n = 1;

    if (top > sp->k) top = sp->k;
    o[0] = (struct pare_option){ .loss = 0.0, .weight = { dense_cost(sp) } };
    rank[0] = PARE_RANK_DENSE;
    for (uint32_t i = 1; i <= STEPS; i++) {
        uint64_t r = (top * i + STEPS - 1) / STEPS;
        if (r == last || r == 0) continue;
        o[n] = (struct pare_option){ .weight = { (double)(r * (sp->rows + sp->cols)) } };
        o[n].loss = at > 0.0 && c->loss > 0.0 ? c->loss * pare_spectrum_tail(sp, r) / at : 0.0;
        rank[n++] = last = r;
    }
    return n;
}

int pare_lowrank_plan(const struct pare_rank_curve *c, uint32_t n, double keep, uint64_t *rank, struct pare_diag *diag)
{
    struct pare_option *o = pare_alloc_array((uint64_t)n * (STEPS + 1), sizeof *o);
    uint64_t           *r = pare_alloc_array((uint64_t)n * (STEPS + 1), sizeof *r);
    struct pare_choice *u = pare_alloc_array(n, sizeof *u);
    struct pare_problem p = { .unit = u, .n_units = n, .n_limits = 1, .limit_name = { "size" }, .limit_unit = { "weights" }, .max_states = 200000 };
    struct pare_solution s = { 0 };
    int rc = o == NULL || r == NULL || u == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint32_t i = 0; rc == PARE_OK && i < n; i++) {
        struct pare_option *mine = o + (uint64_t)i * (STEPS + 1);
        u[i] = (struct pare_choice){ mine, offer(&c[i], mine, r + (uint64_t)i * (STEPS + 1)) };
        p.limit[0] += keep * dense_cost(c[i].sp);
    }
    if (rc == PARE_OK) rc = pare_solve(&s, &p, diag);
    for (uint32_t i = 0; rc == PARE_OK && i < n; i++) rank[i] = r[(uint64_t)i * (STEPS + 1) + s.pick[i]];
    pare_free(s.pick);
    pare_free(o);
    pare_free(r);
    pare_free(u);
    return rc;
}
