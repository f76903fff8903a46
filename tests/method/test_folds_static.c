/* SPDX-License-Identifier: Apache-2.0
 * Acceptance of the methods whose scales stand still at run time: rptq, mergequant, fireq. Baselines are measured in the same run; the
 * figures printed here stand in the registry. */
#include "lab_rig.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "compress/fold_awq.h"
#include "compress/fold_fireq.h"
#include "compress/fold_merge.h"
#include "compress/fold_rotate.h"
#include "compress/fold_rptq.h"
#include "compress/fold_smooth.h"
#include "compress/grid.h"
#include "model/dense.h"

#include "fold_rig.h"

/* --- rptq ------------------------------------------------------------------------------------------------------------------------ */

static struct pare_rptq ranges;
static bool round_static(void *user, const struct pare_lab *lab, uint32_t i, float *x, uint64_t ldx, uint32_t n)
{
    const uint32_t *bits = user;

    return in_layer(i) && pare_rptq_round(&ranges, lab->weight[i].slot, x, ldx, n, *bits);
}

static struct pare_tally_result with_clusters(uint32_t norm, uint32_t hidden, uint32_t value, double *change)
{
    struct pare_rptq_settings s = { norm, hidden, value };
    struct pare_tally_result  t;
    uint32_t                  bits = 4;

    NEED(pare_fold_rptq(folds, r->lab.w, &r->calib, &s, &ranges, &d));
    *change = refold();
    for (uint32_t i = 0; i < r->lab.n_weights; i++) assert_null(r->lab.weight[i].slot->lin->input); /* no operator is left behind */
    t = rig_measure(r, &(struct pare_lab_change){ NULL, round_static, &bits });
    pare_rptq_free(&ranges);
    unfold();
    return t;
}

static void rptq(void **state)
{
    struct pare_tally_result tensor, few, more, channel;
    double                   change[4];

    (void)state;
    tensor = with_clusters(1, 1, 1, &change[0]);
    few = with_clusters(8, 8, 2, &change[1]);
    more = with_clusters(32, 32, 4, &change[2]);
    channel = with_clusters(0, 0, 0, &change[3]);
    print_message("rptq A4: divergence by tensor %.4f, 8 clusters %.4f, 32 %.4f, by channel %.4f; ppl %.1f, %.1f, %.1f, %.1f (%.1f); logits %.1e\n",
                  tensor.kld, few.kld, more.kld, channel.kld, tensor.ppl, few.ppl, more.ppl, channel.ppl, tensor.ppl_base, change[2]);
    assert_true(change[0] == 0 && change[1] > 0 && change[1] < 3e-6 && change[2] < 3e-6 && change[3] < 3e-6);
    assert_true(more.kld < 0.5 * tensor.kld && more.ppl < tensor.ppl);
    assert_true(few.kld < tensor.kld && more.kld < few.kld);
    assert_true(more.kld - channel.kld < 0.25 * (tensor.kld - channel.kld));
}

/* Against a brute force over all partitions of few points into two clusters. */
static void kmeans(void **state)
{
    (void)state;
    for (uint64_t turn = 0; turn < 8; turn++) {
        double   p[10][2], best = 1e30, mine = 0;
        uint32_t label[10];

        for (uint32_t i = 0; i < 10; i++) { /* two clouds, apart */
            p[i][0] = (i < 4 ? 0 : 10) + pare_rng_f64(turn, PARE_RNG_TEST, 2 * i);
            p[i][1] = (i < 4 ? 0 : -7) + pare_rng_f64(turn, PARE_RNG_TEST, 2 * i + 1);
        }
        NEED(pare_kmeans(&p[0][0], 10, 2, 2, label, &d));
        for (uint32_t set = 0; set <= 1024; set++) {
            double c[2][3] = { { 0 } }, e = 0;

            for (uint32_t i = 0; i < 10; i++) {
                uint32_t k = set == 1024 ? label[i] : set >> i & 1;
                c[k][0] += p[i][0], c[k][1] += p[i][1], c[k][2] += 1;
            }
            for (uint32_t i = 0; i < 10; i++) {
                uint32_t k = set == 1024 ? label[i] : set >> i & 1;
                e += pow(p[i][0] - c[k][0] / c[k][2], 2) + pow(p[i][1] - c[k][1] / c[k][2], 2);
            }
            if (set == 1024) mine = e;
            else best = fmin(best, e);
        }
        assert_true(mine <= best * (1 + 1e-12));
    }
}

