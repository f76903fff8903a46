/* SPDX-License-Identifier: Apache-2.0
 * Comparing forms of a model: the arithmetic of the marks by hand, likeness against a plain recursion, and a run over six forms, one of
 * them damaged on purpose. */
#include "fixture.h"

#include <math.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "eval/compare.h"

static void marks(void **state)
{
    struct pare_compared o = { .ppl = 10, .ppl_group = { 8, 9, 11, 12 }, .ppl_noisy = 20, .accuracy = 0.5, .bytes = 100, .resident = 90, .convert_s = -1,
                               .convert_rss = -1, .one_tps = 10, .many_tps = 40 };
    struct pare_compared c = { .ppl = 20, .ppl_group = { 16, 9, 22, 12 }, .ppl_noisy = 25, .accuracy = 0.25, .bytes = 50, .resident = 30, .convert_s = 4,
                               .convert_rss = 10, .one_tps = 20, .many_tps = 40 };
    struct pare_compared ref = { .convert_s = 2, .convert_rss = 20 };
    double               m[PARE_TRACKS];

    (void)state;
    pare_compare_marks(m, &o, &o, &ref);
    for (int t = 0; t < PARE_TRACKS; t++) assert_true(m[t] == 1);
    pare_compare_marks(m, &c, &o, &ref);
    assert_true(m[PARE_TRACK_LOSS] == 0.5);
    assert_true(fabs(m[PARE_TRACK_GENERAL] - sqrt((0.25 + 1 + 0.25 + 1) / 4)) < 1e-15);
    assert_true(m[PARE_TRACK_ROBUST] == 0.8);
    assert_true(fabs(m[PARE_TRACK_COST] - sqrt((0.25 + 4) / 2)) < 1e-15);
    assert_true(fabs(m[PARE_TRACK_SIZE] - sqrt((4.0 + 9) / 2)) < 1e-15);
    assert_true(fabs(m[PARE_TRACK_SPEED] - sqrt((4.0 + 1) / 2)) < 1e-15);
    c.one_tps = -1;
    pare_compare_marks(m, &c, &o, &ref);
    assert_true(m[PARE_TRACK_SPEED] < 0);
}

/* By definition, exponential. */
static uint32_t common(const int32_t *a, uint32_t na, const int32_t *b, uint32_t nb)
{
    uint32_t x, y;

    if (na == 0 || nb == 0) return 0;
    if (a[0] == b[0]) return 1 + common(a + 1, na - 1, b + 1, nb - 1);
    x = common(a + 1, na - 1, b, nb);
    y = common(a, na, b + 1, nb - 1);
    return x > y ? x : y;
}

static void likeness(void **state)
{
    int32_t a[9], b[9];

    (void)state;
    for (uint64_t round = 0; round < 200; round++) {
        uint32_t na = (uint32_t)(pare_rng_u64(round, PARE_RNG_TEST, 0) % 10), nb = (uint32_t)(pare_rng_u64(round, PARE_RNG_TEST, 1) % 10);
        uint32_t most = na > nb ? na : nb;

        for (uint32_t i = 0; i < 9; i++) {
            a[i] = (int32_t)(pare_rng_u64(round, PARE_RNG_TEST, 10 + i) % 4);
            b[i] = (int32_t)(pare_rng_u64(round, PARE_RNG_TEST, 30 + i) % 4);
        }
        assert_true(pare_likeness(a, na, b, nb) == (most == 0 ? 1 : (double)common(a, na, b, nb) / most));
    }
    assert_true(pare_likeness(a, 9, a, 9) == 1);
}

/* Letters move to the place of their neighbour; nothing else changes. */
static void scramble(void **state)
{
    char     text[] = "The quick brown fox jumps over the lazy dog, 1234 times; and again, \xc3\xa4.", was[sizeof text];
    unsigned count[256] = { 0 };
    size_t   moved = 0;

    (void)state;
    memcpy(was, text, sizeof text);
    pare_scramble(text, strlen(text), 3, 1);
    for (size_t i = 0; i < sizeof text; i++) {
        count[(unsigned char)text[i]]++;
        count[(unsigned char)was[i]]--;
        moved += text[i] != was[i];
        if (strchr(" ,;.1234\xc3\xa4", was[i]) != NULL) assert_int_equal(text[i], was[i]);
    }
    assert_true(moved > 4);
    for (int i = 0; i < 256; i++) assert_int_equal(count[i], 0);
}

