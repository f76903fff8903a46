/* SPDX-License-Identifier: Apache-2.0
 * Thin factors. On random matrices: what is promised of each builder, against sums written out. On a model: asvd, svd-llm and zeroquant-v2 as
 * their rows of the registry say, each against a baseline measured in the same run. */
#include "lab_rig.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "compress/lowrank.h"
#include "kernel/enc_tiers.h"
#include "model/model.h"

static struct rig rig, *r = &rig;

#define PLAIN ((struct pare_lowrank_settings){ .input = PARE_LOWRANK_PLAIN })
#define ASVD ((struct pare_lowrank_settings){ .input = PARE_LOWRANK_SCALED, .alpha = 0.5 })
#define WHITE ((struct pare_lowrank_settings){ .input = PARE_LOWRANK_WHITENED })

/* ---- random matrices ---- */

enum { M = 60, N = 44, T = 300 };
static float w[M * N], x[T * N];
static struct pare_second in;

/* Inputs with channels of very different size, correlated with each other. */
static void make_inputs(uint32_t rows, bool silent)
{
    struct pare_diag d = { 0 };

    for (uint64_t i = 0; i < M * N; i++) w[i] = pare_rng_normal(1, PARE_RNG_TEST, i);
    for (uint64_t t = 0; t < T; t++)
        for (uint64_t c = 0; c < N; c++) {
            float common = pare_rng_normal(2, PARE_RNG_TEST, t * 7 + c % 7), own = pare_rng_normal(3, PARE_RNG_TEST, t * N + c);
            x[t * N + c] = (common + 0.3f * own) * (c % 11 == 3 ? 20.0f : 1.0f) * (silent && c % 5 == 0 ? 0.0f : 1.0f);
        }
    assert_int_equal(pare_second_create(&in, N, true, &d), 0);
    pare_second_add(&in, x, N, rows, NULL, NULL);
    assert_int_equal(pare_second_finish(&in, NULL, &d), 0);
}

/* Squared errors of e = w - a b: of the weights, and of the outputs over the rows x. */
static void errors(const float *got, double *weights, double *outputs)
{
    *weights = *outputs = 0.0;
    for (uint64_t i = 0; i < M * N; i++) *weights += pow((double)w[i] - (double)got[i], 2);
    for (uint64_t t = 0; t < T; t++)
        for (uint64_t i = 0; i < M; i++) {
            double y = 0.0;
            for (uint64_t c = 0; c < N; c++) y += ((double)w[i * N + c] - (double)got[i * N + c]) * (double)x[t * N + c];
            *outputs += y * y;
        }
}

static void builders(void **state)
{
    const struct pare_lowrank_settings how[3] = { PLAIN, ASVD, WHITE };
    float  got[M * N];
    double weights[3], outputs[3];

    (void)state;
    make_inputs(T, false);
    for (uint64_t rank = 0; rank <= N; rank += 11) {
        for (int h = 0; h < 3; h++) {
            struct pare_spectrum sp;
            struct pare_lowrank  l;
            struct pare_diag     d = { 0 };

            assert_int_equal(pare_spectrum_create(&sp, w, M, N, &in, &how[h], NULL, &d), 0);
            assert_int_equal(sp.input, how[h].input);
            assert_int_equal(pare_lowrank_cut(&l, &sp, rank, &d), 0);
            assert_int_equal(pare_lowrank_expand(&l, got, false, NULL, &d), 0);
            errors(got, &weights[h], &outputs[h]);
            /* What the spectrum says is dropped is the error: of the weights, or of the outputs (in units of the mean E[x^2]). */
            if (h == 0) assert_true(fabs(pare_spectrum_tail(&sp, rank) - weights[h]) <= 1e-6 * sp.total);
            if (h == 2) {
                double mean = 0.0;
                for (uint64_t c = 0; c < N; c++) mean += in.xx[c * N + c] / N;
                assert_true(fabs(pare_spectrum_tail(&sp, rank) * mean - outputs[h]) <= 1e-4 * sp.total * mean);
            }
            pare_lowrank_free(&l);
            pare_spectrum_free(&sp);
        }
        /* Each is the best of its kind (Eckart and Young), and scaling helps outputs beside doing nothing. */
        if (rank == 0 || rank >= N) continue;
        assert_true(weights[0] < weights[1] && weights[0] < weights[2]);
        assert_true(outputs[2] < outputs[1] && outputs[1] < outputs[0]);
    }
    pare_second_free(&in);
}

