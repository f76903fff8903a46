/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/synthetic.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"

struct shape {
    const char *name;
    uint32_t    vocab, embd, layers, heads, heads_kv, head_dim, ffn, ctx;
    bool        tied, qwen3; /* one matrix for both ends; norms of the heads */
};
static const struct shape shapes[] = {
    { "llama-1.1b", 32000, 2048, 22, 32, 4, 64, 5632, 8192, false, false }, /* TinyLlama */
    { "llama-135m", 49152, 576, 30, 9, 3, 64, 1536, 8192, false, false },   /* SmolLM2 */
    { "llama-3.2-1b", 128256, 2048, 16, 32, 8, 64, 8192, 8192, true, false },
    { "llama-3.1-8b", 128256, 4096, 32, 32, 8, 128, 14336, 8192, false, false },
    { "qwen3-0.6b", 151936, 1024, 28, 16, 8, 128, 3072, 8192, true, true },
    { "demo", 8192, 256, 6, 8, 4, 32, 768, 8192, false, false },
};

/* Rows of random weights, encoded once and repeated: a shared buffer a width, or one a tensor. */
struct pool {
    uint64_t cols, rows;
    uint8_t *data;
};
struct priv {
    struct pool *pool;
    uint32_t     n;
    char       (*names)[96];
};

#define DISTINCT 32 /* rows that differ; encoding more would take longer than measuring */

/* A row of a type that is only read: random blocks, drawn again until they decode to weights of usual size. */
static void random_row(uint8_t *row, const struct pare_dtype *type, uint64_t cols, uint64_t r)
{
    uint64_t blocks = cols / type->block, at = 0;
    float    x[256];

    for (uint64_t b = 0; b < blocks; b++) {
        uint8_t *p = row + b * type->block_bytes;
        bool     usual = false;

        for (int tries = 0; !usual && tries < 4096; tries++) {
            float most = 0;

            for (uint32_t i = 0; i < type->block_bytes; i++) p[i] = (uint8_t)pare_rng_u64(r, PARE_RNG_SYNTH, at++);
            type->decode(x, p, type->block);
            usual = true;
            for (uint32_t i = 0; i < type->block; i++) {
                if (!(x[i] < 0.5f && x[i] > -0.5f)) usual = false; /* NaN too */
                if (x[i] > most) most = x[i];
            }
            if (most < 0.005f) usual = false;
        }
        if (!usual) memset(p, 0, type->block_bytes);
    }
}

static int fill(struct pool *p, const struct pare_dtype *type, struct pare_diag *diag)
{
    uint64_t row, bytes;
    float   *w = pare_alloc_array(p->cols, sizeof *w);

    if (!pare_dtype_row_bytes(type, p->cols, &row)) {
        pare_free(w);
        PARE_FAIL(diag, PARE_E_USAGE, "type %s has no rows of %llu weights, which the shape asks for", type->name, (unsigned long long)p->cols);
    }
    if (w == NULL || !pare_dtype_bytes(type, p->rows, p->cols, &bytes) || (p->data = pare_aligned(bytes)) == NULL) {
        pare_free(w);
        return PARE_NOMEM(diag);
    }
    for (uint64_t r = 0; r < p->rows; r++) {
        if (r >= DISTINCT) {
            memcpy(p->data + r * row, p->data + (r % DISTINCT) * row, row);
            continue;
        }
        if (type->encode == NULL) {
            random_row(p->data + r * row, type, p->cols, r);
            continue;
        }
        for (uint64_t i = 0; i < p->cols; i++) w[i] = 0.02f * pare_rng_normal(r, PARE_RNG_SYNTH, i);
        type->encode(p->data + r * row, w, p->cols, NULL);
    }
    pare_free(w);
    return PARE_OK;
}

static int add(struct pare_checkpoint *c, const char *name, const struct pare_dtype *type, uint64_t rows, uint64_t cols,
               struct pare_diag *diag)
{
    struct priv        *pv = c->priv;
    struct pare_tensor *t = &c->tensors[c->n_tensors];
    bool                share = (type->caps & PARE_DT_QUANT) != 0, vector = rows == 1;
    uint32_t            i;

    for (i = 0; i < pv->n; i++)
        if (share && pv->pool[i].cols == cols && pv->pool[i].rows >= rows) break;
    if (i == pv->n) {
        pv->pool[pv->n++] = (struct pool){ cols, rows, NULL };
        PARE_FORWARD(fill(&pv->pool[i], type, diag));
        if (vector)
            for (uint64_t k = 0; k < cols; k++) ((float *)(void *)pv->pool[i].data)[k] = 1; /* norm weights */
    }
    snprintf(pv->names[c->n_tensors], sizeof pv->names[0], "%s", name);
    *t = (struct pare_tensor){ .name = pv->names[c->n_tensors], .type = type, .n_dims = vector ? 1 : 2, .rows = rows, .cols = cols,
                               .data = pv->pool[i].data };
    t->dims[0] = vector ? cols : rows;
    t->dims[1] = vector ? 0 : cols;
    (void)pare_dtype_bytes(type, rows, cols, &t->bytes);
    c->n_tensors++;
    return PARE_OK;
}

