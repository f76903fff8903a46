/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/cost.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "compress/cost_sample.h"
#include "compress/sense.h"
#include "kernel/enc_tiers.h"

#define SAMPLE_MIN 48
#define SAMPLE_MAX 256
#define SAMPLE_SLOW 64 /* of them, for types that take long */

struct error_job {
    const struct pare_target *t;
    const float              *rows;   /* [n][cols] */
    double                   *err, *norm; /* [n_cand][n] */
    uint8_t                  *code;   /* [threads][row bytes] */
    float                    *back;   /* [threads][cols] */
    uint64_t                  n, code_bytes;
    const struct pare_enc_wide *wide;
};

/* One chunk: one candidate of one sampled row. Sums are kept apart and added in order, so threads change no bit. */
static void one_error(void *ctx, uint32_t chunk, uint32_t worker)
{
    struct error_job        *e = ctx;
    const struct pare_dtype *type = e->t->cand[chunk / e->n].type;
    uint64_t                 r = chunk % e->n, cols = e->t->cols;
    uint8_t                 *code = e->code + worker * e->code_bytes;
    float                   *back = e->back + worker * cols;

    if (type->encode == NULL || !(type->caps & PARE_DT_QUANT)) return; /* the source as it is: no error */
    if (e->t->cand[chunk / e->n].fed) return;
    if (type == e->t->slot->weight.type && e->t->slot->fold == NULL && (e->t->slot->weight.parts == NULL || e->t->cand[chunk / e->n].maker != NULL)) return;
    if ((type->caps & PARE_DT_SLOW) && r % ((e->n + SAMPLE_SLOW - 1) / SAMPLE_SLOW) != 0) return;
    pare_enc_use(e->wide);
    type->encode(code, e->rows + r * cols, cols, e->t->importance);
    type->decode(back, code, cols);
    pare_weighted_error(e->rows + r * cols, back, e->t->importance, cols, &e->err[chunk], &e->norm[chunk]);
}

uint64_t pare_sample_count(const struct pare_target *t)
{
    uint64_t n = t->rows / 8;

    n = n < SAMPLE_MIN ? SAMPLE_MIN : n > SAMPLE_MAX ? SAMPLE_MAX : n;
    return n > t->rows ? t->rows : n;
}

int pare_sample_rows(const struct pare_target *t, uint64_t n, float *rows, struct pare_diag *diag)
{
    uint64_t step = t->rows / n;

    for (uint64_t i = 0; i < n; i++) PARE_FORWARD(pare_slot_rows(t->slot, i * step, 1, rows + i * t->cols, diag));
    for (uint64_t i = 0; i < n * t->cols; i++)
        if (rows[i] - rows[i] != 0) {
            pare_diag_where(diag, t->slot->source);
            PARE_FAIL(diag, PARE_E_CORRUPT, "a weight of row %llu is not finite: the model is damaged",
                      (unsigned long long)(i / t->cols * step));
        }
    return PARE_OK;
}

static int target_errors(struct pare_target *t, struct pare_job *job, struct pare_diag *diag)
{
    uint32_t         threads = pare_team_size(job->team);
    uint64_t         n = pare_sample_count(t);
    struct error_job e = { .t = t, .wide = pare_enc_wide_for(job->tier) };
    float           *rows;
    int              rc = PARE_OK;

    e.n = n;
    e.code_bytes = t->cols * 8 + 1024; /* above any row of any type */
    rows = pare_alloc_array(n * t->cols, sizeof *rows);
    e.err = pare_zalloc(n * t->n_cand, sizeof *e.err);
    e.norm = pare_zalloc(n * t->n_cand, sizeof *e.norm);
    e.code = pare_aligned(threads * e.code_bytes);
    e.back = pare_aligned(threads * t->cols * sizeof *e.back);
    if (rows == NULL || e.err == NULL || e.norm == NULL || e.code == NULL || e.back == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) rc = pare_sample_rows(t, n, rows, diag);
    if (rc == PARE_OK) {
        e.rows = rows;
        pare_team_run(job->team, (uint32_t)(n * t->n_cand), one_error, &e);
        for (uint32_t c = 0; c < t->n_cand; c++) {
            double err = 0, norm = 0;
            for (uint64_t i = 0; i < n; i++) {
                err += e.err[c * n + i];
                norm += e.norm[c * n + i];
            }
            if (!t->cand[c].fed) t->cand[c].err = norm > 0 ? err / norm : 0;
            t->cand[c].loss = pare_sense_loss(t, t->cand[c].err);
        }
    }
    pare_free(rows);
    pare_free(e.err);
    pare_free(e.norm);
    pare_aligned_free(e.code);
    pare_aligned_free(e.back);
    return rc;
}

