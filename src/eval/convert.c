/* SPDX-License-Identifier: Apache-2.0
 * src/eval/convert.c: a change of container, or of one type for all matrices: a rewrite whose plan needs no search. */
#define XXH_INLINE_ALL
#include <pare/fit.h>
#include <string.h>
#include <xxhash.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "compress/plan.h"
#include "compress/rewrite.h"
#include "eval/opened.h"

/* The one type for a target: what was asked for where the width allows it, else the nearest larger standard type, as the public
 * tools fall back, else its own. */
static uint32_t choose(const struct pare_target *t, const struct pare_dtype *want)
{
    uint32_t best = UINT32_MAX;

    for (uint32_t c = 0; c < t->n_cand; c++) {
        const struct pare_dtype *d = t->cand[c].type;
        if (want == NULL ? d == t->slot->weight.type : d == want) return c;
        if (want != NULL && (d->caps & PARE_DT_STANDARD) && d->bits >= want->bits &&
            (best == UINT32_MAX || d->bits < t->cand[best].type->bits))
            best = c;
    }
    for (uint32_t c = 0; best == UINT32_MAX && c < t->n_cand; c++)
        if (t->cand[c].type == t->slot->weight.type) best = c;
    return best == UINT32_MAX ? 0 : best;
}

/* Float types are no candidates of fit (they lose nothing and save little); convert adds the one asked for. */
static void add_float(struct pare_targets *ts, const struct pare_dtype *want)
{
    if (want == NULL || !(want->caps & PARE_DT_FLOAT) || !(want->caps & PARE_DT_WRITE)) return;
    for (uint32_t i = 0; i < ts->n; i++) {
        struct pare_target *t = &ts->t[i];
        struct pare_candidate c = { .type = want };
        bool have = false;
        for (uint32_t k = 0; k < t->n_cand; k++) have = have || t->cand[k].type == want;
        if (have || t->n_cand == PARE_MAX_CANDIDATES || !pare_dtype_bytes(want, t->rows, t->cols, &c.bytes)) continue;
        t->cand[t->n_cand++] = c;
    }
}

/* Who asks for a type gets rows of it: a weight with further parts is written out, even where its base has that type already. */
static void expand_parts(struct pare_targets *ts, const struct pare_dtype *want)
{
    for (uint32_t i = 0; i < ts->n; i++)
        for (uint32_t k = 0; k < ts->t[i].n_cand; k++) {
            struct pare_candidate *c = &ts->t[i].cand[k];
            if (c->type != want || c->maker == NULL) continue;
            c->maker = NULL;
            (void)pare_dtype_bytes(want, ts->t[i].rows, ts->t[i].cols, &c->bytes); /* it suited the width */
        }
}

/* A tensor that is not what was asked for, and what it is. */
static void add_kept(json_t *kept, const struct pare_target *t, uint32_t pick, bool unpacked)
{
    json_t *e = json_object();

    json_object_set_new(e, "tensor", json_string(t->name));
    json_object_set_new(e, "type", json_string(t->cand[pick].type->name));
    if (unpacked) json_object_set_new(e, "packed", json_false());
    json_array_append_new(kept, e);
}

static int run(struct pare_opened *o, const char *out, const struct pare_dtype *want, bool pack, bool resume, json_t *doc,
               struct pare_job *job, struct pare_diag *diag)
{
    struct pare_targets ts;
    uint32_t           *pick = NULL, packed = 0;
    uint8_t            *panels = NULL;
    json_t             *kept = json_array();
    int                 rc;

    json_object_set_new(doc, "kept", kept);
    PARE_FORWARD(pare_targets_create(&ts, o->model, diag));
    rc = pare_targets_candidates(&ts, false, NULL, diag);
    if (rc == PARE_OK) {
        add_float(&ts, want);
        if (want != NULL) expand_parts(&ts, want);
        pick = pare_zalloc(ts.n + 1u, sizeof *pick);
        panels = pare_zalloc(ts.n + 1u, sizeof *panels);
        if (pick == NULL || panels == NULL) rc = PARE_NOMEM(diag);
    }
    if (rc == PARE_OK) {
        struct pare_rewrite r = { .out = out, .ckpt = o->ckpt, .model = o->model, .tok = o->tok, .ts = &ts, .pick = pick, .resume = resume };
        uint64_t            print = pare_checkpoint_fingerprint(o->ckpt);
        for (uint32_t i = 0; i < ts.n; i++) {
            pick[i] = choose(&ts.t[i], want);
            if (want != NULL && ts.t[i].cand[pick[i]].type != want) add_kept(kept, &ts.t[i], pick[i], false);
        }
        r.job_hash = XXH3_64bits_withSeed(want == NULL ? "keep" : want->name, want == NULL ? 4 : strlen(want->name), print);
        if (pack) {
            r.job_hash = XXH3_64bits_withSeed("pack", 4, r.job_hash);
            rc = pare_rewrite_choose_pack(&r, panels, job, diag);
            r.pack = panels;
        }
        for (uint32_t i = 0; i < ts.n; i++) {
            packed += panels[i] == PARE_PACK_YES;
            if (panels[i] == PARE_PACK_LOSES) add_kept(kept, &ts.t[i], pick[i], true);
        }
        if (pack) json_object_set_new(doc, "packed", json_integer(packed));
        if (rc == PARE_OK) rc = pare_rewrite_run(&r, job, diag);
    }
    pare_free(pick);
    pare_free(panels);
    pare_targets_free(&ts);
    return rc;
}

int pare_convert(const char *path, const char *out, const char *type, bool pack, bool resume, char **json, struct pare_job *job,
                 struct pare_diag *diag)
{
    struct pare_open_settings os = { .act_mode = PARE_ACT_F32, .kv = "f32", .ctx = 16, .stream = true, .tokenizer = true };
    const struct pare_dtype  *want = strcmp(type, "keep") == 0 ? NULL : pare_dtype_by_name(type);
    struct pare_opened        o;
    json_t                   *doc;
    int                       rc;

    *json = NULL;
    PARE_FAIL_IF(diag, want == NULL && strcmp(type, "keep") != 0, PARE_E_USAGE, "unknown type \"%.40s\"", type);
    PARE_FAIL_IF(diag, want != NULL && !(want->caps & PARE_DT_WRITE), PARE_E_USAGE, "type %s can be read but not written", want->name);
    PARE_FORWARD(pare_opened_open(&o, path, &os, job, diag));
    doc = json_object();
    json_object_set_new(doc, "output", json_string(out));
    rc = run(&o, out, want, pack, resume, doc, job, diag);
    if (rc == PARE_OK) {
        struct pare_checkpoint *made = NULL;
        rc = pare_checkpoint_open(&made, out, diag);
        if (rc == PARE_OK) json_object_set_new(doc, "bytes", json_integer((json_int_t)made->maps[0].size));
        pare_checkpoint_close(&made);
    }
    if (rc == PARE_OK && (*json = pare_json_text(doc)) == NULL) rc = PARE_NOMEM(diag);
    json_decref(doc);
    pare_opened_close(&o);
    return rc;
}
