/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_open.c: which file holds the tokenizer, and the small questions one asks of it. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/status.h"
#include "token/tok_impl.h"
#include "token/tok_unicode.h"

#define FILE_MAX ((uint64_t)1 << 30)

static int read_json(const char *dir, const char *name, json_t **out, struct pare_diag *d)
{
    char *path = pare_path_join(dir, name);
    int   rc = PARE_OK;

    *out = NULL;
    if (path == NULL) return PARE_NOMEM(d);
    if (pare_path_exists(path)) rc = pare_json_load_file(out, path, FILE_MAX, d);
    pare_free(path);
    return rc;
}

static int read_bytes(const char *dir, const char *name, uint8_t **data, size_t *n, struct pare_diag *d)
{
    char *path = pare_path_join(dir, name);
    int   rc = PARE_OK;

    *data = NULL;
    *n = 0;
    if (path == NULL) return PARE_NOMEM(d);
    if (pare_path_exists(path)) rc = pare_read_file(path, FILE_MAX, data, n, d);
    pare_free(path);
    return rc;
}

static bool has(const char *dir, const char *name)
{
    char *path = pare_path_join(dir, name);
    bool  yes = path != NULL && pare_path_exists(path);

    pare_free(path);
    return yes;
}

/* Lines of a text file as an array of strings; a first line "#version" is left out. NULL: out of memory or not UTF-8. */
static json_t *lines(const char *s, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < n;) {
        const char *e = memchr(s + i, '\n', n - i);
        size_t      len = e == NULL ? n - i : (size_t)(e - s) - i, keep = len;
        if (keep > 0 && s[i + keep - 1] == '\r') keep--;
        if (!(i == 0 && keep >= 8 && memcmp(s, "#version", 8) == 0) && keep > 0 && json_array_append_new(list, json_stringn(s + i, keep)) < 0) {
            json_decref(list);
            return NULL;
        }
        i += len + 1;
    }
    return list;
}

/* GPT-2's two files say what a tokenizer.json of it would say; so that document is made and read. */
static int from_vocab_json(struct pare_tokenizer **out, const char *dir, const char *vocab_name, const char *merges_name,
                           const json_t *config, struct pare_diag *d)
{
    json_t  *vocab = NULL, *merges = NULL, *root = NULL, *added;
    uint8_t *text = NULL;
    size_t   n = 0;
    int      rc = read_json(dir, vocab_name, &vocab, d);

    if (rc == PARE_OK) rc = read_bytes(dir, merges_name, &text, &n, d);
    if (rc < 0) goto done;
    merges = lines((char *)text, n);
    added = json_array();
    if (json_is_integer(json_object_get(vocab, "<|endoftext|>")))
        json_array_append_new(added, json_pack("{s:O,s:s,s:b}", "id", json_object_get(vocab, "<|endoftext|>"), "content", "<|endoftext|>",
                                               "special", 1));
    if (merges != NULL)
        root = json_pack("{s:o,s:{s:s,s:b},s:{s:s},s:{s:s,s:O,s:O}}", "added_tokens", added, "pre_tokenizer", "type", "ByteLevel",
                         "add_prefix_space", 0, "decoder", "type", "ByteLevel", "model", "type", "BPE", "vocab", vocab, "merges", merges);
    else
        json_decref(added);
    if (root == NULL)
        rc = PARE_ERR(d, PARE_E_CORRUPT, "%s is not UTF-8 text, or %s no JSON object", merges_name, vocab_name);
    else
        rc = pare_tok_from_root(out, root, config, NULL, 0, false, d);
    if (rc == PARE_OK && (*out)->bos < 0) (*out)->bos = (*out)->eos = pare_tokenizer_find(*out, "<|endoftext|>", 13);
    if (rc == PARE_OK && config == NULL) { /* known only now: what ends a generation */
        pare_free((*out)->eog);
        (*out)->eog = NULL;
        pare_tok_specials(*out);
    }
done:
    pare_free(text);
    json_decref(vocab);
    json_decref(merges);
    json_decref(root);
    return rc;
}

