/* SPDX-License-Identifier: Apache-2.0
 * Methods of few bits whose weights lie in bit planes: FlexQ, ABQ-LLM, DB-LLM. Losses are measured on held-out text by the lab,
 * each beside its baseline in the same run; the head stays as it is. */
#include "lab_rig.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "compress/dual_binary.h"
#include "compress/few_levels.h"
#include "compress/plane_weight.h"
#include "tensor/dtype.h"

static struct rig rig, *r = &rig;

static bool inside(const struct pare_lab_weight *w) { return strncmp(w->name, "blk.", 4) == 0; }

/* E[x^2] of a matrix's input. */
static float *squares(const struct pare_lab_weight *w)
{
    float *m = pare_alloc_array(w->cols, sizeof *m);

    for (uint64_t c = 0; c < w->cols; c++) m[c] = (float)(w->in->sumsq[c] / w->in->weight);
    return m;
}

/* What one measurement does to weights and inputs. */
enum how { GRID, TWO_BITS, DUAL };
struct plan {
    enum how how;
    struct pare_levels grid;
    uint32_t group, rounds, bits;             /* bits of activations, 0: as they are */
    bool weighted;
    const char *only;                         /* NULL: every role */
    const char *wide[8];                      /* roles whose inputs keep 8 bits */
    double zeros, n;                          /* sums over matrices: for means */
};

static int weight(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    struct plan *p = user;
    const struct pare_lab_weight *m = &lab->weight[i];
    float *imp;

    if (!inside(m) || (p->only != NULL && strcmp(p->only, m->role) != 0)) return 1;
    imp = p->weighted ? squares(m) : NULL;
    if (p->how == GRID) {
        PARE_FORWARD(pare_levels_round(w, NULL, NULL, m->rows, m->cols, p->group, imp, &p->grid, diag));
    } else if (p->how == TWO_BITS) {
        for (uint64_t k = 0; k < m->rows; k++)
            for (uint64_t c = 0; c < m->cols; c += p->group)
                pare_two_bit_group(w + k * m->cols + c, m->cols - c < p->group ? (uint32_t)(m->cols - c) : p->group);
    } else {
        struct pare_dual d;

        PARE_FORWARD(pare_dual_create(&d, w, m->rows, m->cols, p->group, imp, p->rounds, diag));
        pare_dual_decode(&d, w);
        p->zeros += d.zeros * (double)(m->rows * m->cols);
        p->n += (double)(m->rows * m->cols);
        pare_dual_free(&d);
    }
    pare_free(imp);
    return 0;
}

static bool input(void *user, const struct pare_lab *lab, uint32_t i, float *x, uint64_t ldx, uint32_t n)
{
    struct plan *p = user;
    const struct pare_lab_weight *m = &lab->weight[i];
    uint32_t bits = p->bits;

    if (bits == 0 || !inside(m) || (p->only != NULL && strcmp(p->only, m->role) != 0)) return false;
    for (int k = 0; k < 8; k++)
        if (p->wide[k] != NULL && strcmp(p->wide[k], m->role) == 0) bits = 8;
    for (uint32_t t = 0; t < n; t++) pare_round_token(x + t * ldx, NULL, NULL, m->cols, PARE_FLEXQ_GROUP, bits);
    return true;
}

static struct pare_tally_result on(struct plan *p, const struct pare_windows *win, const char *what)
{
    struct pare_tally_result t;

    RIG_OK(pare_lab_measure(&r->lab, &(struct pare_lab_change){ weight, input, p }, win, &t, &r->diag));
    print_message("%-44s divergence %.5f +- %.5f, perplexity %.3f (original %.3f), %+.2f %% +- %.2f\n", what, t.kld, t.kld_se, t.ppl, t.ppl_base,
                  100 * t.ln_ratio, 100 * t.ln_ratio_se);
    return t;
}

static struct pare_tally_result run(struct plan *p, const char *what) { return on(p, NULL, what); }

