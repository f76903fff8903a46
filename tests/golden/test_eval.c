/* SPDX-License-Identifier: Apache-2.0
 * Perplexity against PyTorch's (goldens README), and what must hold of every evaluation: nothing is lost against itself, the
 * document does not depend on threads or tier, parts add up to the whole, a window's score is the textbook's. */
#include "fixture.h"

#include <math.h>
#include <pare/eval.h>
#include <pare/fit.h>

#include "base/file.h"
#include "eval/texts.h"
#include "golden/rig.h"

static const char DEMO[] = "data/demo-llama";

static json_t *eval_at(const char *model, const struct pare_eval_settings *s, uint32_t threads, int tier)
{
    struct pare_job_settings js;
    struct pare_job         *job;
    struct pare_diag         d = { 0 };
    char                    *text = NULL;
    json_t                  *doc = NULL;

    pare_job_settings_default(&js);
    js.n_threads = threads;
    js.max_tier = tier;
    if (pare_job_create(&job, &js, &d) < 0 || pare_eval(model, s, &text, job, &d) < 0 ||
        pare_json_load(&doc, text, strlen(text), "evaluation", &d) < 0)
        say(&d);
    pare_free(text);
    pare_job_destroy(&job);
    return doc;
}

static json_t *eval(const char *model, const struct pare_eval_settings *s) { return eval_at(model, s, 0, -1); }

static double real(const json_t *doc, const char *key)
{
    const json_t *v = json_object_get(doc, key);

    if (!json_is_number(v)) fail_msg("no number \"%s\"", key);
    return json_number_value(v);
}

static struct pare_eval_settings small(uint32_t ctx, uint32_t chunks)
{
    struct pare_eval_settings s;

    pare_eval_settings_default(&s);
    s.ctx = ctx;
    s.chunks = chunks;
    s.bos = true;
    return s;
}

static void check_golden(const char *model, const struct pare_eval_settings *s, const char *golden)
{
    struct pare_diag d = { 0 };
    json_t          *want, *got;

    if (pare_json_load_file(&want, golden, 1 << 16, &d) < 0) say(&d);
    got = eval(model, s);
    print_message("perplexity %.6f, PyTorch's %.6f\n", real(got, "ppl"), real(want, "ppl"));
    assert_true(real(got, "tokens") == real(want, "tokens_scored"));
    assert_true(fabs(real(got, "ppl") / real(want, "ppl") - 1) < 1e-3);
    assert_true(fabs(real(got, "nll") - real(want, "nll_nats")) < 1e-3);
    json_decref(want);
    json_decref(got);
}

static void test_demo_golden(void **state)
{
    char                      text[1024], golden[1024];
    const char               *t = fixture(text, "data/text/heldout.txt"), *g = fixture(golden, "goldens/demo-llama/ppl.json");
    struct pare_eval_settings s = small(512, 64);

    (void)state;
    NEED_FIXTURE(t);
    NEED_FIXTURE(g);
    if (getenv("PARE_TEST_BRIEF") != NULL) skip(); /* half a minute under sanitizers; the small cases run the same code */
    s.text = t;
    check_golden(DEMO, &s, g);
}

/* Takes a minute. The golden was made with universal newlines, the file has CR LF. */
static void test_smollm2_golden(void **state)
{
    char                      text[1024], golden[1024], model[1024], lf[64];
    const char               *t = fixture(text, "data/text/wikitext2/wiki.test.raw");
    const char               *g = fixture(golden, "goldens/smollm2-135m-instruct/ppl.json");
    const char               *m = fixture(model, "models/smollm2-135m-instruct/model.gguf");
    struct pare_eval_settings s = small(512, 40);
    struct pare_diag          d = { 0 };
    uint8_t                  *data;
    size_t                    n, k = 0;

    (void)state;
    NEED_FIXTURE(t);
    NEED_FIXTURE(g);
    NEED_FIXTURE(m);
    if (getenv("PARE_TEST_BRIEF") != NULL) skip(); /* minutes under sanitizers; the small cases run the same code */
    snprintf(lf, sizeof lf, "/tmp/pare-test-eval-%d.txt", (int)getpid());
    if (pare_read_file(t, 1 << 26, &data, &n, &d) < 0) say(&d);
    for (size_t i = 0; i < n; i++)
        if (data[i] != '\r') data[k++] = data[i];
    if (pare_write_file(lf, data, k, &d) < 0) say(&d);
    pare_free(data);
    s.bos = false;
    s.text = lf;
    s.f32_activations = true; /* PyTorch computes with the dequantized weights */
    check_golden(m, &s, g);
    unlink(lf);
}

