/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_hf_steps.c: normalizer, pre_tokenizer, decoder and post_processor of a tokenizer.json, as steps. What they mean
 * is documented with Hugging Face's tokenizers; a kind that is not known here is refused by its name, never passed over. */
#include "base/status.h"
#include "token/tok_hf.h"
#include "token/tok_pats.h"

#define MARK "\xE2\x96\x81"
#define DEPTH 16

int pare_hf_text(const json_t *o, const char *key, const char *dflt, char **copy, size_t *len, struct pare_diag *d)
{
    const json_t *v = json_object_get(o, key);

    *copy = NULL;
    *len = 0;
    PARE_FAIL_IF(d, v != NULL && !json_is_string(v) && !json_is_null(v), PARE_E_CORRUPT, "\"%s\" must be a string", key);
    PARE_FAIL_IF(d, dflt == NULL && !json_is_string(v), PARE_E_CORRUPT, "\"%s\" is missing", key);
    *len = json_is_string(v) ? json_string_length(v) : strlen(dflt);
    *copy = pare_strndup(json_is_string(v) ? json_string_value(v) : dflt, *len);
    return *copy == NULL ? PARE_NOMEM(d) : PARE_OK;
}

/* {"String": ..} or {"Regex": ..}, or a plain string. */
static int pattern(const struct pare_tokenizer *t, const json_t *o, const char *key, struct pare_split **out, struct pare_diag *d)
{
    const json_t *v = json_object_get(o, key), *s = json_object_get(v, "String"), *r = json_object_get(v, "Regex");

    if (json_is_string(v)) s = v;
    if (json_is_string(s)) return pare_split_literal(out, json_string_value(s), json_string_length(s), d);
    PARE_FAIL_IF(d, !json_is_string(r), PARE_E_CORRUPT, "\"%s\" must be {\"String\": ..} or {\"Regex\": ..}", key);
    if (t->nul_marked) {
        size_t n = json_string_length(r);
        char  *copy = pare_tok_unmark(json_string_value(r), &n);
        int    rc = copy == NULL ? PARE_NOMEM(d) : pare_split_regex(out, copy, n, d);
        pare_free(copy);
        return rc;
    }
    return pare_split_regex(out, json_string_value(r), json_string_length(r), d);
}

static int unknown(const json_t *o, const char *what, struct pare_diag *d)
{
    const json_t *v = json_object_get(o, "type");

    PARE_FAIL_IF(d, !json_is_string(v), PARE_E_CORRUPT, "a %s has no type", what);
    PARE_FAIL(d, PARE_E_UNSUPPORTED, "the %s \"%.80s\" is not supported", what, json_string_value(v));
}

static int sequence(struct pare_tokenizer *t, const json_t *o, const char *key, int depth, struct pare_diag *d,
                    int (*one)(struct pare_tokenizer *, const json_t *, int, struct pare_diag *))
{
    const json_t *list = json_object_get(o, key), *e;
    size_t        i;

    PARE_FAIL_IF(d, !json_is_array(list), PARE_E_CORRUPT, "\"%s\" must be an array", key);
    PARE_FAIL_IF(d, depth >= DEPTH, PARE_E_LIMIT, "sequences within sequences, more than %d deep", DEPTH);
    json_array_foreach(list, i, e) PARE_FORWARD(one(t, e, depth + 1, d));
    return PARE_OK;
}

static int base64(const json_t *o, const char *key, char **out, size_t *len, struct pare_diag *d)
{
    const json_t *v = json_object_get(o, key);
    const char   *s = json_string_value(v);
    size_t        n = json_string_length(v), m = 0;
    uint32_t      acc = 0, bits = 0;

    *out = NULL;
    *len = 0;
    if (json_is_null(v)) return PARE_OK;
    PARE_FAIL_IF(d, s == NULL, PARE_E_CORRUPT, "\"%s\" must be a string", key);
    if ((*out = pare_malloc(n)) == NULL) return PARE_NOMEM(d);
    for (size_t i = 0; i < n && s[i] != '='; i++) {
        static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char       *p = s[i] == '\0' ? NULL : strchr(abc, s[i]);
        if (p == NULL) {
            pare_free(*out);
            *out = NULL;
            PARE_FAIL(d, PARE_E_CORRUPT, "\"%s\" is not base64 (character %zu)", key, i);
        }
        acc = acc << 6 | (uint32_t)(p - abc);
        bits += 6;
        if (bits >= 8) (*out)[m++] = (char)(acc >> (bits -= 8));
    }
    *len = m;
    return PARE_OK;
}

