/* SPDX-License-Identifier: Apache-2.0
 * src/compress/fold_rotate.h: rotations that spread what is large in few channels over all (QuaRot, arXiv 2404.00456): the residual stream
 * (R1), the values of each head (R2), folded; the input of down projections (R4) by a Hadamard at run time whose inverse is folded. */
#ifndef PARE_COMPRESS_FOLD_ROTATE_H
#define PARE_COMPRESS_FOLD_ROTATE_H

#include "compress/fold_verbs.h"

struct pare_rotate_settings {
    uint64_t seed;
    bool     random;     /* R1 is a dense random matrix instead of signs and Hadamard blocks */
    bool     residual;   /* R1; unties head and table */
    bool     values;     /* R2, head by head: Hadamard, the same for all heads of a layer */
};

/* PARE_E_UNSUPPORTED, and nothing is changed, where the family's residual stream cannot be rotated and residual is asked for. */
int pare_fold_rotate(struct pare_folds *f, const struct pare_rotate_settings *s, struct pare_diag *diag);

/* R4: columns of a matrix times the rotation; its input rows must then be rotated at run time: pare_rotate_rows, as struct pare_input of
 * nn/linear.h. rot->n divides the width. */
int pare_fold_online(struct pare_folds *f, struct pare_slot *s, const struct pare_rotation *rot, struct pare_diag *diag);
/* x [n] rows of `cols`, ldx apart, times rot in place. tmp [2 * cols]. */
void pare_rotate_rows(const struct pare_rotation *rot, float *x, uint64_t ldx, uint32_t n, uint64_t cols, double *tmp);

#endif
