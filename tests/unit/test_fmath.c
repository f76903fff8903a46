/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_fmath.c: the scalar functions against the C library in higher precision (f32 against f64, f64 against
 * long double), and their special values. */
#include "fixture.h"

#include <math.h>

#include "base/checked.h"
#include "base/rng.h"
#include "kernel/vec.h"
#include "nn/rope.h"

/* Distance in units of the last place of the f32 nearest to want. */
static double ulps(float got, double want)
{
    float w = (float)want;
    int   e;

    if (got == w || (isnan(got) && isnan(want))) return 0;
    if (isinf(w) || isinf(got)) return 1e9;
    frexp(fabs(want), &e);
    if (e < -125) e = -125;
    return fabs((double)got - want) / ldexp(1.0, e - 24);
}

struct fn {
    const char *name;
    float (*f)(float);
    double (*want)(double);
    double limit;
};
static const struct fn fns[] = {
    { "exp", pare_expf, exp, 2.0 }, { "log", pare_logf, log, 1.0 }, { "tanh", pare_tanhf, tanh, 4.0 }, { "erf", pare_erff, erf, 4.0 },
};

/* Every 2011th bit pattern of both signs: two million values, all exponents, denormals, NaN. */
static void f32_functions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fns / sizeof *fns; i++) {
        double worst = 0;
        float  at = 0;

        for (uint64_t u = 0; u <= UINT32_MAX; u += 2011) {
            float  x = pare_bits_f32((uint32_t)u);
            double e = ulps(fns[i].f(x), fns[i].want((double)x));

            if (e > worst) worst = e, at = x;
        }
        /* Densely where the values matter. */
        for (uint32_t j = 0; j < 1000000; j++) {
            float  x = ((float)j - 500000.0f) * 1.7e-5f + 1e-6f;
            double e = ulps(fns[i].f(x), fns[i].want((double)x));

            if (e > worst) worst = e, at = x;
        }
        print_message("%s: at most %.3f ulp (at %a)\n", fns[i].name, worst, (double)at);
        assert_true(worst <= fns[i].limit);
    }
}

static void f32_specials(void **state)
{
    (void)state;
    assert_true(pare_expf(-INFINITY) == 0.0f && !signbit(pare_expf(-INFINITY)));
    assert_true(pare_expf(INFINITY) == INFINITY && pare_expf(89.0f) == INFINITY);
    assert_true(pare_expf(0.0f) == 1.0f && pare_expf(-0.0f) == 1.0f);
    assert_true(pare_expf(88.72283f) < INFINITY && pare_expf(88.722839f) == INFINITY);
    assert_true(pare_expf(-103.9f) > 0.0f && pare_expf(-104.0f) == 0.0f);
    assert_true(isnan(pare_expf(NAN)) && isnan(pare_tanhf(NAN)) && isnan(pare_erff(NAN)) && isnan(pare_logf(NAN)));
    assert_true(pare_tanhf(INFINITY) == 1.0f && pare_tanhf(-INFINITY) == -1.0f && pare_erff(-INFINITY) == -1.0f);
    assert_true(signbit(pare_tanhf(-0.0f)) && signbit(pare_erff(-0.0f)) && !signbit(pare_erff(0.0f)));
    assert_true(pare_logf(0.0f) == -INFINITY && pare_logf(INFINITY) == INFINITY && isnan(pare_logf(-1.0f)) && pare_logf(1.0f) == 0.0f);
}

/* tanh and erf never leave [-1, 1]; exp, tanh, erf do not fall over steps of several values. */
static void f32_monotone(void **state)
{
    (void)state;
    for (float x = -12.0f; x < 12.0f; x += 0.001f) {
        assert_true(pare_expf(x + 0.001f) >= pare_expf(x));
        assert_true(pare_tanhf(x + 0.001f) >= pare_tanhf(x) && fabsf(pare_tanhf(x)) <= 1.0f);
        assert_true(pare_erff(x + 0.001f) >= pare_erff(x) && fabsf(pare_erff(x)) <= 1.0f);
    }
}

static double ulps64(double got, long double want)
{
    double w = (double)want;
    int    e;

    if (got == w || (isnan(got) && isnan(w))) return 0;
    if (isinf(w) || isinf(got)) return 1e9;
    frexpl(fabsl(want), &e);
    if (e < -1021) e = -1021;
    return (double)(fabsl((long double)got - want) / ldexpl(1.0L, e - 53));
}

static double of_bits(uint64_t u)
{
    double x;

    memcpy(&x, &u, sizeof x);
    return x;
}

