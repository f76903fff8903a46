/* SPDX-License-Identifier: Apache-2.0
 * src/compress/fold_smooth.h: SmoothQuant (arXiv 2211.10438): part of the spread of activation channels moves into the weights that read
 * them, at the outputs of norms only. */
#ifndef PARE_COMPRESS_FOLD_SMOOTH_H
#define PARE_COMPRESS_FOLD_SMOOTH_H

#include "compress/fold_pass.h"

/* s = max|x|^alpha / max|w|^(1 - alpha), not below 1e-5, max|w| over the columns of all readers together; a channel that is 0 on either
 * side keeps its scale. alpha in [0, 1]; published: 0.5, 0.85 for Llama 2 and 3, 0.8 for Mistral. Negative: nothing is done. */
int pare_fold_smooth(struct pare_folds *f, struct pare_walk *w, const struct pare_windows *calib, double alpha, struct pare_diag *diag);

/* The largest |w| of each column over all readers of a site, [width]. */
int pare_site_reach(const struct pare_site *x, double *most, struct pare_diag *diag);

#endif
