/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_load_spm.c: SentencePiece's tokenizer.model, a protocol buffer (sentencepiece_model.proto): ModelProto with
 * pieces = 1 {piece = 1, score = 2, type = 3}, trainer_spec = 2 {model_type = 3, byte_fallback = 35, unk_id = 40, bos_id = 41,
 * eos_id = 42, pad_id = 43}, normalizer_spec = 3 {precompiled_charsmap = 2, add_dummy_prefix = 3, remove_extra_whitespaces = 4}.
 * And llama2.c's tokenizer.bin: the longest text's length, then (f32 score, i32 length, bytes) for each token. */
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "token/tok_impl.h"

#define MARK "\xE2\x96\x81"

struct pb {
    const uint8_t *p;
    size_t         n, at;      /* at <= n */
    size_t         base;       /* of p in the file, for errors */
    struct pare_diag *d;
};
struct field {
    uint32_t       number, wire;
    uint64_t       value;      /* wire types 0, 1, 5 */
    const uint8_t *data;       /* wire type 2 */
    size_t         len;
};

static int broken(const struct pb *b, const char *what)
{
    pare_diag_offset(b->d, b->base + b->at);
    PARE_FAIL(b->d, PARE_E_TRUNCATED, "tokenizer.model ends within %s", what);
}

static int varint(struct pb *b, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte;
        if (b->at >= b->n) return broken(b, "a number");
        byte = b->p[b->at++];
        if (shift < 64) *v |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) return PARE_OK;
    }
    pare_diag_offset(b->d, b->base + b->at);
    PARE_FAIL(b->d, PARE_E_CORRUPT, "a number in tokenizer.model is longer than ten bytes");
}

/* The next field; 1 found, 0 end, negative error. */
static int next(struct pb *b, struct field *f)
{
    uint64_t key;

    if (b->at == b->n) return 0;
    PARE_FORWARD(varint(b, &key));
    *f = (struct field){ .number = (uint32_t)(key >> 3), .wire = (uint32_t)(key & 7) };
    switch (f->wire) {
    case 0: PARE_FORWARD(varint(b, &f->value)); return 1;
    case 1: case 5: {
        size_t size = f->wire == 1 ? 8 : 4;
        if (b->n - b->at < size) return broken(b, "a number");
        f->value = size == 8 ? pare_le64(b->p + b->at) : pare_le32(b->p + b->at);
        b->at += size;
        return 1;
    }
    case 2:
        PARE_FORWARD(varint(b, &key));
        if (key > b->n - b->at) return broken(b, "a text or a message");
        f->data = b->p + b->at;
        f->len = (size_t)key;
        b->at += (size_t)key;
        return 1;
    default:
        pare_diag_offset(b->d, b->base + b->at);
        PARE_FAIL(b->d, PARE_E_CORRUPT, "tokenizer.model is no protocol buffer of SentencePiece (wire type %u)", f->wire);
    }
}

static struct pb inner(const struct pb *b, const struct field *f)
{
    return (struct pb){ .p = f->data, .n = f->len, .base = b->base + (size_t)(f->data - b->p), .d = b->d };
}

/* GGUF and we write tokens that users defined with plain spaces: they are matched in the text as it comes. */
static int push_piece(struct pare_tokenizer *t, const char *s, size_t len, enum pare_token_type type, struct pare_diag *d)
{
    struct pare_buf b = { .max = (size_t)1 << 30 };
    int             rc;

    if (type != PARE_TOKEN_USER) return pare_tok_push(t, s, len, type, d);
    for (size_t i = 0; i < len;) {
        bool mark = len - i >= 3 && memcmp(s + i, MARK, 3) == 0;
        pare_buf_add(&b, mark ? " " : s + i, 1);
        i += mark ? 3 : 1;
    }
    rc = b.failed ? PARE_NOMEM(d) : pare_tok_push(t, b.data == NULL ? "" : (char *)b.data, b.len, type, d);
    pare_buf_free(&b);
    return rc;
}

