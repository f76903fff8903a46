/* SPDX-License-Identifier: Apache-2.0
 * PB-LLM: the column loop against the textbook one, the file, the product, and the loss on held-out text beside its baselines. */
#include "lab_rig.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "compress/plane_weight.h"

static struct rig rig, *r = &rig;

/* A correlated second moment. */
static void moment(double *h, uint32_t n)
{
    enum { TOKENS = 200 };
    double *x = pare_alloc_array(TOKENS * n, sizeof *x);

    for (uint32_t t = 0; t < TOKENS; t++)
        for (uint32_t c = 0; c < n; c++)
            x[t * n + c] = (double)pare_rng_normal(5, PARE_RNG_TEST, t * n + c) * (1 + c % 5) + (c > 0 ? 0.7 * x[t * n + c - 1] : 0);
    for (uint32_t a = 0; a < n; a++)
        for (uint32_t b = 0; b < n; b++) {
            h[a * n + b] = 0;
            for (uint32_t t = 0; t < TOKENS; t++) h[a * n + b] += x[t * n + a] * x[t * n + b];
        }
    pare_free(x);
}

/* The upper Cholesky factor of the inverse, by Gauss-Jordan and the definition: what GPTQ multiplies with. */
static void inverse_factor(double *u, const double *h, uint32_t n, double damping)
{
    double *a = pare_alloc_array((uint64_t)n * 2 * n, sizeof *a), mean = 0;

    for (uint32_t i = 0; i < n; i++) mean += h[i * n + i] / n;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < 2 * n; j++) a[i * 2 * n + j] = j < n ? h[i * n + j] + (i == j ? damping * mean : 0) : j - n == i;
    for (uint32_t k = 0; k < n; k++) {
        double d = a[k * 2 * n + k];

        for (uint32_t j = 0; j < 2 * n; j++) a[k * 2 * n + j] /= d;
        for (uint32_t i = 0; i < n; i++) {
            double f = a[i * 2 * n + k];

            for (uint32_t j = 0; j < 2 * n && i != k; j++) a[i * 2 * n + j] -= f * a[k * 2 * n + j];
        }
    }
    memset(u, 0, (uint64_t)n * n * sizeof *u);
    for (uint32_t i = 0; i < n; i++) /* inverse = U^T U, row by row */
        for (uint32_t j = i; j < n; j++) {
            double s = a[i * 2 * n + n + j];

            for (uint32_t k = 0; k < i; k++) s -= u[k * n + i] * u[k * n + j];
            u[i * n + j] = i == j ? sqrt(s) : s / u[i * n + i];
        }
    pare_free(a);
}

static float half(double x) { return pare_f16_to_f32(pare_f32_to_f16((float)x)); }

/* One row as the published code does it: each column's error over the factor's diagonal is taken off all later columns. */
static void textbook(double *out, const float *w, const uint8_t *salient, const double *u, uint32_t n, uint32_t run)
{
    double v[64], top = 0, mu = 0, alpha = 0;
    float scale;

    for (uint32_t c = 0; c < n; c++) {
        v[c] = (double)w[c];
        if (salient[c]) top = fmax(top, fabs(v[c]));
    }
    scale = half(top / 127);
    for (uint32_t c = 0; c < n; c++) {
        if (c % run == 0) {
            uint32_t k = 0, end = c + run < n ? c + run : n;

            mu = alpha = 0;
            for (uint32_t j = c; j < end; j++)
                if (!salient[j]) mu += v[j], k++;
            mu = k > 0 ? (double)half(mu / k) : 0;
            for (uint32_t j = c; j < end; j++)
                if (!salient[j]) alpha += fabs(v[j] - mu);
            alpha = k > 0 ? (double)half(alpha / k) : 0;
        }
        if (salient[c]) out[c] = (double)scale * fmax(-127, fmin(127, nearbyint(v[c] / (double)scale)));
        else out[c] = v[c] >= mu ? mu + alpha : mu - alpha;
        for (uint32_t j = c + 1; j < n; j++) v[j] -= (v[c] - out[c]) / u[c * n + c] * u[c * n + j];
    }
}

