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
#define EVERYWHERE(j, body)                                                                                            \
    for (uint32_t threads_ = 1; threads_ <= 3; threads_++)                                                             \
        for (int tier_ = 0; tier_ <= pare_cpu_best_tier(); tier_++) {                                                  \
            struct pare_job *j = job_of(threads_, tier_);                                                              \
            body pare_job_destroy(&j);                                                                                 \
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

/*MORE*/
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loops), cmocka_unit_test(test_matmul), cmocka_unit_test(test_chol), cmocka_unit_test(test_chol_reversed),
        cmocka_unit_test(test_chol_refuses), cmocka_unit_test(test_tri_solve), cmocka_unit_test(test_tri_inverse),
        /*ROWS*/
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
