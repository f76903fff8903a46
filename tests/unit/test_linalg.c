/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_linalg.c: linear algebra in f64 against its definition in plain loops (memcmp), against LAPACK, against identities, and
 * with every number of threads and every tier. */
#include "fixture.h"

#include <float.h>
#include <lapacke.h>
#include <math.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/linalg.h"
#include "kernel/linalg_tiers.h"

#define OK(call) assert_int_equal(call, PARE_OK)

static struct pare_job *job_of(uint32_t threads, int tier)
{
    struct pare_job_settings s;
    struct pare_job *j;

    pare_job_settings_default(&s);
    s.n_threads = threads;
    s.max_tier = tier;
    OK(pare_job_create(&j, &s, NULL));
    return j;
}

static double *matrix(uint64_t m, uint64_t n) { return pare_zalloc(m * n + 1, sizeof(double)); }

static double *copy(const double *a, uint64_t count)
{
    double *b = matrix(count, 1);

    memcpy(b, a, count * sizeof *b);
    return b;
}

static double *noise(uint64_t m, uint64_t n, uint64_t seed)
{
    double *a = matrix(m, n);

    for (uint64_t i = 0; i < m * n; i++) a[i] = (double)pare_rng_normal(seed, PARE_RNG_TEST, i);
    return a;
}

/* Of n rows, positive definite: X^T X of 2 n random rows, plus a little. Both triangles. */
static double *definite(uint64_t n, uint64_t ld, uint64_t seed)
{
    double *x = noise(2 * n, n, seed), *a = matrix(n, ld);

    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j < ld; j++) {
            double s = 0.0;
            for (uint64_t k = 0; j < n && k < 2 * n; k++) s += x[k * n + i] * x[k * n + j];
            a[i * ld + j] = j >= n ? 77.0 : i == j ? s + 0.01 : s;
        }
    pare_free(x);
    return a;
}

/* Runs body with every number of threads and every tier there is. */
#define EVERYWHERE(j, ...)                                                                                             \
    for (uint32_t threads_ = 1; threads_ <= 3; threads_++)                                                             \
        for (int tier_ = 0; tier_ <= pare_cpu_best_tier(); tier_++) {                                                  \
            struct pare_job *j = job_of(threads_, tier_);                                                              \
            __VA_ARGS__ pare_job_destroy(&j);                                                                         \
        }

static const uint64_t sizes[] = { 1, 2, 7, 16, 17, 127, 128, 129, 200, 300 };
#define N_SIZES (sizeof sizes / sizeof *sizes)

/* ---- the inner loops ---- */

static const struct pare_linalg *tier_ops(int tier)
{
    struct pare_job j = { .tier = tier };

    return pare_linalg_for(&j);
}

