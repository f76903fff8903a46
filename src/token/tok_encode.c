/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_encode.c: one call of encode: the stages of tok_impl.h one after another, on memory of its own. */
#include <string.h>

#include "base/status.h"
#include "token/tok_impl.h"

bool pare_tok_grow(void *pp, size_t *cap, size_t n, size_t size)
{
    size_t c = *cap < 64 ? 64 : *cap;
    void  *p;

    if (n <= *cap) return true;
    while (c < n) {
        if (c > SIZE_MAX / 2) return false;
        c *= 2;
    }
    memcpy(&p, pp, sizeof p);
    p = pare_realloc_array(p, c, size);
    if (p == NULL) return false;
    memcpy(pp, &p, sizeof p);
    *cap = c;
    return true;
}

bool pare_ids_add(struct pare_ids *v, int32_t id)
{
    if (v->n == v->cap && !pare_tok_grow(&v->ids, &v->cap, v->n + 1, sizeof *v->ids)) return false;
    v->ids[v->n++] = id;
    return true;
}

void pare_ids_free(struct pare_ids *v)
{
    if (v == NULL) return;
    pare_free(v->ids);
    memset(v, 0, sizeof *v);
}

static int words(struct pare_tok_work *w)
{
    PARE_FORWARD(pare_tok_pretokenize(w));
    for (size_t i = 0; i < w->n_span; i++) {
        const uint8_t *s = w->a.data + w->span[i].off;
        size_t         n = w->span[i].len;
        switch (w->t->model) {
        case PARE_MODEL_BPE: PARE_FORWARD(pare_bpe_word(w, s, n)); break;
        case PARE_MODEL_UNIGRAM: PARE_FORWARD(pare_unigram_word(w, s, n)); break;
        default: PARE_FORWARD(pare_wordpiece_word(w, s, n)); break;
        }
    }
    return PARE_OK;
}

/* Text between the added tokens that are found after normalizing. */
static int normalized_text(struct pare_tok_work *w, const uint8_t *s, size_t n, bool first)
{
    w->at_start = w->at_start && first;
    if (s != w->a.data || n != w->a.len) {
        w->a.len = 0;
        if (!pare_buf_add(&w->a, s, n)) return PARE_NOMEM(w->diag);
    }
    return n == 0 ? PARE_OK : words(w);
}

/* Text between the added tokens that are found in the text as it came. */
static int raw_text(struct pare_tok_work *w, const uint8_t *s, size_t n, bool first)
{
    struct pare_buf keep;
    int             rc;

    w->at_start = first;
    w->a.len = 0;
    if (!pare_buf_add(&w->a, s, n)) return PARE_NOMEM(w->diag);
    PARE_FORWARD(pare_tok_normalize(w));
    if (w->a.len == 0) return PARE_OK;
    if (w->t->added_norm.n == 0) return normalized_text(w, w->a.data, w->a.len, true);
    keep = w->a;
    w->a = (struct pare_buf){ .max = keep.max };
    rc = pare_tok_cut(w, &w->t->added_norm, keep.data, keep.len, normalized_text);
    pare_buf_free(&keep);
    return rc;
}

static void work_free(struct pare_tok_work *w)
{
    pare_buf_free(&w->a);
    pare_buf_free(&w->b);
    pare_free(w->span);
    pare_free(w->span2);
    pare_free(w->sym);
    pare_free(w->heap);
    pare_free(w->words);
    pare_free(w->node);
    pare_free(w->unused_split);
    pare_split_run_free(&w->run);
}

int pare_tokenizer_encode(const struct pare_tokenizer *t, const char *text, size_t n, uint32_t flags, struct pare_ids *ids,
                          struct pare_diag *diag)
{
    struct pare_tok_work w = { .t = t, .diag = diag, .out = ids, .flags = flags };
    size_t               before = ids->n;
    int                  rc = PARE_OK;

    PARE_USAGE_CHECK(diag, t != NULL && (text != NULL || n == 0));
    PARE_FAIL_IF(diag, n > PARE_TOK_TEXT_MAX, PARE_E_LIMIT, "a text of %zu bytes at once; at most %zu", n, PARE_TOK_TEXT_MAX);
    w.a.max = w.b.max = UINT32_MAX - 1; /* spans have 32-bit offsets; a normalizer may make a text much longer */
    if (n >= 1024 && t->model == PARE_MODEL_BPE) /* without memory for it, words are just not remembered */
        w.words = pare_zalloc(PARE_WORDS, sizeof *w.words);
    if (t->has_unused && t->by_score) {
        w.unused_split = pare_alloc_array(t->n_text, sizeof *w.unused_split);
        if (w.unused_split == NULL) goto nomem;
        memset(w.unused_split, 0xFF, (size_t)t->n_text * sizeof *w.unused_split);
    }
    for (uint32_t i = 0; (flags & PARE_TOK_ADD_BOS) != 0 && i < t->n_prefix; i++)
        if (!pare_ids_add(ids, t->prefix_ids[i])) goto nomem;
    if (n > 0) rc = pare_tok_cut(&w, &t->added_raw, (const uint8_t *)text, n, raw_text);
    for (uint32_t i = 0; rc == PARE_OK && (flags & PARE_TOK_ADD_EOS) != 0 && i < t->n_suffix; i++)
        if (!pare_ids_add(ids, t->suffix_ids[i])) goto nomem;
    goto done;
nomem:
    rc = PARE_NOMEM(diag);
done:
    work_free(&w);
    if (rc < 0) ids->n = before;
    return rc;
}
