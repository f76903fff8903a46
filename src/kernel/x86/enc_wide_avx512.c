/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/enc_tiers.h"
#include "kernel/x86/v16_avx512.h"

/* Two registers hold 32 entries, and a permutation picks sixteen of them at once; a gather takes sixteen loads. */
V16 v16 table_level(const struct pare_enc_book *b, v16 y)
{
    __m512i at = _mm512_cvttps_epi32(y), cell = _mm512_srli_epi32(at, 4);

    if (!b->stepped) return v_gather(b->near, y);
    return _mm512_mask_mov_ps(
        _mm512_permutex2var_ps(_mm512_loadu_ps(b->upper), cell, _mm512_loadu_ps(b->upper + 16)),
        _mm512_cmplt_epi32_mask(at, _mm512_permutex2var_epi32(_mm512_loadu_si512(b->step), cell, _mm512_loadu_si512(b->step + 16))),
        _mm512_permutex2var_ps(_mm512_loadu_ps(b->lower), cell, _mm512_loadu_ps(b->lower + 16)));
}
#define ENC_TABLE_LEVEL(book, y) table_level(book, y)
#include "tensor/enc_wide_recipe.h"

const struct pare_enc_wide pare_enc_wide_avx512 = ENC_WIDE_TABLE;
