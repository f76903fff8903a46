/* SPDX-License-Identifier: Apache-2.0
 * src/compress/baq.h: bits allocated to the columns of one matrix (BAQ, Zhang et al., arXiv 2506.05664). Two passes of error feedback
 * (GPTQ, arXiv 2210.17323): the first at a uniform rate measures what each input column loses, the second spends bits where they are
 * worth most. Whole bits a column and a table of them, so that the size is what a file would hold; the paper's fractional numbers of
 * levels are there for comparison. Dense: what is written is up to the caller. */
#ifndef PARE_COMPRESS_BAQ_H
#define PARE_COMPRESS_BAQ_H

#include "base/job.h"
#include "compress/second.h"

#define PARE_BAQ_BITS 8 /* most bits of a column */

/* The upper triangular U with H^-1 = U^T U, of the damped second moment of an input: once for all matrices that read it. */
struct pare_baq_factor {
    uint64_t cols;
    float   *u;        /* [cols][cols], rows of the triangle; 0 below */
    double   damp;     /* share of the mean diagonal that was added: 0.01, or 10 or 100 times it */
    bool     plain;    /* no damping helped: U is the identity, which makes every pass plain rounding */
    uint8_t *dead;     /* [cols] 1: the channel was never active */
};
/* in->xx is needed. Dead channels get a diagonal of 1. PARE_E_USAGE without xx, PARE_E_NOMEM. */
int  pare_baq_factor(struct pare_baq_factor *f, const struct pare_second *in, struct pare_job *job, struct pare_diag *diag);
void pare_baq_factor_free(struct pare_baq_factor *f);

enum pare_baq_mode { PARE_BAQ_UNIFORM, PARE_BAQ_WHOLE, PARE_BAQ_FRACTIONAL };
struct pare_baq_result {
    double   loss_before, loss_after;   /* sum over columns of sum_rows (w - q)^2 / (2 d^2) */
    double   spread_before, spread_after; /* largest over smallest loss of columns that have bits */
    uint64_t bytes;                     /* codes, a 16-bit scale a row, clip factors, 4 bits a column when they differ */
    uint64_t bytes_uniform;             /* of the uniform rate */
};
/*
 * Rounds w [rows][cols] to q (may be w). bits: the uniform rate, whole; WHOLE stays within its bytes, table included. width [cols] gets
 * each column's bits (levels in FRACTIONAL), may be NULL. The grid of b bits in a row is 2^b values symmetric around 0, of the row's
 * largest magnitude times a factor that is searched once a matrix for each b; 0 bits give 0. The same bits for any threads and tier.
 * PARE_E_CORRUPT when a weight is not finite.
 */
int pare_baq(float *q, const float *w, uint64_t rows, const struct pare_baq_factor *f, uint32_t bits, enum pare_baq_mode mode, uint16_t *width,
             struct pare_baq_result *out, struct pare_job *job, struct pare_diag *diag);

/* Bits for columns of losses ell at the uniform rate, total at most `total` (sum over columns): the exact least of
 * sum ell[c] shrink[b(c)] over whole b in 0..PARE_BAQ_BITS, shrink convex and falling. */
void pare_baq_allocate(uint16_t *b, const double *ell, uint64_t cols, const double shrink[PARE_BAQ_BITS + 1], uint64_t total);

#endif