static void f64_functions(void **state)
{
    double we = 0, wl = 0, wp = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000000; i++) {
        double x = (pare_rng_f64(1, PARE_RNG_TEST, i) - 0.5) * 1500.0, y = of_bits(pare_rng_u64(2, PARE_RNG_TEST, i) >> 1);
        double n = 0.5 + pare_rng_f64(3, PARE_RNG_TEST, i), e;

        if ((e = ulps64(pare_exp(x), expl((long double)x))) > we) we = e;
        if ((e = ulps64(pare_exp(n - 1.0), expl((long double)n - 1.0L))) > we) we = e;
        if (!isnan(y) && (e = ulps64(pare_log(y), logl((long double)y))) > wl) wl = e;
        if ((e = ulps64(pare_log(n), logl((long double)n))) > wl) wl = e;
    }
    for (uint64_t i = 0; i < 500000; i++) {
        double x = pare_rng_f64(4, PARE_RNG_TEST, i) * 1e6, y = (pare_rng_f64(5, PARE_RNG_TEST, i) - 0.5) * 4.0, e;

        if ((e = ulps64(pare_pow(x, y), powl((long double)x, (long double)y))) > wp) wp = e;
    }
    print_message("f64: exp %.3f, log %.3f, pow %.3f ulp\n", we, wl, wp);
    assert_true(we <= 2.0 && wl <= 2.0 && wp <= 2.0);
}

/* Special cases must be those that C promises for pow, exp and log. */
static void f64_specials(void **state)
{
    static const double v[] = { 0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 1e300, -1e300, 5e-324, INFINITY, -INFINITY,
                                NAN, 0x1p52 + 1, 0x1p53, 1023.0, -1074.0, 2.5, -2.5 };
    (void)state;
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        assert_true(ulps64(pare_exp(v[i]), (long double)exp(v[i])) <= 2.0);
        assert_true(ulps64(pare_log(v[i]), (long double)log(v[i])) <= 2.0);
        for (size_t j = 0; j < sizeof v / sizeof *v; j++) {
            double got = pare_pow(v[i], v[j]), want = pow(v[i], v[j]);

            if (ulps64(got, (long double)want) > 2.0 || (!isnan(want) && signbit(got) != signbit(want)))
                fail_msg("pow(%g, %g) = %g, want %g", v[i], v[j], got, want);
        }
    }
    for (int k = -1074; k < 1024; k++) assert_true(pare_pow(2.0, k) == ldexp(1.0, k));
}

static void sincos_pos(void **state)
{
    double worst = 0;
    float  s, c;

    (void)state;
    for (uint64_t i = 0; i < 1000000; i++) {
        double a = pare_rng_f64(6, PARE_RNG_TEST, i), e;

        a = i % 3 == 0 ? a * 6.5 : i % 3 == 1 ? a * 131072.0 : a * 0x1p32;
        if (i & 1) a = -(double)(float)a;
        pare_sincosf_pos(a, &s, &c);
        if ((e = ulps(s, (double)sinl((long double)a))) > worst) worst = e;
        if ((e = ulps(c, (double)cosl((long double)a))) > worst) worst = e;
    }
    print_message("sincos: at most %.3f ulp\n", worst);
    assert_true(worst <= 0.51);
    pare_sincosf_pos(0.0, &s, &c);
    assert_true(s == 0.0f && c == 1.0f);
    pare_sincosf_pos((double)INFINITY, &s, &c);
    assert_true(isnan(s) && isnan(c));
}

