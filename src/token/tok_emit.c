/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_emit.c: a tokenizer as tokenizer.ggml.* keys, the way the public conversion scripts write them. */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "token/tok_impl.h"

#define MARK "\xE2\x96\x81"

static int strings(struct pare_writer *w, const char *key, const struct pare_symtab *s, struct pare_diag *d)
{
    struct pare_str *v = pare_alloc_array(s->n, sizeof *v);
    int              rc;

    if (v == NULL) return PARE_NOMEM(d);
    for (uint32_t i = 0; i < s->n; i++) {
        size_t len;
        v[i].s = pare_symtab_text(s, i, &len);
        v[i].len = len;
    }
    rc = pare_writer_kv_strs(w, key, v, s->n, d);
    pare_free(v);
    return rc;
}

/* The text of token i as GGUF has it. Gaps get a name of their own: engines refuse empty and equal texts. */
static bool token_text(const struct pare_tokenizer *t, uint32_t i, struct pare_buf *b)
{
    size_t      len = 0, skip = strlen(t->prefix);
    const char *s = i < t->n_text ? pare_symtab_text(&t->sym, i, &len) : "";

    b->len = 0;
    if (len == 0) return pare_buf_printf(b, "[PAD%u]", i);
    if (t->model == PARE_MODEL_WORDPIECE && t->word_start[0] == '\0' && t->type[i] == PARE_TOKEN_NORMAL && s[0] != '[') {
        if (skip > 0 && len > skip && memcmp(s, t->prefix, skip) == 0) return pare_buf_add(b, s + skip, len - skip);
        return pare_buf_str(b, MARK) && pare_buf_add(b, s, len);
    }
    return pare_buf_add(b, s, len);
}

static int tokens(const struct pare_tokenizer *t, struct pare_writer *w, struct pare_diag *d)
{
    struct pare_symtab s = { 0 };
    struct pare_buf    b = { .max = SIZE_MAX / 4 };
    int                rc = PARE_OK;

    for (uint32_t i = 0; rc == PARE_OK && i < t->n_vocab; i++)
        if (!token_text(t, i, &b) || pare_symtab_push(&s, (char *)b.data, b.len, false) < 0) rc = PARE_NOMEM(d);
    if (rc == PARE_OK) rc = strings(w, "tokenizer.ggml.tokens", &s, d);
    pare_buf_free(&b);
    pare_symtab_free(&s);
    return rc;
}

static int types(const struct pare_tokenizer *t, struct pare_writer *w, struct pare_diag *d)
{
    int32_t *v = pare_alloc_array(t->n_vocab, sizeof *v);
    int      rc;

    if (v == NULL) return PARE_NOMEM(d);
    for (uint32_t i = 0; i < t->n_vocab; i++) {
        size_t      len = 0;
        const char *s = i < t->n_text ? pare_symtab_text(&t->sym, i, &len) : "";
        v[i] = i < t->n_text ? t->type[i] : PARE_TOKEN_UNUSED;
        if (v[i] == PARE_TOKEN_NORMAL && t->byte_fallback && pare_tok_byte_text(s, len) >= 0) v[i] = PARE_TOKEN_BYTE;
        if ((int32_t)i == t->unk && t->model != PARE_MODEL_BPE) v[i] = PARE_TOKEN_UNKNOWN;
        if ((int32_t)i == t->unk && strcmp(t->gguf_model, "llama") == 0) v[i] = PARE_TOKEN_UNKNOWN;
    }
    rc = pare_writer_kv_array(w, "tokenizer.ggml.token_type", PARE_KV_I32, v, t->n_vocab, d);
    pare_free(v);
    return rc;
}

/* Scores where a file has none (BPE of a tokenizer.json for engines that merge by score): an earlier merge scores higher. */
static int scores(const struct pare_tokenizer *t, struct pare_writer *w, struct pare_diag *d)
{
    float *v = pare_zalloc(t->n_vocab, sizeof *v);
    int    rc;

    if (v == NULL) return PARE_NOMEM(d);
    for (uint32_t i = 0; i < t->n_text; i++) v[i] = t->score64 != NULL ? (float)t->score64[i] : t->score != NULL ? t->score[i] : 0.0f;
    if (t->score == NULL && t->score64 == NULL && t->merge != NULL)
        for (uint32_t i = t->n_merges; i-- > 0;) {
            const struct pare_pair *p = pare_pairmap_get(&t->merges, t->merge[i]);
            if (p != NULL && p->b < t->n_text) v[p->b] = -(float)(i + 1);
        }
    rc = pare_writer_kv_array(w, "tokenizer.ggml.scores", PARE_KV_F32, v, t->n_vocab, d);
    pare_free(v);
    return rc;
}

