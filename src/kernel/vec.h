/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/vec.h: everything in f32: float matrix products, norms, activations, rotary, softmax, attention. Each result has
 * one recipe (docs/kernels.md); ref/ carries it out in plain C, the tiers are only faster ways, bit for bit.
 *
 * The 16-lane rule: element i belongs to lane i mod 16; a lane accumulates its elements in ascending order with fma from +0;
 * the lanes are added as a tree: l[i] += l[i+8] (i<8), l[i] += l[i+4] (i<4), l[i] += l[i+2] (i<2), l[0] + l[1]. */
#ifndef PARE_KERNEL_VEC_H
#define PARE_KERNEL_VEC_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/dtype.h"

enum pare_act {
    PARE_ACT_NONE, PARE_ACT_SILU, PARE_ACT_GELU, PARE_ACT_GELU_TANH, PARE_ACT_RELU, PARE_ACT_RELU2, PARE_ACT_QUICK_GELU,
    PARE_ACT_TANH, PARE_ACT_SIGMOID
};

/* One segment of cached keys and values of one KV head: n positions pos0 .. pos0 + n - 1.
 * Keys lie in tiles (kernel/kv_tile.h): k is the tile of the page that holds the positions, and the segment does not reach past that
 * page. So do values of a quantized type. Values in f32 or f16 lie in rows: those of position pos0 + j at v + j * v_stride. */
struct pare_kv_seg {
    const uint8_t *k, *v;
    uint64_t v_stride;            /* bytes between positions */
    uint32_t pos0, n;
};

/* One query row of one head against its segments, in position order. Pages of PARE_ATTN_PAGE absolute positions are the fixed
 * split: online softmax state is updated once a page, whatever the segments' borders, so batch and threads change no bit. After every
 * PARE_ATTN_CHUNK positions the state is put aside and joined, so that threads may take chunks. */
#define PARE_ATTN_PAGE 64
#define PARE_ATTN_CHUNK 512
struct pare_gemmq;
struct pare_attn {
    const struct pare_kv_seg *seg;
    uint32_t n_seg;
    enum pare_type k_type, v_type;     /* PARE_F32, PARE_F16, or a type of kernel/kv_tile.h */
    const struct pare_gemmq *mm;       /* products with quantized keys; NULL when there are none */
    uint32_t dk, dv;                   /* width of keys and of values */
    uint32_t pos;                      /* position of the query: keys with position <= pos are visible (causal) */
    uint32_t window;                   /* 0: all; else only positions > pos - window */
    bool     causal;                   /* false: every key is visible */
    float    scale;                    /* score = scale * (q . k) */
    float    softcap;                  /* 0: none; else score = cap * tanh(score / cap) */
    float    alibi_slope;              /* 0: none; score += slope * key_position (after scale) */
    bool     alibi_bf16;               /* Falcon's quirk: slope and slope*position rounded to bf16, added before scaling */
    const float *sink;                 /* NULL, or one extra logit that takes part in the softmax without a value */
};

/* One of several query rows that look at the same keys and values: heads of a group, consecutive positions of a session. */
#define PARE_ATTN_ROWS 32 /* at most in one call */
struct pare_attn_row {
    const float *q;      /* [dk] */
    float *out, *lse;    /* [dv]; lse may be NULL */
    uint32_t pos;        /* these three stand for the fields of pare_attn */
    float    alibi_slope;
    const float *sink;
    float *part;         /* NULL, or [2 + dv]: the state of one chunk goes here; out, lse and sink are not looked at */
};