static void test_loops(void **state)
{
    enum { N = 75 };
    double *a = noise(N, PARE_MROWS, 1), *b = noise(N, PARE_STRIP, 2), *c0 = noise(PARE_MROWS, 20, 3), *t = noise(N, N, 4);
    struct pare_rotation r[N];

    (void)state;
    for (uint64_t i = 0; i < N; i++) r[i] = (struct pare_rotation){ a[i], b[i] };
    /* Numbers at the ends of the range: the order of rounding must be the same there. */
    a[8] = 1e300; b[16] = 1e9; a[17] = 5e-324; b[33] = 0.5; a[3] = -0.0; b[5] = 0x1p-1070; t[N + 5] = 1e-308;
    for (int tier = 0; tier <= pare_cpu_best_tier(); tier++) {
        const struct pare_linalg *o = tier_ops(tier);

        for (uint64_t n = 0; n < N; n++) {
            double *c = copy(c0, PARE_MROWS * 20), *d = copy(c0, PARE_MROWS * 20), *x = copy(b, N * PARE_STRIP), *y = copy(b, N * PARE_STRIP);
            double  l[16] = { 0 };

            o->tile(c, 20, a, b, n);
            for (uint64_t i = 0; i < PARE_MROWS; i++)
                for (uint64_t j = 0; j < PARE_STRIP; j++)
                    for (uint64_t k = 0; k < n; k++) d[i * 20 + j] -= a[k * PARE_MROWS + i] * b[k * PARE_STRIP + j];
            assert_memory_equal(c, d, PARE_MROWS * 20 * sizeof *c);

            o->solve(x, t, n);
            for (uint64_t k = 0; k < n; k++)
                for (uint64_t q = 0; q < PARE_STRIP; q++) {
                    y[k * PARE_STRIP + q] /= t[k * n + k];
                    for (uint64_t j = k + 1; j < n; j++) y[j * PARE_STRIP + q] -= t[k * n + j] * y[k * PARE_STRIP + q];
                }
            assert_memory_equal(x, y, N * PARE_STRIP * sizeof *x);

            o->rotate(x, r, n);
            for (uint64_t k = 0; k < n; k++)
                for (uint64_t q = 0; q < PARE_STRIP; q++) {
                    double u = y[k * PARE_STRIP + q], v = y[(k + 1) * PARE_STRIP + q];
                    y[k * PARE_STRIP + q] = r[k].c * u + r[k].s * v;
                    y[(k + 1) * PARE_STRIP + q] = r[k].c * v - r[k].s * u;
                }
            assert_memory_equal(x, y, N * PARE_STRIP * sizeof *x);

            o->axpy(c, 0.37, t, n);
            for (uint64_t i = 0; i < n; i++) d[i] += 0.37 * t[i];
            assert_memory_equal(c, d, PARE_MROWS * 20 * sizeof *c);
            for (uint64_t i = 0; i < n; i++) l[i % 16] += t[i] * b[i];
            for (int h = 8; h > 0; h /= 2)
                for (int i = 0; i < h; i++) l[i] += l[i + h];
            l[1] = o->dot(t, b, n);
            assert_memory_equal(l, l + 1, sizeof *l);
            pare_free(c); pare_free(d); pare_free(x); pare_free(y);
        }
    }
    pare_free(a); pare_free(b); pare_free(c0); pare_free(t);
}

static void test_matmul(void **state)
{
    static const uint64_t shape[][3] = { { 1, 1, 1 }, { 3, 5, 0 }, { 8, 16, 256 }, { 67, 263, 519 }, { 130, 17, 33 } };

    (void)state;
    for (uint64_t q = 0; q < sizeof shape / sizeof *shape; q++) {
        uint64_t m = shape[q][0], n = shape[q][1], k = shape[q][2], ld = n + 3;
        double  *a = noise(m, k, 5), *b = noise(k, n, 6), *c0 = noise(m, ld, 7);

        for (int how = 0; how < 3; how++)
            for (int lower = 0; lower < 2; lower++)
                for (int trans = 0; trans < 2; trans++) {
                    double *want = copy(c0, m * ld), *at = matrix(k, m), *bt = matrix(n, k);
                    struct pare_view va = { a, (int64_t)k, 1 }, vb = { b, (int64_t)n, 1 };

                    for (uint64_t i = 0; i < m; i++)
                        for (uint64_t p = 0; p < k; p++) at[p * m + i] = a[i * k + p];
                    for (uint64_t p = 0; p < k; p++)
                        for (uint64_t j = 0; j < n; j++) bt[j * k + p] = b[p * n + j];
                    if (trans) va = (struct pare_view){ at, 1, (int64_t)m }, vb = (struct pare_view){ bt, 1, (int64_t)k };
                    for (uint64_t i = 0; i < m; i++)
                        for (uint64_t j = 0; j < (lower && i + 1 < n ? i + 1 : n); j++) {
                            double s = how == PARE_MUL_SET ? 0.0 : want[i * ld + j];
                            for (uint64_t p = 0; p < k; p++)
                                s = how == PARE_MUL_SUB ? s - a[i * k + p] * b[p * n + j] : s + a[i * k + p] * b[p * n + j];
                            want[i * ld + j] = s;
                        }
                    EVERYWHERE(j, {
                        double *c = copy(c0, m * ld);
                        OK(pare_matmul(c, ld, m, n, k, va, vb, (enum pare_mul)how, (enum pare_part)lower, j, NULL));
                        assert_memory_equal(c, want, m * ld * sizeof *c);
                        pare_free(c);
                    })
                    pare_free(want); pare_free(at); pare_free(bt);
                }
        pare_free(a); pare_free(b); pare_free(c0);
    }
}

/* ---- Cholesky ---- */

