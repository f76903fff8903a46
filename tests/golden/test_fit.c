/* SPDX-License-Identifier: Apache-2.0
 * The main job at its neutral settings, where nothing may be lost, and the invariants of its parts: equal importance is plain
 * rounding, no injected error is no divergence, what the solver picks keeps the limits, memory is what was forecast. */
#include "fixture.h"

#include <malloc.h>
#include <math.h>
#include <pare/fit.h>

#include "base/file.h"
#include "base/rng.h"
#include "compress/plan.h"
#include "compress/rewrite.h"
#include "compress/sense.h"
#include "compress/solve.h"
#include "eval/opened.h"
#include "golden/rig.h"

static const char       DEMO[] = "data/demo-llama";
static char             KEPT[64], MADE[64], TEXT[64], PLAN[64]; /* files of this process */
static struct pare_job *job;

static int begin(void **state)
{
    struct pare_job_settings s;
    struct pare_diag         d = { 0 };
    char                    *doc = NULL;
    uint8_t                 *text;
    size_t                   n;

    (void)state;
    snprintf(KEPT, sizeof KEPT, "/tmp/pare-test-fit-%d-kept.gguf", (int)getpid());
    snprintf(MADE, sizeof MADE, "/tmp/pare-test-fit-%d-made.gguf", (int)getpid());
    snprintf(TEXT, sizeof TEXT, "/tmp/pare-test-fit-%d.txt", (int)getpid());
    snprintf(PLAN, sizeof PLAN, "/tmp/pare-test-fit-%d.json", (int)getpid());
    pare_job_settings_default(&s);
    s.n_threads = 2;
    if (pare_job_create(&job, &s, &d) < 0 || pare_convert(DEMO, KEPT, "keep", false, false, &doc, job, &d) < 0) return -1;
    pare_free(doc);
    if (pare_read_file("data/text/calibration.txt", 1 << 24, &text, &n, &d) < 0) return -1;
    if (pare_write_file(TEXT, text, n < 2300 ? n : 2300, &d) < 0) return -1; /* one window */
    pare_free(text);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pare_job_destroy(&job);
    unlink(KEPT);
    unlink(MADE);
    unlink(TEXT);
    unlink(PLAN);
    return 0;
}

static void open_targets(struct pare_opened *o, struct pare_targets *ts, const char *path, uint32_t ctx)
{
    struct pare_open_settings s = { .act_mode = PARE_ACT_F32, .kv = "f32", .ctx = ctx, .stream = true };
    struct pare_diag          d = { 0 };

    if (pare_opened_open(o, path, &s, job, &d) < 0 || pare_targets_create(ts, o->model, &d) < 0 ||
        pare_targets_candidates(ts, false, NULL, &d) < 0)
        say(&d);
}

static void close_targets(struct pare_opened *o, struct pare_targets *ts)
{
    pare_targets_free(ts);
    pare_opened_close(o);
}

static const struct pare_tensor *tensor_of(const struct pare_checkpoint *c, const char *name)
{
    for (uint64_t i = 0; i < c->n_tensors; i++)
        if (strcmp(c->tensors[i].name, name) == 0) return &c->tensors[i];
    return NULL;
}

static void logits_of(const char *path, enum pare_act_mode mode, float *y)
{
    static const int32_t ids[] = { 0, 17, 300, 4095, 8000, 12, 999, 5 };
    struct rig           r;

    rig_open(&r, path, 16, 2, 16, mode, PARE_F32);
    assert_int_equal(r.n_vocab, 8192);
    rig_forward(&r, ids, 8, true, y);
    rig_close(&r);
}

/* The plan that keeps every matrix, as one would write it by hand. */
static void keep_plan(const char *path)
{
    struct pare_checkpoint *c = NULL;
    struct pare_diag        d = { 0 };
    json_t                 *doc = json_object(), *list = json_array();
    char                   *text;

    if (pare_checkpoint_open(&c, KEPT, &d) < 0) say(&d);
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        json_t *e;
        if (c->tensors[i].n_dims != 2) continue;
        e = json_object();
        json_object_set_new(e, "tensor", json_string(c->tensors[i].name));
        json_object_set_new(e, "type", json_string(c->tensors[i].type->name));
        json_array_append_new(list, e);
    }
    json_object_set_new(doc, "plan", list);
    text = pare_json_text(doc);
    if (pare_write_file(path, text, strlen(text), &d) < 0) say(&d);
    pare_free(text);
    json_decref(doc);
    pare_checkpoint_close(&c);
}

