/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_norm.c: the normalizer steps. Each reads one text and writes another; stray bytes pass through all of them. */
#define _GNU_SOURCE
#include <string.h>
#include <utf8proc.h>

#include "base/status.h"
#include "token/tok_impl.h"
#include "token/tok_unicode.h"

bool pare_lower(struct pare_buf *out, const uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        unsigned len = pare_utf8_next(s + i, n - i, &cp);
        bool     ok;
        if (len == 1) {
            uint8_t b = s[i] >= 'A' && s[i] <= 'Z' ? (uint8_t)(s[i] + 32) : s[i];
            ok = pare_buf_add(out, &b, 1);
        } else if (cp == 0x130) { /* the only letter whose small form has two code points */
            ok = pare_buf_add(out, "i\xCC\x87", 3);
        } else {
            ok = pare_buf_cp(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp));
        }
        if (!ok) return false;
        i += len;
    }
    return true;
}

static bool drop_class(struct pare_buf *out, const uint8_t *s, size_t n, uint32_t mask)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        unsigned len = pare_utf8_next(s + i, n - i, &cp);
        if ((pare_uc(cp) & mask) == 0 && !pare_buf_add(out, s + i, len)) return false;
        i += len;
    }
    return true;
}

/* The ideographs that BERT's normalizer puts spaces around. */
static bool bert_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static bool bert_clean(struct pare_buf *out, const uint8_t *s, size_t n, const struct pare_norm *o)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        unsigned len = pare_utf8_next(s + i, n - i, &cp);
        uint32_t k = pare_uc(cp);
        bool     ok = true, stray = len == 1 && s[i] >= 0x80;
        if (o->clean && (stray || cp == 0 || cp == 0xFFFD || ((k & PARE_UC_C) != 0 && cp != '\t' && cp != '\n' && cp != '\r'))) {
            /* dropped */
        } else if (o->clean && (k & PARE_UC_WS) != 0) {
            ok = pare_buf_add(out, " ", 1);
        } else if (o->chinese && bert_chinese(cp)) {
            ok = pare_buf_add(out, " ", 1) && pare_buf_add(out, s + i, len) && pare_buf_add(out, " ", 1);
        } else {
            ok = pare_buf_add(out, s + i, len);
        }
        if (!ok) return false;
        i += len;
    }
    return true;
}

static bool bert(struct pare_buf *out, const uint8_t *s, size_t n, const struct pare_norm *o)
{
    struct pare_buf a = { .max = SIZE_MAX / 4 }, b = { .max = SIZE_MAX / 4 };
    bool            ok = bert_clean(&a, s, n, o);

    if (ok && o->accents) {
        ok = pare_utf8_normalize(&b, a.data, a.len, PARE_NFD);
        a.len = 0;
        ok = ok && drop_class(&a, b.data, b.len, PARE_UC_MN);
    }
    if (ok) ok = o->lower ? pare_lower(out, a.data, a.len) : pare_buf_add(out, a.data, a.len);
    pare_buf_free(&a);
    pare_buf_free(&b);
    return ok;
}

static bool strip(struct pare_buf *out, const uint8_t *s, size_t n, const struct pare_norm *o)
{
    size_t   from = 0, to = n;
    uint32_t cp;
    unsigned len;

    while (o->left && from < to && (len = pare_utf8_next(s + from, to - from, &cp), (pare_uc(cp) & PARE_UC_WS) != 0)) from += len;
    while (o->right && to > from && (len = pare_utf8_prev(s, to, &cp), (pare_uc(cp) & PARE_UC_WS) != 0)) to -= len;
    return pare_buf_add(out, s + from, to - from);
}

static int replace(const struct pare_norm *o, struct pare_split_run **run, const uint8_t *s, size_t n, struct pare_buf *out,
                   struct pare_diag *diag)
{
    size_t from, to, at = 0, kept = 0;
    int    err = 0;