/* The pair as the run time computes it, A (B x) in f32, beside the dense expansion. */
static void two_stages(void **state)
{
    struct pare_spectrum sp;
    struct pare_lowrank  l;
    float  got[M * N];
    double worst = 0.0, size = 0.0;

    (void)state;
    make_inputs(T, false);
    assert_int_equal(pare_spectrum_create(&sp, w, M, N, &in, &WHITE, NULL, NULL), 0);
    assert_int_equal(pare_lowrank_cut(&l, &sp, 20, NULL), 0);
    assert_int_equal(pare_lowrank_expand(&l, got, false, NULL, NULL), 0);
    for (uint64_t t = 0; t < T; t++)
        for (uint64_t i = 0; i < M; i++) {
            float dense = 0.0f, pair = 0.0f;
            for (uint64_t c = 0; c < N; c++) dense += got[i * N + c] * x[t * N + c];
            for (uint64_t k = 0; k < 20; k++) {
                float z = 0.0f;
                for (uint64_t c = 0; c < N; c++) z += l.b[k * N + c] * x[t * N + c];
                pair += l.a[i * 20 + k] * z;
            }
            worst = fmax(worst, fabs((double)pair - (double)dense));
            size = fmax(size, fabs((double)dense));
        }
    assert_true(worst <= 1e-5 * size);
    pare_lowrank_free(&l);
    pare_spectrum_free(&sp);
    pare_second_free(&in);
}

/* Fewer rows than channels, silent channels, no rows at all, numbers that are not finite. */
static void bad_input(void **state)
{
    const struct pare_lowrank_settings how[2] = { ASVD, WHITE };
    struct pare_spectrum sp;
    struct pare_lowrank  l;
    struct pare_diag     d = { 0 };
    float got[M * N];

    (void)state;
    for (uint32_t rows = 0; rows <= 5; rows += 5)
        for (int h = 0; h < 2; h++) {
            make_inputs(rows, true);
            assert_int_equal(pare_spectrum_create(&sp, w, M, N, &in, &how[h], NULL, &d), 0);
            assert_int_equal(sp.input, rows == 0 ? PARE_LOWRANK_PLAIN : how[h].input);
            for (uint64_t i = 0; i < N * N; i++) assert_true(isfinite(sp.v[i]));
            assert_int_equal(pare_lowrank_cut(&l, &sp, N, &d), 0);
            assert_int_equal(pare_lowrank_expand(&l, got, false, NULL, &d), 0);
            for (uint64_t i = 0; i < M * N; i++) assert_true(fabsf(got[i] - w[i]) < 1e-4f); /* also of silent channels */
            pare_lowrank_free(&l);
            pare_spectrum_free(&sp);
            pare_second_free(&in);
        }
    make_inputs(T, false);
    in.xx[5 * N + 5] = -1e9; /* no second moment is like that: E[x^2] is left */
    assert_int_equal(pare_spectrum_create(&sp, w, M, N, &in, &WHITE, NULL, &d), 0);
    assert_int_not_equal(sp.input, PARE_LOWRANK_WHITENED);
    assert_int_equal(pare_lowrank_cut(&l, &sp, N + 1, &d), PARE_E_USAGE);
    pare_spectrum_free(&sp);
    w[77] = NAN;
    pare_diag_clear(&d);
    assert_int_equal(pare_spectrum_create(&sp, w, M, N, &in, &ASVD, NULL, &d), PARE_E_CORRUPT);
    assert_null(sp.u);
    in.cols = N - 1;
    assert_int_equal(pare_spectrum_create(&sp, w, M, N, &in, &ASVD, NULL, NULL), PARE_E_USAGE);
    in.cols = N;
    pare_second_free(&in);
}

static void sizes(void **state)
{
    uint64_t bytes;

    (void)state;
    for (uint64_t m = 1; m < 40; m++)
        for (uint64_t n = 1; n < 40; n++) {
            uint64_t be = pare_lowrank_break_even(m, n);
            assert_true(be * (m + n) < m * n && (be + 1) * (m + n) >= m * n);
            for (double keep = 0.1; keep < 1.0; keep += 0.2) assert_true((double)(pare_lowrank_rank_for(m, n, keep) * (m + n)) <= keep * (double)(m * n));
        }
    assert_int_equal(pare_lowrank_rank_for(100, 100, 9.0), 100);
    assert_true(pare_lowrank_bytes(768, 256, 8, PARE_F16, &bytes) && bytes == 8 * (768 + 256) * 2);
    assert_true(pare_lowrank_bytes(768, 256, 8, PARE_Q8_0, &bytes) && bytes == 8 * (768 + 256) / 32 * 34);
    assert_true(pare_lowrank_bytes(768, 256, 0, PARE_F16, &bytes) && bytes == 0);
    assert_false(pare_lowrank_bytes(768, 250, 8, PARE_Q8_0, &bytes));
}

