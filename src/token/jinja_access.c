/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_access.c: x.name, x[key] and slices. x.name asks for a method or attribute first and for an item second, x[key]
 * the other way round; what is missing in both is undefined, not an error. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "token/jinja_call.h"
#include "token/jinja_text.h"

static struct pare_jv missing(struct pare_jinja *J, struct pare_jv obj, struct pare_jv key)
{
    struct pare_jv v = { .type = PARE_JV_UNDEF, .sub = PARE_JU_ATTR, .owner = obj.type };

    if (key.type == PARE_JV_STR) {
        v.u.s = key.u.s;
    } else {
        v.sub = PARE_JU_ITEM;
        v.u.s = pare_jv_torepr(J, key);
    }
    return v;
}

static struct pare_jv bind_method(struct pare_jinja *J, struct pare_jv self, const struct pare_jmethod_row *row)
{
    struct pare_jv v = { .type = row->changes ? PARE_JV_UNDEF : PARE_JV_METHOD, .sub = row->changes ? PARE_JU_METHOD : 0 };

    v.u.bound = pare_jinja_alloc(J, sizeof *v.u.bound);
    if (v.u.bound == NULL) return pare_jv_undef();
    *v.u.bound = (struct pare_jmethod){ self, row };
    return v;
}

static struct pare_jv macro_attr(struct pare_jinja *J, const struct pare_jnode *m, const struct pare_jstr *name)
{
    struct pare_jlist *l;

    if (pare_jstr_is(name, "name")) return pare_jv_str(m->name);
    if (pare_jstr_is(name, "catch_kwargs")) return pare_jv_bool(m->flags & PARE_JM_KWARGS);
    if (pare_jstr_is(name, "catch_varargs")) return pare_jv_bool(m->flags & PARE_JM_VARARGS);
    if (pare_jstr_is(name, "caller")) return pare_jv_bool(m->flags & PARE_JM_CALLER);
    if (!pare_jstr_is(name, "arguments")) return (struct pare_jv){ .type = PARE_JV_ABSENT };
    l = pare_jlist_new(J, m->n);
    for (uint32_t i = 0; i < m->n; i++) pare_jlist_add(J, l, pare_jv_str(m->list[i]->name));
    return pare_jv_tuple(l);
}

static struct pare_jv cycler_attr(struct pare_jv obj, const struct pare_jstr *name)
{
    if (!pare_jstr_is(name, "current")) return (struct pare_jv){ .type = PARE_JV_ABSENT };
    return obj.u.cycler->l->v[obj.u.cycler->pos];
}

/* Attributes and methods, not items; ABSENT when there is none. */
static struct pare_jv attribute(struct pare_jinja *J, struct pare_jv obj, struct pare_jstr *name)
{
    const struct pare_jmethod_row *row = NULL;
    const struct pare_jentry      *e;
    struct pare_jv                 absent = { .type = PARE_JV_ABSENT };

    switch (obj.type) {
    case PARE_JV_STR: row = pare_jinja_str_method(name); break;
    case PARE_JV_NS: e = pare_jdict_find_str(J, obj.u.d, name); return e != NULL ? e->val : absent;
    case PARE_JV_LOOP: return pare_jinja_loop_attr(J, obj, name);
    case PARE_JV_MACRO: return macro_attr(J, obj.u.m->node, name);
    case PARE_JV_TUPLE:
        if (obj.sub == 1 && pare_jstr_is(name, "grouper")) return obj.u.l->v[0];
        if (obj.sub == 1 && pare_jstr_is(name, "list")) return obj.u.l->v[1];
        row = pare_jinja_container_method(obj.type, name);
        break;
    case PARE_JV_RANGE:
        if (pare_jstr_is(name, "start")) return pare_jv_int(obj.u.r->start);
        if (pare_jstr_is(name, "stop")) return pare_jv_int(obj.u.r->stop);
        if (pare_jstr_is(name, "step")) return pare_jv_int(obj.u.r->step);
        row = pare_jinja_container_method(obj.type, name);
        break;
    case PARE_JV_CYCLER:
        row = pare_jinja_container_method(obj.type, name);
        if (row == NULL) return cycler_attr(obj, name);
        break;
    default: row = pare_jinja_container_method(obj.type, name); break;
    }
    return row != NULL ? bind_method(J, obj, row) : absent;
}

