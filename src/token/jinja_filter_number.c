/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_filter_number.c: filters about single values: numbers, defaults, attributes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token/jinja_literal.h"
#include "token/jinja_strings.h"

#define FILTER(name) static struct pare_jv name(struct pare_jinja *J, struct pare_jv self, const struct pare_jv *a)

FILTER(f_abs)
{
    int64_t i = 0;

    (void)a;
    if (self.type == PARE_JV_FLOAT) return pare_jv_float(fabs(self.u.f));
    if (pare_jv_as_int(self, &i)) return i < 0 ? pare_jinja_negate(J, pare_jv_int(i), true) : pare_jv_int(i);
    if (self.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, self);
    pare_jinja_fail(J, PARE_E_CORRUPT, "bad operand type for abs(): '%s'", pare_jv_typename(self));
    return self;
}

/* A double cut to an integer; ABSENT when it is none (the caller falls back), an error when it is too large. */
static struct pare_jv truncated(struct pare_jinja *J, double f)
{
    if (!isfinite(f)) return (struct pare_jv){ .type = PARE_JV_ABSENT };
    f = trunc(f);
    if (f >= -9223372036854775808.0 && f < 9223372036854775808.0) return pare_jv_int((int64_t)f);
    pare_jinja_fail(J, PARE_E_UNSUPPORTED, "an integer result does not fit 64 bits");
    return pare_jv_undef();
}

FILTER(f_int)
{
    struct pare_jv   v = { .type = PARE_JV_ABSENT }, dflt = a[0].type == PARE_JV_ABSENT ? pare_jv_int(0) : a[0];
    int64_t          i = 0, base = pare_jarg_int(J, a[1], 10);
    double           f;
    enum pare_jparse rc;

    if (self.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, self);
    if (J->err != 0) return self;
    if (pare_jv_as_int(self, &i)) return pare_jv_int(i);
    if (self.type == PARE_JV_FLOAT) {
        v = truncated(J, self.u.f);
    } else if (self.type == PARE_JV_STR) {
        if (base < 0 || base == 1 || base > 36) return dflt;
        rc = pare_jinja_parse_int(self.u.s, (int)base, &i);
        if (rc == PARE_JPARSE_OK) return pare_jv_int(i);
        if (rc == PARE_JPARSE_RANGE) pare_jinja_fail(J, PARE_E_UNSUPPORTED, "an integer does not fit 64 bits");
        else if (pare_jinja_parse_float(self.u.s, &f)) v = truncated(J, f); /* "42.23"|int is 42 */
    }
    return v.type == PARE_JV_ABSENT ? dflt : v;
}

FILTER(f_float)
{
    double f;

    if (self.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, self);
    if (pare_jv_is_number(self)) return pare_jv_float(pare_jv_as_double(self));
    if (self.type == PARE_JV_STR && pare_jinja_parse_float(self.u.s, &f)) return pare_jv_float(f);
    return a[0].type == PARE_JV_ABSENT ? pare_jv_float(0) : a[0];
}

/* Python's round(x, n): the decimal nearest to the exact value of x, halves to even: what printf and strtod do together. */
static double round_decimal(double x, int64_t digits)
{
    char   t[400];
    double p;

    if (!isfinite(x) || digits > 300) return x;
    if (digits < -308) return copysign(0, x);
    if (digits < 0) {
        p = pow(10, (double)-digits);
        return nearbyint(x / p) * p;
    }
    if (fabs(x) >= 1e17) return x;
    snprintf(t, sizeof t, "%.*f", (int)digits, x);
    return strtod(t, NULL);
}

static struct pare_jv round_int(struct pare_jinja *J, int64_t i, int64_t precision)
{
    int64_t p = 1, r;

