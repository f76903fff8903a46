/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_format.c: Python's two ways to fill a pattern: "%5.2f" % x and "{0:>8}".format(x). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token/jinja_strings.h"

#define MAX_WIDTH 10000

/* What both languages say about one field. */
struct spec {
    char    fill[4];
    size_t  fill_n;
    char    align, sign, type; /* '\0': not given */
    bool    alt, zero, comma, underscore;
    int64_t width, precision;  /* -1: not given */
};

static const struct spec plain = { .fill = " ", .fill_n = 1, .width = -1, .precision = -1 };

static void pad(struct pare_jinja *J, struct pare_buf *b, const struct spec *sp, char dflt, const char *sign, const char *p, size_t n)
{
    size_t  sn = strlen(sign);
    int64_t room = sp->width - (int64_t)(pare_jtext_count(p, n) + sn), left;
    char    align = sp->align != '\0' ? sp->align : sp->zero ? '=' : dflt;

    if (room < 0) room = 0;
    left = align == '<' ? 0 : align == '^' ? room / 2 : room;
    if (align == '=') pare_jinja_buf_add(J, b, sign, sn);
    for (int64_t i = 0; i < left; i++) pare_jinja_buf_add(J, b, sp->fill, sp->fill_n);
    if (align != '=') pare_jinja_buf_add(J, b, sign, sn);
    pare_jinja_buf_add(J, b, p, n);
    for (int64_t i = left; i < room; i++) pare_jinja_buf_add(J, b, sp->fill, sp->fill_n);
}

/* Separators every three digits of the integer part, in place; t has room. */
static void group(char *t, char sep, size_t every)
{
    size_t n = strlen(t), digits = strspn(t, "0123456789abcdefABCDEF"), k;

    if (digits == 0) return;
    k = (digits - 1) / every;
    memmove(t + digits + k, t + digits, n - digits + 1);
    for (size_t i = digits, o = digits + k, c = 0; i-- > 0; c++) {
        if (c > 0 && c % every == 0) t[--o] = sep;
        t[--o] = t[i];
    }
}

static const char *sign_text(const struct spec *sp, bool negative)
{
    return negative ? "-" : sp->sign == '+' ? "+" : sp->sign == ' ' ? " " : "";
}

