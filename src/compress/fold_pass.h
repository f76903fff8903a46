/* SPDX-License-Identifier: Apache-2.0
 * src/compress/fold_pass.h: one walk over a streamed model that gives, layer by layer, what calibration knows of the inputs of its matrices
 * and a sample of their rows, to whoever chooses rewrites from them. */
#ifndef PARE_COMPRESS_FOLD_PASS_H
#define PARE_COMPRESS_FOLD_PASS_H

#include "compress/fold_verbs.h"
#include "compress/inputs.h"

#define PARE_FOLD_TOKENS 512 /* rows of a sample, as AWQ takes them */

struct pare_fold_sample {
    const struct pare_slot *slot;  /* the first of siblings */
    float   *x;                    /* [n][cols] */
    uint32_t n;
};

/* What a layer's turn hands over. */
struct pare_fold_layer {
    struct pare_folds   *f;
    struct pare_walk    *w;
    const struct pare_windows *win;
    const struct pare_sites *sites;
    uint32_t             unit;
    const float         *x;        /* residual rows in front of the layer, [win->n * win->len][n_embd] */
    struct pare_inputs  *in;
    struct pare_fold_sample *sample;
    uint32_t             n_samples;
};

/* Moments and sample of what a matrix of the layer is multiplied with; NULL when it was not seen. */
const struct pare_second *pare_fold_moments(const struct pare_fold_layer *l, const struct pare_slot *s);
const struct pare_fold_sample *pare_fold_rows_of(const struct pare_fold_layer *l, const struct pare_slot *s);

/* Calls see for every layer, loaded and as it was before the walk; folds that see adds take effect for later loading. full: E[x x^T]. */
int  pare_fold_pass(struct pare_folds *f, struct pare_walk *w, const struct pare_windows *win, bool full,
                    int (*see)(void *user, const struct pare_fold_layer *l, struct pare_diag *diag), void *user, struct pare_diag *diag);

#endif
