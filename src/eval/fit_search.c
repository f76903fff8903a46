/* SPDX-License-Identifier: Apache-2.0
 * src/eval/fit_search.c: observe, sense, cost, solve, try. What decides a byte of the output (size, memory and loss budgets) uses
 * only numbers that are the same on every machine; measured times enter for speed budgets alone. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "compress/cost.h"
#include "compress/make.h"
#include "compress/observe.h"
#include "compress/sense.h"
#include "compress/solve.h"
#include "compress/trial.h"
#include "eval/fit.h"

/* What `pare run` holds beside the matrices: working memory, cache, logits, the tokenizer and the process itself. */
uint64_t pare_fit_run_bytes(const struct pare_fit *f, uint64_t resident, uint32_t ctx)
{
    const struct pare_model_info *info = pare_model_info_of(f->o.model);
    struct pare_kv_settings       kv = { PARE_F16, info->n_layers, info->n_layers, info->kv_shape, ctx };
    uint32_t                      rows = ctx < 512 ? ctx : 512;

    return resident + f->rest_bytes + pare_kv_bytes(&kv, ctx) + pare_work_bytes(f->o.model, rows, pare_job_threads(f->job)) +
           (uint64_t)info->n_vocab * 4 * 3 + /* logits and the sampler's copies */
           (uint64_t)info->n_vocab * 160 +   /* tokenizer: pieces, hashes, merges; measured over the public vocabularies */
           (6u << 20);                       /* the program, its libraries, stacks */
}

uint64_t pare_fit_resident(const struct pare_fit *f)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < f->ts.n; i++) sum += f->ts.t[i].cand[f->pick[i]].resident;
    return sum;
}

static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* Bytes for the hidden states of variants that are tried side by side; fewer take more walks, and change no byte of the output. */
static uint64_t variant_room(const struct pare_fit *f) { return f->work_ram == 0 ? UINT64_MAX : f->work_ram / 6; }

/*
 * Peak memory of fit itself, phase by phase, from the sizes that the phases then allocate. What is resident now (program, tokenizer,
 * names) stays throughout. Mapped weights count while a unit is worked on.
 */
uint64_t pare_fit_forecast(const struct pare_fit *f)
{
    const struct pare_model_info *info = pare_model_info_of(f->o.model);
    uint64_t d = info->n_embd * 4ull, layer = 0, head = 0, coded = 0, packed = 0, targets = 0, fed = 0, head_fed, peak;
    uint64_t sense = (uint64_t)f->sense.n * f->sense.len * d, tries = (uint64_t)f->tries.n * f->tries.len * d;
    uint64_t calib = (uint64_t)f->calib.n * f->calib.len * d, logits = (2ull * PARE_LOGIT_ROWS + 1) * info->n_vocab * 4;
    uint64_t variants = 1, proof = 2 * most((uint64_t)(f->work_ram == 0 ? 4096 : f->work_ram / 16 / (d + 1)) * d, 512 * d);

    for (uint32_t u = 1; u + 1 < info->n_units; u++) {
        uint64_t sum = 0, n = 0;
        for (uint32_t i = 0; i < f->ts.n; i++) {
            if (f->ts.t[i].unit != u) continue;
            if (f->ts.t[i].slot->weight.panels.data != NULL) sum += pare_packed_bytes(&f->ts.t[i].slot->weight.panels);
            else sum += f->ts.t[i].slot->weight.rows * f->ts.t[i].slot->weight.row_bytes;
            n++;
        }
        layer = most(layer, sum + pare_unit_bytes(f->o.model, u));
        fed = most(fed, pare_feedback_forecast(&f->ts, u));
        variants = most(variants, n);
    }
    for (uint32_t i = 0; i < f->ts.n; i++) {
        const struct pare_target *t = &f->ts.t[i];
        targets += t->cols * 12; /* sums and importance */
        if (t->unit + 1 < info->n_units && t->table == NULL) continue;
        if (t->slot->weight.panels.data != NULL)
            head = most(head, pare_packed_bytes(&t->slot->weight.panels) + t->rows * t->slot->weight.row_bytes);
        else head = most(head, t->slot->weight.data == NULL || t->slot->order != PARE_ROWS_PLAIN ? t->rows * t->cols * 4 : 8u << 20);
        for (uint32_t c = 0; c < t->n_cand; c++) {
            if (!(t->cand[c].type->caps & PARE_DT_QUANT)) continue;
            coded = most(coded, t->cand[c].bytes);
            packed = most(packed, t->cand[c].resident);
        }
    }
    head_fed = pare_feedback_forecast(&f->ts, info->n_units - 1);
    if (variants * sense > variant_room(f)) variants = most(1, variant_room(f) / (sense + 1));
    peak = most(calib + most(layer + fed, head + head_fed), sense * (2 + variants) + most(layer + layer / 4, head + coded / 2 + logits));
    if (fed + head_fed > 0) tries += calib / 2; /* calibration text runs through what is made as well */
    peak = most(peak, 2 * tries + most(most(2 * layer + fed, coded + head_fed), head + packed + logits + head_fed));
    peak = most(peak, proof + most(2 * layer, head + packed + logits));
    return f->base_rss + targets + peak + 2 * pare_walk_bytes(f->o.model, f->o.walk.len, PARE_F32, pare_job_threads(f->job)) +
           (4u << 20) + /* stacks, heap between the blocks */
           (8u << 20);  /* pages of the original that the system maps around those that are read */
}

