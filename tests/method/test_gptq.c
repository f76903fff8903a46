/* SPDX-License-Identifier: Apache-2.0
 * Error feedback: against a dense textbook GPTQ, its neutral setting, its own account of the error, and on a model against plain
 * rounding with importance in the same bits. */
#include <math.h>

#include "lab_rig.h"

#include "base/mem.h"
#include "base/rng.h"
#include "compress/feedback.h"

static struct rig rig, *r = &rig;

enum { N = 96, ROWS = 37 };

/* Second moments of correlated inputs, plain sums. */
static double *moments(uint64_t n, double mix)
{
    double *h = calloc(n * n, sizeof *h), *x = malloc(n * sizeof *x);

    for (uint32_t t = 0; t < 6 * n; t++) {
        double common = (double)pare_rng_normal(3, PARE_RNG_TEST, t);
        for (uint64_t c = 0; c < n; c++)
            x[c] = (1 + (double)(c % 7)) * ((1 - mix) * (double)pare_rng_normal(4, PARE_RNG_TEST, t * n + c) + mix * common);
        for (uint64_t a = 0; a < n; a++)
            for (uint64_t b = 0; b < n; b++) h[a * n + b] += x[a] * x[b];
    }
    free(x);
    return h;
}

static float *weights(void)
{
    float *w = malloc(ROWS * N * sizeof *w);

    for (uint32_t i = 0; i < ROWS * N; i++) w[i] = pare_rng_normal(5, PARE_RNG_TEST, i);
    return w;
}

static uint8_t *encode(const struct pare_feedback *f, const struct pare_dtype *type, const float *w, uint64_t *row, double *err)
{
    uint8_t *dst;

    pare_dtype_row_bytes(type, N, row);
    dst = calloc(ROWS, *row);
    RIG_OK(pare_feedback_encode(f, type, w, ROWS, dst, err, r->job, &r->diag));
    return dst;
}

/* Uncorrelated inputs: no column can answer for another, so the bytes are those of plain rounding. */
static void neutral(void **state)
{
    static const enum pare_type types[] = { PARE_PQ3, PARE_PQ5, PARE_Q4_0, PARE_Q8_0, PARE_IQ4_NL };
    double *h = calloc(N * N, sizeof *h);
    float  *w = weights();

    (void)state;
    for (uint64_t i = 0; i < N; i++) h[i * N + i] = 2.5;
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        const struct pare_dtype *type = pare_dtype_of(types[k]);
        struct pare_feedback     f;
        uint64_t row;
        double  *copy = malloc(N * N * sizeof *h);
        uint8_t *got, *plain;
        float    one[N];

        memcpy(copy, h, N * N * sizeof *h);
        RIG_OK(pare_feedback_create(&f, copy, N, &(struct pare_feedback_settings){ .by_size = true }, r->job, &r->diag));
        got = encode(&f, type, w, &row, NULL);
        plain = malloc(row);
        for (int c = 0; c < N; c++) one[c] = 1;
        for (uint64_t i = 0; i < ROWS; i++) {
            float a[N], b[N];
            type->encode(plain, w + i * N, N, one);
            type->decode(a, plain, N);
            type->decode(b, got + i * row, N);
            for (int c = 0; c < N; c++) /* at an exact tie either neighbour will do */
                if (a[c] != b[c]) assert_true(fabsf(fabsf(a[c] - w[i * N + (uint64_t)c]) - fabsf(b[c] - w[i * N + (uint64_t)c])) <= 1e-5f);
        }
        free(plain);
        free(got);
        free(copy);
        pare_feedback_free(&f);
    }
    free(h);
    free(w);
}

/* GPTQ as published: inverse of the damped H, its upper Cholesky factor, one column after the other, in f64. The grid of each group is
 * read off the encoded row (types whose values are affine in the code). */
static void textbook(const double *h, const float *w, const uint8_t *rows, uint64_t row, const struct pare_dtype *type, double *out)
{
    double *a = malloc(N * N * sizeof *a), *inv = calloc(N * N, sizeof *inv), mean = 0;

    for (int c = 0; c < N; c++) mean += h[c * N + c] / N;
    memcpy(a, h, N * N * sizeof *a);
    for (int c = 0; c < N; c++) a[c * N + c] += 0.01 * mean;
    for (int c = 0; c < N; c++) inv[c * N + c] = 1;
    for (int p = 0; p < N; p++) { /* Gauss-Jordan */
        double d = a[p * N + p];
        for (int c = 0; c < N; c++) a[p * N + c] /= d, inv[p * N + c] /= d;
        for (int i = 0; i < N; i++) {
            double m = a[i * N + p];
            if (i == p) continue;
            for (int c = 0; c < N; c++) a[i * N + c] -= m * a[p * N + c], inv[i * N + c] -= m * inv[p * N + c];
        }
    }
    for (int j = 0; j < N; j++) { /* upper factor U with inv = U^T U, in place */
        for (int k = 0; k < j; k++)
            for (int c = j; c < N; c++) inv[j * N + c] -= inv[k * N + j] * inv[k * N + c];
        double d = sqrt(inv[j * N + j]);
        for (int c = j; c < N; c++) inv[j * N + c] /= d;
    }
    for (int i = 0; i < ROWS; i++) {
        struct pare_unpacked u;
        uint8_t idx[N + 32], m[N];
        int8_t  s[N];
        float   d[N], dmin[N];
        double  v[N];

        u = (struct pare_unpacked){ idx, s, m, d, dmin };
        type->unpack(&u, rows + (uint64_t)i * row, N);
        for (int c = 0; c < N; c++) v[c] = (double)w[i * N + c];
        for (int c = 0; c < N; c++) {
            const struct pare_pack_traits *p = &type->pack;
            double scale = (double)d[p->super ? c / p->super : 0] * (p->has_sub ? s[c / p->group] : 1), t = scale != 0 ? v[c] / scale : 0, e;
            int    lo = p->offset, hi = (1 << p->bits) - 1 + p->offset;

            t = t < lo ? lo : t > hi ? hi : nearbyint(t);
            out[i * N + c] = t * scale;
            e = (v[c] - out[i * N + c]) / inv[c * N + c];
            for (int k = c; k < N; k++) v[k] -= e * inv[c * N + k];
        }
    }
    free(a);
    free(inv);
}

