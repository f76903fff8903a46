/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_literal.c: reads numbers and strings by Python's rules. */
#include "token/jinja_literal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "token/jinja_text.h"

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'z') return (c | 32) - 'a' + 10;
    return 99;
}

/* Digits of a base with single underscores between them; after_prefix allows one in front. Bytes used; false on overflow. */
static size_t digits(const char *s, size_t n, int base, bool after_prefix, uint64_t *out, bool *overflow)
{
    size_t   i = 0, last = 0;
    uint64_t v = 0;

    *overflow = false;
    while (i < n) {
        if (s[i] == '_' && (i > 0 ? s[i - 1] != '_' : after_prefix) && i + 1 < n && digit(s[i + 1]) < base) {
            i++;
            continue;
        }
        if (digit(s[i]) >= base) break;
        if (__builtin_mul_overflow(v, (uint64_t)base, &v) || __builtin_add_overflow(v, (uint64_t)digit(s[i]), &v)) *overflow = true;
        last = ++i;
    }
    *out = v;
    return last;
}

/* Copies without underscores and reads a double. */
static double read_double(const char *s, size_t n)
{
    char   t[512];
    size_t k = 0;

    for (size_t i = 0; i < n && k + 1 < sizeof t; i++)
        if (s[i] != '_') t[k++] = s[i];
    t[k] = '\0';
    return strtod(t, NULL);
}

/* Fraction and exponent after an integer part that ends at i; returns the end of the float, or i when there is none. */
static size_t float_tail(const char *s, size_t n, size_t i)
{
    uint64_t v;
    bool     o;
    size_t   end = i, k, j;

    if (i < n && s[i] == '.' && (k = digits(s + i + 1, n - i - 1, 10, false, &v, &o)) > 0) end = i + 1 + k;
    j = end;
    if (j < n && (s[j] | 32) == 'e') {
        j++;
        if (j < n && (s[j] == '+' || s[j] == '-')) j++;
        if ((k = digits(s + j, n - j, 10, false, &v, &o)) > 0) end = j + k;
    }
    return end;
}

size_t pare_jinja_number(struct pare_jinja *J, const char *s, size_t n, size_t at, struct pare_jv *out)
{
    uint64_t v;
    bool     overflow;
    size_t   i, end;
    int      base = 10;

    s += at;
    n -= at;
    i = digits(s, n, 10, false, &v, &overflow);
    if (i == 0) return 0;
    end = at > 0 && s[-1] == '.' ? i : float_tail(s, n, i); /* x.1.2 are two subscripts */
    if (end > i) {
        *out = pare_jv_float(read_double(s, end));
        return end;
    }
    if (n > 2 && s[0] == '0') {
        base = (s[1] | 32) == 'b' ? 2 : (s[1] | 32) == 'o' ? 8 : (s[1] | 32) == 'x' ? 16 : 10;
        if (base != 10) {
            uint64_t w;
            bool     o;
            size_t   k = digits(s + 2, n - 2, base, true, &w, &o);
            if (k > 0) {
                i = k + 2;
                v = w;
                overflow = o;
            }
        }
    }
    if (base == 10 && s[0] == '0' && v != 0) return 0;
    if (overflow || v > INT64_MAX) {
        pare_jinja_fail(J, PARE_E_UNSUPPORTED, "an integer does not fit 64 bits");
        return 0;
    }
    *out = pare_jv_int((int64_t)v);
    return i;
}

/* ---- strings */

static bool hex(const char *s, size_t n, size_t k, uint32_t *out)
{
    *out = 0;
    if (k > n) return false;
    for (size_t i = 0; i < k; i++) {
        if (digit(s[i]) > 15) return false;
        *out = *out << 4 | (uint32_t)digit(s[i]);
    }
    return true;
}

