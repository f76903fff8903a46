/* SPDX-License-Identifier: Apache-2.0
 * src/compress/mask.h: which weights of a matrix stay. One object for every kind of sparsity: scores say what a weight is worth, a rule
 * says which weights are compared with each other, the mask says what is left. The storage formats of kernel/sparse.h read its bits. */
#ifndef PARE_COMPRESS_MASK_H
#define PARE_COMPRESS_MASK_H

#include <stdbool.h>

#include "compress/second.h"

/* Bit c of row r is set: the weight stays. Bits behind the last column are clear. */
struct pare_mask {
    uint64_t  rows, cols;
    uint64_t  words;  /* of a row */
    uint64_t *bits;   /* [rows][words] */
};

/* Everything stays. */
int  pare_mask_create(struct pare_mask *m, uint64_t rows, uint64_t cols, struct pare_diag *diag);
void pare_mask_free(struct pare_mask *m);
static inline bool pare_mask_keeps(const struct pare_mask *m, uint64_t r, uint64_t c)
{
    return m->bits[r * m->words + c / 64] >> (c % 64) & 1;
}
static inline void pare_mask_set(struct pare_mask *m, uint64_t r, uint64_t c, bool keep)
{
    uint64_t bit = (uint64_t)1 << (c % 64), *w = &m->bits[r * m->words + c / 64];

    *w = keep ? *w | bit : *w & ~bit;
}
/* Weights that stay. */
uint64_t pare_mask_count(const struct pare_mask *m);
/* w [rows][cols]: what is removed becomes +0, the rest keeps its bits. An all-ones mask changes nothing. */
void pare_mask_apply(const struct pare_mask *m, float *w);

enum pare_score_kind {
    PARE_SCORE_MAGNITUDE, /* |w| */
    PARE_SCORE_WANDA,     /* |w| sqrt(E x^2): Sun et al., arXiv 2306.11695 */
    PARE_SCORE_OBS        /* w^2 / [H^-1]_cc, the loss of removing this weight when all others make up for it (Hassibi & Stork 1993) */
};
/* score [rows][cols] of w. in: moments of the input (NULL for MAGNITUDE). inv_diag [cols]: the diagonal of H^-1 (OBS), see
 * pare_columns_open. PARE_E_CORRUPT when a weight is not finite; the text says where. */
int pare_mask_score(enum pare_score_kind kind, const float *w, uint64_t rows, uint64_t cols, const struct pare_second *in,
                    const double *inv_diag, float *score, struct pare_job *job, struct pare_diag *diag);

/* Which weights stand and fall together, and with which they are compared. */
enum pare_mask_pattern {
    PARE_MASK_ROW,    /* single weights, within an output row (Wanda's comparison) */
    PARE_MASK_MATRIX, /* single weights, over the whole matrix */
    PARE_MASK_NM,     /* keep n of m neighbours of a row; columns behind the last whole m keep all */
    PARE_MASK_GROUP,  /* runs of m columns of a row, compared over the matrix (GQSA) */
    PARE_MASK_WIDE    /* one column of 16 rows, compared within its 16 rows (SparseByteNN) */
};
struct pare_mask_rule {
    enum pare_mask_pattern pattern;
    double   remove; /* share to remove, 0 .. 1; not NM. 0 keeps all */
    uint32_t n, m;   /* NM; GROUP: m is the width */
};
/* Chooses by score [rows][cols], all finite and >= 0. The mask must exist; what it says before is overwritten. Of equal scores the earlier
 * weight (row by row) stays. The number removed is exact: floor(remove * number compared). The same for any number of threads. */
int pare_mask_choose(struct pare_mask *mask, const float *score, const struct pare_mask_rule *rule, struct pare_job *job, struct pare_diag *diag);
/* PARE_E_USAGE when the rule makes no sense. */
int pare_mask_rule_check(const struct pare_mask_rule *rule, struct pare_diag *diag);

/* Keeps the keep best of n scores: those kept get stays[i] = 1, the others 0. Ties as above. key: n uint64_t of scratch. */
void pare_mask_best(const float *score, uint64_t n, uint64_t keep, uint8_t *stays, uint64_t *key);

/* Shares of n layers whose mean, weighted by params, is target: share_i = clamp(base + amplitude * (mean importance - importance_i) /
 * spread, 0, most), base found by bisection. importance_i large: pruned less. amplitude 0 is uniform. PARE_E_USAGE when target > most. */
int pare_mask_allocate(const double *importance, const uint64_t *params, uint32_t n, double target, double amplitude, double most,
                       double *share, struct pare_diag *diag);

#endif
