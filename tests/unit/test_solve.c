/* SPDX-License-Identifier: Apache-2.0
 * The solver against brute force on small problems, against a MILP solver (cbc, where installed) on large ones, and against
 * its own proven bound. */
#include "fixture.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "compress/solve.h"

#define MAXU 400
#define MAXO 12

static struct pare_option opts[MAXU][MAXO];
static struct pare_choice units[MAXU];

static double uni(uint64_t seed, uint64_t *i) { return pare_rng_f64(seed, PARE_RNG_TEST, (*i)++); }

/* Options that look like real ones (more bytes, less loss, with noise), or wild ones when `wild`. */
static void make(struct pare_problem *p, uint64_t seed, uint32_t n_units, uint32_t n_opt, uint32_t n_limits, bool wild, double tight)
{
    static const char *const names[] = { "size", "ram", "decode", "prefill", "loss" };
    static const char *const in[] = { "bytes", "bytes", "seconds", "seconds", "nats" };
    uint64_t i = 0;

    memset(p, 0, sizeof *p);
    p->unit = units;
    p->n_units = n_units;
    p->n_limits = n_limits;
    for (uint32_t u = 0; u < n_units; u++) {
        double size = floor(100 + 10000 * uni(seed, &i)), sens = exp(6 * uni(seed, &i) - 3);
        units[u].option = opts[u];
        units[u].n = 1 + (uint32_t)(uni(seed, &i) * (n_opt - 0.001));
        for (uint32_t o = 0; o < units[u].n; o++) {
            double bits = wild ? 1 + 8 * uni(seed, &i) : 2 + o * 0.75;
            opts[u][o].loss = wild ? uni(seed, &i) : sens * size * exp(-1.386 * bits) * (0.8 + 0.4 * uni(seed, &i));
            opts[u][o].weight[0] = floor(size * bits);
            for (uint32_t k = 1; k < n_limits; k++) opts[u][o].weight[k] = size * (0.2 + uni(seed, &i));
        }
    }
    for (uint32_t k = 0; k < n_limits; k++) {
        double lo = 0, hi = 0;
        for (uint32_t u = 0; u < n_units; u++) {
            double a = INFINITY, b = 0;
            for (uint32_t o = 0; o < units[u].n; o++) {
                if (opts[u][o].weight[k] < a) a = opts[u][o].weight[k];
                if (opts[u][o].weight[k] > b) b = opts[u][o].weight[k];
            }
            lo += a;
            hi += b;
        }
        p->limit[k] = floor(lo + (hi - lo) * (n_limits == 1 ? tight : 0.3 + 0.7 * tight));
        p->limit_name[k] = names[k];
        p->limit_unit[k] = in[k];
    }
}

static double brute(const struct pare_problem *p, uint32_t u, double loss, const double *used)
{
    double best = INFINITY;

    if (u == p->n_units) return loss;
    for (uint32_t o = 0; o < p->unit[u].n; o++) {
        double w[PARE_MAX_LIMITS];
        bool   ok = true;
        for (uint32_t k = 0; k < p->n_limits; k++) {
            w[k] = used[k] + p->unit[u].option[o].weight[k];
            ok = ok && w[k] <= p->limit[k];
        }
        if (ok) {
            double l = brute(p, u + 1, loss + p->unit[u].option[o].loss, w);
            if (l < best) best = l;
        }
    }
    return best;
}

static void check_pick(const struct pare_problem *p, const struct pare_solution *s)
{
    double loss = 0, used[PARE_MAX_LIMITS] = { 0 };

    for (uint32_t u = 0; u < p->n_units; u++) {
        assert_true(s->pick[u] < p->unit[u].n);
        loss += p->unit[u].option[s->pick[u]].loss;
        for (uint32_t k = 0; k < p->n_limits; k++) used[k] += p->unit[u].option[s->pick[u]].weight[k];
    }
    for (uint32_t k = 0; k < p->n_limits; k++) assert_true(used[k] <= p->limit[k]);
    assert_true(loss == s->loss);
    assert_true(s->bound <= s->loss * (1 + 1e-9));
}

static void test_brute_force(void **state)
{
    static const double zero[PARE_MAX_LIMITS] = { 0 };
    int solved = 0, impossible = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 1500; seed++) {
        struct pare_problem  p;
        struct pare_solution s;
        struct pare_diag     d = { 0 };
        double               want;
        int                  rc;

        make(&p, seed, 1 + seed % 7, 4, 1 + seed % 3, seed % 2 != 0, 0.05 + 0.9 * pare_rng_f64(seed, PARE_RNG_TEST, 1u << 20));
        want = brute(&p, 0, 0, zero);
        rc = pare_solve(&s, &p, &d);
        if (want == INFINITY) {
            assert_int_equal(rc, PARE_E_BUDGET);
            impossible++;
            continue;
        }
        assert_int_equal(rc, PARE_OK);
        assert_true(s.exact);
        check_pick(&p, &s);
        assert_true(fabs(s.loss - want) <= 1e-9 * (want + 1e-300));
        pare_free(s.pick);
        solved++;
    }
    assert_true(solved > 1000);
    print_message("%d solved, %d impossible\n", solved, impossible);
}