/* The demo model with the sign of every fifth weight turned. */
static void damage(char dir[64])
{
    FILE    *f = fopen("data/demo-llama/model.safetensors", "rb");
    uint8_t *data = malloc(16u << 20);
    size_t   n;
    uint64_t head = 0;
    char     path[128], cmd[300];

    assert_non_null(f);
    n = fread(data, 1, 16u << 20, f);
    fclose(f);
    for (int i = 7; i >= 0; i--) head = head << 8 | data[i];
    for (uint64_t at = 8 + head; at + 4 <= n; at += 20) data[at + 3] ^= 0x80;
    strcpy(dir, "/tmp/pare-damaged-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(cmd, sizeof cmd, "cp data/demo-llama/*.json %s", dir);
    assert_int_equal(system(cmd), 0);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    free(data);
}

static json_t *run(const char *types, uint32_t threads)
{
    struct pare_job_settings     js;
    struct pare_compare_settings s;
    struct pare_job             *job;
    struct pare_diag             d = { 0 };
    char                        *text = NULL;
    json_t                      *doc = NULL;

    pare_job_settings_default(&js);
    js.n_threads = threads;
    pare_compare_settings_default(&s);
    s.types = types;
    s.ctx = 64;
    s.chunks = 8;
    s.no_speed = true;
    assert_int_equal(pare_job_create(&job, &js, &d), PARE_OK);
    if (pare_compare("data/demo-llama", &s, &text, job, &d) < 0) fail_msg("%s", d.text);
    assert_int_equal(pare_json_load(&doc, text, strlen(text), "comparison", &d), PARE_OK);
    pare_free(text);
    pare_job_destroy(&job);
    return doc;
}

static double real(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static void six_forms(void **state)
{
    static const char *const same[] = { "ppl", "ppl_noisy", "kld_mean", "top1", "recovery", "likeness", "quality", "bytes", "resident" };
    char    dir[64], types[200];
    json_t *doc, *again, *list, *f;
    size_t  i;

    (void)state;
    damage(dir);
    snprintf(types, sizeof types, "q8_0,q5_1,q5_0,q4_0,q4_1,%s", dir);
    doc = run(types, 2);
    list = json_object_get(doc, "configs");
    assert_int_equal(json_array_size(list), 7);
    f = json_array_get(list, 0);
    assert_true(real(f, "kld_mean") == 0 && real(f, "recovery") == 100 && real(f, "likeness") == 1 && real(f, "quality") == 1);
    {
        const char *key;
        json_t     *v;
        json_object_foreach(json_object_get(f, "marks"), key, v) assert_true(json_is_null(v) ? strcmp(key, "speed") == 0 : json_number_value(v) == 1);
    }
    for (i = 1; i + 1 < json_array_size(list); i++) {
        json_t *form = json_array_get(list, i), *last = json_array_get(list, 6);

        print_message("%s: quality %.4f, likeness %.3f\n", json_string_value(json_object_get(form, "name")), real(form, "quality"), real(form, "likeness"));
        assert_true(real(form, "quality") > real(last, "quality")); /* the damaged one is last */
        assert_true(real(form, "bytes") < real(f, "bytes"));
    }
    print_message("damaged: quality %.4f\n", real(json_array_get(list, 6), "quality"));
    again = run("q4_0", 1); /* fewer forms, fewer threads: the same figures */
    for (size_t k = 0; k < sizeof same / sizeof *same; k++)
        assert_true(real(json_array_get(list, 4), same[k]) == real(json_array_get(json_object_get(again, "configs"), 1), same[k]));
    json_decref(doc);
    json_decref(again);
    snprintf(types, sizeof types, "rm -r %s", dir);
    assert_int_equal(system(types), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(marks), cmocka_unit_test(likeness), cmocka_unit_test(scramble), cmocka_unit_test(six_forms) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
