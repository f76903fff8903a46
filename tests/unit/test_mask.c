/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_mask.c: masks against sorting, the column loop against its definition (a fresh inverse for every column). */
#include "fixture.h"

#include <math.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "compress/columns.h"

static struct pare_diag diag;
#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != PARE_OK) fail_msg("%s: %s", #call, pare_diag_format(&diag, (char[600]){ 0 }, 600));              \
    } while (0)

static float draw(uint64_t seed, uint64_t i) { return pare_rng_normal(seed, PARE_RNG_TEST, i); }

/* How many of n scores beat score i (an equal one does when it stands before). */
static uint64_t beaten_by(const float *s, uint64_t n, uint64_t i)
{
    uint64_t k = 0;

    for (uint64_t j = 0; j < n; j++) k += s[j] > s[i] || (s[j] == s[i] && j < i);
    return k;
}

static void fill_scores(float *s, uint64_t n, uint64_t seed)
{
    for (uint64_t i = 0; i < n; i++) s[i] = floorf(fabsf(draw(seed, i)) * 6); /* many ties */
}

static void selection(void **state)
{
    enum { N = 97 };
    float    s[N];
    uint8_t  stays[N];
    uint64_t key[N];

    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        fill_scores(s, N, seed);
        for (uint64_t keep = 0; keep <= N; keep += 7) {
            pare_mask_best(s, N, keep, stays, key);
            for (uint64_t i = 0; i < N; i++) assert_int_equal(stays[i], beaten_by(s, N, i) < keep);
        }
    }
}

static void patterns(void **state)
{
    enum { R = 37, C = 70 };
    static float     s[R * C];
    struct pare_mask m;
    struct pare_mask_rule row = { PARE_MASK_ROW, 0.5, 0, 0 }, all = { PARE_MASK_MATRIX, 0.3, 0, 0 }, nm = { PARE_MASK_NM, 0, 2, 4 },
                          group = { PARE_MASK_GROUP, 0.5, 0, 16 }, wide = { PARE_MASK_WIDE, 0.3, 0, 0 };

    (void)state;
    OK(pare_mask_create(&m, R, C, &diag));
    assert_int_equal(pare_mask_count(&m), R * C);
    fill_scores(s, R * C, 9);
    OK(pare_mask_choose(&m, s, &row, NULL, &diag));
    for (uint64_t r = 0; r < R; r++)
        for (uint64_t c = 0; c < C; c++) assert_int_equal(pare_mask_keeps(&m, r, c), beaten_by(s + r * C, C, c) < C / 2);
    OK(pare_mask_choose(&m, s, &all, NULL, &diag));
    assert_int_equal(pare_mask_count(&m), R * C - (uint64_t)(0.3 * R * C));
    for (uint64_t i = 0; i < R * C; i += 13) assert_int_equal(pare_mask_keeps(&m, i / C, i % C), beaten_by(s, R * C, i) < R * C - (uint64_t)(0.3 * R * C));
    OK(pare_mask_choose(&m, s, &nm, NULL, &diag));
    for (uint64_t r = 0; r < R; r++)
        for (uint64_t c = 0; c < C; c++) assert_int_equal(pare_mask_keeps(&m, r, c), c >= C / 4 * 4 || beaten_by(s + r * C + c / 4 * 4, 4, c % 4) < 2);
    OK(pare_mask_choose(&m, s, &group, NULL, &diag));
    for (uint64_t r = 0; r < R; r++)
        for (uint64_t c = 1; c < C; c++)
            if (c % 16 != 0) assert_int_equal(pare_mask_keeps(&m, r, c), pare_mask_keeps(&m, r, c - 1));
    OK(pare_mask_choose(&m, s, &wide, NULL, &diag));
    for (uint64_t r = 0; r < R; r++)
        for (uint64_t c = 0; c < C; c++) assert_int_equal(pare_mask_keeps(&m, r, c), pare_mask_keeps(&m, r / 16 * 16, c));
    assert_int_equal(pare_mask_count(&m), R * (C - (uint64_t)(0.3 * C)));
    nm.n = 5;
    assert_int_equal(pare_mask_choose(&m, s, &nm, NULL, &diag), PARE_E_USAGE);
    pare_mask_free(&m);
}

