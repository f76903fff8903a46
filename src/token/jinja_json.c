/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_json.c: the tojson filter: JSON exactly as Python's json.dumps lays it out. */
#include "token/jinja_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token/jinja_text.h"

struct writer {
    struct pare_jinja            *J;
    struct pare_buf               b;
    const struct pare_json_style *style;
    uint32_t                      level;
};

static void put(struct writer *w, const char *p, size_t n) { pare_jinja_buf_add(w->J, &w->b, p, n); }
static void text(struct writer *w, const char *s) { put(w, s, strlen(s)); }

static void newline(struct writer *w)
{
    if (w->style->indent == NULL) return;
    text(w, "\n");
    for (uint32_t i = 0; i < w->level && w->J->err == 0; i++) put(w, w->style->indent, w->style->indent_n);
}

static void quoted(struct writer *w, const struct pare_jstr *s)
{
    char   t[16];
    size_t step;

    text(w, "\"");
    for (size_t i = 0; i < s->n && w->J->err == 0; i += step) {
        uint32_t c = pare_jtext_decode(s->p + i, &step);
        switch (c) {
        case '"': text(w, "\\\""); continue;
        case '\\': text(w, "\\\\"); continue;
        case '\n': text(w, "\\n"); continue;
        case '\r': text(w, "\\r"); continue;
        case '\t': text(w, "\\t"); continue;
        case '\b': text(w, "\\b"); continue;
        case '\f': text(w, "\\f"); continue;
        default: break;
        }
        if (c >= 0x20 && (!w->style->ascii || c < 0x7f)) {
            put(w, s->p + i, step);
        } else if (c < 0x10000) {
            snprintf(t, sizeof t, "\\u%04x", c);
            text(w, t);
        } else {
            snprintf(t, sizeof t, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
            text(w, t);
        }
    }
    text(w, "\"");
}

static void scalar(struct writer *w, struct pare_jv v)
{
    char t[40];

    switch (v.type) {
    case PARE_JV_NONE: text(w, "null"); break;
    case PARE_JV_BOOL: text(w, v.u.b ? "true" : "false"); break;
    case PARE_JV_INT:
        snprintf(t, sizeof t, "%lld", (long long)v.u.i);
        text(w, t);
        break;
    case PARE_JV_FLOAT:
        pare_jinja_float_repr(v.u.f, t);
        text(w, isnan(v.u.f) ? "NaN" : isinf(v.u.f) ? (v.u.f < 0 ? "-Infinity" : "Infinity") : t);
        break;
    default: break;
    }
}

static void value(struct writer *w, struct pare_jv v);

static void array(struct writer *w, const struct pare_jlist *l)
{
    if (l->n == 0) {
        text(w, "[]");
        return;
    }
    text(w, "[");
    w->level++;
    for (size_t i = 0; i < l->n && w->J->err == 0; i++) {
        if (i > 0) put(w, w->style->item_sep, w->style->item_sep_n);
        newline(w);
        value(w, l->v[i]);
    }
    w->level--;
    newline(w);
    text(w, "]");
}

static void key(struct writer *w, struct pare_jv k)
{
    if (k.type == PARE_JV_STR) {
        quoted(w, k.u.s);
    } else if (k.type == PARE_JV_NONE || pare_jv_is_number(k)) {
        text(w, "\"");
        scalar(w, k);
        text(w, "\"");
    } else {
        pare_jinja_fail(w->J, PARE_E_CORRUPT, "keys must be str, int, float, bool or None, not %s", pare_jv_typename(k));
    }
}

static void sort_entries(struct writer *w, const struct pare_jentry **e, uint32_t n)
{
    /* Insertion into place by halves: the order has to be asked of pare_jv_cmp, which may fail and must then stop soon. */
    for (uint32_t i = 1; i < n && w->J->err == 0; i++) {
        const struct pare_jentry *x = e[i];
        uint32_t                  lo = 0, hi = i;
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (pare_jv_cmp(w->J, e[mid]->key, x->key, "<") <= 0) lo = mid + 1;
            else hi = mid;
        }
        memmove(e + lo + 1, e + lo, (i - lo) * sizeof *e);
        pare_jinja_work(w->J, (i - lo) / 8);
        e[lo] = x;
    }
}

static void object(struct writer *w, const struct pare_jdict *d)
{
    const struct pare_jentry **e;
    uint32_t                   n = 0;

    if (d->live == 0) {
        text(w, "{}");
        return;
    }
    e = pare_jinja_alloc(w->J, d->live * sizeof *e);
    if (e == NULL) return;
    for (uint32_t i = 0; i < d->n; i++)
        if (d->e[i].key.type != PARE_JV_ABSENT) e[n++] = &d->e[i];
    if (w->style->sort) sort_entries(w, e, n);
    text(w, "{");
    w->level++;
    for (uint32_t i = 0; i < n && w->J->err == 0; i++) {
        if (i > 0) put(w, w->style->item_sep, w->style->item_sep_n);
        newline(w);
        key(w, e[i]->key);
        put(w, w->style->key_sep, w->style->key_sep_n);
        value(w, e[i]->val);
    }
    w->level--;
    newline(w);
    text(w, "}");
}

static void value(struct writer *w, struct pare_jv v)
{
    if (!pare_jinja_enter(w->J)) return;
    switch (v.type) {
    case PARE_JV_NONE:
    case PARE_JV_BOOL:
    case PARE_JV_INT:
    case PARE_JV_FLOAT: scalar(w, v); break;
    case PARE_JV_STR: quoted(w, v.u.s); break;
    case PARE_JV_LIST:
    case PARE_JV_TUPLE: array(w, v.u.l); break;
    case PARE_JV_DICT: object(w, v.u.d); break;
    default: pare_jinja_fail(w->J, PARE_E_CORRUPT, "Object of type %s is not JSON serializable", pare_jv_typename(v)); break;
    }
    pare_jinja_leave(w->J);
}

struct pare_jv pare_jinja_tojson(struct pare_jinja *J, struct pare_jv v, const struct pare_json_style *style)
{
    struct writer w = { .J = J, .b = pare_jinja_buf(), .style = style };

    value(&w, v);
    return pare_jv_take(J, &w.b);
}
