/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_globals.c: the functions every template can call. */
#include <string.h>

#include "token/jinja_strings.h"

static struct pare_jv g_range(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args)
{
    int64_t v[3] = { 0, 0, 1 };

    (void)self;
    if (args->n < 1 || args->n > 3 || args->nkw > 0) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "range takes one to three arguments");
        return pare_jv_undef();
    }
    for (size_t i = 0; i < args->n; i++) v[args->n == 1 ? 1 : i] = pare_jarg_int(J, args->v[i], 0);
    return J->err != 0 ? pare_jv_undef() : pare_jv_range(J, v[0], v[1], v[2]);
}

static struct pare_jv g_dict(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args)
{
    struct pare_jv           d = pare_jv_dict(pare_jdict_new(J));
    struct pare_jstr         name = { .p = "update", .n = 6, .chars = 6 };
    const struct pare_jmethod_row *update = pare_jinja_container_method(PARE_JV_DICT, &name);

    (void)self;
    if (J->err == 0) update->raw(J, d, args); /* dict(x, a=1) is an empty dict, updated */
    return d;
}

static struct pare_jv g_namespace(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args)
{
    struct pare_jv d = g_dict(J, self, args);

    d.type = PARE_JV_NS;
    return d;
}

static struct pare_jv g_raise(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a)
{
    const struct pare_jstr *s = pare_jv_tostr(J, a[0]);

    (void)self;
    pare_jinja_fail(J, PARE_E_USAGE, "%.*s", s->n > 300 ? 300 : (int)s->n, s->p);
    return pare_jv_undef();
}

static struct pare_jv g_strftime(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a)
{
    (void)self;
    return pare_jinja_strftime(J, pare_jarg_str(J, a[0], NULL));
}

static struct pare_jv g_cycler(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args)
{
    struct pare_jv v = { .type = PARE_JV_CYCLER };

    (void)self;
    if (args->n == 0) pare_jinja_fail(J, PARE_E_CORRUPT, "at least one item has to be provided");
    v.u.cycler = pare_jinja_alloc(J, sizeof *v.u.cycler);
    if (J->err != 0) return pare_jv_undef();
    v.u.cycler->l = pare_jlist_new(J, args->n);
    for (size_t i = 0; i < args->n; i++) pare_jlist_add(J, v.u.cycler->l, args->v[i]);
    return v;
}

static struct pare_jv g_joiner(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a)
{
    struct pare_jv v = { .type = PARE_JV_JOINER };

    (void)self;
    v.u.joiner = pare_jinja_alloc(J, sizeof *v.u.joiner);
    if (v.u.joiner == NULL) return pare_jv_undef();
    v.u.joiner->sep = pare_jarg_str(J, a[0], ", ");
    return v;
}

static const struct pare_jfunc rows[] = {
    { "range", "", NULL, g_range },
    { "dict", "", NULL, g_dict },
    { "namespace", "", NULL, g_namespace },
    { "raise_exception", "message /", g_raise, NULL },
    { "strftime_now", "format /", g_strftime, NULL },
    { "cycler", "", NULL, g_cycler },
    { "joiner", "sep", g_joiner, NULL },
};

const struct pare_jfunc *pare_jinja_global(const struct pare_jstr *name)
{
    return pare_jinja_find_row(rows, sizeof rows / sizeof rows[0], name);
}