/* Keep-all changes no bit, not even the sign of zero; removed weights are +0. */
static void neutral(void **state)
{
    enum { R = 3, C = 65 };
    float            w[R * C], was[R * C];
    struct pare_mask m;

    (void)state;
    OK(pare_mask_create(&m, R, C, &diag));
    for (int i = 0; i < R * C; i++) w[i] = was[i] = i % 7 == 0 ? -0.0f : draw(1, (uint64_t)i);
    pare_mask_apply(&m, w);
    assert_memory_equal(w, was, sizeof w);
    pare_mask_set(&m, 1, 64, false);
    assert_int_equal(pare_mask_count(&m), R * C - 1);
    pare_mask_apply(&m, w);
    assert_true(w[C + 64] == 0 && !signbit(w[C + 64]));
    w[C + 64] = was[C + 64];
    assert_memory_equal(w, was, sizeof w);
    pare_mask_free(&m);
}

static void moments(struct pare_second *s, uint64_t cols, uint64_t n, uint64_t seed)
{
    float *x = pare_alloc_array(n * cols, sizeof *x);

    OK(pare_second_create(s, cols, true, &diag));
    for (uint64_t t = 0; t < n; t++) {
        float shared = draw(seed, t); /* correlated channels, one of them dead */

        for (uint64_t c = 0; c < cols; c++)
            x[t * cols + c] = c == 5 ? 0 : (1.0f + (float)(c % 4)) * (draw(seed + 1, t * cols + c) + 0.7f * shared);
    }
    pare_second_add(s, x, cols, (uint32_t)n, NULL, NULL);
    OK(pare_second_finish(s, NULL, &diag));
    pare_free(x);
}

static void scores(void **state)
{
    enum { R = 4, C = 12 };
    float  w[R * C], s[R * C];
    double inv[C];
    struct pare_second in;

    (void)state;
    moments(&in, C, 50, 3);
    for (int i = 0; i < R * C; i++) w[i] = draw(7, (uint64_t)i);
    for (int c = 0; c < C; c++) inv[c] = 0.5 + c;
    OK(pare_mask_score(PARE_SCORE_WANDA, w, R, C, &in, NULL, s, NULL, &diag));
    for (int i = 0; i < R * C; i++) assert_true(fabs((double)s[i] - fabs((double)w[i]) * sqrt(in.sumsq[i % C] / 50)) <= 1e-6 * (double)s[i]);
    OK(pare_mask_score(PARE_SCORE_OBS, w, R, C, NULL, inv, s, NULL, &diag));
    for (int i = 0; i < R * C; i++) assert_true(fabs((double)s[i] - (double)w[i] * (double)w[i] / inv[i % C]) <= 1e-6 * (double)s[i]);
    w[2 * C + 3] = NAN;
    memset(&diag, 0, sizeof diag);
    assert_int_equal(pare_mask_score(PARE_SCORE_MAGNITUDE, w, R, C, NULL, NULL, s, NULL, &diag), PARE_E_CORRUPT);
    assert_non_null(strstr(diag.text, "row 2, column 3"));
    memset(&diag, 0, sizeof diag);
    pare_second_free(&in);
}

/* a [n][n] becomes its inverse (Gauss and Jordan, pivots are positive). */
static void inverse(double *a, int n)
{
    for (int p = 0; p < n; p++) {
        double d = 1 / a[p * n + p];

        a[p * n + p] = 1;
        for (int c = 0; c < n; c++) a[p * n + c] *= d;
        for (int r = 0; r < n; r++) {
            double f = a[r * n + p];

            if (r == p) continue;
            a[r * n + p] = 0;
            for (int c = 0; c < n; c++) a[r * n + c] -= f * a[p * n + c];
        }
    }
}

