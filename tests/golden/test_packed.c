/* SPDX-License-Identifier: Apache-2.0
 * tests/golden/test_packed.c: packed files run as the files they came from, from where they are mapped, and turn back into them. */
#include "file_maker.h"

#include "base/rng.h"
#include "compress/rewrite.h"
#include "eval/opened.h"
#include "golden/rig.h"

#define DEMO "data/demo-llama"
enum { N_IDS = 12, VOCAB = 8192 };

static const int32_t IDS[N_IDS] = { 0, 172, 4220, 184, 56, 8191, 43, 92, 1, 7, 250, 33 };
static float         plain[N_IDS * VOCAB], packed[N_IDS * VOCAB];

static const enum pare_type mix[] = { PARE_Q4_K, PARE_Q6_K, PARE_Q8_0, PARE_PQ3, PARE_IQ4_XS, PARE_Q4_1, PARE_F16, PARE_PQ2H };

static struct pare_job *one_job(uint32_t threads)
{
    struct pare_job_settings s;
    struct pare_diag         d = { 0 };
    struct pare_job         *job;

    pare_job_settings_default(&s);
    s.n_threads = threads;
    if (pare_job_create(&job, &s, &d) < 0) say(&d);
    return job;
}

/* Rewrites `in` to `out`: every matrix in its own type (keep) or the types of the mix in turn. @return how many were packed;
 * *loses: how many did not turn back. */
static uint32_t rewrite(const char *in, const char *out, bool keep, bool pack, uint32_t threads, uint32_t *loses)
{
    struct pare_open_settings os = { .act_mode = PARE_ACT_F32, .kv = "f32", .ctx = 16, .stream = true, .tokenizer = true };
    struct pare_diag          d = { 0 };
    struct pare_job          *job = one_job(threads);
    struct pare_opened        o;
    struct pare_targets       ts;
    uint32_t                  pick[256] = { 0 }, n = 0;
    uint8_t                   panels[256];

    if (pare_opened_open(&o, in, &os, job, &d) < 0 || pare_targets_create(&ts, o.model, &d) < 0 ||
        pare_targets_candidates(&ts, false, NULL, &d) < 0)
        say(&d);
    assert_true(ts.n <= 256);
    for (uint32_t i = 0; i < ts.n; i++)
        for (uint32_t c = 0; c < ts.t[i].n_cand; c++) {
            enum pare_type want = keep ? ts.t[i].slot->weight.type->type : mix[i % (sizeof mix / sizeof *mix)];
            if (ts.t[i].cand[c].type->type == want) pick[i] = c;
        }
    struct pare_rewrite r = { .out = out, .ckpt = o.ckpt, .model = o.model, .tok = o.tok, .ts = &ts, .pick = pick };
    *loses = 0;
    if (pack && pare_rewrite_choose_pack(&r, panels, job, &d) < 0) say(&d);
    if (pack) r.pack = panels;
    for (uint32_t i = 0; pack && i < ts.n; i++) {
        n += panels[i] == PARE_PACK_YES;
        *loses += panels[i] == PARE_PACK_LOSES;
    }
    if (pare_rewrite_run(&r, job, &d) < 0) say(&d);
    pare_targets_free(&ts);
    pare_opened_close(&o);
    pare_job_destroy(&job);
    return n;
}

