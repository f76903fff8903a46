/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/make.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/inputs.h"
#include "compress/observe.h"

#define MAX_TARGETS 64   /* of a unit */

bool pare_make_needed(const struct pare_targets *ts, const uint32_t *pick)
{
    for (uint32_t i = 0; i < ts->n; i++)
        if (pare_target_feeds(&ts->t[i], pick[i])) return true;
    return false;
}

int pare_make_open(struct pare_make *m, struct pare_targets *ts, const uint32_t *pick, struct pare_walk *w, const struct pare_windows *calib,
                   struct pare_diag *diag)
{
    *m = (struct pare_make){ .ts = ts, .pick = pick, .w = w, .calib = calib };
    if (!pare_make_needed(ts, pick)) return PARE_OK;
    m->x = pare_aligned((uint64_t)calib->n * calib->len * pare_model_info_of(w->m)->n_embd * sizeof *m->x);
    return m->x == NULL ? PARE_NOMEM(diag) : PARE_OK;
}

void pare_make_close(struct pare_make *m)
{
    pare_aligned_free(m->x);
    m->x = NULL;
}

/* Siblings see the same rows: only the first of q, k, v and of gate, up has moments of its own. An unknown family counts each. */
static bool has_own_input(const struct pare_target *t)
{
    const char *r = t->slot->role;

    return strcmp(r, "attn_k") != 0 && strcmp(r, "attn_v") != 0 && strcmp(r, "ffn_up") != 0;
}

uint64_t pare_feedback_forecast(const struct pare_targets *ts, uint32_t unit)
{
    uint64_t sum = 0, factor = 0;

    for (uint32_t i = 0; i < ts->n; i++) {
        const struct pare_target *t = &ts->t[i];
        uint64_t                  ut = t->cols * t->cols * sizeof(float);

        if (t->unit != unit || !t->feedback) continue;
        if (has_own_input(t)) sum += pare_second_bytes(t->cols, true);
        if (t->table != NULL) ut += t->cols * t->cols * sizeof(double); /* moments of a tied head are kept beside the factor */
        if (ut > factor) factor = ut;
    }
    return sum + factor;
}

static int run(struct pare_make *m, uint32_t unit, const struct pare_windows *win, float *y, struct pare_diag *diag)
{
    if (m->x != NULL) PARE_FORWARD(pare_walk_unit(m->w, unit, m->calib, m->x, NULL, diag));
    return win == NULL ? PARE_OK : pare_walk_unit(m->w, unit, win, y, NULL, diag);
}

/* A factorization for all targets of an input, made when it is first needed. */
struct factors {
    struct pare_inputs    in;
    struct pare_feedback *fb;   /* [in.n] */
};

static int factor_of(struct pare_make *m, struct factors *f, struct pare_target *t, const struct pare_feedback **out, struct pare_diag *diag)
{
    struct pare_second   *s = pare_inputs_of(&f->in, t->slot);
    struct pare_feedback *fb;

    *out = NULL;
    if (s == NULL) return PARE_OK;
    fb = &f->fb[s - f->in.s];
    if (fb->ut == NULL && s->xx != NULL) PARE_FORWARD(pare_feedback_of(fb, s, 0, t->name, m->w->job, diag));
    if (fb->ut != NULL) *out = fb;
    return PARE_OK;
}

/* After target i: an input that no later target has is let go. */
static void let_go(struct pare_make *m, struct factors *f, uint32_t i)
{
    struct pare_second *s = pare_inputs_of(&f->in, m->ts->t[i].slot);

    if (s == NULL) return;
    for (uint32_t k = i + 1; k < m->ts->n; k++)
        if (m->ts->t[k].unit == m->ts->t[i].unit && pare_inputs_of(&f->in, m->ts->t[k].slot) == s) return;
    pare_aligned_free(s->xx);
    s->xx = NULL;
    pare_feedback_free(&f->fb[s - f->in.s]);
}

static void drop_factors(struct factors *f)
{
    for (uint32_t i = 0; f->fb != NULL && i < f->in.n; i++) pare_feedback_free(&f->fb[i]);
    pare_free(f->fb);
    pare_inputs_free(&f->in);
}

static int make_target(struct pare_make *m, struct factors *f, uint32_t i, struct pare_stand_in *s, struct pare_diag *diag)
{
    struct pare_target         *t = &m->ts->t[i];
    const struct pare_dtype    *type = t->cand[m->pick[i]].type;
    const struct pare_feedback *fb = NULL;
    int                         rc;

    if (t->cand[m->pick[i]].maker != NULL) return pare_stand_in_composite(s, t, t->cand[m->pick[i]].maker, m->w->job, diag);
    if (!pare_target_feeds(&m->ts->t[i], m->pick[i])) return pare_stand_in_linear(s, t, type, m->w->job, diag);
    PARE_FORWARD(factor_of(m, f, t, &fb, diag));
    rc = pare_stand_in_rows(s, t, type, fb, m->w->job, diag);
    let_go(m, f, i);
    PARE_FORWARD(rc);
    rc = m->made == NULL ? PARE_OK : m->made(m->user, i, s->rows, s->row_bytes, diag);
    return rc < 0 ? rc : pare_stand_in_bind(s, type, false, m->w->job, diag);
}

