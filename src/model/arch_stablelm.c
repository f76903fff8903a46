/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_stablelm.c: StableLM (layer norms with Llama's MLP, partial rotation) and Nemotron (norm weights kept minus
 * one, squared ReLU). */
#include "model/arch_rows.h"

/* Norms of single heads (StableLM 2 12B) lie in one tensor a head in Hugging Face's folders, which one slot cannot read. */
static int stablelm_config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    bool parallel, heads;

    PARE_FORWARD(pare_json_bool(j, "use_parallel_residual", false, &parallel, diag));
    PARE_FORWARD(pare_json_bool(j, "qk_layernorm", false, &heads, diag));
    PARE_FAIL_IF(diag, heads, PARE_E_UNSUPPORTED, "StableLM with qk_layernorm is read from GGUF files only");
    if (parallel) c->t.block = PARE_BLOCK_PARALLEL;
    return PARE_OK;
}

static int stablelm_gguf(struct pare_dense_cfg *c, const struct pare_checkpoint *k, struct pare_diag *diag)
{
    (void)diag;
    if (pare_checkpoint_tensor(k, "blk.0.ffn_norm.weight") == NULL) c->t.block = PARE_BLOCK_PARALLEL;
    if (pare_checkpoint_tensor(k, "blk.0.attn_q_norm.weight") != NULL) {
        c->t.qk_norm = PARE_QKN_HEADS;
        c->t.qk_layernorm = true;
    }
    return PARE_OK;
}

static int stablelm_emit(const struct pare_dense_cfg *c, struct pare_writer *w, struct pare_diag *diag)
{
    return pare_writer_kv_bool(w, "stablelm.use_parallel_residual", c->t.block == PARE_BLOCK_PARALLEL, diag);
}

static const struct pare_dense_family stablelm = {
    .gguf = "stablelm",
    .traits = { .norm = PARE_NORM_LAYER, .norm_eps = 1e-5f, .act = PARE_ACT_SILU, .rope = true, .rotary_part = 0.25 },
    .names = { LLAMA_LAYER, NULL },
    .config = stablelm_config,
    .config_gguf = stablelm_gguf,
    .emit = stablelm_emit,
};
DENSE_ROW(stablelm, stablelm, NAMES("stablelm", "stablelm_epoch"), NAMES("stablelm"));

static const struct pare_dense_family nemotron = {
    .gguf = "nemotron",
    .traits = { .norm = PARE_NORM_LAYER, .norm_eps = 1e-5f, .norm_add = 1, .act = PARE_ACT_RELU2, .plain_mlp = true, .rope = true,
                .rotary_part = 0.5 },
    .names = { LLAMA_LAYER, NULL },
};
DENSE_ROW(nemotron, nemotron, NAMES("nemotron"), NAMES("nemotron"));