/* Roles in the order of their first matrix. */
static uint32_t roles(const char *role[16])
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->lab.n_weights; i++) {
        uint32_t k = 0;

        while (k < n && strcmp(role[k], r->lab.weight[i].role) != 0) k++;
        if (k == n && inside(&r->lab.weight[i]) && n < 16) role[n++] = r->lab.weight[i].role;
    }
    return n;
}

#define SIX .how = GRID, .grid = { -31, 31, true }, .group = PARE_FLEXQ_GROUP, .weighted = true
static void flexq(void **state)
{
    struct plan all = { SIX, .bits = 6 }, eight = { SIX, .bits = 8 }, mixed = { SIX, .bits = 6 }, only = { SIX };
    const char *role[16];
    uint32_t n = roles(role), n_wide = 0;
    double loss[16] = { 0 };
    bool wide[16];
    struct pare_planes p6, p8;
    struct pare_tally_result t, t6, t8;
    struct pare_windows few = r->calib; /* what is sensitive is found on text of the calibration */

    (void)state;
    few.n = few.n < 2 ? few.n : 2;
    for (uint32_t k = 0; k < n; k++) {
        struct plan one = { SIX, .bits = 6, .only = role[k] };

        t = on(&one, &few, role[k]);
        loss[k] = t.kld;
    }
    pare_flexq_sensitive(loss, n, wide);
    for (uint32_t k = 0; k < n; k++)
        if (wide[k] && n_wide < 8) mixed.wide[n_wide++] = role[k];
    run(&only, "W6, activations as they are");
    t6 = run(&all, "W6A6");
    t8 = run(&eight, "W6A8");
    t = run(&mixed, "W6A6, sensitive ones A8");
    for (uint32_t k = 0; k < n_wide; k++) print_message("sensitive: %s\n", mixed.wide[k]);
    assert_true(t.kld <= t6.kld && t8.kld <= t.kld);
    /* The divergence is the rise that is expected of a text by the model itself, and known ten times better than the one of this text. */
    assert_true(t.kld <= log(1.005) && t.ln_ratio <= log(1.005));
    assert_int_equal(pare_planes_shape(&p6, 768, 256, PARE_FLEXQ_GROUP, 6, PARE_PLANE_SIGNED, NULL), PARE_OK);
    assert_int_equal(pare_planes_shape(&p8, 768, 256, PARE_FLEXQ_GROUP, 8, PARE_PLANE_SIGNED, NULL), PARE_OK);
    assert_int_equal(pare_planes_bytes(&p6) * 8, pare_planes_bytes(&p8) * 6);
    assert_int_equal(pare_plane_scales_count(&p6), pare_plane_scales_count(&p8));
}

static void abq_five_levels(void **state)
{
    struct plan five = { .how = GRID, .grid = { -2, 2, false }, .group = 64 }, four = { .how = GRID, .grid = { -2, 1, false }, .group = 64 };
    struct plan any = { .how = TWO_BITS, .group = 64 };
    struct plan five_s = { .how = GRID, .grid = { -2, 2, true }, .group = 64, .weighted = true }, four_s = { .how = GRID, .grid = { -2, 1, true }, .group = 64, .weighted = true };
    struct pare_tally_result t5 = run(&five, "five levels"), t4 = run(&four, "four levels -2 .. 1"), ta = run(&any, "four levels, zero point");
    struct pare_tally_result s5 = run(&five_s, "five levels, range searched"), s4 = run(&four_s, "four levels -2 .. 1, range searched");

    (void)state;
    assert_true(t5.ppl < t4.ppl && t5.ppl < ta.ppl);
    assert_true(s5.ppl < s4.ppl && s5.ppl < t5.ppl);
}

