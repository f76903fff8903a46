/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_method_str.c: the methods of strings. */
#include <string.h>

#include "token/jinja_strings.h"

#define METHOD(name) static struct pare_jv name(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a)
#define CASE(name, how)                                                                                                \
    METHOD(name)                                                                                                       \
    {                                                                                                                  \
        (void)a;                                                                                                       \
        return pare_jstr_case(J, self.u.s, how);                                                                       \
    }

CASE(m_upper, PARE_JCASE_UPPER)
CASE(m_lower, PARE_JCASE_LOWER)
CASE(m_title, PARE_JCASE_TITLE)
CASE(m_capitalize, PARE_JCASE_CAPITALIZE)
CASE(m_swapcase, PARE_JCASE_SWAP)
CASE(m_casefold, PARE_JCASE_FOLD)

METHOD(m_strip) { return pare_jstr_strip(J, self.u.s, a[0], 3); }
METHOD(m_lstrip) { return pare_jstr_strip(J, self.u.s, a[0], 1); }
METHOD(m_rstrip) { return pare_jstr_strip(J, self.u.s, a[0], 2); }

static struct pare_jv split(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a, bool from_right)
{
    const struct pare_jstr *sep = pare_jarg_none(a[0]) ? NULL : pare_jarg_str(J, a[0], NULL);
    int64_t                 max = pare_jarg_int(J, a[1], -1);

    return J->err != 0 ? pare_jv_undef() : pare_jv_list(pare_jstr_split(J, self.u.s, sep, max, from_right));
}
METHOD(m_split) { return split(J, self, a, false); }
METHOD(m_rsplit) { return split(J, self, a, true); }
METHOD(m_splitlines) { return pare_jv_list(pare_jstr_lines(J, self.u.s, pare_jarg_bool(J, a[0], false))); }

/* The part of s that find, count, startswith and the like look at, as byte offsets. False: start lies behind the end. */
static bool window(struct pare_jinja *J, const struct pare_jstr *s, struct pare_jv start, struct pare_jv stop, size_t *from, size_t *to)
{
    int64_t n = (int64_t)s->chars;
    int64_t i = pare_jarg_none(start) ? 0 : pare_jarg_int(J, start, 0), j = pare_jarg_none(stop) ? n : pare_jarg_int(J, stop, n);

    if (i < 0) i = i < -n ? 0 : i + n;
    if (j < 0) j = j < -n ? 0 : j + n;
    if (j > n) j = n;
    pare_jinja_work(J, s->n / 16);
    if (J->err != 0 || i > j) return false;
    *from = pare_jtext_offset(s->p, s->n, s->chars, (size_t)i);
    *to = pare_jtext_offset(s->p, s->n, s->chars, (size_t)j);
    return true;
}

static bool affix(struct pare_jinja *J, const struct pare_jstr *s, struct pare_jv x, const struct pare_jv *a, bool end)
{
    size_t                  from, to;
    const struct pare_jstr *t;

    if (x.type == PARE_JV_TUPLE) {
        for (size_t i = 0; i < x.u.l->n && J->err == 0; i++)
            if (x.u.l->v[i].type != PARE_JV_TUPLE && affix(J, s, x.u.l->v[i], a, end)) return true;
        return false;
    }
    if (x.type != PARE_JV_STR) {
        if (x.type == PARE_JV_UNDEF) pare_jinja_undefined_error(J, x);
        pare_jinja_fail(J, PARE_E_CORRUPT, "%s first arg must be str or a tuple of str, not %s", end ? "endswith" : "startswith",
                        pare_jv_typename(x));
        return false;
    }
    t = x.u.s;
    if (!window(J, s, a[1], a[2], &from, &to) || t->n > to - from) return false;
    return memcmp(end ? s->p + to - t->n : s->p + from, t->p, t->n) == 0;
}
METHOD(m_startswith) { return pare_jv_bool(affix(J, self.u.s, a[0], a, false)); }
METHOD(m_endswith) { return pare_jv_bool(affix(J, self.u.s, a[0], a, true)); }

static struct pare_jv find(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a, bool right, bool must)
{
    const struct pare_jstr *s = self.u.s, *t = pare_jarg_str(J, a[0], NULL);
    size_t                  from, to;
    ptrdiff_t               k = -1;

