/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_llama.c: Llama and the families that are Llama but for one detail. GGUF's "llama" keeps rotary pairs side by
 * side; Mistral, InternLM 3 and Helium are written under it too, as the public converters do where they know them. */
#include <math.h>

#include "model/arch_rows.h"

/* Llama's code has no window, whatever a merged config may say. */
static int no_window(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    (void)j;
    (void)diag;
    c->window = 0;
    pare_dense_windows(c, 0);
    return PARE_OK;
}

static const struct pare_dense_family llama = {
    .gguf = "llama",
    .traits = { LLAMA_TRAITS, .pairs_gguf = true },
    .names = { LLAMA_LAYER, NULL },
    .config = no_window,
};
DENSE_ROW(llama, llama, NAMES("llama"), NAMES("llama"));

static const struct pare_dense_family mistral = {
    .gguf = "llama",
    .traits = { LLAMA_TRAITS, .pairs_gguf = true },
    .names = { LLAMA_LAYER, NULL },
};
DENSE_ROW(mistral, mistral, NAMES("mistral", "ministral", "mistral3"), NULL);
DENSE_ROW(internlm3, mistral, NAMES("internlm3"), NULL);

static const struct pare_dense_family helium = {
    .gguf = "llama",
    .traits = { LLAMA_TRAITS, .pairs_hf = true, .pairs_gguf = true, .norm_eps = 1e-8f, .head_dim = 128, .rope_base = 100000 },
    .names = { LLAMA_LAYER, NULL },
};
DENSE_ROW(helium, helium, NAMES("helium"), NULL);

static const struct pare_dense_family seed_oss = {
    .gguf = "seed_oss",
    .traits = { LLAMA_TRAITS, .head_dim = 128, .ffn_norm_role = "post_attention_norm" },
    .names = { LLAMA_LAYER, ROLES({ "post_attention_norm", ".post_attention_layernorm" }) },
};
DENSE_ROW(seed_oss, seed_oss, NAMES("seed_oss"), NAMES("seed_oss"));

static const struct pare_dense_family ernie4_5 = {
    .gguf = "ernie4_5",
    .traits = { LLAMA_TRAITS, .pairs_hf = true, .pairs_gguf = true, .norm_eps = 1e-5f, .rope_base = 500000, .head_dim = 128 },
    .names = { LLAMA_LAYER, NULL },
};
DENSE_ROW(ernie4_5, ernie4_5, NAMES("ernie4_5"), NAMES("ernie4_5"));

static int granite_config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    float divide;

    PARE_FORWARD(pare_cfg_f32(j, "embedding_multiplier", 1, &c->embd_scale, diag));
    PARE_FORWARD(pare_cfg_f32(j, "residual_multiplier", 1, &c->residual_scale, diag));
    PARE_FORWARD(pare_cfg_f32(j, "attention_multiplier", 1, &c->scale, diag));
    PARE_FORWARD(pare_cfg_f32(j, "logits_scaling", 1, &divide, diag));
    PARE_FAIL_IF(diag, divide == 0, PARE_E_CORRUPT, "logits_scaling is zero");
    c->logit_scale = 1.0f / divide;
    for (uint32_t i = 0; i < c->n_layers; i++) c->layer[i].scale = c->scale;
    return PARE_OK;
}

/* GGUF's granite divides by logit_scale. */
static int granite_gguf(struct pare_dense_cfg *c, const struct pare_checkpoint *k, struct pare_diag *diag)
{
    (void)k;
    PARE_FAIL_IF(diag, c->logit_scale == 0, PARE_E_CORRUPT, "granite.logit_scale is zero");
    c->logit_scale = 1.0f / c->logit_scale;
    return PARE_OK;
}

static int granite_emit(const struct pare_dense_cfg *c, struct pare_writer *w, struct pare_diag *diag)
{
    PARE_FORWARD(pare_writer_kv_f32(w, "granite.embedding_scale", c->embd_scale, diag));
    PARE_FORWARD(pare_writer_kv_f32(w, "granite.residual_scale", c->residual_scale, diag));
    return pare_writer_kv_f32(w, "granite.logit_scale", 1.0f / c->logit_scale, diag);
}

