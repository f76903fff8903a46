/* SPDX-License-Identifier: Apache-2.0
 * src/token/template.c: the public door to the template interpreter. */
#include <pare/template.h>

#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "token/jinja.h"

/* Two or four digits at s, -1 if there are none. */
static int digits(const char *s, int n)
{
    int v = 0;

    for (int i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return -1;
        v = v * 10 + (s[i] - '0');
    }
    return v;
}

static int parse_date(const char *s, struct pare_jinja_date *d, struct pare_diag *diag)
{
    size_t n = strlen(s);
    bool   ok = (n == 10 || n == 19) && s[4] == '-' && s[7] == '-';

    *d = (struct pare_jinja_date){ 0 };
    if (ok) {
        d->year = digits(s, 4);
        d->month = digits(s + 5, 2);
        d->day = digits(s + 8, 2);
    }
    if (ok && n == 19) {
        ok = (s[10] == 'T' || s[10] == ' ') && s[13] == ':' && s[16] == ':';
        d->hour = digits(s + 11, 2);
        d->minute = digits(s + 14, 2);
        d->second = digits(s + 17, 2);
    }
    PARE_FAIL_IF(diag, !ok, PARE_E_USAGE, "the date \"%.40s\" is not of the form YYYY-MM-DD", s);
    return PARE_OK; /* the ranges are the renderer's to check */
}

int pare_template_render(const char *tmpl, size_t n, const char *context_json, const char *date, char **out, size_t *len,
                         struct pare_diag *diag)
{
    struct pare_jinja_date d;
    json_t                *context = NULL;
    int                    rc;

    PARE_USAGE_CHECK(diag, tmpl != NULL && context_json != NULL && out != NULL && len != NULL);
    *out = NULL;
    *len = 0;
    if (date != NULL) PARE_FORWARD(parse_date(date, &d, diag));
    PARE_FORWARD(pare_json_load(&context, context_json, strlen(context_json), "chat template variables", diag));
    rc = pare_jinja_render(tmpl, n, context, date != NULL ? &d : NULL, out, len, diag);
    json_decref(context);
    return rc;
}
