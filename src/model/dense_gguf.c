/* SPDX-License-Identifier: Apache-2.0
 * src/model/dense_gguf.c: the metadata of plain decoders in GGUF (ARCH.block_count and so on, as the public specification and
 * the gguf package name them). The keys under pare. are our own: files written elsewhere do not have them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "model/dense.h"

struct meta {
    const struct pare_checkpoint *k;
    const char                   *arch;
    struct pare_diag             *diag;
    char                          key[128];
};

static const char *key(struct meta *m, const char *name)
{
    snprintf(m->key, sizeof m->key, "%s.%s", m->arch, name);
    return m->key;
}

/* A whole number, or the largest of a list by layer. */
static int get_most(struct meta *m, const char *name, int64_t max, uint32_t dflt, bool *differs, uint32_t *out)
{
    const struct pare_kv *kv = pare_kv_find(m->k, key(m, name));
    int64_t               v = dflt, w;

    *differs = false;
    if (kv != NULL && kv->type == PARE_KV_ARRAY) {
        for (uint64_t i = 0; i < kv->count; i++) {
            if (!pare_kv_elem_int(kv, i, &w) || w < 0 || w > max) {
                pare_diag_where(m->diag, m->key);
                PARE_FAIL(m->diag, PARE_E_CORRUPT, "has an entry that is no number in 0..%" PRId64, max);
            }
            *differs = *differs || (i != 0 && w != v);
            v = i == 0 || w > v ? w : v;
        }
    } else {
        PARE_FORWARD(pare_kv_int(m->k, m->key, 0, max, dflt, &v, m->diag));
    }
    *out = (uint32_t)v;
    return PARE_OK;
}

/* The same where layers may not differ. */
static int get_u32(struct meta *m, const char *name, int64_t max, uint32_t dflt, uint32_t *out)
{
    bool differs;

    PARE_FORWARD(get_most(m, name, max, dflt, &differs, out));
    if (!differs) return PARE_OK;
    pare_diag_where(m->diag, m->key);
    PARE_FAIL(m->diag, PARE_E_UNSUPPORTED, "differs between layers");
}

static int get_f32(struct meta *m, const char *name, float dflt, float *out)
{
    double v;

    PARE_FORWARD(pare_kv_real(m->k, key(m, name), (double)dflt, &v, m->diag));
    PARE_FAIL_IF(m->diag, !isfinite(v), PARE_E_CORRUPT, "%s is not finite", m->key);
    *out = (float)v;
    return PARE_OK;
}

static int read_sizes(struct pare_dense_cfg *c, struct meta *m)
{
    const struct pare_tensor *embd = pare_checkpoint_tensor(m->k, "token_embd.weight");
    bool                      differs;

    PARE_FORWARD(get_u32(m, "embedding_length", 1 << 20, 0, &c->n_embd));
    PARE_FORWARD(get_u32(m, "block_count", 4096, 0, &c->n_layers));
    PARE_FORWARD(get_most(m, "attention.head_count", 1 << 16, 0, &differs, &c->n_head));
    PARE_FORWARD(get_most(m, "attention.head_count_kv", 1 << 16, c->n_head, &differs, &c->n_head_kv));
    PARE_FORWARD(get_most(m, "feed_forward_length", 1 << 22, 0, &differs, &c->n_ff));
    PARE_FORWARD(get_u32(m, "context_length", 1 << 28, 2048, &c->max_ctx));
    PARE_FORWARD(get_u32(m, "vocab_size", 1 << 24, 0, &c->n_vocab));
    if (embd == NULL) {
        pare_diag_where(m->diag, "token_embd.weight");
        PARE_FAIL(m->diag, PARE_E_CORRUPT, "tensor is missing");
    }
    if (embd->rows > (1u << 24)) PARE_FAIL(m->diag, PARE_E_CORRUPT, "a vocabulary of %" PRIu64, embd->rows);
    /* The key is optional and not always true (padded vocabularies); the table is what is looked up. */
    c->n_vocab = (uint32_t)embd->rows;
    PARE_FAIL_IF(m->diag, c->n_embd == 0 || c->n_layers == 0 || c->n_head == 0 || c->n_vocab == 0, PARE_E_CORRUPT,
                 "metadata lacks one of %s.embedding_length, block_count, attention.head_count", m->arch);
    PARE_FORWARD(get_u32(m, "attention.key_length", 1 << 16, c->n_embd / c->n_head, &c->dk));
    PARE_FORWARD(get_u32(m, "attention.value_length", 1 << 16, c->dk, &c->dv));
    c->n_embd_in = c->n_embd;
    return PARE_OK;
}

