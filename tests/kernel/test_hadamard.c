/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/test_hadamard.c: tables are Hadamard matrices; plain C is the product with them in f64; every tier has plain C's bits. */
#include "fixture.h"

#include <math.h>

#include "base/checked.h"
#include "base/rng.h"
#include "kernel/hadamard.h"
#include <pare/job.h>

#define MAXN 16384

static const uint32_t orders[] = { 1, 12, 20, 28, 36, 40, 52, 60, 108, 140, 156, 172 };
static float x[MAXN + 64], y[MAXN + 64], z[MAXN + 64];

/* H H^T = k I, entries +-1. */
static void tables(void **state)
{
    static float h[PARE_HADAMARD_MAX_K * PARE_HADAMARD_MAX_K];

    (void)state;
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        uint32_t k = orders[o];

        assert_true(pare_hadamard_table(h, k));
        for (uint32_t i = 0; i < k * k; i++) assert_true(h[i] == 1.0f || h[i] == -1.0f);
        for (uint32_t i = 0; i < k; i++)
            for (uint32_t j = 0; j <= i; j++) {
                float s = 0;
                for (uint32_t c = 0; c < k; c++) s += h[i * k + c] * h[j * k + c];
                if (s != (i == j ? (float)k : 0.0f)) fail_msg("order %u: rows %u and %u give %g", k, i, j, (double)s);
            }
    }
    assert_false(pare_hadamard_table(h, 4));
    assert_false(pare_hadamard_table(h, 44));
}

/* Entry (i, j) of H_k x W_p, from the definition: parity of common bits. */
static double entry(const struct pare_hadamard *h, uint32_t i, uint32_t j)
{
    double w = __builtin_popcount((i % h->p) & (j % h->p)) % 2 == 0 ? 1 : -1;

    return h->k == 1 ? w : w * (double)h->outer[(i / h->p) * h->k + j / h->p];
}

static void against_f64(void **state)
{
    static const uint32_t ns[] = { 1, 2, 8, 16, 32, 128, 512, 12, 24, 48, 20, 40, 80, 28, 36 * 8, 52 * 4, 60 * 16, 108, 140 * 4, 156 * 2, 172 * 2, 576 };

    (void)state;
    for (uint32_t i = 0; i < MAXN; i++) x[i] = pare_rng_normal(3, PARE_RNG_TEST, i);
    for (size_t o = 0; o < sizeof ns / sizeof *ns; o++) {
        struct pare_hadamard h;

        assert_int_equal(pare_hadamard_init(&h, ns[o], NULL), 0);
        assert_int_equal(h.k * h.p, ns[o]);
        pare_hadamard_run(&h, 0, y, x, 2ull * h.n, false);
        for (uint32_t i = 0; i < 2 * h.n; i++) {
            uint32_t base = i / h.n * h.n;
            double   s = 0;

            for (uint32_t j = 0; j < h.n; j++) s += entry(&h, i - base, j) * (double)x[base + j];
            s /= sqrt(h.n);
            if (fabs((double)y[i] - s) > 2e-6 * sqrt(log2(h.n + 1))) fail_msg("n %u: channel %u is %g, not %g", h.n, i, (double)y[i], s);
        }
        pare_hadamard_run(&h, 0, y, y, 2ull * h.n, true); /* in place, and back */
        for (uint32_t i = 0; i < 2 * h.n; i++)
            if (fabsf(y[i] - x[i]) > 5e-6f) fail_msg("n %u: channel %u comes back as %g, not %g", h.n, i, (double)y[i], (double)x[i]);
        pare_hadamard_free(&h);
    }
}

static void draw(float *v, uint64_t n, int kind, uint64_t seed)
{
    static const float odd[] = { 0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-45f, -1e-45f, 3e38f, -3e38f, 1.0f, -1.0f };

    for (uint64_t i = 0; i < n; i++) {
        uint64_t u = pare_rng_u64(seed, PARE_RNG_TEST, i);

        v[i] = pare_rng_normal(seed, PARE_RNG_NOISE, i);
        if (kind == 1) v[i] = pare_bits_f32((uint32_t)u & 0xbfffffffu);
        if (kind == 2 && u % 97 == 0) v[i] = odd[(u >> 8) % (sizeof odd / sizeof *odd)];
        if (kind == 3) v[i] = odd[u % 2];
    }
}

/* Every tier, in place and not, at odd addresses; nothing is written behind the end. */
static void tiers(void **state)
{
    static const uint32_t cols[] = { 1, 4, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 96, 48, 576, 288, 896, 3072, 1536, 8960, 11008, 5120,
                                     960, 108, 13824, 208, 312, 344 };

    (void)state;
    for (int tier = 1; tier <= PARE_TIER_VNNI; tier++)
        for (size_t o = 0; o < sizeof cols / sizeof *cols; o++)
            for (int kind = 0; kind < 4; kind++)
                for (int back = 0; back < 2; back++)
                    for (int whole = 0; whole < 2; whole++) {
                        struct pare_hadamard h;
                        uint64_t n = whole && pare_hadamard_fits(cols[o]) ? cols[o] : pare_hadamard_block(cols[o]);

                        assert_int_equal(pare_hadamard_init(&h, n, NULL), 0);
                        draw(x + 1, cols[o], kind, o * 8 + (uint64_t)kind);
                        pare_hadamard_run(&h, 0, y + 1, x + 1, cols[o], back != 0);
                        memset(z, 0x5a, sizeof z);
                        if (back) {
                            memcpy(z + 3, x + 1, cols[o] * sizeof *z);
                            pare_hadamard_run(&h, tier, z + 3, z + 3, cols[o], true);
                        } else {
                            pare_hadamard_run(&h, tier, z + 3, x + 1, cols[o], false);
                        }
                        for (uint32_t i = 0; i < cols[o]; i++)
                            if (pare_f32_bits(z[3 + i]) != pare_f32_bits(y[1 + i]) && !(isnan(z[3 + i]) && isnan(y[1 + i])))
                                fail_msg("tier %d, %u channels in runs of %u, kind %d: channel %u is %a, plain C has %a", tier, cols[o], h.n, kind, i,
                                         (double)z[3 + i], (double)y[1 + i]);
                        for (uint32_t i = 0; i < 16; i++) assert_int_equal(pare_f32_bits(z[3 + cols[o] + i]), 0x5a5a5a5a);
                        pare_hadamard_free(&h);
                    }
}

static void sizes(void **state)
{
    /* 1.4 of the facts: widths of real models that fit, and that do not */
    static const uint64_t fit[] = { 11008, 13824, 14336, 5120, 8960, 896, 3072, 576, 288, 27648, 4096 }, not[] = { 0, 3, 4864, 18944, 29568, 44, 1ull << 33 };
    struct pare_hadamard h;
    struct pare_diag     d = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof fit / sizeof *fit; i++) assert_true(pare_hadamard_fits(fit[i]));
    for (size_t i = 0; i < sizeof not / sizeof *not; i++) assert_false(pare_hadamard_fits(not[i]));
    assert_int_equal(pare_hadamard_init(&h, 4864, &d), PARE_E_UNSUPPORTED);
    assert_non_null(strstr(d.text, "4864"));
    assert_null(h.outer);
    assert_int_equal(pare_hadamard_block(4864), 256);
    assert_int_equal(pare_hadamard_block(7), 1);
    assert_int_equal(pare_hadamard_block(4096), 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tables), cmocka_unit_test(against_f64), cmocka_unit_test(tiers), cmocka_unit_test(sizes) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
