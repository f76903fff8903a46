/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_bpe.c: byte pair encoding of one word: of all neighbours that may merge, the pair of least priority value (the
 * leftmost of equals) merges first. Short words scan their few pairs; long ones keep a heap, n log n.
 *
 * SentencePiece's BPE is the same with another priority: the score of the result. Its halves were looked up beforehand
 * (pare_tok_spm_merges), so that one loop serves both. */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/status.h"
#include "token/tok_impl.h"
#include "token/tok_unicode.h"

#define NONE UINT32_MAX
#define SHORT 32

static int32_t symbol_of(const struct pare_tokenizer *t, const uint8_t *s, unsigned len, uint32_t cp)
{
    if (cp < 0x180 && (len > 1 || s[0] < 0x80)) return t->first_sym[cp];
    return pare_symtab_find(&t->sym, (const char *)s, len);
}

/* The same with continuing_subword_prefix and end_of_word_suffix, which are part of the texts in the vocabulary. */
static int32_t symbol_fixed(const struct pare_tokenizer *t, const uint8_t *s, unsigned len, bool first, bool last)
{
    char   text[256];
    size_t np = first ? 0 : strlen(t->prefix), ns = last ? strlen(t->suffix) : 0;

    if (np + len + ns > sizeof text) return -1;
    memcpy(text, t->prefix, np);
    memcpy(text + np, s, len);
    memcpy(text + np + len, t->suffix, ns);
    return pare_symtab_find(&t->sym, text, np + len + ns);
}

static bool push_symbol(struct pare_tok_work *w, uint32_t *n, int32_t id, uint32_t off)
{
    if (*n >= w->cap_sym && !pare_tok_grow(&w->sym, &w->cap_sym, (size_t)*n + 1, sizeof *w->sym)) return false;
    w->sym[*n] = (struct pare_sym){ id, *n - 1, *n + 1, off }; /* *n == 0: prev is NONE */
    ++*n;
    return true;
}

static bool has_bytes(const struct pare_tokenizer *t, const uint8_t *s, unsigned len)
{
    if (!t->byte_fallback) return false;
    for (unsigned i = 0; i < len; i++)
        if (t->byte_id[s[i]] < 0) return false;
    return true;
}

/* The word as symbols, one a character. A character outside the vocabulary becomes its bytes, or the unknown token, or nothing. */
static int load_symbols(struct pare_tok_work *w, const uint8_t *s, size_t n, uint32_t *count)
{
    const struct pare_tokenizer *t = w->t;
    bool                         fixed = t->prefix[0] != '\0' || t->suffix[0] != '\0', fused = false;
    uint32_t                     m = 0;

    for (size_t i = 0; i < n;) {
        uint32_t cp;
        unsigned len = pare_utf8_next(s + i, n - i, &cp);
        int32_t  id = fixed ? symbol_fixed(t, s + i, len, i == 0, i + len == n) : symbol_of(t, s + i, len, cp);
        bool     ok = true;
        if (id >= 0 || t->keep_unknown) {
            ok = push_symbol(w, &m, id, (uint32_t)i);
            fused = false;
        } else if (has_bytes(t, s + i, len)) {
            for (unsigned k = 0; ok && k < len; k++) ok = push_symbol(w, &m, t->byte_id[s[i + k]], (uint32_t)(i + k));
            fused = false;
        } else if (t->unk >= 0 && !(t->fuse_unk && fused)) {
            ok = push_symbol(w, &m, t->unk, (uint32_t)i);
            fused = true;
        }
        if (!ok) return PARE_NOMEM(w->diag);
        i += len;
    }
    if (m > 0) w->sym[m - 1].next = NONE;
    *count = m;
    return PARE_OK;
}

static const struct pare_pair *lookup(struct pare_tok_work *w, uint32_t i)
{
    const struct pare_sym  *a = &w->sym[i], *b;
    const struct pare_pair *p;

    if (a->next == NONE || a->id < 0 || (b = &w->sym[a->next])->id < 0) return NULL;
    p = pare_pairmap_get(&w->t->merges, (uint64_t)(uint32_t)a->id << 32 | (uint32_t)b->id);
    if (p != NULL && w->unused_split != NULL && p->b < w->t->n_text && w->t->type[p->b] == PARE_TOKEN_UNUSED)
        w->unused_split[p->b] = p->key;
    return p;
}