/* Divisors of the frequencies that lie in the file as a tensor; *out stays NULL without it. */
static int read_divisors(struct pare_dense_cfg *c, struct meta *m, const char *name, float **out)
{
    struct pare_weight w;

    PARE_FORWARD(pare_weight_find(&w, m->k, name, m->diag));
    if (w.type == NULL) return PARE_OK;
    if (w.rows != 1 || w.cols != c->rotary / 2) {
        pare_diag_where(m->diag, name);
        PARE_FAIL(m->diag, PARE_E_CORRUPT, "has %" PRIu64 " x %" PRIu64 " values for %" PRIu32 " frequencies", w.rows, w.cols, c->rotary / 2);
    }
    *out = pare_alloc_array(w.cols, sizeof **out);
    if (*out == NULL) return PARE_NOMEM(m->diag);
    PARE_FORWARD(pare_weight_rows(&w, 0, 1, *out, m->diag));
    for (uint64_t i = 0; i < w.cols; i++)
        if (!((*out)[i] > 0)) {
            pare_diag_where(m->diag, name);
            PARE_FAIL(m->diag, PARE_E_CORRUPT, "divisor %" PRIu64 " is not positive", i);
        }
    return PARE_OK;
}

static bool str_is(const struct pare_str *s, const char *t) { return s->len == strlen(t) && memcmp(s->s, t, s->len) == 0; }

static int read_rope(struct pare_dense_cfg *c, struct meta *m)
{
    struct pare_rope_params *p = &c->rope;
    struct pare_str          type;
    float                    v, linear;

    pare_rope_defaults(p);
    if (!c->t.rope) return PARE_OK;
    PARE_FORWARD(get_u32(m, "rope.dimension_count", 1 << 16, c->t.mla ? c->dk_rope : c->dk, &c->rotary));
    PARE_FORWARD(get_f32(m, "rope.freq_base", c->t.rope_base > 0 ? (float)c->t.rope_base : 10000, &v));
    c->rope_base = p->base = (double)v;
    PARE_FORWARD(get_f32(m, "rope.freq_base_swa", c->t.rope_rule == PARE_ROPE_TWO_TABLES && c->t.scale_embd_sqrt ? 10000 : v, &v));
    c->rope_base_local = (double)v;
    p->dim = c->rotary;
    p->max_ctx = c->max_ctx;
    PARE_FORWARD(get_f32(m, "rope.scale_linear", 0, &linear));
    PARE_FORWARD(get_f32(m, "rope.scaling.factor", linear, &v));
    p->factor = (double)v;
    PARE_FORWARD(get_u32(m, "rope.scaling.original_context_length", 1 << 28, 0, &p->orig_ctx));
    PARE_FORWARD(pare_kv_str(m->k, key(m, "rope.scaling.type"), &type, m->diag));
    if (type.s != NULL && str_is(&type, "yarn")) {
        float f;

        p->type = PARE_ROPE_YARN;
        PARE_FORWARD(get_f32(m, "rope.scaling.yarn_beta_fast", 32, &f));
        p->beta_fast = (double)f;
        PARE_FORWARD(get_f32(m, "rope.scaling.yarn_beta_slow", 1, &f));
        p->beta_slow = (double)f;
    } else if (p->factor > 0 && p->factor != 1 && (type.s == NULL || str_is(&type, "linear"))) {
        p->type = PARE_ROPE_LINEAR;
    }
    PARE_FORWARD(get_f32(m, "rope.scaling.attn_factor", 0, &v));
    p->attn_factor = (double)v;
    PARE_FORWARD(read_divisors(c, m, "rope_factors_long.weight", &c->rope_long));
    PARE_FORWARD(read_divisors(c, m, "rope_factors_short.weight", &c->rope_short));
    if (c->rope_long != NULL && c->rope_short != NULL) {
        p->type = PARE_ROPE_LONGROPE;
        p->long_factor = c->rope_long;
        p->short_factor = c->rope_short;
        /* The factor of cosines and sines stands in the file or follows from the contexts. */
        if (p->factor == 0 && p->orig_ctx != 0) p->factor = (double)c->max_ctx / p->orig_ctx;
        return PARE_OK;
    }
    if (c->rope_long != NULL || c->rope_short != NULL) PARE_FAIL(m->diag, PARE_E_CORRUPT, "one of the two lists of rope factors is missing");
    PARE_FORWARD(read_divisors(c, m, "rope_freqs.weight", &c->rope_short));
    p->freq_factor = c->rope_short;
    return PARE_OK;
}

/* A list of flags by layer under a key; absent: nothing changes. */
static const struct pare_kv *flags(struct meta *m, const char *name, uint32_t n)
{
    const struct pare_kv *kv = pare_kv_find(m->k, name);

    return kv != NULL && kv->type == PARE_KV_ARRAY && kv->count == n ? kv : NULL;
}

/* Element i of such a list: a truth value or a small number. */
static int64_t flag_at(const struct pare_kv *kv, uint32_t i)
{
    int64_t v = 0;

    if (kv->elem == PARE_KV_BOOL) return kv->data[i] != 0;
    return pare_kv_elem_int(kv, i, &v) ? v : 0;
}