/* Factors of an error, kept in few bits: smaller error, rank 0 changes nothing, widths that do not divide go to f16. */
static void error_factors(void **state)
{
    float wq[M * N], got[M * N];
    struct pare_lowrank l;
    struct pare_diag    d = { 0 };
    double before, after[3], out;

    (void)state;
    make_inputs(T, false);
    for (uint64_t i = 0; i < M * N; i++) wq[i] = 0.5f * rintf(w[i] / 0.5f);
    errors(wq, &before, &out);
    for (int k = 0; k < 3; k++) {
        enum pare_type type = k == 0 ? PARE_F32 : k == 1 ? PARE_F16 : PARE_Q8_0;
        memcpy(got, wq, sizeof got);
        assert_int_equal(pare_lowrank_error(&l, w, wq, M, N, 8, NULL, &PLAIN, type, NULL, &d), 0);
        assert_int_equal(l.type, k == 2 ? PARE_F16 : type); /* 44 and 60 are no multiples of 32 */
        assert_int_equal(pare_lowrank_expand(&l, got, true, NULL, &d), 0);
        errors(got, &after[k], &out);
        assert_true(after[k] < before);
        pare_lowrank_free(&l);
    }
    assert_true(fabs(after[1] - after[0]) < 1e-3 * after[0]);
    memcpy(got, wq, sizeof got);
    assert_int_equal(pare_lowrank_error(&l, w, wq, M, N, 0, NULL, &PLAIN, PARE_F16, NULL, &d), 0);
    assert_int_equal(pare_lowrank_expand(&l, got, true, NULL, &d), 0);
    assert_memory_equal(got, wq, sizeof got);
    pare_lowrank_free(&l);
    pare_second_free(&in);
}

/* Ranks for few matrices against every combination. */
static void plan_is_best(void **state)
{
    enum { U = 3 };
    float w3[U][24 * 16];
    struct pare_spectrum sp[U];
    struct pare_rank_curve c[U];
    uint64_t rank[U], be = pare_lowrank_break_even(24, 16), top = 24 * 16;
    double best = INFINITY, got = 0.0, used = 0.0;

    (void)state;
    for (uint64_t u = 0; u < U; u++) {
        for (uint64_t i = 0; i < 24 * 16; i++) w3[u][i] = pare_rng_normal(20 + u, PARE_RNG_TEST, i) * powf(0.8f, (float)(i % 16) * (float)u);
        assert_int_equal(pare_spectrum_create(&sp[u], w3[u], 24, 16, NULL, &PLAIN, NULL, NULL), 0);
        c[u] = (struct pare_rank_curve){ &sp[u], 4, 0.1 * (double)(u + 1) };
    }
    assert_int_equal(pare_lowrank_plan(c, U, 0.7, rank, NULL), 0);
    for (uint64_t u = 0; u < U; u++) {
        used += rank[u] == PARE_RANK_DENSE ? (double)top : (double)(rank[u] * 40);
        if (rank[u] != PARE_RANK_DENSE) got += c[u].loss * pare_spectrum_tail(&sp[u], rank[u]) / pare_spectrum_tail(&sp[u], 4);
    }
    assert_true(used <= 0.7 * U * (double)top);
    for (uint64_t i = 1; i <= be + 1; i++)
        for (uint64_t j = 1; j <= be + 1; j++)
            for (uint64_t k = 1; k <= be + 1; k++) {
                uint64_t q[U] = { i, j, k };
                double loss = 0.0, size = 0.0;
                for (uint64_t u = 0; u < U; u++) {
                    size += q[u] > be ? (double)top : (double)(q[u] * 40);
                    if (q[u] <= be) loss += c[u].loss * pare_spectrum_tail(&sp[u], q[u]) / pare_spectrum_tail(&sp[u], 4);
                }
                if (size <= 0.7 * U * (double)top && loss < best) best = loss;
            }
    assert_true(fabs(got - best) <= 1e-12);
    assert_int_equal(pare_lowrank_plan(c, U, 0.01, rank, NULL), PARE_E_BUDGET);
    for (uint64_t u = 0; u < U; u++) pare_spectrum_free(&sp[u]);
}

/* ---- a model ---- */

/* Spectra of all matrices of layers (the head is left out, as in the papers), by one builder. */
struct bank {
    struct pare_spectrum *sp;
    uint64_t *rank;  /* at which to cut; PARE_RANK_DENSE: not at all */
    };

