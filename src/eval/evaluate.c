/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/eval.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "eval/measure.h"
#include "eval/opened.h"
#include "eval/noise.h"
#include "eval/overlap.h"
#include "eval/task.h"
#include "eval/texts.h"

#define MAX_ROWS 8192 /* residual rows held at once */

void pare_eval_settings_default(struct pare_eval_settings *s)
{
    memset(s, 0, sizeof *s);
    s->ctx = 512;
}

static json_t *result_json(const struct pare_tally_result *r, bool base)
{
    json_t *o = json_object();

    json_object_set_new(o, "tokens", json_integer((json_int_t)r->tokens));
    json_object_set_new(o, "ppl", json_real(r->ppl));
    json_object_set_new(o, "ppl_se", json_real(r->ppl_se));
    json_object_set_new(o, "nll", json_real(r->nll));
    json_object_set_new(o, "nll_se", json_real(r->nll_se));
    if (!base) return o;
    json_object_set_new(o, "ppl_base", json_real(r->ppl_base));
    json_object_set_new(o, "ppl_base_se", json_real(r->ppl_base_se));
    json_object_set_new(o, "ln_ppl_ratio", json_real(r->ln_ratio));
    json_object_set_new(o, "ln_ppl_ratio_se", json_real(r->ln_ratio_se));
    json_object_set_new(o, "kld_mean", json_real(r->kld));
    json_object_set_new(o, "kld_se", json_real(r->kld_se));
    json_object_set_new(o, "kld_p999", json_real(r->kld_p999));
    json_object_set_new(o, "kld_p999_se", json_real(r->kld_p999_se));
    json_object_set_new(o, "kld_max", json_real(r->kld_max));
    json_object_set_new(o, "top1", json_real(r->top1));
    json_object_set_new(o, "top1_se", json_real(r->top1_se));
    return o;
}

static int evaluate(struct pare_opened *m, struct pare_opened *base, const struct pare_eval_settings *s, const char *text,
                    size_t n, json_t **out, struct pare_job *job, struct pare_diag *diag)
{
    uint32_t                  ctx = s->ctx != 0 ? s->ctx : 512;
    struct pare_text_settings ts = { ctx, s->bos, s->skip_chunks, s->chunks, false };
    struct pare_windows       win;
    struct pare_tally         tally = { 0 };
    struct pare_tally_result  r;
    struct pare_measure       mm = { .walk = &m->walk, .base = base != NULL ? &base->walk : NULL, .win = &win, .max_rows = MAX_ROWS, .phase = "eval" };
    struct pare_boot          boot;
    int                       rc;

    (void)job;
    PARE_FAIL_IF(diag, m->tok == NULL, PARE_E_USAGE, "the model has no tokenizer: its perplexity on a text cannot be measured");
    PARE_FORWARD(pare_text_windows(&win, m->tok, text, n, &ts, NULL, diag));
    mm.score_from = s->score_half ? ctx / 2 : 0;
    tally.cap = (uint64_t)win.n * win.len;
    if (base != NULL) tally.klds = pare_alloc_array(tally.cap, sizeof *tally.klds);
    mm.sums = pare_zalloc(win.n, sizeof *mm.sums);
    rc = (base != NULL && tally.klds == NULL) || mm.sums == NULL ? PARE_NOMEM(diag) : pare_measure_run(&mm, &tally, diag);
    if (rc == PARE_OK) rc = pare_bootstrap(&boot, mm.sums, win.n, 0, 1, diag);
    if (rc == PARE_OK) {
        pare_tally_finish(&tally, &r);
        *out = result_json(&r, base != NULL);
        json_object_set_new(*out, "chunks", json_integer(win.n));
        json_object_set_new(*out, "windows", pare_boot_json(&boot, base != NULL));
    }
    pare_free(mm.sums);
    pare_free(win.ids);
    pare_free(tally.klds);
    return rc;
}

/* What of the scored text a calibration text holds too. */
static int check_seen(const char *seen, const char *text, size_t n, json_t *doc, struct pare_diag *diag)
{
    struct pare_overlap o;
    uint8_t            *data;
    size_t              len;
    int                 rc;

    PARE_FORWARD(pare_read_file(seen, PARE_MAX_TEXT, &data, &len, diag));
    rc = pare_text_overlap(&o, (const char *)data, len, text, n, PARE_SHINGLE, diag);
    if (rc == PARE_OK && o.same) rc = PARE_ERR(diag, PARE_E_USAGE, "the text to score is the calibration text itself: nothing would be proved");
    if (rc == PARE_OK) json_object_set_new(doc, "overlap", json_real(o.share));
    pare_free(data);
    return rc;
}

int pare_eval(const char *path, const struct pare_eval_settings *s, char **json, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_open_settings os = { .act_mode = s->f32_activations ? PARE_ACT_F32 : PARE_ACT_INT8, .kv = s->kv, .ctx = s->ctx != 0 ? s->ctx : 512, .tokenizer = true };
    struct pare_opened        m, base;
    uint8_t                  *data = NULL;
    const char               *text;
    size_t                    n = 0;
    json_t                   *doc = NULL;
    int                       rc;

    *json = NULL;
    if (s->task != NULL) return pare_eval_task(path, s, json, job, diag);
    PARE_FORWARD(pare_opened_open(&m, path, &os, job, diag));
    memset(&base, 0, sizeof base);
    rc = PARE_OK;
    if (s->base != NULL) {
        os.tokenizer = false;
        rc = pare_opened_open(&base, s->base, &os, job, diag);
    }
    if (rc == PARE_OK && s->text != NULL) rc = pare_read_file(s->text, PARE_MAX_TEXT, &data, &n, diag);
    text = s->text != NULL ? (const char *)data : pare_text_proof(&n);
    if (rc == PARE_OK) rc = evaluate(&m, s->base != NULL ? &base : NULL, s, text, n, &doc, job, diag);
    if (rc == PARE_OK && s->seen != NULL) rc = check_seen(s->seen, text, n, doc, diag);
    pare_opened_close(&base);
    pare_opened_close(&m);
    if (rc == PARE_OK && s->noise_floor) {
        json_t *noise = NULL;
        rc = pare_noise_floor(s->base != NULL ? s->base : path, text, n, s->ctx != 0 ? s->ctx : 512, s->bos, &noise, job, diag);
        if (rc == PARE_OK) json_object_set_new(doc, "noise", noise);
    }
    if (rc == PARE_OK && (*json = pare_json_text(doc)) == NULL) rc = PARE_NOMEM(diag);
    json_decref(doc);
    pare_free(data);
    return rc;
}