/* Widths that a list gives for each layer; without a list every layer has what the model has. */
static int read_widths(struct pare_dense_cfg *c, struct meta *m)
{
    static const char *const names[3] = { "attention.head_count", "attention.head_count_kv", "feed_forward_length" };

    for (int k = 0; k < 3; k++) {
        const struct pare_kv *list = pare_kv_find(m->k, key(m, names[k]));
        int64_t               v = 0;

        if (list == NULL || list->type != PARE_KV_ARRAY || list->count == 0) continue;
        if (list->count != c->n_layers) {
            pare_diag_where(m->diag, m->key);
            PARE_FAIL(m->diag, PARE_E_CORRUPT, "has %" PRIu64 " entries for %" PRIu32 " layers", list->count, c->n_layers);
        }
        for (uint32_t i = 0; i < c->n_layers; i++) {
            struct pare_dense_layer_cfg *l = &c->layer[i];

            (void)pare_kv_elem_int(list, i, &v); /* checked by get_most */
            *(k == 0 ? &l->n_head : k == 1 ? &l->n_head_kv : &l->n_ff) = (uint32_t)v;
        }
        if (k == 0 && pare_kv_find(m->k, key(m, names[1])) == NULL)
            for (uint32_t i = 0; i < c->n_layers; i++) c->layer[i].n_head_kv = c->layer[i].n_head;
    }
    return PARE_OK;
}

static int read_layers(struct pare_dense_cfg *c, struct meta *m)
{
    uint32_t              pattern = c->t.pattern;
    const struct pare_kv *list;

    PARE_FORWARD(get_u32(m, "attention.sliding_window", UINT32_MAX, 0, &c->window));
    PARE_FORWARD(pare_dense_layers(c, m->diag));
    PARE_FORWARD(read_widths(c, m));
    list = flags(m, key(m, "attention.sliding_window_pattern"), c->n_layers);
    if (list == NULL && pare_kv_find(m->k, m->key) != NULL) PARE_FORWARD(get_u32(m, "attention.sliding_window_pattern", 4096, pattern, &pattern));
    pare_dense_windows(c, pattern);
    for (uint32_t i = 0; list != NULL && i < c->n_layers; i++)
        c->layer[i].window = flag_at(list, i) != 0 ? c->window : 0;
    pare_dense_rope_rule(c);
    list = flags(m, "pare.rope_layers", c->n_layers);
    for (uint32_t i = 0; list != NULL && c->t.rope && i < c->n_layers; i++) {
        int64_t v = flag_at(list, i);

        c->layer[i].rope = v == 0 ? PARE_ROPE_NONE : v == 1 ? PARE_ROPE_GLOBAL : PARE_ROPE_LOCAL;
    }
    return PARE_OK;
}

int pare_dense_config_gguf(struct pare_dense_cfg *c, const struct pare_dense_family *f, const struct pare_checkpoint *k,
                           const char *arch, struct pare_diag *diag)
{
    struct meta m = { .k = k, .arch = arch, .diag = diag };
    float       eps = c->t.norm_eps > 0 ? c->t.norm_eps : 1e-5f, scale;
    uint32_t    kv;

    c->gguf = true;
    c->pairs = c->t.pairs_gguf;
    c->embd_scale = c->t.scale_embd_sqrt ? -1 : 1;
    c->residual_scale = c->logit_scale = 1;
    PARE_FORWARD(read_sizes(c, &m));
    if (c->t.mla) {
        PARE_FORWARD(get_u32(&m, "attention.q_lora_rank", 1 << 20, 0, &c->q_rank));
        PARE_FORWARD(get_u32(&m, "attention.kv_lora_rank", 1 << 20, 0, &c->kv_rank));
        PARE_FORWARD(get_u32(&m, "rope.dimension_count", 1 << 16, c->dk, &c->dk_rope));
        PARE_FAIL_IF(diag, c->dk_rope > c->dk, PARE_E_CORRUPT, "%s.rope.dimension_count is larger than a head", arch);
        c->dk_nope = c->dk - c->dk_rope;
    }
    PARE_FORWARD(get_f32(&m, c->t.norm == PARE_NORM_RMS ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon", eps, &c->eps));
    PARE_FORWARD(get_f32(&m, "attn_logit_softcapping", 0, &c->softcap));
    PARE_FORWARD(get_f32(&m, "final_logit_softcapping", 0, &c->final_softcap));
    PARE_FORWARD(get_f32(&m, "attention.clamp_kqv", 0, &c->clip));
    PARE_FAIL_IF(diag, c->dk == 0, PARE_E_CORRUPT, "heads have no width");
    PARE_FORWARD(get_f32(&m, "attention.scale", 0, &scale));
    c->scale = scale != 0 ? scale : (float)(1.0 / sqrt((double)c->dk));
    PARE_FORWARD(get_f32(&m, "embedding_scale", c->t.scale_embd_sqrt ? sqrtf((float)c->n_embd) : 1, &c->embd_scale));
    PARE_FORWARD(get_f32(&m, "residual_scale", 1, &c->residual_scale));
    PARE_FORWARD(get_f32(&m, "logit_scale", 1, &c->logit_scale));
    PARE_FORWARD(read_rope(c, &m));
    PARE_FORWARD(read_layers(c, &m));
    kv = c->n_head_kv;
    if (f->config_gguf != NULL) PARE_FORWARD(f->config_gguf(c, k, diag));
    for (uint32_t i = 0; c->n_head_kv != kv && i < c->n_layers; i++) c->layer[i].n_head_kv = c->n_head_kv; /* what the family knows better */
    return PARE_OK;
}
