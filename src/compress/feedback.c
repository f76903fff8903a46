/* SPDX-License-Identifier: Apache-2.0
 * src/compress/feedback.c: the column loop. Sixteen rows of a weight go through the columns together, a row a lane; runs of 256 columns
 * take what earlier runs fed back by one matrix product, whose recipe is the same in every tier (vec.h). */
#include "compress/feedback.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "kernel/enc_tiers.h"
#include "kernel/gemmq_layout.h"
#include "kernel/vec.h"

enum { LANES = 16, RUN = 256, SUB = 32 };

struct loop {
    const struct pare_feedback *f;
    const struct pare_dtype    *type;
    const struct pare_vec      *vk;
    const struct pare_enc_wide *wide;
    const float *w;
    uint64_t     rows, row_bytes;
    uint8_t     *dst;
    double      *err;
    uint8_t     *mem;       /* scratch of worker 0 */
    uint64_t     mem_bytes, view_bytes;
};

/* Scratch of one worker; 16 rows each. */
struct lanes {
    float   *w, *err;       /* [16][n] in positions: the original, and original minus rounded */
    float   *run, *sub;     /* [16][RUN], [16][SUB]: what is fed back */
    uint8_t *view;          /* 16 integer views */
    uint64_t view_bytes;
    float    v[SUB][LANES], e[SUB][LANES];
    double   left[LANES];   /* output error so far */
    struct pare_row_view u[LANES];
};

static uint64_t up64(uint64_t n) { return (n + 63) & ~(uint64_t)63; }

static uint64_t lanes_bytes(uint64_t n, uint64_t view_bytes)
{
    return up64(sizeof(struct lanes)) + 2 * up64(LANES * n * 4) + up64(LANES * RUN * 4) + up64(LANES * SUB * 4) +
           LANES * view_bytes;
}

static struct lanes *lanes_at(uint8_t *mem, uint64_t n, uint64_t view_bytes)
{
    struct lanes *l = (struct lanes *)(void *)mem;

    mem += up64(sizeof *l);
    l->w = (float *)(void *)mem;
    mem += up64(LANES * n * 4);
    l->err = (float *)(void *)mem;
    mem += up64(LANES * n * 4);
    l->run = (float *)(void *)mem;
    mem += up64(LANES * RUN * 4);
    l->sub = (float *)(void *)mem;
    mem += up64(LANES * SUB * 4);
    l->view = mem;
    l->view_bytes = view_bytes;
    return l;
}

/* The grid of one column in one row. */
struct grid { float dw, mw; };

static struct grid grid_of(const struct pare_pack_traits *p, const struct pare_unpacked *u, uint64_t c)
{
    uint64_t g = c / p->group, s = p->super == 0 ? 0 : c / p->super;

    return (struct grid){ u->d[s] * (float)(p->has_sub ? u->s[g] : 1), p->has_min ? -(u->dmin[s] * (float)u->m[g]) : 0.0f };
}

/* Nearest code to v and its value. */
static uint8_t nearest(const struct pare_pack_traits *p, struct grid g, float v, float *value)
{
    const int levels = 1 << p->bits;
    float     t = g.dw != 0 ? (v - g.mw) / g.dw : 0, best;
    int       at = 0;

    if (p->lut == NULL) {
        float lo = p->offset, hi = (float)(levels - 1 + p->offset);

        t = t < lo ? lo : t > hi ? hi : t;
        t = (t + 12582912.0f) - 12582912.0f; /* to the nearest whole number */
        *value = g.dw * t + g.mw;
        return (uint8_t)((int)t - p->offset);
    }
    best = fabsf(t - (float)p->lut[0]);
    for (int i = 1; i < levels; i++) {
        float d = fabsf(t - (float)p->lut[i]);
        if (d < best) {
            best = d;
            at = i;
        }
    }
    *value = g.dw * (float)p->lut[at] + g.mw;
    return (uint8_t)at;
}

static uint64_t column_of(const struct pare_feedback *f, uint64_t k) { return f->order == NULL ? k : f->order[k]; }