/* --- solving ------------------------------------------------------------------------------------------------------------ */

struct table {
    struct pare_option *options; /* all units' options, back to back */
    struct pare_choice *choices;
};

static int table_make(struct table *t, const struct pare_fit *f, struct pare_diag *diag)
{
    t->options = pare_zalloc((size_t)f->ts.n * PARE_MAX_CANDIDATES, sizeof *t->options);
    t->choices = pare_zalloc(f->ts.n, sizeof *t->choices);
    if (t->options != NULL && t->choices != NULL) return PARE_OK;
    pare_free(t->options);
    pare_free(t->choices);
    return PARE_NOMEM(diag);
}

static void table_free(struct table *t)
{
    pare_free(t->options);
    pare_free(t->choices);
}

/* Limits in force: data bytes (size or bpw), resident bytes, seconds. by_loss: the loss is a limit and bytes are minimised. */
static int solve(struct pare_fit *f, uint64_t data_limit, double loss_limit, struct table *t, struct pare_diag *diag)
{
    const double flat = f->flat > 0 ? f->flat : 1;
    const struct pare_fit_settings *s = f->s;
    struct pare_problem  p = { .unit = t->choices, .n_units = f->ts.n };
    struct pare_solution sol;
    bool     by_loss = loss_limit > 0, bytes = data_limit != UINT64_MAX;
    uint32_t kb = UINT32_MAX, kr = UINT32_MAX, kd = UINT32_MAX, kp = UINT32_MAX, kl = UINT32_MAX;
    int      rc;

#define LIMIT(k, v, name, unit)                                                                                        \
    (k = p.n_limits, p.limit[k] = (v), p.limit_name[k] = (name), p.limit_unit[k] = (unit), p.n_limits++)
    if (bytes) LIMIT(kb, (double)data_limit, "size", "bytes of tensor data");
    if (by_loss) LIMIT(kl, loss_limit, "loss", "nats (sum of the tensors' own)");
    if (s->ram != 0) {
        double over = (double)pare_fit_run_bytes(f, 0, f->run_ctx);
        LIMIT(kr, (double)s->ram - over, "ram", "bytes for matrices (after what running needs besides)");
    }
    if (s->decode_tps > 0) LIMIT(kd, 1 / s->decode_tps, "decode", "seconds a token");
    if (s->prefill_tps > 0) LIMIT(kp, 1 / s->prefill_tps, "prefill", "seconds a token");
    if (p.n_limits == 0) LIMIT(kb, 1e18, "size", "bytes");
#undef LIMIT
    for (uint32_t i = 0; i < f->ts.n; i++) {
        struct pare_option *o = t->options + (size_t)i * PARE_MAX_CANDIDATES;
        t->choices[i] = (struct pare_choice){ o, f->ts.t[i].n_cand };
        for (uint32_t c = 0; c < f->ts.t[i].n_cand; c++) {
            const struct pare_candidate *k = &f->ts.t[i].cand[c];
            o[c].loss = by_loss ? (double)k->bytes : flat == 1 || k->loss <= 0 ? k->loss : pare_pow(k->loss, flat);
            if (kb != UINT32_MAX) o[c].weight[kb] = (double)k->bytes;
            if (kl != UINT32_MAX) o[c].weight[kl] = k->loss;
            if (kr != UINT32_MAX) o[c].weight[kr] = (double)k->resident;
            if (kd != UINT32_MAX) o[c].weight[kd] = k->decode_s;
            if (kp != UINT32_MAX) o[c].weight[kp] = k->prefill_s;
        }
    }
    rc = pare_solve(&sol, &p, diag);
    if (rc < 0) return rc;
    memcpy(f->pick, sol.pick, f->ts.n * sizeof *f->pick);
    pare_free(sol.pick);
    return PARE_OK;
}

