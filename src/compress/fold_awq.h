/* SPDX-License-Identifier: Apache-2.0
 * src/compress/fold_awq.h: activation-aware scales (AWQ, arXiv 2306.00978): each input channel of a matrix is scaled by a power of its mean
 * size before rounding, and the inverse goes into what makes the channel; then ranges of groups are shrunk where the output is nearer. */
#ifndef PARE_COMPRESS_FOLD_AWQ_H
#define PARE_COMPRESS_FOLD_AWQ_H

#include "compress/fold_pass.h"

/* Rounds a row in place: pare_grid_round, or a storage format's encode and decode. Called by all threads. */
typedef void (*pare_round_fn)(const void *ctx, float *row, uint64_t cols);

struct pare_awq_settings {
    pare_round_fn round;
    const void   *ctx;
    uint32_t      grid;     /* exponents i / grid, i < grid; 0: 20. Exponent 0 (no scaling) is always among them */
    uint32_t      tokens;   /* rows of the sample that a module's loss runs on; 0: 512 */
    uint32_t      max_rows; /* output rows that the loss looks at, evenly chosen; 0: all */
    bool          module;   /* the loss is that of the whole attention or MLP, all its inputs' readers rounded at once (as published; one
                               forward pass of the layer an exponent); else of the readers' own outputs */
};

struct pare_awq_report {
    uint32_t sites, scaled;      /* looked at; given an exponent above 0 */
    double   loss, loss_plain;   /* sums over sites of the loss chosen, relative to the loss without scaling, and of 1 */
};

/* Chooses and installs scales on all sites where they are exact, norm -> readers, value -> output (no shared value heads), up -> down.
 * Same scales for any threads and tier. */
int pare_fold_awq(struct pare_folds *f, struct pare_walk *w, const struct pare_windows *calib, const struct pare_awq_settings *s,
                  struct pare_awq_report *report, struct pare_diag *diag);

/* Mean squared error of x W^T - x (round(W diag(s)) diag(1/s))^T over sample rows x [n][cols] and rows of w [rows][cols]. s NULL: ones. */
int pare_awq_loss(const float *w, uint64_t rows, uint64_t cols, const double *s, const float *x, uint32_t n, pare_round_fn round,
                  const void *ctx, struct pare_job *job, double *loss, struct pare_diag *diag);

/* Limits w [rows][cols] to the range of each row and group (1.00, 0.95 .. 0.55 of it) at which its part of the output, rounded, is nearest:
 * e H e^T with xx [cols][cols] = E[x x^T] up to a factor. round gets one group at a time. Queries and keys are better left alone. */
int pare_awq_clip(float *w, uint64_t rows, uint64_t cols, uint32_t group, const double *xx, pare_round_fn round, const void *ctx,
                  struct pare_job *job, struct pare_diag *diag);

#endif
