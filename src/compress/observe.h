/* SPDX-License-Identifier: Apache-2.0
 * src/compress/observe.h: statistics of each linear's input, streamed layer by layer. E[x^2] per channel is what importance
 * weighting needs; a method that needs the full second moment adds its own observer on the same walk. */
#ifndef PARE_COMPRESS_OBSERVE_H
#define PARE_COMPRESS_OBSERVE_H

#include "compress/stream.h"
#include "compress/target.h"

/* Walks the model over win and fills seen and importance of all targets. errors: full second moments of the targets that may be rounded
 * with error feedback are gathered too, and what feedback leaves of each candidate's error is measured while they are there (cost.h). The
 * same bits for any threads. */
int pare_observe_model(struct pare_targets *ts, struct pare_walk *w, const struct pare_windows *win, bool errors, struct pare_diag *diag);

/* The head's input is the final norm's output: obs sees it for about `some` of the residual rows x [n * len, n_embd], evenly chosen: the
 * head is wide. */
#define PARE_HEAD_ROWS 512       /* enough for stable mean squares */
#define PARE_HEAD_ROWS_FULL 4096 /* for full second moments. Fit takes as many for mean squares too: its bytes must not depend on whether a
                                  * search, which looks at both, or a replay of its plan came before */
int pare_observe_head(struct pare_walk *w, const struct pare_windows *win, const float *x, uint32_t some, const struct pare_observer *obs,
                      struct pare_diag *diag);

#endif
