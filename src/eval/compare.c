/* SPDX-License-Identifier: Apache-2.0
 * src/eval/compare.c: makes the forms of a model one after the other, measures each, removes it. */
#define _GNU_SOURCE
#include "eval/compare.h"

#include <math.h>
#include <pare/bench.h>
#include <pare/fit.h>
#include <pare/generate.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/outfile.h"
#include "base/status.h"
#include "eval/measure.h"
#include "eval/opened.h"
#include "eval/task.h"
#include "eval/texts.h"

enum { MOST = 24, PROMPTS = 4, WRITE = 40, ROWS = 4096 };

struct form {
    char                 name[64], path[1100];
    bool                 made;   /* a file of ours, to be removed */
    struct pare_compared f;
    struct pare_ids      text[PROMPTS];
    double               mark[PARE_TRACKS];
};

struct compare {
    const struct pare_compare_settings *s;
    const char      *path;      /* the original */
    struct pare_job *job;
    struct form      form[MOST]; /* [0] is the original */
    uint32_t         n;
    const char      *text;      /* scored, and the same scrambled */
    char            *noisy;
    size_t           len;
};

void pare_compare_settings_default(struct pare_compare_settings *s) { memset(s, 0, sizeof *s); }

/* ---- loss ---- */

/* Sums of each window of a text, of a form and of the original. */
static int measure_text(struct compare *c, struct form *f, const char *text, bool clean, struct pare_diag *diag)
{
    struct pare_open_settings os = { .act_mode = PARE_ACT_INT8, .ctx = c->s->ctx != 0 ? c->s->ctx : 128, .tokenizer = true };
    struct pare_text_settings ts = { .ctx = os.ctx, .max = c->s->chunks != 0 ? c->s->chunks : 16, .spread = true };
    struct pare_opened        m, base;
    struct pare_windows       win = { 0 };
    struct pare_tally         tally = { 0 };
    struct pare_tally_result  r;
    struct pare_measure       mm = { .walk = &m.walk, .base = &base.walk, .win = &win, .max_rows = ROWS, .phase = "compare" };
    int                       rc;

    PARE_FORWARD(pare_opened_open(&m, f->path, &os, c->job, diag));
    memset(&base, 0, sizeof base);
    rc = pare_opened_open(&base, c->path, &os, c->job, diag);
    if (rc == PARE_OK && base.tok == NULL) rc = PARE_ERR(diag, PARE_E_USAGE, "the model has no tokenizer: nothing can be compared on text");
    if (rc == PARE_OK) rc = pare_text_windows(&win, base.tok, text, c->len, &ts, NULL, diag);
    if (rc == PARE_OK && (mm.sums = pare_zalloc(win.n, sizeof *mm.sums)) == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) rc = pare_measure_run(&mm, &tally, diag);
    if (rc == PARE_OK) {
        pare_tally_finish(&tally, &r);
        if (!clean) f->f.ppl_noisy = r.ppl;
        else {
            f->f.ppl = r.ppl;
            f->f.kld = r.kld;
            f->f.top1 = r.top1;
            f->f.top1_se = r.top1_se;
            for (uint32_t g = 0; g < PARE_COMPARE_GROUPS; g++) {
                double   nll = 0, n = 0;
                for (uint32_t i = g * win.n / PARE_COMPARE_GROUPS; i < (g + 1) * win.n / PARE_COMPARE_GROUPS; i++) {
                    nll += mm.sums[i].nll;
                    n += (double)mm.sums[i].n;
                }
                f->f.ppl_group[g] = n > 0 ? pare_exp(nll / n) : r.ppl;
            }
            f->f.resident = 0;
            for (uint32_t u = 0; u < pare_model_info_of(m.model)->n_units; u++) {
                struct pare_unit *unit = pare_model_unit(m.model, u);
                for (uint32_t i = 0; i < unit->n_slots; i++) {
                    const struct pare_slot *s = &unit->slot[i];
                    uint64_t packed = s->is_linear ? pare_linear_bytes(s->weight.type, s->rows, s->cols, PARE_ACT_INT8) : 0;
                    if (s->is_linear) f->f.resident += (double)(packed != 0 ? packed : s->rows * s->weight.row_bytes);
                }
            }
            f->f.bytes = 0;
            for (uint32_t i = 0; i < m.ckpt->n_maps; i++) f->f.bytes += (double)m.ckpt->maps[i].size;
        }
    }
    pare_free(mm.sums);
    pare_free(win.ids);
    pare_opened_close(&base);
    pare_opened_close(&m);
    return rc;
}

/* ---- text and questions ---- */

