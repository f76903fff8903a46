/* SPDX-License-Identifier: Apache-2.0
 * src/eval/fit_document.c: the result of a fit as one JSON document (keys of the CLI contract first), and as text for people. */
#include <stdio.h>
#include <string.h>

#include "base/job.h"
#include "base/json.h"
#include "base/mem.h"
#include "eval/fit.h"

static void set_int(json_t *o, const char *k, uint64_t v) { json_object_set_new(o, k, json_integer((json_int_t)v)); }
static void set_real(json_t *o, const char *k, double v) { json_object_set_new(o, k, v - v == 0 ? json_real(v) : json_null()); }

static json_t *plan_list(const struct pare_fit *f)
{
    json_t *list = json_array();
    double  price = f->s->plan == NULL ? pare_fit_price(f) : 0;

    for (uint32_t i = 0; i < f->ts.n; i++) {
        struct pare_fit_second       second;
        const struct pare_target    *t = &f->ts.t[i];
        const struct pare_candidate *c = &t->cand[f->pick[i]];
        json_t                      *e = json_object();
        json_object_set_new(e, "tensor", json_string(t->name));
        json_object_set_new(e, "type", json_string(c->type->name));
        set_int(e, "bytes", c->bytes);
        set_real(e, "loss", c->loss);
        set_real(e, "error", c->err);
        set_int(e, "rows", t->rows);
        set_int(e, "cols", t->cols);
        set_int(e, "unit", t->unit);
        json_object_set_new(e, "method", json_string(pare_plan_method(t, f->pick[i])));
        if (pare_target_ridge(t) > 0) set_real(e, "lookup", t->lookup);
        if (f->s->plan == NULL && pare_fit_runner_up(f, i, price, &second))
            json_object_set_new(e, "runner_up", json_pack("{s:s,s:I,s:f,s:f}", "type", second.type, "bytes", (json_int_t)second.bytes, "loss",
                                                          second.loss, "cost", second.cost));
        json_array_append_new(list, e);
    }
    return list;
}

static json_t *predicted(const struct pare_fit *f)
{
    json_t  *o = json_object();
    uint64_t data = pare_plan_bytes(&f->ts, f->pick);

    set_int(o, "bytes", f->predicted_bytes);
    set_real(o, "bpw", 8.0 * (double)data / (double)f->ts.params);
    set_int(o, "peak_rss", pare_fit_run_bytes(f, pare_fit_resident(f), f->run_ctx));
    if (f->s->plan == NULL) {
        set_real(o, "kld", f->predicted_kld);
        set_real(o, "kld_sum_of_parts", f->sum);
        set_real(o, "joint_ratio", f->ratio);
    } else {
        json_object_set_new(o, "kld", json_null());
    }
    json_object_set_new(o, "decode_tps", f->timed && f->decode_s > 0 ? json_real(1 / f->decode_s) : json_null());
    json_object_set_new(o, "prefill_tps", f->timed && f->prefill_s > 0 ? json_real(1 / f->prefill_s) : json_null());
    return o;
}

/* From a document that `pare run --json` printed. */
static void take_timings(json_t *o, const json_t *run)
{
    static const char *const keys[] = { "decode_tps", "prefill_tps", "peak_rss" };
    const json_t *t = json_object_get(run, "timings");

    for (size_t i = 0; i < 3; i++) {
        json_t *v = json_object_get(t, keys[i]);
        if (v != NULL)
            json_object_set(o, keys[i], v);
        else
            json_object_set_new(o, keys[i], json_null());
    }
}

