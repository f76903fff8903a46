/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/vec_elem_ref.c: sums, norms, activations, rotary, softmax and the cache's storage formats in plain C, and the
 * table of this tier. Comparisons are written (a > b ? a : b) with the new element first: a NaN never wins. */
#include <math.h>

#include "base/checked.h"
#include "kernel/fmath_coef.h"
#include "kernel/ref/vec_ref.h"
#include "kernel/vec_tiers.h"

static float sum(const float *a, uint64_t n)
{
    float l[16] = { 0 };

    for (uint64_t i = 0; i < n; i++) l[i & 15] += a[i];
    return pare_tree16(l);
}

static float max(const float *a, uint64_t n)
{
    float l[16];

    for (int i = 0; i < 16; i++) l[i] = -INFINITY;
    for (uint64_t i = 0; i < n; i++) l[i & 15] = a[i] > l[i & 15] ? a[i] : l[i & 15];
    for (int h = 8; h >= 1; h /= 2)
        for (int i = 0; i < h; i++) l[i] = l[i + h] > l[i] ? l[i + h] : l[i];
    return l[0];
}

static void rmsnorm(float *y, const float *x, const float *w, float w_add, float eps, uint64_t n)
{
    float inv = 1.0f / sqrtf(pare_ref_dot(x, x, n) / (float)n + eps);

    for (uint64_t i = 0; i < n; i++) {
        float t = x[i] * inv;
        y[i] = w != NULL ? t * (w[i] + w_add) : t;
    }
}

static void layernorm(float *y, const float *x, const float *w, float w_add, const float *b, float eps, uint64_t n)
{
    float mean = sum(x, n) / (float)n, l[16] = { 0 }, inv;

    for (uint64_t i = 0; i < n; i++) {
        float t = x[i] - mean;
        l[i & 15] = fmaf(t, t, l[i & 15]);
    }
    inv = 1.0f / sqrtf(pare_tree16(l) / (float)n + eps);
    for (uint64_t i = 0; i < n; i++) {
        float t = (x[i] - mean) * inv;
        if (w != NULL) t *= w[i] + w_add;
        y[i] = b != NULL ? t + b[i] : t;
    }
}

static void add(float *y, const float *a, const float *b, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

static void axpy(float *y, float a, const float *x, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) y[i] = fmaf(a, x[i], y[i]);
}

static void scale(float *y, const float *x, float a, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) y[i] = a * x[i];
}

static void mul(float *y, const float *a, const float *b, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) y[i] = a[i] * b[i];
}

float pare_actf(float x, enum pare_act act)
{
    float t;

    switch (act) {
    case PARE_ACT_NONE: return x;
    case PARE_ACT_SILU: return x / (1.0f + pare_expf(0.0f - x));
    case PARE_ACT_GELU: return 0.5f * x * (1.0f + pare_erff(x * PARE_GELU_RSQRT2));
    case PARE_ACT_GELU_TANH:
        t = fmaf(PARE_GELU_CUBE * (x * x), x, x);
        return 0.5f * x * (1.0f + pare_tanhf(PARE_GELU_SQRT_2_PI * t));
    case PARE_ACT_RELU: return 0.0f > x ? 0.0f : x;
    case PARE_ACT_RELU2:
        t = 0.0f > x ? 0.0f : x;
        return t * t;
    case PARE_ACT_QUICK_GELU: return x * (1.0f / (1.0f + pare_expf(0.0f - PARE_QUICK_GELU * x)));
    case PARE_ACT_TANH: return pare_tanhf(x);
    case PARE_ACT_SIGMOID: return 1.0f / (1.0f + pare_expf(0.0f - x));
    }
    return x;
}

static void act(float *y, const float *x, enum pare_act a, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) y[i] = pare_actf(x[i], a);
}

static void act_mul(float *y, const float *gate, const float *up, enum pare_act a, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) y[i] = pare_actf(gate[i], a) * up[i];
}

