/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "token/tok_split.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "token/tok_match.h"
#include "token/tok_unicode.h"

/* Limits of one match. A public pattern needs a few steps a character; these allow 1 MB in one match and stop a pattern that
 * tries everything. The JIT stack serves patterns with groups that repeat. */
#define MATCH_LIMIT 50000000u
#define DEPTH_LIMIT 100000u
#define HEAP_LIMIT_KIB (256u * 1024)
#define JIT_STACK ((size_t)8 << 20)
#define PATTERN_MAX 65536

struct pare_split {
    enum { BY_HAND, LITERAL, CLASS, PCRE } kind;
    struct pare_match     hand;
    enum pare_split_class cls;
    char                 *text;
    size_t                len;
    pcre2_code           *code;
};
struct pare_split_run {
    pcre2_match_data    *data;
    pcre2_match_context *ctx;
    pcre2_jit_stack     *stack;
    struct pare_buf      copy;    /* the subject without stray bytes */
    const uint8_t       *subject;
};

static int split_new(struct pare_split **out, const char *text, size_t len, struct pare_diag *diag)
{
    *out = pare_zalloc(1, sizeof **out);
    if (*out == NULL) return PARE_NOMEM(diag);
    (*out)->text = pare_strndup(text, len);
    (*out)->len = len;
    if ((*out)->text != NULL) return PARE_OK;
    pare_split_free(out);
    return PARE_NOMEM(diag);
}

/* Oniguruma's \s and \w follow the properties White_Space and Alphabetic; PCRE2's own classes differ in a few characters. \h is a
 * hexadecimal digit there. The rest of the syntax that tokenizers use is common to both. */
static bool translate(struct pare_buf *b, const char *p, size_t n)
{
    bool in_class = false;

    for (size_t i = 0; i < n; i++) {
        const char *to = NULL;
        if (p[i] == '\\' && i + 1 < n) {
            switch (p[i + 1]) {
            case 's': to = "\\p{White_Space}"; break;
            case 'S': to = "\\P{White_Space}"; break;
            case 'w': to = in_class ? "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}" : "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]"; break;
            case 'W': to = in_class ? NULL : "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]"; break;
            case 'h': to = in_class ? "0-9a-fA-F" : "[0-9a-fA-F]"; break;
            default: break;
            }
            if (to != NULL)
                pare_buf_str(b, to);
            else
                pare_buf_add(b, p + i, 2);
            i++;
            continue;
        }
        if (p[i] == '[' && in_class && !(i + 1 < n && p[i + 1] == ':')) {
            pare_buf_str(b, "\\["); /* a class in a class is refused before this */
            continue;
        }
        if (p[i] == '[') in_class = true;
        if (p[i] == ']' && in_class && !(i > 0 && p[i - 1] == '[')) in_class = false;
        pare_buf_add(b, p + i, 1);
    }
    return !b->failed;
}

static int compile_pcre(struct pare_split *s, struct pare_diag *diag)
{
    struct pare_buf b = { .max = PATTERN_MAX * 16 };
    int             code = 0;
    PCRE2_SIZE      offset = 0;

    if (memmem(s->text, s->len, "&&", 2) != NULL)
        PARE_FAIL(diag, PARE_E_UNSUPPORTED, "the regular expression \"%.120s\" intersects classes (&&)", s->text);
    if (!translate(&b, s->text, s->len)) return PARE_NOMEM(diag);
    s->code = pcre2_compile((PCRE2_SPTR)pare_buf_cstr(&b), b.len, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                            &code, &offset, NULL);
    pare_buf_free(&b);
    if (s->code == NULL) {
        char msg[128];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)msg, sizeof msg);
        PARE_FAIL(diag, PARE_E_CORRUPT, "the regular expression \"%.120s\" is wrong: %s", s->text, msg);
    }
    (void)pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE); /* without JIT the interpreter does the same, slower */
    return PARE_OK;
}

int pare_split_regex(struct pare_split **out, const char *pattern, size_t len, struct pare_diag *diag)
{
    int rc;

    *out = NULL;
    PARE_FAIL_IF(diag, len > PATTERN_MAX, PARE_E_LIMIT, "a regular expression of %zu bytes; at most %d", len, PATTERN_MAX);
    PARE_FORWARD(split_new(out, pattern, len, diag));
    if (pare_match_lookup(&(*out)->hand, pattern, len)) return PARE_OK;
    (*out)->kind = PCRE;
    rc = compile_pcre(*out, diag);
    if (rc < 0) pare_split_free(out);
    return rc;
}

int pare_split_literal(struct pare_split **out, const char *text, size_t len, struct pare_diag *diag)
{
    PARE_FORWARD(split_new(out, text, len, diag));
    (*out)->kind = LITERAL;
    return PARE_OK;
}

int pare_split_of_class(struct pare_split **out, enum pare_split_class c, struct pare_diag *diag)
{
    /* the text that says the same, where the public patterns have one */
    PARE_FORWARD(split_new(out, c == PARE_SPLIT_NUMERIC ? "\\p{N}" : "", c == PARE_SPLIT_NUMERIC ? 5 : 0, diag));
    (*out)->kind = CLASS;
    (*out)->cls = c;
    return PARE_OK;
}

void pare_split_free(struct pare_split **s)
{
    if (*s == NULL) return;
    if ((*s)->code != NULL) pcre2_code_free((*s)->code);
    pare_free((*s)->text);
    pare_free(*s);
    *s = NULL;
}

