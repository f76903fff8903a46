/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/fmath.c: exp, tanh, erf and the sine and cosine of rotary tables, scalar. These are the definitions: the
 * vector tiers carry out the same operations in the same order (docs/kernels-f32.md). fma() and fmaf() are correctly rounded
 * whether the C library does them in hardware or in software, so nothing here depends on the machine. */
#include <math.h>

#include "base/checked.h"
#include "kernel/fmath_coef.h"
#include "kernel/vec.h"

float pare_expf(float x)
{
    float    t, n, r, p;
    uint32_t k, h;

    x = x > PARE_EXP_HI ? PARE_EXP_HI : x; /* a NaN fails both comparisons and goes through */
    x = x < PARE_EXP_LO ? PARE_EXP_LO : x;
    t = fmaf(x, PARE_EXP_LOG2E, PARE_EXP_MAGIC);
    n = t - PARE_EXP_MAGIC;
    r = fmaf(n, -PARE_EXP_LN2_HI, x);
    r = fmaf(n, -PARE_EXP_LN2_LO, r);
    p = fmaf(PARE_EXP_C6, r, PARE_EXP_C5);
    p = fmaf(p, r, PARE_EXP_C4);
    p = fmaf(p, r, PARE_EXP_C3);
    p = fmaf(p, r, PARE_EXP_C2);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    /* 2^n in two factors: the first product is exact, the second rounds once, also into denormals and to infinity.
     * Unsigned arithmetic, because n of a NaN is any number. The bias keeps the halving shift of -150..128 positive. */
    k = pare_f32_bits(t) - PARE_EXP_MAGIC_BITS;
    h = ((k + 256) >> 1) - 128;
    p *= pare_bits_f32((h + 127) << 23);
    return p * pare_bits_f32((k - h + 127) << 23);
}

/* The value does not need vectors: only log-sum-exp uses it. Rounded from f64, nearly always correctly. */
float pare_logf(float x) { return (float)pare_log((double)x); }

static float with_sign_of(float a, float x)
{
    return pare_bits_f32((pare_f32_bits(a) & 0x7fffffffu) | (pare_f32_bits(x) & 0x80000000u));
}

static float magnitude(float x) { return pare_bits_f32(pare_f32_bits(x) & 0x7fffffffu); }

float pare_tanhf(float x)
{
    float a = magnitude(x), z = a * a, p, small, big;

    p = fmaf(PARE_TANH_C4, z, PARE_TANH_C3);
    p = fmaf(p, z, PARE_TANH_C2);
    p = fmaf(p, z, PARE_TANH_C1);
    p = fmaf(p, z, PARE_TANH_C0);
    small = fmaf(a * z, p, a);
    big = 1.0f - 2.0f / (pare_expf(a + a) + 1.0f);
    return with_sign_of(a < PARE_TANH_BORDER ? small : big, x);
}

float pare_erff(float x)
{
    float a = magnitude(x), z = a * a, t, p, g, small, big;

    p = fmaf(PARE_ERF_C6, z, PARE_ERF_C5);
    p = fmaf(p, z, PARE_ERF_C4);
    p = fmaf(p, z, PARE_ERF_C3);
    p = fmaf(p, z, PARE_ERF_C2);
    p = fmaf(p, z, PARE_ERF_C1);
    p = fmaf(p, z, PARE_ERF_C0);
    small = fmaf(a, p, a);
    t = a > PARE_ERF_TOP ? PARE_ERF_TOP : a;
    g = fmaf(PARE_ERF_G7, t, PARE_ERF_G6);
    g = fmaf(g, t, PARE_ERF_G5);
    g = fmaf(g, t, PARE_ERF_G4);
    g = fmaf(g, t, PARE_ERF_G3);
    g = fmaf(g, t, PARE_ERF_G2);
    g = fmaf(g, t, PARE_ERF_G1);
    g = fmaf(g, t, PARE_ERF_G0);
    big = 1.0f - pare_expf(0.0f - g);
    return with_sign_of(a < PARE_ERF_BORDER ? small : big, x);
}

/* Sine and cosine by Taylor series on |r| <= pi/4; what is left out is below 2^-36, far under half an ulp of f32. */
static double sin_small(double r)
{
    double z = r * r, p;

    p = fma(1.0 / 6227020800.0, z, -1.0 / 39916800.0);
    p = fma(p, z, 1.0 / 362880.0);
    p = fma(p, z, -1.0 / 5040.0);
    p = fma(p, z, 1.0 / 120.0);
    p = fma(p, z, -1.0 / 6.0);
    return fma(r * z, p, r);
}

static double cos_small(double r)
{
    double z = r * r, p;

    p = fma(-1.0 / 87178291200.0, z, 1.0 / 479001600.0);
    p = fma(p, z, -1.0 / 3628800.0);
    p = fma(p, z, 1.0 / 40320.0);
    p = fma(p, z, -1.0 / 720.0);
    p = fma(p, z, 1.0 / 24.0);
    p = fma(p, z, -0.5);
    return fma(z, p, 1.0);
}

/* k * pi/2 is taken away in two steps of fma: with |k| below 2^41 what remains is right to about 2^-66 * k. */
void pare_sincosf_pos(double angle, float *s, float *c)
{
    double   t, k, r, sn, cs;
    uint64_t bits;

    if (!(angle <= 0x1p40 && angle >= -0x1p40)) { /* also NaN */
        *s = *c = pare_bits_f32(0x7fc00000u);
        return;
    }
    t = fma(angle, 0x1.45f306dc9c883p-1, 0x1.8p52); /* 2/pi; the nearest integer stands in the low bits */
    k = t - 0x1.8p52;
    memcpy(&bits, &t, sizeof bits);
    r = fma(-k, 0x1.921fb54442d18p+0, angle);
    r = fma(-k, 0x1.1a62633145c07p-54, r);
    sn = sin_small(r);
    cs = cos_small(r);
    switch (bits & 3) {
    case 0: *s = (float)sn; *c = (float)cs; break;
    case 1: *s = (float)cs; *c = (float)-sn; break;
    case 2: *s = (float)-sn; *c = (float)-cs; break;
    default: *s = (float)-cs; *c = (float)sn; break;
    }
}