static void test_large_is_exact(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct pare_problem  p;
        struct pare_solution s;
        struct pare_diag     d = { 0 };

        make(&p, 1000 + seed, 250, 12, 1, false, 0.1 + 0.12 * (double)seed);
        assert_int_equal(pare_solve(&s, &p, &d), PARE_OK);
        check_pick(&p, &s);
        assert_true(s.exact || s.loss <= s.bound * 1.001);
        print_message("250 units: loss %.6g exact %d states %llu\n", s.loss, s.exact, (unsigned long long)s.states);
        pare_free(s.pick);
    }
}

/* Writes the problem in LP format and asks cbc for the optimum. */
static double milp(const struct pare_problem *p)
{
    char   name[] = "/tmp/pare-solve-XXXXXX", cmd[256], line[512];
    double best = NAN;
    int    fd = mkstemp(name);
    FILE  *f;

    assert_true(fd >= 0);
    f = fdopen(fd, "w");
    fprintf(f, "Minimize\n obj:");
    for (uint32_t u = 0; u < p->n_units; u++)
        for (uint32_t o = 0; o < p->unit[u].n; o++) fprintf(f, " + %.17g x%u_%u\n", p->unit[u].option[o].loss, u, o);
    fprintf(f, "Subject To\n");
    for (uint32_t k = 0; k < p->n_limits; k++) {
        fprintf(f, " l%u:", k);
        for (uint32_t u = 0; u < p->n_units; u++)
            for (uint32_t o = 0; o < p->unit[u].n; o++) fprintf(f, " + %.17g x%u_%u\n", p->unit[u].option[o].weight[k], u, o);
        fprintf(f, " <= %.17g\n", p->limit[k]);
    }
    for (uint32_t u = 0; u < p->n_units; u++) {
        fprintf(f, " c%u:", u);
        for (uint32_t o = 0; o < p->unit[u].n; o++) fprintf(f, " + x%u_%u", u, o);
        fprintf(f, " = 1\n");
    }
    fprintf(f, "Binary\n");
    for (uint32_t u = 0; u < p->n_units; u++)
        for (uint32_t o = 0; o < p->unit[u].n; o++) fprintf(f, " x%u_%u\n", u, o);
    fprintf(f, "End\n");
    fclose(f);
    snprintf(cmd, sizeof cmd, "cp %s %s.lp && timeout 60 cbc %s.lp ratioGap 0 allowableGap 0 solve quit 2>&1; rm -f %s.lp", name, name, name, name);
    f = popen(cmd, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        double v;
        if (sscanf(line, "Objective value: %lf", &v) == 1) best = v;
    }
    pclose(f);
    unlink(name);
    return best;
}

static void test_milp(void **state)
{
    (void)state;
    if (system("command -v cbc >/dev/null 2>&1") != 0) {
        print_message("cbc (coinor-cbc) is not installed\n");
        skip();
    }
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct pare_problem  p;
        struct pare_solution s;
        struct pare_diag     d = { 0 };
        double               want;

        make(&p, 5000 + seed, 30 + 10 * (uint32_t)seed, 8, seed % 3 == 2 ? 2 : 1, false, 0.15 + 0.1 * (double)seed);
        assert_int_equal(pare_solve(&s, &p, &d), PARE_OK);
        check_pick(&p, &s);
        want = milp(&p);
        assert_false(isnan(want));
        /* cbc prints eight decimals and accepts an integer tolerance of 1e-6 */
        assert_true(s.loss <= want * (1 + 1e-5) + 1e-6);
        assert_true(s.loss >= want * (1 - 1e-5) - 1e-6);
        pare_free(s.pick);
    }
}

static void test_impossible_says_best(void **state)
{
    struct pare_problem  p;
    struct pare_solution s;
    struct pare_diag     d = { 0 };

    (void)state;
    make(&p, 7, 5, 4, 1, false, 0.5);
    p.limit[0] = 1;
    assert_int_equal(pare_solve(&s, &p, &d), PARE_E_BUDGET);
    assert_null(s.pick);
    assert_non_null(strstr(d.text, "size"));
    assert_non_null(strstr(d.text, "least possible"));
    assert_int_equal(pare_error_exit_code(PARE_E_BUDGET), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brute_force),
        cmocka_unit_test(test_large_is_exact),
        cmocka_unit_test(test_milp),
        cmocka_unit_test(test_impossible_says_best),
    };
    return cmocka_run_group_tests_name("solve", tests, NULL, NULL);
}
