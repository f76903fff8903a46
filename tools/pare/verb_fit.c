/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pare/fit.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "out.h"

/* The path of this command: fit measures the result in a process of its own, as users will run it. NULL when unknown. */
static const char *own_path(char buf[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", buf, PATH_MAX - 1);

    if (n <= 0 || n >= PATH_MAX - 1) return NULL;
    buf[n] = '\0';
    return buf;
}

static int check(const struct pare_cli *c)
{
    bool budget = PARE_HAS(c, size) || PARE_HAS(c, bpw) || PARE_HAS(c, ram) || PARE_HAS(c, loss) || PARE_HAS(c, decode) ||
                  PARE_HAS(c, prefill);

    if (!PARE_HAS(c, out) && !PARE_FLAG(c, plan_only))
        return pare_cli_usage(c->verb->name, "-o is missing: the file to write (or --plan-only)");
    if (!budget && !PARE_HAS(c, plan))
        return pare_cli_usage(c->verb->name, "no budget: give --size, --bpw, --ram, --loss, --decode or --prefill, or a --plan");
    if (PARE_HAS(c, activations) && strcmp(PARE_TEXT(c, activations), "f32") == 0)
        pare_cli_note(c, "pare: fit plans and proves with int8 activations; `pare eval --activations f32` shows the other way");
    return 0;
}

static void fill(const struct pare_cli *c, struct pare_fit_settings *s)
{
    pare_fit_settings_default(s);
    s->out = PARE_TEXT(c, out);
    if (PARE_HAS(c, size)) s->size = c->v[PARE_OPT_size].size;
    if (PARE_HAS(c, bpw)) s->bpw = c->v[PARE_OPT_bpw].real;
    if (PARE_HAS(c, ram)) s->ram = c->v[PARE_OPT_ram].size;
    if (PARE_HAS(c, loss)) s->loss = c->v[PARE_OPT_loss].real;
    if (PARE_HAS(c, decode)) s->decode_tps = c->v[PARE_OPT_decode].real;
    if (PARE_HAS(c, prefill)) s->prefill_tps = c->v[PARE_OPT_prefill].real;
    if (PARE_HAS(c, fit_ctx)) s->ctx = (uint32_t)c->v[PARE_OPT_fit_ctx].integer;
    if (PARE_HAS(c, fit_text)) s->text = PARE_TEXT(c, fit_text);
    if (PARE_HAS(c, fit_eval)) s->eval_text = PARE_TEXT(c, fit_eval);
    if (PARE_HAS(c, eval_chunks)) s->eval_chunks = (uint32_t)c->v[PARE_OPT_eval_chunks].integer;
    if (PARE_HAS(c, plan)) s->plan = PARE_TEXT(c, plan);
    if (PARE_HAS(c, work_ram)) s->work_ram = c->v[PARE_OPT_work_ram].size;
    if (PARE_HAS(c, report)) s->report = PARE_TEXT(c, report);
    if (PARE_HAS(c, fit_methods)) s->methods = PARE_TEXT(c, fit_methods);
    if (PARE_HAS(c, fit_seed)) s->seed = (uint64_t)c->v[PARE_OPT_fit_seed].integer;
    if (PARE_HAS(c, effort)) s->effort = (uint32_t)c->v[PARE_OPT_effort].integer;
    s->plan_only = PARE_FLAG(c, plan_only);
    s->portable = PARE_FLAG(c, portable);
    s->resume = PARE_FLAG(c, resume);
    s->no_proof = PARE_FLAG(c, no_proof);
    s->explain = PARE_FLAG(c, explain);
}

int pare_verb_fit(const struct pare_cli *c)
{
    struct pare_fit_settings s;
    struct pare_job         *job = NULL;
    struct pare_diag         diag = { 0 };
    char                     self[PATH_MAX], *doc = NULL, *text = NULL;
    size_t                   n;
    int                      rc;

    if ((rc = check(c)) != 0) return rc;
    fill(c, &s);
    s.self = own_path(self);
    if ((rc = pare_cli_job(c, &job)) != 0) return rc;
    if (pare_fit(c->arg[0], &s, &doc, PARE_FLAG(c, json) ? NULL : &text, job, &diag) < 0) {
        rc = pare_cli_fail(c, &diag);
    } else if (PARE_FLAG(c, json)) {
        rc = pare_cli_json(doc);
        doc = NULL;
    } else {
        pare_cli_progress_clear();
        n = text != NULL ? strlen(text) : 0;
        if (n > 0) fputs(text, stdout);
        if (n > 0 && text[n - 1] != '\n') putchar('\n');
        rc = pare_cli_flush();
    }
    pare_free(doc);
    pare_free(text);
    pare_cli_job_end(&job);
    return rc;
}