static void join(struct pare_tok_work *w, uint32_t i, uint32_t id)
{
    uint32_t r = w->sym[i].next, rr = w->sym[r].next;

    w->sym[i].id = (int32_t)id;
    w->sym[i].next = rr;
    if (rr != NONE) w->sym[rr].prev = i;
    w->sym[r].id = -2; /* gone */
}

static void merge_short(struct pare_tok_work *w, uint32_t n)
{
    uint64_t prio[SHORT]; /* of the pair that begins at a symbol, UINT64_MAX none */
    uint32_t to[SHORT];

#define LOOK(i) do { const struct pare_pair *p_ = lookup(w, i); prio[i] = p_ == NULL ? UINT64_MAX : p_->a; to[i] = p_ == NULL ? 0 : p_->b; } while (0)
    for (uint32_t i = 0; i < n; i++) LOOK(i);
    for (;;) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < n; i++)
            if (prio[i] < prio[best]) best = i;
        if (prio[best] == UINT64_MAX) return;
        prio[w->sym[best].next] = UINT64_MAX;
        join(w, best, to[best]);
        if (w->sym[best].prev != NONE) LOOK(w->sym[best].prev);
        LOOK(best);
    }
#undef LOOK
}

/* A heap of four children a node over priority << 32 | position: half the depth of a binary one, and the children of a node
 * share a cache line. */
static void sift_down(uint64_t *h, size_t n, size_t i, uint64_t x)
{
    for (;;) {
        size_t c = 4 * i + 1, best, end = c + 4 < n ? c + 4 : n;
        if (c >= n) break;
        for (best = c++; c < end; c++)
            if (h[c] < h[best]) best = c;
        if (h[best] >= x) break;
        h[i] = h[best];
        i = best;
    }
    h[i] = x;
}

