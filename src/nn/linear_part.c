/* SPDX-License-Identifier: Apache-2.0
 * src/nn/linear_part.c: what the parts of a linear compute, each by a recipe of its own (docs/kernels-f32.md, Parts), and the inputs that some parts
 * have for themselves: B x of a low-rank part, picked columns, the sum of a row. These are made once a token, before the rows are cut into
 * pieces. */
#include "nn/linear_private.h"

#include <string.h>

#define RANK_ROWS 32   /* rows of B in a piece: ranks are small, and every thread wants some */
#define RANK_TOKENS 48

static struct inner shape_of(const struct pare_part *p, uint32_t n)
{
    struct inner in = { 0 };

    switch (p->kind) {
    case PARE_PART_LOWRANK: case PARE_PART_COLUMNS: in.width = p->cols; break;
    case PARE_PART_CONST: in.width = p->by_sum ? 1 : 0; break;
    default: break;
    }
    in.int8 = in.width != 0 && p->store == PARE_PART_PACKED;
    if (in.width != 0) in.bytes = pare_inner_scratch(n, in.width, in.int8);
    return in;
}

uint64_t pare_inner_scratch(uint32_t n, uint64_t width, bool packed)
{
    uint32_t some = n < TILE_TOKENS ? n : TILE_TOKENS;

    return up64(some * width * sizeof(float)) + (packed ? up64(pare_qact_bytes(some, width)) : 0);
}

uint64_t pare_linear_inner_scratch(const struct pare_linear *l, uint32_t n)
{
    uint64_t sum = 0;

    for (uint32_t k = 0; k < l->n_parts; k++) sum += shape_of(&l->part[k], n).bytes;
    return sum;
}

struct inner pare_linear_inner(const struct apply *a, uint32_t o, uint32_t k)
{
    uint8_t     *at = a->inner;
    struct inner in;

    for (uint32_t i = 0; i < o; i++) at += pare_linear_inner_scratch(a->out[i].l, a->n);
    for (uint32_t i = 0; i < k; i++) at += shape_of(&a->out[o].l->part[i], a->n).bytes;
    in = shape_of(&a->out[o].l->part[k], a->n);
    in.x = (float *)(void *)at;
    if (in.int8) pare_qact_init(&in.q, at + up64((uint64_t)a->n * in.width * sizeof(float)), a->n, in.width);
    return in;
}

/* ---- matrices ---- */

typedef void (*float_gemm)(float *, uint64_t, const void *, uint64_t, const float *, uint64_t, uint64_t, uint64_t, uint64_t, uint32_t);

static void matrix_float(const struct apply *a, const struct pare_part *p, const struct operand *x, const struct piece *c, float *y, uint64_t ldy)
{
    float_gemm g = p->type->type == PARE_F32 ? a->vk->gemm_f32 : p->type->type == PARE_F16 ? a->vk->gemm_f16 : a->vk->gemm_bf16;

    g(y, ldy, p->rows + c->r0 * p->row_stride, p->row_stride, x->x + c->t0 * x->ldx, x->ldx, p->cols, 0, c->r1 - c->r0, c->t1 - c->t0);
}

static void matrix_decoded(const struct apply *a, const struct pare_part *p, const struct operand *x, const struct piece *c, float *y,
                           uint64_t ldy, float *rows)
{
    const uint64_t cols = p->cols;

    for (uint64_t r = c->r0; r < c->r1; r += DECODE_ROWS) {
        uint64_t n = c->r1 - r < DECODE_ROWS ? c->r1 - r : DECODE_ROWS;

        for (uint64_t i = 0; i < n; i++) p->type->decode(rows + i * cols, p->rows + (r + i) * p->row_stride, cols);
        a->vk->gemm_f32(y + (r - c->r0), ldy, rows, cols * sizeof(float), x->x + c->t0 * x->ldx, x->ldx, cols, 0, n, c->t1 - c->t0);
    }
}

static void matrix_packed(const struct apply *a, const struct pare_part *p, const struct operand *x, const struct piece *c, float *y, uint64_t ldy)
{
    /* The piece is handed over as a matrix and a batch of their own, so that y may be the result or scratch. */
    struct pare_packed w = p->packed;
    struct pare_qact   q = pare_qact_rows(&x->q, c->t0, c->t1);
    uint32_t           p0 = (uint32_t)(c->r0 / PARE_PANEL), p1 = (uint32_t)((c->r1 + PARE_PANEL - 1) / PARE_PANEL);

    w.data += (uint64_t)p0 * w.panel_bytes;
    w.n_panels = p1 - p0;
    w.rows = c->r1 - c->r0;
    a->qk->gemm(y, ldy, &w, &q, 0, w.n_panels, 0, q.n);
}

static void matrix(const struct apply *a, const struct pare_part *p, const struct operand *x, const struct piece *c, float *y, uint64_t ldy,
                   float *decoded)
{
    switch (p->store) {
    case PARE_PART_FLOAT: matrix_float(a, p, x, c, y, ldy); break;
    case PARE_PART_PACKED: matrix_packed(a, p, x, c, y, ldy); break;
    default: matrix_decoded(a, p, x, c, y, ldy, decoded); break;
    }
}

static struct operand whole_input(const struct apply *a) { return (struct operand){ a->x, a->ldx, a->qact }; }

