/* SPDX-License-Identifier: Apache-2.0
 * The counts of the roofline against numbers worked out by hand, the mended slips of LLM-Viewer one by one, and the time rule. */
#include "fixture.h"

#include <math.h>

#include "eval/opened.h"
#include "eval/roofline.h"

/* width 8, two heads of 6 over one key head (so heads times width is not the model's), feed-forward 20, vocabulary 50, 3 layers. */
static struct pare_roof_shape small(void)
{
    const struct pare_dtype *q8 = pare_dtype_of(PARE_Q8_0);
    struct pare_roof_shape   s = { .embd = 8, .ffn = 20, .vocab = 50, .layers = 3, .n_linear = 5, .n_attn = 1, .embed_bytes = 1000 };

    s.linear[0] = (struct pare_roof_linear){ "attn_q", 12, 8, 3, 100, q8, true, false, false };
    s.linear[1] = (struct pare_roof_linear){ "attn_k", 6, 8, 3, 50, q8, true, true, false };
    s.linear[2] = (struct pare_roof_linear){ "attn_output", 8, 12, 3, 100, q8, true, false, false };
    s.linear[3] = (struct pare_roof_linear){ "ffn_up", 20, 8, 3, 170, q8, true, false, false };
    s.linear[4] = (struct pare_roof_linear){ "output", 50, 8, 1, 430, q8, true, false, true };
    s.attn[0] = (struct pare_roof_attn){ 3, 2, 1, 6, 6 };
    return s;
}

static const struct pare_roof_op *find(const struct pare_roof_op *op, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(op[i].name, name) == 0) return &op[i];
    fail_msg("no operator %s", name);
    return NULL;
}

#define SAME(a, b) assert_true(fabs((double)(a) - (double)(b)) < 1e-9 * (1 + fabs((double)(b))))

static void counts_of_decode(void **state)
{
    struct pare_roof_shape s = small();
    struct pare_roof_work  w = { .batch = 2, .tokens = 1, .past = 9, .act_bytes = 4, .kv_bytes = 2, .kv_keep = 1, .logits = 1, .fused = true, .tile_rows = 16 };
    struct pare_roof_op    op[PARE_ROOF_OPS];
    uint32_t               n = pare_roof_count(&s, &w, op);
    const struct pare_roof_op *o;

    (void)state;
    o = find(op, n, "attn_q"); /* S10: 8 -> 2 heads of 6 */
    SAME(o->ops, 2 * 8 * 12 * 2);
    SAME(o->load_weight, 100);
    SAME(o->load_act, 8 * 2 * 4);
    SAME(o->store_act, 12 * 2 * 4);
    assert_int_equal(o->count, 3);
    o = find(op, n, "attn_k"); /* into the cache, two bytes an element */
    SAME(o->store_act, 0);
    SAME(o->store_kv, 6 * 2 * 2);
    o = find(op, n, "output"); /* S5: factor 2 and batch */
    SAME(o->ops, 2 * 2 * 8 * 50);
    SAME(o->load_act, 2 * 8 * 4);
    SAME(o->store_act, 2 * 50 * 4);
    o = find(op, n, "attention"); /* ten positions for each of two sequences; S2: q once, o once; S3: the keys of one head, not of two */
    SAME(o->ops, 2 * 2 * (2 * 10 * (6 + 6) + 5 * 10));
    SAME(o->load_act, 2 * 2 * 6 * 4);
    SAME(o->store_act, 2 * 2 * 6 * 4);
    SAME(o->load_kv, 2 * 10 * 1 * 12 * 2);
    o = find(op, n, "gate"); /* S4: the width of the feed-forward part */
    SAME(o->ops, 2 * 2 * 20);
    SAME(o->load_act, 2 * 2 * 20 * 4);
    SAME(o->store_act, 2 * 20 * 4);
    /* S6: table, matrices, cache, activations of the widest point, logits */
    SAME(pare_roof_memory(&s, &w), 1000 + 3 * (100 + 50 + 100 + 170) + 430 + 3 * 2 * 10 * 12 * 2 + 2 * (8 + 40) * 4 + 2 * 50 * 4);
}

