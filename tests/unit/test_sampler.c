/* SPDX-License-Identifier: Apache-2.0
 * The sampler against a plain definition: sort the whole vocabulary, filter in the documented order, in double. */
#include "fixture.h"

#include <math.h>
#include <time.h>

#include "base/rng.h"
#include "generate/generate.h"
#include "generate/sampler.h"

struct item { double logit, p; int32_t id; };

static int by_logit(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static double mean_surprise; /* for by_surprise */
static int by_surprise(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    double             u = fabs(-log(x->p) - mean_surprise), v = fabs(-log(y->p) - mean_surprise);

    if (u != v) return u < v ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static void softmax(struct item *c, uint32_t n, double t)
{
    double max = -INFINITY, sum = 0;

    for (uint32_t i = 0; i < n; i++) max = fmax(max, c[i].logit);
    for (uint32_t i = 0; i < n; i++) sum += c[i].p = exp((c[i].logit - max) / t);
    for (uint32_t i = 0; i < n; i++) c[i].p /= sum;
}

/* The definition. @return how many are left, best first. */
static uint32_t oracle(const struct pare_sampling *s, const float *logits, uint32_t n, const int32_t *hist, size_t n_hist, struct item *c)
{
    size_t first = s->last_n != 0 && n_hist > s->last_n ? n_hist - s->last_n : 0;

    for (uint32_t i = 0; i < n; i++) {
        double   x = (double)logits[i];
        uint32_t times = 0;

        for (uint32_t k = 0; k < s->n_bias; k++)
            if (s->bias[k].id == (int32_t)i) x += (double)s->bias[k].bias;
        for (size_t k = first; k < n_hist; k++) times += hist[k] == (int32_t)i;
        if (times != 0) {
            x = x > 0 ? x / (double)s->repetition : x * (double)s->repetition;
            x -= (double)s->presence + times * (double)s->frequency;
        }
        c[i] = (struct item){ (double)(float)x, 0, (int32_t)i };
    }
    qsort(c, n, sizeof *c, by_logit);
    while (n > 0 && c[n - 1].logit == -INFINITY) n--;
    if (s->top_k != 0 && n > s->top_k) n = s->top_k;
    if (s->typical < 1) {
        double   sum = 0;
        uint32_t m = 0;

        softmax(c, n, 1);
        mean_surprise = 0;
        for (uint32_t i = 0; i < n; i++) mean_surprise -= c[i].p * log(c[i].p);
        qsort(c, n, sizeof *c, by_surprise);
        while (m < n && sum < (double)s->typical) sum += c[m++].p;
        n = m;
        qsort(c, n, sizeof *c, by_logit);
    }
    softmax(c, n, 1);
    if (s->top_p < 1) {
        double   sum = 0;
        uint32_t m = 0;

        while (m < n && sum < (double)s->top_p) sum += c[m++].p;
        n = m;
    }
    while (n > 1 && c[n - 1].p < (double)s->min_p * c[0].p) n--;
    softmax(c, n, (double)s->temperature);
    return n;
}

static void random_row(float *x, uint32_t n, uint64_t seed)
{
    for (uint32_t i = 0; i < n; i++) x[i] = 4.0f * pare_rng_normal(seed, PARE_RNG_TEST, i);
}

static struct pare_sampler *make(const struct pare_sampling *s, uint32_t n)
{
    struct pare_sampler *p;
    struct pare_diag     d = { 0 };

    assert_int_equal(pare_sampler_create(&p, s, n, pare_vec_for(0), &d), 0);
    return p;
}

static void test_against_definition(void **state)
{
    enum { N = 997 };
    static float       row[N];
    static struct item want[N];
    int32_t            hist[100];
    struct pare_logit_bias bias[] = { { 3, 5 }, { 500, -INFINITY }, { 996, 2.5f } };
    uint32_t           checked = 0;

    (void)state;
    for (uint32_t i = 0; i < 100; i++) hist[i] = (int32_t)(pare_rng_u64(5, PARE_RNG_TEST, i) % 50);
    for (uint64_t trial = 0; trial < 600; trial++) {
        struct pare_sampling         s;
        struct pare_sampler         *p;
        const struct pare_candidate *c;
        uint32_t                     n, m;
        bool                         filtered;

        pare_sampling_default(&s);
        random_row(row, N, trial);
        s.temperature = 0.3f + (float)(trial % 7) * 0.25f;
        if (trial & 1) s.top_k = 1 + (uint32_t)(trial * 13 % 200);
        if (trial & 2) s.top_p = 0.05f + 0.1f * (float)(trial % 10);
        if (trial & 4) s.min_p = 0.013f * (float)(trial % 8);
        if (trial & 8) s.typical = 0.15f + 0.1f * (float)(trial % 8);
        if (trial & 16) s.repetition = 1.3f;
        if (trial & 32) { s.presence = 0.4f; s.frequency = 0.2f; }
        if (trial & 64) { s.bias = bias; s.n_bias = 3; }
        s.last_n = trial % 3 == 0 ? 0 : 20;
        filtered = s.top_k != 0 || s.top_p < 1 || s.min_p > 0 || s.typical < 1;
        p = make(&s, N);
        c = pare_sampler_candidates(p, row, hist, 100, &n);
        m = oracle(&s, row, N, hist, 100, want);
        /* A border within rounding of a probability may fall either way: one candidate more or less. */
        assert_true(n == m || (n + 1 == m && m > 1) || n == m + 1);
        for (uint32_t i = 0; n == m && i < n; i++) {
            if (filtered) assert_int_equal(c[i].id, want[i].id);
            if (filtered) assert_true(fabs((double)c[i].p - want[i].p) <= 2e-5 * want[i].p + 1e-9);
        }
        if (!filtered)
            for (uint32_t i = 0; i < m; i++) {
                uint32_t k = 0;

                while (c[k].id != want[i].id) k++;
                assert_true(fabs((double)c[k].p - want[i].p) <= 2e-5 * want[i].p + 1e-9);
            }
        checked += n == m;
        pare_sampler_destroy(&p);
    }
    assert_true(checked >= 590);
}

static void test_frequencies(void **state)
{
    enum { N = 8, DRAWS = 200000 };
    float                row[N] = { 0, 1, 2, 3, -1, -2, 0.5f, 1.5f };
    struct item          want[N];
    struct pare_sampling s;
    struct pare_sampler *p;
    uint32_t             count[N] = { 0 };
    double               chi = 0;

    (void)state;
    pare_sampling_default(&s);
    s.temperature = 0.8f;
    s.seed = 77;
    p = make(&s, N);
    for (uint32_t i = 0; i < DRAWS; i++) count[pare_sampler_next(p, row, NULL, 0, i)]++;
    assert_int_equal(oracle(&s, row, N, NULL, 0, want), N);
    for (uint32_t i = 0; i < N; i++) {
        double e = want[i].p * DRAWS;
        chi += (count[want[i].id] - e) * (count[want[i].id] - e) / e;
    }
    /* 7 degrees of freedom: above 24.3 once in a thousand seeds */
    assert_true(chi < 24.3);
    pare_sampler_destroy(&p);
}

static void test_neutral_and_greedy(void **state)
{
    enum { N = 300 };
    float                row[N];
    struct pare_sampling s, k1;
    struct pare_sampler *a, *b;

    (void)state;
    pare_sampling_default(&s);
    k1 = s;
    k1.temperature = 1;
    k1.top_k = 1;
    a = make(&s, N);
    b = make(&k1, N);
    for (uint64_t t = 0; t < 50; t++) {
        uint32_t best = 0;

        random_row(row, N, t);
        row[(t * 7) % N] = row[(t * 11) % N]; /* ties sometimes */
        for (uint32_t i = 1; i < N; i++)
            if (row[i] > row[best]) best = i;
        assert_int_equal(pare_sampler_next(a, row, NULL, 0, t), best);
        assert_int_equal(pare_sampler_next(b, row, NULL, 0, t), best);
    }
    pare_sampler_destroy(&a);
    pare_sampler_destroy(&b);
}

static void test_hostile_logits(void **state)
{
    float                row[4] = { NAN, -INFINITY, INFINITY, 1 };
    struct pare_sampling s;
    struct pare_sampler *p;
    struct pare_diag     d = { 0 };

    (void)state;
    pare_sampling_default(&s);
    s.temperature = 1;
    p = make(&s, 4);
    assert_int_equal(pare_sampler_next(p, row, NULL, 0, 0), 2);
    row[2] = row[3] = NAN;
    assert_int_equal(pare_sampler_next(p, row, NULL, 0, 0), -1);
    pare_sampler_destroy(&p);
    s.top_p = 0;
    assert_int_equal(pare_sampler_create(&p, &s, 4, pare_vec_for(0), &d), PARE_E_USAGE);
    assert_null(p);
}

/* Order of draws does not matter: the number of a step depends on its position alone. Nothing is allocated. */
static void test_position_keyed(void **state)
{
    enum { N = 150000 };
    float               *row = malloc(N * sizeof *row);
    struct pare_sampling s;
    struct pare_sampler *p;
    int32_t              forward[20];

    (void)state;
    random_row(row, N, 1);
    pare_sampling_default(&s);
    s.temperature = 1;
    s.top_p = 0.95f;
    s.min_p = 0.01f;
    s.seed = 9;
    p = make(&s, N);
    pare_mem_guard("sampling");
    for (uint64_t i = 0; i < 20; i++) forward[i] = pare_sampler_next(p, row, NULL, 0, i);
    for (uint64_t i = 20; i-- > 0;) assert_int_equal(pare_sampler_next(p, row, NULL, 0, i), forward[i]);
    pare_mem_guard(NULL);
    pare_sampler_destroy(&p);
    free(row);
}

/* Stop strings in all cuts of the text: what is shown never contains one, and is a beginning of the whole. */
static void test_stop_strings(void **state)
{
    static const char *const stop[] = { "END", "\n\n", "abab" };
    static const struct { const char *in, *out; bool hit; } cases[] = {
        { "one ENtwo ENDthree", "one ENtwo ", true }, { "a\nb\n\nc", "a\nb", true }, { "aabababx", "a", true },
        { "xaba", "xaba", false }, { "plain", "plain", false }, { "END", "", true }, { "EN", "EN", false }
    };

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (size_t cut = 1; cut <= 4; cut++) {
            struct pare_stops s = { .text = { .max = 1000 }, .stop = stop, .n_stop = 3 };
            char              shown[100] = "";
            const char       *from;
            size_t            n, len = strlen(cases[k].in);
            bool              go = true;

            for (size_t at = 0; go && at < len; at += cut) {
                go = pare_stops_add(&s, cases[k].in + at, cut < len - at ? cut : len - at, &from, &n);
                strncat(shown, from, n);
            }
            if (go) {
                pare_stops_finish(&s, &from, &n);
                strncat(shown, from, n);
            }
            assert_string_equal(shown, cases[k].out);
            assert_int_equal(s.hit, cases[k].hit);
            pare_buf_free(&s.text);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_against_definition), cmocka_unit_test(test_frequencies),
                                        cmocka_unit_test(test_neutral_and_greedy), cmocka_unit_test(test_hostile_logits),
                                        cmocka_unit_test(test_position_keyed), cmocka_unit_test(test_stop_strings) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
