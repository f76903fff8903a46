/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_qwen.c: Qwen 2 (biases on queries, keys and values) and Qwen 3 (norms on the heads of queries and keys). */
#include "model/arch_rows.h"

/* Windows are off unless the config switches them on. */
static int config(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag)
{
    (void)diag;
    if (json_is_true(json_object_get(j, "use_sliding_window"))) return PARE_OK;
    c->window = 0;
    pare_dense_windows(c, 0);
    return PARE_OK;
}

static const struct pare_dense_family qwen2 = {
    .gguf = "qwen2",
    .traits = { LLAMA_TRAITS, .need_qkv_bias = true },
    .names = { LLAMA_LAYER, NULL },
    .config = config,
};
DENSE_ROW(qwen2, qwen2, NAMES("qwen2"), NAMES("qwen2"));

static const struct pare_dense_family qwen3 = {
    .gguf = "qwen3",
    .traits = { LLAMA_TRAITS, .head_dim = 128, .qk_norm = PARE_QKN_HEAD },
    .names = { LLAMA_LAYER, NULL },
    .config = config,
};
DENSE_ROW(qwen3, qwen3, NAMES("qwen3"), NAMES("qwen3"));
