/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/trial.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/sense.h"

/* One target in its chosen type, ready to stand in for the original. */
struct stand_in {
    struct pare_target *t;
    uint8_t            *rows;       /* encoded; kept only for tables */
    uint64_t            row_bytes;
    struct pare_linear  lin, saved;
    struct pare_weight  saved_weight;
};

/* Encodes panel by panel's worth of rows would save a copy; the encoded form is small, so it is made whole and then packed. */
static int build(struct stand_in *s, struct pare_target *t, const struct pare_dtype *type, struct pare_job *job,
                 struct pare_diag *diag)
{
    uint64_t step = (1u << 18) / t->cols + 1;
    float   *tmp = pare_alloc_array(step * t->cols, sizeof *tmp);
    int      rc = PARE_OK;

    memset(s, 0, sizeof *s);
    s->t = t;
    (void)pare_dtype_row_bytes(type, t->cols, &s->row_bytes);
    s->rows = pare_aligned(s->row_bytes * t->rows);
    if (tmp == NULL || s->rows == NULL) rc = PARE_NOMEM(diag);
    for (uint64_t r = 0; r < t->rows && rc == PARE_OK; r += step) {
        uint64_t n = t->rows - r < step ? t->rows - r : step;
        rc = pare_target_encode(t, type, r, n, false, s->rows + r * s->row_bytes, tmp, job, diag);
    }
    pare_free(tmp);
    if (rc == PARE_OK && t->multiplied)
        rc = pare_linear_bind(&s->lin, type, s->rows, s->row_bytes, t->rows, t->cols, PARE_ACT_INT8, job, diag);
    if (rc == PARE_OK && t->table == NULL && (type->caps & PARE_DT_QUANT)) { /* packed: the rows are no longer needed */
        pare_aligned_free(s->rows);
        s->rows = NULL;
    }
    return rc;
}

static void drop(struct stand_in *s)
{
    if (s->t == NULL) return;
    s->lin.bias = NULL;
    pare_linear_free(&s->lin);
    pare_aligned_free(s->rows);
    memset(s, 0, sizeof *s);
}

static void put_linear(struct stand_in *s)
{
    s->saved = *s->t->slot->lin;
    s->lin.bias = s->saved.bias;
    *s->t->slot->lin = s->lin;
}

static void take_linear(struct stand_in *s) { *s->t->slot->lin = s->saved; }

static void put_table(struct stand_in *s, const struct pare_dtype *type)
{
    struct pare_weight *wt = &s->t->table->weight;

    s->saved_weight = *wt;
    wt->type = type;
    wt->data = s->rows;
    wt->row_bytes = s->row_bytes;
    wt->foreign = NULL;
}

/* Runs unit u for the quantized rows with its targets replaced. */
static int quantized_unit(struct pare_targets *ts, const uint32_t *pick, struct pare_walk *w, uint32_t u,
                          const struct pare_windows *win, float *x, struct pare_diag *diag)
{
    struct stand_in in[64];
    uint32_t        n = 0;
    int             rc = PARE_OK;

    for (uint32_t i = 0; i < ts->n && rc == PARE_OK && n < 64; i++) {
        struct pare_target *t = &ts->t[i];
        if (t->unit != u || !t->multiplied || t->table != NULL) continue;
        rc = build(&in[n++], t, t->cand[pick[i]].type, w->job, diag);
    }
    if (rc == PARE_OK) {
        for (uint32_t k = 0; k < n; k++) put_linear(&in[k]);
        rc = pare_walk_unit(w, u, win, x, NULL, diag);
        for (uint32_t k = 0; k < n; k++) take_linear(&in[k]);
    }
    for (uint32_t k = 0; k < n; k++) drop(&in[k]);
    return rc;
}

static int trial_body(struct pare_targets *ts, const uint32_t *pick, struct pare_walk *w, const struct pare_windows *win,
                      float *base, float *x, double *kld, struct pare_diag *diag)
{
    uint32_t               n_units = pare_model_info_of(w->m)->n_units, head = UINT32_MAX;
    uint64_t               rows = (uint64_t)win->n * win->len, d = pare_model_info_of(w->m)->n_embd;
    struct stand_in        end = { 0 };
    struct pare_head_pair  p = { .w = w };
    int                    rc = PARE_OK;

    for (uint32_t u = 0; u + 1 < n_units && rc == PARE_OK; u++) {
        rc = pare_walk_enter(w, u, diag);
        if (rc == PARE_OK) rc = pare_walk_unit(w, u, win, base, NULL, diag);
        if (rc == PARE_OK && u == 0) {
            memcpy(x, base, rows * d * sizeof *x);
            for (uint32_t i = 0; i < ts->n && rc == PARE_OK; i++) { /* the table: look the tokens up once more, encoded */
                struct stand_in s;
                if (ts->t[i].table == NULL) continue;
                rc = build(&s, &ts->t[i], ts->t[i].cand[pick[i]].type, w->job, diag);
                if (rc == PARE_OK) {
                    put_table(&s, ts->t[i].cand[pick[i]].type);
                    rc = pare_walk_unit(w, 0, win, x, NULL, diag);
                    ts->t[i].table->weight = s.saved_weight;
                }
                drop(&s);
            }
        } else if (rc == PARE_OK) {
            rc = quantized_unit(ts, pick, w, u, win, x, diag);
        }
        pare_walk_leave(w, u);
        pare_job_progress(w->job, "trial", (u + 1.0) / n_units, NULL);
    }
    if (rc == PARE_OK) rc = pare_walk_enter(w, n_units - 1, diag);
    for (uint32_t i = 0; i < ts->n; i++)
        if (ts->t[i].multiplied && ts->t[i].unit == n_units - 1) head = i;
    if (rc == PARE_OK && head != UINT32_MAX) {
        rc = build(&end, &ts->t[head], ts->t[head].cand[pick[head]].type, w->job, diag);
        end.lin.bias = ts->t[head].slot->lin->bias;
        p.slot = ts->t[head].slot->lin;
        p.alt = &end.lin;
    }
    if (rc == PARE_OK) rc = pare_head_divergence(&p, win, base, x, 1, kld, NULL, diag);
    drop(&end);
    pare_walk_leave(w, n_units - 1);
    return rc;
}

int pare_trial(struct pare_targets *ts, const uint32_t *pick, struct pare_walk *w, const struct pare_windows *win, double *kld,
               struct pare_diag *diag)
{
    uint64_t bytes = (uint64_t)win->n * win->len * pare_model_info_of(w->m)->n_embd * sizeof(float);
    float   *base = pare_aligned(bytes), *x = pare_aligned(bytes);
    int      rc = base == NULL || x == NULL ? PARE_NOMEM(diag) : trial_body(ts, pick, w, win, base, x, kld, diag);

    pare_aligned_free(base);
    pare_aligned_free(x);
    return rc;
}
