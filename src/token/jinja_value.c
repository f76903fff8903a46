/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_value.c: makes values: strings, lists, ranges, interned names, and the import of the caller's JSON. */
#include "token/jinja_value.h"

#include <string.h>

#include "token/jinja_text.h"

struct pare_jv pare_jv_undef(void) { return (struct pare_jv){ .type = PARE_JV_UNDEF, .sub = PARE_JU_NAME }; }

struct pare_jv pare_jv_undef_hint(struct pare_jinja *J, const char *hint)
{
    struct pare_jv v = { .type = PARE_JV_UNDEF, .sub = PARE_JU_HINT };

    v.u.s = pare_jstr_ref(J, hint, strlen(hint));
    return v;
}

struct pare_jv pare_jv_none(void) { return (struct pare_jv){ .type = PARE_JV_NONE }; }
struct pare_jv pare_jv_bool(bool b) { return (struct pare_jv){ .type = PARE_JV_BOOL, .u.b = b }; }
struct pare_jv pare_jv_int(int64_t i) { return (struct pare_jv){ .type = PARE_JV_INT, .u.i = i }; }
struct pare_jv pare_jv_float(double f) { return (struct pare_jv){ .type = PARE_JV_FLOAT, .u.f = f }; }

/* What a string becomes after a failure: valid to read, so that callers need not look at once. */
static struct pare_jstr empty_string = { .p = "", .hash = 1 };

struct pare_jstr *pare_jstr_ref(struct pare_jinja *J, const char *p, size_t n)
{
    struct pare_jstr *s = pare_jinja_work(J, n / 32) ? pare_jinja_alloc(J, sizeof *s) : NULL;

    if (s == NULL) return &empty_string;
    s->p = p;
    s->n = n;
    s->chars = pare_jtext_count(p, n);
    return s;
}

struct pare_jstr *pare_jstr_copy(struct pare_jinja *J, const char *p, size_t n)
{
    char *q = pare_jinja_alloc(J, n);

    if (q == NULL) return &empty_string;
    if (n > 0) memcpy(q, p, n);
    return pare_jstr_ref(J, q, n);
}

struct pare_jv pare_jv_str(struct pare_jstr *s) { return (struct pare_jv){ .type = PARE_JV_STR, .u.s = s }; }
struct pare_jv pare_jv_ref(struct pare_jinja *J, const char *p, size_t n) { return pare_jv_str(pare_jstr_ref(J, p, n)); }
struct pare_jv pare_jv_copy(struct pare_jinja *J, const char *p, size_t n) { return pare_jv_str(pare_jstr_copy(J, p, n)); }
struct pare_jv pare_jv_lit(struct pare_jinja *J, const char *literal) { return pare_jv_ref(J, literal, strlen(literal)); }

struct pare_jv pare_jv_take(struct pare_jinja *J, struct pare_buf *b)
{
    struct pare_jv v;

    if (b->failed) pare_jinja_fail(J, PARE_E_LIMIT, "a string is too long or memory is exhausted");
    v = pare_jv_copy(J, (const char *)b->data, b->failed ? 0 : b->len);
    pare_buf_free(b);
    return v;
}

bool pare_jstr_is(const struct pare_jstr *s, const char *literal)
{
    size_t n = strlen(literal);

    return s->n == n && memcmp(s->p, literal, n) == 0;
}

/* ---- lists */

struct pare_jlist *pare_jlist_new(struct pare_jinja *J, size_t room)
{
    /* shared by all failures: nobody writes to it, because pare_jlist_add looks at J->err first */
    static struct pare_jlist empty_list;
    struct pare_jlist       *l = pare_jinja_work(J, 1) ? pare_jinja_alloc(J, sizeof *l) : NULL;

    if (l == NULL) return &empty_list;
    if (room > 0) {
        l->v = pare_jinja_grow(J, NULL, 0, room, sizeof *l->v, &l->cap);
        if (l->v == NULL) return &empty_list;
    }
    return l;
}

void pare_jlist_add(struct pare_jinja *J, struct pare_jlist *l, struct pare_jv v)
{
    struct pare_jv *p;

    if (J->err != 0) return;
    if (l->n == l->cap) {
        if (!pare_jinja_work(J, l->n / 4)) return;
        p = pare_jinja_grow(J, l->v, l->n, l->n + 1, sizeof *l->v, &l->cap);
        if (p == NULL) return;
        l->v = p;
    }
    l->v[l->n++] = v;
}

