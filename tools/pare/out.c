/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/out.c: messages, JSON documents, sizes and texts for people. */
#define _GNU_SOURCE
#include "out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool pare_cli_color(FILE *f)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(f)) && (no == NULL || *no == '\0') && term != NULL && strcmp(term, "dumb") != 0;
}

static void say(const char *fmt, va_list ap)
{
    bool color = pare_cli_color(stderr);

    pare_cli_progress_clear();
    fflush(stdout);
    fputs(color ? "\033[1;31mpare:\033[0m " : "pare: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

void pare_cli_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}

int pare_cli_usage(const char *verb, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    if (verb != NULL) fprintf(stderr, "pare: `pare %s --help` lists the flags\n", verb);
    return 2;
}

int pare_cli_nomem(void)
{
    pare_cli_error("out of memory");
    return 4;
}

void pare_cli_note(const struct pare_cli *c, const char *fmt, ...)
{
    va_list ap;

    if (PARE_FLAG(c, quiet)) return;
    pare_cli_progress_clear();
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

/* What the user can do about an error of this kind; NULL when the message itself must do. */
static const char *next_step(const struct pare_cli *c, int code)
{
    bool writes = pare_cli_has_option(c->verb, &pare_cli_options[PARE_OPT_resume]);
    bool cached = pare_cli_has_option(c->verb, &pare_cli_options[PARE_OPT_kv]);

    switch (code) {
    case PARE_E_NOMEM:
        if (c->verb - pare_cli_verbs == PARE_VERB_fit) return "give it less to hold with --work-ram, or free some memory";
        return cached ? "try a smaller --ctx or --kv q8_0, or a smaller model made with `pare fit --ram`" : NULL;
    case PARE_E_BUDGET: return "relax a budget, or see with --plan-only what can be reached";
    case PARE_E_NOSPACE: return writes ? "free some space and run the same command with --resume" : NULL;
    case PARE_E_TRUNCATED: return "the file is incomplete: fetch or copy it again";
    case PARE_E_CANCELLED: return writes ? "the same command with --resume continues" : NULL;
    default: return NULL;
    }
}

int pare_cli_fail(const struct pare_cli *c, const struct pare_diag *d)
{
    char        buf[1024];
    const char *next = next_step(c, d->code);

    pare_cli_error("%s", pare_diag_format(d, buf, sizeof buf));
    if (next != NULL && !PARE_FLAG(c, quiet)) fprintf(stderr, "pare: %s\n", next);
    return pare_error_exit_code(d->code);
}

int pare_cli_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    pare_cli_error("cannot write to standard output");
    return 1;
}

int pare_cli_json(char *doc)
{
    if (doc == NULL) return pare_cli_nomem();
    pare_cli_progress_clear();
    puts(doc);
    pare_free(doc);
    return pare_cli_flush();
}

int pare_cli_json_value(json_t *v)
{
    char *s = v != NULL ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)) : NULL;

    json_decref(v);
    if (s == NULL) return pare_cli_nomem();
    pare_cli_progress_clear();
    puts(s);
    free(s);
    return pare_cli_flush();
}

json_t *pare_cli_parse_json(char *doc)
{
    json_t *v = doc != NULL ? json_loads(doc, JSON_DECODE_ANY, NULL) : NULL;

    pare_free(doc);
    if (v == NULL) pare_cli_nomem();
    return v;
}

double pare_cli_number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

const char *pare_cli_string(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s != NULL ? s : "";
}

bool pare_cli_present(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return v != NULL && !json_is_null(v);
}

const char *pare_cli_bytes(double n, char buf[32])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t                   u = 0;

    while (n >= 1024 && u < 4) n /= 1024, u++;
    snprintf(buf, 32, u == 0 ? "%.0f %s" : "%.2f %s", n, units[u]);
    return buf;
}

/* C0 and DEL in one byte, C1 as it stands in UTF-8: terminals obey all of them. */
static size_t steering(const unsigned char *s, size_t n)
{
    if (s[0] < 0x20 || s[0] == 0x7f) return 1;
    return n > 1 && s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0 ? 2 : 0;
}

const char *pare_cli_clean(const char *s, size_t width, char *buf, size_t size)
{
    size_t n = strlen(s), len = 0, columns = 0;

    for (size_t i = 0; i < n && len + 8 < size;) {
        size_t skip = steering((const unsigned char *)s + i, n - i), k = 1;

        if (width != 0 && columns + 1 >= width && (s[i + 1] & 0xc0) != 0x80 && i + 1 < n) {
            len += (size_t)snprintf(buf + len, size - len, "\xe2\x80\xa6");
            break;
        }
        if (skip != 0) {
            buf[len++] = '?';
            i += skip;
        } else {
            while (k < 4 && (s[i + k] & 0xc0) == 0x80) k++; /* a code point stays whole */
            memcpy(buf + len, s + i, k);
            len += k;
            i += k;
        }
        columns++;
    }
    buf[len] = '\0';
    return buf;
}

void pare_cli_write_terminal(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t skip = s[i] == '\n' || s[i] == '\t' ? 0 : steering((const unsigned char *)s + i, n - i);

        if (skip == 0) fputc((unsigned char)s[i], stdout);
        i += skip != 0 ? skip : 1;
    }
}

void pare_cli_wrap(FILE *f, const char *text, size_t indent, size_t at)
{
    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (at > indent && at + 1 + len > 80) {
            fputc('\n', f);
            at = 0;
        }
        if (at < indent) at += (size_t)fprintf(f, "%*s", (int)(indent - at), "");
        else if (at > indent) at += (size_t)fprintf(f, " ");
        at += (size_t)fprintf(f, "%.*s", (int)len, text);
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', f);
}

int pare_cli_report(const struct pare_cli *c, int result, char *doc, void (*people)(const struct pare_cli *c, const json_t *v),
                    struct pare_job **job, const struct pare_diag *diag)
{
    json_t *v;
    int     rc;

    if (result < 0) {
        rc = pare_cli_fail(c, diag);
    } else if (PARE_FLAG(c, json)) {
        rc = pare_cli_json(doc);
    } else if ((v = pare_cli_parse_json(doc)) == NULL) {
        rc = 4;
    } else {
        pare_cli_progress_clear();
        people(c, v);
        json_decref(v);
        rc = pare_cli_flush();
    }
    pare_cli_job_end(job);
    return rc;
}
