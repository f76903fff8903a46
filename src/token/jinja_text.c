/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_text.c: UTF-8 and character classes for template strings. Categories and simple case mappings come from
 * utf8proc; the one-to-many mappings of common letters from Unicode's SpecialCasing.txt. */
#define _GNU_SOURCE
#include "token/jinja_text.h"

#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"

size_t pare_jtext_step(const char *p)
{
    unsigned char c = (unsigned char)*p;

    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

bool pare_jtext_valid(const char *p, size_t n, size_t *bad_at)
{
    size_t i = 0;

    while (i < n) {
        utf8proc_int32_t c;
        utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)p + i, (utf8proc_ssize_t)(n - i > 4 ? 4 : n - i), &c);
        if (k <= 0) {
            *bad_at = i;
            return false;
        }
        i += (size_t)k;
    }
    return true;
}

size_t pare_jtext_count(const char *p, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) count += ((unsigned char)p[i] & 0xc0) != 0x80;
    return count;
}

uint32_t pare_jtext_decode(const char *p, size_t *step)
{
    const unsigned char *u = (const unsigned char *)p;

    *step = pare_jtext_step(p);
    switch (*step) {
    case 1: return u[0];
    case 2: return (uint32_t)(u[0] & 0x1f) << 6 | (u[1] & 0x3fu);
    case 3: return (uint32_t)(u[0] & 0x0f) << 12 | (uint32_t)(u[1] & 0x3f) << 6 | (u[2] & 0x3fu);
    default: return (uint32_t)(u[0] & 0x07) << 18 | (uint32_t)(u[1] & 0x3f) << 12 | (uint32_t)(u[2] & 0x3f) << 6 | (u[3] & 0x3fu);
    }
}

size_t pare_jtext_encode(uint32_t c, char out[4])
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)out);
}

size_t pare_jtext_back(const char *p, size_t at)
{
    do at--;
    while (at > 0 && ((unsigned char)p[at] & 0xc0) == 0x80);
    return at;
}

size_t pare_jtext_offset(const char *p, size_t n, size_t chars, size_t index)
{
    size_t at = 0;

    if (index >= chars) return n;
    if (n == chars) return index;
    while (index-- > 0) at += pare_jtext_step(p + at);
    return at;
}

ptrdiff_t pare_jtext_find(const char *hay, size_t n, const char *needle, size_t m)
{
    const char *q;

    if (m == 0) return 0;
    if (m > n) return -1;
    q = memmem(hay, n, needle, m);
    return q == NULL ? -1 : q - hay;
}

ptrdiff_t pare_jtext_rfind(const char *hay, size_t n, const char *needle, size_t m)
{
    if (m > n) return -1;
    for (size_t i = n - m + 1; i-- > 0;)
        if (m == 0 || memcmp(hay + i, needle, m) == 0) return (ptrdiff_t)i;
    return -1;
}

/* ---- classes */

bool pare_jtext_space(uint32_t c)
{
    if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

bool pare_jtext_linebreak(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

size_t pare_jtext_lstrip(const char *p, size_t n)
{
    size_t i = 0, step;

    while (i < n && pare_jtext_space(pare_jtext_decode(p + i, &step))) i += step;
    return i;
}

size_t pare_jtext_rstrip(const char *p, size_t n)
{
    size_t step;

    while (n > 0) {
        size_t at = pare_jtext_back(p, n);
        if (!pare_jtext_space(pare_jtext_decode(p + at, &step))) break;
        n = at;
    }
    return n;
}

static utf8proc_category_t category(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c); }

bool pare_jtext_alpha(uint32_t c)
{
    utf8proc_category_t k = category(c);

    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT || k == UTF8PROC_CATEGORY_LM ||
           k == UTF8PROC_CATEGORY_LO;
}

/* Python's isdigit also takes superscripts and circled digits, which are not of category Nd. */
bool pare_jtext_digit(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_ND || c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079) ||
           (c >= 0x2080 && c <= 0x2089) || (c >= 0x2460 && c <= 0x2468);
}

bool pare_jtext_word(uint32_t c)
{
    utf8proc_category_t k = category(c);

    return c == '_' || pare_jtext_alpha(c) || k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}

/* Roman numerals and circled letters have case without being letters. */
static bool other_upper(uint32_t c) { return (c >= 0x2160 && c <= 0x216f) || (c >= 0x24b6 && c <= 0x24cf); }
static bool other_lower(uint32_t c)
{
    return c == 0xaa || c == 0xba || (c >= 0x2b0 && c <= 0x2b8) || (c >= 0x2170 && c <= 0x217f) || (c >= 0x24d0 && c <= 0x24e9);
}
bool pare_jtext_upper(uint32_t c) { return c < 0x80 ? c >= 'A' && c <= 'Z' : category(c) == UTF8PROC_CATEGORY_LU || other_upper(c); }
bool pare_jtext_lower(uint32_t c) { return c < 0x80 ? c >= 'a' && c <= 'z' : category(c) == UTF8PROC_CATEGORY_LL || other_lower(c); }
bool pare_jtext_cased(uint32_t c)
{
    return pare_jtext_upper(c) || pare_jtext_lower(c) || (c >= 0x80 && category(c) == UTF8PROC_CATEGORY_LT);
}

