/* SPDX-License-Identifier: Apache-2.0
 * What the model promises beside its values: the same bits for mixed batches, for units run one by one and for every CPU tier;
 * decoding allocates nothing; observers see every linear; forecasts hold; configs that do not fit are refused. */
#include "fixture.h"

#include "golden/rig.h"

#define LLAMA  "tests/golden/arch/models/llama"
#define GEMMA2 "tests/golden/arch/models/gemma2"

static const int32_t IDS[24] = { 172, 220, 184, 56, 205, 43, 92, 1, 7, 250, 33, 61, 5, 99, 140, 12, 77, 200, 201, 3, 8, 90, 91, 17 };

/* Three sessions of different lengths, their rows mixed in one batch, against each alone. */
static void test_mixed_sessions(void **state)
{
    struct rig           r;
    struct pare_session  s[3];
    struct pare_diag     d = { 0 };
    float               *alone, *mixed;
    uint32_t             n_vocab;

    (void)state;
    rig_open(&r, GEMMA2, 64, 2, 64, PARE_ACT_F32, PARE_F16);
    n_vocab = r.n_vocab;
    alone = malloc(3 * 8 * n_vocab * sizeof *alone);
    mixed = malloc(3 * 8 * n_vocab * sizeof *mixed);
    for (int k = 0; k < 3; k++) {
        rig_reset(&r);
        rig_forward(&r, IDS + k, 5 + (uint32_t)k, false, alone + (size_t)k * 8 * n_vocab);
        rig_forward(&r, IDS + 10 + k, 4, true, alone + (size_t)k * 8 * n_vocab);
        if (pare_session_create(&s[k], r.model, PARE_F16, 64, 0, &d) < 0) say(&d);
    }
    {
        int32_t              tok[64];
        uint32_t             pos[64], n = 0;
        struct pare_session *of[64];
        uint8_t              want[64];

        /* prompts mixed row by row, then four more rows of each, session by session in turn */
        for (uint32_t i = 0; i < 7; i++)
            for (uint32_t k = 0; k < 3; k++)
                if (i < 5 + k) { tok[n] = IDS[k + i]; pos[n] = i; of[n] = &s[k]; want[n++] = 0; }
        assert_int_equal(pare_model_forward(r.model, &(struct pare_batch){ n, tok, pos, of }, want, NULL, r.work, r.job, &d), 0);
        n = 0;
        for (uint32_t i = 0; i < 4; i++)
            for (uint32_t k = 0; k < 3; k++) { tok[n] = IDS[10 + k + i]; pos[n] = 5 + k + i; of[n] = &s[k]; want[n++] = 1; }
        if (pare_model_forward(r.model, &(struct pare_batch){ n, tok, pos, of }, want, mixed, r.work, r.job, &d) < 0) say(&d);
    }
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t k = 0; k < 3; k++)
            assert_memory_equal(mixed + (size_t)(i * 3 + k) * n_vocab, alone + ((size_t)k * 8 + i) * n_vocab, n_vocab * sizeof *mixed);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(s[k].len, 9 + k);
        pare_session_free(&s[k]);
    }
    rig_close(&r);
    free(alone);
    free(mixed);
}

struct watch { uint32_t calls, rows, linears; const struct pare_slot *seen[64]; };
static void see(void *user, const struct pare_unit *u, const struct pare_slot *s, const float *x, uint64_t ldx, uint32_t n)
{
    struct watch *w = user;

    (void)u;
    assert_true(s->is_linear && s->cols <= ldx && x != NULL);
    w->seen[w->calls++] = s;
    w->rows += n;
}

