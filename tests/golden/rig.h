/* SPDX-License-Identifier: Apache-2.0
 * tests/golden/rig.h: a model opened for a test, with working memory and one session. */
#ifndef PARE_TESTS_RIG_H
#define PARE_TESTS_RIG_H

#include "base/job.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/model.h"

struct rig {
    struct pare_checkpoint *ckpt;
    struct pare_model      *model;
    struct pare_job        *job;
    struct pare_work       *work;
    struct pare_session     session;
    uint32_t                n_vocab;
};

static inline void say(const struct pare_diag *d)
{
    char buf[900];

    fail_msg("%s", pare_diag_format(d, buf, sizeof buf));
}

static inline void rig_open(struct rig *r, const char *path, uint32_t n_ctx, uint32_t threads, uint32_t rows, enum pare_act_mode mode,
                            enum pare_type kv)
{
    struct pare_diag          d = { 0 };
    struct pare_job_settings  s;
    struct pare_model_options o = { .act_mode = mode, .n_ctx = n_ctx };

    memset(r, 0, sizeof *r);
    pare_job_settings_default(&s);
    s.n_threads = threads;
    if (pare_job_create(&r->job, &s, &d) < 0 || pare_checkpoint_open(&r->ckpt, path, &d) < 0 ||
        pare_model_create(&r->model, r->ckpt, &o, r->job, &d) < 0 || pare_work_create(&r->work, r->model, rows, r->job, &d) < 0 ||
        pare_session_create(&r->session, r->model, kv, n_ctx, 0, &d) < 0)
        say(&d);
    r->n_vocab = pare_model_info_of(r->model)->n_vocab;
}

static inline void rig_close(struct rig *r)
{
    pare_session_free(&r->session);
    pare_work_destroy(&r->work);
    pare_model_destroy(&r->model);
    pare_checkpoint_close(&r->ckpt);
    pare_job_destroy(&r->job);
}

static inline void rig_reset(struct rig *r)
{
    pare_kv_truncate(r->session.kv, 0);
    r->session.len = 0;
}

/* Logits of all n rows that continue the session, or of the last one. */
static inline void rig_forward(struct rig *r, const int32_t *ids, uint32_t n, bool all, float *logits)
{
    struct pare_diag     d = { 0 };
    uint32_t             pos[256];
    struct pare_session *of[256];
    uint8_t              want[256];
    struct pare_batch    b = { n, ids, pos, of };

    assert_true(n <= 256);
    for (uint32_t i = 0; i < n; i++) {
        pos[i] = r->session.len + i;
        of[i] = &r->session;
        want[i] = 1;
    }
    if (pare_model_forward(r->model, &b, all ? want : NULL, logits, r->work, r->job, &d) < 0) say(&d);
}

static inline uint32_t ids_of(const json_t *list, int32_t *ids, uint32_t max)
{
    size_t n = json_array_size(list);

    assert_true(n <= max);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return (uint32_t)n;
}

static inline int32_t argmax(const float *x, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return (int32_t)best;
}

#endif
