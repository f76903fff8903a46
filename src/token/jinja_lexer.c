/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_lexer.c: splits a template into data, tags and the tokens inside them. White space follows the rules of the
 * reference with trim_blocks and lstrip_blocks: one newline after a block or comment tag goes, blanks between the start of a
 * line and a block or comment tag go, "-" strips everything on its side, "+" keeps it, and the last newline of the file goes. */
#include "token/jinja_ast.h"

#include <stdlib.h>
#include <string.h>

#include "token/jinja_literal.h"
#include "token/jinja_text.h"

#define MAX_BRACKETS 128

struct lexer {
    struct pare_jinja   *J;
    const char          *s;
    size_t               n, at;
    uint32_t             line;
    bool                 line_start; /* the last tag swallowed its newline */
    struct pare_jtok     none;       /* written after a failure, never read */
    struct pare_jtokens *out;
};

static bool at_str(const struct lexer *L, size_t at, const char *lit)
{
    size_t n = strlen(lit);

    return at <= L->n && n <= L->n - at && memcmp(L->s + at, lit, n) == 0;
}

static struct pare_jtok *push(struct lexer *L, enum pare_jtok_type type)
{
    struct pare_jtokens *o = L->out;
    struct pare_jtok    *t;

    if (L->J->err == 0 && o->n == o->cap) {
        t = pare_jinja_grow(L->J, o->t, o->n, o->n + 1, sizeof *o->t, &o->cap);
        if (t != NULL) o->t = t;
    }
    if (L->J->err != 0) return &L->none;
    t = &o->t[o->n++];
    *t = (struct pare_jtok){ .type = (uint8_t)type, .line = L->line };
    return t;
}

static int fail(struct lexer *L, const char *what)
{
    L->J->line = L->line;
    return pare_jinja_fail(L->J, PARE_E_CORRUPT, "%s", what);
}

/* Moves to byte `to`, counting lines. */
static void advance(struct lexer *L, size_t to)
{
    for (; L->at < to; L->at++) L->line += L->s[L->at] == '\n';
}

static void push_data(struct lexer *L, const char *p, size_t n)
{
    if (n > 0) push(L, PARE_JT_DATA)->s = pare_jstr_ref(L->J, p, n);
}

/* Length of data that precedes a tag with this sign, after lstrip_blocks and "-". variable: {{ is not stripped by itself. */
static size_t strip_before(const struct lexer *L, const char *p, size_t n, char sign, bool variable)
{
    size_t line = n;

    if (sign == '-') return pare_jtext_rstrip(p, n);
    if (sign == '+' || variable) return n;
    while (line > 0 && p[line - 1] != '\n') line--;
    if (line == 0 && !L->line_start) return n;
    return pare_jtext_lstrip(p + line, n - line) == n - line ? line : n;
}

/* Length of a closing "%}" or "#}" with its sign and what it swallows at `at`, or 0. */
static size_t close_tag(const struct lexer *L, size_t at, const char *close)
{
    char   minus[4] = { '-', close[0], close[1] }, plus[4] = { '+', close[0], close[1] };
    size_t end;

    if (at_str(L, at, plus)) return 3;
    if (at_str(L, at, minus)) return 3 + pare_jtext_lstrip(L->s + at + 3, L->n - at - 3);
    if (!at_str(L, at, close)) return 0;
    end = at + 2;
    return 2 + (end < L->n && L->s[end] == '\n');
}

static char sign_at(const struct lexer *L, size_t at)
{
    return at < L->n && (L->s[at] == '-' || L->s[at] == '+') ? L->s[at] : '\0';
}

/* {% raw %} at the current tag? Returns the length of the whole tag, or 0. Raw does not swallow its newline. */
static size_t raw_tag(const struct lexer *L, size_t at)
{
    size_t i = at + 2;

    if (sign_at(L, i) != '\0') i++;
    i += pare_jtext_lstrip(L->s + i, L->n - i);
    if (!at_str(L, i, "raw")) return 0;
    i += 3;
    i += pare_jtext_lstrip(L->s + i, L->n - i);
    if (at_str(L, i, "-%}")) return i + 3 + pare_jtext_lstrip(L->s + i + 3, L->n - i - 3) - at;
    return at_str(L, i, "%}") ? i + 2 - at : 0;
}

