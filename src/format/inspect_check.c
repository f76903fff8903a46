/* SPDX-License-Identifier: Apache-2.0 */
#include "format/inspect_check.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/status.h"
#include "format/checkpoint_private.h"

#define PIECE 16384u  /* values of a row that are decoded at a time at least; a row is never divided */
#define ROUND 4096u   /* chunks between two looks at the cancel flag and at the size of the file */

struct scan {
    const struct pare_weight *w;
    uint64_t                  row0, rows, rows_per_chunk;
    float                    *buf;      /* [workers, rows_per_chunk * cols] */
    _Atomic uint64_t          nan, inf;
};

/* Counts are sums of whole numbers, so the order in which threads add them does not show. */
static void scan_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    struct scan *s = ctx;
    uint64_t     first = chunk * s->rows_per_chunk, n = s->rows_per_chunk, nan = 0, inf = 0;
    float       *v = s->buf + worker * s->rows_per_chunk * s->w->cols;

    if (n > s->rows - first) n = s->rows - first;
    for (uint64_t r = 0; r < n; r++)
        pare_weight_decode(s->w, s->row0 + first + r, v + r * s->w->cols);
    for (uint64_t i = 0; i < n * s->w->cols; i++) {
        nan += isnan(v[i]) != 0;
        inf += isinf(v[i]) != 0;
    }
    if (nan != 0) atomic_fetch_add(&s->nan, nan);
    if (inf != 0) atomic_fetch_add(&s->inf, inf);
}

/* f64 is looked at as what it is: large values are infinite only after rounding to f32. */
static void scan_f64(struct scan *s)
{
    for (uint64_t i = 0; i < s->w->rows * s->w->cols; i++) {
        double v;

        memcpy(&v, s->w->data + 8 * i, sizeof v);
        if (isnan(v)) s->nan++;
        if (isinf(v)) s->inf++;
    }
}

/* Whole numbers cannot be bad, but the scales of a packed weight can: they are floating tensors of their own in the list. */
static bool can_be_bad(const struct pare_dtype *t) { return (t->caps & (PARE_DT_FLOAT | PARE_DT_QUANT)) != 0 && t->decode != NULL; }

static int scan_tensor(struct scan *s, const struct pare_weight *w, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_team *team = job == NULL ? NULL : job->team;
    uint32_t          workers = team == NULL ? 1 : pare_team_size(team);

    s->w = w;
    s->nan = s->inf = 0;
    if (w->rows == 0 || w->cols == 0 || !can_be_bad(w->type)) return PARE_OK;
    if (w->data == NULL && w->panels.data == NULL) return PARE_OK; /* the placeholder of a weight that is nothing but parts */
    if (w->type->type == PARE_F64) {
        scan_f64(s);
        return PARE_OK;
    }
    s->rows_per_chunk = w->cols >= PIECE ? 1 : PIECE / w->cols;
    if (s->rows_per_chunk > w->rows) s->rows_per_chunk = w->rows;
    s->buf = pare_alloc_array((size_t)(workers * s->rows_per_chunk), (size_t)(w->cols * sizeof(float)));
    if (s->buf == NULL) return PARE_NOMEM(diag);
    for (s->row0 = 0; s->row0 < w->rows; s->row0 += s->rows) {
        int rc = job == NULL ? PARE_OK : pare_job_check(job, diag);

        if (rc == PARE_OK) rc = pare_map_check(&w->ckpt->maps[w->tensor->file], diag);
        if (rc < 0) {
            pare_free(s->buf);
            return rc;
        }
        s->rows = w->rows - s->row0;
        if (s->rows / s->rows_per_chunk > ROUND) s->rows = s->rows_per_chunk * ROUND;
        pare_team_run(team, (uint32_t)((s->rows + s->rows_per_chunk - 1) / s->rows_per_chunk), scan_chunk, s);
    }
    pare_free(s->buf);
    return PARE_OK;
}

int pare_check_data(json_t **out, const struct pare_checkpoint *c, struct pare_job *job, struct pare_diag *diag)
{
    json_t     *bad = json_array();
    uint64_t    nan = 0, inf = 0;
    struct scan s = { 0 };

    *out = NULL;
    if (bad == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        const struct pare_tensor *t = &c->tensors[i];
        struct pare_weight        w;
        int                       rc = pare_weight_of(&w, c, t, diag);

        if (rc == PARE_OK) rc = scan_tensor(&s, &w, job, diag);

        if (rc < 0) {
            pare_diag_where(diag, t->name);
            json_decref(bad);
            return rc;
        }
        pare_checkpoint_advise(c, t, PARE_DONTNEED);
        nan += s.nan;
        inf += s.inf;
        if (s.nan + s.inf != 0) json_array_append_new(bad, json_string(t->name));
        if (job != NULL) pare_job_progress(job, "check", (double)(i + 1) / (double)c->n_tensors, NULL);
    }
    *out = json_pack("{s:I, s:I, s:o}", "nan", (json_int_t)nan, "inf", (json_int_t)inf, "bad_tensors", bad);
    return *out == NULL ? PARE_NOMEM(diag) : PARE_OK;
}
