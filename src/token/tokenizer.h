/* SPDX-License-Identifier: Apache-2.0
 * src/token/tokenizer.h: what the rooms below may ask of a tokenizer beyond <pare/tokenizer.h>. */
#ifndef PARE_TOKEN_TOKENIZER_H
#define PARE_TOKEN_TOKENIZER_H

#include <pare/tokenizer.h>

#include "base/mem.h"
#include "format/checkpoint.h"
#include "format/writer.h"

/* Token types, numbers as in GGUF's tokenizer.ggml.token_type. */
enum pare_token_type {
    PARE_TOKEN_NORMAL = 1, PARE_TOKEN_UNKNOWN = 2, PARE_TOKEN_CONTROL = 3, PARE_TOKEN_USER = 4, PARE_TOKEN_UNUSED = 5,
    PARE_TOKEN_BYTE = 6
};

/*
 * pare_tokenizer_from_checkpoint reads tokenizer.ggml.* of a GGUF (or pare.tokenizer_json where we wrote one), or the files in
 * the folder of a Hugging Face model or beside a llama2.c file. PARE_OK with *out == NULL when there is none. Nothing is
 * borrowed from c.
 */
int pare_tokenizer_from_checkpoint(struct pare_tokenizer **out, const struct pare_checkpoint *c, struct pare_diag *diag);

/* Single files: contents in memory; name is only for errors. tokenizer.json: config is tokenizer_config.json, or NULL. */
int pare_tokenizer_from_json(struct pare_tokenizer **out, const char *text, size_t n, const json_t *config, struct pare_diag *diag);
int pare_tokenizer_from_spm(struct pare_tokenizer **out, const uint8_t *data, size_t n, struct pare_diag *diag);
int pare_tokenizer_from_llama2c(struct pare_tokenizer **out, const uint8_t *data, size_t n, uint32_t n_vocab, struct pare_diag *diag);
/* A Hugging Face folder: tokenizer.json, else tokenizer.model, else vocab.json (encoder.json) + merges.txt (vocab.bpe), else
 * vocab.txt. n_vocab: rows of the embedding, 0 unknown; larger than the vocabulary, ids above it are unused tokens. */
int pare_tokenizer_from_folder(struct pare_tokenizer **out, const char *dir, uint32_t n_vocab, struct pare_diag *diag);

/* pare_tokenizer_piece returns the bytes that a token stands for inside of a text, appended to out: for one token, no
 * state of a stream (a leading space of SentencePiece stays). Empty for special tokens unless special is set. */
int pare_tokenizer_piece(const struct pare_tokenizer *tok, int32_t id, bool special, struct pare_buf *out);
/* The token's text as the vocabulary has it; *len bytes, borrowed, not zero-terminated. NULL when id is out of range. */
const char *pare_tokenizer_text(const struct pare_tokenizer *tok, int32_t id, size_t *len);
/* The id of a token by the vocabulary's text, -1 if there is none. */
int32_t pare_tokenizer_find(const struct pare_tokenizer *tok, const char *text, size_t len);
int32_t pare_tokenizer_unk(const struct pare_tokenizer *tok);
int32_t pare_tokenizer_pad(const struct pare_tokenizer *tok);
int32_t pare_tokenizer_mask(const struct pare_tokenizer *tok);
enum pare_token_type pare_tokenizer_type(const struct pare_tokenizer *tok, int32_t id);

/*
 * pare_tokenizer_emit_gguf writes tokenizer.ggml.* and tokenizer.chat_template so that other engines and we read the same
 * tokenizer. Where GGUF's keys cannot say all that tokenizer.json says, that file goes under pare.tokenizer_json too.
 */
int pare_tokenizer_emit_gguf(const struct pare_tokenizer *tok, struct pare_writer *w, struct pare_diag *diag);

/* Decodes as pare_tokenizer_decode into a buffer; for callers that have one. */
int pare_tokenizer_decode_buf(const struct pare_tokenizer *tok, const int32_t *ids, size_t n, uint32_t flags,
                              struct pare_buf *out, struct pare_diag *diag);

#endif