/* The definition: three loops. reversed: from the last row, M upper. */
static void plain_chol(double *a, uint64_t n, uint64_t ld)
{
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j <= i; j++) {
            double s = a[i * ld + j];
            for (uint64_t k = 0; k < j; k++) s -= a[i * ld + k] * a[j * ld + k];
            a[i * ld + j] = i == j ? sqrt(s) : s / a[j * ld + j];
        }
}

static void test_chol(void **state)
{
    (void)state;
    for (uint64_t q = 0; q < N_SIZES; q++) {
        uint64_t n = sizes[q], ld = n + 5;
        double  *a0 = definite(n, ld, 10 + q), *want = copy(a0, n * ld), *lap = copy(a0, n * ld), worst = 0.0;

        plain_chol(want, n, ld);
        assert_int_equal(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (int)n, lap, (int)ld), 0);
        for (uint64_t i = 0; i < n; i++)
            for (uint64_t j = 0; j <= i; j++) worst = fmax(worst, fabs(want[i * ld + j] - lap[i * ld + j]) / want[0]);
        assert_true(worst < 1e-12);
        EVERYWHERE(j, {
            double  *a = copy(a0, n * ld);
            uint64_t pivot = 0;
            OK(pare_chol(a, n, ld, &pivot, j, NULL));
            assert_int_equal(pivot, n);
            assert_memory_equal(a, want, n * ld * sizeof *a); /* what lies above the diagonal and beside the matrix, too */
            pare_free(a);
        })
        pare_free(a0); pare_free(want); pare_free(lap);
    }
}

static void test_chol_reversed(void **state)
{
    (void)state;
    for (uint64_t q = 0; q < N_SIZES; q++) {
        uint64_t n = sizes[q];
        double  *a0 = definite(n, n, 30 + q), *m = copy(a0, n * n), *inv = copy(a0, n * n), *u, worst = 0.0;
        uint64_t pivot;

        for (uint64_t i = 0; i < n; i++)
            for (uint64_t j = 0; j < i; j++) m[i * n + j] = 1e99; /* only the upper triangle may be looked at */
        OK(pare_chol_reversed(m, n, n, &pivot, NULL, NULL));
        assert_int_equal(pivot, n);
        for (uint64_t i = 0; i < n; i++)
            for (uint64_t j = 0; j < n; j++) {
                double s = 0.0;
                for (uint64_t k = i > j ? i : j; k < n; k++) s += m[i * n + k] * m[j * n + k];
                worst = fmax(worst, fabs(s - a0[i * n + j]) / a0[0]);
                if (j < i) assert_true(m[i * n + j] == 1e99);
            }
        assert_true(worst < 1e-12);
        /* M^-1 is the upper factor of the inverse, as LAPACK makes it from the inverse itself. */
        OK(pare_tri_inverse(m, n, n, PARE_UPPER, NULL, NULL));
        assert_int_equal(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', (int)n, inv, (int)n), 0);
        assert_int_equal(LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'U', (int)n, inv, (int)n), 0);
        assert_int_equal(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', (int)n, inv, (int)n), 0);
        u = inv;
        for (uint64_t i = 0; i < n; i++)
            for (uint64_t j = i; j < n; j++) assert_true(fabs(u[i * n + j] - m[i * n + j]) < 1e-9 * u[0]);
        pare_free(a0); pare_free(m); pare_free(inv);
    }
}

static void test_chol_refuses(void **state)
{
    enum { N = 300 };
    static const uint64_t where[] = { 0, 5, 127, 128, 255, 299 };
    double *good = definite(N, N, 50);

    (void)state;
    for (uint64_t q = 0; q < sizeof where / sizeof *where; q++)
        for (int kind = 0; kind < 5; kind++) {
            uint64_t w = where[q], pivot = 0;
            double  *a = copy(good, N * N);
            struct pare_diag d = { 0 };

            if (kind == 0) a[w * N + w] = -1.0;
            if (kind == 1) a[w * N + w] = NAN;
            if (kind == 2) a[w * N + w] = INFINITY;
            if (kind == 3) a[w * N + w / 2] = NAN; /* beside the diagonal, or on it */
            if (kind == 4) memset(a + w * N, 0, N * sizeof *a); /* a row of zeros: singular */
            assert_int_equal(pare_chol(a, N, N, &pivot, NULL, &d), PARE_E_CORRUPT);
            assert_int_equal(pivot, w);
            assert_true(strstr(d.text, "positive definite") != NULL);
            pare_free(a);
            if (kind == 3 || kind == 4) continue;
            a = copy(good, N * N);
            a[w * N + w] = kind == 0 ? -1.0 : kind == 1 ? NAN : INFINITY;
            assert_int_equal(pare_chol_reversed(a, N, N, &pivot, NULL, NULL), PARE_E_CORRUPT);
            assert_int_equal(pivot, w);
            pare_free(a);
        }
    pare_free(good);
}

/* ---- triangles ---- */

/* Well conditioned, the other triangle full of what must not be read. */
static double *triangle(uint64_t n, uint64_t ld, bool upper, uint64_t seed)
{
    double *t = noise(n, ld, seed);

    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j < n; j++) {
            if (i == j) t[i * ld + j] = 2.0 + fabs(t[i * ld + j]);
            else if (upper ? j > i : j < i) t[i * ld + j] /= (double)n;
            else t[i * ld + j] = NAN;
        }
    return t;
}

