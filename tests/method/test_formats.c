/* SPDX-License-Identifier: Apache-2.0
 * tests/method/test_formats.c: acceptance of methods that are a number format: bitmod, otaro (its SEFP), cfws, aim. */
#include "cast_rig.h"

#include <math.h>

#include "base/rng.h"
#include "compress/bitmod.h"
#include "compress/cfws.h"
#include "tensor/hamming.h"

/* ---- bitmod -------------------------------------------------------------------------------------------------------------------- */

static void bitmod_loses_less(void **state)
{
    struct cast int3 = { .c = codec("int3"), .group = 128 }, mod3 = { .c = codec("bitmod3"), .group = 128 };
    struct cast int4 = { .c = codec("int4"), .group = 128 }, mod4 = { .c = codec("bitmod4"), .group = 128 };
    struct pare_tally_result a = measure(&int3), b = measure(&mod3), c = measure(&int4), d = measure(&mod4);

    (void)state;
    assert_true(b.ppl < a.ppl && b.kld < a.kld);
    assert_true(d.kld < c.kld);
    assert_true(mod3.bytes <= int3.bytes + mod3.weights / 128 + 8192 * 4); /* one byte more a group */
}

static void bitmod_product(void **state)
{
    enum { ROWS = 24, COLS = 576 };
    float *w = pare_malloc(ROWS * COLS * sizeof *w), *back = pare_malloc(ROWS * COLS * sizeof *back), x[COLS], y[ROWS];
    uint8_t *buf = pare_malloc(ROWS * COLS);

    (void)state;
    for (int bits = 3; bits <= 4; bits++)
        for (uint64_t group = 40; group <= 700; group += 88) {
            const struct pare_codec *c = codec(bits == 3 ? "bitmod3" : "bitmod4");
            struct pare_codec_shape s = { ROWS, COLS, group };

            for (uint64_t i = 0; i < ROWS * COLS; i++) w[i] = 0.03f * pare_rng_normal(group, PARE_RNG_TEST, i);
            for (uint64_t i = 0; i < COLS; i++) x[i] = pare_rng_normal(group + 1, PARE_RNG_TEST, i);
            pare_codec_encode(c, s, buf, w);
            pare_codec_decode(c, s, back, buf);
            pare_bitmod_gemv(y, c, s, buf, x);
            for (int i = 0; i < ROWS; i++) {
                double want = 0.0, size = 0.0;

                for (int k = 0; k < COLS; k++) {
                    want += (double)back[i * COLS + k] * (double)x[k];
                    size += fabs((double)back[i * COLS + k] * (double)x[k]);
                }
                assert_true(fabs((double)y[i] - want) <= 1e-5 * fmax(fabs(want), size / sqrt(COLS)));
            }
        }
    pare_free(w);
    pare_free(back);
    pare_free(buf);
}

/* ---- otaro: the SEFP format --------------------------------------------------------------------------------------------------- */

/* The middle of the interval instead of its lower end, at equal bytes. */
static int cut_weight(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    const struct pare_lab_weight *m = &lab->weight[i];
    struct pare_codec_shape s = { m->rows, m->cols, 0 };
    const struct pare_codec *c = user;
    uint64_t bytes;
    uint8_t *buf, *at;

    assert_true(pare_codec_bytes(c, s, &bytes));
    at = buf = pare_malloc(bytes);
    pare_codec_encode(c, s, buf, w);
    pare_codec_decode(c, s, w, buf);
    for (uint64_t k = 0; k < m->rows; k++)
        for (uint64_t col = 0; col < m->cols; col += 64) {
            uint64_t n = m->cols - col < 64 ? m->cols - col : 64;
            float half = at[0] == 0 ? 0.0f : ldexpf(1.0f, (int)at[0] - 127 - c->bits);

            for (uint64_t j = 0; j < n; j++) w[k * m->cols + col + j] -= w[k * m->cols + col + j] < 0.0f ? -half : half;
            at += 1 + pare_codec_code_bytes(c, n);
        }
    pare_free(buf);
    (void)diag;
    return PARE_OK;
}
/* Widths of one file (test_codec.c: cut bytes are the bytes of encoding directly). Here what each width costs. */
static void widths_of_one_file(void **state)
{
    struct pare_lab_change c = { .weight = cut_weight, .user = (void *)(uintptr_t)codec("sefp4") };
    struct pare_tally_result lower = rig_measure(r, &c);
    char name[8];
    double before = -1.0;

    (void)state;
    for (int m = 8; m >= 3; m -= m == 8 ? 2 : 1) {
        struct cast k = { .c = codec((snprintf(name, sizeof name, "sefp%d", m), name)) };
        struct pare_tally_result t = measure(&k);

        assert_true(t.kld > before);
        if (m == 8) assert_true(fabs(t.ppl / t.ppl_base - 1.0) < 0.01);
        if (m == 4) {
            print_message("  the same read at the lower end: divergence %.6f, perplexity %.3f\n", lower.kld, lower.ppl);
            assert_true(t.kld < lower.kld);
        }
        before = t.kld;
    }
}

