/* SPDX-License-Identifier: Apache-2.0
 * src/compress/sense.h: how the model's output answers to an error in one tensor: mean divergence of next-token distributions
 * under injected errors of known size (after HIGGS, arXiv 2411.17525: linear for small errors, bent below three bits). The error
 * injected is a real quantization error of that tensor, so its shape is the shape of what will be chosen. All tensors of a unit
 * are measured on one walk through the rest of the model. */
#ifndef PARE_COMPRESS_SENSE_H
#define PARE_COMPRESS_SENSE_H

#include "compress/stream.h"
#include "compress/target.h"

/* Fills point_err and point_kld of all targets. At most max_rows residual rows are held at once. */
int pare_sense(struct pare_targets *ts, struct pare_walk *w, const struct pare_windows *win, uint64_t max_rows,
               struct pare_diag *diag);

/* Divergence at a relative error: proportional below the first measured point, a power law above it. */
double pare_sense_loss(const struct pare_target *t, double err);

/* Where the two sides of a comparison get their logits: the base from w's model; the variants from other's model (NULL: the
 * same), or from w's with the linear at *slot exchanged for *alt meanwhile. */
struct pare_head_pair {
    struct pare_walk         *w, *other;
    struct pare_linear       *slot;
    const struct pare_linear *alt;
};
/* Mean divergence of residual rows x against base: x holds n_variants blocks of as many rows as win has tokens; out gets one mean
 * a block. The head units must have been entered. tally may be NULL, else it collects likelihoods and divergences too. */
int pare_head_divergence(const struct pare_head_pair *p, const struct pare_windows *win, const float *base, const float *x,
                         uint32_t n_variants, double *out, struct pare_tally *tally, struct pare_diag *diag);

#endif