static void heap_push(struct pare_tok_work *w, uint64_t x)
{
    size_t i = w->n_heap++;

    while (i > 0 && w->heap[(i - 1) / 4] > x) {
        w->heap[i] = w->heap[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    w->heap[i] = x;
}

static int merge_long(struct pare_tok_work *w, uint32_t n)
{
    /* each merge takes one entry and adds at most two; there are fewer merges than symbols */
    if (!pare_tok_grow(&w->heap, &w->cap_heap, 2 * (size_t)n + 2, sizeof *w->heap)) return PARE_NOMEM(w->diag);
    w->n_heap = 0;
    for (uint32_t i = 0; i + 1 < n; i++) {
        const struct pare_pair *p = lookup(w, i);
        if (p != NULL) w->heap[w->n_heap++] = (uint64_t)p->a << 32 | i;
    }
    for (size_t i = w->n_heap / 4 + 1; i-- > 0;)
        if (i < w->n_heap) sift_down(w->heap, w->n_heap, i, w->heap[i]);
    while (w->n_heap > 0) {
        uint64_t                top = w->heap[0];
        uint32_t                i = (uint32_t)top;
        const struct pare_pair *p;
        if (--w->n_heap > 0) sift_down(w->heap, w->n_heap, 0, w->heap[w->n_heap]);
        if (w->sym[i].id < 0 || (p = lookup(w, i)) == NULL || p->a != (uint32_t)(top >> 32)) continue; /* out of date */
        join(w, i, p->b);
        if (w->sym[i].prev != NONE && (p = lookup(w, w->sym[i].prev)) != NULL) heap_push(w, (uint64_t)p->a << 32 | w->sym[i].prev);
        if ((p = lookup(w, i)) != NULL) heap_push(w, (uint64_t)p->a << 32 | i);
    }
    return PARE_OK;
}

/* A symbol that is no id: what it was made of. */
static bool put_text(struct pare_tok_work *w, const uint8_t *s, size_t n)
{
    const struct pare_tokenizer *t = w->t;

    for (size_t i = 0; i < n;) {
        uint32_t cp;
        unsigned len = pare_utf8_next(s + i, n - i, &cp);
        int32_t  id = symbol_of(t, s + i, len, cp);
        bool     ok = true;
        if (id >= 0 && (uint32_t)id < t->n_text) {
            ok = pare_ids_add(w->out, id);
            w->last_unk = false;
        } else if (has_bytes(t, s + i, len)) {
            for (unsigned k = 0; ok && k < len; k++) ok = pare_ids_add(w->out, t->byte_id[s[i + k]]);
            w->last_unk = false;
        } else if (t->unk >= 0 && !(t->fuse_unk && w->last_unk)) {
            ok = pare_ids_add(w->out, t->unk);
            w->last_unk = true;
        }
        if (!ok) return false;
        i += len;
    }
    return true;
}

/* SentencePiece takes pieces marked as unused apart again, by the halves they were last seen made of. A half is shorter than
 * the whole, so this ends; depth is bounded by the length of a piece, and by the counter for hostile tables. */
static bool put_unused(struct pare_tok_work *w, int32_t id, int depth)
{
    uint64_t halves = w->unused_split[id];

    if ((uint32_t)id >= w->t->n_text || w->t->type[id] != PARE_TOKEN_UNUSED || halves == UINT64_MAX || depth > 256)
        return pare_ids_add(w->out, id);
    for (int k = 0; k < 2; k++) {
        uint32_t h = k == 0 ? (uint32_t)(halves >> 32) : (uint32_t)halves;
        size_t   len;
        if (h < w->t->n_text) {
            if (!put_unused(w, (int32_t)h, depth + 1)) return false;
        } else {
            const char *s = pare_symtab_text(&w->t->sym, h, &len);
            if (!put_text(w, (const uint8_t *)s, len)) return false;
        }
    }
    return true;
}

static int segment(struct pare_tok_work *w, const uint8_t *s, size_t n)
{
    uint32_t count = 0;

    if (w->t->ignore_merges) {
        int32_t id = pare_symtab_find(&w->t->sym, (const char *)s, n);
        if (id >= 0 && (uint32_t)id < w->t->n_text && w->t->type[id] != PARE_TOKEN_CONTROL)
            return pare_ids_add(w->out, id) ? PARE_OK : PARE_NOMEM(w->diag);
    }
    PARE_FORWARD(load_symbols(w, s, n, &count));
    if (count == 0) return PARE_OK;
    if (count <= SHORT)
        merge_short(w, count);
    else
        PARE_FORWARD(merge_long(w, count));
    for (uint32_t i = 0; i != NONE; i = w->sym[i].next) {
        const struct pare_sym *y = &w->sym[i];
        size_t                 end = y->next == NONE ? n : w->sym[y->next].off;
        bool                   ok;
        if (y->id >= 0 && (uint32_t)y->id < w->t->n_text) {
            ok = w->unused_split != NULL ? put_unused(w, y->id, 0) : pare_ids_add(w->out, y->id);
            w->last_unk = false;
        } else {
            ok = put_text(w, s + y->off, end - y->off);
        }
        if (!ok) return PARE_NOMEM(w->diag);
    }
    return PARE_OK;
}

/* Most words of a text come again. A word of up to 30 bytes and 8 ids is remembered for the rest of the call. */
static int cached(struct pare_tok_work *w, const uint8_t *s, size_t n)
{
    struct pare_word *c;
    size_t            before = w->out->n, k;

    if (w->words == NULL || n > sizeof c->key || w->unused_split != NULL || (w->t->fuse_unk && w->t->keep_unknown))
        return segment(w, s, n);
    c = &w->words[XXH3_64bits(s, n) & (PARE_WORDS - 1)];
    if (c->len == n && memcmp(c->key, s, n) == 0) {
        for (k = 0; k < c->n; k++)
            if (!pare_ids_add(w->out, c->ids[k])) return PARE_NOMEM(w->diag);
        return PARE_OK;
    }
    PARE_FORWARD(segment(w, s, n));
    k = w->out->n - before;
    if (k > 8) return PARE_OK;
    c->len = (uint8_t)n;
    c->n = (uint8_t)k;
    memcpy(c->key, s, n);
    memcpy(c->ids, w->out->ids + before, k * sizeof c->ids[0]);
    return PARE_OK;
}

int pare_bpe_word(struct pare_tok_work *w, const uint8_t *s, size_t n)
{
    size_t from = 0;

    if (!w->t->mark_cuts) return cached(w, s, n);
    /* No text of the vocabulary has U+2581 after another character, so that nothing can merge across this border. */
    for (size_t i = 1; i + 3 <= n; i++) {
        if (s[i] != 0xE2 || s[i + 1] != 0x96 || s[i + 2] != 0x81) continue;
        if (i >= 3 && s[i - 3] == 0xE2 && s[i - 2] == 0x96 && s[i - 1] == 0x81) continue;
        PARE_FORWARD(cached(w, s + from, i - from));
        from = i;
    }
    return cached(w, s + from, n - from);
}
