/* SPDX-License-Identifier: Apache-2.0 */
#define XXH_INLINE_ALL
#include "compress/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"

#define PLAN_VERSION 1

static json_t *hex(uint64_t v)
{
    char b[24];

    snprintf(b, sizeof b, "%016" PRIx64, v);
    return json_string(b);
}

const char *pare_plan_method(const struct pare_target *t, uint32_t c)
{
    return pare_target_feeds(t, c) ? "gptq" : t->cand[c].type == t->slot->weight.type && t->slot->fold == NULL ? "keep" : "rtn";
}

json_t *pare_plan_make(const struct pare_targets *ts, const uint32_t *pick, const struct pare_plan_source *src, json_t *budgets)
{
    json_t *doc = json_object(), *list = json_array(), *from = json_object();

    json_object_set_new(doc, "version", json_integer(PLAN_VERSION));
    json_object_set_new(from, "fingerprint", hex(src->fingerprint));
    json_object_set_new(from, "calibration", hex(src->text_hash));
    json_object_set_new(from, "windows", json_integer(src->windows));
    json_object_set_new(from, "window", json_integer(src->window_len));
    json_object_set_new(doc, "source", from);
    json_object_set_new(doc, "seed", json_integer((json_int_t)src->seed));
    if (budgets != NULL) json_object_set(doc, "budgets", budgets);
    for (uint32_t i = 0; i < ts->n; i++) {
        const struct pare_candidate *c = &ts->t[i].cand[pick[i]];
        json_t *e = json_object();
        json_object_set_new(e, "tensor", json_string(ts->t[i].name));
        json_object_set_new(e, "method", json_string(pare_plan_method(&ts->t[i], pick[i])));
        json_object_set_new(e, "type", json_string(c->type->name));
        json_object_set_new(e, "bytes", json_integer((json_int_t)c->bytes));
        json_object_set_new(e, "loss", json_real(c->loss));
        if (ts->t[i].table != NULL && ts->t[i].multiplied && pare_target_feeds(&ts->t[i], pick[i]))
            json_object_set_new(e, "lookup", json_real(ts->t[i].lookup));
        json_array_append_new(list, e);
    }
    json_object_set_new(doc, "plan", list);
    return doc;
}

static int read_hex(const json_t *o, const char *key, uint64_t *out, struct pare_diag *diag)
{
    const char *s;

    PARE_FORWARD(pare_json_str(o, key, "0", &s, diag));
    if (sscanf(s, "%16" SCNx64, out) == 1) return PARE_OK;
    pare_diag_where(diag, key);
    PARE_FAIL(diag, PARE_E_CORRUPT, "\"%s\" is not a hexadecimal number", key);
}

static int read_entry(const json_t *e, uint64_t i, struct pare_targets *ts, uint32_t *pick, bool *done, struct pare_diag *diag)
{
    const char *name, *type, *method;
    double      loss;
    uint32_t    t, c;

    PARE_FAIL_IF(diag, !json_is_object(e), PARE_E_CORRUPT, "entry %llu of \"plan\" is not an object", (unsigned long long)i);
    PARE_FORWARD(pare_json_str(e, "tensor", "", &name, diag));
    PARE_FORWARD(pare_json_str(e, "type", "", &type, diag));
    PARE_FORWARD(pare_json_str(e, "method", "rtn", &method, diag));
    for (t = 0; t < ts->n && strcmp(ts->t[t].name, name) != 0; t++) {}
    pare_diag_where(diag, name);
    PARE_FAIL_IF(diag, t == ts->n, PARE_E_CORRUPT, "the plan names a tensor that this model does not have");
    PARE_FAIL_IF(diag, done[t], PARE_E_CORRUPT, "the plan names this tensor twice");
    for (c = 0; c < ts->t[t].n_cand && strcmp(ts->t[t].cand[c].type->name, type) != 0; c++) {}
    PARE_FAIL_IF(diag, c == ts->t[t].n_cand, PARE_E_CORRUPT, "the plan wants type \"%.40s\", which this tensor cannot have", type);
    ts->t[t].feedback = strcmp(method, "gptq") == 0;
    PARE_FAIL_IF(diag, ts->t[t].feedback && !pare_target_feeds(&ts->t[t], c), PARE_E_CORRUPT,
                 "the plan wants error feedback (gptq) for type %s, which this tensor cannot have", type);
    PARE_FAIL_IF(diag, !ts->t[t].feedback && strcmp(method, "rtn") != 0 && strcmp(method, "keep") != 0, PARE_E_CORRUPT,
                 "the plan wants the method \"%.40s\", which does not exist", method);
    PARE_FORWARD(pare_json_real(e, "loss", 0, &loss, diag));
    PARE_FAIL_IF(diag, !(loss >= 0), PARE_E_CORRUPT, "the plan gives this tensor a negative loss");
    PARE_FORWARD(pare_json_real(e, "lookup", 0, &ts->t[t].lookup, diag));
    PARE_FAIL_IF(diag, !(ts->t[t].lookup >= 0 && ts->t[t].lookup <= 1), PARE_E_CORRUPT, "\"lookup\" must lie between 0 and 1");
    ts->t[t].cand[c].loss = loss; /* nothing measures it on replay, and the stored plan must come out as it went in */
    done[t] = true;
    pick[t] = c;
    /* The plan is stored in the output: what it says of the loss travels along, or a replay would not give the same bytes. */
    PARE_FORWARD(pare_json_real(e, "loss", 0, &ts->t[t].cand[c].loss, diag));
    if (diag != NULL) diag->where[0] = '\0';
    return PARE_OK;
}