static int piece(struct pare_tokenizer *t, struct pb b, size_t *cap)
{
    struct field f, text = { 0 };
    float        score = 0;
    uint64_t     type = PARE_TOKEN_NORMAL;
    int          rc;

    while ((rc = next(&b, &f)) > 0) {
        if (f.number == 1 && f.wire == 2) text = f;
        if (f.number == 2 && f.wire == 5) score = pare_bits_f32((uint32_t)f.value);
        if (f.number == 3 && f.wire == 0) type = f.value;
    }
    PARE_FORWARD(rc);
    pare_diag_offset(score != score ? b.d : NULL, b.base);
    PARE_FAIL_IF(b.d, score != score, PARE_E_CORRUPT, "the score of piece %u is not a number", t->n_text);
    if (type < PARE_TOKEN_NORMAL || type > PARE_TOKEN_BYTE) type = PARE_TOKEN_UNUSED;
    PARE_FAIL_IF(b.d, type == PARE_TOKEN_BYTE && pare_tok_byte_text((const char *)text.data, text.len) < 0, PARE_E_CORRUPT,
                 "piece %u stands for a byte, but its text is not <0x00> .. <0xFF>", t->n_text);
    if (!pare_tok_grow(&t->score, cap, (size_t)t->n_text + 1, sizeof *t->score)) return PARE_NOMEM(b.d);
    t->score[t->n_text] = score;
    PARE_FORWARD(push_piece(t, text.data == NULL ? "" : (const char *)text.data, text.len, (enum pare_token_type)type, b.d));
    if (type == PARE_TOKEN_CONTROL || type == PARE_TOKEN_UNKNOWN)
        return pare_tok_add_added(t, (int32_t)t->n_text - 1, PARE_ADDED_SPECIAL, b.d);
    if (type == PARE_TOKEN_USER) return pare_tok_add_added(t, (int32_t)t->n_text - 1, 0, b.d);
    return PARE_OK;
}

struct spec {
    uint64_t       kind; /* 1 unigram, 2 BPE, 3 word, 4 char */
    bool           byte_fallback;
    int32_t        unk, bos, eos, pad;
    const uint8_t *map;
    size_t         map_len;
};

static int trainer(struct spec *s, struct pb b)
{
    struct field f;
    int          rc;

    while ((rc = next(&b, &f)) > 0) {
        if (f.wire != 0) continue;
        switch (f.number) {
        case 3: s->kind = f.value; break;
        case 35: s->byte_fallback = f.value != 0; break;
        case 40: s->unk = (int32_t)(uint32_t)f.value; break;
        case 41: s->bos = (int32_t)(uint32_t)f.value; break;
        case 42: s->eos = (int32_t)(uint32_t)f.value; break;
        case 43: s->pad = (int32_t)(uint32_t)f.value; break;
        default: break;
        }
    }
    return rc;
}

static int normalizer(struct spec *s, struct pare_tokenizer *t, struct pb b)
{
    struct field f;
    int          rc;

    while ((rc = next(&b, &f)) > 0) {
        if (f.number == 2 && f.wire == 2) {
            s->map = f.data;
            s->map_len = f.len;
        }
        if (f.number == 3 && f.wire == 0) t->add_space_prefix = f.value != 0;
        if (f.number == 4 && f.wire == 0) t->remove_extra_ws = f.value != 0;
    }
    return rc;
}

static int32_t in_range(const struct pare_tokenizer *t, int32_t id) { return id >= 0 && (uint32_t)id < t->n_text ? id : -1; }

static int read_model(struct pare_tokenizer *t, struct pb *b)
{
    struct spec  s = { .kind = 1, .unk = 0, .bos = 1, .eos = 2, .pad = -1 };
    struct field f;
    size_t       cap = 0;
    int          rc;

    t->add_space_prefix = t->remove_extra_ws = true; /* the defaults of the format */
    while ((rc = next(b, &f)) > 0) {
        if (f.wire != 2) continue;
        if (f.number == 1) PARE_FORWARD(piece(t, inner(b, &f), &cap));
        if (f.number == 2) PARE_FORWARD(trainer(&s, inner(b, &f)));
        if (f.number == 3) PARE_FORWARD(normalizer(&s, t, inner(b, &f)));
    }
    PARE_FORWARD(rc);
    PARE_FAIL_IF(b->d, t->n_text == 0, PARE_E_CORRUPT, "tokenizer.model holds no pieces");
    PARE_FAIL_IF(b->d, s.kind != 1 && s.kind != 2, PARE_E_UNSUPPORTED, "SentencePiece models of kind %llu (words, characters) are not supported",
                 (unsigned long long)s.kind);
    t->unk = t->unk_key = in_range(t, s.unk);
    t->bos = in_range(t, s.bos);
    t->eos = in_range(t, s.eos);
    t->pad = in_range(t, s.pad);
    t->byte_fallback = s.byte_fallback;
    PARE_FORWARD(pare_tok_spm_steps(t, (const char *)s.map, s.map_len, b->d));
    t->keep_unknown = true;
    if (s.kind == 1) {
        t->model = PARE_MODEL_UNIGRAM;
        t->gguf_model = "t5";
        PARE_FORWARD(pare_tok_trie(t, b->d));
    } else {
        t->gguf_model = "llama";
        t->fuse_unk = !s.byte_fallback;
        PARE_FORWARD(pare_tok_spm_merges(t, b->d));
    }
    /* SentencePiece itself adds nothing; the models that come with BPE vocabularies of this kind begin with BOS */
    if (s.kind == 2 && t->bos >= 0) t->prefix_ids[t->n_prefix++] = t->bos;
    if (s.kind == 1 && t->eos >= 0) t->suffix_ids[t->n_suffix++] = t->eos;
    return pare_tok_finish(t, b->d);
}