const char *pare_split_text(const struct pare_split *p, bool *by_hand)
{
    *by_hand = p->kind != PCRE;
    return p->text;
}

void pare_split_run_free(struct pare_split_run **run)
{
    struct pare_split_run *r = *run;

    if (r == NULL) return;
    if (r->data != NULL) pcre2_match_data_free(r->data);
    if (r->ctx != NULL) pcre2_match_context_free(r->ctx);
    if (r->stack != NULL) pcre2_jit_stack_free(r->stack);
    pare_buf_free(&r->copy);
    pare_free(r);
    *run = NULL;
}

int pare_split_begin(const struct pare_split *p, struct pare_split_run **run, const uint8_t *s, size_t n, struct pare_diag *diag)
{
    struct pare_split_run *r = *run;
    size_t                 bad;

    if (p->kind != PCRE) return PARE_OK;
    if (r == NULL) {
        if ((r = *run = pare_zalloc(1, sizeof *r)) == NULL) return PARE_NOMEM(diag);
        r->copy.max = SIZE_MAX / 4;
        r->data = pcre2_match_data_create(1, NULL);
        r->ctx = pcre2_match_context_create(NULL);
        r->stack = pcre2_jit_stack_create(64 * 1024, JIT_STACK, NULL);
        if (r->data == NULL || r->ctx == NULL || r->stack == NULL) return PARE_NOMEM(diag);
        pcre2_set_match_limit(r->ctx, MATCH_LIMIT);
        pcre2_set_depth_limit(r->ctx, DEPTH_LIMIT);
        pcre2_set_heap_limit(r->ctx, HEAP_LIMIT_KIB);
        pcre2_jit_stack_assign(r->ctx, NULL, r->stack);
    }
    r->subject = s;
    if (pare_utf8_valid(s, n, &bad)) return PARE_OK;
    r->copy.len = 0; /* stray bytes become PARE_CP_BAD, so that offsets stay */
    if (!pare_buf_add(&r->copy, s, n)) return PARE_NOMEM(diag);
    for (size_t i = bad; i < n;) {
        uint32_t cp;
        unsigned len = pare_utf8_next(s + i, n - i, &cp);
        if (len == 1) r->copy.data[i] = (uint8_t)cp;
        i += len;
    }
    r->subject = r->copy.data;
    return PARE_OK;
}

static bool in_class(enum pare_split_class c, uint32_t cp)
{
    uint32_t k = pare_uc(cp);

    switch (c) {
    case PARE_SPLIT_WS: return (k & PARE_UC_WS) != 0;
    case PARE_SPLIT_PUNCT: return (k & PARE_UC_P) != 0 || (cp < 0x80 && (k & PARE_UC_S) != 0);
    case PARE_SPLIT_NUMERIC: return (k & PARE_UC_N) != 0;
    default: return false;
    }
}

/* \w+|[^\w\s]+ */
static bool next_words(const uint8_t *s, size_t n, size_t at, size_t *from, size_t *to)
{
    bool     word;
    uint32_t cp;

    for (; at < n; at += pare_utf8_next(s + at, n - at, &cp)) {
        (void)pare_utf8_next(s + at, n - at, &cp);
        if ((pare_uc(cp) & PARE_UC_WS) == 0) break;
    }
    if (at >= n) return false;
    *from = at;
    word = pare_uc_word(cp);
    while (at < n) {
        unsigned len = pare_utf8_next(s + at, n - at, &cp);
        if ((pare_uc(cp) & PARE_UC_WS) != 0 || pare_uc_word(cp) != word) break;
        at += len;
    }
    *to = at;
    return true;
}

static bool next_pcre(const struct pare_split *p, struct pare_split_run *r, size_t n, size_t at, size_t *from, size_t *to, int *err)
{
    int         rc = pcre2_match(p->code, (PCRE2_SPTR)r->subject, n, at, PCRE2_NO_UTF_CHECK, r->data, r->ctx);
    PCRE2_SIZE *v;

    if (rc == PCRE2_ERROR_NOMATCH) return false;
    if (rc < 0) {
        *err = PARE_E_LIMIT;
        return false;
    }
    v = pcre2_get_ovector_pointer(r->data);
    *from = v[0];
    *to = v[1] < v[0] ? v[0] : v[1];
    return true;
}

bool pare_split_next(const struct pare_split *p, struct pare_split_run *run, const uint8_t *s, size_t n, size_t at,
                     size_t *from, size_t *to, int *err)
{
    const uint8_t *hit;

    if (at > n) return false;
    switch (p->kind) {
    case BY_HAND: return pare_match_next(&p->hand, s, n, at, from, to);
    case LITERAL:
        hit = p->len == 0 ? NULL : memmem(s + at, n - at, p->text, p->len);
        if (hit == NULL) return false;
        *from = (size_t)(hit - s);
        *to = *from + p->len;
        return true;
    case CLASS:
        if (p->cls == PARE_SPLIT_WORDS) return next_words(s, n, at, from, to);
        while (at < n) {
            uint32_t cp;
            unsigned len = pare_utf8_next(s + at, n - at, &cp);
            if (in_class(p->cls, cp)) {
                *from = at;
                *to = at + len;
                return true;
            }
            at += len;
        }
        return false;
    default: return next_pcre(p, run, n, at, from, to, err);
    }
}
