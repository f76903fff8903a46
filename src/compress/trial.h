/* SPDX-License-Identifier: Apache-2.0
 * src/compress/trial.h: the divergence that a whole plan really causes, measured on calibration text before anything is written:
 * each unit is made as it will be written (make.h), packed and run by the int8 kernels in turn. */
#ifndef PARE_COMPRESS_TRIAL_H
#define PARE_COMPRESS_TRIAL_H

#include "compress/stream.h"
#include "compress/target.h"

/* pick[i] is the candidate of target i; calib is what feedback is learnt on. *kld gets the mean divergence on win. */
int pare_trial(struct pare_targets *ts, const uint32_t *pick, struct pare_walk *w, const struct pare_windows *calib,
               const struct pare_windows *win, double *kld, struct pare_diag *diag);

#endif
