/* SPDX-License-Identifier: Apache-2.0
 * src/model/dense_bind.c: the tensors of plain decoders, unit by unit: EMBED, the layers, HEAD. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "model/dense.h"

/* A norm's weight and, for layer norms, its bias where the file has one. GGUF files keep 1 + w where the trait says w. */
static void bind_norm(struct pare_binder *b, const struct pare_dense_cfg *c, const char *role, uint64_t n, float **w, float **bias,
                      bool optional)
{
    struct pare_want v = { .role = role, .cols = n, .vec = w, .optional = optional, .out_add = c->gguf ? 0 : c->t.norm_add };

    if (c->t.bare_norm) return;
    if (!pare_bind(b, &v) || bias == NULL || c->t.norm != PARE_NORM_LAYER) return;
    pare_bind(b, &(struct pare_want){ .role = role, .cols = n, .vec = bias, .optional = true, .suffix = ".bias" });
}

static void bind_linear(struct pare_binder *b, const struct pare_dense_cfg *c, const char *role, uint64_t rows, uint64_t cols,
                        struct pare_linear *l)
{
    pare_bind(b, &(struct pare_want){ .role = role, .rows = rows, .cols = cols, .lin = l,
                                      .transposed = c->t.conv1d && !c->gguf });
}

/* Rows of query, key and value in a matrix that is fused group by group. */
static uint32_t group_segs(const struct pare_dense_cfg *c, const struct pare_dense_layer_cfg *lc, struct pare_row_seg seg[3])
{
    uint64_t per = lc->n_head / lc->n_head_kv, dk = c->dk, stride = (per + 2) * dk;

    seg[0] = (struct pare_row_seg){ 0, per * dk, stride, lc->n_head * dk };
    seg[1] = (struct pare_row_seg){ per * dk, dk, stride, lc->n_head_kv * dk };
    seg[2] = (struct pare_row_seg){ (per + 1) * dk, dk, stride, lc->n_head_kv * dk };
    return 3;
}

static void bind_qkv(struct pare_binder *b, const struct pare_dense *d, struct pare_dense_layer *l)
{
    const struct pare_dense_cfg *c = &d->c;
    const struct pare_dense_layer_cfg *lc = &c->layer[b->u->index];
    uint64_t          q = (uint64_t)lc->n_head * c->dk, k = (uint64_t)lc->n_head_kv * c->dk, v = (uint64_t)lc->n_head_kv * c->dv;
    struct pare_row_seg seg[3];
    struct pare_want  w = { .role = "attn_qkv", .rows = q + k + v, .cols = c->n_embd, .lin = &l->qkv };
    /* GGUF files of a family come both ways (Phi-2, GLM): what is there decides. */
    bool fused = b->from_gguf ? pare_bind_has(b, "attn_qkv", NULL) : c->t.fusion != PARE_QKV_SEPARATE;
    bool swap = !c->gguf && b->to_gguf && c->t.pairs_gguf && !c->pairs;

    if (fused) {
        w.need_bias = c->t.need_qkv_bias;
        if (!b->from_gguf && c->t.fusion == PARE_QKV_BY_GROUP) {
            w.n_segs = group_segs(c, lc, seg);
            w.seg = seg;
            w.file_rows = w.rows;
        }
        w.transposed = c->t.conv1d && !b->from_gguf;
        pare_bind(b, &w);
        return;
    }
    w = (struct pare_want){ .role = "attn_q", .rows = q, .cols = c->n_embd, .lin = &l->q, .need_bias = c->t.need_qkv_bias,
                            .permute_heads = swap ? lc->n_head : 0 };
    pare_bind(b, &w);
    w.role = "attn_k";
    w.rows = k;
    w.lin = &l->k;
    w.permute_heads = swap ? lc->n_head_kv : 0;
    pare_bind(b, &w);
    w.role = "attn_v";
    w.rows = v;
    w.lin = &l->v;
    w.permute_heads = 0;
    pare_bind(b, &w);
}

static void bind_mla(struct pare_binder *b, const struct pare_dense *d, struct pare_dense_layer *l)
{
    const struct pare_dense_cfg *c = &d->c;
    uint64_t                     q = (uint64_t)c->n_head * c->dk;

    if (c->q_rank != 0) {
        bind_linear(b, c, "attn_q_a", c->q_rank, c->n_embd, &l->q_a);
        bind_norm(b, c, "attn_q_a_norm", c->q_rank, &l->q_a_norm, NULL, false);
        bind_linear(b, c, "attn_q_b", q, c->q_rank, &l->q_b);
    } else {
        bind_linear(b, c, "attn_q", q, c->n_embd, &l->q);
    }
    bind_linear(b, c, "attn_kv_a_mqa", (uint64_t)c->kv_rank + c->dk_rope, c->n_embd, &l->kv_a);
    bind_norm(b, c, "attn_kv_a_norm", c->kv_rank, &l->kv_a_norm, NULL, false);
    bind_linear(b, c, "attn_kv_b", (uint64_t)c->n_head * (c->dk_nope + c->dv), c->kv_rank, &l->kv_b);
}

