/* SPDX-License-Identifier: Apache-2.0
 * src/model/dense_emit.c: metadata of a plain decoder for a GGUF that we write from another container. Where GGUF has the
 * family, in its words; else the Hugging Face config goes along as text under pare.config and tensors keep their names. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "model/dense.h"

struct out {
    struct pare_writer *w;
    const char         *arch;
    struct pare_diag   *diag;
    int                 rc;
    char                key[128];
};

static const char *key(struct out *o, const char *name)
{
    snprintf(o->key, sizeof o->key, "%s.%s", o->arch, name);
    return o->key;
}
static void put_u32(struct out *o, const char *name, uint32_t v)
{
    if (o->rc == 0) o->rc = pare_writer_kv_u32(o->w, key(o, name), v, o->diag);
}
static void put_f32(struct out *o, const char *name, float v)
{
    if (o->rc == 0) o->rc = pare_writer_kv_f32(o->w, key(o, name), v, o->diag);
}
static void put_str(struct out *o, const char *name, const char *s)
{
    if (o->rc == 0) o->rc = pare_writer_kv_str(o->w, key(o, name), s, strlen(s), o->diag);
}

static void put_rope(struct out *o, const struct pare_dense_cfg *c)
{
    const struct pare_rope_params *p = &c->rope;

    if (!c->t.rope) return;
    put_u32(o, "rope.dimension_count", c->rotary);
    put_f32(o, "rope.freq_base", (float)c->rope_base);
    if (c->t.rope_rule == PARE_ROPE_TWO_TABLES) put_f32(o, "rope.freq_base_swa", (float)c->rope_base_local);
    if (p->type == PARE_ROPE_LINEAR || p->type == PARE_ROPE_YARN) {
        put_str(o, "rope.scaling.type", p->type == PARE_ROPE_YARN ? "yarn" : "linear");
        put_f32(o, "rope.scaling.factor", (float)(p->factor != 0 ? p->factor : (double)p->max_ctx / (p->orig_ctx != 0 ? p->orig_ctx : p->max_ctx)));
    }
    if (p->type == PARE_ROPE_YARN) {
        put_f32(o, "rope.scaling.yarn_beta_fast", (float)p->beta_fast);
        put_f32(o, "rope.scaling.yarn_beta_slow", (float)p->beta_slow);
    }
    if (p->orig_ctx != 0 && (p->type == PARE_ROPE_YARN || p->type == PARE_ROPE_LONGROPE))
        put_u32(o, "rope.scaling.original_context_length", p->orig_ctx);
    if (p->attn_factor != 0) put_f32(o, "rope.scaling.attn_factor", (float)p->attn_factor);
    else if (p->type == PARE_ROPE_LONGROPE && p->orig_ctx != 0 && p->max_ctx > p->orig_ctx)
        put_f32(o, "rope.scaling.attn_factor",
                sqrtf((float)(1.0 + pare_log(p->factor != 0 ? p->factor : (double)p->max_ctx / p->orig_ctx) / pare_log(p->orig_ctx))));
}

/* What differs from layer to layer. The list form of the window pattern is GGUF's own; no rotation in chosen layers is not. */
static int put_layers(struct out *o, const struct pare_dense_cfg *c)
{
    uint8_t *win = pare_alloc_array(c->n_layers, 1), *rope = pare_alloc_array(c->n_layers, 1);
    bool     mixed_win = false, mixed_rope = false, any = false;

    if (win == NULL || rope == NULL) {
        pare_free(win);
        pare_free(rope);
        return PARE_NOMEM(o->diag);
    }
    for (uint32_t i = 0; i < c->n_layers; i++) {
        win[i] = c->layer[i].window != 0;
        rope[i] = (uint8_t)c->layer[i].rope;
        any = any || win[i];
        mixed_win = mixed_win || win[i] != win[0];
        mixed_rope = mixed_rope || rope[i] != rope[0];
    }
    if (any) put_u32(o, "attention.sliding_window", c->window);
    if (any && (mixed_win || c->t.pattern != 0) && o->rc == 0)
        o->rc = pare_writer_kv_array(o->w, key(o, "attention.sliding_window_pattern"), PARE_KV_BOOL, win, c->n_layers, o->diag);
    if (c->t.rope && (mixed_rope || c->t.rope_rule != PARE_ROPE_ALL) && o->rc == 0)
        o->rc = pare_writer_kv_array(o->w, "pare.rope_layers", PARE_KV_U8, rope, c->n_layers, o->diag);
    pare_free(win);
    pare_free(rope);
    return o->rc;
}

