/* SPDX-License-Identifier: Apache-2.0
 * The factor against the definition, the column loop against the textbook's with a full inverse, allocation against brute force, sizes,
 * threads and tiers, and bad input. */
#include "fixture.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "compress/baq.h"

enum { ROWS = 20, COLS = 24 };

static struct pare_job *job_of(uint32_t threads, int tier)
{
    struct pare_job_settings js;
    struct pare_job         *job;
    struct pare_diag         d = { 0 };

    pare_job_settings_default(&js);
    js.n_threads = threads;
    js.max_tier = tier;
    assert_int_equal(pare_job_create(&job, &js, &d), PARE_OK);
    return job;
}

/* Inputs that hang together, of very different sizes; channel 5 is dead when asked for. */
static void inputs(struct pare_second *in, bool dead, struct pare_job *job)
{
    struct pare_diag d = { 0 };
    float            x[100 * COLS];

    assert_int_equal(pare_second_create(in, COLS, true, &d), PARE_OK);
    for (uint64_t i = 0; i < 100; i++)
        for (uint64_t c = 0; c < COLS; c++) {
            float scale = c % 4 == 0 ? 6.0f : 0.3f;
            x[i * COLS + c] = scale * (pare_rng_normal(1, PARE_RNG_TEST, i * COLS + c) + pare_rng_normal(2, PARE_RNG_TEST, i));
            if (dead && c == 5) x[i * COLS + c] = 0;
        }
    pare_second_add(in, x, COLS, 100, NULL, job);
    assert_int_equal(pare_second_finish(in, job, &d), PARE_OK);
}

static void weights(float *w)
{
    for (uint64_t i = 0; i < ROWS * COLS; i++) w[i] = pare_rng_normal(3, PARE_RNG_TEST, i);
}

/* U (H + damping) U^T is the identity. */
static void factor(void **state)
{
    struct pare_job       *job = job_of(1, -1);
    struct pare_second     in;
    struct pare_baq_factor f;
    struct pare_diag       d = { 0 };
    double                 h[COLS][COLS], mean = 0;

    (void)state;
    inputs(&in, false, job);
    assert_int_equal(pare_baq_factor(&f, &in, job, &d), PARE_OK);
    assert_false(f.plain);
    for (int i = 0; i < COLS; i++) mean += in.xx[i * COLS + i] / 100 / COLS;
    for (int i = 0; i < COLS; i++)
        for (int j = 0; j < COLS; j++) h[i][j] = in.xx[i * COLS + j] / 100 + (i == j ? 0.01 * mean : 0);
    for (int i = 0; i < COLS; i++)
        for (int j = 0; j < COLS; j++) {
            double s = 0;
            for (int k = 0; k < COLS; k++)
                for (int l = 0; l < COLS; l++) s += (double)f.u[i * COLS + k] * h[k][l] * f.u[j * COLS + l];
            if (fabs(s - (i == j)) > 2e-5) fail_msg("%d %d: %g", i, j, s);
            if (j < i) assert_true(f.u[i * COLS + j] == 0);
        }
    pare_baq_factor_free(&f);
    pare_second_free(&in);
    pare_job_destroy(&job);
}

/* tr(D H D^T), the output error. */
static double output_error(const float *w, const float *q, const struct pare_second *in)
{
    double sum = 0;

    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < COLS; i++)
            for (int j = 0; j < COLS; j++) sum += ((double)w[r * COLS + i] - q[r * COLS + i]) * in->xx[i * COLS + j] * ((double)w[r * COLS + j] - q[r * COLS + j]);
    return sum;
}

/* The loss that the passes report is half of the output error under the damped moment: sum of e^2 / 2 = D H D^T / 2. An identity of error
 * feedback, which holds for any choice of codes. */
static void losses_are_output_errors(void **state)
{
    struct pare_job       *job = job_of(1, -1);
    struct pare_second     in;
    struct pare_baq_factor f;
    struct pare_diag       d = { 0 };
    float                  w[ROWS * COLS], q[ROWS * COLS];
    double                 mean = 0;

    (void)state;
    inputs(&in, false, job);
    weights(w);
    assert_int_equal(pare_baq_factor(&f, &in, job, &d), PARE_OK);
    for (int i = 0; i < COLS; i++) mean += in.xx[i * COLS + i] / 100 / COLS;
    for (int mode = 0; mode < 3; mode++) {
        struct pare_baq_result r;
        double                 want;

        assert_int_equal(pare_baq(q, w, ROWS, &f, 3, (enum pare_baq_mode)mode, NULL, &r, job, &d), PARE_OK);
        want = output_error(w, q, &in) / 100;
        for (int i = 0; i < ROWS * COLS; i++) want += 0.01 * mean * ((double)w[i] - q[i]) * ((double)w[i] - q[i]);
        if (fabs(r.loss_after / (want / 2) - 1) > 1e-3) fail_msg("mode %d: loss %g, by hand %g", mode, r.loss_after, want / 2);
    }
    pare_baq_factor_free(&f);
    pare_second_free(&in);
    pare_job_destroy(&job);
}