static void bind_qk_norm(struct pare_binder *b, const struct pare_dense_cfg *c, const char *role, uint32_t heads, float **w, float **bias)
{
    bool             split = c->t.qk_norm == PARE_QKN_HEADS;
    struct pare_want v = { .role = role, .cols = c->t.qk_norm == PARE_QKN_HEAD ? c->dk : (uint64_t)heads * c->dk, .vec = w,
                           .vec_rows = split ? heads : 0, .out_add = c->gguf ? 0 : c->t.norm_add };

    if (c->t.qk_norm == PARE_QKN_NONE) return;
    if (!pare_bind(b, &v) || !c->t.qk_layernorm) return;
    pare_bind(b, &(struct pare_want){ .role = role, .cols = v.cols, .vec = bias, .optional = true, .suffix = ".bias" });
}

static void bind_layer(struct pare_binder *b, struct pare_dense *d, uint32_t i)
{
    const struct pare_dense_cfg *c = &d->c;
    const struct pare_dense_layer_cfg *lc = &c->layer[i];
    struct pare_dense_layer     *l = &d->layer[i];
    bool                         two;

    pare_bind_unit(b, i + 1, PARE_UNIT_LAYER, i);
    /* Falcon's two norms of a parallel block have names of their own in GGUF: attn_norm is the MLP's. */
    two = c->t.block == PARE_BLOCK_PARALLEL && pare_bind_has(b, "attn_norm_2", NULL);
    if (!c->t.no_pre_norm)
        bind_norm(b, c, two ? "attn_norm_2" : "attn_norm", c->n_embd, &l->attn_norm, &l->attn_norm_b, false);
    if (c->t.mla)
        bind_mla(b, d, l);
    else
        bind_qkv(b, d, l);
    bind_qk_norm(b, c, "attn_q_norm", lc->n_head, &l->q_norm, &l->q_norm_b);
    bind_qk_norm(b, c, "attn_k_norm", lc->n_head_kv, &l->k_norm, &l->k_norm_b);
    bind_linear(b, c, "attn_output", c->n_embd, (uint64_t)lc->n_head * c->dv, &l->o);
    if (c->t.post_norm) bind_norm(b, c, "post_attention_norm", c->n_embd, &l->attn_post_norm, NULL, false);
    if (!c->t.no_pre_norm)
        bind_norm(b, c, two ? "attn_norm" : c->t.ffn_norm_role != NULL ? c->t.ffn_norm_role : "ffn_norm", c->n_embd, &l->ffn_norm, &l->ffn_norm_b, c->t.block == PARE_BLOCK_PARALLEL);
    if (c->t.plain_mlp) {
        bind_linear(b, c, "ffn_up", lc->n_ff, c->n_embd, &l->up);
    } else if (c->t.fused_gate_up) {
        bind_linear(b, c, "ffn_up", 2ull * lc->n_ff, c->n_embd, &l->gate_up);
    } else {
        bind_linear(b, c, "ffn_gate", lc->n_ff, c->n_embd, &l->gate);
        bind_linear(b, c, "ffn_up", lc->n_ff, c->n_embd, &l->up);
    }
    bind_linear(b, c, "ffn_down", c->n_embd, lc->n_ff, &l->down);
    if (c->t.post_norm) bind_norm(b, c, "post_ffw_norm", c->n_embd, &l->ffn_post_norm, NULL, false);
}

/* llama.cpp's layout says Llama 3's scaling as a tensor of divisors. They follow from the frequencies themselves: ours divided
 * by those without scaling. From a GGUF source the tensor is copied as any other. */