#define N 24
/* H with the damping that pare_columns_open documents. */
static void damped(double *h, const struct pare_second *in)
{
    double mean = 0;
    int    alive = 0;

    for (int i = 0; i < N; i++) {
        mean += in->xx[i * N + i];
        alive += in->xx[i * N + i] > 0;
    }
    mean /= alive;
    memcpy(h, in->xx, N * N * sizeof *h);
    for (int i = 0; i < N; i++) h[i * N + i] += in->xx[i * N + i] > 0 ? 0.01 * mean : mean;
}

/* The definition: before column c, G = (H[c.., c..])^-1; changing w_c by -e moves column c + k by -e G_0k / G_00. */
static void by_definition(double *w, const double *h, const struct pare_mask *m, uint64_t r, uint32_t nm_n, uint32_t nm_m, uint8_t *stays)
{
    for (int c = 0; c < N; c++) {
        int    n = N - c;
        double g[N * N];

        for (int i = 0; i < n; i++)
            for (int k = 0; k < n; k++) g[i * n + k] = h[(c + i) * N + c + k];
        inverse(g, n);
        if (nm_m != 0 && c % (int)nm_m == 0) {
            double loss[8];

            for (int k = 0; k < (int)nm_m; k++) { /* w^2 / U_cc^2, U_cc^2 = ((H[c.., c..])^-1)_00 of that column */
                double q[N * N];
                int    nk = n - k;

                for (int i = 0; i < nk; i++)
                    for (int j = 0; j < nk; j++) q[i * nk + j] = h[(c + k + i) * N + c + k + j];
                inverse(q, nk);
                loss[k] = w[c + k] * w[c + k] / q[0];
            }
            for (uint32_t k = 0; k < nm_m; k++) {
                uint32_t better = 0;

                for (uint32_t j = 0; j < nm_m; j++) better += loss[j] > loss[k];
                stays[(uint32_t)c + k] = better < nm_n;
            }
        }
        if (nm_m == 0 ? pare_mask_keeps(m, r, (uint64_t)c) : stays[c]) continue;
        for (int k = 1; k < n; k++) w[c + k] -= w[c] * g[k] / g[0];
        w[c] = 0;
    }
}

static void column_loop(void **state)
{
    enum { R = 5 };
    struct pare_second    in;
    struct pare_columns   c;
    struct pare_mask      m;
    struct pare_mask_rule nm = { PARE_MASK_NM, 0, 2, 4 };
    double                h[N * N];
    float                 w[R * N], was[R * N];

    (void)state;
    moments(&in, N, 200, 11);
    damped(h, &in);
    OK(pare_columns_open(&c, &in, 0.01, NULL, &diag));
    OK(pare_mask_create(&m, R, N, &diag));
    for (int i = 0; i < R * N; i++) was[i] = draw(13, (uint64_t)i);
    memcpy(w, was, sizeof w);
    OK(pare_columns_sweep(&c, w, &m, NULL, NULL, NULL, &diag));
    assert_memory_equal(w, was, sizeof w); /* keep-all */
    for (int mode = 0; mode < 2; mode++) {
        for (int i = 0; i < R * N; i++) pare_mask_set(&m, (uint64_t)(i / N), (uint64_t)(i % N), mode != 0 || (i * 7 + i / N) % 3 != 0);
        memcpy(w, was, sizeof w);
        OK(pare_columns_sweep(&c, w, &m, mode == 0 ? NULL : &nm, NULL, NULL, &diag));
        for (int r = 0; r < R; r++) {
            double  ref[N];
            uint8_t stays[N];

            for (int k = 0; k < N; k++) ref[k] = (double)was[r * N + k];
            by_definition(ref, h, &m, (uint64_t)r, 2, mode == 0 ? 0 : 4, stays);
            for (int k = 0; k < N; k++) {
                if (mode == 1) assert_int_equal(pare_mask_keeps(&m, (uint64_t)r, (uint64_t)k), stays[k]);
                assert_true(fabs((double)w[r * N + k] - ref[k]) < 1e-4);
            }
        }
    }
    pare_mask_free(&m);
    pare_columns_free(&c);
    pare_second_free(&in);
}