struct pare_vec {
    int tier;
    /* y[t * ldy + r] = dot16(w row r, x row t), r in [r0, r1), t in [0, n). w rows w_stride bytes apart, 1-byte alignment. */
    void (*gemm_f32)(float *y, uint64_t ldy, const void *w, uint64_t w_stride, const float *x, uint64_t ldx, uint64_t k, uint64_t r0, uint64_t r1, uint32_t n);
    void (*gemm_f16)(float *y, uint64_t ldy, const void *w, uint64_t w_stride, const float *x, uint64_t ldx, uint64_t k, uint64_t r0, uint64_t r1, uint32_t n);
    void (*gemm_bf16)(float *y, uint64_t ldy, const void *w, uint64_t w_stride, const float *x, uint64_t ldx, uint64_t k, uint64_t r0, uint64_t r1, uint32_t n);
    float (*dot)(const float *a, const float *b, uint64_t n);
    float (*sum)(const float *a, uint64_t n);             /* 16 lanes, plain adds */
    float (*max)(const float *a, uint64_t n);             /* -inf for n == 0 */
    /* y = x / sqrt(mean(x^2) + eps) * (w + w_add); w NULL: no weight. mean by dot16 / n. In place allowed. */
    void (*rmsnorm)(float *y, const float *x, const float *w, float w_add, float eps, uint64_t n);
    /* y = (x - mean) / sqrt(var + eps) * (w + w_add) + b; w, b may be NULL. In place allowed. */
    void (*layernorm)(float *y, const float *x, const float *w, float w_add, const float *b, float eps, uint64_t n);
    void (*add)(float *y, const float *a, const float *b, uint64_t n);            /* y = a + b */
    void (*axpy)(float *y, float a, const float *x, uint64_t n);                  /* y = fma(a, x, y) */
    void (*scale)(float *y, const float *x, float a, uint64_t n);                 /* y = a * x */
    void (*mul)(float *y, const float *a, const float *b, uint64_t n);            /* y = a * b */
    void (*act)(float *y, const float *x, enum pare_act act, uint64_t n);         /* in place allowed */
    void (*act_mul)(float *y, const float *gate, const float *up, enum pare_act act, uint64_t n); /* y = act(gate) * up */
    /* Rotary on one head of width 2 * half starting at x. cs: [half][2] cos, sin of this position.
     * interleaved false: pairs (i, i + half) (NeoX, Hugging Face); true: pairs (2i, 2i + 1). */
    void (*rope)(float *x, const float *cs, uint32_t half, bool interleaved);
    void (*softcap)(float *x, float cap, uint64_t n);     /* cap * tanh(x / cap) */
    /* softmax in place; returns nothing. max, exp(x - max), 16-lane sum, multiply by 1 / sum. */
    void (*softmax)(float *x, uint64_t n);
    /* log sum exp of x as a double (for likelihoods): max + log(sum of exp(x - max)), the sum in f64 over f32 exps in 16 lanes */
    double (*logsumexp)(const float *x, uint64_t n);
    void (*exp)(float *y, const float *x, uint64_t n);
    /* One query head row: out[dv], *lse (may be NULL) = log of the softmax denominator. scratch: pare_attn_scratch bytes, 64-byte aligned. */
    void (*attention)(float *out, float *lse, const float *q, const struct pare_attn *a, void *scratch);
    /* n <= PARE_ATTN_ROWS rows at once, each with the bits that it has alone: pages are read and decoded once for all. */
    void (*attention_rows)(const struct pare_attn_row *row, uint32_t n, const struct pare_attn *a, void *scratch);
    /* The result from the states of n chunks in the order of positions, part i at part + i * stride: the bits of one call. */
    void (*attention_join)(const struct pare_attn_row *row, uint32_t dv, const float *part, uint64_t stride, uint32_t n);
    /* f32 row to KV type and back is done with pare_kv_store_row / tensor types */
    void (*store_f16)(uint16_t *dst, const float *src, uint64_t n);
    void (*store_q8)(uint8_t *dst, const float *src, uint64_t n); /* q8_0 blocks, n padded to 32 with zeros; amax/127, nearest even */
};
const struct pare_vec *pare_vec_for(int tier); /* clamped to the machine; never NULL */
uint64_t pare_attn_scratch(uint32_t dk, uint32_t dv);

/* Scalar definitions of the functions above, identical bits in every tier (src/kernel/ref/fmath.c). Errors: <= 2 ulp exp,
 * <= 3 ulp the others in the ranges of docs/kernels.md. */
float pare_expf(float x);
float pare_logf(float x);
float pare_tanhf(float x);
float pare_erff(float x);
void  pare_sincosf_pos(double angle, float *s, float *c); /* rotary tables: angle reduced in double, result rounded to f32 */
double pare_log(double x);  /* correctly rounded is not needed: same bits everywhere is */
double pare_exp(double x);
double pare_pow(double x, double y);

#endif
