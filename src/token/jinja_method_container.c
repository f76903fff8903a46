/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_method_container.c: the methods of lists, tuples, dictionaries, ranges, floats and cyclers. Those that change
 * their object run, although the reference's sandbox refuses them: engines other than it allow them, and templates rely on it. */
#include <math.h>
#include <string.h>

#include "token/jinja_strings.h"

#define METHOD(name) static struct pare_jv name(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a)

/* ---- lists and tuples */

METHOD(l_append)
{
    pare_jlist_add(J, self.u.l, a[0]);
    return pare_jv_none();
}

METHOD(l_extend)
{
    struct pare_jlist *l = pare_jv_tolist(J, a[0]);

    for (size_t i = 0; i < l->n && J->err == 0; i++) pare_jlist_add(J, self.u.l, l->v[i]);
    return pare_jv_none();
}

/* Where an index given by the template lies; at most n. */
static size_t place(int64_t i, size_t n)
{
    if (i < 0) i = i < -(int64_t)n ? 0 : i + (int64_t)n;
    return (uint64_t)i > n ? n : (size_t)i;
}

METHOD(l_insert)
{
    struct pare_jlist *l = self.u.l;
    size_t             at = place(pare_jarg_int(J, a[0], 0), l->n);

    pare_jlist_add(J, l, a[1]);
    if (J->err != 0) return pare_jv_undef();
    memmove(l->v + at + 1, l->v + at, (l->n - 1 - at) * sizeof *l->v);
    pare_jinja_work(J, (l->n - at) / 4);
    l->v[at] = a[1];
    return pare_jv_none();
}

static struct pare_jv take(struct pare_jinja *J, struct pare_jlist *l, size_t at)
{
    struct pare_jv v = l->v[at];

    pare_jinja_work(J, (l->n - at) / 4);
    memmove(l->v + at, l->v + at + 1, (l->n - 1 - at) * sizeof *l->v);
    l->n--;
    return v;
}

METHOD(l_pop)
{
    int64_t i = pare_jarg_int(J, a[0], -1), n = (int64_t)self.u.l->n;

    if (i < 0) i += n;
    if (J->err == 0 && i >= 0 && i < n) return take(J, self.u.l, (size_t)i);
    pare_jinja_fail(J, PARE_E_CORRUPT, n == 0 ? "pop from empty list" : "pop index out of range");
    return pare_jv_undef();
}

static int64_t position(struct pare_jinja *J, const struct pare_jlist *l, struct pare_jv x, size_t from)
{
    for (size_t i = from; i < l->n && J->err == 0; i++)
        if (pare_jv_eq(J, l->v[i], x)) return (int64_t)i;
    return -1;
}

METHOD(l_remove)
{
    int64_t i = position(J, self.u.l, a[0], 0);

    if (i >= 0 && J->err == 0) take(J, self.u.l, (size_t)i);
    else pare_jinja_fail(J, PARE_E_CORRUPT, "list.remove(x): x not in list");
    return pare_jv_none();
}

METHOD(l_index)
{
    int64_t i = position(J, self.u.l, a[0], place(pare_jarg_int(J, a[1], 0), self.u.l->n));

    if (i < 0) pare_jinja_fail(J, PARE_E_CORRUPT, "the value is not in the %s", pare_jv_typename(self));
    return pare_jv_int(i);
}

METHOD(l_count)
{
    int64_t n = 0;

    for (size_t i = 0; i < self.u.l->n && J->err == 0; i++) n += pare_jv_eq(J, self.u.l->v[i], a[0]);
    return pare_jv_int(n);
}

METHOD(l_clear)
{
    (void)a;
    if (J->err == 0 && self.u.l->n > 0) self.u.l->n = 0;
    return pare_jv_none();
}

METHOD(l_reverse)
{
    struct pare_jlist *l = self.u.l;

    (void)a;
    for (size_t i = 0; i < l->n / 2 && pare_jinja_work(J, 1); i++) {
        struct pare_jv t = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = t;
    }
    return pare_jv_none();
}

