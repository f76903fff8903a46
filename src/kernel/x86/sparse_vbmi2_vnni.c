/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_vbmi2_vnni.c: sparse products with the dot instruction and expansion of bytes and words (VBMI2: Ice Lake, Zen 4 and
 * later). Chosen at run time beside the vnni tier; results are the same. */
#include "kernel/x86/sparse_dot_vnni.h"
#include "kernel/x86/sparse_spread_zmm.h"

#define SPREAD_TWO 1
V16 void spread_two(uint8_t *to, const uint8_t *p, uint32_t m) { _mm512_store_si512(to, _mm512_maskz_expand_epi16(m, _mm512_loadu_si512(p))); }

#include "kernel/x86/sparse_float_x86.h"

V16 __m512i mask_codes(const uint8_t *p, uint64_t m) { return _mm512_mask_expand_epi8(_mm512_set1_epi8(-128), m, _mm512_loadu_si512(p)); }

#include "kernel/x86/sparse_int_zmm.h"

SPARSE_TABLE(pare_sparse_vbmi2, 3);