static void test_tri_solve(void **state)
{
    (void)state;
    for (uint64_t q = 0; q < N_SIZES; q++)
        for (int c = 0; c < 8; c++) {
            bool     upper = c & 1, trans = c & 2, right = c & 4, up = upper != trans;
            uint64_t n = sizes[q], m = n % 40 + 1, rows = right ? m : n, cols = right ? n : m, ldt = n + 1, ldx = cols + (q & 1 ? 2 : 0);
            double  *t = triangle(n, ldt, upper, 60 + q), *x0 = noise(rows, ldx, 90 + q), *want = copy(x0, rows * ldx), worst = 0.0;

            /* Plain substitution: op(T) y = b; from the right it is the transposed system. */
            bool tr = right ? !trans : trans;
            up = upper != tr;
            for (uint64_t col = 0; col < m; col++)
                for (uint64_t e = 0; e < n; e++) {
                    uint64_t i = up ? n - 1 - e : e, at = right ? col * ldx + i : i * ldx + col;
                    double   s = want[at];
                    for (uint64_t f = 0; f < e; f++) {
                        uint64_t k = up ? n - 1 - f : f;
                        s -= (tr ? t[k * ldt + i] : t[i * ldt + k]) * want[right ? col * ldx + k : k * ldx + col];
                    }
                    want[at] = s / t[i * ldt + i];
                }
            EVERYWHERE(j, {
                double *x = copy(x0, rows * ldx);
                if (right) OK(pare_tri_solve_right(t, ldt, n, upper ? PARE_UPPER : PARE_LOWER, trans, x, ldx, m, j, NULL));
                else OK(pare_tri_solve(t, ldt, n, upper ? PARE_UPPER : PARE_LOWER, trans, x, ldx, m, j, NULL));
                assert_memory_equal(x, want, rows * ldx * sizeof *x);
                pare_free(x);
            })
            /* And it solves: multiplied back. */
            for (uint64_t col = 0; col < m; col++)
                for (uint64_t i = 0; i < n; i++) {
                    double s = 0.0;
                    for (uint64_t k = 0; k < n; k++)
                        if (up ? k >= i : k <= i) s += (tr ? t[k * ldt + i] : t[i * ldt + k]) * want[right ? col * ldx + k : k * ldx + col];
                    worst = fmax(worst, fabs(s - x0[right ? col * ldx + i : i * ldx + col]));
                }
            assert_true(worst < 1e-12);
            pare_free(t); pare_free(x0); pare_free(want);
        }
}

