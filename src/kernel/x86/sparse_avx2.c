/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_avx2.c: sparse products in ymm registers: a panel's sixteen rows are two of them. */
#include "kernel/x86/sparse_spread_x86.h"
#include "kernel/x86/v16_avx2.h"

/* Eight lanes: the next values where m has a bit. */
V16 __m256 spread_eight(__m256 v, uint32_t m)
{
    const uint64_t ones = spread_ones(m);
    const __m256i  index = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)spread_before(ones)));
    const __m256i  stays = _mm256_cvtepi8_epi32(_mm_cvtsi64_si128((long long)(ones * 255)));

    return _mm256_and_ps(_mm256_permutevar8x32_ps(v, index), _mm256_castsi256_ps(stays));
}
V16 v16 spread_f32(const uint8_t *p, uint32_t m)
{
    const uint8_t *next = p + 4 * __builtin_popcount(m & 0xff);

    return (v16){ spread_eight(_mm256_loadu_ps((const float *)(const void *)p), m & 0xff), spread_eight(_mm256_loadu_ps((const float *)(const void *)next), m >> 8) };
}
V16 __m256i spread_words(const uint8_t *p, uint32_t m) /* eight of 16 bits, widened */
{
    return _mm256_castps_si256(spread_eight(_mm256_castsi256_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p))), m));
}
V16 v16 spread_f16(const uint8_t *p, uint32_t m)
{
    const uint8_t *next = p + 2 * __builtin_popcount(m & 0xff);

    return (v16){ spread_eight(f16x8(p), m & 0xff), spread_eight(f16x8(next), m >> 8) };
}

#include "kernel/x86/sparse_float_x86.h"

typedef struct { __m256i a, b; } vi; /* rows 0..7, 8..15 */

V16 __m256i load32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
V16 __m256i dot_unsigned(__m256i u, __m256i q) { return _mm256_madd_epi16(_mm256_maddubs_epi16(u, q), _mm256_set1_epi16(1)); }
/* The sign of w goes to q; two products of |w| <= 128 and |q| <= 127 fit 16 bits. */
V16 __m256i dot_signed(__m256i w, __m256i q) { return dot_unsigned(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w)); }
V16 vi vi_add(vi x, vi y) { return (vi){ _mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b) }; }

V16 v16 step(v16 acc, vi idot, float dx, v16 dw)
{
    const __m256 d = _mm256_set1_ps(dx);

    return v_fma((v16){ _mm256_mul_ps(_mm256_cvtepi32_ps(idot.a), d), _mm256_mul_ps(_mm256_cvtepi32_ps(idot.b), d) }, dw, acc);
}

static void finish_int(const struct pare_sparse *s, uint32_t panel, float *y, v16 acc)
{
    float out[16];

    v_store(out, acc);
    for (int r = 0; r < 16; r++)
        if (out[r] != out[r]) out[r] = pare_bits_f32(0x7fc00000u);
    pare_sparse_put(s, panel, y, out);
}

static void mask_q8(SPARSE_ARGS)
{
    const uint64_t blocks = s->cols / 32;

    (void)x, (void)ldx;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0; t < n; t++) {
            const uint8_t *head = s->data + s->at[p], *codes = head + pare_sparse_up64(blocks * PARE_SPARSE_MASK_HEAD);
            v16            acc = v_set1(0.0f);

            for (uint64_t b = 0; b < blocks; b++, head += PARE_SPARSE_MASK_HEAD) {
                const uint64_t block = pare_qact_block(a, t, b);
                vi             idot = { _mm256_setzero_si256(), _mm256_setzero_si256() };

                for (int j = 0; j < 8; j++) {
                    const uint64_t m = pare_le64(head + 32 + 8 * j);
                    const __m256i  q = _mm256_set1_epi32((int)pare_le32(a->q + block * 32 + 4 * j));
                    const __m128i  w0 = spread_sixteen(&codes, m & 0xffff), w1 = spread_sixteen(&codes, m >> 16 & 0xffff);
                    const __m128i  w2 = spread_sixteen(&codes, m >> 32 & 0xffff), w3 = spread_sixteen(&codes, (uint32_t)(m >> 48));

                    idot = vi_add(idot, (vi){ dot_signed(_mm256_set_m128i(w1, w0), q), dot_signed(_mm256_set_m128i(w3, w2), q) });
                }
                acc = step(acc, idot, a->d[block], v_load_f16(head));
            }
            finish_int(s, p, y + t * ldy, acc);
        }
}