static int gather(struct pare_make *m, struct factors *f, uint32_t unit, bool head, struct pare_diag *diag)
{
    struct pare_observer obs = { pare_inputs_see, &f->in };

    PARE_FORWARD(pare_inputs_create(&f->in, MAX_TARGETS, true, m->w->job, diag));
    PARE_FORWARD(head ? pare_observe_head(m->w, m->calib, m->x, PARE_HEAD_ROWS_FULL, &obs, diag) : pare_inputs_gather(&f->in, m->w, unit, m->calib, m->x));
    PARE_FORWARD(pare_inputs_finish(&f->in));
    f->fb = pare_zalloc(f->in.n + 1u, sizeof *f->fb);
    return f->fb == NULL ? PARE_NOMEM(diag) : PARE_OK;
}

static int make_layer(struct pare_make *m, uint32_t unit, const struct pare_windows *win, float *y, struct pare_diag *diag)
{
    struct pare_stand_in in[MAX_TARGETS];
    struct factors       f = { 0 };
    uint32_t             n = 0;
    bool                 feeds = false;
    int                  rc = PARE_OK;

    for (uint32_t i = 0; i < m->ts->n; i++) feeds = feeds || (m->ts->t[i].unit == unit && pare_target_feeds(&m->ts->t[i], m->pick[i]));
    if (feeds) rc = gather(m, &f, unit, false, diag);
    for (uint32_t i = 0; i < m->ts->n && rc == PARE_OK && n < MAX_TARGETS; i++) {
        struct pare_target *t = &m->ts->t[i];
        if (t->unit == unit && t->multiplied && t->table == NULL) rc = make_target(m, &f, i, &in[n++], diag);
    }
    drop_factors(&f);
    if (rc == PARE_OK) {
        for (uint32_t k = 0; k < n; k++) pare_stand_in_put(&in[k]);
        rc = run(m, unit, win, y, diag);
        for (uint32_t k = 0; k < n; k++) pare_stand_in_take(&in[k]);
    }
    for (uint32_t k = 0; k < n; k++) pare_stand_in_drop(&in[k]);
    return rc;
}

/* A tied head serves at both ends. Its rows are needed first, so what it is rounded against are the head's inputs in the original. */
static int tied_rows(struct pare_make *m, uint32_t i, struct pare_stand_in *s, struct pare_diag *diag)
{
    struct pare_target   *t = &m->ts->t[i];
    struct pare_second   *in = pare_inputs_of(&m->ts->head, t->slot);
    struct pare_feedback  fb = { 0 };
    int                   rc = PARE_OK;

    if (pare_target_feeds(t, m->pick[i]) && in != NULL) rc = pare_feedback_of(&fb, in, pare_target_ridge(t), t->name, m->w->job, diag);
    if (rc == PARE_OK) rc = pare_stand_in_rows(s, t, t->cand[m->pick[i]].type, fb.ut == NULL ? NULL : &fb, m->w->job, diag);
    pare_feedback_free(&fb);
    return rc;
}

/* Tokens are looked up in the table as the plan has it. */
static int make_embedding(struct pare_make *m, const struct pare_windows *win, float *y, struct pare_diag *diag)
{
    struct pare_stand_in s = { 0 };
    uint32_t             i = 0;
    int                  rc = PARE_OK;

    while (i < m->ts->n && m->ts->t[i].table == NULL) i++;
    if (i < m->ts->n) {
        rc = tied_rows(m, i, &s, diag);
        if (rc == PARE_OK && m->made != NULL && pare_target_feeds(s.t, m->pick[i])) rc = m->made(m->user, i, s.rows, s.row_bytes, diag);
        if (rc == PARE_OK) pare_stand_in_put_table(&s, s.t->cand[m->pick[i]].type);
    }
    if (rc == PARE_OK) {
        rc = run(m, 0, win, y, diag);
        if (s.t != NULL) pare_stand_in_take_table(&s);
    }
    pare_stand_in_drop(&s);
    return rc;
}

int pare_make_unit(struct pare_make *m, uint32_t unit, const struct pare_windows *win, float *y, struct pare_diag *diag)
{
    return unit == 0 ? make_embedding(m, win, y, diag) : make_layer(m, unit, win, y, diag);
}

int pare_make_head(struct pare_make *m, struct pare_stand_in *s, struct pare_diag *diag)
{
    uint32_t       head = pare_model_info_of(m->w->m)->n_units - 1, at = UINT32_MAX;
    struct factors f = { 0 };
    int            rc = PARE_OK;

    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < m->ts->n; i++)
        if (m->ts->t[i].multiplied && m->ts->t[i].unit == head) at = i;
    if (at == UINT32_MAX) return PARE_OK;
    if (m->ts->t[at].table != NULL && pare_target_feeds(&m->ts->t[at], m->pick[at])) {
        PARE_FORWARD(tied_rows(m, at, s, diag));
        return pare_stand_in_bind(s, s->t->cand[m->pick[at]].type, false, m->w->job, diag);
    }
    if (pare_target_feeds(&m->ts->t[at], m->pick[at])) rc = gather(m, &f, head, true, diag);
    if (rc == PARE_OK) rc = make_target(m, &f, at, s, diag);
    drop_factors(&f);
    return rc;
}
