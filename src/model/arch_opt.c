/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_opt.c: OPT. Positions count from 2; the 350M model norms after each half and embeds in a narrower width. GGUF
 * does not know the family: written files carry the config. */
#include "model/arch_rows.h"

static int config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    bool before, affine, removed;

    PARE_FORWARD(pare_cfg_u32(j, "word_embed_proj_dim", 1u << 20, c->n_embd, &c->n_embd_in, diag));
    PARE_FORWARD(pare_json_bool(j, "do_layer_norm_before", true, &before, diag));
    PARE_FORWARD(pare_json_bool(j, "layer_norm_elementwise_affine", true, &affine, diag));
    PARE_FORWARD(pare_json_bool(j, "_remove_final_layer_norm", false, &removed, diag));
    PARE_FAIL_IF(diag, !affine || (before && removed), PARE_E_UNSUPPORTED, "OPT without norm weights or without its last norm");
    if (!before) c->t.block = PARE_BLOCK_AFTER;
    return PARE_OK;
}

static const struct pare_dense_family opt = {
    .traits = { .norm = PARE_NORM_LAYER, .norm_eps = 1e-5f, .act = PARE_ACT_RELU, .plain_mlp = true, .positions = true, .pos_offset = 2 },
    .names = { "model.decoder.layers.#",
               ROLES({ "token_embd", "model.decoder.embed_tokens" }, { "position_embd", "model.decoder.embed_positions" },
                     { "embd_in", "model.decoder.project_in" }, { "embd_out", "model.decoder.project_out" },
                     { "output_norm", "model.decoder.final_layer_norm" }, { "attn_norm", ".self_attn_layer_norm" },
                     { "attn_output", ".self_attn.out_proj" }, { "ffn_norm", ".final_layer_norm" }, { "ffn_up", ".fc1" },
                     { "ffn_down", ".fc2" },
                     /* the first published folders have no "model." and say decoder alone */
                     { "token_embd", "decoder.embed_tokens" }, { "position_embd", "decoder.embed_positions" }) },
    .config = config,
};
DENSE_ROW(opt, opt, NAMES("opt"), NULL);
