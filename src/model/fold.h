/* SPDX-License-Identifier: Apache-2.0
 * src/model/fold.h: exact rewrites of weights on reading. A slot with a fold gives rows that were scaled, gathered (permuted), rotated or
 * set; everything that reads slots (loading, observing, encoding, writing) sees the rewritten model and knows nothing of it. What makes
 * a rewrite of a whole model exact, its inverse in a neighbour, is the business of compress/fold_verbs.h.
 *
 * Operations of one axis are applied in the order in which they were added, in f64, and rounded to f32 once; identities change no bit. */
#ifndef PARE_MODEL_FOLD_H
#define PARE_MODEL_FOLD_H

#include "model/model.h"
#include "model/rotation.h"

enum pare_fold_verb {
    PARE_FOLD_SCALE,   /* element i times value[i]; of a vector: (w + around) value[i] - around */
    PARE_FOLD_GATHER,  /* element i is what was element from + index[i]: a permutation, or channels doubled in place of others */
    PARE_FOLD_ROTATE,  /* blocks of rot->n elements times rot, each block by the same */
    PARE_FOLD_SET,     /* vectors only: element i is value[i] */
    PARE_FOLD_ADD      /* vectors only: element i plus value[i] */
};

/* Concerns elements [from, from + n) of an axis: columns (in), or rows, which of a vector are its elements (out). */
struct pare_fold_op {
    enum pare_fold_verb verb;
    uint64_t            from, n;
    const double       *value;    /* [n] */
    double              around;
    const uint32_t     *index;    /* [n] */
    const struct pare_rotation *rot;
};

struct pare_folds;
struct pare_fold {
    struct pare_folds   *owner;
    struct pare_fold_op *in, *out;
    uint32_t             n_in, n_out;
    bool                 mixes;   /* a row is made of several: the whole matrix is made at once and kept until another one is asked for.
                                     Such a slot is read by one thread at a time */
};

/* The folds of one model. */
int  pare_folds_create(struct pare_folds **out, struct pare_model *m, struct pare_diag *diag);
/* Takes the folds off their slots and frees them. Units that are loaded keep the rewritten weights until they are loaded again. */
void pare_folds_destroy(struct pare_folds **f);
struct pare_model *pare_folds_model(const struct pare_folds *f);
/* Bytes that reading may hold beside the caller's: the largest matrix whose rows are mixed. */
uint64_t pare_folds_bytes(const struct pare_folds *f);

/* Appends an operation to a slot's columns (in) or rows (out); what op points to is copied. SET and ADD: vectors only, out.
 * @return PARE_E_USAGE when the range, an index or the rotation's width does not fit; then nothing has changed. */
int  pare_fold_in(struct pare_folds *f, struct pare_slot *s, const struct pare_fold_op *op, struct pare_diag *diag);
int  pare_fold_out(struct pare_folds *f, struct pare_slot *s, const struct pare_fold_op *op, struct pare_diag *diag);

/* Undoing: the number of operations of all slots now, and back to such a state. */
struct pare_fold_mark { uint32_t n; };
struct pare_fold_mark pare_folds_mark(const struct pare_folds *f);
void pare_folds_back(struct pare_folds *f, struct pare_fold_mark m);

/* A head that shares its matrix with the table gets a matrix of its own, "output.weight" in written files: after it the two may be
 * folded apart. The file grows by the head. Before targets are collected. PARE_E_UNSUPPORTED where written files could not say so. */
int  pare_model_untie(struct pare_model *m, struct pare_diag *diag);

/* Rows of a slot with a fold; called by pare_slot_rows. */
int  pare_fold_rows(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag);
/* Rows as they are without the fold. */
int  pare_slot_plain_rows(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag);

#endif
