/* SPDX-License-Identifier: Apache-2.0
 * src/compress/cfws.h: coarse and fine splitting of a weight (CFWS, arXiv 2312.10588): W = s_c Q_c + s_f Q_f, both of 8 bits with one
 * scale for the tensor; two products with int8 activations and one addition. Its time is that of two products. */
#ifndef PARE_COMPRESS_CFWS_H
#define PARE_COMPRESS_CFWS_H

#include "nn/linear.h"

/* Scales are halves, so that both parts are ordinary q8_0 rows. */
struct pare_cfws {
    float coarse, fine;
};
/* Q_c = round(w / s_c) with s_c = max |w| / 127; Q_f the same of what is left. n weights; w finite. qf NULL: the coarse part alone,
 * which is plain rounding to 8 bits with a scale for the tensor. */
struct pare_cfws pare_cfws_split(int8_t *qc, int8_t *qf, const float *w, uint64_t n);
/* Appends both parts (fine false: the coarse one) of w [rows][cols] to l, packed for int8 activations. cols must divide by 32
 * (PARE_E_UNSUPPORTED); PARE_E_CORRUPT for a weight that is not finite. On failure l is freed. */
int pare_cfws_bind(struct pare_linear *l, const float *w, uint64_t rows, uint64_t cols, bool fine, struct pare_job *job,
                   struct pare_diag *diag);

#endif
