/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_call.h: everything that can be called: filters, tests, methods, functions, macros; and the evaluator's doors
 * to them. Filters, tests, methods and functions are rows of const tables with the names of their parameters, so that positional
 * and keyword arguments are bound in one place. */
#ifndef PARE_TOKEN_JINJA_CALL_H
#define PARE_TOKEN_JINJA_CALL_H

#include "token/jinja_ast.h"

#define PARE_JARGS_MAX 8

/* Called with arguments bound to their parameters: a[i] is PARE_JV_ABSENT when not given. */
typedef struct pare_jv (*pare_jbound_fn)(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a);
/* Called with the arguments as they were written. */
typedef struct pare_jv (*pare_jraw_fn)(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args);

/* A filter or a function: exactly one of fn and raw. params: names separated by blanks, those before "/" are required. */
struct pare_jfunc {
    const char    *name;
    const char    *params;
    pare_jbound_fn fn;
    pare_jraw_fn   raw;
};

struct pare_jmethod_row {
    const char    *name;
    const char    *params; /* as in struct pare_jfunc */
    pare_jbound_fn fn;
    pare_jraw_fn   raw;
    uint8_t        type;   /* enum pare_jv_type of the object */
    bool           changes; /* its object: not visible as an attribute, only callable */
};

struct pare_jmacro {
    const struct pare_jnode *node;
    struct pare_jscope      *scope; /* where it was defined */
};

struct pare_jloop {
    struct pare_jv           *v; /* all values of the loop */
    const struct pare_jrange *r; /* or the range they come from: loops over it need no memory per turn */
    size_t                   n, i;
    const struct pare_jnode *node;    /* recursive loops call themselves */
    struct pare_jscope      *scope;   /* of the statement */
    uint32_t                 depth0;
    bool                     has_last_changed;
    struct pare_jv           changed; /* last arguments of changed() */
};

/* ---- lookups; NULL when there is no such thing */
const struct pare_jfunc *pare_jinja_filter(const struct pare_jstr *name);
const struct pare_jfunc *pare_jinja_filter_text(const struct pare_jstr *name);   /* jinja_filter_text.c */
const struct pare_jfunc *pare_jinja_filter_number(const struct pare_jstr *name); /* jinja_filter_number.c */
const struct pare_jfunc *pare_jinja_filter_list(const struct pare_jstr *name);   /* jinja_filter_list.c */
const struct pare_jfunc *pare_jinja_filter_order(const struct pare_jstr *name);  /* jinja_filter_order.c */
const struct pare_jfunc *pare_jinja_find_row(const struct pare_jfunc *rows, size_t n, const struct pare_jstr *name);
const struct pare_jfunc *pare_jinja_global(const struct pare_jstr *name);        /* jinja_globals.c */
bool                     pare_jinja_is_test(const struct pare_jstr *name);       /* jinja_tests.c */
const struct pare_jmethod_row *pare_jinja_str_method(const struct pare_jstr *name);
const struct pare_jmethod_row *pare_jinja_container_method(uint8_t type, const struct pare_jstr *name);

/* ---- calls */
struct pare_jv pare_jinja_call(struct pare_jinja *J, struct pare_jv callee, const struct pare_jargs *args);
struct pare_jv pare_jinja_call_filter(struct pare_jinja *J, const struct pare_jstr *name, struct pare_jv v, const struct pare_jargs *args);
bool           pare_jinja_call_test(struct pare_jinja *J, const struct pare_jstr *name, struct pare_jv v, const struct pare_jargs *args);
/* Binds args to params and calls. what is for errors: "filter", "method", "function". */
struct pare_jv pare_jinja_apply(struct pare_jinja *J, const char *name, const char *params, pare_jbound_fn fn, pare_jraw_fn raw,
                                struct pare_jv self, const struct pare_jargs *args);

