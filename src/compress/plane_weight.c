/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/plane_weight.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"

/* Planes without bits, scales of 0, room for n single weights. */
static int room(struct pare_plane_weight *w, uint64_t rows, uint64_t cols, uint32_t group, uint32_t bits, uint64_t n, struct pare_diag *diag)
{
    uint64_t scales;

    memset(w, 0, sizeof *w);
    PARE_FAIL_IF(diag, rows > UINT32_MAX || cols > UINT32_MAX, PARE_E_LIMIT, "%llu x %llu weights are too many for planes", (unsigned long long)rows,
                 (unsigned long long)cols);
    PARE_FORWARD(pare_planes_shape(&w->p, (uint32_t)rows, (uint32_t)cols, group, bits, PARE_PLANE_UNSIGNED, diag));
    scales = pare_plane_scales_count(&w->p);
    w->p.data = pare_aligned(pare_planes_bytes(&w->p));
    w->alpha = pare_zalloc(scales, bits * sizeof(float));
    w->zero = pare_zalloc(scales, sizeof(float));
    w->first = pare_zalloc(rows + 1, sizeof *w->first);
    w->column = pare_alloc_array(n + 1, sizeof *w->column);
    w->extra = pare_alloc_array(n + 1, sizeof *w->extra);
    if (w->p.data == NULL || w->alpha == NULL || w->zero == NULL || w->first == NULL || w->column == NULL || w->extra == NULL) {
        pare_plane_weight_free(w);
        return PARE_NOMEM(diag);
    }
    memset(w->p.data, 0, pare_planes_bytes(&w->p));
    return PARE_OK;
}

void pare_plane_weight_free(struct pare_plane_weight *w)
{
    pare_aligned_free(w->p.data);
    pare_free(w->alpha);
    pare_free(w->zero);
    pare_free(w->first);
    pare_free(w->column);
    pare_free(w->extra);
    memset(w, 0, sizeof *w);
}

/* Index of a plane's scale, from that of the group's zero. */
static uint64_t alpha_at(uint64_t at, uint32_t bits, uint32_t plane) { return (at / PARE_PLANE_ROWS * bits + plane) * PARE_PLANE_ROWS + at % PARE_PLANE_ROWS; }

int pare_plane_weight_dual(struct pare_plane_weight *w, const struct pare_dual *d, struct pare_diag *diag)
{
    int16_t *line = pare_alloc_array(d->cols, sizeof *line);
    int rc = line == NULL ? PARE_NOMEM(diag) : room(w, d->rows, d->cols, d->group, 2, 0, diag);

    for (uint32_t r = 0; r < d->rows && rc == PARE_OK; r++) {
        for (uint64_t c = 0; c < d->cols; c++) line[c] = d->code[r * d->cols + c];
        pare_planes_put(&w->p, r, line);
        for (uint32_t g = 0; g < d->n_groups; g++) {
            const float *a = d->alpha + 2 * ((uint64_t)r * d->n_groups + g);
            uint64_t at = pare_plane_scale_at(&w->p, r, g);

            w->alpha[alpha_at(at, 2, 0)] = 0.5f * a[0];
            w->alpha[alpha_at(at, 2, 1)] = 0.5f * a[1];
            w->zero[at] = 0.5f * (a[0] + a[1]);
        }
    }
    pare_free(line);
    return rc;
}

int pare_plane_weight_partial(struct pare_plane_weight *w, const struct pare_partial *b, struct pare_diag *diag)
{
    int16_t *line = pare_alloc_array(b->cols, sizeof *line);
    int rc = line == NULL ? PARE_NOMEM(diag) : room(w, b->rows, b->cols, b->run, 1, b->n_salient, diag);
    uint64_t n = 0;

    for (uint32_t r = 0; r < b->rows && rc == PARE_OK; r++) {
        for (uint64_t c = 0; c < b->cols; c++) {
            uint64_t at = r * b->cols + c, run = (uint64_t)r * b->n_runs + c / b->run;

            line[c] = !b->salient[at] && b->code[at] > 0;
            if (!b->salient[at]) continue;
            w->column[n] = (uint32_t)c;
            w->extra[n++] = (float)b->code[at] * b->scale[r] - (b->mu[run] - b->alpha[run]);
        }
        w->first[r + 1] = n;
        pare_planes_put(&w->p, r, line);
        for (uint32_t g = 0; g < b->n_runs; g++) {
            uint64_t at = pare_plane_scale_at(&w->p, r, g);

            w->alpha[at] = b->alpha[(uint64_t)r * b->n_runs + g];
            w->zero[at] = b->mu[(uint64_t)r * b->n_runs + g];
        }
    }
    pare_free(line);
    return rc;
}

uint64_t pare_plane_weight_scratch(const struct pare_plane_weight *w) { return pare_plane_ftables_bytes(&w->p); }

void pare_plane_weight_apply(const struct pare_plane_weight *w, float *y, const float *x, uint32_t p0, uint32_t p1, void *scratch, bool ready,
                             const struct pare_plane_ops *ops)
{
    struct pare_plane_ftables t = { .table = scratch };
    const struct pare_plane_scales s = { .zero = w->zero, .alpha = w->alpha };
    uint32_t end = p1 < w->p.n_panels ? p1 * PARE_PLANE_ROWS : w->p.rows;

    if (ready) t.sum = t.table + (uint64_t)w->p.n_blocks * 256;
    else pare_plane_ftables_set(&t, scratch, &w->p, x, ops);
    pare_planes_flookup(ops, y, &w->p, &s, &t, p0, p1);
    for (uint32_t r = p0 * PARE_PLANE_ROWS; r < end; r++)
        for (uint64_t k = w->first[r]; k < w->first[r + 1]; k++) y[r] = fmaf(w->extra[k], x[w->column[k]], y[r]);
}