/* A budget above the original keeps every tensor: the same bytes of weights, the same logits, bit for bit. */
static void test_neutral_budget(void **state)
{
    struct pare_fit_settings s;
    struct pare_diag         d = { 0 };
    struct pare_checkpoint  *a = NULL, *b = NULL;
    char                    *text = NULL;
    json_t                  *doc, *e;
    size_t                   i;
    float                   *ya = malloc(2 * 8 * 8192 * sizeof *ya), *yb = ya + 8 * 8192;

    (void)state;
    pare_fit_settings_default(&s);
    s.out = MADE;
    s.bpw = 64;
    s.text = TEXT;
    s.methods = "q8_0,q6_k";
    s.eval_chunks = 1;
    if (getenv("PARE_TEST_BRIEF") != NULL) { /* the search takes minutes under sanitizers; fit.sh may be run with such a build */
        keep_plan(PLAN);
        s.plan = PLAN;
    }
    if (pare_fit(KEPT, &s, &text, NULL, job, &d) < 0 || pare_json_load(&doc, text, strlen(text), "fit", &d) < 0) say(&d);
    pare_free(text);
    json_array_foreach(json_object_get(doc, "plan"), i, e) {
        assert_string_equal(json_string_value(json_object_get(e, "type")), "bf16");
        assert_true(json_number_value(json_object_get(e, "loss")) == 0);
    }
    assert_true(json_number_value(json_object_get(json_object_get(doc, "measured"), "kld_mean")) == 0);
    assert_true(json_number_value(json_object_get(json_object_get(doc, "measured"), "top1")) == 1);
    json_decref(doc);
    if (pare_checkpoint_open(&a, KEPT, &d) < 0 || pare_checkpoint_open(&b, MADE, &d) < 0) say(&d);
    assert_int_equal(a->n_tensors, b->n_tensors);
    for (i = 0; i < a->n_tensors; i++) {
        const struct pare_tensor *t = tensor_of(b, a->tensors[i].name);
        assert_non_null(t);
        assert_true(t->type == a->tensors[i].type && t->bytes == a->tensors[i].bytes);
        assert_memory_equal(t->data, a->tensors[i].data, t->bytes);
    }
    pare_checkpoint_close(&a);
    pare_checkpoint_close(&b);
    logits_of(KEPT, PARE_ACT_F32, ya);
    logits_of(MADE, PARE_ACT_F32, yb);
    assert_memory_equal(ya, yb, 8 * 8192 * sizeof *ya);
    logits_of(DEMO, PARE_ACT_F32, yb); /* the folder: queries' and keys' rows in another order, so their sums' last bits differ */
    for (i = 0; i < 8 * 8192; i++) assert_true(fabsf(ya[i] - yb[i]) < 1e-3f);
    free(ya);
}

/* A budget below the original: fewer bytes, at most what was asked for, and a divergence that is not nothing. */
static void test_real_budget(void **state)
{
    struct pare_fit_settings s;
    struct pare_diag         d = { 0 };
    struct pare_checkpoint  *c;
    char                    *text = NULL, *people = NULL;
    uint64_t                 sum = 0;
    json_t                  *doc, *m;

    (void)state;
    if (getenv("PARE_TEST_BRIEF") != NULL) skip(); /* the neutral budget goes the same way */
    pare_fit_settings_default(&s);
    s.out = MADE;
    s.bpw = 6;
    s.text = TEXT;
    s.methods = "q8_0,q4_k";
    s.eval_chunks = 1;
    if (pare_fit(DEMO, &s, &text, &people, job, &d) < 0 || pare_json_load(&doc, text, strlen(text), "fit", &d) < 0) say(&d);
    m = json_object_get(doc, "measured");
    if (pare_checkpoint_open(&c, MADE, &d) < 0) say(&d);
    for (uint64_t i = 0; i < c->n_tensors; i++) sum += c->tensors[i].bytes;
    assert_true(8.0 * (double)sum <= 6.0 * 6819072 && 8.0 * (double)sum >= 0.98 * 6.0 * 6819072);
    assert_true(fabs(json_number_value(json_object_get(m, "bpw")) - 8.0 * (double)sum / 6819072) < 1e-9);
    assert_true(json_number_value(json_object_get(m, "bytes")) == (double)c->maps[0].size);
    assert_true(json_number_value(json_object_get(m, "kld_mean")) > 0 && json_number_value(json_object_get(m, "kld_mean")) < 0.1);
    assert_non_null(strstr(people, "perplexity"));
    pare_checkpoint_close(&c);
    json_decref(doc);
    pare_free(text);
    pare_free(people);
}

