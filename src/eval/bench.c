/* SPDX-License-Identifier: Apache-2.0
 * src/eval/bench.c: tokens a second beside what the machine allows, both measured in this process within seconds of each other. */
#define _GNU_SOURCE
#include <pare/bench.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "eval/bench_encode.h"
#include "eval/bench_kernels.h"
#include "eval/opened.h"
#include "eval/roofline_probe.h"
#include "eval/synthetic.h"

void pare_bench_settings_default(struct pare_bench_settings *s) { memset(s, 0, sizeof *s); }

struct bench {
    const struct pare_bench_settings *s;
    struct pare_checkpoint *ckpt;
    struct pare_model      *model;
    struct pare_job        *job;
    struct pare_limits      limits, best; /* measured last, and the best so far */
    struct pare_work       *work;
    enum pare_type          kv;
    float                  *logits;
    uint64_t                weights;       /* multiplied weights of the layers */
    uint64_t                head_weights;
    uint64_t                bytes;         /* of matrices read for one token, in the form the kernels read */
    bool                    is_float;
    const struct pare_dtype *type;         /* that weights are quantized to in the test "quantize" */
    struct pare_model_options options;
    struct pare_roof_shape   *shape;       /* with --roofline */
    struct pare_roof_machine  roof;
    json_t                 *tests;
};

#define MAX_BATCH 512
#define MAX_SESSIONS 64

static int32_t token(const struct bench *b, uint64_t i)
{
    return (int32_t)(pare_rng_u64(7, PARE_RNG_SYNTH, i) % pare_model_info_of(b->model)->n_vocab);
}

/* Feeds n tokens into each of k sessions, `step` rows of each at a time. */
static int feed(struct bench *b, struct pare_session *s, uint32_t k, uint32_t n, uint32_t step, struct pare_diag *diag)
{
    int32_t              tok[MAX_BATCH];
    uint32_t             pos[MAX_BATCH];
    struct pare_session *who[MAX_BATCH];
    uint8_t              want[MAX_BATCH];

    for (uint32_t done = 0; done < n; done += step) {
        uint32_t part = n - done < step ? n - done : step, rows = 0;
        for (uint32_t j = 0; j < k; j++)
            for (uint32_t i = 0; i < part; i++, rows++) {
                tok[rows] = token(b, done + i);
                pos[rows] = s[j].len + i;
                who[rows] = &s[j];
                want[rows] = i + 1 == part; /* one row of logits a session, as in generation */
            }
        {
            struct pare_batch batch = { rows, tok, pos, who };
            PARE_FORWARD(pare_model_forward(b->model, &batch, want, b->logits, b->work, b->job, diag));
        }
        PARE_FORWARD(pare_job_check(b->job, diag));
    }
    return PARE_OK;
}

struct speed { double mean, sd, best; }; /* tokens a second over all repeats */

static struct speed speed_of(double sum, double sum2, uint32_t n)
{
    double mean = sum / n;

    return (struct speed){ mean, n > 1 ? sqrt(fmax(0, (sum2 / n - mean * mean) * n / (n - 1))) : 0, mean };
}

static int open_sessions(struct bench *b, struct pare_session *s, uint32_t k, uint32_t len, uint32_t *made, struct pare_diag *diag)
{
    for (*made = 0; *made < k; ++*made) {
        PARE_FORWARD(pare_session_create(&s[*made], b->model, b->kv, len, pare_model_info_of(b->model)->n_layers, diag));
        PARE_FORWARD(pare_kv_reserve(s[*made].kv, len, diag));
    }
    return PARE_OK;
}

/* Back to the first depth tokens: they are read once for all rounds. */
static void roll_back(struct pare_session *s, uint32_t k, uint32_t depth)
{
    for (uint32_t i = 0; i < k; i++) {
        pare_kv_truncate(s[i].kv, depth);
        s[i].len = depth;
    }
}