/* Units loaded, run and dropped one by one, with one KV slot: the bits of the whole pass; observers see each linear once. */
static void test_streaming(void **state)
{
    struct rig                r;
    struct pare_diag          d = { 0 };
    struct pare_model_options o = { .act_mode = PARE_ACT_F32, .no_weights = true, .n_ctx = 64 };
    struct pare_model        *m;
    struct pare_work         *w;
    struct pare_session       s, *of[24];
    uint32_t                  pos[24], n_units, n_lin = 0;
    struct watch              watch = { 0 };
    struct pare_observer      obs = { see, &watch };
    struct pare_batch         b = { 24, IDS, pos, of };
    float                    *whole, *parts, *x;

    (void)state;
    rig_open(&r, LLAMA, 64, 2, 64, PARE_ACT_F32, PARE_F32);
    whole = malloc(24 * r.n_vocab * sizeof *whole);
    parts = malloc(24 * r.n_vocab * sizeof *parts);
    rig_forward(&r, IDS, 24, true, whole);
    if (pare_model_create(&m, r.ckpt, &o, r.job, &d) < 0 || pare_work_create(&w, m, 24, r.job, &d) < 0 ||
        pare_session_create(&s, m, PARE_F32, 64, 1, &d) < 0)
        say(&d);
    for (uint32_t i = 0; i < 24; i++) { pos[i] = i; of[i] = &s; }
    n_units = pare_model_info_of(m)->n_units;
    x = malloc(24 * pare_model_info_of(m)->n_embd * sizeof *x);
    assert_int_equal(pare_unit_forward(m, 0, &b, x, w, NULL, r.job, &d), PARE_E_USAGE); /* not loaded */
    for (uint32_t u = 0; u < n_units; u++) {
        memset(&d, 0, sizeof d);
        if (pare_unit_load(m, u, r.job, &d) < 0) say(&d);
        for (uint32_t i = 0; i < pare_model_unit(m, u)->n_slots; i++) n_lin += pare_model_unit(m, u)->slot[i].is_linear;
        if (u + 1 < n_units ? pare_unit_forward(m, u, &b, x, w, &obs, r.job, &d) < 0
                            : pare_head_logits(m, x, 24, parts, w, &obs, r.job, &d) < 0)
            say(&d);
        pare_kv_truncate(s.kv, 0);
        pare_unit_unload(m, u);
    }
    assert_memory_equal(whole, parts, 24 * r.n_vocab * sizeof *whole);
    assert_int_equal(watch.calls, n_lin);
    assert_int_equal(watch.rows, n_lin * 24);
    for (uint32_t i = 0; i < watch.calls; i++)
        for (uint32_t k = 0; k < i; k++) assert_ptr_not_equal(watch.seen[i], watch.seen[k]);
    pare_session_free(&s);
    pare_work_destroy(&w);
    pare_model_destroy(&m);
    rig_close(&r);
    free(whole);
    free(parts);
    free(x);
}

static void test_tiers(void **state)
{
    static float first[24 * 512], now[24 * 512];

    (void)state;
    for (int tier = 0; tier <= pare_cpu_best_tier(); tier++) {
        struct rig r;

        rig_open(&r, GEMMA2, 64, 2, 64, PARE_ACT_F32, PARE_Q8_0);
        r.job->tier = tier;
        rig_forward(&r, IDS, 24, true, tier == 0 ? first : now);
        if (tier != 0) assert_memory_equal(first, now, (size_t)24 * r.n_vocab * sizeof *now);
        rig_close(&r);
    }
}

/* Where the context is long, threads share it in chunks: the last rows one by one, with any number of threads, have the bits that they have
 * in one batch on one thread. */
static void test_long_context(void **state)
{
    enum { DEPTH = 2048, LAST = 6 };
    static const enum pare_type kinds[] = { PARE_F16, PARE_Q8_0, PARE_Q4_0 };
    static float first[LAST * 256], now[LAST * 256];
    int32_t      ids[DEPTH + LAST];

    (void)state;
    for (int i = 0; i < DEPTH + LAST; i++) ids[i] = (i * 37 + i / 24 * 5) % 256;
    for (int k = 0; k < 3; k++)
        for (uint32_t threads = 1; threads <= 3; threads++) {
            struct rig r;

            rig_open(&r, LLAMA, DEPTH + LAST, threads, 256, PARE_ACT_F32, kinds[k]);
            assert_int_equal(r.n_vocab, 256);
            for (int i = 0; i < DEPTH; i += 256) rig_forward(&r, ids + i, 256, false, now);
            if (threads == 1) rig_forward(&r, ids + DEPTH, LAST, true, first);
            for (int i = 0; i < LAST && threads > 1; i++) rig_forward(&r, ids + DEPTH + i, 1, true, now + i * 256);
            if (threads > 1) assert_memory_equal(first, now, sizeof now);
            rig_close(&r);
        }
}

