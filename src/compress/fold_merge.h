/* SPDX-License-Identifier: Apache-2.0
 * src/compress/fold_merge.h: MergeQuant (Quantization Step Migration): static activation scales, channel by channel, folded into what makes
 * the channel (a norm's gain, rows of values and up) and into the columns that read it. The activation that arrives needs only rounding to
 * whole numbers: no pass for its largest value, and one scale an output for the integer product. */
#ifndef PARE_COMPRESS_FOLD_MERGE_H
#define PARE_COMPRESS_FOLD_MERGE_H

#include "compress/fold_awq.h"

struct pare_merge_settings {
    uint32_t      bits;   /* of activations, symmetric: -q .. q */
    pare_round_fn round;  /* of weight rows, for the choice of ranges */
    const void   *ctx;
};

/* Installs the scales on every site where they are exact. For each site the part of the range that is kept (1.75 .. 0.35 of what was seen) and how far scales
 * follow the channels (0: one for all, 1: each its own) are chosen by the squared error of the rounded readers' outputs on rows that
 * the ranges were not taken from.
 * *sites gets the number of sites with static scales. */
int  pare_fold_merge(struct pare_folds *f, struct pare_walk *w, const struct pare_windows *calib, const struct pare_merge_settings *s,
                     uint32_t *sites, struct pare_diag *diag);
/* What the run time does with such an activation: to whole numbers, limited to -q .. q. */
void pare_merge_round(float *x, uint64_t n, uint32_t bits);

#endif
