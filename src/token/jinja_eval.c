/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_eval.c: evaluates expressions. */
#include <string.h>

#include "token/jinja_call.h"

static struct pare_jv lookup(struct pare_jinja *J, struct pare_jstr *name)
{
    struct pare_jv            v = { .type = PARE_JV_UNDEF, .sub = PARE_JU_NAME };
    const struct pare_jv     *p;
    const struct pare_jentry *e;

    for (const struct pare_jscope *s = J->scope; s != NULL; s = s->up)
        if ((p = pare_jscope_find(s, name)) != NULL) return *p;
    if ((e = pare_jdict_find_str(J, J->context, name)) != NULL) return e->val;
    v.u.fn = pare_jinja_global(name);
    if (v.u.fn != NULL) {
        v.type = PARE_JV_FUNC;
        v.sub = 0;
    } else {
        v.u.s = name;
    }
    return v;
}

/* ---- calls */

static void spread_args(struct pare_jinja *J, const struct pare_jnode *n, struct pare_jargs *out)
{
    struct pare_jlist *l = pare_jlist_new(J, n->n);
    struct pare_jiter  it;
    struct pare_jv     x = n->b == NULL ? pare_jv_undef() : pare_jinja_eval(J, n->b);

    for (size_t i = 0; i < out->n; i++) pare_jlist_add(J, l, out->v[i]);
    if (n->b != NULL && pare_jv_iter(J, x, &it))
        while (pare_jiter_next(J, &it, &x)) pare_jlist_add(J, l, x);
    out->v = l->v;
    out->n = l->n;
}

static void spread_kwargs(struct pare_jinja *J, const struct pare_jnode *n, struct pare_jargs *out)
{
    struct pare_jv   d = pare_jinja_eval(J, n->c);
    struct pare_jkw *kw;

    if (J->err != 0) return;
    if (d.type != PARE_JV_DICT) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "argument after ** must be a mapping, not %s", pare_jv_typename(d));
        return;
    }
    kw = pare_jinja_alloc(J, (out->nkw + d.u.d->live) * sizeof *kw);
    if (kw == NULL) return;
    if (out->nkw > 0) memcpy(kw, out->kw, out->nkw * sizeof *kw);
    for (uint32_t i = 0; i < d.u.d->n; i++) {
        const struct pare_jentry *e = &d.u.d->e[i];
        if (e->key.type == PARE_JV_ABSENT) continue;
        if (e->key.type != PARE_JV_STR) {
            pare_jinja_fail(J, PARE_E_CORRUPT, "keywords must be strings");
            return;
        }
        kw[out->nkw++] = (struct pare_jkw){ e->key.u.s, e->val };
    }
    out->kw = kw;
}

void pare_jinja_eval_args(struct pare_jinja *J, const struct pare_jnode *n, struct pare_jargs *out)
{
    *out = (struct pare_jargs){ 0 };
    if (n->n > 0) out->v = pare_jinja_alloc(J, n->n * sizeof *out->v);
    if (n->n2 > 0) out->kw = pare_jinja_alloc(J, n->n2 * sizeof *out->kw);
    if (J->err != 0) return;
    for (; out->n < n->n && J->err == 0; out->n++) out->v[out->n] = pare_jinja_eval(J, n->list[out->n]);
    for (; out->nkw < n->n2 && J->err == 0; out->nkw++) {
        const struct pare_jnode *k = n->list2[out->nkw];
        out->kw[out->nkw] = (struct pare_jkw){ k->name, pare_jinja_eval(J, k->a) };
    }
    if (n->b != NULL && J->err == 0) spread_args(J, n, out);
    if (n->c != NULL && J->err == 0) spread_kwargs(J, n, out);
}

static struct pare_jv eval_call(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv    callee = pare_jinja_eval(J, n->a);
    struct pare_jargs args;

    if (J->err != 0) return callee;
    pare_jinja_eval_args(J, n, &args);
    return J->err != 0 ? pare_jv_undef() : pare_jinja_call(J, callee, &args);
}

