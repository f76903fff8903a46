/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_strings.c: cutting, padding, splitting and replacing, by code point. */
#include "token/jinja_strings.h"

#include <string.h>

/* ---- arguments */

bool pare_jarg_none(struct pare_jv v) { return v.type == PARE_JV_ABSENT || v.type == PARE_JV_NONE; }

struct pare_jstr *pare_jarg_str(struct pare_jinja *J, struct pare_jv v, const char *dflt)
{
    if (v.type == PARE_JV_STR) return v.u.s;
    if (v.type == PARE_JV_UNDEF) pare_jinja_undefined_error(J, v);
    if (v.type != PARE_JV_ABSENT || dflt == NULL)
        pare_jinja_fail(J, PARE_E_CORRUPT, "an argument must be str, not %s", pare_jv_typename(v));
    return pare_jstr_ref(J, dflt == NULL ? "" : dflt, dflt == NULL ? 0 : strlen(dflt));
}

int64_t pare_jarg_int(struct pare_jinja *J, struct pare_jv v, int64_t dflt)
{
    int64_t i = dflt;

    if (v.type == PARE_JV_ABSENT || pare_jv_as_int(v, &i)) return i;
    if (v.type == PARE_JV_UNDEF) pare_jinja_undefined_error(J, v);
    pare_jinja_fail(J, PARE_E_CORRUPT, "an argument must be an integer, not %s", pare_jv_typename(v));
    return dflt;
}

bool pare_jarg_bool(struct pare_jinja *J, struct pare_jv v, bool dflt) { return v.type == PARE_JV_ABSENT ? dflt : pare_jv_truth(J, v); }

/* ---- pieces */

static struct pare_jv marked(struct pare_jinja *J, const struct pare_jstr *like, struct pare_jv v)
{
    return like->safe && J->err == 0 && v.type == PARE_JV_STR ? pare_jv_safe(J, v.u.s) : v;
}

struct pare_jv pare_jstr_sub(struct pare_jinja *J, const struct pare_jstr *s, size_t at, size_t n)
{
    return marked(J, s, pare_jv_ref(J, s->p + at, n));
}

struct pare_jv pare_jstr_case(struct pare_jinja *J, const struct pare_jstr *s, enum pare_jcase how)
{
    struct pare_buf b = pare_jinja_buf();

    if (pare_jinja_work(J, s->n / 4)) pare_jtext_case(&b, s->p, s->n, how);
    return marked(J, s, pare_jv_take(J, &b));
}

static bool in_set(const struct pare_jstr *set, const char *p)
{
    size_t n = pare_jtext_step(p);

    for (size_t i = 0; i < set->n; i += pare_jtext_step(set->p + i))
        if (pare_jtext_step(set->p + i) == n && memcmp(set->p + i, p, n) == 0) return true;
    return false;
}

struct pare_jv pare_jstr_strip(struct pare_jinja *J, const struct pare_jstr *s, struct pare_jv chars, int sides)
{
    const struct pare_jstr *set;
    size_t                  from = 0, to = s->n, at;

    if (pare_jarg_none(chars)) {
        pare_jinja_work(J, s->n / 16);
        if (sides & 1) from = pare_jtext_lstrip(s->p, s->n);
        if (sides & 2) to = from + pare_jtext_rstrip(s->p + from, s->n - from);
        return pare_jstr_sub(J, s, from, to - from);
    }
    set = pare_jarg_str(J, chars, NULL);
    if (J->err != 0) return pare_jv_undef();
    if (sides & 1)
        while (from < to && pare_jinja_work(J, 1 + set->n / 4) && in_set(set, s->p + from)) from += pare_jtext_step(s->p + from);
    if (sides & 2) {
        for (; to > from && pare_jinja_work(J, 1 + set->n / 4); to = at) {
            at = pare_jtext_back(s->p, to);
            if (!in_set(set, s->p + at)) break;
        }
    }
    return pare_jstr_sub(J, s, from, to - from);
}

/* An empty pattern matches between all characters, as in Python. */
static struct pare_jv replace_empty(struct pare_jinja *J, const struct pare_jstr *s, const struct pare_jstr *to, int64_t count)
{
    struct pare_buf b = pare_jinja_buf();
    size_t          i = 0, step;

    for (; count != 0 && J->err == 0; count--, i += step) {
        pare_jinja_buf_add(J, &b, to->p, to->n);
        step = 0;
        if (i >= s->n || !pare_jinja_work(J, 1)) break;
        step = pare_jtext_step(s->p + i);
        pare_jinja_buf_add(J, &b, s->p + i, step);
    }
    if (i < s->n) pare_jinja_buf_add(J, &b, s->p + i, s->n - i);
    return pare_jv_take(J, &b);
}

struct pare_jv pare_jstr_replace(struct pare_jinja *J, const struct pare_jstr *s, const struct pare_jstr *from, const struct pare_jstr *to,
                                 int64_t count)
{
    struct pare_buf b = pare_jinja_buf();
    size_t          at = 0;
    ptrdiff_t       k;

    if (from->n == 0) return marked(J, s, replace_empty(J, s, to, count));
    pare_jinja_work(J, s->n / 16);
    for (; count != 0 && J->err == 0; count--) {
        k = pare_jtext_find(s->p + at, s->n - at, from->p, from->n);
        if (k < 0) break;
        pare_jinja_buf_add(J, &b, s->p + at, (size_t)k);
        pare_jinja_buf_add(J, &b, to->p, to->n);
        pare_jinja_work(J, 1);
        at += (size_t)k + from->n;
    }
    pare_jinja_buf_add(J, &b, s->p + at, s->n - at);
    return marked(J, s, pare_jv_take(J, &b));
}

