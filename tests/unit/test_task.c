/* SPDX-License-Identifier: Apache-2.0
 * What decides the score of a task: likelihoods against plain logits, number extraction against PCRE2 with the harness's own
 * expressions, the cleaning of answers, and whole runs on questions with a known result. */
#include "fixture.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>

#include "base/rng.h"
#include "eval/task.h"

static struct pare_job *job;
static struct pare_llm *llm;

static int open_demo(void **state)
{
    struct pare_job_settings js;
    struct pare_llm_settings ls;
    struct pare_diag         d = { 0 };

    (void)state;
    pare_job_settings_default(&js);
    pare_llm_settings_default(&ls);
    ls.n_ctx = 128;
    return pare_job_create(&job, &js, &d) < 0 || pare_llm_open(&llm, "data/demo-llama", &ls, job, &d) < 0;
}

static int close_demo(void **state)
{
    (void)state;
    pare_llm_close(&llm);
    pare_job_destroy(&job);
    return 0;
}

/* Log-softmax in double of the plain logits of the whole text, from position `cut` on. */
static double by_hand(const int32_t *ids, uint32_t n, uint32_t cut)
{
    uint32_t         v = pare_llm_n_vocab(llm);
    float           *l = malloc((size_t)n * v * sizeof *l);
    struct pare_diag d = { 0 };
    double           sum = 0;

    assert_int_equal(pare_llm_logits(llm, ids, n, true, l, &d), PARE_OK);
    for (uint32_t i = cut; i < n; i++) {
        const float *row = l + (size_t)(i - 1) * v;
        double       max = row[0], z = 0;

        for (uint32_t k = 0; k < v; k++) max = row[k] > max ? row[k] : max;
        for (uint32_t k = 0; k < v; k++) z += exp(row[k] - max);
        sum += row[ids[i]] - max - log(z);
    }
    free(l);
    return sum;
}

static void likelihood(void **state)
{
    const char      *context = "Once upon a time there was", *more = " a little girl";
    struct pare_ids  all = { 0 }, head = { 0 };
    struct pare_diag d = { 0 };
    char             text[200];
    double           ll, moved;
    bool             greedy;

    (void)state;
    snprintf(text, sizeof text, "%s%s", context, more);
    assert_int_equal(pare_tokenizer_encode(llm->tok, text, strlen(text), PARE_TOK_ADD_BOS, &all, &d), PARE_OK);
    assert_int_equal(pare_tokenizer_encode(llm->tok, context, strlen(context), PARE_TOK_ADD_BOS, &head, &d), PARE_OK);
    assert_true(head.n > 0 && head.n < all.n);
    assert_int_equal(pare_loglikelihood(llm, context, more, &ll, &greedy, &d), PARE_OK);
    if (fabs(ll - by_hand(all.ids, (uint32_t)all.n, (uint32_t)head.n)) > 1e-4) fail_msg("%g", ll);
    /* A space at the end of the context belongs to the continuation. */
    assert_int_equal(pare_loglikelihood(llm, "Once upon a time there was ", "a little girl", &moved, &greedy, &d), PARE_OK);
    assert_true(moved == ll);
    /* Without a context the begin token is one. */
    assert_int_equal(pare_loglikelihood(llm, "", "a", &ll, &greedy, &d), PARE_OK);
    assert_true(ll < 0 && ll > -40);
    assert_int_equal(pare_loglikelihood(llm, "a", "", &ll, &greedy, &d), PARE_OK);
    assert_true(ll == 0 && greedy);
    pare_ids_free(&all);
    pare_ids_free(&head);
}

/* Longer than the context: the same as when only its last n_ctx + 1 ids had been there. */
static void cut_from_the_left(void **state)
{
    struct pare_buf  b = { .max = 1u << 20 };
    struct pare_ids  all = { 0 };
    struct pare_diag d = { 0 };
    double           ll;
    bool             greedy;
    uint32_t         skip;

    (void)state;
    for (int i = 0; i < 100; i++) pare_buf_printf(&b, "The cat number %d sat on a mat. ", i);
    pare_buf_str(&b, "The cat and the dog");
    pare_buf_str(&b, " and");
    assert_int_equal(pare_tokenizer_encode(llm->tok, pare_buf_cstr(&b), b.len, PARE_TOK_ADD_BOS, &all, &d), PARE_OK);
    b.len -= 4;
    skip = (uint32_t)all.n - llm->n_ctx - 1;
    assert_int_equal(pare_loglikelihood(llm, pare_buf_cstr(&b), " and", &ll, &greedy, &d), PARE_OK);
    {
        uint32_t one = (uint32_t)all.n - 1; /* the last target is no input: feed n_ctx ids and score what follows */
        float   *row = malloc(pare_llm_n_vocab(llm) * sizeof *row);
        double   max = -1e30, z = 0;
        struct pare_ids head = { 0 };

        assert_int_equal(pare_tokenizer_encode(llm->tok, pare_buf_cstr(&b), b.len, PARE_TOK_ADD_BOS, &head, &d), PARE_OK);
        assert_int_equal(head.n, one); /* " and" is one token here, or this test says nothing */
        assert_int_equal(pare_llm_logits(llm, all.ids + skip, llm->n_ctx, false, row, &d), PARE_OK);
        for (uint32_t k = 0; k < pare_llm_n_vocab(llm); k++) max = row[k] > max ? row[k] : max;
        for (uint32_t k = 0; k < pare_llm_n_vocab(llm); k++) z += exp(row[k] - max);
        assert_true(fabs(ll - (row[all.ids[one]] - max - log(z))) < 1e-4);
        free(row);
        pare_ids_free(&head);
    }
    pare_ids_free(&all);
    pare_buf_free(&b);
}

