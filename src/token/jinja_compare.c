/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_compare.c: truth, equality, order, membership and iteration, as Python defines them. */
#include "token/jinja_value.h"

#include <math.h>
#include <string.h>

#include "token/jinja_text.h"

const char *pare_jv_typename(struct pare_jv v)
{
    switch (v.type) {
    case PARE_JV_UNDEF: return "Undefined";
    case PARE_JV_NONE: return "NoneType";
    case PARE_JV_BOOL: return "bool";
    case PARE_JV_INT: return "int";
    case PARE_JV_FLOAT: return "float";
    case PARE_JV_STR: return "str";
    case PARE_JV_LIST: return "list";
    case PARE_JV_TUPLE: return "tuple";
    case PARE_JV_DICT: return "dict";
    case PARE_JV_RANGE: return "range";
    case PARE_JV_VIEW: return v.sub == PARE_JVIEW_KEYS ? "dict_keys" : v.sub == PARE_JVIEW_VALUES ? "dict_values" : "dict_items";
    case PARE_JV_GEN: return "generator";
    case PARE_JV_NS: return "Namespace";
    case PARE_JV_MACRO: return "Macro";
    case PARE_JV_FUNC: return "function";
    case PARE_JV_METHOD: return "builtin_function_or_method";
    case PARE_JV_LOOP: return "LoopContext";
    case PARE_JV_CYCLER: return "Cycler";
    case PARE_JV_JOINER: return "Joiner";
    default: return "missing";
    }
}

bool pare_jv_is_number(struct pare_jv v) { return v.type == PARE_JV_BOOL || v.type == PARE_JV_INT || v.type == PARE_JV_FLOAT; }

bool pare_jv_as_int(struct pare_jv v, int64_t *out)
{
    if (v.type == PARE_JV_INT) *out = v.u.i;
    else if (v.type == PARE_JV_BOOL) *out = v.u.b;
    else return false;
    return true;
}

double pare_jv_as_double(struct pare_jv v)
{
    return v.type == PARE_JV_FLOAT ? v.u.f : v.type == PARE_JV_BOOL ? (double)v.u.b : (double)v.u.i;
}

int64_t pare_jv_len(struct pare_jv v)
{
    switch (v.type) {
    case PARE_JV_UNDEF: return 0;
    case PARE_JV_STR: return (int64_t)v.u.s->chars;
    case PARE_JV_LIST:
    case PARE_JV_TUPLE: return (int64_t)v.u.l->n;
    case PARE_JV_DICT:
    case PARE_JV_VIEW: return v.u.d->live;
    case PARE_JV_RANGE: return v.u.r->n;
    default: return -1;
    }
}

bool pare_jv_truth(struct pare_jinja *J, struct pare_jv v)
{
    int64_t n;

    (void)J;
    switch (v.type) {
    case PARE_JV_NONE: return false;
    case PARE_JV_BOOL: return v.u.b;
    case PARE_JV_INT: return v.u.i != 0;
    case PARE_JV_FLOAT: return v.u.f != 0;
    default: n = pare_jv_len(v); return n != 0;
    }
}

bool pare_jstr_eq(const struct pare_jstr *a, const struct pare_jstr *b)
{
    return a == b || (a->n == b->n && memcmp(a->p, b->p, a->n) == 0);
}

static bool list_eq(struct pare_jinja *J, const struct pare_jlist *a, const struct pare_jlist *b)
{
    bool same = a->n == b->n;

    if (a == b) return true;
    if (!same || !pare_jinja_enter(J)) return false;
    for (size_t i = 0; same && i < a->n && i < b->n && J->err == 0; i++) same = pare_jv_eq(J, a->v[i], b->v[i]);
    pare_jinja_leave(J);
    return same;
}

static bool dict_eq(struct pare_jinja *J, const struct pare_jdict *a, const struct pare_jdict *b)
{
    bool same = a->live == b->live;

    if (a == b) return true;
    if (!same || !pare_jinja_enter(J)) return false;
    for (uint32_t i = 0; same && i < a->n && J->err == 0; i++) {
        struct pare_jentry *e;
        if (a->e[i].key.type == PARE_JV_ABSENT) continue;
        e = pare_jdict_find(J, b, a->e[i].key);
        same = e != NULL && pare_jv_eq(J, a->e[i].val, e->val);
    }
    pare_jinja_leave(J);
    return same;
}

