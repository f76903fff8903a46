/* SPDX-License-Identifier: Apache-2.0
 * src/model/dense.c: the forward pass of plain decoders, unit by unit. The arithmetic is in kernel tables and linears; here
 * stands only the order of things, which the traits of a family choose. */
#include "model/dense.h"

#include <inttypes.h>
#include <string.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/status.h"
#include "model/slot_parts.h"

void pare_dense_linear(const struct pare_dense_run *r, const struct pare_linear *l, const float *x, uint64_t ldx, float *y,
                       uint64_t ldy)
{
    struct pare_linear_out out = { l, y, ldy };

    pare_observe(r->obs, r->u, l, x, ldx, r->n);
    pare_linear_apply(&out, 1, x, ldx, r->n, r->w->scratch, r->job);
}

void pare_dense_norm_row(const struct pare_dense_run *r, float *y, const float *x, const float *w, const float *b, uint64_t n)
{
    const struct pare_dense_cfg *c = &r->d->c;
    float                        add = c->gguf || w == NULL ? 0 : c->t.norm_add;

    if (c->t.norm == PARE_NORM_RMS)
        r->vk->rmsnorm(y, x, w, add, c->eps, n);
    else
        r->vk->layernorm(y, x, w, add, b, c->eps, n);
}

struct norm_job {
    const struct pare_dense_run *r;
    float       *y;
    const float *x, *w, *b;
    uint64_t     n;
};

static void norm_row(void *ctx, uint32_t i, uint32_t worker)
{
    struct norm_job *j = ctx;

    (void)worker;
    pare_dense_norm_row(j->r, j->y + i * j->n, j->x + i * j->n, j->w, j->b, j->n);
}

static void norm_rows(const struct pare_dense_run *r, float *y, const float *x, const float *w, const float *b, uint64_t n)
{
    struct norm_job j = { r, y, x, w, b, n };

    pare_rows_run(r->job, r->n, norm_row, &j);
}

/* What is read by a sublayer: the normed rows, or x where the family norms only outputs. */
static const float *pre_norm(const struct pare_dense_run *r, float *buf, const float *w, const float *b)
{
    if (r->d->c.t.no_pre_norm || r->d->c.t.block == PARE_BLOCK_AFTER) return r->x;
    norm_rows(r, buf, r->x, w, b, r->d->c.n_embd);
    return buf;
}

struct add_job {
    const struct pare_dense_run *r;
    const float *y, *post;       /* sublayer's output, weights of its norm or NULL */
    const float *after, *after_b;  /* norm of the sum, or NULL */
};

static void add_row(void *ctx, uint32_t i, uint32_t worker)
{
    struct add_job              *j = ctx;
    const struct pare_dense_cfg *c = &j->r->d->c;
    float                       *x = j->r->x + (uint64_t)i * c->n_embd;
    float                       *y = (float *)j->y + (uint64_t)i * c->n_embd;

    (void)worker;
    if (j->post != NULL) pare_dense_norm_row(j->r, y, y, j->post, NULL, c->n_embd);
    if (c->residual_scale == 1.0f)
        j->r->vk->add(x, x, y, c->n_embd);
    else
        j->r->vk->axpy(x, c->residual_scale, y, c->n_embd);
    if (j->after != NULL) pare_dense_norm_row(j->r, x, x, j->after, j->after_b, c->n_embd);
}

/* x += output of a sublayer, with what the family does to it before and after. */
static void add_rows(const struct pare_dense_run *r, const float *y, const float *post, const float *w, const float *b)
{
    bool           after = r->d->c.t.block == PARE_BLOCK_AFTER;
    struct add_job j = { r, y, post, after ? w : NULL, after ? b : NULL };

    pare_rows_run(r->job, r->n, add_row, &j);
}

static void act_row(void *ctx, uint32_t i, uint32_t worker)
{
    const struct pare_dense_run *r = ctx;
    uint32_t                     n = pare_dense_layer_of(r)->n_ff;
    float                       *f = r->w->ff + (uint64_t)i * 2 * n;

    (void)worker;
    if (r->d->c.t.plain_mlp)
        r->vk->act(f, f, r->d->c.t.act, n);
    else
        r->vk->act_mul(f, f, f + n, r->d->c.t.act, n);
}