enum { ROWS = 37, COLS = 60, SHORT = 16 };
static float w0[ROWS * COLS], w1[ROWS * COLS];

static void column_loop(void **state)
{
    double h[COLS * COLS], u[COLS * COLS], out[COLS];
    struct pare_feedback f;
    struct pare_partial p;
    struct pare_partial_settings s = { .share = 0.15, .run = SHORT };
    uint32_t wrong = 0;

    (void)state;
    for (uint32_t i = 0; i < ROWS * COLS; i++) w0[i] = 0.1f * pare_rng_normal(6, PARE_RNG_TEST, i);
    moment(h, COLS);
    assert_int_equal(pare_feedback_create(&f, h, COLS, &(struct pare_feedback_settings){ 0 }, r->job, NULL), PARE_OK);
    inverse_factor(u, h, COLS, f.damping);
    assert_int_equal(pare_partial_create(&p, w0, ROWS, COLS, &f, &s, r->job, NULL), PARE_OK);
    pare_partial_decode(&p, w1);
    for (uint32_t i = 0; i < ROWS; i++) {
        textbook(out, w0 + i * COLS, p.salient + i * COLS, u, COLS, SHORT);
        bool same = true;

        for (uint32_t c = 0; c < COLS; c++) same = same && fabs(out[c] - (double)w1[i * COLS + c]) <= 2e-4;
        wrong += !same;
    }
    print_message("%u of %d rows turned at a tie\n", wrong, ROWS);
    assert_true(wrong <= 2); /* where a sign or a half hangs on the last bit, the rest of the row follows */
    /* Scores: in each run no weight that was left out has a larger one than a salient one. */
    for (uint32_t c0 = 0; c0 < COLS; c0 += SHORT) {
        double least = INFINITY, most = 0, score;
        uint32_t n = 0, width = COLS - c0 < SHORT ? COLS - c0 : SHORT;

        for (uint32_t i = 0; i < ROWS; i++)
            for (uint32_t c = c0; c < c0 + width; c++) {
                score = pow((double)w0[i * COLS + c] / u[c * COLS + c], 2);
                if (p.salient[i * COLS + c]) least = fmin(least, score), n++;
                else most = fmax(most, score);
            }
        assert_true(least >= most * (1 - 1e-5));
        assert_int_equal(n, (uint32_t)(0.15 * ROWS * width + 0.5));
    }
    pare_partial_free(&p);
    pare_feedback_free(&f);
}

/* Share 1: each row in 8 bits, nothing else. */
static void neutral(void **state)
{
    struct pare_partial p;

    (void)state;
    assert_int_equal(pare_partial_create(&p, w0, ROWS, COLS, NULL, &(struct pare_partial_settings){ .share = 1 }, r->job, NULL), PARE_OK);
    pare_partial_decode(&p, w1);
    for (uint32_t i = 0; i < ROWS; i++) {
        double top = 0;
        float s;

        for (uint32_t c = 0; c < COLS; c++) top = fmax(top, fabs((double)w0[i * COLS + c]));
        s = half(top / 127);
        for (uint32_t c = 0; c < COLS; c++) {
            float q = nearbyintf(w0[i * COLS + c] / s);

            assert_true(w1[i * COLS + c] == (q > 127 ? 127 : q < -127 ? -127 : q) * s);
        }
    }
    pare_partial_free(&p);
}

