/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_wide.h: the searches of the encoders on sixteen groups side by side.
 *
 * Lane g of every vector is group g, so that no sum runs across lanes and all the arithmetic of a search (ranges, refits, choices)
 * is done for sixteen groups at once. A group of one lane never sees the others: what comes out for it does not depend on its
 * neighbours. Every tier does the same operations in the same order (enc_wide_recipe.h), without contraction: the same bytes. */
#ifndef PARE_TENSOR_ENC_WIDE_H
#define PARE_TENSOR_ENC_WIDE_H

#include "tensor/enc_search.h"

enum { PARE_ENC_WIDE = 16, PARE_ENC_DRAWS = 48, PARE_ENC_LINE_DRAWS = 32 };

/* Sixteen groups of n = 16 or 32 columns: column i of group g at [16 i + g]. A lane without a group has x = w = 0. */
struct pare_enc_groups {
    int   n;
    _Alignas(64) float x[32 * PARE_ENC_WIDE]; /* a vector that lies across two cache lines loads at half the rate */
    _Alignas(64) float w[32 * PARE_ENC_WIDE];
};
/* Spreads `groups` groups of n columns each, one after the other in x and w, over the lanes. */
void pare_enc_spread(struct pare_enc_groups *to, const float *x, const float *w, int groups, int n);

/* Types without minima: value = scale * level. */
struct pare_enc_scales {
    const struct pare_enc_book *book;
    float s_lo, s_hi;                                  /* of the whole-number scales */
    float want[PARE_ENC_WIDE], curve[PARE_ENC_WIDE];   /* ideal scale and sum of w level^2 there */
    struct pare_enc_groups at;
};
/* Types with minima: value = scale * code + base, code 0 .. 2^bits - 1. */
struct pare_enc_lines {
    int   bits;
    float s_hi;                                        /* of the whole-number scales and minima; the lowest is 0 */
    float base_hi;                                     /* the highest base: 0, or INFINITY for types that store any */
    float scale[PARE_ENC_WIDE], base[PARE_ENC_WIDE];   /* ideal line */
    float slope[PARE_ENC_WIDE];                        /* how the best base falls as the scale grows */
    float curve[PARE_ENC_WIDE], h1[PARE_ENC_WIDE];     /* second derivatives: of the scale with its base following; of the base */
    float bound[PARE_ENC_WIDE];                        /* 1 where the base would have been above base_hi */
    struct pare_enc_groups at;
};
/* What a refit needs, at given codes, with r = x - value: sums of w r code, w r, w code^2, w code. */
struct pare_enc_line_sums {
    float gq[PARE_ENC_WIDE], g1[PARE_ENC_WIDE], hqq[PARE_ENC_WIDE], hq[PARE_ENC_WIDE];
};

/* A path through the windows of a trellis code (trellis.h). A state is a window, its newest code lowest; a history is a window without
 * its newest code: 12 - bits bits. */
enum { PARE_ENC_PATH = 256 };
struct pare_enc_path {
    int            bits;       /* 2, 3 or 4 */
    const float   *value;      /* [1 << bits][1 << (12 - bits)] value of a state, by newest code and history */
    int            n;          /* columns, 1 .. PARE_ENC_PATH */
    int            from, to;   /* histories before the first column and behind the last; -1: any */
    float          y[PARE_ENC_PATH], w[PARE_ENC_PATH]; /* what to come near, in the unit of values; weights, not negative */
    uint8_t        code[PARE_ENC_PATH];                /* result */
};

struct pare_enc_wide {
    /* Ideal scales of the groups. */
    void (*scale_ideal)(struct pare_enc_scales *j);
    /* cost[u], u < PARE_ENC_DRAWS: of rounding the ideal scales of lanes [lo, hi) to multiples of d[u]. */
    void (*scale_costs)(const struct pare_enc_scales *j, int lo, int hi, const float *d, float *cost);
    /* The whole number s within `reach` of near / d with the least error e. */
    void (*scale_place)(const struct pare_enc_scales *j, int reach, const float *near, const float *d, float *s, float *e);
    /* Sums of w x level (g) and w level^2 (h) at given scales: the best scale for these codes is g / h. */
    void (*scale_sums)(const struct pare_enc_scales *j, const float *scale, float *g, float *h);
    /* Sums of w (x - value)^2. */
    void (*scale_errors)(const struct pare_enc_scales *j, const float *scale, float *e);
    /* Where each column falls, laid out as x: a code, or for a table an index of book->code. */
    void (*scale_codes)(const struct pare_enc_scales *j, const float *scale, float *code);

    void (*line_ideal)(struct pare_enc_lines *j);
    /* The same for lines, u < PARE_ENC_LINE_DRAWS. */
    void (*line_scale_costs)(const struct pare_enc_lines *j, int lo, int hi, const float *d, float *cost);
    /* cost[v]: of rounding the bases to multiples of dmin[v], the scales being rounded to multiples of d. */
    void (*line_base_costs)(const struct pare_enc_lines *j, int lo, int hi, float d, const float *dmin, float *cost);
    /* Whole numbers s within `reach` of near (NULL: of the ideal scales), for each the minima m within reach_m of what its codes ask for: the least error e. */
    void (*line_place)(const struct pare_enc_lines *j, int reach, int reach_m, const float *near, const float *d, const float *dmin, float *s,
                       float *m, float *e);
    void (*line_sums)(const struct pare_enc_lines *j, const float *scale, const float *base, struct pare_enc_line_sums *sums);
    void (*line_errors)(const struct pare_enc_lines *j, const float *scale, const float *base, float *e);
    void (*line_codes)(const struct pare_enc_lines *j, const float *scale, const float *base, float *code);

    /* The codes of least sum of w (y - value)^2. */
    void (*path)(struct pare_enc_path *j);
};
extern const struct pare_enc_wide pare_enc_wide_plain;

/* Encoders are reached through the rows of dtype.h, whose signature has no room for a tier; so each thread says once whose operations
 * it wants. NULL: plain C, as at the thread's start. */
void pare_enc_use(const struct pare_enc_wide *wide);
const struct pare_enc_wide *pare_enc_wide_now(void);

/* The code of a column from what scale_codes gave. */
static inline uint8_t pare_enc_code_at(const struct pare_enc_book *b, float at) { return b->table ? b->code[(int)at] : (uint8_t)(int)at; }

#endif