/* y = mlp(in) */
static void mlp(const struct pare_dense_run *r, const float *in, float *y)
{
    const struct pare_dense_cfg   *c = &r->d->c;
    const struct pare_dense_layer *l = &r->d->layer[r->u->index];
    const uint32_t                 n_ff = pare_dense_layer_of(r)->n_ff;
    uint64_t                       ld = 2ull * n_ff;

    if (c->t.plain_mlp) {
        pare_dense_linear(r, &l->up, in, c->n_embd, r->w->ff, ld);
    } else if (l->gate_up.n_parts != 0) {
        pare_dense_linear(r, &l->gate_up, in, c->n_embd, r->w->ff, ld);
    } else {
        struct pare_linear_out out[2] = { { &l->gate, r->w->ff, ld }, { &l->up, r->w->ff + n_ff, ld } };

        for (int i = 0; i < 2; i++) pare_observe(r->obs, r->u, out[i].l, in, c->n_embd, r->n);
        pare_linear_apply(out, 2, in, c->n_embd, r->n, r->w->scratch, r->job);
    }
    pare_rows_run(r->job, r->n, act_row, (void *)r);
    pare_dense_linear(r, &l->down, r->w->ff, ld, y, c->n_embd);
}

/* Cosines and sines of the rows' positions. The layers of one pass share them. */
static void make_rotary(const struct pare_dense_run *r)
{
    uint32_t half = r->d->c.rotary / 2;

    if (!r->d->c.t.rope || half == 0) return;
    if (r->w->cs_n == r->n && memcmp(r->w->cs_pos, r->b->pos, r->n * sizeof *r->b->pos) == 0) return;
    for (uint32_t t = 0; t < 2; t++) {
        if (!r->d->rope_used[t]) continue;
        for (uint32_t i = 0; i < r->n; i++)
            pare_rope_row(r->d->freq[t], half, r->b->pos[i], r->d->rope_scale[t], r->w->cs[t] + (uint64_t)i * half * 2);
    }
    memcpy(r->w->cs_pos, r->b->pos, r->n * sizeof *r->b->pos);
    r->w->cs_n = r->n;
}

static int layer_forward(const struct pare_dense_run *r, struct pare_diag *diag)
{
    const struct pare_dense_cfg   *c = &r->d->c;
    const struct pare_dense_layer *l = &r->d->layer[r->u->index];
    const float                   *in = pre_norm(r, r->w->h, l->attn_norm, l->attn_norm_b);
    bool                           parallel = c->t.block == PARE_BLOCK_PARALLEL;

    make_rotary(r);
    PARE_FORWARD(pare_dense_attend(r, in, diag));
    if (parallel) {
        /* Both halves read x as it came: the MLP runs before x is touched. att is still needed, h may be shared. */
        const float *in2 = l->ffn_norm != NULL ? pre_norm(r, r->w->h2, l->ffn_norm, l->ffn_norm_b) : in;
        mlp(r, in2, r->w->h2);
        pare_dense_linear(r, &l->o, r->w->att, l->o.cols, r->w->h, c->n_embd);
        add_rows(r, r->w->h, l->attn_post_norm, NULL, NULL);
        add_rows(r, r->w->h2, l->ffn_post_norm, NULL, NULL);
        return PARE_OK;
    }
    pare_dense_linear(r, &l->o, r->w->att, l->o.cols, r->w->h2, c->n_embd);
    add_rows(r, r->w->h2, l->attn_post_norm, l->attn_norm, l->attn_norm_b);
    in = pre_norm(r, r->w->h, l->ffn_norm, l->ffn_norm_b);
    mlp(r, in, r->w->h2);
    add_rows(r, r->w->h2, l->ffn_post_norm, l->ffn_norm, l->ffn_norm_b);
    return PARE_OK;
}

/* A streamed model holds no more of the file than it works on: pages of a table or head are given back block by block. */
#define STREAM_BLOCK ((uint64_t)4 << 20)
#define STREAM_TOKENS 128u

static void forget_table(const struct pare_dense_run *r, const struct pare_slot *s)
{
    if (r->m->options.no_weights && s->weight.tensor != NULL) pare_checkpoint_advise(r->m->ckpt, s->weight.tensor, PARE_DONTNEED);
}

/* The head of a streamed model that lies in the mapped file: multiplied in blocks of rows, each given back. The same bits, since
 * every output is its own sum. */