/* ---- cfws ---------------------------------------------------------------------------------------------------------------------- */

/* y of a linear with int8 activations; n rows. */
static void apply(float *y, const struct pare_linear *l, const float *x, uint32_t n)
{
    struct pare_linear_out out = { l, y, l->rows };
    void *scratch = pare_aligned(pare_linear_scratch(n, l->cols, 16, false));

    pare_linear_apply(&out, 1, x, l->cols, n, scratch, r->job);
    pare_aligned_free(scratch);
}

/* A layer of many small and four large weights, as merging a branch of another size leaves them. */
static void coarse_and_fine(void **state)
{
    enum { ROWS = 64, COLS = 256, N = 8 };
    float *w = pare_malloc(ROWS * COLS * sizeof *w), *x = pare_malloc(N * COLS * sizeof *x), *plain = pare_malloc(N * ROWS * sizeof *plain);
    float *both = pare_malloc(N * ROWS * sizeof *both);
    int8_t *qc = pare_malloc(ROWS * COLS), *qf = pare_malloc(ROWS * COLS), *qx = pare_malloc(N * COLS);
    struct pare_linear one = { 0 }, two = { 0 };
    struct pare_cfws s;
    double e_plain = 0.0, e_both = 0.0, w_plain = 0.0, w_both = 0.0, far = 0.0;

    (void)state;
    for (uint64_t i = 0; i < ROWS * COLS; i++) w[i] = 0.02f * pare_rng_normal(4, PARE_RNG_TEST, i);
    for (uint64_t i = 0; i < ROWS; i += 16) w[i * COLS + 3 * i % COLS] += 1.5f;
    for (uint64_t i = 0; i < N * COLS; i++) x[i] = pare_rng_normal(5, PARE_RNG_TEST, i);
    RIG_OK(pare_cfws_bind(&one, w, ROWS, COLS, false, r->job, &r->diag));
    RIG_OK(pare_cfws_bind(&two, w, ROWS, COLS, true, r->job, &r->diag));
    assert_int_equal(one.n_parts, 1);
    assert_int_equal(two.n_parts, 2);
    apply(plain, &one, x, N);
    apply(both, &two, x, N);

    /* Both halves in whole numbers: codes of activations by the rule of docs/kernels.md, sums of products exact. */
    s = pare_cfws_split(qc, qf, w, ROWS * COLS);
    for (uint64_t i = 0; i < ROWS * COLS; i++) {
        double c = (double)w[i] - (double)s.coarse * qc[i], f = c - (double)s.fine * qf[i];

        w_plain += c * c;
        w_both += f * f;
    }
    for (uint32_t t = 0; t < N; t++) {
        double d[COLS / 32];

        for (int b = 0; b < COLS / 32; b++) {
            float top = 0.0f;

            for (int i = 0; i < 32; i++) top = fmaxf(top, fabsf(x[t * COLS + (uint32_t)(b * 32 + i)]));
            d[b] = (double)top / 127.0;
            for (int i = 0; i < 32; i++) qx[t * COLS + (uint32_t)(b * 32 + i)] = (int8_t)nearbyintf(x[t * COLS + (uint32_t)(b * 32 + i)] * (127.0f / top));
        }
        for (uint32_t row = 0; row < ROWS; row++) {
            double want = 0.0, exact = 0.0;

            for (int b = 0; b < COLS / 32; b++) {
                int64_t c = 0, f = 0;

                for (int i = 32 * b; i < 32 * b + 32; i++) {
                    c += qc[row * COLS + (uint32_t)i] * qx[t * COLS + (uint32_t)i];
                    f += qf[row * COLS + (uint32_t)i] * qx[t * COLS + (uint32_t)i];
                    exact += (double)w[row * COLS + (uint32_t)i] * (double)x[t * COLS + (uint32_t)i];
                }
                want += d[b] * ((double)s.coarse * (double)c + (double)s.fine * (double)f);
            }
            far = fmax(far, fabs((double)both[t * ROWS + row] - want));
            e_plain += ((double)plain[t * ROWS + row] - exact) * ((double)plain[t * ROWS + row] - exact);
            e_both += ((double)both[t * ROWS + row] - exact) * ((double)both[t * ROWS + row] - exact);
        }
    }
    print_message("root mean square error of the output: 8 bits a tensor %.5f, coarse and fine %.5f (%.1f times less); off the sums in whole numbers by %.1e\n",
                  sqrt(e_plain / (N * ROWS)), sqrt(e_both / (N * ROWS)), sqrt(e_plain / e_both), far);
    assert_true(far < 1e-5);
    print_message("error of the weights %.1f times less\n", sqrt(w_plain / w_both));
    assert_true(e_both * 100.0 <= e_plain); /* ten times less, squared; what is left is the rounding of the activations */
    assert_true(w_both * 1e4 <= w_plain);
    assert_int_equal(pare_cfws_bind(&one, w, ROWS, 31, true, r->job, NULL), PARE_E_UNSUPPORTED);
    w[77] = NAN;
    assert_int_equal(pare_cfws_bind(&one, w, ROWS, COLS, true, r->job, NULL), PARE_E_CORRUPT);
    pare_linear_free(&one);
    pare_linear_free(&two);
    pare_free(w);
    pare_free(x);
    pare_free(plain);
    pare_free(both);
    pare_free(qc);
    pare_free(qf);
    pare_free(qx);
}

