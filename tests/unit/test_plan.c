/* SPDX-License-Identifier: Apache-2.0
 * Plans as documents: written, read and written again they are the same text; whatever does not fit the model is refused with the
 * tensor's name; the fingerprint tells originals apart. */
#include "fixture.h"

#include <pare/job.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "compress/plan.h"
#include "compress/rewrite.h"

static struct pare_job        *job;
static struct pare_checkpoint *ckpt;
static struct pare_model      *model;
static struct pare_targets     ts;
static uint32_t                pick[64], again[64];

static const struct pare_plan_source source = { 0x0123456789abcdefu, 0xfedcba9876543210u, 32, 512, 77 };

static int begin(void **state)
{
    struct pare_job_settings  s;
    struct pare_model_options o = { .act_mode = PARE_ACT_F32, .no_weights = true };
    struct pare_diag          d = { 0 };

    (void)state;
    pare_job_settings_default(&s);
    s.n_threads = 1;
    if (pare_job_create(&job, &s, &d) < 0 || pare_checkpoint_open(&ckpt, "data/demo-llama", &d) < 0 ||
        pare_model_create(&model, ckpt, &o, job, &d) < 0 || pare_targets_create(&ts, model, &d) < 0 ||
        pare_targets_candidates(&ts, false, NULL, &d) < 0)
        return -1;
    return ts.n < 64 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    pare_targets_free(&ts);
    pare_model_destroy(&model);
    pare_checkpoint_close(&ckpt);
    pare_job_destroy(&job);
    return 0;
}

static json_t *random_plan(uint64_t seed)
{
    for (uint32_t i = 0; i < ts.n; i++) {
        pick[i] = (uint32_t)(pare_rng_u64(seed, PARE_RNG_TEST, i) % ts.t[i].n_cand);
        for (uint32_t c = 0; c < ts.t[i].n_cand; c++)
            ts.t[i].cand[c].loss = pare_rng_f64(seed + 1, PARE_RNG_TEST, i * 100 + c) / 997;
    }
    return pare_plan_make(&ts, pick, &source, NULL);
}

/* The demo model: 6 layers of 7 matrices and the tied table; what fit decides about is what is not a vector. */
static void test_targets(void **state)
{
    uint64_t params = 0;

    (void)state;
    assert_int_equal(ts.n, 6 * 7 + 1);
    assert_int_equal(ts.n_rest, 6 * 2 + 1);
    for (uint64_t i = 0; i < ckpt->n_tensors; i++) {
        uint64_t n = 1;
        for (uint32_t k = 0; k < ckpt->tensors[i].n_dims; k++) n *= ckpt->tensors[i].dims[k];
        params += n;
    }
    assert_int_equal(ts.params, params);
    for (uint32_t i = 0; i < ts.n; i++) {
        bool own = false;
        for (uint32_t c = 0; c < ts.t[i].n_cand; c++) {
            uint64_t row;
            assert_true(pare_dtype_row_bytes(ts.t[i].cand[c].type, ts.t[i].cols, &row));
            assert_int_equal(ts.t[i].cand[c].bytes, row * ts.t[i].rows);
            own = own || ts.t[i].cand[c].type == ts.t[i].slot->weight.type;
        }
        assert_true(own); /* keep is always possible */
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct pare_plan_source src;
        struct pare_diag        d = { 0 };
        json_t *doc = random_plan(seed), *back, *second;
        char   *text = pare_json_canonical(doc), *text2;
        double  loss[64];

        for (uint32_t i = 0; i < ts.n; i++) {
            loss[i] = ts.t[i].cand[pick[i]].loss;
            for (uint32_t c = 0; c < ts.t[i].n_cand; c++) ts.t[i].cand[c].loss = 0; /* as a replay begins */
        }
        assert_int_equal(pare_json_load(&back, text, strlen(text), "plan", &d), 0);
        assert_int_equal(pare_plan_read(back, &ts, again, &src, &d), 0);
        assert_memory_equal(pick, again, ts.n * sizeof *pick);
        assert_true(src.fingerprint == source.fingerprint && src.text_hash == source.text_hash && src.windows == 32 &&
                    src.window_len == 512 && src.seed == 77);
        for (uint32_t i = 0; i < ts.n; i++) assert_memory_equal(&ts.t[i].cand[pick[i]].loss, &loss[i], sizeof *loss);
        second = pare_plan_make(&ts, again, &src, NULL);
        text2 = pare_json_canonical(second);
        assert_string_equal(text, text2);
        json_decref(doc);
        json_decref(back);
        json_decref(second);
        pare_free(text);
        pare_free(text2);
    }
}

static void test_bytes(void **state)
{
    uint64_t rest = 0;

    (void)state;
    for (uint32_t i = 0; i < ts.n_rest; i++) rest += 4 * ts.rest[i]->rows * ts.rest[i]->cols; /* vectors in f32 */
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t sum = rest;
        json_decref(random_plan(seed));
        for (uint32_t i = 0; i < ts.n; i++) sum += ts.t[i].cand[pick[i]].bytes;
        assert_int_equal(pare_plan_bytes(&ts, pick), sum);
    }
}

