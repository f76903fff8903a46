/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/vec_tiers.h: the tables that pare_vec_for chooses from, and what a tier gives the shared attention walk. */
#ifndef PARE_KERNEL_VEC_TIERS_H
#define PARE_KERNEL_VEC_TIERS_H

#include "kernel/vec.h"

extern const struct pare_vec pare_vec_ref;
#if defined(__x86_64__)
extern const struct pare_vec pare_vec_avx2, pare_vec_avx512;
#endif

/* The inner loops of attention. Rows lie stride bytes apart with 1-byte alignment; n <= PARE_ATTN_PAGE. */
struct pare_attn_ops {
    /* s[r * PAGE + j] = fma over columns c, ascending, of x[r * ldx + c] * key j [c], from +0, for positions j of panels [p0, p1) of a
     * tile of f32 or f16 keys (kernel/kv_tile.h). */
    void (*scores)(float *s, const uint8_t *tile, bool f16, const float *x, uint64_t ldx, uint32_t dk, uint32_t rows, uint32_t p0, uint32_t p1);
    /* o[i] = fma(p[j], v row j [i], o[i]) for j = 0 .. n - 1. */
    void (*values_f32)(float *o, const float *p, const uint8_t *v, uint64_t stride, uint32_t dv, uint32_t n);
    void (*values_f16)(float *o, const float *p, const uint8_t *v, uint64_t stride, uint32_t dv, uint32_t n);
    /* values_f32 for several rows, o[r] and p + r * PARE_ATTN_PAGE. */
    void (*values_rows)(float *const *o, uint32_t rows, const float *p, const uint8_t *v, uint64_t stride, uint32_t dv, uint32_t n);
    /* Row j in f32 at x + j * ldx. */
    void (*decode_f16)(float *x, uint64_t ldx, const uint8_t *row, uint64_t stride, uint32_t d, uint32_t n);
    /* Positions j0 .. j1 - 1 of a tile of quantized values: position j at x + (j - j0) * ldx. ldx is at least dv rounded up to 32, and all
     * of that is written. */
    void (*decode_tile)(float *x, uint64_t ldx, const uint8_t *tile, enum pare_type type, uint32_t dv, uint32_t j0, uint32_t j1);
    /* s = s * scale over a whole page; returns the largest, which is no NaN. */
    float (*scale_max)(float *s, float scale);
    /* s = exp(s - m), 0 from PARE_ATTN_EXP_LO (fmath_coef.h) down, over a whole page; returns the 16-lane sum. */
    float (*exp_sum)(float *s, float m);
};

/* The recipe of attention over pages (docs/kernels-f32.md), carried out with a tier's inner loops. */
void pare_attn_walk(const struct pare_attn_row *row, uint32_t n, const struct pare_attn *a, void *scratch, const struct pare_vec *v,
                    const struct pare_attn_ops *ops);

void pare_attn_join(const struct pare_attn_row *row, uint32_t dv, const float *part, uint64_t stride, uint32_t n, const struct pare_vec *v);

/* A tier's entries, name_rows, name_join and name. */
#define PARE_ATTN_ENTRIES(linkage, name, table, ops)                                                                   \
    linkage void name##_rows(const struct pare_attn_row *row, uint32_t n, const struct pare_attn *a, void *scratch)    \
    {                                                                                                                  \
        pare_attn_walk(row, n, a, scratch, &table, &ops);                                                              \
    }                                                                                                                  \
    linkage void name##_join(const struct pare_attn_row *row, uint32_t dv, const float *part, uint64_t stride, uint32_t n) \
    {                                                                                                                  \
        pare_attn_join(row, dv, part, stride, n, &table);                                                              \
    }                                                                                                                  \
    linkage void name(float *out, float *lse, const float *q, const struct pare_attn *a, void *scratch)                \
    {                                                                                                                  \
        const struct pare_attn_row row = { q, out, lse, a->pos, a->alibi_slope, a->sink, NULL };                       \
                                                                                                                       \
        name##_rows(&row, 1, a, scratch);                                                                              \
    }

#endif
