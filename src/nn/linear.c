/* SPDX-License-Identifier: Apache-2.0
 * src/nn/linear.c: applying composite linears. Every output is computed by the recipe of its parts alone, so the pieces that the work is
 * cut into (rows x tokens) are chosen for speed only and never show in a result. */
#include <string.h>

#include "nn/linear_private.h"

#define LONG_ROWS 512     /* TILE_ROWS for a few tokens: memory is read in longer runs */
#define FEW_TOKENS 8
#define PIECES_A_THREAD 6 /* enough that a thread which lost its core is not waited for long */

/* Scratch of one worker: sums of later parts, decoded rows. */
static uint64_t worker_bytes(uint64_t cols)
{
    return up64((uint64_t)TILE_ROWS * LATER_TOKENS * sizeof(float)) + up64(DECODE_ROWS * cols * sizeof(float));
}

/* Transformed rows of one turn. */
static uint64_t input_bytes(uint32_t n, uint64_t cols) { return up64((n < TILE_TOKENS ? n : TILE_TOKENS) * cols * sizeof(float)); }

uint64_t pare_linear_scratch(uint32_t n, uint64_t max_cols, uint32_t n_threads, bool input)
{
    return up64(pare_qact_bytes(n < TILE_TOKENS ? n : TILE_TOKENS, max_cols)) + n_threads * worker_bytes(max_cols) + PARE_ALIGN +
           (input ? input_bytes(n, max_cols) : 0);
}

static void run_piece(const struct apply *a, uint32_t o, const struct piece *c, float *y, uint64_t ldy, uint8_t *scratch)
{
    const struct pare_linear *l = a->out[o].l;
    uint64_t rows = c->r1 - c->r0;
    uint32_t n = c->t1 - c->t0;
    float   *later = (float *)(void *)scratch;
    float   *decoded = (float *)(void *)(scratch + up64((uint64_t)TILE_ROWS * LATER_TOKENS * sizeof(float)));

    if (l->n_parts > 0) pare_linear_run_part(a, o, 0, c, y, ldy, decoded);
    for (uint32_t i = 1; i < l->n_parts; i++) {
        struct piece some = *c;

        for (; some.t0 < c->t1; some.t0 = some.t1) {
            some.t1 = c->t1 - some.t0 < LATER_TOKENS ? c->t1 : some.t0 + LATER_TOKENS;
            pare_linear_run_part(a, o, i, &some, later, rows, decoded);
            for (uint32_t t = some.t0; t < some.t1; t++)
                a->vk->add(y + (t - c->t0) * ldy, y + (t - c->t0) * ldy, later + (t - some.t0) * rows, rows);
        }
    }
    if (l->n_parts == 0)
        for (uint32_t t = 0; t < n; t++) memset(y + t * ldy, 0, rows * sizeof *y);
    if (l->bias != NULL)
        for (uint32_t t = 0; t < n; t++) a->vk->add(y + t * ldy, y + t * ldy, l->bias + c->r0, rows);
}

static uint32_t row_tiles(const struct apply *a, const struct pare_linear *l)
{
    return (uint32_t)((l->rows + a->tile_rows - 1) / a->tile_rows);
}

/* Chunks count through the outputs, in each through its row tiles, in each through the token tiles: neighbours share weights. */
static void apply_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct apply *a = ctx;
    struct piece        c;
    uint32_t            o = 0;
    const struct pare_linear_out *out;
    uint64_t            mine;

    while (chunk >= (mine = (uint64_t)row_tiles(a, a->out[o].l) * a->n_ttiles)) {
        chunk -= (uint32_t)mine;
        o++;
    }
    out = &a->out[o];
    c.r0 = (uint64_t)(chunk / a->n_ttiles) * a->tile_rows;
    c.r1 = c.r0 + a->tile_rows < out->l->rows ? c.r0 + a->tile_rows : out->l->rows;
    c.t0 = chunk % a->n_ttiles * a->tile_tokens;
    c.t1 = a->n - c.t0 > a->tile_tokens ? c.t0 + a->tile_tokens : a->n;
    run_piece(a, o, &c, out->y + (uint64_t)(a->first + c.t0) * out->ldy + c.r0, out->ldy, a->worker + worker * a->worker_bytes);
}

/* Whether x itself is multiplied as int8. */
static bool needs_int8(const struct pare_linear_out *out, uint32_t n_out)
{
    for (uint32_t i = 0; i < n_out; i++)
        for (uint32_t j = 0; j < out[i].l->n_parts; j++) {
            const struct pare_part *p = &out[i].l->part[j];
            if (p->kind == PARE_PART_PACKED || (p->kind == PARE_PART_LOWRANK && p->inner->store == PARE_PART_PACKED)) return true;
        }
    return false;
}

