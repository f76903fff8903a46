/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_ops.c: arithmetic and concatenation by Python's rules, on 64-bit integers: what does not fit is an error. */
#include <math.h>
#include <string.h>

#include "token/jinja_call.h"

struct pare_jv pare_jv_safe(struct pare_jinja *J, struct pare_jstr *s)
{
    struct pare_jstr *t = pare_jinja_alloc(J, sizeof *t);

    if (t == NULL) return pare_jv_undef();
    *t = *s;
    t->safe = true;
    return pare_jv_str(t);
}

struct pare_jstr *pare_jinja_escape(struct pare_jinja *J, struct pare_jv v)
{
    struct pare_jstr *s = pare_jv_tostr(J, v);
    struct pare_buf   b = pare_jinja_buf();

    if (s->safe) return s;
    for (size_t i = 0; i < s->n; i++) {
        switch (s->p[i]) {
        case '&': pare_buf_str(&b, "&amp;"); break;
        case '<': pare_buf_str(&b, "&lt;"); break;
        case '>': pare_buf_str(&b, "&gt;"); break;
        case '\'': pare_buf_str(&b, "&#39;"); break;
        case '"': pare_buf_str(&b, "&#34;"); break;
        default: pare_buf_add(&b, s->p + i, 1); break;
        }
    }
    pare_jinja_work(J, s->n / 16);
    v = pare_jv_safe(J, pare_jv_take(J, &b).u.s);
    return J->err != 0 ? s : v.u.s;
}

/* s + x where s is the newest string of its buffer writes x behind it; otherwise a new buffer with room to grow is made, so that a
 * template that gathers its text piece by piece copies each byte a constant number of times. */
struct pare_jv pare_jinja_concat(struct pare_jinja *J, struct pare_jstr *a, struct pare_jstr *b)
{
    struct pare_jbuf *buf = a->buf;
    struct pare_jstr *s;
    size_t            n = a->n + b->n, cap;

    if (!pare_jinja_work(J, b->n / 64)) return pare_jv_undef();
    if (b->n == 0) return pare_jv_str(a);
    if (a->n == 0) return pare_jv_str(b);
    if (n > PARE_JINJA_MAX_POOL / 4) {
        pare_jinja_fail(J, PARE_E_LIMIT, "a string is longer than %zu MiB", PARE_JINJA_MAX_POOL >> 22);
        return pare_jv_undef();
    }
    s = pare_jinja_alloc(J, sizeof *s);
    if (s == NULL) return pare_jv_undef();
    if (buf == NULL || a->p + a->n != buf->data + buf->used || buf->cap - buf->used < b->n) {
        cap = n < 256 ? n + 16 : n * 2;
        buf = pare_jinja_work(J, a->n / 64) ? pare_jinja_alloc(J, sizeof *buf + cap) : NULL;
        if (buf == NULL) return pare_jv_undef();
        buf->cap = cap;
        memcpy(buf->data, a->p, a->n);
        buf->used = a->n;
        s->p = buf->data;
    } else {
        s->p = a->p;
    }
    memcpy(buf->data + buf->used, b->p, b->n);
    buf->used += b->n;
    s->n = n;
    s->chars = a->chars + b->chars;
    s->buf = buf;
    s->safe = a->safe;
    return pare_jv_str(s);
}

static struct pare_jv add_strings(struct pare_jinja *J, struct pare_jstr *a, struct pare_jstr *b)
{
    if (a->safe != b->safe) { /* text joined to marked text is escaped, on either side */
        if (a->safe) b = pare_jinja_escape(J, pare_jv_str(b));
        else a = pare_jinja_escape(J, pare_jv_str(a));
    }
    return pare_jinja_concat(J, a, b);
}

static struct pare_jv add_lists(struct pare_jinja *J, struct pare_jv a, struct pare_jv b)
{
    struct pare_jlist *l = pare_jlist_new(J, a.u.l->n + b.u.l->n);

    if (!pare_jinja_work(J, (a.u.l->n + b.u.l->n) / 4)) return a;
    for (size_t i = 0; i < a.u.l->n; i++) pare_jlist_add(J, l, a.u.l->v[i]);
    for (size_t i = 0; i < b.u.l->n; i++) pare_jlist_add(J, l, b.u.l->v[i]);
    a.u.l = l;
    a.sub = 0;
    return a;
}

