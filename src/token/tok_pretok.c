/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_pretok.c: the pre-tokenizer steps: spans of a text are cut into smaller ones, or the text of each is rewritten. */
#define _GNU_SOURCE
#include <string.h>

#include "base/status.h"
#include "token/tok_impl.h"
#include "token/tok_unicode.h"

int pare_tok_add_span(struct pare_tok_work *w, size_t off, size_t len)
{
    if (len == 0) return PARE_OK; /* empty pieces vanish everywhere */
    if (w->n_span2 == w->cap_span2 &&
        !pare_tok_grow(&w->span2, &w->cap_span2, w->n_span2 + 1, sizeof *w->span2))
        return PARE_NOMEM(w->diag);
    w->span2[w->n_span2++] = (struct pare_span){ (uint32_t)off, (uint32_t)len };
    return PARE_OK;
}

/* Where a piece of the text comes to lie, by the behaviour; matches and what stands between them arrive in order. */
struct cutter {
    struct pare_tok_work *w;
    enum pare_behavior    behavior;
    bool                  invert;
    size_t                base;
    bool                  open;       /* a piece that may still grow: [from, to) */
    bool                  open_match;
    size_t                from, to;
    bool                  prev_match;
};

static int flush(struct cutter *c)
{
    if (!c->open) return PARE_OK;
    c->open = false;
    return pare_tok_add_span(c->w, c->base + c->from, c->to - c->from);
}

static int part(struct cutter *c, size_t from, size_t to, bool match)
{
    bool join = false;

    match = match != c->invert;
    switch (c->behavior) {
    case PARE_REMOVED:
        if (match) return PARE_OK;
        break;
    case PARE_ISOLATED: break;
    case PARE_CONTIGUOUS: join = c->open && c->open_match == match; break;
    case PARE_MERGED_PREV:
        join = match && !c->prev_match && c->open;
        c->prev_match = match;
        break;
    case PARE_MERGED_NEXT: /* a match waits for what follows; another match does not join it */
        join = c->open && c->open_match && !match;
        break;
    }
    if (join) {
        c->to = to;
        c->open_match = c->behavior == PARE_MERGED_NEXT ? false : match;
        return PARE_OK;
    }
    PARE_FORWARD(flush(c));
    c->open = true;
    c->open_match = match;
    c->from = from;
    c->to = to;
    return PARE_OK;
}

static int split_span(struct pare_tok_work *w, const struct pare_pre *p, struct pare_span sp)
{
    const uint8_t *s = w->a.data + sp.off;
    struct cutter  c = { .w = w, .behavior = p->behavior, .invert = p->invert, .base = sp.off };
    size_t         at = 0, done = 0, from, to, n = sp.len;
    int            err = 0;

    PARE_FORWARD(pare_split_begin(p->pattern, &w->run, s, n, w->diag));
    while (pare_split_next(p->pattern, w->run, s, n, at, &from, &to, &err)) {
        uint32_t cp;
        if (from > done) PARE_FORWARD(part(&c, done, from, false));
        PARE_FORWARD(part(&c, from, to, true));
        done = to;
        at = to > from ? to : to < n ? to + pare_utf8_next(s + to, n - to, &cp) : n + 1;
    }
    if (err != 0) {
        bool hand;
        PARE_FAIL(w->diag, err, "the pre-tokenizer's regular expression \"%.120s\" takes too long on this text",
                  pare_split_text(p->pattern, &hand));
    }
    if (done < n) PARE_FORWARD(part(&c, done, n, false));
    return flush(&c);
}

/* Bytes to the alphabet of byte-level BPE. Spans keep their order, so one pass over the text does it. */
static int map_bytes(struct pare_tok_work *w, struct pare_span sp)
{
    size_t   off = w->b.len;
    uint8_t *d;

    if (!pare_buf_reserve(&w->b, (size_t)sp.len * 2)) return PARE_NOMEM(w->diag);
    d = w->b.data + off;
    for (const uint8_t *s = w->a.data + sp.off, *e = s + sp.len; s < e; s++) {
        uint32_t cp = pare_byte_cp[*s];
        if (cp < 0x80) {
            *d++ = (uint8_t)cp;
        } else {
            *d++ = (uint8_t)(0xC0 | cp >> 6);
            *d++ = (uint8_t)(0x80 | (cp & 0x3F));
        }
    }
    w->b.len = (size_t)(d - w->b.data);
    return pare_tok_add_span(w, off, w->b.len - off);
}

