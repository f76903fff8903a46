/* SPDX-License-Identifier: Apache-2.0
 * src/compress/trial.h: the divergence that a whole plan really causes, measured on calibration text before anything is written:
 * each unit is made as it will be written (make.h), packed and run by the int8 kernels in turn. */
#ifndef PARE_COMPRESS_TRIAL_H
#define PARE_COMPRESS_TRIAL_H

#include "compress/stream.h"
#include "compress/target.h"

/* What a trial made with error feedback, so that the file can be written without making it again. */
struct pare_kept {
    uint32_t  n;
    uint8_t **rows;  /* [n] encoded, bound order; NULL where nothing was kept */
    uint32_t *pick;  /* [n] the plan they belong to */
    bool      whole; /* every such target of pick is there */
};
void pare_kept_free(struct pare_kept *k);
bool pare_kept_fits(const struct pare_kept *k, const uint32_t *pick);

/* pick[i] is the candidate of target i; calib is what feedback is learnt on. *kld gets the mean divergence on win. kept may be NULL; what
 * it held is replaced. */
int pare_trial(struct pare_targets *ts, const uint32_t *pick, struct pare_walk *w, const struct pare_windows *calib,
               const struct pare_windows *win, double *kld, struct pare_kept *kept, struct pare_diag *diag);

#endif