static double picked_loss(const struct pare_fit *f)
{
    double sum = 0;

    for (uint32_t i = 0; i < f->ts.n; i++) sum += f->ts.t[i].cand[f->pick[i]].loss;
    return sum;
}

static int try_pick(struct pare_fit *f, double *kld, struct pare_diag *diag)
{
    pare_job_progress(f->job, "trial", 0, NULL);
    return pare_trial(&f->ts, f->pick, &f->o.walk, &f->calib, &f->tries, kld, f->work_ram == 0 ? &f->kept : NULL, diag);
}

static void add_point(struct pare_fit *f, double predicted, double tried)
{
    if (f->n_points == PARE_FIT_POINTS) return;
    f->point[f->n_points++] = (struct pare_fit_point){ pare_plan_bytes(&f->ts, f->pick), predicted, tried };
}

/* The file's size with the current pick and the plan's text in it. */
static int file_size(struct pare_fit *f, uint64_t *bytes, struct pare_diag *diag)
{
    struct pare_rewrite r = { .out = f->s->out, .ckpt = f->o.ckpt, .model = f->o.model, .tok = f->o.tok, .ts = &f->ts, .pick = f->pick };
    json_t             *doc = pare_plan_make(&f->ts, f->pick, &f->source, NULL);
    char               *text = pare_json_canonical(doc);
    int                 rc;

    json_decref(doc);
    if (text == NULL) return PARE_NOMEM(diag);
    r.plan_text = text;
    rc = pare_rewrite_size(&r, bytes, diag);
    pare_free(text);
    return rc;
}

/* --size speaks of the whole file: metadata and padding depend a little on the plan, so the limit for data is found in rounds. */
static int solve_size(struct pare_fit *f, uint64_t limit_bpw, struct table *t, uint64_t *data_limit, struct pare_diag *diag)
{
    uint64_t size = f->s->size, over = f->rest_bytes, got = 0;

    *data_limit = limit_bpw;
    if (size == 0) return solve(f, limit_bpw, 0, t, diag);
    for (int round = 0; round < 8; round++) {
        uint64_t data = size > over ? size - over : 0;
        *data_limit = data < limit_bpw ? data : limit_bpw;
        PARE_FORWARD(solve(f, *data_limit, 0, t, diag));
        PARE_FORWARD(file_size(f, &got, diag));
        if (got <= size && (round > 0 || (double)got > 0.998 * (double)size)) return PARE_OK;
        /* what is not tensor data of the pick; never assume less than was seen, so the rounds settle */
        {
            uint64_t seen = got - (pare_plan_bytes(&f->ts, f->pick) - f->rest_bytes);
            over = got > size && seen <= over ? over + (got - size) : seen;
        }
    }
    PARE_FAIL_IF(diag, got > size, PARE_E_BUDGET, "no plan fits %llu bytes with its metadata; the nearest takes %llu",
                 (unsigned long long)size, (unsigned long long)got);
    return PARE_OK;
}

/* Does the pick keep the limits that solve() would set? */
static bool within(const struct pare_fit *f, uint64_t data_limit)
{
    uint64_t resident = 0;
    double   decode = 0, prefill = 0;

    for (uint32_t i = 0; i < f->ts.n; i++) {
        const struct pare_candidate *c = &f->ts.t[i].cand[f->pick[i]];
        resident += c->resident;
        decode += c->decode_s;
        prefill += c->prefill_s;
    }
    return pare_plan_bytes(&f->ts, f->pick) - f->rest_bytes <= data_limit &&
           (f->s->ram == 0 || pare_fit_run_bytes(f, resident, f->run_ctx) <= f->s->ram) &&
           (f->s->decode_tps <= 0 || decode * f->s->decode_tps <= 1) && (f->s->prefill_tps <= 0 || prefill * f->s->prefill_tps <= 1);
}

