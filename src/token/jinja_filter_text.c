/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_filter_text.c: filters that make text of something. */
#include <string.h>

#include "base/json.h"
#include "token/jinja_strings.h"

#define FILTER(name) static struct pare_jv name(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a)
#define CASE(name, how)                                                                                                \
    FILTER(name)                                                                                                       \
    {                                                                                                                  \
        (void)a;                                                                                                       \
        return pare_jstr_case(J, pare_jv_tostr(J, self), how);                                                         \
    }

CASE(f_upper, PARE_JCASE_UPPER)
CASE(f_lower, PARE_JCASE_LOWER)
CASE(f_capitalize, PARE_JCASE_CAPITALIZE)

/* Unlike str.title: a word begins after white space or one of - ( { [ <, and only its first letter is raised. */
FILTER(f_title)
{
    const struct pare_jstr *s = pare_jv_tostr(J, self);
    struct pare_buf         b = pare_jinja_buf();
    size_t                  start = 0, step;

    (void)a;
    pare_jinja_work(J, s->n / 16);
    for (size_t i = 0; i <= s->n && J->err == 0; i += step) {
        uint32_t c = i < s->n ? pare_jtext_decode(s->p + i, &step) : ' ';
        if (i == s->n) step = 1;
        if (!pare_jtext_space(c) && c != '-' && c != '(' && c != '{' && c != '[' && c != '<') continue;
        if (i > start) {
            size_t head = pare_jtext_step(s->p + start);
            pare_jtext_case(&b, s->p + start, head, PARE_JCASE_UPPER);
            pare_jtext_case(&b, s->p + start + head, i - start - head, PARE_JCASE_LOWER);
        }
        if (i < s->n) pare_buf_add(&b, s->p + i, step);
        start = i + step;
    }
    return pare_jv_take(J, &b);
}

FILTER(f_trim) { return pare_jstr_strip(J, pare_jv_tostr(J, self), a[0], 3); }

FILTER(f_string)
{
    (void)a;
    return pare_jv_str(pare_jv_tostr(J, self));
}

FILTER(f_replace)
{
    int64_t count = pare_jarg_none(a[2]) ? -1 : pare_jarg_int(J, a[2], -1);

    struct pare_jstr *s = pare_jv_tostr(J, self), *from = pare_jv_tostr(J, a[0]), *to = pare_jv_tostr(J, a[1]);
    return J->err != 0 ? self : pare_jstr_replace(J, pare_jstr_ref(J, s->p, s->n), from, to, count);
}

FILTER(f_safe)
{
    (void)a;
    return pare_jv_safe(J, pare_jv_tostr(J, self));
}
FILTER(f_escape)
{
    (void)a;
    return pare_jv_str(pare_jinja_escape(J, self));
}
FILTER(f_forceescape)
{
    struct pare_jstr *s = pare_jv_tostr(J, self);
    (void)a;
    return pare_jv_str(pare_jinja_escape(J, pare_jv_ref(J, s->p, s->n)));
}

/* Tags and comments go, runs of white space become one blank. Entities other than those of escape stay. */
FILTER(f_striptags)
{
    static const char *const entity[][2] = { { "&lt;", "<" },    { "&gt;", ">" },    { "&#39;", "'" },
                                             { "&#34;", "\"" }, { "&quot;", "\"" }, { "&amp;", "&" } };
    const struct pare_jstr  *s = pare_jv_tostr(J, self);
    struct pare_buf          b = pare_jinja_buf();
    struct pare_jv           v;
    bool                     blank = false, none[2] = { false, false }; /* no such end from here on: do not look again */
    size_t                   step;

    (void)a;
    pare_jinja_work(J, s->n / 4);
    for (size_t i = 0; i < s->n; i += step) {
        bool      comment = s->n - i >= 4 && memcmp(s->p + i, "<!--", 4) == 0;
        ptrdiff_t end = s->p[i] != '<' || none[comment] ? -1 : pare_jtext_find(s->p + i, s->n - i, comment ? "-->" : ">", comment ? 3 : 1);
        uint32_t  c = pare_jtext_decode(s->p + i, &step);
        if (end >= 0) {
            step = (size_t)end + (comment ? 3 : 1);
        } else if (pare_jtext_space(c)) {
            blank = true;
        } else {
            if (blank && b.len > 0) pare_buf_add(&b, " ", 1);
            blank = false;
            pare_buf_add(&b, s->p + i, step);
        }
        if (end < 0 && s->p[i] == '<') none[comment] = true;
    }
    v = pare_jv_take(J, &b);
    for (size_t k = 0; k < 6 && J->err == 0; k++)
        v = pare_jstr_replace(J, v.u.s, pare_jstr_ref(J, entity[k][0], strlen(entity[k][0])), pare_jstr_ref(J, entity[k][1], 1), -1);
    return v;
}