/* Of a larger model only the first eight layers: a spectrum of each matrix is what takes the time. */
static bool of_layer(uint32_t i)
{
    return strncmp(r->lab.weight[i].name, "blk.", 4) == 0 && (getenv("PARE_ACCEPT") == NULL || r->lab.weight[i].unit <= 8);
}

static void bank_open(struct bank *b, const struct pare_lowrank_settings *s)
{
    *b = (struct bank){ pare_zalloc(r->lab.n_weights, sizeof *b->sp), pare_zalloc(r->lab.n_weights, sizeof *b->rank) };
    for (uint32_t i = 0; i < r->lab.n_weights; i++) {
        const struct pare_lab_weight *l = &r->lab.weight[i];
        float *dense;

        b->rank[i] = PARE_RANK_DENSE;
        if (!of_layer(i)) continue;
        dense = pare_aligned(l->rows * l->cols * sizeof *dense);
        RIG_OK(pare_lab_weight_rows(&r->lab, i, dense, &r->diag));
        RIG_OK(pare_spectrum_create(&b->sp[i], dense, l->rows, l->cols, l->in, s, r->job, &r->diag));
        assert_int_equal(b->sp[i].input, s->input);
        pare_aligned_free(dense);
    }
}

static void bank_close(struct bank *b)
{
    for (uint32_t i = 0; i < r->lab.n_weights; i++) pare_spectrum_free(&b->sp[i]);
    pare_free(b->sp);
    pare_free(b->rank);
}

static int cut_weight(void *user, const struct pare_lab *lab, uint32_t i, float *dense, struct pare_diag *diag)
{
    struct bank *b = user;
    struct pare_lowrank l;
    int rc;

    (void)lab;
    if (b->rank[i] == PARE_RANK_DENSE) return 1;
    if ((rc = pare_lowrank_cut(&l, &b->sp[i], b->rank[i], diag)) == 0) rc = pare_lowrank_expand(&l, dense, false, r->job, diag);
    pare_lowrank_free(&l);
    return rc;
}

/* On the first FEW held-out windows, which is enough for large differences. */
#define FEW 4
static struct pare_tally_result measure_few(const struct pare_lab_change *c)
{
    struct pare_lab lab = r->lab;
    struct pare_tally_result t;

    lab.eval.n = FEW;
    RIG_OK(pare_lab_measure(&lab, c, NULL, &t, &r->diag));
    return t;
}

static struct pare_tally_result measure(struct bank *b) { return measure_few(&(struct pare_lab_change){ cut_weight, NULL, b }); }

/* Numbers that are kept, of the layers' matrices, as a share. */
static double kept(const struct bank *b)
{
    double all = 0.0, have = 0.0;

    for (uint32_t i = 0; i < r->lab.n_weights; i++) {
        const struct pare_lab_weight *l = &r->lab.weight[i];
        if (!of_layer(i)) continue;
        all += (double)(l->rows * l->cols);
        have += b->rank[i] == PARE_RANK_DENSE ? (double)(l->rows * l->cols) : (double)(b->rank[i] * (l->rows + l->cols));
    }
    return have / all;
}

static void uniform(struct bank *b, double keep)
{
    for (uint32_t i = 0; i < r->lab.n_weights; i++)
        if (b->sp[i].k != 0) b->rank[i] = pare_lowrank_rank_for(b->sp[i].rows, b->sp[i].cols, keep);
}

