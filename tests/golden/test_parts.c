/* SPDX-License-Identifier: Apache-2.0
 * tests/golden/test_parts.c: a model whose matrices are composites of all kinds, written, read, packed, kept, expanded: the same logits for
 * any tier, threads and batch; near those of the dense matrices that the composites stand for; nothing added to files that have no parts. */
#include "file_maker.h"

#include <math.h>

#include "base/rng.h"
#include "compress/composite.h"
#include "compress/rewrite.h"
#include "eval/opened.h"
#include "format/parts.h"
#include "golden/rig.h"
#include <pare/checkpoint.h>
#include <pare/fit.h>

#define DEMO "data/demo-llama"
enum { N_IDS = 12, VOCAB = 8192, MOST = 64, PICK = 32, RANK = 32 };

static const int32_t IDS[N_IDS] = { 0, 172, 4220, 184, 56, 8191, 43, 92, 1, 7, 250, 33 };
static float         a[N_IDS * VOCAB], b[N_IDS * VOCAB];

/* The original, and a composite for each of its matrices. */
static struct {
    struct pare_job             *job;
    struct pare_opened           o;
    struct pare_targets          ts;
    struct pare_composite        c[MOST], dense[MOST];
    struct pare_composite_maker  maker[MOST];
    uint32_t                     pick[MOST];
} g;

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) < 0) say(&d);                                                                                       \
    } while (0)

static bool is_composite(const struct pare_target *t) { return t->multiplied && t->table == NULL; }

/* q, k and v see signs and a rotation, made once for the three; what follows sees a scale and a permutation; gate and up nothing. */
static struct pare_transform *transform_for(const char *role, uint64_t cols)
{
    struct pare_transform *t;
    struct pare_diag       d = { 0 };

    OK(pare_transform_create(&t, cols, &d));
    if (strcmp(role, "attn_q") == 0 || strcmp(role, "attn_k") == 0 || strcmp(role, "attn_v") == 0 || strcmp(role, "ffn_down") == 0) {
        OK(pare_transform_random_signs(t, 7, &d));
        OK(pare_transform_hadamard(t, 0, &d));
    }
    if (strcmp(role, "attn_output") == 0 || strcmp(role, "ffn_down") == 0) {
        float    *s = malloc(cols * sizeof *s);
        uint32_t *p = malloc(cols * sizeof *p);

        for (uint64_t i = 0; i < cols; i++) {
            s[i] = 0.5f + pare_rng_f32(1, PARE_RNG_TEST, i);
            p[i] = (uint32_t)(i ^ 5);
        }
        OK(pare_transform_scale(t, s, &d));
        OK(pare_transform_permute(t, p, &d));
        free(s);
        free(p);
    }
    return t;
}

