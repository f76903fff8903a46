/* SPDX-License-Identifier: Apache-2.0
 * src/compress/second.c: moments of a matrix's input. First moments are summed in f64, row by row. E[x x^T] is summed in blocks of ROWS
 * rows: within a block by the f32 product of vec.h, whose recipe is the same in every tier, the blocks in f64. */
#include "compress/second.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "kernel/vec.h"

#define ROWS 256 /* rows of a block */
#define TILE 32  /* columns that a thread takes at once */

uint64_t pare_second_bytes(uint64_t cols, bool full)
{
    return cols * (3 * sizeof(double) + 2 * sizeof(float)) + (full ? cols * cols * sizeof(double) + cols * ROWS * sizeof(float) : 0);
}

int pare_second_create(struct pare_second *s, uint64_t cols, bool full, struct pare_diag *diag)
{
    memset(s, 0, sizeof *s);
    s->cols = cols;
    s->sum = pare_zalloc(cols, sizeof *s->sum);
    s->sumsq = pare_zalloc(cols, sizeof *s->sumsq);
    s->sumabs = pare_zalloc(cols, sizeof *s->sumabs);
    s->min = pare_zalloc(cols, sizeof *s->min);
    s->max = pare_zalloc(cols, sizeof *s->max);
    if (full) {
        s->xx = pare_aligned(cols * cols * sizeof *s->xx);
        s->block = pare_aligned(cols * ROWS * sizeof *s->block);
        if (s->xx != NULL) memset(s->xx, 0, cols * cols * sizeof *s->xx);
    }
    if (s->sum != NULL && s->sumsq != NULL && s->sumabs != NULL && s->min != NULL && s->max != NULL &&
        (!full || (s->xx != NULL && s->block != NULL)))
        return PARE_OK;
    pare_second_free(s);
    PARE_FAIL(diag, PARE_E_NOMEM, "out of memory for the moments of %llu inputs (%llu bytes)", (unsigned long long)cols,
              (unsigned long long)pare_second_bytes(cols, full));
}

void pare_second_free(struct pare_second *s)
{
    pare_free(s->sum);
    pare_free(s->sumsq);
    pare_free(s->sumabs);
    pare_free(s->min);
    pare_free(s->max);
    pare_aligned_free(s->xx);
    pare_aligned_free(s->block);
    memset(s, 0, sizeof *s);
}

struct add {
    struct pare_second    *s;
    const struct pare_vec *vk;
    const float           *x, *weight;
    uint64_t               ldx;
    uint32_t               n;
};

/* Columns [c0, c0 + TILE), or fewer at the end of a row: the loops over whole tiles have a fixed length. */
static void sums_of_row(struct pare_second *s, const float *x, double w, uint64_t c0, uint64_t n)
{
    for (uint64_t j = 0; j < n; j++) {
        double v = (double)x[j], a = v < 0 ? -v : v;

        s->sum[c0 + j] += w * v;
        s->sumsq[c0 + j] += w * (v * v);
        s->sumabs[c0 + j] += w * a;
    }
}

static void first_moments(const struct add *a, uint64_t c0, uint64_t c1)
{
    struct pare_second *s = a->s;

    for (uint32_t r = 0; r < a->n; r++) {
        const float *x = a->x + r * a->ldx + c0;
        double       w = a->weight == NULL ? 1 : (double)a->weight[r];
        bool         first = s->n + r == 0;

        if (c1 - c0 == TILE) sums_of_row(s, x, w, c0, TILE);
        else sums_of_row(s, x, w, c0, c1 - c0);
        if (!(w > 0)) continue;
        for (uint64_t c = c0; c < c1; c++) {
            s->min[c] = first || x[c - c0] < s->min[c] ? x[c - c0] : s->min[c];
            s->max[c] = first || x[c - c0] > s->max[c] ? x[c - c0] : s->max[c];
        }
    }
}

/* Takes columns [c0, c1) of n rows from row r on into the block, which holds each column's rows side by side. Sixteen rows at a time: their
 * cache lines, and those of the block, are then used whole. */
