/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_loop.c: for loops and the special variable loop. */
#include <stdio.h>
#include <string.h>

#include "token/jinja_call.h"

/* The values that pass the loop's condition. The condition sees the target, but not the loop. */
static struct pare_jlist *filtered(struct pare_jinja *J, const struct pare_jnode *n, struct pare_jiter *it)
{
    struct pare_jlist  *l = pare_jlist_new(J, 0);
    struct pare_jscope *outer = J->scope, *inner = pare_jinja_scope(J, outer);
    struct pare_jv      x;

    while (pare_jiter_next(J, it, &x)) {
        J->scope = inner;
        pare_jinja_assign(J, n->a, x);
        if (pare_jv_truth(J, pare_jinja_eval(J, n->c))) pare_jlist_add(J, l, x);
        J->scope = outer;
        if (J->err != 0) break;
    }
    return l;
}

static struct pare_jv value_at(const struct pare_jloop *l, size_t i)
{
    return l->r != NULL ? pare_jv_int(l->r->start + (int64_t)i * l->r->step) : l->v[i];
}

/* All values at once: loop.length, loop.last and loop.nextitem look ahead anyway. */
static bool gather(struct pare_jinja *J, const struct pare_jnode *n, struct pare_jv iterable, struct pare_jloop *loop)
{
    struct pare_jiter  it;
    struct pare_jlist *l;

    if (!pare_jv_iter(J, iterable, &it)) return false;
    if (n->c != NULL) {
        l = filtered(J, n, &it);
    } else if (it.v != NULL || it.r != NULL || it.n == 0) {
        loop->r = it.r;
        loop->v = it.v; /* a snapshot: a list that grows moves, and its old values stay in the pool */
        loop->n = it.n;
        return true;
    } else {
        l = pare_jv_tolist(J, iterable);
    }
    loop->v = l->v;
    loop->n = l->n;
    return J->err == 0;
}

void pare_jinja_for(struct pare_jinja *J, const struct pare_jnode *n, struct pare_jv iterable, uint32_t depth0)
{
    static const char   special[] = "loop";
    struct pare_jloop  *loop = pare_jinja_alloc(J, sizeof *loop);
    struct pare_jscope *outer = J->scope, *inner;
    struct pare_jv      v = { .type = PARE_JV_LOOP };
    struct pare_jstr   *name = pare_jinja_intern(J, special, sizeof special - 1);

    if (loop == NULL || !gather(J, n, iterable, loop)) return;
    loop->node = n;
    loop->scope = outer;
    loop->depth0 = depth0;
    v.u.loop = loop;
    inner = pare_jinja_scope(J, outer);
    for (; loop->i < loop->n && J->err == 0; loop->i++) {
        /* every turn starts with fresh variables; one that a macro refers to is left to it */
        if (inner->captured) inner = pare_jinja_scope(J, outer);
        inner->n = 0;
        if (!pare_jinja_work(J, 1)) break;
        J->scope = inner;
        pare_jscope_set(J, inner, name, v);
        pare_jinja_assign(J, n->a, value_at(loop, loop->i));
        if (pare_jinja_exec(J, n->list, n->n) == PARE_JFLOW_BREAK) break;
        J->line = n->line;
    }
    J->scope = outer;
    if (loop->n == 0 && n->n2 > 0 && J->err == 0) {
        J->scope = pare_jinja_scope(J, outer);
        (void)pare_jinja_exec(J, n->list2, n->n2);
        J->scope = outer;
    }
}

/* loop(children) in a recursive loop: the same loop over other values, as text. */
struct pare_jv pare_jinja_call_loop(struct pare_jinja *J, struct pare_jloop *loop, const struct pare_jargs *args)
{
    struct pare_buf     b = { .max = PARE_JINJA_MAX_OUTPUT }, *out = J->out;
    struct pare_jscope *outer = J->scope;
    size_t              captured = J->captured;