static void test_tri_inverse(void **state)
{
    (void)state;
    for (uint64_t q = 0; q < N_SIZES; q++)
        for (int upper = 0; upper < 2; upper++) {
            uint64_t n = sizes[q], ld = n + 2;
            double  *t = triangle(n, ld, upper, 70 + q), *first = NULL, *want = copy(t, n * ld);

            /* Columns of the identity, substituted one by one. */
            for (uint64_t c = 0; c < n; c++)
                for (uint64_t e = 0; e < n; e++) {
                    uint64_t i = upper ? n - 1 - e : e;
                    double   s = i == c ? 1.0 : 0.0;
                    if (upper ? i > c : i < c) continue;
                    for (uint64_t f = 0; f < e; f++) {
                        uint64_t k = upper ? n - 1 - f : f;
                        if (upper ? k <= c : k >= c) s -= t[i * ld + k] * want[k * ld + c];
                    }
                    want[i * ld + c] = s / t[i * ld + i];
                }
            EVERYWHERE(j, {
                double *x = copy(t, n * ld);
                OK(pare_tri_inverse(x, n, ld, upper ? PARE_UPPER : PARE_LOWER, j, NULL));
                assert_memory_equal(x, want, n * ld * sizeof *x); /* NaN in the other triangle included */
                pare_free(x);
            })
            t[n / 2 * ld + n / 2] = 0.0;
            first = copy(t, n * ld);
            assert_int_equal(pare_tri_inverse(first, n, ld, upper ? PARE_UPPER : PARE_LOWER, NULL, NULL), PARE_E_CORRUPT);
            assert_int_equal(pare_tri_solve(t, ld, n, upper ? PARE_UPPER : PARE_LOWER, false, want, ld, 1, NULL, NULL), PARE_E_CORRUPT);
            pare_free(t); pare_free(first); pare_free(want);
        }
}

/* ---- orthogonal factors ---- */

/* Largest difference of q^T q from the identity; q [m][n] by columns (rows: q q^T). */
static double not_orthonormal(const double *q, uint64_t m, uint64_t n, bool rows)
{
    double worst = 0.0;

    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j <= i; j++) {
            double s = i == j ? -1.0 : 0.0;
            for (uint64_t k = 0; k < m; k++) s += rows ? q[i * m + k] * q[j * m + k] : q[k * n + i] * q[k * n + j];
            worst = fmax(worst, fabs(s));
        }
    return worst;
}

/* Largest element of |a - b c|, [m][k] [k][n]; scale [k] between them or NULL. */
static double product_error(const double *a, const double *b, const double *scale, const double *c, uint64_t m, uint64_t k, uint64_t n)
{
    double worst = 0.0;

    for (uint64_t i = 0; i < m; i++)
        for (uint64_t j = 0; j < n; j++) {
            double s = a[i * n + j];
            for (uint64_t p = 0; p < k; p++) s -= b[i * k + p] * (scale == NULL ? 1.0 : scale[p]) * c[p * n + j];
            worst = fmax(worst, fabs(s));
        }
    return worst;
}

/* Kinds of matrices that break algorithms. */
enum kind { DENSE, LOW_RANK, GRADED, ZERO, IDENTITY, EQUAL_ROWS, LARGE, TINY, KINDS };
static double *awkward(enum kind kind, uint64_t m, uint64_t n, uint64_t seed)
{
    double *a = noise(m, n, seed);

    for (uint64_t i = 0; i < m; i++)
        for (uint64_t j = 0; j < n; j++) {
            double *x = a + i * n + j;
            if (kind == LOW_RANK) *x = a[i * n] * (double)(j % 3) + (j > 0 ? a[i * n + 1 % n] : 0.0) * (double)(j % 2);
            if (kind == GRADED) *x *= ldexp(1.0, -(int)(j * 60 / n)) * ldexp(1.0, -(int)(i % 7));
            if (kind == ZERO) *x = 0.0;
            if (kind == IDENTITY) *x = i == j ? 1.0 : 0.0;
            if (kind == EQUAL_ROWS) *x = (double)(j + 1);
            if (kind == LARGE) *x *= 1e200;
            if (kind == TINY) *x *= 1e-200;
        }
    return a;
}

static double largest(const double *a, uint64_t n)
{
    double x = 0.0;

    for (uint64_t i = 0; i < n; i++) x = fmax(x, fabs(a[i]));
    return x;
}

