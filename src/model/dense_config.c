/* SPDX-License-Identifier: Apache-2.0
 * src/model/dense_config.c: config.json of plain decoders. The keys that most families share are read here in all their
 * spellings (transformers 5 writes rope_parameters, published folders rope_theta and rope_scaling; the GPT line says n_embd
 * where Llama says hidden_size); a family's own function adds the rest. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "model/dense.h"

#define MAX_LAYERS 4096u
#define MAX_WIDTH  (1u << 20)
#define MAX_VOCAB  (1u << 24)
#define MAX_CTX    (1u << 28)

/* The first of the '|'-separated keys that is present and not null, copied to buf; false when none is. */
static bool pick(const json_t *j, const char *keys, char buf[64])
{
    while (*keys != '\0') {
        size_t n = strcspn(keys, "|");

        if (n < 64) {
            const json_t *v;

            memcpy(buf, keys, n);
            buf[n] = '\0';
            v = json_object_get(j, buf);
            if (v != NULL && !json_is_null(v)) return true;
        }
        keys += n + (keys[n] == '|');
    }
    return false;
}

int pare_cfg_u32(const json_t *j, const char *keys, uint32_t max, uint32_t dflt, uint32_t *out, struct pare_diag *diag)
{
    char    key[64];
    int64_t v = dflt;

    if (pick(j, keys, key)) PARE_FORWARD(pare_json_int(j, key, 0, max, dflt, &v, diag));
    *out = (uint32_t)v;
    return PARE_OK;
}

int pare_cfg_f32(const json_t *j, const char *keys, double dflt, float *out, struct pare_diag *diag)
{
    char   key[64];
    double v = dflt;

    if (pick(j, keys, key)) PARE_FORWARD(pare_json_real(j, key, dflt, &v, diag));
    PARE_FAIL_IF(diag, !isfinite(v), PARE_E_CORRUPT, "config key %s is not finite", keys);
    *out = (float)v;
    return PARE_OK;
}

int pare_cfg_act(const char *name, enum pare_act *out, struct pare_diag *diag)
{
    static const struct { const char *name; enum pare_act act; } t[] = {
        { "silu", PARE_ACT_SILU }, { "swish", PARE_ACT_SILU }, { "gelu", PARE_ACT_GELU }, { "gelu_new", PARE_ACT_GELU_TANH },
        { "gelu_fast", PARE_ACT_GELU_TANH }, { "gelu_pytorch_tanh", PARE_ACT_GELU_TANH }, { "gelu_tanh", PARE_ACT_GELU_TANH },
        { "relu", PARE_ACT_RELU }, { "relu2", PARE_ACT_RELU2 }, { "quick_gelu", PARE_ACT_QUICK_GELU },
        { "gelu_python", PARE_ACT_GELU }, { "tanh", PARE_ACT_TANH }, { "sigmoid", PARE_ACT_SIGMOID }
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        if (strcmp(t[i].name, name) == 0) {
            *out = t[i].act;
            return PARE_OK;
        }
    PARE_FAIL(diag, PARE_E_UNSUPPORTED, "activation \"%s\" is not known", name);
}

static int read_act(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    char        key[64];
    const char *name;

    if (!pick(j, "hidden_activation|hidden_act|activation_function|activation", key)) return PARE_OK;
    PARE_FORWARD(pare_json_str(j, key, NULL, &name, diag));
    return name != NULL ? pare_cfg_act(name, &c->t.act, diag) : PARE_OK;
}

static int read_sizes(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    uint32_t inner;

    PARE_FORWARD(pare_cfg_u32(j, "hidden_size|n_embd|n_embed|d_model", MAX_WIDTH, 0, &c->n_embd, diag));
    PARE_FORWARD(pare_cfg_u32(j, "num_hidden_layers|n_layer|n_layers", MAX_LAYERS, 0, &c->n_layers, diag));
    PARE_FORWARD(pare_cfg_u32(j, "num_attention_heads|n_head|n_heads", 1u << 16, c->t.n_head, &c->n_head, diag));
    PARE_FORWARD(pare_cfg_u32(j, "num_key_value_heads", 1u << 16, c->t.n_head_kv != 0 ? c->t.n_head_kv : c->n_head, &c->n_head_kv, diag));
    PARE_FORWARD(pare_cfg_u32(j, "vocab_size", MAX_VOCAB, c->t.n_vocab, &c->n_vocab, diag));
    PARE_FAIL_IF(diag, c->n_embd == 0 || c->n_layers == 0 || c->n_head == 0 || c->n_vocab == 0, PARE_E_CORRUPT,
                 "config lacks one of hidden size, layers, heads, vocabulary");
    inner = c->n_embd * 4;
    PARE_FORWARD(pare_cfg_u32(j, "intermediate_size|n_inner|ffn_dim|ffn_hidden_size", MAX_WIDTH * 4, inner, &c->n_ff, diag));
    PARE_FORWARD(pare_cfg_u32(j, "max_position_embeddings|n_positions|seq_length|n_ctx", MAX_CTX, c->t.max_ctx != 0 ? c->t.max_ctx : 2048, &c->max_ctx, diag));
    PARE_FORWARD(pare_cfg_u32(j, "head_dim", 1u << 16, c->t.head_dim != 0 ? c->t.head_dim : c->n_embd / c->n_head, &c->dk, diag));
    c->dv = c->dk;
    c->n_embd_in = c->n_embd;
    return PARE_OK;
}

int pare_dense_layers(struct pare_dense_cfg *c, struct pare_diag *diag)
{
    c->layer = pare_zalloc(c->n_layers, sizeof *c->layer);
    if (c->layer == NULL) return PARE_NOMEM(diag);
    for (uint32_t i = 0; i < c->n_layers; i++)
        c->layer[i] = (struct pare_dense_layer_cfg){ .scale = c->scale, .n_head = c->n_head, .n_head_kv = c->n_head_kv, .n_ff = c->n_ff };
    return PARE_OK;
}

void pare_dense_widest(struct pare_dense_cfg *c)
{
    c->n_head = c->n_head_kv = c->n_ff = 0;
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const struct pare_dense_layer_cfg *l = &c->layer[i];

        if (l->n_head > c->n_head) c->n_head = l->n_head;
        if (l->n_head_kv > c->n_head_kv) c->n_head_kv = l->n_head_kv;
        if (l->n_ff > c->n_ff) c->n_ff = l->n_ff;
    }
}

