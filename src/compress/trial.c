/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/trial.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/make.h"
#include "compress/sense.h"

static int walk(struct pare_make *m, const struct pare_windows *win, float *base, float *x, double *kld, struct pare_diag *diag)
{
    struct pare_walk      *w = m->w;
    uint32_t               n_units = pare_model_info_of(w->m)->n_units;
    struct pare_stand_in   end = { 0 };
    struct pare_head_pair  p = { .w = w };
    int                    rc = PARE_OK;

    for (uint32_t u = 0; u + 1 < n_units && rc == PARE_OK; u++) {
        rc = pare_walk_enter(w, u, diag);
        if (rc == PARE_OK) rc = pare_walk_unit(w, u, win, base, NULL, diag);
        if (rc == PARE_OK) rc = pare_make_unit(m, u, win, x, diag);
        pare_walk_leave(w, u);
        pare_job_progress(w->job, "trial", (u + 1.0) / n_units, NULL);
    }
    if (rc == PARE_OK) rc = pare_walk_enter(w, n_units - 1, diag);
    if (rc == PARE_OK) rc = pare_make_head(m, &end, diag);
    if (rc == PARE_OK && end.t != NULL) {
        end.lin.bias = end.t->slot->lin->bias;
        p.slot = end.t->slot->lin;
        p.alt = &end.lin;
    }
    if (rc == PARE_OK) rc = pare_head_divergence(&p, win, base, x, 1, kld, NULL, diag);
    pare_stand_in_drop(&end);
    pare_walk_leave(w, n_units - 1);
    return rc;
}

void pare_kept_free(struct pare_kept *k)
{
    for (uint32_t i = 0; k->rows != NULL && i < k->n; i++) pare_aligned_free(k->rows[i]);
    pare_free(k->rows);
    pare_free(k->pick);
    memset(k, 0, sizeof *k);
}

bool pare_kept_fits(const struct pare_kept *k, const uint32_t *pick)
{
    return k->whole && memcmp(k->pick, pick, k->n * sizeof *pick) == 0;
}

static int keep_begin(struct pare_kept *k, const struct pare_targets *ts, const uint32_t *pick, struct pare_diag *diag)
{
    pare_kept_free(k);
    k->n = ts->n;
    k->rows = pare_zalloc(ts->n, sizeof *k->rows);
    k->pick = pare_alloc_array(ts->n, sizeof *k->pick);
    if (k->rows == NULL || k->pick == NULL) return PARE_NOMEM(diag);
    memcpy(k->pick, pick, ts->n * sizeof *pick);
    return PARE_OK;
}

struct keeper {
    struct pare_kept          *k;
    const struct pare_targets *ts;
};

static int keep_rows(void *user, uint32_t target, const uint8_t *rows, uint64_t row_bytes, struct pare_diag *diag)
{
    struct keeper *k = user;
    uint64_t       bytes = k->ts->t[target].rows * row_bytes;

    k->k->rows[target] = pare_aligned(bytes);
    if (k->k->rows[target] == NULL) return PARE_NOMEM(diag);
    memcpy(k->k->rows[target], rows, bytes);
    return PARE_OK;
}

int pare_trial(struct pare_targets *ts, const uint32_t *pick, struct pare_walk *w, const struct pare_windows *calib,
               const struct pare_windows *win, double *kld, struct pare_kept *kept, struct pare_diag *diag)
{
    struct keeper    k = { kept, ts };
    uint64_t         bytes = (uint64_t)win->n * win->len * pare_model_info_of(w->m)->n_embd * sizeof(float);
    float           *base = pare_aligned(bytes), *x = pare_aligned(bytes);
    struct pare_make m = { 0 };
    int              rc = base == NULL || x == NULL ? PARE_NOMEM(diag) : pare_make_open(&m, ts, pick, w, calib, diag);

    if (rc == PARE_OK && kept != NULL) {
        rc = keep_begin(kept, ts, pick, diag);
        m.made = keep_rows;
        m.user = &k;
    }
    if (rc == PARE_OK) rc = walk(&m, win, base, x, kld, diag);
    if (kept != NULL) kept->whole = rc == PARE_OK;
    pare_make_close(&m);
    pare_aligned_free(base);
    pare_aligned_free(x);
    return rc;
}