    PARE_FORWARD(pare_split_begin(o->pattern, run, s, n, diag));
    while (pare_split_next(o->pattern, *run, s, n, at, &from, &to, &err)) {
        uint32_t cp;
        if (!pare_buf_add(out, s + kept, from - kept) || !pare_buf_add(out, o->text, o->len)) return PARE_NOMEM(diag);
        kept = to;
        at = to > from ? to : to < n ? to + pare_utf8_next(s + to, n - to, &cp) : n + 1;
    }
    PARE_FAIL_IF(diag, err != 0, err, "a normalizer's regular expression takes too long on this text");
    return pare_buf_add(out, s + kept, n - kept) ? PARE_OK : PARE_NOMEM(diag);
}

/* SentencePiece's "Nmt" rules: controls vanish, odd spaces become plain ones. */
static bool nmt(struct pare_buf *out, const uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;
        unsigned len = pare_utf8_next(s + i, n - i, &c);
        bool     stray = len == 1 && s[i] >= 0x80;
        if (!stray && ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F)) {
            i += len;
            continue;
        }
        if (c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
            c == 0x2581 || c == 0xFEFF || c == 0xFFFD) {
            if (!pare_buf_add(out, " ", 1)) return false;
        } else if (!pare_buf_add(out, s + i, len)) {
            return false;
        }
        i += len;
    }
    return true;
}

/* SentencePiece's remove_extra_whitespaces: none at the ends, one between words. */
static bool squeeze(struct pare_buf *out, const uint8_t *s, size_t n)
{
    while (n > 0 && s[n - 1] == ' ') n--;
    for (size_t i = 0; i < n; i++)
        if ((s[i] != ' ' || (i > 0 && out->len > 0 && s[i - 1] != ' ')) && !pare_buf_add(out, s + i, 1)) return false;
    return true;
}

static bool bytes(struct pare_buf *out, const uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!pare_buf_cp(out, pare_byte_cp[s[i]])) return false;
    return true;
}

int pare_norm_run(const struct pare_norm *o, struct pare_split_run **run, const uint8_t *s, size_t n, struct pare_buf *out,
                  struct pare_diag *diag)
{
    bool ok = false;

    switch (o->kind) {
    case PARE_NORM_NFC: case PARE_NORM_NFD: case PARE_NORM_NFKC: case PARE_NORM_NFKD:
        ok = pare_utf8_normalize(out, s, n, (enum pare_nform)o->kind);
        break;
    case PARE_NORM_LOWER: ok = pare_lower(out, s, n); break;
    case PARE_NORM_STRIP: ok = strip(out, s, n, o); break;
    case PARE_NORM_STRIP_ACCENTS: ok = drop_class(out, s, n, PARE_UC_M); break;
    case PARE_NORM_REPLACE: return replace(o, run, s, n, out, diag);
    case PARE_NORM_PREPEND: ok = n == 0 || (pare_buf_add(out, o->text, o->len) && pare_buf_add(out, s, n)); break;
    case PARE_NORM_BERT: ok = bert(out, s, n, o); break;
    case PARE_NORM_CHARSMAP: ok = pare_charsmap_run(out, o->text, o->len, false, s, n); break;
    case PARE_NORM_CHARSMAP_LONGEST: ok = pare_charsmap_run(out, o->text, o->len, true, s, n); break;
    case PARE_NORM_BYTES: ok = bytes(out, s, n); break;
    case PARE_NORM_NMT: ok = nmt(out, s, n); break;
    case PARE_NORM_SQUEEZE: ok = squeeze(out, s, n); break;
    }
    return ok ? PARE_OK : PARE_NOMEM(diag);
}

int pare_tok_normalize(struct pare_tok_work *w)
{
    for (uint32_t i = 0; i < w->t->n_norm; i++) {
        struct pare_buf swap;
        w->b.len = 0;
        if (!pare_buf_reserve(&w->b, w->a.len)) return PARE_NOMEM(w->diag);
        PARE_FORWARD(pare_norm_run(&w->t->norm[i], &w->run, w->a.data, w->a.len, &w->b, w->diag));
        swap = w->a;
        w->a = w->b;
        w->b = swap;
    }
    return PARE_OK;
}