/* Largest difference of logits on the held-out text when every matrix of a layer is its own full-rank product. */
static double logits_differ(struct bank *b)
{
    struct pare_lab *lab = &r->lab;
    const struct pare_model_info *info = pare_model_info_of(lab->m);
    uint64_t rows = (uint64_t)FEW * lab->eval.len, d = info->n_embd, v = info->n_vocab;
    struct pare_linear *saved = pare_zalloc(lab->n_weights, sizeof *saved);
    float **dense = pare_zalloc(lab->n_weights, sizeof *dense), *res = pare_aligned(rows * d * sizeof *res);
    float  *la = pare_aligned(8 * v * sizeof *la), *lb = pare_aligned(8 * v * sizeof *lb);
    double  worst = 0.0;

    for (uint32_t i = 0; i < lab->n_weights; i++) {
        struct pare_lab_weight *l = &lab->weight[i];
        if (b->rank[i] == PARE_RANK_DENSE) continue;
        dense[i] = pare_aligned(l->rows * l->cols * sizeof(float));
        RIG_OK(cut_weight(b, lab, i, dense[i], &r->diag));
        saved[i] = *l->slot->lin;
        *l->slot->lin = (struct pare_linear){ 0 };
        RIG_OK(pare_linear_bind(l->slot->lin, pare_dtype_of(PARE_F32), (const uint8_t *)dense[i], l->cols * sizeof(float), l->rows, l->cols,
                                PARE_ACT_F32, r->job, &r->diag));
        l->slot->lin->bias = saved[i].bias;
        l->slot->lin->input = saved[i].input;
    }
    RIG_OK(pare_walk_units(lab->w, 0, info->n_units - 1, &(struct pare_windows){ lab->eval.ids, FEW, lab->eval.len }, res, NULL, &r->diag));
    for (uint64_t at = 0; at + 8 <= rows; at += rows / 16) {
        RIG_OK(pare_head_logits(lab->m, res + at * d, 8, la, lab->w->work, NULL, r->job, &r->diag));
        RIG_OK(pare_head_logits(lab->m, lab->last + at * d, 8, lb, lab->w->work, NULL, r->job, &r->diag));
        for (uint64_t i = 0; i < 8 * v; i++) worst = fmax(worst, fabs((double)la[i] - (double)lb[i]));
    }
    for (uint32_t i = 0; i < lab->n_weights; i++) {
        if (dense[i] != NULL) *lab->weight[i].slot->lin = saved[i];
        pare_aligned_free(dense[i]);
    }
    pare_free(saved);
    pare_free(dense);
    pare_aligned_free(res);
    pare_aligned_free(la);
    pare_aligned_free(lb);
    return worst;
}

#define KEEPS 2
static struct pare_tally_result plain_at[KEEPS], asvd_at[KEEPS]; /* with equal ranks */
static const double keeps[KEEPS] = { 0.9, 0.8 };

static void plain_factors(void **state)
{
    struct bank b;

    (void)state;
    bank_open(&b, &PLAIN);
    for (int k = 0; k < KEEPS; k++) {
        uniform(&b, keeps[k]);
        plain_at[k] = measure(&b);
    }
    bank_close(&b);
}

/* Loss of each matrix alone when `share` of its numbers is kept, on a window of calibration text: what ranks are chosen by. */
static uint32_t sensitivity(struct bank *b, double share, struct pare_rank_curve *c, uint32_t *which)
{
    struct pare_lab lab = r->lab; /* the same model over other text */
    uint32_t n = 0;

    lab.eval.ids = r->calib.ids;
    lab.eval.n = 1;
    lab.last = pare_aligned((uint64_t)lab.eval.n * lab.eval.len * pare_model_info_of(lab.m)->n_embd * sizeof *lab.last);
    RIG_OK(pare_walk_units(lab.w, 0, pare_model_info_of(lab.m)->n_units - 1, &lab.eval, lab.last, NULL, &r->diag));
    for (uint32_t i = 0; i < lab.n_weights; i++) b->rank[i] = PARE_RANK_DENSE;
    for (uint32_t i = 0; i < lab.n_weights; i++) {
        struct pare_tally_result t;

        if (b->sp[i].k == 0) continue;
        b->rank[i] = pare_lowrank_rank_for(b->sp[i].rows, b->sp[i].cols, share);
        RIG_OK(pare_lab_measure(&lab, &(struct pare_lab_change){ cut_weight, NULL, b }, NULL, &t, &r->diag));
        c[n] = (struct pare_rank_curve){ &b->sp[i], b->rank[i], t.kld };
        which[n++] = i;
        b->rank[i] = PARE_RANK_DENSE;
    }
    pare_aligned_free(lab.last);
    return n;
}

/* Chooses b's ranks by it. */
static void choose(struct bank *b, const struct pare_rank_curve *c, const uint32_t *which, uint32_t n, double keep)
{
    uint64_t *rank = pare_zalloc(n, sizeof *rank);

    RIG_OK(pare_lowrank_plan(c, n, keep, rank, &r->diag));
    for (uint32_t i = 0; i < n; i++) b->rank[which[i]] = rank[i];
    pare_free(rank);
}

