/* SPDX-License-Identifier: Apache-2.0
 * src/compress/cost_feedback.c: what error feedback leaves of each candidate's error, on sampled rows. */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/cost.h"
#include "compress/cost_sample.h"
#include "compress/feedback.h"

static double norm_of(const struct pare_target *t, const float *rows, uint64_t n)
{
    double err = 0, norm = 0;

    for (uint64_t i = 0; i < n; i++) pare_weighted_error(rows + i * t->cols, rows + i * t->cols, t->importance, t->cols, &err, &norm);
    return norm;
}

static int target_errors(struct pare_target *t, const struct pare_feedback *fb, struct pare_job *job, struct pare_diag *diag)
{
    uint64_t n = pare_sample_count(t), most = 0;
    float   *rows = pare_alloc_array(n * t->cols, sizeof *rows);
    double  *left = pare_alloc_array(n, sizeof *left), norm;
    uint8_t *code;
    int      rc = PARE_OK;

    for (uint32_t c = 0; c < t->n_cand; c++) {
        uint64_t b = 0;
        if (pare_dtype_row_bytes(t->cand[c].type, t->cols, &b) && b > most) most = b;
    }
    code = pare_aligned(most * n);
    if (rows == NULL || left == NULL || code == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) rc = pare_sample_rows(t, n, rows, diag);
    norm = rc == PARE_OK ? norm_of(t, rows, n) : 0;
    for (uint32_t c = 0; c < t->n_cand && rc == PARE_OK; c++) {
        double err = 0;
        if (!pare_target_feeds(t, c)) continue;
        rc = pare_feedback_encode(fb, t->cand[c].type, rows, n, code, left, job, diag);
        for (uint64_t i = 0; i < n && rc == PARE_OK; i++) err += left[i];
        t->cand[c].err = norm > 0 ? err / norm : 0;
        t->cand[c].fed = true;
    }
    pare_free(rows);
    pare_free(left);
    pare_aligned_free(code);
    return rc;
}

static int input_errors(struct pare_targets *ts, uint32_t unit, struct pare_inputs *in, uint32_t k, struct pare_job *job,
                        struct pare_diag *diag)
{
    struct pare_feedback fb = { 0 };
    int                  rc = PARE_OK;

    for (uint32_t i = 0; i < ts->n && rc == PARE_OK; i++) {
        struct pare_target *t = &ts->t[i];
        if (t->unit != unit || !t->feedback || pare_inputs_of(in, t->slot) != &in->s[k]) continue;
        if (fb.ut == NULL && in->s[k].xx != NULL) rc = pare_feedback_of(&fb, &in->s[k], pare_target_ridge(t), t->name, job, diag);
        if (rc == PARE_OK && fb.ut == NULL) t->feedback = false; /* singular moments: rounded without */
        if (rc == PARE_OK && fb.ut != NULL) rc = target_errors(t, &fb, job, diag);
    }
    pare_feedback_free(&fb);
    return rc;
}

int pare_cost_feedback(struct pare_targets *ts, uint32_t unit, struct pare_inputs *in, struct pare_job *job, struct pare_diag *diag)
{
    for (uint32_t k = 0; k < in->n; k++) {
        PARE_FORWARD(input_errors(ts, unit, in, k, job, diag));
        if (in == &ts->head) continue;
        pare_aligned_free(in->s[k].xx);
        in->s[k].xx = NULL;
    }
    return PARE_OK;
}