METHOD(l_sort)
{
    struct pare_jlist *keys = pare_jv_tolist(J, self);

    if (J->err == 0) pare_jinja_sort(J, self.u.l->v, keys->v, keys->n, pare_jarg_bool(J, a[0], false));
    return pare_jv_none();
}

METHOD(l_copy)
{
    (void)a;
    return pare_jv_list(pare_jv_tolist(J, self));
}

/* ---- dictionaries */

static struct pare_jv view(struct pare_jv self, enum pare_jv_view which)
{
    self.type = PARE_JV_VIEW;
    self.sub = (uint8_t)which;
    return self;
}
METHOD(d_keys)
{
    (void)J, (void)a;
    return view(self, PARE_JVIEW_KEYS);
}
METHOD(d_values)
{
    (void)J, (void)a;
    return view(self, PARE_JVIEW_VALUES);
}
METHOD(d_items)
{
    (void)J, (void)a;
    return view(self, PARE_JVIEW_ITEMS);
}

METHOD(d_get)
{
    const struct pare_jentry *e = pare_jdict_find(J, self.u.d, a[0]);

    return e != NULL ? e->val : a[1].type == PARE_JV_ABSENT ? pare_jv_none() : a[1];
}

METHOD(d_setdefault)
{
    const struct pare_jentry *e = pare_jdict_find(J, self.u.d, a[0]);
    struct pare_jv            v = a[1].type == PARE_JV_ABSENT ? pare_jv_none() : a[1];

    if (e != NULL) return e->val;
    pare_jdict_set(J, self.u.d, a[0], v);
    return v;
}

METHOD(d_pop)
{
    struct pare_jentry *e = pare_jdict_find(J, self.u.d, a[0]);
    struct pare_jv      v;

    if (e == NULL) {
        if (a[1].type == PARE_JV_ABSENT) pare_jinja_fail(J, PARE_E_CORRUPT, "pop() of a key that is not in the dict");
        return a[1].type == PARE_JV_ABSENT ? pare_jv_undef() : a[1];
    }
    v = e->val;
    pare_jdict_remove(self.u.d, e);
    return v;
}

METHOD(d_popitem)
{
    (void)a;
    for (uint32_t i = self.u.d->n; i-- > 0;) {
        struct pare_jentry *e = &self.u.d->e[i];
        struct pare_jv      key = e->key;
        if (!pare_jinja_work(J, 1)) break;
        if (key.type == PARE_JV_ABSENT) continue;
        pare_jdict_remove(self.u.d, e);
        return pare_jv_pair(J, key, e->val);
    }
    pare_jinja_fail(J, PARE_E_CORRUPT, "popitem(): dictionary is empty");
    return pare_jv_undef();
}

METHOD(d_clear)
{
    (void)a;
    pare_jinja_work(J, self.u.d->n / 4);
    for (uint32_t i = 0; i < self.u.d->n; i++)
        if (self.u.d->e[i].key.type != PARE_JV_ABSENT) pare_jdict_remove(self.u.d, &self.u.d->e[i]);
    return pare_jv_none();
}

/* What dict() and dict.update() accept: a mapping, or pairs. */
static void merge(struct pare_jinja *J, struct pare_jdict *d, struct pare_jv from)
{
    struct pare_jiter it;
    struct pare_jv    x;

    if (from.type == PARE_JV_DICT || from.type == PARE_JV_NS) from = view(from, PARE_JVIEW_ITEMS);
    if (!pare_jv_iter(J, from, &it)) return;
    while (pare_jiter_next(J, &it, &x)) {
        struct pare_jlist *pair = pare_jv_tolist(J, x);
        if (J->err != 0) return;
        if (pair->n != 2) {
            pare_jinja_fail(J, PARE_E_CORRUPT, "dictionary update sequence element has length %zu; 2 is required", pair->n);
            return;
        }
        pare_jdict_set(J, d, pair->v[0], pair->v[1]);
    }
}