static void dual_on_text(void **state)
{
    struct plan rtn = { .how = TWO_BITS, .group = 64 }, zero = { .how = DUAL, .group = 64 };
    struct plan weighted = { .how = DUAL, .group = 64, .rounds = 4, .weighted = true };
    struct pare_tally_result t = run(&rtn, "two bits, round to nearest"), t0 = run(&zero, "two binaries, grid only");
    struct pare_tally_result tw = run(&weighted, "two binaries, refined by E[x^2]");

    (void)state;
    print_message("zero bits %.3f (grid %.3f)\n", weighted.zeros / weighted.n, zero.zeros / zero.n);
    assert_true(weighted.zeros / weighted.n > 0.5);
    assert_true(tw.kld < t.kld && tw.ppl < t.ppl && tw.kld < t0.kld);
}

/* Nearest point of a grid by trying all of them. */
static void grids(void **state)
{
    static const struct pare_levels g[] = { { -2, 2, false }, { -2, 1, false }, { -31, 31, false }, { -1, 1, true }, { -2, 2, true } };
    float w[70], v[70], imp[70];
    int16_t q[70];

    (void)state;
    for (uint32_t k = 0; k < sizeof g / sizeof *g; k++) {
        double err = 0, top = 0;
        float s;

        for (uint32_t i = 0; i < 70; i++) {
            v[i] = w[i] = pare_rng_normal(k, PARE_RNG_TEST, i);
            imp[i] = 1 + pare_rng_f32(k, PARE_RNG_TEST, 1000 + i);
            if (fabs((double)w[i]) > top) top = fabs((double)w[i]);
        }
        s = pare_levels_group(q, w, imp, 70, &g[k]);
        if (!g[k].search) assert_true(fabs((double)s - 2 * top / (g[k].hi - g[k].lo)) <= 1e-3 * (double)s); /* a half has 11 bits */
        for (uint32_t i = 0; i < 70; i++) {
            double best = INFINITY;

            for (int32_t c = g[k].lo; c <= g[k].hi; c++) best = fmin(best, fabs((double)v[i] - c * (double)s));
            assert_true(q[i] >= g[k].lo && q[i] <= g[k].hi && w[i] == q[i] * s);
            assert_true(fabs((double)v[i] - (double)w[i]) <= best + 1e-6);
            err += best * best * (double)imp[i];
        }
        if (g[k].search) { /* no range that was tried is better */
            for (int t = 0; t <= 12; t++) {
                double e = 0, sc = (double)pare_f16_to_f32(pare_f32_to_f16((float)(2 * top / (g[k].hi - g[k].lo) * (1 - 0.05 * t))));

                for (uint32_t i = 0; i < 70; i++) {
                    double best = INFINITY;

                    for (int32_t c = g[k].lo; c <= g[k].hi; c++) best = fmin(best, fabs((double)v[i] - c * sc));
                    e += best * best * (double)imp[i];
                }
                assert_true(err <= e * (1 + 1e-3));
            }
        }
    }
    memset(w, 0, sizeof w);
    assert_true(pare_levels_group(q, w, NULL, 70, &g[0]) == 0 && q[3] == 0);
    w[5] = NAN;
    assert_true(pare_levels_group(q, w, NULL, 70, &g[0]) == 0 && w[5] == 0);
    w[5] = 1e38f;
    assert_true(pare_levels_group(q, w, NULL, 70, &g[4]) == 0 && w[5] == 0);
    assert_int_equal(pare_levels_round(w, NULL, NULL, 1, 70, 0, NULL, &g[0], NULL), PARE_E_USAGE);
    w[5] = NAN;
    pare_two_bit_group(w, 70);
    assert_true(w[5] == 0);
    w[0] = INFINITY;
    pare_round_token(w, q, v, 70, 64, 6);
    assert_true(isinf(w[0]) && q[0] == 0 && w[65] == 0);
}

