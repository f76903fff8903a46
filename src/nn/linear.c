/* SPDX-License-Identifier: Apache-2.0
 * src/nn/linear.c: binding and applying composite linears. Every output is computed by the recipe of its parts alone, so the
 * pieces that the work is cut into (rows x tokens) are chosen for speed only and never show in a result. */
#include "nn/linear.h"

#include <string.h>

#include "base/checked.h"
#include "base/status.h"

#define TILE_ROWS 128     /* most rows of a piece: 8 panels, as many as a kernel unpacks at once */
#define LONG_ROWS 512     /* the same for a few tokens: memory is read in longer runs */
#define FEW_TOKENS 8
#define TILE_TOKENS 288   /* most tokens at once: weights are unpacked, and read, once for all of them; more are cut, which saves scratch */
#define LATER_TOKENS 96   /* tokens for which the sums of a later part wait in scratch */
#define DECODE_ROWS 8     /* rows decoded at once on the reference path */
#define PIECES_A_THREAD 6 /* enough that a thread which lost its core is not waited for long */

static uint64_t up64(uint64_t n) { return (n + (PARE_ALIGN - 1)) & ~(uint64_t)(PARE_ALIGN - 1); }

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

/* ---- binding ---- */

struct pack_job {
    const struct pare_packed *p;
    const uint8_t *rows;
    uint64_t       row_stride;
    uint8_t       *scratch;
    uint64_t       scratch_bytes;
};

static void pack_chunk(void *ctx, uint32_t panel, uint32_t worker)
{
    const struct pack_job *j = ctx;
    uint64_t r = (uint64_t)panel * PARE_PANEL, left = j->p->rows - r;

    pare_pack_panel(j->p, panel, j->rows + r * j->row_stride, j->row_stride, left < PARE_PANEL ? (uint32_t)left : PARE_PANEL,
                    j->scratch + worker * j->scratch_bytes);
}

/* Allocates and fills the panels of p; on success p->data is the caller's. */
static int pack_rows(struct pare_packed *p, const uint8_t *rows, uint64_t row_stride, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_team *team = job != NULL ? job->team : NULL;
    struct pack_job   j = { .p = p, .rows = rows, .row_stride = row_stride };
    uint64_t          bytes;

    if (!pare_mul_u64(p->n_panels, p->panel_bytes, &bytes)) PARE_FAIL(diag, PARE_E_LIMIT, "the packed size overflows");
    j.scratch_bytes = up64(pare_pack_scratch(p->type, p->cols));
    j.scratch = pare_aligned(j.scratch_bytes * pare_team_size(team));
    p->data = pare_aligned(bytes);
    if (j.scratch == NULL || p->data == NULL) {
        pare_aligned_free(j.scratch);
        pare_aligned_free(p->data);
        p->data = NULL;
        return PARE_ERR(diag, PARE_E_NOMEM, "out of memory for %llu bytes of packed weights", (unsigned long long)bytes);
    }
    pare_team_run(team, p->n_panels, pack_chunk, &j);
    pare_aligned_free(j.scratch);
    return PARE_OK;
}

/* Checks the shape against earlier parts and gives the slot of a new one. */
static int new_part(struct pare_linear *l, const struct pare_dtype *type, uint64_t n_rows, uint64_t n_cols,
                    struct pare_part **part, struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, l->n_parts == PARE_MAX_PARTS, PARE_E_LIMIT, "a weight has more than %d parts", PARE_MAX_PARTS);
    PARE_FAIL_IF(diag, l->n_parts != 0 && (l->rows != n_rows || l->cols != n_cols), PARE_E_CORRUPT,
                 "parts of one weight differ in shape: [%llu, %llu] and [%llu, %llu]", (unsigned long long)l->rows,
                 (unsigned long long)l->cols, (unsigned long long)n_rows, (unsigned long long)n_cols);
    PARE_FAIL_IF(diag, !(type->caps & (PARE_DT_FLOAT | PARE_DT_QUANT)), PARE_E_UNSUPPORTED, "weights of type %s cannot be multiplied",
                 type->name);
    PARE_FAIL_IF(diag, n_rows > (uint64_t)UINT32_MAX - PARE_PANEL || n_cols > UINT32_MAX - 32u, PARE_E_LIMIT,
                 "a matrix of [%llu, %llu] is too large", (unsigned long long)n_rows, (unsigned long long)n_cols);
    *part = &l->part[l->n_parts];
    memset(*part, 0, sizeof **part);
    (*part)->type = type;
    return PARE_OK;
}

static void keep_part(struct pare_linear *l, uint64_t n_rows, uint64_t n_cols)
{
    l->rows = n_rows;
    l->cols = n_cols;
    l->n_parts++;
}

static enum pare_part_kind kind_of(const struct pare_dtype *type, enum pare_act_mode mode)
{
    if (type->type == PARE_F32 || type->type == PARE_F16 || type->type == PARE_BF16) return PARE_PART_FLOAT;
    return (type->caps & PARE_DT_QUANT) && mode == PARE_ACT_INT8 ? PARE_PART_PACKED : PARE_PART_DECODED;
}