/* Exact order of an integer and a double, which a conversion of the integer would round. 2: not a number. */
static int cmp_mixed(int64_t i, double f)
{
    int64_t t;

    if (isnan(f)) return 2;
    if (f >= 9223372036854775808.0) return -1;
    if (f < -9223372036854775808.0) return 1;
    t = (int64_t)f;
    if (i != t) return i < t ? -1 : 1;
    f -= (double)t;
    return f > 0 ? -1 : f < 0 ? 1 : 0;
}

static int cmp_number(struct pare_jv a, struct pare_jv b)
{
    int64_t i = 0, j = 0;
    bool    ia = pare_jv_as_int(a, &i), ib = pare_jv_as_int(b, &j);
    int     c;

    if (ia && ib) return i < j ? -1 : i > j;
    if (ia) return cmp_mixed(i, b.u.f);
    if (ib) {
        c = cmp_mixed(j, a.u.f);
        return c == 2 ? 2 : -c;
    }
    return isnan(a.u.f) || isnan(b.u.f) ? 2 : a.u.f < b.u.f ? -1 : a.u.f > b.u.f;
}

bool pare_jv_eq(struct pare_jinja *J, struct pare_jv a, struct pare_jv b)
{
    if (!pare_jinja_work(J, 1)) return false;
    if (pare_jv_is_number(a) && pare_jv_is_number(b)) return cmp_number(a, b) == 0;
    if (a.type != b.type) return false;
    switch (a.type) {
    case PARE_JV_UNDEF:
    case PARE_JV_NONE: return true;
    case PARE_JV_STR: return pare_jinja_work(J, a.u.s->n / 64) && pare_jstr_eq(a.u.s, b.u.s);
    case PARE_JV_LIST:
    case PARE_JV_TUPLE: return list_eq(J, a.u.l, b.u.l);
    case PARE_JV_DICT: return dict_eq(J, a.u.d, b.u.d);
    case PARE_JV_RANGE:
        return a.u.r->n == b.u.r->n &&
               (a.u.r->n == 0 || (a.u.r->start == b.u.r->start && (a.u.r->n == 1 || a.u.r->step == b.u.r->step)));
    case PARE_JV_METHOD: return a.u.bound->row == b.u.bound->row && pare_jv_eq(J, a.u.bound->self, b.u.bound->self);
    default: return a.u.p == b.u.p && a.sub == b.sub;
    }
}

/* Code points of UTF-8 sort like its bytes. */
static int cmp_str(const struct pare_jstr *a, const struct pare_jstr *b)
{
    size_t n = a->n < b->n ? a->n : b->n;
    int    c = n == 0 ? 0 : memcmp(a->p, b->p, n);

    return c != 0 ? (c < 0 ? -1 : 1) : a->n < b->n ? -1 : a->n > b->n;
}

static int cmp_list(struct pare_jinja *J, const struct pare_jlist *a, const struct pare_jlist *b, const char *op)
{
    int c = 0;

    if (!pare_jinja_enter(J)) return 0;
    for (size_t i = 0; c == 0 && J->err == 0; i++) {
        if (i >= a->n || i >= b->n) {
            c = a->n < b->n ? -1 : a->n > b->n;
            break;
        }
        if (!pare_jv_eq(J, a->v[i], b->v[i])) {
            c = pare_jv_cmp(J, a->v[i], b->v[i], op);
            break;
        }
    }
    pare_jinja_leave(J);
    return c;
}

int pare_jv_cmp(struct pare_jinja *J, struct pare_jv a, struct pare_jv b, const char *op)
{
    if (!pare_jinja_work(J, 1)) return 0;
    if (pare_jv_is_number(a) && pare_jv_is_number(b)) return cmp_number(a, b);
    if (a.type == PARE_JV_STR && b.type == PARE_JV_STR) return cmp_str(a.u.s, b.u.s);
    if (a.type == b.type && (a.type == PARE_JV_LIST || a.type == PARE_JV_TUPLE)) return cmp_list(J, a.u.l, b.u.l, op);
    if (a.type == PARE_JV_UNDEF) pare_jinja_undefined_error(J, a);
    if (b.type == PARE_JV_UNDEF) pare_jinja_undefined_error(J, b);
    pare_jinja_fail(J, PARE_E_CORRUPT, "'%s' not supported between instances of '%s' and '%s'", op, pare_jv_typename(a),
                    pare_jv_typename(b));
    return 0;
}

/* ---- iteration */

bool pare_jv_iterable(struct pare_jv v)
{
    return pare_jv_len(v) >= 0 || v.type == PARE_JV_GEN || v.type == PARE_JV_LOOP;
}

