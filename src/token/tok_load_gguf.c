/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_load_gguf.c: tokenizer.ggml.* of a GGUF file. Keys: the GGUF specification (docs/gguf.md of ggml); which
 * patterns a name means: tok_pre.c. Every id, count and text is checked: the file is somebody else's. */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "token/tok_impl.h"

#define MARK "\xE2\x96\x81"
#define MAX_VOCAB ((uint64_t)1 << 26)

static int array_of(const struct pare_checkpoint *c, const char *key, uint64_t need, const struct pare_kv **out, struct pare_diag *d)
{
    *out = pare_kv_find(c, key);
    if (*out == NULL) return PARE_OK;
    pare_diag_where(d, key);
    PARE_FAIL_IF(d, (*out)->type != PARE_KV_ARRAY, PARE_E_CORRUPT, "%s must be an array", key);
    PARE_FAIL_IF(d, need != UINT64_MAX && (*out)->count < need, PARE_E_CORRUPT, "%s has %llu elements for %llu tokens", key,
                 (unsigned long long)(*out)->count, (unsigned long long)need);
    if (d != NULL && d->code == 0) d->where[0] = '\0';
    return PARE_OK;
}

static int read_tokens(struct pare_tokenizer *t, const struct pare_checkpoint *c, struct pare_diag *d)
{
    const struct pare_kv *tokens, *types, *scores;

    PARE_FORWARD(array_of(c, "tokenizer.ggml.tokens", UINT64_MAX, &tokens, d));
    PARE_FAIL_IF(d, tokens == NULL || tokens->count == 0, PARE_E_CORRUPT, "tokenizer.ggml.tokens is missing or empty");
    PARE_FAIL_IF(d, tokens->count > MAX_VOCAB, PARE_E_LIMIT, "%llu tokens; at most %llu", (unsigned long long)tokens->count,
                 (unsigned long long)MAX_VOCAB);
    PARE_FORWARD(array_of(c, "tokenizer.ggml.token_type", tokens->count, &types, d));
    PARE_FORWARD(array_of(c, "tokenizer.ggml.scores", tokens->count, &scores, d));
    if (scores != NULL && (t->score = pare_alloc_array(tokens->count, sizeof *t->score)) == NULL) return PARE_NOMEM(d);
    for (uint64_t i = 0; i < tokens->count; i++) {
        struct pare_str s;
        int64_t         type = PARE_TOKEN_NORMAL;
        double          score = 0;
        PARE_FAIL_IF(d, !pare_kv_elem_str(tokens, i, &s), PARE_E_CORRUPT, "tokenizer.ggml.tokens holds no strings");
        PARE_FAIL_IF(d, types != NULL && !pare_kv_elem_int(types, i, &type), PARE_E_CORRUPT, "tokenizer.ggml.token_type holds no integers");
        PARE_FAIL_IF(d, scores != NULL && !pare_kv_elem_real(scores, i, &score), PARE_E_CORRUPT, "tokenizer.ggml.scores holds no numbers");
        PARE_FAIL_IF(d, score != score, PARE_E_CORRUPT, "the score of token %llu is not a number", (unsigned long long)i);
        if (type < PARE_TOKEN_NORMAL || type > PARE_TOKEN_BYTE) type = PARE_TOKEN_UNUSED;
        PARE_FAIL_IF(d, type == PARE_TOKEN_BYTE && pare_tok_byte_text(s.s, s.len) < 0, PARE_E_CORRUPT,
                     "token %llu stands for a byte, but its text \"%.*s\" is not <0x00> .. <0xFF>", (unsigned long long)i,
                     (int)(s.len < 40 ? s.len : 40), s.s);
        PARE_FORWARD(pare_tok_push(t, s.s, s.len, (enum pare_token_type)type, d));
        if (scores != NULL) t->score[i] = (float)score;
    }
    return PARE_OK;
}

/* Files made from tiktoken's tables (Kimi K2) may have no merges: there the id is the rank, and any two tokens merge whose texts
 * together are a token. */
static int merges_by_id(struct pare_tokenizer *t, struct pare_diag *d)
{
    if (t->score == NULL && (t->score = pare_alloc_array(t->n_text, sizeof *t->score)) == NULL) return PARE_NOMEM(d);
    for (uint32_t i = 0; i < t->n_text; i++) t->score[i] = -(float)i;
    return pare_tok_spm_merges(t, d);
}