FILTER(f_indent)
{
    const struct pare_jstr *s = pare_jarg_str(J, self, NULL), *by;
    bool                    first = pare_jarg_bool(J, a[1], false), blank = pare_jarg_bool(J, a[2], false);
    struct pare_buf         b = pare_jinja_buf();
    struct pare_jlist      *lines;
    struct pare_jv          v;

    if (a[0].type == PARE_JV_STR) by = a[0].u.s;
    else by = pare_jstr_pad(J, pare_jstr_ref(J, "", 0), pare_jarg_int(J, a[0], 4), pare_jstr_ref(J, " ", 1), '<').u.s;
    if (J->err != 0) return pare_jv_undef();
    lines = pare_jstr_lines(J, pare_jinja_concat(J, (struct pare_jstr *)(uintptr_t)s, pare_jstr_ref(J, "\n", 1)).u.s, false);
    for (size_t i = 0; i < lines->n && J->err == 0; i++) {
        const struct pare_jstr *line = lines->v[i].u.s;
        if (i > 0) pare_jinja_buf_add(J, &b, "\n", 1);
        if (i == 0 ? first : blank || line->n > 0) pare_jinja_buf_add(J, &b, by->p, by->n);
        pare_jinja_buf_add(J, &b, line->p, line->n);
    }
    v = pare_jv_take(J, &b);
    return s->safe && J->err == 0 ? pare_jv_safe(J, v.u.s) : v;
}

FILTER(f_center)
{
    struct pare_jstr *s = pare_jv_tostr(J, self);
    return J->err != 0 ? self : pare_jstr_pad(J, s, pare_jarg_int(J, a[0], 80), pare_jstr_ref(J, " ", 1), '^');
}

FILTER(f_truncate)
{
    struct pare_jstr *s = self.type == PARE_JV_UNDEF ? pare_jv_tostr(J, self) : pare_jarg_str(J, self, NULL);
    struct pare_jstr *end = pare_jarg_str(J, a[2], "...");
    int64_t           length = pare_jarg_int(J, a[0], 255), leeway = pare_jarg_none(a[3]) ? 5 : pare_jarg_int(J, a[3], 5);
    struct pare_jv    v;
    ptrdiff_t         k;

    pare_jinja_work(J, s->n / 8);
    if (J->err == 0 && (length < (int64_t)end->chars || leeway < 0))
        pare_jinja_fail(J, PARE_E_CORRUPT, "truncate: length or leeway is too small");
    if (J->err != 0) return self;
    if ((int64_t)s->chars <= length || (int64_t)s->chars - length <= leeway) return self;
    v = pare_jstr_sub(J, s, 0, pare_jtext_offset(s->p, s->n, s->chars, (size_t)length - end->chars));
    if (!pare_jarg_bool(J, a[1], false) && (k = pare_jtext_rfind(v.u.s->p, v.u.s->n, " ", 1)) >= 0)
        v = pare_jstr_sub(J, v.u.s, 0, (size_t)k);
    return J->err != 0 ? self : pare_jinja_concat(J, v.u.s, end);
}

FILTER(f_wordcount)
{
    const struct pare_jstr *s = pare_jv_tostr(J, self);
    int64_t                 n = 0;
    bool                    inside = false;
    size_t                  step;

    (void)a;
    pare_jinja_work(J, s->n / 4);
    for (size_t i = 0; i < s->n; i += step) {
        bool w = pare_jtext_word(pare_jtext_decode(s->p + i, &step));
        n += w && !inside;
        inside = w;
    }
    return pare_jv_int(n);
}