int pare_tokenizer_from_spm(struct pare_tokenizer **out, const uint8_t *data, size_t n, struct pare_diag *d)
{
    struct pare_tokenizer *t = pare_tok_new();
    struct pb              b = { .p = data, .n = n, .d = d };
    int                    rc;

    *out = NULL;
    if (t == NULL) return PARE_NOMEM(d);
    t->pre_id = pare_strdup("default");
    rc = t->pre_id == NULL ? PARE_NOMEM(d) : read_model(t, &b);
    if (rc < 0)
        pare_tok_free(&t);
    else
        *out = t;
    return rc;
}

/* Texts have plain spaces for U+2581, and the marks of a text stand between line feeds. */
static int llama2c_token(struct pare_tokenizer *t, const uint8_t *s, size_t len, float score, struct pare_diag *d)
{
    struct pare_buf      b = { .max = (size_t)1 << 24 };
    uint32_t             id = t->n_text;
    enum pare_token_type type = id == 0 ? PARE_TOKEN_UNKNOWN : id <= 2 ? PARE_TOKEN_CONTROL
                              : pare_tok_byte_text((const char *)s, len) >= 0 ? PARE_TOKEN_BYTE : PARE_TOKEN_NORMAL;
    int                  rc;

    if (id <= 2)
        while (len > 2 && s[0] == '\n' && s[len - 1] == '\n') s++, len -= 2;
    for (size_t i = 0; i < len; i++) pare_buf_add(&b, s[i] == ' ' && id > 2 ? MARK : (const char *)s + i, s[i] == ' ' && id > 2 ? 3 : 1);
    t->score[id] = score;
    rc = b.failed ? PARE_NOMEM(d) : pare_tok_push(t, b.data == NULL ? "" : (char *)b.data, b.len, type, d);
    pare_buf_free(&b);
    if (rc == PARE_OK && type != PARE_TOKEN_NORMAL && type != PARE_TOKEN_BYTE)
        rc = pare_tok_add_added(t, (int32_t)id, PARE_ADDED_SPECIAL, d);
    return rc;
}

static int read_llama2c(struct pare_tokenizer *t, const uint8_t *data, size_t n, uint32_t n_vocab, struct pare_diag *d)
{
    size_t cap = 0;

    for (size_t at = 4; at < n;) {
        uint32_t len;
        float    score;
        pare_diag_offset(n - at < 8 ? d : NULL, at);
        PARE_FAIL_IF(d, n - at < 8, PARE_E_TRUNCATED, "tokenizer.bin ends within token %u", t->n_text);
        score = pare_bits_f32(pare_le32(data + at));
        len = pare_le32(data + at + 4);
        at += 8;
        pare_diag_offset(len > n - at ? d : NULL, at);
        PARE_FAIL_IF(d, len > n - at, PARE_E_TRUNCATED, "token %u of tokenizer.bin has %u bytes, %zu are left", t->n_text, len, n - at);
        PARE_FAIL_IF(d, score != score, PARE_E_CORRUPT, "the score of token %u is not a number", t->n_text);
        if (!pare_tok_grow(&t->score, &cap, (size_t)t->n_text + 1, sizeof *t->score)) return PARE_NOMEM(d);
        PARE_FORWARD(llama2c_token(t, data + at, len, score, d));
        at += len;
    }
    PARE_FAIL_IF(d, n_vocab != 0 && t->n_text != n_vocab, PARE_E_CORRUPT, "tokenizer.bin has %u tokens, the model %u", t->n_text, n_vocab);
    PARE_FAIL_IF(d, t->n_text < 4, PARE_E_CORRUPT, "tokenizer.bin has %u tokens", t->n_text);
    t->unk = t->unk_key = 0;
    t->bos = 1;
    t->eos = 2;
    t->prefix_ids[t->n_prefix++] = 1;
    t->gguf_model = "llama";
    t->byte_fallback = t->keep_unknown = t->add_space_prefix = true;
    PARE_FORWARD(pare_tok_spm_steps(t, NULL, 0, d));
    PARE_FORWARD(pare_tok_spm_merges(t, d));
    return pare_tok_finish(t, d);
}

int pare_tokenizer_from_llama2c(struct pare_tokenizer **out, const uint8_t *data, size_t n, uint32_t n_vocab, struct pare_diag *d)
{
    struct pare_tokenizer *t = pare_tok_new();
    int                    rc;

    *out = NULL;
    if (t == NULL) return PARE_NOMEM(d);
    t->pre_id = pare_strdup("default");
    rc = t->pre_id == NULL ? PARE_NOMEM(d) : read_llama2c(t, data, n, n_vocab, d);
    if (rc < 0)
        pare_tok_free(&t);
    else
        *out = t;
    return rc;
}
