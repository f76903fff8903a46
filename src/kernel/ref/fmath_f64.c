/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/fmath_f64.c: log, exp and pow in f64 from plain operations and fma(): the same bits on every machine, which
 * no C library promises of its own. Errors measured by tests/unit/test_fmath.c are about one ulp. */
#include <math.h>
#include <string.h>

#include "kernel/vec.h"

static uint64_t bits_of(double x)
{
    uint64_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

static double of_bits(uint64_t u)
{
    double x;

    memcpy(&x, &u, sizeof x);
    return x;
}

/* log of a positive finite x as hi + *lo with about 60 good bits. x = 2^k m with m in [sqrt 1/2, sqrt 2);
 * s = (m - 1) / (m + 1) and log m = 2 s + s z (2/3 + 2/5 z + ...), z = s^2 <= 0.0295: ten terms leave 2^-60. */
static double log_two(double x, double *lo)
{
    uint64_t u = bits_of(x);
    int      k = 0;
    double   m, f, d, dl, s, sl, z, p, a, b, sum;

    if (u < 0x0010000000000000u) { /* denormal */
        u = bits_of(x * 0x1p54);
        k = -54;
    }
    k += (int)(u >> 52) - 1023;
    u = (u & 0x000fffffffffffffu) | 0x3ff0000000000000u;
    if (u >= 0x3ff6a09e667f3bcdu) { /* sqrt 2 */
        u -= 0x0010000000000000u;
        k++;
    }
    m = of_bits(u);
    f = m - 1.0; /* exact */
    d = m + 1.0;
    dl = m - (d - 1.0); /* what rounding took from d, exact */
    s = f / d;
    sl = fma(-s, dl, fma(-s, d, f)) / d; /* the rest of the quotient */
    z = s * s;
    p = 2.0 / 21.0;
    for (int i = 19; i >= 3; i -= 2) p = fma(p, z, 2.0 / i);
    a = k * 0x1.62e42fefp-1; /* ln 2 cut to 33 bits: exact for every k */
    b = s + s;
    sum = a + b;
    /* |a| > |b| or a == 0: the rounding error of the sum is exact. */
    *lo = (b - (sum - a)) + fma(s * z, p, fma(k, 0x1.473de6af278edp-34, sl + sl));
    return sum;
}

double pare_log(double x)
{
    double hi, lo;

    if (x != x) return x + x;
    if (x < 0.0) return of_bits(0x7ff8000000000000u);
    if (x == 0.0) return of_bits(0xfff0000000000000u);
    if (x > 0x1.fffffffffffffp1023) return x;
    hi = log_two(x, &lo);
    return hi + lo;
}

/* exp(x + xl), |xl| tiny beside one. */
static double exp_two(double x, double xl)
{
    double   t, n, r, p;
    uint64_t k, h;

    if (x != x) return x + x;
    x = x > 710.0 ? 710.0 : x;
    x = x < -746.0 ? -746.0 : x;
    t = fma(x, 0x1.71547652b82fep+0, 0x1.8p52);
    n = t - 0x1.8p52;
    r = fma(-n, 0x1.62e42fefa39efp-1, x);
    r = fma(-n, 0x1.abc9e3b39803fp-56, r) + xl;
    /* Taylor: |r| <= 0.347, the first term left out is below 2^-57. */
    p = 1.0 / 6227020800.0;
    p = fma(p, r, 1.0 / 479001600.0);
    p = fma(p, r, 1.0 / 39916800.0);
    p = fma(p, r, 1.0 / 3628800.0);
    p = fma(p, r, 1.0 / 362880.0);
    p = fma(p, r, 1.0 / 40320.0);
    p = fma(p, r, 1.0 / 5040.0);
    p = fma(p, r, 1.0 / 720.0);
    p = fma(p, r, 1.0 / 120.0);
    p = fma(p, r, 1.0 / 24.0);
    p = fma(p, r, 1.0 / 6.0);
    p = fma(p, r, 0.5);
    p = 1.0 + fma(r * r, p, r);
    k = bits_of(t) - 0x4338000000000000u; /* n in two's complement, -1077..1025 */
    h = ((k + 4096) >> 1) - 2048;
    p *= of_bits((h + 1023) << 52);
    return p * of_bits((k - h + 1023) << 52);
}

double pare_exp(double x) { return exp_two(x, 0.0); }

/* 0: not an integer, 1: odd, 2: even. */
static int parity(double y)
{
    double a = fabs(y), n;

    if (a >= 0x1p53) return 2;
    n = (a + 0x1p52) - 0x1p52; /* nearest integer for a < 2^52; above, a is one already */
    if (a >= 0x1p52) n = a;
    if (n != a) return 0;
    return (uint64_t)a & 1 ? 1 : 2;
}

/* Special cases as IEC 60559 has them for pow. */
double pare_pow(double x, double y)
{
    const double inf = of_bits(0x7ff0000000000000u);
    double       a = fabs(x), hi, lo, ph, pl, r;
    int          odd;

    if (y == 0.0 || x == 1.0) return 1.0;
    if (x != x || y != y) return x + y;
    odd = parity(y) == 1;
    if (a == 0.0 || a == inf) {
        r = (a == 0.0) == (y < 0.0) ? inf : 0.0;
        return odd && signbit(x) ? -r : r;
    }
    if (fabs(y) == inf) {
        if (a == 1.0) return 1.0;
        return (a > 1.0) == (y > 0.0) ? inf : 0.0;
    }
    if (x < 0.0 && parity(y) == 0) return of_bits(0x7ff8000000000000u);
    hi = log_two(a, &lo);
    ph = y * hi;
    if (ph > 800.0) r = inf;
    else if (ph < -800.0) r = 0.0;
    else {
        pl = fma(y, hi, -ph) + y * lo;
        r = exp_two(ph, pl);
    }
    return x < 0.0 && odd ? -r : r;
}