/* The largest plan of one type for all (or its own where that type does not suit) that keeps the limits; false when there is none. */
static bool uniform(struct pare_fit *f, uint64_t data_limit)
{
    uint32_t *best = pare_zalloc(f->ts.n, sizeof *best);
    uint64_t  best_bytes = 0;

    for (int k = 0; best != NULL && k < PARE_TYPE_COUNT; k++) {
        uint64_t bytes;
        bool     all = true;
        for (uint32_t i = 0; i < f->ts.n && all; i++) {
            const struct pare_target *t = &f->ts.t[i];
            uint32_t c = 0;
            while (c < t->n_cand && t->cand[c].type->type != (enum pare_type)k) c++;
            all = c < t->n_cand;
            f->pick[i] = c;
        }
        if (!all || !within(f, data_limit)) continue;
        bytes = pare_plan_bytes(&f->ts, f->pick);
        if (bytes <= best_bytes) continue;
        best_bytes = bytes;
        memcpy(best, f->pick, f->ts.n * sizeof *best);
    }
    if (best_bytes != 0) memcpy(f->pick, best, f->ts.n * sizeof *best);
    pare_free(best);
    return best_bytes != 0;
}

/*
 * Where much is lost, single losses do not simply add: errors that feed each other grow together. So besides the plan of least sum
 * some others are tried as wholes: plans that weigh the large single losses less or more, and the best plan of one type. The one
 * with the least joint divergence is taken.
 */
#define CURVED 0.1 /* nats; below it the sum has always been the best guide */

static int refine(struct pare_fit *f, uint64_t data_limit, struct table *t, double *kld, struct pare_diag *diag)
{
    static const double flats[] = { 0.75, 0.5, 1.3 };
    uint32_t *best = pare_alloc_array(f->ts.n, sizeof *best);
    int       rc = PARE_OK;

    if (best == NULL) return PARE_NOMEM(diag);
    memcpy(best, f->pick, f->ts.n * sizeof *best);
    for (int k = 0; k < 4 && rc == PARE_OK && (*kld > CURVED || f->effort > 3) && f->effort > 1; k++) {
        double d = 0;
        if (k < 3) {
            f->flat = flats[k];
            rc = solve(f, data_limit, 0, t, diag);
            f->flat = 1;
        } else if (!uniform(f, data_limit)) {
            break;
        }
        if (rc == PARE_OK && memcmp(best, f->pick, f->ts.n * sizeof *best) == 0) continue;
        if (rc == PARE_OK) rc = try_pick(f, &d, diag);
        if (rc < 0) break;
        add_point(f, d, d);
        if (d >= *kld) continue;
        *kld = d;
        memcpy(best, f->pick, f->ts.n * sizeof *best);
    }
    memcpy(f->pick, best, f->ts.n * sizeof *best);
    pare_free(best);
    return rc;
}

/* A loss budget: the sum of single losses that the joint one allows is found by trying, from a ratio of 1. The smallest plan
 * that was tried and kept the budget wins. */
static int solve_loss(struct pare_fit *f, uint64_t limit_bpw, struct table *t, struct pare_diag *diag)
{
    double    want = f->s->loss, ratio = 1, best_bytes = 0, best_kld = 0;
    uint32_t *best = NULL;
    int       rc = PARE_OK;

    for (int round = 0; round < 5 && rc == PARE_OK; round++) {
        double kld = 0, sum, bytes;
        if ((rc = solve(f, limit_bpw, want / ratio, t, diag)) < 0) break;
        if ((rc = try_pick(f, &kld, diag)) < 0) break;
        sum = picked_loss(f);
        bytes = (double)pare_plan_bytes(&f->ts, f->pick);
        add_point(f, kld, kld);
        if (kld <= want && (best == NULL || bytes < best_bytes)) {
            if (best == NULL) best = pare_alloc_array(f->ts.n, sizeof *best);
            if (best == NULL) {
                rc = PARE_NOMEM(diag);
                break;
            }
            memcpy(best, f->pick, f->ts.n * sizeof *best);
            best_bytes = bytes;
            best_kld = kld;
        }
        if (kld <= want && kld > 0.93 * want) break;
        ratio = sum > 0 && kld > 0 ? kld / sum * (kld > want ? 1.02 : 1.0) : ratio;
    }
    if (best != NULL) {
        memcpy(f->pick, best, f->ts.n * sizeof *best);
        f->predicted_kld = best_kld;
        if (rc == PARE_E_BUDGET) {
            pare_diag_clear(diag);
            rc = PARE_OK;
        }
    } else if (rc == PARE_OK) {
        rc = PARE_ERR(diag, PARE_E_BUDGET, "a loss of %g nats cannot be kept with the allowed types", want);
    }
    pare_free(best);
    return rc;
}

