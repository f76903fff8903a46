/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_vnni.c: quantized products with AVX-512 VNNI. vpdpbusd multiplies four unsigned codes by four signed
 * activations and adds them to a 32-bit lane, exact for all codes. What codes are too large by (their offset, or 128 for
 * table values) is taken off before: the accumulator starts at minus that times the activations' sum. */
#include "kernel/x86/gemmq_quant_zmm.h"
#include "tensor/dtype_list.h"

enum { CLASS_ANY, CLASS_COUNT };
#define TILE_TOKENS 12 /* chains side by side: two dot instructions a cycle, each five cycles long */
#define DIRECT_TOKENS 8
#define DIRECT_TILES(X, k, g, m) X(k, g, m, 1) X(k, g, m, 2) X(k, g, m, 3) X(k, g, m, 4) X(k, g, m, 6) X(k, g, m, 8)
#define DENSE_CLASSES(X) X(CLASS_ANY)
#define DENSE_TILES(X, c, g, m) X(c, g, m, 1) X(c, g, m, 2) X(c, g, m, 3) X(c, g, m, 4) X(c, g, m, 6) X(c, g, m, 8) X(c, g, m, 12)

VIN int code_class(int kind) { return (void)kind, CLASS_ANY; }
VIN int32_t code_bias(int kind, int offset) { return kind >= PARE_CODE_L2 ? -128 : offset; }
VIN int8_t code_lut(int8_t v) { return (int8_t)(v ^ -128); }
VIN VI vi_byte(VI v) { return v; }
VIN int code_bytes(int kind) { return kind == PARE_CODE_A8 ? 512 : kind >= PARE_CODE_T2 ? 128 + 64 * (kind - PARE_CODE_T2) : kind >= PARE_CODE_L2 ? 128 + 64 * (kind - PARE_CODE_L2) : 128 + 64 * kind; }

/* Twelve accumulators of integers and twelve of floats fill the registers, so activations come from memory, spread to all lanes
 * by the instruction itself (the compiler would load them into a register first). The vector of codes is outside: neighbouring
 * instructions then belong to different chains, and the core need not look far ahead to stay busy. */
typedef int32_t four __attribute__((may_alias, aligned(1)));
VIN VI dot4(VI acc, VI w, const int8_t *x)
{
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const four *)(const void *)x));
    return acc;
}
#define PARE_DOT4 dot4

/* s * (code + offset) + fold for the 64 codes of a vector, whose rows' scales are the 16 bytes at s: products of 16 bits, of which the low
 * bytes are the result. */
VIN VI fold_codes(VI v, const uint8_t *s, int offset, int fold)
{
    const __m128i row = _mm_loadu_si128((const __m128i *)(const void *)s);
    const VI s16 = _mm512_cvtepi8_epi16(_mm256_set_m128i(_mm_unpackhi_epi8(row, row), _mm_unpacklo_epi8(row, row))), low = _mm512_set1_epi16(255);
    const VI add = _mm512_add_epi16(_mm512_mullo_epi16(s16, _mm512_set1_epi16((short)offset)), _mm512_set1_epi16((short)fold));
    const VI even = _mm512_add_epi16(_mm512_mullo_epi16(_mm512_and_si512(v, low), s16), add);
    const VI odd = _mm512_add_epi16(_mm512_mullo_epi16(_mm512_srli_epi16(v, 8), s16), add);

    return _mm512_or_si512(_mm512_and_si512(even, low), _mm512_slli_epi16(odd, 8));
}
#define PARE_FOLD fold_codes

#include "kernel/x86/gemmq_tile.h"
#include "kernel/x86/gemmq_scores.h"

static const char *describe(enum pare_type t)
{
    static const char *const names[PARE_TYPE_COUNT] = PARE_GEMMQ_NAMES(vnni);

    return (unsigned)t < PARE_TYPE_COUNT && (pare_dtype_of(t)->caps & PARE_DT_QUANT) ? names[t] : NULL;
}

const struct pare_gemmq pare_gemmq_vnni = {
    .tier = 3, .quantize = quantize, .gemm = gemm, .scores = scores, .token_tile = 96, .describe = describe,
};
