/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/vec_elem_x86.h: sums, norms, activations, rotary, softmax and storage on sixteen lanes, the recipes of
 * ref/vec_elem_ref.c. Include once a tier, after v16_*.h. In tails lanes without an element are left untouched: adding the
 * zero that a masked load gives would turn -0 into +0. */
#ifndef PARE_KERNEL_X86_VEC_ELEM_H
#define PARE_KERNEL_X86_VEC_ELEM_H

#include <math.h>

#include "base/checked.h"
#include "kernel/ref/vec_ref.h"
#include "kernel/x86/vec_math_x86.h"

/* For each sixteen elements of y[n]: expr in terms of LOAD(array), which reads whole vectors or the tail alike. */
#define EACH(n, y, expr)                                                                                               \
    do {                                                                                                               \
        uint64_t i = 0;                                                                                                \
        for (; i + 16 <= (n); i += 16) {                                                                               \
            WHOLE;                                                                                                     \
            v_store((y) + i, expr);                                                                                    \
        }                                                                                                              \
        if (i < (n)) {                                                                                                 \
            TAIL(n);                                                                                                   \
            v_store_n((y) + i, expr, left);                                                                            \
        }                                                                                                              \
    } while (0)
#define WHOLE const uint32_t left = 16
#define TAIL(n) const uint32_t left = (uint32_t)((n) - i)
#define LOAD(p) (left == 16 ? v_load((p) + i) : v_load_n((p) + i, left))

/* For each sixteen elements: lane accumulator l becomes expr, in lanes that have an element. */
#define FOLD(n, l, expr)                                                                                               \
    do {                                                                                                               \
        uint64_t i = 0;                                                                                                \
        for (; i + 16 <= (n); i += 16) {                                                                               \
            WHOLE;                                                                                                     \
            (l) = expr;                                                                                                \
        }                                                                                                              \
        if (i < (n)) {                                                                                                 \
            TAIL(n);                                                                                                   \
            (l) = v_keep(l, expr, left);                                                                               \
        }                                                                                                              \
    } while (0)

static float dot(const float *a, const float *b, uint64_t n)
{
    v16 l = v_set1(0.0f);

    FOLD(n, l, v_fma(LOAD(a), LOAD(b), l));
    return v_tree(l);
}

static float sum(const float *a, uint64_t n)
{
    v16 l = v_set1(0.0f);

    FOLD(n, l, v_add(l, LOAD(a)));
    return v_tree(l);
}

static float max(const float *a, uint64_t n)
{
    float l[16];
    v16   m = v_set1(-INFINITY);

    FOLD(n, m, v_max(LOAD(a), m));
    v_store(l, m);
    for (int h = 8; h >= 1; h /= 2)
        for (int i = 0; i < h; i++) l[i] = l[i + h] > l[i] ? l[i + h] : l[i];
    return l[0];
}

static void rmsnorm(float *y, const float *x, const float *w, float w_add, float eps, uint64_t n)
{
    v16 inv = v_set1(1.0f / sqrtf(dot(x, x, n) / (float)n + eps)), wa = v_set1(w_add);

    if (w != NULL) EACH(n, y, v_mul(v_mul(LOAD(x), inv), v_add(LOAD(w), wa)));
    else EACH(n, y, v_mul(LOAD(x), inv));
}

static void layernorm(float *y, const float *x, const float *w, float w_add, const float *b, float eps, uint64_t n)
{
    v16 mean = v_set1(sum(x, n) / (float)n), wa = v_set1(w_add), l = v_set1(0.0f), inv;

    FOLD(n, l, v_fma(v_sub(LOAD(x), mean), v_sub(LOAD(x), mean), l));
    inv = v_set1(1.0f / sqrtf(v_tree(l) / (float)n + eps));
    if (w != NULL && b != NULL) EACH(n, y, v_add(v_mul(v_mul(v_sub(LOAD(x), mean), inv), v_add(LOAD(w), wa)), LOAD(b)));
    else if (w != NULL) EACH(n, y, v_mul(v_mul(v_sub(LOAD(x), mean), inv), v_add(LOAD(w), wa)));
    else if (b != NULL) EACH(n, y, v_add(v_mul(v_sub(LOAD(x), mean), inv), LOAD(b)));
    else EACH(n, y, v_mul(v_sub(LOAD(x), mean), inv));
}

static void add(float *y, const float *a, const float *b, uint64_t n) { EACH(n, y, v_add(LOAD(a), LOAD(b))); }

static void axpy(float *y, float a, const float *x, uint64_t n)
{
    v16 va = v_set1(a);

    EACH(n, y, v_fma(va, LOAD(x), LOAD(y)));
}

static void scale(float *y, const float *x, float a, uint64_t n)
{
    v16 va = v_set1(a);

    EACH(n, y, v_mul(va, LOAD(x)));
}

static void mul(float *y, const float *a, const float *b, uint64_t n) { EACH(n, y, v_mul(LOAD(a), LOAD(b))); }

