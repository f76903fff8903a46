/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/option_value.c: text to checked values. A number that is not entirely a number is an error, never a guess: the
 * classic atoi reading of "4O96" as 4 costs someone an hour of computing. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "out.h"

bool pare_cli_parse_int(const char *s, int64_t *out)
{
    char     *end;
    long long v;

    if (!isdigit((unsigned char)s[s[0] == '-'])) return false;
    errno = 0;
    v = strtoll(s, &end, 10);
    if (errno != 0 || *end != '\0') return false;
    *out = v;
    return true;
}

bool pare_cli_parse_real(const char *s, double *out)
{
    char  *end;
    double v;

    /* strtod alone would take "0x1p3", "nan" and leading spaces. */
    if (s[0] == '\0' || strspn(s, "0123456789.eE+-") != strlen(s)) return false;
    errno = 0;
    v = strtod(s, &end);
    if (*end != '\0' || end == s || !isfinite(v)) return false;
    *out = v;
    return true;
}

bool pare_cli_parse_size(const char *s, uint64_t *out)
{
    static const char units[] = "KMGT";
    uint64_t          whole = 0, part = 0, scale = 1, mult = 1, carry;
    const char       *p = s, *u;

    if (!isdigit((unsigned char)*p)) return false;
    for (; isdigit((unsigned char)*p); p++) {
        if (whole > (UINT64_MAX - 9) / 10) return false;
        whole = whole * 10 + (uint64_t)(*p - '0');
    }
    if (*p == '.') {
        if (!isdigit((unsigned char)*++p)) return false;
        for (; isdigit((unsigned char)*p); p++) {
            if (scale > 1000000) continue; /* seven digits of a unit are enough, and cannot overflow below */
            part = part * 10 + (uint64_t)(*p - '0');
            scale *= 10;
        }
    }
    if (*p != '\0') {
        u = strchr(units, toupper((unsigned char)*p));
        if (u == NULL || p[1] != '\0') return false;
        mult = (uint64_t)1 << (10 * (u - units + 1));
    }
    if (mult == 1 && scale != 1) return false; /* there is no half byte */
    carry = mult / scale * part + mult % scale * part / scale;
    if (whole > (INT64_MAX - carry) / mult) return false;
    *out = whole * mult + carry;
    return true;
}

static int set_flag(struct pare_cli_value *v, const char *origin, const char *text)
{
    static const char *const yes[] = { "1", "yes", "true", "on" }, *const no[] = { "0", "no", "false", "off" };

    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0) return v->on = true, 0;
        if (strcmp(text, no[i]) == 0) return v->on = false, 0;
    }
    return pare_cli_usage(NULL, "%s: \"%s\" is neither yes nor no", origin, text);
}

static int set_choice(struct pare_cli_value *v, const struct pare_cli_option *o, const char *origin, const char *text)
{
    size_t n = strlen(text);

    for (const char *p = o->choices; *p != '\0'; p += strspn(p, "|")) {
        size_t len = strcspn(p, "|");

        if (len == n && memcmp(p, text, n) == 0) return v->text = text, 0;
        p += len;
    }
    return pare_cli_usage(NULL, "%s: \"%s\" is none of %s", origin, text, o->choices);
}

static int append(struct pare_cli_value *v, const char *text)
{
    const char **p = realloc(v->list, (v->n + 1) * sizeof *p);

    if (p == NULL) return pare_cli_nomem();
    v->list = p;
    v->list[v->n++] = text;
    return 0;
}

int pare_cli_value_set(struct pare_cli_value *v, const struct pare_cli_option *o, const char *origin, const char *text)
{
    switch (o->kind) {
    case PARE_KIND_FLAG: return set_flag(v, origin, text);
    case PARE_KIND_CHOICE: return set_choice(v, o, origin, text);
    case PARE_KIND_TEXT: v->text = text; return 0;
    case PARE_KIND_LIST: return append(v, text);
    case PARE_KIND_SIZE:
        if (!pare_cli_parse_size(text, &v->size))
            return pare_cli_usage(NULL, "%s: \"%s\" is no size; write bytes or a number with K, M or G, as in 1.5G", origin, text);
        if ((double)v->size < o->min) return pare_cli_usage(NULL, "%s: %s is too small", origin, text);
        return 0;
    case PARE_KIND_INT:
        if (!pare_cli_parse_int(text, &v->integer))
            return pare_cli_usage(NULL, "%s: \"%s\" is no whole number", origin, text);
        if ((double)v->integer < o->min || (double)v->integer > o->max)
            return pare_cli_usage(NULL, "%s: %s is not in %.0f .. %.0f", origin, text, o->min, o->max);
        return 0;
    case PARE_KIND_REAL:
        if (!pare_cli_parse_real(text, &v->real)) return pare_cli_usage(NULL, "%s: \"%s\" is no number", origin, text);
        if (v->real < o->min || v->real > o->max)
            return pare_cli_usage(NULL, "%s: %s is not in %g .. %g", origin, text, o->min, o->max);
        return 0;
    }
    return 2;
}