static void test_decode_allocates_nothing(void **state)
{
    struct rig       r;
    struct pare_diag d = { 0 };
    static float     y[512];

    (void)state;
    rig_open(&r, LLAMA, 64, 2, 16, PARE_ACT_F32, PARE_F16);
    rig_forward(&r, IDS, 10, false, y);
    assert_int_equal(pare_kv_reserve(r.session.kv, 64, &d), 0);
    pare_mem_guard("decode");
    for (uint32_t i = 10; i < 24; i++) rig_forward(&r, IDS + i, 1, false, y);
    pare_mem_guard(NULL);
    rig_close(&r);
}

/* Bad calls are refused, and a refused call leaves the session as it was. */
static void test_bad_rows(void **state)
{
    struct rig           r;
    struct pare_diag     d = { 0 };
    int32_t              tok[3] = { 1, 2, 256 };
    uint32_t             pos[3] = { 0, 1, 2 };
    static float         y[512];

    (void)state;
    rig_open(&r, LLAMA, 16, 1, 16, PARE_ACT_F32, PARE_F32);
    {
        struct pare_session *of[3] = { &r.session, &r.session, &r.session };
        struct pare_batch    b = { 3, tok, pos, of };

        assert_int_equal(pare_model_forward(r.model, &b, NULL, y, r.work, r.job, &d), PARE_E_USAGE);
        assert_non_null(strstr(d.text, "256"));
        assert_int_equal(r.session.len, 0);
        tok[2] = -1;
        pare_diag_clear(&d);
        assert_int_equal(pare_model_forward(r.model, &b, NULL, y, r.work, r.job, &d), PARE_E_USAGE);
        tok[2] = 3;
        pos[2] = 3;
        assert_int_equal(pare_model_forward(r.model, &b, NULL, y, r.work, r.job, &d), PARE_E_USAGE);
        pos[2] = 2;
        assert_int_equal(pare_model_forward(r.model, &b, NULL, y, r.work, r.job, &d), 0);
        assert_int_equal(r.session.len, 3);
    }
    rig_close(&r);
}

static void test_forecast(void **state)
{
    struct rig r;
    uint64_t   before = pare_mem_count();

    (void)state;
    rig_open(&r, LLAMA, 64, 2, 16, PARE_ACT_F32, PARE_F32);
    assert_true(pare_mem_count() > before);
    /* the same function lays out and counts: one row more must cost more, and linearly */
    assert_true(pare_work_bytes(r.model, 32, 2) > pare_work_bytes(r.model, 16, 2));
    assert_true(pare_work_bytes(r.model, 32, 2) <= 2 * pare_work_bytes(r.model, 16, 2));
    for (uint32_t u = 0; u < pare_model_info_of(r.model)->n_units; u++) {
        uint64_t vec = 0;

        /* float weights stay in the file: only vectors are allocated */
        for (uint32_t i = 0; i < pare_model_unit(r.model, u)->n_slots; i++) {
            const struct pare_slot *s = &pare_model_unit(r.model, u)->slot[i];
            if (s->vec != NULL) vec += pare_arena_round(s->rows * s->cols * 4);
        }
        assert_int_equal(pare_unit_bytes(r.model, u), vec);
    }
    rig_close(&r);
}

