/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_hf_model.c: "model" and "added_tokens" of a tokenizer.json: BPE, Unigram, WordPiece, WordLevel. */
#include "base/status.h"
#include "token/tok_hf.h"

#define MAX_ID ((int64_t)1 << 26)

/* Tokens by id, before they are pushed in order. Texts are borrowed from the document. */
struct by_id {
    struct { const char *s; size_t len; uint8_t type; bool set; } *v;
    size_t n, cap;
};

static int put(struct by_id *b, int64_t id, const char *s, size_t len, uint8_t type, size_t limit, struct pare_diag *d)
{
    PARE_FAIL_IF(d, id < 0 || id >= MAX_ID, PARE_E_CORRUPT, "token \"%.80s\" has the id %lld", s, (long long)id);
    /* ids have gaps, but an id far beyond the number of tokens would be a promise of memory */
    PARE_FAIL_IF(d, (size_t)id > 2 * limit + 65536, PARE_E_CORRUPT, "token \"%.80s\" has the id %lld among %zu tokens", s, (long long)id, limit);
    if ((size_t)id >= b->cap) {
        size_t before = b->cap;
        if (!pare_tok_grow(&b->v, &b->cap, (size_t)id + 1, sizeof *b->v)) return PARE_NOMEM(d);
        memset(b->v + before, 0, (b->cap - before) * sizeof *b->v);
    }
    if ((size_t)id >= b->n) b->n = (size_t)id + 1;
    b->v[id].s = s;
    b->v[id].len = len;
    b->v[id].type = type;
    b->v[id].set = true;
    return PARE_OK;
}

static int vocab_object(struct by_id *b, json_t *vocab, size_t limit, struct pare_diag *d)
{
    for (void *it = json_object_iter(vocab); it != NULL; it = json_object_iter_next(vocab, it)) {
        const json_t *v = json_object_iter_value(it);
        PARE_FAIL_IF(d, !json_is_integer(v), PARE_E_CORRUPT, "the id of token \"%.80s\" is no integer", json_object_iter_key(it));
        PARE_FORWARD(put(b, json_integer_value(v), json_object_iter_key(it), json_object_iter_key_len(it), PARE_TOKEN_NORMAL, limit, d));
    }
    return PARE_OK;
}

static int vocab_array(struct pare_tokenizer *t, struct by_id *b, const json_t *vocab, size_t limit, struct pare_diag *d)
{
    const json_t *e;
    size_t        i;

    PARE_FAIL_IF(d, !json_is_array(vocab), PARE_E_CORRUPT, "\"vocab\" must be an array of [text, score]");
    if ((t->score64 = pare_zalloc(2 * limit + 65537, sizeof *t->score64)) == NULL) return PARE_NOMEM(d);
    json_array_foreach(vocab, i, e) {
        const json_t *s = json_array_get(e, 0), *v = json_array_get(e, 1);
        PARE_FAIL_IF(d, !json_is_string(s) || !json_is_number(v), PARE_E_CORRUPT, "element %zu of \"vocab\" is not [text, score]", i);
        PARE_FORWARD(put(b, (int64_t)i, json_string_value(s), json_string_length(s), PARE_TOKEN_NORMAL, limit, d));
        t->score64[i] = json_number_value(v);
    }
    return PARE_OK;
}

static int added_flags(const json_t *e, uint32_t *flags, struct pare_diag *d)
{
    static const struct { const char *key; uint32_t bit; } f[] = { { "special", PARE_ADDED_SPECIAL }, { "lstrip", PARE_ADDED_LSTRIP },
        { "rstrip", PARE_ADDED_RSTRIP }, { "single_word", PARE_ADDED_WORD }, { "normalized", PARE_ADDED_NORMALIZED } };

    *flags = 0;
    for (size_t i = 0; i < sizeof f / sizeof f[0]; i++) {
        bool v;
        PARE_FORWARD(pare_json_bool(e, f[i].key, false, &v, d));
        if (v) *flags |= f[i].bit;
    }
    return PARE_OK;
}

