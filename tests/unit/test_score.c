/* SPDX-License-Identifier: Apache-2.0
 * Scores of rows of logits and their sums, against the textbook formulas in long double and two passes: softmax, KL divergence,
 * nearest-rank quantiles, standard errors of means and of the paired difference. */
#include "fixture.h"

#include <math.h>

#include <pare/job.h>

#include "base/job.h"
#include "base/rng.h"
#include "nn/score.h"

#define MAXN 9000
#define ROWS 3000

static float base_row[MAXN], row[MAXN], tmp[MAXN];

static float noise(uint64_t seed, uint64_t i) { return pare_rng_normal(seed, PARE_RNG_TEST, i); }

static long double lse_of(const float *x, uint32_t n)
{
    long double max = -INFINITY, sum = 0;

    for (uint32_t i = 0; i < n; i++)
        if (x[i] > max) max = x[i];
    for (uint32_t i = 0; i < n; i++) sum += expl((long double)x[i] - max);
    return max + logl(sum);
}

/* KL(base || x) by its definition; terms of probability zero count nothing. */
static long double kld_of(const float *b, const float *x, uint32_t n)
{
    long double lb = lse_of(b, n), lx = lse_of(x, n), sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        long double p = expl((long double)b[i] - lb);
        if (p > 0) sum += p * (((long double)b[i] - lb) - ((long double)x[i] - lx));
    }
    return sum;
}