/* Changes to a good config, each of which must be refused by name, not run wrongly. */
static void test_hostile_configs(void **state)
{
    static const struct { const char *key, *value; int rc; } cases[] = {
        { "model_type", "\"nonesuch\"", PARE_E_UNSUPPORTED }, { "model_type", "7", PARE_E_CORRUPT },
        { "num_attention_heads", "3", PARE_E_CORRUPT }, { "num_attention_heads", "0", PARE_E_CORRUPT },
        { "num_key_value_heads", "0", PARE_E_CORRUPT }, { "num_key_value_heads", "3", PARE_E_CORRUPT },
        { "hidden_size", "41", PARE_E_CORRUPT }, { "hidden_size", "-1", PARE_E_CORRUPT }, { "hidden_size", "1e99", PARE_E_CORRUPT },
        { "num_hidden_layers", "3", PARE_E_CORRUPT }, { "num_hidden_layers", "4000000000", PARE_E_CORRUPT },
        { "head_dim", "11", PARE_E_UNSUPPORTED }, { "head_dim", "0", PARE_E_CORRUPT }, { "intermediate_size", "23", PARE_E_CORRUPT },
        { "vocab_size", "255", PARE_E_CORRUPT }, { "vocab_size", "\"256\"", PARE_E_CORRUPT }, { "hidden_act", "\"what\"", PARE_E_UNSUPPORTED },
        { "rope_theta", "\"x\"", PARE_E_CORRUPT }, { "rope_scaling", "{\"rope_type\":\"spiral\"}", PARE_E_UNSUPPORTED },
        { "rope_scaling", "{\"rope_type\":\"longrope\"}", PARE_E_CORRUPT },
        { "rope_scaling", "{\"rope_type\":\"longrope\",\"short_factor\":[1],\"long_factor\":[1]}", PARE_E_CORRUPT },
        { "partial_rotary_factor", "7", PARE_E_CORRUPT }, { "rms_norm_eps", "-1", PARE_E_CORRUPT },
        { "layer_types", "[\"full_attention\"]", PARE_E_CORRUPT }, { "layer_types", "[\"a\",\"b\"]", PARE_E_UNSUPPORTED },
        { "attention_bias", "true", PARE_E_CORRUPT }, { "max_position_embeddings", "0", PARE_E_CORRUPT }
    };
    struct pare_diag          d = { 0 };
    struct pare_checkpoint   *c;
    struct pare_model_options o = { .no_weights = true };

    (void)state;
    assert_int_equal(pare_checkpoint_open(&c, LLAMA, &d), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t            *good = c->config, *bad = json_deep_copy(good), *v = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
        struct pare_model *m = NULL;
        uint64_t           live = pare_mem_live();
        int                rc;

        assert_non_null(v);
        json_object_set_new(bad, cases[i].key, v);
        c->config = bad;
        pare_diag_clear(&d);
        rc = pare_model_create(&m, c, &o, NULL, &d);
        if (rc != cases[i].rc) fail_msg("%s = %s: code %d, not %d (%s)", cases[i].key, cases[i].value, rc, cases[i].rc, d.text);
        assert_null(m);
        assert_true(d.text[0] != '\0');
        c->config = good;
        json_decref(bad);
        assert_int_equal(pare_mem_live(), live);
    }
    pare_checkpoint_close(&c);
}

/* Every allocation of opening may fail: an error, nothing left behind. */
static void test_out_of_memory(void **state)
{
    struct pare_diag          d = { 0 };
    struct pare_checkpoint   *c;
    struct pare_job          *job;
    struct pare_job_settings  js;
    struct pare_model_options o = { .act_mode = PARE_ACT_F32 };
    uint64_t                  n = 0;
    int                       rc;

    (void)state;
    pare_job_settings_default(&js);
    js.n_threads = 1;
    assert_int_equal(pare_job_create(&job, &js, &d), 0);
    assert_int_equal(pare_checkpoint_open(&c, GEMMA2, &d), 0);
    do {
        struct pare_model *m = NULL;
        uint64_t           live = pare_mem_live();

        pare_diag_clear(&d);
        pare_mem_fail_after(++n);
        rc = pare_model_create(&m, c, &o, job, &d);
        pare_mem_fail_after(0);
        if (rc == 0) pare_model_destroy(&m);
        else assert_int_equal(rc, PARE_E_NOMEM);
        assert_int_equal(pare_mem_live(), live);
    } while (rc != 0 && n < 5000);
    assert_int_equal(rc, 0);
    assert_true(n > 10);
    pare_checkpoint_close(&c);
    pare_job_destroy(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed_sessions), cmocka_unit_test(test_streaming), cmocka_unit_test(test_long_context), cmocka_unit_test(test_tiers),
        cmocka_unit_test(test_decode_allocates_nothing), cmocka_unit_test(test_bad_rows), cmocka_unit_test(test_forecast),
        cmocka_unit_test(test_hostile_configs), cmocka_unit_test(test_out_of_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