/* ---- attribute and item access (jinja_access.c) */
struct pare_jv pare_jinja_getattr(struct pare_jinja *J, struct pare_jv obj, struct pare_jstr *name);
struct pare_jv pare_jinja_getitem(struct pare_jinja *J, struct pare_jv obj, struct pare_jv key);
struct pare_jv pare_jinja_slice(struct pare_jinja *J, struct pare_jv obj, struct pare_jv start, struct pare_jv stop, struct pare_jv step);
/* item by a path like "a.b.0", as the attribute= arguments of filters write it; dflt (or ABSENT) replaces undefined. */
struct pare_jv pare_jinja_getpath(struct pare_jinja *J, struct pare_jv obj, struct pare_jv path, struct pare_jv dflt);

/* ---- operators (jinja_ops.c) */
struct pare_jv pare_jinja_binary(struct pare_jinja *J, enum pare_jop op, struct pare_jv a, struct pare_jv b);
struct pare_jv pare_jinja_negate(struct pare_jinja *J, struct pare_jv v, bool minus);
struct pare_jv pare_jinja_concat(struct pare_jinja *J, struct pare_jstr *a, struct pare_jstr *b);
struct pare_jv pare_jinja_percent(struct pare_jinja *J, struct pare_jstr *fmt, struct pare_jv args);      /* jinja_format.c */
struct pare_jv pare_jinja_str_format(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args);
struct pare_jstr *pare_jinja_escape(struct pare_jinja *J, struct pare_jv v); /* & < > ' " as HTML entities; marked safe */
struct pare_jv pare_jv_safe(struct pare_jinja *J, struct pare_jstr *s);      /* a copy of the header, marked safe */
/* sorted(): stable; key i belongs to value i. */
void pare_jinja_sort(struct pare_jinja *J, struct pare_jv *v, struct pare_jv *keys, size_t n, bool reverse);

/* ---- evaluation (jinja_eval.c, jinja_exec.c, jinja_macro.c, jinja_loop.c) */
struct pare_jv      pare_jinja_eval(struct pare_jinja *J, const struct pare_jnode *n);
void                pare_jinja_eval_args(struct pare_jinja *J, const struct pare_jnode *n, struct pare_jargs *out);
/* The filters of a filter block, applied to text. */
struct pare_jv      pare_jinja_eval_filters(struct pare_jinja *J, const struct pare_jnode *filter, struct pare_jv text);
enum pare_jflow { PARE_JFLOW_NEXT, PARE_JFLOW_BREAK, PARE_JFLOW_CONTINUE };
enum pare_jflow     pare_jinja_exec(struct pare_jinja *J, struct pare_jnode *const *body, uint32_t n);
void                pare_jinja_assign(struct pare_jinja *J, const struct pare_jnode *target, struct pare_jv v);
struct pare_jscope *pare_jinja_scope(struct pare_jinja *J, struct pare_jscope *up);
struct pare_jv     *pare_jscope_find(const struct pare_jscope *s, const struct pare_jstr *name); /* this scope only */
void                pare_jscope_set(struct pare_jinja *J, struct pare_jscope *s, const struct pare_jstr *name, struct pare_jv v);
/* Runs body in a new scope under up and returns what it printed. */
struct pare_jv      pare_jinja_capture(struct pare_jinja *J, struct pare_jscope *scope, struct pare_jnode *const *body, uint32_t n);
struct pare_jv      pare_jinja_macro(struct pare_jinja *J, const struct pare_jnode *node);
struct pare_jv      pare_jinja_call_macro(struct pare_jinja *J, const struct pare_jmacro *m, const struct pare_jargs *args);
void                pare_jinja_for(struct pare_jinja *J, const struct pare_jnode *n, struct pare_jv iterable, uint32_t depth0);
struct pare_jv      pare_jinja_call_loop(struct pare_jinja *J, struct pare_jloop *loop, const struct pare_jargs *args);
struct pare_jv      pare_jinja_loop_attr(struct pare_jinja *J, struct pare_jv loop, const struct pare_jstr *name);
void                pare_jinja_loop_repr(struct pare_jinja *J, struct pare_buf *b, const struct pare_jloop *loop);
/* strftime of J->date in the C locale */
struct pare_jv      pare_jinja_strftime(struct pare_jinja *J, const struct pare_jstr *format);

#endif