/* One test: depth tokens first (not timed), then n tokens in k sessions, `step` a time; again from there, the first time not timed. */
static int time_test(struct bench *b, struct speed *out, uint32_t depth, uint32_t n, uint32_t k, uint32_t step, struct pare_diag *diag)
{
    uint32_t            repeat = b->s->repeat != 0 ? b->s->repeat : 3, made = 0;
    struct pare_session s[MAX_SESSIONS];
    double              sum = 0, sum2 = 0, best = 0;
    int                 rc = open_sessions(b, s, k, depth + n, &made, diag);

    if (rc < 0 && made < k) made++; /* one that was created but not reserved; freeing a cleared one does nothing */
    if (rc == PARE_OK && depth > 0) rc = feed(b, s, k, depth, MAX_BATCH / k, diag);
    for (uint32_t r = 0; r <= repeat && rc == PARE_OK; r++) {
        double t = pare_now();

        rc = feed(b, s, k, n, step, diag);
        t = (double)n * k / (pare_now() - t);
        if (r > 0) {
            sum += t;
            sum2 += t * t;
            best = fmax(best, t);
        }
        roll_back(s, k, depth);
    }
    for (uint32_t j = 0; j < made; j++) pare_session_free(&s[j]);
    if (rc < 0) return rc;
    *out = speed_of(sum, sum2, repeat);
    out->best = best;
    return PARE_OK;
}

/* Compute limit: multiply-adds of the layers for every token (the head runs for the last only), at the peak of the unit used. */
static double limit_prefill(const struct bench *b, const struct pare_limits *m, uint32_t n)
{
    double ops = 2.0 * ((double)b->weights + (double)b->head_weights / n);
    return (b->is_float ? m->f32_flops : m->int8_ops) / ops;
}

/* Memory limit of k sessions decoding together: the weights are read once for all, their caches each. */
static double limit_decode(const struct bench *b, const struct pare_limits *m, uint32_t k, uint32_t depth)
{
    const struct pare_model_info *info = pare_model_info_of(b->model);
    struct pare_kv_settings       kv = { b->kv, info->n_layers, info->n_layers, info->kv_shape, depth + 1 };
    double                        cache = depth > 0 ? (double)pare_kv_bytes(&kv, depth) : 0;
    double memory = m->read_bytes / ((double)b->bytes + k * cache) * k;
    double compute = (b->is_float ? m->f32_flops : m->int8_ops) / (2.0 * (double)(b->weights + b->head_weights));
    return memory < compute ? memory : compute;
}

/* Neighbours come and go: the machine is measured again after each test, and the test is compared with the mean of before and after.
 * What is reported of the machine is the best that was seen. */
static double between(double *now, double *best, double again)
{
    double mean = (*now + again) / 2;

    *now = again;
    if (again > *best) *best = again;
    return mean;
}

static struct pare_limits limits_of_test(struct bench *b)
{
    struct pare_limits again;

    pare_measure_limits(&again, b->job->team, b->job->tier, 0.3);
    return (struct pare_limits){ between(&b->limits.int8_ops, &b->best.int8_ops, again.int8_ops),
                                 between(&b->limits.f32_flops, &b->best.f32_flops, again.f32_flops),
                                 between(&b->limits.read_bytes, &b->best.read_bytes, again.read_bytes) };
}

static void add_test(struct bench *b, const char *name, const struct speed *s, double limit, const struct pare_limits *m)
{
    json_t *o = json_object();

    json_object_set_new(o, "name", json_string(name));
    json_object_set_new(o, "tps", json_real(s->mean));
    json_object_set_new(o, "sd", json_real(s->sd));
    json_object_set_new(o, "best_tps", json_real(s->best));
    json_object_set_new(o, "limit_tps", json_real(limit));
    json_object_set_new(o, "fraction", json_real(s->mean / limit));
    json_object_set_new(o, "read_gbs", json_real(m->read_bytes / 1e9));
    json_object_set_new(o, "int8_gops", json_real(m->int8_ops / 1e9));
    json_object_set_new(o, "f32_gflops", json_real(m->f32_flops / 1e9));
    json_array_append_new(b->tests, o);
}