static struct pare_jv repeat(struct pare_jinja *J, struct pare_jv a, int64_t times)
{
    struct pare_buf    b = pare_jinja_buf();
    struct pare_jlist *l;
    size_t             n = a.type == PARE_JV_STR ? a.u.s->n : a.u.l->n;

    if (times <= 0) times = 0;
    if (n > 0 && (uint64_t)times > PARE_JINJA_MAX_POOL / n) {
        pare_jinja_fail(J, PARE_E_LIMIT, "a repetition is too long");
        return a;
    }
    if (!pare_jinja_work(J, (size_t)(n > 0 ? times : 0))) return a;
    if (a.type == PARE_JV_STR) {
        bool safe = a.u.s->safe;
        for (int64_t i = 0; n > 0 && i < times && J->err == 0; i++) pare_jinja_buf_add(J, &b, a.u.s->p, n);
        a = pare_jv_take(J, &b);
        return safe ? pare_jv_safe(J, a.u.s) : a;
    }
    l = pare_jlist_new(J, n * (size_t)times);
    for (int64_t i = 0; n > 0 && i < times; i++)
        for (size_t k = 0; k < n && J->err == 0; k++) pare_jlist_add(J, l, a.u.l->v[k]);
    a.u.l = l;
    return a;
}

static struct pare_jv overflow(struct pare_jinja *J)
{
    pare_jinja_fail(J, PARE_E_UNSUPPORTED, "an integer result does not fit 64 bits");
    return pare_jv_undef();
}

static struct pare_jv zero_division(struct pare_jinja *J)
{
    pare_jinja_fail(J, PARE_E_CORRUPT, "division by zero");
    return pare_jv_undef();
}

static struct pare_jv int_power(struct pare_jinja *J, int64_t a, int64_t b)
{
    int64_t r = 1;

    if (b < 0) return a == 0 ? zero_division(J) : pare_jv_float(pow((double)a, (double)b));
    if (a == 0 || a == 1 || b == 0) return pare_jv_int(b == 0 ? 1 : a);
    if (a == -1) return pare_jv_int(b % 2 == 0 ? 1 : -1);
    for (; b > 0; b--) /* at most 63 turns before it overflows */
        if (__builtin_mul_overflow(r, a, &r)) return overflow(J);
    return pare_jv_int(r);
}

static struct pare_jv int_op(struct pare_jinja *J, enum pare_jop op, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool    bad = false;

    switch (op) {
    case PARE_JOP_ADD: bad = __builtin_add_overflow(a, b, &r); break;
    case PARE_JOP_SUB: bad = __builtin_sub_overflow(a, b, &r); break;
    case PARE_JOP_MUL: bad = __builtin_mul_overflow(a, b, &r); break;
    case PARE_JOP_DIV: return b == 0 ? zero_division(J) : pare_jv_float((double)a / (double)b);
    case PARE_JOP_POW: return int_power(J, a, b);
    default: /* // and % round towards minus infinity */
        if (b == 0) return zero_division(J);
        if (b == -1) {
            if (op == PARE_JOP_MOD) return pare_jv_int(0);
            bad = __builtin_sub_overflow((int64_t)0, a, &r);
            break;
        }
        r = op == PARE_JOP_MOD ? a % b : a / b;
        if (a % b != 0 && (a < 0) != (b < 0)) r += op == PARE_JOP_MOD ? b : -1;
        break;
    }
    return bad ? overflow(J) : pare_jv_int(r);
}

static double float_mod(double a, double b)
{
    double m = fmod(a, b);

    if (m != 0 && (m < 0) != (b < 0)) m += b;
    else if (m == 0) m = copysign(0, b);
    return m;
}

static struct pare_jv float_op(struct pare_jinja *J, enum pare_jop op, double a, double b)
{
    double m, q;