static int prefix_space(struct pare_tok_work *w, struct pare_span sp)
{
    size_t off = w->b.len;

    if (w->a.data[sp.off] != ' ' && !pare_buf_add(&w->b, " ", 1)) return PARE_NOMEM(w->diag);
    if (!pare_buf_add(&w->b, w->a.data + sp.off, sp.len)) return PARE_NOMEM(w->diag);
    return pare_tok_add_span(w, off, w->b.len - off);
}

static int metaspace(struct pare_tok_work *w, const struct pare_pre *p, struct pare_span sp, bool first)
{
    const uint8_t *s = w->a.data + sp.off;
    size_t         off = w->b.len, i, from;
    bool           has = s[0] == ' ' || (sp.len >= p->len && memcmp(s, p->text, p->len) == 0);

    if (!has && (p->prepend == 2 || (p->prepend == 1 && first)) && !pare_buf_add(&w->b, p->text, p->len)) return PARE_NOMEM(w->diag);
    for (i = 0; i < sp.len;) {
        const uint8_t *hit = memchr(s + i, ' ', sp.len - i);
        size_t         k = hit == NULL ? sp.len : (size_t)(hit - s);
        if (!pare_buf_add(&w->b, s + i, k - i) || (hit != NULL && !pare_buf_add(&w->b, p->text, p->len))) return PARE_NOMEM(w->diag);
        i = k + (hit != NULL);
    }
    if (!p->cut) return pare_tok_add_span(w, off, w->b.len - off);
    for (from = off, i = off + 1; i < w->b.len; i++) {
        if (w->b.len - i < p->len || memcmp(w->b.data + i, p->text, p->len) != 0) continue;
        if (i < from + p->len && memcmp(w->b.data + from, p->text, p->len) == 0) continue; /* inside the replacement */
        PARE_FORWARD(pare_tok_add_span(w, from, i - from));
        from = i;
        i += p->len - 1;
    }
    return pare_tok_add_span(w, from, w->b.len - from);
}

int pare_tok_pretokenize(struct pare_tok_work *w)
{
    w->n_span2 = 0;
    /* Spans are offsets: a text that a normalizer emptied needs an address too. */
    if (!pare_buf_reserve(&w->a, 1) || !pare_buf_reserve(&w->b, 1)) return PARE_NOMEM(w->diag);
    PARE_FORWARD(pare_tok_add_span(w, 0, w->a.len));
    for (uint32_t k = 0;; k++) {
        const struct pare_pre *p = k < w->t->n_pre ? &w->t->pre[k] : NULL;
        struct pare_span      *sp = w->span2;
        size_t                 n = w->n_span2, cap = w->cap_span2;
        struct pare_buf        swap;

        w->span2 = w->span, w->cap_span2 = w->cap_span, w->n_span2 = 0; /* what was written is read next */
        w->span = sp, w->cap_span = cap, w->n_span = n;
        if (k == w->t->n_pre) return PARE_OK;
        w->b.len = 0;
        if (p->kind == PARE_PRE_BYTES && !pare_buf_reserve(&w->b, w->a.len * 2)) return PARE_NOMEM(w->diag);
        for (size_t i = 0; i < n; i++) {
            switch (p->kind) {
            case PARE_PRE_SPLIT: PARE_FORWARD(split_span(w, p, w->span[i])); break;
            case PARE_PRE_BYTES: PARE_FORWARD(map_bytes(w, w->span[i])); break;
            case PARE_PRE_PREFIX_SPACE: PARE_FORWARD(prefix_space(w, w->span[i])); break;
            case PARE_PRE_METASPACE: PARE_FORWARD(metaspace(w, p, w->span[i], w->at_start && i == 0 && w->span[i].off == 0)); break;
            }
        }
        if (p->kind == PARE_PRE_SPLIT) continue;
        swap = w->a;
        w->a = w->b;
        w->b = swap;
    }
}