static int read_merges(struct pare_tokenizer *t, const struct pare_checkpoint *c, struct pare_diag *d)
{
    const struct pare_kv *kv;

    PARE_FORWARD(array_of(c, "tokenizer.ggml.merges", UINT64_MAX, &kv, d));
    PARE_FAIL_IF(d, kv == NULL, PARE_E_CORRUPT, "tokenizer.ggml.merges is missing");
    PARE_FAIL_IF(d, kv->count > MAX_VOCAB, PARE_E_LIMIT, "%llu merges; at most %llu", (unsigned long long)kv->count,
                 (unsigned long long)MAX_VOCAB);
    for (uint64_t i = 0; i < kv->count; i++) {
        struct pare_str s;
        const char     *sp;
        PARE_FAIL_IF(d, !pare_kv_elem_str(kv, i, &s), PARE_E_CORRUPT, "tokenizer.ggml.merges holds no strings");
        sp = s.len < 2 ? NULL : memchr(s.s + 1, ' ', (size_t)s.len - 1);
        PARE_FAIL_IF(d, sp == NULL || sp + 1 == s.s + s.len, PARE_E_CORRUPT, "merge %llu \"%.*s\" is not two texts", (unsigned long long)i,
                     (int)(s.len < 60 ? s.len : 60), s.s);
        PARE_FORWARD(pare_tok_merge(t, s.s, (size_t)(sp - s.s), sp + 1, (size_t)(s.s + s.len - sp - 1), (uint32_t)i, d));
    }
    return PARE_OK;
}

static int replace_step(struct pare_tokenizer *t, const char *from, const char *to, bool decode, struct pare_diag *d)
{
    struct pare_norm n = { .kind = PARE_NORM_REPLACE, .len = strlen(to) };
    struct pare_dec  x = { .kind = PARE_DEC_REPLACE, .len = strlen(to) };

    PARE_FORWARD(pare_split_literal(&n.pattern, from, strlen(from), d));
    if ((n.text = pare_strdup(to)) == NULL) {
        pare_split_free(&n.pattern);
        return PARE_NOMEM(d);
    }
    x.pattern = n.pattern;
    x.text = n.text;
    return decode ? pare_tok_add_dec(t, &x, d) : pare_tok_add_norm(t, &n, d);
}

static int text_norm(struct pare_tokenizer *t, enum pare_norm_kind kind, const char *text, size_t len, struct pare_diag *d)
{
    struct pare_norm n = { .kind = kind, .len = len };

    if ((n.text = pare_strndup(text, len)) == NULL) return PARE_NOMEM(d);
    return pare_tok_add_norm(t, &n, d);
}

int pare_tok_spm_steps(struct pare_tokenizer *t, const char *charsmap, size_t map_len, struct pare_diag *d)
{
    struct pare_norm squeeze = { .kind = PARE_NORM_SQUEEZE };
    struct pare_dec  fallback = { .kind = PARE_DEC_BYTE_FALLBACK }, fuse = { .kind = PARE_DEC_FUSE };
    struct pare_dec  strip = { .kind = PARE_DEC_STRIP, .start = 1, .len = 1 };

    if (map_len > 0) {
        PARE_FAIL_IF(d, !pare_charsmap_valid(charsmap, map_len), PARE_E_CORRUPT, "the precompiled character map contradicts its size");
        if ((t->charsmap = pare_strndup(charsmap, map_len)) == NULL) return PARE_NOMEM(d);
        t->charsmap_len = map_len;
        PARE_FORWARD(text_norm(t, PARE_NORM_CHARSMAP_LONGEST, charsmap, map_len, d));
    }
    if (t->remove_extra_ws) PARE_FORWARD(pare_tok_add_norm(t, &squeeze, d));
    if (t->add_space_prefix) PARE_FORWARD(text_norm(t, PARE_NORM_PREPEND, " ", 1, d));
    PARE_FORWARD(replace_step(t, " ", MARK, false, d));
    PARE_FORWARD(replace_step(t, MARK, " ", true, d));
    PARE_FORWARD(pare_tok_add_dec(t, &fallback, d));
    PARE_FORWARD(pare_tok_add_dec(t, &fuse, d));
    if (!t->add_space_prefix) return PARE_OK;
    if ((strip.text = pare_strdup(" ")) == NULL) return PARE_NOMEM(d);
    return pare_tok_add_dec(t, &strip, d);
}