int pare_cost_errors(struct pare_targets *ts, struct pare_job *job, struct pare_diag *diag)
{
    pare_job_progress(job, "cost", 0, NULL);
    for (uint32_t i = 0; i < ts->n; i++) {
        PARE_FORWARD(pare_job_check(job, diag));
        PARE_FORWARD(target_errors(&ts->t[i], job, diag));
        pare_checkpoint_advise(ts->t[i].slot->weight.ckpt, ts->t[i].slot->weight.tensor, PARE_DONTNEED);
        pare_job_progress(job, "cost", (i + 1.0) / ts->n, ts->t[i].name);
    }
    return PARE_OK;
}

/* Enough copies that a round of them does not stay in the caches that a model of real size would not fit. */
#define COLD_BYTES (48u << 20)
#define PREFILL_ROWS 128

struct timing { double decode_s, prefill_s; };

static double best_of(const struct pare_linear *l, uint32_t copies, const float *x, float *y, uint32_t n, void *scratch,
                      struct pare_job *job)
{
    double best = 1e30;

    for (int round = 0; round < 3; round++) {
        double t0 = pare_now();
        for (uint32_t c = 0; c < copies; c++) {
            struct pare_linear_out o = { &l[c], y, l[c].rows };
            pare_linear_apply(&o, 1, x, l[c].cols, n, scratch, job);
        }
        t0 = (pare_now() - t0) / copies;
        if (t0 < best) best = t0;
    }
    return best;
}

static int time_shape(const struct pare_dtype *type, uint64_t rows, uint64_t cols, struct timing *out, struct pare_job *job,
                      struct pare_diag *diag)
{
    uint64_t row_bytes, bytes;
    uint32_t copies;
    struct pare_linear *l;
    uint8_t *data = NULL;
    float   *x = NULL, *y = NULL;
    void    *scratch = NULL;
    int      rc = PARE_OK;

    (void)pare_dtype_row_bytes(type, cols, &row_bytes);
    bytes = row_bytes * rows;
    copies = (uint32_t)(COLD_BYTES / (bytes + 1)) + 1;
    if (copies > 64) copies = 64;
    l = pare_zalloc(copies, sizeof *l);
    data = pare_aligned(bytes);
    x = pare_aligned(PREFILL_ROWS * cols * sizeof *x);
    y = pare_aligned(PREFILL_ROWS * rows * sizeof *y);
    scratch = pare_aligned(pare_linear_scratch(PREFILL_ROWS, cols, pare_team_size(job->team), false));
    if (l == NULL || data == NULL || x == NULL || y == NULL || scratch == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) {
        /* Zero weights take the same time as any others, and no type has a trap in them. */
        memset(data, 0, bytes);
        for (uint64_t i = 0; i < PREFILL_ROWS * cols; i++) x[i] = pare_rng_f32(1, PARE_RNG_SYNTH, i) - 0.5f;
        for (uint32_t c = 0; c < copies && rc == PARE_OK; c++)
            rc = pare_linear_bind(&l[c], type, data, row_bytes, rows, cols, PARE_ACT_INT8, job, diag);
    }
    if (rc == PARE_OK) {
        out->decode_s = best_of(l, copies, x, y, 1, scratch, job);
        out->prefill_s = best_of(l, copies < 4 ? copies : 4, x, y, PREFILL_ROWS, scratch, job) / PREFILL_ROWS;
    }
    for (uint32_t c = 0; l != NULL && c < copies; c++) pare_linear_free(&l[c]);
    pare_free(l);
    pare_aligned_free(data);
    pare_aligned_free(x);
    pare_aligned_free(y);
    pare_aligned_free(scratch);
    return rc;
}

int pare_cost_times(struct pare_targets *ts, struct pare_job *job, struct pare_diag *diag)
{
    for (uint32_t i = 0; i < ts->n; i++) {
        struct pare_target *t = &ts->t[i];
        if (!t->multiplied) continue;
        for (uint32_t c = 0; c < t->n_cand; c++) {
            struct timing tm = { 0 };
            uint32_t      j, k = 0;
            PARE_FORWARD(pare_job_check(job, diag));
            for (j = 0; j < i; j++) { /* the same type on the same shape was measured before */
                const struct pare_target *o = &ts->t[j];
                if (!o->multiplied || o->rows != t->rows || o->cols != t->cols) continue;
                for (k = 0; k < o->n_cand && o->cand[k].type != t->cand[c].type; k++) {}
                if (k < o->n_cand) break;
            }
            if (j < i)
                tm = (struct timing){ ts->t[j].cand[k].decode_s, ts->t[j].cand[k].prefill_s };
            else
                PARE_FORWARD(time_shape(t->cand[c].type, t->rows, t->cols, &tm, job, diag));
            t->cand[c].decode_s = tm.decode_s;
            t->cand[c].prefill_s = tm.prefill_s;
        }
        pare_job_progress(job, "time", (i + 1.0) / ts->n, t->name);
    }
    return PARE_OK;
}