static int added(struct pare_tokenizer *t, struct by_id *b, const json_t *list, size_t limit, struct pare_diag *d)
{
    const json_t *e;
    size_t        i;

    json_array_foreach(list, i, e) {
        const json_t *s = json_object_get(e, "content"), *id = json_object_get(e, "id");
        uint32_t      flags;
        uint8_t       type;
        PARE_FAIL_IF(d, !json_is_string(s) || !json_is_integer(id), PARE_E_CORRUPT, "element %zu of \"added_tokens\" lacks id or content", i);
        PARE_FORWARD(added_flags(e, &flags, d));
        type = (flags & PARE_ADDED_SPECIAL) != 0 ? PARE_TOKEN_CONTROL : PARE_TOKEN_USER;
        PARE_FORWARD(put(b, json_integer_value(id), json_string_value(s), json_string_length(s), type, limit, d));
        if (json_string_length(s) > 0) PARE_FORWARD(pare_tok_add_added(t, (int32_t)json_integer_value(id), flags, d));
    }
    return PARE_OK;
}

static int push_all(struct pare_tokenizer *t, const struct by_id *b, struct pare_diag *d)
{
    for (size_t i = 0; i < b->n; i++) {
        if (!b->v[i].set)
            PARE_FORWARD(pare_tok_push(t, "", 0, PARE_TOKEN_UNUSED, d));
        else
            PARE_FORWARD(pare_tok_push(t, b->v[i].s, b->v[i].len, (enum pare_token_type)b->v[i].type, d));
    }
    return PARE_OK;
}

static int merges(struct pare_tokenizer *t, const json_t *list, struct pare_diag *d)
{
    const json_t *e;
    size_t        i;

    PARE_FAIL_IF(d, !json_is_array(list), PARE_E_CORRUPT, "\"merges\" must be an array");
    json_array_foreach(list, i, e) {
        const json_t *a = json_array_get(e, 0), *b = json_array_get(e, 1);
        if (json_is_string(e)) {
            const char *s = json_string_value(e), *sp;
            size_t      n = json_string_length(e);
            sp = n < 2 ? NULL : memchr(s + 1, ' ', n - 1);
            PARE_FAIL_IF(d, sp == NULL || sp + 1 == s + n, PARE_E_CORRUPT, "merge %zu \"%.60s\" is not two texts", i, s);
            PARE_FORWARD(pare_tok_merge(t, s, (size_t)(sp - s), sp + 1, (size_t)(s + n - sp - 1), (uint32_t)i, d));
        } else {
            PARE_FAIL_IF(d, !json_is_string(a) || !json_is_string(b), PARE_E_CORRUPT, "merge %zu is not two texts", i);
            PARE_FORWARD(pare_tok_merge(t, json_string_value(a), json_string_length(a), json_string_value(b), json_string_length(b),
                                        (uint32_t)i, d));
        }
    }
    return PARE_OK;
}

static int text_field(const json_t *m, const char *key, const char *dflt, char **field, struct pare_diag *d)
{
    char  *s;
    size_t len;

    PARE_FORWARD(pare_hf_text(m, key, dflt, &s, &len, d));
    pare_free(*field);
    *field = s;
    return PARE_OK;
}

static int unknown_token(struct pare_tokenizer *t, const json_t *m, const char *dflt, struct pare_diag *d)
{
    const char *s;

    PARE_FORWARD(pare_json_str(m, "unk_token", dflt, &s, d));
    if (s != NULL && s[0] != '\0') t->unk = t->unk_key = pare_symtab_find(&t->sym, s, strlen(s));
    return PARE_OK;
}

