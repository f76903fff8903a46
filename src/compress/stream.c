/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/stream.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"

int pare_walk_create(struct pare_walk *w, struct pare_model *m, uint32_t len, enum pare_type kv_type, bool keep,
                     struct pare_job *job, struct pare_diag *diag)
{
    int rc;

    memset(w, 0, sizeof *w);
    w->m = m;
    w->job = job;
    w->len = len;
    w->keep = keep;
    w->pos = pare_alloc_array(len, sizeof *w->pos);
    w->who = pare_alloc_array(len, sizeof *w->who);
    if (w->pos == NULL || w->who == NULL) {
        rc = PARE_NOMEM(diag);
        goto fail;
    }
    if ((rc = pare_work_create(&w->work, m, len, job, diag)) < 0) goto fail;
    if ((rc = pare_session_create(&w->session, m, kv_type, len, 1, diag)) < 0) goto fail;
    if ((rc = pare_kv_reserve(w->session.kv, len, diag)) < 0) goto fail;
    for (uint32_t i = 0; i < len; i++) {
        w->pos[i] = i;
        w->who[i] = &w->session;
    }
    return PARE_OK;
fail:
    pare_walk_free(w);
    return rc;
}

void pare_walk_free(struct pare_walk *w)
{
    if (w->m == NULL) return;
    pare_session_free(&w->session);
    pare_work_destroy(&w->work);
    pare_free(w->pos);
    pare_free(w->who);
    memset(w, 0, sizeof *w);
}

uint64_t pare_walk_bytes(const struct pare_model *m, uint32_t len, enum pare_type kv_type, uint32_t n_threads)
{
    const struct pare_model_info *info = pare_model_info_of(m);
    struct pare_kv_settings       s = { kv_type, info->n_layers, 1, info->kv_shape, len };

    return pare_work_bytes(m, len, n_threads) + pare_kv_bytes(&s, len) + (uint64_t)len * 12;
}

int pare_walk_enter(struct pare_walk *w, uint32_t unit, struct pare_diag *diag)
{
    PARE_FORWARD(pare_job_check(w->job, diag));
    if (pare_model_unit(w->m, unit)->loaded) return PARE_OK;
    return pare_unit_load(w->m, unit, w->job, diag);
}

void pare_walk_leave(struct pare_walk *w, uint32_t unit)
{
    if (!w->keep) pare_unit_unload(w->m, unit);
}

int pare_walk_unit(struct pare_walk *w, uint32_t unit, const struct pare_windows *win, float *x,
                   const struct pare_observer *obs, struct pare_diag *diag)
{
    uint64_t d = pare_model_info_of(w->m)->n_embd;

    for (uint32_t i = 0; i < win->n; i++) {
        struct pare_batch b = { win->len, win->ids + (uint64_t)i * win->len, w->pos, w->who };
        PARE_FORWARD(pare_job_check(w->job, diag));
        pare_kv_truncate(w->session.kv, 0);
        w->session.len = 0;
        PARE_FORWARD(pare_unit_forward(w->m, unit, &b, x + (uint64_t)i * win->len * d, w->work, obs, w->job, diag));
    }
    return PARE_OK;
}

int pare_walk_units(struct pare_walk *w, uint32_t from, uint32_t to, const struct pare_windows *win, float *x,
                    const struct pare_observer *obs, struct pare_diag *diag)
{
    for (uint32_t u = from; u < to; u++) {
        int rc;
        PARE_FORWARD(pare_walk_enter(w, u, diag));
        rc = pare_walk_unit(w, u, win, x, obs, diag);
        pare_walk_leave(w, u);
        PARE_FORWARD(rc);
    }
    return PARE_OK;
}
