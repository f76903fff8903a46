/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_added.c: added tokens: texts that are cut out before normalizing (or after, when they say so) and never merged.
 * Of several that begin at one place the longest is taken, from left to right, as Hugging Face's tokenizers do. */
#include <string.h>

#include "base/status.h"
#include "token/tok_impl.h"
#include "token/tok_unicode.h"

int pare_tok_add_added(struct pare_tokenizer *t, int32_t id, uint32_t flags, struct pare_diag *diag)
{
    if (t->n_added == t->cap_added) {
        uint32_t           cap = t->cap_added == 0 ? 16 : t->cap_added * 2;
        struct pare_added *p = pare_realloc_array(t->added, cap, sizeof *p);
        if (p == NULL) return PARE_NOMEM(diag);
        t->added = p;
        t->cap_added = cap;
    }
    t->added[t->n_added++] = (struct pare_added){ id, flags };
    return PARE_OK;
}

/* A token that is matched in normalized text is itself normalized first. */
int pare_tok_added_build(struct pare_tokenizer *t, struct pare_diag *diag)
{
    struct pare_tok_work w = { .t = t, .diag = diag, .a = { .max = SIZE_MAX / 4 }, .b = { .max = SIZE_MAX / 4 } };
    int                  rc = PARE_OK;

    for (uint32_t i = 0; rc == PARE_OK && i < t->n_added; i++) {
        size_t      len;
        const char *s = pare_symtab_text(&t->sym, (uint32_t)t->added[i].id, &len);
        bool        normalized = (t->added[i].flags & PARE_ADDED_NORMALIZED) != 0 && t->n_norm > 0;
        w.a.len = 0;
        if (!pare_buf_add(&w.a, s, len)) {
            rc = PARE_NOMEM(diag);
        } else if (normalized && (rc = pare_tok_normalize(&w)) < 0) {
            break;
        } else if (!pare_trie_add(normalized ? &t->added_norm : &t->added_raw, (const char *)w.a.data, w.a.len, (int32_t)i)) {
            rc = PARE_NOMEM(diag);
        }
    }
    pare_split_run_free(&w.run);
    pare_buf_free(&w.a);
    pare_buf_free(&w.b);
    return rc;
}

static bool word_before(const uint8_t *s, size_t at)
{
    uint32_t cp = 0;
    if (at == 0) return false;
    (void)pare_utf8_prev(s, at, &cp);
    return pare_uc_word(cp);
}

static bool word_after(const uint8_t *s, size_t n, size_t at)
{
    uint32_t cp = 0;
    if (at >= n) return false;
    (void)pare_utf8_next(s + at, n - at, &cp);
    return pare_uc_word(cp);
}

/* The added token at s + i, if any: the longest that the flags of the call allow. */
static int32_t match(const struct pare_tok_work *w, const struct pare_trie *trie, const uint8_t *s, size_t n, size_t *len)
{
    int32_t  best = -1;
    uint32_t node = 0;

    for (size_t i = 0; i < n && (node = pare_trie_step(trie, node, s[i])) != 0; i++)
        if (trie->value[node] >= 0) {
            best = trie->value[node];
            *len = i + 1;
        }
    if (best >= 0 && (w->t->added[best].flags & PARE_ADDED_SPECIAL) != 0 && (w->flags & PARE_TOK_PARSE_SPECIAL) == 0) return -2;
    return best;
}

int pare_tok_cut(struct pare_tok_work *w, const struct pare_trie *trie, const uint8_t *s, size_t n,
                 int (*text)(struct pare_tok_work *w, const uint8_t *s, size_t n, bool first))
{
    size_t done = 0;

    for (size_t i = 0; trie->n != 0 && i < n;) {
        size_t   len = 0, from = i, to;
        int32_t  k = match(w, trie, s + i, n - i, &len);
        uint32_t flags, cp;
        unsigned step;

        if (k == -1) {
            i++;
            continue;
        }
        to = i + len;
        i = to; /* a match that is refused is still passed over, as a whole */
        if (k == -2) continue;
        flags = w->t->added[k].flags;
        if ((flags & PARE_ADDED_WORD) != 0 && (word_before(s, from) || word_after(s, n, to))) continue;
        if ((flags & PARE_ADDED_LSTRIP) != 0)
            while (from > done && (step = pare_utf8_prev(s, from, &cp), (pare_uc(cp) & PARE_UC_WS) != 0)) from -= step;
        if ((flags & PARE_ADDED_RSTRIP) != 0)
            while (to < n && (step = pare_utf8_next(s + to, n - to, &cp), (pare_uc(cp) & PARE_UC_WS) != 0)) to += step;
        if (from < done) from = done;
        if (from > done) PARE_FORWARD(text(w, s + done, from - done, done == 0));
        if (!pare_ids_add(w->out, w->t->added[k].id)) return PARE_NOMEM(w->diag);
        w->last_unk = false;
        done = to; /* a token inside of white space that was stripped is still found: so do the tokenizers of Hugging Face */
    }
    if (done < n) return text(w, s + done, n - done, done == 0);
    return PARE_OK;
}
