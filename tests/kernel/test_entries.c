/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/test_entries.c: the sparse product against sums in f64 over a dense matrix, every tier against plain C by bits, and what is
 * refused of a matrix from outside. */
#include "fixture.h"

#include <math.h>

#include "base/checked.h"
#include "base/rng.h"
#include "kernel/entries.h"
#include "tensor/dtype.h"
#include <pare/job.h>

#define ROWS 75
#define COLS 301
#define MAXT 13
#define PANELS ((ROWS + 15) / 16)

static uint32_t at[PANELS + 1], col32[PANELS * 40 * 16];
static uint16_t col16[PANELS * 40 * 16], val16[PANELS * 40 * 16];
static float    val32[PANELS * 40 * 16], x[MAXT * (COLS + 3) + 1];

/* About one entry in ten, rows of a panel of different lengths, an empty panel; dense gets the same matrix. */
static struct pare_entries make(bool wide, bool f16, double *dense)
{
    uint32_t slots = 0;

    memset(dense, 0, ROWS * COLS * sizeof *dense);
    memset(col32, 0, sizeof col32);
    memset(val32, 0, sizeof val32);
    for (uint32_t p = 0; p < PANELS; p++) {
        uint32_t most = 0;

        at[p] = slots;
        for (uint32_t r = 0; r < 16 && p * 16 + r < ROWS && p != 2; r++) {
            uint32_t n = 0;

            for (uint32_t c = 0; c < COLS && n < 40; c++) {
                uint64_t row = p * 16 + r, i = (slots + n) * 16 + r;

                if (pare_rng_u64(7, PARE_RNG_TEST, row * COLS + c) % 17 >= r % 3) continue;
                col32[i] = c;
                val32[i] = pare_f16_to_f32(pare_f32_to_f16(pare_rng_normal(8, PARE_RNG_TEST, row * COLS + c)));
                dense[row * COLS + c] = (double)val32[i];
                n++;
            }
            if (n > most) most = n;
        }
        slots += most;
    }
    at[PANELS] = slots;
    for (uint32_t i = 0; i < slots * 16; i++) col16[i] = (uint16_t)col32[i], val16[i] = pare_f32_to_f16(val32[i]);
    return (struct pare_entries){ ROWS, COLS, slots, wide, f16, (const uint8_t *)at, wide ? (const uint8_t *)col32 : (const uint8_t *)col16,
                                 f16 ? (const uint8_t *)val16 : (const uint8_t *)val32 };
}

static void right_and_alike(void **state)
{
    static double dense[ROWS * COLS];
    static float  y[MAXT * (ROWS + 2) + 16], z[MAXT * (ROWS + 2) + 16];
    const uint64_t ldx = COLS + 3, ldy = ROWS + 2;

    (void)state;
    for (uint32_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = pare_rng_normal(1, PARE_RNG_TEST, i);
    for (int kind = 0; kind < 4; kind++) {
        struct pare_entries s = make(kind & 1, kind & 2, dense);

        assert_null(pare_entries_wrong(&s));
        assert_true(s.n_slots > 40);
        for (uint32_t n = 1; n <= MAXT; n++) {
            memset(y, 0x5a, sizeof y);
            pare_entries_for(0)->gemm(y, ldy, &s, x + 1, ldx, 0, ROWS, n);
            for (uint32_t t = 0; t < n; t++)
                for (uint32_t r = 0; r < ROWS; r++) {
                    double sum = 0;
                    for (uint32_t c = 0; c < COLS; c++) sum += dense[r * COLS + c] * (double)x[1 + t * ldx + c];
                    assert_true(fabs((double)y[t * ldy + r] - sum) < 1e-5);
                }
            for (int tier = 1; tier <= PARE_TIER_VNNI; tier++) {
                memset(z, 0x5a, sizeof z);
                pare_entries_for(tier)->gemm(z, ldy, &s, x + 1, ldx, 0, ROWS, n);
                assert_memory_equal(y, z, sizeof y); /* what lies between and behind the rows too */
                pare_entries_for(tier)->gemm(z, ldy, &s, x + 1, ldx, 32, ROWS, n); /* pieces: rows from a later panel on */
                for (uint32_t t = 0; t < n; t++) assert_memory_equal(z + t * ldy, y + t * ldy + 32, (ROWS - 32) * sizeof *y);
            }
        }
    }
}

static void wrong(void **state)
{
    static double      dense[ROWS * COLS];
    struct pare_entries s = make(true, false, dense), t;

    (void)state;
    t = s, t.n_slots++;
    assert_non_null(pare_entries_wrong(&t));
    t = s, t.n_slots--;
    assert_non_null(pare_entries_wrong(&t));
    t = s, t.cols = 100;
    assert_non_null(pare_entries_wrong(&t));
    at[0] = 1;
    assert_non_null(pare_entries_wrong(&s));
    at[0] = 0;
    at[1] = 0xffffffffu;
    assert_non_null(pare_entries_wrong(&s));
    s = make(false, true, dense);
    s.cols = 70000;
    assert_non_null(pare_entries_wrong(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(right_and_alike), cmocka_unit_test(wrong) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