static void take_columns(const struct add *a, uint32_t r, uint32_t n, uint64_t c0, uint64_t c1)
{
    struct pare_second *s = a->s;
    float               w[ROWS];

    for (uint32_t k = 0; k < n; k++) w[k] = a->weight == NULL ? 1 : sqrtf(a->weight[r + k]);
    for (uint32_t k0 = 0; k0 < n; k0 += 16) {
        uint32_t k1 = n - k0 < 16 ? n : k0 + 16;

        for (uint64_t c = c0; c < c1; c++) {
            const float *x = a->x + (uint64_t)(r + k0) * a->ldx + c;
            float       *to = s->block + c * ROWS + s->held;

            for (uint32_t k = k0; k < k1; k++, x += a->ldx) to[k] = w[k] * *x;
        }
    }
}

struct piece { struct add *a; uint32_t from, n; };

static void moments_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct piece *p = ctx;
    uint64_t            c0 = (uint64_t)chunk * TILE, c1 = c0 + TILE < p->a->s->cols ? c0 + TILE : p->a->s->cols;

    (void)worker;
    if (p->from == 0 && p->a->s->sum != NULL) first_moments(p->a, c0, c1);
    if (p->a->s->xx != NULL) take_columns(p->a, p->from, p->n, c0, c1);
}

/* Rows [c0, c0 + TILE) of the lower triangle; products go through a strip on the stack. */
static void product_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct add   *a = ctx;
    struct pare_second *s = a->s;
    uint64_t            c0 = (uint64_t)chunk * TILE, c1 = c0 + TILE < s->cols ? c0 + TILE : s->cols;
    float               y[TILE * TILE];

    (void)worker;
    for (uint64_t d0 = 0; d0 < c1; d0 += TILE) {
        uint64_t d1 = d0 + TILE < s->cols ? d0 + TILE : s->cols;

        a->vk->gemm_f32(y, TILE, s->block + d0 * ROWS, ROWS * sizeof(float), s->block + c0 * ROWS, ROWS, s->held, 0, d1 - d0,
                        (uint32_t)(c1 - c0));
        for (uint64_t c = c0; c < c1; c++)
            for (uint64_t d = d0; d < d1; d++) s->xx[c * s->cols + d] += (double)y[(c - c0) * TILE + (d - d0)];
    }
}

static uint32_t tiles(const struct pare_second *s) { return (uint32_t)((s->cols + TILE - 1) / TILE); }

static void add_block(struct add *a, struct pare_job *job)
{
    pare_team_run(job != NULL ? job->team : NULL, tiles(a->s), product_chunk, a);
    a->s->held = 0;
}

void pare_second_add(struct pare_second *s, const float *x, uint64_t ldx, uint32_t n, const float *weight, struct pare_job *job)
{
    struct pare_team *team = job != NULL ? job->team : NULL;
    struct add        a = { s, pare_vec_for(job != NULL ? job->tier : pare_cpu_best_tier()), x, weight, ldx, n };

    for (struct piece p = { &a, 0, 0 }; p.from < n; p.from += p.n) {
        p.n = n - p.from;
        if (s->xx != NULL && p.n > ROWS - s->held) p.n = ROWS - s->held;
        pare_team_run(team, tiles(s), moments_chunk, &p);
        s->held += p.n;
        if (s->xx != NULL && s->held == ROWS) add_block(&a, job);
    }
    s->n += n;
    for (uint32_t r = 0; r < n; r++) s->weight += weight == NULL ? 1 : (double)weight[r];
}

int pare_second_finish(struct pare_second *s, struct pare_job *job, struct pare_diag *diag)
{
    if (s->xx != NULL && s->held > 0) {
        struct add a = { s, pare_vec_for(job != NULL ? job->tier : pare_cpu_best_tier()), NULL, NULL, 0, 0 };
        add_block(&a, job);
    }
    pare_aligned_free(s->block);
    s->block = NULL;
    for (uint64_t c = 0; c < s->cols; c++)
        PARE_FAIL_IF(diag, s->sumsq[c] - s->sumsq[c] != 0, PARE_E_CORRUPT,
                     "input channel %llu became infinite on the calibration text: the model is damaged", (unsigned long long)c);
    for (uint64_t c = 0; s->xx != NULL && c < s->cols; c++)
        for (uint64_t d = 0; d < c; d++) s->xx[d * s->cols + c] = s->xx[c * s->cols + d];
    return PARE_OK;
}