static int charsmap(struct pare_tokenizer *t, struct pare_norm *n, const json_t *o, struct pare_diag *d)
{
    n->kind = PARE_NORM_CHARSMAP;
    PARE_FORWARD(base64(o, "precompiled_charsmap", &n->text, &n->len, d));
    if (n->len == 0) {
        pare_free(n->text);
        return PARE_OK;
    }
    if (!pare_charsmap_valid(n->text, n->len)) {
        pare_free(n->text);
        PARE_FAIL(d, PARE_E_CORRUPT, "\"precompiled_charsmap\" contradicts its size");
    }
    if (t->charsmap == NULL && (t->charsmap = pare_strndup(n->text, n->len)) != NULL) t->charsmap_len = n->len;
    return pare_tok_add_norm(t, n, d);
}

static int bert(struct pare_norm *n, const json_t *o, struct pare_diag *d)
{
    n->kind = PARE_NORM_BERT;
    PARE_FORWARD(pare_json_bool(o, "clean_text", true, &n->clean, d));
    PARE_FORWARD(pare_json_bool(o, "handle_chinese_chars", true, &n->chinese, d));
    PARE_FORWARD(pare_json_bool(o, "lowercase", true, &n->lower, d));
    return pare_json_bool(o, "strip_accents", n->lower, &n->accents, d);
}

static int one_normalizer(struct pare_tokenizer *t, const json_t *o, int depth, struct pare_diag *d)
{
    static const struct { const char *name; enum pare_norm_kind kind; } plain[] = { { "NFC", PARE_NORM_NFC }, { "NFD", PARE_NORM_NFD },
        { "NFKC", PARE_NORM_NFKC }, { "NFKD", PARE_NORM_NFKD }, { "Lowercase", PARE_NORM_LOWER }, { "StripAccents", PARE_NORM_STRIP_ACCENTS },
        { "ByteLevel", PARE_NORM_BYTES }, { "Nmt", PARE_NORM_NMT } };
    struct pare_norm n = { 0 };
    int              rc;

    if (pare_hf_is(o, "type", "Sequence")) return sequence(t, o, "normalizers", depth, d, one_normalizer);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (pare_hf_is(o, "type", plain[i].name)) {
            n.kind = plain[i].kind;
            return pare_tok_add_norm(t, &n, d);
        }
    if (pare_hf_is(o, "type", "Precompiled")) return charsmap(t, &n, o, d);
    if (pare_hf_is(o, "type", "BertNormalizer")) {
        PARE_FORWARD(bert(&n, o, d));
    } else if (pare_hf_is(o, "type", "Strip")) {
        n.kind = PARE_NORM_STRIP;
        PARE_FORWARD(pare_json_bool(o, "strip_left", true, &n.left, d));
        PARE_FORWARD(pare_json_bool(o, "strip_right", true, &n.right, d));
    } else if (pare_hf_is(o, "type", "Prepend")) {
        n.kind = PARE_NORM_PREPEND;
        PARE_FORWARD(pare_hf_text(o, "prepend", NULL, &n.text, &n.len, d));
    } else if (pare_hf_is(o, "type", "Replace")) {
        n.kind = PARE_NORM_REPLACE;
        PARE_FORWARD(pattern(t, o, "pattern", &n.pattern, d));
        if ((rc = pare_hf_text(o, "content", NULL, &n.text, &n.len, d)) < 0) {
            pare_split_free(&n.pattern);
            return rc;
        }
    } else {
        return unknown(o, "normalizer", d);
    }
    return pare_tok_add_norm(t, &n, d);
}