static uint32_t first_best(const float *x, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 0; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void check_row(uint32_t n, int64_t target, double tol)
{
    struct pare_score s, again;
    long double       kld = kld_of(base_row, row, n);

    pare_score_row(&s, pare_vec_for(PARE_TIER_BASE), base_row, row, n, target, tmp);
    assert_true(fabs(s.kld - (double)kld) <= tol * (1 + fabs((double)kld)));
    if (target >= 0) {
        assert_true(fabs(s.nll - (double)(lse_of(row, n) - (long double)row[target])) <= tol * (1 + fabs(s.nll)));
        assert_true(fabs(s.nll_base - (double)(lse_of(base_row, n) - (long double)base_row[target])) <= tol * (1 + fabs(s.nll_base)));
    } else {
        assert_true(s.nll == 0 && s.nll_base == 0);
    }
    assert_int_equal(s.same_top, first_best(base_row, n) == first_best(row, n));
    for (int tier = PARE_TIER_AVX2; tier <= PARE_TIER_VNNI; tier++) { /* the same bits in every tier of this machine */
        pare_score_row(&again, pare_vec_for(tier), base_row, row, n, target, tmp);
        assert_memory_equal(&s.nll, &again.nll, sizeof s.nll);
        assert_memory_equal(&s.nll_base, &again.nll_base, sizeof s.nll_base);
        assert_memory_equal(&s.kld, &again.kld, sizeof s.kld);
        assert_int_equal(s.same_top, again.same_top);
    }
}

static void test_rows(void **state)
{
    static const uint32_t sizes[] = { 1, 2, 15, 16, 17, 100, 4095, 4096, 4097, 8192, MAXN };
    static const float    spread[] = { 0.0f, 0.1f, 3, 20 };

    (void)state;
    for (uint32_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (uint32_t j = 0; j < 4; j++)
            for (uint64_t seed = 1; seed <= 3; seed++) {
                uint32_t n = sizes[k];
                for (uint32_t i = 0; i < n; i++) {
                    base_row[i] = spread[j] * noise(seed, i);
                    row[i] = base_row[i] + 0.3f * (float)seed * noise(seed + 50, i);
                }
                check_row(n, seed == 3 ? -1 : (int64_t)(pare_rng_u64(seed, PARE_RNG_TEST, 7) % n), 2e-6);
            }
}

/* Logits far from zero: only differences count, and nothing overflows. */
static void test_shift(void **state)
{
    struct pare_score a, b;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        base_row[i] = ldexpf(roundf(ldexpf(noise(8, i), 6)), -6); /* few bits, so that adding 8192 is exact */
        row[i] = ldexpf(roundf(ldexpf(noise(9, i), 6)), -6);
    }
    pare_score_row(&a, pare_vec_for(PARE_TIER_VNNI), base_row, row, 1000, 3, tmp);
    for (uint32_t i = 0; i < 1000; i++) {
        base_row[i] += 8192;
        row[i] -= 8192;
    }
    pare_score_row(&b, pare_vec_for(PARE_TIER_VNNI), base_row, row, 1000, 3, tmp);
    assert_true(fabs(a.nll - b.nll) < 1e-9);
    assert_true(fabs(a.kld - b.kld) < 2e-3); /* differences of 16384 in f32 products */
}

static void test_equal_is_zero(void **state)
{
    struct pare_score s;

    (void)state;
    for (uint32_t i = 0; i < MAXN; i++) base_row[i] = 7 * noise(4, i);
    pare_score_row(&s, pare_vec_for(PARE_TIER_VNNI), base_row, base_row, MAXN, 5, tmp);
    assert_true(s.kld == 0 && s.same_top && s.nll == s.nll_base);
    pare_score_row(&s, pare_vec_for(PARE_TIER_VNNI), NULL, base_row, MAXN, 5, tmp);
    assert_true(s.kld == 0 && s.same_top && s.nll_base == 0);
}

/* Forbidden tokens are -inf: in both rows they count nothing; only the new row's make the divergence infinite. */
static void test_minus_infinity(void **state)
{
    struct pare_score s;

    (void)state;
    for (uint32_t i = 0; i < 5000; i++) {
        base_row[i] = 2 * noise(11, i);
        row[i] = base_row[i] + 0.2f * noise(12, i);
        if (i % 3 == 0) base_row[i] = row[i] = -INFINITY;
        if (i % 7 == 1) base_row[i] = -INFINITY;
    }
    {
        long double lb = lse_of(base_row, 5000), lx = lse_of(row, 5000), want = 0;
        for (uint32_t i = 0; i < 5000; i++)
            if (base_row[i] > -INFINITY) want += expl(base_row[i] - lb) * ((base_row[i] - lb) - (row[i] - lx));
        pare_score_row(&s, pare_vec_for(PARE_TIER_VNNI), base_row, row, 5000, 4, tmp);
        assert_true(fabs(s.kld - (double)want) < 1e-5);
        assert_true(isfinite(s.nll));
    }
    pare_score_row(&s, pare_vec_for(PARE_TIER_VNNI), base_row, row, 5000, 0, tmp);
    assert_true(isinf(s.nll) && s.nll > 0);
    row[5] = -INFINITY;
    assert_true(base_row[5] > -INFINITY);
    pare_score_row(&s, pare_vec_for(PARE_TIER_VNNI), base_row, row, 5000, 4, tmp);
    assert_true(isinf(s.kld) && s.kld > 0);
}

static void test_ties(void **state)
{
    struct pare_score s;
    float             a[40] = { 0 }, b[40] = { 0 };

    (void)state;
    assert_int_equal(pare_argmax(pare_vec_for(1), a, 40), 0);
    a[7] = a[30] = 1;
    b[30] = b[7] = 2;
    assert_int_equal(pare_argmax(pare_vec_for(1), a, 40), 7);
    pare_score_row(&s, pare_vec_for(PARE_TIER_BASE), a, b, 40, 0, tmp);
    assert_true(s.same_top); /* the lowest of equals on both sides */
    b[30] = 2.5f;
    pare_score_row(&s, pare_vec_for(PARE_TIER_BASE), a, b, 40, 0, tmp);
    assert_false(s.same_top);
    for (uint32_t i = 0; i < 40; i++) a[i] = -INFINITY;
    a[39] = -3;
    assert_int_equal(pare_argmax(pare_vec_for(1), a, 40), 39);
}

/* Few different values, so that the largest stands in several places, against a plain search. */
static void test_argmax_of_any_length(void **state)
{
    float x[300];

    (void)state;
    for (uint32_t n = 1; n <= 300; n++) {
        uint32_t best = 0;

        for (uint32_t i = 0; i < n; i++) x[i] = (float)(pare_rng_u64(n, PARE_RNG_TEST, i) % 7) - 9.0f;
        for (uint32_t i = 1; i < n; i++)
            if (x[i] > x[best]) best = i;
        for (int tier = 0; tier <= pare_cpu_best_tier(); tier++) assert_int_equal(pare_argmax(pare_vec_for(tier), x, n), best);
    }
}

/* --- sums ------------------------------------------------------------------------------------------------------------------- */

static struct pare_score scores[ROWS];
static float             kept[ROWS];

static void make_scores(uint64_t seed)
{
    for (uint32_t i = 0; i < ROWS; i++) {
        double u = pare_rng_f64(seed, PARE_RNG_TEST, i);
        scores[i].nll_base = 4.4 + 2.5 * (double)noise(seed, i);
        scores[i].nll = scores[i].nll_base + 0.02 + 0.2 * (double)noise(seed + 1, i); /* correlated, as they are */
        scores[i].kld = 0.04 * u * u / (1.0001 - u);
        scores[i].same_top = pare_rng_f64(seed + 2, PARE_RNG_TEST, i) < 0.9;
    }
}

/* Standard error of the mean of n values, in two passes: sqrt(sum (v - mean)^2 / (n - 1) / n). */
static double se_of(const double *v, uint32_t n, double *mean)
{
    long double m = 0, q = 0;

    for (uint32_t i = 0; i < n; i++) m += v[i];
    m /= n;
    for (uint32_t i = 0; i < n; i++) q += (v[i] - m) * (v[i] - m);
    *mean = (double)m;
    return n < 2 ? 0 : (double)sqrtl(q / (n - 1) / n);
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void near_to(double got, double want, double tol)
{
    if (!(fabs(got - want) <= tol * (1e-12 + fabs(want)))) fail_msg("%.17g, expected %.17g", got, want);
}

static void check_tally(uint32_t n, uint32_t n_target, uint32_t cap)
{
    struct pare_tally        t = { .klds = kept, .cap = cap };
    struct pare_tally_result r;
    static double            nll[ROWS], nll_base[ROWS], diff[ROWS], kld[ROWS];
    static float             sorted[ROWS];
    double                   mean, se, same = 0;
    uint32_t                 m = n < cap ? n : cap;

    for (uint32_t i = 0; i < n; i++) {
        pare_tally_add(&t, &scores[i], i < n_target);
        nll[i] = scores[i].nll;
        nll_base[i] = scores[i].nll_base;
        diff[i] = nll[i] - nll_base[i];
        kld[i] = scores[i].kld;
        sorted[i] = (float)kld[i];
        same += scores[i].same_top;
    }
    pare_tally_finish(&t, &r);
    assert_int_equal(r.tokens, n);
    if (n_target > 0) {
        se = se_of(nll, n_target, &mean);
        near_to(r.nll, mean, 1e-12);
        near_to(r.nll_se, se, 1e-9);
        near_to(r.ppl, exp(mean), 1e-11);
        near_to(r.ppl_se, exp(mean) * se, 1e-9);
        se = se_of(nll_base, n_target, &mean);
        near_to(r.nll_base, mean, 1e-12);
        near_to(r.ppl_base, exp(mean), 1e-11);
        near_to(r.ppl_base_se, exp(mean) * se, 1e-9);
        se = se_of(diff, n_target, &mean);
        assert_true(fabs(r.ln_ratio - mean) < 1e-12);
        near_to(r.ln_ratio_se, se, 1e-7); /* sums of squares of 20 and differences of 0.04 */
        assert_true(n_target < 100 || r.ln_ratio_se < 0.3 * r.nll_se);
    }
    se = se_of(kld, n, &mean);
    near_to(r.kld, mean, 1e-12);
    near_to(r.kld_se, se, 1e-9);
    near_to(r.top1, same / n, 1e-12);
    near_to(r.top1_se, sqrt(same / n * (1 - same / n) / n), 1e-9);
    qsort(sorted, m, sizeof *sorted, ascending);
    {
        uint32_t rank = 0; /* nearest rank: the least value that at least 99.9 % do not exceed */
        while ((rank + 1) * 1000ull < 999ull * m) rank++;
        near_to(r.kld_p999, sorted[rank], 0);
        near_to(r.kld_max, sorted[m - 1], 0);
        assert_true(r.kld_p999_se >= 0 && r.kld_p999_se <= (double)(sorted[m - 1] - sorted[0]));
        if (m == 3000) { /* sigma = sqrt(3000 * 0.999 * 0.001) = 1.731 ranks: 2995.27 .. 2998.73 */
            near_to(r.kld_p999_se, 0.5 * (double)(sorted[2998] - sorted[2995]), 1e-12);
        }
    }
}

static void test_tally(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        make_scores(seed * 100);
        check_tally(ROWS, ROWS, ROWS);
        check_tally(1000, 999, ROWS);
        check_tally(1001, 1001, 1001);
        check_tally(17, 0, 17);
        check_tally(2, 2, 2);
        check_tally(1, 1, 1);
        check_tally(500, 500, 100); /* percentiles of what was kept */
    }
}

/* Equal values have no spread, whatever rounding does; nothing at all gives zeros. */
static void test_degenerate(void **state)
{
    struct pare_tally        t = { 0 };
    struct pare_tally_result r;
    struct pare_score        s = { .nll = 0.1, .nll_base = 0.1, .kld = 0.3, .same_top = true };

    (void)state;
    pare_tally_finish(&t, &r);
    assert_true(r.tokens == 0 && r.nll == 0 && r.ppl == 0 && r.kld == 0 && r.top1_se == 0);
    for (int i = 0; i < 1000; i++) pare_tally_add(&t, &s, true);
    pare_tally_finish(&t, &r);
    assert_true(r.nll_se < 1e-8 && r.kld_se < 1e-8 && r.ln_ratio_se < 1e-8 && r.top1 == 1 && r.top1_se == 0 && r.ln_ratio == 0);
    assert_true(isfinite(r.nll_se) && isfinite(r.kld_se) && isfinite(r.ln_ratio_se));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),  cmocka_unit_test(test_shift), cmocka_unit_test(test_equal_is_zero),
        cmocka_unit_test(test_minus_infinity), cmocka_unit_test(test_ties), cmocka_unit_test(test_argmax_of_any_length), cmocka_unit_test(test_tally),
        cmocka_unit_test(test_degenerate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
