/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_filter_list.c: filters over sequences that keep their order. Those that the reference implements as generators
 * return a generator here too: it is read once, has no length and is not JSON. */
#include <string.h>

#include "token/jinja_strings.h"

#define FILTER(name) static struct pare_jv name(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a)

FILTER(f_length)
{
    int64_t n = self.type == PARE_JV_LOOP ? (int64_t)self.u.loop->n : pare_jv_len(self);

    (void)a;
    if (n < 0) pare_jinja_fail(J, PARE_E_CORRUPT, "object of type '%s' has no len()", pare_jv_typename(self));
    return pare_jv_int(n);
}

FILTER(f_list)
{
    (void)a;
    return pare_jv_list(pare_jv_tolist(J, self));
}

FILTER(f_first)
{
    struct pare_jiter it;
    struct pare_jv    x;
    size_t            pos = self.type == PARE_JV_GEN ? self.u.g->pos : 0;

    (void)a;
    if (pare_jv_iter(J, self, &it) && pare_jiter_next(J, &it, &x)) {
        if (self.type == PARE_JV_GEN) self.u.g->pos = pos + 1; /* the rest can still be read */
        return x;
    }
    return pare_jv_undef_hint(J, "No first item, sequence was empty.");
}

FILTER(f_last)
{
    struct pare_jlist *l;

    (void)a;
    if (pare_jv_len(self) < 0) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "'%s' object is not reversible", pare_jv_typename(self));
        return self;
    }
    l = pare_jv_tolist(J, self);
    return l->n > 0 && J->err == 0 ? l->v[l->n - 1] : pare_jv_undef_hint(J, "No last item, sequence was empty.");
}

static struct pare_jv absent(void) { return (struct pare_jv){ .type = PARE_JV_ABSENT }; }

FILTER(f_join)
{
    struct pare_jstr *sep = a[0].type == PARE_JV_ABSENT ? pare_jstr_ref(J, "", 0) : pare_jv_tostr(J, a[0]), *s;
    struct pare_buf   b = pare_jinja_buf();
    struct pare_jiter it;
    struct pare_jv    x;

    if (!pare_jv_iter(J, self, &it)) return self;
    for (size_t i = 0; pare_jiter_next(J, &it, &x); i++) {
        x = pare_jinja_getpath(J, x, a[1], absent());
        if (J->err != 0) break;
        s = pare_jv_tostr(J, x);
        if (i > 0) pare_jinja_buf_add(J, &b, sep->p, sep->n);
        pare_jinja_buf_add(J, &b, s->p, s->n);
    }
    return pare_jv_take(J, &b);
}

FILTER(f_items)
{
    (void)a;
    if (self.type == PARE_JV_UNDEF) return pare_jv_gen(J, pare_jlist_new(J, 0));
    if (self.type != PARE_JV_DICT) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "Can only get item pairs from a mapping.");
        return self;
    }
    self.type = PARE_JV_VIEW;
    self.sub = PARE_JVIEW_ITEMS;
    return pare_jv_gen(J, pare_jv_tolist(J, self));
}

FILTER(f_reverse)
{
    struct pare_jlist *l;
    struct pare_jv     v;

    (void)a;
    if (self.type == PARE_JV_STR)
        return pare_jinja_slice(J, self, pare_jv_none(), pare_jv_none(), pare_jv_int(-1));
    l = pare_jv_tolist(J, self);
    for (size_t i = 0; J->err == 0 && i < l->n / 2; i++) {
        v = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = v;
    }
    return pare_jv_gen(J, l);
}

FILTER(f_batch)
{
    int64_t            size = pare_jarg_int(J, a[0], 0);
    struct pare_jlist *in = pare_jv_tolist(J, self), *out = pare_jlist_new(J, 0), *row = NULL;

    for (size_t i = 0; i < in->n && J->err == 0; i++) {
        if (row == NULL || (int64_t)row->n == size) {
            if (row != NULL) pare_jlist_add(J, out, pare_jv_list(row));
            row = pare_jlist_new(J, 0);
        }
        pare_jlist_add(J, row, in->v[i]);
    }
    if (row == NULL) return pare_jv_gen(J, out);
    while (!pare_jarg_none(a[1]) && (int64_t)row->n < size && pare_jinja_work(J, 1)) pare_jlist_add(J, row, a[1]);
    pare_jlist_add(J, out, pare_jv_list(row));
    return pare_jv_gen(J, out);
}

FILTER(f_slice)
{
    int64_t            slices = pare_jarg_int(J, a[0], 0), each, extra;
    struct pare_jlist *in = pare_jv_tolist(J, self), *out = pare_jlist_new(J, 0);
    size_t             at = 0;

    if (slices == 0) pare_jinja_fail(J, PARE_E_CORRUPT, "integer division or modulo by zero");
    if (J->err != 0 || slices < 0) return pare_jv_gen(J, out);
    each = (int64_t)in->n / slices;
    extra = (int64_t)in->n % slices;
    for (int64_t k = 0; k < slices && pare_jinja_work(J, 1); k++) {
        struct pare_jlist *row = pare_jlist_new(J, 0);
        for (int64_t i = 0; i < each + (k < extra); i++) pare_jlist_add(J, row, in->v[at++]);
        if (!pare_jarg_none(a[1]) && k >= extra) pare_jlist_add(J, row, a[1]);
        pare_jlist_add(J, out, pare_jv_list(row));
    }
    return pare_jv_gen(J, out);
}

