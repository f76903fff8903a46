/* SPDX-License-Identifier: Apache-2.0
 * src/compress/stream.h: running a model unit by unit over windows of tokens: one unit's weights and the residual rows are all
 * that is held. Observation, sensitivity, trials and proof are walks of this kind. */
#ifndef PARE_COMPRESS_STREAM_H
#define PARE_COMPRESS_STREAM_H

#include "model/model.h"
#include "nn/score.h"

/* Windows of equal length, back to back: ids [n][len]. Position 0 is each window's first token. */
struct pare_windows {
    int32_t *ids;
    uint32_t n, len;
};

/* What walks share: one KV slot, working memory for one window, logits for a few rows. */
struct pare_walk {
    struct pare_model   *m;
    struct pare_work    *work;
    struct pare_session  session; /* one slot */
    struct pare_job     *job;
    uint32_t            *pos;     /* [len] */
    struct pare_session **who;    /* [len] */
    uint32_t             len;
    bool                 keep;    /* units stay loaded after use (the model fits memory) */
};
int  pare_walk_create(struct pare_walk *w, struct pare_model *m, uint32_t len, enum pare_type kv_type, bool keep,
                      struct pare_job *job, struct pare_diag *diag);
void pare_walk_free(struct pare_walk *w);
uint64_t pare_walk_bytes(const struct pare_model *m, uint32_t len, enum pare_type kv_type, uint32_t n_threads);

/* Loads the unit unless it is; pare_walk_leave unloads it unless keep. */
int  pare_walk_enter(struct pare_walk *w, uint32_t unit, struct pare_diag *diag);
void pare_walk_leave(struct pare_walk *w, uint32_t unit);

/* Runs one entered unit (embedding or layer) over all windows: x [win->n * win->len, n_embd]. */
int  pare_walk_unit(struct pare_walk *w, uint32_t unit, const struct pare_windows *win, float *x,
                    const struct pare_observer *obs, struct pare_diag *diag);
/* Runs units [from, to), entering and leaving each. */
int  pare_walk_units(struct pare_walk *w, uint32_t from, uint32_t to, const struct pare_windows *win, float *x,
                     const struct pare_observer *obs, struct pare_diag *diag);

#define PARE_LOGIT_ROWS 16 /* rows of logits held at once */

#endif