/* BERT's vocab.txt: one piece a line, its number the id. */
static int from_vocab_txt(struct pare_tokenizer **out, const char *dir, const json_t *config, struct pare_diag *d)
{
    static const char *const specials[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" };
    uint8_t *text = NULL;
    size_t   n = 0;
    json_t  *list, *vocab = json_object(), *added = json_array(), *root = NULL, *post = NULL, *e;
    size_t   i;
    bool     lower = true;
    int      rc = read_bytes(dir, "vocab.txt", &text, &n, d);

    if (rc == PARE_OK && config != NULL) rc = pare_json_bool(config, "do_lower_case", true, &lower, d);
    list = rc == PARE_OK ? lines((char *)text, n) : NULL;
    json_array_foreach(list, i, e) json_object_set_new(vocab, json_string_value(e), json_integer((json_int_t)i));
    for (i = 0; i < 5; i++)
        if (json_object_get(vocab, specials[i]) != NULL)
            json_array_append_new(added, json_pack("{s:O,s:s,s:b}", "id", json_object_get(vocab, specials[i]), "content", specials[i], "special", 1));
    if (json_object_get(vocab, "[CLS]") != NULL && json_object_get(vocab, "[SEP]") != NULL)
        post = json_pack("{s:s,s:[s,O],s:[s,O]}", "type", "BertProcessing", "cls", "[CLS]", json_object_get(vocab, "[CLS]"), "sep", "[SEP]",
                         json_object_get(vocab, "[SEP]"));
    if (list != NULL)
        root = json_pack("{s:O,s:{s:s,s:b},s:{s:s},s:{s:s},s:o?,s:{s:s,s:O}}", "added_tokens", added, "normalizer", "type", "BertNormalizer",
                         "lowercase", (int)lower, "pre_tokenizer", "type", "BertPreTokenizer", "decoder", "type", "WordPiece",
                         "post_processor", post, "model", "type", "WordPiece", "vocab", vocab);
    if (rc == PARE_OK && root == NULL)
        rc = PARE_ERR(d, PARE_E_CORRUPT, "vocab.txt is not UTF-8 text");
    else if (rc == PARE_OK)
        rc = pare_tok_from_root(out, root, config, NULL, 0, false, d);
    pare_free(text);
    json_decref(list);
    json_decref(vocab);
    json_decref(added);
    json_decref(root);
    return rc;
}

static int spm_config(struct pare_tokenizer *t, const json_t *config, struct pare_diag *d)
{
    const json_t *tpl = json_object_get(config, "chat_template");
    bool          bos;

    PARE_FORWARD(pare_json_bool(config, "add_bos_token", t->n_prefix > 0, &bos, d));
    t->n_prefix = bos && t->bos >= 0;
    t->prefix_ids[0] = t->bos;
    if (json_is_string(tpl) && (t->chat_template = pare_strndup(json_string_value(tpl), json_string_length(tpl))) == NULL) return PARE_NOMEM(d);
    return PARE_OK;
}

/* A template in a file of its own is the newer place. */
static int template_file(struct pare_tokenizer *t, const char *dir, struct pare_diag *d)
{
    uint8_t *data;
    size_t   n;

    PARE_FORWARD(read_bytes(dir, "chat_template.jinja", &data, &n, d));
    if (data == NULL) return PARE_OK;
    pare_free(t->chat_template);
    t->chat_template = (char *)data;
    return PARE_OK;
}

static int by_files(struct pare_tokenizer **out, const char *dir, const json_t *config, struct pare_diag *d)
{
    uint8_t *data;
    size_t   n;
    int      rc;

    if (has(dir, "tokenizer.json")) {
        PARE_FORWARD(read_bytes(dir, "tokenizer.json", &data, &n, d));
        rc = pare_tokenizer_from_json(out, (char *)data, n, config, d);
        pare_free(data);
        return rc;
    }
    if (has(dir, "tokenizer.model")) {
        PARE_FORWARD(read_bytes(dir, "tokenizer.model", &data, &n, d));
        rc = pare_tokenizer_from_spm(out, data, n, d);
        pare_free(data);
        return rc == PARE_OK && config != NULL ? spm_config(*out, config, d) : rc;
    }
    if (has(dir, "vocab.json") && has(dir, "merges.txt")) return from_vocab_json(out, dir, "vocab.json", "merges.txt", config, d);
    if (has(dir, "encoder.json") && has(dir, "vocab.bpe")) return from_vocab_json(out, dir, "encoder.json", "vocab.bpe", config, d);
    if (has(dir, "vocab.txt")) return from_vocab_txt(out, dir, config, d);
    return PARE_OK;
}

int pare_tokenizer_from_folder(struct pare_tokenizer **out, const char *dir, uint32_t n_vocab, struct pare_diag *d)
{
    json_t *config = NULL;
    int     rc;

    *out = NULL;
    rc = read_json(dir, "tokenizer_config.json", &config, d);
    if (rc == PARE_OK && config == NULL) rc = read_json(dir, "special_tokens_map.json", &config, d);
    if (rc == PARE_OK) rc = by_files(out, dir, config, d);
    if (rc == PARE_OK && *out != NULL) rc = template_file(*out, dir, d);
    if (rc == PARE_OK && *out != NULL && n_vocab > (*out)->n_vocab) (*out)->n_vocab = n_vocab;
    json_decref(config);
    if (rc < 0) {
        pare_diag_file(d, dir);
        pare_tok_free(out);
    }
    return rc;
}

static uint32_t config_vocab(const json_t *config)
{
    const json_t *v = json_object_get(config, "vocab_size");

    if (v == NULL) v = json_object_get(json_object_get(config, "text_config"), "vocab_size");
    return json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) < 1 << 26 ? (uint32_t)json_integer_value(v) : 0;
}