/* Nothing under the final name when it fails or is stopped; errors are of the documented kind. */
static void test_failures(void **state)
{
    struct pare_fit_settings s;
    struct pare_diag         d = { 0 };
    char                    *text = NULL, *people = NULL;

    (void)state;
    unlink(MADE);
    pare_fit_settings_default(&s);
    s.text = TEXT;
    s.bpw = 4;
    assert_int_equal(pare_fit(DEMO, &s, &text, &people, job, &d), PARE_E_USAGE); /* no output */
    memset(&d, 0, sizeof d);
    s.out = MADE;
    s.bpw = 0;
    assert_int_equal(pare_fit(DEMO, &s, &text, &people, job, &d), PARE_E_USAGE); /* no budget */
    memset(&d, 0, sizeof d);
    s.bpw = 0.3;
    assert_int_equal(pare_fit(DEMO, &s, &text, &people, job, &d), PARE_E_BUDGET);
    memset(&d, 0, sizeof d);
    s.bpw = NAN;
    assert_int_equal(pare_fit(DEMO, &s, &text, &people, job, &d), PARE_E_USAGE);
    memset(&d, 0, sizeof d);
    s.bpw = 4;
    s.methods = "no_such_type";
    assert_true(pare_fit(DEMO, &s, &text, &people, job, &d) < 0);
    assert_null(text);
    assert_null(people);
    assert_true(access(MADE, F_OK) != 0);
}

/* Importance that is the same for all channels is plain rounding, byte for byte, for every type that fit may choose. */
static void test_equal_importance(void **state)
{
    struct pare_opened  o;
    struct pare_targets ts;
    struct pare_target *t;
    struct pare_diag    d = { 0 };
    enum { ROWS = 8 };
    float              *tmp, *ones;
    uint8_t            *plain, *weighted;

    (void)state;
    open_targets(&o, &ts, DEMO, 16);
    for (uint32_t at = 1; at < ts.n && at < 8; at += 6) { /* rows of 256 and of 768 */
        t = &ts.t[at];
        tmp = malloc(ROWS * t->cols * sizeof *tmp);
        ones = pare_alloc_array(t->cols, sizeof *ones);
        plain = malloc(ROWS * t->cols * 4);
        weighted = malloc(ROWS * t->cols * 4);
        for (uint64_t i = 0; i < t->cols; i++) ones[i] = 1;
        for (uint32_t c = 0; c < t->n_cand; c++) {
            uint64_t row;
            assert_true(pare_dtype_row_bytes(t->cand[c].type, t->cols, &row));
            t->importance = NULL;
            if (pare_target_encode(t, t->cand[c].type, 0, ROWS, false, plain, tmp, job, &d) < 0) say(&d);
            t->importance = ones;
            if (pare_target_encode(t, t->cand[c].type, 0, ROWS, false, weighted, tmp, job, &d) < 0) say(&d);
            if (memcmp(plain, weighted, ROWS * row) != 0) fail_msg("%s: equal weights change the bytes", t->cand[c].type->name);
        }
        free(tmp);
        free(plain);
        free(weighted);
    } /* ones belongs to the target */
    close_targets(&o, &ts);
}

