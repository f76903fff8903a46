/* SPDX-License-Identifier: Apache-2.0
 * Acceptance of the methods that live on exact rewrites: awq, smoothquant, rotation. Baselines are
 * measured in the same run; the figures printed here stand in the registry. */
#include "fold_rig.h"

/* --- awq ------------------------------------------------------------------------------------------------------------------------- */

static void awq(void **state)
{
    (void)state;
    for (uint32_t bits = 4; bits >= 3; bits--) {
        struct pare_grid         g = { .bits = bits, .group = 128, .zero = true };
        struct pare_awq_settings s = { .round = pare_grid_round, .ctx = &g, .module = bits == 4, .tokens = 128 };
        struct pare_awq_report   rep;
        struct pare_tally_result rtn = measure((struct scheme){ .w = &g }), clipped;
        double                   change;

        if (bits == 4) { /* one exponent: nothing is done */
            s.grid = 1;
            NEED(pare_fold_awq(folds, r->lab.w, &r->calib, &s, &rep, &d));
            assert_int_equal(rep.scaled, 0);
            assert_true(refold() == 0);
            s.grid = 0;
        }
        NEED(pare_fold_awq(folds, r->lab.w, &r->calib, &s, &rep, &d));
        change = refold();
        assert_true(rep.scaled > 0 && change > 0 && change < 1e-4);
        assert_true(rep.loss <= rep.loss_plain);
        NEED(pare_lab_calibrate(&r->lab, true, &d));
        clipped = measure((struct scheme){ .w = &g, .clip = true });
        print_message("awq %u bits: %u of %u sites scaled, loss %.3f, logits %.1e; divergence %.4f -> %.4f; ppl %.1f -> %.1f (%.1f)\n", bits,
                      rep.scaled, rep.sites, rep.loss / rep.loss_plain, change, rtn.kld, clipped.kld, rtn.ppl, clipped.ppl, rtn.ppl_base);
        assert_true(clipped.kld < rtn.kld && clipped.ppl < rtn.ppl);
        unfold();
    }
}

/* Where some channels are far larger, scales alone do it. The loss of the readers themselves, on every fourth row. */
static void awq_outliers(void **state)
{
    struct pare_grid         g = { .bits = 4, .group = 128, .zero = true };
    struct pare_awq_settings s = { .round = pare_grid_round, .ctx = &g, .max_rows = 64 };
    struct pare_awq_report   rep;
    struct pare_tally_result rtn, scaled;

    (void)state;
    add_outliers(30);
    refold();
    rtn = measure((struct scheme){ .w = &g });
    NEED(pare_fold_awq(folds, r->lab.w, &r->calib, &s, &rep, &d));
    assert_true(refold() < 1e-4);
    scaled = measure((struct scheme){ .w = &g });
    print_message("awq 4 bits, outliers: %u of %u scaled, loss %.3f; divergence %.4f -> %.4f; ppl %.1f -> %.1f (%.1f)\n", rep.scaled, rep.sites,
                  rep.loss / rep.loss_plain, rtn.kld, scaled.kld, rtn.ppl, scaled.ppl, rtn.ppl_base);
    assert_true(scaled.kld < 0.5 * rtn.kld && scaled.ppl < rtn.ppl);
    unfold();
}

static void smoothquant(void **state)
{
    struct pare_grid w8 = { .bits = 8 }, a8 = { .bits = 8 };

    (void)state;
    for (int hard = 0; hard < 2; hard++) {
        struct pare_tally_result rtn, smooth;

        if (hard) add_outliers(30);
        assert_true(refold() < 1e-4);
        rtn = measure((struct scheme){ &w8, &a8, false });
        NEED(pare_fold_smooth(folds, r->lab.w, &r->calib, 0.5, &d));
        assert_true(refold() < 1e-4);
        smooth = measure((struct scheme){ &w8, &a8, false });
        print_message("smoothquant%s: divergence %.6f -> %.6f, ppl %.3f -> %.3f (%.3f)\n", hard ? ", outliers" : "", rtn.kld, smooth.kld,
                      rtn.ppl, smooth.ppl, rtn.ppl_base);
        if (hard) assert_true(smooth.kld < 0.1 * rtn.kld);
        assert_true(smooth.ppl < 1.02 * smooth.ppl_base);
        unfold();
    }
}

/* Inputs of down projections are turned at run time, what is folded into the matrix. */
static struct pare_rotation online;
static bool turn_and_round(void *user, const struct pare_lab *lab, uint32_t i, float *x, uint64_t ldx, uint32_t n)
{
    static double tmp[1u << 16];

    if (in_layer(i) && n != 0 && strcmp(lab->weight[i].role, "ffn_down") == 0)
        pare_rotate_rows(&online, x, ldx, n, lab->weight[i].cols, tmp);
    return round_input(user, lab, i, x, ldx, n);
}

static struct pare_tally_result turned_down(struct scheme q)
{
    for (uint32_t i = 0; i < sites.n; i++) {
        if (sites.site[i].kind != PARE_SITE_HIDDEN) continue;
        if (online.n == 0) NEED(pare_rotation_hadamard(&online, sites.site[i].width, 0, 9, &d));
        NEED(pare_fold_online(folds, sites.site[i].to[0], &online, &d));
    }
    NEED(pare_fold_reload(r->lab.m, r->job, &d));
    return rig_measure(r, &(struct pare_lab_change){ round_weight, turn_and_round, &q });
}

static void rotation(void **state)
{
    struct pare_grid w4 = { .bits = 4 }, a4 = { .bits = 4, .clip = 0.9f };
    struct scheme    q = { &w4, &a4, false };

    (void)state;
    for (int hard = 0; hard < 2; hard++) {
        struct pare_tally_result none, turned, whole;
        double                   change;

        if (hard) add_outliers(30);
        refold();
        none = measure(q);
        NEED(pare_fold_rotate(folds, &(struct pare_rotate_settings){ .seed = 1, .residual = true, .values = true, .random = hard }, &d));
        change = refold();
        assert_true(change < 1e-4);
        turned = measure(q);
        whole = turned_down(q);
        print_message("rotation W4A4%s: divergence %.4f -> %.4f, with down %.4f; ppl %.2f -> %.2f, %.2f (%.2f); logits %.1e\n",
                      hard ? ", outliers" : "", none.kld, turned.kld, whole.kld, none.ppl, turned.ppl, whole.ppl, none.ppl_base, change);
        unfold();
        assert_true(whole.kld < none.kld && whole.ppl < none.ppl);
        if (hard) assert_true(turned.kld < none.kld && turned.ppl < none.ppl);
    }
    pare_rotation_free(&online);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(awq), cmocka_unit_test(awq_outliers), cmocka_unit_test(smoothquant), cmocka_unit_test(rotation) };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
