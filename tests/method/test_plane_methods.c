/* SPDX-License-Identifier: Apache-2.0
 * Methods of few bits whose weights lie in bit planes: FlexQ, ABQ-LLM, DB-LLM, PB-LLM. Losses are measured on held-out text by the lab,
 * each beside its baseline in the same run; the head stays as it is. */
#include "lab_rig.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "compress/dual_binary.h"
#include "compress/few_levels.h"
#include "compress/partial_binary.h"
#include "kernel/planes.h"

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
enum how { GRID, TWO_BITS, DUAL, PARTIAL };
struct plan {
    enum how how;
    struct pare_grid grid;
    uint32_t group, rounds, bits;             /* bits of activations, 0: as they are */
    bool weighted;
    const char *only;                         /* NULL: every role */
    const char *wide[8];                      /* roles whose inputs keep 8 bits */
    struct pare_partial_settings partial;
    double zeros, n, bits_all, codes, rate;   /* sums over matrices: for means */
};

static int weight(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    struct plan *p = user;
    const struct pare_lab_weight *m = &lab->weight[i];
    float *imp;

    if (!inside(m) || (p->only != NULL && strcmp(p->only, m->role) != 0)) return 1;
    imp = p->weighted ? squares(m) : NULL;
    if (p->how == GRID) {
        PARE_FORWARD(pare_grid_round(w, NULL, NULL, m->rows, m->cols, p->group, imp, &p->grid, diag));
    } else if (p->how == TWO_BITS) {
        for (uint64_t k = 0; k < m->rows; k++)
            for (uint64_t c = 0; c < m->cols; c += p->group)
                pare_two_bit_group(w + k * m->cols + c, m->cols - c < p->group ? (uint32_t)(m->cols - c) : p->group);
    } else if (p->how == DUAL) {
        struct pare_dual d;

        PARE_FORWARD(pare_dual_create(&d, w, m->rows, m->cols, p->group, imp, p->rounds, diag));
        pare_dual_decode(&d, w);
        p->zeros += d.zeros * (double)(m->rows * m->cols);
        p->n += (double)(m->rows * m->cols);
        pare_dual_free(&d);
    } else {
        struct pare_feedback f;
        struct pare_partial b;
        struct pare_partial_size size;

        PARE_FORWARD(pare_feedback_create(&f, m->in->xx, m->cols, &(struct pare_feedback_settings){ 0 }, r->job, diag));
        PARE_FORWARD(pare_partial_create(&b, w, m->rows, m->cols, &f, &p->partial, r->job, diag));
        PARE_FORWARD(pare_partial_pack(&b, NULL, &size, diag));
        pare_partial_decode(&b, w);
        p->n += (double)(m->rows * m->cols);
        p->codes += (double)(size.signs + size.values);
        p->rate += (double)size.mask;
        p->bits_all += (double)(size.mask + size.signs + size.values + size.scales);
        pare_partial_free(&b);
        pare_feedback_free(&f);
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

static struct pare_tally_result run(struct plan *p, const char *what)
{
    struct pare_tally_result t = rig_measure(r, &(struct pare_lab_change){ weight, input, p });

    print_message("%-44s divergence %.5f +- %.5f, perplexity %.3f (original %.3f)\n", what, t.kld, t.kld_se, t.ppl, t.ppl_base);
    return t;
}

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

#define SIX .how = GRID, .grid = { -31, 31, false }, .group = PARE_FLEXQ_GROUP
static void flexq(void **state)
{
    struct plan all = { SIX, .bits = 6 }, eight = { SIX, .bits = 8 }, mixed = { SIX, .bits = 6 };
    const char *role[16];
    uint32_t n = roles(role), n_wide = 0;
    double loss[16] = { 0 };
    bool wide[16];
    struct pare_planes p6, p8;
    struct pare_tally_result t, t6, t8;

    (void)state;
    for (uint32_t k = 0; k < n; k++) {
        struct plan one = { SIX, .bits = 6, .only = role[k] };

        loss[k] = run(&one, role[k]).kld;
    }
    pare_flexq_sensitive(loss, n, wide);
    for (uint32_t k = 0; k < n; k++)
        if (wide[k] && n_wide < 8) mixed.wide[n_wide++] = role[k];
    t6 = run(&all, "W6A6");
    t8 = run(&eight, "W6A8");
    t = run(&mixed, "W6A6, sensitive ones A8");
    for (uint32_t k = 0; k < n_wide; k++) print_message("sensitive: %s\n", mixed.wide[k]);
    assert_true(t.kld <= t6.kld && t8.kld <= t.kld);
    assert_true(t.ln_ratio <= log(1.005));
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
    struct plan rtn = { .how = TWO_BITS, .group = 64 }, zero = { .how = DUAL, .group = 64 }, dual = { .how = DUAL, .group = 64, .rounds = 4 };
    struct plan weighted = { .how = DUAL, .group = 64, .rounds = 4, .weighted = true };
    struct pare_tally_result t = run(&rtn, "two bits, round to nearest"), t0 = run(&zero, "two binaries, grid only"), td = run(&dual, "two binaries, refined");
    struct pare_tally_result tw = run(&weighted, "two binaries, refined by E[x^2]");

    (void)state;
    print_message("zero bits %.3f (grid %.3f)\n", weighted.zeros / weighted.n, zero.zeros / zero.n);
    assert_true(weighted.zeros / weighted.n > 0.5);
    assert_true(td.kld < t.kld && td.kld < t0.kld && tw.kld < t.kld && tw.ppl < t.ppl);
}

static void partial_on_text(void **state)
{
    static const double shares[] = { 0, 0.05, 0.1, 0.2, 0.3 };
    struct pare_tally_result t[5], rtn, size;
    struct plan p10 = { 0 };

    (void)state;
    for (int i = 0; i < 5; i++) {
        struct plan p = { .how = PARTIAL, .partial = { .share = shares[i] } };
        char name[80];

        snprintf(name, sizeof name, "partly binary, share %.2f", shares[i]);
        t[i] = run(&p, name);
        print_message("  bits a weight: codes %.3f, mask %.3f, in all %.3f\n", p.codes / p.n, p.rate / p.n, p.bits_all / p.n);
        if (shares[i] == 0.1) p10 = p;
        if (i > 0) assert_true(t[i].ppl < t[i - 1].ppl);
    }
    rtn = run(&(struct plan){ .how = PARTIAL, .partial = { .share = 0.1, .no_feedback = true } }, "the same mask at 0.10, round to nearest");
    size = run(&(struct plan){ .how = PARTIAL, .partial = { .share = 0.1, .by_size = true } }, "largest 0.10 instead");
    (void)size;
    assert_true(isfinite(t[2].ppl) && t[0].ppl >= 5 * t[2].ppl);
    assert_true(t[2].ppl < rtn.ppl && t[2].kld < rtn.kld);
    assert_true(p10.codes / p10.n <= 1 + 0.1 * 8);
}

static int open_rig(void **state)
{
    (void)state;
    if (getenv("PARE_ACCEPT") != NULL) rig_open(r, 256, 12, 6, true);
    else rig_open(r, 256, 12, 6, true);
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
        cmocka_unit_test(flexq), cmocka_unit_test(abq_five_levels), cmocka_unit_test(dual_on_text), cmocka_unit_test(partial_on_text),
    };

    return cmocka_run_group_tests_name("plane methods", tests, open_rig, close_rig);
}