static void asvd(void **state)
{
    struct pare_rank_curve *c = pare_zalloc(r->lab.n_weights, sizeof *c);
    uint32_t *which = pare_zalloc(r->lab.n_weights, sizeof *which), n;
    struct pare_tally_result t;
    struct bank b;
    double worst;

    (void)state;
    bank_open(&b, &ASVD);
    for (uint32_t i = 0; i < r->lab.n_weights; i++)
        if (b.sp[i].k != 0) b.rank[i] = b.sp[i].k;
    worst = logits_differ(&b);
    print_message("asvd, full rank: logits differ by at most %.2g\n", worst);
    assert_true(worst < 1e-4);
    for (int k = 0; k < KEEPS; k++) {
        uniform(&b, keeps[k]);
        asvd_at[k] = measure(&b);
        print_message("asvd, %.0f %% kept: perplexity %.3f, plain SVD %.3f, original %.3f\n", 100 * kept(&b), asvd_at[k].ppl, plain_at[k].ppl, asvd_at[k].ppl_base);
        assert_true(asvd_at[k].ppl < plain_at[k].ppl);
    }
    n = sensitivity(&b, 0.7, c, which);
    for (int k = 0; k < KEEPS; k++) {
        choose(&b, c, which, n, keeps[k]);
        t = measure(&b);
        print_message("asvd, %.1f %% kept, ranks by sensitivity: perplexity %.3f, divergence %.4f instead of %.4f\n", 100 * kept(&b), t.ppl, t.kld, asvd_at[k].kld);
        assert_true(kept(&b) <= keeps[k]);
        assert_true(t.kld < asvd_at[k].kld && t.ppl < asvd_at[k].ppl);
    }
    bank_close(&b);
    pare_free(c);
    pare_free(which);
}

static void svd_llm(void **state)
{
    struct bank b;
    double worst;

    (void)state;
    bank_open(&b, &WHITE);
    for (uint32_t i = 0; i < r->lab.n_weights; i++)
        if (b.sp[i].k != 0) b.rank[i] = b.sp[i].k;
    worst = logits_differ(&b);
    print_message("svd-llm, full rank: logits differ by at most %.2g\n", worst);
    assert_true(worst < 1e-4);
    for (int k = 0; k < KEEPS; k++) {
        struct pare_tally_result t;
        uniform(&b, keeps[k]);
        t = measure(&b);
        print_message("svd-llm, %.0f %% kept: perplexity %.3f, plain SVD %.3f\n", 100 * kept(&b), t.ppl, plain_at[k].ppl);
        assert_true(t.ppl < plain_at[k].ppl && t.ppl < asvd_at[k].ppl && t.kld < asvd_at[k].kld);
    }
    bank_close(&b);
}

/* Keys and values from B x, which is what is cached then: half of the bytes a token. Each by itself, or both from one B (a stack of two
 * weights is one weight with more rows). */
struct latent {
    float  **w; /* what stands for matrix i, or NULL */
    uint64_t dense, cached;
};

static int give_latent(void *user, const struct pare_lab *lab, uint32_t i, float *dense, struct pare_diag *diag)
{
    struct latent *l = user;

    (void)diag;
    if (l->w[i] == NULL) return 1;
    memcpy(dense, l->w[i], lab->weight[i].rows * lab->weight[i].cols * sizeof *dense);
    return 0;
}

/* Matrices i .. i + n - 1 (n rows each in turn), replaced by one pair of half their rows. */
static void halve(struct latent *l, uint32_t i, uint32_t n, const struct pare_lowrank_settings *s)
{
    const struct pare_lab_weight *m = &r->lab.weight[i];
    uint64_t one = m->rows * m->cols, rows = m->rows * n;
    float *stack = pare_aligned(one * n * sizeof *stack);
    struct pare_spectrum sp;
    struct pare_lowrank  pair;

    for (uint32_t k = 0; k < n; k++) {
        assert_true(m[k].rows == m->rows && m[k].in == m->in);
        RIG_OK(pare_lab_weight_rows(&r->lab, i + k, stack + k * one, &r->diag));
    }
    RIG_OK(pare_spectrum_create(&sp, stack, rows, m->cols, m->in, s, r->job, &r->diag));
    RIG_OK(pare_lowrank_cut(&pair, &sp, rows / 2, &r->diag));
    RIG_OK(pare_lowrank_expand(&pair, stack, false, r->job, &r->diag));
    for (uint32_t k = 0; k < n; k++) {
        l->w[i + k] = pare_aligned(one * sizeof *stack);
        memcpy(l->w[i + k], stack + k * one, one * sizeof *stack);
    }
    l->dense += rows * 2; /* f16 */
    l->cached += pair.rank * 2;
    pare_lowrank_free(&pair);
    pare_spectrum_free(&sp);
    pare_aligned_free(stack);
}

