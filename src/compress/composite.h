/* SPDX-License-Identifier: Apache-2.0
 * src/compress/composite.h: a weight as compression makes it, in memory: rows of a base type, further parts, an input transform.
 *     W x ~ base (T x) + sum of parts (T x)
 * Methods fill one in; the rewriter declares and writes it (docs/format.md, Parts), pare_composite_bind makes a linear of it. All is in
 * bound order, the order of pare_slot_rows. A composite may be a shape only: sizes and types, no numbers; it can be counted and declared. */
#ifndef PARE_COMPRESS_COMPOSITE_H
#define PARE_COMPRESS_COMPOSITE_H

#include "kernel/entries.h"
#include "model/model.h"
#include "nn/formula.h"

/* Rows of a storage type, one after another. */
struct pare_rows {
    const struct pare_dtype *type;  /* NULL: absent */
    uint64_t rows, cols, row_bytes;
    uint8_t *data;                  /* pare_aligned, owned by the composite; NULL: a shape only */
};

struct pare_composite_part {
    enum pare_part_kind kind;       /* LOWRANK, COLUMNS, SPARSE or CONST */
    struct pare_rows a;             /* LOWRANK: A [rows][r]; COLUMNS: S [rows][k] */
    struct pare_rows b;             /* LOWRANK: B [r][cols] */
    uint32_t *index;                /* COLUMNS: [k], owned */
    struct pare_entries sparse;      /* SPARSE; at, col and val are owned (pare_aligned) */
    float    *value;                /* CONST: [rows], owned */
    bool      by_sum;               /* CONST: times the sum of the (transformed) input, else a bias */
};

#define PARE_COMPOSITE_PARTS (PARE_MAX_PARTS - 1)
struct pare_composite {
    uint64_t rows, cols;
    struct pare_rows base;
    struct pare_composite_part part[PARE_COMPOSITE_PARTS];
    uint32_t n_parts;
    struct pare_transform *input;   /* owned; NULL: the identity */
    bool borrowed;                  /* a view: free releases nothing */
    const char *input_of;           /* borrowed: name of a weight of the same unit whose transform this is too (q for k and v): linears
                                       with one transform run it once. input must be the same; NULL: the transform is written with this */
};

/* An empty one. Nothing is allocated, so it may also be zeroed memory with rows and cols. */
void pare_composite_init(struct pare_composite *c, uint64_t rows, uint64_t cols);
void pare_composite_free(struct pare_composite *c);
/* A view of c, which must outlive it: free of a view releases nothing. */
void pare_composite_view(struct pare_composite *out, const struct pare_composite *c);
/* The composite that a loaded or unloaded slot's file holds, every number copied (shape: none), in the slot's bound order.
 * input_of is the name in written files of the sibling whose transform it is, found in u (may be NULL: the transform is its own then). */
int pare_composite_of_slot(struct pare_composite *c, const struct pare_slot *s, const struct pare_unit *u, bool shape, struct pare_diag *diag);

/* Encodes w [rows][cols] (already folded and without what the parts will add) as the base. importance [cols] or NULL. Same bytes for any
 * number of threads and tier. Errors: PARE_E_USAGE for a type that cannot be written or does not suit the width, PARE_E_CORRUPT for a
 * weight that is not finite. */
int pare_composite_base(struct pare_composite *c, const struct pare_dtype *type, const float *w, const float *importance, struct pare_job *job,
                        struct pare_diag *diag);
/* The same with rows that are encoded already; takes data (pare_aligned, rows * row_bytes). On failure it stays the caller's. */
int pare_composite_take_base(struct pare_composite *c, const struct pare_dtype *type, uint8_t *data, struct pare_diag *diag);
/* Further parts, in the order in which they are added to the output. Rank 0, no columns, no entries: nothing is appended. Arguments are
 * copied or encoded. On failure the composite stays as it was. */
int pare_composite_low_rank(struct pare_composite *c, uint64_t rank, const float *a, const struct pare_dtype *type_a, const float *b,
                            const struct pare_dtype *type_b, struct pare_job *job, struct pare_diag *diag); /* a [rows][rank], b [rank][cols] */
int pare_composite_columns(struct pare_composite *c, uint64_t k, const uint32_t *index, const float *s, const struct pare_dtype *type,
                           struct pare_job *job, struct pare_diag *diag);                                   /* s [rows][k] */
/* Entries (row, col, value), in any order, each place at most once. f16: values are rounded to half precision. */
struct pare_entry { uint32_t row, col; float value; };
int pare_composite_sparse(struct pare_composite *c, const struct pare_entry *e, uint64_t n, bool f16, struct pare_diag *diag);
int pare_composite_const(struct pare_composite *c, const float *value, bool by_sum, struct pare_diag *diag);
/* Sets the transform (copied; NULL or no steps: the identity). input_of as in the struct. */
int pare_composite_input(struct pare_composite *c, const struct pare_transform *t, const char *input_of, struct pare_diag *diag);

/* The matrix that the composite stands for: w [rows][cols], w x = what the linear computes of x (but for the rounding of activations and
 * a CONST bias, which no matrix can hold). Rows [row0, row0 + n). */
int pare_composite_dense(const struct pare_composite *c, uint64_t row0, uint64_t n, float *w, struct pare_job *job, struct pare_diag *diag);
/* Bytes of all its tensors in a file, without alignment. */
uint64_t pare_composite_bytes(const struct pare_composite *c);
/* Bytes in memory when it is loaded to run (with int8 activations): what is packed, and what is used where it lies. */
uint64_t pare_composite_resident(const struct pare_composite *c);
/* Binds all parts to an empty linear, which borrows the composite: float rows, indices and the transform. */
int pare_composite_bind(const struct pare_composite *c, struct pare_linear *l, enum pare_act_mode mode, struct pare_job *job,
                        struct pare_diag *diag);

/* The same weight described for the neural room; borrows c. */
void pare_composite_formula(const struct pare_composite *c, struct pare_formula *f);

/* ---- in files ---- */

/* c with its rows in the order of written files (pare_slot_out_row). Takes c: *c is empty or a view afterwards; where the order is the
 * same, out is c itself. Not for a shape only with a sparse part, whose slots depend on the order. */
int pare_composite_out_order(struct pare_composite *out, struct pare_composite *c, const struct pare_slot *s, struct pare_diag *diag);

/* Declares the tensor of the base (pare_composite_declare_base), then, in a second call, those of the parts and the transform; adds the
 * entry of "pare.parts" to doc. pack: matrices of packable types are written as panels. A composite without parts and transform declares
 * one tensor and no entry. */
int pare_composite_declare_base(const struct pare_composite *c, struct pare_writer *w, const char *name, bool pack, struct pare_diag *diag);
int pare_composite_declare_parts(const struct pare_composite *c, struct pare_writer *w, const char *name, bool pack, struct pare_diag *diag);
int pare_composite_entry(const struct pare_composite *c, const char *name, json_t *doc, struct pare_diag *diag);
/* Tensors that declare_parts declares. */
uint32_t pare_composite_n_tensors(const struct pare_composite *c);
/* Writes the base as tensor i; the parts as tensors i, i + 1, .. (those that are not done yet). */
int pare_composite_write_base(const struct pare_composite *c, struct pare_writer *w, uint64_t i, bool pack, struct pare_job *job, struct pare_diag *diag);
int pare_composite_write_parts(const struct pare_composite *c, struct pare_writer *w, uint64_t i, bool pack, struct pare_job *job, struct pare_diag *diag);

#endif
