/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_build.c: what all loaders build a tokenizer with, and its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "token/tok_impl.h"
#include "token/tok_unicode.h"

struct pare_tokenizer *pare_tok_new(void)
{
    struct pare_tokenizer *t = pare_zalloc(1, sizeof *t);

    if (t == NULL) return NULL;
    t->bos = t->eos = t->unk = t->unk_key = t->sep = t->pad = t->cls = t->mask = t->eot = -1;
    for (size_t i = 0; i < 256; i++) t->byte_id[i] = -1;
    for (size_t i = 0; i < 0x180; i++) t->first_sym[i] = -1;
    t->prefix = pare_strdup("");
    t->suffix = pare_strdup("");
    t->word_start = pare_strdup("");
    t->max_word = UINT32_MAX;
    t->gguf_model = "gpt2";
    if (t->prefix == NULL || t->suffix == NULL || t->word_start == NULL) pare_tok_free(&t);
    return t;
}

void pare_tok_free(struct pare_tokenizer **tp)
{
    struct pare_tokenizer *t = *tp;

    if (t == NULL) return;
    for (uint32_t i = 0; i < t->n_norm; i++) {
        pare_split_free(&t->norm[i].pattern);
        pare_free(t->norm[i].text);
    }
    for (uint32_t i = 0; i < t->n_pre; i++) {
        pare_split_free(&t->pre[i].pattern);
        pare_free(t->pre[i].text);
    }
    for (uint32_t i = 0; i < t->n_dec; i++) {
        pare_split_free(&t->dec[i].pattern);
        pare_free(t->dec[i].text);
    }
    pare_symtab_free(&t->sym);
    pare_trie_free(&t->trie);
    pare_trie_free(&t->added_raw);
    pare_trie_free(&t->added_norm);
    pare_pairmap_free(&t->merges);
    void *all[] = { t->type, t->score, t->score64, t->added, t->norm, t->pre, t->dec, t->merge, t->prefix, t->suffix, t->word_start,
                    t->eog, t->chat_template, t->warning, t->pre_id, t->json, t->charsmap };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) pare_free(all[i]);
    pare_free(t);
    *tp = NULL;
}

/* Steps: the list takes what *x owns, also when it fails. */
#define ADD_STEP(name, type, list, count)                                                                              \
    int name(struct pare_tokenizer *t, const struct type *x, struct pare_diag *diag)                                   \
    {                                                                                                                  \
        struct type *p = pare_realloc_array(t->list, (size_t)t->count + 1, sizeof *p);                                 \
        if (p == NULL) {                                                                                               \
            struct pare_split *s = x->pattern;                                                                         \
            pare_split_free(&s);                                                                                       \
            pare_free(x->text);                                                                                        \
            return PARE_NOMEM(diag);                                                                                   \
        }                                                                                                              \
        t->list = p;                                                                                                   \
        t->list[t->count++] = *x;                                                                                      \
        return PARE_OK;                                                                                                \
    }
ADD_STEP(pare_tok_add_norm, pare_norm, norm, n_norm)
ADD_STEP(pare_tok_add_pre, pare_pre, pre, n_pre)
ADD_STEP(pare_tok_add_dec, pare_dec, dec, n_dec)

int pare_tok_split_step(struct pare_tokenizer *t, const char *pattern, enum pare_behavior b, struct pare_diag *diag)
{
    struct pare_pre p = { .kind = PARE_PRE_SPLIT, .behavior = b };

    PARE_FORWARD(pare_split_regex(&p.pattern, pattern, strlen(pattern), diag));
    return pare_tok_add_pre(t, &p, diag);
}