struct pare_jv pare_jstr_pad(struct pare_jinja *J, const struct pare_jstr *s, int64_t width, const struct pare_jstr *fill, char align)
{
    struct pare_buf b = pare_jinja_buf();
    int64_t         room = width > (int64_t)s->chars ? width - (int64_t)s->chars : 0, left;

    if (fill->chars != 1) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "the fill character must be exactly one character long");
        return pare_jv_undef();
    }
    left = align == '>' ? room : align == '<' ? 0 : room / 2 + (room & width & 1); /* str.center leans by the parity of the width */
    if (room > (int64_t)PARE_JINJA_MAX_OUTPUT) pare_jinja_fail(J, PARE_E_LIMIT, "a padding is too wide");
    for (int64_t i = 0; i < left && pare_jinja_work(J, (i & 15) == 0); i++) pare_jinja_buf_add(J, &b, fill->p, fill->n);
    pare_jinja_buf_add(J, &b, s->p, s->n);
    for (int64_t i = left; i < room && pare_jinja_work(J, (i & 15) == 0); i++) pare_jinja_buf_add(J, &b, fill->p, fill->n);
    return marked(J, s, pare_jv_take(J, &b));
}

struct pare_jlist *pare_jstr_lines(struct pare_jinja *J, const struct pare_jstr *s, bool keep_ends)
{
    struct pare_jlist *l = pare_jlist_new(J, 0);
    size_t             start = 0, step;

    pare_jinja_work(J, s->n / 8);
    for (size_t i = 0; i < s->n && J->err == 0; i += step) {
        size_t end = i;
        if (!pare_jtext_linebreak(pare_jtext_decode(s->p + i, &step))) continue;
        if (s->p[i] == '\r' && i + 1 < s->n && s->p[i + 1] == '\n') step = 2;
        if (keep_ends) end += step;
        pare_jlist_add(J, l, pare_jstr_sub(J, s, start, end - start));
        start = i + step;
    }
    if (start < s->n) pare_jlist_add(J, l, pare_jstr_sub(J, s, start, s->n - start));
    return l;
}

static void split_space(struct pare_jinja *J, const struct pare_jstr *s, int64_t max, struct pare_jlist *l)
{
    size_t i = 0, step;

    while (J->err == 0) {
        size_t start;
        i += pare_jtext_lstrip(s->p + i, s->n - i);
        if (i >= s->n) break;
        start = i;
        if (max-- == 0) {
            pare_jlist_add(J, l, pare_jstr_sub(J, s, start, s->n - start));
            break;
        }
        while (i < s->n && !pare_jtext_space(pare_jtext_decode(s->p + i, &step))) i += step;
        pare_jlist_add(J, l, pare_jstr_sub(J, s, start, i - start));
    }
}

/* From the right, pieces come last first; the caller turns them round. */
static void rsplit_space(struct pare_jinja *J, const struct pare_jstr *s, int64_t max, struct pare_jlist *l)
{
    size_t end = s->n, step;

    while (J->err == 0) {
        size_t i;
        end = pare_jtext_rstrip(s->p, end);
        if (end == 0) break;
        if (max-- == 0) {
            pare_jlist_add(J, l, pare_jstr_sub(J, s, 0, end));
            break;
        }
        for (i = end; i > 0; ) {
            size_t at = pare_jtext_back(s->p, i);
            if (pare_jtext_space(pare_jtext_decode(s->p + at, &step))) break;
            i = at;
        }
        pare_jlist_add(J, l, pare_jstr_sub(J, s, i, end - i));
        end = i;
    }
}

static void split_sep(struct pare_jinja *J, const struct pare_jstr *s, const struct pare_jstr *sep, int64_t max, struct pare_jlist *l)
{
    size_t    at = 0;
    ptrdiff_t k;

    while (J->err == 0 && max-- != 0 && (k = pare_jtext_find(s->p + at, s->n - at, sep->p, sep->n)) >= 0) {
        pare_jlist_add(J, l, pare_jstr_sub(J, s, at, (size_t)k));
        at += (size_t)k + sep->n;
    }
    pare_jlist_add(J, l, pare_jstr_sub(J, s, at, s->n - at));
}

static void rsplit_sep(struct pare_jinja *J, const struct pare_jstr *s, const struct pare_jstr *sep, int64_t max, struct pare_jlist *l)
{
    size_t    end = s->n;
    ptrdiff_t k;

    while (J->err == 0 && max-- != 0 && (k = pare_jtext_rfind(s->p, end, sep->p, sep->n)) >= 0) {
        pare_jlist_add(J, l, pare_jstr_sub(J, s, (size_t)k + sep->n, end - (size_t)k - sep->n));
        end = (size_t)k;
    }
    pare_jlist_add(J, l, pare_jstr_sub(J, s, 0, end));
}

struct pare_jlist *pare_jstr_split(struct pare_jinja *J, const struct pare_jstr *s, const struct pare_jstr *sep, int64_t max,
                                   bool from_right)
{
    struct pare_jlist *l = pare_jlist_new(J, 0);

    if (!pare_jinja_work(J, s->n / 8 * (from_right && sep != NULL ? 1 + sep->n / 16 : 1))) return l;
    if (sep != NULL && sep->n == 0) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "empty separator");
        return l;
    }
    if (sep == NULL) from_right ? rsplit_space(J, s, max, l) : split_space(J, s, max, l);
    else from_right ? rsplit_sep(J, s, sep, max, l) : split_sep(J, s, sep, max, l);
    if (from_right && J->err == 0) {
        for (size_t i = 0; i < l->n / 2; i++) {
            struct pare_jv t = l->v[i];
            l->v[i] = l->v[l->n - 1 - i];
            l->v[l->n - 1 - i] = t;
        }
    }
    return l;
}
