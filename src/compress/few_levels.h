/* SPDX-License-Identifier: Apache-2.0
 * src/compress/few_levels.h: rounding of groups to few whole numbers times a scale, as bit planes hold them: grids with lo and hi of any
 * balance, symmetric activations, and the two extremes of few bits (five levels in place of four, six bits for everything). Plain round to
 * nearest: ties to even. Scales are what an f16 holds.
 *
 * ABQ-LLM (arXiv 2408.08554) stretches two bits to five levels, {-2 .. 2} with a scale of a quarter of the range, because a grid that is
 * not balanced around 0 moves the mean of weights that are. FlexQ (arXiv 2508.04405) keeps weights in 6 bits by groups of 128 and rounds
 * activations by token and group of 128 to 6 bits, to 8 in front of the matrices that suffer most. */
#ifndef PARE_COMPRESS_FEW_LEVELS_H
#define PARE_COMPRESS_FEW_LEVELS_H

#include <stdbool.h>
#include <stdint.h>

#include <pare/error.h>

#define PARE_FLEXQ_GROUP 128
#define PARE_FLEXQ_BITS 6

/* A grid of whole numbers lo .. hi, lo < 0 < hi. */
struct pare_levels {
    int32_t lo, hi;
    bool    search; /* the range is shrunk in steps of 5 % down to 0.4 of it as long as the weighted squared error falls */
};

/* pare_levels_group rounds n weights to codes q; w becomes code * scale. The range is 2 max|w| and the scale range / (hi - lo).
 * importance [n] or NULL for 1 each. @return the scale; 0 where every weight is 0 or one is not finite (codes and weights are 0 then). */
float pare_levels_group(int16_t *q, float *w, const float *importance, uint32_t n, const struct pare_levels *g);
/* All groups of w [rows][cols]; the last one of a row may be short. q [rows][cols] and scale [rows][groups] may be NULL. */
int pare_levels_round(float *w, int16_t *q, float *scale, uint64_t rows, uint64_t cols, uint32_t group, const float *importance,
                    const struct pare_levels *g, struct pare_diag *diag);
/* Four levels anywhere: scale (max - min) / 3 and a whole zero point, the plain rounding to 2 bits that others are compared with. */
void pare_two_bit_group(float *w, uint32_t n);

/* Activations of one token: groups of `group` columns, scale max|x| / (2^(bits-1) - 1), x becomes code * scale. q and d may be NULL.
 * A group with a number that is not finite stays as it is (codes 0). */
void pare_round_token(float *x, int16_t *q, float *d, uint64_t cols, uint32_t group, uint32_t bits);

/* Which kinds of matrices need 8 bits: those whose loss, measured alone, is above the mean of all. */
void pare_flexq_sensitive(const double *loss, uint32_t n, bool *wide);

#endif
