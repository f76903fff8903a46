/* SPDX-License-Identifier: Apache-2.0
 * src/format/parts.h: further parts of a weight and its input transform as a file holds them (docs/format.md, Parts): the metadata key
 * "pare.parts" and ordinary tensors beside the weight. After a checkpoint is opened every tensor named here exists and has the type and
 * shape that its place wants. Numbers inside (columns, permutations) are checked where they are used. */
#ifndef PARE_FORMAT_PARTS_H
#define PARE_FORMAT_PARTS_H

#include "format/checkpoint.h"

enum pare_extra_kind { PARE_EXTRA_LOW_RANK, PARE_EXTRA_COLUMNS, PARE_EXTRA_SPARSE, PARE_EXTRA_CONST };
struct pare_extra {
    enum pare_extra_kind kind;
    const struct pare_tensor *a;     /* LOW_RANK .low_a [rows, r]; COLUMNS .cols [rows, k]; SPARSE .sparse_val [slots, 16] f16 or f32; CONST .const [rows] f32 */
    const struct pare_tensor *b;     /* LOW_RANK .low_b [r, cols]; COLUMNS .cols_idx [k] i32; SPARSE .sparse_col [slots, 16] i16 or i32 */
    const struct pare_tensor *c;     /* SPARSE .sparse_at [panels + 1] i32 */
    bool by_sum;                     /* CONST: times the sum of the input */
};

enum pare_extra_op { PARE_OP_SCALE, PARE_OP_PERMUTE, PARE_OP_SIGNS, PARE_OP_HADAMARD };
struct pare_extra_step {
    enum pare_extra_op op;
    const struct pare_tensor *t;     /* SCALE .in_scale [cols] f32; PERMUTE .in_perm [cols] i32; SIGNS .in_signs [ceil(cols / 8)] i8 */
    uint64_t block;                  /* HADAMARD */
};

#define PARE_MAX_EXTRA 7
#define PARE_MAX_EXTRA_STEPS 8
struct pare_parts {
    const char *name;                /* of the weight */
    bool        no_base;             /* nothing but parts: the tensor NAME is a placeholder of one byte */
    uint32_t    n_parts, n_steps;
    struct pare_extra      part[PARE_MAX_EXTRA];
    struct pare_extra_step step[PARE_MAX_EXTRA_STEPS];
    const struct pare_parts *input_of; /* the steps are those of this one, n_steps is 0 here; NULL: they are its own */
};

/* pare_parts_read reads the key, fills the parts of c->tensors, marks what is a part of something. */
int  pare_parts_read(struct pare_checkpoint *c, struct pare_diag *diag);
void pare_parts_free(struct pare_checkpoint *c);

/* Suffix of a part's tensor: word for the first one of its kind in a weight, word2, word3 .. for later ones. */
void pare_part_name(char *out, size_t size, const char *weight, const char *word, uint32_t nth);
#define PARE_PARTS_KEY "pare.parts"

#endif
