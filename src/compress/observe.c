/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/observe.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"

struct watcher {
    struct pare_targets *ts;
    struct pare_job     *job;
    struct pare_target  *last; /* most recent hit: slots come in the targets' order */
    int                  rc;
};

struct sums {
    double      *sumsq;
    const float *x;
    uint64_t     ldx, cols;
    uint32_t     n;
};

#define COLS 64

static void sum_columns(void *ctx, uint32_t chunk, uint32_t worker)
{
    struct sums *s = ctx;
    uint64_t     c0 = (uint64_t)chunk * COLS, c1 = c0 + COLS < s->cols ? c0 + COLS : s->cols;

    (void)worker;
    for (uint32_t r = 0; r < s->n; r++) {
        const float *x = s->x + r * s->ldx;
        for (uint64_t c = c0; c < c1; c++) s->sumsq[c] += (double)x[c] * (double)x[c];
    }
}

static struct pare_target *target_of(struct watcher *w, const struct pare_slot *s)
{
    uint32_t from = w->last == NULL ? 0 : (uint32_t)(w->last - w->ts->t);

    for (uint32_t i = 0; i < w->ts->n; i++) {
        struct pare_target *t = &w->ts->t[(from + i) % w->ts->n];
        if (t->slot == s) return w->last = t;
    }
    return NULL;
}

static void see(void *user, const struct pare_unit *u, const struct pare_slot *s, const float *x, uint64_t ldx, uint32_t n)
{
    struct watcher     *w = user;
    struct pare_target *t = target_of(w, s);
    struct sums         job;

    (void)u;
    if (t == NULL || w->rc < 0) return;
    if (t->sumsq == NULL) {
        t->sumsq = pare_zalloc(t->cols, sizeof *t->sumsq);
        if (t->sumsq == NULL) {
            w->rc = PARE_E_NOMEM;
            return;
        }
    }
    job = (struct sums){ t->sumsq, x, ldx, t->cols, n };
    pare_team_run(w->job->team, (uint32_t)((t->cols + COLS - 1) / COLS), sum_columns, &job);
    t->seen += n;
}

/* Mean 1, so that the encoders' numbers stay in range; a floor, so that channels the text never used keep some weight. */
static int importance(struct pare_target *t, struct pare_diag *diag)
{
    double mean = 0;

    if (t->sumsq == NULL) return PARE_OK;
    for (uint64_t c = 0; c < t->cols; c++) {
        if (t->sumsq[c] - t->sumsq[c] != 0) {
            pare_diag_where(diag, t->name);
            PARE_FAIL(diag, PARE_E_CORRUPT, "input channel %llu became infinite on the calibration text: the model is damaged",
                      (unsigned long long)c);
        }
        mean += t->sumsq[c];
    }
    mean /= (double)t->cols;
    t->importance = pare_alloc_array(t->cols, sizeof *t->importance);
    if (t->importance == NULL) return PARE_NOMEM(diag);
    for (uint64_t c = 0; c < t->cols; c++) {
        double v = mean > 0 ? t->sumsq[c] / mean : 1;
        t->importance[c] = (float)(v < 1e-4 ? 1e-4 : v);
    }
    return PARE_OK;
}

int pare_observe_head(struct pare_walk *w, const struct pare_windows *win, const float *x, uint32_t some, const struct pare_observer *obs,
                      struct pare_diag *diag)
{
    const struct pare_model_info *info = pare_model_info_of(w->m);
    uint64_t rows = (uint64_t)win->n * win->len, step = rows / some + 1;
    float   *logits, *taken;
    int      rc;

    logits = pare_aligned((uint64_t)PARE_LOGIT_ROWS * info->n_vocab * sizeof *logits);
    taken = pare_aligned((uint64_t)PARE_LOGIT_ROWS * info->n_embd * sizeof *taken);
    rc = logits == NULL || taken == NULL ? PARE_NOMEM(diag) : pare_walk_enter(w, info->n_units - 1, diag);
    for (uint64_t r = 0; r < rows && rc == PARE_OK;) { 
        uint32_t n = 0;
        for (; n < PARE_LOGIT_ROWS && r < rows; n++, r += step)
            memcpy(taken + (uint64_t)n * info->n_embd, x + r * info->n_embd, info->n_embd * sizeof *x);
        rc = pare_head_logits(w->m, taken, n, logits, w->work, obs, w->job, diag);
        if (rc == PARE_OK) rc = pare_job_check(w->job, diag);
    }
    pare_walk_leave(w, info->n_units - 1);
    pare_aligned_free(logits);
    pare_aligned_free(taken);
    return rc;
}

int pare_observe_model(struct pare_targets *ts, struct pare_walk *w, const struct pare_windows *win, struct pare_diag *diag)
{
    const struct pare_model_info *info = pare_model_info_of(w->m);
    struct watcher       watcher = { ts, w->job, NULL, PARE_OK };
    struct pare_observer obs = { see, &watcher };
    float *x = pare_aligned((uint64_t)win->n * win->len * info->n_embd * sizeof *x);
    int    rc = PARE_OK;

    if (x == NULL) return PARE_NOMEM(diag);
    for (uint32_t u = 0; u + 1 < info->n_units && rc == PARE_OK; u++) {
        rc = pare_walk_units(w, u, u + 1, win, x, &obs, diag);
        pare_job_progress(w->job, "observe", (u + 1.0) / info->n_units, NULL);
    }
    if (rc == PARE_OK) rc = pare_observe_head(w, win, x, PARE_HEAD_ROWS, &obs, diag);
    if (rc == PARE_OK && watcher.rc < 0) rc = PARE_NOMEM(diag);
    pare_aligned_free(x);
    for (uint32_t i = 0; i < ts->n && rc == PARE_OK; i++) rc = importance(&ts->t[i], diag);
    return rc;
}
