/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/planes_x86.h (lint: included in the middle): products with bit planes in the words of planes_avx2.c and
 * planes_avx512.c. A line of 64 bytes is one register or two (HALVES); the loops stand once for a register. Byte sums are widened by
 * shifts of 16 and 32 bit lanes, which leaves row 16 j + lane in lane order (layout in kernel/planes.h). */
#include <string.h>

#define LINE 64
#define AHEAD 4096
#define LANES (16 / HALVES) /* dwords of a register */

/* A line that is read once comes from memory; it is asked for some kilobytes ahead, because hardware stops at the end of a page. Past the
 * matrix nothing is lost, a prefetch cannot fault. */
VI vi line(const uint8_t *w)
{
    __builtin_prefetch(w + AHEAD, 0, 3);
    return vi_load(w);
}

/* acc[j] += coef * byte j of each dword, unsigned. */
VI void add_bytes(vi acc[4], vi s, vi coef)
{
    vi m = vi_set32(255);

    acc[0] = vi_add32(acc[0], vi_mul32(vi_and(s, m), coef));
    acc[1] = vi_add32(acc[1], vi_mul32(vi_and(vi_srl32(s, 8), m), coef));
    acc[2] = vi_add32(acc[2], vi_mul32(vi_and(vi_srl32(s, 16), m), coef));
    acc[3] = vi_add32(acc[3], vi_mul32(vi_srl32(s, 24), coef));
}

VI vi count_bytes(vi v, vi lut, vi low)
{
    return vi_add8(vi_shuffle(lut, vi_and(v, low)), vi_shuffle(lut, vi_and(vi_srl16(v, 4), low)));
}

/* Planes j .. j + nj - 1 of the activations against one plane of weights: a line is loaded once for them. Blocks b0 .. b1 - 1, at most 31:
 * a byte counts 8 a block. */
VI void count_planes(vi acc[4], const uint8_t *w, uint64_t w_stride, int32_t cw, const uint32_t *x, uint32_t x_stride, const int32_t *cx,
                     uint32_t n, int nj, bool by_xor)
{
    const vi lut = vi_bcast128(bit_counts), low = vi_set8(15);
    vi s[4] = { vi_zero(), vi_zero(), vi_zero(), vi_zero() };

    for (uint32_t b = 0; b < n; b++) {
        vi v = line(w + b * w_stride);

        for (int j = 0; j < nj; j++) {
            vi k = vi_bcast32(x + (uint64_t)b * x_stride + j);

            s[j] = vi_add8(s[j], count_bytes(by_xor ? vi_xor(v, k) : vi_and(v, k), lut, low));
        }
    }
    for (int j = 0; j < nj; j++) add_bytes(acc, s[j], vi_set32(cw * cx[j]));
}

VI void popcount_half(int32_t *dot, int32_t base, const uint8_t *w, uint32_t bits, const int32_t *cw, const uint32_t *x, uint32_t x_stride,
                      uint32_t planes, const int32_t *cx, uint32_t blocks, bool by_xor)
{
    vi acc[4] = { vi_set32(base), vi_set32(base), vi_set32(base), vi_set32(base) };

    for (uint32_t b0 = 0; b0 < blocks; b0 += 31) {
        uint32_t n = blocks - b0 < 31 ? blocks - b0 : 31;

        for (uint32_t i = 0; i < bits; i++) {
            const uint8_t *at = w + ((uint64_t)b0 * bits + i) * LINE;
            const uint32_t *xb = x + (uint64_t)b0 * x_stride;
            uint32_t j = 0;

            for (; j + 4 <= planes; j += 4) count_planes(acc, at, (uint64_t)bits * LINE, cw[i], xb + j, x_stride, cx + j, n, 4, by_xor);
            for (; j + 2 <= planes; j += 2) count_planes(acc, at, (uint64_t)bits * LINE, cw[i], xb + j, x_stride, cx + j, n, 2, by_xor);
            if (j < planes) count_planes(acc, at, (uint64_t)bits * LINE, cw[i], xb + j, x_stride, cx + j, n, 1, by_xor);
        }
    }
    for (int j = 0; j < 4; j++) vi_store(dot + 16 * j, acc[j]);
}

static void popcount(int32_t *dot, int32_t base, const uint8_t *w, uint32_t bits, const int32_t *cw, const uint32_t *x, uint32_t x_stride,
                     uint32_t planes, const int32_t *cx, uint32_t blocks, bool by_xor)
{
    for (int h = 0; h < HALVES; h++) {
        const uint8_t *at = w + h * (LINE / HALVES);

        if (by_xor) popcount_half(dot + h * LANES, base, at, bits, cw, x, x_stride, planes, cx, blocks, true);
        else popcount_half(dot + h * LANES, base, at, bits, cw, x, x_stride, planes, cx, blocks, false);
    }
}

/* Entries of n <= RUN blocks added up in bytes, then taken into 16-bit sums of even and odd bytes. */
VI void add_run(vi *even, vi *odd, const uint8_t *w, uint64_t w_stride, const uint8_t *table, uint32_t n, bool narrow)
{
    const vi low = vi_set8(15);
    vi lo = vi_zero(), hi = vi_zero();

    for (uint32_t b = 0; b < n; b++) {
        vi v = line(w + b * w_stride), n0 = vi_and(v, low), n1 = vi_and(vi_srl16(v, 4), low);
        const uint8_t *t = table + b * LINE;

        lo = vi_add8(lo, vi_add8(vi_shuffle(vi_bcast128(t), n0), vi_shuffle(vi_bcast128(t + 32), n1)));
        if (!narrow) hi = vi_add8(hi, vi_add8(vi_shuffle(vi_bcast128(t + 16), n0), vi_shuffle(vi_bcast128(t + 48), n1)));
    }
    if (narrow) {
        *even = vi_add16(*even, vi_sra16(vi_sll16(lo, 8), 8));
        *odd = vi_add16(*odd, vi_sra16(lo, 8));
    } else { /* a signed byte times 32 is the byte at the top of a lane, shifted down by 3 */
        *even = vi_add16(*even, vi_add16(vi_and(lo, vi_set16(255)), vi_sra16(vi_sll16(hi, 8), 3)));
        *odd = vi_add16(*odd, vi_add16(vi_srl16(lo, 8), vi_sra16(vi_and(hi, vi_set16((int16_t)0xff00)), 3)));
    }
}

