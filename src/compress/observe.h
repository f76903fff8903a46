/* SPDX-License-Identifier: Apache-2.0
 * src/compress/observe.h: statistics of each linear's input, streamed layer by layer. E[x^2] per channel is what importance
 * weighting needs; a method that needs the full second moment adds its own observer on the same walk. */
#ifndef PARE_COMPRESS_OBSERVE_H
#define PARE_COMPRESS_OBSERVE_H

#include "compress/stream.h"
#include "compress/target.h"

/* Walks the model over win and fills sumsq, seen and importance of all targets. x_last, if not NULL, receives the residual rows
 * after the last layer ([n * len, n_embd], owned by the caller). Sums are f64 in row order: the same bits for any threads. */
int pare_observe_model(struct pare_targets *ts, struct pare_walk *w, const struct pare_windows *win, struct pare_diag *diag);

/* The head's input is the final norm's output: obs sees it for about `some` of the residual rows x [n * len, n_embd], evenly chosen: the
 * head is wide. */
#define PARE_HEAD_ROWS 512 /* enough for stable mean squares */
int pare_observe_head(struct pare_walk *w, const struct pare_windows *win, const float *x, uint32_t some, const struct pare_observer *obs,
                      struct pare_diag *diag);

#endif