static void counts_of_prefill(void **state)
{
    struct pare_roof_shape s = small();
    struct pare_roof_work  w = { .batch = 1, .tokens = 4, .past = 0, .act_bytes = 4, .kv_bytes = 2, .kv_keep = 1, .logits = 1, .fused = false, .tile_rows = 16 };
    struct pare_roof_op    op[PARE_ROOF_OPS];
    uint32_t               n = pare_roof_count(&s, &w, op);
    const struct pare_roof_op *o;

    (void)state;
    /* Causal: 1 + 2 + 3 + 4 = 10 pairs of each head. S1: queries of both heads are loaded. */
    o = find(op, n, "qk");
    SAME(o->ops, 2 * 10 * 6 * 2);
    SAME(o->load_act, 4 * 2 * 6 * 4);
    SAME(o->store_act, 10 * 2 * 4);
    SAME(o->load_kv, 4 * 1 * 6 * 2);
    SAME(find(op, n, "softmax")->ops, 5 * 10 * 2);
    SAME(find(op, n, "sv")->ops, 2 * 10 * 6 * 2);
    SAME(find(op, n, "output")->ops, 2 * 8 * 50); /* logits of the last token only */
    /* S9: half of the positions kept halves pairs and stored keys. */
    w.kv_keep = 0.5;
    n = pare_roof_count(&s, &w, op);
    SAME(find(op, n, "qk")->ops, 2 * 5 * 6 * 2);
    SAME(find(op, n, "attn_k")->store_kv, 4 * 6 * 2 * 0.5);
    /* Weights are read once a piece. */
    w.piece = 3;
    n = pare_roof_count(&s, &w, op);
    SAME(find(op, n, "attn_q")->load_weight, 200);
}

/* Attention in pieces adds up: 4 tokens at once see as many pairs as 4 tokens one after the other. */
static void decode_sums_to_prefill(void **state)
{
    struct pare_roof_shape s = small();
    struct pare_roof_work  w = { .batch = 1, .tokens = 4, .act_bytes = 4, .kv_bytes = 2, .kv_keep = 1, .logits = 0, .fused = true, .tile_rows = 1 };
    struct pare_roof_op    op[PARE_ROOF_OPS];
    double                 whole = 0, steps = 0;
    uint32_t               n = pare_roof_count(&s, &w, op);

    (void)state;
    for (uint32_t i = 0; i < n; i++) whole += op[i].ops * op[i].count;
    w.tokens = 1;
    for (w.past = 0; w.past < 4; w.past++) {
        n = pare_roof_count(&s, &w, op);
        for (uint32_t i = 0; i < n; i++) steps += op[i].ops * op[i].count;
    }
    SAME(whole, steps);
}

static void time_rule(void **state)
{
    struct pare_roof_machine m = { .int8_ops = 1000, .f32_flops = 100, .read_bytes = 10, .sync_s = 0.5 };
    struct pare_roof_op      a = { .count = 2, .ops = 500, .load_weight = 20, .packed = true, .parallel = true, .kind = PARE_ROOF_LINEAR, .columns = 1 };
    struct pare_roof_op      b = { .count = 1, .ops = 500, .load_act = 20, .kind = PARE_ROOF_PLAIN };
    struct pare_roof_op      both[2] = { a, b };
    struct pare_roof_time    t;
    bool                     memory;

    (void)state;
    SAME(pare_roof_op_seconds(&m, &a, &memory), 2 + 0.5); /* 20 bytes at 10 a second against 0.5 s of arithmetic */
    assert_true(memory);
    SAME(pare_roof_op_seconds(&m, &b, &memory), 5); /* f32: 500 / 100 */
    assert_false(memory);
    t = pare_roof_predict(&m, both, 2);
    SAME(t.seconds, 2 * 2.5 + 5);
    SAME(t.memory_s, 4 + 2);
    SAME(t.compute_s, 1 + 5);
    SAME(t.plain_s, 4 + 5);
    assert_false(t.memory_bound); /* 5 of 10 seconds: not more than half */
    /* A measured cost of unpacking takes the place of the peak and is added to the bytes' 2 s: 10 weights, straight lines between points. */
    m.n_cost = 1;
    m.cost[0] = (struct pare_roof_cost){ NULL, true, { 1, 4, 8, 16, 32, 256 } };
    a.weights = 10;
    a.columns = 2;
    SAME(pare_roof_op_seconds(&m, &a, &memory), 20 + 2 + 0.5);
    a.columns = 512;
    SAME(pare_roof_op_seconds(&m, &a, &memory), 5120 + 2 + 0.5);
}