/* What a pass asks for; the cache's bytes an element are those of its type. */
static struct pare_roof_work roof_work(const struct bench *b, uint32_t batch, uint32_t tokens, uint64_t past)
{
    const struct pare_dtype     *kv = pare_dtype_of(b->kv);
    const struct pare_roof_attn *a = &b->shape->attn[0];
    uint32_t group = b->shape->n_attn > 0 && a->heads_kv > 0 ? a->heads / a->heads_kv : 1; /* as nn's attention cuts its rows into jobs */

    return (struct pare_roof_work){ .batch = batch, .tokens = tokens, .past = past, .act_bytes = 4, .kv_bytes = (double)kv->block_bytes / kv->block,
                                    .kv_keep = 1, .logits = 1, .fused = true, .tile_rows = group < PARE_ATTN_ROWS ? PARE_ATTN_ROWS / group : 1, .piece = MAX_BATCH };
}

/* The prediction stands beside what was measured: the best repeat, because the peaks too are the best that was seen. */
static void add_prediction(struct bench *b, uint32_t batch, uint32_t tokens, uint64_t past)
{
    struct pare_roof_op   op[PARE_ROOF_OPS];
    struct pare_roof_work w;
    struct pare_roof_time t;
    json_t               *o = json_array_get(b->tests, json_array_size(b->tests) - 1);

    if (b->shape == NULL) return;
    w = roof_work(b, batch, tokens, past);
    t = pare_roof_predict(&b->roof, op, pare_roof_count(b->shape, &w, op));
    json_object_set_new(o, "predicted_tps", json_real((double)batch * tokens / t.seconds));
    json_object_set_new(o, "predicted_ratio", json_real((double)batch * tokens / t.seconds / json_real_value(json_object_get(o, "best_tps"))));
    json_object_set_new(o, "bound", json_string(t.memory_bound ? "memory" : "compute"));
}

static int open_roofline(struct bench *b, struct pare_diag *diag)
{
    if (!b->s->roofline) return PARE_OK;
    b->shape = pare_zalloc(1, sizeof *b->shape);
    if (b->shape == NULL) return PARE_NOMEM(diag);
    PARE_FORWARD(pare_roof_shape_of(b->shape, b->model, diag));
    return pare_roof_probe(&b->roof, b->shape, &b->limits, b->kv, b->job, diag);
}

static void add_seconds(struct bench *b, double seconds)
{
    json_object_set_new(json_array_get(b->tests, json_array_size(b->tests) - 1), "seconds", json_real(seconds));
}

/* Opens the weights that are in memory already (or in the page cache) once more; a second. The limit: reading them once. */
static int test_load(struct bench *b, struct pare_diag *diag)
{
    uint32_t           repeat = b->s->repeat != 0 ? b->s->repeat : 3;
    double             sum = 0, sum2 = 0;
    struct pare_limits m;
    struct speed       s;

    for (uint32_t r = 0; r < repeat; r++) {
        struct pare_model *model;
        double             t = pare_now();

        PARE_FORWARD(pare_model_create(&model, b->ckpt, &b->options, b->job, diag));
        t = 1 / (pare_now() - t);
        pare_model_destroy(&model);
        sum += t;
        sum2 += t * t;
    }
    s = speed_of(sum, sum2, repeat);
    m = limits_of_test(b);
    add_test(b, "load", &s, m.read_bytes / (double)b->bytes, &m);
    add_seconds(b, 1 / s.mean);
    return PARE_OK;
}

/* Quantizes as many f16 weights as the model's matrices have, to the type that was asked for; a second. Measured on a part of them. The
 * limit: reading the f16. */
