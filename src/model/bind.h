/* SPDX-License-Identifier: Apache-2.0
 * src/model/bind.h: names become slots, once. A family says role, shape and place; the binder finds the tensor in the
 * checkpoint (by Hugging Face's or GGUF's name), checks the shape and appends the slot to the unit. Errors are sticky, so a
 * family binds a whole unit and looks once. */
#ifndef PARE_MODEL_BIND_H
#define PARE_MODEL_BIND_H

#include "model/arch.h"

/* Role -> Hugging Face's name. Names of tables searched first override the ones behind. A leading '.' stands for the layer
 * prefix of the family. */
struct pare_role_name { const char *role, *hf; };

struct pare_names {
    const char                  *layer;    /* "model.layers.#": '#' is the layer's number */
    const struct pare_role_name *own;      /* of the family, ends with a NULL role; may be NULL */
};

struct pare_binder {
    struct pare_model       *m;
    struct pare_unit        *u;
    const struct pare_names *names;
    bool                     from_gguf;  /* the checkpoint uses GGUF's names */
    bool                     to_gguf;    /* written files use GGUF's names, else Hugging Face's */
    struct pare_diag        *diag;
    int                      rc;
    uint32_t                 cap;
};

/* What to bind. Zero means plain. */
struct pare_want {
    const char *role;
    uint64_t    rows, cols;      /* of the matrix as bound; vectors: rows 0, cols the length */
    struct pare_linear *lin;     /* matrix to multiply; a bias of the same role is bound too where the file has one */
    float     **vec;             /* vector: its place */
    bool        optional;        /* absent is no error (a vector's place stays NULL) */
    bool        no_bias;
    bool        need_bias;
    bool        table;           /* is_embedding */
    bool        tied;
    const struct pare_row_seg *seg; /* SLICE out of a matrix with file_rows rows */
    uint32_t    n_segs;
    uint64_t    file_rows;
    bool        transposed;
    uint32_t    permute_heads;   /* != 0: written rows of this many heads are permuted */
    float       out_add;
    uint32_t    vec_rows;        /* a vector that files keep as [vec_rows, cols / vec_rows] */
    const char *suffix;          /* instead of ".weight" */
};

/* Starts unit u: kind and number. */
void pare_bind_unit(struct pare_binder *b, uint32_t u, enum pare_unit_kind kind, uint32_t index);
/* Appends a slot. @return true when the tensor exists and suits. */
bool pare_bind(struct pare_binder *b, const struct pare_want *w);
/* Appends a vector that comes from the config: given [n] must live as long as the model. */
void pare_bind_given(struct pare_binder *b, const char *role, const float *given, uint64_t n);
/* True when the checkpoint has the weight of a role (in the current unit). */
bool pare_bind_has(struct pare_binder *b, const char *role, const char *suffix);

#endif