int pare_hf_normalizer(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d)
{
    return o == NULL || json_is_null(o) ? PARE_OK : one_normalizer(t, o, 0, d);
}

static int class_step(struct pare_tokenizer *t, enum pare_split_class c, enum pare_behavior b, bool invert, struct pare_diag *d)
{
    struct pare_pre p = { .kind = PARE_PRE_SPLIT, .behavior = b, .invert = invert };

    PARE_FORWARD(pare_split_of_class(&p.pattern, c, d));
    return pare_tok_add_pre(t, &p, d);
}

static int behavior(const json_t *o, enum pare_behavior dflt, enum pare_behavior *out, struct pare_diag *d)
{
    static const char *const names[] = { "Removed", "Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext" };

    *out = dflt;
    if (json_object_get(o, "behavior") == NULL) return PARE_OK;
    for (int i = 0; i < 5; i++)
        if (pare_hf_is(o, "behavior", names[i])) {
            *out = (enum pare_behavior)i;
            return PARE_OK;
        }
    PARE_FAIL(d, PARE_E_CORRUPT, "\"behavior\" is none of Removed, Isolated, Contiguous, MergedWithPrevious, MergedWithNext");
}

static int byte_level(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d)
{
    static const struct pare_pre space = { .kind = PARE_PRE_PREFIX_SPACE }, bytes = { .kind = PARE_PRE_BYTES };
    bool                         prefix, regex;

    PARE_FORWARD(pare_json_bool(o, "add_prefix_space", true, &prefix, d));
    PARE_FORWARD(pare_json_bool(o, "use_regex", true, &regex, d));
    if (prefix) PARE_FORWARD(pare_tok_add_pre(t, &space, d));
    if (regex) PARE_FORWARD(pare_tok_split_step(t, PAT_GPT2, PARE_ISOLATED, d));
    return pare_tok_add_pre(t, &bytes, d);
}

/* prepend_scheme of newer files, add_prefix_space of older ones. */
static int prepends(const json_t *o, int *out, struct pare_diag *d)
{
    bool legacy;

    PARE_FORWARD(pare_json_bool(o, "add_prefix_space", true, &legacy, d));
    *out = legacy ? 2 : 0;
    if (pare_hf_is(o, "prepend_scheme", "always")) *out = 2;
    if (pare_hf_is(o, "prepend_scheme", "first")) *out = 1;
    if (pare_hf_is(o, "prepend_scheme", "never")) *out = 0;
    return PARE_OK;
}

static int metaspace(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d)
{
    struct pare_pre p = { .kind = PARE_PRE_METASPACE };

    PARE_FORWARD(prepends(o, &p.prepend, d));
    PARE_FORWARD(pare_json_bool(o, "split", true, &p.cut, d));
    PARE_FORWARD(pare_hf_text(o, "replacement", MARK, &p.text, &p.len, d));
    if (p.len == 0) {
        pare_free(p.text);
        PARE_FAIL(d, PARE_E_CORRUPT, "\"replacement\" is empty");
    }
    return pare_tok_add_pre(t, &p, d);
}

static int split(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d)
{
    struct pare_pre p = { .kind = PARE_PRE_SPLIT };

    PARE_FORWARD(behavior(o, PARE_ISOLATED, &p.behavior, d));
    PARE_FORWARD(pare_json_bool(o, "invert", false, &p.invert, d));
    PARE_FORWARD(pattern(t, o, "pattern", &p.pattern, d));
    return pare_tok_add_pre(t, &p, d);
}