/* Base in 4 bits; of what it loses, some columns, some entries; a low-rank part and a sum part that are made up. */
static void make(struct pare_composite *c, struct pare_composite *dense, const struct pare_target *t)
{
    const uint64_t         rows = t->rows, cols = t->cols;
    struct pare_diag       d = { 0 };
    struct pare_transform *tr = transform_for(t->slot->role, cols);
    float    *w = malloc(rows * cols * 4), *r = malloc(rows * cols * 4), *la = malloc(rows * RANK * 4), *lb = malloc(RANK * cols * 4), *s = malloc(rows * PICK * 4);
    uint32_t  index[PICK];
    struct pare_entry *e = malloc(rows * 3 * sizeof *e);
    bool      low = strcmp(t->slot->role, "ffn_gate") != 0, bare = strcmp(t->slot->role, "attn_v") == 0;
    char      of[96];

    OK(pare_slot_rows(t->slot, 0, rows, w, &d));
    pare_transform_fold(tr, w, cols, rows, g.job);
    pare_composite_init(c, rows, cols);
    if (!bare) OK(pare_composite_base(c, pare_dtype_of(PARE_Q4_0), w, NULL, g.job, &d));
    snprintf(of, sizeof of, "blk.%u.attn_q.weight", t->of->index);
    for (uint32_t i = 0; i < MOST; i++) /* names are borrowed from the targets */
        if (i < g.ts.n && strcmp(g.ts.t[i].name, of) == 0)
            OK(pare_composite_input(c, tr, strcmp(t->slot->role, "attn_k") == 0 || bare ? g.ts.t[i].name : NULL, &d));
    for (uint64_t i = 0; i < rows * RANK; i++) la[i] = pare_rng_normal(2, PARE_RNG_TEST, i) * 0.02f;
    for (uint64_t i = 0; i < RANK * cols; i++) lb[i] = pare_rng_normal(3, PARE_RNG_TEST, i) * 0.02f;
    if (low) OK(pare_composite_low_rank(c, RANK, la, pare_dtype_of(PARE_Q8_0), lb, pare_dtype_of(PARE_F16), g.job, &d));
    if (bare) OK(pare_composite_low_rank(c, RANK, la, pare_dtype_of(PARE_F32), lb, pare_dtype_of(PARE_PQ5), g.job, &d)); /* twice the same kind */
    if (!bare)
        for (uint64_t k = 0; k < rows; k++) {
            pare_dtype_of(PARE_Q4_0)->decode(r + k * cols, c->base.data + k * c->base.row_bytes, cols);
            for (uint64_t i = 0; i < cols; i++) r[k * cols + i] = w[k * cols + i] - r[k * cols + i];
        }
    else memcpy(r, w, rows * cols * 4);
    for (uint32_t i = 0; i < PICK; i++) {
        index[i] = (uint32_t)((i * 5 + 1) % cols);
        for (uint64_t k = 0; k < rows; k++) s[k * PICK + i] = r[k * cols + index[i]];
    }
    OK(pare_composite_columns(c, PICK, index, s, pare_dtype_of(PARE_Q8_0), g.job, &d));
    for (uint64_t k = 0; k < rows * 3; k++) {
        uint32_t col = (uint32_t)((k % 3 * 50 + k / 3) % cols);
        e[k] = (struct pare_entry){ (uint32_t)(k / 3), col, r[k / 3 * cols + col] };
    }
    OK(pare_composite_sparse(c, e, rows * 3, t->unit % 2 == 0, &d));
    for (uint64_t k = 0; k < rows; k++) s[k] = pare_rng_normal(4, PARE_RNG_TEST, k) * 1e-3f;
    OK(pare_composite_const(c, s, true, &d));
    OK(pare_composite_dense(c, 0, rows, w, g.job, &d));
    pare_composite_init(dense, rows, cols);
    OK(pare_composite_base(dense, pare_dtype_of(PARE_F32), w, NULL, g.job, &d));
    pare_transform_destroy(&tr);
    free(w), free(r), free(la), free(lb), free(s), free(e);
}

static void rewrite(const char *out, const struct pare_composite *which, bool pack)
{
    struct pare_rewrite r = { .out = in_scratch(out), .ckpt = g.o.ckpt, .model = g.o.model, .tok = g.o.tok, .ts = &g.ts, .pick = g.pick };
    struct pare_diag    d = { 0 };
    uint8_t             panels[MOST];

    for (uint32_t i = 0; i < g.ts.n; i++) {
        struct pare_target    *t = &g.ts.t[i];
        struct pare_candidate *k = &t->cand[t->n_cand]; /* one candidate more: the composite */

        g.pick[i] = 0;
        for (uint32_t c = 0; c < t->n_cand; c++)
            if (t->cand[c].type->type == PARE_Q8_0) g.pick[i] = c;
        if (which == NULL || !is_composite(t)) continue;
        pare_composite_hold(&g.maker[i], &which[i]);
        *k = (struct pare_candidate){ .type = which[i].base.type != NULL ? which[i].base.type : pare_dtype_of(PARE_F32), .maker = &g.maker[i],
                                      .bytes = pare_composite_bytes(&which[i]) };
        g.pick[i] = t->n_cand;
    }
    if (pack) {
        OK(pare_rewrite_choose_pack(&r, panels, g.job, &d));
        r.pack = panels;
    }
    OK(pare_rewrite_run(&r, g.job, &d));
}