/* Rounds 0 is the two-bit grid; more rounds never lose; the best split of a few weights is nearly found. */
static void dual_groups(void **state)
{
    float w[64], imp[64], a0[2], a[2];
    uint8_t c0[64], c[64];

    (void)state;
    for (uint32_t k = 0; k < 200; k++) {
        uint32_t n = 1 + k % 64;
        double e0, e, sum = 0, top = 0;

        for (uint32_t i = 0; i < n; i++) {
            w[i] = pare_rng_normal(k, PARE_RNG_TEST, i);
            imp[i] = pare_rng_f32(k, PARE_RNG_TEST, 1000 + i);
            if (fabs((double)w[i]) > fabs(top)) top = (double)w[i];
        }
        e0 = pare_dual_group(a0, c0, w, imp, n, 0);
        assert_true(fabs((double)a0[0] - top) <= 1e-3 * fabs(top) && fabs((double)(a0[1] + a0[0] / 2)) <= 1e-3 * fabs(top));
        e = pare_dual_group(a, c, w, imp, n, 4);
        assert_true(e <= e0);
        for (uint32_t i = 0; i < n; i++) {
            double best = INFINITY;

            for (int t = 0; t < 4; t++) best = fmin(best, fabs((double)w[i] - ((t & 1 ? (double)a[0] : 0) + (t & 2 ? (double)a[1] : 0))));
            sum += best * best * (double)imp[i];
        }
        assert_true(fabs(sum - e) <= 1e-5 * sum + 1e-9);
    }
    memset(w, 0, sizeof w);
    assert_true(pare_dual_group(a, c, w, NULL, 64, 4) == 0 && a[0] == 0 && a[1] == 0 && c[9] == 0);
    w[3] = NAN;
    assert_true(pare_dual_group(a, c, w, NULL, 64, 4) == 0 && a[0] == 0 && c[3] == 0);
}

/* Two sparse planes through the table kernel against the decoded matrix, in every tier the same bits. */
static void dual_kernel(void **state)
{
    enum { ROWS = 130, COLS = 300 };
    float *w = pare_alloc_array(ROWS * COLS, sizeof *w), x[COLS], y[ROWS], first[ROWS];
    struct pare_dual d;
    struct pare_plane_weight p;
    void *mem;

    (void)state;
    for (uint32_t i = 0; i < ROWS * COLS; i++) w[i] = pare_rng_normal(1, PARE_RNG_TEST, i);
    for (uint32_t i = 0; i < COLS; i++) x[i] = pare_rng_normal(2, PARE_RNG_TEST, i);
    assert_int_equal(pare_dual_create(&d, w, ROWS, COLS, 64, NULL, 4, NULL), PARE_OK);
    assert_int_equal(pare_dual_bytes(&d), ROWS * COLS / 4 + ROWS * 5 * 4);
    assert_int_equal(pare_plane_weight_dual(&p, &d, NULL), PARE_OK);
    mem = pare_aligned(pare_plane_weight_scratch(&p));
    pare_dual_decode(&d, w);
    for (int tier = PARE_TIER_BASE; tier <= PARE_TIER_AVX512; tier++) {
        pare_plane_weight_apply(&p, tier == 0 ? first : y, x, 0, p.p.n_panels, mem, false, pare_plane_ops_for(tier));
        if (tier != 0) assert_memory_equal(y, first, sizeof y);
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        double want = 0, size = 0;

        for (uint32_t c = 0; c < COLS; c++) {
            want += (double)w[i * COLS + c] * (double)x[c];
            size += fabs((double)w[i * COLS + c] * (double)x[c]);
        }
        assert_true(fabs((double)first[i] - want) <= 1e-4 * fabs(want) + 1e-6 * size);
    }
    assert_int_equal(pare_dual_create(&(struct pare_dual){ 0 }, w, 1, 8, 0, NULL, 1, NULL), PARE_E_USAGE);
    pare_plane_weight_free(&p);
    pare_dual_free(&d);
    pare_aligned_free(mem);
    pare_free(w);
}

static int open_rig(void **state)
{
    (void)state;
    rig_open(r, 256, 12, 2, false);
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
        cmocka_unit_test(grids), cmocka_unit_test(dual_groups), cmocka_unit_test(dual_kernel),
        cmocka_unit_test(flexq), cmocka_unit_test(abq_five_levels), cmocka_unit_test(dual_on_text),
    };

    return cmocka_run_group_tests_name("plane methods", tests, open_rig, close_rig);
}
