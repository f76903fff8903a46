/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_wordpiece.c: WordPiece: the longest piece of the vocabulary, again and again; a word that does not come out
 * whole is one unknown token. Two tries' worth of texts share one trie: pieces that begin a word and pieces that go on differ
 * by their prefix ("##" in BERT's files, U+2581 before the others in GGUF). Also whole words (WordLevel). */
#include <string.h>

#include "base/status.h"
#include "token/tok_impl.h"
#include "token/tok_unicode.h"

/* The trie node that a prefix leads to; 0 with a non-empty prefix: no piece has it. */
static bool enter(const struct pare_trie *t, const char *prefix, uint32_t *node)
{
    *node = 0;
    for (; *prefix != '\0'; prefix++)
        if (t->n == 0 || (*node = pare_trie_step(t, *node, (uint8_t)*prefix)) == 0) return false;
    return true;
}

static int32_t longest(const struct pare_trie *t, uint32_t node, const uint8_t *s, size_t n, size_t *len)
{
    int32_t best = -1;

    for (size_t i = 0; i < n && t->n != 0 && (node = pare_trie_step(t, node, s[i])) != 0; i++)
        if (t->value[node] >= 0) {
            best = t->value[node];
            *len = i + 1;
        }
    return best;
}

static int unknown(struct pare_tok_work *w, size_t before)
{
    w->out->n = before;
    if (w->t->unk >= 0 && !pare_ids_add(w->out, w->t->unk)) return PARE_NOMEM(w->diag);
    return PARE_OK;
}

int pare_wordpiece_word(struct pare_tok_work *w, const uint8_t *s, size_t n)
{
    const struct pare_tokenizer *t = w->t;
    size_t                       before = w->out->n, chars = 0, i, len = 0;
    uint32_t                     first, rest, cp;
    bool                         has_first, has_rest;

    if (t->model == PARE_MODEL_WORDS) {
        int32_t id = pare_symtab_find(&t->sym, (const char *)s, n);
        if (id < 0 || t->type[id] == PARE_TOKEN_CONTROL) return unknown(w, before);
        return pare_ids_add(w->out, id) ? PARE_OK : PARE_NOMEM(w->diag);
    }
    for (i = 0; i < n && chars <= t->max_word; chars++) i += pare_utf8_next(s + i, n - i, &cp);
    if (chars > t->max_word) return unknown(w, before);
    has_first = enter(&t->trie, t->word_start, &first);
    has_rest = enter(&t->trie, t->prefix, &rest);
    for (i = 0; i < n; i += len) {
        int32_t id = -1;
        if (i == 0 ? has_first : has_rest) id = longest(&t->trie, i == 0 ? first : rest, s + i, n - i, &len);
        if (id < 0) return unknown(w, before);
        if (!pare_ids_add(w->out, id)) return PARE_NOMEM(w->diag);
    }
    return PARE_OK;
}