static double output_error(const double *h, const float *w, const double *q, double damp)
{
    double sum = 0, mean = 0;

    for (int c = 0; c < N; c++) mean += h[c * N + c] / N;
    for (int i = 0; i < ROWS; i++)
        for (int a = 0; a < N; a++)
            for (int b = 0; b < N; b++)
                sum += ((double)w[i * N + a] - q[i * N + a]) * (h[a * N + b] / mean + (a == b ? damp : 0)) * ((double)w[i * N + b] - q[i * N + b]);
    return sum;
}

static void as_published(void **state)
{
    const struct pare_dtype *type = pare_dtype_of(PARE_PQ5); /* scales are found before any feedback: the same grid for both */
    double *h = moments(N, 0.5), *copy = malloc(N * N * sizeof *h), *q = malloc(ROWS * N * sizeof *q), *mine = malloc(ROWS * N * sizeof *mine);
    double  err[ROWS], sum = 0;
    float  *w = weights(), back[N];
    struct pare_feedback f;
    uint64_t row;
    uint8_t *got;
    int      differ = 0;

    (void)state;
    memcpy(copy, h, N * N * sizeof *h);
    RIG_OK(pare_feedback_create(&f, copy, N, &(struct pare_feedback_settings){ 0 }, r->job, &r->diag));
    got = encode(&f, type, w, &row, err);
    textbook(h, w, got, row, type, q);
    for (uint64_t i = 0; i < ROWS; i++) {
        type->decode(back, got + i * row, N);
        for (uint64_t c = 0; c < N; c++) {
            mine[i * N + c] = (double)back[c];
            differ += fabs(mine[i * N + c] - q[i * N + c]) > 1e-4;
        }
        sum += err[i];
    }
    /* f32 against f64: a value near the middle between two codes may fall to the other side, and its row then goes another way. */
    assert_true(differ < ROWS * N / 50);
    assert_true(fabs(output_error(h, w, mine, 0.01) / output_error(h, w, q, 0.01) - 1) < 0.01);
    /* What the loop says it has left is what it has left. */
    assert_true(fabs(sum / output_error(h, w, mine, 0.01) - 1) < 1e-3);
    pare_feedback_free(&f);
    free(got);
    free(h);
    free(copy);
    free(q);
    free(mine);
    free(w);
}

/* The same bytes with other threads and in every tier. */
static void same_bytes(void **state)
{
    double *h = moments(N, 0.7), *copy = malloc(N * N * sizeof *h);
    float  *w = weights();
    static const enum pare_type types[] = { PARE_PQ2, PARE_Q4_1, PARE_Q5_0 };
    uint8_t *first[3] = { 0 };

    (void)state;
    for (int k = 0; k < 4; k++) {
        struct pare_job_settings js;
        struct pare_job         *job;
        struct pare_feedback     f;
        pare_job_settings_default(&js);
        js.n_threads = k == 0 ? 1 : 3;
        js.max_tier = k < 2 ? -1 : k == 2 ? PARE_TIER_BASE : PARE_TIER_AVX2;
        RIG_OK(pare_job_create(&job, &js, &r->diag));
        memcpy(copy, h, N * N * sizeof *h);
        RIG_OK(pare_feedback_create(&f, copy, N, &(struct pare_feedback_settings){ .by_size = true }, job, &r->diag));
        for (int t = 0; t < 3; t++) {
            uint64_t row;
            uint8_t *dst;
            pare_dtype_row_bytes(pare_dtype_of(types[t]), N, &row);
            dst = calloc(ROWS, row);
            RIG_OK(pare_feedback_encode(&f, pare_dtype_of(types[t]), w, ROWS, dst, NULL, job, &r->diag));
            if (k == 0) first[t] = dst;
            else assert_memory_equal(dst, first[t], ROWS * row);
            if (k != 0) free(dst);
        }
        pare_feedback_free(&f);
        pare_job_destroy(&job);
    }
    for (int t = 0; t < 3; t++) free(first[t]);
    free(h);
    free(copy);
    free(w);
}