static void test_qr(void **state)
{
    static const uint64_t shape[][2] = { { 1, 1 }, { 5, 1 }, { 33, 33 }, { 90, 31 }, { 140, 70 } };

    (void)state;
    for (uint64_t q = 0; q < sizeof shape / sizeof *shape; q++)
        for (int kind = 0; kind < KINDS; kind++) {
            uint64_t m = shape[q][0], n = shape[q][1];
            double  *a0 = awkward((enum kind)kind, m, n, 100 + q), *q0 = copy(a0, m * n), *r0 = matrix(n, n);

            OK(pare_qr(q0, m, n, n, r0, n, NULL, NULL));
            assert_true(not_orthonormal(q0, m, n, false) < 1e-13);
            assert_true(product_error(a0, q0, NULL, r0, m, n, n) <= 1e-13 * largest(a0, m * n));
            for (uint64_t i = 0; i < n; i++)
                for (uint64_t j = 0; j < i; j++) assert_true(r0[i * n + j] == 0.0);
            if (kind == DENSE) { /* R is unique but for signs */
                double *lap = copy(a0, m * n), *tau = matrix(n, 1);
                assert_int_equal(LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, (int)m, (int)n, lap, (int)n, tau), 0);
                for (uint64_t i = 0; i < n; i++)
                    for (uint64_t j = i; j < n; j++) assert_true(fabs(fabs(lap[i * n + j]) - fabs(r0[i * n + j])) < 1e-11);
                pare_free(lap); pare_free(tau);
                EVERYWHERE(j, {
                    double *x = copy(a0, m * n), *r = matrix(n, n);
                    OK(pare_qr(x, m, n, n, r, n, j, NULL));
                    assert_memory_equal(x, q0, m * n * sizeof *x);
                    assert_memory_equal(r, r0, n * n * sizeof *r);
                    pare_free(x); pare_free(r);
                })
            }
            a0[m * n - 1] = kind & 1 ? NAN : -INFINITY;
            assert_int_equal(pare_qr(a0, m, n, n, r0, n, NULL, NULL), PARE_E_CORRUPT);
            pare_free(a0); pare_free(q0); pare_free(r0);
        }
}

static void test_random_orthogonal(void **state)
{
    enum { N = 97 };
    double *q = matrix(N, N), *p = matrix(N, N), mean = 0.0;

    (void)state;
    OK(pare_random_orthogonal(q, N, N, 5, NULL, NULL));
    OK(pare_random_orthogonal(p, N, N, 6, NULL, NULL));
    assert_true(not_orthonormal(q, N, N, false) < 1e-13);
    assert_true(memcmp(p, q, N * N * sizeof *q) != 0);
    /* Entries of a uniformly distributed one: mean 0, variance 1 / N; the sum of all has variance N. */
    for (uint64_t i = 0; i < N * N; i++) mean += q[i];
    assert_true(fabs(mean) < 5.0 * sqrt(N));
    OK(pare_random_orthogonal(p, N, N, 5, NULL, NULL));
    assert_memory_equal(p, q, N * N * sizeof *q);
    pare_free(q); pare_free(p);
}

/* ---- eigenvalues ---- */

static void test_eigh(void **state)
{
    static const uint64_t size[] = { 1, 2, 3, 32, 33, 34, 65, 140, 300 };

    (void)state;
    for (uint64_t q = 0; q < sizeof size / sizeof *size; q++)
        for (int kind = 0; kind < (size[q] > 200 ? 1 : KINDS); kind++) { /* the largest: products with a vector in several pieces */
            uint64_t n = size[q], ld = n + 1;
            double  *g = awkward((enum kind)kind, n, n, 200 + q), *a0 = matrix(n, ld), *full = matrix(n, n), *v = matrix(n, n), *vt = matrix(n, n);
            double  *w = matrix(n, 1), *lw = matrix(n, 1), *lap, *a, top;

            for (uint64_t i = 0; i < n; i++)
                for (uint64_t j = 0; j <= i; j++) {
                    full[i * n + j] = full[j * n + i] = a0[i * ld + j] = g[i * n + j];
                    a0[j * ld + i] = i == j ? g[i * n + j] : 1e300; /* the upper triangle may not matter */
                }
            a = copy(a0, n * ld);
            lap = copy(full, n * n);
            OK(pare_eigh(a, n, ld, w, NULL, NULL));
            assert_int_equal(LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'L', (int)n, lap, (int)n, lw), 0);
            top = fmax(fabs(lw[0]), fabs(lw[n - 1]));
            for (uint64_t i = 0; i < n; i++) assert_true(fabs(w[i] - lw[n - 1 - i]) <= 1e-13 * top * (double)(n < 10 ? 10 : n) / 10);
            for (uint64_t i = 0; i < n; i++)
                for (uint64_t j = 0; j < n; j++) vt[i * n + j] = v[j * n + i] = a[i * ld + j];
            assert_true(not_orthonormal(vt, n, n, true) < 1e-13);
            assert_true(product_error(full, v, w, vt, n, n, n) <= 1e-13 * fmax(top, largest(full, n * n)));
            if (kind == DENSE || kind == LOW_RANK)
                EVERYWHERE(j, {
                    double *x = copy(a0, n * ld), *xw = matrix(n, 1);
                    OK(pare_eigh(x, n, ld, xw, j, NULL));
                    assert_memory_equal(x, a, n * ld * sizeof *x);
                    assert_memory_equal(xw, w, n * sizeof *xw);
                    pare_free(x); pare_free(xw);
                })
            a0[(n - 1) * ld] = kind & 1 ? NAN : INFINITY;
            assert_int_equal(pare_eigh(a0, n, ld, w, NULL, NULL), PARE_E_CORRUPT);
            pare_free(g); pare_free(a0); pare_free(full); pare_free(v); pare_free(vt); pare_free(w); pare_free(lw); pare_free(lap); pare_free(a);
        }
}