    if (precision >= 0) return pare_jv_int(i);
    if (precision < -18) return pare_jv_int(0);
    for (; precision < 0; precision++) p *= 10;
    r = i % p;
    i -= r;
    if (r < 0) {
        r += p;
        i -= p; /* cannot overflow in a way that matters: caught below */
    }
    if (r > p - r || (r == p - r && (i / p) % 2 != 0)) return pare_jinja_binary(J, PARE_JOP_ADD, pare_jv_int(i), pare_jv_int(p));
    return pare_jv_int(i);
}

FILTER(f_round)
{
    int64_t           precision = pare_jarg_int(J, a[0], 0), i;
    struct pare_jstr *method = pare_jarg_str(J, a[1], "common");
    double            x, p;

    if (J->err != 0) return self;
    if (self.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, self);
    if (!pare_jv_is_number(self)) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "type %s doesn't define __round__ method", pare_jv_typename(self));
        return self;
    }
    if (pare_jstr_is(method, "common")) {
        if (pare_jv_as_int(self, &i)) return i > INT64_MIN / 2 && i < INT64_MAX / 2 ? round_int(J, i, precision) : self;
        return pare_jv_float(round_decimal(self.u.f, precision));
    }
    if (!pare_jstr_is(method, "ceil") && !pare_jstr_is(method, "floor")) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "method must be common, ceil or floor");
        return self;
    }
    x = pare_jv_as_double(self);
    p = pow(10, (double)precision);
    x = pare_jstr_is(method, "ceil") ? ceil(x * p) : floor(x * p);
    return pare_jv_float((x == 0 ? 0.0 : x) / p); /* the reference rounds to an integer on the way, which has no -0 */
}

FILTER(f_filesizeformat)
{
    static const char *const unit[2][8] = { { "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" },
                                            { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB" } };
    bool                     binary = pare_jarg_bool(J, a[0], false);
    double                   base = binary ? 1024 : 1000, v = f_float(J, self, &(struct pare_jv){ .type = PARE_JV_ABSENT }).u.f, u = base;
    char                     t[400];
    int                      i = 0;

    if (J->err != 0) return self;
    if (v == 1) {
        snprintf(t, sizeof t, "1 Byte");
    } else if (v < base) {
        snprintf(t, sizeof t, "%.0f Bytes", trunc(v));
    } else {
        while (i < 7 && v >= u * base) {
            u *= base;
            i++;
        }
        snprintf(t, sizeof t, "%.1f %s", v / u, unit[binary][i]);
    }
    return pare_jv_copy(J, t, strlen(t));
}

FILTER(f_default)
{
    if (self.type == PARE_JV_UNDEF || (pare_jarg_bool(J, a[1], false) && !pare_jv_truth(J, self)))
        return a[0].type == PARE_JV_ABSENT ? pare_jv_lit(J, "") : a[0];
    return self;
}

FILTER(f_attr)
{
    struct pare_jstr *name = pare_jv_tostr(J, a[0]);
    struct pare_jv    v;

    /* only attributes and methods: an item of that name does not count */
    if (self.type != PARE_JV_DICT) return pare_jinja_getattr(J, self, name);
    v = self;
    v.u.d = pare_jdict_new(J);
    v = pare_jinja_getattr(J, v, name);
    if (v.type == PARE_JV_METHOD || (v.type == PARE_JV_UNDEF && v.sub == PARE_JU_METHOD)) v.u.bound->self = self;
    return v;
}

static const struct pare_jfunc rows[] = {
    { "abs", "", f_abs, NULL },
    { "int", "default base", f_int, NULL },
    { "float", "default", f_float, NULL },
    { "round", "precision method", f_round, NULL },
    { "filesizeformat", "binary", f_filesizeformat, NULL },
    { "default", "default_value boolean", f_default, NULL },
    { "d", "default_value boolean", f_default, NULL },
    { "attr", "name /", f_attr, NULL },
};

const struct pare_jfunc *pare_jinja_filter_number(const struct pare_jstr *name)
{
    return pare_jinja_find_row(rows, sizeof rows / sizeof rows[0], name);
}