/* Group 1 of the first match, or the whole last match. */
static size_t by_pcre(const char *pattern, const char *text, bool last, const char **out)
{
    int               err;
    PCRE2_SIZE        off, at = 0;
    pcre2_code       *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &err, &off, NULL);
    pcre2_match_data *m = pcre2_match_data_create_from_pattern(re, NULL);
    size_t            n = 0;

    while (pcre2_match(re, (PCRE2_SPTR)text, strlen(text), at, 0, m, NULL) > 0) {
        PCRE2_SIZE *o = pcre2_get_ovector_pointer(m);

        *out = text + o[last ? 0 : 2];
        n = last ? o[1] - o[0] : o[3] - o[2];
        at = o[1];
        if (!last) break;
    }
    pcre2_match_data_free(m);
    pcre2_code_free(re);
    return n;
}

static void numbers(void **state)
{
    static const char letters[] = "0123456789.,$-- #\nab";

    (void)state;
    for (uint32_t round = 0; round < 4000; round++) {
        char        text[40];
        const char *a = NULL, *b = NULL;
        size_t      n = pare_rng_u64(round, PARE_RNG_TEST, 0) % 30, na, nb;

        for (size_t i = 0; i < n; i++) text[i] = letters[pare_rng_u64(round, PARE_RNG_TEST, 1 + i) % (sizeof letters - 1)];
        if (round % 2 == 0 && n > 8) memcpy(text + pare_rng_u64(round, PARE_RNG_TEST, 99) % (n - 5), "#### ", 5);
        text[n] = '\0';
        na = pare_task_number(text, true, &a);
        nb = by_pcre("#### (\\-?[0-9\\.\\,]+)", text, false, &b);
        if (na != nb || (na > 0 && a != b)) fail_msg("strict: \"%s\"", text);
        na = pare_task_number(text, false, &a);
        nb = by_pcre("(-?[$0-9.,]{2,})|(-?[0-9]+)", text, true, &b);
        if (na != nb || (na > 0 && a != b)) fail_msg("flexible: \"%s\"", text);
    }
    assert_true(pare_task_same_answer("$1,234.", 7, "so 3 + 4\n#### 1234", 18));
    assert_false(pare_task_same_answer("1234", 4, "#### 1235", 9));
    assert_false(pare_task_same_answer("12.0", 4, "#### 12", 7)); /* as the harness: text, not value */
}