FILTER(f_sum)
{
    struct pare_jiter it;
    struct pare_jv    x, sum = a[1].type == PARE_JV_ABSENT ? pare_jv_int(0) : a[1];

    if (sum.type == PARE_JV_STR) pare_jinja_fail(J, PARE_E_CORRUPT, "sum() can't sum strings [use ''.join(seq) instead]");
    if (!pare_jv_iter(J, self, &it)) return self;
    while (pare_jiter_next(J, &it, &x)) {
        x = pare_jinja_getpath(J, x, a[0], absent());
        if (J->err == 0) sum = pare_jinja_binary(J, PARE_JOP_ADD, sum, x);
    }
    return sum;
}

/* ---- map, select and kin: a filter or test by name, with its arguments */

static const struct pare_jv *keyword(const struct pare_jargs *args, const char *name)
{
    for (size_t i = 0; i < args->nkw; i++)
        if (pare_jstr_is(args->kw[i].name, name)) return &args->kw[i].val;
    return NULL;
}

static struct pare_jv f_map(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args)
{
    struct pare_jlist    *out = pare_jlist_new(J, 0);
    const struct pare_jv *path = args->n == 0 ? keyword(args, "attribute") : NULL, *dflt = keyword(args, "default");
    struct pare_jargs     rest = *args;
    struct pare_jstr     *name = NULL;
    struct pare_jiter     it;
    struct pare_jv        x;

    if (!pare_jv_truth(J, self)) return pare_jv_gen(J, out);
    if (path == NULL) {
        if (args->n == 0) pare_jinja_fail(J, PARE_E_CORRUPT, "map requires a filter argument");
        else name = pare_jarg_str(J, args->v[0], NULL);
        rest.v = args->n > 1 ? args->v + 1 : NULL;
        rest.n = args->n > 0 ? args->n - 1 : 0;
    } else if (args->nkw > (size_t)1 + (dflt != NULL)) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "map got an unexpected keyword argument");
    }
    if (J->err != 0 || !pare_jv_iter(J, self, &it)) return self;
    while (pare_jiter_next(J, &it, &x)) {
        if (path != NULL) x = pare_jinja_getpath(J, x, *path, dflt != NULL ? *dflt : absent());
        else x = pare_jinja_call_filter(J, name, x, &rest);
        pare_jlist_add(J, out, x);
    }
    return pare_jv_gen(J, out);
}

static struct pare_jv choose(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args, bool want, bool attr)
{
    struct pare_jlist *out = pare_jlist_new(J, 0);
    struct pare_jargs  rest = *args;
    struct pare_jv     path = absent(), x, y;
    struct pare_jstr  *test = NULL;
    struct pare_jiter  it;
    size_t             off = 0;

    if (!pare_jv_truth(J, self)) return pare_jv_gen(J, out);
    if (attr && args->n == 0) pare_jinja_fail(J, PARE_E_CORRUPT, "missing parameter for attribute name");
    if (J->err != 0) return self;
    if (attr) path = args->v[off++];
    if (args->n > off) test = pare_jarg_str(J, args->v[off++], NULL);
    rest.v = args->n > off ? args->v + off : NULL;
    rest.n = args->n - off;
    if (!pare_jv_iter(J, self, &it)) return self;
    while (pare_jiter_next(J, &it, &x)) {
        bool yes;
        y = pare_jinja_getpath(J, x, path, absent());
        if (J->err != 0) break;
        yes = test != NULL ? pare_jinja_call_test(J, test, y, &rest) : pare_jv_truth(J, y);
        if (yes == want) pare_jlist_add(J, out, x);
    }
    return pare_jv_gen(J, out);
}

#define CHOOSE(name, want, attr)                                                                                       \
    static struct pare_jv name(struct pare_jinja *J, struct pare_jv v, const struct pare_jargs *args)                  \
    {                                                                                                                  \
        return choose(J, v, args, want, attr);                                                                         \
    }
CHOOSE(f_select, true, false)
CHOOSE(f_reject, false, false)
CHOOSE(f_selectattr, true, true)
CHOOSE(f_rejectattr, false, true)

static const struct pare_jfunc rows[] = {
    { "length", "", f_length, NULL },
    { "count", "", f_length, NULL },
    { "list", "", f_list, NULL },
    { "first", "", f_first, NULL },
    { "last", "", f_last, NULL },
    { "join", "d attribute", f_join, NULL },
    { "items", "", f_items, NULL },
    { "reverse", "", f_reverse, NULL },
    { "batch", "linecount / fill_with", f_batch, NULL },
    { "slice", "slices / fill_with", f_slice, NULL },
    { "sum", "attribute start", f_sum, NULL },
    { "map", "", NULL, f_map },
    { "select", "", NULL, f_select },
    { "reject", "", NULL, f_reject },
    { "selectattr", "", NULL, f_selectattr },
    { "rejectattr", "", NULL, f_rejectattr },
};

const struct pare_jfunc *pare_jinja_filter_list(const struct pare_jstr *name)
{
    return pare_jinja_find_row(rows, sizeof rows / sizeof rows[0], name);
}
