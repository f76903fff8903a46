/* SPDX-License-Identifier: Apache-2.0
 * src/nn/formula.h: a weight written out: base + parts behind an input transform. All memory is borrowed, from a mapped file or from what
 * compression made. Of one formula come both the linear that runs and the dense matrix that it stands for. */
#ifndef PARE_NN_FORMULA_H
#define PARE_NN_FORMULA_H

#include "nn/transform.h"

struct pare_formula_part {
    enum pare_part_kind kind;       /* LOWRANK, COLUMNS, SPARSE or CONST */
    struct pare_matrix a, b;        /* LOWRANK: A [rows][r], B [r][cols]; COLUMNS: a is S [rows][k] */
    const uint32_t *index;          /* COLUMNS: [k] */
    struct pare_entries sparse;
    const float *value;             /* CONST: [rows] */
    bool by_sum;
};

struct pare_formula {
    uint64_t rows, cols;
    struct pare_matrix base;        /* type NULL: none */
    struct pare_formula_part part[PARE_MAX_PARTS];
    uint32_t n_parts;
    const struct pare_transform *input; /* NULL: the identity */
};

/* Binds base and parts to an empty linear. On failure the linear is empty again. */
int pare_formula_bind(const struct pare_formula *f, struct pare_linear *l, enum pare_act_mode mode, struct pare_job *job, struct pare_diag *diag);
/* The same but for the base, which l has already. */
int pare_formula_bind_parts(const struct pare_formula *f, struct pare_linear *l, enum pare_act_mode mode, struct pare_job *job,
                            struct pare_diag *diag);
/* Rows [row0, row0 + n) of the dense matrix, w [n][cols]: what W is in y = W x for inputs before the transform. A constant bias adds
 * nothing here (pare_formula_has_bias). The same bits for any number of threads and tier. */
int  pare_formula_expand(const struct pare_formula *f, uint64_t row0, uint64_t n, float *w, struct pare_job *job, struct pare_diag *diag);
bool pare_formula_has_bias(const struct pare_formula *f);

#endif
