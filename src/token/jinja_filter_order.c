/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_filter_order.c: sorting, extremes and grouping. Sorting is stable; strings compare without case unless asked. */
#include <string.h>

#include "token/jinja_strings.h"

#define FILTER(name) static struct pare_jv name(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a)

/* Merges the sorted runs [lo, mid) and [mid, hi) of idx through tmp. */
static void merge(struct pare_jinja *J, const struct pare_jv *keys, size_t *idx, size_t *tmp, size_t lo, size_t mid, size_t hi,
                  bool reverse)
{
    size_t i = lo, j = mid, k = lo;

    while (i < mid && j < hi) {
        /* the later element goes first only when it is strictly smaller (larger): that keeps equal ones in place */
        int c = reverse ? pare_jv_cmp(J, keys[idx[i]], keys[idx[j]], "<") : pare_jv_cmp(J, keys[idx[j]], keys[idx[i]], "<");
        tmp[k++] = c == -1 ? idx[j++] : idx[i++];
        if (J->err != 0) return;
    }
    while (i < mid) tmp[k++] = idx[i++];
    while (j < hi) tmp[k++] = idx[j++];
    memcpy(idx + lo, tmp + lo, (hi - lo) * sizeof *idx);
}

void pare_jinja_sort(struct pare_jinja *J, struct pare_jv *v, struct pare_jv *keys, size_t n, bool reverse)
{
    size_t         *idx, *tmp;
    struct pare_jv *out;

    if (n < 2 || J->err != 0) return;
    idx = pare_jinja_alloc(J, n * sizeof *idx);
    tmp = pare_jinja_alloc(J, n * sizeof *tmp);
    out = pare_jinja_alloc(J, n * sizeof *out);
    if (J->err != 0 || idx == NULL || tmp == NULL || out == NULL) return;
    for (size_t i = 0; i < n; i++) idx[i] = i;
    for (size_t width = 1; width < n && J->err == 0; width *= 2)
        for (size_t lo = 0; lo + width < n && J->err == 0; lo += 2 * width)
            merge(J, keys, idx, tmp, lo, lo + width, lo + 2 * width < n ? lo + 2 * width : n, reverse);
    if (J->err != 0) return;
    for (size_t i = 0; i < n; i++) out[i] = v[idx[i]];
    memcpy(v, out, n * sizeof *v);
}

static struct pare_jv fold(struct pare_jinja *J, struct pare_jv v, bool case_sensitive)
{
    return v.type == PARE_JV_STR && !case_sensitive ? pare_jstr_case(J, v.u.s, PARE_JCASE_LOWER) : v;
}

static struct pare_jv key_of(struct pare_jinja *J, struct pare_jv x, struct pare_jv path, struct pare_jv dflt, bool case_sensitive)
{
    return fold(J, pare_jinja_getpath(J, x, path, dflt), case_sensitive);
}

static struct pare_jv absent(void) { return (struct pare_jv){ .type = PARE_JV_ABSENT }; }

/* "a,b.c" sorts by several paths. */
static struct pare_jv multi_key(struct pare_jinja *J, struct pare_jv x, struct pare_jv paths, bool case_sensitive)
{
    struct pare_jlist *l, *parts;

    if (paths.type != PARE_JV_STR) return key_of(J, x, paths, absent(), case_sensitive);
    l = pare_jlist_new(J, 0);
    parts = pare_jstr_split(J, paths.u.s, pare_jstr_ref(J, ",", 1), -1, false);
    for (size_t i = 0; i < parts->n && J->err == 0; i++) pare_jlist_add(J, l, key_of(J, x, parts->v[i], absent(), case_sensitive));
    return pare_jv_list(l);
}

FILTER(f_sort)
{
    struct pare_jlist *l = pare_jv_tolist(J, self), *keys = pare_jlist_new(J, 0);
    bool               reverse = pare_jarg_bool(J, a[0], false), cs = pare_jarg_bool(J, a[1], false);

    for (size_t i = 0; i < l->n && J->err == 0; i++) pare_jlist_add(J, keys, multi_key(J, l->v[i], a[2], cs));
    if (J->err == 0) pare_jinja_sort(J, l->v, keys->v, l->n, reverse);
    return pare_jv_list(l);
}