/* One loop an activation, chosen outside of it. */
#define ACTS(DO)                                                                                                       \
    DO(PARE_ACT_NONE) DO(PARE_ACT_SILU) DO(PARE_ACT_GELU) DO(PARE_ACT_GELU_TANH) DO(PARE_ACT_RELU) DO(PARE_ACT_RELU2)    \
    DO(PARE_ACT_QUICK_GELU) DO(PARE_ACT_TANH) DO(PARE_ACT_SIGMOID)

static void act(float *y, const float *x, enum pare_act a, uint64_t n)
{
    switch (a) {
#define DO(which) case which: EACH(n, y, vm_act(LOAD(x), which)); break;
        ACTS(DO)
#undef DO
    }
}

static void act_mul(float *y, const float *gate, const float *up, enum pare_act a, uint64_t n)
{
    switch (a) {
#define DO(which) case which: EACH(n, y, v_mul(vm_act(LOAD(gate), which), LOAD(up))); break;
        ACTS(DO)
#undef DO
    }
}

static void rope_adjacent(float *x, const float *cs, uint32_t half)
{
    uint32_t i = 0;

    for (; i + 8 <= half; i += 8) {
        v16 v = v_load(x + 2 * i), r = v_load(cs + 2 * i);
        v_store(x + 2 * i, v_sub_add(v_mul(v, v_dup_even(r)), v_mul(v_swap_pairs(v), v_dup_odd(r))));
    }
    for (; i < half; i++) {
        float c = cs[2 * i], s = cs[2 * i + 1], p = x[2 * i], q = x[2 * i + 1];
        x[2 * i] = p * c - q * s;
        x[2 * i + 1] = q * c + p * s;
    }
}

static void rope(float *x, const float *cs, uint32_t half, bool interleaved)
{
    uint32_t i = 0;

    if (interleaved) {
        rope_adjacent(x, cs, half);
        return;
    }
    for (; i + 16 <= half; i += 16) {
        v16 c, s, p = v_load(x + i), q = v_load(x + i + half);
        v_load_pairs(cs + 2 * i, &c, &s);
        v_store(x + i, v_sub(v_mul(p, c), v_mul(q, s)));
        v_store(x + i + half, v_add(v_mul(q, c), v_mul(p, s)));
    }
    for (; i < half; i++) {
        float c = cs[2 * i], s = cs[2 * i + 1], p = x[i], q = x[i + half];
        x[i] = p * c - q * s;
        x[i + half] = q * c + p * s;
    }
}

static void softcap(float *x, float cap, uint64_t n)
{
    v16 c = v_set1(cap);

    EACH(n, x, v_mul(c, vm_tanh(v_div(LOAD(x), c))));
}

static void softmax(float *x, uint64_t n)
{
    v16 m = v_set1(max(x, n)), inv;

    EACH(n, x, vm_exp(v_sub(LOAD(x), m)));
    inv = v_set1(1.0f / sum(x, n));
    EACH(n, x, v_mul(LOAD(x), inv));
}

static double logsumexp(const float *x, uint64_t n)
{
    float    m = max(x, n), e[16];
    double   l[16] = { 0 };
    v16      vm;
    uint64_t i = 0;

    if (m == -INFINITY) m = 0.0f;
    vm = v_set1(m);
    for (; i + 16 <= n; i += 16) {
        v_store(e, vm_exp(v_sub(v_load(x + i), vm)));
        for (int j = 0; j < 16; j++) l[j] += (double)e[j];
    }
    if (i < n) {
        v_store(e, vm_exp(v_sub(v_load_n(x + i, (uint32_t)(n - i)), vm)));
        for (uint32_t j = 0; j < n - i; j++) l[j] += (double)e[j];
    }
    for (int h = 8; h >= 1; h /= 2)
        for (int j = 0; j < h; j++) l[j] += l[j + h];
    return (double)m + pare_log(l[0]);
}

static void exp_all(float *y, const float *x, uint64_t n) { EACH(n, y, vm_exp(LOAD(x))); }

static void store_f16(uint16_t *dst, const float *src, uint64_t n)
{
    uint64_t i = 0;

    for (; i + 16 <= n; i += 16) v_store_f16(dst + i, v_load(src + i));
    pare_ref_store_f16(dst + i, src + i, n - i);
}

static void store_q8(uint8_t *dst, const float *src, uint64_t n)
{
    for (; n >= 32; n -= 32, src += 32, dst += 34) {
        v16      a = v_load(src), b = v_load(src + 16), zero = v_set1(0.0f), magic = v_set1(PARE_EXP_MAGIC), id;
        float    t[16], amax;
        uint16_t d;

        v_store(t, v_max(v_abs(b), v_max(v_abs(a), zero))); /* a NaN, as first operand, never wins */
        amax = max(t, 16);
        d = pare_f32_to_f16(amax / 127.0f);
        id = v_set1(d != 0 ? 127.0f / amax : 0.0f);
        if (v_any_nan(a) || v_any_nan(b)) d = 0x7e00;
        dst[0] = (uint8_t)d;
        dst[1] = (uint8_t)(d >> 8);
        v_store_low8(dst + 2, v_add(v_zero_nan(v_mul(a, id)), magic));
        v_store_low8(dst + 18, v_add(v_zero_nan(v_mul(b, id)), magic));
    }
    if (n != 0) pare_ref_store_q8(dst, src, n);
}

#endif
