/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_exec.c: runs statements: scopes, assignments, blocks. */
#include <string.h>

#include "token/jinja_call.h"

/* ---- scopes */

struct pare_jscope *pare_jinja_scope(struct pare_jinja *J, struct pare_jscope *up)
{
    struct pare_jscope *s = pare_jinja_work(J, 1) ? pare_jinja_alloc(J, sizeof *s) : NULL;

    if (s == NULL) return up; /* after a failure nothing is assigned any more */
    s->up = up;
    return s;
}

struct pare_jv *pare_jscope_find(const struct pare_jscope *s, const struct pare_jstr *name)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->vars[i].name == name) return &s->vars[i].val;
    return NULL;
}

void pare_jscope_set(struct pare_jinja *J, struct pare_jscope *s, const struct pare_jstr *name, struct pare_jv v)
{
    struct pare_jv   *old;
    struct pare_jvar *p;
    size_t            cap = s->cap;

    if (J->err != 0 || !pare_jinja_work(J, s->n / 8)) return;
    old = pare_jscope_find(s, name);
    if (old != NULL) {
        *old = v;
        return;
    }
    if (s->n == s->cap) {
        p = pare_jinja_grow(J, s->vars, s->n, (size_t)s->n + 1, sizeof *p, &cap);
        if (p == NULL) return;
        s->vars = p;
        s->cap = (uint32_t)cap;
    }
    s->vars[s->n++] = (struct pare_jvar){ name, v };
}

/* ---- assignment */

static void assign_tuple(struct pare_jinja *J, const struct pare_jnode *t, struct pare_jv v)
{
    struct pare_jiter it;
    struct pare_jv    x;

    if (!pare_jv_iterable(v)) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "cannot unpack non-iterable %s object", pare_jv_typename(v));
        return;
    }
    if (!pare_jv_iter(J, v, &it)) return;
    if (it.n != t->n) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "too %s values to unpack (expected %u, got %zu)", it.n < t->n ? "few" : "many", (unsigned)t->n,
                        it.n);
        return;
    }
    for (uint32_t i = 0; i < t->n && pare_jiter_next(J, &it, &x); i++) pare_jinja_assign(J, t->list[i], x);
}

static void assign_namespace(struct pare_jinja *J, const struct pare_jnode *t, struct pare_jv v)
{
    struct pare_jnode name = { .kind = PARE_JN_NAME, .name = t->name, .line = t->line };
    struct pare_jv    ns = pare_jinja_eval(J, &name);

    if (J->err != 0) return;
    if (ns.type != PARE_JV_NS) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "cannot assign attribute on non-namespace object");
        return;
    }
    pare_jdict_set(J, ns.u.d, t->value, v);
}

void pare_jinja_assign(struct pare_jinja *J, const struct pare_jnode *target, struct pare_jv v)
{
    if (J->err != 0) return;
    if (target->kind == PARE_JN_TUPLE) assign_tuple(J, target, v);
    else if (target->kind == PARE_JN_NSREF) assign_namespace(J, target, v);
    else pare_jscope_set(J, J->scope, target->name, v);
}

/* ---- blocks */

struct pare_jv pare_jinja_capture(struct pare_jinja *J, struct pare_jscope *scope, struct pare_jnode *const *body, uint32_t n)
{
    struct pare_buf     b = { .max = PARE_JINJA_MAX_OUTPUT }, *out = J->out;
    struct pare_jscope *outer = J->scope;
    size_t              captured = J->captured;
    struct pare_jv      v;

    J->out = &b;
    J->scope = scope;
    (void)pare_jinja_exec(J, body, n);
    J->scope = outer;
    J->out = out;
    J->captured = captured;
    v = pare_jv_take(J, &b);
    return v;
}

static void exec_with(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jscope *outer = J->scope, *inner = pare_jinja_scope(J, outer);

    for (uint32_t i = 0; i + 1 < n->n && J->err == 0; i += 2) {
        struct pare_jv v = pare_jinja_eval(J, n->list[i + 1]); /* values see the outer scope */
        J->scope = inner;
        pare_jinja_assign(J, n->list[i], v);
        J->scope = outer;
    }
    J->scope = inner;
    (void)pare_jinja_exec(J, n->list2, n->n2);
    J->scope = outer;
}