/* Cuts the tokens into pieces of about the same length, multiples of the kernel's own tile, at most most long. */
static void cut_tokens(struct apply *a, uint32_t most)
{
    const uint32_t unit = a->qk->token_tile, n = (a->n + most - 1) / most, each = (a->n + n - 1) / n;

    a->tile_tokens = n == 1 ? a->n : (each + unit - 1) / unit * unit;
    a->n_ttiles = (a->n + a->tile_tokens - 1) / a->tile_tokens;
}

/* Chooses the pieces so finely that each thread gets several: first tokens are cut, down to a few tiles of the kernel, then rows, down to
 * one panel. */
static uint64_t choose_tiles(struct apply *a, uint32_t n_threads)
{
    const uint64_t enough = (uint64_t)n_threads * PIECES_A_THREAD;
    uint32_t       most = TILE_TOKENS;
    uint64_t       all = 0, tiles;

    for (uint32_t i = 0; i < a->n_out; i++) all += a->out[i].l->rows;
    a->tile_rows = a->n <= FEW_TOKENS ? LONG_ROWS : TILE_ROWS; /* FEW_TOKENS * LONG_ROWS sums fit in a worker's scratch */
    for (cut_tokens(a, most); most > a->qk->token_tile && all / a->tile_rows * a->n_ttiles < enough; cut_tokens(a, most)) most -= a->qk->token_tile;
    while (a->tile_rows > PARE_PANEL && all / a->tile_rows * a->n_ttiles < enough) a->tile_rows /= 2;
    tiles = 0;
    for (uint32_t i = 0; i < a->n_out; i++) tiles += row_tiles(a, a->out[i].l);
    return tiles * a->n_ttiles;
}

/* a->n tokens, at most TILE_TOKENS, with the scratch from a->worker on. */
static void apply_some(struct apply *a, struct pare_team *team)
{
    const uint64_t cols = a->out[0].l->cols;
    uint64_t       chunks;

    a->int8 = needs_int8(a->out, a->n_out);
    if (a->int8) {
        pare_qact_init(&a->qact, a->worker, a->n, cols);
        a->worker += up64(pare_qact_bytes(a->n, cols));
    }
    a->inner = a->worker;
    for (uint32_t i = 0; i < a->n_out; i++) a->worker += pare_linear_inner_scratch(a->out[i].l, a->n);
    pare_linear_prepare(a, team);
    chunks = choose_tiles(a, pare_team_size(team));
    /* rows < 2^32 and pieces of 16 rows keep the count of one token tile in 32 bits; batches are cut by the model. */
    pare_team_run(team, (uint32_t)chunks, apply_chunk, a);
}

/* Linears that see the same rows: the rows are cut into turns of at most TILE_TOKENS. */
static void apply_alike(struct apply *a, const float *x, uint64_t ldx, uint32_t n, void *scratch, struct pare_job *job)
{
    const struct pare_input *in = a->out[0].l->input;
    const uint64_t cols = a->out[0].l->cols;
    uint32_t       cuts = (n + TILE_TOKENS - 1) / TILE_TOKENS, each = (n + cuts - 1) / cuts;

    a->worker_bytes = worker_bytes(cols);
    for (a->first = 0; a->first < n; a->first += a->n) {
        a->n = n - a->first < each ? n - a->first : each;
        a->x = x + a->first * ldx;
        a->ldx = ldx;
        a->worker = (uint8_t *)scratch + (-(uintptr_t)scratch & (PARE_ALIGN - 1));
        if (in != NULL) {
            float *mine = (float *)(void *)a->worker;
            in->run(in, mine, cols, a->x, ldx, a->n, job);
            a->x = mine;
            a->ldx = cols;
            a->worker += input_bytes(a->n, cols);
        }
        apply_some(a, job != NULL ? job->team : NULL);
    }
}

void pare_linear_apply(const struct pare_linear_out *out, uint32_t n_out, const float *x, uint64_t ldx, uint32_t n,
                       void *scratch, struct pare_job *job)
{
    int          tier = job != NULL ? job->tier : pare_cpu_best_tier();
    struct apply a = { .vk = pare_vec_for(tier), .qk = pare_gemmq_for(tier), .sk = pare_entries_for(tier) };

    if (n == 0) return;
    for (uint32_t i = 0; i < n_out; i += a.n_out) { /* neighbours with one input transform, mostly none, go together */
        a.out = out + i;
        a.n_out = 1;
        while (i + a.n_out < n_out && out[i + a.n_out].l->input == out[i].l->input) a.n_out++;
        apply_alike(&a, x, ldx, n, scratch, job);
    }
}