/* Everything up to {% endraw %} is data. */
static void lex_raw(struct lexer *L)
{
    size_t start = L->at;

    for (size_t i = start; i + 1 < L->n; i++) {
        size_t j = i + 2, end, keep;
        char   sign;
        if (L->s[i] != '{' || L->s[i + 1] != '%') continue;
        sign = sign_at(L, j);
        if (sign != '\0') j++;
        j += pare_jtext_lstrip(L->s + j, L->n - j);
        if (!pare_jinja_work(L->J, (j - i) / 64)) return;
        if (!at_str(L, j, "endraw")) continue;
        j += 6;
        j += pare_jtext_lstrip(L->s + j, L->n - j);
        end = close_tag(L, j, "%}");
        if (end == 0) continue;
        keep = strip_before(L, L->s + start, i - start, sign, false);
        push_data(L, L->s + start, keep);
        advance(L, j + end);
        L->line_start = L->s[j + end - 1] == '\n';
        return;
    }
    fail(L, "missing end of raw directive");
}

static void lex_comment(struct lexer *L)
{
    for (size_t i = L->at; i < L->n; i++) {
        size_t end = close_tag(L, i, "#}");
        if (end == 0) continue;
        advance(L, i + end);
        L->line_start = L->s[i + end - 1] == '\n';
        return;
    }
    fail(L, "missing end of comment tag");
}

static const struct {
    char    text[3];
    uint8_t op;
} operators[] = { { "//", PARE_JOP_FLOORDIV }, { "**", PARE_JOP_POW },   { "==", PARE_JOP_EQ },      { "!=", PARE_JOP_NE },
                  { ">=", PARE_JOP_GE },       { "<=", PARE_JOP_LE },    { "+", PARE_JOP_ADD },      { "-", PARE_JOP_SUB },
                  { "/", PARE_JOP_DIV },       { "*", PARE_JOP_MUL },    { "%", PARE_JOP_MOD },      { "~", PARE_JOP_TILDE },
                  { "[", PARE_JOP_LBRACKET },  { "]", PARE_JOP_RBRACKET }, { "(", PARE_JOP_LPAREN }, { ")", PARE_JOP_RPAREN },
                  { "{", PARE_JOP_LBRACE },    { "}", PARE_JOP_RBRACE }, { ">", PARE_JOP_GT },       { "<", PARE_JOP_LT },
                  { "=", PARE_JOP_ASSIGN },    { ".", PARE_JOP_DOT },    { ":", PARE_JOP_COLON },    { "|", PARE_JOP_PIPE },
                  { ",", PARE_JOP_COMMA },     { ";", PARE_JOP_SEMICOLON } };

static void lex_operator(struct lexer *L, char *stack, size_t *depth)
{
    size_t k;
    char   c = L->s[L->at];

    for (k = 0; k < sizeof operators / sizeof operators[0]; k++)
        if (at_str(L, L->at, operators[k].text)) break;
    if (k == sizeof operators / sizeof operators[0]) {
        fail(L, "unexpected character inside a tag");
        return;
    }
    if (strlen(operators[k].text) == 1) {
        if (c == '{' || c == '(' || c == '[') {
            if (*depth == MAX_BRACKETS) {
                L->J->line = L->line;
                pare_jinja_fail(L->J, PARE_E_LIMIT, "brackets nest deeper than %d", MAX_BRACKETS);
                return;
            }
            stack[(*depth)++] = c == '{' ? '}' : c == '(' ? ')' : ']';
        } else if (c == '}' || c == ')' || c == ']') {
            if (*depth == 0 || stack[--*depth] != c) {
                fail(L, "unbalanced brackets inside a tag");
                return;
            }
        }
    }
    push(L, PARE_JT_OP)->op = operators[k].op;
    L->at += strlen(operators[k].text);
}