static void test_against_itself(void **state)
{
    struct pare_eval_settings s = small(128, 3);
    json_t                   *doc;

    (void)state;
    s.base = DEMO;
    doc = eval(DEMO, &s);
    assert_true(real(doc, "kld_mean") == 0 && real(doc, "kld_max") == 0 && real(doc, "kld_p999") == 0 && real(doc, "kld_se") == 0);
    assert_true(real(doc, "top1") == 1 && real(doc, "top1_se") == 0);
    assert_true(real(doc, "ln_ppl_ratio") == 0 && real(doc, "ln_ppl_ratio_se") == 0);
    assert_true(real(doc, "ppl") == real(doc, "ppl_base"));
    json_decref(doc);
}

static void test_threads_and_tiers(void **state)
{
    struct pare_eval_settings s = small(48, 2);
    json_t                   *one = eval_at(DEMO, &s, 1, -1);

    (void)state;
    for (int k = 0; k < 4; k++) {
        static const struct { uint32_t threads; int tier; } at[] = { { 2, -1 }, { 5, -1 }, { 2, PARE_TIER_AVX2 }, { 2, PARE_TIER_BASE } };
        json_t *other;

        if (k == 3 && getenv("PARE_TEST_BRIEF") != NULL) break;
        other = eval_at(DEMO, &s, at[k].threads, at[k].tier);
        assert_true(json_equal(one, other));
        json_decref(other);
    }
    json_decref(one);
}

/* Five windows at once, and two with the other three. */
static void test_parts(void **state)
{
    struct pare_eval_settings s = small(64, 5);
    json_t                   *all = eval(DEMO, &s), *first, *rest;
    double                    n, sum;

    (void)state;
    s.chunks = 2;
    first = eval(DEMO, &s);
    s.skip_chunks = 2;
    s.chunks = 3;
    rest = eval(DEMO, &s);
    n = real(first, "tokens") + real(rest, "tokens");
    sum = real(first, "nll") * real(first, "tokens") + real(rest, "nll") * real(rest, "tokens");
    assert_true(real(all, "tokens") == 5 * 63 && n == 5 * 63 && real(first, "tokens") == 2 * 63);
    assert_true(fabs(sum / n - real(all, "nll")) < 1e-12);
    assert_true(fabs(exp(real(all, "nll")) / real(all, "ppl") - 1) < 1e-12);
    assert_true(fabs(real(all, "ppl_se") / (real(all, "ppl") * real(all, "nll_se")) - 1) < 1e-9);
    json_decref(all);
    json_decref(first);
    json_decref(rest);
}

/* The windows scored from the model's logits by the definition, whole and second half. */
static void test_by_definition(void **state)
{
    enum { CTX = 64, WINDOWS = 2 };
    struct pare_eval_settings s = small(CTX, WINDOWS);
    struct pare_text_settings ts = { CTX, true, 0, WINDOWS, false };
    struct pare_tokenizer    *tok;
    struct pare_windows       win;
    struct pare_diag          d = { 0 };
    struct rig                r;
    double                    whole = 0, half = 0;
    size_t                    n;
    const char               *text = pare_text_proof(&n);
    float                    *y;
    json_t                   *doc;

    (void)state;
    rig_open(&r, DEMO, CTX, 2, CTX, PARE_ACT_F32, PARE_F32);
    if (pare_tokenizer_from_checkpoint(&tok, r.ckpt, &d) < 0 || pare_text_windows(&win, tok, text, n, &ts, NULL, &d) < 0) say(&d);
    assert_int_equal(win.n, WINDOWS);
    y = malloc((size_t)CTX * r.n_vocab * sizeof *y);
    for (uint32_t w = 0; w < WINDOWS; w++) {
        const int32_t *ids = win.ids + (size_t)w * CTX;
        assert_int_equal(ids[0], pare_tokenizer_bos(tok));
        rig_reset(&r);
        rig_forward(&r, ids, CTX, true, y);
        for (uint32_t p = 0; p + 1 < CTX; p++) {
            double sum = 0, nll;
            for (uint32_t i = 0; i < r.n_vocab; i++) sum += exp((double)y[(size_t)p * r.n_vocab + i]);
            nll = log(sum) - (double)y[(size_t)p * r.n_vocab + (uint32_t)ids[p + 1]];
            whole += nll;
            if (p >= CTX / 2) half += nll;
        }
    }
    doc = eval(DEMO, &s);
    assert_true(real(doc, "tokens") == WINDOWS * (CTX - 1));
    assert_true(fabs(real(doc, "nll") - whole / (WINDOWS * (CTX - 1))) < 1e-6);
    json_decref(doc);
    s.score_half = true; /* as llama.cpp's tool: logits of positions ctx / 2 .. ctx - 2 */
    doc = eval(DEMO, &s);
    assert_true(real(doc, "tokens") == WINDOWS * (CTX - 1 - CTX / 2));
    assert_true(fabs(real(doc, "nll") - half / (WINDOWS * (CTX - 1 - CTX / 2))) < 1e-6);
    json_decref(doc);
    free(y);
    pare_free(win.ids);
    pare_tokenizer_close(&tok);
    rig_close(&r);
}

