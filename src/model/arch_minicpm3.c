/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_minicpm3.c: MiniCPM 3: latent attention, and depth, width and embedding scaled as in its paper
 * (arXiv 2404.06395). GGUF has no keys for the three scales; we write them and take the published model's when absent. */
#include <math.h>

#include "model/arch_rows.h"

static int config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    uint32_t base;
    float    depth;

    PARE_FORWARD(pare_cfg_u32(j, "q_lora_rank", 1u << 20, 0, &c->q_rank, diag));
    PARE_FORWARD(pare_cfg_u32(j, "kv_lora_rank", 1u << 20, 0, &c->kv_rank, diag));
    PARE_FORWARD(pare_cfg_u32(j, "qk_nope_head_dim", 1u << 16, 0, &c->dk_nope, diag));
    PARE_FORWARD(pare_cfg_u32(j, "qk_rope_head_dim", 1u << 16, 0, &c->dk_rope, diag));
    PARE_FORWARD(pare_cfg_u32(j, "v_head_dim", 1u << 16, c->n_embd / c->n_head, &c->dv, diag));
    PARE_FORWARD(pare_cfg_f32(j, "scale_emb", 1, &c->embd_scale, diag));
    PARE_FORWARD(pare_cfg_f32(j, "scale_depth", 1, &depth, diag));
    PARE_FORWARD(pare_cfg_u32(j, "dim_model_base", 1u << 20, c->n_embd, &base, diag));
    PARE_FAIL_IF(diag, c->kv_rank == 0 || c->dk_rope == 0 || base == 0, PARE_E_CORRUPT, "config lacks the ranks of latent attention");
    c->n_head_kv = c->n_head;
    c->dk = c->dk_nope + c->dk_rope;
    c->residual_scale = (float)((double)depth / sqrt((double)c->n_layers));
    c->logit_scale = (float)base / (float)c->n_embd;
    c->scale = (float)(1.0 / sqrt((double)c->dk));
    for (uint32_t i = 0; i < c->n_layers; i++) c->layer[i].scale = c->scale;
    return PARE_OK;
}

static int config_gguf(struct pare_dense_cfg *c, const struct pare_checkpoint *k, struct pare_diag *diag)
{
    (void)diag;
    c->n_head_kv = c->n_head;
    if (pare_kv_find(k, "minicpm3.embedding_scale") == NULL) c->embd_scale = 12;
    if (pare_kv_find(k, "minicpm3.residual_scale") == NULL) c->residual_scale = (float)(1.4 / sqrt((double)c->n_layers));
    if (pare_kv_find(k, "minicpm3.logit_scale") == NULL) c->logit_scale = 256.0f / (float)c->n_embd;
    return PARE_OK;
}

static int emit(const struct pare_dense_cfg *c, struct pare_writer *w, struct pare_diag *diag)
{
    PARE_FORWARD(pare_writer_kv_f32(w, "minicpm3.embedding_scale", c->embd_scale, diag));
    PARE_FORWARD(pare_writer_kv_f32(w, "minicpm3.residual_scale", c->residual_scale, diag));
    return pare_writer_kv_f32(w, "minicpm3.logit_scale", c->logit_scale, diag);
}

static const struct pare_dense_family minicpm3 = {
    .gguf = "minicpm3",
    .traits = { LLAMA_TRAITS, .norm_eps = 1e-5f, .mla = true },
    .names = { LLAMA_LAYER, NULL },
    .config = config,
    .config_gguf = config_gguf,
    .emit = emit,
};
DENSE_ROW(minicpm3, minicpm3, NAMES("minicpm3"), NAMES("minicpm3"));
