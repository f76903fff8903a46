/* SPDX-License-Identifier: Apache-2.0
 * src/eval/fit_main.c: the main job in order: open, read texts, search (or replay), rewrite, prove, report. */
#define XXH_INLINE_ALL
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/status.h"
#include "compress/method.h"
#include "eval/fit.h"

void pare_fit_settings_default(struct pare_fit_settings *s) { memset(s, 0, sizeof *s); }

static int check(const struct pare_fit_settings *s, struct pare_diag *diag)
{
    bool budget = s->size != 0 || s->bpw != 0 || s->ram != 0 || s->loss != 0 || s->decode_tps != 0 || s->prefill_tps != 0;

    PARE_FAIL_IF(diag, s->effort > 5, PARE_E_USAGE, "--effort goes from 1 to 5");
    PARE_FAIL_IF(diag, s->out == NULL && !s->plan_only, PARE_E_USAGE, "no output: give -o OUT.gguf");
    PARE_FAIL_IF(diag, !budget && s->plan == NULL, PARE_E_USAGE,
                 "no budget: give one of --size, --bpw, --ram, --loss, --decode, --prefill, or --plan");
    PARE_FAIL_IF(diag, !(s->bpw >= 0) || !(s->loss >= 0) || !(s->decode_tps >= 0) || !(s->prefill_tps >= 0), PARE_E_USAGE,
                 "a budget cannot be negative");
    return PARE_OK;
}

static int begin(struct pare_fit *f, struct pare_diag *diag)
{
    struct pare_open_settings os = { .act_mode = PARE_ACT_F32, .kv = "f32", .ctx = 512, .stream = true, .tokenizer = true };
    const char *types = f->s->methods;

    if (f->s->work_ram != 0) os.ctx = 256; /* shorter windows, also of the proof: half the working memory */
    if (!f->s->plan_only && !pare_path_can_create(f->s->out)) { /* better said now than after the search */
        pare_diag_file(diag, f->s->out);
        PARE_FAIL(diag, PARE_E_IO, "cannot be created: the folder does not exist or may not be written");
    }
    PARE_FORWARD(pare_opened_open(&f->o, f->path, &os, f->job, diag));
    for (uint32_t i = 0; i < f->o.ckpt->n_maps; i++) {
        f->in_bytes += f->o.ckpt->maps[i].size;
        if (f->s->out == NULL || !pare_same_file(f->o.ckpt->maps[i].path, f->s->out)) continue;
        pare_diag_file(diag, f->s->out);
        PARE_FAIL(diag, PARE_E_USAGE, "the output is one of the input files");
    }
    PARE_FORWARD(pare_targets_create(&f->ts, f->o.model, diag));
    PARE_FORWARD(pare_targets_candidates(&f->ts, f->s->portable, types, diag));
    for (uint32_t i = 0; i < f->ts.n; i++) f->ts.t[i].feedback = f->effort > 2 && pare_method_allowed(types, "gptq") && f->ts.t[i].multiplied;
    f->pick = pare_zalloc(f->ts.n + 1u, sizeof *f->pick);
    if (f->pick == NULL) return PARE_NOMEM(diag);
    f->rest_bytes = pare_plan_bytes(&f->ts, f->pick);
    for (uint32_t i = 0; i < f->ts.n; i++) f->rest_bytes -= f->ts.t[i].cand[0].bytes;
    f->work_ram = f->s->work_ram;
    f->run_ctx = f->s->ctx != 0 ? f->s->ctx : 2048;
    if (f->run_ctx > pare_model_info_of(f->o.model)->max_ctx) f->run_ctx = pare_model_info_of(f->o.model)->max_ctx;
    f->base_rss = pare_current_rss();
    PARE_FORWARD(pare_fit_overlap(f, diag));
    PARE_FORWARD(pare_fit_texts(f, diag));
    PARE_FORWARD(pare_fit_possible(f, diag));
    {
        char note[80];
        snprintf(note, sizeof note, "peak memory forecast %.1f MB, about %.0f s", (double)pare_fit_forecast(f) / 1e6, pare_fit_seconds(f));
        pare_job_progress(f->job, "begin", 0, note);
    }
    return PARE_OK;
}

static int rewrite(struct pare_fit *f, struct pare_diag *diag)
{
    struct pare_rewrite r = { .out = f->s->out, .ckpt = f->o.ckpt, .model = f->o.model, .tok = f->o.tok, .ts = &f->ts, .pick = f->pick,
                              .plan_text = f->plan_text, .resume = f->s->resume, .walk = &f->o.walk, .calib = &f->calib,
                              .kept = &f->kept };

    r.job_hash = XXH3_64bits_withSeed(f->plan_text, strlen(f->plan_text), PARE_ABI_VERSION + 1);
    return pare_rewrite_run(&r, f->job, diag);
}

static int report(struct pare_fit *f, double seconds, char **json, char **text, struct pare_diag *diag)
{
    json_t *doc = pare_fit_document(f, seconds);
    int     rc = doc == NULL ? PARE_NOMEM(diag) : PARE_OK;

    if (rc == PARE_OK && (*json = pare_json_text(doc)) == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK && text != NULL && (*text = pare_report_text(doc, f->s->explain)) == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK && f->s->report != NULL) {
        char *html = pare_report_html(doc);
        rc = html == NULL ? PARE_NOMEM(diag) : pare_write_file(f->s->report, html, strlen(html), diag);
        pare_free(html);
    }
    json_decref(doc);
    return rc;
}

static void end(struct pare_fit *f)
{
    json_decref(f->plan);
    json_decref(f->run_new);
    json_decref(f->run_old);
    pare_free(f->plan_text);
    pare_free(f->pick);
    pare_free(f->calib.ids);
    pare_free(f->sense.ids);
    pare_free(f->tries.ids);
    pare_kept_free(&f->kept);
    pare_targets_free(&f->ts);
    pare_opened_close(&f->o);
}

int pare_fit(const char *path, const struct pare_fit_settings *s, char **json, char **text, struct pare_job *job,
             struct pare_diag *diag)
{
    struct pare_fit f = { .s = s, .path = path, .job = job, .ratio = 1, .effort = s->effort != 0 ? s->effort : PARE_FIT_EFFORT };
    double          t0 = pare_now();
    int             rc;

    *json = NULL;
    if (text != NULL) *text = NULL;
    PARE_FORWARD(check(s, diag));
    rc = begin(&f, diag);
    if (rc == PARE_OK) rc = s->plan != NULL ? pare_fit_replay(&f, diag) : pare_fit_search(&f, diag);
    if (rc == PARE_OK && !s->plan_only) rc = rewrite(&f, diag);
    pare_kept_free(&f.kept);
    if (rc == PARE_OK && !s->plan_only && !s->no_proof) rc = pare_fit_prove(&f, diag);
    if (rc == PARE_OK) rc = report(&f, pare_now() - t0, json, text, diag);
    if (rc < 0) pare_diag_file(diag, path);
    end(&f);
    return rc;
}