struct pare_jv pare_jv_list(struct pare_jlist *l) { return (struct pare_jv){ .type = PARE_JV_LIST, .u.l = l }; }
struct pare_jv pare_jv_tuple(struct pare_jlist *l) { return (struct pare_jv){ .type = PARE_JV_TUPLE, .u.l = l }; }

struct pare_jv pare_jv_pair(struct pare_jinja *J, struct pare_jv a, struct pare_jv b)
{
    struct pare_jlist *l = pare_jlist_new(J, 0);
    struct pare_jv    *v = J->err != 0 ? NULL : pare_jinja_alloc(J, 2 * sizeof *v);

    if (v == NULL) return pare_jv_undef();
    v[0] = a;
    v[1] = b;
    *l = (struct pare_jlist){ v, 2, 2 };
    return pare_jv_tuple(l);
}

struct pare_jv pare_jv_gen(struct pare_jinja *J, struct pare_jlist *l)
{
    struct pare_jv v = { .type = PARE_JV_GEN };

    v.u.g = pare_jinja_alloc(J, sizeof *v.u.g);
    if (v.u.g == NULL) return pare_jv_undef();
    v.u.g->l = l;
    return v;
}

struct pare_jv pare_jv_range(struct pare_jinja *J, int64_t start, int64_t stop, int64_t step)
{
    struct pare_jv v = { .type = PARE_JV_RANGE };
    uint64_t       n = 0;

    if (step == 0) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "range() arg 3 must not be zero");
        return pare_jv_undef();
    }
    if (step > 0 && stop > start) n = ((uint64_t)stop - (uint64_t)start - 1) / (uint64_t)step + 1;
    if (step < 0 && stop < start) n = ((uint64_t)start - (uint64_t)stop - 1) / (0 - (uint64_t)step) + 1;
    if (n > PARE_JINJA_MAX_RANGE) {
        pare_jinja_fail(J, PARE_E_LIMIT, "range() has more than %d elements", PARE_JINJA_MAX_RANGE);
        return pare_jv_undef();
    }
    v.u.r = pare_jinja_alloc(J, sizeof *v.u.r);
    if (v.u.r == NULL) return pare_jv_undef();
    *v.u.r = (struct pare_jrange){ start, stop, step, (int64_t)n };
    return v;
}

/* ---- names and JSON */

struct pare_jstr *pare_jinja_intern(struct pare_jinja *J, const char *p, size_t n)
{
    struct pare_jstr    key = { .p = p, .n = n }, *s;
    struct pare_jentry *e = pare_jdict_find_str(J, J->names, &key);

    if (e != NULL) return e->key.u.s;
    s = pare_jstr_ref(J, p, n);
    pare_jdict_set_str(J, J->names, s, pare_jv_none());
    return s;
}

static struct pare_jv import_object(struct pare_jinja *J, const json_t *j)
{
    struct pare_jdict *d = pare_jdict_new(J);
    const char        *key;
    json_t            *val;

    json_object_foreach((json_t *)(uintptr_t)j, key, val)
    {
        if (J->err != 0) break;
        pare_jdict_set_str(J, d, pare_jstr_ref(J, key, strlen(key)), pare_jv_import(J, val));
    }
    return pare_jv_dict(d);
}

struct pare_jv pare_jv_import(struct pare_jinja *J, const json_t *j)
{
    struct pare_jv     v = pare_jv_undef();
    struct pare_jlist *l;
    size_t             i, n;

    switch (json_typeof(j)) {
    case JSON_STRING: return pare_jv_ref(J, json_string_value(j), json_string_length(j));
    case JSON_INTEGER: return pare_jv_int(json_integer_value(j));
    case JSON_REAL: return pare_jv_float(json_real_value(j));
    case JSON_TRUE: return pare_jv_bool(true);
    case JSON_FALSE: return pare_jv_bool(false);
    case JSON_NULL: return pare_jv_none();
    case JSON_OBJECT:
    case JSON_ARRAY: break;
    }
    if (!pare_jinja_enter(J)) return v;
    if (json_is_object(j)) {
        v = import_object(J, j);
    } else {
        n = json_array_size(j);
        l = pare_jlist_new(J, n);
        for (i = 0; i < n && J->err == 0; i++) pare_jlist_add(J, l, pare_jv_import(J, json_array_get(j, i)));
        v = pare_jv_list(l);
    }
    pare_jinja_leave(J);
    return v;
}