static void head_rows(const struct pare_dense_run *r, const float *in, uint64_t ldx, float *logits)
{
    const struct pare_linear *l = &r->d->head;
    const struct pare_part   *p = &l->part[0];
    uint64_t                  step = STREAM_BLOCK / (p->row_stride + 1) + 1, n_vocab = r->d->c.n_vocab;
    bool stream = r->m->options.no_weights && l->n_parts == 1 && p->kind == PARE_PART_FLOAT && p->owned == NULL;

    if (!stream || step >= l->rows) {
        pare_dense_linear(r, l, in, ldx, logits, n_vocab);
        return;
    }
    pare_observe(r->obs, r->u, l, in, ldx, r->n);
    for (uint64_t at = 0; at < l->rows; at += step) {
        struct pare_linear     part = *l;
        struct pare_linear_out out = { &part, logits + at, n_vocab };
        part.rows = l->rows - at < step ? l->rows - at : step;
        part.part[0].rows = p->rows + at * p->row_stride;
        part.bias = l->bias == NULL ? NULL : l->bias + at;
        pare_linear_apply(&out, 1, in, ldx, r->n, r->w->scratch, r->job);
        for (uint32_t k = 0; k < r->m->ckpt->n_maps; k++) {
            const struct pare_map *map = &r->m->ckpt->maps[k];
            if (map->base == NULL || part.part[0].rows < map->base || part.part[0].rows >= map->base + map->size) continue;
            pare_map_advise(map, (uint64_t)(part.part[0].rows - map->base), part.rows * p->row_stride, PARE_DONTNEED);
        }
    }
}

/* Rows are decoded from the mapped file one by one: no table is held in memory. */
static int embed(const struct pare_dense_run *r, struct pare_diag *diag)
{
    const struct pare_dense     *d = r->d;
    const struct pare_dense_cfg *c = &d->c;
    bool                         narrow = d->embd_in.n_parts != 0;
    float                       *to = narrow ? r->w->h : r->x;
    uint64_t                     width = narrow ? c->n_embd_in : c->n_embd;

    for (uint32_t i = 0; i < r->n; i++) {
        PARE_FAIL_IF(diag, r->b->token[i] < 0 || (uint32_t)r->b->token[i] >= c->n_vocab, PARE_E_USAGE,
                     "token %" PRId32 " is outside the vocabulary of %" PRIu32, r->b->token[i], c->n_vocab);
        PARE_FORWARD(pare_slot_rows(d->embd_slot, (uint64_t)r->b->token[i], 1, to + i * width, diag));
        if (c->embd_scale != 1.0f) r->vk->scale(to + i * width, to + i * width, c->embd_scale, width);
        if ((i + 1) % STREAM_TOKENS == 0 || i + 1 == r->n) forget_table(r, d->embd_slot);
    }
    if (narrow) pare_dense_linear(r, &d->embd_in, r->w->h, c->n_embd_in, r->x, c->n_embd);
    for (uint32_t i = 0; d->pos_slot != NULL && i < r->n; i++) {
        uint64_t at = (uint64_t)r->b->pos[i] + c->t.pos_offset;

        PARE_FAIL_IF(diag, at >= d->pos_slot->rows, PARE_E_LIMIT, "position %" PRIu32 " is beyond the model's %" PRIu64,
                     r->b->pos[i], d->pos_slot->rows - c->t.pos_offset);
        PARE_FORWARD(pare_slot_rows(d->pos_slot, at, 1, r->w->h, diag));
        r->vk->add(r->x + (uint64_t)i * c->n_embd, r->x + (uint64_t)i * c->n_embd, r->w->h, c->n_embd);
    }
    if (d->embd_norm != NULL) norm_rows(r, r->x, r->x, d->embd_norm, d->embd_norm_b, c->n_embd);
    return PARE_OK;
}

static int unit(struct pare_model *m, struct pare_unit *u, const struct pare_batch *b, float *x, struct pare_work *w,
                const struct pare_observer *obs, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_dense_run r = { m, m->own, u, w->own, b, pare_vec_for(job->tier), job, obs, x, b->n };

    return u->kind == PARE_UNIT_EMBED ? embed(&r, diag) : layer_forward(&r, diag);
}

struct logit_job {
    const struct pare_dense_run *r;
    float *logits;
};