/* The curve of the report: the best plan at sizes around the chosen one, predicted with the measured joint ratio. */
static int curve(struct pare_fit *f, struct table *t, struct pare_diag *diag)
{
    uint32_t *keep = pare_alloc_array(f->ts.n, sizeof *keep);
    uint64_t  lo = 0, hi = 0;
    int       rc = PARE_OK;

    if (keep == NULL) return PARE_NOMEM(diag);
    memcpy(keep, f->pick, f->ts.n * sizeof *keep);
    for (uint32_t i = 0; i < f->ts.n; i++) {
        uint64_t a = UINT64_MAX, b = 0;
        for (uint32_t c = 0; c < f->ts.t[i].n_cand; c++) {
            uint64_t v = f->ts.t[i].cand[c].bytes;
            if (v < a) a = v;
            if (v > b && f->ts.t[i].cand[c].err > 0) b = v;
        }
        lo += a;
        hi += b > a ? b : a;
    }
    for (int k = 0; k <= 12 && rc == PARE_OK; k++) {
        struct pare_diag            quiet = { 0 };
        struct pare_fit_settings    plain = *f->s;
        const struct pare_fit_settings *real = f->s;
        plain.ram = 0;
        plain.decode_tps = plain.prefill_tps = 0;
        f->s = &plain;
        if (solve(f, lo + (hi - lo) / 12 * (uint64_t)k, 0, t, &quiet) == PARE_OK) add_point(f, f->ratio * picked_loss(f), -1);
        f->s = real;
        rc = pare_job_check(f->job, diag);
    }
    memcpy(f->pick, keep, f->ts.n * sizeof *keep);
    pare_free(keep);
    return rc;
}

static int finish(struct pare_fit *f, struct pare_diag *diag)
{
    /* Budgets are reported, not stored: the file must not depend on how its plan was asked for. */
    f->plan = pare_plan_make(&f->ts, f->pick, &f->source, NULL);
    f->plan_text = f->plan == NULL ? NULL : pare_json_canonical(f->plan);
    if (f->plan_text == NULL) return PARE_NOMEM(diag);
    for (uint32_t i = 0; i < f->ts.n; i++) {
        f->decode_s += f->ts.t[i].cand[f->pick[i]].decode_s;
        f->prefill_s += f->ts.t[i].cand[f->pick[i]].prefill_s;
    }
    return file_size(f, &f->predicted_bytes, diag);
}

/* What no plan can go below is known before anything is observed. */
int pare_fit_possible(const struct pare_fit *f, struct pare_diag *diag)
{
    uint64_t bytes = f->rest_bytes, resident = 0;
    double   bpw;

    for (uint32_t i = 0; i < f->ts.n; i++) {
        const struct pare_target *t = &f->ts.t[i];
        uint64_t b = UINT64_MAX, r = UINT64_MAX;
        for (uint32_t c = 0; c < t->n_cand; c++) {
            if (t->cand[c].bytes < b) b = t->cand[c].bytes;
            if (t->cand[c].resident < r) r = t->cand[c].resident;
        }
        bytes += b;
        resident += r;
    }
    bpw = 8.0 * (double)bytes / (double)f->ts.params;
    PARE_FAIL_IF(diag, f->s->size != 0 && f->s->size < bytes, PARE_E_BUDGET,
                 "the size budget of %llu bytes cannot be reached: the least possible is %llu bytes of tensor data (%.3f bits a weight)",
                 (unsigned long long)f->s->size, (unsigned long long)bytes, bpw);
    PARE_FAIL_IF(diag, f->s->bpw > 0 && f->s->bpw < bpw, PARE_E_BUDGET,
                 "the budget of %g bits a weight cannot be reached: the least possible is %.4f", f->s->bpw, bpw);
    PARE_FAIL_IF(diag, f->s->ram != 0 && f->s->ram < pare_fit_run_bytes(f, resident, f->run_ctx), PARE_E_BUDGET,
                 "the ram budget of %llu bytes cannot be reached: a run needs at least %llu at a context of %u",
                 (unsigned long long)f->s->ram, (unsigned long long)pare_fit_run_bytes(f, resident, f->run_ctx), f->run_ctx);
    PARE_FAIL_IF(diag, f->s->work_ram != 0 && pare_fit_forecast(f) > f->s->work_ram, PARE_E_BUDGET,
                 "fit would need %llu bytes of memory, --work-ram allows %llu", (unsigned long long)pare_fit_forecast(f),
                 (unsigned long long)f->s->work_ram);
    return PARE_OK;
}