static struct pare_jv eval_filter(struct pare_jinja *J, const struct pare_jnode *n, const struct pare_jv *text)
{
    struct pare_jv    v;
    struct pare_jargs args;

    if (n->a == NULL) v = text != NULL ? *text : pare_jv_undef();
    else if (text != NULL && n->a->kind == PARE_JN_FILTER) v = eval_filter(J, n->a, text);
    else v = pare_jinja_eval(J, n->a);
    if (J->err != 0) return v;
    pare_jinja_eval_args(J, n, &args);
    return J->err != 0 ? pare_jv_undef() : pare_jinja_call_filter(J, n->name, v, &args);
}

struct pare_jv pare_jinja_eval_filters(struct pare_jinja *J, const struct pare_jnode *filter, struct pare_jv text)
{
    return eval_filter(J, filter, &text);
}

static struct pare_jv eval_test(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv    v = pare_jinja_eval(J, n->a);
    struct pare_jargs args;

    if (J->err != 0) return v;
    pare_jinja_eval_args(J, n, &args);
    return pare_jv_bool(J->err == 0 && pare_jinja_call_test(J, n->name, v, &args));
}

/* ---- operators */

static bool compare(struct pare_jinja *J, enum pare_jop op, struct pare_jv a, struct pare_jv b)
{
    int c;

    switch (op) {
    case PARE_JOP_EQ: return pare_jv_eq(J, a, b);
    case PARE_JOP_NE: return !pare_jv_eq(J, a, b);
    case PARE_JOP_IN: return pare_jv_contains(J, b, a);
    case PARE_JOP_NOTIN: return !pare_jv_contains(J, b, a);
    case PARE_JOP_LT: return pare_jv_cmp(J, a, b, "<") == -1;
    case PARE_JOP_LE: c = pare_jv_cmp(J, a, b, "<="); return c == -1 || c == 0;
    case PARE_JOP_GT: return pare_jv_cmp(J, a, b, ">") == 1;
    default: c = pare_jv_cmp(J, a, b, ">="); return c == 1 || c == 0;
    }
}

static struct pare_jv eval_compare(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv a = pare_jinja_eval(J, n->a), b;
    bool           ok = true;

    for (uint32_t i = 0; i < n->n && ok && J->err == 0; i++) {
        b = pare_jinja_eval(J, n->list[i]);
        if (J->err != 0) break;
        ok = compare(J, (enum pare_jop)n->ops[i], a, b);
        a = b;
    }
    return pare_jv_bool(ok);
}

static struct pare_jv eval_chain(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv a = pare_jinja_eval(J, n->a), b;

    for (uint32_t i = 0; i < n->n && J->err == 0; i++) {
        b = pare_jinja_eval(J, n->list[i]);
        if (J->err != 0) break;
        a = pare_jinja_binary(J, (enum pare_jop)n->ops[i], a, b);
    }
    return a;
}

static struct pare_jv eval_concat(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jstr *s = NULL, *t;
    struct pare_jv    v;

    for (uint32_t i = 0; i < n->n && J->err == 0; i++) {
        v = pare_jinja_eval(J, n->list[i]);
        if (J->err != 0) break;
        t = pare_jv_tostr(J, v);
        if (t->safe) t = pare_jstr_ref(J, t->p, t->n);
        s = s == NULL ? t : pare_jinja_concat(J, s, t).u.s;
    }
    return J->err != 0 ? pare_jv_undef() : pare_jv_str(s);
}

static struct pare_jv eval_logic(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv v = pare_jv_undef();

    for (uint32_t i = 0; i < n->n && J->err == 0; i++) {
        v = pare_jinja_eval(J, n->list[i]);
        if (pare_jv_truth(J, v) == (n->kind == PARE_JN_OR)) break;
    }
    return v;
}