bool pare_jtext_printable(uint32_t c)
{
    utf8proc_category_t k = category(c);

    if (c == ' ') return true;
    return k != UTF8PROC_CATEGORY_CC && k != UTF8PROC_CATEGORY_CF && k != UTF8PROC_CATEGORY_CS && k != UTF8PROC_CATEGORY_CO &&
           k != UTF8PROC_CATEGORY_CN && k != UTF8PROC_CATEGORY_ZL && k != UTF8PROC_CATEGORY_ZP && k != UTF8PROC_CATEGORY_ZS;
}

/* ---- case */

struct special {
    uint32_t    c;
    const char *upper, *title, *lower, *fold;
};
static const struct special specials[] = {
    { 0xdf, "SS", "Ss", "\xc3\x9f", "ss" },
    { 0x130, "\xc4\xb0", "\xc4\xb0", "i\xcc\x87", "i\xcc\x87" },
    { 0x149, "\xca\xbcN", "\xca\xbcN", "\xc5\x89", "\xca\xbcn" },
    { 0x1f0, "J\xcc\x8c", "J\xcc\x8c", "\xc7\xb0", "j\xcc\x8c" },
    { 0x1e9e, "\xe1\xba\x9e", "\xe1\xba\x9e", "\xc3\x9f", "ss" },
    { 0xfb00, "FF", "Ff", "\xef\xac\x80", "ff" },
    { 0xfb01, "FI", "Fi", "\xef\xac\x81", "fi" },
    { 0xfb02, "FL", "Fl", "\xef\xac\x82", "fl" },
    { 0xfb03, "FFI", "Ffi", "\xef\xac\x83", "ffi" },
    { 0xfb04, "FFL", "Ffl", "\xef\xac\x84", "ffl" },
    { 0xfb05, "ST", "St", "\xef\xac\x85", "st" },
    { 0xfb06, "ST", "St", "\xef\xac\x86", "st" },
};

enum target { UPPER, TITLE, LOWER, FOLD };

static void put(struct pare_buf *b, uint32_t c, enum target to)
{
    char             out[4];
    utf8proc_int32_t r = (utf8proc_int32_t)c;

    if (c < 0x80) { /* most text is ASCII: no tables */
        if (to == UPPER || to == TITLE) out[0] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
        else out[0] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        pare_buf_add(b, out, 1);
        return;
    }
    if (c >= 0xdf) {
        for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
            const struct special *s = &specials[i];
            if (s->c != c) continue;
            pare_buf_str(b, to == UPPER ? s->upper : to == TITLE ? s->title : to == LOWER ? s->lower : s->fold);
            return;
        }
    }
    if (to == UPPER) r = utf8proc_toupper(r);
    else if (to == TITLE) r = utf8proc_totitle(r);
    else r = utf8proc_tolower(r);
    if (to == FOLD && c == 0x3c2) r = 0x3c3; /* final sigma folds to sigma */
    if (to == FOLD && c == 0xb5) r = 0x3bc;  /* micro sign folds to mu */
    pare_buf_add(b, out, pare_jtext_encode((uint32_t)r, out));
}

/* Capital sigma ends a word as final sigma: a cased letter before it, none after (Unicode 3.13, Final_Sigma). */
static bool final_sigma(const char *p, size_t n, size_t at)
{
    size_t step, i = at;
    bool   before = false;

    while (i > 0 && !before) {
        uint32_t c;
        i = pare_jtext_back(p, i);
        c = pare_jtext_decode(p + i, &step);
        if (pare_jtext_cased(c)) before = true;
        else if (c != '\'' && c != '.' && c != 0x2019 && category(c) != UTF8PROC_CATEGORY_MN) break;
    }
    if (!before) return false;
    for (i = at + 2; i < n; i += step) {
        uint32_t c = pare_jtext_decode(p + i, &step);
        if (pare_jtext_cased(c)) return false;
        if (c != '\'' && c != '.' && c != 0x2019 && category(c) != UTF8PROC_CATEGORY_MN) break;
    }
    return true;
}

void pare_jtext_case(struct pare_buf *b, const char *p, size_t n, enum pare_jcase how)
{
    bool   inside = false; /* of a word, for titles */
    size_t step;

    for (size_t i = 0; i < n; i += step) {
        uint32_t    c = pare_jtext_decode(p + i, &step);
        enum target to = LOWER;
        if (how == PARE_JCASE_UPPER) to = UPPER;
        if (how == PARE_JCASE_FOLD) to = FOLD;
        if (how == PARE_JCASE_SWAP && pare_jtext_lower(c)) to = UPPER;
        if ((how == PARE_JCASE_CAPITALIZE && i == 0) || (how == PARE_JCASE_TITLE && !inside)) to = TITLE;
        inside = pare_jtext_cased(c);
        if (how == PARE_JCASE_SWAP && !inside) pare_buf_add(b, p + i, step);
        else if (to == LOWER && c == 0x3a3) pare_buf_str(b, final_sigma(p, n, i) ? "\xcf\x82" : "\xcf\x83");
        else put(b, c, to);
    }
}
