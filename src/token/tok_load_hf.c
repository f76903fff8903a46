/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_load_hf.c: a tokenizer.json with its tokenizer_config.json. Here too is decided whether GGUF's own keys can say
 * all of it: only then is the document itself not kept. */
#define _GNU_SOURCE
#include <stdio.h>

#include "base/status.h"
#include "token/tok_hf.h"

/* A special token of tokenizer_config.json: a string, or an object with "content". */
static int32_t named(const struct pare_tokenizer *t, const json_t *config, const char *key)
{
    const json_t *v = json_object_get(config, key);
    int32_t       id;

    if (json_is_object(v)) v = json_object_get(v, "content");
    if (!json_is_string(v)) return -1;
    id = pare_symtab_find(&t->sym, json_string_value(v), json_string_length(v));
    return id >= 0 && (uint32_t)id < t->n_text ? id : -1;
}

static int chat_template(struct pare_tokenizer *t, const json_t *config, struct pare_diag *d)
{
    const json_t *v = json_object_get(config, "chat_template"), *e, *text = v;
    size_t        i;

    if (json_is_array(v)) { /* several, by name: "default", or else the first */
        text = json_object_get(json_array_get(v, 0), "template");
        json_array_foreach(v, i, e) if (pare_hf_is(e, "name", "default")) text = json_object_get(e, "template");
    }
    if (!json_is_string(text)) return PARE_OK;
    t->chat_template = pare_strndup(json_string_value(text), json_string_length(text));
    return t->chat_template == NULL ? PARE_NOMEM(d) : PARE_OK;
}