/* llama2.c keeps the tokenizer beside the model: tokenizer.bin, or tok512.bin for a vocabulary of 512. */
static int beside_llama2c(struct pare_tokenizer **out, const struct pare_checkpoint *c, struct pare_diag *d)
{
    uint32_t    n_vocab = config_vocab(c->config);
    const char *slash = c->path == NULL ? NULL : strrchr(c->path, '/');
    char       *dir = slash == NULL ? pare_strdup(".") : pare_strndup(c->path, (size_t)(slash - c->path) + (slash == c->path));
    char        name[32];
    uint8_t    *data = NULL;
    size_t      n;
    int         rc;

    if (dir == NULL) return PARE_NOMEM(d);
    snprintf(name, sizeof name, "tok%u.bin", n_vocab);
    rc = read_bytes(dir, has(dir, name) ? name : "tokenizer.bin", &data, &n, d);
    if (rc == PARE_OK && data != NULL) rc = pare_tokenizer_from_llama2c(out, data, n, n_vocab, d);
    pare_free(data);
    pare_free(dir);
    return rc;
}

int pare_tokenizer_from_checkpoint(struct pare_tokenizer **out, const struct pare_checkpoint *c, struct pare_diag *d)
{
    int rc = PARE_OK;

    *out = NULL;
    if (c->n_kv > 0) {
        rc = pare_tok_from_gguf(out, c, d);
        if (rc < 0 && c->path != NULL) pare_diag_file(d, c->path);
        return rc;
    }
    if (c->dir != NULL) {
        rc = pare_tokenizer_from_folder(out, c->dir, config_vocab(c->config), d);
        if (rc == PARE_OK && *out != NULL && c->config != NULL) rc = pare_tok_more_eog(*out, c->config, d);
        if (rc == PARE_OK && *out != NULL && c->generation != NULL) rc = pare_tok_more_eog(*out, c->generation, d);
    } else if (c->format != NULL && strcmp(c->format->name, "llama2c") == 0) {
        rc = beside_llama2c(out, c, d);
    }
    if (rc < 0) pare_tok_free(out);
    return rc;
}

static bool ends(const char *s, const char *with)
{
    size_t n = strlen(s), m = strlen(with);
    return n >= m && strcmp(s + n - m, with) == 0;
}

static int open_folder(struct pare_tokenizer **out, const char *dir, struct pare_diag *d)
{
    json_t *config = NULL, *generation = NULL;
    int     rc = read_json(dir, "config.json", &config, d);

    if (rc == PARE_OK) rc = read_json(dir, "generation_config.json", &generation, d);
    if (rc == PARE_OK) rc = pare_tokenizer_from_folder(out, dir, config_vocab(config), d);
    if (rc == PARE_OK && *out != NULL) rc = pare_tok_more_eog(*out, config, d);
    if (rc == PARE_OK && *out != NULL) rc = pare_tok_more_eog(*out, generation, d);
    json_decref(config);
    json_decref(generation);
    return rc;
}

static int open_file(struct pare_tokenizer **out, const char *path, struct pare_diag *d)
{
    const char             *slash = strrchr(path, '/'), *base = slash == NULL ? path : slash + 1;
    struct pare_checkpoint *c = NULL;
    uint8_t                *data = NULL;
    size_t                  n = 0;
    int                     rc;

    if (ends(base, ".json") && !ends(base, "vocab.json") && !ends(base, "encoder.json")) {
        PARE_FORWARD(pare_read_file(path, FILE_MAX, &data, &n, d));
        rc = pare_tokenizer_from_json(out, (char *)data, n, NULL, d);
    } else if (ends(base, ".model")) {
        PARE_FORWARD(pare_read_file(path, FILE_MAX, &data, &n, d));
        rc = pare_tokenizer_from_spm(out, data, n, d);
    } else if (strncmp(base, "tok", 3) == 0 && ends(base, ".bin")) {
        PARE_FORWARD(pare_read_file(path, FILE_MAX, &data, &n, d));
        rc = pare_tokenizer_from_llama2c(out, data, n, 0, d);
    } else if (ends(base, ".json") || ends(base, ".txt")) {
        char *dir = slash == NULL ? pare_strdup(".") : pare_strndup(path, (size_t)(slash - path) + (slash == path));
        rc = dir == NULL ? PARE_NOMEM(d) : open_folder(out, dir, d);
        pare_free(dir);
    } else {
        rc = pare_checkpoint_open(&c, path, d);
        if (rc == PARE_OK) rc = pare_tokenizer_from_checkpoint(out, c, d);
        pare_checkpoint_close(&c);
    }
    pare_free(data);
    return rc;
}

