/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_render.c: one rendering from source to text. */
#define _GNU_SOURCE
#include <string.h>
#include <time.h>

#include "base/status.h"
#include "token/jinja_call.h"
#include "token/jinja_text.h"

static int check_date(const struct pare_jinja_date *d, struct pare_diag *diag)
{
    bool ok = d->year >= 1 && d->year <= 9999 && d->month >= 1 && d->month <= 12 && d->day >= 1 && d->day <= 31 && d->hour >= 0 &&
              d->hour <= 23 && d->minute >= 0 && d->minute <= 59 && d->second >= 0 && d->second <= 60;

    PARE_FAIL_IF(diag, !ok, PARE_E_USAGE, "the date for a chat template is not a date");
    return PARE_OK;
}

static struct pare_jinja_date now(void)
{
    time_t    t = time(NULL);
    struct tm tm = { .tm_year = 70, .tm_mday = 1 };

    localtime_r(&t, &tm);
    return (struct pare_jinja_date){ tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec };
}

static void render(struct pare_jinja *J, const char *tmpl, size_t n, json_t *context)
{
    struct pare_jtokens tokens = { 0 };
    struct pare_jnode  *root;
    struct pare_jv      v;

    J->names = pare_jdict_new(J);
    pare_jinja_lex(J, tmpl, n, &tokens);
    root = pare_jinja_parse(J, &tokens);
    if (root == NULL) return;
    J->line = 1;
    v = pare_jv_import(J, context);
    if (J->err != 0) return;
    J->context = v.u.d;
    J->work = 0; /* the bound is on what the template does, not on how long the conversation is */
    J->scope = pare_jinja_scope(J, NULL);
    if (J->scope != NULL) (void)pare_jinja_exec(J, root->list, root->n);
}

int pare_jinja_render(const char *tmpl, size_t n, json_t *context, const struct pare_jinja_date *date, char **out, size_t *out_len,
                      struct pare_diag *diag)
{
    struct pare_buf   b = { .max = PARE_JINJA_MAX_OUTPUT };
    struct pare_jinja J = { .diag = diag, .line = 1, .out = &b };
    size_t            bad = 0;

    PARE_USAGE_CHECK(diag, tmpl != NULL && out != NULL && out_len != NULL);
    *out = NULL;
    *out_len = 0;
    PARE_FAIL_IF(diag, !json_is_object(context), PARE_E_USAGE, "the variables of a chat template must be a JSON object");
    PARE_FAIL_IF(diag, n > PARE_JINJA_MAX_TEMPLATE, PARE_E_LIMIT, "a chat template of %zu bytes is longer than %zu", n,
                 PARE_JINJA_MAX_TEMPLATE);
    PARE_FAIL_IF(diag, !pare_jtext_valid(tmpl, n, &bad), PARE_E_CORRUPT, "the chat template is not valid UTF-8 at byte %zu", bad);
    if (date != NULL) PARE_FORWARD(check_date(date, diag));
    J.date = date != NULL ? *date : now();

    render(&J, tmpl, n, context);
    pare_jinja_pool_free(&J);
    if (J.err == 0) {
        *out_len = b.len;
        *out = pare_buf_take(&b);
        if (*out == NULL) J.err = PARE_NOMEM(diag);
    }
    pare_buf_free(&b);
    if (J.err != 0) *out_len = 0;
    return J.err;
}
