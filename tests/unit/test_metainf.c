/* SPDX-License-Identifier: Apache-2.0
 * Choice from a log: a law that the regression can express is found exactly, a known oracle is nearly reached without the model's own
 * runs, files come back, bad lines are refused. */
#include "fixture.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "compress/metainf.h"

/* Times of a made-up machine: a method reads bytes b a weight and takes c seconds a weight and sequence: the roofline, so that few bits
 * win with one sequence and cheap arithmetic with many. */
static const struct { const char *name; double bytes, madd, loss; } methods[] = {
    { "two", 0.3, 4.0, 0.7 }, { "four", 0.55, 2.2, 0.04 }, { "eight", 1.05, 1.0, 0.001 }, { "half", 2, 6, 0 },
};

static void fill(struct pare_meta_log *log, double noise)
{
    struct pare_diag d = { 0 };
    uint64_t         at = 0;

    for (int m = 0; m < 10; m++)
        for (int b = 0; b < 7; b++)
            for (int k = 0; k < 4; k++) {
                double width = 256 * (m + 2), ffn = width * (2.5 + m % 3), layers = 4 + 3 * m, batch = 1 << b;
                double weights = layers * (4 * width * width + 3 * width * ffn);
                struct pare_meta_run r = { .feature = { width, ffn, layers, batch, 128, 1 }, .quality = methods[k].loss };

                r.seconds = weights * (methods[k].bytes * 1e-10 + methods[k].madd * batch * 1e-11) * (1 + noise * pare_rng_normal(3, PARE_RNG_TEST, at++));
                snprintf(r.model, sizeof r.model, "m%d", m);
                snprintf(r.method, sizeof r.method, "%s", methods[k].name);
                assert_int_equal(pare_meta_add(log, &r, &d), PARE_OK);
            }
}

static void leave_one_out(void **state)
{
    struct pare_meta_log   log = { 0 };
    struct pare_meta_score s;
    struct pare_diag       d = { 0 };

    (void)state;
    fill(&log, 0.02);
    assert_int_equal(log.n, 280);
    assert_int_equal(pare_meta_evaluate(&log, 0.1, &s, &d), PARE_OK); /* "two" loses too much: never chosen, never the oracle */
    print_message("chosen %.4f of the best, %.0f %% within 10 %%; always \"%s\": %.4f\n", s.mean_ratio, 100 * s.within, s.fixed, s.fixed_ratio);
    assert_int_equal(s.workloads, 70);
    assert_true(s.mean_ratio >= 1 && s.mean_ratio < 1.10);
    assert_true(s.within >= 0.8);
    assert_true(s.fixed_ratio > s.mean_ratio);
    assert_int_equal(pare_meta_evaluate(&log, 1, &s, &d), PARE_OK);
    assert_true(s.mean_ratio < 1.10 && s.fixed_ratio > s.mean_ratio);
    pare_meta_free(&log);
}

/* time = 3e-9 width^2 layers^1 batch^0.5: a plane in the logarithms, so the prediction of an unseen model is exact but for the ridge. */
static void power_law(void **state)
{
    struct pare_meta_log log = { 0 };
    struct pare_diag     d = { 0 };
    double               f[PARE_META_FEATURES] = { 300, 200, 170, 60, 128, 200 }, s;

    (void)state;
    for (uint64_t i = 0; i < 120; i++) {
        struct pare_meta_run r = { .model = "a", .method = "x" };
        for (int k = 0; k < PARE_META_FEATURES; k++) r.feature[k] = 1 + 1000 * pare_rng_f64(4, PARE_RNG_TEST, i * 8 + (uint64_t)k);
        r.seconds = 3e-9 * r.feature[0] * r.feature[0] * r.feature[2] * sqrt(r.feature[3]);
        assert_int_equal(pare_meta_add(&log, &r, &d), PARE_OK);
    }
    assert_true(pare_meta_predict(&log, "x", f, NULL, &s));
    assert_true(fabs(s / (3e-9 * 300 * 300 * 170 * sqrt(60)) - 1) < 0.02);
    assert_false(pare_meta_predict(&log, "x", f, "a", &s)); /* all runs are of that model */
    assert_false(pare_meta_predict(&log, "y", f, NULL, &s));
    assert_string_equal(pare_meta_choose(&log, f, NULL, 0), "x"); /* neutral: one method */
    assert_null(pare_meta_choose(&log, f, NULL, -1));
    pare_meta_free(&log);
}

static void files(void **state)
{
    struct pare_meta_log log = { 0 }, back = { 0 };
    char                *text;
    static const char *const bad[] = {
        "{\"model\":\"a\",\"method\":\"x\",\"features\":[1,2,3],\"seconds\":1}\n", "{\"features\":[1,2,3,4,5,0],\"seconds\":1}\n",
        "{\"features\":[1,2,3,4,5,6],\"seconds\":-1}\n", "{\"features\":[1,2,3,4,5,6],\"seconds\":\"1\"}\n", "[]\n", "{",
    };

    (void)state;
    {
        struct pare_diag d = { 0 };
        fill(&log, 0);
        text = pare_meta_write(&log);
        assert_non_null(text);
        assert_int_equal(pare_meta_read(&back, text, strlen(text), &d), PARE_OK);
        assert_int_equal(back.n, log.n);
        assert_memory_equal(back.run, log.run, log.n * sizeof *log.run);
        pare_free(text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pare_diag d = { 0 };
        assert_true(pare_meta_read(&back, bad[i], strlen(bad[i]), &d) < 0);
    }
    assert_int_equal(back.n, log.n);
    pare_meta_free(&log);
    pare_meta_free(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(leave_one_out), cmocka_unit_test(power_law), cmocka_unit_test(files) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