/* A rounded model: some divergence, and the way of multiplying changes little of it. */
static void test_rounded(void **state)
{
    struct pare_eval_settings s = small(128, 3);
    struct pare_job_settings  js;
    struct pare_job          *job;
    struct pare_diag          d = { 0 };
    char                      out[64], *doc = NULL;
    json_t                   *fast, *exact;

    (void)state;
    snprintf(out, sizeof out, "/tmp/pare-test-eval-%d.gguf", (int)getpid());
    pare_job_settings_default(&js);
    if (pare_job_create(&job, &js, &d) < 0 || pare_convert(DEMO, out, "q4_0", false, false, &doc, job, &d) < 0) say(&d);
    pare_free(doc);
    pare_job_destroy(&job);
    s.base = DEMO;
    fast = eval(out, &s);
    s.f32_activations = true;
    exact = eval(out, &s);
    assert_true(real(fast, "kld_mean") > 1e-3 && real(exact, "kld_mean") > 1e-3 && real(fast, "kld_mean") < 0.5);
    assert_true(fabs(real(fast, "kld_mean") / real(exact, "kld_mean") - 1) < 0.2);
    assert_true(real(fast, "top1") < 1 && real(fast, "top1") > 0.5);
    assert_true(real(fast, "kld_max") >= real(fast, "kld_p999") && real(fast, "kld_p999") >= real(fast, "kld_mean"));
    assert_true(fabs(log(real(fast, "ppl") / real(fast, "ppl_base")) - real(fast, "ln_ppl_ratio")) < 1e-9);
    assert_true(real(fast, "ln_ppl_ratio_se") < real(fast, "nll_se")); /* paired */
    json_decref(fast);
    json_decref(exact);
    unlink(out);
}

static void test_refused(void **state)
{
    struct pare_job_settings  js;
    struct pare_job          *job;
    struct pare_diag          d = { 0 };
    struct pare_eval_settings s = small(64, 1);
    char                     *doc = NULL;

    (void)state;
    pare_job_settings_default(&js);
    if (pare_job_create(&job, &js, &d) < 0) say(&d);
    s.text = "tests/fixture.h-is-not-there";
    assert_int_equal(pare_eval(DEMO, &s, &doc, job, &d), PARE_E_IO);
    assert_null(doc);
    memset(&d, 0, sizeof d);
    s = small(64, 1);
    s.skip_chunks = 1000000;
    assert_int_equal(pare_eval(DEMO, &s, &doc, job, &d), PARE_E_USAGE);
    memset(&d, 0, sizeof d);
    s = small(64, 1);
    s.base = "data/text";
    assert_true(pare_eval(DEMO, &s, &doc, job, &d) < 0);
    assert_null(doc);
    memset(&d, 0, sizeof d);
    s = small(64, 1);
    s.kv = "q3_x";
    assert_int_equal(pare_eval(DEMO, &s, &doc, job, &d), PARE_E_USAGE);
    memset(&d, 0, sizeof d);
    s = small(64, 1);
    pare_job_cancel(job);
    assert_int_equal(pare_eval(DEMO, &s, &doc, job, &d), PARE_E_CANCELLED);
    pare_job_destroy(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demo_golden),   cmocka_unit_test(test_smollm2_golden), cmocka_unit_test(test_against_itself),
        cmocka_unit_test(test_threads_and_tiers), cmocka_unit_test(test_parts),      cmocka_unit_test(test_by_definition),
        cmocka_unit_test(test_rounded),       cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
