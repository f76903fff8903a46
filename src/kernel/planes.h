/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/planes.h: products with weights that lie in bit planes, w = sum over planes of coefficient * bit. One layout, read in
 * three ways:
 *   popcount  activations in bit planes too: sum over pairs of planes of coefficient products * popcount (ABQ-LLM, FlexQ; bipolar
 *             numbers by xor: APLLM, arXiv 2409.17870). Any widths 1..8 on both sides. Exact.
 *   lookup    the signed sums of four integer activations in a table of bytes, read by a byte shuffle (LUT Tensor Core,
 *             arXiv 2408.06003). Any weight width, activations of 9 bits at most. Exact.
 *   flookup   the signed sums of eight float activations in a table of floats (LUT-GEMM, arXiv 2206.09557); each plane of each group
 *             has a scale of its own.
 * ref/planes_ref.c defines every result; a tier gives the same bits.
 *
 * Layout. 64 rows are a panel. A row's columns are cut into groups (scales belong to groups), a group into blocks of 8 columns, the last
 * one of a group filled up with columns of bit 0 and activation 0, so a group may have any length. A line is 64 bytes: one plane of one
 * block, bit t = column t of the block; row r of the panel is byte 4 * (r % 16) + r / 16, so that shifting 16 dwords right by 8 j
 * gives rows 16 j .. 16 j + 15 in order. Lines lie [panel][group][block][plane]. */
#ifndef PARE_KERNEL_PLANES_H
#define PARE_KERNEL_PLANES_H

#include <stdbool.h>
#include <stdint.h>

#include <pare/error.h>

#define PARE_PLANE_ROWS 64
#define PARE_PLANE_COLS 8
#define PARE_PLANE_GROUP_MAX 16384 /* the sums of a group stay within 32 bits for 8 bits times 8 bits */

/* What n bits mean. BIPOLAR: sum of (2 b_i - 1) 2^i, the odd numbers from -(2^n - 1) to 2^n - 1; no sign bit, no zero. */
enum pare_plane_kind { PARE_PLANE_UNSIGNED, PARE_PLANE_SIGNED, PARE_PLANE_BIPOLAR };

/* A matrix of weights. data: 64-byte aligned, pare_planes_bytes; owned by whoever allocated it. */
struct pare_planes {
    uint32_t rows, cols, group; /* group: columns that share a scale; the last one may be shorter */
    uint32_t n_groups, n_panels;
    uint32_t group_blocks;      /* blocks of a whole group */
    uint32_t n_blocks;          /* blocks of a row */
    uint32_t bits;
    enum pare_plane_kind kind;
    uint8_t *data;
};
/* Fills everything but data. group 0: the whole row. PARE_E_USAGE: no rows or columns, bits outside 1..8, group too long. */
int pare_planes_shape(struct pare_planes *p, uint32_t rows, uint32_t cols, uint32_t group, uint32_t bits, enum pare_plane_kind kind,
                      struct pare_diag *diag);
static inline uint64_t pare_planes_bytes(const struct pare_planes *p)
{
    return (uint64_t)p->n_panels * p->n_blocks * p->bits * PARE_PLANE_ROWS;
}
/* Blocks of group g, and its columns. */
static inline uint32_t pare_planes_cols(const struct pare_planes *p, uint32_t g)
{
    return g + 1 < p->n_groups ? p->group : p->cols - g * p->group;
}
static inline uint32_t pare_planes_blocks(const struct pare_planes *p, uint32_t g)
{
    return (pare_planes_cols(p, g) + PARE_PLANE_COLS - 1) / PARE_PLANE_COLS;
}
/* The lines of a group of a panel. */
static inline const uint8_t *pare_planes_at(const struct pare_planes *p, uint32_t panel, uint32_t g)
{
    return p->data + ((uint64_t)panel * p->n_blocks + (uint64_t)g * p->group_blocks) * p->bits * PARE_PLANE_ROWS;
}
/* Smallest and largest value of a kind. */
void pare_plane_range(enum pare_plane_kind kind, uint32_t bits, int32_t *lo, int32_t *hi);
/* Writes row r from cols values of the kind. data was zeroed before the first row; every row is put once. */
void pare_planes_put(struct pare_planes *p, uint32_t r, const int16_t *values);
void pare_planes_get(const struct pare_planes *p, uint32_t r, int16_t *values);

/* Integer activations of n tokens in bit planes: a dword per plane, block and token, the block's byte four times. */
struct pare_plane_acts {
    uint32_t n, bits, planes;   /* planes: bits, and for bipolar numbers one more whose bits are all 1 */
    enum pare_plane_kind kind;
    int32_t   coef[9];          /* value = sum of coef * bit over all planes */
    uint32_t *bit;              /* [n][block][planes] */
    int32_t  *sum;              /* [n][group] */
};
uint64_t pare_plane_acts_bytes(const struct pare_planes *w, uint32_t n);
/* Lays a out in mem (64-byte aligned, pare_plane_acts_bytes) and fills it from q [n][w->cols]. */
void pare_plane_acts_set(struct pare_plane_acts *a, void *mem, const struct pare_planes *w, const int16_t *q, uint32_t n, uint32_t bits,
                         enum pare_plane_kind kind);

/* Tables of integer activations in [-256, 255], for products with w: for each four columns the 16 sums with signs, entry i adds
 * column t where bit t of i is set and takes it off where not. Only half of them are computed, the others are their negatives. Each sum is
 * split into s = 32 hi + lo with 0 <= lo < 32, so that eight bytes can be added before one must be widened. Per block 64 bytes:
 * lo, hi of columns 0..3, then of columns 4..7. */
