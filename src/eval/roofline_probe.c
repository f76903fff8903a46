/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/roofline_probe.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "nn/linear.h"

/* Small enough for the second-level cache in every type up to f32's quarter, wide enough that a row is long. */
enum { ROWS = 256, COLS = 1024, MOST = 256 };

static void nothing(void *ctx, uint32_t chunk, uint32_t worker)
{
    (void)ctx;
    (void)chunk;
    (void)worker;
}

/* The least of many: a neighbour can only make it longer. */
static double sync_seconds(struct pare_job *job)
{
    double best = 1;

    for (int i = 0; i < 2000; i++) {
        double t = pare_now();

        pare_team_run(job->team, 4 * pare_team_size(job->team), nothing, NULL);
        t = pare_now() - t;
        if (t < best) best = t;
    }
    return best;
}

static double apply_seconds(const struct pare_linear *l, uint32_t n, const float *x, float *y, void *scratch, struct pare_job *job)
{
    struct pare_linear_out out = { l, y, l->rows };
    double                 best = 1, until = pare_now() + 0.08;

    for (int i = 0; i < 6 || pare_now() < until; i++) {
        double t = pare_now();

        pare_linear_apply(&out, 1, x, COLS, n, scratch, job);
        t = pare_now() - t;
        if (t < best) best = t;
    }
    return best;
}

/* A matrix of one panel is nearly nothing but what every product costs: rounding its inputs, and the call. */
static int probe_call(struct pare_roof_machine *m, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_linear l = { 0 };
    uint8_t           *data = pare_aligned(16 * COLS / 32 * 34);
    float             *x = pare_aligned((uint64_t)32 * COLS * sizeof *x), *y = pare_aligned(32 * 16 * sizeof *y);
    void              *scratch = pare_aligned(pare_linear_scratch(32, COLS, pare_job_threads(job), false));
    int                rc = data == NULL || x == NULL || y == NULL || scratch == NULL ? PARE_NOMEM(diag) : PARE_OK;

    if (rc == PARE_OK) {
        memset(data, 0, 16 * COLS / 32 * 34);
        for (uint64_t i = 0; i < 32 * COLS; i++) x[i] = pare_rng_normal(4, PARE_RNG_SYNTH, i);
        rc = pare_linear_bind(&l, pare_dtype_of(PARE_Q8_0), data, COLS / 32 * 34, 16, COLS, PARE_ACT_INT8, job, diag);
    }
    if (rc == PARE_OK) {
        double one = apply_seconds(&l, 1, x, y, scratch, job) - m->sync_s, many = apply_seconds(&l, 32, x, y, scratch, job) - m->sync_s;

        m->quant_s = many > one ? (many - one) / (31.0 * COLS) * m->threads : 0;
        m->call_s = one - m->quant_s * COLS > 0 ? one - m->quant_s * COLS : 0;
    }
    pare_linear_free(&l);
    pare_aligned_free(data);
    pare_aligned_free(x);
    pare_aligned_free(y);
    pare_aligned_free(scratch);
    return rc;
}

#define SEEN 256 /* positions of the probe of attention */

/* Seconds an operation of attention over SEEN positions, for the heads of one group and for as many rows as one call takes. */
static int probe_attend(struct pare_roof_machine *m, const struct pare_roof_attn *a, enum pare_type kv, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_vec  *vk = pare_vec_for(job->tier);
    struct pare_kv_shape    shape = { 1, a->dk, a->dv };
    struct pare_kv_settings s = { kv, 1, 1, &shape, SEEN };
    struct pare_kv_cache   *c = NULL;
    struct pare_kv_seg      seg[SEEN];
    struct pare_attn_row    row[PARE_ATTN_ROWS];
    uint32_t                group = a->heads_kv > 0 && a->heads / a->heads_kv < PARE_ATTN_ROWS ? a->heads / a->heads_kv : PARE_ATTN_ROWS, wide = a->dk + a->dv;
    float                  *x = pare_aligned((uint64_t)PARE_ATTN_ROWS * wide * sizeof *x);
    void                   *scratch = pare_aligned(pare_attn_scratch(a->dk, a->dv));
    int                     rc = x == NULL || scratch == NULL ? PARE_NOMEM(diag) : pare_kv_create(&c, &s, diag);

    if (rc == PARE_OK) rc = pare_kv_reserve(c, SEEN, diag);
    for (uint64_t i = 0; rc == PARE_OK && i < (uint64_t)PARE_ATTN_ROWS * wide; i++) x[i] = pare_rng_normal(5, PARE_RNG_SYNTH, i);
    for (uint32_t p = 0; rc == PARE_OK && p < SEEN; p++) pare_kv_put(c, vk, 0, p, x + p % 8 * wide, x + p % 8 * wide + a->dk);
    for (int many = 0; many < 2 && rc == PARE_OK; many++) {
        struct pare_attn t = { .seg = seg, .k_type = kv, .v_type = kv, .mm = pare_gemmq_for(job->tier), .dk = a->dk, .dv = a->dv, .causal = true,
                               .scale = 0.1f };
        uint32_t n = many ? PARE_ATTN_ROWS : group > 0 ? group : 1;
        double   best = 1, until = pare_now() + 0.05;

        t.n_seg = pare_kv_segments(c, 0, 0, 0, SEEN, seg, SEEN);
        for (uint32_t i = 0; i < n; i++) row[i] = (struct pare_attn_row){ .q = x + i * wide, .out = x + i * wide + a->dk, .pos = SEEN - 1 };
        for (int i = 0; i < 6 || pare_now() < until; i++) {
            double at = pare_now();

            vk->attention_rows(row, n, &t, scratch);
            at = pare_now() - at;
            if (at < best) best = at;
        }
        m->attend_s[many] = best / ((double)n * SEEN * (2.0 * wide + 5));
    }
    pare_kv_destroy(&c);
    pare_aligned_free(x);
    pare_aligned_free(scratch);
    return rc;
}