    if (loop->node->flags == 0) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "the loop must have the 'recursive' marker to be called recursively");
        return pare_jv_undef();
    }
    if (args->n != 1 || args->nkw != 0) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "loop() takes one argument");
        return pare_jv_undef();
    }
    J->out = &b;
    J->scope = loop->scope;
    pare_jinja_for(J, loop->node, args->v[0], loop->depth0 + 1);
    J->scope = outer;
    J->out = out;
    J->captured = captured;
    return pare_jv_take(J, &b);
}

static struct pare_jv loop_cycle(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args)
{
    if (args->n > 0) return args->v[self.u.loop->i % args->n];
    pare_jinja_fail(J, PARE_E_CORRUPT, "no items for cycling given");
    return pare_jv_undef();
}

static struct pare_jv loop_changed(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args)
{
    struct pare_jloop *loop = self.u.loop;
    struct pare_jlist *l = pare_jlist_new(J, args->n);
    struct pare_jv     now = pare_jv_tuple(l);

    for (size_t i = 0; i < args->n; i++) pare_jlist_add(J, l, args->v[i]);
    if (J->err != 0 || (loop->has_last_changed && pare_jv_eq(J, loop->changed, now))) return pare_jv_bool(false);
    loop->has_last_changed = true;
    loop->changed = now;
    return pare_jv_bool(true);
}

static const struct pare_jmethod_row rows[] = {
    { "cycle", "", NULL, loop_cycle, PARE_JV_LOOP, false },
    { "changed", "", NULL, loop_changed, PARE_JV_LOOP, false },
};

struct pare_jv pare_jinja_loop_attr(struct pare_jinja *J, struct pare_jv v, const struct pare_jstr *name)
{
    const struct pare_jloop *l = v.u.loop;
    struct pare_jv           method = { .type = PARE_JV_METHOD };
    struct pare_jv           missing = { .type = PARE_JV_UNDEF, .sub = PARE_JU_ATTR, .owner = PARE_JV_LOOP };
    int64_t                  i = (int64_t)l->i, n = (int64_t)l->n;

    if (pare_jstr_is(name, "index")) return pare_jv_int(i + 1);
    if (pare_jstr_is(name, "index0")) return pare_jv_int(i);
    if (pare_jstr_is(name, "revindex")) return pare_jv_int(n - i);
    if (pare_jstr_is(name, "revindex0")) return pare_jv_int(n - i - 1);
    if (pare_jstr_is(name, "first")) return pare_jv_bool(i == 0);
    if (pare_jstr_is(name, "last")) return pare_jv_bool(i + 1 >= n);
    if (pare_jstr_is(name, "length")) return pare_jv_int(n);
    if (pare_jstr_is(name, "depth")) return pare_jv_int((int64_t)l->depth0 + 1);
    if (pare_jstr_is(name, "depth0")) return pare_jv_int(l->depth0);
    if (pare_jstr_is(name, "previtem")) return i > 0 ? value_at(l, l->i - 1) : pare_jv_undef_hint(J, "there is no previous item");
    if (pare_jstr_is(name, "nextitem")) return i + 1 < n ? value_at(l, l->i + 1) : pare_jv_undef_hint(J, "there is no next item");
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        if (!pare_jstr_is(name, rows[k].name)) continue;
        method.u.bound = pare_jinja_alloc(J, sizeof *method.u.bound);
        if (method.u.bound == NULL) return pare_jv_undef();
        *method.u.bound = (struct pare_jmethod){ v, &rows[k] };
        return method;
    }
    missing.u.s = (struct pare_jstr *)(uintptr_t)name;
    return missing;
}

void pare_jinja_loop_repr(struct pare_jinja *J, struct pare_buf *b, const struct pare_jloop *loop)
{
    char t[64];

    snprintf(t, sizeof t, "LoopContext %zu/%zu", loop->i + 1, loop->n);
    pare_jinja_buf_add(J, b, t, strlen(t));
}
