/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_macro.c: macros: definition, binding of arguments, calls. */
#include <string.h>

#include "token/jinja_call.h"

struct pare_jv pare_jinja_macro(struct pare_jinja *J, const struct pare_jnode *node)
{
    struct pare_jv v = { .type = PARE_JV_MACRO };

    v.u.m = pare_jinja_alloc(J, sizeof *v.u.m);
    if (v.u.m == NULL) return pare_jv_undef();
    *v.u.m = (struct pare_jmacro){ node, J->scope };
    for (struct pare_jscope *s = J->scope; s != NULL && !s->captured; s = s->up) s->captured = true;
    return v;
}

static const struct pare_jkw *keyword(const struct pare_jargs *args, const struct pare_jstr *name)
{
    for (size_t i = 0; i < args->nkw; i++)
        if (pare_jstr_eq(args->kw[i].name, name)) return &args->kw[i];
    return NULL;
}

/* True when argument i of the macro is taken by a positional argument or does not exist. */
static bool is_extra(const struct pare_jnode *node, const struct pare_jargs *args, const struct pare_jstr *name)
{
    for (uint32_t i = (uint32_t)(args->n < node->n ? args->n : node->n); i < node->n; i++)
        if (pare_jstr_eq(node->list[i]->name, name)) return false;
    return true;
}

/* What no parameter takes: collected where the body asks for it, an error elsewhere. */
static void bind_rest(struct pare_jinja *J, const struct pare_jnode *node, const struct pare_jargs *args, struct pare_jscope *scope)
{
    struct pare_jdict *kwargs = node->flags & PARE_JM_KWARGS ? pare_jdict_new(J) : NULL;
    struct pare_jlist *varargs = node->flags & PARE_JM_VARARGS ? pare_jlist_new(J, 0) : NULL;
    bool               caller = (node->flags & PARE_JM_CALLER) != 0 && (node->flags & PARE_JM_EXPLICIT_CALLER) == 0;
    struct pare_jstr  *caller_name = pare_jinja_intern(J, "caller", 6);

    if (caller) {
        const struct pare_jkw *kw = keyword(args, caller_name);
        pare_jscope_set(J, scope, caller_name, kw != NULL ? kw->val : pare_jv_undef_hint(J, "No caller defined"));
    }
    for (size_t i = 0; i < args->nkw && J->err == 0; i++) {
        const struct pare_jkw *kw = &args->kw[i];
        if (!is_extra(node, args, kw->name) || (caller && pare_jstr_eq(kw->name, caller_name))) continue;
        if (kwargs != NULL) pare_jdict_set_str(J, kwargs, kw->name, kw->val);
        else
            pare_jinja_fail(J, PARE_E_CORRUPT, "macro '%.*s' takes no keyword argument '%.*s'", (int)node->name->n, node->name->p,
                            (int)kw->name->n, kw->name->p);
    }
    for (size_t i = node->n; i < args->n && J->err == 0; i++) {
        if (varargs != NULL) pare_jlist_add(J, varargs, args->v[i]);
        else
            pare_jinja_fail(J, PARE_E_CORRUPT, "macro '%.*s' takes not more than %u argument(s)", (int)node->name->n, node->name->p,
                            (unsigned)node->n);
    }
    if (kwargs != NULL) pare_jscope_set(J, scope, pare_jinja_intern(J, "kwargs", 6), pare_jv_dict(kwargs));
    if (varargs != NULL) pare_jscope_set(J, scope, pare_jinja_intern(J, "varargs", 7), pare_jv_tuple(varargs));
}

struct pare_jv pare_jinja_call_macro(struct pare_jinja *J, const struct pare_jmacro *m, const struct pare_jargs *args)
{
    const struct pare_jnode *node = m->node;
    struct pare_jscope      *outer = J->scope, *scope = pare_jinja_scope(J, m->scope);
    uint32_t                 line = J->line;
    struct pare_jv           v = pare_jv_undef();

    if (J->err != 0) return v;
    if (J->macros >= PARE_JINJA_MAX_MACROS) {
        pare_jinja_fail(J, PARE_E_LIMIT, "macros call each other deeper than %u", PARE_JINJA_MAX_MACROS);
        return v;
    }
    J->macros++;
    bind_rest(J, node, args, scope);
    J->scope = scope; /* defaults see the parameters before them */
    for (uint32_t i = 0; i < node->n && J->err == 0; i++) {
        const struct pare_jnode *p = node->list[i];
        const struct pare_jkw   *kw = i < args->n ? NULL : keyword(args, p->name);
        if (i < args->n) v = args->v[i];
        else if (kw != NULL) v = kw->val;
        else if (p->a != NULL) v = pare_jinja_eval(J, p->a);
        else v = pare_jv_undef_hint(J, "a parameter of the macro was not provided");
        pare_jscope_set(J, scope, p->name, v);
    }
    J->scope = outer;
    v = pare_jinja_capture(J, scope, node->list2, node->n2);
    J->macros--;
    J->line = line;
    return v;
}