static int setup(void **state)
{
    struct pare_open_settings os = { .act_mode = PARE_ACT_F32, .kv = "f32", .ctx = 16, .stream = true, .tokenizer = true };
    struct pare_job_settings  js;
    struct pare_diag          d = { 0 };

    (void)state;
    pare_job_settings_default(&js);
    js.n_threads = 2;
    OK(pare_job_create(&g.job, &js, &d));
    OK(pare_opened_open(&g.o, DEMO, &os, g.job, &d));
    OK(pare_targets_create(&g.ts, g.o.model, &d));
    OK(pare_targets_candidates(&g.ts, false, NULL, &d));
    assert_true(g.ts.n <= MOST);
    for (uint32_t i = 0; i < g.ts.n; i++) {
        assert_true(g.ts.t[i].n_cand < PARE_MAX_CANDIDATES);
        if (is_composite(&g.ts.t[i])) make(&g.c[i], &g.dense[i], &g.ts.t[i]);
    }
    rewrite("parts", g.c, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < g.ts.n; i++) {
        pare_composite_free(&g.c[i]);
        pare_composite_free(&g.dense[i]);
    }
    pare_targets_free(&g.ts);
    pare_opened_close(&g.o);
    pare_job_destroy(&g.job);
    remove_scratch();
    return 0;
}

static void same_file(const char *x, const char *y, bool same)
{
    size_t   n, m;
    uint8_t *p = read_whole(in_scratch(x), &n), *q = read_whole(in_scratch(y), &m);

    if (same) assert_int_equal(n, m);
    if (same) assert_memory_equal(p, q, n);
    else assert_true(n != m);
    free(p);
    free(q);
}

static void logits(const char *name, uint32_t threads, int tier, enum pare_act_mode mode, bool single, float *out)
{
    struct rig r;

    rig_open(&r, in_scratch(name), 64, threads, 64, mode, PARE_F16);
    assert_int_equal(r.n_vocab, VOCAB);
    r.job->tier = tier;
    assert_int_equal(pare_kv_reserve(r.session.kv, 64, NULL), 0);
    if (single) pare_mem_guard("a pass");
    for (uint32_t i = 0; single && i < N_IDS; i++) rig_forward(&r, IDS + i, 1, true, out + i * VOCAB);
    pare_mem_guard(NULL);
    if (!single) rig_forward(&r, IDS, N_IDS, true, out);
    rig_close(&r);
}

/* Tiers, threads, one token at a time (which allocates nothing) and many. */
static void test_logits(void **state)
{
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        logits("parts", 1, 0, (enum pare_act_mode)mode, false, a);
        for (int tier = 1; tier <= pare_cpu_best_tier(); tier++)
            for (uint32_t threads = 1; threads <= 3; threads++) {
                logits("parts", threads, tier, (enum pare_act_mode)mode, threads == 2, b);
                assert_memory_equal(a, b, sizeof a);
            }
    }
}

