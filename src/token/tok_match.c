/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_match.c: each function here does by hand what a regular expression says, the alternatives in its order, with
 * the backtracking worked out beforehand. The expressions themselves stand in tok_match_table.c. */
#include "token/tok_match.h"

#include "token/tok_unicode.h"

#define L PARE_UC_L
#define N PARE_UC_N
#define M PARE_UC_M
#define WS PARE_UC_WS

struct cur {
    const uint8_t *s;
    size_t         n;
};

/* Class bits of the character at i, its length; at the end 0 and length 0. */
static uint32_t at(const struct cur *c, size_t i, unsigned *len)
{
    uint32_t cp;

    if (i >= c->n) return *len = 0;
    *len = pare_utf8_next(c->s + i, c->n - i, &cp);
    return pare_uc(cp);
}

static size_t run_of(const struct cur *c, size_t i, uint32_t mask)
{
    unsigned len;

    while ((at(c, i, &len) & mask) != 0) i += len;
    return i;
}

/* The run of characters in none of the classes. */
static size_t run_but(const struct cur *c, size_t i, uint32_t mask)
{
    unsigned len;
    uint32_t k;

    while (k = at(c, i, &len), len != 0 && (k & mask) == 0) i += len;
    return i;
}

static bool is_nl(const struct cur *c, size_t i) { return i < c->n && (c->s[i] == '\n' || c->s[i] == '\r'); }

static uint8_t low(uint8_t b) { return b >= 'A' && b <= 'Z' ? (uint8_t)(b + 32) : b; }

/* 's 't 'm 'd 're 've 'll at i: its end, or i. */
static size_t contraction(const struct cur *c, size_t i, bool fold, bool long_s)
{
    uint8_t a, b;

    if (i + 1 >= c->n || c->s[i] != '\'') return i;
    if (long_s && c->n - i >= 3 && c->s[i + 1] == 0xC5 && c->s[i + 2] == 0xBF) return i + 3; /* the s of old print folds to s */
    a = fold ? low(c->s[i + 1]) : c->s[i + 1];
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return i + 2;
    if (i + 2 >= c->n) return i;
    b = fold ? low(c->s[i + 2]) : c->s[i + 2];
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return i + 3;
    return i;
}

/* \s*[\r\n]+ | \s+(?!\S) | \s+ for a white space at i. The first takes up to the last line end of the run; the second leaves
 * one character for the word that follows. */
static size_t spaces(const struct cur *c, size_t i, bool to_newline)
{
    size_t   e = i, last = i, newline = i;
    unsigned len;

    while ((at(c, e, &len) & WS) != 0) {
        last = e;
        if (to_newline && is_nl(c, e)) newline = e + 1;
        e += len;
    }
    if (newline > i) return newline;
    if (e == c->n || last == i) return e;
    return last;
}

static size_t gpt2(const struct cur *c, size_t i)
{
    size_t   e = contraction(c, i, false, false), j;
    unsigned len;
    uint32_t k;

    if (e > i) return e;
    j = c->s[i] == ' ' ? i + 1 : i;
    k = at(c, j, &len);
    if (len != 0 && (k & L) != 0) return run_of(c, j, L);
    if (len != 0 && (k & N) != 0) return run_of(c, j, N);
    if (len != 0 && (k & WS) == 0) return run_but(c, j, WS | L | N);
    return spaces(c, i, false);
}

static size_t digits(const struct cur *c, size_t i, uint32_t most)
{
    unsigned len;

    for (uint32_t k = 0; (most == 0 || k < most) && (at(c, i, &len) & N) != 0; k++) i += len;
    return i;
}

/* ' ?[^\s\p{L}\p{N}]+' and what may follow; i when it does not match. letters: the classes that are no punctuation. */
static size_t others(const struct cur *c, size_t i, uint32_t letters, uint32_t flags)
{
    size_t j = c->s[i] == ' ' ? i + 1 : i, e = run_but(c, j, WS | N | letters);

    if (e == j) return i;
    if ((flags & PARE_MATCH_NO_TAIL) != 0) return e;
    while (is_nl(c, e) || ((flags & PARE_MATCH_SLASH) != 0 && e < c->n && c->s[e] == '/')) e++;
    return e;
}

static size_t cl100k(const struct pare_match *m, const struct cur *c, size_t i)
{
    uint32_t letters = (m->flags & PARE_MATCH_MARKS) != 0 ? L | M : L, k;
    unsigned len, next;
    size_t   e;

    if ((m->flags & PARE_MATCH_CONTRACT) != 0) {
        e = contraction(c, i, true, (m->flags & PARE_MATCH_ANY_CASE_S) != 0);
        if (e > i) return e;
    }
    k = at(c, i, &len);
    if ((k & letters) != 0) return run_of(c, i, letters);
    if ((k & N) == 0 && !is_nl(c, i) && (at(c, i + len, &next) & letters) != 0) return run_of(c, i + len, letters);
    if ((k & N) != 0) return digits(c, i, m->digits);
    e = others(c, i, letters, m->flags);
    if (e > i) return e;
    return spaces(c, i, true);
}