static void iter_dict(struct pare_jinja *J, struct pare_jv v, struct pare_jiter *it)
{
    const struct pare_jdict *d = v.u.d;
    struct pare_jlist       *l = pare_jlist_new(J, d->live);

    pare_jinja_work(J, d->n / 4);
    for (uint32_t i = 0; i < d->n && J->err == 0; i++) {
        const struct pare_jentry *e = &d->e[i];
        if (e->key.type == PARE_JV_ABSENT) continue;
        if (v.type == PARE_JV_DICT || v.sub == PARE_JVIEW_KEYS) pare_jlist_add(J, l, e->key);
        else if (v.sub == PARE_JVIEW_VALUES) pare_jlist_add(J, l, e->val);
        else pare_jlist_add(J, l, pare_jv_pair(J, e->key, e->val));
    }
    it->v = l->v;
    it->n = l->n;
}

bool pare_jv_iter(struct pare_jinja *J, struct pare_jv v, struct pare_jiter *it)
{
    *it = (struct pare_jiter){ 0 };
    if (J->err != 0) return false;
    switch (v.type) {
    case PARE_JV_UNDEF:
        if (v.sub == PARE_JU_METHOD) pare_jinja_undefined_error(J, v);
        break;
    case PARE_JV_LIST:
    case PARE_JV_TUPLE:
        it->v = v.u.l->v;
        it->n = v.u.l->n;
        break;
    case PARE_JV_GEN:
        it->v = v.u.g->l->v == NULL ? NULL : v.u.g->l->v + v.u.g->pos;
        it->n = v.u.g->l->n - v.u.g->pos;
        v.u.g->pos = v.u.g->l->n;
        break;
    case PARE_JV_DICT:
    case PARE_JV_VIEW: iter_dict(J, v, it); break;
    case PARE_JV_RANGE:
        it->r = v.u.r;
        it->n = (size_t)v.u.r->n;
        break;
    case PARE_JV_STR:
        it->s = v.u.s;
        it->n = v.u.s->chars;
        break;
    default:
        pare_jinja_fail(J, PARE_E_CORRUPT, "'%s' object is not iterable", pare_jv_typename(v));
        return false;
    }
    return J->err == 0;
}

bool pare_jiter_next(struct pare_jinja *J, struct pare_jiter *it, struct pare_jv *out)
{
    size_t n;

    if (it->i >= it->n || !pare_jinja_work(J, 1)) return false;
    if (it->r != NULL) {
        *out = pare_jv_int(it->r->start + (int64_t)it->i * it->r->step);
    } else if (it->s != NULL) {
        n = pare_jtext_step(it->s->p + it->at);
        *out = pare_jv_ref(J, it->s->p + it->at, n);
        it->at += n;
    } else {
        *out = it->v[it->i];
    }
    it->i++;
    return J->err == 0;
}

struct pare_jlist *pare_jv_tolist(struct pare_jinja *J, struct pare_jv v)
{
    struct pare_jlist *l;
    struct pare_jiter  it;
    struct pare_jv     x;

    if (!pare_jv_iter(J, v, &it)) return pare_jlist_new(J, 0);
    l = pare_jlist_new(J, it.n);
    while (pare_jiter_next(J, &it, &x)) pare_jlist_add(J, l, x);
    return l;
}

bool pare_jv_contains(struct pare_jinja *J, struct pare_jv seq, struct pare_jv x)
{
    struct pare_jiter it;
    struct pare_jv    y;

    if (J->err != 0) return false;
    if (seq.type == PARE_JV_STR) {
        if (x.type != PARE_JV_STR) {
            pare_jinja_fail(J, PARE_E_CORRUPT, "'in <string>' requires string as left operand, not %s", pare_jv_typename(x));
            return false;
        }
        return pare_jinja_work(J, seq.u.s->n / 16) && pare_jtext_find(seq.u.s->p, seq.u.s->n, x.u.s->p, x.u.s->n) >= 0;
    }
    if (seq.type == PARE_JV_DICT || (seq.type == PARE_JV_VIEW && seq.sub == PARE_JVIEW_KEYS))
        return pare_jdict_find(J, seq.u.d, x) != NULL;
    if (!pare_jv_iterable(seq) || seq.type == PARE_JV_LOOP) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "argument of type '%s' is not iterable", pare_jv_typename(seq));
        return false;
    }
    if (!pare_jv_iter(J, seq, &it)) return false;
    while (pare_jiter_next(J, &it, &y))
        if (pare_jv_eq(J, y, x)) return true;
    return false;
}