    if (right && !pare_jinja_work(J, s->n / 8 * (1 + t->n / 16))) return pare_jv_int(-1); /* the search backwards is the plain one */
    if (window(J, s, a[1], a[2], &from, &to))
        k = right ? pare_jtext_rfind(s->p + from, to - from, t->p, t->n) : pare_jtext_find(s->p + from, to - from, t->p, t->n);
    if (k < 0 && must) pare_jinja_fail(J, PARE_E_CORRUPT, "substring not found");
    return pare_jv_int(k < 0 ? -1 : (int64_t)pare_jtext_count(s->p, from + (size_t)k));
}
METHOD(m_find) { return find(J, self, a, false, false); }
METHOD(m_rfind) { return find(J, self, a, true, false); }
METHOD(m_index) { return find(J, self, a, false, true); }
METHOD(m_rindex) { return find(J, self, a, true, true); }

METHOD(m_count)
{
    const struct pare_jstr *s = self.u.s, *t = pare_jarg_str(J, a[0], NULL);
    size_t                  from, to;
    ptrdiff_t               k;
    int64_t                 n = 0;

    if (!window(J, s, a[1], a[2], &from, &to)) return pare_jv_int(0);
    if (t->n == 0) return pare_jv_int((int64_t)pare_jtext_count(s->p + from, to - from) + 1);
    for (; (k = pare_jtext_find(s->p + from, to - from, t->p, t->n)) >= 0; n++) from += (size_t)k + t->n;
    return pare_jv_int(n);
}

METHOD(m_replace)
{
    struct pare_jstr *from = pare_jarg_str(J, a[0], NULL), *to = pare_jarg_str(J, a[1], NULL);
    int64_t           count = pare_jarg_int(J, a[2], -1);

    if (self.u.s->safe) to = pare_jinja_escape(J, pare_jv_str(to));
    return J->err != 0 ? pare_jv_undef() : pare_jstr_replace(J, self.u.s, from, to, count);
}

METHOD(m_join)
{
    struct pare_buf   b = pare_jinja_buf();
    struct pare_jiter it;
    struct pare_jv    x;
    bool              safe = self.u.s->safe;

    if (!pare_jv_iter(J, a[0], &it)) return pare_jv_undef();
    for (size_t i = 0; pare_jiter_next(J, &it, &x); i++) {
        struct pare_jstr *s;
        if (x.type != PARE_JV_STR) {
            pare_jinja_fail(J, PARE_E_CORRUPT, "sequence item %zu: expected str instance, %s found", i, pare_jv_typename(x));
            break;
        }
        s = safe ? pare_jinja_escape(J, x) : x.u.s;
        if (i > 0) pare_jinja_buf_add(J, &b, self.u.s->p, self.u.s->n);
        pare_jinja_buf_add(J, &b, s->p, s->n);
    }
    x = pare_jv_take(J, &b);
    return safe && J->err == 0 ? pare_jv_safe(J, x.u.s) : x;
}

static struct pare_jv pad(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a, char align)
{
    int64_t           width = pare_jarg_int(J, a[0], 0);
    struct pare_jstr *fill = pare_jarg_str(J, a[1], " ");

    return J->err != 0 ? pare_jv_undef() : pare_jstr_pad(J, self.u.s, width, fill, align);
}
METHOD(m_center) { return pad(J, self, a, '^'); }
METHOD(m_ljust) { return pad(J, self, a, '<'); }
METHOD(m_rjust) { return pad(J, self, a, '>'); }

METHOD(m_zfill)
{
    const struct pare_jstr *s = self.u.s;
    size_t                  sign = s->n > 0 && (s->p[0] == '-' || s->p[0] == '+');
    int64_t                 width = pare_jarg_int(J, a[0], 0);
    struct pare_jv          rest = pare_jv_ref(J, s->p + sign, s->n - sign), v;

    if (J->err != 0) return rest;
    v = pare_jstr_pad(J, rest.u.s, width - (int64_t)sign, pare_jstr_ref(J, "0", 1), '>');
    return J->err != 0 || sign == 0 ? v : pare_jinja_concat(J, pare_jstr_ref(J, s->p, 1), v.u.s);
}