int pare_linear_bind(struct pare_linear *l, const struct pare_dtype *type, const uint8_t *rows, uint64_t row_stride,
                     uint64_t n_rows, uint64_t n_cols, enum pare_act_mode mode, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_part *part;
    uint64_t          bytes;

    PARE_FORWARD(new_part(l, type, n_rows, n_cols, &part, diag));
    PARE_FAIL_IF(diag, !pare_dtype_row_bytes(type, n_cols, &bytes), PARE_E_CORRUPT, "rows of %llu weights do not suit type %s",
                 (unsigned long long)n_cols, type->name);
    PARE_FAIL_IF(diag, row_stride < bytes, PARE_E_USAGE, "rows of %llu bytes lie %llu apart", (unsigned long long)bytes,
                 (unsigned long long)row_stride);
    part->kind = kind_of(type, mode);
    part->rows = rows;
    part->row_stride = row_stride;
    if (part->kind == PARE_PART_PACKED) {
        PARE_FAIL_IF(diag, !pare_packed_shape(&part->packed, type, n_rows, n_cols), PARE_E_UNSUPPORTED,
                     "[%llu, %llu] of type %s cannot be packed", (unsigned long long)n_rows, (unsigned long long)n_cols, type->name);
        PARE_FORWARD(pack_rows(&part->packed, rows, row_stride, job, diag));
        part->owned = part->packed.data;
        part->rows = NULL; /* the source may go away */
    }
    keep_part(l, n_rows, n_cols);
    return PARE_OK;
}

int pare_linear_append_packed(struct pare_linear *l, struct pare_packed *take, struct pare_diag *diag)
{
    struct pare_part *part;

    PARE_FORWARD(new_part(l, take->type, take->rows, take->cols, &part, diag));
    part->kind = PARE_PART_PACKED;
    part->packed = *take;
    part->owned = take->data;
    take->data = NULL;
    keep_part(l, part->packed.rows, part->packed.cols);
    return PARE_OK;
}

int pare_linear_append_mapped(struct pare_linear *l, const struct pare_packed *panels, struct pare_diag *diag)
{
    struct pare_packed p = *panels;

    PARE_FAIL_IF(diag, (uintptr_t)p.data % PARE_ALIGN != 0, PARE_E_USAGE, "panels must begin at a multiple of %d bytes", PARE_ALIGN);
    PARE_FORWARD(pare_linear_append_packed(l, &p, diag));
    l->part[l->n_parts - 1].owned = NULL;
    return PARE_OK;
}

uint64_t pare_linear_bytes(const struct pare_dtype *type, uint64_t n_rows, uint64_t n_cols, enum pare_act_mode mode)
{
    struct pare_packed p = { 0 };

    if (kind_of(type, mode) != PARE_PART_PACKED || !pare_packed_shape(&p, type, n_rows, n_cols)) return 0;
    return pare_packed_bytes(&p) + PARE_ALIGN; /* pare_aligned keeps one line before the block */
}

void pare_linear_free(struct pare_linear *l)
{
    if (l == NULL) return;
    for (uint32_t i = 0; i < l->n_parts; i++) pare_aligned_free(l->part[i].owned);
    if (l->bias_owned) pare_free(l->bias);
    memset(l, 0, sizeof *l);
}

/* ---- applying ---- */

struct apply {
    const struct pare_linear_out *out;
    const struct pare_vec   *vk;
    const struct pare_gemmq *qk;
    const float *x;
    uint64_t     ldx;
    uint32_t     n_out, n;
    uint32_t     first;        /* token of the whole batch that token 0 is */
    uint32_t     tile_rows, tile_tokens, n_ttiles;
    struct pare_qact qact;
    uint8_t     *worker;       /* scratch of worker 0 */
    uint64_t     worker_bytes;
    uint32_t     q_rows;       /* activation rows quantized by one chunk */
};

/* A piece of one output: rows [r0, r1), tokens [t0, t1). */
struct piece {
    const struct pare_linear *l;
    uint64_t r0, r1;
    uint32_t t0, t1;
};

typedef void (*float_gemm)(float *, uint64_t, const void *, uint64_t, const float *, uint64_t, uint64_t, uint64_t, uint64_t, uint32_t);

/* Each part kind writes y[(t - t0) * ldy + (r - r0)] of its piece. */
static void part_float(const struct apply *a, const struct pare_part *p, const struct piece *c, float *y, uint64_t ldy)
{
    float_gemm g = p->type->type == PARE_F32 ? a->vk->gemm_f32 : p->type->type == PARE_F16 ? a->vk->gemm_f16 : a->vk->gemm_bf16;

    g(y, ldy, p->rows + c->r0 * p->row_stride, p->row_stride, a->x + c->t0 * a->ldx, a->ldx, c->l->cols, 0, c->r1 - c->r0,
      c->t1 - c->t0);
}

