/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/hadamard_x86.h: the Hadamard loops on sixteen lanes, the recipe of ref/hadamard_ref.c. Include once a tier, after v16_*.h,
 * with MOST defined: how many vectors a pass holds in registers. The first pass does the four stages inside a vector and those between
 * MOST neighbours; each later pass log2(MOST) stages more. 4096 channels take two passes of 16 vectors. */
#ifndef PARE_KERNEL_X86_HADAMARD_H
#define PARE_KERNEL_X86_HADAMARD_H

#include "kernel/ref/hadamard_ref.h"

#define LANES 16

/* The stages between r vectors, in order. */
V16 void between(v16 *v, const int r)
{
#pragma GCC unroll 4
    for (int h = 1; h < r; h *= 2)
#pragma GCC unroll 16
        for (int i = 0; i < r; i++) {
            v16 a, b;
            if (i & h) continue;
            a = v[i];
            b = v[i + h];
            v[i] = v_add(a, b);
            v[i + h] = v_sub(a, b);
        }
}

/* Channels [0, r * 16): all stages below r * 16. */
V16 void first_pass(float *y, const float *x, v16 scale, const int r)
{
    v16 v[MOST];

#pragma GCC unroll 16
    for (int i = 0; i < r; i++) v[i] = v_walsh(v_load(x + LANES * i));
    between(v, r);
#pragma GCC unroll 16
    for (int i = 0; i < r; i++) v_store(y + LANES * i, v_mul(v[i], scale));
}

/* Stages h, 2 h .. r h / 2 over p channels. The rows of a batch follow one another: while this pass, which finds its data in the first
 * cache, computes, the next row is on its way from memory (next: a hint, read by nobody). */
V16 void later_pass(float *y, uint32_t p, uint32_t h, v16 scale, const float *next, const int r)
{
    v16 v[MOST];

    for (uint32_t i = 0; i < p; i += (uint32_t)r * h)
        for (uint32_t j = i; j < i + h; j += LANES) {
#pragma GCC unroll 16
            for (int k = 0; k < r; k++) {
                v[k] = v_load(y + j + (uint32_t)k * h);
                __builtin_prefetch(next);
                next += LANES;
            }
            between(v, r);
#pragma GCC unroll 16
            for (int k = 0; k < r; k++) v_store(y + j + (uint32_t)k * h, v_mul(v[k], scale));
        }
}

/* One run of p >= 16 channels. Passes that are not the last multiply by 1, which changes nothing and costs less than a branch. */
static void run(float *y, const float *x, uint32_t p, float scale)
{
    const v16 one = v_set1(1.0f), end = v_set1(scale);
    uint32_t  h = p < MOST * LANES ? p : MOST * LANES;
    v16       s = h == p ? end : one;

    for (uint32_t i = 0; i < p; i += h)
        switch (h / LANES) {
        case 1: first_pass(y + i, x + i, s, 1); break;
        case 2: first_pass(y + i, x + i, s, 2); break;
        case 4: first_pass(y + i, x + i, s, 4); break;
#if MOST > 4
        case 8: first_pass(y + i, x + i, s, 8); break;
        default: first_pass(y + i, x + i, s, 16); break;
#endif
        }
    while (h < p) {
        uint32_t r = p / h < MOST ? p / h : MOST;
        s = h * r == p ? end : one;
        switch (r) {
        case 2: later_pass(y, p, h, s, x + p, 2); break;
        case 4: later_pass(y, p, h, s, x + p, 4); break;
#if MOST > 4
        case 8: later_pass(y, p, h, s, x + p, 8); break;
        default: later_pass(y, p, h, s, x + p, 16); break;
#endif
        }
        h *= r;
    }
}

static void walsh(float *y, const float *x, uint32_t p, uint64_t blocks, float scale)
{
    if (p < LANES) {
        pare_ref_walsh(y, x, p, blocks, scale);
        return;
    }
    for (uint64_t b = 0; b < blocks; b++) run(y + b * p, x + b * p, p, scale);
}

/* n rows of the table over the columns in col: enough accumulators to hide the latency of the additions. */
V16 void rows_of(float *y, uint64_t p, const float *col, const float *t, uint32_t k, v16 scale, uint32_t lanes, const int n)
{
    v16 r[8];

#pragma GCC unroll 8
    for (int i = 0; i < n; i++) r[i] = v_set1(0.0f);
    for (uint32_t c = 0; c < k; c++) {
        v16 v = v_load(col + c * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < n; i++) r[i] = v_fma(v_set1(t[(uint32_t)i * k + c]), v, r[i]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) v_store_n(y + (uint64_t)i * p, v_mul(r[i], scale), lanes);
}

static void outer(float *y, const float *x, const float *t, uint32_t k, uint32_t p, float scale)
{
    float     col[PARE_HADAMARD_MAX_K * LANES]; /* sixteen columns: y may be x */
    const v16 s = v_set1(scale);

    for (uint32_t b = 0; b < p; b += LANES) {
        const uint32_t n = p - b < LANES ? p - b : LANES;
        uint32_t       a = 0;

        for (uint32_t c = 0; c < k; c++) v_store(col + c * LANES, n == LANES ? v_load(x + c * p + b) : v_load_n(x + c * p + b, n));
#if MOST > 4
        for (; a + 8 <= k; a += 8) rows_of(y + a * p + b, p, col, t + a * k, k, s, n, 8);
#endif
        for (; a < k; a += 4) rows_of(y + a * p + b, p, col, t + a * k, k, s, n, 4); /* orders are multiples of four */
    }
}

#endif