V16 __m256i n24_half(const uint8_t *at, int half, int v, __m256i q)
{
    const __m256i pos = load32(at + 32 + 32 * half), base = _mm256_set1_epi32(v % 2 ? 0x0c0c0808 : 0x04040000);
    const __m256i index = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(pos, 2 * v), _mm256_set1_epi8(3)), base);

    return dot_signed(load32(at + 96 + 64 * v + 32 * half), _mm256_shuffle_epi8(q, index));
}

static void n24(SPARSE_ARGS)
{
    (void)x, (void)ldx;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0; t < n; t++) {
            const uint8_t *at = s->data + s->at[p];
            v16            acc = v_set1(0.0f);

            for (uint64_t b = 0; b < s->cols / 32; b++, at += PARE_SPARSE_N24_BLOCK) {
                const uint64_t block = pare_qact_block(a, t, b);
                vi             idot = { _mm256_setzero_si256(), _mm256_setzero_si256() };

#pragma GCC unroll 4
                for (int v = 0; v < 4; v++) {
                    const __m256i q = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(a->q + block * 32 + v / 2 * 16)));

                    idot = vi_add(idot, (vi){ n24_half(at, 0, v, q), n24_half(at, 1, v, q) });
                }
                acc = step(acc, idot, a->d[block], v_load_f16(at));
            }
            finish_int(s, p, y + t * ldy, acc);
        }
}

/* One group of sixteen columns of eight rows: codes of a plane's rows, four columns each, spread from packed ones. */
static void group(SPARSE_ARGS)
{
    (void)x, (void)ldx;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0; t < n; t++) {
            const uint8_t *panel = s->data + s->at[p], *mask = panel + 32, *body = panel + pare_sparse_up64(32 + s->cols / 8);
            const v16      d = v_load_f16(panel);
            v16            acc = v_set1(0.0f);

            for (uint64_t g = 0; g < s->cols / 16; g++) {
                const uint32_t m = pare_le16(mask + 2 * g), k = (uint32_t)__builtin_popcount(m);
                const uint64_t block = pare_qact_block(a, t, g / 2);
                const int8_t  *q = a->q + block * 32 + g % 2 * 16;
                const __m256i  sum = _mm256_set1_epi32(a->sum16[2 * block + g % 2]), low = _mm256_set1_epi8(15);
                vi             idot = { _mm256_setzero_si256(), _mm256_setzero_si256() };
                __m256i        s0 = spread_words(body, m & 0xff), s1 = spread_words(body + 2 * __builtin_popcount(m & 0xff), m >> 8);

                for (uint32_t h = 0; h < 2; h++) {
                    const v16     plane = spread_f32(body + 2 * k + 4 * h * k, m);
                    const __m256i pa = _mm256_castps_si256(plane.a), pb = _mm256_castps_si256(plane.b);
                    const __m256i q0 = _mm256_set1_epi32((int)pare_le32(q + 4 * h)), q1 = _mm256_set1_epi32((int)pare_le32(q + 8 + 4 * h));

                    idot = vi_add(idot, (vi){ dot_unsigned(_mm256_and_si256(pa, low), q0), dot_unsigned(_mm256_and_si256(pb, low), q0) });
                    idot = vi_add(idot, (vi){ dot_unsigned(_mm256_and_si256(_mm256_srli_epi16(pa, 4), low), q1), dot_unsigned(_mm256_and_si256(_mm256_srli_epi16(pb, 4), low), q1) });
                }
                idot.a = _mm256_sub_epi32(idot.a, _mm256_mullo_epi32(_mm256_srli_epi32(s0, 12), sum));
                idot.b = _mm256_sub_epi32(idot.b, _mm256_mullo_epi32(_mm256_srli_epi32(s1, 12), sum));
                s0 = _mm256_and_si256(s0, _mm256_set1_epi32(0xfff));
                s1 = _mm256_and_si256(s1, _mm256_set1_epi32(0xfff));
                acc = step(acc, idot, a->d[block], v_mul(d, (v16){ _mm256_cvtepi32_ps(s0), _mm256_cvtepi32_ps(s1) }));
                body += 10 * k;
            }
            finish_int(s, p, y + t * ldy, acc);
        }
}

static void mask_any(SPARSE_ARGS)
{
    (s->type == PARE_Q8_0 ? mask_q8 : s->type == PARE_F16 ? sparse_mask_f16 : sparse_mask_f32)(y, ldy, s, x, ldx, a, n, p0, p1);
}

const struct pare_sparse_kernels pare_sparse_avx2 = {
    .tier = 1, .gemm = { [PARE_SPARSE_TILED] = sparse_tiled, [PARE_SPARSE_MASK] = mask_any, [PARE_SPARSE_N24] = n24, [PARE_SPARSE_GROUP] = group, [PARE_SPARSE_WIDE] = sparse_wide },
};