/* --- mergequant ------------------------------------------------------------------------------------------------------------------ */

static uint64_t maximum_passes; /* rows whose largest value was looked for at run time */
static bool by_token(void *user, const struct pare_lab *lab, uint32_t i, float *x, uint64_t ldx, uint32_t n)
{
    if (in_layer(i)) maximum_passes += n;
    return round_input(user, lab, i, x, ldx, n);
}

static bool whole_numbers(void *user, const struct pare_lab *lab, uint32_t i, float *x, uint64_t ldx, uint32_t n)
{
    const struct scheme *q = user;

    if (!in_layer(i)) return false;
    for (uint32_t k = 0; k < n; k++) pare_merge_round(x + k * ldx, lab->weight[i].cols, q->a->bits);
    return true;
}

/* Codes times codes in integers and one scale an output, against the product of rounded floats, on one matrix. */
static void integers(uint32_t i, const struct pare_grid *g)
{
    struct pare_lab_weight *w = &r->lab.weight[i];
    float                  *row = pare_aligned(w->cols * sizeof *row), *x = pare_aligned(w->cols * sizeof *x);

    for (uint32_t c = 0; c < w->cols; c++) x[c] = (float)(pare_rng_f64(i, PARE_RNG_TEST, c) * 300 - 150);
    pare_merge_round(x, w->cols, g->bits);
    for (uint64_t k = 0; k < w->rows; k += 17) {
        float   most = 0, s, y = 0;
        int32_t sum = 0;

        NEED(pare_slot_rows(w->slot, k, 1, row, &d));
        for (uint64_t c = 0; c < w->cols; c++) most = fmaxf(most, fabsf(row[c]));
        s = most / (float)((1 << (g->bits - 1)) - 1);
        pare_grid_round(g, row, w->cols);
        for (uint64_t c = 0; c < w->cols; c++) {
            float code = s > 0 ? rintf(row[c] / s) : 0;

            assert_true(code * s == row[c]);
            assert_true(x[c] == rintf(x[c]));
            sum += (int32_t)code * (int32_t)x[c];
            row[c] = code;
        }
        pare_vec_for(r->job->tier)->gemm_f32(&y, 1, row, w->cols * sizeof *row, x, w->cols, w->cols, 0, 1, 1);
        assert_true((float)sum * s == y * s);
    }
    pare_aligned_free(row);
    pare_aligned_free(x);
}

static void mergequant(void **state)
{
    (void)state;
    for (uint32_t bits = 8; bits >= 4; bits -= 4) {
        struct pare_grid           g = { .bits = bits };
        struct scheme              q = { &g, &g, false };
        struct pare_merge_settings s = { .bits = bits, .round = pare_grid_round, .ctx = &g };
        struct pare_tally_result   dynamic, fixed;
        uint64_t                   passes;
        uint32_t                   n;
        double                     change;

        maximum_passes = 0;
        dynamic = rig_measure(r, &(struct pare_lab_change){ round_weight, by_token, &q });
        passes = maximum_passes;
        maximum_passes = 0;
        NEED(pare_fold_merge(folds, r->lab.w, &r->calib, &s, &n, &d));
        change = refold();
        fixed = rig_measure(r, &(struct pare_lab_change){ round_weight, whole_numbers, &q });
        print_message("mergequant %u bits: %u sites, logits %.1e; by token %.4f (ppl %.1f, %llu passes), static %.4f (ppl %.1f, %llu) (%.1f)\n", bits, n,
                      change, dynamic.kld, dynamic.ppl, (unsigned long long)passes, fixed.kld, fixed.ppl, (unsigned long long)maximum_passes,
                      fixed.ppl_base);
        assert_int_equal(n, (uint32_t)(pare_model_info_of(r->lab.m)->n_layers * 4));
        assert_true(change < 1e-4 && passes > 0 && maximum_passes == 0);
        for (uint32_t i = 0; i < 7; i++) integers(i, &g);
        assert_true(fixed.ppl < 1.05 * dynamic.ppl);
        unfold();
    }
}

/* --- fireq ----------------------------------------------------------------------------------------------------------------------- */

#define T 96
struct heads {
    float    *x;              /* [T][n_embd] input of a layer's attention */
    uint32_t  layer;
    double    score_err, out_err;
};

