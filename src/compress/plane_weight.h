/* SPDX-License-Identifier: Apache-2.0
 * src/compress/plane_weight.h: weights of few bits ready to be multiplied as bit planes (kernel/planes.h), with a list of single weights
 * beside them where a method keeps some: y = planes x + extra x. Float activations, so nothing is rounded but the weights. */
#ifndef PARE_COMPRESS_PLANE_WEIGHT_H
#define PARE_COMPRESS_PLANE_WEIGHT_H

#include "compress/dual_binary.h"
#include "compress/partial_binary.h"
#include "kernel/planes.h"

struct pare_plane_weight {
    struct pare_planes p;
    float    *alpha, *zero;  /* struct pare_plane_scales */
    uint64_t *first;         /* [rows + 1] where a row's single weights begin */
    uint32_t *column;
    float    *extra;         /* what is added to the value that the planes give there */
};

/* Two planes with scales of their own: a b = a/2 (2 b - 1) + a/2. */
int pare_plane_weight_dual(struct pare_plane_weight *w, const struct pare_dual *d, struct pare_diag *diag);
/* One plane of signs; at salient places the difference to the 8-bit value is a single weight. */
int pare_plane_weight_partial(struct pare_plane_weight *w, const struct pare_partial *b, struct pare_diag *diag);
void pare_plane_weight_free(struct pare_plane_weight *w);

/* Bytes of scratch of apply. */
uint64_t pare_plane_weight_scratch(const struct pare_plane_weight *w);
/* y [rows] of one token x [cols], for panels [p0, p1); scratch is 64-byte aligned. With ready the tables of this x stand there already. The
 * same bits for any tier and split. */
void pare_plane_weight_apply(const struct pare_plane_weight *w, float *y, const float *x, uint32_t p0, uint32_t p1, void *scratch, bool ready,
                             const struct pare_plane_ops *ops);

#endif