static int test_quantize(struct bench *b, struct pare_diag *diag)
{
    uint32_t           repeat = b->s->repeat != 0 ? b->s->repeat : 3;
    double             sum = 0, sum2 = 0, all = (double)(b->weights + b->head_weights), *seconds = pare_alloc_array(repeat, sizeof *seconds);
    uint64_t           n;
    struct pare_limits m;
    struct speed       s;
    int                rc = seconds == NULL ? PARE_NOMEM(diag) : pare_bench_encode(b->type, b->job, repeat, seconds, &n, diag);

    for (uint32_t r = 0; r < repeat && rc == PARE_OK; r++) {
        double t = (double)n / seconds[r] / all;

        sum += t;
        sum2 += t * t;
    }
    pare_free(seconds);
    if (rc < 0) return rc;
    s = speed_of(sum, sum2, repeat);
    m = limits_of_test(b);
    add_test(b, "quantize", &s, m.read_bytes / (2 * all), &m);
    add_seconds(b, 1 / s.mean);
    return PARE_OK;
}

static int run_test(struct bench *b, const char *name, struct pare_diag *diag)
{
    struct pare_limits m;
    struct speed       s;
    unsigned           n = 0, depth = 0;
    uint32_t           max = pare_model_info_of(b->model)->n_ctx;

    if (strcmp(name, "load") == 0) return test_load(b, diag);
    if (strcmp(name, "quantize") == 0) return test_quantize(b, diag);
    if (sscanf(name, "pp%u@%u", &n, &depth) >= 1 && n > 0 && n + depth <= max) {
        PARE_FORWARD(time_test(b, &s, depth, n, 1, MAX_BATCH, diag));
        m = limits_of_test(b);
        add_test(b, name, &s, limit_prefill(b, &m, n), &m);
        add_prediction(b, 1, n, depth);
    } else if (sscanf(name, "tg%u@%u", &n, &depth) >= 1 && n > 0 && n + depth <= max) {
        PARE_FORWARD(time_test(b, &s, depth, n, 1, 1, diag));
        m = limits_of_test(b);
        add_test(b, name, &s, limit_decode(b, &m, 1, depth), &m);
        add_prediction(b, 1, 1, depth + n / 2);
    } else if (sscanf(name, "b%u", &n) == 1 && n > 0 && n <= MAX_SESSIONS) {
        PARE_FORWARD(time_test(b, &s, 0, 32, n, 1, diag));
        m = limits_of_test(b);
        add_test(b, name, &s, limit_decode(b, &m, n, 0), &m);
        add_prediction(b, n, 1, 16);
    } else {
        PARE_FAIL(diag, PARE_E_USAGE, "unknown test \"%.40s\" (or beyond the context of %u): pp512, pp512@4096, tg128, tg128@4096, b4, b8, load, quantize", name, max);
    }
    return PARE_OK;
}

static void count(struct bench *b)
{
    uint32_t n = pare_model_info_of(b->model)->n_units;

    for (uint32_t u = 1; u < n; u++) {
        struct pare_unit *unit = pare_model_unit(b->model, u);
        for (uint32_t i = 0; i < unit->n_slots; i++) {
            struct pare_slot *s = &unit->slot[i];
            if (!s->is_linear || s->lin == NULL) continue;
            *(u + 1 < n ? &b->weights : &b->head_weights) += s->rows * s->cols;
            if (s->lin->n_parts != 0) b->is_float = s->lin->part[0].store != PARE_PART_PACKED;
            b->bytes += pare_linear_read_bytes(s->lin);
        }
    }
}

static uint32_t longest(const char *tests)
{
    uint32_t max = 512;

    for (const char *p = tests; *p != '\0';) {
        unsigned n = 0, depth = 0;
        if ((sscanf(p, "tg%u@%u", &n, &depth) >= 1 || sscanf(p, "pp%u@%u", &n, &depth) >= 1) && n + depth > max && n + depth < 1u << 20) max = n + depth;
        p += strcspn(p, ",");
        p += *p == ',';
    }
    return max;
}

static json_t *machine(const struct bench *b)
{
    json_t *m = json_object();

    json_object_set_new(m, "read_gbs", json_real(b->best.read_bytes / 1e9));
    json_object_set_new(m, "int8_gops", json_real(b->best.int8_ops / 1e9));
    json_object_set_new(m, "f32_gflops", json_real(b->best.f32_flops / 1e9));
    json_object_set_new(m, "tier", json_string(pare_tier_name(b->job->tier)));
    json_object_set_new(m, "threads", json_integer(pare_job_threads(b->job)));
    return m;
}

