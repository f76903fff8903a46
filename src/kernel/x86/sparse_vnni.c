/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_vnni.c: sparse products with the dot instruction, on machines without byte expansion. */
#include "kernel/x86/sparse_dot_vnni.h"
#include "kernel/x86/sparse_spread_zmm.h"

#include "kernel/x86/sparse_float_x86.h"

V16 __m512i mask_codes(const uint8_t *p, uint64_t m) { return _mm512_xor_si512(spread_bytes(p, m), _mm512_set1_epi8(-128)); }

#include "kernel/x86/sparse_int_zmm.h"

SPARSE_TABLE(pare_sparse_vnni, 3);
