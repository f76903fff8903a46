/* SPDX-License-Identifier: Apache-2.0 */
#include "format/st_header.h"

#include <string.h>

static void skip_blanks(struct pare_st_scan *s)
{
    struct pare_cursor *c = &s->cur;

    while (c->pos < c->size && memchr(" \t\n\r", c->base[c->pos], 4) != NULL) c->pos++;
}

static int bad(struct pare_st_scan *s, uint64_t at, const char *what)
{
    if (s->cur.err == 0) s->cur.err = PARE_ERR_AT(s->cur.diag, PARE_E_CORRUPT, at, NULL, "header: %s", what);
    return s->cur.err;
}

bool pare_st_accept(struct pare_st_scan *s, char want)
{
    skip_blanks(s);
    if (s->cur.err != 0 || s->cur.pos >= s->cur.size || s->cur.base[s->cur.pos] != (uint8_t)want) return false;
    s->cur.pos++;
    return true;
}

int pare_st_expect(struct pare_st_scan *s, char want)
{
    char text[32] = "'?' is expected here";

    if (pare_st_accept(s, want)) return PARE_OK;
    text[1] = want;
    return bad(s, s->cur.pos, text);
}

bool pare_st_more(struct pare_st_scan *s, char close)
{
    if (s->cur.err != 0 || pare_st_accept(s, close)) return false;
    return pare_st_expect(s, ',') == PARE_OK;
}

/* Four hexadecimal digits; -1 when they are not. */
static int32_t hex4(const uint8_t *p)
{
    int32_t v = 0;

    for (int i = 0; i < 4; i++) {
        int d = p[i];

        if (d >= '0' && d <= '9')
            d -= '0';
        else if ((d | 32) >= 'a' && (d | 32) <= 'f')
            d = (d | 32) - 'a' + 10;
        else
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static bool put_rune(struct pare_buf *b, uint32_t u)
{
    uint8_t o[4];
    size_t  n;

    if (u < 0x80) {
        o[0] = (uint8_t)u;
        n = 1;
    } else if (u < 0x800) {
        o[0] = (uint8_t)(0xc0 | u >> 6);
        o[1] = (uint8_t)(0x80 | (u & 63));
        n = 2;
    } else if (u < 0x10000) {
        o[0] = (uint8_t)(0xe0 | u >> 12);
        o[1] = (uint8_t)(0x80 | (u >> 6 & 63));
        o[2] = (uint8_t)(0x80 | (u & 63));
        n = 3;
    } else {
        o[0] = (uint8_t)(0xf0 | u >> 18);
        o[1] = (uint8_t)(0x80 | (u >> 12 & 63));
        o[2] = (uint8_t)(0x80 | (u >> 6 & 63));
        o[3] = (uint8_t)(0x80 | (u & 63));
        n = 4;
    }
    return pare_buf_add(b, o, n);
}

/* \uXXXX, a pair of them above the basic plane. cur stands behind the 'u'. */
static int unicode_escape(struct pare_st_scan *s)
{
    uint64_t       at = s->cur.pos;
    const uint8_t *p = pare_cursor_has(&s->cur, 4) ? pare_cursor_take(&s->cur, 4, "an escape") : NULL;
    int32_t        u = p == NULL ? -1 : hex4(p), lo = -1;

    if (u < 0) return bad(s, at, "\\u without four hexadecimal digits");
    if (u >= 0xd800 && u <= 0xdbff && pare_cursor_has(&s->cur, 6) && memcmp(s->cur.base + s->cur.pos, "\\u", 2) == 0) {
        p = pare_cursor_take(&s->cur, 6, "an escape");
        lo = p == NULL ? -1 : hex4(p + 2);
        if (lo >= 0xdc00 && lo <= 0xdfff) u = 0x10000 + ((u - 0xd800) << 10) + (lo - 0xdc00);
    }
    if (u >= 0xd800 && u <= 0xdfff) return bad(s, at, "half of a surrogate pair");
    (void)put_rune(&s->str, (uint32_t)u);
    return PARE_OK;
}

static int escape(struct pare_st_scan *s)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint64_t          at = s->cur.pos;
    const uint8_t    *p = pare_cursor_has(&s->cur, 1) ? pare_cursor_take(&s->cur, 1, "an escape") : NULL;
    const char       *f;

    if (p != NULL && *p == 'u') return unicode_escape(s);
    f = p == NULL || *p == 0 ? NULL : strchr(from, *p);
    if (f == NULL) return bad(s, at, "unknown escape in a string");
    (void)pare_buf_add(&s->str, &to[f - from], 1);
    return PARE_OK;
}

int pare_st_string(struct pare_st_scan *s)
{
    struct pare_cursor *c = &s->cur;
    uint64_t            begin;

    if (pare_st_expect(s, '"') < 0) return c->err;
    begin = c->pos;
    s->str.len = 0;
    for (;;) {
        uint64_t run = c->pos;

        while (c->pos < c->size && c->base[c->pos] != '"' && c->base[c->pos] != '\\' && c->base[c->pos] >= 0x20) c->pos++;
        if (c->pos > run) (void)pare_buf_add(&s->str, c->base + run, (size_t)(c->pos - run));
        if (c->pos >= c->size) return bad(s, begin, "a string does not end");
        if (c->base[c->pos] == '"') break;
        if (c->base[c->pos] < 0x20) return bad(s, c->pos, "a control character in a string");
        c->pos++;
        if (escape(s) < 0) return c->err;
    }
    c->pos++;
    if (pare_buf_cstr(&s->str) == NULL) return c->err = PARE_NOMEM(c->diag);
    if (!pare_is_name_text(s->str.data, s->str.len)) return bad(s, begin, "a string is not UTF-8 or holds a zero byte");
    return PARE_OK;
}

int pare_st_number(struct pare_st_scan *s, uint64_t *out)
{
    struct pare_cursor *c = &s->cur;
    uint64_t            v = 0, begin;

    *out = 0;
    skip_blanks(s);
    if (c->err != 0) return c->err;
    begin = c->pos;
    while (c->pos < c->size && c->base[c->pos] >= '0' && c->base[c->pos] <= '9') {
        uint64_t digit = (uint64_t)(c->base[c->pos] - '0');

        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v)) return bad(s, begin, "a number above 2^64");
        c->pos++;
    }
    if (c->pos == begin) return bad(s, begin, "a whole number without sign is expected here");
    if (c->base[begin] == '0' && c->pos - begin > 1) return bad(s, begin, "a number with a leading zero");
    if (c->pos < c->size && memchr(".eE", c->base[c->pos], 3) != NULL) return bad(s, begin, "a fraction where a whole number must be");
    *out = v;
    return PARE_OK;
}

bool pare_st_is(const struct pare_st_scan *s, const char *text)
{
    return s->str.len == strlen(text) && memcmp(s->str.data, text, s->str.len) == 0;
}