static int load_bpe(struct pare_tokenizer *t, const struct pare_checkpoint *c, bool gemma, struct pare_diag *d)
{
    static const struct pare_pre bytes = { .kind = PARE_PRE_BYTES };
    static const struct pare_dec dec = { .kind = PARE_DEC_BYTES };
    struct pare_str              pre;
    const struct pare_preid     *row;

    PARE_FORWARD(pare_kv_str(c, "tokenizer.ggml.pre", &pre, d));
    if (gemma) pre = (struct pare_str){ "gemma4", 6 };
    row = pre.s == NULL ? NULL : pare_preid_find(pre.s, pre.len);
    if (row == NULL) {
        row = pare_preid_default();
        (void)pare_tok_warn(t, "the pre-tokenizer \"%.*s\" is not known; \"default\" is used, and texts may be cut into other tokens than "
                            "the model was trained with", pre.s == NULL ? 0 : (int)(pre.len < 64 ? pre.len : 64), pre.s == NULL ? "" : pre.s);
    }
    t->pre_id = pare_strndup(pre.s == NULL ? "default" : pre.s, pre.s == NULL ? 7 : pre.len);
    if (t->pre_id == NULL) return PARE_NOMEM(d);
    if (pare_kv_find(c, "tokenizer.ggml.merges") == NULL && pre.s != NULL && pre.len == 7 && memcmp(pre.s, "kimi-k2", 7) == 0)
        PARE_FORWARD(merges_by_id(t, d));
    else
        PARE_FORWARD(read_merges(t, c, d));
    t->keep_unknown = true;
    t->ignore_merges = (row->flags & PARE_PREID_IGNORE_MERGES) != 0;
    t->n_prefix = (row->flags & PARE_PREID_ADD_BOS) != 0;
    t->n_suffix = (row->flags & PARE_PREID_ADD_SEP) != 0;
    if ((row->flags & PARE_PREID_NO_BOS) != 0) t->bos = -1;
    if ((row->flags & PARE_PREID_SPACE_MARK) != 0) PARE_FORWARD(pare_tok_spm_steps(t, NULL, 0, d));
    for (size_t i = 0; row->pattern[i] != NULL; i++) PARE_FORWARD(pare_tok_split_step(t, row->pattern[i], PARE_ISOLATED, d));
    if ((row->flags & PARE_PREID_RAW) != 0) {
        t->byte_fallback = true;
        return PARE_OK;
    }
    PARE_FORWARD(pare_tok_add_pre(t, &bytes, d));
    return pare_tok_add_dec(t, &dec, d);
}

static int load_spm(struct pare_tokenizer *t, struct pare_diag *d)
{
    PARE_FAIL_IF(d, t->score == NULL, PARE_E_CORRUPT, "tokenizer.ggml.scores is missing");
    t->gguf_model = "llama";
    t->byte_fallback = true;
    t->keep_unknown = true;
    PARE_FORWARD(pare_tok_spm_steps(t, NULL, 0, d));
    return pare_tok_spm_merges(t, d);
}

static int load_bert(struct pare_tokenizer *t, const struct pare_checkpoint *c, struct pare_diag *d)
{
    struct pare_norm norm = { .kind = PARE_NORM_BERT, .clean = true, .chinese = true };
    struct pare_pre  ws = { .kind = PARE_PRE_SPLIT, .behavior = PARE_REMOVED }, punct = { .kind = PARE_PRE_SPLIT, .behavior = PARE_ISOLATED };
    struct pare_dec  fuse = { .kind = PARE_DEC_FUSE }, strip = { .kind = PARE_DEC_STRIP, .start = 1, .len = 1 };

    t->model = PARE_MODEL_WORDPIECE;
    t->gguf_model = "bert";
    pare_free(t->word_start);
    if ((t->word_start = pare_strdup(MARK)) == NULL) return PARE_NOMEM(d);
    PARE_FORWARD(pare_kv_bool(c, "tokenizer.ggml.normalizer.lowercase", true, &norm.lower, d));
    PARE_FORWARD(pare_kv_bool(c, "tokenizer.ggml.normalizer.strip_accents", norm.lower, &norm.accents, d));
    PARE_FORWARD(pare_tok_add_norm(t, &norm, d));
    PARE_FORWARD(pare_split_of_class(&ws.pattern, PARE_SPLIT_WS, d));
    PARE_FORWARD(pare_tok_add_pre(t, &ws, d));
    PARE_FORWARD(pare_split_of_class(&punct.pattern, PARE_SPLIT_PUNCT, d));
    PARE_FORWARD(pare_tok_add_pre(t, &punct, d));
    PARE_FORWARD(replace_step(t, MARK, " ", true, d));
    PARE_FORWARD(pare_tok_add_dec(t, &fuse, d));
    if ((strip.text = pare_strdup(" ")) == NULL) return PARE_NOMEM(d);
    PARE_FORWARD(pare_tok_add_dec(t, &strip, d));
    return pare_tok_trie(t, d);
}