/* The classes of o200k words: UPPER is Lu Lt Lm Lo M, LOWER is Ll Lm Lo M. */
#define O_UPPER (PARE_UC_UPPER | PARE_UC_NOCASE | M)
#define O_LOWER (PARE_UC_LOWER | PARE_UC_NOCASE | M)

static uint32_t o_class(const struct cur *c, size_t i, bool no_han, unsigned *len)
{
    uint32_t cp;

    if (i >= c->n) return *len = 0;
    *len = pare_utf8_next(c->s + i, c->n - i, &cp);
    return no_han && pare_uc_han(cp) ? 0 : pare_uc(cp);
}

/* UPPER* LOWER+ at i. UPPER* takes all it can; where no LOWER follows, it gives back up to the last character that is both. */
static size_t o_first(const struct cur *c, size_t i, bool no_han)
{
    size_t   e = i, both = i;
    unsigned len;
    uint32_t k;

    while (k = o_class(c, e, no_han, &len), (k & O_UPPER) != 0) {
        e += len;
        if ((k & O_LOWER) != 0) both = e;
    }
    if ((k & O_LOWER) == 0) return both;
    while ((o_class(c, e, no_han, &len) & O_LOWER) != 0) e += len;
    return e;
}

/* UPPER+ LOWER* at i, tried where the first form failed: so no LOWER follows the run. */
static size_t o_second(const struct cur *c, size_t i, bool no_han)
{
    unsigned len;

    while ((o_class(c, i, no_han, &len) & O_UPPER) != 0) i += len;
    return i;
}

static size_t o200k_word(const struct pare_match *m, const struct cur *c, size_t i)
{
    bool     no_han = (m->flags & PARE_MATCH_NO_HAN) != 0;
    unsigned len;
    uint32_t k = at(c, i, &len);
    bool     prefix = (k & (L | N)) == 0 && !is_nl(c, i); /* [^\r\n\p{L}\p{N}]? */
    size_t   e, from = i + len;

    if (prefix && (e = o_first(c, from, no_han)) > from) goto word;
    if ((e = o_first(c, i, no_han)) > i) goto word;
    if (prefix && (e = o_second(c, from, no_han)) > from) goto word;
    if ((e = o_second(c, i, no_han)) > i) goto word;
    return i;
word:
    if ((m->flags & PARE_MATCH_CONTRACT) != 0) e = contraction(c, e, true, (m->flags & PARE_MATCH_ANY_CASE_S) != 0);
    return e;
}

static size_t o200k(const struct pare_match *m, const struct cur *c, size_t i)
{
    unsigned len;
    size_t   e = i;
    uint32_t cp;

    if ((m->flags & PARE_MATCH_NO_HAN) != 0) {
        while (e < c->n && (len = pare_utf8_next(c->s + e, c->n - e, &cp), pare_uc_han(cp))) e += len;
        if (e > i) return e;
    }
    if ((e = o200k_word(m, c, i)) > i) return e;
    if ((at(c, i, &len) & N) != 0) return digits(c, i, m->digits);
    if ((e = others(c, i, L, m->flags)) > i) return e;
    if ((at(c, i, &len) & WS) != 0) return spaces(c, i, true);
    return i;
}

static bool ascii_letter(uint8_t b) { return low(b) >= 'a' && low(b) <= 'z'; }

static size_t deepseek3(const struct cur *c, size_t i)
{
    uint32_t ps = PARE_UC_P | PARE_UC_S, k;
    unsigned len, next;
    size_t   e, j;

    k = at(c, i, &len);
    if (c->s[i] < 0x80 && (k & ps) != 0 && i + 1 < c->n && ascii_letter(c->s[i + 1])) {
        for (e = i + 1; e < c->n && ascii_letter(c->s[e]); e++) {}
        return e;
    }
    if ((k & (L | M)) != 0) return run_of(c, i, L | M);
    if ((k & ps) == 0 && !is_nl(c, i) && (at(c, i + len, &next) & (L | M)) != 0) return run_of(c, i + len, L | M);
    j = c->s[i] == ' ' ? i + 1 : i;
    if ((e = run_of(c, j, ps)) > j) {
        while (is_nl(c, e)) e++;
        return e;
    }
    return (k & WS) != 0 ? spaces(c, i, true) : i; /* numbers and controls match nothing: they form a piece between matches */
}

static bool in_class(const struct pare_match *m, uint32_t cp)
{
    if (m->mask != 0) return (pare_uc(cp) & m->mask) != 0;
    for (const uint32_t *r = m->ranges; r[1] != 0; r += 2)
        if (cp >= r[0] && cp <= r[1]) return true;
    return false;
}

static size_t class_run(const struct pare_match *m, const struct cur *c, size_t i)
{
    size_t   e = i, full = i;
    uint32_t cp, k = 0;
    unsigned len;

    while (e < c->n && (m->hi == 0 || k < m->hi) && (len = pare_utf8_next(c->s + e, c->n - e, &cp), in_class(m, cp))) {
        e += len;
        if (++k >= m->lo) full = e;
    }
    return full;
}