/* The model with every matrix split, weights only. */
static int split_weight(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    uint64_t n = lab->weight[i].rows * lab->weight[i].cols;
    bool fine = *(const bool *)user;
    int8_t *qc = pare_malloc(n), *qf = pare_malloc(n);
    struct pare_cfws s = pare_cfws_split(qc, fine ? qf : NULL, w, n);

    (void)diag;
    for (uint64_t k = 0; k < n; k++) w[k] = s.coarse * qc[k] + (fine ? s.fine * qf[k] : 0.0f);
    pare_free(qc);
    pare_free(qf);
    return PARE_OK;
}
static void split_model(void **state)
{
    bool fine = false, both = true;
    struct pare_lab_change a = { .weight = split_weight, .user = &fine }, b = { .weight = split_weight, .user = &both };
    struct pare_tally_result plain = rig_measure(r, &a), split = rig_measure(r, &b);

    (void)state;
    print_message("8 bits a tensor: divergence %.2e; coarse and fine: %.2e\n", plain.kld, split.kld);
    assert_true(split.kld * 100.0 < plain.kld);
}

/* ---- aim ----------------------------------------------------------------------------------------------------------------------- */

static double rate(const int8_t *q, uint64_t n) { return (double)pare_hamming_ones(q, n) / (8.0 * (double)n); }