static int run_all(struct bench *b, const char *tests, struct pare_diag *diag)
{
    char *list = pare_strdup(tests), *save = NULL;
    int   rc = list == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (char *t = list == NULL ? NULL : strtok_r(list, ",", &save); t != NULL && rc == PARE_OK; t = strtok_r(NULL, ",", &save))
        rc = run_test(b, t, diag);
    pare_free(list);
    return rc;
}

static int bench_model(const char *path, struct bench *b, json_t *doc, struct pare_diag *diag)
{
    const char               *tests = b->s->tests != NULL ? b->s->tests : "pp512,tg128";
    const struct pare_dtype  *type = pare_dtype_by_name(b->s->type != NULL ? b->s->type : "q8_0");
    int                       rc;

    b->options = (struct pare_model_options){ .act_mode = b->s->f32_activations ? PARE_ACT_F32 : PARE_ACT_INT8, .n_ctx = longest(tests) };
    b->type = type;
    if (b->s->synthetic != NULL) {
        PARE_FAIL_IF(diag, type == NULL, PARE_E_USAGE, "unknown type \"%.40s\"", b->s->type);
        rc = pare_synthetic_create(&b->ckpt, b->s->synthetic, type, diag);
    } else {
        rc = pare_checkpoint_open(&b->ckpt, path, diag);
    }
    if (rc == PARE_OK) rc = pare_model_create(&b->model, b->ckpt, &b->options, b->job, diag);
    if (rc == PARE_OK) rc = pare_kv_type_of(b->s->kv, pare_model_info_of(b->model), &b->kv, diag);
    if (rc == PARE_OK) rc = pare_work_create(&b->work, b->model, MAX_BATCH, b->job, diag);
    if (rc == PARE_OK) {
        b->logits = pare_aligned((uint64_t)MAX_SESSIONS * pare_model_info_of(b->model)->n_vocab * sizeof *b->logits);
        if (b->logits == NULL) rc = PARE_NOMEM(diag);
    }
    if (rc == PARE_OK) {
        count(b);
        rc = open_roofline(b, diag);
        if (rc == PARE_OK) rc = run_all(b, tests, diag);
        if (rc == PARE_OK && b->shape != NULL) {
            struct pare_roof_work decode = roof_work(b, 1, 1, 128), prefill = roof_work(b, 1, 512, 0);

            json_object_set_new(doc, "roofline", pare_roof_json(&b->roof, b->shape, &decode, &prefill));
        }
        json_object_set_new(doc, "arch", json_string(pare_model_info_of(b->model)->arch));
        json_object_set_new(doc, "bytes_per_token", json_integer((json_int_t)b->bytes));
    }
    pare_free(b->shape);
    pare_aligned_free(b->logits);
    pare_work_destroy(&b->work);
    pare_model_destroy(&b->model);
    if (b->s->synthetic != NULL)
        pare_synthetic_free(&b->ckpt);
    else
        pare_checkpoint_close(&b->ckpt);
    return rc;
}

int pare_bench(const char *path, const struct pare_bench_settings *s, char **json, struct pare_job *job, struct pare_diag *diag)
{
    struct bench b = { .s = s, .job = job };
    json_t      *doc = json_object();
    int          rc;

    *json = NULL;
    b.tests = json_array();
    pare_measure_limits(&b.limits, job->team, job->tier, 1.0);
    b.best = b.limits;
    rc = s->kernels ? pare_bench_kernels(b.tests, &b.limits, job, diag) : bench_model(path, &b, doc, diag);
    json_object_set_new(doc, "machine", machine(&b));
    json_object_set_new(doc, "tests", b.tests);
    if (rc == PARE_OK && (*json = pare_json_text(doc)) == NULL) rc = PARE_NOMEM(diag);
    json_decref(doc);
    return rc;
}
