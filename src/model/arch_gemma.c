/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_gemma.c: Gemma 1 to 3. Norm weights are kept minus one in Hugging Face's folders; GGUF files hold the sum. */
#include <math.h>
#include <string.h>

#include "model/arch_rows.h"

#define GEMMA_TRAITS                                                                                                   \
    .norm = PARE_NORM_RMS, .rope = true, .act = PARE_ACT_GELU_TANH, .norm_add = 1, .norm_eps = 1e-6f, .scale_embd_sqrt = true, .head_dim = 256

/* Early folders say hidden_act "gelu" and mean its tanh form: only hidden_activation counts. */
static int gemma_config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    const char *name;
    float       scalar;

    PARE_FORWARD(pare_json_str(j, "hidden_activation", "gelu_pytorch_tanh", &name, diag));
    PARE_FORWARD(pare_cfg_act(name, &c->t.act, diag));
    PARE_FORWARD(pare_cfg_f32(j, "query_pre_attn_scalar", c->t.post_norm ? 256 : (double)c->dk, &scalar, diag));
    PARE_FAIL_IF(diag, !(scalar > 0), PARE_E_CORRUPT, "query_pre_attn_scalar is not positive");
    c->scale = (float)(1.0 / sqrt((double)scalar));
    for (uint32_t i = 0; i < c->n_layers; i++) c->layer[i].scale = c->scale;
    return PARE_OK;
}

/* GGUF has no key for the scale of queries: by public convention the 27B models (46 and 62 layers) divide by the root of
 * n_embd / n_head, the others by that of the head's width. */
static int gemma_gguf(struct pare_dense_cfg *c, const struct pare_checkpoint *k, struct pare_diag *diag)
{
    const char *arch = c->t.rope_rule == PARE_ROPE_TWO_TABLES ? "gemma3" : "gemma2", *key;

    (void)diag;
    key = c->t.rope_rule == PARE_ROPE_TWO_TABLES ? "gemma3.attention.scale" : "gemma2.attention.scale";
    if (pare_kv_find(k, key) != NULL || c->n_layers != (strcmp(arch, "gemma3") == 0 ? 62u : 46u)) return PARE_OK;
    c->scale = (float)(1.0 / sqrt((double)(c->n_embd / c->n_head)));
    for (uint32_t i = 0; i < c->n_layers; i++) c->layer[i].scale = c->scale;
    return PARE_OK;
}

static const struct pare_dense_family gemma = {
    .gguf = "gemma",
    .traits = { GEMMA_TRAITS },
    .names = { LLAMA_LAYER, NULL },
    .config = gemma_config,
};
DENSE_ROW(gemma, gemma, NAMES("gemma"), NAMES("gemma"));

#define GEMMA_NAMES                                                                                                    \
    ROLES({ "post_attention_norm", ".post_attention_layernorm" }, { "ffn_norm", ".pre_feedforward_layernorm" },        \
          { "post_ffw_norm", ".post_feedforward_layernorm" })

static const struct pare_dense_family gemma2 = {
    .gguf = "gemma2",
    .traits = { GEMMA_TRAITS, .post_norm = true, .pattern = 2 },
    .names = { LLAMA_LAYER, GEMMA_NAMES },
    .config = gemma_config,
    .config_gguf = gemma_gguf,
};
DENSE_ROW(gemma2, gemma2, NAMES("gemma2"), NAMES("gemma2"));

static const struct pare_dense_family gemma3 = {
    .gguf = "gemma3",
    .traits = { GEMMA_TRAITS, .post_norm = true, .pattern = 6, .qk_norm = PARE_QKN_HEAD, .rope_rule = PARE_ROPE_TWO_TABLES,
                .rope_base = 1000000, .n_head = 8, .n_head_kv = 4, .n_vocab = 262208, .max_ctx = 131072 },
    .names = { LLAMA_LAYER, GEMMA_NAMES },
    .config = gemma_config,
    .config_gguf = gemma_gguf,
};
DENSE_ROW(gemma3, gemma3, NAMES("gemma3_text", "gemma3"), NAMES("gemma3"));
