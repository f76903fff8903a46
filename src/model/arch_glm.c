/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_glm.c: GLM 4 in both published forms: "glm" norms before each half, "glm4" before and after. */
#include "model/arch_rows.h"

#define GLM_TRAITS                                                                                                     \
    LLAMA_TRAITS, .norm_eps = 1.5625e-7f, .fused_gate_up = true, .pairs_hf = true, .pairs_gguf = true,                 \
    .rotary_part = 0.5, .head_dim = 128

static const struct pare_dense_family glm = {
    .gguf = "chatglm",
    .traits = { GLM_TRAITS },
    .names = { LLAMA_LAYER, ROLES({ "ffn_up", ".mlp.gate_up_proj" }) },
};
DENSE_ROW(glm, glm, NAMES("glm"), NAMES("chatglm"));

static const struct pare_dense_family glm4 = {
    .gguf = "glm4",
    .traits = { GLM_TRAITS, .post_norm = true },
    .names = { LLAMA_LAYER, ROLES({ "ffn_up", ".mlp.gate_up_proj" }, { "post_attention_norm", ".post_self_attn_layernorm" },
                                  { "post_ffw_norm", ".post_mlp_layernorm" }) },
};
DENSE_ROW(glm4, glm4, NAMES("glm4"), NAMES("glm4"));