static json_t *measured(const struct pare_fit *f)
{
    const struct pare_tally_result *r = &f->proof;
    json_t *o = json_object();

    set_int(o, "bytes", f->out_bytes);
    set_real(o, "bpw", 8.0 * (double)pare_plan_bytes(&f->ts, f->pick) / (double)f->ts.params);
    take_timings(o, f->run_new);
    set_real(o, "ppl", r->ppl);
    set_real(o, "ppl_se", r->ppl_se);
    set_real(o, "ppl_base", r->ppl_base);
    set_real(o, "ppl_base_se", r->ppl_base_se);
    set_real(o, "ln_ppl_ratio", r->ln_ratio);
    set_real(o, "ln_ppl_ratio_se", r->ln_ratio_se);
    set_real(o, "kld_mean", r->kld);
    set_real(o, "kld_se", r->kld_se);
    set_real(o, "kld_p999", r->kld_p999);
    set_real(o, "kld_p999_se", r->kld_p999_se);
    set_real(o, "top1", r->top1);
    set_real(o, "top1_se", r->top1_se);
    set_int(o, "tokens", r->tokens);
    set_int(o, "windows", f->proof_windows);
    set_int(o, "windows_left_out", f->proof_left_out);
    json_object_set_new(o, "over_windows", pare_boot_json(&f->boot, true));
    set_real(o, "overlap", f->overlap.share);
    return o;
}

static json_t *original(const struct pare_fit *f)
{
    json_t  *o = json_object();
    uint64_t data = pare_checkpoint_data_bytes(f->o.ckpt);

    json_object_set_new(o, "path", json_string(f->path));
    json_object_set_new(o, "arch", json_string(pare_model_info_of(f->o.model)->arch));
    set_int(o, "params", f->ts.params);
    set_int(o, "bytes", f->in_bytes);
    set_real(o, "bpw", 8.0 * (double)data / (double)f->ts.params);
    take_timings(o, f->run_old);
    return o;
}

json_t *pare_fit_document(const struct pare_fit *f, double seconds)
{
    json_t *doc = json_object(), *curve = json_array();

    json_object_set_new(doc, "plan", plan_list(f));
    json_object_set_new(doc, "predicted", predicted(f));
    if (f->proved) json_object_set_new(doc, "measured", measured(f));
    json_object_set_new(doc, "output", f->s->plan_only ? json_null() : json_string(f->s->out));
    set_int(doc, "fit_peak_forecast", pare_fit_forecast(f));
    set_int(doc, "fit_peak_rss", pare_peak_rss());
    set_real(doc, "seconds", seconds);
    set_int(doc, "seed", f->s->seed);
    json_object_set_new(doc, "original", original(f));
    for (uint32_t i = 0; i < f->n_points; i++) {
        json_t *p = json_object();
        set_int(p, "bytes", f->point[i].bytes);
        set_real(p, "kld", f->point[i].predicted);
        json_object_set_new(p, "tried", f->point[i].tried >= 0 ? json_real(f->point[i].tried) : json_null());
        json_array_append_new(curve, p);
    }
    json_object_set_new(doc, "curve", curve);
    if (f->s->plan_only && f->plan != NULL) json_object_set(doc, "plan_document", f->plan);
    return doc;
}

/* --- text ---------------------------------------------------------------------------------------------------------------- */

static double num(const json_t *o, const char *k)
{
    const json_t *v = json_object_get(o, k);
    return json_is_number(v) ? json_number_value(v) : -1;
}

static void human(struct pare_buf *b, double bytes)
{
    if (bytes >= 1e9)
        pare_buf_printf(b, "%.2f GB", bytes / 1e9);
    else if (bytes >= 1e6)
        pare_buf_printf(b, "%.1f MB", bytes / 1e6);
    else
        pare_buf_printf(b, "%.0f kB", bytes / 1e3);
}

struct histogram {
    const char *type;
    uint64_t    tensors, bytes, weights;
};

static void types(struct pare_buf *b, const json_t *plan)
{
    struct histogram h[PARE_TYPE_COUNT] = { { 0 } };
    size_t           n = 0, k, i;
    const json_t    *e;

    json_array_foreach(plan, i, e) {
        const char *t = json_string_value(json_object_get(e, "type"));
        for (k = 0; k < n && strcmp(h[k].type, t) != 0; k++) {}
        if (k == n) h[n++].type = t;
        h[k].tensors++;
        h[k].bytes += (uint64_t)num(e, "bytes");
        h[k].weights += (uint64_t)(num(e, "rows") * num(e, "cols"));
    }
    pare_buf_printf(b, "\n  type      tensors      bytes   bits/weight\n");
    for (k = 0; k < n; k++)
        pare_buf_printf(b, "  %-8s  %7llu  %9llu   %8.3f\n", h[k].type, (unsigned long long)h[k].tensors,
                        (unsigned long long)h[k].bytes, 8.0 * (double)h[k].bytes / (double)h[k].weights);
}

