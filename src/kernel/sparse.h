/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/sparse.h: sparse matrices and their products. As in gemmq.h, 16 output rows lie side by side in a panel and a lane belongs to
 * an output; what differs is how the weights of a panel are found.
 *
 *     TILED   f16         (value, 16-bit position in a tile of 256 columns) for each weight: scattered into a dense tile in the first cache,
 *                         which is multiplied (Flash-LLM's "load as sparse, compute as dense", VLDB 2024)
 *     MASK    f32 f16     a bit for each weight and the weights that stay, spread into registers
 *             q8_0        the same with 8-bit codes and one f16 scale for 32 columns
 *     N24     q8_0        at most 2 of 4 neighbours: codes and 2-bit positions
 *     GROUP   4 bits      groups of 16 columns of a row, gone or there: codes 0..15, a scale, a zero point (GQSA)
 *     WIDE    f32 f16     one column index for 16 outputs, no index a weight (SparseByteNN)
 *
 * Results. Each format gives what the engine's own dense kernels give for the matrix with zeros in place of what was removed, bit for
 * bit (only the sign of a sum that is zero may differ, and inputs must be finite):
 * - float formats: the 16-lane rule (kernel/vec.h), as gemm_f32 and gemm_f16: lane c mod 16 of an output takes column c, ascending, with
 *   fma from +0, and the lanes are added in the one tree. Here the outputs lie in the lanes of a vector, and sixteen vectors are what are
 *   sixteen lanes there.
 * - q8_0 formats: one fma((float)idot * dx, d, acc) for each block of 32 columns, ascending, as gemmq's q8_0.
 * - GROUP: one fma((float)idot * dx, d * s, acc) for each group, idot = sum of (code - zero) * q: as gemmq's q6_K, where scales below
 *   128 make it a part of that.
 * So a row of activations gives the same bits alone and in a batch, for any number of threads and in every tier. */
#ifndef PARE_KERNEL_SPARSE_H
#define PARE_KERNEL_SPARSE_H

#include <pare/error.h>

#include "kernel/gemmq.h"

enum pare_sparse_kind { PARE_SPARSE_TILED, PARE_SPARSE_MASK, PARE_SPARSE_N24, PARE_SPARSE_GROUP, PARE_SPARSE_WIDE, PARE_SPARSE_KINDS };

#define PARE_SPARSE_TILE 256u       /* columns of a tile */
#define PARE_SPARSE_GROUP_COLS 16u  /* of a GROUP */

struct pare_sparse {
    enum pare_sparse_kind kind;
    enum pare_type type;     /* PARE_F32, PARE_F16, PARE_Q8_0; GROUP: PARE_Q4_0 stands for its 4 bits */
    uint64_t  rows, cols;
    uint64_t  kept;          /* weights that stay; GROUP: groups */
    uint32_t  n_panels;
    uint64_t *at;            /* [n_panels + 1] where a panel begins in data, multiples of 64 */
    uint8_t  *data;          /* PARE_ALIGN-aligned */
    uint64_t  bytes;         /* of all that a file would hold: header, at, data */
    uint8_t  *image;         /* those bytes, owned */
};

struct pare_team;

/* Makes a matrix from w [rows][cols], of which the weights stay whose bit is set (keep: words uint64_t a row, bit c of row r;
 * struct pare_mask has these). f16 is rounded to nearest, q8_0 encoded as the dense type is, from the row with zeros in place.
 * PARE_E_USAGE: the kind has no such type, cols do not suit it (q8_0: multiples of 32), more than 2 of 4 stay (N24), rows of a panel
 * differ (WIDE), or cols are 2^20 and more. On failure nothing is held. */
int pare_sparse_make(struct pare_sparse *s, enum pare_sparse_kind kind, enum pare_type type, const float *w, uint64_t rows, uint64_t cols,
                     const uint64_t *keep, uint64_t words, struct pare_diag *diag);

/* A GROUP matrix. value = d[r] * scale * (code - zero). cols is a multiple of 32. Groups that are not kept are not looked at. */
struct pare_group4 {
    uint64_t       rows, cols;
    const uint16_t *d;      /* [rows] f16 bits */
    const uint16_t *scale;  /* [rows][cols / 16], 0..4095: d * scale is exact in f32 */
    const uint8_t  *zero;   /* [rows][cols / 16], 0..15 */
    const uint8_t  *code;   /* [rows][cols], 0..15 */
    const uint8_t  *keep;   /* [rows][cols / 16] */
};
int  pare_sparse_make_group(struct pare_sparse *s, const struct pare_group4 *g, struct pare_diag *diag);
void pare_sparse_free(struct pare_sparse *s);

/* Bytes a dense matrix of the type takes. GROUP: codes, scales, zeros of all groups and a d a row, no gaps. */
uint64_t pare_sparse_dense_bytes(enum pare_sparse_kind kind, enum pare_type type, uint64_t rows, uint64_t cols);
/* The share of weights that may stay before a kind takes as many bytes as the dense type: what it stores a weight and what a removed
 * one costs. 0 where it never gains, 1 where it always does (N24: 1/2 stay). TILED f16: 1/2. */
double pare_sparse_break_even(enum pare_sparse_kind kind, enum pare_type type);
/* One sentence for people: bytes against dense; when there is nothing to gain it says so and names the break-even density. */
void pare_sparse_verdict(const struct pare_sparse *s, char *text, size_t size);

/* Cuts the panels into parts of about equal bytes, which is equal work (not equal rows): part i is panels bound[i] .. bound[i + 1]. */
void pare_sparse_split(const struct pare_sparse *s, uint32_t parts, uint32_t *bound);

struct pare_sparse_kernels {
    int tier;
    /* y[t * ldy + r] for the rows r of panels [p0, p1) and all n tokens. Float formats read x (ldx floats apart), the others a (of n rows);
     * what is not read may be NULL. */
    void (*gemm[PARE_SPARSE_KINDS])(float *y, uint64_t ldy, const struct pare_sparse *s, const float *x, uint64_t ldx,
                                    const struct pare_qact *a, uint32_t n, uint32_t p0, uint32_t p1);
};
/* The table of a tier, clamped to what this machine has. Never NULL. */
const struct pare_sparse_kernels *pare_sparse_for(int tier);
static inline bool pare_sparse_int8(const struct pare_sparse *s) { return s->type != PARE_F32 && s->type != PARE_F16; }

#endif