/* The same bits on one and on four threads, in every tier; rounding sees each group once, before its first column. */
struct seen { uint32_t group[64]; };
static void begin(void *user, uint64_t r, uint64_t c0, uint32_t n, const float *w)
{
    struct seen *s = user;

    (void)w;
    assert_int_equal(n, 8);
    if (r == 3) s->group[c0 / 8]++;
}
static float value(void *user, uint64_t r, uint64_t c, float w)
{
    (void)user, (void)r, (void)c;
    return rintf(w * 4) / 4;
}

static void same_bits(void **state)
{
    enum { R = 40 };
    struct pare_second       in;
    struct pare_columns      c;
    struct pare_job_settings js;
    struct pare_mask         m;
    struct pare_mask_rule    rule = { PARE_MASK_MATRIX, 0.5, 0, 0 };
    struct seen              seen = { { 0 } };
    struct pare_columns_round round = { 8, begin, value, &seen };
    static float             first[R * N], w[R * N];

    (void)state;
    moments(&in, N, 200, 17);
    OK(pare_columns_open(&c, &in, 0.01, NULL, &diag));
    OK(pare_mask_create(&m, R, N, &diag));
    for (int turn = 0; turn < 5; turn++) {
        struct pare_job *job;

        pare_job_settings_default(&js);
        js.n_threads = turn == 0 ? 1 : 4;
        js.max_tier = turn == 0 ? -1 : turn - 1;
        OK(pare_job_create(&job, &js, &diag));
        for (int i = 0; i < R * N; i++) w[i] = draw(19, (uint64_t)i);
        OK(pare_columns_sweep(&c, w, &m, &rule, &round, job, &diag));
        if (turn == 0) memcpy(first, w, sizeof w);
        assert_memory_equal(w, first, sizeof w);
        assert_int_equal(pare_mask_count(&m), R * N / 2);
        pare_job_destroy(&job);
    }
    for (int g = 0; g < N / 8; g++) assert_int_equal(seen.group[g], 5);
    pare_mask_free(&m);
    pare_columns_free(&c);
    pare_second_free(&in);
}

static void shares(void **state)
{
    const double   imp[4] = { 0.9, 0.1, 0.5, 0.5 };
    const uint64_t params[4] = { 100, 300, 200, 400 };
    double         share[4], got = 0;

    (void)state;
    OK(pare_mask_allocate(imp, params, 4, 0.2, 0.1, 0.8, share, &diag));
    for (int i = 0; i < 4; i++) got += share[i] * (double)params[i];
    assert_true(fabs(got - 0.2 * 1000) < 1e-6);
    assert_true(share[0] < share[2] && share[2] < share[1] && share[2] == share[3]);
    OK(pare_mask_allocate(imp, params, 4, 0.2, 0, 0.8, share, &diag));
    for (int i = 0; i < 4; i++) assert_true(fabs(share[i] - 0.2) < 1e-9);
    OK(pare_mask_allocate(imp, params, 4, 0.75, 2, 0.8, share, &diag));
    for (int i = 0; i < 4; i++) assert_true(share[i] >= 0 && share[i] <= 0.8);
    assert_int_equal(pare_mask_allocate(imp, params, 4, 0.9, 0, 0.8, share, NULL), PARE_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selection), cmocka_unit_test(patterns), cmocka_unit_test(neutral), cmocka_unit_test(scores),
        cmocka_unit_test(column_loop), cmocka_unit_test(same_bits), cmocka_unit_test(shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
