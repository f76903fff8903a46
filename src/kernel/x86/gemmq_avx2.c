/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_avx2.c: quantized products with AVX2, FMA and F16C: 32-byte vectors, a panel in two halves of 8 rows. */
#include <immintrin.h>
#include <string.h>

#include "kernel/gemmq_layout.h"
#include "tensor/dtype_list.h"

#define VI __m256i
#define VF __m256
#define VSTEP 32
#define PARTS 2
#define VIN static inline __attribute__((always_inline))

VIN VI vi_load(const void *p) { return _mm256_loadu_si256(p); }
VIN void vi_store(void *p, VI v) { _mm256_storeu_si256(p, v); }
VIN VI vi_set8(char c) { return _mm256_set1_epi8(c); }
VIN VI vi_set32(int32_t v) { return _mm256_set1_epi32(v); }
VIN VI vi_zero(void) { return _mm256_setzero_si256(); }
VIN VI vi_add(VI a, VI b) { return _mm256_add_epi32(a, b); }
VIN VI vi_mul(VI a, VI b) { return _mm256_mullo_epi32(a, b); }
VIN VI vi_pair_sums(const int32_t *p) /* p[2i] + p[2i + 1] */
{
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(vi_load(p), vi_load(p + 8)), 0xd8);
}
VIN VI vi_add8(VI a, VI b) { return _mm256_add_epi8(a, b); }
VIN VI vi_xor3(VI a, VI b, VI c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
VIN VI vi_and(VI a, VI b) { return _mm256_and_si256(a, b); }
VIN VI vi_xor(VI a, VI b) { return _mm256_xor_si256(a, b); }
VIN VI vi_or_and(VI a, VI b, VI mask) { return _mm256_or_si256(a, _mm256_and_si256(b, mask)); }
VIN VI vi_shuffle(VI table, VI i) { return _mm256_shuffle_epi8(table, i); }
VIN VI vi_lut(const int8_t *p) { return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p)); }
#define vi_srl(v, n) _mm256_srli_epi16(v, n)
#define vi_sll(v, n) _mm256_slli_epi16(v, n)
VIN VF vf_zero(void) { return _mm256_setzero_ps(); }
VIN VF vf_load(const void *p) { return _mm256_loadu_ps(p); }
VIN void vf_store(float *p, VF v) { _mm256_storeu_ps(p, v); }
VIN VF vf_set1(float f) { return _mm256_set1_ps(f); }
VIN VF vf_add(VF a, VF b) { return _mm256_add_ps(a, b); }
VIN VF vf_mul(VF a, VF b) { return _mm256_mul_ps(a, b); }
VIN VF vf_fma(VF a, VF b, VF c) { return _mm256_fmadd_ps(a, b, c); }
VIN VF vf_fnma(VF a, VF b, VF c) { return _mm256_fnmadd_ps(a, b, c); }
VIN VF vf_bits(VI v) { return _mm256_castsi256_ps(v); }
VIN VF vf_from_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
VIN VF vf_from_s8(const void *p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p))); }
VIN VF vf_from_u8(const void *p) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p))); }
VIN VF vf_clean(VF v)
{
    return _mm256_blendv_ps(v, _mm256_castsi256_ps(_mm256_set1_epi32((int)PARE_NAN_BITS)), _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
}
VIN VI vi_acts(const int8_t *x)
{
    int32_t v;

    memcpy(&v, x, sizeof v);
    return _mm256_set1_epi32(v);
}
VIN VI vi_add16(VI a, VI b) { return _mm256_add_epi16(a, b); }
VIN VI vi_pairs(VI w, VI x) { return _mm256_maddubs_epi16(w, x); }
VIN VI vi_widen(VI v) { return _mm256_madd_epi16(v, _mm256_set1_epi16(1)); }
VIN VI vi_signed_pairs(VI w, VI x) { return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)); }

/* 16 registers: four accumulators, the codes of half a block, and what the dot itself needs */
#define DIRECT_TOKENS 4
#define DIRECT_TILES(X, k, g, m) X(k, g, m, 1) X(k, g, m, 2) X(k, g, m, 3) X(k, g, m, 4)
#define TILE_TOKENS 4
#define DENSE_TILES(X, c, g, m) X(c, g, m, 1) X(c, g, m, 2) X(c, g, m, 3) X(c, g, m, 4)

#include "kernel/x86/gemmq_maddubs.h"
#include "kernel/x86/gemmq_tile.h"
#include "kernel/x86/gemmq_scores.h"

/* ---- activations (ref/gemmq_ref.c: quantize_block) ---- */

static uint32_t reduce_max(__m256i v)
{
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(m);
}

static int32_t reduce_add(__m256i v)
{
    __m128i m = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

    m = _mm_add_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_add_epi32(m, _mm_shuffle_epi32(m, 0xb1));
    return _mm_cvtsi128_si32(m);
}

static void quantize_block(const struct pare_qact *a, uint64_t at, const float *x)
{
    const __m256i mask = _mm256_set1_epi32(0x7fffffff), order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i v[4], top = _mm256_setzero_si256();
    int32_t sum0, sum1;
    uint32_t amax;
    float d = 0;

    for (int i = 0; i < 4; i++) top = _mm256_max_epu32(top, _mm256_and_si256(vi_load(x + 8 * i), mask));
    amax = reduce_max(top);
    for (int i = 0; i < 4; i++) v[i] = _mm256_setzero_si256();
    if (amax >= PARE_QACT_MAX_BITS) {
        d = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)PARE_NAN_BITS)));
    } else if (amax >= PARE_QACT_MIN_BITS) {
        const float f = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)amax)));
        const __m256 inv = _mm256_set1_ps(127.0f / f);

        d = pare_qact_scale(f);
        for (int i = 0; i < 4; i++) v[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inv));
    }
    /* packs work within halves of 16 bytes; the last permutation puts the columns back in order */
    vi_store(a->q + at * PARE_QBLOCK, _mm256_permutevar8x32_epi32(
        _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3])), order));
    sum0 = reduce_add(_mm256_add_epi32(v[0], v[1]));
    sum1 = reduce_add(_mm256_add_epi32(v[2], v[3]));
    pare_qact_put_scales(a, at, d, sum0, sum1);
}

static void quantize(const struct pare_qact *a, const float *x, uint64_t ldx, uint32_t r0, uint32_t r1)
{
    const uint32_t full = a->k / PARE_QBLOCK, rest = a->k % PARE_QBLOCK;

    for (uint32_t r = r0; r < r1; r++) {
        const float *src = x + r * ldx;

        for (uint32_t b = 0; b < full; b++, src += PARE_QBLOCK) quantize_block(a, pare_qact_block(a, r, b), src);
        if (rest != 0) {
            float last[PARE_QBLOCK] = { 0 };

            memcpy(last, src, rest * sizeof *src);
            quantize_block(a, pare_qact_block(a, r, full), last);
        }
    }
}

static const char *describe(enum pare_type t)
{
    static const char *const names[PARE_TYPE_COUNT] = PARE_GEMMQ_NAMES(avx2);

    return (unsigned)t < PARE_TYPE_COUNT && (pare_dtype_of(t)->caps & PARE_DT_QUANT) ? names[t] : NULL;
}

const struct pare_gemmq pare_gemmq_avx2 = {
    .tier = 1, .quantize = quantize, .gemm = gemm, .scores = scores, .token_tile = 64, .describe = describe,
};
