/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_search.h: what the encoders share: the levels a code can stand for, and the scaling of a row. The
 * searches are in enc_wide.h.
 *
 * Objective: sum of w[i] * (x[i] - value[i])^2, value in the arithmetic of the decoder (scales already rounded to f16). w is the
 * importance the caller gave, or 1. Nothing else is mixed in.
 *
 * Arithmetic: plain f32, no contraction, sums in the order of the columns. A faster tier does the same on sixteen groups at once and
 * gives the same bytes.
 *
 * A block is first multiplied by a power of two so that its largest magnitude lies in [0.5, 1): squares then neither overflow nor
 * vanish. `k` below is that exponent: real value = scaled value * 2^k. */
#ifndef PARE_TENSOR_ENC_SEARCH_H
#define PARE_TENSOR_ENC_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

enum { PARE_ENC_TAB = 512, PARE_ENC_KEEP = 8 };

/* The levels of a type without minimum: value = scale * level. Affine (lo..hi, whole numbers) or a table of int8 values. */
struct pare_enc_book {
    bool    table;
    bool    both;              /* try both signs of the scale everywhere: the levels are far from symmetric */
    float   lo, hi;            /* lowest and highest level */
    float   ext;               /* the larger magnitude of the two */
    float   t0, t1;            /* range of scale * ext / max|x| in which the best scale is sought */
    int     n_grid;            /* points in that range */
    int     keep, reach;       /* candidates for a shared scale judged exactly; whole numbers tried to each side of the ideal */
    float   near[PARE_ENC_TAB];/* table: nearest level of y at floor(2 y) + 256; midpoints of whole numbers are multiples of 1/2 */
    uint8_t code[PARE_ENC_TAB];
    /* The same levels in 32 cells of 16 table entries, for tiers that look up in registers: lower below entry `step`, upper from it
     * on. `stepped`: no cell has two steps. */
    bool    stepped;
    _Alignas(64) float lower[32];
    float   upper[32];
    int32_t step[32];
};
/* bits 2..8, levels -2^(bits-1) .. 2^(bits-1) - 1; for 8 bits -127..127. */
void pare_enc_book_affine(struct pare_enc_book *b, int bits);
/* n = 4, 8 or 16 ascending values. */
void pare_enc_book_table(struct pare_enc_book *b, const int8_t *lut, int n);

/* Scaling of a block (a row, for our own types): powers of two for the values and for the weights. */
struct pare_enc_unit {
    int    k;        /* real value = scaled value * 2^k */
    float  up;       /* 2^-k */
    double w_up;
    bool   weighted; /* some weight is above 0 */
};
struct pare_enc_unit pare_enc_unit_of(const float *src, const float *importance, uint64_t n);
/* Copies `have` columns scaled to [-1, 1] into x[n] and their weights into w[n] (1 where importance is NULL or nowhere above 0);
 * columns from `have` on are padding: both 0. Groups of `group` columns without any weight get a faint one, so that their codes
 * stay sensible. */
void pare_enc_load(const struct pare_enc_unit *u, float *x, float *w, const float *src, const float *importance, int have, int n,
                   int group);

/* Rounds a scaled value to f16: *bits what to store, result the value in the scaled domain. Clamps to +-65504. */
float pare_enc_f16(float scaled, int k, uint16_t *bits);

/* x * 2^k as ldexpf, without the call; |k| <= 250. */
float pare_enc_scaled_by(float x, int k);

#endif
