/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_gpt.c: the GPT line: GPT-2, GPT-J, GPT-NeoX, and StarCoder 2, which took its MLP. */
#include <math.h>

#include "model/arch_rows.h"

#define GPT_TRAITS .norm = PARE_NORM_LAYER, .norm_eps = 1e-5f, .plain_mlp = true

static int gpt2_config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    bool by_layer, scaled;

    PARE_FORWARD(pare_json_bool(j, "scale_attn_weights", true, &scaled, diag));
    PARE_FORWARD(pare_json_bool(j, "scale_attn_by_inverse_layer_idx", false, &by_layer, diag));
    for (uint32_t i = 0; i < c->n_layers; i++) {
        if (!scaled) c->layer[i].scale = 1;
        if (by_layer) c->layer[i].scale /= (float)(i + 1);
    }
    return PARE_OK;
}

static bool gpt2_fits(const struct pare_dense_cfg *c)
{
    return c->layer[0].scale == c->scale && c->layer[c->n_layers - 1].scale == c->scale;
}

static const struct pare_dense_family gpt2 = {
    .gguf = "gpt2",
    .traits = { GPT_TRAITS, .act = PARE_ACT_GELU_TANH, .fusion = PARE_QKV_CONCAT, .conv1d = true, .positions = true, .need_qkv_bias = true },
    .names = { "transformer.h.#",
               ROLES({ "token_embd", "transformer.wte" }, { "position_embd", "transformer.wpe" },
                     { "output_norm", "transformer.ln_f" }, { "attn_norm", ".ln_1" }, { "attn_qkv", ".attn.c_attn" },
                     { "attn_output", ".attn.c_proj" }, { "ffn_norm", ".ln_2" }, { "ffn_up", ".mlp.c_fc" },
                     { "ffn_down", ".mlp.c_proj" }) },
    .config = gpt2_config,
    .fits_gguf = gpt2_fits,
};
DENSE_ROW(gpt2, gpt2, NAMES("gpt2"), NAMES("gpt2"));

static const struct pare_dense_family gptj = {
    .gguf = "gptj",
    .traits = { GPT_TRAITS, .act = PARE_ACT_GELU_TANH, .block = PARE_BLOCK_PARALLEL, .rope = true, .pairs_hf = true, .pairs_gguf = true },
    .names = { "transformer.h.#",
               ROLES({ "token_embd", "transformer.wte" }, { "output_norm", "transformer.ln_f" }, { "attn_norm", ".ln_1" },
                     { "attn_q", ".attn.q_proj" }, { "attn_k", ".attn.k_proj" }, { "attn_v", ".attn.v_proj" },
                     { "attn_output", ".attn.out_proj" }, { "ffn_up", ".mlp.fc_in" }, { "ffn_down", ".mlp.fc_out" }) },
};
DENSE_ROW(gptj, gptj, NAMES("gptj"), NAMES("gptj"));

static int neox_config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    bool parallel;

    PARE_FORWARD(pare_json_bool(j, "use_parallel_residual", true, &parallel, diag));
    c->t.block = parallel ? PARE_BLOCK_PARALLEL : PARE_BLOCK_SEQ;
    return PARE_OK;
}

static int neox_gguf(struct pare_dense_cfg *c, const struct pare_checkpoint *k, struct pare_diag *diag)
{
    bool parallel;

    PARE_FORWARD(pare_kv_bool(k, "gptneox.use_parallel_residual", true, &parallel, diag));
    c->t.block = parallel ? PARE_BLOCK_PARALLEL : PARE_BLOCK_SEQ;
    return PARE_OK;
}

static int neox_emit(const struct pare_dense_cfg *c, struct pare_writer *w, struct pare_diag *diag)
{
    return pare_writer_kv_bool(w, "gptneox.use_parallel_residual", c->t.block == PARE_BLOCK_PARALLEL, diag);
}

static const struct pare_dense_family gpt_neox = {
    .gguf = "gptneox",
    .traits = { GPT_TRAITS, .act = PARE_ACT_GELU, .block = PARE_BLOCK_PARALLEL, .fusion = PARE_QKV_BY_GROUP, .rope = true,
                .rotary_part = 0.25 },
    .names = { "gpt_neox.layers.#",
               ROLES({ "token_embd", "gpt_neox.embed_in" }, { "output_norm", "gpt_neox.final_layer_norm" }, { "output", "embed_out" },
                     { "attn_qkv", ".attention.query_key_value" }, { "attn_output", ".attention.dense" },
                     { "ffn_up", ".mlp.dense_h_to_4h" }, { "ffn_down", ".mlp.dense_4h_to_h" }) },
    .config = neox_config,
    .config_gguf = neox_gguf,
    .emit = neox_emit,
};
DENSE_ROW(gpt_neox, gpt_neox, NAMES("gpt_neox"), NAMES("gptneox"));

static const struct pare_dense_family starcoder2 = {
    .gguf = "starcoder2",
    .traits = { GPT_TRAITS, .act = PARE_ACT_GELU_TANH, .rope = true },
    .names = { LLAMA_LAYER, ROLES({ "ffn_up", ".mlp.c_fc" }, { "ffn_down", ".mlp.c_proj" }) },
};
DENSE_ROW(starcoder2, starcoder2, NAMES("starcoder2"), NAMES("starcoder2"));
