/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_tests.c: the tests behind "is". */
#include <math.h>
#include <string.h>

#include "token/jinja_call.h"
#include "token/jinja_text.h"

/* Result of a test of one value; -1: the name is not one of these. */
static int simple_test(struct pare_jinja *J, const struct pare_jstr *name, struct pare_jv v)
{
    uint8_t t = v.type;

    if (pare_jstr_is(name, "defined")) return t != PARE_JV_UNDEF;
    if (pare_jstr_is(name, "undefined")) return t == PARE_JV_UNDEF;
    if (pare_jstr_is(name, "none")) return t == PARE_JV_NONE;
    if (pare_jstr_is(name, "string")) return t == PARE_JV_STR;
    if (pare_jstr_is(name, "boolean")) return t == PARE_JV_BOOL;
    if (pare_jstr_is(name, "true")) return t == PARE_JV_BOOL && v.u.b;
    if (pare_jstr_is(name, "false")) return t == PARE_JV_BOOL && !v.u.b;
    if (pare_jstr_is(name, "integer")) return t == PARE_JV_INT;
    if (pare_jstr_is(name, "float")) return t == PARE_JV_FLOAT;
    if (pare_jstr_is(name, "number")) return pare_jv_is_number(v);
    if (pare_jstr_is(name, "mapping")) return t == PARE_JV_DICT;
    if (pare_jstr_is(name, "iterable")) return pare_jv_iterable(v);
    if (pare_jstr_is(name, "sequence")) return pare_jv_len(v) >= 0 && t != PARE_JV_VIEW;
    if (pare_jstr_is(name, "callable"))
        return t == PARE_JV_MACRO || t == PARE_JV_FUNC || t == PARE_JV_METHOD || t == PARE_JV_LOOP || t == PARE_JV_JOINER ||
               t == PARE_JV_UNDEF;
    if (pare_jstr_is(name, "escaped")) return t == PARE_JV_STR && v.u.s->safe;
    if (pare_jstr_is(name, "filter")) return t == PARE_JV_STR && pare_jinja_filter(v.u.s) != NULL;
    if (pare_jstr_is(name, "test")) return t == PARE_JV_STR && pare_jinja_is_test(v.u.s);
    (void)J;
    return -1;
}

/* str.isupper / str.islower: some cased letter, and all of them of that case. */
static bool all_case(struct pare_jinja *J, struct pare_jv v, bool upper)
{
    const struct pare_jstr *s = pare_jv_tostr(J, v);
    bool                    some = false;
    size_t                  step;

    pare_jinja_work(J, s->n / 4);
    for (size_t i = 0; i < s->n; i += step) {
        uint32_t c = pare_jtext_decode(s->p + i, &step);
        if (!pare_jtext_cased(c)) continue;
        if (upper ? !pare_jtext_upper(c) : !pare_jtext_lower(c)) return false;
        some = true;
    }
    return some;
}

static bool remainder_is(struct pare_jinja *J, struct pare_jv v, struct pare_jv by, int64_t want)
{
    struct pare_jv r = pare_jinja_binary(J, PARE_JOP_MOD, v, by);

    return J->err == 0 && pare_jv_eq(J, r, pare_jv_int(want));
}

static bool identical(struct pare_jv a, struct pare_jv b)
{
    if (a.type != b.type) return false;
    switch (a.type) {
    case PARE_JV_NONE:
    case PARE_JV_UNDEF: return true;
    case PARE_JV_BOOL: return a.u.b == b.u.b;
    case PARE_JV_INT: return a.u.i == b.u.i;
    case PARE_JV_FLOAT: return a.u.f == b.u.f;
    case PARE_JV_STR: return pare_jstr_eq(a.u.s, b.u.s);
    default: return a.u.p == b.u.p;
    }
}

static const struct {
    const char *name;
    uint8_t     op;
} comparisons[] = { { "eq", PARE_JOP_EQ },       { "equalto", PARE_JOP_EQ }, { "==", PARE_JOP_EQ }, { "ne", PARE_JOP_NE },
                    { "!=", PARE_JOP_NE },       { "lt", PARE_JOP_LT },      { "lessthan", PARE_JOP_LT }, { "<", PARE_JOP_LT },
                    { "le", PARE_JOP_LE },       { "<=", PARE_JOP_LE },      { "gt", PARE_JOP_GT }, { "greaterthan", PARE_JOP_GT },
                    { ">", PARE_JOP_GT },        { "ge", PARE_JOP_GE },      { ">=", PARE_JOP_GE }, { "in", PARE_JOP_IN } };

static const char *const others[] = { "defined", "undefined", "none",     "string",  "boolean",     "true", "false",    "integer",
                                      "float",   "number",    "mapping",  "iterable", "sequence",   "callable", "escaped", "filter",
                                      "test",    "upper",     "lower",    "odd",     "even",        "divisibleby", "sameas" };

static int comparison(const struct pare_jstr *name)
{
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++)
        if (pare_jstr_is(name, comparisons[i].name)) return comparisons[i].op;
    return PARE_JOP_NONE;
}

bool pare_jinja_is_test(const struct pare_jstr *name)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (pare_jstr_is(name, others[i])) return true;
    return comparison(name) != PARE_JOP_NONE;
}

static bool compared(struct pare_jinja *J, int op, struct pare_jv v, struct pare_jv with)
{
    int c;

    if (op == PARE_JOP_EQ) return pare_jv_eq(J, v, with);
    if (op == PARE_JOP_NE) return !pare_jv_eq(J, v, with);
    if (op == PARE_JOP_IN) return pare_jv_contains(J, with, v);
    c = pare_jv_cmp(J, v, with, op == PARE_JOP_LT ? "<" : op == PARE_JOP_LE ? "<=" : op == PARE_JOP_GT ? ">" : ">=");
    if (c == 2) return false;
    return op == PARE_JOP_LT ? c < 0 : op == PARE_JOP_LE ? c <= 0 : op == PARE_JOP_GT ? c > 0 : c >= 0;
}

bool pare_jinja_call_test(struct pare_jinja *J, const struct pare_jstr *name, struct pare_jv v, const struct pare_jargs *args)
{
    int    r = simple_test(J, name, v), op = comparison(name);
    size_t want = 0;

    if (J->err != 0) return false;
    if (op != PARE_JOP_NONE || pare_jstr_is(name, "divisibleby") || pare_jstr_is(name, "sameas")) want = 1;
    if (!pare_jinja_is_test(name)) {
        pare_jinja_fail(J, PARE_E_UNSUPPORTED, "no test named '%.*s'", name->n > 100 ? 100 : (int)name->n, name->p);
        return false;
    }
    if (args->n + args->nkw != want) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "the test '%.*s' takes %zu argument(s)", (int)name->n, name->p, want);
        return false;
    }
    if (r >= 0) return r != 0;
    if (pare_jstr_is(name, "upper")) return all_case(J, v, true);
    if (pare_jstr_is(name, "lower")) return all_case(J, v, false);
    if (pare_jstr_is(name, "odd")) return remainder_is(J, v, pare_jv_int(2), 1);
    if (pare_jstr_is(name, "even")) return remainder_is(J, v, pare_jv_int(2), 0);
    if (want == 1) {
        struct pare_jv arg = args->n == 1 ? args->v[0] : args->kw[0].val;
        if (pare_jstr_is(name, "divisibleby")) return remainder_is(J, v, arg, 0);
        if (pare_jstr_is(name, "sameas")) return identical(v, arg);
        return compared(J, op, v, arg);
    }
    return false;
}
