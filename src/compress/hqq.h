/* SPDX-License-Identifier: Apache-2.0
 * src/compress/hqq.h: half-quadratic fit of the zero point of asymmetric groups (HQQ; compression-facts 1.5). No calibration. */
#ifndef PARE_COMPRESS_HQQ_H
#define PARE_COMPRESS_HQQ_H

#include "base/job.h"
#include "tensor/codec.h"

struct pare_hqq_settings {
    float    p;          /* 0.7: errors count |e|^p, so a few large ones matter less */
    float    beta;       /* 10 */
    uint32_t iterations; /* 20; 0: plain rounding */
};
void pare_hqq_settings_default(struct pare_hqq_settings *s);

/* pare_hqq_encode writes w [s.rows][s.cols] in codec c (int2_zero .. int8_zero) at dst, pare_codec_bytes long. Scales are those of plain
 * rounding; of all zero points that the iteration passes, beginning with plain rounding's, each group keeps the one of least sum of
 * |error|^p as stored. So no group is worse than plain rounding in that measure. PARE_E_USAGE for another codec or a shape without
 * row-wise groups, PARE_E_CORRUPT for numbers that are not finite. */
int pare_hqq_encode(uint8_t *dst, const struct pare_codec *c, struct pare_codec_shape s, const float *w,
                    const struct pare_hqq_settings *h, struct pare_job *job, struct pare_diag *diag);

#endif