void pare_dense_windows(struct pare_dense_cfg *c, uint32_t pattern)
{
    for (uint32_t i = 0; i < c->n_layers; i++)
        c->layer[i].window = pattern != 0 && (i + 1) % pattern == 0 ? 0 : c->window;
}

void pare_dense_rope_rule(struct pare_dense_cfg *c)
{
    bool any = false;

    for (uint32_t i = 0; i < c->n_layers; i++) any = any || c->layer[i].window != 0;
    for (uint32_t i = 0; i < c->n_layers; i++) {
        struct pare_dense_layer_cfg *l = &c->layer[i];

        l->rope = c->t.rope ? PARE_ROPE_GLOBAL : PARE_ROPE_NONE;
        if (!c->t.rope) continue;
        if (c->t.rope_rule == PARE_ROPE_WINDOWED && any && l->window == 0) l->rope = PARE_ROPE_NONE;
        if (c->t.rope_rule == PARE_ROPE_FOURTH_NOT && (i + 1) % 4 == 0) l->rope = PARE_ROPE_NONE;
        if (c->t.rope_rule == PARE_ROPE_TWO_TABLES && l->window != 0) l->rope = PARE_ROPE_LOCAL;
    }
}

/* Windows: a list of layer types where the folder has one, else the pattern. use_sliding_window false switches them off
 * (Qwen 2), max_window_layers spares the first layers. */
static int read_windows(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    const json_t *types = json_object_get(j, "layer_types");
    uint32_t      pattern = c->t.pattern, first;
    bool          use;

    PARE_FORWARD(pare_cfg_u32(j, "sliding_window", UINT32_MAX, 0, &c->window, diag));
    PARE_FORWARD(pare_json_bool(j, "use_sliding_window", true, &use, diag));
    if (!use) c->window = 0;
    if (json_is_integer(json_object_get(j, "sliding_window_pattern")) ||
        json_is_integer(json_object_get(j, "_sliding_window_pattern")))
        PARE_FORWARD(pare_cfg_u32(j, "sliding_window_pattern|_sliding_window_pattern", MAX_LAYERS, pattern, &pattern, diag));
    pare_dense_windows(c, pattern);
    if (json_is_array(types)) {
        PARE_FAIL_IF(diag, json_array_size(types) < c->n_layers, PARE_E_CORRUPT, "layer_types has %zu entries for %" PRIu32 " layers",
                     json_array_size(types), c->n_layers);
        for (uint32_t i = 0; i < c->n_layers; i++) {
            const char *t = json_string_value(json_array_get(types, i));

            PARE_FAIL_IF(diag, t == NULL || (strcmp(t, "sliding_attention") != 0 && strcmp(t, "full_attention") != 0),
                         PARE_E_UNSUPPORTED, "layer type \"%s\" of layer %" PRIu32 " is not known", t != NULL ? t : "?", i);
            c->layer[i].window = strcmp(t, "sliding_attention") == 0 ? c->window : 0;
        }
    } else if (json_is_true(json_object_get(j, "use_sliding_window"))) {
        PARE_FORWARD(pare_cfg_u32(j, "max_window_layers", MAX_CTX, 0, &first, diag));
        for (uint32_t i = 0; i < c->n_layers && i < first; i++) c->layer[i].window = 0;
    }
    return PARE_OK;
}