/* The file gives back the same matrix, the product is that of the decoded matrix, and broken files are told. */
static void file_and_product(void **state)
{
    struct pare_partial p, q;
    struct pare_partial_size size;
    struct pare_plane_weight pw;
    struct pare_buf buf = { .max = 1 << 20 };
    float x[COLS], y[ROWS], first[ROWS];
    void *mem;

    (void)state;
    for (int share = 0; share <= 10; share++) {
        buf.len = 0;
        assert_int_equal(pare_partial_create(&p, w0, ROWS, COLS, NULL, &(struct pare_partial_settings){ .share = share / 10.0, .run = SHORT }, r->job, NULL), PARE_OK);
        assert_int_equal(pare_partial_pack(&p, &buf, &size, NULL), PARE_OK);
        assert_int_equal(buf.len, (size.mask + size.signs + size.values + size.scales + 7) / 8);
        assert_int_equal(pare_partial_unpack(&q, ROWS, COLS, SHORT, buf.data, buf.len, NULL), PARE_OK);
        assert_memory_equal(p.salient, q.salient, ROWS * COLS);
        assert_memory_equal(p.code, q.code, ROWS * COLS);
        assert_memory_equal(p.mu, q.mu, (uint64_t)ROWS * p.n_runs * sizeof(float));
        assert_memory_equal(p.alpha, q.alpha, (uint64_t)ROWS * p.n_runs * sizeof(float));
        assert_memory_equal(p.scale, q.scale, ROWS * sizeof(float));
        pare_partial_decode(&q, w1);
        assert_int_equal(pare_plane_weight_partial(&pw, &q, NULL), PARE_OK);
        mem = pare_aligned(pare_plane_weight_scratch(&pw));
        for (uint32_t c = 0; c < COLS; c++) x[c] = pare_rng_normal(9, PARE_RNG_TEST, c);
        for (int tier = PARE_TIER_BASE; tier <= PARE_TIER_AVX512; tier++) {
            pare_plane_weight_apply(&pw, tier == 0 ? first : y, x, 0, pw.p.n_panels, mem, false, pare_plane_ops_for(tier));
            if (tier != 0) assert_memory_equal(y, first, sizeof y);
        }
        for (uint32_t i = 0; i < ROWS; i++) {
            double want = 0, sum = 0;

            for (uint32_t c = 0; c < COLS; c++) want += (double)w1[i * COLS + c] * (double)x[c], sum += fabs((double)w1[i * COLS + c] * (double)x[c]);
            assert_true(fabs((double)first[i] - want) <= 1e-4 * fabs(want) + 1e-6 * sum);
        }
        pare_aligned_free(mem);
        pare_plane_weight_free(&pw);
        pare_partial_free(&q);
        for (size_t n = 0; n < buf.len; n += 7) assert_int_equal(pare_partial_unpack(&q, ROWS, COLS, SHORT, buf.data, n, NULL), PARE_E_CORRUPT);
        for (uint32_t k = 0; k < 300; k++) { /* any bytes: an error or some matrix, nothing else */
            size_t at = pare_rng_u64(10, PARE_RNG_TEST, k) % (k < 150 ? 12 : buf.len);
            uint8_t was = buf.data[at];

            buf.data[at] = (uint8_t)pare_rng_u64(11, PARE_RNG_TEST, k);
            if (pare_partial_unpack(&q, ROWS, COLS, SHORT, buf.data, buf.len, NULL) == PARE_OK) pare_partial_free(&q);
            buf.data[at] = was;
        }
        pare_partial_free(&p);
    }
    pare_buf_free(&buf);
    assert_int_equal(pare_partial_unpack(&q, UINT64_MAX, 2, 0, (const uint8_t *)"abc", 3, NULL), PARE_E_CORRUPT);
    w1[7] = NAN;
    assert_int_equal(pare_partial_create(&p, w1, ROWS, COLS, NULL, &(struct pare_partial_settings){ .share = 0.1 }, r->job, NULL), PARE_E_CORRUPT);
    assert_int_equal(pare_partial_create(&p, w0, ROWS, COLS, NULL, &(struct pare_partial_settings){ .share = 1.1 }, r->job, NULL), PARE_E_USAGE);
    memset(w1, 0, sizeof w1);
    assert_int_equal(pare_partial_create(&p, w1, ROWS, COLS, NULL, &(struct pare_partial_settings){ .share = 0.1 }, r->job, NULL), PARE_OK);
    pare_partial_decode(&p, w1);
    for (uint32_t i = 0; i < ROWS * COLS; i++) assert_true(w1[i] == 0);
    pare_partial_free(&p);
}

