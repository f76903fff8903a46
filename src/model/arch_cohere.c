/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_cohere.c: Command R (one norm for both halves of a parallel block, pairs side by side, scaled logits) and
 * Command R7B (windows with rotation, whole layers without). */
#include "model/arch_rows.h"

#define COHERE_TRAITS                                                                                                  \
    .norm = PARE_NORM_LAYER, .norm_eps = 1e-5f, .block = PARE_BLOCK_PARALLEL, .act = PARE_ACT_SILU, .rope = true,      \
    .pairs_hf = true, .pairs_gguf = true

static int config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    if (json_is_true(json_object_get(j, "use_qk_norm"))) {
        c->t.qk_norm = PARE_QKN_HEADS;
        c->t.qk_layernorm = true;
    }
    return pare_cfg_f32(j, "logit_scale", 0.0625, &c->logit_scale, diag);
}

static int config_gguf(struct pare_dense_cfg *c, const struct pare_checkpoint *k, struct pare_diag *diag)
{
    (void)diag;
    if (pare_checkpoint_tensor(k, "blk.0.attn_q_norm.weight") == NULL) return PARE_OK;
    c->t.qk_norm = PARE_QKN_HEADS;
    c->t.qk_layernorm = true;
    return PARE_OK;
}

static int cohere_emit(const struct pare_dense_cfg *c, struct pare_writer *w, struct pare_diag *diag)
{
    return pare_writer_kv_f32(w, "command-r.logit_scale", c->logit_scale, diag);
}

static const struct pare_dense_family cohere = {
    .gguf = "command-r",
    .traits = { COHERE_TRAITS },
    .names = { LLAMA_LAYER, NULL },
    .config = config,
    .config_gguf = config_gguf,
    .emit = cohere_emit,
};
DENSE_ROW(cohere, cohere, NAMES("cohere"), NAMES("command-r"));

static int cohere2_emit(const struct pare_dense_cfg *c, struct pare_writer *w, struct pare_diag *diag)
{
    return pare_writer_kv_f32(w, "cohere2.logit_scale", c->logit_scale, diag);
}

static const struct pare_dense_family cohere2 = {
    .gguf = "cohere2",
    .traits = { COHERE_TRAITS, .rope_rule = PARE_ROPE_WINDOWED, .pattern = 4 },
    .names = { LLAMA_LAYER, NULL },
    .config = config,
    .emit = cohere2_emit,
};
DENSE_ROW(cohere2, cohere2, NAMES("cohere2"), NAMES("cohere2"));