static bool name_byte(unsigned char c) { return c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'); }

static void lex_name(struct lexer *L)
{
    size_t end = L->at, step;

    while (end < L->n && name_byte((unsigned char)L->s[end])) {
        if ((unsigned char)L->s[end] >= 0x80 && !pare_jtext_word(pare_jtext_decode(L->s + end, &step))) break;
        end += pare_jtext_step(L->s + end);
    }
    if (end == L->at) {
        fail(L, "unexpected character inside a tag");
        return;
    }
    push(L, PARE_JT_NAME)->s = pare_jinja_intern(L->J, L->s + L->at, end - L->at);
    L->at = end;
}

static void lex_string(struct lexer *L)
{
    char              quote = L->s[L->at];
    size_t            end = L->at + 1;
    struct pare_jstr *s;

    while (end < L->n && L->s[end] != quote) end += L->s[end] == '\\' && end + 1 < L->n ? 2 : 1;
    if (end >= L->n) {
        fail(L, "a string has no end");
        return;
    }
    L->J->line = L->line;
    s = pare_jinja_unescape(L->J, L->s + L->at + 1, end - L->at - 1);
    push(L, PARE_JT_STRING)->s = s;
    advance(L, end + 1);
}

static void lex_number(struct lexer *L)
{
    struct pare_jtok *t;
    struct pare_jv    v;
    size_t            used;

    L->J->line = L->line;
    used = pare_jinja_number(L->J, L->s, L->n, L->at, &v);
    if (used == 0 || L->J->err != 0) {
        lex_name(L); /* 0123 and the like: the reference calls it a malformed name */
        if (L->J->err == 0) fail(L, "a name must not begin with a digit");
        return;
    }
    t = push(L, v.type == PARE_JV_INT ? PARE_JT_INT : PARE_JT_FLOAT);
    if (v.type == PARE_JV_INT) t->num.i = v.u.i;
    else t->num.f = v.u.f;
    L->at += used;
}

/* The inside of {{ }} or {% %}. */
static void lex_tag(struct lexer *L, bool variable)
{
    char   stack[MAX_BRACKETS];
    size_t depth = 0, step, end;

    while (L->J->err == 0) {
        unsigned char c;
        if (L->at >= L->n) {
            fail(L, "the template ends inside a tag");
            return;
        }
        if (depth == 0) {
            end = 0;
            if (!variable) end = close_tag(L, L->at, "%}");
            else if (at_str(L, L->at, "-}}")) end = 3 + pare_jtext_lstrip(L->s + L->at + 3, L->n - L->at - 3);
            else if (at_str(L, L->at, "}}")) end = 2;
            if (end > 0) {
                push(L, variable ? PARE_JT_VAR_END : PARE_JT_BLOCK_END);
                advance(L, L->at + end);
                L->line_start = L->s[L->at - 1] == '\n';
                return;
            }
        }
        c = (unsigned char)L->s[L->at];
        if (pare_jtext_space(pare_jtext_decode(L->s + L->at, &step))) advance(L, L->at + step);
        else if (c >= '0' && c <= '9') lex_number(L);
        else if (name_byte(c)) lex_name(L);
        else if (c == '"' || c == '\'') lex_string(L);
        else lex_operator(L, stack, &depth);
    }
}

static void lex_data(struct lexer *L)
{
    size_t start = L->at, i = start, keep, raw;
    bool   variable;
    char   sign;

    for (; i < L->n; i++)
        if (L->s[i] == '{' && i + 1 < L->n && (L->s[i + 1] == '{' || L->s[i + 1] == '%' || L->s[i + 1] == '#')) break;
    if (i >= L->n) {
        push_data(L, L->s + start, L->n - start);
        L->at = L->n;
        return;
    }
    variable = L->s[i + 1] == '{';
    sign = sign_at(L, i + 2);
    keep = strip_before(L, L->s + start, i - start, sign, variable);
    push_data(L, L->s + start, keep);
    advance(L, i);
    raw = L->s[i + 1] == '%' ? raw_tag(L, i) : 0;
    if (raw > 0) {
        advance(L, i + raw);
        L->line_start = L->s[L->at - 1] == '\n';
        lex_raw(L);
        return;
    }
    advance(L, i + 2 + (sign != '\0'));
    if (L->s[i + 1] == '#') {
        lex_comment(L);
        return;
    }
    push(L, variable ? PARE_JT_VAR_BEGIN : PARE_JT_BLOCK_BEGIN);
    lex_tag(L, variable);
}

/* Newlines of all systems become \n; the very last one goes. */
static size_t normalize(struct pare_jinja *J, const char *src, size_t n, const char **out)
{
    char  *s;
    size_t k = 0;

    if (memchr(src, '\r', n) == NULL) {
        *out = src;
        return n > 0 && src[n - 1] == '\n' ? n - 1 : n;
    }
    s = pare_jinja_alloc(J, n);
    if (s == NULL) return 0;
    for (size_t i = 0; i < n; i++) {
        if (src[i] == '\r' && i + 1 < n && src[i + 1] == '\n') continue;
        s[k++] = src[i] == '\r' ? '\n' : src[i];
    }
    *out = s;
    return k > 0 && s[k - 1] == '\n' ? k - 1 : k;
}

void pare_jinja_lex(struct pare_jinja *J, const char *src, size_t n, struct pare_jtokens *out)
{
    struct lexer L = { .J = J, .s = "", .line = 1, .line_start = true, .out = out };

    L.n = normalize(J, src, n, &L.s);
    while (J->err == 0 && L.at < L.n) lex_data(&L);
    push(&L, PARE_JT_EOF);
}
