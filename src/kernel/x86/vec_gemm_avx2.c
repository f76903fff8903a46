/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/vec_gemm_avx2.c: float products in tiles of 2 rows by 3 tokens: 6 outputs are 12 accumulators, and the two
 * halves of the sixteen lanes are worked on one after the other, so that two weights and one activation are all that the other
 * 4 registers must hold. */
#include "kernel/x86/v16_avx2.h"
#include "kernel/x86/vec_gemm_x86.h"

/* Eight weights from element i on. */
V16 __m256 load_f32(const uint8_t *p, uint64_t i) { return _mm256_loadu_ps((const float *)(const void *)(p + 4 * i)); }
V16 __m256 load_f16(const uint8_t *p, uint64_t i) { return f16x8(p + 2 * i); }
V16 __m256 load_bf16(const uint8_t *p, uint64_t i) { return bf16x8(p + 2 * i); }
V16 v16 load_f32_n(const uint8_t *p, uint64_t i, uint32_t n) { return v_load_n((const float *)(const void *)(p + 4 * i), n); }
V16 v16 load_f16_n(const uint8_t *p, uint64_t i, uint32_t n) { return v_load_f16_n(p + 2 * i, n); }
V16 v16 load_bf16_n(const uint8_t *p, uint64_t i, uint32_t n) { return v_load_bf16_n(p + 2 * i, n); }

#define ZERO(t) v16 a##t##p = v_set1(0.0f), a##t##q = a##t##p;
#define STEP_A(t)                                                                                                      \
    xv = _mm256_loadu_ps(x + (t) * ldx + i);                                                                           \
    a##t##p.a = _mm256_fmadd_ps(w0, xv, a##t##p.a);                                                                    \
    a##t##q.a = _mm256_fmadd_ps(w1, xv, a##t##q.a);
#define STEP_B(t)                                                                                                      \
    xv = _mm256_loadu_ps(x + (t) * ldx + i + 8);                                                                       \
    a##t##p.b = _mm256_fmadd_ps(w0, xv, a##t##p.b);                                                                    \
    a##t##q.b = _mm256_fmadd_ps(w1, xv, a##t##q.b);
#define LAST(t)                                                                                                        \
    xn = v_load_n(x + (t) * ldx + i, left);                                                                            \
    a##t##p = v_keep(a##t##p, v_fma(v0, xn, a##t##p), left);                                                           \
    a##t##q = v_keep(a##t##q, v_fma(v1, xn, a##t##q), left);
#define OUT(t)                                                                                                         \
    out = v_tree4(a##t##p, a##t##q, a##t##p, a##t##q);                                                                 \
    if (rows == 2) _mm_storel_pi((__m64 *)(void *)(y + (t) * ldy), out);                                               \
    else _mm_store_ss(y + (t) * ldy, out);

#define TILE(type, count, TOKENS)                                                                                      \
    static void tile_##type##_##count(float *y, uint64_t ldy, const uint8_t *p0, const uint8_t *p1, uint32_t rows,     \
                                      const float *x, uint64_t ldx, uint64_t k)                                        \
    {                                                                                                                  \
        __m256   w0, w1, xv;                                                                                           \
        __m128   out;                                                                                                  \
        uint64_t i = 0;                                                                                                \
                                                                                                                       \
        TOKENS(ZERO)                                                                                                   \
        for (; i + 16 <= k; i += 16) {                                                                                 \
            w0 = load_##type(p0, i);                                                                                   \
            w1 = load_##type(p1, i);                                                                                   \
            TOKENS(STEP_A)                                                                                             \
            w0 = load_##type(p0, i + 8);                                                                               \
            w1 = load_##type(p1, i + 8);                                                                               \
            TOKENS(STEP_B)                                                                                             \
        }                                                                                                              \
        if (i < k) {                                                                                                   \
            uint32_t left = (uint32_t)(k - i);                                                                         \
            v16      v0 = load_##type##_n(p0, i, left), v1 = load_##type##_n(p1, i, left), xn;                         \
            TOKENS(LAST)                                                                                               \
        }                                                                                                              \
        TOKENS(OUT)                                                                                                    \
    }
#define T1(D) D(0)
#define T3(D) D(0) D(1) D(2)

/* Row tiles outside, tokens inside, as in the larger tier. */
#define GEMM(type)                                                                                                     \
    TILE(type, 1, T1)                                                                                                  \
    TILE(type, 3, T3)                                                                                                  \
    void pare_gemm_##type##_avx2(GEMM_ARGS)                                                                            \
    {                                                                                                                  \
        for (uint64_t r = r0; r < r1; r += 2) {                                                                        \
            uint32_t       rows = r1 - r < 2 ? 1 : 2, t = 0;                                                           \
            const uint8_t *p0 = (const uint8_t *)w + r * w_stride, *p1 = rows == 2 ? p0 + w_stride : p0;               \
                                                                                                                       \
            for (; n - t >= 3; t += 3) tile_##type##_3(y + t * ldy + r, ldy, p0, p1, rows, x + t * ldx, ldx, k);       \
            for (; t < n; t++) tile_##type##_1(y + t * ldy + r, ldy, p0, p1, rows, x + t * ldx, ldx, k);               \
        }                                                                                                              \
    }
GEMM(f32)
GEMM(f16)
GEMM(bf16)