static void quote(struct pare_jinja *J, struct pare_buf *b, struct pare_jv v, bool query)
{
    const struct pare_jstr *s = pare_jv_tostr(J, v);
    char                    t[4];

    for (size_t i = 0; i < s->n && J->err == 0; i++) {
        unsigned char c = (unsigned char)s->p[i];
        bool          keep = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c != 0 && strchr("_.-~", c) != NULL);
        if (keep || (c == '/' && !query)) t[0] = (char)c, t[1] = '\0';
        else if (c == ' ' && query) memcpy(t, "+", 2);
        else t[0] = '%', t[1] = "0123456789ABCDEF"[c >> 4], t[2] = "0123456789ABCDEF"[c & 15], t[3] = '\0';
        pare_jinja_buf_add(J, b, t, strlen(t));
    }
}

FILTER(f_urlencode)
{
    struct pare_buf   b = pare_jinja_buf();
    struct pare_jiter it;
    struct pare_jv    x;

    (void)a;
    if (self.type == PARE_JV_STR || !pare_jv_iterable(self)) {
        quote(J, &b, self, false);
        return pare_jv_take(J, &b);
    }
    if (self.type == PARE_JV_DICT) self.type = PARE_JV_VIEW, self.sub = PARE_JVIEW_ITEMS;
    if (!pare_jv_iter(J, self, &it)) return self;
    for (size_t i = 0; pare_jiter_next(J, &it, &x); i++) {
        struct pare_jlist *pair = pare_jv_tolist(J, x);
        if (J->err == 0 && pair->n != 2) pare_jinja_fail(J, PARE_E_CORRUPT, "urlencode needs pairs");
        if (J->err != 0) break;
        if (i > 0) pare_jinja_buf_add(J, &b, "&", 1);
        quote(J, &b, pair->v[0], true);
        pare_jinja_buf_add(J, &b, "=", 1);
        quote(J, &b, pair->v[1], true);
    }
    return pare_jv_take(J, &b);
}

FILTER(f_xmlattr)
{
    struct pare_buf b = pare_jinja_buf();

    if (self.type != PARE_JV_DICT) pare_jinja_fail(J, PARE_E_CORRUPT, "xmlattr needs a mapping");
    for (uint32_t i = 0; J->err == 0 && i < self.u.d->n; i++) {
        const struct pare_jentry *e = &self.u.d->e[i];
        struct pare_jstr         *k, *v;
        if (e->key.type == PARE_JV_ABSENT || e->val.type == PARE_JV_NONE || e->val.type == PARE_JV_UNDEF) continue;
        k = pare_jarg_str(J, e->key, NULL);
        for (size_t c = 0; c < k->n; c++)
            if (memchr(" />=\t\n\f", k->p[c], 7) != NULL) pare_jinja_fail(J, PARE_E_CORRUPT, "invalid character in attribute name");
        v = pare_jinja_escape(J, e->val);
        k = pare_jinja_escape(J, e->key);
        if (b.len > 0 || pare_jarg_bool(J, a[0], true)) pare_jinja_buf_add(J, &b, " ", 1);
        pare_jinja_buf_add(J, &b, k->p, k->n);
        pare_jinja_buf_add(J, &b, "=\"", 2);
        pare_jinja_buf_add(J, &b, v->p, v->n);
        pare_jinja_buf_add(J, &b, "\"", 1);
    }
    return pare_jv_take(J, &b);
}

static struct pare_jv f_format(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args)
{
    struct pare_jlist *l;
    struct pare_jdict *d;

    if (args->n > 0 && args->nkw > 0) pare_jinja_fail(J, PARE_E_CORRUPT, "format takes positional or keyword arguments, not both");
    if (J->err != 0) return self;
    if (args->nkw == 0) {
        l = pare_jlist_new(J, args->n);
        for (size_t i = 0; i < args->n; i++) pare_jlist_add(J, l, args->v[i]);
        return pare_jinja_percent(J, pare_jv_tostr(J, self), pare_jv_tuple(l));
    }
    d = pare_jdict_new(J);
    for (size_t i = 0; i < args->nkw; i++) pare_jdict_set_str(J, d, args->kw[i].name, args->kw[i].val);
    return pare_jinja_percent(J, pare_jv_tostr(J, self), pare_jv_dict(d));
}

