/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_dict.c: dictionaries that keep insertion order. Small ones are searched; larger ones have an index by hash. */
#include "token/jinja_value.h"

#include <math.h>
#include <string.h>

#define SMALL 8

uint64_t pare_jstr_hash(struct pare_jstr *s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, 64 bit */

    if (s->hash != 0) return s->hash;
    for (size_t i = 0; i < s->n; i++) h = (h ^ (uint8_t)s->p[i]) * 0x100000001b3u;
    s->hash = h == 0 ? 1 : h;
    return s->hash;
}

/* Equal values hash alike: 1, 1.0 and True are one key, as in Python. */
uint64_t pare_jv_hash(struct pare_jinja *J, struct pare_jv v)
{
    uint64_t h;
    double   f;

    switch (v.type) {
    case PARE_JV_STR: return pare_jstr_hash(v.u.s);
    case PARE_JV_BOOL: return v.u.b ? 1 : 0;
    case PARE_JV_INT: return (uint64_t)v.u.i;
    case PARE_JV_FLOAT:
        f = v.u.f;
        if (f == trunc(f) && f >= -9223372036854775808.0 && f < 9223372036854775808.0) return (uint64_t)(int64_t)f;
        memcpy(&h, &f, sizeof h);
        return h;
    case PARE_JV_TUPLE:
        h = 0x345678;
        if (!pare_jinja_enter(J)) return 0;
        for (size_t i = 0; i < v.u.l->n && J->err == 0; i++) h = h * 0x9e3779b97f4a7c15u + pare_jv_hash(J, v.u.l->v[i]);
        pare_jinja_leave(J);
        return h;
    case PARE_JV_NONE: return 0x6e6f6e65;
    case PARE_JV_UNDEF: return 0x756e6465;
    case PARE_JV_LIST:
    case PARE_JV_DICT: pare_jinja_fail(J, PARE_E_CORRUPT, "unhashable type: '%s'", pare_jv_typename(v)); return 0;
    default: return (uint64_t)(uintptr_t)v.u.p;
    }
}

struct pare_jdict *pare_jdict_new(struct pare_jinja *J)
{
    static struct pare_jdict empty_dict; /* after a failure; pare_jdict_set looks at J->err before it writes */
    struct pare_jdict       *d = pare_jinja_work(J, 1) ? pare_jinja_alloc(J, sizeof *d) : NULL;

    return d == NULL ? &empty_dict : d;
}

struct pare_jv pare_jv_dict(struct pare_jdict *d) { return (struct pare_jv){ .type = PARE_JV_DICT, .u.d = d }; }

static bool same_key(struct pare_jinja *J, const struct pare_jentry *e, struct pare_jv key, uint64_t hash)
{
    if (e->key.type == PARE_JV_ABSENT || e->hash != hash) return false;
    if (e->key.type == PARE_JV_STR && key.type == PARE_JV_STR) return pare_jstr_eq(e->key.u.s, key.u.s);
    return pare_jv_eq(J, e->key, key);
}

static struct pare_jentry *find(struct pare_jinja *J, const struct pare_jdict *d, struct pare_jv key, uint64_t hash)
{
    if (d->index == NULL) {
        for (uint32_t i = 0; i < d->n; i++)
            if (same_key(J, &d->e[i], key, hash)) return &d->e[i];
        return NULL;
    }
    for (uint32_t at = (uint32_t)(hash ^ hash >> 32) & (d->index_cap - 1); d->index[at] != 0; at = (at + 1) & (d->index_cap - 1)) {
        if (!pare_jinja_work(J, 1)) return NULL; /* keys chosen to collide cost the template its own work */
        if (same_key(J, &d->e[d->index[at] - 1], key, hash)) return &d->e[d->index[at] - 1];
    }
    return NULL;
}

struct pare_jentry *pare_jdict_find(struct pare_jinja *J, const struct pare_jdict *d, struct pare_jv key)
{
    uint64_t hash = pare_jv_hash(J, key);

    return J->err != 0 ? NULL : find(J, d, key, hash);
}

struct pare_jentry *pare_jdict_find_str(struct pare_jinja *J, const struct pare_jdict *d, struct pare_jstr *key)
{
    return J->err != 0 ? NULL : find(J, d, pare_jv_str(key), pare_jstr_hash(key));
}

static void index_put(struct pare_jdict *d, uint32_t slot)
{
    uint64_t hash = d->e[slot].hash;
    uint32_t at = (uint32_t)(hash ^ hash >> 32) & (d->index_cap - 1);

    while (d->index[at] != 0) at = (at + 1) & (d->index_cap - 1);
    d->index[at] = slot + 1;
}

static bool make_room(struct pare_jinja *J, struct pare_jdict *d)
{
    size_t              cap = d->cap;
    struct pare_jentry *e;
    uint32_t           *index;

    if (d->n == d->cap) {
        if (!pare_jinja_work(J, d->n / 2)) return false;
        e = pare_jinja_grow(J, d->e, d->n, (size_t)d->n + 1, sizeof *e, &cap);
        if (e == NULL) return false;
        d->e = e;
        d->cap = (uint32_t)cap; /* bounded by the pool: far below 2^32 */
    }
    if (d->n + 1 > SMALL && (d->n + 1) * 2 > d->index_cap) {
        uint32_t want = d->index_cap == 0 ? 4 * SMALL : d->index_cap * 2;
        index = pare_jinja_alloc(J, want * sizeof *index);
        if (index == NULL) return false;
        d->index = index;
        d->index_cap = want;
        for (uint32_t i = 0; i < d->n; i++) index_put(d, i);
    }
    return true;
}

void pare_jdict_set(struct pare_jinja *J, struct pare_jdict *d, struct pare_jv key, struct pare_jv val)
{
    uint64_t            hash = J->err != 0 ? 0 : pare_jv_hash(J, key);
    struct pare_jentry *e;

    if (J->err != 0) return;
    e = find(J, d, key, hash);
    if (e != NULL) {
        e->val = val;
        return;
    }
    if (!make_room(J, d)) return;
    d->e[d->n] = (struct pare_jentry){ key, val, hash };
    if (d->index != NULL) index_put(d, d->n);
    d->n++;
    d->live++;
}

void pare_jdict_set_str(struct pare_jinja *J, struct pare_jdict *d, struct pare_jstr *key, struct pare_jv val)
{
    pare_jdict_set(J, d, pare_jv_str(key), val);
}

/* The slot stays, so that probing and iteration keep their places. */
void pare_jdict_remove(struct pare_jdict *d, struct pare_jentry *e)
{
    e->key.type = PARE_JV_ABSENT;
    d->live--;
}