/* No error injected: no divergence, exactly; and an error of known direction gives some. */
static void test_no_error_no_divergence(void **state)
{
    enum { LEN = 32, N = 2 };
    struct pare_opened  o;
    struct pare_targets ts;
    struct pare_diag    d = { 0 };
    int32_t             ids[N * LEN];
    struct pare_windows win = { ids, N, LEN };
    uint32_t            d_model, head;
    float              *base, *x;
    double              kld[3];
    struct pare_tally   tally = { 0 };

    (void)state;
    open_targets(&o, &ts, DEMO, LEN);
    d_model = pare_model_info_of(o.model)->n_embd;
    head = pare_model_info_of(o.model)->n_units - 1;
    for (int i = 0; i < N * LEN; i++) ids[i] = (int32_t)(pare_rng_u64(5, PARE_RNG_TEST, (uint64_t)i) % 8192);
    base = malloc((size_t)4 * N * LEN * d_model * sizeof *base);
    x = base + (size_t)N * LEN * d_model;
    if (pare_walk_units(&o.walk, 0, head, &win, base, NULL, &d) < 0 || pare_walk_enter(&o.walk, head, &d) < 0) say(&d);
    for (int k = 0; k < 3; k++) memcpy(x + (size_t)k * N * LEN * d_model, base, (size_t)N * LEN * d_model * sizeof *base);
    for (size_t i = 0; i < (size_t)N * LEN * d_model; i++) x[(size_t)N * LEN * d_model + i] *= 1.01f + 0.02f * (float)(i % 3);
    if (pare_head_divergence(&(struct pare_head_pair){ .w = &o.walk }, &win, base, x, 3, kld, &tally, &d) < 0) say(&d);
    assert_true(kld[0] == 0 && kld[1] > 0 && kld[2] == 0);
    assert_true(tally.n == 3 * N * LEN && tally.n_target == 3 * N * (LEN - 1));
    for (uint32_t i = 0; i < ts.n; i++) assert_true(pare_sense_loss(&ts.t[i], 0) == 0);
    pare_walk_leave(&o.walk, head);
    free(base);
    close_targets(&o, &ts);
}

/* The predicted loss: zero at zero, through the measured point, never falling. */
static void test_loss_curve(void **state)
{
    struct pare_target t = { .point_err = { 0.02, 0.08 }, .point_kld = { 0.001, 0.006 }, .n_points = 2, .bend = 1.3 };
    double             last = 0;

    (void)state;
    assert_true(pare_sense_loss(&t, 0) == 0);
    assert_true(fabs(pare_sense_loss(&t, 0.02) - 0.001) < 1e-15);
    assert_true(fabs(pare_sense_loss(&t, 0.01) - 0.0005) < 1e-15);
    assert_true(fabs(pare_sense_loss(&t, 0.08) - 0.001 * pow(4, 1.3)) < 1e-9);
    for (double e = 1e-6; e < 1; e *= 1.1) {
        assert_true(pare_sense_loss(&t, e) >= last);
        last = pare_sense_loss(&t, e);
    }
}