static void same_file(const char *a, const char *b)
{
    size_t   n, m;
    uint8_t *x = read_whole(in_scratch(a), &n), *y = read_whole(in_scratch(b), &m);

    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static void logits(const char *name, uint32_t threads, int tier, enum pare_act_mode mode, float *out)
{
    struct rig r;

    rig_open(&r, in_scratch(name), 64, threads, 64, mode, PARE_F16);
    assert_int_equal(r.n_vocab, VOCAB);
    r.job->tier = tier;
    rig_forward(&r, IDS, N_IDS, true, out);
    rig_close(&r);
}

/* The mix of all kinds of codes, some not packed: f16 stays as it is. */
static int setup(void **state)
{
    uint32_t loses;

    (void)state;
    rewrite(DEMO, in_scratch("plain"), false, false, 2, &loses);
    return rewrite(in_scratch("plain"), in_scratch("packed"), true, true, 2, &loses) > 20 && loses == 0 ? 0 : -1;
}

static void test_logits(void **state)
{
    (void)state;
    logits("plain", 1, 0, PARE_ACT_INT8, plain);
    for (int tier = 0; tier <= pare_cpu_best_tier(); tier++)
        for (uint32_t threads = 1; threads <= 2; threads++) {
            memset(packed, 0, sizeof packed);
            logits("packed", threads, tier, PARE_ACT_INT8, packed);
            assert_memory_equal(plain, packed, sizeof plain);
        }
    logits("plain", 2, pare_cpu_best_tier(), PARE_ACT_F32, plain);
    logits("packed", 2, pare_cpu_best_tier(), PARE_ACT_F32, packed);
    assert_memory_equal(plain, packed, sizeof plain);
}

static void test_turns_back(void **state)
{
    uint32_t loses, n;

    (void)state;
    assert_int_equal(rewrite(in_scratch("packed"), in_scratch("back"), true, false, 1, &loses), 0);
    same_file("plain", "back");
    /* In one go from the original, from a packed file, with another number of threads: the same bytes. */
    n = rewrite(DEMO, in_scratch("direct"), false, true, 1, &loses);
    assert_true(n > 20 && loses == 0);
    same_file("packed", "direct");
    assert_int_equal(rewrite(in_scratch("packed"), in_scratch("again"), true, true, 1, &loses), n);
    same_file("packed", "again");
}

/* Loading copies nothing: the panels are the file's, the forecast says so, and decoding allocates nothing. */
static void test_in_place(void **state)
{
    struct rig r;
    struct pare_diag d = { 0 };

    (void)state;
    rig_open(&r, in_scratch("packed"), 64, 2, 16, PARE_ACT_INT8, PARE_F16);
    for (uint32_t u = 0; u < pare_model_info_of(r.model)->n_units; u++) {
        uint64_t vec = 0;

        for (uint32_t i = 0; i < pare_model_unit(r.model, u)->n_slots; i++) {
            const struct pare_slot *s = &pare_model_unit(r.model, u)->slot[i];

            if (s->vec != NULL) vec += pare_arena_round(s->rows * s->cols * 4);
            if (s->lin == NULL) continue;
            assert_int_equal(s->lin->n_parts, 1);
            assert_null(s->lin->part[0].owned);
            if (s->weight.tensor->packed == 0) continue;
            assert_int_equal(s->lin->part[0].kind, PARE_PART_PACKED);
            assert_ptr_equal(s->lin->part[0].packed.data, s->weight.tensor->data);
        }
        assert_int_equal(pare_unit_bytes(r.model, u), vec);
    }
    rig_forward(&r, IDS, 4, false, packed);
    assert_int_equal(pare_kv_reserve(r.session.kv, 64, &d), 0);
    pare_mem_guard("decode");
    for (uint32_t i = 4; i < N_IDS; i++) rig_forward(&r, IDS + i, 1, false, packed);
    pare_mem_guard(NULL);
    rig_close(&r);
}

/* Another tool moved the tensors to a smaller alignment: panels off a cache line are copied, and give the same. */
static void test_unaligned(void **state)
{
    struct pare_diag d = { 0 };
    unsigned         copied = 0;

    (void)state;
    logits("plain", 1, pare_cpu_best_tier(), PARE_ACT_INT8, plain);
    for (uint64_t extra = 1; extra <= 2; extra++) {
        static const float          pad[16] = { 0 };
        struct pare_writer_settings s = { .path = in_scratch("moved") };
        struct pare_checkpoint     *c;
        struct pare_writer         *w;
        struct rig                  r;
        uint64_t                    dims[1] = { extra * 8 };

        if (pare_checkpoint_open(&c, in_scratch("packed"), &d) < 0 || pare_writer_create(&w, &s, &d) < 0) say(&d);
        for (uint64_t i = 0; i < c->n_kv; i++)
            if (strcmp(c->kv[i].key, "general.alignment") != 0) assert_int_equal(pare_writer_kv_copy(w, &c->kv[i], &d), 0);
        assert_int_equal(pare_writer_declare(w, "padding", pare_dtype_of(PARE_F32), 1, dims, &d), 0);
        for (uint64_t i = 0; i < c->n_tensors; i++) {
            const struct pare_tensor *t = &c->tensors[i];
            assert_int_equal((t->packed ? pare_writer_declare_packed : pare_writer_declare)(w, t->name, t->type, t->n_dims, t->dims, &d), 0);
        }
        assert_int_equal(pare_writer_layout(w, &d), 0);
        assert_int_equal(pare_writer_data(w, 0, pad, extra * 32, &d), 0);
        for (uint64_t i = 0; i < c->n_tensors; i++) assert_int_equal(pare_writer_data(w, i + 1, c->tensors[i].data, c->tensors[i].bytes, &d), 0);
        if (pare_writer_finish(w, &d) < 0) say(&d);
        pare_writer_close(&w, false);
        pare_checkpoint_close(&c);
        rig_open(&r, in_scratch("moved"), 64, 1, 64, PARE_ACT_INT8, PARE_F16);
        for (uint32_t u = 0; u < pare_model_info_of(r.model)->n_units; u++) {
            uint64_t vec = 0, own = 0;

            for (uint32_t i = 0; i < pare_model_unit(r.model, u)->n_slots; i++) {
                const struct pare_slot *x = &pare_model_unit(r.model, u)->slot[i];

                if (x->vec != NULL) vec += pare_arena_round(x->rows * x->cols * 4);
                if (x->lin == NULL || x->lin->part[0].owned == NULL) continue;
                own += pare_packed_bytes(&x->lin->part[0].packed) + PARE_ALIGN;
                copied++;
            }
            assert_int_equal(pare_unit_bytes(r.model, u), vec + own);
        }
        rig_forward(&r, IDS, N_IDS, true, packed);
        assert_memory_equal(plain, packed, sizeof plain);
        rig_close(&r);
    }
    assert_true(copied > 0); /* in one of the two */
}

/* A scale that is a signalling NaN cannot come back, so its tensor stays as rows; the others are packed. */
static void test_kept(void **state)
{
    struct pare_checkpoint   *c;
    const struct pare_tensor *t;
    struct pare_diag          d = { 0 };
    uint8_t                  *p;
    size_t                    n, at;
    uint32_t                  loses, all;

    (void)state;
    if (pare_checkpoint_open(&c, in_scratch("plain"), &d) < 0) say(&d);
    t = pare_checkpoint_tensor(c, "blk.3.ffn_down.weight");
    for (uint32_t i = 0; t->type->type != PARE_Q4_K && i < c->n_tensors; i++) t = &c->tensors[i];
    at = t->offset;
    pare_checkpoint_close(&c);
    all = rewrite(in_scratch("plain"), in_scratch("x"), true, true, 2, &loses);
    p = read_whole(in_scratch("plain"), &n);
    p[at] = 0x01; /* a block of q4_k begins with its scale */
    p[at + 1] = 0x7c;
    write_file(in_scratch("nan"), p, n);
    free(p);
    assert_int_equal(rewrite(in_scratch("nan"), in_scratch("x"), true, true, 2, &loses), all - 1);
    assert_int_equal(loses, 1);
    rewrite(in_scratch("x"), in_scratch("back"), true, false, 2, &loses);
    same_file("nan", "back");
}

/* Panels of any bytes are multiplied and looked up without harm, and to the same bits on every tier. */
static void test_any_panels(void **state)
{
    struct pare_checkpoint *c;
    struct pare_diag        d = { 0 };
    uint8_t                *p;
    size_t                  n;

    (void)state;
    if (pare_checkpoint_open(&c, in_scratch("packed"), &d) < 0) say(&d);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        p = read_whole(in_scratch("packed"), &n);
        for (uint64_t i = 0; i < c->n_tensors; i++)
            for (uint64_t k = 0; c->tensors[i].packed != 0 && k < c->tensors[i].bytes; k++)
                /* every byte; every 97th; so few that most numbers stay finite */
                if (seed == 1 || k % (seed == 2 ? 97 : 1009) == 0) p[c->tensors[i].offset + k] = (uint8_t)pare_rng_u64(seed + i, PARE_RNG_TEST, k);
        write_file(in_scratch("any"), p, n);
        free(p);
        for (int tier = 0; tier <= pare_cpu_best_tier(); tier++) {
            logits("any", 1 + (uint32_t)tier % 2, tier, PARE_ACT_INT8, tier == 0 ? plain : packed);
            if (tier != 0) assert_memory_equal(plain, packed, sizeof plain);
        }
        logits("any", 2, 0, PARE_ACT_F32, plain);
    }
    pare_checkpoint_close(&c);
}

