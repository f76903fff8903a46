/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_transform.c: chains of input transforms against a dense matrix in f64; folded weights times transformed inputs are the
 * weights times the inputs; unfolding gives them back; threads and tiers change no bit; what is no transform is refused. */
#include "fixture.h"

#include <math.h>

#include "base/rng.h"
#include "nn/transform.h"

#define COLS 240 /* 60 * 4, 16 * 15 */
#define N 37

static float   x[N * COLS], y[N * COLS], z[N * COLS], scale[COLS];
static uint32_t perm[COLS], rev[COLS];
static uint8_t bits[COLS / 8];

static struct pare_job *job_of(uint32_t threads, int tier)
{
    struct pare_job_settings js;
    struct pare_job *j;

    pare_job_settings_default(&js);
    js.n_threads = threads;
    js.max_tier = tier;
    assert_int_equal(pare_job_create(&j, &js, NULL), 0);
    return j;
}

static int setup(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < N * COLS; i++) x[i] = pare_rng_normal(1, PARE_RNG_TEST, i);
    for (uint32_t i = 0; i < COLS; i++) {
        scale[i] = (i % 3 == 0 ? -1.0f : 1.0f) * (0.25f + 2.0f * pare_rng_f32(2, PARE_RNG_TEST, i));
        perm[i] = (i * 7 + 3) % COLS; /* 7 and 240 have no common factor */
        rev[i] = i < 5 ? i : COLS + 4 - i; /* fixed points and swaps */
        if (i % 8 == 0) bits[i / 8] = (uint8_t)pare_rng_u64(3, PARE_RNG_TEST, i);
    }
    return 0;
}

static struct pare_transform *chain(const char *steps)
{
    struct pare_transform *t;

    assert_int_equal(pare_transform_create(&t, COLS, NULL), 0);
    for (; *steps != '\0'; steps++)
        switch (*steps) {
        case 's': assert_int_equal(pare_transform_scale(t, scale, NULL), 0); break;
        case 'p': assert_int_equal(pare_transform_permute(t, perm, NULL), 0); break;
        case 'r': assert_int_equal(pare_transform_permute(t, rev, NULL), 0); break;
        case 'g': assert_int_equal(pare_transform_signs(t, bits, NULL), 0); break;
        case 'h': assert_int_equal(pare_transform_hadamard(t, 0, NULL), 0); break; /* 60 * 4 */
        default: assert_int_equal(pare_transform_hadamard(t, 16, NULL), 0); break;
        }
    return t;
}

/* What a step does to one row, in f64, from the definition. */
static void step(double *v, char what)
{
    double t[COLS];
    static float h60[60 * 60];

    memcpy(t, v, sizeof t);
    if (what == 'h') assert_true(pare_hadamard_table(h60, 60));
    for (int i = 0; i < COLS; i++) {
        double sum = 0;
        int    n = what == 'h' ? COLS : 16, base = i / n * n;

        switch (what) {
        case 's': v[i] = t[i] * (double)scale[i]; break;
        case 'p': v[i] = t[perm[i]]; break;
        case 'r': v[i] = t[rev[i]]; break;
        case 'g': v[i] = (bits[i / 8] >> (i % 8) & 1) != 0 ? -t[i] : t[i]; break;
        default:
            for (int j = 0; j < n; j++) {
                int p = what == 'h' ? 4 : 16;
                double e = __builtin_popcount((unsigned)((i - base) % p & j % p)) % 2 == 0 ? 1 : -1;
                if (what == 'h') e *= (double)h60[i / 4 * 60 + j / 4];
                sum += e * t[base + j];
            }
            v[i] = sum / sqrt(n);
        }
    }
}

static const char *const chains[] = { "", "s", "p", "r", "g", "h", "b", "gh", "gb", "sp", "ps", "pgh", "spghr", "hphb", "pp", "rgbs" };

static void right(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        struct pare_transform *t = chain(chains[k]);
        double v[COLS];

        t->input.run(&t->input, y, COLS, x, COLS, N, NULL);
        memcpy(z, x, sizeof z);
        pare_transform_rows(t, z, COLS, N, NULL); /* in place */
        assert_memory_equal(y, z, sizeof y);
        for (int r = 0; r < N; r++) {
            for (int i = 0; i < COLS; i++) v[i] = (double)x[r * COLS + i];
            for (const char *c = chains[k]; *c != '\0'; c++) step(v, *c);
            for (int i = 0; i < COLS; i++)
                if (!(fabs(v[i] - (double)y[r * COLS + i]) < 3e-5)) fail_msg("chain \"%s\", channel %d: %g, want %g", chains[k], i, (double)y[r * COLS + i], v[i]);
        }
        pare_transform_destroy(&t);
    }
}