static int load_unigram(struct pare_tokenizer *t, const struct pare_checkpoint *c, struct pare_diag *d)
{
    const struct pare_kv *map = pare_kv_find(c, "tokenizer.ggml.precompiled_charsmap");

    PARE_FAIL_IF(d, t->score == NULL, PARE_E_CORRUPT, "tokenizer.ggml.scores is missing");
    PARE_FAIL_IF(d, map != NULL && (map->type != PARE_KV_ARRAY || (map->elem != PARE_KV_U8 && map->elem != PARE_KV_I8)), PARE_E_CORRUPT,
                 "tokenizer.ggml.precompiled_charsmap must be an array of bytes");
    t->model = PARE_MODEL_UNIGRAM;
    t->gguf_model = "t5";
    PARE_FORWARD(pare_tok_spm_steps(t, map == NULL ? NULL : (const char *)map->data, map == NULL ? 0 : (size_t)map->count, d));
    return pare_tok_trie(t, d);
}

static int special_id(const struct pare_checkpoint *c, const char *name, int32_t *id, const struct pare_tokenizer *t, struct pare_diag *d)
{
    char    key[80];
    int64_t v;

    snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", name);
    if (pare_kv_find(c, key) == NULL) {
        if (*id >= (int64_t)t->n_vocab) *id = -1; /* a default of the format that this vocabulary has no place for */
        return PARE_OK;
    }
    PARE_FORWARD(pare_kv_int(c, key, -1, UINT32_MAX, -1, &v, d));
    if (v == UINT32_MAX) v = -1;
    pare_diag_where(d, v >= (int64_t)t->n_vocab ? key : "");
    PARE_FAIL_IF(d, v >= (int64_t)t->n_vocab, PARE_E_CORRUPT, "%s is %lld, the vocabulary has %u tokens", key, (long long)v, t->n_vocab);
    *id = (int32_t)v;
    return PARE_OK;
}

static int read_specials(struct pare_tokenizer *t, const struct pare_checkpoint *c, struct pare_diag *d)
{
    const struct { const char *name; int32_t *id; } ids[] = { { "bos", &t->bos }, { "eos", &t->eos }, { "eot", &t->eot },
        { "unknown", &t->unk_key }, { "seperator", &t->sep }, { "padding", &t->pad }, { "cls", &t->cls }, { "mask", &t->mask } };
    bool    bert = t->model == PARE_MODEL_WORDPIECE, spm = strcmp(t->gguf_model, "llama") == 0, bos = t->n_prefix > 0, eos = t->model == PARE_MODEL_UNIGRAM, sep = t->n_suffix > 0 || bert;
    int32_t first, last;

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) PARE_FORWARD(special_id(c, ids[i].name, ids[i].id, t, d));
    PARE_FORWARD(pare_kv_bool(c, "tokenizer.ggml.add_bos_token", bos || spm || bert, &bos, d));
    PARE_FORWARD(pare_kv_bool(c, "tokenizer.ggml.add_eos_token", eos, &eos, d));
    PARE_FORWARD(pare_kv_bool(c, "tokenizer.ggml.add_sep_token", sep, &sep, d));
    if (t->model != PARE_MODEL_BPE || (spm && t->by_score)) t->unk = t->unk_key; /* byte-level BPE has no unknown text */
    first = bert && t->cls >= 0 && t->bos < 0 ? t->cls : t->bos;
    last = sep && t->sep >= 0 ? t->sep : eos ? t->eos : -1;
    t->n_prefix = bos && first >= 0;
    t->prefix_ids[0] = first;
    t->n_suffix = last >= 0;
    t->suffix_ids[0] = last;
    return PARE_OK;
}

/* Control tokens are found only where the caller asks for it, tokens that users defined always. */
static int read_added(struct pare_tokenizer *t, struct pare_diag *d)
{
    for (uint32_t i = 0; i < t->n_text; i++) {
        size_t len;
        (void)pare_symtab_text(&t->sym, i, &len);
        if (len == 0) continue;
        if (t->type[i] == PARE_TOKEN_CONTROL || t->type[i] == PARE_TOKEN_UNKNOWN)
            PARE_FORWARD(pare_tok_add_added(t, (int32_t)i, PARE_ADDED_SPECIAL, d));
        else if (t->type[i] == PARE_TOKEN_USER)
            PARE_FORWARD(pare_tok_add_added(t, (int32_t)i, 0, d));
    }
    return PARE_OK;
}