static bool next_run(const struct pare_match *m, const struct cur *c, size_t i, size_t *from, size_t *to)
{
    uint32_t cp;

    while (i < c->n) {
        unsigned len = pare_utf8_next(c->s + i, c->n - i, &cp);
        size_t   e;
        *from = i;
        if ((m->flags & PARE_MATCH_LEAD_WS) != 0 && (pare_uc(cp) & WS) != 0 && (e = class_run(m, c, i + len)) > i + len) {
            *to = e;
            return true;
        }
        if ((*to = class_run(m, c, i)) > i) return true;
        i += len;
    }
    return false;
}

static size_t skip_nd(const struct cur *c, size_t i, size_t count)
{
    unsigned len;

    while (count > 0 && (at(c, i, &len) & PARE_UC_ND) != 0) {
        i += len;
        count--;
    }
    return i;
}

static size_t count_nd(const struct cur *c, size_t i, size_t *end)
{
    size_t   total = 0;
    unsigned len;

    for (; (at(c, i, &len) & PARE_UC_ND) != 0; i += len) total++;
    *end = i;
    return total;
}

static bool after_nd(const struct cur *c, size_t i)
{
    uint32_t cp = 0;

    if (i == 0) return false;
    (void)pare_utf8_prev(c->s, i, &cp);
    return (pare_uc(cp) & PARE_UC_ND) != 0;
}

/* (?=(\d{3})+(?!\d)). A number is measured once: a place one digit after a digit is one digit after the match before it
 * (empty matches are followed by a step of one character), so that the next match is two digits on. */
static bool next_three(const struct cur *c, size_t i, size_t *from, size_t *to)
{
    unsigned len;

    for (; i < c->n; (void)at(c, i, &len), i += len) {
        size_t e, j;
        if ((at(c, i, &len) & PARE_UC_ND) == 0) continue;
        if (after_nd(c, i)) {
            j = skip_nd(c, i, 2);
            e = (at(c, j, &len) & PARE_UC_ND) != 0 ? j + 1 : j;
        } else {
            j = count_nd(c, i, &e) % 3;
            j = skip_nd(c, i, j);
        }
        if (j < e) {
            *from = *to = j;
            return true;
        }
        i = j > i ? j : i;
        if (i >= c->n) break;
    }
    return false;
}

/* \d{1,3}(?=(?:\d{3})*\b). Here too a digit before i says that the number was measured, and found to end at a boundary. */
static bool next_aya(const struct cur *c, size_t i, size_t *from, size_t *to)
{
    unsigned len;

    while (i < c->n) {
        size_t   e = i, total;
        uint32_t cp = 0;
        if ((at(c, i, &len) & PARE_UC_ND) == 0) {
            i += len;
            continue;
        }
        total = after_nd(c, i) ? 3 : count_nd(c, i, &e);
        if (!after_nd(c, i) && e < c->n) {
            (void)pare_utf8_next(c->s + e, c->n - e, &cp);
            if (pare_uc_word(cp)) { /* no word boundary at the end of the number: nothing matches in it */
                i = e;
                continue;
            }
        }
        *from = i;
        *to = skip_nd(c, i, total % 3 == 0 ? 3 : total % 3);
        return true;
    }
    return false;
}

static bool next_ws_end(const struct cur *c, size_t i, size_t *from, size_t *to)
{
    size_t   b = c->n;
    uint32_t cp;

    while (b > i) {
        unsigned len = pare_utf8_prev(c->s, b, &cp);
        if ((pare_uc(cp) & WS) == 0) break;
        b -= len;
    }
    *from = b;
    *to = c->n;
    return b < c->n;
}

bool pare_match_next(const struct pare_match *m, const uint8_t *s, size_t n, size_t i, size_t *from, size_t *to)
{
    struct cur c = { s, n };
    unsigned   len;

    switch (m->kind) {
    case PARE_MATCH_RUN: return next_run(m, &c, i, from, to);
    case PARE_MATCH_WS_END: return next_ws_end(&c, i, from, to);
    case PARE_MATCH_THREES: return next_three(&c, i, from, to);
    case PARE_MATCH_AYA_DIGITS: return next_aya(&c, i, from, to);
    default: break;
    }
    for (; i < n; (void)at(&c, i, &len), i += len) {
        size_t e = i;
        switch (m->kind) {
        case PARE_MATCH_GPT2: e = gpt2(&c, i); break;
        case PARE_MATCH_CL100K: e = cl100k(m, &c, i); break;
        case PARE_MATCH_O200K: e = o200k(m, &c, i); break;
        case PARE_MATCH_DEEPSEEK3: e = deepseek3(&c, i); break;
        default:
            while (e < n && (s[e] == '\n') == (s[i] == '\n')) e++;
            break;
        }
        if (e > i) {
            *from = i;
            *to = e;
            return true;
        }
    }
    return false;
}
