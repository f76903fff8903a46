/* SPDX-License-Identifier: Apache-2.0
 * Types without data: made-up inputs against the norms they come from, the plan against brute force, and on the demo model against the
 * uniform type of the same cost. Bytes stand for seconds: what is timed is no test. */
#include "lab_rig.h"

#include <math.h>

#include "base/mem.h"
#include "compress/ohq.h"

struct rounding {
    const struct pare_targets *ts;
    const uint32_t            *pick;
};

static const struct pare_target *target_of(const struct pare_targets *ts, const struct pare_slot *s, uint32_t *k)
{
    for (*k = 0; *k < ts->n; ++*k)
        if (ts->t[*k].slot == s) return &ts->t[*k];
    return NULL;
}

static int round_one(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    struct rounding              *c = user;
    const struct pare_lab_weight *l = &lab->weight[i];
    uint32_t                      k;
    const struct pare_target     *t = target_of(c->ts, l->slot, &k);
    const struct pare_dtype      *type;
    uint8_t                      *code;

    (void)diag;
    if (t == NULL || (type = t->cand[c->pick[k]].type)->encode == NULL || type == l->slot->weight.type) return 1;
    code = malloc(l->cols * 8 + 1024);
    for (uint64_t r = 0; r < l->rows; r++) {
        type->encode(code, w + r * l->cols, l->cols, t->importance);
        type->decode(w + r * l->cols, code, l->cols);
    }
    free(code);
    return 0;
}

static uint64_t bytes_of(const struct pare_targets *ts, const uint32_t *pick)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < ts->n; i++)
        if (ts->t[i].multiplied) sum += ts->t[i].cand[pick[i]].bytes;
    return sum;
}

static void all_of(const struct pare_targets *ts, const char *name, uint32_t *pick)
{
    for (uint32_t i = 0; i < ts->n; i++) {
        pick[i] = 0;
        for (uint32_t c = 0; c < ts->t[i].n_cand; c++)
            if (strcmp(ts->t[i].cand[c].type->name, name) == 0 || (!ts->t[i].multiplied && ts->t[i].cand[c].type == ts->t[i].slot->weight.type)) pick[i] = c;
    }
}

static void check_inputs(struct rig *r, const struct pare_targets *ts)
{
    for (uint32_t i = 0; i < ts->n; i++) {
        const struct pare_target *t = &ts->t[i];
        struct pare_unit         *u = pare_model_unit(r->o.model, t->unit);
        double                    mean = 0, sum = 0;

        if (!t->multiplied) continue;
        for (uint64_t c = 0; c < t->cols; c++) {
            assert_true(t->importance[c] > 0 && isfinite(t->importance[c]));
            sum += t->importance[c];
        }
        assert_true(fabs(sum / (double)t->cols - 1) < 0.01);
        if (strcmp(t->slot->role, "attn_q") != 0) continue;
        for (uint32_t s = 0; s < u->n_slots; s++)
            if (strcmp(u->slot[s].role, "attn_norm") == 0) { /* white noise through a norm: its weights squared */
                float w[4096];
                RIG_OK(pare_slot_rows(&u->slot[s], 0, 1, w, &r->diag));
                for (uint64_t c = 0; c < t->cols; c++) mean += (double)w[c] * w[c] / (double)t->cols;
                for (uint64_t c = 0; c < t->cols; c++) assert_true(fabs(t->importance[c] - fmax(1e-3, w[c] * w[c] / mean)) < 1e-4 * (1 + t->importance[c]));
            }
    }
}

/* Eight matrices, five types: all 5^8 plans. */
static void check_brute_force(struct pare_targets *ts, double share)
{
    struct pare_targets few = { .t = ts->t, .n = 0 };
    uint32_t            pick[16], first = 0, count = 0, k[8] = { 0 };
    double              best = INFINITY, loss, limit = 0;
    struct pare_diag    d = { 0 };

    while (first < ts->n && !ts->t[first].multiplied) first++;
    few.t = ts->t + first;
    few.n = 8;
    for (uint32_t i = 0; i < 8; i++) limit += share * few.t[i].cand[0].decode_s;
    for (;;) {
        double s = 0, l = 0;
        uint32_t i = 0;

        for (uint32_t j = 0; j < 8; j++) {
            s += few.t[j].cand[k[j]].decode_s;
            l += few.t[j].cand[k[j]].loss;
        }
        if (s <= limit && l < best) best = l;
        count++;
        while (i < 8 && ++k[i] == few.t[i].n_cand) k[i++] = 0;
        if (i == 8) break;
    }
    assert_true(count > 1000);
    if (isinf(best)) {
        assert_int_equal(pare_ohq_plan(&few, limit, 0, pick, &loss, &d), PARE_E_BUDGET);
        return;
    }
    assert_int_equal(pare_ohq_plan(&few, limit, 0, pick, &loss, &d), PARE_OK);
    assert_true(fabs(loss - best) <= 1e-12 * best);
}

static void without_data(void **state)
{
    struct rig          rig, *r = &rig;
    struct pare_targets ts;
    static const char *const uniform[] = { "q3_k", "q4_k" };
    uint32_t           *flat, *plan;

    (void)state;
    rig_open(r, 256, 1, 4, false);
    RIG_OK(pare_targets_create(&ts, r->o.model, &r->diag));
    RIG_OK(pare_targets_candidates(&ts, true, "q2_k,q3_k,q4_k,q5_k,q6_k", &r->diag));
    RIG_OK(pare_ohq_sense(&ts, &r->o.walk, 1, &r->diag));
    check_inputs(r, &ts);
    for (uint32_t i = 0; i < ts.n; i++)
        for (uint32_t c = 0; c < ts.t[i].n_cand; c++) ts.t[i].cand[c].decode_s = (double)ts.t[i].cand[c].bytes;
    check_brute_force(&ts, 0.2);
    check_brute_force(&ts, 0.3);
    check_brute_force(&ts, 0.01);
    flat = calloc(ts.n, sizeof *flat);
    plan = calloc(ts.n, sizeof *plan);
    for (int k = 0; k < 2; k++) {
        struct rounding          a = { &ts, flat }, b = { &ts, plan };
        struct pare_lab_change   ca = { .weight = round_one, .user = &a }, cb = { .weight = round_one, .user = &b };
        struct pare_tally_result ta, tb;
        double                   loss;

        all_of(&ts, uniform[k], flat);
        RIG_OK(pare_ohq_plan(&ts, (double)bytes_of(&ts, flat), 0, plan, &loss, &r->diag));
        assert_true(bytes_of(&ts, plan) <= bytes_of(&ts, flat));
        ta = rig_measure(r, &ca);
        tb = rig_measure(r, &cb);
        print_message("%s, bytes of %s: uniform divergence %.5f +- %.5f, by made-up inputs %.5f +- %.5f\n", r->model, uniform[k], ta.kld, ta.kld_se, tb.kld, tb.kld_se);
        assert_true(tb.kld < ta.kld);
    }
    free(flat);
    free(plan);
    pare_targets_free(&ts);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(without_data) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