static void kv_latent(void **state)
{
    static const char *const name[4] = { "plain", "asvd", "svd-llm", "svd-llm, keys and values together" };
    const struct pare_lowrank_settings how[4] = { PLAIN, ASVD, WHITE, WHITE };
    struct pare_tally_result t[4];

    (void)state;
    for (int h = 0; h < 4; h++) {
        struct latent l = { .w = pare_zalloc(r->lab.n_weights, sizeof *l.w) };

        for (uint32_t i = 0; i < r->lab.n_weights; i++) {
            if (strcmp(r->lab.weight[i].role, "attn_k") != 0) continue;
            assert_string_equal(r->lab.weight[i + 1].role, "attn_v");
            if (h < 3) halve(&l, i, 1, &how[h]), halve(&l, i + 1, 1, &how[h]);
            else halve(&l, i, 2, &how[h]);
        }
        t[h] = rig_measure(r, &(struct pare_lab_change){ give_latent, NULL, &l }); /* on all held-out windows: 1 % wants many */
        print_message("%s, %llu cached bytes a token (f16) instead of %llu: perplexity %.3f instead of %.3f (%+.2f +- %.2f %%), divergence %.4f\n", name[h],
                      (unsigned long long)l.cached, (unsigned long long)l.dense, t[h].ppl, t[h].ppl_base, 100 * (t[h].ppl / t[h].ppl_base - 1),
                      100 * t[h].ln_ratio_se, t[h].kld);
        assert_true(2 * l.cached <= l.dense);
        for (uint32_t i = 0; i < r->lab.n_weights; i++) pare_aligned_free(l.w[i]);
        pare_free(l.w);
    }
    assert_true(t[1].kld < t[0].kld && t[2].kld < t[1].kld);
    assert_true(t[3].ppl < 1.01 * t[3].ppl_base);
}

/* ---- LoRC ---- */

/* All matrices of layers rounded to one type, once. */
struct rounded {
    enum pare_type type;
    float  **w;
    uint64_t bytes;
};

static void rounded_open(struct rounded *q, enum pare_type type)
{
    const struct pare_dtype *t = pare_dtype_of(type);

    *q = (struct rounded){ .type = type, .w = pare_zalloc(r->lab.n_weights, sizeof *q->w) };
    pare_enc_use(pare_enc_wide_for(r->job->tier));
    for (uint32_t i = 0; i < r->lab.n_weights; i++) {
        const struct pare_lab_weight *m = &r->lab.weight[i];
        uint64_t bytes = 0;
        uint8_t *row;

        if (!of_layer(i)) continue;
        q->w[i] = pare_aligned(m->rows * m->cols * sizeof(float));
        RIG_OK(pare_lab_weight_rows(&r->lab, i, q->w[i], &r->diag));
        assert_true(pare_dtype_row_bytes(t, m->cols, &bytes));
        row = pare_alloc_array(bytes + 1, 1);
        for (uint64_t k = 0; k < m->rows; k++) {
            t->encode(row, q->w[i] + k * m->cols, m->cols, NULL);
            t->decode(q->w[i] + k * m->cols, row, m->cols);
        }
        q->bytes += bytes * m->rows;
        pare_free(row);
    }
}

static void rounded_close(struct rounded *q)
{
    for (uint32_t i = 0; i < r->lab.n_weights; i++) pare_aligned_free(q->w[i]);
    pare_free(q->w);
}

/* Rounded weights, and a side branch added to them when rank > 0. */
struct lorc {
    const struct rounded *q;
    enum pare_type factors;
    uint64_t rank;
    double   before, after;     /* squared errors of all weights */
    double   y_before, y_after; /* of outputs on held-out rows */
    uint64_t extra;             /* bytes of the branches */
    uint32_t seen;
};

static double distance(const float *a, const float *b, uint64_t n)
{
    double s = 0.0;

    for (uint64_t k = 0; k < n; k++) s += pow((double)a[k] - (double)b[k], 2);
    return s;
}

static int add_branch(void *user, const struct pare_lab *lab, uint32_t i, float *dense, struct pare_diag *diag)
{
    struct lorc *l = user;
    const struct pare_lab_weight *m = &lab->weight[i];
    struct pare_lowrank pair;
    uint64_t n = m->rows * m->cols, bytes = 0;
    float   *orig;
    double   before, after;

    if (!of_layer(i)) return 1;
    orig = pare_aligned(n * sizeof *orig);
    memcpy(orig, dense, n * sizeof *orig);
    memcpy(dense, l->q->w[i], n * sizeof *dense);
    RIG_OK(pare_lowrank_error(&pair, orig, dense, m->rows, m->cols, l->rank, NULL, &PLAIN, l->factors, r->job, diag));
    RIG_OK(pare_lowrank_expand(&pair, dense, true, r->job, diag));
    assert_true(pare_lowrank_bytes(m->rows, m->cols, l->rank, pair.type, &bytes));
    if (l->factors == PARE_F16) assert_int_equal(bytes, l->rank * (m->rows + m->cols) * 2);
    before = distance(orig, l->q->w[i], n);
    after = distance(orig, dense, n);
    if (l->rank > 0) assert_true(after < before); /* every matrix */
    else assert_memory_equal(dense, l->q->w[i], n * sizeof *dense);
    l->before += before;
    l->after += after;
    l->extra += bytes;
    pare_lowrank_free(&pair);
    pare_aligned_free(orig);
    return 0;
}

