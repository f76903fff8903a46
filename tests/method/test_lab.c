/* SPDX-License-Identifier: Apache-2.0
 * The lab itself: nothing changed gives divergence 0, inputs seen are the inputs multiplied, moments are those of a plain sum. */
#include "lab_rig.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "compress/observe.h"

static struct rig rig, *r = &rig;

static int same(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    (void)user, (void)lab, (void)i, (void)w, (void)diag;
    return 0; /* "changed", to what it was */
}
static bool touch(void *user, const struct pare_lab *lab, uint32_t i, float *x, uint64_t ldx, uint32_t n)
{
    (void)user, (void)lab, (void)i, (void)x, (void)ldx, (void)n;
    return true;
}
static void neutral(void **state)
{
    struct pare_tally_result t = rig_measure(r, &(struct pare_lab_change){ same, touch, NULL });

    (void)state;
    assert_true(t.kld == 0 && t.nll == t.nll_base && t.top1 == 1);
    t = rig_measure(r, NULL);
    assert_true(t.kld == 0);
}

/* Doubling one input channel of a matrix is the same as doubling its column. */
static int column(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    (void)user, (void)diag;
    for (uint64_t k = 0; k < lab->weight[i].rows; k++) w[k * lab->weight[i].cols + 3] *= 2;
    return 0;
}
static bool channel(void *user, const struct pare_lab *lab, uint32_t i, float *x, uint64_t ldx, uint32_t n)
{
    (void)user, (void)lab, (void)i;
    for (uint32_t k = 0; k < n; k++) x[k * ldx + 3] *= 2;
    return true;
}
static void inputs_and_columns(void **state)
{
    struct pare_tally_result a = rig_measure(r, &(struct pare_lab_change){ column, NULL, NULL });
    struct pare_tally_result b = rig_measure(r, &(struct pare_lab_change){ NULL, channel, NULL });

    (void)state;
    assert_true(a.kld > 1e-6);
    assert_true(a.kld == b.kld && a.nll == b.nll); /* factors of two: the same bits */
}

static void siblings(void **state)
{
    const struct pare_lab *lab = &r->lab;

    (void)state;
    for (uint32_t i = 0; i + 1 < lab->n_weights; i++) {
        const struct pare_lab_weight *a = &lab->weight[i], *b = &lab->weight[i + 1];
        if (strcmp(a->role, "attn_q") == 0) assert_ptr_equal(a->in, b->in);
        if (strcmp(a->role, "ffn_gate") == 0 && strcmp(b->role, "ffn_up") == 0) assert_ptr_equal(a->in, b->in);
        if (strcmp(b->role, "ffn_down") == 0) assert_ptr_not_equal(a->in, b->in);
        assert_int_equal(a->in->cols, a->cols);
    }
    assert_int_equal(lab->weight[0].in->n, r->calib.n * r->calib.len);
    assert_in_range(lab->weight[lab->n_weights - 1].in->n, PARE_HEAD_ROWS / 2, PARE_HEAD_ROWS); /* the head's rows come in several calls */
}

/* Moments of random rows in odd pieces, with weights, against plain sums; the same bits for one and three threads and in every tier. */
static void moments(void **state)
{
    enum { N = 700, C = 77 };
    float *x = malloc(N * C * sizeof *x), *w = malloc(N * sizeof *w);
    struct pare_second s[3];
    struct pare_diag   d = { 0 };

    (void)state;
    for (uint32_t i = 0; i < N * C; i++) x[i] = pare_rng_normal(7, PARE_RNG_TEST, i) * (1 + i % C);
    for (uint32_t i = 0; i < N; i++) w[i] = pare_rng_f32(8, PARE_RNG_TEST, i);
    for (int k = 0; k < 3; k++) {
        struct pare_job_settings js;
        struct pare_job         *job;
        pare_job_settings_default(&js);
        js.n_threads = k == 0 ? 1 : 3;
        js.max_tier = k == 2 ? PARE_TIER_BASE : -1;
        assert_int_equal(pare_job_create(&job, &js, &d), 0);
        assert_int_equal(pare_second_create(&s[k], C, true, &d), 0);
        for (uint32_t at = 0, n; at < N; at += n) {
            n = at == 0 ? 300 : at == 300 ? 1 : N - at;
            pare_second_add(&s[k], x + at * C, C, n, w + at, job);
        }
        assert_int_equal(pare_second_finish(&s[k], job, &d), 0);
        pare_job_destroy(&job);
        assert_memory_equal(s[k].xx, s[0].xx, C * C * sizeof(double));
        assert_memory_equal(s[k].sumabs, s[0].sumabs, C * sizeof(double));
    }
    for (uint32_t a = 0; a < C; a++) {
        double sum = 0, abs = 0;
        float  hi = x[a];
        for (uint32_t t = 0; t < N; t++) {
            sum += (double)w[t] * (double)x[t * C + a];
            abs += (double)w[t] * fabs((double)x[t * C + a]);
            hi = x[t * C + a] > hi ? x[t * C + a] : hi;
        }
        assert_true(fabs(s[0].sum[a] - sum) <= 1e-9 * abs && fabs(s[0].sumabs[a] - abs) <= 1e-9 * abs);
        assert_true(s[0].max[a] == hi);
        for (uint32_t b = 0; b < C; b++) {
            double xx = 0, norm = 0;
            for (uint32_t t = 0; t < N; t++) {
                xx += (double)w[t] * (double)x[t * C + a] * (double)x[t * C + b];
                norm += (double)w[t] * fabs((double)x[t * C + a] * (double)x[t * C + b]);
            }
            assert_true(fabs(s[0].xx[a * C + b] - xx) <= 1e-6 * norm);
        }
    }
    for (int k = 0; k < 3; k++) pare_second_free(&s[k]);
    free(x);
    free(w);
}

static void damaged(void **state)
{
    struct pare_second s;
    struct pare_diag   d = { 0 };
    float              x[4] = { 1, 2, INFINITY, 3 };

    (void)state;
    assert_int_equal(pare_second_create(&s, 4, true, &d), 0);
    pare_second_add(&s, x, 4, 1, NULL, NULL);
    assert_int_equal(pare_second_finish(&s, NULL, &d), PARE_E_CORRUPT);
    assert_non_null(strstr(d.text, "channel 2"));
    pare_second_free(&s);
}

static int open_rig(void **state)
{
    (void)state;
    rig_open(r, 128, 4, 3, true);
    return 0;
}
static int close_rig(void **state)
{
    (void)state;
    rig_close(r);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neutral), cmocka_unit_test(inputs_and_columns), cmocka_unit_test(siblings), cmocka_unit_test(moments),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests_name("lab", tests, open_rig, close_rig);
}
