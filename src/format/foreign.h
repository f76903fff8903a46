/* SPDX-License-Identifier: Apache-2.0
 * src/format/foreign.h: weights that another tool has packed into several tensors: GPTQ, AWQ, compressed-tensors, the int8 of
 * llama2.c. They are found and checked once, when the checkpoint is opened, and then read as rows of f32. */
#ifndef PARE_FORMAT_FOREIGN_H
#define PARE_FORMAT_FOREIGN_H

#include "format/checkpoint.h"

/* Also the values of pare_tensor.part. */
enum pare_foreign_kind {
    PARE_FOREIGN_NONE,
    PARE_FOREIGN_GPTQ,       /* qweight packed along the input, qzeros along the output, scales, g_idx */
    PARE_FOREIGN_AWQ,        /* qweight and qzeros packed along the output, in the order 0 2 4 6 1 3 5 7 */
    PARE_FOREIGN_CT_PACKED,  /* compressed-tensors "pack-quantized": weight_packed along the input */
    PARE_FOREIGN_CT_INT8,    /* compressed-tensors "int-quantized": weight i8, weight_scale */
    PARE_FOREIGN_INT8_FLAT,  /* llama2.c version 2: i8, scales of groups counted over the whole matrix */
    PARE_FOREIGN_PIECE       /* scales, zeros, indices that belong to one of the above */
};

/* One packed weight, (rows, cols) = (outputs, inputs). The tensors belong to the checkpoint. */
struct pare_foreign {
    enum pare_foreign_kind    kind;
    const char               *name;       /* of the weight, in the checkpoint's pool */
    const struct pare_tensor *q, *scales; /* never NULL */
    const struct pare_tensor *zeros;      /* NULL: symmetric */
    const struct pare_tensor *g_idx;      /* NULL: input i belongs to group i / group */
    uint64_t                  rows, cols;
    uint64_t                  groups, group; /* groups along the input; inputs in one */
    uint32_t                  bits;
    uint32_t                  zero_plus;  /* GPTQ version 1 stores zero - 1: 1, else 0 */
    uint64_t                  scale_rows; /* 1: one row of scales serves all outputs, else rows */
};

/* Finds the packed weights of an opened checkpoint and checks that their tensors agree with each other. */
int pare_foreign_scan(struct pare_checkpoint *c, struct pare_diag *diag);

/* Decodes rows [row0, row0 + n) into dst[n * cols]: (q - zero) * scale in f32. foreign_decode.c */
int pare_foreign_rows(const struct pare_foreign *f, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag);

/* Value i of a tensor of scales: f32, f16 or bf16 (checked by the scan). */
float pare_foreign_scale(const struct pare_tensor *t, uint64_t i);

#endif
