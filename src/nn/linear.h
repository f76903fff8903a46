/* SPDX-License-Identifier: Apache-2.0
 * src/nn/linear.h: the composite linear. A weight is a sum of parts behind an optional exact input transform; one entry
 * point: y[n, rows] = sum of parts(transform(x[n, cols])) + bias. One kernel per part and batch class, bound at load. */
#ifndef PARE_NN_LINEAR_H
#define PARE_NN_LINEAR_H

#include "base/job.h"
#include "base/mem.h"
#include "format/checkpoint.h"
#include "kernel/gemmq.h"
#include "kernel/entries.h"
#include "kernel/vec.h"

/* Kinds of parts. A new kind is one value here, one case in linear_part.c and a function that appends it. */
enum pare_part_kind {
    PARE_PART_FLOAT,   /* f32, f16 or bf16 rows, used in place (mapped or owned), multiplied in f32 */
    PARE_PART_PACKED,  /* panels, multiplied with int8 activations */
    PARE_PART_DECODED, /* quantized rows in place, decoded to f32 row by row: the reference path (--activations f32) */
    PARE_PART_LOWRANK, /* A (B x): two matrices, each of one of the kinds above */
    PARE_PART_COLUMNS, /* S x[index]: a matrix of some columns, of one of the kinds above */
    PARE_PART_SPARSE,  /* single entries in panels (kernel/entries.h) */
    PARE_PART_CONST    /* one number an output: a bias, or times the sum of the input */
};

/* One part. FLOAT, PACKED and DECODED are a matrix [rows][cols]; LOWRANK and COLUMNS have a matrix too, of fewer columns, which lies in one
 * of these three ways. */
struct pare_part {
    enum pare_part_kind kind;
    enum pare_part_kind store;  /* FLOAT, PACKED or DECODED: how the matrix lies; the kind itself where that is one of them */
    const struct pare_dtype *type;
    uint64_t cols;              /* of the matrix: the linear's, LOWRANK: the rank, COLUMNS: how many */
    const uint8_t *rows;        /* FLOAT, DECODED: first row */
    uint64_t row_stride;        /* bytes */
    struct pare_packed packed;  /* PACKED; its data is owned too, or somebody else's */
    void    *owned;             /* memory of the matrix to release with pare_aligned_free, or NULL */
    struct pare_part *inner;    /* LOWRANK: B, a matrix [rank][cols of the linear]; owned */
    const uint32_t *index;      /* COLUMNS: [cols]; borrowed */
    struct pare_entries sparse;  /* SPARSE; borrowed */
    const float *value;         /* CONST: [rows]; borrowed */
    bool     by_sum;            /* CONST: times the 16-lane sum of the input row */
};

/* What is done to the input rows before the parts see them: a transform that no neighbour could take in (rotation, permutation, scale).
 * run writes dst [n][cols] from x and has its own threads to use (job->team). It allocates nothing. The same bits for any tier, batch
 * and number of threads. */
struct pare_input {
    void (*run)(const struct pare_input *in, float *dst, uint64_t ld_dst, const float *x, uint64_t ldx, uint32_t n, struct pare_job *job);
    uint64_t    cols;
    const void *ctx;
};

#define PARE_MAX_PARTS 8
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

/* A matrix that lies in memory which outlives the linear, as rows or as panels (packed.data, PARE_ALIGN-aligned; rows NULL). */
struct pare_matrix {
    const struct pare_dtype *type;
    uint64_t n_rows, n_cols;
    const uint8_t *rows;
    uint64_t row_stride;
    struct pare_packed packed;
};
/* Shape of a linear that has no part yet: needed before pare_linear_columns, _sparse and _const, whose arguments do not tell it. */
int pare_linear_begin(struct pare_linear *l, uint64_t n_rows, uint64_t n_cols, struct pare_diag *diag);
/* Further parts. A matrix is bound as pare_linear_bind does it; a quantized one is packed for itself, so either factor may be of any type.
 * Rank 0, no columns or no slots append nothing, and the linear stays what it was, bit for bit. Rank and columns are at most the linear's
 * columns. Numbers from outside are checked: PARE_E_CORRUPT for a column above the matrix, values that are not finite in CONST.
 * Borrowed memory must outlive the linear. On failure the linear stays as it was. */
int pare_linear_low_rank(struct pare_linear *l, const struct pare_matrix *a, const struct pare_matrix *b, enum pare_act_mode mode,
                         struct pare_job *job, struct pare_diag *diag); /* a [rows][rank], b [rank][cols] */
int pare_linear_columns(struct pare_linear *l, const struct pare_matrix *s, const uint32_t *index, enum pare_act_mode mode,
                        struct pare_job *job, struct pare_diag *diag);  /* s [rows][k], index [k] */
int pare_linear_sparse(struct pare_linear *l, const struct pare_entries *s, struct pare_diag *diag);
int pare_linear_const(struct pare_linear *l, const float *value, bool by_sum, struct pare_diag *diag);
/* Forecast of the memory that bind allocates. */
uint64_t pare_linear_bytes(const struct pare_dtype *type, uint64_t n_rows, uint64_t n_cols, enum pare_act_mode mode);
/* Bytes of weights that one application reads: all parts, with what belongs to them. */
uint64_t pare_linear_read_bytes(const struct pare_linear *l);
void pare_linear_free(struct pare_linear *l);

/* Scratch bytes that apply needs for n input rows of the widest linear. input: some linear has an input transform. */
uint64_t pare_linear_scratch(uint32_t n, uint64_t max_cols, uint32_t n_threads, bool input);
/* What it needs besides for parts with an input of their own: width is the rank, the columns, 1 for CONST by_sum; packed: the matrix that
 * is multiplied with it is quantized. It adds up over the parts of all linears of one call. */
uint64_t pare_inner_scratch(uint32_t n, uint64_t width, bool packed);
/* The same sum over the parts of a bound linear. */
uint64_t pare_linear_inner_scratch(const struct pare_linear *l, uint32_t n);

/* y_i[n, ldy_i] = l_i(x[n, ldx]) for several linears that share their input (q, k, v; gate, up): the activations are quantized
 * once, all rows of all linears form one parallel region. */
struct pare_linear_out { const struct pare_linear *l; float *y; uint64_t ldy; };
void pare_linear_apply(const struct pare_linear_out *out, uint32_t n_out, const float *x, uint64_t ldx, uint32_t n,
                       void *scratch, struct pare_job *job);

#endif