/* With f32 activations the composites give what their dense matrices give, to rounding. */
static void test_dense(void **state)
{
    double err = 0, norm = 0;

    (void)state;
    rewrite("dense", g.dense, false);
    logits("parts", 2, pare_cpu_best_tier(), PARE_ACT_F32, false, a);
    logits("dense", 2, pare_cpu_best_tier(), PARE_ACT_F32, false, b);
    for (uint32_t i = 0; i < N_IDS * VOCAB; i++) {
        err += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    printf("relative difference of logits %.1e\n", sqrt(err / norm));
    assert_true(sqrt(err / norm) < 1e-5);
}

/* The file's slots give the same dense rows as the composites in memory, in the order of the file. */
static void test_rows(void **state)
{
    struct rig       r;
    struct pare_diag d = { 0 };
    uint32_t         seen = 0;

    (void)state;
    rig_open(&r, in_scratch("parts"), 64, 2, 16, PARE_ACT_INT8, PARE_F16);
    for (uint32_t u = 0; u < pare_model_info_of(r.model)->n_units; u++)
        for (uint32_t k = 0; k < pare_model_unit(r.model, u)->n_slots; k++) {
            const struct pare_slot *s = &pare_model_unit(r.model, u)->slot[k];

            for (uint32_t i = 0; i < g.ts.n; i++) {
                float *w;

                if (strcmp(g.ts.t[i].name, s->name) != 0 || !is_composite(&g.ts.t[i])) continue;
                w = malloc(s->rows * s->cols * sizeof *w);
                OK(pare_slot_rows(s, 0, s->rows, w, &d));
                for (uint64_t row = 0; row < s->rows; row++)
                    assert_memory_equal(w + row * s->cols, g.dense[i].base.data + pare_slot_out_row(g.ts.t[i].slot, row) * s->cols * 4, s->cols * 4);
                free(w);
                seen++;
            }
        }
    assert_true(seen > 20);
    rig_close(&r);
}

static void convert(const char *in, const char *out, const char *type, bool pack)
{
    struct pare_diag d = { 0 };
    char            *json = NULL, from[512];

    snprintf(from, sizeof from, "%s", in_scratch(in));
    OK(pare_convert(from, in_scratch(out), type, pack, false, &json, g.job, &d));
    pare_free(json);
}

/* Kept: the same bytes. Packed: the same logits, and back to the same bytes. Packed at once: the same as packed later. */
static void test_kept(void **state)
{
    (void)state;
    convert("parts", "kept", "keep", false);
    same_file("parts", "kept", true);
    convert("parts", "packed", "keep", true);
    rewrite("packed at once", g.c, true);
    logits("parts", 2, pare_cpu_best_tier(), PARE_ACT_INT8, false, a);
    logits("packed", 1, pare_cpu_best_tier(), PARE_ACT_INT8, true, b);
    assert_memory_equal(a, b, sizeof a);
    logits("packed at once", 2, 1, PARE_ACT_INT8, false, b);
    assert_memory_equal(a, b, sizeof a);
    logits("parts", 2, pare_cpu_best_tier(), PARE_ACT_F32, false, a);
    logits("packed", 2, pare_cpu_best_tier(), PARE_ACT_F32, false, b);
    assert_memory_equal(a, b, sizeof a);
    convert("packed", "back", "keep", false);
    same_file("parts", "back", true);
}

/* Another type for all: the dense rows are encoded, no part is left. So does a portable file. */
static void test_expanded(void **state)
{
    struct pare_checkpoint *c;
    struct pare_diag        d = { 0 };

    (void)state;
    convert("parts", "wide", "f32", false);
    OK(pare_checkpoint_open(&c, in_scratch("wide"), &d));
    assert_null(pare_kv_find(c, PARE_PARTS_KEY));
    for (uint32_t i = 0; i < g.ts.n; i++) {
        const struct pare_tensor *t = pare_checkpoint_tensor(c, g.ts.t[i].name);

        if (!is_composite(&g.ts.t[i])) continue;
        assert_int_equal(t->type->type, PARE_F32);
        for (uint64_t row = 0; row < t->rows; row++)
            assert_memory_equal(t->data + row * t->cols * 4, g.dense[i].base.data + pare_slot_out_row(g.ts.t[i].slot, row) * t->cols * 4, t->cols * 4);
    }
    pare_checkpoint_close(&c);
}

static void test_portable(void **state)
{
    struct pare_open_settings os = { .act_mode = PARE_ACT_F32, .kv = "f32", .ctx = 16, .stream = true, .tokenizer = true };
    struct pare_opened        o;
    struct pare_targets       ts;
    struct pare_diag          d = { 0 };
    uint32_t                  kept = 0;

    (void)state;
    OK(pare_opened_open(&o, in_scratch("parts"), &os, g.job, &d));
    OK(pare_targets_create(&ts, o.model, &d));
    OK(pare_targets_candidates(&ts, true, NULL, &d));
    for (uint32_t i = 0; i < ts.n; i++)
        for (uint32_t k = 0; k < ts.t[i].n_cand; k++) assert_null(ts.t[i].cand[k].maker);
    OK(pare_targets_candidates(&ts, false, NULL, &d));
    for (uint32_t i = 0; i < ts.n; i++)
        for (uint32_t k = 0; k < ts.t[i].n_cand; k++)
            if (ts.t[i].cand[k].maker != NULL) {
                uint64_t bytes = 0;
                char     prefix[128];

                /* what the candidate promises is what stands in the file: the weight and all that begins with its name */
                snprintf(prefix, sizeof prefix, "%s.", ts.t[i].name);
                for (uint64_t q = 0; q < o.ckpt->n_tensors; q++)
                    if (strcmp(o.ckpt->tensors[q].name, ts.t[i].name) == 0 || strncmp(o.ckpt->tensors[q].name, prefix, strlen(prefix)) == 0)
                        bytes += o.ckpt->tensors[q].bytes;
                assert_int_equal(ts.t[i].cand[k].bytes, bytes);
                kept++;
            }
    assert_true(kept > 20);
    pare_targets_free(&ts);
    pare_opened_close(&o);
}

/* Composites of a base alone are written as the type is written without them. */
static void test_neutral(void **state)
{
    static struct pare_composite plain[MOST];
    struct pare_diag             d = { 0 };

    (void)state;
    rewrite("q8", NULL, false);
    for (uint32_t i = 0; i < g.ts.n; i++) {
        const struct pare_target *t = &g.ts.t[i];
        float                    *w = malloc(t->rows * t->cols * sizeof *w);

        pare_composite_init(&plain[i], t->rows, t->cols);
        if (is_composite(t)) {
            OK(pare_slot_rows(t->slot, 0, t->rows, w, &d));
            OK(pare_composite_base(&plain[i], pare_dtype_of(PARE_Q8_0), w, NULL, g.job, &d));
            OK(pare_composite_low_rank(&plain[i], 0, w, pare_dtype_of(PARE_F16), w, pare_dtype_of(PARE_F16), g.job, &d));
            OK(pare_composite_columns(&plain[i], 0, NULL, w, pare_dtype_of(PARE_F16), g.job, &d));
            OK(pare_composite_sparse(&plain[i], NULL, 0, true, &d));
            OK(pare_composite_sparse(&plain[i], &(struct pare_entry){ 1, 2, 1e-9f }, 1, true, &d)); /* 0 in half precision */
            assert_int_equal(plain[i].n_parts, 0);
        }
        free(w);
    }
    rewrite("q8 too", plain, false);
    same_file("q8", "q8 too", true);
    same_file("q8", "parts", false);
    for (uint32_t i = 0; i < g.ts.n; i++) pare_composite_free(&plain[i]);
}

/* The forecast of a unit is what its linears and transforms hold. */
static void test_forecast(void **state)
{
    (void)state;
    for (int mode = 0; mode < 2; mode++)
        for (int pack = 0; pack < 2; pack++) {
            struct rig r;

            rig_open(&r, in_scratch(pack ? "packed" : "parts"), 64, 2, 16, (enum pare_act_mode)mode, PARE_F16);
            for (uint32_t u = 0; u < pare_model_info_of(r.model)->n_units; u++) {
                struct pare_unit *x = pare_model_unit(r.model, u);
                uint64_t          own = 0, shared = 0;

                for (uint32_t i = 0; i < x->n_slots; i++) {
                    struct pare_slot *s = &x->slot[i];

                    if (s->vec != NULL) own += pare_arena_round(s->rows * s->cols * 4);
                    if (s->transform != NULL) own += pare_transform_bytes(s->transform);
                    if (s->lin == NULL) continue;
                    shared += s->transform == NULL && s->lin->input != NULL;
                    for (uint32_t k = 0; k < s->lin->n_parts; k++)
                        for (const struct pare_part *p = &s->lin->part[k]; p != NULL; p = p->inner) {
                            if (p != &s->lin->part[k]) own += sizeof *p;
                            if (p->owned == NULL) continue;
                            own += p->store == PARE_PART_PACKED ? pare_packed_bytes(&p->packed) + PARE_ALIGN
                                                                : p->row_stride * (p == &s->lin->part[k] ? s->rows : s->lin->part[k].cols);
                        }
                }
                assert_int_equal(pare_unit_bytes(r.model, u), own);
                if (x->kind == PARE_UNIT_LAYER) assert_int_equal(shared, 2); /* k and v run q's transform */
            }
            rig_close(&r);
        }
}

/* A file that says otherwise: a good one with an entry more, which is true but for whose weight it is. */
static void test_table_in_file(void **state)
{
    static const float          zeros[VOCAB];
    struct pare_writer_settings ws = { .path = in_scratch("table") };
    struct pare_model_options   mo = { .no_weights = true };
    struct pare_checkpoint     *c;
    struct pare_writer         *w;
    struct pare_model          *m;
    struct pare_diag            d = { 0 };
    uint64_t                    one = VOCAB, n;
    static const char           text[] = "{\"token_embd.weight\":{\"parts\":[{\"kind\":\"const\"}]}}";

    (void)state;
    rewrite("q8", NULL, false);
    OK(pare_checkpoint_open(&c, in_scratch("q8"), &d));
    OK(pare_writer_create(&w, &ws, &d));
    for (uint64_t i = 0; i < c->n_kv; i++)
        if (strcmp(c->kv[i].key, "pare.tensors") != 0) OK(pare_writer_kv_copy(w, &c->kv[i], &d));
    OK(pare_writer_kv_str(w, PARE_PARTS_KEY, text, strlen(text), &d));
    n = c->n_tensors;
    for (uint64_t i = 0; i < n; i++) OK(pare_writer_declare(w, c->tensors[i].name, c->tensors[i].type, c->tensors[i].n_dims, c->tensors[i].dims, &d));
    OK(pare_writer_declare(w, "token_embd.weight.const", pare_dtype_of(PARE_F32), 1, &one, &d));
    OK(pare_writer_layout(w, &d));
    for (uint64_t i = 0; i < n; i++) OK(pare_writer_data(w, i, c->tensors[i].data, c->tensors[i].bytes, &d));
    OK(pare_writer_data(w, n, zeros, sizeof zeros, &d));
    OK(pare_writer_finish(w, &d));
    pare_writer_close(&w, false);
    pare_checkpoint_close(&c);
    OK(pare_checkpoint_open(&c, in_scratch("table"), &d));
    assert_int_equal(pare_model_create(&m, c, &mo, g.job, &d), PARE_E_UNSUPPORTED);
    assert_string_equal(d.where, "token_embd.weight");
    assert_non_null(strstr(d.text, "embedding table"));
    pare_checkpoint_close(&c);
}

/* What inspect says: the weights of the original, bits with everything that belongs to them. */
static void test_inspect(void **state)
{
    struct pare_diag d = { 0 };
    char            *text = NULL;
    json_t          *doc, *t;
    size_t           i;
    uint32_t         found = 0;

    (void)state;
    OK(pare_inspect(in_scratch("parts"), true, &text, g.job, &d));
    doc = json_loads(text, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(doc, "params")), g.ts.params);
    json_array_foreach(json_object_get(doc, "tensors"), i, t)
    {
        const char *name = json_string_value(json_object_get(t, "name"));

        for (uint32_t k = 0; k < g.ts.n; k++) {
            if (strcmp(g.ts.t[k].name, name) != 0 || !is_composite(&g.ts.t[k])) continue;
            assert_int_equal(json_integer_value(json_object_get(t, "bytes_with_parts")), pare_composite_bytes(&g.c[k]));
            assert_int_equal(json_array_size(json_object_get(t, "parts")), g.c[k].n_parts);
            found++;
        }
        if (strstr(name, ".weight.") != NULL) assert_int_equal(strncmp(name, json_string_value(json_object_get(t, "part_of")), strcspn(name, "w")), 0);
    }
    assert_true(found > 20);
    json_decref(doc);
    pare_free(text);
}

