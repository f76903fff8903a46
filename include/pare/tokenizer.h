/* SPDX-License-Identifier: Apache-2.0
 * include/pare/tokenizer.h: text to token ids and back. A tokenizer is immutable after opening and may be shared between
 * threads; a stream (struct pare_detok) belongs to one thread. Text is bytes: nothing here needs valid UTF-8 as input. */
#ifndef PARE_TOKENIZER_H
#define PARE_TOKENIZER_H

#include <pare/common.h>
#include <pare/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pare_tokenizer; /* opaque */
struct pare_detok;     /* opaque */

/* A growable list of ids; start from {0}, release with pare_ids_free. */
struct pare_ids {
    int32_t *ids;
    size_t   n, cap;
};

/* Flags of pare_tokenizer_encode. */
enum {
    PARE_TOK_ADD_BOS       = 1u << 0, /* put in front what the model puts in front by default (often BOS, often nothing) */
    PARE_TOK_ADD_EOS       = 1u << 1, /* put behind what the model puts behind by default (BERT's [SEP], T5's </s>) */
    PARE_TOK_PARSE_SPECIAL = 1u << 2  /* special tokens written out in the text become their ids */
};

/* Flags of pare_tokenizer_decode. */
enum {
    PARE_TOK_SKIP_SPECIAL = 1u << 0, /* special tokens give no text */
    PARE_TOK_VALID_UTF8   = 1u << 1  /* bytes that form no code point become U+FFFD; else they are given as they are */
};

/*
 * pare_tokenizer_open finds the tokenizer of a model: a GGUF file, a Hugging Face folder, or one of the files tokenizer.json,
 * tokenizer.model, tokenizer.bin (llama2.c), vocab.json (merges.txt beside it). On failure *out is NULL.
 * @return 0 or a negative enum pare_error; PARE_E_UNSUPPORTED when the model has no tokenizer. Since 0.1.
 */
PARE_API int pare_tokenizer_open(struct pare_tokenizer **out, const char *path, struct pare_diag *diag);

/* pare_tokenizer_close frees *tok and sets it to NULL. NULL and a pointer to NULL are accepted. Since 0.1. */
PARE_API void pare_tokenizer_close(struct pare_tokenizer **tok);

/*
 * pare_tokenizer_encode appends the ids of n bytes to *ids. On failure what was there before stays, and nothing is added.
 * At most 1 GiB of text at once (PARE_E_LIMIT). Since 0.1.
 */
PARE_API int pare_tokenizer_encode(const struct pare_tokenizer *tok, const char *text, size_t n, uint32_t flags,
                                   struct pare_ids *ids, struct pare_diag *diag);
PARE_API void pare_ids_free(struct pare_ids *ids);

/*
 * pare_tokenizer_decode gives the text of n ids: *text is zero-terminated, *len bytes without the zero; free with pare_free.
 * An id outside the vocabulary is PARE_E_USAGE. Since 0.1.
 */
PARE_API int pare_tokenizer_decode(const struct pare_tokenizer *tok, const int32_t *ids, size_t n, uint32_t flags,
                                   char **text, size_t *len, struct pare_diag *diag);

/* pare_tokenizer_n_vocab returns the number of ids: every id lies in 0 .. n - 1. Since 0.1. */
PARE_API uint32_t pare_tokenizer_n_vocab(const struct pare_tokenizer *tok);

/* Ids of special tokens, -1 if there is none. eot: ends a turn of a chat. Since 0.1. */
PARE_API int32_t pare_tokenizer_bos(const struct pare_tokenizer *tok);
PARE_API int32_t pare_tokenizer_eos(const struct pare_tokenizer *tok);
PARE_API int32_t pare_tokenizer_eot(const struct pare_tokenizer *tok);

/* pare_tokenizer_eog returns all ids after which generation ends, ascending; *n their number. Borrowed. Since 0.1. */
PARE_API const int32_t *pare_tokenizer_eog(const struct pare_tokenizer *tok, size_t *n);
PARE_API bool pare_tokenizer_is_eog(const struct pare_tokenizer *tok, int32_t id);
/* pare_tokenizer_is_special: control tokens (BOS, turn marks, ...), which PARE_TOK_SKIP_SPECIAL leaves out. Since 0.1. */
PARE_API bool pare_tokenizer_is_special(const struct pare_tokenizer *tok, int32_t id);

/* pare_tokenizer_add_bos says whether PARE_TOK_ADD_BOS would add anything. Since 0.1. */
PARE_API bool pare_tokenizer_add_bos(const struct pare_tokenizer *tok);

/* pare_tokenizer_chat_template returns the model's chat template, zero-terminated, borrowed; NULL if it has none. Since 0.1. */
PARE_API const char *pare_tokenizer_chat_template(const struct pare_tokenizer *tok);

/* pare_tokenizer_warning returns a sentence when something had to be guessed (an unknown pre-tokenizer), else NULL. Since 0.1. */
PARE_API const char *pare_tokenizer_warning(const struct pare_tokenizer *tok);

/* pare_tokenizer_json returns {"ids":[...],"pieces":[...]} for the ids (pare_free), or NULL when out of memory. Bytes of a
 * piece that are no UTF-8 stand as U+FFFD. Since 0.1. */
PARE_API char *pare_tokenizer_json(const struct pare_tokenizer *tok, const int32_t *ids, size_t n);

/*
 * A stream of ids to text. What comes out is always whole code points: an unfinished one waits for the next id, and bytes
 * that can no longer become one are given as U+FFFD. Since 0.1.
 */
PARE_API int pare_detok_create(struct pare_detok **out, const struct pare_tokenizer *tok, uint32_t flags, struct pare_diag *diag);
/* pare_detok_push takes one id; *text (zero-terminated, may be empty) is borrowed until the next call on d. Since 0.1. */
PARE_API int pare_detok_push(struct pare_detok *d, int32_t id, const char **text, size_t *len, struct pare_diag *diag);
/* pare_detok_finish gives what still waits; the stream then stands at its beginning again. Since 0.1. */
PARE_API int pare_detok_finish(struct pare_detok *d, const char **text, size_t *len, struct pare_diag *diag);
PARE_API void pare_detok_destroy(struct pare_detok **d);

#ifdef __cplusplus
}
#endif
#endif
