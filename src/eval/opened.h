/* SPDX-License-Identifier: Apache-2.0
 * src/eval/opened.h: a model opened for walking: checkpoint, model, tokenizer, walk. */
#ifndef PARE_EVAL_OPENED_H
#define PARE_EVAL_OPENED_H

#include "compress/stream.h"
#include "token/tokenizer.h"

struct pare_opened {
    struct pare_checkpoint *ckpt;
    struct pare_model      *model;
    struct pare_tokenizer  *tok;   /* NULL when the model has none */
    struct pare_walk        walk;
};
struct pare_open_settings {
    enum pare_act_mode act_mode;
    const char *kv;      /* "auto" (f32 when all weights are float, else f16), "f32", "f16", "q8_0", "q5_0", "q4_0"; NULL: auto */
    uint32_t    ctx;
    bool        stream;  /* load units one by one */
    bool        tokenizer;
    bool        inputs;  /* keep room for input transforms (model options) */
};
int  pare_opened_open(struct pare_opened *o, const char *path, const struct pare_open_settings *s, struct pare_job *job,
                      struct pare_diag *diag);
void pare_opened_close(struct pare_opened *o);
/* The KV type that a name means for a model. */
int  pare_kv_type_of(const char *name, const struct pare_model_info *info, enum pare_type *out, struct pare_diag *diag);

#endif