int pare_dense_config_hf(struct pare_dense_cfg *c, const struct pare_dense_family *f, const json_t *j,
                         const struct pare_checkpoint *k, struct pare_diag *diag)
{
    bool          interleaved;
    const json_t *text = json_object_get(j, "text_config");

    if (json_is_object(text)) j = text;
    PARE_FORWARD(read_sizes(c, j, diag));
    PARE_FORWARD(read_act(c, j, diag));
    PARE_FORWARD(pare_cfg_f32(j, "rms_norm_eps|layer_norm_eps|layer_norm_epsilon|norm_eps|norm_epsilon",
                              c->t.norm_eps > 0 ? (double)c->t.norm_eps : 1e-6, &c->eps, diag));
    PARE_FORWARD(pare_cfg_f32(j, "attn_logit_softcapping", 0, &c->softcap, diag));
    PARE_FORWARD(pare_cfg_f32(j, "final_logit_softcapping", 0, &c->final_softcap, diag));
    c->embd_scale = c->t.scale_embd_sqrt ? sqrtf((float)c->n_embd) : 1;
    c->residual_scale = c->logit_scale = 1;
    /* llama2.c's files come with Llama's config and pairs side by side; the reader says so. */
    PARE_FORWARD(pare_json_bool(j, "pare_rope_interleaved", c->t.pairs_hf, &interleaved, diag));
    c->pairs = interleaved;
    PARE_FORWARD(pare_dense_rope_hf(c, j, diag));
    PARE_FAIL_IF(diag, c->dk == 0, PARE_E_CORRUPT, "heads have no width");
    c->scale = (float)(1.0 / sqrt((double)c->dk));
    PARE_FORWARD(pare_dense_layers(c, diag));
    PARE_FORWARD(read_windows(c, j, diag));
    pare_dense_rope_rule(c);
    if (json_is_true(json_object_get(j, "attention_bias"))) c->t.need_qkv_bias = true;
    (void)k;
    if (f->config != NULL) PARE_FORWARD(f->config(c, j, diag));
    for (uint32_t i = 0; i < c->n_layers; i++) { /* folders say one width for all layers, some families in a key of their own */
        c->layer[i].n_head = c->n_head;
        c->layer[i].n_head_kv = c->n_head_kv;
        c->layer[i].n_ff = c->n_ff;
    }
    return PARE_OK;
}

/* What the forward pass takes for granted. */
int pare_dense_cfg_check(const struct pare_dense_cfg *c, struct pare_diag *diag)
{
    uint64_t width = (uint64_t)c->n_head * c->dk + (uint64_t)c->n_head_kv * (c->dk + c->dv);

    for (uint32_t i = 0; i < c->n_layers; i++) {
        const struct pare_dense_layer_cfg *l = &c->layer[i];

        PARE_FAIL_IF(diag, l->n_head == 0 || l->n_head_kv == 0 || l->n_head % l->n_head_kv != 0, PARE_E_CORRUPT,
                     "%" PRIu32 " heads cannot share %" PRIu32 " key-value heads in layer %" PRIu32, l->n_head, l->n_head_kv, i);
        PARE_FAIL_IF(diag, l->n_ff == 0, PARE_E_CORRUPT, "a width in the config is zero");
        PARE_FAIL_IF(diag, (l->n_head != c->n_head || l->n_head_kv != c->n_head_kv) && (c->t.alibi || c->t.mla || c->t.qk_norm == PARE_QKN_WIDTH || c->t.qk_norm == PARE_QKN_HEADS),
                     PARE_E_UNSUPPORTED, "this family has the same heads in every layer");
    }
    PARE_FAIL_IF(diag, c->n_embd == 0 || c->n_ff == 0 || c->dk == 0 || c->dv == 0 || c->n_vocab == 0 || c->max_ctx == 0,
                 PARE_E_CORRUPT, "a width in the config is zero");
    PARE_FAIL_IF(diag, width > MAX_WIDTH * 4 || c->n_embd > MAX_WIDTH, PARE_E_UNSUPPORTED, "the config asks for rows of %" PRIu64
                 " numbers", width);
    PARE_FAIL_IF(diag, c->rotary % 2 != 0 || c->rotary > c->dk, PARE_E_CORRUPT,
                 "%" PRIu32 " of %" PRIu32 " numbers of a head cannot be rotated", c->rotary, c->dk);
    PARE_FAIL_IF(diag, !(c->eps >= 0) || !isfinite(c->scale), PARE_E_CORRUPT, "the config's epsilon or scale is not usable");
    return PARE_OK;
}

void pare_dense_cfg_free(struct pare_dense_cfg *c)
{
    pare_free(c->rope_short);
    pare_free(c->rope_long);
    pare_free(c->layer);
    c->rope_short = c->rope_long = NULL;
    c->layer = NULL;
}