int pare_tok_warn(struct pare_tokenizer *t, const char *fmt, ...)
{
    char    text[400];
    va_list ap;

    if (t->warning != NULL) return PARE_OK;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->warning = pare_strdup(text);
    return PARE_OK;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* Exactly six characters: a sign or a longer number must not reach the table of 256 (as "<0x-1>" once did elsewhere). */
int pare_tok_byte_text(const char *s, size_t len)
{
    int a, b;

    if (len != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>') return -1;
    a = hex(s[3]);
    b = hex(s[4]);
    return a < 0 || b < 0 ? -1 : a * 16 + b;
}

char *pare_tok_unmark(const char *s, size_t *len)
{
    char  *p = pare_malloc(*len + 1);
    size_t m = 0;

    for (size_t i = 0; p != NULL && i < *len;) {
        bool mark = *len - i >= 4 && memcmp(s + i, "\xF4\x8F\xBF\xBF", 4) == 0;
        p[m++] = mark ? '\0' : s[i];
        i += mark ? 4 : 1;
    }
    *len = m;
    return p;
}

int pare_tok_push(struct pare_tokenizer *t, const char *s, size_t len, enum pare_token_type type, struct pare_diag *diag)
{
    char   *fixed = NULL;
    int64_t id;
    size_t  bad;

    PARE_FAIL_IF(diag, !pare_utf8_valid((const uint8_t *)s, len, &bad), PARE_E_CORRUPT,
                 "token %u is not valid UTF-8 (byte %zu of its text)", t->sym.n, bad);
    if ((t->n_text & (t->n_text - 1)) == 0) { /* room is doubled at each power of two */
        uint8_t *p = pare_realloc_array(t->type, t->n_text == 0 ? 1 : (size_t)t->n_text * 2, 1);
        if (p == NULL) return PARE_NOMEM(diag);
        t->type = p;
    }
    if (t->nul_marked && (fixed = pare_tok_unmark(s, &len)) == NULL) return PARE_NOMEM(diag);
    id = pare_symtab_push(&t->sym, fixed == NULL ? s : fixed, len, len > 0);
    pare_free(fixed);
    if (id < 0) return PARE_NOMEM(diag);
    t->type[t->n_text++] = (uint8_t)type;
    t->n_vocab = t->n_text;
    if (type == PARE_TOKEN_UNUSED && len > 0) t->has_unused = true;
    return PARE_OK;
}

/* The number of a text, which is made when it is no token: something merging meets on the way. */
static int64_t symbol(struct pare_tokenizer *t, const char *s, size_t len)
{
    int32_t id = pare_symtab_find(&t->sym, s, len);
    return id >= 0 ? id : pare_symtab_push(&t->sym, s, len, true);
}

static int put_merge(struct pare_tokenizer *t, const char *a, size_t na, const char *b, size_t nb, uint32_t rank, struct pare_diag *diag)
{
    struct pare_buf ab = { .max = (size_t)1 << 24 };
    size_t          skip = strlen(t->prefix);
    int64_t         ia, ib, ic = -1;
    bool            added;

    PARE_FAIL_IF(diag, na == 0 || nb == 0, PARE_E_CORRUPT, "merge %u has an empty half", rank);
    if (skip > nb || memcmp(b, t->prefix, skip) != 0) skip = 0;
    ia = symbol(t, a, na);
    ib = symbol(t, b, nb);
    if (pare_buf_add(&ab, a, na) && pare_buf_add(&ab, b + skip, nb - skip)) ic = symbol(t, (const char *)ab.data, ab.len);
    PARE_FAIL_IF(diag, ab.failed && na + nb > ab.max, PARE_E_CORRUPT, "merge %u has halves of %zu and %zu bytes", rank, na, nb);
    pare_buf_free(&ab);
    if (ia < 0 || ib < 0 || ic < 0) return PARE_NOMEM(diag);
    if (!pare_pairmap_put(&t->merges, (uint64_t)ia << 32 | (uint64_t)ib, rank, (uint32_t)ic, &added)) return PARE_NOMEM(diag);
    if (!added) return PARE_OK; /* the same merge twice: the earlier counts */
    if ((t->n_merges & (t->n_merges - 1)) == 0) {
        uint64_t *p = pare_realloc_array(t->merge, t->n_merges == 0 ? 1 : (size_t)t->n_merges * 2, sizeof *p);
        if (p == NULL) return PARE_NOMEM(diag);
        t->merge = p;
    }
    t->merge[t->n_merges++] = (uint64_t)ia << 32 | (uint64_t)ib;
    return PARE_OK;
}

int pare_tok_merge(struct pare_tokenizer *t, const char *a, size_t na, const char *b, size_t nb, uint32_t rank, struct pare_diag *diag)
{
    char *x, *y;
    int   rc;

    if (!t->nul_marked) return put_merge(t, a, na, b, nb, rank, diag);
    x = pare_tok_unmark(a, &na);
    y = pare_tok_unmark(b, &nb);
    rc = x == NULL || y == NULL ? PARE_NOMEM(diag) : put_merge(t, x, na, y, nb, rank, diag);
    pare_free(x);
    pare_free(y);
    return rc;
}

/* Order of floats as unsigned numbers, the greatest score first. */
static uint32_t priority(float score)
{
    uint32_t u = pare_f32_bits(score == 0 ? 0 : score);
    u = u >> 31 ? ~u : u | 0x80000000u;
    return ~u;
}

static bool can_merge(const struct pare_tokenizer *t, int32_t id)
{
    return id >= 0 && (uint32_t)id < t->n_text &&
           (t->type[id] == PARE_TOKEN_NORMAL || t->type[id] == PARE_TOKEN_USER || t->type[id] == PARE_TOKEN_UNUSED);
}

/* All pairs of pieces (or of characters that are none) whose texts together are a piece. */
int pare_tok_spm_merges(struct pare_tokenizer *t, struct pare_diag *diag)
{
    struct pare_buf text = { .max = SIZE_MAX / 4 };
    int             rc = PARE_OK;

    t->by_score = true;
    for (uint32_t i = 0; rc == PARE_OK && i < t->n_text; i++) {
        size_t      len, chars = 0;
        const char *s = pare_symtab_text(&t->sym, i, &len);
        uint32_t    cp;
        if (!can_merge(t, (int32_t)i) || len < 2 || pare_symtab_find(&t->sym, s, len) != (int32_t)i) continue;
        PARE_FAIL_IF(diag, len > 65536, PARE_E_CORRUPT, "token %u has a text of %zu bytes", i, len);
        text.len = 0; /* a copy: making symbols moves the table */
        if (!pare_buf_add(&text, s, len)) break;
        for (size_t k = pare_utf8_next(text.data, len, &cp); k < len; chars++) {
            unsigned step = pare_utf8_next(text.data + k, len - k, &cp);
            int64_t  a = pare_symtab_find(&t->sym, (char *)text.data, k), b = pare_symtab_find(&t->sym, (char *)text.data + k, len - k);
            bool     added;
            if (chars == 0 && a < 0) a = pare_symtab_push(&t->sym, (char *)text.data, k, true);
            if (k + step == len && b < 0) b = pare_symtab_push(&t->sym, (char *)text.data + k, len - k, true);
            bool a_ok = can_merge(t, (int32_t)a) || (chars == 0 && a >= 0), b_ok = can_merge(t, (int32_t)b) || (k + step == len && b >= 0);
            if (a_ok && b_ok &&
                !pare_pairmap_put(&t->merges, (uint64_t)a << 32 | (uint64_t)b, priority(t->score[i]), i, &added)) {
                rc = PARE_NOMEM(diag);
                break;
            }
            k += step;
        }
    }
    if (text.failed) rc = PARE_NOMEM(diag);
    pare_buf_free(&text);
    return rc;
}

/* True when no text of the tables has U+2581 after another character. */
static bool marks_begin_texts(const struct pare_symtab *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        size_t      len;
        const char *s = pare_symtab_text(t, i, &len);
        for (size_t k = 1; k + 3 <= len; k++)
            if (memcmp(s + k, "\xE2\x96\x81", 3) == 0 && !(k >= 3 && memcmp(s + k - 3, "\xE2\x96\x81", 3) == 0)) return false;
    }
    return true;
}

int pare_tok_trie(struct pare_tokenizer *t, struct pare_diag *diag)
{
    double least = 0;

    for (uint32_t i = 0; i < t->n_text; i++) {
        size_t      len;
        const char *s = pare_symtab_text(&t->sym, i, &len);
        double      v = t->score64 != NULL ? t->score64[i] : t->score != NULL ? (double)t->score[i] : 0;
        bool        special = t->type[i] == PARE_TOKEN_CONTROL || t->type[i] == PARE_TOKEN_UNKNOWN || t->type[i] == PARE_TOKEN_BYTE;
        if ((t->score64 != NULL || !special) && v < least) least = v;
        if (!special && !pare_trie_add(&t->trie, s, len, (int32_t)i)) return PARE_NOMEM(diag);
    }
    t->unk_score = least - 10; /* the penalty of SentencePiece */
    return PARE_OK;
}

int pare_tok_finish(struct pare_tokenizer *t, struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, t->n_text == 0, PARE_E_CORRUPT, "the vocabulary is empty");
    for (uint32_t cp = 0; cp < 0x180; cp++) {
        uint8_t u[4];
        t->first_sym[cp] = pare_symtab_find(&t->sym, (char *)u, pare_utf8_put(cp, u));
        /* with control tokens of one character, which SentencePiece never makes of text */
        if (t->by_score && t->first_sym[cp] >= 0 && (uint32_t)t->first_sym[cp] < t->n_text && !can_merge(t, t->first_sym[cp]))
            t->first_sym[cp] = -1;
    }
    for (uint32_t i = 0; i < t->n_text; i++) {
        size_t      len;
        const char *s = pare_symtab_text(&t->sym, i, &len);
        int         b = pare_tok_byte_text(s, len);
        if (b >= 0 && t->byte_id[b] < 0) t->byte_id[b] = (int32_t)i;
    }
    t->mark_cuts = t->model == PARE_MODEL_BPE && !t->ignore_merges && t->prefix[0] == '\0' && t->suffix[0] == '\0' &&
                   !t->fuse_unk && pare_symtab_find(&t->sym, "\xE2\x96\x81", 3) >= 0 && marks_begin_texts(&t->sym);
    pare_tok_specials(t);
    return pare_tok_added_build(t, diag);
}

