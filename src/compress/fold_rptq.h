/* SPDX-License-Identifier: Apache-2.0
 * src/compress/fold_rptq.h: RPTQ (arXiv 2304.01089): channels of alike ranges are moved beside each other, so that each run of them has its
 * own static scale and zero point. The order is folded into what makes and reads the channels: nothing is moved at run time.
 *
 * Hidden channels and value channels (inside of their heads) are ordered layer by layer. The order of a norm's output is that of the
 * residual stream, so it is one order for all norms, clustered by what all of them see; the published code lets each norm write its own
 * order, which needs a norm that gathers. */
#ifndef PARE_COMPRESS_FOLD_RPTQ_H
#define PARE_COMPRESS_FOLD_RPTQ_H

#include "compress/fold_pass.h"

/* Static ranges of one matrix's input: cluster k is channels [begin[k], begin[k + 1]). */
struct pare_rptq_input {
    const struct pare_slot *slot;
    uint32_t  n;       /* clusters */
    uint32_t *begin;   /* [n + 1] */
    float    *lo, *hi; /* [n], lo <= 0 <= hi */
};
struct pare_rptq {
    struct pare_rptq_input *in;
    uint32_t                n;
};
struct pare_rptq_settings { uint32_t norm, hidden, value; }; /* clusters; published: 32, 32, 4 (a head). 0: as many as channels */

/* Orders the channels (folds) and fills *out, to be freed by pare_rptq_free. One cluster each: per-tensor ranges, and no order. */
int  pare_fold_rptq(struct pare_folds *f, struct pare_walk *w, const struct pare_windows *calib, const struct pare_rptq_settings *s,
                    struct pare_rptq *out, struct pare_diag *diag);
void pare_rptq_free(struct pare_rptq *q);
/* Rounds rows of the input of slot to 2^bits levels a cluster; false when the slot has no ranges. */
bool pare_rptq_round(const struct pare_rptq *q, const struct pare_slot *slot, float *x, uint64_t ldx, uint32_t n, uint32_t bits);

/* K-means with k centres over n points of dim numbers (Lloyd, 25 rounds, centres first spread over the points by size): label [n] < k, in
 * order of the centres' size. Empty clusters may remain. */
int  pare_kmeans(const double *point, uint32_t n, uint32_t dim, uint32_t k, uint32_t *label, struct pare_diag *diag);

#endif