static int write_and_ask(struct compare *c, struct form *f, struct pare_diag *diag)
{
    static const char *const prompts[PROMPTS] = { "Once upon a time", "The most important thing about", "In the morning the old man", "She opened the door and" };
    struct pare_llm_settings ls;
    struct pare_llm         *llm;
    double                   sum = 0;
    int                      rc;

    pare_llm_settings_default(&ls);
    PARE_FORWARD(pare_llm_open(&llm, f->path, &ls, c->job, diag));
    rc = PARE_OK;
    for (int i = 0; i < PROMPTS && rc == PARE_OK; i++) {
        struct pare_generate_settings gs;
        struct pare_generated         g = { 0 };

        pare_generate_settings_default(&gs);
        gs.max_tokens = WRITE;
        gs.ignore_eog = true;
        rc = pare_generate(llm, prompts[i], strlen(prompts[i]), NULL, 0, &gs, &g, diag);
        f->text[i] = g.ids;
        g.ids = (struct pare_ids){ 0 };
        pare_generated_free(&g);
        sum += pare_likeness(c->form[0].text[i].ids, (uint32_t)c->form[0].text[i].n, f->text[i].ids, (uint32_t)f->text[i].n);
    }
    f->f.likeness = sum / PROMPTS;
    f->f.accuracy = -1;
    if (rc == PARE_OK && c->s->task != NULL) {
        struct pare_eval_settings es;
        json_t                   *o = NULL;

        pare_eval_settings_default(&es);
        es.task = c->s->task;
        es.data = c->s->data;
        es.limit = c->s->limit;
        rc = pare_task_run(llm, &es, &o, diag);
        if (rc == PARE_OK) {
            f->f.accuracy = json_number_value(json_object_get(o, "accuracy"));
            f->f.accuracy_se = json_number_value(json_object_get(o, "accuracy_se"));
        }
        json_decref(o);
    }
    pare_llm_close(&llm);
    return rc;
}

/* ---- speed ---- */

static int time_form(struct compare *c, struct form *f, struct pare_diag *diag)
{
    struct pare_bench_settings bs;
    char                      *text;
    json_t                    *doc, *tests;
    int                        rc;

    f->f.one_tps = f->f.many_tps = -1;
    if (c->s->no_speed) return PARE_OK;
    pare_bench_settings_default(&bs);
    bs.tests = "tg32,b8";
    bs.repeat = 5;
    PARE_FORWARD(pare_bench(f->path, &bs, &text, c->job, diag));
    rc = pare_json_load(&doc, text, strlen(text), "bench", diag);
    pare_free(text);
    if (rc < 0) return rc;
    tests = json_object_get(doc, "tests");
    f->f.one_tps = json_number_value(json_object_get(json_array_get(tests, 0), "best_tps"));
    f->f.many_tps = json_number_value(json_object_get(json_array_get(tests, 1), "best_tps"));
    json_decref(doc);
    return PARE_OK;
}

/* ---- one form ---- */

static int make(struct compare *c, struct form *f, struct pare_diag *diag)
{
    char  *doc = NULL;
    double t = pare_now();
    int    rc;

    f->f.convert_s = f->f.convert_rss = -1;
    if (!f->made) return PARE_OK;
    pare_reset_peak_rss();
    rc = pare_convert(c->path, f->path, f->name, false, false, &doc, c->job, diag);
    pare_free(doc);
    f->f.convert_s = pare_now() - t;
    f->f.convert_rss = (double)pare_peak_rss();
    return rc;
}

static int measure_form(struct compare *c, struct form *f, struct pare_diag *diag)
{
    int rc = make(c, f, diag);

    if (rc == PARE_OK) rc = measure_text(c, f, c->text, true, diag);
    if (rc == PARE_OK) rc = measure_text(c, f, c->noisy, false, diag);
    if (rc == PARE_OK) rc = write_and_ask(c, f, diag);
    if (rc == PARE_OK) rc = time_form(c, f, diag);
    if (f->made) {
        struct pare_diag quiet = { 0 };
        (void)pare_file_remove(f->path, &quiet);
    }
    if (rc < 0) pare_diag_where(diag, f->name);
    return rc;
}

/* Names with a slash or a dot are files that are there; all others are types. */
static int list_forms(struct compare *c, struct pare_diag *diag)
{
    char *list = pare_strdup(c->s->types != NULL ? c->s->types : "q8_0,q6_k,q5_k,q4_k,q3_k,q2_k"), *save = NULL;
    int   rc = list == NULL ? PARE_NOMEM(diag) : PARE_OK;

    snprintf(c->form[0].name, sizeof c->form[0].name, "original");
    snprintf(c->form[0].path, sizeof c->form[0].path, "%s", c->path);
    c->n = 1;
    for (char *t = list == NULL ? NULL : strtok_r(list, ",", &save); t != NULL && rc == PARE_OK; t = strtok_r(NULL, ",", &save)) {
        struct form *f = &c->form[c->n];

        if (c->n == MOST) rc = PARE_ERR(diag, PARE_E_LIMIT, "at most %d forms are compared at once", MOST - 1);
        if (rc < 0) break;
        c->n++;
        f->made = strpbrk(t, "/.") == NULL;
        snprintf(f->name, sizeof f->name, "%.60s", f->made ? t : strrchr(t, '/') != NULL ? strrchr(t, '/') + 1 : t);
        if (f->made)
            snprintf(f->path, sizeof f->path, "%.1000s/pare-compare-%ld-%.60s.gguf", c->s->folder != NULL ? c->s->folder : "/tmp", (long)getpid(), t);
        else
            snprintf(f->path, sizeof f->path, "%.1000s", t);
        if (f->made && pare_dtype_by_name(t) == NULL) rc = PARE_ERR(diag, PARE_E_USAGE, "unknown type \"%.40s\"", t);
    }
    pare_free(list);
    return rc;
}