static void refused(json_t *doc, const char *where)
{
    struct pare_plan_source src;
    struct pare_diag        d = { 0 };
    char                    line[1200];

    assert_int_equal(pare_plan_read(doc, &ts, again, &src, &d), PARE_E_CORRUPT);
    pare_diag_format(&d, line, sizeof line);
    if (strstr(line, where) == NULL) fail_msg("\"%s\" does not name \"%s\"", line, where);
    json_decref(doc);
}

static json_t *entry(json_t *doc, size_t i) { return json_array_get(json_object_get(doc, "plan"), i); }

static void test_refused(void **state)
{
    json_t     *doc;
    const char *name = ts.t[5].name;

    (void)state;
    refused(json_array(), "plan");
    refused(json_object(), "plan");
    refused(json_string("x"), "plan");
    doc = random_plan(3);
    json_object_set_new(doc, "plan", json_object());
    refused(doc, "plan");
    doc = random_plan(3);
    json_object_set_new(doc, "version", json_integer(2));
    refused(doc, "version");
    doc = random_plan(3);
    json_object_set_new(entry(doc, 5), "tensor", json_string("blk.77.nothing.weight"));
    refused(doc, "blk.77.nothing.weight");
    doc = random_plan(3);
    json_object_set_new(entry(doc, 4), "tensor", json_string(name));
    refused(doc, name);
    doc = random_plan(3);
    json_array_remove(json_object_get(doc, "plan"), 5);
    refused(doc, name);
    doc = random_plan(3);
    json_array_append_new(json_object_get(doc, "plan"), json_integer(1));
    refused(doc, "plan");
    doc = random_plan(3);
    json_object_set_new(entry(doc, 5), "type", json_string("q4_imaginary"));
    refused(doc, "q4_imaginary");
    doc = random_plan(3);
    json_object_set_new(entry(doc, 5), "type", json_integer(4));
    refused(doc, "type");
    doc = random_plan(3);
    json_object_set_new(entry(doc, 5), "loss", json_string("much"));
    refused(doc, "loss");
    doc = random_plan(3);
    json_object_set_new(entry(doc, 5), "loss", json_real(-1e-9));
    refused(doc, name);
    doc = random_plan(3);
    json_object_set_new(json_object_get(doc, "source"), "fingerprint", json_string("ghost"));
    refused(doc, "fingerprint");
    doc = random_plan(3);
    json_object_set_new(doc, "seed", json_integer(-1));
    refused(doc, "seed");
}

/* A plan by hand needs only names and types. */
static void test_by_hand(void **state)
{
    json_t                 *doc = json_object(), *list = json_array();
    struct pare_plan_source src;
    struct pare_diag        d = { 0 };

    (void)state;
    for (uint32_t i = ts.n; i-- > 0;) { /* in any order */
        json_t *e = json_object();
        json_object_set_new(e, "tensor", json_string(ts.t[i].name));
        json_object_set_new(e, "type", json_string(ts.t[i].cand[0].type->name));
        json_array_append_new(list, e);
    }
    json_object_set_new(doc, "plan", list);
    memset(again, 0xff, sizeof again);
    assert_int_equal(pare_plan_read(doc, &ts, again, &src, &d), 0);
    for (uint32_t i = 0; i < ts.n; i++) assert_int_equal(again[i], 0);
    assert_true(src.fingerprint == 0 && src.text_hash == 0 && src.seed == 0);
    json_decref(doc);
}

static void test_fingerprint(void **state)
{
    uint64_t                as_it_is = pare_checkpoint_fingerprint(ckpt);
    struct pare_checkpoint *second;
    struct pare_diag        d = { 0 };
    struct pare_tensor     *t = &ckpt->tensors[3];
    const uint8_t          *data = t->data;
    uint8_t                *copy;

    (void)state;
    assert_int_equal(pare_checkpoint_open(&second, "data/demo-llama", &d), 0);
    assert_true(pare_checkpoint_fingerprint(second) == as_it_is);
    pare_checkpoint_close(&second);
    copy = malloc(t->bytes);
    memcpy(copy, data, t->bytes);
    t->data = copy;
    assert_true(pare_checkpoint_fingerprint(ckpt) == as_it_is);
    copy[17] ^= 1;
    assert_true(pare_checkpoint_fingerprint(ckpt) != as_it_is);
    t->data = data;
    t->dims[0]++;
    assert_true(pare_checkpoint_fingerprint(ckpt) != as_it_is);
    t->dims[0]--;
    assert_true(pare_checkpoint_fingerprint(ckpt) == as_it_is);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_bytes), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_by_hand), cmocka_unit_test(test_fingerprint),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