static int layers(struct pare_checkpoint *c, const struct shape *s, const struct pare_dtype *type, struct pare_diag *diag)
{
    const struct { const char *part; uint64_t rows, cols; } m[] = {
        { "self_attn.q_proj", (uint64_t)s->heads * s->head_dim, s->embd }, { "self_attn.k_proj", (uint64_t)s->heads_kv * s->head_dim, s->embd },
        { "self_attn.v_proj", (uint64_t)s->heads_kv * s->head_dim, s->embd }, { "self_attn.o_proj", s->embd, (uint64_t)s->heads * s->head_dim },
        { "mlp.gate_proj", s->ffn, s->embd }, { "mlp.up_proj", s->ffn, s->embd }, { "mlp.down_proj", s->embd, s->ffn },
        { "input_layernorm", 1, s->embd }, { "post_attention_layernorm", 1, s->embd },
        { "self_attn.q_norm", 1, s->head_dim }, { "self_attn.k_norm", 1, s->head_dim }, /* the last two: qwen3 only */
    };
    const size_t n = sizeof m / sizeof *m - (s->qwen3 ? 0 : 2);
    char name[96];

    for (uint32_t l = 0; l < s->layers; l++)
        for (size_t i = 0; i < n; i++) {
            snprintf(name, sizeof name, "model.layers.%u.%s.weight", l, m[i].part);
            PARE_FORWARD(add(c, name, m[i].rows == 1 ? pare_dtype_of(PARE_F32) : type, m[i].rows, m[i].cols, diag));
        }
    return PARE_OK;
}

static int unknown(const char *shape, struct pare_diag *diag)
{
    char   names[256] = "";
    size_t at = 0;

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i == 0 ? "" : ", ", shapes[i].name);
    PARE_FAIL(diag, PARE_E_USAGE, "unknown shape \"%.40s\"; there are %s", shape, names);
}

int pare_synthetic_create(struct pare_checkpoint **out, const char *shape, const struct pare_dtype *type, struct pare_diag *diag)
{
    static const struct pare_format format = { .name = "synthetic" };
    const struct shape             *s = NULL;
    struct pare_checkpoint         *c;
    struct priv                    *pv;
    uint32_t                        n;
    int                             rc;

    *out = NULL;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(shapes[i].name, shape) == 0) s = &shapes[i];
    if (s == NULL) return unknown(shape, diag);
    PARE_FAIL_IF(diag, !(type->caps & (PARE_DT_WRITE | PARE_DT_QUANT)), PARE_E_USAGE, "weights of type %s cannot be made up", type->name);
    n = s->layers * 11 + 3;
    c = pare_zalloc(1, sizeof *c);
    if (c == NULL) return PARE_NOMEM(diag);
    c->format = &format;
    c->tensors = pare_zalloc(n, sizeof *c->tensors);
    c->maps = pare_zalloc(1, sizeof *c->maps); /* one file that is none, for those who ask where a tensor lies */
    if (c->maps != NULL) {
        c->maps[0].fd = -1;
        c->n_maps = 1;
    }
    pv = c->priv = pare_zalloc(1, sizeof *pv);
    c->path = pare_strdup("(synthetic)");
    if (pv != NULL) {
        pv->pool = pare_zalloc(n, sizeof *pv->pool);
        pv->names = pare_zalloc(n, sizeof *pv->names);
    }
    rc = c->tensors == NULL || c->maps == NULL || pv == NULL || c->path == NULL || pv->pool == NULL || pv->names == NULL ? PARE_NOMEM(diag) : PARE_OK;
    c->config = json_pack("{s:s,s:[s],s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:f,s:f,s:b,s:s}", "model_type", s->qwen3 ? "qwen3" : "llama",
                          "architectures", s->qwen3 ? "Qwen3ForCausalLM" : "LlamaForCausalLM", "vocab_size", (int)s->vocab,
                          "hidden_size", (int)s->embd, "num_hidden_layers", (int)s->layers, "num_attention_heads", (int)s->heads, "num_key_value_heads", (int)s->heads_kv, "head_dim",
                          (int)s->head_dim, "intermediate_size", (int)s->ffn, "max_position_embeddings", (int)s->ctx, "rms_norm_eps",
                          1e-5, "rope_theta", 10000.0, "tie_word_embeddings", (int)s->tied, "hidden_act", "silu");
    if (rc == PARE_OK && c->config == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) rc = add(c, "model.embed_tokens.weight", type, s->vocab, s->embd, diag);
    if (rc == PARE_OK && !s->tied) rc = add(c, "lm_head.weight", type, s->vocab, s->embd, diag);
    if (rc == PARE_OK) rc = layers(c, s, type, diag);
    if (rc == PARE_OK) rc = add(c, "model.norm.weight", pare_dtype_of(PARE_F32), 1, s->embd, diag);
    if (rc == PARE_OK) rc = pare_checkpoint_index(c, diag);
    if (rc < 0) {
        pare_synthetic_free(&c);
        return rc;
    }
    *out = c;
    return PARE_OK;
}

void pare_synthetic_free(struct pare_checkpoint **cp)
{
    struct pare_checkpoint *c = *cp;
    struct priv            *pv;

    if (c == NULL) return;
    pv = c->priv;
    for (uint32_t i = 0; pv != NULL && pv->pool != NULL && i < pv->n; i++) pare_aligned_free(pv->pool[i].data);
    if (pv != NULL) {
        pare_free(pv->pool);
        pare_free(pv->names);
    }
    pare_free(pv);
    c->priv = NULL;
    pare_checkpoint_close(cp);
}