/* ---- singular values ---- */

static void test_svd(void **state)
{
    static const uint64_t shape[][2] = { { 1, 1 }, { 1, 9 }, { 9, 1 }, { 40, 40 }, { 130, 50 }, { 34, 90 } };

    (void)state;
    for (uint64_t q = 0; q < sizeof shape / sizeof *shape; q++)
        for (int kind = 0; kind < KINDS; kind++) {
            uint64_t m = shape[q][0], n = shape[q][1], k = m < n ? m : n;
            double  *a = awkward((enum kind)kind, m, n, 300 + q), *u = matrix(m, k), *s = matrix(k, 1), *vt = matrix(k, n), *lap = copy(a, m * n);
            double  *ls = matrix(k, 1);

            OK(pare_svd(a, m, n, n, u, s, vt, NULL, NULL));
            assert_int_equal(LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'N', (int)m, (int)n, lap, (int)n, ls, NULL, (int)m, NULL, (int)n), 0);
            for (uint64_t i = 0; i < k; i++) {
                assert_true(fabs(s[i] - ls[i]) <= 1e-12 * ls[0]);
                assert_true(s[i] >= 0.0 && (i == 0 || s[i] <= s[i - 1]));
            }
            assert_true(not_orthonormal(u, m, k, false) < 1e-13);
            assert_true(not_orthonormal(vt, n, k, true) < 1e-13);
            assert_true(product_error(a, u, s, vt, m, k, n) <= 1e-12 * ls[0]);
            if (kind == DENSE || kind == GRADED)
                EVERYWHERE(j, {
                    double *xu = matrix(m, k), *xs = matrix(k, 1), *xv = matrix(k, n);
                    OK(pare_svd(a, m, n, n, xu, xs, xv, j, NULL));
                    assert_memory_equal(xu, u, m * k * sizeof *u);
                    assert_memory_equal(xs, s, k * sizeof *s);
                    assert_memory_equal(xv, vt, k * n * sizeof *vt);
                    pare_free(xu); pare_free(xs); pare_free(xv);
                })
            a[m * n / 2] = kind & 1 ? NAN : INFINITY;
            assert_int_equal(pare_svd(a, m, n, n, u, s, vt, NULL, NULL), PARE_E_CORRUPT);
            assert_int_equal(pare_svd_truncated(a, m, n, n, 1, 1, u, s, vt, NULL, NULL), PARE_E_CORRUPT);
            pare_free(a); pare_free(u); pare_free(s); pare_free(vt); pare_free(lap); pare_free(ls);
        }
}

