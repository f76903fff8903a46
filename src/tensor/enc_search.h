/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_search.h: what the encoders share: the levels a code can stand for, the error of a group at a given scale, and
 * the search for the scale of least error.
 *
 * Objective: sum of w[i] * (x[i] - value[i])^2, value in the arithmetic of the decoder (scales already rounded to f16). w is the
 * importance the caller gave, or 1. Nothing else is mixed in.
 *
 * Arithmetic: plain f32, reductions by the 16-lane rule (element i belongs to lane i mod 16, lanes are added in one tree), no
 * contraction. A faster tier that keeps the lanes gives the same bytes.
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

/* Error of one group at a scale, and what a refit needs with r = x - scale * level:
 * e = sum w r^2, g = sum w r level, h = sum w level^2. Best scale for these codes: scale + g / h, error e - g^2 / h. */
struct pare_enc_fit {
    float e, g, h;
};
/* n = 16 or 32. */
struct pare_enc_fit pare_enc_probe(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale);
float pare_enc_error(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale);
/* Codes (0 .. levels - 1) at a scale; scale 0 gives the level nearest to zero. */
void pare_enc_codes(const struct pare_enc_book *b, const float *x, int n, float scale, uint8_t *code);

/* The best unrestricted scale of a group; *curve is h there. 0 for a group of zeros. */
float pare_enc_ideal(const struct pare_enc_book *b, const float *x, const float *w, int n, float *curve);

/* The best whole number s in [lo, hi] for value = d * s * level, near `want` = the ideal scale; reach: steps tried to each side. */
int pare_enc_best_sub(const struct pare_enc_book *b, const float *x, const float *w, int n, float d, float want, int lo, int hi,
                      int reach, float *error);

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

/* The f16 scale of least error of a block of 32 columns with nothing else to share. */
float pare_enc_block_scale(const struct pare_enc_book *b, const float *x, const float *w, int k, uint16_t *bits);

/* Candidates for d: u is 0 .. PARE_ENC_TRIES - 1; `extreme` is the ideal scale of largest magnitude. */
enum { PARE_ENC_TRIES = 40 };
float pare_enc_try_d(float extreme, int u, int s_lo, int s_hi, int k, uint16_t *bits);
/* What rounding to a whole s costs at d, by the curvature at the ideal scale. */
float pare_enc_round_cost(float want, float curve, float d, int s_lo, int s_hi);

#endif
