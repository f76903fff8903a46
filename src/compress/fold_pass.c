/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/fold_pass.h"

#include <string.h>

#include "base/mem.h"

struct watch {
    struct pare_inputs      in;
    struct pare_fold_layer *l;
    uint64_t                stride, seen; /* every stride-th row of the walk is kept; rows of the current matrix */
    int                     rc;
    struct pare_diag       *diag;
};

static struct pare_fold_sample *sample_for(struct watch *w, const struct pare_slot *s)
{
    struct pare_fold_layer *l = w->l;

    for (uint32_t i = 0; i < l->n_samples; i++)
        if (l->sample[i].slot == s) return &l->sample[i];
    l->sample[l->n_samples] = (struct pare_fold_sample){ .slot = s, .x = pare_aligned(PARE_FOLD_TOKENS * s->cols * sizeof(float)) };
    if (l->sample[l->n_samples].x == NULL) return NULL;
    return &l->sample[l->n_samples++];
}

static void watch(void *user, const struct pare_unit *u, const struct pare_slot *s, const float *x, uint64_t ldx, uint32_t n)
{
    struct watch            *w = user;
    struct pare_fold_sample *p;
    uint64_t                 at;

    pare_inputs_see(&w->in, u, s, x, ldx, n);
    if (w->rc < 0) return;
    for (uint32_t i = 0; i < w->in.n_of; i++)
        if (w->in.of[i].slot == s && !w->in.of[i].first) return;
    p = sample_for(w, s);
    if (p == NULL) {
        w->rc = PARE_NOMEM(w->diag);
        return;
    }
    at = w->seen; /* rows of the walk before this window */
    for (uint32_t r = 0; r < n && p->n < PARE_FOLD_TOKENS; r++)
        if ((at + r) % w->stride == 0) memcpy(p->x + (uint64_t)p->n++ * s->cols, x + r * ldx, s->cols * sizeof *x);
}

const struct pare_second *pare_fold_moments(const struct pare_fold_layer *l, const struct pare_slot *s) { return pare_inputs_of(l->in, s); }

const struct pare_fold_sample *pare_fold_rows_of(const struct pare_fold_layer *l, const struct pare_slot *s)
{
    const struct pare_second *mine = pare_inputs_of(l->in, s);

    for (uint32_t i = 0; i < l->n_samples; i++)
        if (pare_inputs_of(l->in, l->sample[i].slot) == mine) return &l->sample[i];
    return NULL;
}

/* Window by window, so that samples know where they are. */
static int observe(struct watch *w, struct pare_fold_layer *l, struct pare_diag *diag)
{
    uint64_t             d = pare_model_info_of(l->w->m)->n_embd, each = l->win->len * d;
    struct pare_observer obs = { watch, w };
    float               *x = pare_aligned(each * sizeof *x);
    int                  rc = x == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint32_t i = 0; i < l->win->n && rc == PARE_OK; i++) {
        struct pare_windows one = { l->win->ids + (uint64_t)i * l->win->len, 1, l->win->len };

        memcpy(x, l->x + i * each, each * sizeof *x);
        w->seen = (uint64_t)i * l->win->len;
        rc = pare_walk_unit(l->w, l->unit, &one, x, &obs, diag);
    }
    pare_aligned_free(x);
    if (rc == PARE_OK) rc = w->rc;
    return rc == PARE_OK ? pare_inputs_finish(&w->in) : rc;
}

static int one_layer(struct pare_fold_layer *l, bool full, int (*see)(void *, const struct pare_fold_layer *, struct pare_diag *), void *user,
                     struct pare_diag *diag)
{
    uint32_t     slots = pare_model_unit(l->w->m, l->unit)->n_slots;
    struct watch w = { .l = l, .stride = ((uint64_t)l->win->n * l->win->len + PARE_FOLD_TOKENS - 1) / PARE_FOLD_TOKENS, .diag = diag };
    int          rc;

    PARE_FORWARD(pare_inputs_create(&w.in, slots, full, l->w->job, diag));
    l->in = &w.in;
    l->n_samples = 0;
    l->sample = pare_zalloc(slots, sizeof *l->sample);
    rc = l->sample == NULL ? PARE_NOMEM(diag) : observe(&w, l, diag);
    if (rc == PARE_OK) rc = see(user, l, diag);
    for (uint32_t i = 0; i < l->n_samples; i++) pare_aligned_free(l->sample[i].x);
    pare_free(l->sample);
    pare_inputs_free(&w.in);
    return rc;
}

int pare_fold_pass(struct pare_folds *f, struct pare_walk *w, const struct pare_windows *win, bool full,
                   int (*see)(void *user, const struct pare_fold_layer *l, struct pare_diag *diag), void *user, struct pare_diag *diag)
{
    uint32_t               n_units = pare_model_info_of(w->m)->n_units;
    uint64_t               rows = (uint64_t)win->n * win->len;
    struct pare_sites      sites;
    struct pare_fold_layer l = { .f = f, .w = w, .win = win, .sites = &sites };
    float                 *x;
    int                    rc;

    PARE_FORWARD(pare_sites_of(&sites, w->m, diag));
    x = pare_aligned(rows * pare_model_info_of(w->m)->n_embd * sizeof *x);
    rc = x == NULL ? PARE_NOMEM(diag) : pare_walk_units(w, 0, 1, win, x, NULL, diag);
    l.x = x;
    for (uint32_t u = 1; u + 1 < n_units && rc == PARE_OK; u++) {
        l.unit = u;
        if ((rc = pare_walk_enter(w, u, diag)) < 0) break;
        rc = one_layer(&l, full, see, user, diag);
        if (rc == PARE_OK) rc = pare_walk_unit(w, u, win, x, NULL, diag);
        pare_walk_leave(w, u);
        pare_job_progress(w->job, "fold", (u + 1.0) / n_units, NULL);
    }
    pare_aligned_free(x);
    pare_sites_free(&sites);
    return rc;
}