/* Random losses on the model's real sizes: whatever is picked keeps the limits, and no single exchange that keeps them is better. */
static void test_picks_keep_limits(void **state)
{
    struct pare_opened  o;
    struct pare_targets ts;

    (void)state;
    open_targets(&o, &ts, DEMO, 16);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct pare_option  *opt = calloc((size_t)ts.n * PARE_MAX_CANDIDATES, sizeof *opt);
        struct pare_choice  *unit = calloc(ts.n, sizeof *unit);
        struct pare_problem  p = { .unit = unit, .n_units = ts.n, .n_limits = seed % 2 ? 1 : 2, .limit_name = { "size", "ram" },
                                   .limit_unit = { "bytes", "bytes" } };
        struct pare_solution sol;
        struct pare_diag     d = { 0 };
        double               bytes = 0, resident = 0, loss = 0;
        for (uint32_t i = 0; i < ts.n; i++) {
            double weight = exp(4 * pare_rng_f64(seed, PARE_RNG_TEST, i));
            unit[i] = (struct pare_choice){ opt + (size_t)i * PARE_MAX_CANDIDATES, ts.t[i].n_cand };
            for (uint32_t c = 0; c < ts.t[i].n_cand; c++) {
                const struct pare_candidate *k = &ts.t[i].cand[c];
                double bits = 8.0 * (double)k->bytes / (double)(ts.t[i].rows * ts.t[i].cols);
                opt[(size_t)i * PARE_MAX_CANDIDATES + c] =
                    (struct pare_option){ weight * exp(-1.4 * bits) * (0.8 + 0.4 * pare_rng_f64(seed, PARE_RNG_TEST, 1000 + 50 * i + c)),
                                          { (double)k->bytes, (double)k->resident } };
            }
        }
        p.limit[0] = (2.5 + 0.4 * (double)seed) / 8 * (double)ts.params;
        p.limit[1] = p.limit[0] * 1.15;
        if (pare_solve(&sol, &p, &d) < 0) say(&d);
        for (uint32_t i = 0; i < ts.n; i++) {
            bytes += (double)ts.t[i].cand[sol.pick[i]].bytes;
            resident += (double)ts.t[i].cand[sol.pick[i]].resident;
            loss += unit[i].option[sol.pick[i]].loss;
        }
        assert_true(bytes <= p.limit[0] && (p.n_limits == 1 || resident <= p.limit[1]));
        assert_true(fabs(loss / sol.loss - 1) < 1e-12 && sol.bound <= sol.loss * (1 + 1e-12));
        for (uint32_t i = 0; i < ts.n; i++)
            for (uint32_t c = 0; c < ts.t[i].n_cand; c++) {
                const struct pare_option *was = &unit[i].option[sol.pick[i]], *to = &unit[i].option[c];
                bool fits = bytes - was->weight[0] + to->weight[0] <= p.limit[0] &&
                            (p.n_limits == 1 || resident - was->weight[1] + to->weight[1] <= p.limit[1]);
                assert_false(fits && to->loss < was->loss * (1 - 1e-9));
            }
        pare_free(sol.pick);
        free(opt);
        free(unit);
    }
    close_targets(&o, &ts);
}

#ifndef __SANITIZE_ADDRESS__
/* Bytes in use: the address space but for what the heap holds free. */
static uint64_t in_use(void)
{
    unsigned long long pages = 0;
    struct mallinfo2   heap = mallinfo2();
    FILE              *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fscanf(f, "%llu", &pages) != 1) pages = 0;
    if (f != NULL) fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) - heap.fordblks;
}
#endif

/* The forecast of a walk's memory against what the process has in use more when it is made. */
static void test_memory_forecast(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    (void)state;
    skip(); /* the sanitizer's own memory hides ours */
#else
    struct pare_checkpoint   *c;
    struct pare_model        *m;
    struct pare_model_options o = { .act_mode = PARE_ACT_F32, .no_weights = true };
    struct pare_diag          d = { 0 };

    (void)state;
    if (pare_checkpoint_open(&c, DEMO, &d) < 0 || pare_model_create(&m, c, &o, job, &d) < 0) say(&d);
    for (uint32_t len = 128; len <= 1024; len *= 2) {
        static const enum pare_type kv[] = { PARE_F32, PARE_F16, PARE_Q8_0 };
        for (int k = 0; k < 3; k++) {
            uint64_t         want = pare_walk_bytes(m, len, kv[k], pare_job_threads(job)), before = in_use(), got;
            struct pare_walk w;
            if (pare_walk_create(&w, m, len, kv[k], false, job, &d) < 0) say(&d);
            got = in_use() - before;
            print_message("%u rows, cache %s: forecast %llu kB, taken %llu kB\n", len, pare_dtype_of(kv[k])->name,
                          (unsigned long long)(want >> 10), (unsigned long long)(got >> 10));
            assert_true(before > 0 && got <= want + want / 100 + (32u << 10) && want <= got + got / 100 + (32u << 10));
            pare_walk_free(&w);
        }
    }
    pare_model_destroy(&m);
    pare_checkpoint_close(&c);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neutral_budget),   cmocka_unit_test(test_real_budget),          cmocka_unit_test(test_failures),
        cmocka_unit_test(test_equal_importance), cmocka_unit_test(test_no_error_no_divergence), cmocka_unit_test(test_loss_curve),
        cmocka_unit_test(test_picks_keep_limits), cmocka_unit_test(test_memory_forecast),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