/* One number where the layers agree, else a list. which: 0 heads, 1 key-value heads, 2 width of the MLP. */
static void put_widths(struct out *o, const char *name, const struct pare_dense_cfg *c, int which)
{
    uint32_t *v = pare_alloc_array(c->n_layers, sizeof *v);
    bool      differs = false;

    if (v == NULL) {
        if (o->rc == 0) o->rc = PARE_NOMEM(o->diag);
        return;
    }
    for (uint32_t i = 0; i < c->n_layers; i++) {
        v[i] = which == 0 ? c->layer[i].n_head : which == 1 ? c->layer[i].n_head_kv : c->layer[i].n_ff;
        differs = differs || v[i] != v[0];
    }
    if (!differs) put_u32(o, name, v[0]);
    else if (o->rc == 0) o->rc = pare_writer_kv_array(o->w, key(o, name), PARE_KV_U32, v, c->n_layers, o->diag);
    pare_free(v);
}

static int put_gguf(const struct pare_model *m, struct out *o)
{
    const struct pare_dense     *d = m->own;
    const struct pare_dense_cfg *c = &d->c;

    put_u32(o, "block_count", c->n_layers);
    put_u32(o, "context_length", c->max_ctx);
    put_u32(o, "embedding_length", c->n_embd);
    put_widths(o, "feed_forward_length", c, 2);
    put_widths(o, "attention.head_count", c, 0);
    put_widths(o, "attention.head_count_kv", c, 1);
    put_u32(o, "attention.key_length", c->dk);
    put_u32(o, "attention.value_length", c->dv);
    put_u32(o, "vocab_size", c->n_vocab);
    put_f32(o, c->t.norm == PARE_NORM_RMS ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon", c->eps);
    if (c->softcap > 0) put_f32(o, "attn_logit_softcapping", c->softcap);
    if (c->final_softcap > 0) put_f32(o, "final_logit_softcapping", c->final_softcap);
    if (c->clip > 0) put_f32(o, "attention.clamp_kqv", c->clip);
    if (c->scale != (float)(1.0 / sqrt((double)c->dk))) put_f32(o, "attention.scale", c->scale);
    if (c->t.mla) {
        put_u32(o, "attention.q_lora_rank", c->q_rank);
        put_u32(o, "attention.kv_lora_rank", c->kv_rank);
    }
    if (c->t.alibi) put_f32(o, "attention.max_alibi_bias", 8);
    put_rope(o, c);
    PARE_FORWARD(o->rc);
    PARE_FORWARD(put_layers(o, c));
    return d->family->emit != NULL ? d->family->emit(c, o->w, o->diag) : PARE_OK;
}

int pare_dense_emit(const struct pare_model *m, struct pare_writer *w, struct pare_diag *diag)
{
    const struct pare_dense *d = m->own;
    struct out               o = { .w = w, .diag = diag, .arch = d->to_gguf ? d->family->gguf : m->arch->name };
    char                    *text;
    json_t                  *config;
    int                      rc;

    if (d->c.gguf) PARE_FAIL(diag, PARE_E_USAGE, "metadata of a GGUF source is copied, not made anew");
    PARE_FORWARD(pare_writer_kv_str(w, "general.architecture", o.arch, strlen(o.arch), diag));
    if (d->to_gguf) return put_gguf(m, &o);
    /* Rows are written as they are bound: what was fused group by group or lay transposed is not so any more. */
    config = json_copy(m->config);
    if (config == NULL || json_object_set_new(config, "pare_bound_rows", json_true()) != 0) {
        json_decref(config);
        return PARE_NOMEM(diag);
    }
    text = pare_json_text(config);
    json_decref(config);
    if (text == NULL) return PARE_NOMEM(diag);
    rc = pare_writer_kv_str(w, "pare.config", text, strlen(text), diag);
    pare_free(text);
    return rc;
}
