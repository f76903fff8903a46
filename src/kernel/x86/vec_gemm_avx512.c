/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/vec_gemm_avx512.c: float products in tiles of 4 rows by 6 tokens: 24 accumulators of sixteen lanes, each one
 * output of the 16-lane rule, 4 weights and one activation fill the 32 registers; 10 loads feed 24 multiply-adds. k is never
 * cut: an accumulator lives in its register from the first element to the last, so no order changes. */
#include "kernel/x86/v16_avx512.h"
#include "kernel/x86/vec_gemm_x86.h"

V16 v16 load_f32(const uint8_t *p, uint64_t i) { return _mm512_loadu_ps((const void *)(p + 4 * i)); }
V16 v16 load_f32_n(const uint8_t *p, uint64_t i, uint32_t n) { return _mm512_maskz_loadu_ps(first(n), (const void *)(p + 4 * i)); }
V16 v16 load_f16(const uint8_t *p, uint64_t i) { return v_load_f16(p + 2 * i); }
V16 v16 load_f16_n(const uint8_t *p, uint64_t i, uint32_t n) { return v_load_f16_n(p + 2 * i, n); }
V16 v16 load_bf16(const uint8_t *p, uint64_t i) { return v_load_bf16(p + 2 * i); }
V16 v16 load_bf16_n(const uint8_t *p, uint64_t i, uint32_t n) { return v_load_bf16_n(p + 2 * i, n); }

/* Four rows of one token: stores only those that exist. */
V16 void put(float *y, __m128 v, uint32_t rows) { _mm_mask_storeu_ps(y, (__mmask8)((1u << rows) - 1u), v); }

#define ZERO(t) v16 a##t##0 = v_set1(0.0f), a##t##1 = a##t##0, a##t##2 = a##t##0, a##t##3 = a##t##0;
#define STEP(t)                                                                                                        \
    xv = _mm512_loadu_ps(x + (t) * ldx + i);                                                                           \
    a##t##0 = v_fma(w0, xv, a##t##0);                                                                                  \
    a##t##1 = v_fma(w1, xv, a##t##1);                                                                                  \
    a##t##2 = v_fma(w2, xv, a##t##2);                                                                                  \
    a##t##3 = v_fma(w3, xv, a##t##3);
#define LAST(t)                                                                                                        \
    xv = _mm512_maskz_loadu_ps(m, x + (t) * ldx + i);                                                                  \
    a##t##0 = _mm512_mask3_fmadd_ps(w0, xv, a##t##0, m);                                                               \
    a##t##1 = _mm512_mask3_fmadd_ps(w1, xv, a##t##1, m);                                                               \
    a##t##2 = _mm512_mask3_fmadd_ps(w2, xv, a##t##2, m);                                                               \
    a##t##3 = _mm512_mask3_fmadd_ps(w3, xv, a##t##3, m);
#define OUT(t) put(y + (t) * ldy, v_tree4(a##t##0, a##t##1, a##t##2, a##t##3), rows);

/* A tile: rows row[0..3] (absent ones repeat an earlier one), tokens by TOKENS. */
#define TILE(type, count, TOKENS)                                                                                      \
    static void tile_##type##_##count(float *y, uint64_t ldy, const uint8_t *const row[4], uint32_t rows,              \
                                      const float *x, uint64_t ldx, uint64_t k)                                        \
    {                                                                                                                  \
        const uint8_t *p0 = row[0], *p1 = row[1], *p2 = row[2], *p3 = row[3];                                          \
        v16            w0, w1, w2, w3, xv;                                                                             \
        uint64_t       i = 0;                                                                                          \
                                                                                                                       \
        TOKENS(ZERO)                                                                                                   \
        for (; i + 16 <= k; i += 16) {                                                                                 \
            w0 = load_##type(p0, i);                                                                                   \
            w1 = load_##type(p1, i);                                                                                   \
            w2 = load_##type(p2, i);                                                                                   \
            w3 = load_##type(p3, i);                                                                                   \
            TOKENS(STEP)                                                                                               \
        }                                                                                                              \
        if (i < k) {                                                                                                   \
            uint32_t  left = (uint32_t)(k - i);                                                                        \
            __mmask16 m = first(left);                                                                                 \
            w0 = load_##type##_n(p0, i, left);                                                                         \
            w1 = load_##type##_n(p1, i, left);                                                                         \
            w2 = load_##type##_n(p2, i, left);                                                                         \
            w3 = load_##type##_n(p3, i, left);                                                                         \
            TOKENS(LAST)                                                                                               \
        }                                                                                                              \
        TOKENS(OUT)                                                                                                    \
    }
#define T1(D) D(0)
#define T2(D) D(0) D(1)
#define T4(D) D(0) D(1) D(2) D(3)
#define T6(D) D(0) D(1) D(2) D(3) D(4) D(5)

/* Row tiles outside, tokens inside: the four rows stay in the first cache while all activations of the block pass by. */
#define GEMM(type)                                                                                                     \
    TILE(type, 1, T1)                                                                                                  \
    TILE(type, 2, T2)                                                                                                  \
    TILE(type, 4, T4)                                                                                                  \
    TILE(type, 6, T6)                                                                                                  \
    void pare_gemm_##type##_avx512(GEMM_ARGS)                                                                          \
    {                                                                                                                  \
        for (uint64_t r = r0; r < r1; r += 4) {                                                                        \
            uint32_t       rows = r1 - r < 4 ? (uint32_t)(r1 - r) : 4, t = 0;                                          \
            const uint8_t *row[4];                                                                                     \
                                                                                                                       \
            for (uint32_t j = 0; j < 4; j++) row[j] = (const uint8_t *)w + (r + (j < rows ? j : rows - 1)) * w_stride; \
            for (; n - t >= 6; t += 6) tile_##type##_6(y + t * ldy + r, ldy, row, rows, x + t * ldx, ldx, k);          \
            if (n - t >= 4) {                                                                                          \
                tile_##type##_4(y + t * ldy + r, ldy, row, rows, x + t * ldx, ldx, k);                                 \
                t += 4;                                                                                                \
            }                                                                                                          \
            if (n - t >= 2) {                                                                                          \
                tile_##type##_2(y + t * ldy + r, ldy, row, rows, x + t * ldx, ldx, k);                                 \
                t += 2;                                                                                                \
            }                                                                                                          \
            if (n - t >= 1) tile_##type##_1(y + t * ldy + r, ldy, row, rows, x + t * ldx, ldx, k);                     \
        }                                                                                                              \
    }
GEMM(f32)
GEMM(f16)
GEMM(bf16)