/* Channels that never fired, two that always agree, and moments that mean nothing. */
static void hard_inputs(void **state)
{
    double *h = moments(N, 0), *copy = malloc(N * N * sizeof *h);
    float  *w = weights(), back[N];
    struct pare_feedback f;
    struct pare_diag     d = { 0 };
    uint64_t row;
    uint8_t *got;

    (void)state;
    for (int c = 0; c < N; c++) h[5 * N + c] = h[c * N + 5] = 0;
    for (int c = 0; c < N; c++) h[7 * N + c] = h[c * N + 7] = 0;
    for (int c = 0; c < N; c++) h[9 * N + c] = h[8 * N + c];
    for (int c = 0; c < N; c++) h[c * N + 9] = h[c * N + 8];
    memcpy(copy, h, N * N * sizeof *h);
    RIG_OK(pare_feedback_create(&f, copy, N, &(struct pare_feedback_settings){ .by_size = true }, r->job, &r->diag));
    got = encode(&f, pare_dtype_of(PARE_PQ4), w, &row, NULL);
    for (uint64_t i = 0; i < ROWS; i++) {
        pare_dtype_of(PARE_PQ4)->decode(back, got + i * row, N);
        for (int c = 0; c < N; c++) assert_true(fabsf(back[c]) < 10);
    }
    free(got);
    pare_feedback_free(&f);
    memset(copy, 0, N * N * sizeof *copy);
    assert_int_equal(pare_feedback_create(&f, copy, N, &(struct pare_feedback_settings){ 0 }, r->job, &d), PARE_E_CORRUPT);
    for (int c = 0; c < N; c++) copy[c * N + c] = 1;
    copy[1] = copy[N] = 50; /* not positive, whatever the damping */
    pare_diag_clear(&d);
    assert_int_equal(pare_feedback_create(&f, copy, N, &(struct pare_feedback_settings){ 0 }, r->job, &d), PARE_E_CORRUPT);
    assert_non_null(strstr(d.text, "singular"));
    copy[0] = NAN;
    pare_diag_clear(&d);
    assert_int_equal(pare_feedback_create(&f, copy, N, &(struct pare_feedback_settings){ 0 }, r->job, &d), PARE_E_CORRUPT);
    free(h);
    free(copy);
    free(w);
}

struct plan { const struct pare_dtype *type; bool feedback; };

static int change(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    const struct plan *p = user;
    const struct pare_lab_weight *m = &lab->weight[i];
    uint64_t n = m->cols, row;
    uint8_t *dst;
    float   *importance;

    if (i + 1 == lab->n_weights) return 1; /* the head stays */
    pare_dtype_row_bytes(p->type, n, &row);
    dst = malloc(row * m->rows);
    importance = malloc(n * sizeof *importance);
    for (uint64_t c = 0; c < n; c++) importance[c] = (float)(m->in->sumsq[c] / m->in->weight);
    if (p->feedback) {
        struct pare_feedback f;
        double *xx = malloc(n * n * sizeof *xx);
        memcpy(xx, m->in->xx, n * n * sizeof *xx);
        assert_int_equal(pare_feedback_create(&f, xx, n, &(struct pare_feedback_settings){ .by_size = true }, r->job, diag), 0);
        assert_int_equal(pare_feedback_encode(&f, p->type, w, m->rows, dst, NULL, r->job, diag), 0);
        pare_feedback_free(&f);
        free(xx);
    }
    for (uint64_t k = 0; k < m->rows; k++) {
        if (!p->feedback) p->type->encode(dst + k * row, w + k * n, n, importance);
        p->type->decode(w + k * n, dst + k * row, n);
    }
    free(importance);
    free(dst);
    return 0;
}

static void on_a_model(void **state)
{
    static const enum pare_type types[] = { PARE_PQ2, PARE_PQ3, PARE_Q4_K };

    (void)state;
    rig_open(r, 256, 24, 4, true);
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        struct plan p = { pare_dtype_of(types[k]), false };
        struct pare_tally_result plain, fed;

        if (types[k] == PARE_Q4_K && r->lab.weight[0].cols % 256 != 0) continue;
        plain = rig_measure(r, &(struct pare_lab_change){ change, NULL, &p });
        p.feedback = true;
        fed = rig_measure(r, &(struct pare_lab_change){ change, NULL, &p });
        print_message("%s, layers in %s: divergence %.4f +- %.4f with importance, %.4f +- %.4f with feedback\n", r->model, p.type->name, plain.kld,
                      plain.kld_se, fed.kld, fed.kld_se);
        assert_true(fed.kld < 0.7 * plain.kld);
    }
    rig_close(r);
}

static int open_job(void **state)
{
    struct pare_job_settings js;

    (void)state;
    pare_job_settings_default(&js);
    return pare_job_create(&r->job, &js, &r->diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neutral), cmocka_unit_test(as_published), cmocka_unit_test(same_bytes), cmocka_unit_test(hard_inputs),
        cmocka_unit_test(on_a_model),
    };
    return cmocka_run_group_tests_name("gptq", tests, open_job, NULL);
}