/* A decaying spectrum, as weights have it; the random start must find what the whole decomposition finds. */
static void test_svd_truncated(void **state)
{
    enum { M = 150, N = 120, K = 12 };
    double *a = noise(M, N, 400), *q = matrix(M, M), *u = matrix(M, N), *s = matrix(N, 1), *vt = matrix(N, N);
    double *u0 = matrix(M, K), *s0 = matrix(K, 1), *v0 = matrix(K, N), tail = 0.0, left = 0.0;

    (void)state;
    for (uint64_t i = 0; i < M; i++)
        for (uint64_t j = 0; j < N; j++) a[i * N + j] *= pow(0.93, (double)j);
    OK(pare_svd(a, M, N, N, u, s, vt, NULL, NULL));
    OK(pare_svd_truncated(a, M, N, N, K, 7, u0, s0, v0, NULL, NULL));
    for (uint64_t i = 0; i < K; i++) assert_true(fabs(s0[i] - s[i]) < 1e-6 * s[0]);
    assert_true(not_orthonormal(u0, M, K, false) < 1e-13);
    assert_true(not_orthonormal(v0, N, K, true) < 1e-13);
    /* Eckart and Young: what is left is the tail of the spectrum, and no approximation leaves less. */
    for (uint64_t i = K; i < N; i++) tail += s[i] * s[i];
    for (uint64_t i = 0; i < M; i++)
        for (uint64_t j = 0; j < N; j++) {
            double d = a[i * N + j];
            for (uint64_t p = 0; p < K; p++) d -= u0[i * K + p] * s0[p] * v0[p * N + j];
            left += d * d;
        }
    assert_true(left >= tail * (1.0 - 1e-12) && left <= tail * 1.0001);
    EVERYWHERE(j, {
        double *x = matrix(M, K), *xs = matrix(K, 1), *xv = matrix(K, N);
        OK(pare_svd_truncated(a, M, N, N, K, 7, x, xs, xv, j, NULL));
        assert_memory_equal(x, u0, M * K * sizeof *x);
        assert_memory_equal(xs, s0, K * sizeof *x);
        assert_memory_equal(xv, v0, K * N * sizeof *x);
        pare_free(x); pare_free(xs); pare_free(xv);
    })
    /* Nearly the whole rank: the plain way, cut. */
    pare_free(u0); pare_free(v0); pare_free(s0);
    u0 = matrix(M, N), s0 = matrix(N, 1), v0 = matrix(N, N);
    OK(pare_svd_truncated(a, M, N, N, N, 7, u0, s0, v0, NULL, NULL));
    assert_true(product_error(a, u0, s0, v0, M, N, N) <= 1e-12 * s[0]);
    assert_int_equal(pare_svd_truncated(a, M, N, N, N + 1, 7, u0, s0, v0, NULL, NULL), PARE_E_USAGE);
    pare_free(a); pare_free(q); pare_free(u); pare_free(s); pare_free(vt); pare_free(u0); pare_free(s0); pare_free(v0);
}

/* Every allocation may fail: an error, nothing kept. */
static void test_memory(void **state)
{
    enum { N = 20 };
    double *a0 = definite(N, N, 500), *s = matrix(N, 1), *u = matrix(N, N), *v = matrix(N, N);
    uint64_t live = pare_mem_live();

    (void)state;
    for (int what = 0; what < 6; what++)
        for (uint64_t nth = 1;; nth++) {
            double *a = copy(a0, N * N);
            int rc = 0;

            pare_mem_fail_after(nth);
            if (what == 0) rc = pare_chol(a, N, N, NULL, NULL, NULL);
            if (what == 1) rc = pare_tri_inverse(a, N, N, PARE_LOWER, NULL, NULL);
            if (what == 2) rc = pare_tri_solve(a0, N, N, PARE_UPPER, true, a, N, N, NULL, NULL);
            if (what == 3) rc = pare_eigh(a, N, N, s, NULL, NULL);
            if (what == 4) rc = pare_svd(a, N, N, N, u, s, v, NULL, NULL);
            if (what == 5) rc = pare_svd_truncated(a, N, N, N, 2, 1, u, s, v, NULL, NULL);
            pare_mem_fail_after(0);
            pare_free(a);
            assert_int_equal(pare_mem_live(), live);
            if (rc == PARE_OK) break;
            assert_int_equal(rc, PARE_E_NOMEM);
        }
    pare_free(a0); pare_free(s); pare_free(u); pare_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loops), cmocka_unit_test(test_matmul), cmocka_unit_test(test_chol), cmocka_unit_test(test_chol_reversed),
        cmocka_unit_test(test_chol_refuses), cmocka_unit_test(test_tri_solve), cmocka_unit_test(test_tri_inverse),
        cmocka_unit_test(test_qr), cmocka_unit_test(test_random_orthogonal), cmocka_unit_test(test_eigh), cmocka_unit_test(test_svd),
        cmocka_unit_test(test_svd_truncated), cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