static void probe_gate(struct pare_roof_machine *m, struct pare_job *job)
{
    const struct pare_vec *vk = pare_vec_for(job->tier);
    float                  g[1024], u[1024];
    double                 best = 1;

    for (uint64_t i = 0; i < 1024; i++) {
        g[i] = pare_rng_normal(6, PARE_RNG_SYNTH, i);
        u[i] = 1;
    }
    for (int i = 0; i < 3000; i++) {
        double t = pare_now();

        vk->act_mul(u, g, g, PARE_ACT_SILU, 1024);
        t = pare_now() - t;
        if (t < best) best = t;
    }
    m->gate_s = best / 1024;
}

int pare_roof_probe_type(struct pare_roof_cost *c, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_linear l = { 0 };
    uint64_t           row;
    uint8_t           *data = NULL;
    float             *x = pare_aligned((uint64_t)MOST * COLS * sizeof *x), *y = pare_aligned((uint64_t)MOST * ROWS * sizeof *y);
    void              *scratch = pare_aligned(pare_linear_scratch(MOST, COLS, pare_job_threads(job), false));
    double             sync = sync_seconds(job);
    int                rc = PARE_OK;

    if (!pare_dtype_row_bytes(c->type, COLS, &row)) rc = PARE_ERR(diag, PARE_E_UNSUPPORTED, "type %s has no rows of %d", c->type->name, COLS);
    if (rc == PARE_OK) data = pare_aligned(ROWS * row);
    if (rc == PARE_OK && (x == NULL || y == NULL || scratch == NULL || data == NULL)) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) {
        memset(data, 0, ROWS * row); /* zero weights take the same time as any others */
        for (uint64_t i = 0; i < (uint64_t)MOST * COLS; i++) x[i] = pare_rng_normal(3, PARE_RNG_SYNTH, i);
        rc = pare_linear_bind(&l, c->type, data, row, ROWS, COLS, c->packed ? PARE_ACT_INT8 : PARE_ACT_F32, job, diag);
    }
    for (int i = 0; i < PARE_ROOF_POINTS && rc == PARE_OK; i++) {
        double t = apply_seconds(&l, pare_roof_columns[i], x, y, scratch, job) - sync;

        c->weight_s[i] = t > 0 ? t / ((double)ROWS * COLS) : 0;
        if (i > 0 && c->weight_s[i] < c->weight_s[i - 1]) c->weight_s[i] = c->weight_s[i - 1]; /* more vectors never cost less */
    }
    pare_linear_free(&l);
    pare_aligned_free(data);
    pare_aligned_free(x);
    pare_aligned_free(y);
    pare_aligned_free(scratch);
    return rc;
}

int pare_roof_probe(struct pare_roof_machine *m, const struct pare_roof_shape *s, const struct pare_limits *limits, enum pare_type kv,
                    struct pare_job *job, struct pare_diag *diag)
{
    double bytes = 0;

