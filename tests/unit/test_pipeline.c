/* SPDX-License-Identifier: Apache-2.0
 * Two groups that alternate, against closed forms, bounds, and a schedule searched by force. */
#include "fixture.h"

#include <math.h>

#include "base/rng.h"
#include "compress/pipeline.h"

#define SAME(a, b) assert_true(fabs((a) - (b)) < 1e-12 * (1 + fabs(b)))

static void one_part_is_the_sum(void **state)
{
    struct pare_pipe p = { .layers = 7, .parts = 1, .gemm_s = { 0.5 }, .attend_s = { 0.25 }, .hand_s = 9 };

    (void)state;
    assert_true(pare_pipe_predict(&p).seconds == 7 * 0.75);
    SAME(pare_pipe_predict(&p).gemm_busy, 2.0 / 3);
}

/* Equal halves: while one multiplies the other attends. With g >= a the matrices never wait after the start: 2 L g + a; else the
 * attention never waits: g + 2 L a. */
static void halves(void **state)
{
    (void)state;
    for (uint32_t layers = 1; layers < 9; layers++)
        for (int k = 0; k < 6; k++) {
            double           g = 1, a = 0.25 * (k + 1);
            struct pare_pipe p = { .layers = layers, .parts = 2, .gemm_s = { g, g }, .attend_s = { a, a } };

            SAME(pare_pipe_predict(&p).seconds, g >= a ? 2 * layers * g + a : g + 2 * layers * a);
        }
}

/* Never faster than what one group has to do, nor than one sub-batch alone; never slower than one after the other. */
static void bounds(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 300; round++) {
        struct pare_pipe p = { .layers = 1 + (uint32_t)(pare_rng_u64(round, PARE_RNG_TEST, 0) % 12), .parts = 1 + (uint32_t)(pare_rng_u64(round, PARE_RNG_TEST, 1) % 5) };
        double           gemm = 0, attend = 0, alone = 0, s;

        for (uint32_t i = 0; i < p.parts; i++) {
            p.gemm_s[i] = pare_rng_f64(round, PARE_RNG_TEST, 10 + i);
            p.attend_s[i] = pare_rng_f64(round, PARE_RNG_TEST, 30 + i);
            gemm += p.layers * p.gemm_s[i];
            attend += p.layers * p.attend_s[i];
            alone = fmax(alone, p.layers * (p.gemm_s[i] + p.attend_s[i]));
        }
        s = pare_pipe_predict(&p).seconds;
        assert_true(s >= gemm - 1e-12 && s >= attend - 1e-12 && s >= alone - 1e-12 && s <= gemm + attend + 1e-12);
        SAME(pare_pipe_predict(&p).gemm_busy * s, gemm);
    }
}

/* Handing over costs both ways of every layer but the last: equal halves that just fill each other's time wait for it. */
static void handing_over(void **state)
{
    struct pare_pipe p = { .layers = 3, .parts = 2, .gemm_s = { 1, 1 }, .attend_s = { 1, 1 }, .hand_s = 0.5 };

    (void)state;
    /* first half: g 0-1, a 1.5-2.5, g 3-4, a 4.5-5.5, g 6-7, a 7.5-8.5; the second follows one later */
    SAME(pare_pipe_predict(&p).seconds, 9.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(one_part_is_the_sum), cmocka_unit_test(halves), cmocka_unit_test(bounds), cmocka_unit_test(handing_over) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