static int merges(const struct pare_tokenizer *t, struct pare_writer *w, struct pare_diag *d)
{
    struct pare_symtab s = { 0 };
    struct pare_buf    b = { .max = SIZE_MAX / 4 };
    int                rc = PARE_OK;

    for (uint32_t i = 0; rc == PARE_OK && i < t->n_merges; i++) {
        size_t      na, nb;
        const char *x = pare_symtab_text(&t->sym, (uint32_t)(t->merge[i] >> 32), &na), *y = pare_symtab_text(&t->sym, (uint32_t)t->merge[i], &nb);
        b.len = 0;
        if (!pare_buf_add(&b, x, na) || !pare_buf_add(&b, " ", 1) || !pare_buf_add(&b, y, nb) ||
            pare_symtab_push(&s, (char *)b.data, b.len, false) < 0)
            rc = PARE_NOMEM(d);
    }
    if (rc == PARE_OK) rc = strings(w, "tokenizer.ggml.merges", &s, d);
    pare_buf_free(&b);
    pare_symtab_free(&s);
    return rc;
}

static int specials(const struct pare_tokenizer *t, struct pare_writer *w, struct pare_diag *d)
{
    const struct { const char *key; int32_t id; } ids[] = { { "bos", t->bos }, { "eos", t->eos }, { "unknown", t->unk_key },
        { "seperator", t->sep }, { "padding", t->pad }, { "cls", t->cls }, { "mask", t->mask } }; /* "seperator": so spelt in the format */
    bool bos = t->n_prefix > 0, eos = t->n_suffix > 0 && t->suffix_ids[0] == t->eos, sep = t->n_suffix > 0 && !eos;
    char key[80];

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        int32_t id = ids[i].id;
        if (i == 0 && bos) id = t->prefix_ids[0];
        if (i == 3 && sep) id = t->suffix_ids[0];
        if (id < 0) continue;
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", ids[i].key);
        PARE_FORWARD(pare_writer_kv_u32(w, key, (uint32_t)id, d));
    }
    /* eot is detected by text when it is read; a file says it only where reading would find another */
    PARE_FORWARD(pare_writer_kv_bool(w, "tokenizer.ggml.add_bos_token", bos, d));
    PARE_FORWARD(pare_writer_kv_bool(w, "tokenizer.ggml.add_eos_token", eos, d));
    if (sep) PARE_FORWARD(pare_writer_kv_bool(w, "tokenizer.ggml.add_sep_token", true, d));
    return PARE_OK;
}

static bool has_prefix_step(const struct pare_tokenizer *t)
{
    if (t->add_space_prefix) return true;
    for (uint32_t i = 0; i < t->n_norm; i++)
        if (t->norm[i].kind == PARE_NORM_PREPEND) return true;
    for (uint32_t i = 0; i < t->n_pre; i++)
        if (t->pre[i].kind == PARE_PRE_METASPACE && t->pre[i].prepend != 0) return true;
    return false;
}

static int bert_normalizer(const struct pare_tokenizer *t, struct pare_writer *w, struct pare_diag *d)
{
    for (uint32_t i = 0; i < t->n_norm; i++)
        if (t->norm[i].kind == PARE_NORM_BERT) {
            PARE_FORWARD(pare_writer_kv_bool(w, "tokenizer.ggml.normalizer.lowercase", t->norm[i].lower, d));
            return pare_writer_kv_bool(w, "tokenizer.ggml.normalizer.strip_accents", t->norm[i].accents, d);
        }
    return PARE_OK;
}

int pare_tokenizer_emit_gguf(const struct pare_tokenizer *t, struct pare_writer *w, struct pare_diag *d)
{
    bool scored = strcmp(t->gguf_model, "llama") == 0 || strcmp(t->gguf_model, "t5") == 0;

    PARE_FORWARD(pare_writer_kv_str(w, "tokenizer.ggml.model", t->gguf_model, strlen(t->gguf_model), d));
    PARE_FORWARD(pare_writer_kv_str(w, "tokenizer.ggml.pre", t->pre_id, strlen(t->pre_id), d));
    PARE_FORWARD(tokens(t, w, d));
    PARE_FORWARD(types(t, w, d));
    if (scored) {
        PARE_FORWARD(scores(t, w, d));
        PARE_FORWARD(pare_writer_kv_bool(w, "tokenizer.ggml.add_space_prefix", has_prefix_step(t), d));
        PARE_FORWARD(pare_writer_kv_bool(w, "tokenizer.ggml.remove_extra_whitespaces", t->remove_extra_ws, d));
    }
    if (strcmp(t->gguf_model, "gpt2") == 0) PARE_FORWARD(merges(t, w, d));
    if (strcmp(t->gguf_model, "bert") == 0) PARE_FORWARD(bert_normalizer(t, w, d));
    if (t->charsmap_len > 0)
        PARE_FORWARD(pare_writer_kv_array(w, "tokenizer.ggml.precompiled_charsmap", PARE_KV_U8, t->charsmap, t->charsmap_len, d));
    PARE_FORWARD(specials(t, w, d));
    if (t->chat_template != NULL)
        PARE_FORWARD(pare_writer_kv_str(w, "tokenizer.chat_template", t->chat_template, strlen(t->chat_template), d));
    if (t->json != NULL) PARE_FORWARD(pare_writer_kv_str(w, "pare.tokenizer_json", t->json, t->json_len, d));
    return PARE_OK;
}