static struct pare_jv partition(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a, bool right)
{
    const struct pare_jstr *s = self.u.s, *t = pare_jarg_str(J, a[0], NULL);
    struct pare_jlist      *l = pare_jlist_new(J, 3);
    ptrdiff_t               k;

    if (J->err == 0 && t->n == 0) pare_jinja_fail(J, PARE_E_CORRUPT, "empty separator");
    if (J->err != 0 || !pare_jinja_work(J, s->n / 16 + (right ? s->n / 8 * (1 + t->n / 16) : 0))) return pare_jv_undef();
    k = right ? pare_jtext_rfind(s->p, s->n, t->p, t->n) : pare_jtext_find(s->p, s->n, t->p, t->n);
    if (k < 0 && right) pare_jlist_add(J, l, pare_jv_lit(J, ""));
    if (k < 0 && right) pare_jlist_add(J, l, pare_jv_lit(J, ""));
    pare_jlist_add(J, l, k < 0 ? self : pare_jstr_sub(J, s, 0, (size_t)k));
    if (k >= 0) pare_jlist_add(J, l, a[0]);
    if (k >= 0) pare_jlist_add(J, l, pare_jstr_sub(J, s, (size_t)k + t->n, s->n - (size_t)k - t->n));
    while (l->n < 3 && J->err == 0) pare_jlist_add(J, l, pare_jv_lit(J, ""));
    return pare_jv_tuple(l);
}
METHOD(m_partition) { return partition(J, self, a, false); }
METHOD(m_rpartition) { return partition(J, self, a, true); }

METHOD(m_removeprefix)
{
    const struct pare_jstr *s = self.u.s, *t = pare_jarg_str(J, a[0], NULL);

    return t->n <= s->n && memcmp(s->p, t->p, t->n) == 0 ? pare_jstr_sub(J, s, t->n, s->n - t->n) : self;
}
METHOD(m_removesuffix)
{
    const struct pare_jstr *s = self.u.s, *t = pare_jarg_str(J, a[0], NULL);

    return t->n > 0 && t->n <= s->n && memcmp(s->p + s->n - t->n, t->p, t->n) == 0 ? pare_jstr_sub(J, s, 0, s->n - t->n) : self;
}

METHOD(m_expandtabs)
{
    const struct pare_jstr *s = self.u.s;
    struct pare_buf         b = pare_jinja_buf();
    int64_t                 width = pare_jarg_int(J, a[0], 8), column = 0;
    size_t                  step;

    if (width > 1000) pare_jinja_fail(J, PARE_E_LIMIT, "tabs wider than 1000");
    for (size_t i = 0; i < s->n && J->err == 0; i += step) {
        step = pare_jtext_step(s->p + i);
        if (s->p[i] != '\t') {
            column = s->p[i] == '\n' || s->p[i] == '\r' ? 0 : column + 1;
            pare_jinja_buf_add(J, &b, s->p + i, step);
            continue;
        }
        for (int64_t k = width > 0 ? width - column % width : 0; k > 0; k--, column++) pare_jinja_buf_add(J, &b, " ", 1);
    }
    return pare_jv_take(J, &b);
}

/* ---- classes: all characters, and at least one */

static struct pare_jv all(struct pare_jinja *J, const struct pare_jstr *s, bool (*is)(uint32_t))
{
    size_t step;

    pare_jinja_work(J, s->n / 4);
    for (size_t i = 0; i < s->n; i += step)
        if (!is(pare_jtext_decode(s->p + i, &step))) return pare_jv_bool(false);
    return pare_jv_bool(s->n > 0);
}
static bool alnum(uint32_t c) { return c != '_' && pare_jtext_word(c); }
static bool ascii(uint32_t c) { return c < 0x80; }
#define CLASS(name, is)                                                                                                \
    METHOD(name)                                                                                                       \
    {                                                                                                                  \
        (void)a;                                                                                                       \
        return all(J, self.u.s, is);                                                                                   \
    }
CLASS(m_isdigit, pare_jtext_digit)
CLASS(m_isalpha, pare_jtext_alpha)
CLASS(m_isalnum, alnum)
CLASS(m_isspace, pare_jtext_space)

