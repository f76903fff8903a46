/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch_rows.h: short forms for the rows of plain decoders. */
#ifndef PARE_MODEL_ARCH_ROWS_H
#define PARE_MODEL_ARCH_ROWS_H

#include "base/json.h"
#include "base/status.h"
#include "model/dense.h"

#define NAMES(...) (const char *const[]){ __VA_ARGS__, NULL }
#define ROLES(...) (const struct pare_role_name[]){ __VA_ARGS__, { NULL, NULL } }

/* A row for pare_dense_ops. fam is a static const struct pare_dense_family. */
#define DENSE_ROW(id, fam, hf_types, gguf_names)                                                                       \
    extern const struct pare_arch pare_arch_##id;                                                                      \
    const struct pare_arch pare_arch_##id = { #id, hf_types, gguf_names, &pare_dense_ops, &fam }

/* What Llama's descendants have in common: RMS norms before each half, SiLU gate, rotary positions. */
#define LLAMA_TRAITS .norm = PARE_NORM_RMS, .act = PARE_ACT_SILU, .rope = true
#define LLAMA_LAYER  "model.layers.#"

#endif