/* ---- literals and access */

static struct pare_jv eval_dict(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jdict *d = pare_jdict_new(J);

    for (uint32_t i = 0; i + 1 < n->n && J->err == 0; i += 2) {
        struct pare_jv k = pare_jinja_eval(J, n->list[i]);
        pare_jdict_set(J, d, k, pare_jinja_eval(J, n->list[i + 1]));
    }
    return pare_jv_dict(d);
}

static struct pare_jv eval_list(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jlist *l = pare_jlist_new(J, n->n);

    for (uint32_t i = 0; i < n->n && J->err == 0; i++) pare_jlist_add(J, l, pare_jinja_eval(J, n->list[i]));
    return n->kind == PARE_JN_LIST ? pare_jv_list(l) : pare_jv_tuple(l);
}

static struct pare_jv eval_item(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv obj = pare_jinja_eval(J, n->a), part[3];

    if (n->b->kind != PARE_JN_SLICE) {
        part[0] = pare_jinja_eval(J, n->b);
        return J->err != 0 ? obj : pare_jinja_getitem(J, obj, part[0]);
    }
    part[0] = n->b->a == NULL ? pare_jv_none() : pare_jinja_eval(J, n->b->a);
    part[1] = n->b->b == NULL ? pare_jv_none() : pare_jinja_eval(J, n->b->b);
    part[2] = n->b->c == NULL ? pare_jv_none() : pare_jinja_eval(J, n->b->c);
    return J->err != 0 ? obj : pare_jinja_slice(J, obj, part[0], part[1], part[2]);
}

static struct pare_jv eval_cond(struct pare_jinja *J, const struct pare_jnode *n)
{
    bool yes = pare_jv_truth(J, pare_jinja_eval(J, n->a));

    if (J->err != 0) return pare_jv_undef();
    if (yes) return pare_jinja_eval(J, n->b);
    if (n->c != NULL) return pare_jinja_eval(J, n->c);
    return pare_jv_undef_hint(J, "the inline if-expression evaluated to false and no else section was defined");
}

static struct pare_jv eval_node(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv v;

    switch (n->kind) {
    case PARE_JN_CONST: return n->value;
    case PARE_JN_NAME: return lookup(J, n->name);
    case PARE_JN_TUPLE:
    case PARE_JN_LIST: return eval_list(J, n);
    case PARE_JN_DICT: return eval_dict(J, n);
    case PARE_JN_GETATTR:
        v = pare_jinja_eval(J, n->a);
        return J->err != 0 ? v : pare_jinja_getattr(J, v, n->name);
    case PARE_JN_GETITEM: return eval_item(J, n);
    case PARE_JN_CALL: return eval_call(J, n);
    case PARE_JN_FILTER: return eval_filter(J, n, NULL);
    case PARE_JN_TEST: return eval_test(J, n);
    case PARE_JN_NOT: return pare_jv_bool(!pare_jv_truth(J, pare_jinja_eval(J, n->a)));
    case PARE_JN_NEG:
    case PARE_JN_POS:
        v = pare_jinja_eval(J, n->a);
        return J->err != 0 ? v : pare_jinja_negate(J, v, n->kind == PARE_JN_NEG);
    case PARE_JN_CHAIN: return eval_chain(J, n);
    case PARE_JN_COMPARE: return eval_compare(J, n);
    case PARE_JN_CONCAT: return eval_concat(J, n);
    case PARE_JN_AND:
    case PARE_JN_OR: return eval_logic(J, n);
    case PARE_JN_COND: return eval_cond(J, n);
    default: pare_jinja_fail(J, PARE_E_CORRUPT, "a slice can only stand alone between brackets"); return pare_jv_undef();
    }
}

struct pare_jv pare_jinja_eval(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv v;

    if (!pare_jinja_enter(J)) return pare_jv_undef();
    v = eval_node(J, n);
    pare_jinja_leave(J);
    return v;
}
