/* SPDX-License-Identifier: Apache-2.0
 * src/nn/linear.h: the composite linear. A weight is a sum of parts behind an optional exact input transform; one entry
 * point: y[n, rows] = sum of parts(transform(x[n, cols])) + bias. One kernel per part and batch class, bound at load. */
#ifndef PARE_NN_LINEAR_H
#define PARE_NN_LINEAR_H

#include "base/job.h"
#include "base/mem.h"
#include "format/checkpoint.h"
#include "kernel/gemmq.h"
#include "kernel/vec.h"

/* Kinds of parts. A new kind is one value here and one row in linear_parts[] of linear.c. */
enum pare_part_kind {
    PARE_PART_FLOAT,   /* f32, f16 or bf16 rows, used in place (mapped or owned), multiplied in f32 */
    PARE_PART_PACKED,  /* panels, multiplied with int8 activations */
    PARE_PART_DECODED  /* quantized rows in place, decoded to f32 row by row: the reference path (--activations f32) */
};

struct pare_part {
    enum pare_part_kind kind;
    const struct pare_dtype *type;
    const uint8_t *rows;        /* FLOAT, DECODED: first row */
    uint64_t row_stride;        /* bytes */
    struct pare_packed packed;  /* PACKED; its data is owned too, or somebody else's */
    void    *owned;             /* memory to release with pare_aligned_free, or NULL */
};

/* What is done to the input rows before the parts see them: a transform that no neighbour could take in (rotation, permutation, scale).
 * run writes dst [n][cols] from x and has its own threads to use (job->team). It allocates nothing. The same bits for any tier, batch
 * and number of threads. */
struct pare_input {
    void (*run)(const struct pare_input *in, float *dst, uint64_t ld_dst, const float *x, uint64_t ldx, uint32_t n, struct pare_job *job);
    uint64_t    cols;
    const void *ctx;
};

#define PARE_MAX_PARTS 4
struct pare_linear {
    uint64_t rows, cols;                 /* outputs, inputs */
    const struct pare_input *input;      /* NULL: the rows as they come. Linears with the same pointer share one run of it */
    uint32_t n_parts;
    struct pare_part part[PARE_MAX_PARTS];
    float   *bias;                       /* [rows] or NULL; owned by the linear when bias_owned */
    bool     bias_owned;
};

enum pare_act_mode { PARE_ACT_INT8 = 0, PARE_ACT_F32 = 1 };

/* Binds rows that lie in memory (rows * row_stride bytes that outlive the linear): float types in place; quantized types are
 * packed (mode INT8, with all threads of the team) or kept to be decoded (mode F32). Appends a part. */
int pare_linear_bind(struct pare_linear *l, const struct pare_dtype *type, const uint8_t *rows, uint64_t row_stride,
                     uint64_t n_rows, uint64_t n_cols, enum pare_act_mode mode, struct pare_job *job, struct pare_diag *diag);
/* Appends panels that were packed elsewhere; take->data (pare_aligned) then belongs to the linear and becomes NULL. */
int pare_linear_append_packed(struct pare_linear *l, struct pare_packed *take, struct pare_diag *diag);
/* Appends panels that lie in memory which outlives the linear, a mapped file say; PARE_ALIGN-aligned, else PARE_E_USAGE. */
int pare_linear_append_mapped(struct pare_linear *l, const struct pare_packed *panels, struct pare_diag *diag);
/* Forecast of the memory that bind allocates. */
uint64_t pare_linear_bytes(const struct pare_dtype *type, uint64_t n_rows, uint64_t n_cols, enum pare_act_mode mode);
void pare_linear_free(struct pare_linear *l);

/* Scratch bytes that apply needs for n input rows of the widest linear. input: some linear has an input transform. */
uint64_t pare_linear_scratch(uint32_t n, uint64_t max_cols, uint32_t n_threads, bool input);

/* y_i[n, ldy_i] = l_i(x[n, ldx]) for several linears that share their input (q, k, v; gate, up): the activations are quantized
 * once, all rows of all linears form one parallel region. */
struct pare_linear_out { const struct pare_linear *l; float *y; uint64_t ldy; };
void pare_linear_apply(const struct pare_linear_out *out, uint32_t n_out, const float *x, uint64_t ldx, uint32_t n,
                       void *scratch, struct pare_job *job);

#endif