static void take_rows(void *user, const struct pare_lab *lab, uint32_t i, const float *x, uint64_t ldx, uint32_t n)
{
    struct heads *h = user;
    uint64_t      cols = lab->weight[i].cols;

    if (lab->weight[i].unit != h->layer + 1 || strcmp(lab->weight[i].role, "attn_q") != 0 || n < T) return;
    for (uint32_t k = 0; k < T; k++) memcpy(h->x + k * cols, x + k * ldx, cols * sizeof *x);
}

/* y [T][rows] = x W^T for one matrix of the layer as it is read now. */
static float *project(const struct heads *h, const char *role, uint64_t *rows)
{
    for (uint32_t i = 0; i < r->lab.n_weights; i++) {
        const struct pare_lab_weight *w = &r->lab.weight[i];
        float                        *all, *y;

        if (w->unit != h->layer + 1 || strcmp(w->role, role) != 0) continue;
        all = pare_aligned(w->rows * w->cols * sizeof *all);
        y = pare_aligned(T * w->rows * sizeof *y);
        NEED(pare_slot_rows(w->slot, 0, w->rows, all, &d));
        pare_vec_for(r->job->tier)->gemm_f32(y, w->rows, all, w->cols * sizeof *all, h->x, w->cols, w->cols, 0, w->rows, T);
        pare_aligned_free(all);
        *rows = w->rows;
        return y;
    }
    fail();
    return NULL;
}

static void turn(float *x, uint64_t ld, uint32_t heads)
{
    const struct pare_dense *m = r->lab.m->own;
    float                    cs[1024];

    for (uint32_t t = 0; t < T; t++) {
        pare_rope_row(m->freq[0], sites.rotary / 2, t, m->rope_scale[0], cs);
        for (uint32_t k = 0; k < heads; k++) pare_vec_for(r->job->tier)->rope(x + t * ld + (uint64_t)k * sites.dk, cs, sites.rotary / 2, sites.pairs);
    }
}

/* Scores and outputs of all heads, [n_head][T][T] and [n_head][T][dv]. */
static void attend(const float *q, const float *k, const float *v, double *score, double *out)
{
    uint32_t nh = sites.n_head, nk = sites.n_head_kv, dk = sites.dk, dv = sites.dv;

    for (uint32_t h = 0; h < nh; h++)
        for (uint32_t a = 0; a < T; a++) {
            double *s = score + ((uint64_t)h * T + a) * T, *o = out + ((uint64_t)h * T + a) * dv, most = -1e300, sum = 0;
            uint32_t g = h / (nh / nk);

            for (uint32_t b = 0; b < T; b++) s[b] = 0;
            for (uint32_t c = 0; c < dv; c++) o[c] = 0;
            for (uint32_t b = 0; b <= a; b++) {
                for (uint32_t c = 0; c < dk; c++) s[b] += (double)q[(uint64_t)a * nh * dk + h * dk + c] * (double)k[(uint64_t)b * nk * dk + g * dk + c];
                s[b] /= sqrt((double)dk);
                most = fmax(most, s[b]);
            }
            for (uint32_t b = 0; b <= a; b++) sum += exp(s[b] - most);
            for (uint32_t b = 0; b <= a; b++)
                for (uint32_t c = 0; c < dv; c++) o[c] += exp(s[b] - most) / sum * (double)v[(uint64_t)b * nk * dv + g * dv + c];
        }
}

static double mean_square(const double *a, const double *b, uint64_t n)
{
    double s = 0;

    for (uint64_t i = 0; i < n; i++) s += (a[i] - b[i]) * (a[i] - b[i]);
    return s / (double)n;
}