/* The reference's own simulation: sigma 20, delta 16: 0.496 -> 0.416. */
static void hamming_of_a_bell(void **state)
{
    enum { ROWS = 64, COLS = 512 };
    int8_t *q = pare_malloc(ROWS * COLS), *p = pare_malloc(ROWS * COLS), x[COLS];
    int64_t y[ROWS];
    uint64_t held, slow = 0;

    (void)state;
    for (uint64_t i = 0; i < ROWS * COLS; i++) q[i] = (int8_t)fmaxf(-127.0f, fminf(127.0f, nearbyintf(20.0f * pare_rng_normal(6, PARE_RNG_TEST, i))));
    for (uint64_t i = 0; i < COLS; i++) x[i] = (int8_t)(pare_rng_u64(7, PARE_RNG_TEST, i) % 255) ;
    for (uint64_t i = 0; i < ROWS * COLS; i++)
        for (int b = 0; b < 8; b++) slow += (unsigned)(q[i] & 1 << b) >> b;
    assert_int_equal(slow, pare_hamming_ones(q, ROWS * COLS));
    held = pare_hamming_shift(p, q, ROWS * COLS, 16);
    print_message("bell, sigma 20: Hamming rate %.4f, shifted by 16: %.4f, %.0f held\n", rate(q, ROWS * COLS), rate(p, ROWS * COLS), (double)held);
    assert_true(fabs(rate(q, ROWS * COLS) - 0.496) < 0.005 && fabs(rate(p, ROWS * COLS) - 0.416) < 0.005);
    assert_true(rate(p, ROWS * COLS) < 0.85 * rate(q, ROWS * COLS));
    /* Rows without a held weight keep their product, bit for bit; the others are off by exactly what was held. */
    q[5 * COLS + 9] = 120;
    held = pare_hamming_shift(p, q, ROWS * COLS, 16);
    assert_true(held > 0);
    pare_hamming_product(y, p, ROWS, COLS, x, 16);
    for (uint64_t row = 0; row < ROWS; row++) {
        int64_t want = 0, lost = 0;

        for (uint64_t c = 0; c < COLS; c++) {
            int in = q[row * COLS + c];

            want += in * x[c];
            if (in > 111) lost += (in - 111) * x[c];
        }
        assert_true(y[row] == want - lost);
    }
    assert_int_equal(pare_hamming_shift(p, q, ROWS * COLS, 0), 0); /* neutral */
    assert_memory_equal(p, q, ROWS * COLS);
    pare_free(q);
    pare_free(p);
}

/* The model at 8 bits a tensor: the rate of all layers together and of each. */
static void hamming_of_the_model(void **state)
{
    double   before = 0.0, after = 0.0, worst = 0.0;
    uint64_t held = 0, all = 0;

    (void)state;
    for (uint32_t i = 0; i < r->lab.n_weights; i++) {
        const struct pare_lab_weight *m = &r->lab.weight[i];
        uint64_t n = m->rows * m->cols;
        float   *w = pare_malloc(n * sizeof *w);
        int8_t  *q = pare_malloc(n), *p = pare_malloc(n);

        RIG_OK(pare_lab_weight_rows(&r->lab, i, w, &r->diag));
        pare_cfws_split(q, NULL, w, n);
        held += pare_hamming_shift(p, q, n, 16);
        before += (double)pare_hamming_ones(q, n);
        after += (double)pare_hamming_ones(p, n);
        worst = fmax(worst, rate(p, n) / rate(q, n));
        all += n;
        pare_free(w);
        pare_free(q);
        pare_free(p);
    }
    print_message("8 bits a tensor: Hamming rate %.4f, shifted by 16: %.4f (%.1f %% less, %.1f %% in the worst tensor), %.0f of %.0f weights held\n",
                  before / (8.0 * (double)all), after / (8.0 * (double)all), 100.0 * (1.0 - after / before), 100.0 * (1.0 - worst), (double)held, (double)all);
    assert_true(after <= 0.85 * before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bitmod_loses_less), cmocka_unit_test(bitmod_product),      cmocka_unit_test(widths_of_one_file),
        cmocka_unit_test(coarse_and_fine),   cmocka_unit_test(split_model),         cmocka_unit_test(hamming_of_a_bell),
        cmocka_unit_test(hamming_of_the_model),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