/* Rounds positions [s0, s1) of n rows. l->run holds what positions before r0 feed back. */
static void round_sub(const struct loop *p, struct lanes *l, uint32_t n, uint64_t r0, uint64_t s0, uint64_t s1)
{
    const struct pare_feedback *f = p->f;
    const uint64_t cols = f->n;
    const uint32_t width = (uint32_t)(s1 - s0);

    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < width; k++) l->v[k][i] = l->w[i * cols + s0 + k] + l->run[i * RUN + (s0 - r0) + k];
    if (s0 > r0) {
        p->vk->gemm_f32(l->sub, SUB, f->ut + s0 * cols + r0, cols * sizeof(float), l->err + r0, cols, s0 - r0, 0, width, n);
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t k = 0; k < width; k++) l->v[k][i] += l->sub[i * SUB + k];
    }
    for (uint32_t k = 0; k < width; k++) {
        const float *u = f->ut + (s0 + k) * cols + s0;
        uint64_t     c = column_of(f, s0 + k);

        for (uint32_t j = 0; j < k; j++)
            for (int i = 0; i < LANES; i++) l->v[k][i] += l->e[j][i] * u[j];
        for (uint32_t i = 0; i < n; i++) {
            float value;
            l->u[i].u.idx[c] = nearest(&p->type->pack, grid_of(&p->type->pack, &l->u[i].u, c), l->v[k][i], &value);
            l->left[i] += (double)f->importance[c] * ((double)(l->v[k][i] - value) * (double)(l->v[k][i] - value));
            l->e[k][i] = l->w[i * cols + s0 + k] - value;
            l->err[i * cols + s0 + k] = l->e[k][i];
        }
    }
}

/* Rounds positions [r0, r1) after everything before r0 has been rounded; l->run is ready. */
static void round_run(const struct loop *p, struct lanes *l, uint32_t n, uint64_t r0, uint64_t r1)
{
    for (uint64_t s = r0; s < r1; s += SUB) round_sub(p, l, n, r0, s, s + SUB < r1 ? s + SUB : r1);
}

static void feed_run(const struct loop *p, struct lanes *l, uint32_t n, uint64_t r0, uint64_t r1)
{
    if (r0 == 0) memset(l->run, 0, LANES * RUN * sizeof *l->run);
    else p->vk->gemm_f32(l->run, RUN, p->f->ut + r0 * p->f->n, p->f->n * sizeof(float), l->err, p->f->n, r0, 0, r1 - r0, n);
}

/* Scales first, from the rows as they are; then all codes. */
static void whole_rows(const struct loop *p, struct lanes *l, uint64_t row0, uint32_t n)
{
    const uint64_t cols = p->f->n;

    for (uint32_t i = 0; i < n; i++) {
        uint8_t *to = p->dst + (row0 + i) * p->row_bytes;
        p->type->encode(to, p->w + (row0 + i) * cols, cols, p->f->importance);
        l->u[i] = pare_row_view(p->type, cols, l->view + i * l->view_bytes);
        p->type->unpack(&l->u[i].u, to, cols);
    }
    for (uint64_t r = 0; r < cols; r += RUN) {
        uint64_t end = r + RUN < cols ? r + RUN : cols;
        feed_run(p, l, n, r, end);
        round_run(p, l, n, r, end);
    }
    for (uint32_t i = 0; i < n; i++) p->type->repack(p->dst + (row0 + i) * p->row_bytes, &l->u[i].u, cols);
}

static void encode_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct loop *p = ctx;
    struct lanes      *l = lanes_at(p->mem + worker * p->mem_bytes, p->f->n, p->view_bytes);
    uint64_t           row0 = (uint64_t)chunk * LANES;
    uint32_t           n = p->rows - row0 < LANES ? (uint32_t)(p->rows - row0) : LANES;

    pare_enc_use(p->wide);
    memset(l->e, 0, sizeof l->e);
    memset(l->v, 0, sizeof l->v);
    memset(l->left, 0, sizeof l->left);
    for (uint32_t i = 0; i < n; i++)
        for (uint64_t k = 0; k < p->f->n; k++) l->w[i * p->f->n + k] = p->w[(row0 + i) * p->f->n + column_of(p->f, k)];
    whole_rows(p, l, row0, n);
    for (uint32_t i = 0; p->err != NULL && i < n; i++) p->err[row0 + i] = p->f->scale * l->left[i];
}

int pare_feedback_encode(const struct pare_feedback *f, const struct pare_dtype *type, const float *w, uint64_t rows, uint8_t *dst,
                         double *err, struct pare_job *job, struct pare_diag *diag)
{
    struct loop p = { .f = f, .type = type, .vk = pare_vec_for(job->tier), .wide = pare_enc_wide_for(job->tier), .w = w, .rows = rows,
                      .dst = dst, .err = err, .view_bytes = up64(pare_pack_scratch(type, f->n)) };

    PARE_FAIL_IF(diag, type->pack.trellis != NULL || type->encode == NULL || type->unpack == NULL || !pare_dtype_row_bytes(type, f->n, &p.row_bytes), PARE_E_USAGE,
                 "type %s cannot be written with error feedback in rows of %llu", type->name, (unsigned long long)f->n);
    p.mem_bytes = up64(lanes_bytes(f->n, p.view_bytes));
    p.mem = pare_aligned(p.mem_bytes * pare_team_size(job->team));
    if (p.mem == NULL) return PARE_NOMEM(diag);
    pare_team_run(job->team, (uint32_t)((rows + LANES - 1) / LANES), encode_chunk, &p);
    pare_aligned_free(p.mem);
    return pare_job_check(job, diag);
}
