/* SPDX-License-Identifier: Apache-2.0
 * The public way from text to text: prompts and greedy continuations of the goldens, stop strings, limits, seeds. */
#include "fixture.h"

#include <pare/generate.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

static struct pare_job *job;
static struct pare_llm *llm;

static int open_all(void **state)
{
    struct pare_job_settings js;
    struct pare_llm_settings s;
    struct pare_diag         d = { 0 };

    (void)state;
    pare_job_settings_default(&js);
    js.n_threads = 2;
    pare_llm_settings_default(&s);
    s.n_ctx = 256;
    if (pare_job_create(&job, &js, &d) < 0 || pare_llm_open(&llm, "data/demo-llama", &s, job, &d) < 0) {
        print_error("%s: %s\n", d.where, d.text);
        return -1;
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    pare_llm_close(&llm);
    pare_job_destroy(&job);
    return 0;
}

static json_t *line_of(const char *path, int n)
{
    uint8_t *text;
    size_t   len;
    json_t  *j = NULL;

    assert_int_equal(pare_read_file(path, 1 << 20, &text, &len, NULL), 0);
    for (char *p = (char *)text; n >= 0; n--) {
        char *end = strchr(p, '\n');

        assert_non_null(end);
        if (n == 0) assert_int_equal(pare_json_load(&j, p, (size_t)(end - p), path, NULL), 0);
        p = end + 1;
    }
    pare_free(text);
    return j;
}

struct seen { char text[4000]; uint32_t pieces, stop_at; };
static bool on_text(void *user, const char *t, size_t n)
{
    struct seen *s = user;

    strncat(s->text, t, n);
    return s->stop_at == 0 || ++s->pieces < s->stop_at;
}

/* Prompt 1 has a bos in front of its ids, added by default, and a continuation without ties for its first steps. */
static void test_goldens(void **state)
{
    (void)state;
    for (int p = 0; p < 4; p++) {
        json_t                       *prompt = line_of("tests/golden/demo-llama/prompts.jsonl", p), *greedy = line_of("tests/golden/demo-llama/greedy.jsonl", p);
        json_t                       *ids = json_object_get(prompt, "ids"), *want = json_object_get(greedy, "ids"), *ties = json_object_get(greedy, "ties");
        const char                   *text = json_string_value(json_object_get(prompt, "text"));
        struct pare_generate_settings s;
        struct pare_generated         g;
        struct pare_diag              d = { 0 };
        struct seen                   seen = { "", 0, 0 };
        size_t                        steps = json_array_size(ties) != 0 ? (size_t)json_integer_value(json_array_get(ties, 0)) : 64;

        pare_generate_settings_default(&s);
        s.max_tokens = 64;
        s.ignore_eog = true;
        s.on_text = on_text;
        s.user = &seen;
        if (pare_generate(llm, text, strlen(text), NULL, 0, &s, &g, &d) < 0) fail_msg("%s", d.text);
        assert_int_equal(g.prompt_ids.n, json_array_size(ids));
        for (size_t i = 0; i < g.prompt_ids.n; i++) assert_int_equal(g.prompt_ids.ids[i], json_integer_value(json_array_get(ids, i)));
        assert_int_equal(g.ids.n, 64);
        assert_int_equal(g.finish, PARE_FINISH_LENGTH);
        for (size_t i = 0; i < steps; i++) assert_int_equal(g.ids.ids[i], json_integer_value(json_array_get(want, i)));
        assert_string_equal(seen.text, g.text);
        assert_int_equal(strlen(g.text), g.text_len);
        assert_true(g.prefill_tps > 0 && g.decode_tps > 0 && g.load_s > 0 && g.peak_rss > 1 << 20);
        {
            char   *text_json = pare_generated_json(&g);
            json_t *j = NULL;

            assert_int_equal(pare_json_load(&j, text_json, strlen(text_json), "generated", NULL), 0);
            assert_string_equal(json_string_value(json_object_get(j, "text")), g.text);
            assert_int_equal(json_array_size(json_object_get(j, "ids")), 64);
            assert_string_equal(json_string_value(json_object_get(j, "finish_reason")), "length");
            assert_true(json_is_number(json_object_get(json_object_get(j, "timings"), "decode_tps")));
            json_decref(j);
            pare_free(text_json);
        }
        pare_generated_free(&g);
        json_decref(prompt);
        json_decref(greedy);
    }
}

static void run(const struct pare_generate_settings *s, struct pare_generated *g)
{
    struct pare_diag d = { 0 };

    if (pare_generate(llm, "The Prime Minister says", 23, NULL, 0, s, g, &d) < 0) fail_msg("%s", d.text);
}

static void test_stops_and_callbacks(void **state)
{
    struct pare_generate_settings s;
    struct pare_generated         whole, g;
    struct seen                   seen = { "", 0, 0 };
    char                          word[8] = "";
    const char                   *stop[1] = { word };
    size_t                        at;

    (void)state;
    pare_generate_settings_default(&s);
    s.max_tokens = 30;
    run(&s, &whole);
    assert_true(whole.text_len > 30);
    /* a stop string out of the middle of what is known to come: the text ends before its first occurrence */
    memcpy(word, whole.text + 20, 4);
    at = (size_t)(strstr(whole.text, word) - whole.text);
    s.stop = stop;
    s.n_stop = 1;
    s.on_text = on_text;
    s.user = &seen;
    run(&s, &g);
    assert_int_equal(g.finish, PARE_FINISH_STOP);
    assert_int_equal(g.text_len, at);
    assert_memory_equal(g.text, whole.text, at);
    assert_string_equal(seen.text, g.text);
    pare_generated_free(&g);
    s.n_stop = 0;
    memset(&seen, 0, sizeof seen);
    seen.stop_at = 3;
    run(&s, &g);
    assert_int_equal(g.finish, PARE_FINISH_CALLER);
    assert_true(g.ids.n < whole.ids.n);
    pare_generated_free(&g);
    pare_generated_free(&whole);
}

static void test_seeds_and_limits(void **state)
{
    struct pare_generate_settings s;
    struct pare_generated         a, b;
    struct pare_diag              d = { 0 };
    int32_t                       ids[300] = { 0 };
    float                         one[4];

    (void)state;
    pare_generate_settings_default(&s);
    s.sampling.temperature = 1;
    s.sampling.top_p = 0.9f;
    s.sampling.seed = 5;
    s.max_tokens = 24;
    s.ignore_eog = true;
    run(&s, &a);
    run(&s, &b);
    assert_int_equal(a.ids.n, b.ids.n);
    assert_memory_equal(a.ids.ids, b.ids.ids, a.ids.n * sizeof *a.ids.ids);
    pare_generated_free(&b);
    s.sampling.seed = 6;
    run(&s, &b);
    assert_true(memcmp(a.ids.ids, b.ids.ids, a.ids.n * sizeof *a.ids.ids) != 0);
    pare_generated_free(&a);
    pare_generated_free(&b);
    assert_int_equal(pare_generate(llm, NULL, 0, ids, 300, &s, &a, &d), PARE_E_LIMIT);
    pare_generated_free(&a);
    pare_diag_clear(&d);
    assert_int_equal(pare_generate(llm, NULL, 0, ids, 0, &s, &a, &d), PARE_E_USAGE);
    pare_generated_free(&a);
    pare_diag_clear(&d);
    ids[1] = 1 << 20;
    assert_int_equal(pare_llm_logits(llm, ids, 2, false, one, &d), PARE_E_USAGE);
    /* to the last place of the context */
    pare_diag_clear(&d);
    ids[1] = 0;
    s.max_tokens = 0;
    assert_int_equal(pare_generate(llm, NULL, 0, ids, 250, &s, &a, &d), 0);
    assert_int_equal(a.ids.n, 6);
    assert_int_equal(a.finish, PARE_FINISH_LENGTH);
    pare_generated_free(&a);
}

static void test_info(void **state)
{
    char   *text = pare_llm_info(llm);
    json_t *j = NULL;

    (void)state;
    assert_int_equal(pare_json_load(&j, text, strlen(text), "info", NULL), 0);
    assert_string_equal(json_string_value(json_object_get(j, "arch")), "llama");
    assert_int_equal(json_integer_value(json_object_get(j, "layers")), 6);
    assert_int_equal(json_integer_value(json_object_get(j, "ctx")), 256);
    assert_string_equal(json_string_value(json_object_get(j, "kv")), "f32");
    json_decref(j);
    pare_free(text);
    assert_non_null(pare_llm_tokenizer(llm));
    assert_string_equal(pare_arch_names()[0], "llama");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_goldens), cmocka_unit_test(test_stops_and_callbacks),
                                        cmocka_unit_test(test_seeds_and_limits), cmocka_unit_test(test_info) };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