/* json.dumps: with an indent, items are separated without the blank. */
FILTER(f_tojson)
{
    struct pare_json_style  style = { .item_sep = ", ", .item_sep_n = 2, .key_sep = ": ", .key_sep_n = 2 };
    const struct pare_jstr *s;
    struct pare_jlist      *l;

    style.ascii = pare_jarg_bool(J, a[0], false);
    style.sort = pare_jarg_bool(J, a[3], false);
    if (a[1].type == PARE_JV_STR) {
        style.indent = a[1].u.s->p;
        style.indent_n = a[1].u.s->n;
    } else if (!pare_jarg_none(a[1])) {
        s = pare_jstr_pad(J, pare_jstr_ref(J, "", 0), pare_jarg_int(J, a[1], 0), pare_jstr_ref(J, " ", 1), '<').u.s;
        if (J->err != 0) return self;
        style.indent = s->p;
        style.indent_n = s->n;
    }
    if (style.indent != NULL) style.item_sep_n = 1;
    if (!pare_jarg_none(a[2])) {
        l = pare_jv_tolist(J, a[2]);
        if (J->err == 0 && (l->n != 2 || l->v[0].type != PARE_JV_STR || l->v[1].type != PARE_JV_STR))
            pare_jinja_fail(J, PARE_E_CORRUPT, "tojson: separators must be two strings");
        if (J->err != 0) return self;
        style.item_sep = l->v[0].u.s->p, style.item_sep_n = l->v[0].u.s->n;
        style.key_sep = l->v[1].u.s->p, style.key_sep_n = l->v[1].u.s->n;
    }
    return pare_jinja_tojson(J, self, &style);
}

/* Copies strings into the pool, because the document goes. */
static struct pare_jv own(struct pare_jinja *J, struct pare_jv v)
{
    if (J->err != 0 || !pare_jinja_enter(J)) return pare_jv_undef();
    if (v.type == PARE_JV_STR) v = pare_jv_copy(J, v.u.s->p, v.u.s->n);
    if (v.type == PARE_JV_LIST)
        for (size_t i = 0; i < v.u.l->n; i++) v.u.l->v[i] = own(J, v.u.l->v[i]);
    if (v.type == PARE_JV_DICT) {
        for (uint32_t i = 0; i < v.u.d->n; i++) {
            v.u.d->e[i].key = own(J, v.u.d->e[i].key);
            v.u.d->e[i].val = own(J, v.u.d->e[i].val);
        }
    }
    pare_jinja_leave(J);
    return v;
}

/* Not in the reference; some templates were written for engines that have it. */
FILTER(f_from_json)
{
    struct pare_jstr *s = pare_jarg_str(J, self, NULL);
    json_t           *doc = NULL;
    struct pare_jv    v;

    (void)a;
    if (J->err != 0 || !pare_jinja_work(J, s->n / 4)) return self;
    if (pare_json_load(&doc, s->p, s->n, NULL, NULL) < 0) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "from_json: the text is not valid JSON");
        return self;
    }
    v = own(J, pare_jv_import(J, doc));
    json_decref(doc);
    return v;
}

FILTER(f_pprint)
{
    (void)a;
    return pare_jv_str(pare_jv_torepr(J, self));
}

static const struct pare_jfunc rows[] = {
    { "upper", "", f_upper, NULL },
    { "lower", "", f_lower, NULL },
    { "capitalize", "", f_capitalize, NULL },
    { "title", "", f_title, NULL },
    { "trim", "chars", f_trim, NULL },
    { "string", "", f_string, NULL },
    { "replace", "old new / count", f_replace, NULL },
    { "safe", "", f_safe, NULL },
    { "escape", "", f_escape, NULL },
    { "e", "", f_escape, NULL },
    { "forceescape", "", f_forceescape, NULL },
    { "striptags", "", f_striptags, NULL },
    { "indent", "width first blank", f_indent, NULL },
    { "center", "width", f_center, NULL },
    { "truncate", "length killwords end leeway", f_truncate, NULL },
    { "wordcount", "", f_wordcount, NULL },
    { "urlencode", "", f_urlencode, NULL },
    { "xmlattr", "autospace", f_xmlattr, NULL },
    { "format", "", NULL, f_format },
    { "tojson", "ensure_ascii indent separators sort_keys", f_tojson, NULL },
    { "from_json", "", f_from_json, NULL },
    { "fromjson", "", f_from_json, NULL },
    { "pprint", "", f_pprint, NULL },
};

const struct pare_jfunc *pare_jinja_filter_text(const struct pare_jstr *name)
{
    return pare_jinja_find_row(rows, sizeof rows / sizeof rows[0], name);
}