/* A table that rows are looked up in cannot have parts. */
static void test_tied(void **state)
{
    struct pare_rewrite r = { .out = in_scratch("tied"), .ckpt = g.o.ckpt, .model = g.o.model, .tok = g.o.tok, .ts = &g.ts, .pick = g.pick };
    struct pare_diag    d = { 0 };

    (void)state;
    for (uint32_t i = 0; i < g.ts.n; i++) {
        struct pare_target *t = &g.ts.t[i];

        g.pick[i] = 0;
        if (t->table == NULL) continue;
        t->cand[t->n_cand] = (struct pare_candidate){ .type = pare_dtype_of(PARE_F32), .maker = &g.maker[0] };
        g.pick[i] = t->n_cand;
        assert_int_equal(pare_rewrite_run(&r, g.job, &d), PARE_E_USAGE);
        assert_string_equal(d.where, t->name);
        return;
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits), cmocka_unit_test(test_dense), cmocka_unit_test(test_rows), cmocka_unit_test(test_kept), cmocka_unit_test(test_expanded),
        cmocka_unit_test(test_portable), cmocka_unit_test(test_neutral), cmocka_unit_test(test_forecast), cmocka_unit_test(test_tied),
        cmocka_unit_test(test_table_in_file), cmocka_unit_test(test_inspect)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