/* One escape at s[0] == '\\'. Returns its bytes; 0 after setting J->err. */
static size_t escape(struct pare_jinja *J, const char *s, size_t n, struct pare_buf *b)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char       *q;
    char              utf8[4];
    uint32_t          c = 0;
    size_t            k = 1, width;

    if (n < 2) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "\\ at end of string");
        return 0;
    }
    if (s[1] == '\n') return 2; /* a continued line */
    q = s[1] == '\0' ? NULL : strchr(from, s[1]);
    if (q != NULL) {
        pare_buf_add(b, &to[q - from], 1);
        return 2;
    }
    if (s[1] >= '0' && s[1] <= '7') {
        while (k < n && k < 4 && s[k] >= '0' && s[k] <= '7') c = c * 8 + (uint32_t)(s[k++] - '0');
    } else if (s[1] == 'x' || s[1] == 'u' || s[1] == 'U') {
        width = s[1] == 'x' ? 2 : s[1] == 'u' ? 4 : 8;
        if (!hex(s + 2, n - 2, width, &c)) {
            pare_jinja_fail(J, PARE_E_CORRUPT, "truncated \\%c escape in a string", s[1]);
            return 0;
        }
        k = 2 + width;
    } else if (s[1] == 'N') {
        pare_jinja_fail(J, PARE_E_UNSUPPORTED, "\\N{name} escapes are not supported, write \\u with the code point");
        return 0;
    } else {
        pare_buf_add(b, s, 1); /* an unknown escape stays as it is */
        return 1;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        pare_jinja_fail(J, PARE_E_CORRUPT, "an escape in a string is not a character");
        return 0;
    }
    pare_buf_add(b, utf8, pare_jtext_encode(c, utf8));
    return k;
}

struct pare_jstr *pare_jinja_unescape(struct pare_jinja *J, const char *s, size_t n)
{
    struct pare_buf b = pare_jinja_buf();

    if (memchr(s, '\\', n) == NULL) return pare_jstr_ref(J, s, n);
    for (size_t i = 0; i < n && J->err == 0;) {
        if (s[i] == '\\') {
            i += escape(J, s + i, n - i, &b);
        } else {
            pare_buf_add(&b, s + i, 1);
            i++;
        }
    }
    return pare_jv_take(J, &b).u.s;
}

/* ---- int() and float() of strings */

static void strip(const char **p, size_t *n)
{
    size_t k = pare_jtext_lstrip(*p, *n);

    *p += k;
    *n = pare_jtext_rstrip(*p, *n - k);
}

enum pare_jparse pare_jinja_parse_int(const struct pare_jstr *s, int base, int64_t *out)
{
    const char *p = s->p;
    size_t      n = s->n;
    bool        negative = false, overflow, prefix = false;
    uint64_t    v;

    strip(&p, &n);
    if (n > 0 && (*p == '-' || *p == '+')) {
        negative = *p == '-';
        p++;
        n--;
    }
    if (n > 2 && *p == '0') {
        int b = (p[1] | 32) == 'b' ? 2 : (p[1] | 32) == 'o' ? 8 : (p[1] | 32) == 'x' ? 16 : 0;
        if (b != 0 && (base == b || base == 0)) {
            base = b;
            prefix = true;
            p += 2;
            n -= 2;
        }
    }
    if (base == 0) base = 10;
    if (n == 0 || digits(p, n, base, prefix, &v, &overflow) != n) return PARE_JPARSE_BAD;
    if (overflow || v > (uint64_t)INT64_MAX + negative) return PARE_JPARSE_RANGE;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return PARE_JPARSE_OK;
}

static bool word_is(const char *p, size_t n, const char *w)
{
    if (n != strlen(w)) return false;
    for (size_t i = 0; i < n; i++)
        if ((p[i] | 32) != w[i]) return false;
    return true;
}

bool pare_jinja_parse_float(const struct pare_jstr *s, double *out)
{
    const char *p = s->p;
    size_t      n = s->n, i, end;
    double      sign = 1;
    uint64_t    v;
    bool        o;

    strip(&p, &n);
    if (n > 0 && (*p == '-' || *p == '+')) {
        sign = *p == '-' ? -1 : 1;
        p++;
        n--;
    }
    if (word_is(p, n, "inf") || word_is(p, n, "infinity")) *out = sign * INFINITY;
    else if (word_is(p, n, "nan")) *out = NAN;
    else {
        i = digits(p, n, 10, false, &v, &o);
        end = float_tail(p, n, i);
        if (i > 0 && end == i && end < n && p[end] == '.') { /* "1." and "1.e5" */
            end = float_tail(p, n, i + 1);
        }
        if (n == 0 || end != n || (i == 0 && (n < 2 || *p != '.' || digit(p[1]) > 9))) return false;
        *out = sign * read_double(p, n);
    }
    return true;
}
