/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_falcon.c: Falcon (7B: one key-value head; 40B and 180B: groups and two norms; RW: ALiBi and biases) and BLOOM,
 * whose fused layout Falcon-RW shares. */
#include "model/arch_rows.h"

#define FALCON_TRAITS .norm = PARE_NORM_LAYER, .norm_eps = 1e-5f, .plain_mlp = true

static int falcon_config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    bool grouped, multi_query, parallel, alibi;

    PARE_FORWARD(pare_json_bool(j, "new_decoder_architecture", false, &grouped, diag));
    PARE_FORWARD(pare_json_bool(j, "multi_query", true, &multi_query, diag));
    PARE_FORWARD(pare_json_bool(j, "parallel_attn", true, &parallel, diag));
    PARE_FORWARD(pare_json_bool(j, "alibi", false, &alibi, diag));
    if (grouped)
        PARE_FORWARD(pare_cfg_u32(j, "num_kv_heads|n_head_kv", 1u << 16, c->n_head, &c->n_head_kv, diag));
    else
        c->n_head_kv = multi_query ? 1 : c->n_head;
    c->t.fusion = !grouped && multi_query ? PARE_QKV_CONCAT : PARE_QKV_BY_GROUP;
    c->t.block = grouped || parallel ? PARE_BLOCK_PARALLEL : PARE_BLOCK_SEQ;
    c->t.alibi = c->t.alibi_bf16 = alibi;
    if (alibi) c->t.rope = false;
    pare_dense_rope_rule(c);
    return PARE_OK;
}

static bool falcon_fits(const struct pare_dense_cfg *c) { return c->t.rope && c->t.block == PARE_BLOCK_PARALLEL; }

static const struct pare_dense_family falcon = {
    .gguf = "falcon",
    .traits = { FALCON_TRAITS, .act = PARE_ACT_GELU, .block = PARE_BLOCK_PARALLEL, .fusion = PARE_QKV_CONCAT, .rope = true },
    .names = { "transformer.h.#",
               ROLES({ "token_embd", "transformer.word_embeddings" }, { "output_norm", "transformer.ln_f" },
                     { "attn_norm", ".input_layernorm" }, { "attn_norm", ".ln_mlp" }, { "attn_norm_2", ".ln_attn" },
                     { "attn_qkv", ".self_attention.query_key_value" }, { "attn_output", ".self_attention.dense" },
                     { "ffn_up", ".mlp.dense_h_to_4h" }, { "ffn_down", ".mlp.dense_4h_to_h" }) },
    .config = falcon_config,
    .fits_gguf = falcon_fits,
};
DENSE_ROW(falcon, falcon, NAMES("falcon"), NAMES("falcon"));

static int bloom_config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    (void)c;
    PARE_FAIL_IF(diag, json_is_true(json_object_get(j, "apply_residual_connection_post_layernorm")), PARE_E_UNSUPPORTED,
                 "BLOOM with apply_residual_connection_post_layernorm");
    return PARE_OK;
}

static const struct pare_dense_family bloom = {
    .gguf = "bloom",
    .traits = { FALCON_TRAITS, .act = PARE_ACT_GELU_TANH, .fusion = PARE_QKV_BY_GROUP, .alibi = true, .embd_norm = true },
    .names = { "transformer.h.#",
               ROLES({ "token_embd", "transformer.word_embeddings" }, { "token_embd_norm", "transformer.word_embeddings_layernorm" },
                     { "output_norm", "transformer.ln_f" }, { "attn_qkv", ".self_attention.query_key_value" },
                     { "attn_output", ".self_attention.dense" }, { "ffn_up", ".mlp.dense_h_to_4h" },
                     { "ffn_down", ".mlp.dense_4h_to_h" }) },
    .config = bloom_config,
};
DENSE_ROW(bloom, bloom, NAMES("bloom"), NAMES("bloom"));