int pare_fit_search(struct pare_fit *f, struct pare_diag *diag)
{
    const struct pare_fit_settings *s = f->s;
    struct table t;
    uint64_t     limit = UINT64_MAX, data_limit = UINT64_MAX;
    double       kld = 0;
    int          rc;

    PARE_FORWARD(pare_observe_model(&f->ts, &f->o.walk, &f->calib, true, diag));
    PARE_FORWARD(pare_sense(&f->ts, &f->o.walk, &f->sense, variant_room(f) / (4 * pare_model_info_of(f->o.model)->n_embd), diag));
    if (f->ts.head.n > 0)
        PARE_FORWARD(pare_cost_feedback(&f->ts, pare_model_info_of(f->o.model)->n_units - 1, &f->ts.head, f->job, diag));
    PARE_FORWARD(pare_cost_errors(&f->ts, f->job, diag));
    f->timed = s->decode_tps > 0 || s->prefill_tps > 0;
    if (f->timed) PARE_FORWARD(pare_cost_times(&f->ts, f->job, diag));
    if (s->bpw > 0) {
        double bits = s->bpw * (double)f->ts.params / 8 - (double)f->rest_bytes;
        PARE_FAIL_IF(diag, bits < 1, PARE_E_BUDGET, "%g bits a weight leave nothing for the matrices", s->bpw);
        limit = (uint64_t)bits;
    }
    PARE_FORWARD(table_make(&t, f, diag));
    rc = s->loss > 0 ? solve_loss(f, limit, &t, diag) : solve_size(f, limit, &t, &data_limit, diag);
    if (rc == PARE_OK) {
        f->sum = picked_loss(f);
        if (s->loss > 0)
            kld = f->predicted_kld;
        else
            rc = try_pick(f, &kld, diag);
    }
    if (rc == PARE_OK && s->loss <= 0) {
        add_point(f, kld, kld);
        rc = refine(f, data_limit, &t, &kld, diag);
        f->sum = picked_loss(f);
    }
    if (rc == PARE_OK) {
        f->ratio = f->sum > 0 ? kld / f->sum : 1;
        f->predicted_kld = kld;
        rc = curve(f, &t, diag);
    }
    table_free(&t);
    if (rc == PARE_OK) rc = finish(f, diag);
    return rc;
}

int pare_fit_replay(struct pare_fit *f, struct pare_diag *diag)
{
    struct pare_plan_source src;
    json_t                 *doc;
    int                     rc;

    PARE_FORWARD(pare_json_load_file(&doc, f->s->plan, 64u << 20, diag));
    rc = pare_plan_read(doc, &f->ts, f->pick, &src, diag);
    json_decref(doc);
    if (rc < 0) {
        pare_diag_file(diag, f->s->plan);
        return rc;
    }
    if (src.fingerprint != 0 && src.fingerprint != f->source.fingerprint)
        PARE_FAIL(diag, PARE_E_USAGE, "the plan was made for another original; give --bpw or --size to search anew");
    if (src.text_hash != 0 && src.text_hash != f->source.text_hash)
        PARE_FAIL(diag, PARE_E_USAGE, "the plan was made with other calibration text, --effort or --work-ram; give the same to get the same bytes");
    if (src.seed != 0) f->source.seed = src.seed; /* stored in the file: replaying gives the bytes of the first run */
    PARE_FORWARD(pare_observe_model(&f->ts, &f->o.walk, &f->calib, false, diag));
    return finish(f, diag);
}