/* Frequencies against formulas written in f64 here, from the papers: an f32 chain may differ by a few ulp. */
static void rope_scalings(void **state)
{
    struct pare_rope_params p;
    struct pare_diag d = { 0 };
    float  inv[32], cs[64], lf[32], sf[32], scale;
    double worst = 0;

    (void)state;
    pare_rope_defaults(&p);
    p.dim = 64;
    p.base = 500000.0;
    assert_int_equal(pare_rope_init(&p, 100, inv, &scale, &d), 0);
    for (int i = 0; i < 32; i++) worst = fmax(worst, ulps(inv[i], pow(500000.0, -2.0 * i / 64)));
    assert_true(worst <= 2.0 && scale == 1.0f);
    pare_rope_row(inv, 32, 77, 1.0f, cs);
    for (int i = 0; i < 32; i++) {
        double a = (double)(77.0f * inv[i]);
        assert_true(ulps(cs[2 * i], cos(a)) <= 1.0 && ulps(cs[2 * i + 1], sin(a)) <= 1.0);
    }
    p.type = PARE_ROPE_LLAMA3;
    p.factor = 8;
    p.low_freq_factor = 1;
    p.high_freq_factor = 4;
    p.orig_ctx = 8192;
    p.max_ctx = 131072;
    assert_int_equal(pare_rope_init(&p, 100, inv, &scale, &d), 0);
    for (int i = 0; i < 32; i++) {
        double f = pow(500000.0, -2.0 * i / 64), len = 6.283185307179586 / f, want = f;
        double sm = (8192 / len - 1) / 3;
        if (len > 8192) want = f / 8;
        else if (len > 2048) want = (1 - sm) * f / 8 + sm * f;
        assert_true(fabs(inv[i] / want - 1) < 2e-6);
    }
    p.type = PARE_ROPE_YARN;
    p.base = 10000.0;
    p.factor = 4;
    p.orig_ctx = 2048;
    assert_int_equal(pare_rope_init(&p, 100, inv, &scale, &d), 0);
    assert_true(fabs(scale - (0.1 * log(4.0) + 1)) < 1e-6);
    for (int i = 0; i < 32; i++) {
        double f = pow(10000.0, -2.0 * i / 64);
        double lo = floor(64 * log(2048 / (32 * 6.283185307179586)) / (2 * log(10000.0)));
        double hi = ceil(64 * log(2048 / (1 * 6.283185307179586)) / (2 * log(10000.0)));
        double r = fmin(1, fmax(0, (i - lo) / (hi - lo)));
        assert_true(fabs(inv[i] / (f / 4 * r + f * (1 - r)) - 1) < 2e-6);
    }
    p.mscale = 0.707;
    p.mscale_all_dim = 0.707;
    assert_int_equal(pare_rope_init(&p, 100, inv, &scale, &d), 0);
    assert_true(scale == 1.0f);
    pare_rope_defaults(&p);
    p.type = PARE_ROPE_DYNAMIC;
    p.dim = 64;
    p.factor = 2;
    p.max_ctx = 2048;
    assert_int_equal(pare_rope_init(&p, 8192, inv, &scale, &d), 0);
    for (int i = 0; i < 32; i++)
        assert_true(fabs(inv[i] / pow(10000.0 * pow(2.0 * 8192 / 2048 - 1.0, 64.0 / 62.0), -2.0 * i / 64) - 1) < 2e-6);
    assert_int_equal(pare_rope_init(&p, 10, inv, &scale, &d), 0);
    for (int i = 0; i < 32; i++) assert_true(fabs(inv[i] / pow(10000.0, -2.0 * i / 64) - 1) < 1e-6);
    for (int i = 0; i < 32; i++) {
        sf[i] = 1.0f + (float)i * 0.01f;
        lf[i] = 2.0f + (float)i;
    }
    p.type = PARE_ROPE_LONGROPE;
    p.factor = 0;
    p.max_ctx = 131072;
    p.orig_ctx = 4096;
    assert_int_equal(pare_rope_init(&p, 100, inv, &scale, &d), PARE_E_CORRUPT);
    p.short_factor = sf;
    p.long_factor = lf;
    for (uint32_t n = 4096; n <= 4097; n++) {
        pare_diag_clear(&d);
        assert_int_equal(pare_rope_init(&p, n, inv, &scale, &d), 0);
        for (int i = 0; i < 32; i++) assert_true(fabs(inv[i] * (n > 4096 ? lf[i] : sf[i]) / pow(10000.0, -2.0 * i / 64) - 1) < 1e-6);
        assert_true(fabs(scale - sqrt(1 + log(32.0) / log(4096.0))) < 1e-6);
    }
}

static void rope_refuses(void **state)
{
    struct pare_rope_params p;
    struct pare_diag d;
    float  inv[8], scale, zero[8] = { 0 };

    (void)state;
    for (int i = 0; i < 8; i++) {
        pare_diag_clear(&d);
        pare_rope_defaults(&p);
        p.dim = 16;
        p.max_ctx = 100;
        p.factor = 2;
        switch (i) {
        case 0: p.dim = 7; break;
        case 1: p.base = -1; break;
        case 2: p.base = (double)NAN; break;
        case 3: p.type = PARE_ROPE_LINEAR; p.factor = 0; break;
        case 4: p.type = PARE_ROPE_LLAMA3; break;
        case 5: p.type = PARE_ROPE_YARN; p.beta_fast = 0; break;
        case 6: p.type = PARE_ROPE_DYNAMIC; p.max_ctx = 0; break;
        default: p.freq_factor = zero; break;
        }
        assert_int_equal(pare_rope_init(&p, 10, inv, &scale, &d), PARE_E_CORRUPT);
        assert_true(d.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_functions), cmocka_unit_test(f32_specials), cmocka_unit_test(f32_monotone), cmocka_unit_test(f64_functions),
        cmocka_unit_test(f64_specials), cmocka_unit_test(sincos_pos), cmocka_unit_test(rope_scalings), cmocka_unit_test(rope_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