int pare_tokenizer_open(struct pare_tokenizer **out, const char *path, struct pare_diag *d)
{
    int rc;

    PARE_USAGE_CHECK(d, out != NULL && path != NULL);
    *out = NULL;
    rc = pare_path_is_dir(path) ? open_folder(out, path, d) : open_file(out, path, d);
    if (rc == PARE_OK && *out == NULL) rc = PARE_ERR(d, PARE_E_UNSUPPORTED, "no tokenizer here");
    if (rc < 0) {
        pare_diag_file(d, path);
        pare_tok_free(out);
    }
    return rc;
}

void pare_tokenizer_close(struct pare_tokenizer **tok)
{
    if (tok != NULL) pare_tok_free(tok);
}

uint32_t pare_tokenizer_n_vocab(const struct pare_tokenizer *t) { return t->n_vocab; }
int32_t pare_tokenizer_bos(const struct pare_tokenizer *t) { return t->bos; }
int32_t pare_tokenizer_eos(const struct pare_tokenizer *t) { return t->eos; }
int32_t pare_tokenizer_eot(const struct pare_tokenizer *t) { return t->eot; }
int32_t pare_tokenizer_unk(const struct pare_tokenizer *t) { return t->unk_key; }
int32_t pare_tokenizer_pad(const struct pare_tokenizer *t) { return t->pad; }
int32_t pare_tokenizer_mask(const struct pare_tokenizer *t) { return t->mask; }
bool pare_tokenizer_add_bos(const struct pare_tokenizer *t) { return t->n_prefix > 0; }
const char *pare_tokenizer_chat_template(const struct pare_tokenizer *t) { return t->chat_template; }
const char *pare_tokenizer_warning(const struct pare_tokenizer *t) { return t->warning; }

const int32_t *pare_tokenizer_eog(const struct pare_tokenizer *t, size_t *n)
{
    *n = t->n_eog;
    return t->eog;
}

bool pare_tokenizer_is_eog(const struct pare_tokenizer *t, int32_t id)
{
    for (uint32_t i = 0; i < t->n_eog; i++)
        if (t->eog[i] == id) return true;
    return false;
}

enum pare_token_type pare_tokenizer_type(const struct pare_tokenizer *t, int32_t id)
{
    return id >= 0 && (uint32_t)id < t->n_text ? (enum pare_token_type)t->type[id] : PARE_TOKEN_UNUSED;
}

bool pare_tokenizer_is_special(const struct pare_tokenizer *t, int32_t id) { return pare_tokenizer_type(t, id) == PARE_TOKEN_CONTROL; }

const char *pare_tokenizer_text(const struct pare_tokenizer *t, int32_t id, size_t *len)
{
    *len = 0;
    return id >= 0 && (uint32_t)id < t->n_text ? pare_symtab_text(&t->sym, (uint32_t)id, len) : NULL;
}

int32_t pare_tokenizer_find(const struct pare_tokenizer *t, const char *text, size_t len)
{
    int32_t id = pare_symtab_find(&t->sym, text, len);
    return id >= 0 && (uint32_t)id < t->n_text ? id : -1;
}

char *pare_tokenizer_json(const struct pare_tokenizer *t, const int32_t *ids, size_t n)
{
    struct pare_buf raw = { .max = SIZE_MAX / 4 }, good = { .max = SIZE_MAX / 4 };
    json_t         *a = json_array(), *b = json_array(), *o;
    bool            ok = a != NULL && b != NULL;
    char           *text = NULL;

    for (size_t i = 0; ok && i < n; i++) {
        raw.len = good.len = 0;
        ok = pare_tokenizer_piece(t, ids[i], true, &raw) == PARE_OK && pare_buf_reserve(&good, 1) &&
             pare_utf8_lossy(&good, raw.data, raw.len) && json_array_append_new(a, json_integer(ids[i])) == 0 &&
             json_array_append_new(b, json_stringn((char *)good.data, good.len)) == 0;
    }
    o = ok ? json_pack("{s:O,s:O}", "ids", a, "pieces", b) : NULL;
    if (o != NULL) text = pare_json_text(o);
    json_decref(o);
    json_decref(a);
    json_decref(b);
    pare_buf_free(&raw);
    pare_buf_free(&good);
    return text;
}