static void logit_row(void *ctx, uint32_t i, uint32_t worker)
{
    struct logit_job            *j = ctx;
    const struct pare_dense_cfg *c = &j->r->d->c;
    float                       *y = j->logits + (uint64_t)i * c->n_vocab;

    (void)worker;
    if (c->logit_scale != 1.0f) j->r->vk->scale(y, y, c->logit_scale, c->n_vocab);
    if (c->final_softcap > 0) j->r->vk->softcap(y, c->final_softcap, c->n_vocab);
}

static int head(struct pare_model *m, struct pare_unit *u, const float *x, uint32_t n, float *logits, struct pare_work *w,
                const struct pare_observer *obs, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_dense_run        r = { m, m->own, u, w->own, NULL, pare_vec_for(job->tier), job, obs, NULL, n };
    const struct pare_dense_cfg *c = &r.d->c;
    struct logit_job             j = { &r, logits };
    const float                 *in = x;

    (void)diag;
    if (r.d->out_norm != NULL || c->t.bare_norm) {
        norm_rows(&r, r.w->h, x, r.d->out_norm, r.d->out_norm_b, c->n_embd);
        in = r.w->h;
    }
    if (r.d->embd_out.n_parts != 0) {
        pare_dense_linear(&r, &r.d->embd_out, in, c->n_embd, r.w->h2, c->n_embd_in);
        in = r.w->h2;
    }
    head_rows(&r, in, c->n_embd_in, logits);
    if (c->logit_scale != 1.0f || c->final_softcap > 0) pare_rows_run(job, n, logit_row, &j);
    return PARE_OK;
}

static uint64_t max64(uint64_t a, uint64_t b) { return a > b ? a : b; }

static void layout(const struct pare_model *m, struct pare_layout *l, struct pare_work *w)
{
    const struct pare_dense     *d = m->own;
    const struct pare_dense_cfg *c = &d->c;
    struct pare_dense_work       count, *k;
    uint64_t                     n = w->n_rows, wide = max64(c->n_embd, c->n_embd_in), scratch_cols;

    k = pare_layout_take(l, 1, sizeof *k);
    w->own = k;
    if (k == NULL) k = &count;
    memset(k, 0, sizeof *k);
    k->h = pare_layout_take(l, n * wide, sizeof(float));
    k->h2 = pare_layout_take(l, n * wide, sizeof(float));
    k->qkv = pare_layout_take(l, n * ((uint64_t)c->n_head * c->dk + (uint64_t)c->n_head_kv * (c->dk + c->dv)), sizeof(float));
    if (c->t.mla) {
        k->low = pare_layout_take(l, n * (c->q_rank + c->kv_rank + c->dk_rope), sizeof(float));
        k->kvb = pare_layout_take(l, n * c->n_head * (c->dk_nope + c->dv), sizeof(float));
    }
    k->att = pare_layout_take(l, n * c->n_head * c->dv, sizeof(float));
    k->ff = pare_layout_take(l, n * 2 * c->n_ff, sizeof(float));
    for (int t = 0; t < 2; t++)
        if (d->rope_used[t]) k->cs[t] = pare_layout_take(l, n * c->rotary, sizeof(float));
    k->cs_pos = pare_layout_take(l, n, sizeof *k->cs_pos);
    scratch_cols = max64(max64(wide, c->n_ff), max64((uint64_t)c->n_head * c->dv, max64(c->q_rank, c->kv_rank)));
    k->scratch = pare_layout_take(l, pare_linear_scratch(w->n_rows, scratch_cols, w->n_threads, pare_model_has_inputs(m)) +
                                        pare_model_inner_scratch(m, w->n_rows), 1);
    k->attn_stride = pare_arena_round(pare_attn_scratch(c->dk, c->dv));
    k->attn_scratch = pare_layout_take(l, w->n_threads, k->attn_stride);
    k->run = pare_layout_take(l, n, sizeof *k->run);
    k->max_seg = m->info.n_ctx / PARE_ATTN_PAGE + 2;
    k->seg = pare_layout_take(l, (uint64_t)w->n_threads * k->max_seg, sizeof *k->seg);
    k->max_part = m->info.n_ctx / PARE_ATTN_CHUNK + 2;
    k->part = pare_layout_take(l, (uint64_t)k->max_part * c->n_head, (2ull + c->dv) * sizeof(float));
}

