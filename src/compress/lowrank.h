/* SPDX-License-Identifier: Apache-2.0
 * src/compress/lowrank.h: a weight W [rows][cols], or the error of its rounding, as the product of two thin factors: y = A (B x) with
 * A [rows][rank], B [rank][cols]. One builder: the singular values of W S, cut, S undone in B. What S is makes the method:
 *
 *     plain      the identity: least error of the weights
 *     scaled     diag(mean |x_j|)^alpha: ASVD, arXiv 2312.05821
 *     whitened   the Cholesky factor of E[x x^T]: least error of the outputs, and each singular value is what dropping it costs
 *                (SVD-LLM, arXiv 2403.07378)
 *
 * A pair saves only below rank rows cols / (rows + cols); above, the dense matrix is smaller. */
#ifndef PARE_COMPRESS_LOWRANK_H
#define PARE_COMPRESS_LOWRANK_H

#include "base/job.h"
#include "compress/second.h"
#include "tensor/dtype.h"

struct pare_lowrank {
    uint64_t rows, cols, rank;
    float   *a, *b;        /* [rows][rank], [rank][cols]; owned. Each takes half of a singular value: A = U sqrt(s), B = sqrt(s) V^T S^-1 */
    enum pare_type type;   /* what the factors were rounded to (pare_lowrank_round), PARE_F32 until then */
};

enum pare_lowrank_input { PARE_LOWRANK_PLAIN, PARE_LOWRANK_SCALED, PARE_LOWRANK_WHITENED };
struct pare_lowrank_settings {
    enum pare_lowrank_input input;
    double   alpha;        /* scaled: the power, 0.5 in the paper; 0 is plain */
    uint64_t max_rank;     /* 0: the whole spectrum. Few of many are found by random subspace iteration */
    uint64_t seed;         /* of that */
};

/* The decomposition before it is cut, so that many ranks can be tried. */
struct pare_spectrum {
    uint64_t rows, cols, k;
    double  *u, *s, *v;    /* [rows][k], [k] descending, [k][cols]: V^T S^-1 */
    double   total;        /* squared norm of W S; the dropped part of it is the squared error of W S */
    double   damping;      /* whitened: what the diagonal of E[x x^T] was raised by, as a part of its mean */
    enum pare_lowrank_input input; /* what was used: plain without inputs, scaled by E[x^2] where E[x x^T] could not be factored */
};
/*
 * pare_spectrum_create decomposes w [rows][cols]. in: moments of the inputs, with E[x x^T] for whitened; NULL, or never seen: plain.
 * Channels that were silent count as a thousandth of the mean, so that undoing S stays possible. PARE_E_CORRUPT when w is not finite.
 * On failure nothing is held.
 */
int    pare_spectrum_create(struct pare_spectrum *sp, const float *w, uint64_t rows, uint64_t cols, const struct pare_second *in,
                            const struct pare_lowrank_settings *s, struct pare_job *job, struct pare_diag *diag);
void   pare_spectrum_free(struct pare_spectrum *sp);
/* Squared error of W S at a rank (up to k). */
double pare_spectrum_tail(const struct pare_spectrum *sp, uint64_t rank);

/* pare_lowrank_cut takes the first rank <= k values. Rank 0 is allowed: a pair that adds nothing. */
int  pare_lowrank_cut(struct pare_lowrank *l, const struct pare_spectrum *sp, uint64_t rank, struct pare_diag *diag);
void pare_lowrank_free(struct pare_lowrank *l);
/* pare_lowrank_round rounds the factors as storage in type would: A by its columns, B by its rows, so that each of both stands beside its
 * own singular value. Types in blocks need widths that divide; where they do not, and for rank 0, f16 is taken. l->type says which.
 * PARE_E_UNSUPPORTED when a number is out of the range of the type. */
int  pare_lowrank_round(struct pare_lowrank *l, enum pare_type type, struct pare_diag *diag);
/* Bytes of both factors in a type; false when a width does not suit it. */
bool pare_lowrank_bytes(uint64_t rows, uint64_t cols, uint64_t rank, enum pare_type type, uint64_t *bytes);
/* w [rows][cols] = A B, or w += A B; sums in f64, rounded once. add and rank 0: w stays, bit for bit. */
int  pare_lowrank_expand(const struct pare_lowrank *l, float *w, bool add, struct pare_job *job, struct pare_diag *diag);

/* pare_lowrank_error: factors of what rounding took from w: side branch y = Wq x + A (B x) (LoRC, in ZeroQuant-V2, arXiv 2303.08302: plain
 * and rank 8). in and s as above. The factors are rounded to type. */
int  pare_lowrank_error(struct pare_lowrank *l, const float *w, const float *wq, uint64_t rows, uint64_t cols, uint64_t rank,
                        const struct pare_second *in, const struct pare_lowrank_settings *s, enum pare_type type, struct pare_job *job,
                        struct pare_diag *diag);

/* The largest rank whose factors have fewer numbers than the dense matrix, 0 when there is none; and the rank that has at most
 * `keep` of its numbers. */
uint64_t pare_lowrank_break_even(uint64_t rows, uint64_t cols);
uint64_t pare_lowrank_rank_for(uint64_t rows, uint64_t cols, double keep);

/* One matrix in the choice of ranks: what cutting it alone to rank `at` did to the output. Its loss at other ranks is taken to be in
 * proportion to the part of the spectrum that is dropped. */
struct pare_rank_curve {
    const struct pare_spectrum *sp;
    uint64_t at;
    double   loss;
};
#define PARE_RANK_DENSE UINT64_MAX
/* pare_lowrank_plan chooses rank [n], PARE_RANK_DENSE where the matrix stays, with least total loss such that all matrices together have
 * at most `keep` of their numbers (compress/solve.h). PARE_E_BUDGET when not even the least ranks fit. */
int pare_lowrank_plan(const struct pare_rank_curve *c, uint32_t n, double keep, uint64_t *rank, struct pare_diag *diag);

#endif