static enum pare_jflow exec_if(struct pare_jinja *J, const struct pare_jnode *n)
{
    for (uint32_t i = 0; i < n->n && J->err == 0; i++) {
        const struct pare_jnode *br = n->list[i];
        if (br->a == NULL || pare_jv_truth(J, pare_jinja_eval(J, br->a)))
            return J->err != 0 ? PARE_JFLOW_NEXT : pare_jinja_exec(J, br->list, br->n);
    }
    return PARE_JFLOW_NEXT;
}

static void output(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv    v = pare_jinja_eval(J, n->a);
    struct pare_jstr *s;

    if (J->err != 0) return;
    s = pare_jv_tostr(J, v);
    pare_jinja_emit(J, s->p, s->n);
}

/* A call block hands its body to the macro as the keyword argument caller. */
static void exec_call(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv    callee = pare_jinja_eval(J, n->a->a), v;
    struct pare_jargs args;
    struct pare_jkw  *kw;
    struct pare_jstr *s;

    if (J->err != 0) return;
    pare_jinja_eval_args(J, n->a, &args);
    kw = pare_jinja_alloc(J, (args.nkw + 1) * sizeof *kw);
    if (J->err != 0 || kw == NULL) return;
    if (args.nkw > 0) memcpy(kw, args.kw, args.nkw * sizeof *kw);
    kw[args.nkw] = (struct pare_jkw){ n->b->name, pare_jinja_macro(J, n->b) };
    args.kw = kw;
    args.nkw++;
    v = pare_jinja_call(J, callee, &args);
    if (J->err != 0) return;
    s = pare_jv_tostr(J, v);
    pare_jinja_emit(J, s->p, s->n);
}

/* set, macro and the blocks that capture: statements without flow of their own. */
static void exec_simple(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jv    v;
    struct pare_jstr *s;

    switch (n->kind) {
    case PARE_JN_SET: pare_jinja_assign(J, n->a, pare_jinja_eval(J, n->b)); break;
    case PARE_JN_SETBLOCK:
    case PARE_JN_FILTERBLOCK:
        v = pare_jinja_capture(J, pare_jinja_scope(J, J->scope), n->list, n->n);
        if (n->b != NULL) v = pare_jinja_eval_filters(J, n->b, v);
        if (J->err != 0) return;
        if (n->kind == PARE_JN_SETBLOCK) {
            pare_jinja_assign(J, n->a, v);
        } else {
            s = pare_jv_tostr(J, v);
            pare_jinja_emit(J, s->p, s->n);
        }
        break;
    case PARE_JN_MACRO: pare_jscope_set(J, J->scope, n->name, pare_jinja_macro(J, n)); break;
    case PARE_JN_CALLBLOCK: exec_call(J, n); break;
    case PARE_JN_FOR:
        v = pare_jinja_eval(J, n->b);
        if (J->err == 0) pare_jinja_for(J, n, v, 0);
        break;
    case PARE_JN_WITH: exec_with(J, n); break;
    default: break;
    }
}

static enum pare_jflow exec_one(struct pare_jinja *J, const struct pare_jnode *n)
{
    struct pare_jscope *outer = J->scope;
    enum pare_jflow     flow = PARE_JFLOW_NEXT;

    switch (n->kind) {
    case PARE_JN_DATA: pare_jinja_emit(J, n->value.u.s->p, n->value.u.s->n); break;
    case PARE_JN_OUTPUT: output(J, n); break;
    case PARE_JN_IF: return exec_if(J, n);
    case PARE_JN_SCOPE:
        J->scope = pare_jinja_scope(J, outer);
        flow = pare_jinja_exec(J, n->list, n->n);
        J->scope = outer;
        break;
    case PARE_JN_BREAK: return PARE_JFLOW_BREAK;
    case PARE_JN_CONTINUE: return PARE_JFLOW_CONTINUE;
    default: exec_simple(J, n); break;
    }
    return flow;
}

enum pare_jflow pare_jinja_exec(struct pare_jinja *J, struct pare_jnode *const *body, uint32_t n)
{
    enum pare_jflow flow = PARE_JFLOW_NEXT;

    if (!pare_jinja_enter(J)) return flow;
    for (uint32_t i = 0; i < n && flow == PARE_JFLOW_NEXT && J->err == 0; i++) {
        J->line = body[i]->line;
        if (!pare_jinja_work(J, 1)) break;
        if (++J->steps > PARE_JINJA_MAX_STEPS) {
            pare_jinja_fail(J, PARE_E_LIMIT, "the template executes more than %u statements", PARE_JINJA_MAX_STEPS);
            break;
        }
        flow = exec_one(J, body[i]);
    }
    pare_jinja_leave(J);
    return flow;
}