/* Crossover: with 1 op per byte-second at batch 1, compute catches up with memory where batch * compute > weights' bytes. */
static void crossover(void **state)
{
    struct pare_roof_shape   s = { .embd = 0, .n_linear = 1 };
    struct pare_roof_work    w = { .batch = 1, .tokens = 1, .kv_keep = 1, .logits = 1 };
    struct pare_roof_machine m = { .int8_ops = 200, .read_bytes = 10 };

    (void)state;
    s.linear[0] = (struct pare_roof_linear){ .role = "x", .rows = 10, .cols = 10, .count = 1, .bytes = 70, .packed = true };
    /* one token: 200 ops = 1 s, bytes 7 s: the eighth token is the first beyond */
    assert_int_equal(pare_roof_crossover(&m, &s, &w, 100), 8);
    assert_int_equal(pare_roof_crossover(&m, &s, &w, 7), 0);
}

/* The real model: operations of all matrices are two for each multiplied weight, and the table's shapes are those of its config. */
static void the_demo(void **state)
{
    struct pare_job_settings  js;
    struct pare_job          *job;
    struct pare_opened        o;
    struct pare_open_settings os = { .act_mode = PARE_ACT_F32, .kv = "f32", .ctx = 16 };
    struct pare_diag          d = { 0 };
    struct pare_roof_shape   *s = calloc(1, sizeof *s);
    struct pare_roof_op       op[PARE_ROOF_OPS];
    struct pare_roof_work     w = { .batch = 1, .tokens = 1, .past = 0, .act_bytes = 4, .kv_bytes = 4, .kv_keep = 1, .logits = 1, .fused = true };
    double                    ops = 0, weights = 0, bytes = 0;
    uint32_t                  n;

    (void)state;
    pare_job_settings_default(&js);
    assert_int_equal(pare_job_create(&job, &js, &d), PARE_OK);
    assert_int_equal(pare_opened_open(&o, "data/demo-llama", &os, job, &d), PARE_OK);
    assert_int_equal(pare_roof_shape_of(s, o.model, &d), PARE_OK);
    n = pare_roof_count(s, &w, op);
    for (uint32_t i = 0; i < n; i++)
        if (op[i].kind == PARE_ROOF_LINEAR) {
            ops += op[i].ops * op[i].count;
            bytes += op[i].load_weight * op[i].count;
        }
    for (uint32_t u = 0; u < pare_model_info_of(o.model)->n_units; u++) {
        struct pare_unit *unit = pare_model_unit(o.model, u);
        for (uint32_t i = 0; i < unit->n_slots; i++)
            if (unit->slot[i].is_linear && unit->slot[i].lin != NULL) weights += (double)unit->slot[i].rows * (double)unit->slot[i].cols;
    }
    SAME(ops, 2 * weights);
    SAME(bytes, weights * s->linear[0].type->block_bytes); /* a float type: one element a block */
    assert_int_equal(s->n_attn, 1);
    assert_int_equal(s->attn[0].heads * s->attn[0].dv, 256);
    assert_int_equal(s->ffn, 768);
    free(s);
    pare_opened_close(&o);
    pare_job_destroy(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_decode), cmocka_unit_test(counts_of_prefill), cmocka_unit_test(decode_sums_to_prefill),
        cmocka_unit_test(time_rule),        cmocka_unit_test(crossover),         cmocka_unit_test(the_demo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
