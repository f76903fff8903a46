/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_unigram.c: the unigram language model of SentencePiece: of all ways to cut a text into pieces, the one whose
 * scores (log probabilities) add up to most. Kudo 2018, "Subword Regularization", arXiv:1804.10959; Viterbi over byte
 * positions, one walk down the trie at each character: linear in the text times the longest piece. */
#include "base/status.h"
#include "token/tok_impl.h"
#include "token/tok_unicode.h"

static double score_of(const struct pare_tokenizer *t, int32_t id) { return t->score64 != NULL ? t->score64[id] : (double)t->score[id]; }

static void forward(struct pare_tok_work *w, const uint8_t *s, size_t n)
{
    const struct pare_tokenizer *t = w->t;

    for (size_t i = 0; i <= n; i++) w->node[i].from = UINT32_MAX;
    w->node[0].score = 0;
    w->node[0].from = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp, node = 0;
        unsigned len = pare_utf8_next(s + i, n - i, &cp);
        bool     single = false;
        double   here = w->node[i].score;
        for (size_t j = i; j < n && t->trie.n != 0 && (node = pare_trie_step(&t->trie, node, s[j])) != 0; j++) {
            int32_t id = t->trie.value[node];
            double  sum;
            if (id < 0) continue;
            sum = here + score_of(t, id);
            if (w->node[j + 1].from == UINT32_MAX || sum > w->node[j + 1].score) {
                w->node[j + 1].score = sum;
                w->node[j + 1].from = (uint32_t)i;
                w->node[j + 1].id = id;
            }
            if (j + 1 - i == len) single = true;
        }
        if (!single && (w->node[i + len].from == UINT32_MAX || here + t->unk_score > w->node[i + len].score)) {
            w->node[i + len].score = here + t->unk_score;
            w->node[i + len].from = (uint32_t)i;
            w->node[i + len].id = -1;
        }
        i += len;
    }
}

/* Unknown characters in a row are one unknown token, or their bytes where the vocabulary has them all. */
static int put_unknown(struct pare_tok_work *w, const uint8_t *s, size_t n)
{
    const struct pare_tokenizer *t = w->t;
    bool                         bytes = t->byte_fallback;

    for (size_t i = 0; bytes && i < n; i++) bytes = t->byte_id[s[i]] >= 0;
    if (!bytes) {
        if (t->unk >= 0 && !pare_ids_add(w->out, t->unk)) return PARE_NOMEM(w->diag);
        return PARE_OK;
    }
    for (size_t i = 0; i < n; i++)
        if (!pare_ids_add(w->out, t->byte_id[s[i]])) return PARE_NOMEM(w->diag);
    return PARE_OK;
}

int pare_unigram_word(struct pare_tok_work *w, const uint8_t *s, size_t n)
{
    size_t at, next;

    if (n == 0) return PARE_OK;
    if (!pare_tok_grow(&w->node, &w->cap_node, n + 1, sizeof *w->node)) return PARE_NOMEM(w->diag);
    forward(w, s, n);
    /* turn the path round: each place on it learns where its piece ends (the score has served). A whole path exists, because
     * every character has at least the unknown edge. */
    for (at = n; at > 0; at = next) {
        next = w->node[at].from;
        w->node[next].score = (double)at;
    }
    for (at = 0; at < n; at = next) {
        next = (size_t)w->node[at].score;
        if (w->node[next].id >= 0) {
            if (!pare_ids_add(w->out, w->node[next].id)) return PARE_NOMEM(w->diag);
            continue;
        }
        while (next < n && w->node[(size_t)w->node[next].score].id < 0) next = (size_t)w->node[next].score;
        PARE_FORWARD(put_unknown(w, s + at, next - at));
    }
    return PARE_OK;
}