METHOD(m_isascii)
{
    (void)a;
    return pare_jv_bool(self.u.s->n == 0 || all(J, self.u.s, ascii).u.b);
}
METHOD(m_isprintable)
{
    (void)a;
    return pare_jv_bool(self.u.s->n == 0 || all(J, self.u.s, pare_jtext_printable).u.b);
}
METHOD(m_isidentifier)
{
    (void)a;
    return pare_jv_bool(all(J, self.u.s, pare_jtext_word).u.b && !(self.u.s->p[0] >= '0' && self.u.s->p[0] <= '9'));
}

METHOD(m_isupper)
{
    struct pare_jargs none = { 0 };
    (void)a;
    return pare_jv_bool(pare_jinja_call_test(J, pare_jstr_ref(J, "upper", 5), self, &none));
}
METHOD(m_islower)
{
    struct pare_jargs none = { 0 };
    (void)a;
    return pare_jv_bool(pare_jinja_call_test(J, pare_jstr_ref(J, "lower", 5), self, &none));
}
METHOD(m_istitle)
{
    bool   cased = false, some = false;
    size_t step;

    (void)a;
    pare_jinja_work(J, self.u.s->n / 4);
    for (size_t i = 0; i < self.u.s->n; i += step) {
        uint32_t c = pare_jtext_decode(self.u.s->p + i, &step);
        if (pare_jtext_upper(c) ? cased : pare_jtext_lower(c) && !cased) return pare_jv_bool(false);
        cased = pare_jtext_cased(c);
        some = some || cased;
    }
    return pare_jv_bool(some);
}
METHOD(m_format_map)
{
    struct pare_jargs args = { 0 };

    if (a[0].type != PARE_JV_DICT) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "format_map() takes a mapping");
        return pare_jv_undef();
    }
    args.kw = pare_jinja_alloc(J, (a[0].u.d->live + (size_t)1) * sizeof *args.kw);
    for (uint32_t i = 0; i < a[0].u.d->n && J->err == 0; i++)
        if (a[0].u.d->e[i].key.type == PARE_JV_STR) args.kw[args.nkw++] = (struct pare_jkw){ a[0].u.d->e[i].key.u.s, a[0].u.d->e[i].val };
    return J->err != 0 ? pare_jv_undef() : pare_jinja_str_format(J, self, &args);
}

#define ROW(name, params) { #name, params, m_##name, NULL, PARE_JV_STR, false }
static const struct pare_jmethod_row rows[] = {
    ROW(upper, ""), ROW(lower, ""), ROW(title, ""), ROW(capitalize, ""), ROW(swapcase, ""), ROW(casefold, ""),
    ROW(strip, "chars"), ROW(lstrip, "chars"), ROW(rstrip, "chars"), ROW(split, "sep maxsplit"), ROW(rsplit, "sep maxsplit"),
    ROW(splitlines, "keepends"), ROW(startswith, "prefix / start end"), ROW(endswith, "suffix / start end"),
    ROW(find, "sub / start end"), ROW(rfind, "sub / start end"), ROW(index, "sub / start end"), ROW(rindex, "sub / start end"),
    ROW(count, "sub / start end"), ROW(replace, "old new / count"), ROW(join, "iterable /"), ROW(center, "width / fillchar"),
    ROW(ljust, "width / fillchar"), ROW(rjust, "width / fillchar"), ROW(zfill, "width /"), ROW(partition, "sep /"),
    ROW(rpartition, "sep /"), ROW(removeprefix, "prefix /"), ROW(removesuffix, "suffix /"), ROW(expandtabs, "tabsize"),
    ROW(isdigit, ""), ROW(isalpha, ""), ROW(isalnum, ""), ROW(isspace, ""), ROW(isascii, ""), ROW(isprintable, ""),
    ROW(isidentifier, ""), ROW(isupper, ""), ROW(islower, ""), ROW(istitle, ""), ROW(format_map, "mapping /"),
    { "isnumeric", "", m_isdigit, NULL, PARE_JV_STR, false }, { "isdecimal", "", m_isdigit, NULL, PARE_JV_STR, false },
    { "format", "", NULL, pare_jinja_str_format, PARE_JV_STR, false },
};

const struct pare_jmethod_row *pare_jinja_str_method(const struct pare_jstr *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (pare_jstr_is(name, rows[i].name)) return &rows[i];
    return NULL;
}