static void fireq(void **state)
{
    uint32_t         nh = sites.n_head, nk = sites.n_head_kv, layers = sites.n_qk;
    struct pare_grid k4 = { .bits = 4, .group = sites.dk };
    uint64_t         ns = (uint64_t)nh * T * T, no = (uint64_t)nh * T * sites.dv, nq, nkk, nv, zeros = 0, lost = 0, z;
    double          *s0 = malloc(ns * 8), *s1 = malloc(ns * 8), *o0 = malloc(no * 8), *o1 = malloc(no * 8);
    double          *s = malloc(nk * sites.dk * 8), *t = malloc(nk * sites.dk * 8), plain_s = 0, plain_o = 0, fire_s = 0, fire_o = 0, change;
    struct heads     h = { 0 };

    (void)state;
    h.x = malloc(T * (size_t)sites.res.n * sizeof *h.x);
    for (uint32_t l = 0; l < layers; l++) {
        float *q, *k, *v;
        struct pare_windows one = { r->calib.ids, 1, r->calib.len };

        h.layer = l;
        NEED(pare_lab_walk(&r->lab, &one, take_rows, &h, &d));
        q = project(&h, "attn_q", &nq);
        k = project(&h, "attn_k", &nkk);
        v = project(&h, "attn_v", &nv);
        NEED(pare_fireq_pairs(&sites, k, nkk, T, 1, s, &d));
        turn(q, nq, nh);
        turn(k, nkk, nk);
        attend(q, k, v, s0, o0);
        pare_grid_round(&k4, k, T * nkk);
        attend(q, k, v, s1, o1);
        plain_s += mean_square(s0, s1, ns);
        plain_o += mean_square(o0, o1, no);
        pare_aligned_free(q);
        pare_aligned_free(k);
        NEED(pare_qk_scale(folds, &sites, &sites.qk[l], s, &d));
        q = project(&h, "attn_q", &nq);
        k = project(&h, "attn_k", &nkk);
        turn(q, nq, nh);
        turn(k, nkk, nk);
        NEED(pare_fireq_channels(&sites, k, nkk, T, 2, t, &d));
        for (uint64_t i = 0; i < T * nkk; i++) k[i] = (float)((double)k[i] / t[i % nkk]);
        pare_grid_round(&k4, k, T * nkk);
        for (uint64_t i = 0; i < T * nkk; i++) k[i] = (float)((double)k[i] * t[i % nkk]);
        attend(q, k, v, s1, o1);
        fire_s += mean_square(s0, s1, ns);
        fire_o += mean_square(o0, o1, no);
        pare_aligned_free(q);
        pare_aligned_free(k);
        pare_aligned_free(v);
    }
    change = refold();
    for (uint32_t i = 0; i < r->lab.n_weights; i++) {
        struct pare_lab_weight *w = &r->lab.weight[i];
        float                  *rows = pare_aligned(w->rows * w->cols * sizeof *rows);

        if (in_layer(i)) {
            NEED(pare_slot_rows(w->slot, 0, w->rows, rows, &d));
            NEED(pare_fireq_weight(rows, w->rows, w->cols, 128, 0, &z, &d));
            zeros += z;
            NEED(pare_slot_rows(w->slot, 0, w->rows, rows, &d));
            for (uint64_t c = 0; c < w->rows * w->cols; c++) rows[c] *= 0x1p-6f; /* small weights: what the factor is for */
            NEED(pare_fireq_weight(rows, w->rows, w->cols, 128, 1, &z, &d));
            lost += z;
        }
        pare_aligned_free(rows);
    }
    print_message("fireq K4: logits %.1e; squared error of scores %.2e -> %.2e, of outputs %.2e -> %.2e; zero scales %llu (without the factor %llu)\n",
                  change, plain_s / layers, fire_s / layers, plain_o / layers, fire_o / layers, (unsigned long long)zeros, (unsigned long long)lost);
    assert_true(change < 1e-5);
    assert_true(fire_s < plain_s && fire_o < plain_o);
    assert_true(zeros == 0 && lost > 0);
    unfold();
    free(s0), free(s1), free(o0), free(o1), free(s), free(t), free(h.x);
}

/* Every number that FP8 has is its own nearest; between two the nearer one is taken. */
static void fp8(void **state)
{
    float last = 0;

    (void)state;
    for (int e = 0; e < 16; e++)
        for (int m = 0; m < 8; m++) {
            float v = e == 0 ? (float)m * 0x1p-9f : ldexpf(1 + (float)m / 8, e - 7);

            if (e == 15 && m == 7) break;
            assert_true(pare_fp8_e4m3(v) == v);
            if (v > 0) {
                assert_true(pare_fp8_e4m3(last + (v - last) * 0.49f) == last);
                assert_true(pare_fp8_e4m3(last + (v - last) * 0.51f) == v);
            }
            last = v;
        }
    assert_true(pare_fp8_e4m3(1e9f) == 448);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(kmeans), cmocka_unit_test(fp8), cmocka_unit_test(rptq), cmocka_unit_test(mergequant),
                                        cmocka_unit_test(fireq) };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