    *m = (struct pare_roof_machine){ .int8_ops = limits->int8_ops, .f32_flops = limits->f32_flops };
    for (uint32_t i = 0; i < s->n_linear; i++) {
        uint32_t k = 0;

        bytes += s->linear[i].bytes * s->linear[i].count;
        while (k < m->n_cost && (m->cost[k].type != s->linear[i].type || m->cost[k].packed != s->linear[i].packed)) k++;
        if (k < m->n_cost || k == sizeof m->cost / sizeof *m->cost) continue;
        m->cost[k] = (struct pare_roof_cost){ .type = s->linear[i].type, .packed = s->linear[i].packed };
        PARE_FORWARD(pare_roof_probe_type(&m->cost[k], job, diag));
        m->n_cost++;
        PARE_FORWARD(pare_job_check(job, diag));
    }
    m->threads = pare_job_threads(job);
    m->sync_s = sync_seconds(job);
    PARE_FORWARD(probe_call(m, job, diag));
    if (s->n_attn > 0) PARE_FORWARD(probe_attend(m, &s->attn[0], kv, job, diag));
    probe_gate(m, job);
    /* A model that fits a cache is read from there, token after token. */
    m->read_bytes = pare_measure_read(job->team, job->tier, (uint64_t)bytes, 0.3);
    if (m->read_bytes < limits->read_bytes) m->read_bytes = limits->read_bytes;
    m->cached = m->read_bytes > 1.4 * limits->read_bytes;
    return PARE_OK;
}

/* ---- for people and programs ---- */

static json_t *op_json(const struct pare_roof_machine *m, const struct pare_roof_op *o)
{
    bool   memory;
    double s = pare_roof_op_seconds(m, o, &memory), bytes = pare_roof_bytes(o);

    return json_pack("{s:s, s:i, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:s}", "name", o->name, "count", (int)o->count, "type",
                     o->type != NULL ? o->type->name : "-", "ops", o->ops, "load_weight", o->load_weight, "load_act", o->load_act, "store_act",
                     o->store_act, "load_kv", o->load_kv, "store_kv", o->store_kv, "intensity", bytes > 0 ? o->ops / bytes : 0.0, "seconds",
                     s * o->count, "bound", memory ? "memory" : "compute");
}

static json_t *pass_json(const struct pare_roof_machine *m, const struct pare_roof_shape *s, const struct pare_roof_work *w)
{
    struct pare_roof_op   op[PARE_ROOF_OPS];
    uint32_t              n = pare_roof_count(s, w, op);
    struct pare_roof_time t = pare_roof_predict(m, op, n);
    double                tokens = (double)w->batch * w->tokens;
    json_t               *o = json_pack("{s:i, s:i, s:I, s:f, s:f, s:s, s:f, s:f, s:f}", "batch", (int)w->batch, "tokens", (int)w->tokens, "past",
                                        (json_int_t)w->past, "tps", tokens / t.seconds, "plain_tps", t.plain_s > 0 ? tokens / t.plain_s : 0.0, "bound",
                                        t.memory_bound ? "memory" : "compute", "memory_s", t.memory_s, "compute_s", t.compute_s, "memory_bytes",
                                        pare_roof_memory(s, w));
    json_t *list = json_array();

    for (uint32_t i = 0; i < n; i++) json_array_append_new(list, op_json(m, &op[i]));
    json_object_set_new(o, "ops", list);
    return o;
}

static json_t *machine_json(const struct pare_roof_machine *m)
{
    json_t *o = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "int8_gops", m->int8_ops / 1e9, "f32_gflops", m->f32_flops / 1e9, "read_gbs",
                          m->read_bytes / 1e9, "sync_us", m->sync_s * 1e6, "call_us", m->call_s * 1e6, "quantize_ns", m->quant_s * 1e9, "attend_one_ns",
                          m->attend_s[0] * 1e9, "attend_many_ns", m->attend_s[1] * 1e9, "gate_ns", m->gate_s * 1e9);
    json_t *list = json_array();

    for (uint32_t i = 0; i < m->n_cost; i++) {
        const struct pare_roof_cost *c = &m->cost[i];
        double                       slope = (c->weight_s[5] - c->weight_s[4]) / (pare_roof_columns[5] - pare_roof_columns[4]);
        double                       unpack = c->weight_s[5] - slope * pare_roof_columns[5];

        json_array_append_new(list, json_pack("{s:s, s:b, s:f, s:f, s:f}", "type", c->type->name, "packed", (int)c->packed, "one_ns", c->weight_s[0] * 1e9,
                                              "unpack_ns", (unpack > 0 ? unpack : 0) * 1e9, "madd_ns", slope * 1e9));
    }
    json_object_set_new(o, "types", list);
    return o;
}

json_t *pare_roof_json(const struct pare_roof_machine *m, const struct pare_roof_shape *s, const struct pare_roof_work *decode,
                       const struct pare_roof_work *prefill)
{
    json_t *o = json_object();

    json_object_set_new(o, "machine", machine_json(m));
    json_object_set_new(o, "decode", pass_json(m, s, decode));
    json_object_set_new(o, "prefill", pass_json(m, s, prefill));
    json_object_set_new(o, "crossover_batch", json_integer(pare_roof_crossover(m, s, decode, 256)));
    return o;
}