static const struct pare_dense_family granite = {
    .gguf = "granite",
    .traits = { LLAMA_TRAITS, .pairs_gguf = true },
    .names = { LLAMA_LAYER, NULL },
    .config = granite_config,
    .config_gguf = granite_gguf,
    .emit = granite_emit,
};
DENSE_ROW(granite, granite, NAMES("granite"), NAMES("granite"));

/* Layers without rotation: a list, or every no_rope_layer_interval-th. */
static int smollm3_config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    const json_t *list = json_object_get(j, "no_rope_layers");
    uint32_t      every;

    PARE_FORWARD(pare_cfg_u32(j, "no_rope_layer_interval", 1u << 20, 4, &every, diag));
    for (uint32_t i = 0; i < c->n_layers; i++) {
        bool use = every == 0 || (i + 1) % every != 0;

        if (json_is_array(list)) use = json_integer_value(json_array_get(list, i)) != 0;
        c->layer[i].rope = use ? PARE_ROPE_GLOBAL : PARE_ROPE_NONE;
    }
    if (!json_is_true(json_object_get(j, "use_sliding_window"))) return no_window(c, j, diag);
    return PARE_OK;
}

static const struct pare_dense_family smollm3 = {
    .gguf = "smollm3",
    .traits = { LLAMA_TRAITS, .pairs_gguf = true, .rope_rule = PARE_ROPE_FOURTH_NOT, .rope_base = 2000000 },
    .names = { LLAMA_LAYER, NULL },
    .config = smollm3_config,
};
DENSE_ROW(smollm3, smollm3, NAMES("smollm3"), NAMES("smollm3"));

static const struct pare_dense_family hunyuan = {
    .gguf = "hunyuan-dense",
    .traits = { LLAMA_TRAITS, .norm_eps = 1e-5f, .qk_norm = PARE_QKN_HEAD, .qk_norm_late = true },
    .names = { LLAMA_LAYER,
               ROLES({ "attn_q_norm", ".self_attn.query_layernorm" }, { "attn_k_norm", ".self_attn.key_layernorm" }) },
};
DENSE_ROW(hunyuan_dense, hunyuan, NAMES("hunyuan_v1_dense"), NAMES("hunyuan-dense"));

static const struct pare_dense_family exaone = {
    .gguf = "exaone",
    .traits = { LLAMA_TRAITS, .norm_eps = 1e-5f },
    .names = { "transformer.h.#",
               ROLES({ "token_embd", "transformer.wte" }, { "output_norm", "transformer.ln_f" }, { "attn_norm", ".ln_1" },
                     { "attn_q", ".attn.attention.q_proj" }, { "attn_k", ".attn.attention.k_proj" },
                     { "attn_v", ".attn.attention.v_proj" }, { "attn_output", ".attn.attention.out_proj" },
                     { "ffn_norm", ".ln_2" }, { "ffn_gate", ".mlp.c_fc_0" }, { "ffn_up", ".mlp.c_fc_1" },
                     { "ffn_down", ".mlp.c_proj" }) },
};
DENSE_ROW(exaone, exaone, NAMES("exaone"), NAMES("exaone"));

static const struct pare_dense_family exaone4 = {
    .gguf = "exaone4",
    .traits = { LLAMA_TRAITS, .norm_eps = 1e-5f, .no_pre_norm = true, .post_norm = true, .qk_norm = PARE_QKN_HEAD,
                .rope_rule = PARE_ROPE_WINDOWED, .pattern = 4 },
    .names = { LLAMA_LAYER, ROLES({ "post_attention_norm", ".post_attention_layernorm" },
                                  { "post_ffw_norm", ".post_feedforward_layernorm" }) },
};
DENSE_ROW(exaone4, exaone4, NAMES("exaone4"), NAMES("exaone4"));