FILTER(f_dictsort)
{
    bool               cs = pare_jarg_bool(J, a[0], false), reverse = pare_jarg_bool(J, a[2], false), by_value;
    struct pare_jstr  *by = pare_jarg_str(J, a[1], "key");
    struct pare_jlist *l, *keys = pare_jlist_new(J, 0);

    by_value = pare_jstr_is(by, "value");
    if (!by_value && !pare_jstr_is(by, "key")) pare_jinja_fail(J, PARE_E_CORRUPT, "You can only sort by either \"key\" or \"value\"");
    if (self.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, self);
    if (self.type != PARE_JV_DICT) pare_jinja_fail(J, PARE_E_CORRUPT, "'%s' object has no attribute 'items'", pare_jv_typename(self));
    if (J->err != 0) return self;
    self.type = PARE_JV_VIEW;
    self.sub = PARE_JVIEW_ITEMS;
    l = pare_jv_tolist(J, self);
    for (size_t i = 0; i < l->n && J->err == 0; i++) pare_jlist_add(J, keys, fold(J, l->v[i].u.l->v[by_value], cs));
    if (J->err == 0) pare_jinja_sort(J, l->v, keys->v, l->n, reverse);
    return pare_jv_list(l);
}

FILTER(f_unique)
{
    struct pare_jlist *out = pare_jlist_new(J, 0);
    struct pare_jdict *seen = pare_jdict_new(J);
    bool               cs = pare_jarg_bool(J, a[0], false);
    struct pare_jiter  it;
    struct pare_jv     x, key;

    if (!pare_jv_iter(J, self, &it)) return self;
    while (pare_jiter_next(J, &it, &x)) {
        key = key_of(J, x, a[1], absent(), cs);
        if (J->err != 0 || pare_jdict_find(J, seen, key) != NULL) continue;
        pare_jdict_set(J, seen, key, pare_jv_none());
        pare_jlist_add(J, out, x);
    }
    return pare_jv_gen(J, out);
}

static struct pare_jv extreme(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a, bool max)
{
    bool              cs = pare_jarg_bool(J, a[0], false);
    struct pare_jiter it;
    struct pare_jv    x, key, best, best_key = absent();

    if (!pare_jv_iter(J, self, &it)) return self;
    best = pare_jv_undef_hint(J, "No aggregated item, sequence was empty.");
    while (pare_jiter_next(J, &it, &x)) {
        key = key_of(J, x, a[1], absent(), cs);
        if (J->err != 0) break;
        if (best_key.type != PARE_JV_ABSENT && pare_jv_cmp(J, key, best_key, max ? ">" : "<") != (max ? 1 : -1)) continue;
        best = x;
        best_key = key;
    }
    return best;
}
FILTER(f_min) { return extreme(J, self, a, false); }
FILTER(f_max) { return extreme(J, self, a, true); }

FILTER(f_groupby)
{
    struct pare_jlist *l = pare_jv_tolist(J, self), *keys = pare_jlist_new(J, 0), *out = pare_jlist_new(J, 0), *group = NULL;
    bool               cs = pare_jarg_bool(J, a[2], false);
    struct pare_jv     last = absent(), pair;

    for (size_t i = 0; i < l->n && J->err == 0; i++) pare_jlist_add(J, keys, key_of(J, l->v[i], a[0], a[1], cs));
    if (J->err == 0) pare_jinja_sort(J, l->v, keys->v, l->n, false);
    for (size_t i = 0; i < l->n && J->err == 0; i++) {
        struct pare_jv key = key_of(J, l->v[i], a[0], a[1], cs);
        if (group == NULL || !pare_jv_eq(J, key, last)) {
            group = pare_jlist_new(J, 0);
            pair = pare_jv_pair(J, pare_jinja_getpath(J, l->v[i], a[0], a[1]), pare_jv_list(group));
            pair.sub = 1;
            pare_jlist_add(J, out, pair);
            last = key;
        }
        pare_jlist_add(J, group, l->v[i]);
    }
    return pare_jv_list(out);
}

static const struct pare_jfunc rows[] = {
    { "sort", "reverse case_sensitive attribute", f_sort, NULL },
    { "dictsort", "case_sensitive by reverse", f_dictsort, NULL },
    { "unique", "case_sensitive attribute", f_unique, NULL },
    { "min", "case_sensitive attribute", f_min, NULL },
    { "max", "case_sensitive attribute", f_max, NULL },
    { "groupby", "attribute / default case_sensitive", f_groupby, NULL },
};

const struct pare_jfunc *pare_jinja_filter_order(const struct pare_jstr *name)
{
    return pare_jinja_find_row(rows, sizeof rows / sizeof rows[0], name);
}
