/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/measure.h"

#include "base/mem.h"
#include "base/status.h"

/* Logits of a few rows at a time: n_vocab is large, the residual is not. */
static int score_group(const struct pare_measure *m, const struct pare_windows *win, const float *xb, const float *x,
                       float *logits, struct pare_window_sum *sums, struct pare_tally *tally, struct pare_diag *diag)
{
    const struct pare_model_info *info = pare_model_info_of(m->walk->m);
    const struct pare_vec        *vk = pare_vec_for(m->walk->job->tier);
    uint64_t v = info->n_vocab, d = info->n_embd;
    uint64_t db = m->base != NULL ? pare_model_info_of(m->base->m)->n_embd : 0;
    float   *lx = logits, *lb = logits + PARE_LOGIT_ROWS * v, *tmp = logits + 2 * PARE_LOGIT_ROWS * v;

    for (uint32_t i = 0; i < win->n; i++) {
        for (uint32_t p = m->score_from; p + 1 < win->len; p += PARE_LOGIT_ROWS) {
            uint32_t n = win->len - 1 - p < PARE_LOGIT_ROWS ? win->len - 1 - p : PARE_LOGIT_ROWS;
            uint64_t row = (uint64_t)i * win->len + p;
            if (m->base != NULL)
                PARE_FORWARD(pare_head_logits(m->base->m, xb + row * db, n, lb, m->base->work, NULL, m->walk->job, diag));
            PARE_FORWARD(pare_head_logits(m->walk->m, x + row * d, n, lx, m->walk->work, NULL, m->walk->job, diag));
            for (uint32_t k = 0; k < n; k++) {
                struct pare_score s;
                pare_score_row(&s, vk, m->base != NULL ? lb + k * v : NULL, lx + k * v, (uint32_t)v, win->ids[row + k + 1], tmp);
                if (s.nll - s.nll != 0 || s.kld - s.kld != 0)
                    PARE_FAIL(diag, PARE_E_CORRUPT, "the logits of token %llu of window %u are not finite: the model is damaged",
                              (unsigned long long)(p + k), i);
                pare_tally_add(tally, &s, true);
                if (sums != NULL) pare_window_add(&sums[i], &s);
            }
            PARE_FORWARD(pare_job_check(m->walk->job, diag));
        }
    }
    return PARE_OK;
}

static int run_group(const struct pare_measure *m, const struct pare_windows *win, float *xb, float *x, float *logits,
                     struct pare_window_sum *sums, struct pare_tally *tally, struct pare_diag *diag)
{
    uint32_t n = pare_model_info_of(m->walk->m)->n_units;
    int      rc;

    PARE_FORWARD(pare_walk_units(m->walk, 0, n - 1, win, x, NULL, diag));
    if (m->base != NULL)
        PARE_FORWARD(pare_walk_units(m->base, 0, pare_model_info_of(m->base->m)->n_units - 1, win, xb, NULL, diag));
    PARE_FORWARD(pare_walk_enter(m->walk, n - 1, diag));
    if (m->base != NULL) PARE_FORWARD(pare_walk_enter(m->base, pare_model_info_of(m->base->m)->n_units - 1, diag));
    rc = score_group(m, win, xb, x, logits, sums, tally, diag);
    pare_walk_leave(m->walk, n - 1);
    if (m->base != NULL) pare_walk_leave(m->base, pare_model_info_of(m->base->m)->n_units - 1);
    return rc;
}

int pare_measure_run(const struct pare_measure *m, struct pare_tally *tally, struct pare_diag *diag)
{
    const struct pare_model_info *info = pare_model_info_of(m->walk->m);
    uint64_t d = info->n_embd, db = m->base != NULL ? pare_model_info_of(m->base->m)->n_embd : 0;
    uint32_t group = (uint32_t)(m->max_rows / m->win->len);
    float   *x, *xb = NULL, *logits;
    int      rc = PARE_OK;

    PARE_FAIL_IF(diag, m->base != NULL && pare_model_info_of(m->base->m)->n_vocab != info->n_vocab, PARE_E_USAGE,
                 "the base has %u tokens in its vocabulary, the model %u: not the same model",
                 pare_model_info_of(m->base->m)->n_vocab, info->n_vocab);
    if (group < 1) group = 1;
    if (group > m->win->n) group = m->win->n;
    x = pare_aligned((uint64_t)group * m->win->len * d * sizeof *x);
    if (db != 0) xb = pare_aligned((uint64_t)group * m->win->len * db * sizeof *xb);
    logits = pare_aligned((2 * PARE_LOGIT_ROWS + 1ull) * info->n_vocab * sizeof *logits);
    if (x == NULL || (db != 0 && xb == NULL) || logits == NULL) rc = PARE_NOMEM(diag);
    pare_job_progress(m->walk->job, m->phase, 0, NULL);
    for (uint32_t w = 0; w < m->win->n && rc == PARE_OK; w += group) {
        uint32_t            n = m->win->n - w < group ? m->win->n - w : group;
        struct pare_windows part = { m->win->ids + (uint64_t)w * m->win->len, n, m->win->len };
        rc = run_group(m, &part, xb, x, logits, m->sums != NULL ? m->sums + w : NULL, tally, diag);
        pare_job_progress(m->walk->job, m->phase, (double)(w + n) / m->win->n, NULL);
    }
    pare_aligned_free(x);
    pare_aligned_free(xb);
    pare_aligned_free(logits);
    return rc;
}