void pare_linear_run_part(const struct apply *a, uint32_t o, uint32_t k, const struct piece *c, float *y, uint64_t ldy, float *decoded)
{
    const struct pare_part *p = &a->out[o].l->part[k];
    struct operand          x = whole_input(a);
    struct inner            in;

    switch (p->kind) {
    case PARE_PART_SPARSE: a->sk->gemm(y, ldy, &p->sparse, a->x + c->t0 * a->ldx, a->ldx, c->r0, c->r1, c->t1 - c->t0); return;
    case PARE_PART_CONST:
        in = pare_linear_inner(a, o, k);
        for (uint32_t t = c->t0; t < c->t1; t++) {
            float *to = y + (t - c->t0) * ldy;
            if (p->by_sum) a->vk->scale(to, p->value + c->r0, in.x[t], c->r1 - c->r0);
            else memcpy(to, p->value + c->r0, (c->r1 - c->r0) * sizeof *to);
        }
        return;
    case PARE_PART_LOWRANK: case PARE_PART_COLUMNS:
        in = pare_linear_inner(a, o, k);
        x = (struct operand){ in.x, in.width, in.q };
        break;
    default: break;
    }
    matrix(a, p, &x, c, y, ldy, decoded);
}

/* ---- inputs ---- */

static void quantize_inner(const struct apply *a, const struct inner *in, uint32_t t0, uint32_t t1)
{
    if (in->int8) a->qk->quantize(&in->q, in->x, in->width, t0, t1);
}

/* Rows [t0, t1) of x as int8, of picked columns, of sums. */
static void first_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct apply *a = ctx;
    uint32_t            t0 = chunk * a->q_rows, t1 = a->n - t0 > a->q_rows ? t0 + a->q_rows : a->n;

    (void)worker;
    if (a->int8) a->qk->quantize(&a->qact, a->x, a->ldx, t0, t1);
    for (uint32_t o = 0; o < a->n_out; o++)
        for (uint32_t k = 0; k < a->out[o].l->n_parts; k++) {
            const struct pare_part *p = &a->out[o].l->part[k];
            struct inner            in;

            if (p->kind != PARE_PART_COLUMNS && !(p->kind == PARE_PART_CONST && p->by_sum)) continue;
            in = pare_linear_inner(a, o, k);
            for (uint32_t t = t0; t < t1; t++) {
                const float *x = a->x + t * a->ldx;
                if (p->kind == PARE_PART_CONST) in.x[t] = a->vk->sum(x, a->out[o].l->cols);
                else for (uint64_t i = 0; i < in.width; i++) in.x[t * in.width + i] = x[p->index[i]];
            }
            quantize_inner(a, &in, t0, t1);
        }
}

static uint32_t rank_tiles(const struct pare_part *p) { return (uint32_t)((p->cols + RANK_ROWS - 1) / RANK_ROWS); }

/* Pieces of B x, counted through the low-rank parts, in each through rows, then tokens. */
static void rank_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct apply  *a = ctx;
    const uint32_t       n_ttiles = (a->n + RANK_TOKENS - 1) / RANK_TOKENS;
    const struct operand x = whole_input(a);
    float               *decoded = (float *)(void *)(a->worker + worker * a->worker_bytes + up64((uint64_t)TILE_ROWS * LATER_TOKENS * sizeof(float)));

    for (uint32_t o = 0; o < a->n_out; o++)
        for (uint32_t k = 0; k < a->out[o].l->n_parts; k++) {
            const struct pare_part *p = &a->out[o].l->part[k];
            struct inner            in;
            struct piece            c;

            if (p->kind != PARE_PART_LOWRANK) continue;
            if (chunk >= rank_tiles(p) * n_ttiles) {
                chunk -= rank_tiles(p) * n_ttiles;
                continue;
            }
            in = pare_linear_inner(a, o, k);
            c.r0 = (uint64_t)(chunk / n_ttiles) * RANK_ROWS;
            c.r1 = c.r0 + RANK_ROWS < p->cols ? c.r0 + RANK_ROWS : p->cols;
            c.t0 = chunk % n_ttiles * RANK_TOKENS;
            c.t1 = a->n - c.t0 > RANK_TOKENS ? c.t0 + RANK_TOKENS : a->n;
            matrix(a, p->inner, &x, &c, in.x + c.t0 * in.width + c.r0, in.width, decoded);
            return;
        }
}

static void rank_quantize_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct apply *a = ctx;
    uint32_t            t0 = chunk * a->q_rows, t1 = a->n - t0 > a->q_rows ? t0 + a->q_rows : a->n;

    (void)worker;
    for (uint32_t o = 0; o < a->n_out; o++)
        for (uint32_t k = 0; k < a->out[o].l->n_parts; k++)
            if (a->out[o].l->part[k].kind == PARE_PART_LOWRANK) {
                struct inner in = pare_linear_inner(a, o, k);
                quantize_inner(a, &in, t0, t1);
            }
}

void pare_linear_prepare(struct apply *a, struct pare_team *team)
{
    uint32_t rank_chunks = 0, chunks;
    bool     first = a->int8, quantize = false;

    for (uint32_t o = 0; o < a->n_out; o++)
        for (uint32_t k = 0; k < a->out[o].l->n_parts; k++) {
            const struct pare_part *p = &a->out[o].l->part[k];

            if (p->kind == PARE_PART_COLUMNS || (p->kind == PARE_PART_CONST && p->by_sum)) first = true;
            if (p->kind != PARE_PART_LOWRANK) continue;
            rank_chunks += rank_tiles(p) * ((a->n + RANK_TOKENS - 1) / RANK_TOKENS);
            quantize = quantize || p->store == PARE_PART_PACKED;
        }
    /* Below a few rows waking the team costs more than the work. */
    a->q_rows = a->n <= 4 ? a->n : 4;
    chunks = (a->n + a->q_rows - 1) / a->q_rows;
    if (first) pare_team_run(team, chunks, first_chunk, a);
    if (rank_chunks != 0) pare_team_run(team, rank_chunks, rank_chunk, a);
    if (quantize) pare_team_run(team, chunks, rank_quantize_chunk, a);
}
