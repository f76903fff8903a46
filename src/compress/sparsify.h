/* SPDX-License-Identifier: Apache-2.0
 * src/compress/sparsify.h: one matrix made sparse by one of the usual ways: magnitude, Wanda, SparseGPT; and groups of four-bit numbers
 * (GQSA). What stays is a mask and the new weights; kernel/sparse.h stores them. */
#ifndef PARE_COMPRESS_SPARSIFY_H
#define PARE_COMPRESS_SPARSIFY_H

#include "compress/columns.h"

enum pare_sparsify_how { PARE_SPARSIFY_MAGNITUDE, PARE_SPARSIFY_WANDA, PARE_SPARSIFY_SPARSEGPT };

/* Makes w [rows][cols] sparse in place and mask what stays. in: moments of the input (MAGNITUDE: may be NULL); c: their factor
 * (SPARSEGPT; else NULL). MAGNITUDE and WANDA leave the weights that stay alone. remove 0, or n = m, changes nothing. */
int pare_sparsify(enum pare_sparsify_how how, const struct pare_mask_rule *rule, const struct pare_second *in, const struct pare_columns *c,
                  float *w, struct pare_mask *mask, struct pare_job *job, struct pare_diag *diag);

/* Groups of 16 columns of a row: the least salient are removed whole, the others have four bits, a scale and a zero point. */
#define PARE_GQSA_COLS 16u
struct pare_gqsa {
    uint64_t  rows, cols;   /* cols: a multiple of 32 */
    uint16_t *d;            /* [rows] f16: value = d * scale * (code - zero) */
    uint16_t *scale;        /* [rows][cols / 16] 0..4095 */
    uint8_t  *zero;         /* [rows][cols / 16] 0..15 */
    uint8_t  *code;         /* [rows][cols] 0..15 */
    uint8_t  *keep;         /* [rows][cols / 16] */
};
void pare_gqsa_free(struct pare_gqsa *g);
/* Fills *g from w, which becomes what g stands for. remove: share of groups. Saliency of a group is the sum of w^2 / [H^-1]_cc (GQSA,
 * arXiv 2412.17560), compared over the matrix, so rows end up with different numbers of groups. Then one pass of the column loop: what is
 * removed and what rounding breaks moves into the columns behind. The paper's second stage, training scales through the whole model, is
 * not here. c NULL: saliency is w^2 E x^2 and nothing is moved. On failure nothing is held. */
int pare_gqsa_make(struct pare_gqsa *g, double remove, const struct pare_second *in, const struct pare_columns *c, float *w, uint64_t rows, uint64_t cols,
                   struct pare_job *job, struct pare_diag *diag);

#endif