/* The classes whose code sets the post-processor from add_bos_token and add_eos_token, whatever the file says. */
static bool class_decides(const json_t *config)
{
    static const char *const names[] = { "LlamaTokenizer", "LlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast", "CodeLlamaTokenizer",
                                         "CodeLlamaTokenizerFast" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (pare_hf_is(config, "tokenizer_class", names[i])) return true;
    return false;
}

static int apply_config(struct pare_tokenizer *t, const json_t *config, struct pare_diag *d)
{
    bool decides = class_decides(config), bos, eos;

    t->bos = named(t, config, "bos_token");
    t->eos = named(t, config, "eos_token");
    t->pad = named(t, config, "pad_token");
    t->sep = named(t, config, "sep_token");
    t->cls = named(t, config, "cls_token");
    t->mask = named(t, config, "mask_token");
    if (t->unk_key < 0) t->unk_key = named(t, config, "unk_token");
    PARE_FORWARD(pare_json_bool(config, "add_bos_token", decides, &bos, d));
    PARE_FORWARD(pare_json_bool(config, "add_eos_token", false, &eos, d));
    if (decides && json_is_boolean(json_object_get(config, "add_bos_token"))) t->n_prefix = t->n_suffix = 0;
    if (bos && t->bos >= 0 && t->n_prefix == 0) t->prefix_ids[t->n_prefix++] = t->bos;
    if (eos && t->eos >= 0 && t->n_suffix == 0) t->suffix_ids[t->n_suffix++] = t->eos;
    return chat_template(t, config, d);
}

static bool has_bytes_step(const struct pare_tokenizer *t)
{
    for (uint32_t i = 0; i < t->n_pre; i++)
        if (t->pre[i].kind == PARE_PRE_BYTES) return true;
    for (uint32_t i = 0; i < t->n_norm; i++)
        if (t->norm[i].kind == PARE_NORM_BYTES) return true;
    return false;
}

/* Finds tokenizer.ggml.pre; true when the keys of GGUF then say everything. The pattern that decides most stands last. */
static bool find_pre(struct pare_tokenizer *t, char name[32])
{
    const char              *pattern[8] = { NULL };
    uint32_t                 n = 0;
    bool                     exact = true, hand;
    const struct pare_preid *row;

    for (uint32_t i = 0; i < t->n_pre; i++) {
        const struct pare_pre *p = &t->pre[i];
        const char            *text;
        if (p->kind == PARE_PRE_BYTES) {
            exact = exact && i + 1 == t->n_pre;
            continue;
        }
        if (p->kind != PARE_PRE_SPLIT) {
            exact = false;
            continue;
        }
        text = pare_split_text(p->pattern, &hand);
        if (p->behavior == PARE_CONTIGUOUS && strcmp(text, "\\p{N}") == 0)
            text = "\\p{N}+";
        else if (!(p->behavior == PARE_ISOLATED && !p->invert) && !(p->behavior == PARE_REMOVED && p->invert))
            exact = false;
        if (n < 7)
            pattern[n++] = text;
        else
            exact = false;
    }
    row = n == 0 ? NULL : pare_preid_match(pattern, n, t->ignore_merges, name);
    if (row == NULL && n > 1) {
        exact = false;
        row = pare_preid_match(pattern + n - 1, 1, t->ignore_merges, name);
    }
    if (row == NULL) {
        snprintf(name, 32, "gpt-2");
        return false;
    }
    return exact && ((row->flags & PARE_PREID_IGNORE_MERGES) != 0) == t->ignore_merges;
}

static bool only_special(const struct pare_tokenizer *t)
{
    for (uint32_t i = 0; i < t->n_added; i++)
        if ((t->added[i].flags & (PARE_ADDED_LSTRIP | PARE_ADDED_RSTRIP | PARE_ADDED_WORD)) != 0) return false;
    return true;
}

static int for_gguf(struct pare_tokenizer *t, bool *exact, struct pare_diag *d)
{
    char name[32] = "default";

    *exact = false;
    if (t->model == PARE_MODEL_BPE && has_bytes_step(t)) {
        *exact = find_pre(t, name) && t->n_norm == 0 && t->n_dec == 1 && t->dec[0].kind == PARE_DEC_BYTES && only_special(t) &&
                 !t->byte_fallback && t->prefix[0] == '\0' && t->suffix[0] == '\0' && t->n_prefix <= 1 && t->n_suffix <= 1;
    } else if (t->model == PARE_MODEL_BPE) {
        t->gguf_model = "llama";
    }
    t->pre_id = pare_strdup(name);
    return t->pre_id == NULL ? PARE_NOMEM(d) : PARE_OK;
}

static int build(struct pare_tokenizer *t, const json_t *root, const json_t *config, struct pare_diag *d)
{
    PARE_FAIL_IF(d, !json_is_object(root), PARE_E_CORRUPT, "tokenizer.json is no object");
    PARE_FORWARD(pare_hf_model(t, root, d));
    PARE_FORWARD(pare_hf_normalizer(t, json_object_get(root, "normalizer"), d));
    PARE_FORWARD(pare_hf_pre_tokenizer(t, json_object_get(root, "pre_tokenizer"), d));
    PARE_FORWARD(pare_hf_decoder(t, json_object_get(root, "decoder"), d));
    PARE_FORWARD(pare_hf_post_processor(t, json_object_get(root, "post_processor"), d));
    if (config != NULL) PARE_FORWARD(apply_config(t, config, d));
    return pare_tok_finish(t, d);
}

int pare_tok_from_root(struct pare_tokenizer **out, const json_t *root, const json_t *config, const char *text, size_t n,
                       bool nul_marked, struct pare_diag *d)
{
    struct pare_tokenizer *t = pare_tok_new();
    bool                   exact;
    int                    rc;

    *out = NULL;
    if (t == NULL) return PARE_NOMEM(d);
    t->nul_marked = nul_marked;
    if ((rc = build(t, root, config, d)) < 0) goto fail;
    if ((rc = for_gguf(t, &exact, d)) < 0) goto fail;
    if (!exact) {
        t->json = text == NULL ? pare_json_text(root) : pare_strndup(text, n);
        if (t->json == NULL) {
            rc = PARE_NOMEM(d);
            goto fail;
        }
        t->json_len = text == NULL ? strlen(t->json) : n;
    }
    *out = t;
    return PARE_OK;
fail:
    pare_tok_free(&t);
    return rc;
}

/* The escape of U+0000 becomes that of U+10FFFF, a code point that is no character: twelve bytes for six. */
static char *mark_nul(const char *s, size_t *n)
{
    char  *p = *n > SIZE_MAX / 4 ? NULL : pare_malloc(2 * *n + 1);
    size_t m = 0;

    for (size_t i = 0; p != NULL && i < *n;) {
        if (s[i] != '\\' || i + 1 == *n) {
            p[m++] = s[i++];
        } else if (*n - i >= 6 && memcmp(s + i, "\\u0000", 6) == 0) {
            memcpy(p + m, "\\udbff\\udfff", 12);
            m += 12;
            i += 6;
        } else {
            p[m++] = s[i++];
            p[m++] = s[i++];
        }
    }
    *n = m;
    return p;
}

int pare_tokenizer_from_json(struct pare_tokenizer **out, const char *text, size_t n, const json_t *config, struct pare_diag *d)
{
    bool    marked = memmem(text, n, "\\u0000", 6) != NULL;
    char   *copy = NULL;
    size_t  m = n;
    json_t *root;
    int     rc;

    *out = NULL;
    if (marked && (copy = mark_nul(text, &m)) == NULL) return PARE_NOMEM(d);
    rc = pare_json_load(&root, copy == NULL ? text : copy, m, "tokenizer.json", d);
    pare_free(copy);
    if (rc < 0) return rc;
    rc = pare_tok_from_root(out, root, config, text, n, marked, d);
    json_decref(root);
    return rc;
}

static int compare_ids(const int32_t *a, const int32_t *b) { return *a < *b ? -1 : *a > *b; }

int pare_tok_more_eog(struct pare_tokenizer *t, const json_t *config, struct pare_diag *d)
{
    const json_t *v = json_object_get(config, "eos_token_id");
    size_t        n = json_is_array(v) ? json_array_size(v) : 1;
    int32_t      *p;

    if (!json_is_array(v) && !json_is_integer(v)) return PARE_OK;
    p = pare_realloc_array(t->eog, t->n_eog + n, sizeof *p);
    if (p == NULL) return PARE_NOMEM(d);
    t->eog = p;
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_is_array(v) ? json_array_get(v, i) : v;
        json_int_t    id = json_is_integer(e) ? json_integer_value(e) : -1;
        uint32_t      k = t->n_eog;
        if (id < 0 || id >= (json_int_t)t->n_vocab || pare_tokenizer_is_eog(t, (int32_t)id)) continue;
        for (; k > 0 && compare_ids(&t->eog[k - 1], &(int32_t){ (int32_t)id }) > 0; k--) t->eog[k] = t->eog[k - 1];
        t->eog[k] = (int32_t)id;
        t->n_eog++;
        if (t->eos < 0) t->eos = (int32_t)id;
    }
    return PARE_OK;
}