struct pare_plane_tables {
    uint32_t n, run;            /* run: blocks that can be added up in bytes, 2 or 4, by the largest sum */
    bool     narrow;            /* every sum is below 16 in magnitude: lo holds it, signed, and hi is 0 */
    uint8_t *table;             /* [n][block][4][16] */
    int32_t *sum;               /* [n][group] */
};
uint64_t pare_plane_tables_bytes(const struct pare_planes *w, uint32_t n);
void pare_plane_tables_set(struct pare_plane_tables *t, void *mem, const struct pare_planes *w, const int16_t *q, uint32_t n);

/* Tables of float activations of one token: for each block the 256 sums with signs, (a + b) with a, b the sums of four columns,
 * (+-x0 +-x1) + (+-x2 +-x3). 1 KB a block. */
struct pare_plane_ftables {
    float *table;               /* [block][256] */
    float *sum;                 /* [group] entries 255 of the blocks, added in order: the sum of x */
};
uint64_t pare_plane_ftables_bytes(const struct pare_planes *w);
struct pare_plane_ops;
void pare_plane_ftables_set(struct pare_plane_ftables *t, void *mem, const struct pare_planes *w, const float *x, const struct pare_plane_ops *ops);

/* Scales of groups. Floats lie [panel][group][64], alpha [panel][group][plane][64]; rows beyond the last are 0. */
struct pare_plane_scales {
    const float *scale;         /* of the integers */
    const float *zero;          /* NULL, or what is added for each unit of the sum of activations */
    const float *alpha;         /* flookup: of each plane's signs */
};
static inline uint64_t pare_plane_scale_at(const struct pare_planes *p, uint32_t r, uint32_t g)
{
    return ((uint64_t)(r / PARE_PLANE_ROWS) * p->n_groups + g) * PARE_PLANE_ROWS + r % PARE_PLANE_ROWS;
}
static inline uint64_t pare_plane_scales_count(const struct pare_planes *p) { return (uint64_t)p->n_panels * p->n_groups * PARE_PLANE_ROWS; }

/* Integer dot products of panels [p0, p1), all tokens: dot[(t * n_groups + g) * rows + r]. */
void pare_planes_popcount_dot(const struct pare_plane_ops *ops, int32_t *dot, const struct pare_planes *w, const struct pare_plane_acts *a,
                              uint32_t p0, uint32_t p1);
void pare_planes_lookup_dot(const struct pare_plane_ops *ops, int32_t *dot, const struct pare_planes *w, const struct pare_plane_tables *t,
                            uint32_t p0, uint32_t p1);
/* y[t * ldy + r], from +0, for groups in ascending order:
 *     y = fma((float)dot, scale * d[t][g], y);  y = fma(zero, d[t][g] * (float)sum of q, y)       (the second where there is a zero)
 * d [n][n_groups]: scales of the activations. Each product within the brackets is rounded once. */
void pare_planes_popcount(const struct pare_plane_ops *ops, float *y, uint64_t ldy, const struct pare_planes *w, const struct pare_plane_scales *s,
                          const struct pare_plane_acts *a, const float *d, uint32_t p0, uint32_t p1);
void pare_planes_lookup(const struct pare_plane_ops *ops, float *y, uint64_t ldy, const struct pare_planes *w, const struct pare_plane_scales *s,
                        const struct pare_plane_tables *t, const float *d, uint32_t p0, uint32_t p1);
/* y[r], from +0, for groups in ascending order:
 *     for planes i, ascending:  y = fma(alpha_i, sum over blocks, in order, of table[byte of plane i], y)
 *     y = fma(zero, sum of x, y)                                                                  (where there is a zero) */
void pare_planes_flookup(const struct pare_plane_ops *ops, float *y, const struct pare_planes *w, const struct pare_plane_scales *s,
                         const struct pare_plane_ftables *t, uint32_t p0, uint32_t p1);

/* What a tier does for one group of one panel. Pointers to float and dot arrays of 64 need no alignment. */
struct pare_plane_ops {
    int tier;
    /* dot[r] = base + sum over planes i, j of cw[i] * cx[j] * popcount(w_i op x_j), op and or xor; x: [blocks] at distance x_stride. */
    void (*popcount)(int32_t *dot, int32_t base, const uint8_t *w, uint32_t bits, const int32_t *cw, const uint32_t *x, uint32_t x_stride,
                     uint32_t planes, const int32_t *cx, uint32_t blocks, bool by_xor);
    /* dot[r] = base + sum over planes i and halves of blocks of cw[i] * table entry; half of that (it is even) where halve is set. */
    void (*lookup)(int32_t *dot, int32_t base, bool halve, const uint8_t *w, uint32_t bits, const int32_t *cw, const uint8_t *table,
                   uint32_t blocks, uint32_t run, bool narrow);
    /* y[r] = fma(alpha[i * 64 + r], sum of entries, y[r]) for planes i. */
    void (*flookup)(float *y, const uint8_t *w, uint32_t bits, const float *alpha, const float *table, uint32_t blocks);
    /* y[r] = fma((float)dot[r], s[r] * d, y[r]), then with z not NULL y[r] = fma(z[r], dsum, y[r]). dot NULL: the second only. */
    void (*scale)(float *y, const int32_t *dot, const float *s, float d, const float *z, float dsum);
    /* The 256 sums of eight floats. */
    void (*ftable)(float *table, const float *x);
};
/* The table of a tier (enum pare_cpu_tier), clamped to what this machine has. Never NULL. */
const struct pare_plane_ops *pare_plane_ops_for(int tier);

extern const struct pare_plane_ops pare_plane_ops_ref;
#if defined(__x86_64__)
extern const struct pare_plane_ops pare_plane_ops_avx2, pare_plane_ops_avx512;
#endif

#endif