static void close_model(struct pare_model *m)
{
    struct pare_dense *d = m->own;

    if (d == NULL) return;
    pare_dense_cfg_free(&d->c);
    pare_free(d->layer);
    pare_free(d->freq[0]);
    pare_free(d->freq[1]);
    pare_free(d->slope);
    pare_free(d->rope_factors);
    pare_free(d);
    m->own = NULL;
}

/* Slopes of ALiBi (arXiv 2108.12409): 2^(-8 i / n) for a power of two n; other counts add every second one of 2 n. */
static int make_slopes(struct pare_dense *d, struct pare_diag *diag)
{
    uint32_t n = d->c.n_head, p = 1;

    d->slope = pare_alloc_array(n, sizeof *d->slope);
    if (d->slope == NULL) return PARE_NOMEM(diag);
    while (p * 2 <= n) p *= 2;
    for (uint32_t i = 0; i < n; i++) {
        double e = i < p ? 8.0 * (i + 1) / p : 4.0 * (2 * (i - p) + 1) / p;
        d->slope[i] = (float)pare_pow(2.0, -e);
    }
    return PARE_OK;
}

static int make_rope(struct pare_dense *d, uint32_t n_ctx, struct pare_diag *diag)
{
    struct pare_dense_cfg  *c = &d->c;
    struct pare_rope_params local = c->rope;

    for (uint32_t i = 0; i < c->n_layers; i++)
        if (c->layer[i].rope != PARE_ROPE_NONE) d->rope_used[c->layer[i].rope == PARE_ROPE_LOCAL] = true;
    if (!c->local_scaled) {
        pare_rope_defaults(&local);
        local.dim = c->rotary;
        local.max_ctx = c->max_ctx;
    }
    local.base = c->rope_base_local;
    for (int t = 0; t < 2; t++) {
        if (!d->rope_used[t]) continue;
        d->freq[t] = pare_alloc_array(c->rotary / 2, sizeof(float));
        if (d->freq[t] == NULL) return PARE_NOMEM(diag);
        PARE_FORWARD(pare_rope_init(t == 0 ? &c->rope : &local, n_ctx, d->freq[t], &d->rope_scale[t], diag));
    }
    return PARE_OK;
}

static int open_model(struct pare_model *m, struct pare_diag *diag)
{
    const struct pare_dense_family *f = m->arch->family;
    struct pare_dense              *d = pare_zalloc(1, sizeof *d);
    struct pare_dense_cfg          *c;

    if (d == NULL) return PARE_NOMEM(diag);
    m->own = d;
    d->family = f;
    c = &d->c;
    c->t = f->traits;
    if (m->config != NULL)
        PARE_FORWARD(pare_dense_config_hf(c, f, m->config, m->ckpt, diag));
    else
        PARE_FORWARD(pare_dense_config_gguf(c, f, m->ckpt, m->type, diag));
    PARE_FORWARD(pare_dense_cfg_check(c, diag));
    if (json_is_true(json_object_get(m->config, "pare_bound_rows"))) {
        /* A file of ours under pare.config: see dense_emit.c. */
        c->t.conv1d = false;
        if (c->t.fusion == PARE_QKV_BY_GROUP) c->t.fusion = PARE_QKV_CONCAT;
    }
    m->info.n_layers = c->n_layers;
    m->info.n_vocab = c->n_vocab;
    m->info.n_embd = c->n_embd;
    m->info.max_ctx = c->max_ctx;
    m->info.n_ctx = m->options.n_ctx != 0 ? m->options.n_ctx : c->max_ctx;
    m->kv_shape = pare_alloc_array(c->n_layers, sizeof *m->kv_shape);
    d->layer = pare_zalloc(c->n_layers, sizeof *d->layer);
    if (m->kv_shape == NULL || d->layer == NULL) return PARE_NOMEM(diag);
    for (uint32_t i = 0; i < c->n_layers; i++)
        m->kv_shape[i] = (struct pare_kv_shape){ c->layer[i].n_head_kv, c->dk, c->dv };
    d->to_gguf = f->gguf != NULL && (c->gguf || f->fits_gguf == NULL || f->fits_gguf(c));
    if (c->t.alibi) PARE_FORWARD(make_slopes(d, diag));
    if (c->t.rope && c->rotary != 0) PARE_FORWARD(make_rope(d, m->info.n_ctx, diag));
    return pare_dense_bind(m, d, diag);
}

const struct pare_arch_ops pare_dense_ops = { open_model, close_model, layout, unit, head, pare_dense_emit };