static int one_pre(struct pare_tokenizer *t, const json_t *o, int depth, struct pare_diag *d)
{
    enum pare_behavior b;
    struct pare_pre    p = { .kind = PARE_PRE_SPLIT, .behavior = PARE_REMOVED };
    char              *text;
    size_t             len;
    bool               each;
    int                rc;

    if (pare_hf_is(o, "type", "Sequence")) return sequence(t, o, "pretokenizers", depth, d, one_pre);
    if (pare_hf_is(o, "type", "ByteLevel")) return byte_level(t, o, d);
    if (pare_hf_is(o, "type", "Metaspace")) return metaspace(t, o, d);
    if (pare_hf_is(o, "type", "Split")) return split(t, o, d);
    if (pare_hf_is(o, "type", "Whitespace")) return class_step(t, PARE_SPLIT_WORDS, PARE_REMOVED, true, d);
    if (pare_hf_is(o, "type", "WhitespaceSplit")) return class_step(t, PARE_SPLIT_WS, PARE_REMOVED, false, d);
    if (pare_hf_is(o, "type", "Digits")) {
        PARE_FORWARD(pare_json_bool(o, "individual_digits", false, &each, d));
        return class_step(t, PARE_SPLIT_NUMERIC, each ? PARE_ISOLATED : PARE_CONTIGUOUS, false, d);
    }
    if (pare_hf_is(o, "type", "Punctuation")) {
        PARE_FORWARD(behavior(o, PARE_ISOLATED, &b, d));
        return class_step(t, PARE_SPLIT_PUNCT, b, false, d);
    }
    if (pare_hf_is(o, "type", "BertPreTokenizer")) {
        PARE_FORWARD(class_step(t, PARE_SPLIT_WS, PARE_REMOVED, false, d));
        return class_step(t, PARE_SPLIT_PUNCT, PARE_ISOLATED, false, d);
    }
    if (pare_hf_is(o, "type", "CharDelimiterSplit")) {
        PARE_FORWARD(pare_hf_text(o, "delimiter", NULL, &text, &len, d));
        rc = pare_split_literal(&p.pattern, text, len, d);
        pare_free(text);
        return rc < 0 ? rc : pare_tok_add_pre(t, &p, d);
    }
    return unknown(o, "pre-tokenizer", d);
}

int pare_hf_pre_tokenizer(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d)
{
    return o == NULL || json_is_null(o) ? PARE_OK : one_pre(t, o, 0, d);
}

static int one_decoder(struct pare_tokenizer *t, const json_t *o, int depth, struct pare_diag *d)
{
    struct pare_dec x = { 0 };
    int             prepend, rc;
    int64_t         v;

    if (pare_hf_is(o, "type", "Sequence")) return sequence(t, o, "decoders", depth, d, one_decoder);
    if (pare_hf_is(o, "type", "ByteLevel")) {
        x.kind = PARE_DEC_BYTES;
    } else if (pare_hf_is(o, "type", "ByteFallback")) {
        x.kind = PARE_DEC_BYTE_FALLBACK;
    } else if (pare_hf_is(o, "type", "Fuse")) {
        x.kind = PARE_DEC_FUSE;
    } else if (pare_hf_is(o, "type", "Metaspace")) {
        x.kind = PARE_DEC_METASPACE;
        PARE_FORWARD(prepends(o, &prepend, d));
        x.flag = prepend != 0;
        PARE_FORWARD(pare_hf_text(o, "replacement", MARK, &x.text, &x.len, d));
    } else if (pare_hf_is(o, "type", "WordPiece")) {
        x.kind = PARE_DEC_WORDPIECE;
        PARE_FORWARD(pare_json_bool(o, "cleanup", true, &x.flag, d));
        PARE_FORWARD(pare_hf_text(o, "prefix", "##", &x.text, &x.len, d));
    } else if (pare_hf_is(o, "type", "BPEDecoder")) {
        x.kind = PARE_DEC_SUFFIX;
        PARE_FORWARD(pare_hf_text(o, "suffix", "</w>", &x.text, &x.len, d));
    } else if (pare_hf_is(o, "type", "Strip")) {
        x.kind = PARE_DEC_STRIP;
        PARE_FORWARD(pare_json_int(o, "start", 0, 1 << 20, 0, &v, d));
        x.start = (uint32_t)v;
        PARE_FORWARD(pare_json_int(o, "stop", 0, 1 << 20, 0, &v, d));
        x.stop = (uint32_t)v;
        PARE_FORWARD(pare_hf_text(o, "content", " ", &x.text, &x.len, d));
        if (x.len == 0) x.start = x.stop = 0;
    } else if (pare_hf_is(o, "type", "Replace")) {
        x.kind = PARE_DEC_REPLACE;
        PARE_FORWARD(pattern(t, o, "pattern", &x.pattern, d));
        if ((rc = pare_hf_text(o, "content", NULL, &x.text, &x.len, d)) < 0) {
            pare_split_free(&x.pattern);
            return rc;
        }
    } else {
        return unknown(o, "decoder", d);
    }
    return pare_tok_add_dec(t, &x, d);
}