static struct pare_jv d_update(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args)
{
    if (args->n > 1) pare_jinja_fail(J, PARE_E_CORRUPT, "update expected at most 1 argument, got %zu", args->n);
    if (args->n == 1) merge(J, self.u.d, args->v[0]);
    for (size_t i = 0; i < args->nkw && J->err == 0; i++) pare_jdict_set_str(J, self.u.d, args->kw[i].name, args->kw[i].val);
    return pare_jv_none();
}

METHOD(d_copy)
{
    struct pare_jdict *d = pare_jdict_new(J);

    (void)a;
    merge(J, d, self);
    return pare_jv_dict(d);
}

/* ---- others */

METHOD(f_is_integer)
{
    (void)J, (void)a;
    return pare_jv_bool(isfinite(self.u.f) && self.u.f == trunc(self.u.f));
}

METHOD(i_bit_length)
{
    uint64_t u = self.u.i < 0 ? 0 - (uint64_t)self.u.i : (uint64_t)self.u.i;
    int64_t  n = 0;

    (void)J, (void)a;
    for (; u != 0; u >>= 1) n++;
    return pare_jv_int(n);
}

METHOD(c_next)
{
    struct pare_jcycler *c = self.u.cycler;
    struct pare_jv       v = c->l->v[c->pos];

    (void)J, (void)a;
    c->pos = (c->pos + 1) % c->l->n;
    return v;
}
METHOD(c_reset)
{
    (void)J, (void)a;
    self.u.cycler->pos = 0;
    return pare_jv_none();
}

static const struct pare_jmethod_row rows[] = {
    { "append", "object /", l_append, NULL, PARE_JV_LIST, true },
    { "extend", "iterable /", l_extend, NULL, PARE_JV_LIST, true },
    { "insert", "index object /", l_insert, NULL, PARE_JV_LIST, true },
    { "pop", "index", l_pop, NULL, PARE_JV_LIST, true },
    { "remove", "value /", l_remove, NULL, PARE_JV_LIST, true },
    { "clear", "", l_clear, NULL, PARE_JV_LIST, true },
    { "reverse", "", l_reverse, NULL, PARE_JV_LIST, true },
    { "sort", "reverse", l_sort, NULL, PARE_JV_LIST, true },
    { "index", "value / start", l_index, NULL, PARE_JV_LIST, false },
    { "count", "value /", l_count, NULL, PARE_JV_LIST, false },
    { "copy", "", l_copy, NULL, PARE_JV_LIST, false },
    { "index", "value / start", l_index, NULL, PARE_JV_TUPLE, false },
    { "count", "value /", l_count, NULL, PARE_JV_TUPLE, false },
    { "keys", "", d_keys, NULL, PARE_JV_DICT, false },
    { "values", "", d_values, NULL, PARE_JV_DICT, false },
    { "items", "", d_items, NULL, PARE_JV_DICT, false },
    { "get", "key / default", d_get, NULL, PARE_JV_DICT, false },
    { "copy", "", d_copy, NULL, PARE_JV_DICT, false },
    { "setdefault", "key / default", d_setdefault, NULL, PARE_JV_DICT, true },
    { "pop", "key / default", d_pop, NULL, PARE_JV_DICT, true },
    { "popitem", "", d_popitem, NULL, PARE_JV_DICT, true },
    { "clear", "", d_clear, NULL, PARE_JV_DICT, true },
    { "update", "", NULL, d_update, PARE_JV_DICT, true },
    { "is_integer", "", f_is_integer, NULL, PARE_JV_FLOAT, false },
    { "bit_length", "", i_bit_length, NULL, PARE_JV_INT, false },
    { "next", "", c_next, NULL, PARE_JV_CYCLER, false },
    { "reset", "", c_reset, NULL, PARE_JV_CYCLER, false },
};

const struct pare_jmethod_row *pare_jinja_container_method(uint8_t type, const struct pare_jstr *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].type == type && pare_jstr_is(name, rows[i].name)) return &rows[i];
    return NULL;
}