struct pare_jv pare_jinja_getattr(struct pare_jinja *J, struct pare_jv obj, struct pare_jstr *name)
{
    struct pare_jv            v;
    const struct pare_jentry *e;

    if (J->err != 0) return obj;
    if (obj.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, obj);
    v = attribute(J, obj, name);
    if (v.type != PARE_JV_ABSENT) return v;
    if (obj.type == PARE_JV_DICT && (e = pare_jdict_find_str(J, obj.u.d, name)) != NULL) return e->val;
    return missing(J, obj, pare_jv_str(name));
}

static struct pare_jv char_at(struct pare_jinja *J, const struct pare_jstr *s, size_t i)
{
    size_t at = pare_jtext_offset(s->p, s->n, s->chars, i);

    if (!pare_jinja_work(J, s->n == s->chars ? 0 : at / 16)) return pare_jv_undef();
    return pare_jv_ref(J, s->p + at, pare_jtext_step(s->p + at));
}

/* x[i] of a sequence; ABSENT when out of range. */
static struct pare_jv element(struct pare_jinja *J, struct pare_jv obj, int64_t i)
{
    int64_t n = pare_jv_len(obj);

    if (i < 0) i += n;
    if (i < 0 || i >= n) return (struct pare_jv){ .type = PARE_JV_ABSENT };
    if (obj.type == PARE_JV_STR) return char_at(J, obj.u.s, (size_t)i);
    if (obj.type == PARE_JV_RANGE) return pare_jv_int(obj.u.r->start + i * obj.u.r->step);
    return obj.u.l->v[i];
}

static bool indexable(struct pare_jv v)
{
    return v.type == PARE_JV_STR || v.type == PARE_JV_LIST || v.type == PARE_JV_TUPLE || v.type == PARE_JV_RANGE;
}

struct pare_jv pare_jinja_getitem(struct pare_jinja *J, struct pare_jv obj, struct pare_jv key)
{
    struct pare_jv            v = { .type = PARE_JV_ABSENT };
    const struct pare_jentry *e;
    int64_t                   i;

    if (J->err != 0) return obj;
    if (obj.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, obj);
    if (obj.type == PARE_JV_DICT && key.type != PARE_JV_LIST && key.type != PARE_JV_DICT) {
        e = pare_jdict_find(J, obj.u.d, key);
        if (e != NULL) return e->val;
    } else if (indexable(obj) && pare_jv_as_int(key, &i)) {
        v = element(J, obj, i);
    }
    if (v.type == PARE_JV_ABSENT && key.type == PARE_JV_STR) v = attribute(J, obj, key.u.s);
    return v.type == PARE_JV_ABSENT ? missing(J, obj, key) : v;
}

/* ---- slices */

struct span {
    int64_t start, step, n;
};

/* Python's rules for start:stop:step on a sequence of n. */
static bool span_of(struct pare_jinja *J, int64_t n, struct pare_jv start, struct pare_jv stop, struct pare_jv step, struct span *out)
{
    struct pare_jv part[3] = { start, stop, step };
    int64_t        v[3] = { 0, 0, 1 }, lo, hi;

    for (int k = 0; k < 3; k++) {
        if (part[k].type == PARE_JV_NONE || pare_jv_as_int(part[k], &v[k])) continue;
        if (part[k].type == PARE_JV_UNDEF) pare_jinja_undefined_error(J, part[k]);
        pare_jinja_fail(J, PARE_E_CORRUPT, "slice indices must be integers or None");
        return false;
    }
    if (v[2] == 0) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "slice step cannot be zero");
        return false;
    }
    if (v[2] < -INT64_MAX) v[2] = -INT64_MAX;
    lo = v[2] > 0 ? 0 : -1; /* where out-of-range indices end up */
    hi = v[2] > 0 ? n : n - 1;
    for (int k = 0; k < 2; k++) {
        if (part[k].type == PARE_JV_NONE) v[k] = (k == 0) == (v[2] > 0) ? lo : hi;
        else if (v[k] < 0) v[k] = v[k] < -n ? lo : v[k] + n;
        else if (v[k] > hi) v[k] = hi;
    }
    *out = (struct span){ v[0], v[2], 0 };
    if (v[2] > 0 && v[0] < v[1]) out->n = (v[1] - v[0] - 1) / v[2] + 1;
    if (v[2] < 0 && v[1] < v[0]) out->n = (v[0] - v[1] - 1) / -v[2] + 1;
    return true;
}

