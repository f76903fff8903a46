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

/* Pages of the original that were read do not stay beside what is made of them. */
static void let_go(const struct pare_target *t)
{
    if (t->slot->weight.tensor != NULL) pare_checkpoint_advise(t->slot->weight.ckpt, t->slot->weight.tensor, PARE_DONTNEED);
}

/* The whole tensor encoded, as a table that is looked up row by row, or as float rows that are multiplied where they lie. */
static int build_rows(struct stand_in *s, const struct pare_dtype *type, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_target *t = s->t;
    uint64_t            step = (1u << 18) / t->cols + 1;
    float              *tmp = pare_alloc_array(step * t->cols, sizeof *tmp);
    int                 rc = PARE_OK;

    s->rows = pare_aligned(s->row_bytes * t->rows);
    if (tmp == NULL || s->rows == NULL) rc = PARE_NOMEM(diag);
    for (uint64_t r = 0; r < t->rows && rc == PARE_OK; r += step) {
        uint64_t n = t->rows - r < step ? t->rows - r : step;
        rc = pare_target_encode(t, type, r, n, false, s->rows + r * s->row_bytes, tmp, job, diag);
        let_go(t);
    }
    pare_free(tmp);
    return rc;
}

/* Panels are packed as soon as their rows are encoded: the encoded tensor never stands beside the packed one. */
static int build_packed(struct stand_in *s, const struct pare_dtype *type, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_target *t = s->t;
    uint64_t            step = ((1u << 18) / t->cols / PARE_PANEL + 1) * PARE_PANEL;
    struct pare_packed  p;
    float              *tmp = pare_alloc_array(step * t->cols, sizeof *tmp);
    uint8_t            *rows = pare_aligned(step * s->row_bytes);
    void               *scratch = pare_aligned(pare_pack_scratch(type, t->cols));
    int                 rc = PARE_OK;

    if (!pare_packed_shape(&p, type, t->rows, t->cols)) rc = PARE_ERR(diag, PARE_E_UNSUPPORTED, "type %s cannot be packed", type->name);
    p.data = rc < 0 ? NULL : pare_aligned(pare_packed_bytes(&p));
    if (rc == PARE_OK && (tmp == NULL || rows == NULL || scratch == NULL || p.data == NULL)) rc = PARE_NOMEM(diag);
    for (uint64_t r = 0; r < t->rows && rc == PARE_OK; r += step) {
        uint64_t n = t->rows - r < step ? t->rows - r : step;
        rc = pare_target_encode(t, type, r, n, false, rows, tmp, job, diag);
        for (uint64_t k = 0; k < n && rc == PARE_OK; k += PARE_PANEL)
            pare_pack_panel(&p, (uint32_t)((r + k) / PARE_PANEL), rows + k * s->row_bytes, s->row_bytes,
                            (uint32_t)(n - k < PARE_PANEL ? n - k : PARE_PANEL), scratch);
        let_go(t);
    }
    if (rc == PARE_OK) rc = pare_linear_append_packed(&s->lin, &p, diag);
    if (rc < 0) pare_aligned_free(p.data);
    pare_free(tmp);
    pare_aligned_free(rows);
    pare_aligned_free(scratch);
    return rc;
}

static int build(struct stand_in *s, struct pare_target *t, const struct pare_dtype *type, bool table, struct pare_job *job,
                 struct pare_diag *diag)
{
    memset(s, 0, sizeof *s);
    s->t = t;
    (void)pare_dtype_row_bytes(type, t->cols, &s->row_bytes);
    if (!table && (type->caps & PARE_DT_QUANT)) return build_packed(s, type, job, diag);
    PARE_FORWARD(build_rows(s, type, job, diag));
    return table ? PARE_OK : pare_linear_bind(&s->lin, type, s->rows, s->row_bytes, t->rows, t->cols, PARE_ACT_INT8, job, diag);
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
    wt->panels.data = NULL;
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
        rc = build(&in[n++], t, t->cand[pick[i]].type, false, w->job, diag);
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
                rc = build(&s, &ts->t[i], ts->t[i].cand[pick[i]].type, true, w->job, diag);
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
        rc = build(&end, &ts->t[head], ts->t[head].cand[pick[head]].type, false, w->job, diag);
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
