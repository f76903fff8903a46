/* SPDX-License-Identifier: Apache-2.0
 * src/generate/llm.h: the inside of struct pare_llm: checkpoint, model, tokenizer, working memory and one session. */
#ifndef PARE_GENERATE_LLM_H
#define PARE_GENERATE_LLM_H

#include <pare/model.h>

#include "base/job.h"
#include "model/model.h"
#include "token/tokenizer.h"

struct pare_llm {
    struct pare_job        *job;     /* borrowed */
    struct pare_checkpoint *ckpt;
    struct pare_model      *model;
    struct pare_tokenizer  *tok;     /* NULL when the model has none */
    struct pare_work       *work;
    struct pare_session     session;
    struct pare_session   **of;      /* [batch] &session, for batches */
    uint32_t               *pos;     /* [batch] */
    uint8_t                *want;    /* [batch] */
    uint32_t                batch, n_ctx;
    enum pare_type          kv;
    double                  load_s;
};

/* Appends n ids to the session in pieces of the batch: logits of the last row, or of all rows, to out. */
int pare_llm_feed(struct pare_llm *l, const int32_t *ids, uint32_t n, bool all, float *out, struct pare_diag *diag);
/* Forgets the session. */
void pare_llm_reset(struct pare_llm *l);

#endif
