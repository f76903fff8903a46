/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_avx512.c: quantized products with AVX-512 F, BW, DQ, VL but no VNNI. */
#include "kernel/x86/gemmq_quant_zmm.h"
#include "tensor/dtype_list.h"

#define DIRECT_TOKENS 4
#define DIRECT_TILES(X, k, g, m) X(k, g, m, 1) X(k, g, m, 2) X(k, g, m, 3) X(k, g, m, 4)
#define TILE_TOKENS 16
#define DENSE_TILES(X, c, g, m) X(c, g, m, 1) X(c, g, m, 2) X(c, g, m, 4) X(c, g, m, 8) X(c, g, m, 16)

VIN VI vi_xor(VI a, VI b) { return _mm512_xor_si512(a, b); }
VIN VI vi_add16(VI a, VI b) { return _mm512_add_epi16(a, b); }
VIN VI vi_pairs(VI w, VI x) { return _mm512_maddubs_epi16(w, x); }
VIN VI vi_widen(VI v) { return _mm512_madd_epi16(v, _mm512_set1_epi16(1)); }
VIN VI vi_signed_pairs(VI w, VI x)
{
    return _mm512_maddubs_epi16(_mm512_abs_epi8(w), _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x));
}

#include "kernel/x86/gemmq_maddubs.h"
#include "kernel/x86/gemmq_tile.h"
#include "kernel/x86/gemmq_scores.h"

static const char *describe(enum pare_type t)
{
    static const char *const names[PARE_TYPE_COUNT] = PARE_GEMMQ_NAMES(avx512);

    return (unsigned)t < PARE_TYPE_COUNT && (pare_dtype_of(t)->caps & PARE_DT_QUANT) ? names[t] : NULL;
}

const struct pare_gemmq pare_gemmq_avx512 = {
    .tier = 2, .quantize = quantize, .gemm = gemm, .scores = scores, .token_tile = 64, .describe = describe,
};