static int load(struct pare_tokenizer *t, const struct pare_checkpoint *c, struct pare_str model, struct pare_diag *d)
{
#define IS(name) (model.len == sizeof(name) - 1 && memcmp(model.s, name, sizeof(name) - 1) == 0)
    bool gemma = IS("gemma4"), bpe = gemma || IS("gpt2") || IS("whitespace");

    if (!bpe && (t->pre_id = pare_strdup("default")) == NULL) return PARE_NOMEM(d);
    PARE_FORWARD(pare_kv_bool(c, "tokenizer.ggml.add_space_prefix", IS("llama"), &t->add_space_prefix, d));
    PARE_FORWARD(pare_kv_bool(c, "tokenizer.ggml.remove_extra_whitespaces", false, &t->remove_extra_ws, d));
    if (bpe) {
        t->bos = t->eos = gemma ? -1 : 11;
        PARE_FORWARD(read_tokens(t, c, d));
        PARE_FORWARD(load_bpe(t, c, gemma, d));
    } else if (IS("llama")) {
        t->bos = 1, t->eos = 2, t->unk_key = 0;
        PARE_FORWARD(read_tokens(t, c, d));
        PARE_FORWARD(load_spm(t, d));
    } else if (IS("bert")) {
        t->bos = 101, t->unk_key = 100, t->sep = 102, t->pad = 0, t->mask = 103;
        PARE_FORWARD(read_tokens(t, c, d));
        PARE_FORWARD(load_bert(t, c, d));
    } else if (IS("t5")) {
        t->eos = 1, t->unk_key = 2, t->pad = 0;
        PARE_FORWARD(read_tokens(t, c, d));
        PARE_FORWARD(load_unigram(t, c, d));
    } else {
        PARE_FAIL(d, PARE_E_UNSUPPORTED, "the tokenizer kind \"%.*s\" (tokenizer.ggml.model) is not supported",
                  (int)(model.len < 60 ? model.len : 60), model.s);
    }
    PARE_FORWARD(read_specials(t, c, d));
    PARE_FORWARD(read_added(t, d));
    return pare_tok_finish(t, d);
#undef IS
}

/* The document does not know what tokenizer_config.json said beside it; the keys of GGUF do. They can name one token before and
 * one behind a text; where the document has more, it is right. */
static int specials_of_json(struct pare_tokenizer *t, const struct pare_checkpoint *c, struct pare_diag *d)
{
    const struct pare_kv *tokens = pare_kv_find(c, "tokenizer.ggml.tokens");
    uint32_t              n_prefix = t->n_prefix, n_suffix = t->n_suffix;
    int32_t               first = t->prefix_ids[0], last = t->suffix_ids[0];

    if (tokens != NULL && tokens->count > t->n_vocab && tokens->count <= MAX_VOCAB) t->n_vocab = (uint32_t)tokens->count;
    pare_free(t->eog);
    t->eog = NULL;
    t->n_eog = 0;
    PARE_FORWARD(read_specials(t, c, d));
    if (n_prefix > 1) t->prefix_ids[0] = first, t->n_prefix = n_prefix;
    if (n_suffix > 1) t->suffix_ids[0] = last, t->n_suffix = n_suffix;
    pare_tok_specials(t);
    return PARE_OK;
}

int pare_tok_from_gguf(struct pare_tokenizer **out, const struct pare_checkpoint *c, struct pare_diag *d)
{
    struct pare_str        model, text;
    struct pare_tokenizer *t = NULL;
    int                    rc;

    *out = NULL;
    PARE_FORWARD(pare_kv_str(c, "tokenizer.ggml.model", &model, d));
    if (model.s == NULL || (model.len == 4 && memcmp(model.s, "none", 4) == 0) || (model.len == 8 && memcmp(model.s, "no_vocab", 8) == 0))
        return PARE_OK;
    PARE_FORWARD(pare_kv_str(c, "pare.tokenizer_json", &text, d));
    if (text.s != NULL) {
        PARE_FORWARD(pare_tokenizer_from_json(&t, text.s, (size_t)text.len, NULL, d));
        if ((rc = specials_of_json(t, c, d)) < 0) goto fail;
    } else {
        if ((t = pare_tok_new()) == NULL) return PARE_NOMEM(d);
        if ((rc = load(t, c, model, d)) < 0) goto fail;
    }
    if ((rc = pare_kv_str(c, "tokenizer.chat_template", &text, d)) < 0) goto fail;
    if (text.s != NULL && (t->chat_template = pare_strndup(text.s, (size_t)text.len)) == NULL) {
        rc = PARE_NOMEM(d);
        goto fail;
    }
    *out = t;
    return PARE_OK;
fail:
    pare_tok_free(&t);
    return rc;
}