static void bind_rope_factors(struct pare_binder *b, struct pare_dense *d)
{
    struct pare_dense_cfg *c = &d->c;
    uint32_t               half = c->rotary / 2;

    if (!b->to_gguf || !c->t.rope) return;
    if (c->rope.type == PARE_ROPE_LONGROPE && !c->gguf) {
        pare_bind_given(b, "rope_factors_long", c->rope_long, half);
        pare_bind_given(b, "rope_factors_short", c->rope_short, half);
    }
    if (c->rope.type == PARE_ROPE_LLAMA3 && !c->gguf) {
        struct pare_rope_params plain = c->rope;
        float                  *p = pare_alloc_array(half, sizeof *p), scale;

        if (p == NULL) {
            b->rc = PARE_NOMEM(b->diag);
            return;
        }
        d->rope_factors = p;
        plain.type = PARE_ROPE_DEFAULT;
        b->rc = pare_rope_init(&plain, 0, p, &scale, b->diag);
        for (uint32_t i = 0; b->rc == 0 && i < half; i++) p[i] = p[i] / d->freq[0][i];
        pare_bind_given(b, "rope_freqs", p, half);
    }
    if (!c->gguf) return;
    /* Without long factors rope_short holds the divisors of rope_freqs. */
    if (c->rope_long != NULL) {
        pare_bind_given(b, "rope_factors_long", c->rope_long, half);
        pare_bind_given(b, "rope_factors_short", c->rope_short, half);
    }
    if (c->rope.freq_factor != NULL) pare_bind_given(b, "rope_freqs", c->rope.freq_factor, half);
}

static void bind_embed(struct pare_binder *b, struct pare_dense *d)
{
    struct pare_dense_cfg *c = &d->c;

    pare_bind_unit(b, 0, PARE_UNIT_EMBED, 0);
    pare_bind(b, &(struct pare_want){ .role = "token_embd", .rows = c->n_vocab, .cols = c->n_embd_in, .table = true, .tied = c->tied });
    if (c->n_embd_in != c->n_embd) bind_linear(b, c, "embd_in", c->n_embd, c->n_embd_in, &d->embd_in);
    if (c->t.positions)
        pare_bind(b, &(struct pare_want){ .role = "position_embd", .rows = (uint64_t)c->max_ctx + c->t.pos_offset, .cols = c->n_embd });
    if (c->t.embd_norm) bind_norm(b, c, "token_embd_norm", c->n_embd, &d->embd_norm, &d->embd_norm_b, false);
    bind_rope_factors(b, d);
}

static void bind_head(struct pare_binder *b, struct pare_dense *d)
{
    struct pare_dense_cfg *c = &d->c;

    pare_bind_unit(b, c->n_layers + 1, PARE_UNIT_HEAD, 0);
    if (c->t.block != PARE_BLOCK_AFTER) bind_norm(b, c, "output_norm", c->n_embd, &d->out_norm, &d->out_norm_b, false);
    if (c->n_embd_in != c->n_embd) bind_linear(b, c, "embd_out", c->n_embd_in, c->n_embd, &d->embd_out);
    pare_bind(b, &(struct pare_want){ .role = c->tied ? "token_embd" : "output", .rows = c->n_vocab, .cols = c->n_embd_in,
                                      .lin = &d->head, .table = c->tied, .tied = c->tied, .no_bias = true });
    pare_bind(b, &(struct pare_want){ .role = "output", .cols = c->n_vocab, .vec = &d->head.bias, .optional = true, .suffix = ".bias" });
}

static struct pare_slot *slot_of(struct pare_unit *u, const char *role)
{
    for (uint32_t i = 0; i < u->n_slots; i++)
        if (strcmp(u->slot[i].role, role) == 0) return &u->slot[i];
    return NULL;
}

int pare_dense_bind(struct pare_model *m, struct pare_dense *d, struct pare_diag *diag)
{
    struct pare_dense_cfg *c = &d->c;
    struct pare_binder     b = { .m = m, .names = &d->family->names, .diag = diag, .from_gguf = c->gguf, .to_gguf = d->to_gguf };

    m->info.n_units = c->n_layers + 2;
    m->units = pare_zalloc(m->info.n_units, sizeof *m->units);
    if (m->units == NULL) return PARE_NOMEM(diag);
    pare_bind_unit(&b, 0, PARE_UNIT_EMBED, 0);
    if (c->gguf) {
        c->tied = !pare_bind_has(&b, "output", NULL);
    } else {
        const json_t *tie = json_object_get(m->config, "tie_word_embeddings");

        if (!json_is_boolean(tie)) tie = json_object_get(json_object_get(m->config, "text_config"), "tie_word_embeddings");
        c->tied = json_is_boolean(tie) ? json_is_true(tie) : !pare_bind_has(&b, "output", NULL);
    }
    bind_embed(&b, d);
    for (uint32_t i = 0; i < c->n_layers && b.rc == 0; i++) bind_layer(&b, d, i);
    bind_head(&b, d);
    if (b.rc < 0) return b.rc;
    d->embd_slot = slot_of(&m->units[0], "token_embd");
    d->pos_slot = slot_of(&m->units[0], "position_embd");
    return PARE_OK;
}