static void code(void **state)
{
    (void)state;
    assert_true(pare_task_well_formed("    return [x for x in f(a, {1: 2})]\n"));
    assert_true(pare_task_well_formed("\n    s = \"(not \\\" open\"  # ( neither\n    return s"));
    assert_true(pare_task_well_formed("    \"\"\"long\n text ( \"\"\"\n    return 1"));
    assert_false(pare_task_well_formed(""));
    assert_false(pare_task_well_formed("  \n # nothing\n"));
    assert_false(pare_task_well_formed("return 1"));
    assert_false(pare_task_well_formed("    return (1"));
    assert_false(pare_task_well_formed("    return (1]"));
    assert_false(pare_task_well_formed("    return 'open\n"));
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static double real(const json_t *o, const char *key)
{
    if (!json_is_number(json_object_get(o, key))) fail_msg("no \"%s\"", key);
    return json_number_value(json_object_get(o, key));
}

/* Two questions whose likelier answers are known from pare_loglikelihood: with the right labels the score is 1, with one wrong 0.5. */
static void choices(void **state)
{
    char                      data[] = "/tmp/pare-task-XXXXXX.jsonl", labels[64], text[64];
    struct pare_eval_settings s;
    struct pare_diag          d = { 0 };
    json_t                   *o;
    int                       right[2];
    int                       fd = mkstemps(data, 6);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    snprintf(labels, sizeof labels, "%.*s-labels.lst", (int)(strlen(data) - 6), data);
    put(data, "{\"goal\": \"play outside\", \"sol1\": \"go to the park\", \"sol2\": \"zxqv kkjw qqq\"}\n\n"
              "{\"goal\": \"eat\", \"sol1\": \"wvvw uuu xx\", \"sol2\": \"she ate the apple\"}\n");
    for (int q = 0; q < 2; q++) {
        double a, b;
        bool   g;

        snprintf(text, sizeof text, "Question: %s\nAnswer:", q == 0 ? "play outside" : "eat");
        assert_int_equal(pare_loglikelihood(llm, text, q == 0 ? " go to the park" : " wvvw uuu xx", &a, &g, &d), PARE_OK);
        assert_int_equal(pare_loglikelihood(llm, text, q == 0 ? " zxqv kkjw qqq" : " she ate the apple", &b, &g, &d), PARE_OK);
        right[q] = b > a;
    }
    pare_eval_settings_default(&s);
    s.task = "piqa";
    s.data = data;
    assert_int_equal(pare_task_run(llm, &s, &o, &d), PARE_E_USAGE); /* no labels */
    snprintf(text, sizeof text, "%d\n%d\n", right[0], right[1]);
    put(labels, text);
    memset(&d, 0, sizeof d);
    assert_int_equal(pare_task_run(llm, &s, &o, &d), PARE_OK);
    assert_true(real(o, "accuracy") == 1 && real(o, "n") == 2 && real(o, "accuracy_se") == 0);
    json_decref(o);
    snprintf(text, sizeof text, "%d\n%d\n", right[0], 1 - right[1]);
    put(labels, text);
    assert_int_equal(pare_task_run(llm, &s, &o, &d), PARE_OK);
    assert_true(real(o, "accuracy") == 0.5 && fabs(real(o, "accuracy_se") - 0.5) < 1e-12); /* sample deviation 0.7071 over the root of 2 */
    json_decref(o);
    s.limit = 1;
    assert_int_equal(pare_task_run(llm, &s, &o, &d), PARE_OK);
    assert_true(real(o, "n") == 1 && real(o, "accuracy") == 1);
    json_decref(o);
    s.task = "nothing";
    assert_int_equal(pare_task_run(llm, &s, &o, &d), PARE_E_USAGE);
    unlink(data);
    unlink(labels);
}

/* Bad data is named, not believed. */
static void bad_data(void **state)
{
    char                      data[] = "/tmp/pare-task-XXXXXX";
    struct pare_eval_settings s;
    json_t                   *o;
    static const char *const  bad[] = { "", "{\"question\": 1}\n", "not json\n", "{\"question\": \"a\"}\n", "\x1f\x8b\x08\x01" };
    int                       fd = mkstemp(data);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    pare_eval_settings_default(&s);
    s.task = "gsm8k";
    s.data = data;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pare_diag d = { 0 };

        put(data, bad[i]);
        assert_true(pare_task_run(llm, &s, &o, &d) < 0);
        assert_null(o);
        assert_true(d.text[0] != '\0');
    }
    unlink(data);
}

/* A number that the model writes is right exactly when the data says so: the answer is read off a first run. */
static void written(void **state)
{
    char                      data[] = "/tmp/pare-task-XXXXXX", samples[64], line[600];
    struct pare_eval_settings s;
    struct pare_diag          d = { 0 };
    json_t                   *o, *row;
    const char               *number;
    size_t                    n;
    int                       fd = mkstemp(data);
    FILE                     *f;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    snprintf(samples, sizeof samples, "%s.out", data);
    pare_eval_settings_default(&s);
    s.task = "gsm8k";
    s.data = data;
    s.samples = samples;
    s.shots = 1;
    s.shots_data = data;
    put(data, "{\"question\": \"He had 1, 2, 3, 4, 5,\", \"answer\": \"#### 77\"}\n");
    assert_int_equal(pare_task_run(llm, &s, &o, &d), PARE_OK);
    assert_true(real(o, "n") == 1 && real(o, "shots") == 1);
    json_decref(o);
    f = fopen(samples, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
    row = json_loads(line, 0, NULL);
    if (row != NULL) {
        n = pare_task_number(json_string_value(json_object_get(row, "completion")), false, &number);
        assert_int_equal(json_is_true(json_object_get(row, "flexible")), n == 2 && memcmp(number, "77", 2) == 0);
        json_decref(row);
    }
    unlink(data);
    unlink(samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(likelihood), cmocka_unit_test(cut_from_the_left), cmocka_unit_test(numbers), cmocka_unit_test(code),
        cmocka_unit_test(choices),    cmocka_unit_test(bad_data),          cmocka_unit_test(written),
    };
    return cmocka_run_group_tests(tests, open_demo, close_demo);
}
