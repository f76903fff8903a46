/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_phi.c: Phi 1, 1.5 and 2 (parallel block, partial rotation) and Phi 3 (fused matrices, long rotary scaling). */
#include "model/arch_rows.h"

static int phi_config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    (void)diag;
    if (!json_is_true(json_object_get(j, "qk_layernorm"))) return PARE_OK;
    c->t.qk_norm = PARE_QKN_HEAD;
    c->t.qk_layernorm = true;
    return PARE_OK;
}

static bool phi_fits(const struct pare_dense_cfg *c) { return c->t.qk_norm == PARE_QKN_NONE; }

static const struct pare_dense_family phi = {
    .gguf = "phi2",
    .traits = { .norm = PARE_NORM_LAYER, .norm_eps = 1e-5f, .block = PARE_BLOCK_PARALLEL, .act = PARE_ACT_GELU_TANH, .plain_mlp = true,
                .rope = true, .rotary_part = 0.5, .need_qkv_bias = true },
    .names = { LLAMA_LAYER,
               ROLES({ "output_norm", "model.final_layernorm" }, { "attn_output", ".self_attn.dense" },
                     { "attn_q_norm", ".self_attn.q_layernorm" }, { "attn_k_norm", ".self_attn.k_layernorm" },
                     { "ffn_up", ".mlp.fc1" }, { "ffn_down", ".mlp.fc2" }) },
    .config = phi_config,
    .fits_gguf = phi_fits,
};
DENSE_ROW(phi, phi, NAMES("phi"), NAMES("phi2"));

static const struct pare_dense_family phi3 = {
    .gguf = "phi3",
    .traits = { LLAMA_TRAITS, .norm_eps = 1e-5f, .fusion = PARE_QKV_CONCAT, .fused_gate_up = true },
    .names = { LLAMA_LAYER, ROLES({ "attn_qkv", ".self_attn.qkv_proj" }, { "ffn_up", ".mlp.gate_up_proj" }) },
};
DENSE_ROW(phi3, phi3, NAMES("phi3"), NAMES("phi3"));