static void folds(void **state)
{
    static float w[N * COLS], f[N * COLS];

    (void)state;
    for (uint64_t i = 0; i < N * COLS; i++) w[i] = pare_rng_normal(4, PARE_RNG_TEST, i);
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        struct pare_transform *t = chain(chains[k]), *copy;

        memcpy(f, w, sizeof f);
        pare_transform_fold(t, f, COLS, N, NULL);
        t->input.run(&t->input, y, COLS, x, COLS, N, NULL);
        for (int r = 0; r < N; r++)
            for (int c = 0; c < N; c++) {
                double want = 0, got = 0;
                for (int i = 0; i < COLS; i++) {
                    want += (double)w[r * COLS + i] * (double)x[c * COLS + i];
                    got += (double)f[r * COLS + i] * (double)y[c * COLS + i];
                }
                if (!(fabs(want - got) < 2e-4)) fail_msg("chain \"%s\": product %g, want %g", chains[k], got, want);
            }
        pare_transform_unfold(t, f, COLS, N, NULL);
        for (int i = 0; i < N * COLS; i++) assert_true(fabsf(f[i] - w[i]) < 1e-5f);
        assert_int_equal(pare_transform_copy(&copy, t, NULL), 0);
        assert_true(pare_transform_same(t, copy));
        for (size_t j = 0; j < sizeof chains / sizeof *chains; j++) {
            struct pare_transform *other = chain(chains[j]);
            assert_int_equal(pare_transform_same(t, other), j == k);
            pare_transform_destroy(&other);
        }
        pare_transform_destroy(&copy);
        pare_transform_destroy(&t);
    }
}

static void same_bits(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        struct pare_transform *t = chain(chains[k]);

        for (int what = 0; what < 3; what++) {
            void (*run)(const struct pare_transform *, float *, uint64_t, uint64_t, struct pare_job *) =
                what == 0 ? pare_transform_rows : what == 1 ? pare_transform_fold : pare_transform_unfold;
            for (int tier = 0; tier <= PARE_TIER_VNNI; tier++)
                for (uint32_t threads = 1; threads <= 3; threads++)
                    for (uint32_t n = 1; n <= N; n += 9) {
                        struct pare_job *job = job_of(threads, tier);
                        float *to = tier == 0 && threads == 1 && n == 1 ? y : z;

                        memcpy(to, x, sizeof y);
                        run(t, to, COLS, to == y ? N : n, job);
                        if (to == z) assert_memory_equal(y, z, n * COLS * sizeof *y);
                        pare_job_destroy(&job);
                    }
        }
        pare_transform_destroy(&t);
    }
}

/* The forecast counts what steps hold. */
static void memory(void **state)
{
    struct pare_transform *t = chain("spgh");

    (void)state;
    assert_int_equal(pare_transform_bytes(t), sizeof *t + COLS * 4 + COLS * 8 + COLS * 4 + 2 * 60 * 60 * 4);
    pare_transform_destroy(&t);
    for (uint64_t fail = 1;; fail++) { /* every allocation may fail, and then nothing is kept */
        uint64_t live = pare_mem_live();
        int      rc;

        pare_mem_fail_after(fail);
        rc = pare_transform_create(&t, COLS, NULL);
        if (rc == 0) rc = pare_transform_scale(t, scale, NULL);
        if (rc == 0) rc = pare_transform_permute(t, perm, NULL);
        if (rc == 0) rc = pare_transform_random_signs(t, 1, NULL);
        if (rc == 0) rc = pare_transform_hadamard(t, 0, NULL);
        pare_mem_fail_after(0);
        pare_transform_destroy(&t);
        assert_int_equal(pare_mem_live(), live);
        if (rc == 0) break;
        assert_int_equal(rc, PARE_E_NOMEM);
    }
}

static void refuses(void **state)
{
    struct pare_transform *t;
    struct pare_diag       d = { 0 };

    (void)state;
    assert_int_equal(pare_transform_create(&t, 0, &d), PARE_E_LIMIT);
    assert_null(t);
    t = chain("s");
    scale[7] = 0;
    assert_int_equal(pare_transform_scale(t, scale, &d), PARE_E_CORRUPT);
    scale[7] = NAN;
    assert_int_equal(pare_transform_scale(t, scale, &d), PARE_E_CORRUPT);
    scale[7] = 1e-45f; /* its reciprocal is infinite */
    assert_int_equal(pare_transform_scale(t, scale, &d), PARE_E_CORRUPT);
    scale[7] = 1;
    perm[7] = perm[8];
    assert_int_equal(pare_transform_permute(t, perm, &d), PARE_E_CORRUPT);
    perm[7] = COLS;
    assert_int_equal(pare_transform_permute(t, perm, &d), PARE_E_CORRUPT);
    perm[7] = (7 * 7 + 3) % COLS;
    assert_int_equal(pare_transform_hadamard(t, 7, &d), PARE_E_UNSUPPORTED);
    assert_int_equal(pare_transform_hadamard(t, 80, &d), 0); /* 20 * 4 */
    assert_int_equal(pare_transform_hadamard(t, 24, &d), 0);
    assert_int_equal(pare_transform_hadamard(t, 15, &d), PARE_E_UNSUPPORTED);
    assert_int_equal(t->n_steps, 3);
    while (t->n_steps < PARE_MAX_STEPS) assert_int_equal(pare_transform_random_signs(t, 1, &d), 0);
    assert_int_equal(pare_transform_random_signs(t, 1, &d), PARE_E_LIMIT);
    pare_transform_destroy(&t);
    pare_transform_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(right), cmocka_unit_test(folds), cmocka_unit_test(same_bits), cmocka_unit_test(memory), cmocka_unit_test(refuses) };

    return cmocka_run_group_tests(tests, setup, NULL);
}