int pare_plan_read(const json_t *plan, struct pare_targets *ts, uint32_t *pick, struct pare_plan_source *src, struct pare_diag *diag)
{
    const json_t *list = json_object_get(plan, "plan"), *from = json_object_get(plan, "source");
    int64_t       v, windows, len, seed;
    bool         *done;
    int           rc;

    memset(src, 0, sizeof *src);
    PARE_FAIL_IF(diag, !json_is_object(plan) || !json_is_array(list), PARE_E_CORRUPT, "not a plan: no array \"plan\"");
    PARE_FORWARD(pare_json_int(plan, "version", 1, PLAN_VERSION, 1, &v, diag));
    PARE_FORWARD(pare_json_int(plan, "seed", 0, INT64_MAX, 0, &seed, diag));
    if (json_is_object(from)) {
        PARE_FORWARD(read_hex(from, "fingerprint", &src->fingerprint, diag));
        PARE_FORWARD(read_hex(from, "calibration", &src->text_hash, diag));
        PARE_FORWARD(pare_json_int(from, "windows", 0, 1 << 20, 0, &windows, diag));
        PARE_FORWARD(pare_json_int(from, "window", 0, 1 << 20, 0, &len, diag));
        src->windows = (uint32_t)windows;
        src->window_len = (uint32_t)len;
    }
    src->seed = (uint64_t)seed;
    done = pare_zalloc(ts->n + 1u, sizeof *done);
    if (done == NULL) return PARE_NOMEM(diag);
    rc = PARE_OK;
    for (size_t i = 0; i < json_array_size(list) && rc == PARE_OK; i++)
        rc = read_entry(json_array_get(list, i), i, ts, pick, done, diag);
    for (uint32_t t = 0; t < ts->n && rc == PARE_OK; t++) {
        if (done[t]) continue;
        pare_diag_where(diag, ts->t[t].name);
        rc = PARE_ERR(diag, PARE_E_CORRUPT, "the plan does not name this tensor");
    }
    pare_free(done);
    return rc;
}

uint64_t pare_checkpoint_fingerprint(const struct pare_checkpoint *c)
{
    XXH3_state_t s;

    XXH3_64bits_reset(&s);
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        const struct pare_tensor *t = &c->tensors[i];
        uint64_t                  n = t->bytes < 1024 ? t->bytes : 1024;
        XXH3_64bits_update(&s, t->name, strlen(t->name));
        XXH3_64bits_update(&s, t->type->name, strlen(t->type->name));
        XXH3_64bits_update(&s, t->dims, t->n_dims * sizeof *t->dims);
        if (n != 0) XXH3_64bits_update(&s, t->data, n);
    }
    return XXH3_64bits_digest(&s);
}