VI void lookup_half(int32_t *dot, int32_t base, bool halve, const uint8_t *w, uint32_t bits, const int32_t *cw, const uint8_t *table,
                    uint32_t blocks, uint32_t run, bool narrow)
{
    const uint64_t stride = (uint64_t)bits * LINE;
    const uint32_t segment = 8 * run; /* blocks whose sums fit 16 bits: 64 entries below 512, or 32 of at most 1020 */
    vi acc[4] = { vi_set32(base), vi_set32(base), vi_set32(base), vi_set32(base) };

    for (uint32_t b0 = 0; b0 < blocks; b0 += segment) {
        uint32_t b1 = blocks - b0 < segment ? blocks : b0 + segment;

        for (uint32_t i = 0; i < bits; i++) {
            const uint8_t *at = w + (uint64_t)i * LINE;
            vi even = vi_zero(), odd = vi_zero(), c = vi_set32(cw[i]);
            uint32_t b = b0;

            for (; b + run <= b1; b += run) add_run(&even, &odd, at + b * stride, stride, table + (uint64_t)b * LINE, run, narrow);
            if (b < b1) add_run(&even, &odd, at + b * stride, stride, table + (uint64_t)b * LINE, b1 - b, narrow);
            acc[0] = vi_add32(acc[0], vi_mul32(vi_sra32(vi_sll32(even, 16), 16), c));
            acc[1] = vi_add32(acc[1], vi_mul32(vi_sra32(vi_sll32(odd, 16), 16), c));
            acc[2] = vi_add32(acc[2], vi_mul32(vi_sra32(even, 16), c));
            acc[3] = vi_add32(acc[3], vi_mul32(vi_sra32(odd, 16), c));
        }
    }
    for (int j = 0; j < 4; j++) vi_store(dot + 16 * j, halve ? vi_sra32(acc[j], 1) : acc[j]);
}

static void lookup(int32_t *dot, int32_t base, bool halve, const uint8_t *w, uint32_t bits, const int32_t *cw, const uint8_t *table,
                   uint32_t blocks, uint32_t run, bool narrow)
{
    for (int h = 0; h < HALVES; h++) {
        const uint8_t *at = w + h * (LINE / HALVES);

        if (narrow) lookup_half(dot + h * LANES, base, halve, at, bits, cw, table, blocks, 4, true);
        else if (run == 4) lookup_half(dot + h * LANES, base, halve, at, bits, cw, table, blocks, 4, false);
        else lookup_half(dot + h * LANES, base, halve, at, bits, cw, table, blocks, 2, false);
    }
}

static void flookup(float *y, const uint8_t *w, uint32_t bits, const float *alpha, const float *table, uint32_t blocks)
{
    for (int h = 0; h < HALVES; h++)
        for (uint32_t i = 0; i < bits; i++) {
            const uint8_t *at = w + (uint64_t)i * LINE + h * (LINE / HALVES);
            const vi m = vi_set32(255);
            vf s[4] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };

            for (uint32_t b = 0; b < blocks; b++) {
                const float *t = table + (uint64_t)b * 256;
                vi v = line(at + (uint64_t)b * bits * LINE);

                s[0] = vf_add(s[0], vf_gather(t, vi_and(v, m)));
                s[1] = vf_add(s[1], vf_gather(t, vi_and(vi_srl32(v, 8), m)));
                s[2] = vf_add(s[2], vf_gather(t, vi_and(vi_srl32(v, 16), m)));
                s[3] = vf_add(s[3], vf_gather(t, vi_srl32(v, 24)));
            }
            for (int j = 0; j < 4; j++) {
                float *out = y + 16 * j + h * LANES;

                vf_store(out, vf_fma(vf_load(alpha + i * 64 + 16 * j + h * LANES), s[j], vf_load(out)));
            }
        }
}

static void scale(float *y, const int32_t *dot, const float *s, float d, const float *z, float dsum)
{
    for (int r = 0; r < PARE_PLANE_ROWS; r += LANES) {
        vf v = vf_load(y + r);

        if (dot != NULL) v = vf_fma(vf_from(vi_load(dot + r)), vf_mul(vf_load(s + r), vf_set1(d)), v);
        if (z != NULL) v = vf_fma(vf_load(z + r), vf_set1(dsum), v);
        vf_store(y + r, v);
    }
}

static void ftable(float *table, const float *x)
{
    float a[2][16];

    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 16; i++) {
            const float *v = x + 4 * h;

            a[h][i] = ((i & 1 ? v[0] : -v[0]) + (i & 2 ? v[1] : -v[1])) + ((i & 4 ? v[2] : -v[2]) + (i & 8 ? v[3] : -v[3]));
        }
    for (int i = 0; i < 256; i += LANES) vf_store(table + i, vf_add(vf_load(a[0] + i % 16), vf_set1(a[1][i >> 4])));
}
