/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/observe.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/cost.h"

/* Mean 1, so that the encoders' numbers stay in range; a floor, so that channels the text never used keep some weight. */
static int importance(struct pare_target *t, const struct pare_second *s, struct pare_diag *diag)
{
    double mean = 0;

    t->seen = s->n;
    for (uint64_t c = 0; c < t->cols; c++) mean += s->sumsq[c];
    mean /= (double)t->cols;
    t->importance = pare_alloc_array(t->cols, sizeof *t->importance);
    if (t->importance == NULL) return PARE_NOMEM(diag);
    for (uint64_t c = 0; c < t->cols; c++) {
        double v = mean > 0 ? s->sumsq[c] / mean : 1;
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

/* A tied head is rounded before anything has run (it is the table too), so its inputs' moments are kept. */
static bool tied_head(const struct pare_targets *ts, uint32_t unit)
{
    for (uint32_t i = 0; i < ts->n; i++)
        if (ts->t[i].unit == unit && ts->t[i].multiplied && ts->t[i].table != NULL) return ts->t[i].feedback;
    return false;
}

/* What one unit's inputs tell of its targets. */
static int learn(struct pare_targets *ts, uint32_t unit, struct pare_inputs *in, bool errors, struct pare_job *job, struct pare_diag *diag)
{
    PARE_FORWARD(pare_inputs_finish(in));
    for (uint32_t i = 0; i < ts->n; i++) {
        struct pare_target *t = &ts->t[i];
        const struct pare_second *s = t->unit == unit && t->multiplied ? pare_inputs_of(in, t->slot) : NULL;
        if (s != NULL && t->importance == NULL) PARE_FORWARD(importance(t, s, diag));
    }
    return errors && in->full && !tied_head(ts, unit) ? pare_cost_feedback(ts, unit, in, job, diag) : PARE_OK;
}

static bool any_feedback(const struct pare_targets *ts, uint32_t unit)
{
    for (uint32_t i = 0; i < ts->n; i++)
        if (ts->t[i].unit == unit && ts->t[i].feedback) return true;
    return false;
}

static int observe_unit(struct pare_targets *ts, struct pare_walk *w, uint32_t unit, const struct pare_windows *win, float *x, bool errors,
                        struct pare_diag *diag)
{
    const uint32_t       head = pare_model_info_of(w->m)->n_units - 1;
    bool                 tied = tied_head(ts, unit), full = tied || (errors && any_feedback(ts, unit));
    struct pare_inputs   in = { 0 };
    struct pare_observer obs = { pare_inputs_see, &in };
    int                  rc = pare_inputs_create(&in, pare_model_unit(w->m, unit)->n_slots, full, w->job, diag);

    if (rc == PARE_OK)
        rc = unit == head ? pare_observe_head(w, win, x, PARE_HEAD_ROWS_FULL, &obs, diag)
                          : pare_walk_units(w, unit, unit + 1, win, x, &obs, diag);
    if (rc == PARE_OK) rc = learn(ts, unit, &in, errors, w->job, diag);
    if (rc == PARE_OK && tied) {
        pare_inputs_free(&ts->head);
        ts->head = in;
    } else {
        pare_inputs_free(&in);
    }
    pare_job_progress(w->job, "observe", (unit + 1.0) / (head + 1.0), NULL);
    return rc;
}

int pare_observe_model(struct pare_targets *ts, struct pare_walk *w, const struct pare_windows *win, bool errors, struct pare_diag *diag)
{
    const struct pare_model_info *info = pare_model_info_of(w->m);
    float *x = pare_aligned((uint64_t)win->n * win->len * info->n_embd * sizeof *x);
    int    rc = x == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint32_t u = 0; u < info->n_units && rc == PARE_OK; u++) rc = observe_unit(ts, w, u, win, x, errors, diag);
    pare_aligned_free(x);
    return rc;
}