static struct pare_jv slice_string(struct pare_jinja *J, const struct pare_jstr *s, struct span sp)
{
    struct pare_buf b;
    struct pare_jv  v;
    size_t          from, to;

    if (sp.n == 0) return pare_jv_lit(J, "");
    if (sp.step == 1) {
        from = pare_jtext_offset(s->p, s->n, s->chars, (size_t)sp.start);
        to = from + pare_jtext_offset(s->p + from, s->n - from, s->chars - (size_t)sp.start, (size_t)sp.n);
        v = pare_jv_ref(J, s->p + from, to - from);
        pare_jinja_work(J, s->n == s->chars ? 0 : to / 16);
    } else {
        b = pare_jinja_buf();
        for (int64_t i = 0; i < sp.n && J->err == 0; i++) {
            from = pare_jtext_offset(s->p, s->n, s->chars, (size_t)(sp.start + i * sp.step));
            pare_jinja_work(J, s->n == s->chars ? 0 : from / 8);
            pare_jinja_buf_add(J, &b, s->p + from, pare_jtext_step(s->p + from));
        }
        v = pare_jv_take(J, &b);
    }
    return s->safe && J->err == 0 ? pare_jv_safe(J, v.u.s) : v;
}

struct pare_jv pare_jinja_slice(struct pare_jinja *J, struct pare_jv obj, struct pare_jv start, struct pare_jv stop, struct pare_jv step)
{
    struct span        sp;
    struct pare_jlist *l;

    if (obj.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, obj);
    if (!indexable(obj)) { /* unlike x[key], a slice of what has none is an error */
        pare_jinja_fail(J, PARE_E_CORRUPT, "'%s' object cannot be sliced", pare_jv_typename(obj));
        return obj;
    }
    if (!span_of(J, pare_jv_len(obj), start, stop, step, &sp)) return obj;
    if (obj.type == PARE_JV_STR) return slice_string(J, obj.u.s, sp);
    if (obj.type == PARE_JV_RANGE) {
        int64_t first = obj.u.r->start + sp.start * obj.u.r->step, by = 0, end = 0;
        if (sp.n == 0) return pare_jv_range(J, first, first, 1);
        if (__builtin_mul_overflow(obj.u.r->step, sp.step, &by) || __builtin_mul_overflow(sp.n, by, &end) ||
            __builtin_add_overflow(first, end, &end)) {
            by = first <= 0 ? 1 : -1; /* one element: any step will do */
            end = first + by;
        }
        return pare_jv_range(J, first, end, by);
    }
    l = pare_jlist_new(J, (size_t)sp.n);
    if (!pare_jinja_work(J, (size_t)sp.n / 4)) return obj;
    for (int64_t i = 0; i < sp.n; i++) pare_jlist_add(J, l, obj.u.l->v[sp.start + i * sp.step]);
    return obj.type == PARE_JV_LIST ? pare_jv_list(l) : pare_jv_tuple(l);
}

/* ---- paths */

struct pare_jv pare_jinja_getpath(struct pare_jinja *J, struct pare_jv obj, struct pare_jv path, struct pare_jv dflt)
{
    const struct pare_jstr *s;
    size_t                  at = 0, end;

    if (path.type == PARE_JV_NONE || path.type == PARE_JV_ABSENT) return obj;
    if (path.type != PARE_JV_STR) {
        obj = pare_jinja_getitem(J, obj, path);
        return obj.type == PARE_JV_UNDEF && dflt.type != PARE_JV_ABSENT && dflt.type != PARE_JV_NONE ? dflt : obj;
    }
    for (s = path.u.s; at <= s->n && J->err == 0; at = end + 1) {
        struct pare_jv key;
        int64_t        index = 0;
        bool           digits = true;
        for (end = at; end < s->n && s->p[end] != '.'; end++) {
            if (s->p[end] < '0' || s->p[end] > '9' || end - at > 17) digits = false;
            if (digits) index = index * 10 + (s->p[end] - '0');
        }
        key = digits && end > at ? pare_jv_int(index) : pare_jv_ref(J, s->p + at, end - at);
        obj = pare_jinja_getitem(J, obj, key);
        if (obj.type == PARE_JV_UNDEF && dflt.type != PARE_JV_ABSENT && dflt.type != PARE_JV_NONE) obj = dflt;
    }
    return obj;
}