/* Means over all matrices of layers; the head stays as it is. */
struct plan { struct pare_partial_settings s; double n, codes, mask, all; };

static struct pare_feedback *factor; /* of each input, made when first needed */

static int weight(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    struct plan *p = user;
    const struct pare_lab_weight *m = &lab->weight[i];
    struct pare_feedback *f = &factor[m->in - lab->in.s];
    struct pare_partial b;
    struct pare_partial_size size;

    if (strncmp(m->name, "blk.", 4) != 0) return 1;
    if (f->ut == NULL) PARE_FORWARD(pare_feedback_create(f, m->in->xx, m->cols, &(struct pare_feedback_settings){ 0 }, r->job, diag));
    PARE_FORWARD(pare_partial_create(&b, w, m->rows, m->cols, f, &p->s, r->job, diag));
    PARE_FORWARD(pare_partial_pack(&b, NULL, &size, diag));
    pare_partial_decode(&b, w);
    p->n += (double)(m->rows * m->cols);
    p->codes += (double)(size.signs + size.values);
    p->mask += (double)size.mask;
    p->all += (double)(size.mask + size.signs + size.values + size.scales);
    pare_partial_free(&b);
    return 0;
}

static struct pare_tally_result run(struct plan *p, const char *what)
{
    struct pare_tally_result t = rig_measure(r, &(struct pare_lab_change){ weight, NULL, p });

    print_message("%-32s divergence %.4f +- %.4f, perplexity %.2f (original %.2f); bits: codes %.3f, mask %.3f, all %.3f\n", what, t.kld, t.kld_se,
                  t.ppl, t.ppl_base, p->codes / p->n, p->mask / p->n, p->all / p->n);
    return t;
}

static void on_text(void **state)
{
    static const double share[] = { 0.05, 0.1, 0.2, 0.3 };
    struct plan plain = { .s = { .no_feedback = true } }, rounded = { .s = { .share = 0.1, .no_feedback = true } };
    struct plan size = { .s = { .share = 0.1, .by_size = true } }, none = { .s = { .share = 0 } };
    struct pare_tally_result last = run(&none, "all binary, feedback"), binary = run(&plain, "all binary, plain"), t, mine = { 0 }, by_size;

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct plan p = { .s = { .share = share[i] } };
        char what[40];

        snprintf(what, sizeof what, "salient %.2f", share[i]);
        t = run(&p, what);
        assert_true(t.ppl < last.ppl && t.kld < last.kld);
        if (i == 1) {
            mine = t;
            assert_true(p.codes / p.n <= 1 + 0.1 * 8);
            assert_true(p.mask / p.n < 1);
        }
        last = t;
    }
    t = run(&rounded, "salient 0.10, round to nearest");
    assert_true(mine.ppl < t.ppl && mine.kld < t.kld);
    assert_true(isfinite(mine.ppl) && binary.ppl >= 5 * mine.ppl);
    by_size = run(&size, "salient 0.10 by |w|");
    assert_true(by_size.kld < t.kld);
}

static int open_rig(void **state)
{
    (void)state;
    rig_open(r, 256, 12, 2, true);
    factor = pare_zalloc(r->lab.in.n, sizeof *factor);
    return 0;
}
static int close_rig(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < r->lab.in.n; i++) pare_feedback_free(&factor[i]);
    pare_free(factor);
    rig_close(r);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(column_loop), cmocka_unit_test(neutral), cmocka_unit_test(file_and_product), /*ON*/cmocka_unit_test(on_text),
    };

    return cmocka_run_group_tests_name("pb-llm", tests, open_rig, close_rig);
}
