/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_olmo.c: OLMo (norms without weights, clamped queries, keys and values), OLMo 2 (norms after each half and over
 * the whole width of queries and keys) and OLMo 3 (the same with windows; GGUF keeps it under OLMo 2's name). */
#include "model/arch_rows.h"

static int olmo_config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    c->eps = 1e-5f;
    return pare_cfg_f32(j, "clip_qkv", 0, &c->clip, diag);
}

static const struct pare_dense_family olmo = {
    .gguf = "olmo",
    .traits = { .norm = PARE_NORM_LAYER, .norm_eps = 1e-5f, .bare_norm = true, .act = PARE_ACT_SILU, .rope = true, .pairs_gguf = true },
    .names = { LLAMA_LAYER, NULL },
    .config = olmo_config,
};
DENSE_ROW(olmo, olmo, NAMES("olmo"), NAMES("olmo"));

static const struct pare_dense_family olmo2 = {
    .gguf = "olmo2",
    .traits = { LLAMA_TRAITS, .norm_eps = 1e-5f, .no_pre_norm = true, .post_norm = true, .qk_norm = PARE_QKN_WIDTH,
                .rope_rule = PARE_ROPE_TWO_TABLES, .pattern = 4, .rope_base = 500000 },
    .names = { LLAMA_LAYER, ROLES({ "post_attention_norm", ".post_attention_layernorm" },
                                  { "post_ffw_norm", ".post_feedforward_layernorm" }) },
};
DENSE_ROW(olmo2, olmo2, NAMES("olmo2", "olmo3"), NAMES("olmo2"));