/* Without a decoder, tokens are joined by spaces. */
int pare_hf_decoder(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d)
{
    struct pare_dec x = { .kind = PARE_DEC_WORDPIECE };

    if (o != NULL && !json_is_null(o)) return one_decoder(t, o, 0, d);
    if ((x.text = pare_strdup("")) == NULL) return PARE_NOMEM(d);
    return pare_tok_add_dec(t, &x, d);
}

static int fix(struct pare_tokenizer *t, int64_t id, bool after, struct pare_diag *d)
{
    uint32_t *n = after ? &t->n_suffix : &t->n_prefix;

    PARE_FAIL_IF(d, id < 0 || id >= (int64_t)t->n_vocab, PARE_E_CORRUPT, "the post-processor puts token %lld, the vocabulary has %u",
                 (long long)id, t->n_vocab);
    PARE_FAIL_IF(d, *n >= PARE_TOK_FIX_MAX, PARE_E_LIMIT, "the post-processor puts more than %d tokens", PARE_TOK_FIX_MAX);
    (after ? t->suffix_ids : t->prefix_ids)[(*n)++] = (int32_t)id;
    return PARE_OK;
}

/* "single" of TemplateProcessing: special tokens before and after the sequence. */
static int template(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d)
{
    const json_t *e, *single = json_object_get(o, "single"), *specials = json_object_get(o, "special_tokens");
    bool          after = false;
    size_t        i, k;

    PARE_FAIL_IF(d, !json_is_array(single), PARE_E_CORRUPT, "\"single\" must be an array");
    json_array_foreach(single, i, e) {
        const json_t *s = json_object_get(json_object_get(e, "SpecialToken"), "id"), *ids, *id;
        if (json_object_get(e, "Sequence") != NULL) {
            after = true;
            continue;
        }
        PARE_FAIL_IF(d, !json_is_string(s), PARE_E_CORRUPT, "element %zu of \"single\" is neither a sequence nor a special token", i);
        ids = json_object_get(json_object_get(specials, json_string_value(s)), "ids");
        PARE_FAIL_IF(d, !json_is_array(ids), PARE_E_CORRUPT, "the special token \"%.80s\" of the template has no ids", json_string_value(s));
        json_array_foreach(ids, k, id) PARE_FORWARD(fix(t, json_is_integer(id) ? json_integer_value(id) : -1, after, d));
    }
    return PARE_OK;
}

static int one_post(struct pare_tokenizer *t, const json_t *o, int depth, struct pare_diag *d)
{
    if (pare_hf_is(o, "type", "Sequence")) return sequence(t, o, "processors", depth, d, one_post);
    if (pare_hf_is(o, "type", "ByteLevel")) return PARE_OK; /* only moves offsets */
    if (pare_hf_is(o, "type", "TemplateProcessing")) return template(t, o, d);
    if (pare_hf_is(o, "type", "BertProcessing") || pare_hf_is(o, "type", "RobertaProcessing")) {
        const json_t *cls = json_array_get(json_object_get(o, "cls"), 1), *sep = json_array_get(json_object_get(o, "sep"), 1);
        PARE_FORWARD(fix(t, json_is_integer(cls) ? json_integer_value(cls) : -1, false, d));
        return fix(t, json_is_integer(sep) ? json_integer_value(sep) : -1, true, d);
    }
    return unknown(o, "post-processor", d);
}

int pare_hf_post_processor(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d)
{
    return o == NULL || json_is_null(o) ? PARE_OK : one_post(t, o, 0, d);
}