/* Bits go where inputs are large: lower loss, a smaller spread, no more bytes. */
static void allocation_pays(void **state)
{
    struct pare_job       *job = job_of(2, -1);
    struct pare_second     in;
    struct pare_baq_factor f;
    struct pare_diag       d = { 0 };
    float                  w[ROWS * COLS], q[ROWS * COLS];

    (void)state;
    inputs(&in, false, job);
    weights(w);
    assert_int_equal(pare_baq_factor(&f, &in, job, &d), PARE_OK);
    for (uint32_t bits = 2; bits <= 4; bits++) {
        struct pare_baq_result r;
        uint16_t               width[COLS];
        uint64_t               sum = 0;

        assert_int_equal(pare_baq(q, w, ROWS, &f, bits, PARE_BAQ_WHOLE, width, &r, job, &d), PARE_OK);
        for (int c = 0; c < COLS; c++) sum += width[c];
        assert_true(r.bytes <= r.bytes_uniform);
        assert_int_equal(r.bytes, (sum * ROWS + 7) / 8 + 2 * ROWS + 16 + COLS / 2);
        assert_true(r.loss_after < r.loss_before);
        assert_true(r.spread_after < r.spread_before);
    }
    pare_baq_factor_free(&f);
    pare_second_free(&in);
    pare_job_destroy(&job);
}

/* Least of all assignments, tried one by one: 5 columns, 0..3 bits worth trying. */
static void allocate(void **state)
{
    const double shrink[PARE_BAQ_BITS + 1] = { 1, 0.36, 0.12, 0.04, 0.014, 0.005, 0.002, 0.0008, 0.0003 };

    (void)state;
    for (uint64_t round = 0; round < 60; round++) {
        double   ell[5], best = INFINITY, got = 0;
        uint16_t b[5];
        uint64_t total = 1 + pare_rng_u64(round, PARE_RNG_TEST, 50) % 14, used = 0;

        for (int i = 0; i < 5; i++) ell[i] = exp(3 * pare_rng_normal(round, PARE_RNG_TEST, (uint64_t)i));
        pare_baq_allocate(b, ell, 5, shrink, total);
        for (int i = 0; i < 5; i++) {
            got += ell[i] * shrink[b[i]];
            used += b[i];
        }
        assert_true(used <= total);
        for (int k = 0; k < 59049; k++) { /* 9^5 */
            int    x = k, n = 0;
            double s = 0;
            for (int i = 0; i < 5; i++, x /= 9) {
                n += x % 9;
                s += ell[i] * shrink[x % 9];
            }
            if ((uint64_t)n <= total && s < best) best = s;
        }
        if (got > best * (1 + 1e-12)) fail_msg("%g, best %g", got, best);
    }
}

static void same_everywhere(void **state)
{
    float w[ROWS * COLS], first[ROWS * COLS], q[ROWS * COLS];

    (void)state;
    weights(w);
    for (int k = 0; k < 6; k++) {
        struct pare_job       *job = job_of(1 + (uint32_t)k % 3, k < 3 ? -1 : k - 3);
        struct pare_second     in;
        struct pare_baq_factor f;
        struct pare_baq_result r;
        struct pare_diag       d = { 0 };

        inputs(&in, true, job);
        assert_int_equal(pare_baq_factor(&f, &in, job, &d), PARE_OK);
        memcpy(q, w, sizeof q);
        assert_int_equal(pare_baq(q, q, ROWS, &f, 3, PARE_BAQ_WHOLE, NULL, &r, job, &d), PARE_OK); /* in place */
        if (k == 0) memcpy(first, q, sizeof q);
        assert_memory_equal(first, q, sizeof q);
        for (int i = 0; i < ROWS; i++) assert_true(q[i * COLS + 5] == 0); /* the dead channel */
        pare_baq_factor_free(&f);
        pare_second_free(&in);
        pare_job_destroy(&job);
    }
}

static void bad_input(void **state)
{
    struct pare_job       *job = job_of(1, -1);
    struct pare_second     in;
    struct pare_baq_factor f;
    struct pare_baq_result r;
    struct pare_diag       d = { 0 }, e = { 0 }, g = { 0 };
    float                  w[ROWS * COLS], q[ROWS * COLS];
    double                *xx;

    (void)state;
    inputs(&in, false, job);
    xx = in.xx;
    in.xx = NULL;
    assert_int_equal(pare_baq_factor(&f, &in, job, &d), PARE_E_USAGE);
    in.xx = xx;
    for (int i = 0; i < COLS * COLS; i++) in.xx[i] = i % (COLS + 1) == 0 ? 1 : 50; /* no second moment of anything */
    assert_int_equal(pare_baq_factor(&f, &in, job, &d), PARE_OK);
    assert_true(f.plain);
    weights(w);
    assert_int_equal(pare_baq(q, w, ROWS, &f, 4, PARE_BAQ_UNIFORM, NULL, &r, job, &e), PARE_OK);
    for (int i = 0; i < ROWS * COLS; i++) assert_true(fabs(q[i] - w[i]) < 3);
    w[7] = NAN;
    assert_int_equal(pare_baq(q, w, ROWS, &f, 4, PARE_BAQ_UNIFORM, NULL, &r, job, &e), PARE_E_CORRUPT);
    memset(w, 0, sizeof w);
    assert_int_equal(pare_baq(q, w, ROWS, &f, 2, PARE_BAQ_WHOLE, NULL, &r, job, &g), PARE_OK);
    for (int i = 0; i < ROWS * COLS; i++) assert_true(q[i] == 0);
    assert_int_equal(pare_baq(q, w, ROWS, &f, 9, PARE_BAQ_WHOLE, NULL, &r, job, &g), PARE_E_USAGE);
    pare_baq_factor_free(&f);
    pare_second_free(&in);
    pare_job_destroy(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factor),          cmocka_unit_test(losses_are_output_errors), cmocka_unit_test(allocation_pays), cmocka_unit_test(allocate),
        cmocka_unit_test(same_everywhere), cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