static bool is_one_of(const char *s, size_t len, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strlen(*list) == len && memcmp(*list, s, len) == 0) return true;
    return false;
}

/* Which tokens end a turn or a generation is not written in most files; engines know them by their texts. */
void pare_tok_specials(struct pare_tokenizer *t)
{
    static const char *const turn[] = { "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",
        "<EOT>", "_<EOT>", "[EOT]", "<\xEF\xBD\x9C" "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>", "<end_of_utterance>", NULL };
    static const char *const end[] = { "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "</s>", "<|eom_id|>", "[EOS]", "<eos>",
        "<turn|>", "<|tool_response>", "[e~[", NULL };
    size_t  n = 0;
    bool    harmony;

    if (t->eot < 0)
        for (size_t k = 0; turn[k] != NULL && t->eot < 0; k++) t->eot = pare_symtab_find(&t->sym, turn[k], strlen(turn[k]));
    if (t->eot >= 0 && (uint32_t)t->eot >= t->n_text) t->eot = -1;
    /* in o200k_harmony and its like <|end|> ends a message, not the answer */
    harmony = pare_symtab_find(&t->sym, "<|return|>", 10) >= 0 && pare_symtab_find(&t->sym, "<|call|>", 8) >= 0;
    harmony = harmony || (pare_symtab_find(&t->sym, "<|calls|>", 9) >= 0 && pare_symtab_find(&t->sym, "<|flush|>", 9) >= 0);
    t->n_eog = 0;
    if ((t->eog = pare_alloc_array(64, sizeof *t->eog)) == NULL) return;
    for (uint32_t i = 0; i < t->n_text && n < 64; i++) {
        size_t      len;
        const char *s = pare_symtab_text(&t->sym, i, &len);
        bool        known = len > 3 && (is_one_of(s, len, turn) || is_one_of(s, len, end));
        if (known && harmony && len == 7 && memcmp(s, "<|end|>", 7) == 0) known = false;
        /* BERT's and SentencePiece's vocabularies hold "</s>" as text only where it is a control token */
        if ((int32_t)i == t->eos || ((int32_t)i == t->eot && !(harmony && len == 7)) || known) t->eog[n++] = (int32_t)i;
    }
    t->n_eog = (uint32_t)n;
}
