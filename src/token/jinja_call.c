/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_call.c: binds arguments to parameters and calls whatever is callable. */
#include "token/jinja_call.h"

#include <string.h>

/* The next parameter of a list like "name / second third", at *p; returns its length, 0 at the end. */
static size_t parameter(const char **p, bool *past_slash)
{
    size_t n;

    for (;;) {
        while (**p == ' ') (*p)++;
        if (**p != '/') break;
        *past_slash = true;
        (*p)++;
    }
    n = strcspn(*p, " ");
    return n;
}

static bool bind(struct pare_jinja *J, const char *name, const char *params, const struct pare_jargs *args, struct pare_jv *a)
{
    const char *p = params;
    size_t      i = 0, n, used = 0;
    bool        optional = strchr(params, '/') == NULL, slash;

    /* without "/" all parameters are optional */
    for (slash = optional; (n = parameter(&p, &slash)) > 0 && i < PARE_JARGS_MAX; i++, p += n) {
        a[i] = (struct pare_jv){ .type = PARE_JV_ABSENT };
        if (i < args->n) a[i] = args->v[i];
        for (size_t k = 0; k < args->nkw; k++) {
            if (args->kw[k].name->n != n || memcmp(args->kw[k].name->p, p, n) != 0) continue;
            if (i < args->n) {
                pare_jinja_fail(J, PARE_E_CORRUPT, "%s() got multiple values for argument '%.*s'", name, (int)n, p);
                return false;
            }
            a[i] = args->kw[k].val;
            used++;
        }
        if (!slash && a[i].type == PARE_JV_ABSENT) {
            pare_jinja_fail(J, PARE_E_CORRUPT, "%s() misses the argument '%.*s'", name, (int)n, p);
            return false;
        }
    }
    if (args->n > i || used < args->nkw) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "%s() got an argument that it does not take", name);
        return false;
    }
    return true;
}

struct pare_jv pare_jinja_apply(struct pare_jinja *J, const char *name, const char *params, pare_jbound_fn fn, pare_jraw_fn raw,
                                struct pare_jv self, const struct pare_jargs *args)
{
    struct pare_jv a[PARE_JARGS_MAX], v = pare_jv_undef();

    if (!pare_jinja_enter(J)) return v;
    memset(a, 0, sizeof a);
    if (raw != NULL) v = raw(J, self, args);
    else if (bind(J, name, params, args, a)) v = fn(J, self, a);
    pare_jinja_leave(J);
    return v;
}

struct pare_jv pare_jinja_call(struct pare_jinja *J, struct pare_jv callee, const struct pare_jargs *args)
{
    const struct pare_jmethod_row *row;

    if (J->err != 0) return callee;
    switch (callee.type) {
    case PARE_JV_FUNC:
        return pare_jinja_apply(J, callee.u.fn->name, callee.u.fn->params, callee.u.fn->fn, callee.u.fn->raw, pare_jv_none(), args);
    case PARE_JV_METHOD: break;
    case PARE_JV_MACRO: return pare_jinja_call_macro(J, callee.u.m, args);
    case PARE_JV_LOOP: return pare_jinja_call_loop(J, callee.u.loop, args);
    case PARE_JV_JOINER: {
        bool used = callee.u.joiner->used;
        callee.u.joiner->used = true;
        return used ? pare_jv_str(callee.u.joiner->sep) : pare_jv_lit(J, "");
    }
    case PARE_JV_UNDEF:
        if (callee.sub == PARE_JU_METHOD) break;
        return pare_jinja_undefined_error(J, callee);
    default: pare_jinja_fail(J, PARE_E_CORRUPT, "'%s' object is not callable", pare_jv_typename(callee)); return pare_jv_undef();
    }
    row = callee.u.bound->row;
    return pare_jinja_apply(J, row->name, row->params, row->fn, row->raw, callee.u.bound->self, args);
}

/* ---- filters */

const struct pare_jfunc *pare_jinja_find_row(const struct pare_jfunc *rows, size_t n, const struct pare_jstr *name)
{
    for (size_t i = 0; i < n; i++)
        if (pare_jstr_is(name, rows[i].name)) return &rows[i];
    return NULL;
}

const struct pare_jfunc *pare_jinja_filter(const struct pare_jstr *name)
{
    const struct pare_jfunc *f = pare_jinja_filter_text(name);

    if (f == NULL) f = pare_jinja_filter_number(name);
    if (f == NULL) f = pare_jinja_filter_list(name);
    if (f == NULL) f = pare_jinja_filter_order(name);
    return f;
}

struct pare_jv pare_jinja_call_filter(struct pare_jinja *J, const struct pare_jstr *name, struct pare_jv v, const struct pare_jargs *args)
{
    const struct pare_jfunc *f = pare_jinja_filter(name);

    if (f != NULL) return pare_jinja_apply(J, f->name, f->params, f->fn, f->raw, v, args);
    pare_jinja_fail(J, PARE_E_UNSUPPORTED, "no filter named '%.*s'", name->n > 100 ? 100 : (int)name->n, name->p);
    return pare_jv_undef();
}