    switch (op) {
    case PARE_JOP_ADD: return pare_jv_float(a + b);
    case PARE_JOP_SUB: return pare_jv_float(a - b);
    case PARE_JOP_MUL: return pare_jv_float(a * b);
    case PARE_JOP_DIV: return b == 0 ? zero_division(J) : pare_jv_float(a / b);
    case PARE_JOP_MOD: return b == 0 ? zero_division(J) : pare_jv_float(float_mod(a, b));
    case PARE_JOP_FLOORDIV: /* as CPython: from the remainder, so that (a // b) * b + a % b comes close to a */
        if (b == 0) return zero_division(J);
        m = float_mod(a, b);
        q = (a - m) / b;
        if (q == 0) return pare_jv_float(copysign(0, a / b));
        m = floor(q);
        return pare_jv_float(q - m > 0.5 ? m + 1 : m);
    default: break;
    }
    if (a == 0 && b < 0) return zero_division(J);
    if (a < 0 && b != trunc(b) && isfinite(a) && isfinite(b)) {
        pare_jinja_fail(J, PARE_E_UNSUPPORTED, "complex numbers are not supported");
        return pare_jv_undef();
    }
    m = pow(a, b);
    if (isinf(m) && isfinite(a) && isfinite(b)) pare_jinja_fail(J, PARE_E_CORRUPT, "numerical result out of range");
    return pare_jv_float(m);
}

static bool is_sequence(struct pare_jv v) { return v.type == PARE_JV_STR || v.type == PARE_JV_LIST || v.type == PARE_JV_TUPLE; }

static struct pare_jv type_error(struct pare_jinja *J, enum pare_jop op, struct pare_jv a, struct pare_jv b)
{
    static const char *const sign[] = { "", "+", "-", "*", "/", "//", "%", "**" };

    if (a.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, a);
    if (b.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, b);
    if (op == PARE_JOP_ADD && is_sequence(a))
        pare_jinja_fail(J, PARE_E_CORRUPT, "can only concatenate %s (not \"%s\") to %s", pare_jv_typename(a), pare_jv_typename(b),
                        pare_jv_typename(a));
    else
        pare_jinja_fail(J, PARE_E_CORRUPT, "unsupported operand type(s) for %s: '%s' and '%s'", sign[op], pare_jv_typename(a),
                        pare_jv_typename(b));
    return pare_jv_undef();
}

struct pare_jv pare_jinja_binary(struct pare_jinja *J, enum pare_jop op, struct pare_jv a, struct pare_jv b)
{
    int64_t i = 0, j = 0;
    bool    ia = pare_jv_as_int(a, &i), ib = pare_jv_as_int(b, &j);

    if (ia && ib) return int_op(J, op, i, j);
    if (pare_jv_is_number(a) && pare_jv_is_number(b)) return float_op(J, op, pare_jv_as_double(a), pare_jv_as_double(b));
    if (op == PARE_JOP_ADD && a.type == PARE_JV_STR && b.type == PARE_JV_STR) return add_strings(J, a.u.s, b.u.s);
    if (op == PARE_JOP_ADD && a.type == b.type && (a.type == PARE_JV_LIST || a.type == PARE_JV_TUPLE)) return add_lists(J, a, b);
    if (op == PARE_JOP_MUL && is_sequence(a) && ib) return repeat(J, a, j);
    if (op == PARE_JOP_MUL && is_sequence(b) && ia) return repeat(J, b, i);
    if (op == PARE_JOP_MOD && a.type == PARE_JV_STR && b.type != PARE_JV_UNDEF) return pare_jinja_percent(J, a.u.s, b);
    return type_error(J, op, a, b);
}

struct pare_jv pare_jinja_negate(struct pare_jinja *J, struct pare_jv v, bool minus)
{
    int64_t i = 0;

    if (v.type == PARE_JV_FLOAT) return pare_jv_float(minus ? -v.u.f : v.u.f);
    if (pare_jv_as_int(v, &i)) {
        if (minus && __builtin_sub_overflow((int64_t)0, i, &i)) return overflow(J);
        return pare_jv_int(i);
    }
    if (v.type == PARE_JV_UNDEF) return pare_jinja_undefined_error(J, v);
    pare_jinja_fail(J, PARE_E_CORRUPT, "bad operand type for unary %c: '%s'", minus ? '-' : '+', pare_jv_typename(v));
    return v;
}