static void rope(float *x, const float *cs, uint32_t half, bool interleaved)
{
    for (uint32_t i = 0; i < half; i++) {
        float *a = interleaved ? x + 2 * i : x + i, *b = interleaved ? a + 1 : x + i + half;
        float  c = cs[2 * i], s = cs[2 * i + 1], p = *a, q = *b;

        *a = p * c - q * s;
        *b = q * c + p * s;
    }
}

static void softcap(float *x, float cap, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) x[i] = cap * pare_tanhf(x[i] / cap);
}

static void softmax(float *x, uint64_t n)
{
    float m = max(x, n), inv;

    for (uint64_t i = 0; i < n; i++) x[i] = pare_expf(x[i] - m);
    inv = 1.0f / sum(x, n);
    for (uint64_t i = 0; i < n; i++) x[i] *= inv;
}

static double logsumexp(const float *x, uint64_t n)
{
    float  m = max(x, n);
    double l[16] = { 0 };

    if (m == -INFINITY) m = 0.0f; /* nothing, or nothing above -inf: the sum is 0 and its log -inf */
    for (uint64_t i = 0; i < n; i++) l[i & 15] += (double)pare_expf(x[i] - m);
    for (int h = 8; h >= 1; h /= 2)
        for (int i = 0; i < h; i++) l[i] += l[i + h];
    return (double)m + pare_log(l[0]);
}

static void exp_all(float *y, const float *x, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) y[i] = pare_expf(x[i]);
}

void pare_ref_store_f16(uint16_t *dst, const float *src, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) dst[i] = pare_f32_to_f16(src[i]);
}

/* A scale that vanishes in f16 gives zeros. A NaN or an infinity in the block must not be hidden: a NaN makes the scale NaN,
 * an infinity makes it infinite over codes of 0, and both decode to NaN. */
static void store_block(uint8_t *dst, const float *src, uint64_t n)
{
    float    amax = 0.0f, id;
    uint16_t d;
    bool     nan = false;

    for (uint64_t i = 0; i < n; i++) {
        float a = fabsf(src[i]);
        amax = a > amax ? a : amax;
        nan |= a != a;
    }
    d = pare_f32_to_f16(amax / 127.0f);
    id = d != 0 ? 127.0f / amax : 0.0f;
    if (nan) d = 0x7e00;
    dst[0] = (uint8_t)d;
    dst[1] = (uint8_t)(d >> 8);
    for (uint64_t i = 0; i < 32; i++) {
        float v = i < n ? src[i] * id : 0.0f;

        v = v != v ? 0.0f : v;
        /* |v| is at most 127 and a few ulp: the nearest integer is in range, ties to even. */
        dst[2 + i] = (uint8_t)(pare_f32_bits(v + PARE_EXP_MAGIC) - PARE_EXP_MAGIC_BITS);
    }
}

void pare_ref_store_q8(uint8_t *dst, const float *src, uint64_t n)
{
    for (uint64_t i = 0; i < n; i += 32, dst += 34) store_block(dst, src + i, n - i < 32 ? n - i : 32);
}

const struct pare_vec pare_vec_ref = {
    .tier = 0,
    .gemm_f32 = pare_ref_gemm_f32, .gemm_f16 = pare_ref_gemm_f16, .gemm_bf16 = pare_ref_gemm_bf16,
    .dot = pare_ref_dot, .sum = sum, .max = max, .rmsnorm = rmsnorm, .layernorm = layernorm,
    .add = add, .axpy = axpy, .scale = scale, .mul = mul, .act = act, .act_mul = act_mul, .rope = rope,
    .softcap = softcap, .softmax = softmax, .logsumexp = logsumexp, .exp = exp_all, .attention = pare_ref_attention,
    .attention_rows = pare_ref_attention_rows, .attention_join = pare_ref_attention_join,
    .store_f16 = pare_ref_store_f16, .store_q8 = pare_ref_store_q8,
};
