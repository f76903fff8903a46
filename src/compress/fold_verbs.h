/* SPDX-License-Identifier: Apache-2.0
 * src/compress/fold_verbs.h: rewrites of a model that leave its function as it is: a change at one place and its inverse at another.
 * Each installs folds on slots; units that are loaded must be loaded again (pare_fold_reload). A verb that would not be exact is refused
 * with PARE_E_UNSUPPORTED or PARE_E_USAGE and changes nothing. With rounding off logits stay the same: bit for bit for neutral arguments,
 * up to the order of sums for permutations and signs, up to f32 rounding of weights for the others. */
#ifndef PARE_COMPRESS_FOLD_VERBS_H
#define PARE_COMPRESS_FOLD_VERBS_H

#include "compress/stream.h"
#include "model/fold.h"
#include "model/sites.h"

/* Activation channel i of a site becomes its old value divided by s[i]: [own], not 0 and finite. Negative numbers flip signs. */
int pare_site_scale(struct pare_folds *f, const struct pare_site *x, const double *s, struct pare_diag *diag);
/* New channel i is old channel index[i], [own]. VALUE: inside of each head. NORM is refused: see pare_residual_permute. */
int pare_site_permute(struct pare_folds *f, const struct pare_site *x, const uint32_t *index, struct pare_diag *diag);
/* Channels of each value head, or blocks of hidden channels where nothing stands in between, times rot. VALUE only; rot->n = head. */
int pare_site_rotate(struct pare_folds *f, const struct pare_site *x, const struct pare_rotation *rot, struct pare_diag *diag);
/* Channel i becomes its old value minus z[i], made good in the readers' biases. NORM with shifts only. */
int pare_site_shift(struct pare_folds *f, const struct pare_site *x, const double *z, struct pare_diag *diag);
/* Channel `from` is made twice, the second time in place of channel `onto` (which is lost: exact when its readers' columns are 0), and
 * both are read with half the weight. HIDDEN and VALUE (inside of one head). */
int pare_site_split(struct pare_folds *f, const struct pare_site *x, uint32_t from, uint32_t onto, struct pare_diag *diag);

/* Keys divided by s [n_head_kv * dk], queries of their group multiplied: before the rotation, so s must be equal for the two channels of
 * a rotated pair (checked). */
int pare_qk_scale(struct pare_folds *f, const struct pare_sites *all, const struct pare_site_qk *x, const double *s, struct pare_diag *diag);

/* The gain of a norm goes into its readers, in f64, and becomes 1. */
int pare_site_fuse_gain(struct pare_folds *f, const struct pare_site *x, struct pare_diag *diag);

/* The residual stream, everywhere at once: new channel i is old channel index[i]; times sign[i] = +-1; times rot. Rotation fuses all
 * gains first and unties head and table. */
int pare_residual_permute(struct pare_folds *f, const struct pare_sites *all, const uint32_t *index, struct pare_diag *diag);
int pare_residual_sign(struct pare_folds *f, const struct pare_sites *all, const double *sign, struct pare_diag *diag);
int pare_residual_rotate(struct pare_folds *f, const struct pare_rotation *rot, struct pare_diag *diag);

/* Loads the units again that are loaded, with the folds of now. */
int pare_fold_reload(struct pare_model *m, struct pare_job *job, struct pare_diag *diag);

#endif