/* Output errors of one matrix on some of the rows, with and without the branch. */
static void see(void *user, const struct pare_lab *lab, uint32_t i, const float *rows, uint64_t ldx, uint32_t n)
{
    struct lorc *l = user;
    const struct pare_lab_weight *m = &lab->weight[i];
    uint64_t count = m->rows * m->cols;
    float   *orig, *with;
    double   before = 0.0, after = 0.0;

    if (!of_layer(i)) return;
    orig = pare_aligned(count * sizeof *orig);
    with = pare_aligned(count * sizeof *with);
    RIG_OK(pare_lab_weight_rows(lab, i, orig, &r->diag));
    memcpy(with, orig, count * sizeof *orig);
    RIG_OK(add_branch(l, lab, i, with, &r->diag));
    for (uint32_t t = 0; t < n; t += n / 24 + 1)
        for (uint64_t k = 0; k < m->rows; k++) {
            double y0 = 0.0, y1 = 0.0;
            for (uint64_t c = k * m->cols; c < (k + 1) * m->cols; c++) {
                double xv = (double)rows[t * ldx + c - k * m->cols];
                y0 += ((double)orig[c] - (double)l->q->w[i][c]) * xv;
                y1 += ((double)orig[c] - (double)with[c]) * xv;
            }
            before += y0 * y0;
            after += y1 * y1;
        }
    if (after >= before) print_message("%s: output error %.4g with the branch, %.4g without\n", m->name, after, before);
    assert_true(after < before);
    l->y_before += before;
    l->y_after += after;
    l->seen++;
    pare_aligned_free(orig);
    pare_aligned_free(with);
}

static void lorc(void **state)
{
    static const enum pare_type types[2] = { PARE_PQ3, PARE_PQ4 }, factors[2] = { PARE_F16, PARE_Q8_0 };
    struct pare_windows one = r->eval;

    (void)state;
    one.n = 1;
    for (int k = 0; k < 2; k++) {
        struct rounded q;
        struct lorc base;
        struct pare_tally_result a, b;

        rounded_open(&q, types[k]);
        base = (struct lorc){ .q = &q, .factors = PARE_F16 };
        a = measure_few(&(struct pare_lab_change){ add_branch, NULL, &base });
        assert_int_equal(base.extra, 0);
        for (int f = 0; f < 2 - k; f++) {
            struct lorc with = { .q = &q, .factors = factors[f], .rank = 8 };

            b = measure_few(&(struct pare_lab_change){ add_branch, NULL, &with });
            print_message("zeroquant-v2, %s with rank 8 in %s: divergence %.4f instead of %.4f, perplexity %.3f instead of %.3f; weight error %.1f %%; %llu bytes added to %llu\n",
                          pare_dtype_of(types[k])->name, pare_dtype_of(factors[f])->name, b.kld, a.kld, b.ppl, a.ppl, 100 * sqrt(with.after / with.before),
                          (unsigned long long)with.extra, (unsigned long long)q.bytes);
            assert_true(b.kld < a.kld && b.ppl < a.ppl);
        }
        if (k == 0) {
            struct lorc with = { .q = &q, .factors = PARE_F16, .rank = 8 };

            RIG_OK(pare_lab_walk(&r->lab, &one, see, &with, &r->diag));
            assert_true(with.seen >= 7);
            print_message("zeroquant-v2, %s: output error on held-out text %.1f %% of that without the branch, every matrix below it\n",
                          pare_dtype_of(types[k])->name, 100 * sqrt(with.y_after / with.y_before));
        }
        rounded_close(&q);
    }
}

static int open_rig(void **state)
{
    (void)state;
    rig_open(r, 128, 24, getenv("PARE_ACCEPT") != NULL ? 6 : 20, true);
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
        cmocka_unit_test(builders), cmocka_unit_test(two_stages), cmocka_unit_test(bad_input), cmocka_unit_test(sizes),
        cmocka_unit_test(error_factors), cmocka_unit_test(plan_is_best), cmocka_unit_test(plain_factors), cmocka_unit_test(asvd),
        cmocka_unit_test(svd_llm), cmocka_unit_test(kv_latent), cmocka_unit_test(lorc),
    };
    return cmocka_run_group_tests_name("lowrank", tests, open_rig, close_rig);
}
