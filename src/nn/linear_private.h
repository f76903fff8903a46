/* SPDX-License-Identifier: Apache-2.0
 * src/nn/linear_private.h: one application of linears on its way: what the pieces of linear.c share with the parts of linear_part.c. */
#ifndef PARE_NN_LINEAR_PRIVATE_H
#define PARE_NN_LINEAR_PRIVATE_H

#include "nn/linear.h"

#define TILE_ROWS 128     /* most rows of a piece: 8 panels, as many as a kernel unpacks at once */
#define TILE_TOKENS 288   /* most tokens at once: weights are unpacked, and read, once for all of them; more are cut, which saves scratch */
#define LATER_TOKENS 96   /* tokens for which the sums of a later part wait in scratch */
#define DECODE_ROWS 8     /* rows decoded at once on the reference path */

static inline uint64_t up64(uint64_t n) { return (n + (PARE_ALIGN - 1)) & ~(uint64_t)(PARE_ALIGN - 1); }

struct apply {
    const struct pare_linear_out *out;
    const struct pare_vec    *vk;
    const struct pare_gemmq  *qk;
    const struct pare_entries_kernel *sk;
    const float *x;
    uint64_t     ldx;
    uint32_t     n_out, n;
    uint32_t     first;        /* token of the whole batch that token 0 is */
    uint32_t     tile_rows, tile_tokens, n_ttiles;
    bool         int8;         /* qact holds x */
    struct pare_qact qact;
    uint8_t     *inner;        /* inputs of the parts that have their own, one part after another */
    uint8_t     *worker;       /* scratch of worker 0 */
    uint64_t     worker_bytes;
    uint32_t     q_rows;       /* activation rows made by one chunk */
};

/* A piece of one output: rows [r0, r1), tokens [t0, t1). */
struct piece {
    uint64_t r0, r1;
    uint32_t t0, t1;
};

/* What a matrix multiplies: rows of floats and, for packed ones, the same as int8. */
struct operand {
    const float     *x;
    uint64_t         ldx;
    struct pare_qact q;
};

/* The input that part k of output o has for itself: [n][width] floats, then the int8 form where int8. bytes 0: it takes x. */
struct inner {
    uint64_t width, bytes;
    bool     int8;
    float   *x;
    struct pare_qact q;
};
struct inner pare_linear_inner(const struct apply *a, uint32_t o, uint32_t k);

/* Makes these inputs, in up to three parallel steps; x is quantized in the first. */
void pare_linear_prepare(struct apply *a, struct pare_team *team);
/* Each part writes y[(t - t0) * ldy + (r - r0)] of its piece. decoded: scratch of DECODE_ROWS rows. */
void pare_linear_run_part(const struct apply *a, uint32_t o, uint32_t k, const struct piece *c, float *y, uint64_t ldy, float *decoded);

#endif