static int finish_bpe(struct pare_tokenizer *t, const json_t *m, struct pare_diag *d)
{
    t->model = PARE_MODEL_BPE;
    PARE_FORWARD(unknown_token(t, m, NULL, d));
    PARE_FORWARD(pare_json_bool(m, "byte_fallback", false, &t->byte_fallback, d));
    PARE_FORWARD(pare_json_bool(m, "fuse_unk", false, &t->fuse_unk, d));
    PARE_FORWARD(pare_json_bool(m, "ignore_merges", false, &t->ignore_merges, d));
    PARE_FORWARD(text_field(m, "continuing_subword_prefix", "", &t->prefix, d));
    PARE_FORWARD(text_field(m, "end_of_word_suffix", "", &t->suffix, d));
    return merges(t, json_object_get(m, "merges"), d);
}

static int finish_model(struct pare_tokenizer *t, const json_t *m, struct pare_diag *d)
{
    int64_t v;

    switch (t->model) {
    case PARE_MODEL_BPE: return finish_bpe(t, m, d);
    case PARE_MODEL_UNIGRAM:
        t->gguf_model = "t5";
        PARE_FORWARD(pare_json_int(m, "unk_id", 0, (int64_t)t->n_vocab - 1, -1, &v, d));
        t->unk = t->unk_key = (int32_t)v;
        PARE_FORWARD(pare_json_bool(m, "byte_fallback", false, &t->byte_fallback, d));
        return pare_tok_trie(t, d);
    case PARE_MODEL_WORDPIECE:
        PARE_FORWARD(pare_json_int(m, "max_input_chars_per_word", 0, UINT32_MAX - 1, 100, &v, d));
        t->max_word = (uint32_t)v;
        PARE_FORWARD(text_field(m, "continuing_subword_prefix", "##", &t->prefix, d));
        PARE_FORWARD(unknown_token(t, m, "[UNK]", d));
        t->gguf_model = "bert";
        return pare_tok_trie(t, d);
    default:
        t->gguf_model = "bert";
        return unknown_token(t, m, "<unk>", d);
    }
}

int pare_hf_model(struct pare_tokenizer *t, const json_t *root, struct pare_diag *d)
{
    json_t       *m = json_object_get(root, "model"), *vocab = json_object_get(m, "vocab");
    const json_t *list = json_object_get(root, "added_tokens");
    struct by_id  b = { 0 };
    size_t        limit = json_object_size(vocab) + json_array_size(vocab) + json_array_size(list);
    int           rc;

    PARE_FAIL_IF(d, !json_is_object(m), PARE_E_CORRUPT, "\"model\" is missing");
    if (pare_hf_is(m, "type", "Unigram") || (json_object_get(m, "type") == NULL && json_is_array(vocab)))
        t->model = PARE_MODEL_UNIGRAM;
    else if (pare_hf_is(m, "type", "WordPiece"))
        t->model = PARE_MODEL_WORDPIECE;
    else if (pare_hf_is(m, "type", "WordLevel"))
        t->model = PARE_MODEL_WORDS;
    else if (pare_hf_is(m, "type", "BPE") || (json_object_get(m, "type") == NULL && json_object_get(m, "merges") != NULL))
        t->model = PARE_MODEL_BPE;
    else if (json_object_get(m, "type") == NULL && json_object_get(m, "continuing_subword_prefix") != NULL)
        t->model = PARE_MODEL_WORDPIECE; /* files older than the key "type" */
    else
        PARE_FAIL(d, PARE_E_UNSUPPORTED, "the tokenizer model \"%.80s\" is not supported",
                  json_is_string(json_object_get(m, "type")) ? json_string_value(json_object_get(m, "type")) : "?");
    PARE_FAIL_IF(d, t->model != PARE_MODEL_UNIGRAM && !json_is_object(vocab), PARE_E_CORRUPT, "\"vocab\" must be an object");
    rc = t->model == PARE_MODEL_UNIGRAM ? vocab_array(t, &b, vocab, limit, d) : vocab_object(&b, vocab, limit, d);
    if (rc == PARE_OK) rc = added(t, &b, list, limit, d);
    if (rc == PARE_OK) rc = push_all(t, &b, d);
    pare_free(b.v);
    return rc < 0 ? rc : finish_model(t, m, d);
}