static void part_decoded(const struct apply *a, const struct pare_part *p, const struct piece *c, float *y, uint64_t ldy, float *rows)
{
    uint64_t cols = c->l->cols;

    for (uint64_t r = c->r0; r < c->r1; r += DECODE_ROWS) {
        uint64_t n = c->r1 - r < DECODE_ROWS ? c->r1 - r : DECODE_ROWS;

        for (uint64_t i = 0; i < n; i++) p->type->decode(rows + i * cols, p->rows + (r + i) * p->row_stride, cols);
        a->vk->gemm_f32(y + (r - c->r0), ldy, rows, cols * sizeof(float), a->x + c->t0 * a->ldx, a->ldx, cols, 0, n, c->t1 - c->t0);
    }
}

static void part_packed(const struct apply *a, const struct pare_part *p, const struct piece *c, float *y, uint64_t ldy)
{
    /* The piece is handed over as a matrix and a batch of their own, so that y may be the result or scratch. */
    struct pare_packed w = p->packed;
    struct pare_qact   q = pare_qact_rows(&a->qact, c->t0, c->t1);
    uint32_t           p0 = (uint32_t)(c->r0 / PARE_PANEL), p1 = (uint32_t)((c->r1 + PARE_PANEL - 1) / PARE_PANEL);

    w.data += (uint64_t)p0 * w.panel_bytes;
    w.n_panels = p1 - p0;
    w.rows = c->r1 - c->r0;
    a->qk->gemm(y, ldy, &w, &q, 0, w.n_panels, 0, q.n);
}

static void run_part(const struct apply *a, const struct pare_part *p, const struct piece *c, float *y, uint64_t ldy, float *decoded)
{
    switch (p->kind) {
    case PARE_PART_FLOAT: part_float(a, p, c, y, ldy); break;
    case PARE_PART_PACKED: part_packed(a, p, c, y, ldy); break;
    case PARE_PART_DECODED: part_decoded(a, p, c, y, ldy, decoded); break;
    }
}

static void run_piece(const struct apply *a, const struct piece *c, float *y, uint64_t ldy, uint8_t *scratch)
{
    const struct pare_linear *l = c->l;
    uint64_t rows = c->r1 - c->r0;
    uint32_t n = c->t1 - c->t0;
    float   *later = (float *)(void *)scratch;
    float   *decoded = (float *)(void *)(scratch + up64((uint64_t)TILE_ROWS * LATER_TOKENS * sizeof(float)));

    if (l->n_parts > 0) run_part(a, &l->part[0], c, y, ldy, decoded);
    for (uint32_t i = 1; i < l->n_parts; i++) {
        struct piece some = *c;

        for (; some.t0 < c->t1; some.t0 = some.t1) {
            some.t1 = c->t1 - some.t0 < LATER_TOKENS ? c->t1 : some.t0 + LATER_TOKENS;
            run_part(a, &l->part[i], &some, later, rows, decoded);
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
    const struct pare_linear_out *o = a->out;
    uint64_t            mine;

    while (chunk >= (mine = (uint64_t)row_tiles(a, o->l) * a->n_ttiles)) {
        chunk -= (uint32_t)mine;
        o++;
    }
    c.l = o->l;
    c.r0 = (uint64_t)(chunk / a->n_ttiles) * a->tile_rows;
    c.r1 = c.r0 + a->tile_rows < c.l->rows ? c.r0 + a->tile_rows : c.l->rows;
    c.t0 = chunk % a->n_ttiles * a->tile_tokens;
    c.t1 = a->n - c.t0 > a->tile_tokens ? c.t0 + a->tile_tokens : a->n;
    run_piece(a, &c, o->y + (uint64_t)(a->first + c.t0) * o->ldy + c.r0, o->ldy, a->worker + worker * a->worker_bytes);
}

static void quantize_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct apply *a = ctx;
    uint32_t r0 = chunk * a->q_rows, r1 = a->n - r0 > a->q_rows ? r0 + a->q_rows : a->n;

    (void)worker;
    a->qk->quantize(&a->qact, a->x, a->ldx, r0, r1);
}

static bool needs_int8(const struct pare_linear_out *out, uint32_t n_out)
{
    for (uint32_t i = 0; i < n_out; i++)
        for (uint32_t j = 0; j < out[i].l->n_parts; j++)
            if (out[i].l->part[j].kind == PARE_PART_PACKED) return true;
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

    if (needs_int8(a->out, a->n_out)) {
        pare_qact_init(&a->qact, a->worker, a->n, cols);
        a->worker += up64(pare_qact_bytes(a->n, cols));
        /* Below a few rows waking the team costs more than the work. */
        a->q_rows = a->n <= 4 ? a->n : 4;
        pare_team_run(team, (a->n + a->q_rows - 1) / a->q_rows, quantize_chunk, a);
    }
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
    struct apply a = { .vk = pare_vec_for(tier), .qk = pare_gemmq_for(tier) };

    if (n == 0) return;
    for (uint32_t i = 0; i < n_out; i += a.n_out) { /* neighbours with one input transform, mostly none, go together */
        a.out = out + i;
        a.n_out = 1;
        while (i + a.n_out < n_out && out[i + a.n_out].l->input == out[i].l->input) a.n_out++;
        apply_alike(&a, x, ldx, n, scratch, job);
    }
}