/* One line of the table; a value below zero was not measured. */
static void line(struct pare_buf *b, const char *name, const char *fmt, double before, double after, double scale, double se)
{
    char cell[3][32] = { "-", "-", "" };

    if (before >= 0) snprintf(cell[0], sizeof cell[0], fmt, before / scale);
    if (after >= 0) snprintf(cell[1], sizeof cell[1], fmt, after / scale);
    if (se >= 0) snprintf(cell[2], sizeof cell[2], fmt, se / scale);
    pare_buf_printf(b, "  %-28s %12s %12s%s%s\n", name, cell[0], cell[1], cell[2][0] ? " +- " : "", cell[2]);
}

char *pare_report_text(const json_t *doc, bool explain)
{
    struct pare_buf b = { .max = 1u << 20 };
    const json_t *o = json_object_get(doc, "original"), *m = json_object_get(doc, "measured");
    const json_t *p = json_object_get(doc, "predicted");

    if (json_is_string(json_object_get(doc, "output")))
        pare_buf_printf(&b, "%s\n", json_string_value(json_object_get(doc, "output")));
    types(&b, json_object_get(doc, "plan"));
    if (explain) pare_fit_explain_text(&b, json_object_get(doc, "plan"));
    pare_buf_printf(&b, "\n  %-28s %12s %12s\n", "", "original", "fitted");
    line(&b, "file, MB", "%.3f", num(o, "bytes"), m ? num(m, "bytes") : num(p, "bytes"), 1e6, -1);
    line(&b, "bits a weight", "%.3f", num(o, "bpw"), num(p, "bpw"), 1, -1);
    if (m != NULL) {
        line(&b, "peak memory of a run, MB", "%.1f", num(o, "peak_rss"), num(m, "peak_rss"), 1e6, -1);
        line(&b, "decode, tokens/s", "%.1f", num(o, "decode_tps"), num(m, "decode_tps"), 1, -1);
        line(&b, "prefill, tokens/s", "%.1f", num(o, "prefill_tps"), num(m, "prefill_tps"), 1, -1);
        line(&b, "perplexity", "%.4f", num(m, "ppl_base"), num(m, "ppl"), 1, num(m, "ppl_se"));
        line(&b, "KL divergence, mean", "%.6f", -1, num(m, "kld_mean"), 1, num(m, "kld_se"));
        line(&b, "KL divergence, 99.9 %", "%.5f", -1, num(m, "kld_p999"), 1, num(m, "kld_p999_se"));
        line(&b, "same first choice, %", "%.2f", -1, num(m, "top1"), 0.01, num(m, "top1_se"));
    }
    if (num(p, "kld") >= 0) {
        pare_buf_printf(&b, "\n  predicted divergence %.6f", num(p, "kld"));
        if (m != NULL) pare_buf_printf(&b, ", measured %.6f (ratio %.2f)", num(m, "kld_mean"), num(m, "kld_mean") / num(p, "kld"));
        pare_buf_str(&b, "\n");
    }
    pare_buf_str(&b, "  predicted peak memory of a run ");
    human(&b, num(p, "peak_rss"));
    if (m != NULL) pare_buf_printf(&b, "; proof on %.0f tokens that calibration did not see", num(m, "tokens"));
    if (m != NULL && num(m, "overlap") > 0)
        pare_buf_printf(&b, "\n  warning: %.2f %% of the proof text stands in the calibration text too: the loss is understated", 100 * num(m, "overlap"));
    if (m != NULL && num(m, "windows_left_out") > 0)
        pare_buf_printf(&b, "\n  (%.0f of %.0f windows of the built-in text left out: the original does not speak their language)",
                        num(m, "windows_left_out"), num(m, "windows"));
    pare_buf_printf(&b, "; %.1f s in all\n", num(doc, "seconds"));
    return pare_buf_take(&b);
}