/* ---- document ---- */

static void set(json_t *o, const char *key, double v) { json_object_set_new(o, key, v < 0 ? json_null() : json_real(v)); }

static json_t *form_json(const struct form *f, const struct compare *c)
{
    json_t *o = json_object(), *marks = json_object(), *groups = json_array();
    const struct pare_compared *x = &f->f, *base = &c->form[0].f;

    json_object_set_new(o, "name", json_string(f->name));
    set(o, "bytes", x->bytes);
    set(o, "resident", x->resident);
    set(o, "ppl", x->ppl);
    for (uint32_t g = 0; g < PARE_COMPARE_GROUPS; g++) json_array_append_new(groups, json_real(x->ppl_group[g]));
    json_object_set_new(o, "ppl_groups", groups);
    set(o, "ppl_noisy", x->ppl_noisy);
    set(o, "kld_mean", x->kld);
    set(o, "top1", x->top1);
    set(o, "top1_se", x->top1_se);
    set(o, "accuracy", x->accuracy);
    set(o, "accuracy_se", x->accuracy < 0 ? -1 : x->accuracy_se);
    set(o, "recovery", 100 * (x->accuracy >= 0 && base->accuracy > 0 ? x->accuracy / base->accuracy : base->ppl / x->ppl));
    set(o, "likeness", x->likeness);
    set(o, "convert_s", x->convert_s);
    set(o, "convert_rss", x->convert_rss);
    set(o, "one_tps", x->one_tps);
    set(o, "many_tps", x->many_tps);
    for (int t = 0; t < PARE_TRACKS; t++) set(marks, pare_track_name[t], f->mark[t]);
    json_object_set_new(o, "marks", marks);
    set(o, "quality", (f->mark[PARE_TRACK_LOSS] + f->mark[PARE_TRACK_GENERAL] + f->mark[PARE_TRACK_ROBUST]) / 3);
    return o;
}

static const char *fastest(const struct compare *c, bool many)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < c->n; i++)
        if (many ? c->form[i].f.many_tps > c->form[best].f.many_tps : c->form[i].f.one_tps > c->form[best].f.one_tps) best = i;
    return c->form[best].name;
}

static json_t *document(const struct compare *c)
{
    json_t *doc = json_object(), *list = json_array(), *formulas = json_object();

    for (uint32_t i = 0; i < c->n; i++) json_array_append_new(list, form_json(&c->form[i], c));
    for (int t = 0; t < PARE_TRACKS; t++) json_object_set_new(formulas, pare_track_name[t], json_string(pare_track_formula[t]));
    json_object_set_new(doc, "original", json_string(c->path));
    json_object_set_new(doc, "configs", list);
    if (!c->s->no_speed) {
        json_object_set_new(doc, "fastest_one", json_string(fastest(c, false)));
        json_object_set_new(doc, "fastest_many", json_string(fastest(c, true)));
    }
    json_object_set_new(doc, "formulas", formulas);
    json_object_set_new(doc, "absent", json_pack("[s,s]", "truthfulness: no public questions are shipped", "other deployment engines: pare measures itself"));
    return doc;
}

int pare_compare(const char *path, const struct pare_compare_settings *s, char **json, struct pare_job *job, struct pare_diag *diag)
{
    struct compare *c = pare_zalloc(1, sizeof *c);
    uint8_t        *data = NULL;
    json_t         *doc = NULL;
    uint32_t        ref = 0;
    int             rc;

    *json = NULL;
    if (c == NULL) return PARE_NOMEM(diag);
    c->s = s;
    c->path = path;
    c->job = job;
    rc = list_forms(c, diag);
    if (rc == PARE_OK && s->text != NULL) rc = pare_read_file(s->text, PARE_MAX_TEXT, &data, &c->len, diag);
    if (rc == PARE_OK) {
        c->text = s->text != NULL ? (const char *)data : pare_text_proof(&c->len);
        c->noisy = pare_strndup(c->text, c->len);
        if (c->noisy == NULL) rc = PARE_NOMEM(diag);
        else pare_scramble(c->noisy, c->len, 20, 1);
    }
    for (uint32_t i = 0; i < c->n && rc == PARE_OK; i++) rc = measure_form(c, &c->form[i], diag);
    while (ref + 1 < c->n && !c->form[ref].made) ref++;
    for (uint32_t i = 0; i < c->n; i++) pare_compare_marks(c->form[i].mark, &c->form[i].f, &c->form[0].f, &c->form[ref].f);
    if (rc == PARE_OK && ((doc = document(c)) == NULL || (*json = pare_json_text(doc)) == NULL)) rc = PARE_NOMEM(diag);
    json_decref(doc);
    for (uint32_t i = 0; i < c->n; i++)
        for (int p = 0; p < PROMPTS; p++) pare_ids_free(&c->form[i].text[p]);
    pare_free(c->noisy);
    pare_free(data);
    pare_free(c);
    return rc;
}