static void test_no_memory(void **state)
{
    struct pare_diag        d = { 0 };
    struct pare_checkpoint *c;
    struct pare_job        *job = one_job(1);

    (void)state;
    if (pare_checkpoint_open(&c, in_scratch("packed"), &d) < 0) say(&d);
    for (int mode = 0; mode < 2; mode++) {
        struct pare_model_options o = { .act_mode = mode ? PARE_ACT_F32 : PARE_ACT_INT8 };

        for (uint64_t n = 1;; n++) {
            struct pare_model *m = NULL;
            uint64_t           live = pare_mem_live();
            int                rc;

            pare_diag_clear(&d);
            pare_mem_fail_after(n);
            rc = pare_model_create(&m, c, &o, job, &d);
            pare_mem_fail_after(0);
            if (rc == 0) pare_model_destroy(&m);
            else assert_int_equal(rc, PARE_E_NOMEM);
            assert_int_equal(pare_mem_live(), live);
            if (rc == 0) break;
        }
    }
    pare_checkpoint_close(&c);
    pare_job_destroy(&job);
}

static int teardown(void **state)
{
    (void)state;
    remove_scratch();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),    cmocka_unit_test(test_turns_back), cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_unaligned), cmocka_unit_test(test_kept),       cmocka_unit_test(test_any_panels),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
