/* SPDX-License-Identifier: Apache-2.0
 * Errors over windows against the closed form, pairing, and shared passages against a plain search. */
#include "fixture.h"

#include <math.h>

#include "base/rng.h"
#include "eval/bootstrap.h"
#include "eval/overlap.h"
#include "eval/texts.h"

enum { N = 60 };

static void fill(struct pare_window_sum *w, double shift)
{
    for (uint32_t i = 0; i < N; i++)
        w[i] = (struct pare_window_sum){ .n = 100, .same = 50 + i % 7, .nll = 100 * (3 + (double)pare_rng_normal(1, PARE_RNG_TEST, i)),
                                         .kld = 100 * pare_rng_f64(2, PARE_RNG_TEST, i) };
    for (uint32_t i = 0; i < N; i++) w[i].nll_base = w[i].nll - 100 * shift;
}

/* Windows of equal length: the bootstrap's error of a mean tends to the population's deviation over the root of n. */
static void closed_form(void **state)
{
    struct pare_window_sum w[N];
    struct pare_boot       b, again;
    struct pare_diag       d = { 0 };
    double                 sum = 0, sq = 0, want;

    (void)state;
    fill(w, 0.25);
    assert_int_equal(pare_bootstrap(&b, w, N, 4000, 7, &d), PARE_OK);
    for (uint32_t i = 0; i < N; i++) sum += w[i].nll / 100;
    for (uint32_t i = 0; i < N; i++) sq += (w[i].nll / 100 - sum / N) * (w[i].nll / 100 - sum / N);
    want = sqrt(sq / N) / sqrt(N);
    if (fabs(b.nll.se - want) > 0.05 * want) fail_msg("error %g, closed form %g", b.nll.se, want); /* 4000 draws: 1.1 % is one sigma */
    assert_true(b.nll.lo < sum / N && sum / N < b.nll.hi);
    assert_true(fabs((b.nll.hi - b.nll.lo) / (2 * 1.96 * want) - 1) < 0.1);
    assert_true(fabs(b.ppl.se / (exp(sum / N) * want) - 1) < 0.15);
    assert_int_equal(pare_bootstrap(&again, w, N, 4000, 7, &d), PARE_OK);
    assert_memory_equal(&b, &again, sizeof b);
    assert_int_equal(pare_bootstrap(&again, w, N, 4000, 8, &d), PARE_OK);
    assert_true(again.nll.se != b.nll.se);
}

/* A base that is better by the same amount in every window differs by exactly that, however much windows vary. */
static void paired(void **state)
{
    struct pare_window_sum w[N];
    struct pare_boot       b;
    struct pare_diag       d = { 0 };

    (void)state;
    fill(w, 0.25);
    assert_int_equal(pare_bootstrap(&b, w, N, 0, 1, &d), PARE_OK);
    assert_int_equal(b.rounds, 1000);
    assert_true(b.ln_ratio.se < 1e-12 && fabs(b.ln_ratio.lo - 0.25) < 1e-12 && fabs(b.ln_ratio.hi - 0.25) < 1e-12);
    assert_true(b.nll.se > 0.05);
}

static void few(void **state)
{
    struct pare_window_sum w = { .n = 10, .nll = 20, .nll_base = 10, .kld = 1, .same = 5 }, none = { 0 };
    struct pare_boot       b;
    struct pare_diag       d = { 0 };

    (void)state;
    assert_int_equal(pare_bootstrap(&b, &w, 1, 100, 1, &d), PARE_OK);
    assert_true(b.nll.se == 0 && b.nll.lo == 2 && b.nll.hi == 2 && b.top1.lo == 0.5);
    assert_int_equal(pare_bootstrap(&b, &none, 1, 100, 1, &d), PARE_E_USAGE);
}

/* Every run of `run` bytes of b looked for in a, the plain way. */
static uint64_t plain(const char *a, size_t na, const char *b, size_t nb, uint32_t run)
{
    char    *mark = calloc(nb + 1, 1);
    uint64_t n = 0;

    for (size_t i = 0; i + run <= nb; i++)
        if (memmem(a, na, b + i, run) != NULL) memset(mark + i, 1, run);
    for (size_t i = 0; i < nb; i++) n += (uint64_t)mark[i];
    free(mark);
    return n;
}

static void shared_passages(void **state)
{
    struct pare_overlap o;
    struct pare_diag    d = { 0 };
    char                a[4000], b[3000];

    (void)state;
    for (uint32_t round = 0; round < 40; round++) {
        size_t na = 1000 + pare_rng_u64(round, PARE_RNG_TEST, 0) % 3000, nb = 500 + pare_rng_u64(round, PARE_RNG_TEST, 1) % 2500, from, to;
        size_t len = 40 + pare_rng_u64(round, PARE_RNG_TEST, 2) % 40; /* around the limit of 50 */

        for (size_t i = 0; i < na; i++) a[i] = (char)('a' + pare_rng_u64(round, PARE_RNG_TEST, 100 + i) % 26);
        for (size_t i = 0; i < nb; i++) b[i] = (char)('a' + pare_rng_u64(round, PARE_RNG_TEST, 9000 + i) % 26);
        for (uint64_t k = 0; k < 3; k++) {
            from = pare_rng_u64(round, PARE_RNG_TEST, 10 + k) % (na - len);
            to = pare_rng_u64(round, PARE_RNG_TEST, 20 + k) % (nb - len);
            memcpy(b + to, a + from, len);
        }
        assert_int_equal(pare_text_overlap(&o, a, na, b, nb, 50, &d), PARE_OK);
        assert_int_equal(o.bytes, plain(a, na, b, nb, 50));
        assert_false(o.same);
    }
    assert_int_equal(pare_text_overlap(&o, a, 600, a, 600, 50, &d), PARE_OK);
    assert_true(o.same && o.bytes == 600 && o.at == 0);
    assert_int_equal(pare_text_overlap(&o, a, 49, a, 49, 50, &d), PARE_OK);
    assert_int_equal(o.bytes, 0);
}

static void built_in_texts(void **state)
{
    struct pare_overlap o;
    struct pare_diag    d = { 0 };
    size_t              na, nb;
    const char         *a = pare_text_calibration(&na), *b = pare_text_proof(&nb);

    (void)state;
    assert_int_equal(pare_text_overlap(&o, a, na, b, nb, 60, &d), PARE_OK);
    assert_int_equal(o.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_form),     cmocka_unit_test(paired), cmocka_unit_test(few),
        cmocka_unit_test(shared_passages), cmocka_unit_test(built_in_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
