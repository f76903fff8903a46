/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_repr.c: values as text: str() and repr() of Python, and JSON as json.dumps writes it. */
#include "token/jinja_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token/jinja_ast.h"
#include "token/jinja_call.h"
#include "token/jinja_text.h"

struct pare_buf pare_jinja_buf(void) { return (struct pare_buf){ .max = PARE_JINJA_MAX_POOL / 2 }; }

void pare_jinja_buf_add(struct pare_jinja *J, struct pare_buf *b, const void *p, size_t n)
{
    if (!pare_jinja_work(J, n / 64)) return;
    if (!pare_buf_add(b, p, n)) pare_jinja_fail(J, PARE_E_LIMIT, "a string is too long or memory is exhausted");
}

static void add(struct pare_jinja *J, struct pare_buf *b, const char *s) { pare_jinja_buf_add(J, b, s, strlen(s)); }

/* The shortest digits that read back as the same double, placed as Python places them: an exponent from 1e16 and below 1e-4. */
void pare_jinja_float_repr(double f, char out[40])
{
    char  digits[40], *e;
    int   exp10, n, k = 0;
    char *o = out;

    if (isnan(f) || isinf(f)) {
        snprintf(out, 40, "%s", isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    for (int prec = 0; prec <= 16; prec++) {
        snprintf(digits, sizeof digits, "%.*e", prec, f);
        if (strtod(digits, NULL) == f) break;
    }
    e = strchr(digits, 'e');
    exp10 = (int)strtol(e + 1, NULL, 10);
    if (digits[0] == '-') {
        *o++ = '-';
        k = 1;
    }
    n = 0; /* compact the mantissa to bare digits at the front */
    for (char *q = digits + k; q < e; q++)
        if (*q != '.') digits[n++] = *q;
    while (n > 1 && digits[n - 1] == '0') n--;
    if (exp10 < -4 || exp10 >= 16) {
        snprintf(o, 39, "%c%s%.*se%c%02d", digits[0], n > 1 ? "." : "", n - 1, digits + 1, exp10 < 0 ? '-' : '+', abs(exp10));
    } else if (exp10 < 0) {
        snprintf(o, 39, "0.%.*s%.*s", -exp10 - 1, "0000", n, digits);
    } else if (n > exp10 + 1) {
        snprintf(o, 39, "%.*s.%.*s", exp10 + 1, digits, n - exp10 - 1, digits + exp10 + 1);
    } else {
        snprintf(o, 39, "%.*s%.*s.0", n, digits, exp10 + 1 - n, "0000000000000000");
    }
}

static void repr_string(struct pare_jinja *J, struct pare_buf *b, const struct pare_jstr *s)
{
    bool   single = memchr(s->p, '\'', s->n) != NULL, dbl = memchr(s->p, '"', s->n) != NULL;
    char   quote = single && !dbl ? '"' : '\'', t[16];
    size_t step;

    pare_jinja_buf_add(J, b, &quote, 1);
    for (size_t i = 0; i < s->n && J->err == 0; i += step) {
        uint32_t c = pare_jtext_decode(s->p + i, &step);
        if (c == (uint32_t)quote || c == '\\') snprintf(t, sizeof t, "\\%c", (char)c);
        else if (c == '\n') memcpy(t, "\\n", 3);
        else if (c == '\r') memcpy(t, "\\r", 3);
        else if (c == '\t') memcpy(t, "\\t", 3);
        else if (pare_jtext_printable(c)) {
            pare_buf_add(b, s->p + i, step);
            continue;
        } else if (c < 0x100) snprintf(t, sizeof t, "\\x%02x", c);
        else if (c < 0x10000) snprintf(t, sizeof t, "\\u%04x", c);
        else snprintf(t, sizeof t, "\\U%08x", c);
        add(J, b, t);
    }
    pare_jinja_buf_add(J, b, &quote, 1);
}

static void repr_list(struct pare_jinja *J, struct pare_buf *b, const struct pare_jlist *l, const char *open, const char *close)
{
    add(J, b, open);
    for (size_t i = 0; i < l->n && J->err == 0; i++) {
        if (i > 0) add(J, b, ", ");
        pare_jv_write_repr(J, b, l->v[i]);
    }
    if (l->n == 1 && *open == '(') add(J, b, ",");
    add(J, b, close);
}

static void repr_dict(struct pare_jinja *J, struct pare_buf *b, const struct pare_jdict *d)
{
    bool first = true;

    add(J, b, "{");
    for (uint32_t i = 0; i < d->n && J->err == 0; i++) {
        if (d->e[i].key.type == PARE_JV_ABSENT) continue;
        if (!first) add(J, b, ", ");
        first = false;
        pare_jv_write_repr(J, b, d->e[i].key);
        add(J, b, ": ");
        pare_jv_write_repr(J, b, d->e[i].val);
    }
    add(J, b, "}");
}

static void repr_range(struct pare_jinja *J, struct pare_buf *b, const struct pare_jrange *r)
{
    char t[96];

    if (r->step == 1) snprintf(t, sizeof t, "range(%" PRId64 ", %" PRId64 ")", r->start, r->stop);
    else snprintf(t, sizeof t, "range(%" PRId64 ", %" PRId64 ", %" PRId64 ")", r->start, r->stop, r->step);
    add(J, b, t);
}

static void repr_view(struct pare_jinja *J, struct pare_buf *b, struct pare_jv v)
{
    add(J, b, pare_jv_typename(v));
    repr_list(J, b, pare_jv_tolist(J, v), "([", "])");
}

/* Objects whose repr Python ends in an address; ours ends without one, so that output stays a function of the input. */
static void repr_object(struct pare_jinja *J, struct pare_buf *b, struct pare_jv v)
{
    add(J, b, "<");
    if (v.type == PARE_JV_NS) {
        add(J, b, "Namespace ");
        repr_dict(J, b, v.u.d);
    } else if (v.type == PARE_JV_MACRO) {
        add(J, b, "Macro ");
        repr_string(J, b, v.u.m->node->name);
    } else if (v.type == PARE_JV_LOOP) {
        pare_jinja_loop_repr(J, b, v.u.loop);
    } else if (v.type == PARE_JV_FUNC) {
        add(J, b, "function ");
        add(J, b, v.u.fn->name);
    } else if (v.type == PARE_JV_METHOD) {
        add(J, b, "built-in method ");
        add(J, b, v.u.bound->row->name);
        add(J, b, " of ");
        add(J, b, pare_jv_typename(v.u.bound->self));
        add(J, b, " object");
    } else {
        add(J, b, pare_jv_typename(v));
        add(J, b, " object");
    }
    add(J, b, ">");
}

static void write_nested(struct pare_jinja *J, struct pare_buf *b, struct pare_jv v)
{
    if (!pare_jinja_enter(J)) return;
    switch (v.type) {
    case PARE_JV_LIST: repr_list(J, b, v.u.l, "[", "]"); break;
    case PARE_JV_TUPLE: repr_list(J, b, v.u.l, "(", ")"); break;
    case PARE_JV_DICT: repr_dict(J, b, v.u.d); break;
    case PARE_JV_RANGE: repr_range(J, b, v.u.r); break;
    case PARE_JV_VIEW: repr_view(J, b, v); break;
    default: repr_object(J, b, v); break;
    }
    pare_jinja_leave(J);
}

void pare_jv_write_str(struct pare_jinja *J, struct pare_buf *b, struct pare_jv v)
{
    char t[40];

    switch (v.type) {
    case PARE_JV_ABSENT:
    case PARE_JV_UNDEF: break;
    case PARE_JV_NONE: add(J, b, "None"); break;
    case PARE_JV_BOOL: add(J, b, v.u.b ? "True" : "False"); break;
    case PARE_JV_INT:
        snprintf(t, sizeof t, "%" PRId64, v.u.i);
        add(J, b, t);
        break;
    case PARE_JV_FLOAT:
        pare_jinja_float_repr(v.u.f, t);
        add(J, b, t);
        break;
    case PARE_JV_STR: pare_jinja_buf_add(J, b, v.u.s->p, v.u.s->n); break;
    default: write_nested(J, b, v); break;
    }
}

void pare_jv_write_repr(struct pare_jinja *J, struct pare_buf *b, struct pare_jv v)
{
    if (v.type == PARE_JV_UNDEF) {
        add(J, b, "Undefined");
    } else if (v.type == PARE_JV_STR) {
        if (v.u.s->safe) add(J, b, "Markup(");
        repr_string(J, b, v.u.s);
        if (v.u.s->safe) add(J, b, ")");
    } else {
        pare_jv_write_str(J, b, v);
    }
}

struct pare_jstr *pare_jv_tostr(struct pare_jinja *J, struct pare_jv v)
{
    struct pare_buf b = pare_jinja_buf();

    if (v.type == PARE_JV_STR) return v.u.s;
    pare_jv_write_str(J, &b, v);
    return pare_jv_take(J, &b).u.s;
}

struct pare_jstr *pare_jv_torepr(struct pare_jinja *J, struct pare_jv v)
{
    struct pare_buf b = pare_jinja_buf();

    pare_jv_write_repr(J, &b, v);
    return pare_jv_take(J, &b).u.s;
}
