/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_hf.h: the parts of the loader of tokenizer.json. */
#ifndef PARE_TOKEN_TOK_HF_H
#define PARE_TOKEN_TOK_HF_H

#include <string.h>

#include "base/json.h"
#include "token/tok_impl.h"

/* tok_hf_steps.c: each takes one element (or a Sequence) and appends its steps. NULL or null: none. */
int pare_hf_normalizer(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d);
int pare_hf_pre_tokenizer(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d);
int pare_hf_decoder(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d);
int pare_hf_post_processor(struct pare_tokenizer *t, const json_t *o, struct pare_diag *d);
/* tok_hf_model.c: vocabulary, merges, added tokens. */
int pare_hf_model(struct pare_tokenizer *t, const json_t *root, struct pare_diag *d);

static inline bool pare_hf_is(const json_t *o, const char *key, const char *value)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) && strcmp(json_string_value(v), value) == 0;
}
/* A string member with its length (it may hold any bytes); the default when absent or null. *copy is the caller's. */
int pare_hf_text(const json_t *o, const char *key, const char *dflt, char **copy, size_t *len, struct pare_diag *d);

#endif