static void format_int(struct pare_jinja *J, struct pare_buf *b, const struct spec *sp, int64_t i)
{
    uint64_t    u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    char        t[160], sign[8], digits[72];
    const char *prefix = "";
    int         base = sp->type == 'b' ? 2 : sp->type == 'o' ? 8 : sp->type == 'x' || sp->type == 'X' ? 16 : 10, n = 0;

    do digits[n++] = (sp->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[u % (unsigned)base];
    while ((u /= (unsigned)base) > 0);
    while (n < sp->precision && n < 70) digits[n++] = '0';
    for (int k = 0; k < n; k++) t[k] = digits[n - 1 - k];
    t[n] = '\0';
    if (sp->comma) group(t, ',', 3);
    if (sp->underscore) group(t, '_', base == 10 ? 3 : 4);
    if (sp->alt) prefix = base == 2 ? "0b" : base == 8 ? "0o" : base == 16 ? (sp->type == 'X' ? "0X" : "0x") : "";
    snprintf(sign, sizeof sign, "%s%s", sign_text(sp, i < 0), prefix);
    pad(J, b, sp, '>', sign, t, strlen(t));
}

static void format_float(struct pare_jinja *J, struct pare_buf *b, const struct spec *sp, double f)
{
    char t[900], fmt[16];
    bool upper = sp->type == 'E' || sp->type == 'G' || sp->type == 'F';
    char type = sp->type == '%' ? 'f' : sp->type == 'F' ? 'f' : sp->type;
    int  precision = sp->precision < 0 ? 6 : sp->precision > 300 ? 300 : (int)sp->precision;

    if (sp->type == '%') f *= 100;
    if (isnan(f) || isinf(f)) {
        snprintf(t, sizeof t, "%s", isnan(f) ? (upper ? "NAN" : "nan") : upper ? "INF" : "inf");
    } else if (type == '\0' && sp->precision < 0) {
        pare_jinja_float_repr(fabs(f), t);
    } else {
        snprintf(fmt, sizeof fmt, "%%%s.%d%c", sp->alt ? "#" : "", precision, type == '\0' ? 'g' : type);
        snprintf(t, sizeof t / 2, fmt, fabs(f));
        if (type == '\0' && strpbrk(t, ".en") == NULL && strlen(t) < sizeof t - 3) memcpy(t + strlen(t), ".0", 3);
    }
    if (sp->comma) group(t, ',', 3);
    if (sp->underscore) group(t, '_', 3);
    if (sp->type == '%') memcpy(t + strlen(t), "%", 2);
    pad(J, b, sp, '>', sign_text(sp, signbit(f) && !isnan(f)), t, strlen(t));
}

static void format_text(struct pare_jinja *J, struct pare_buf *b, const struct spec *sp, const struct pare_jstr *s, char dflt)
{
    size_t n = s->n;

    if (sp->precision >= 0 && (uint64_t)sp->precision < s->chars) n = pare_jtext_offset(s->p, s->n, s->chars, (size_t)sp->precision);
    pad(J, b, sp, dflt, "", s->p, n);
}

static bool number(const char *p, size_t n, size_t *at, int64_t *out)
{
    size_t start = *at;

    *out = 0;
    while (*at < n && p[*at] >= '0' && p[*at] <= '9' && *at - start < 9) *out = *out * 10 + (p[(*at)++] - '0');
    return *at > start;
}

/* ---- "%" */

struct percent {
    struct pare_jinja *J;
    struct pare_buf    b;
    struct pare_jv     args;
    size_t             used; /* of a tuple */
    bool               mapped;
    bool               safe; /* the pattern is marked: arguments are escaped */
};

static struct pare_jv next_arg(struct percent *w)
{
    if (w->args.type == PARE_JV_TUPLE) {
        if (w->used < w->args.u.l->n) return w->args.u.l->v[w->used++];
    } else if (w->used++ == 0) {
        return w->args;
    }
    pare_jinja_fail(w->J, PARE_E_CORRUPT, "not enough arguments for format string");
    return pare_jv_undef();
}

static size_t percent_spec(struct percent *w, const char *p, size_t n, size_t at, struct spec *sp)
{
    for (; at < n && strchr("-+ #0", p[at]) != NULL && p[at] != '\0'; at++) {
        if (p[at] == '-') sp->align = '<';
        else if (p[at] == '#') sp->alt = true;
        else if (p[at] == '0') sp->zero = true;
        else if (sp->sign != '+') sp->sign = p[at];
    }
    if (at < n && p[at] == '*') {
        sp->width = pare_jarg_int(w->J, next_arg(w), 0);
        if (sp->width < 0) sp->align = '<', sp->width = sp->width < -MAX_WIDTH ? MAX_WIDTH + 1 : -sp->width;
        at++;
    } else {
        int64_t v;
        if (number(p, n, &at, &v)) sp->width = v;
    }
    if (at < n && p[at] == '.') {
        at++;
        if (at < n && p[at] == '*') {
            sp->precision = pare_jarg_int(w->J, next_arg(w), 0);
            at++;
        } else {
            number(p, n, &at, &sp->precision);
        }
    }
    while (at < n && strchr("hlL", p[at]) != NULL && p[at] != '\0') at++;
    if (sp->align == '<') sp->zero = false;
    if (sp->zero) sp->fill[0] = '0';
    return at;
}

static void percent_number(struct percent *w, struct spec *sp, struct pare_jv v)
{
    int64_t i = 0;
    bool    integer = strchr("diuxXo", sp->type) != NULL;

    if (!pare_jv_is_number(v) || (strchr("xXo", sp->type) != NULL && v.type == PARE_JV_FLOAT)) {
        if (v.type == PARE_JV_UNDEF) pare_jinja_undefined_error(w->J, v);
        pare_jinja_fail(w->J, PARE_E_CORRUPT, "%%%c format: a number is required, not %s", sp->type, pare_jv_typename(v));
    } else if (!integer) {
        format_float(w->J, &w->b, sp, pare_jv_as_double(v));
    } else {
        if (!pare_jv_as_int(v, &i)) {
            if (!(fabs(v.u.f) < 9e18)) pare_jinja_fail(w->J, PARE_E_UNSUPPORTED, "a number does not fit 64 bits");
            else i = (int64_t)v.u.f;
        }
        if (strchr("diu", sp->type) != NULL) sp->type = 'd';
        format_int(w->J, &w->b, sp, i);
    }
}

/* One "%" field; returns the byte behind it. */
static size_t percent_field(struct percent *w, const char *p, size_t n, size_t at)
{
    struct spec       sp = plain;
    struct pare_jv    v = { .type = PARE_JV_ABSENT };
    struct pare_jstr *s;
    char              utf8[4];

    if (at < n && p[at] == '(') {
        const char               *close = memchr(p + at, ')', n - at);
        const struct pare_jentry *e;
        if (close == NULL || w->args.type != PARE_JV_DICT) {
            pare_jinja_fail(w->J, PARE_E_CORRUPT, "format requires a mapping");
            return n;
        }
        e = pare_jdict_find_str(w->J, w->args.u.d, pare_jstr_ref(w->J, p + at + 1, (size_t)(close - p) - at - 1));
        if (e == NULL) pare_jinja_fail(w->J, PARE_E_CORRUPT, "a key of the format string is not in the mapping");
        else v = e->val;
        w->mapped = true;
        at = (size_t)(close - p) + 1;
    }
    at = percent_spec(w, p, n, at, &sp);
    if (sp.width > MAX_WIDTH) pare_jinja_fail(w->J, PARE_E_LIMIT, "a format field is wider than %d", MAX_WIDTH);
    if (at >= n) pare_jinja_fail(w->J, PARE_E_CORRUPT, "incomplete format");
    if (w->J->err != 0) return n;
    sp.type = p[at];
    if (sp.type == '%') {
        pare_jinja_buf_add(w->J, &w->b, "%", 1);
        return at + 1;
    }
    if (strchr("srac", sp.type) == NULL && strchr("diuxXoeEfFgG", sp.type) == NULL) {
        pare_jinja_fail(w->J, PARE_E_CORRUPT, "unsupported format character in a format string");
        return n;
    }
    if (v.type == PARE_JV_ABSENT) v = next_arg(w);
    if (w->J->err != 0) return n;
    if (strchr("srac", sp.type) == NULL) {
        percent_number(w, &sp, v);
        return at + 1;
    }
    if (sp.type == 'c' && v.type == PARE_JV_INT && v.u.i >= 0 && v.u.i < 0x110000 && (v.u.i < 0xd800 || v.u.i > 0xdfff)) {
        size_t k = pare_jtext_encode((uint32_t)v.u.i, utf8);
        s = pare_jstr_copy(w->J, utf8, k);
    } else {
        s = sp.type == 'r' || sp.type == 'a' ? pare_jv_torepr(w->J, v) : pare_jv_tostr(w->J, v);
    }
    if (w->safe) s = pare_jinja_escape(w->J, pare_jv_str(s));
    sp.zero = false;
    memcpy(sp.fill, " ", 1);
    format_text(w->J, &w->b, &sp, s, '>');
    return at + 1;
}

struct pare_jv pare_jinja_percent(struct pare_jinja *J, struct pare_jstr *fmt, struct pare_jv args)
{
    struct percent w = { .J = J, .b = pare_jinja_buf(), .args = args, .safe = fmt->safe };
    size_t         at = 0;
    struct pare_jv v;

    while (at < fmt->n && J->err == 0) {
        const char *q = memchr(fmt->p + at, '%', fmt->n - at);
        size_t      end = q == NULL ? fmt->n : (size_t)(q - fmt->p);
        pare_jinja_buf_add(J, &w.b, fmt->p + at, end - at);
        pare_jinja_work(J, 1);
        at = q == NULL ? fmt->n : percent_field(&w, fmt->p, fmt->n, end + 1);
    }
    if (J->err == 0 && !w.mapped && args.type != PARE_JV_DICT && (args.type == PARE_JV_TUPLE ? w.used < args.u.l->n : w.used == 0) &&
        args.type != PARE_JV_LIST)
        pare_jinja_fail(J, PARE_E_CORRUPT, "not all arguments converted during string formatting");
    v = pare_jv_take(J, &w.b);
    return fmt->safe && J->err == 0 ? pare_jv_safe(J, v.u.s) : v;
}

/* ---- str.format */

struct filler {
    struct pare_jinja       *J;
    struct pare_buf          b;
    const struct pare_jargs *args;
    size_t                   automatic;
    bool                     safe;
};

static void parse_spec(struct pare_jinja *J, const char *p, size_t n, struct spec *sp)
{
    size_t at = 0, step = n > 0 ? pare_jtext_step(p) : 0;

    if (step < n && strchr("<>=^", p[step]) != NULL && p[step] != '\0') {
        memcpy(sp->fill, p, step);
        sp->fill_n = step;
        sp->align = p[step];
        at = step + 1;
    } else if (n > 0 && strchr("<>=^", p[0]) != NULL && p[0] != '\0') {
        sp->align = p[0];
        at = 1;
    }
    if (at < n && (p[at] == '+' || p[at] == '-' || p[at] == ' ')) sp->sign = p[at++];
    if (at < n && p[at] == '#') sp->alt = true, at++;
    if (at < n && p[at] == '0') {
        if (sp->align == '\0') sp->align = '=', sp->fill[0] = '0', sp->fill_n = 1, sp->zero = true;
        at++;
    }
    if (!number(p, n, &at, &sp->width)) sp->width = -1;
    if (at < n && p[at] == ',') sp->comma = true, at++;
    else if (at < n && p[at] == '_') sp->underscore = true, at++;
    if (at < n && p[at] == '.') {
        at++;
        if (!number(p, n, &at, &sp->precision)) pare_jinja_fail(J, PARE_E_CORRUPT, "Format specifier missing precision");
    }
    if (at < n) sp->type = p[at++];
    if (at < n) pare_jinja_fail(J, PARE_E_CORRUPT, "Invalid format specifier");
    if (sp->width > MAX_WIDTH) pare_jinja_fail(J, PARE_E_LIMIT, "a format field is wider than %d", MAX_WIDTH);
}

static void format_value(struct filler *w, struct pare_jv v, const char *p, size_t n)
{
    struct spec       sp = plain;
    int64_t           i = 0;
    struct pare_jstr *s;

    parse_spec(w->J, p, n, &sp);
    if (w->J->err != 0) return;
    if (v.type == PARE_JV_BOOL && n == 0) v = pare_jv_str(pare_jv_tostr(w->J, v));
    if (pare_jv_is_number(v)) {
        bool integer = pare_jv_as_int(v, &i) && (sp.type == '\0' || strchr("dbxXon", sp.type) != NULL);
        if (sp.type == 'n') sp.type = integer ? 'd' : 'g';
        if (integer) format_int(w->J, &w->b, &sp, i);
        else if (sp.type == '\0' || strchr("eEfFgG%", sp.type) != NULL) format_float(w->J, &w->b, &sp, pare_jv_as_double(v));
        else pare_jinja_fail(w->J, PARE_E_CORRUPT, "Unknown format code '%c' for object of type '%s'", sp.type, pare_jv_typename(v));
        return;
    }
    if (v.type != PARE_JV_STR && n > 0) {
        pare_jinja_fail(w->J, PARE_E_CORRUPT, "unsupported format string passed to %s.__format__", pare_jv_typename(v));
        return;
    }
    if (sp.type != '\0' && sp.type != 's') {
        pare_jinja_fail(w->J, PARE_E_CORRUPT, "Unknown format code '%c' for object of type 'str'", sp.type);
        return;
    }
    s = pare_jv_tostr(w->J, v);
    if (w->safe) s = pare_jinja_escape(w->J, pare_jv_str(s));
    format_text(w->J, &w->b, &sp, s, '<');
}

/* name, index or nothing, then .attribute and [item] */
static struct pare_jv field_value(struct filler *w, const char *p, size_t n)
{
    struct pare_jv v = pare_jv_undef();
    size_t         at = 0, head = 0;
    int64_t        i = 0;
    bool           found = false;

    while (head < n && p[head] != '.' && p[head] != '[') head++;
    if (head == 0) i = (int64_t)w->automatic++;
    if (head == 0 || (number(p, head, &at, &i) && at == head)) {
        found = (uint64_t)i < w->args->n;
        if (found) v = w->args->v[i];
    }
    for (size_t k = 0; !found && head > 0 && k < w->args->nkw; k++) {
        found = w->args->kw[k].name->n == head && memcmp(w->args->kw[k].name->p, p, head) == 0;
        if (found) v = w->args->kw[k].val;
    }
    if (!found) pare_jinja_fail(w->J, PARE_E_CORRUPT, "format: there is no argument for a replacement field");
    for (at = head; at < n && w->J->err == 0;) {
        size_t            end = at + 1;
        struct pare_jstr *key;
        bool              item = p[at] == '[';
        while (end < n && (item ? p[end] != ']' : p[end] != '.' && p[end] != '[')) end++;
        key = pare_jstr_ref(w->J, p + at + 1, end - at - 1);
        if (!item) v = pare_jinja_getattr(w->J, v, key);
        else {
            size_t z = 0;
            bool   digits = number(key->p, key->n, &z, &i) && z == key->n;
            v = pare_jinja_getitem(w->J, v, digits ? pare_jv_int(i) : pare_jv_str(key));
        }
        at = item ? end + 1 : end;
    }
    return v;
}

/* One field between braces; p[at] is behind "{". Returns the byte behind "}". */
static size_t fill_field(struct filler *w, const char *p, size_t n, size_t at)
{
    size_t         end = at, name_end, spec;
    char           conversion = '\0';
    struct pare_jv v;

    while (end < n && p[end] != '}' && p[end] != '{') end++;
    if (end >= n || p[end] == '{') {
        pare_jinja_fail(w->J, end >= n ? PARE_E_CORRUPT : PARE_E_UNSUPPORTED,
                        end >= n ? "expected '}' before end of string" : "nested replacement fields are not supported");
        return n;
    }
    for (name_end = at; name_end < end && p[name_end] != '!' && p[name_end] != ':'; name_end++) continue;
    spec = name_end;
    if (spec < end && p[spec] == '!') {
        conversion = spec + 1 < end ? p[spec + 1] : '?';
        spec += 2;
    }
    if (spec < end && p[spec] == ':') spec++;
    if (spec > end) spec = end;
    v = field_value(w, p + at, name_end - at);
    if (w->J->err != 0) return n;
    if (conversion == 'r' || conversion == 'a') v = pare_jv_str(pare_jv_torepr(w->J, v));
    else if (conversion == 's') v = pare_jv_str(pare_jv_tostr(w->J, v));
    else if (conversion != '\0') pare_jinja_fail(w->J, PARE_E_CORRUPT, "Unknown conversion specifier");
    format_value(w, v, p + spec, end - spec);
    return end + 1;
}

struct pare_jv pare_jinja_str_format(struct pare_jinja *J, struct pare_jv self, const struct pare_jargs *args)
{
    const struct pare_jstr *s = self.u.s;
    struct filler           w = { .J = J, .b = pare_jinja_buf(), .args = args, .safe = s->safe };
    struct pare_jv          v;

    for (size_t at = 0; at < s->n && J->err == 0;) {
        char c = s->p[at];
        if ((c == '{' || c == '}') && at + 1 < s->n && s->p[at + 1] == c) {
            pare_jinja_buf_add(J, &w.b, &c, 1);
            at += 2;
        } else if (c == '{') {
            pare_jinja_work(J, 1);
            at = fill_field(&w, s->p, s->n, at + 1);
        } else if (c == '}') {
            pare_jinja_fail(J, PARE_E_CORRUPT, "Single '}' encountered in format string");
        } else {
            pare_jinja_buf_add(J, &w.b, &c, 1);
            at++;
        }
    }
    v = pare_jv_take(J, &w.b);
    return s->safe && J->err == 0 ? pare_jv_safe(J, v.u.s) : v;
}
