/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/sense.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"

/* Errors are injected with these types. The first stands in the middle (on a log scale) of what budgets choose and well above f32
 * noise; the second shows how the answer bends for coarse errors. Bending differs little between tensors, so it is measured on every
 * BEND_STEP-th unit and the mean exponent serves all. */
static const enum pare_type probes[PARE_SENSE_POINTS] = { PARE_PQ3, PARE_PQ2 };
#define BEND_STEP 5

/* A linear (or table) whose weights are replaced for a while. */
struct swap {
    struct pare_target *t;
    uint8_t            *rows;     /* encoded, bound order */
    uint64_t            row_bytes;
    struct pare_linear  saved, fake;
    struct pare_weight  saved_weight;
    const struct pare_fold *saved_fold;
    double              err;      /* relative weighted error of what was injected */
};

#define CHUNK_FLOATS (1u << 18)

/* Encodes the whole tensor and measures the error on the way. */
static int make_swap(struct swap *s, struct pare_target *t, const struct pare_dtype *type, struct pare_walk *w,
                     struct pare_diag *diag)
{
    uint64_t step = CHUNK_FLOATS / t->cols + 1;
    double   err = 0, norm = 0;
    float   *tmp, *back;
    int      rc = PARE_OK;

    memset(s, 0, sizeof *s);
    s->t = t;
    (void)pare_dtype_row_bytes(type, t->cols, &s->row_bytes);
    s->rows = pare_aligned(s->row_bytes * t->rows);
    tmp = pare_alloc_array(step * t->cols, sizeof *tmp);
    back = pare_alloc_array(t->cols, sizeof *back);
    if (s->rows == NULL || tmp == NULL || back == NULL) rc = PARE_NOMEM(diag);
    for (uint64_t r = 0; r < t->rows && rc == PARE_OK; r += step) {
        uint64_t n = t->rows - r < step ? t->rows - r : step;
        rc = pare_target_encode(t, type, r, n, false, s->rows + r * s->row_bytes, tmp, w->job, diag);
        for (uint64_t i = 0; i < n && rc == PARE_OK; i++) {
            type->decode(back, s->rows + (r + i) * s->row_bytes, t->cols);
            pare_weighted_error(tmp + i * t->cols, back, t->importance, t->cols, &err, &norm);
        }
        pare_checkpoint_advise(t->slot->weight.ckpt, t->slot->weight.tensor, PARE_DONTNEED);
    }
    s->err = norm > 0 ? err / norm : 0;
    pare_free(tmp);
    pare_free(back);
    if (rc < 0) {
        pare_aligned_free(s->rows);
        s->rows = NULL;
    }
    return rc;
}

static int swap_in(struct swap *s, const struct pare_dtype *type, bool linear, bool table, struct pare_walk *w,
                   struct pare_diag *diag)
{
    if (linear) {
        s->saved = *s->t->slot->lin;
        PARE_FORWARD(pare_linear_bind(&s->fake, type, s->rows, s->row_bytes, s->t->rows, s->t->cols, PARE_ACT_F32, w->job, diag));
        s->fake.bias = s->saved.bias;
        *s->t->slot->lin = s->fake;
    }
    if (table) {
        struct pare_weight *wt = &s->t->table->weight;
        s->saved_weight = *wt;
        s->saved_fold = s->t->table->fold;
        s->t->table->fold = NULL; /* the encoded rows have it in them */
        wt->type = type;
        wt->data = s->rows;
        wt->row_bytes = s->row_bytes;
        wt->foreign = NULL;
        wt->panels.data = NULL;
    }
    return PARE_OK;
}

static void swap_out(struct swap *s, bool linear, bool table)
{
    if (linear) {
        struct pare_linear now = *s->t->slot->lin;
        *s->t->slot->lin = s->saved;
        now.bias = NULL;
        pare_linear_free(&now);
        memset(&s->fake, 0, sizeof s->fake);
    }
    if (!table) return;
    s->t->table->weight = s->saved_weight;
    s->t->table->fold = s->saved_fold;
}

static void free_swap(struct swap *s)
{
    pare_aligned_free(s->rows);
    s->rows = NULL;
}

static void exchange(struct pare_linear *slot, struct pare_linear *held)
{
    struct pare_linear t = *slot;

    *slot = *held;
    *held = t;
}

int pare_head_divergence(const struct pare_head_pair *p, const struct pare_windows *win, const float *base, const float *x,
                         uint32_t n_variants, double *out, struct pare_tally *tally, struct pare_diag *diag)
{
    struct pare_walk             *w = p->w, *second = p->other == NULL ? p->w : p->other;
    const struct pare_model_info *info = pare_model_info_of(w->m);
    const struct pare_vec        *vk = pare_vec_for(w->job->tier);
    uint64_t rows = (uint64_t)win->n * win->len, d = info->n_embd, v = info->n_vocab;
    float   *lb = pare_aligned((2 * PARE_LOGIT_ROWS + 1) * v * sizeof *lb), *lx, *tmp;
    int      rc = lb == NULL ? PARE_NOMEM(diag) : PARE_OK;

    lx = lb == NULL ? NULL : lb + PARE_LOGIT_ROWS * v;
    tmp = lb == NULL ? NULL : lx + PARE_LOGIT_ROWS * v;
    for (uint32_t k = 0; k < n_variants; k++) out[k] = 0;
    for (uint64_t r = 0; r < rows && rc == PARE_OK; r += PARE_LOGIT_ROWS) {
        uint32_t           n = rows - r < PARE_LOGIT_ROWS ? (uint32_t)(rows - r) : PARE_LOGIT_ROWS;
        struct pare_linear held;
        rc = pare_head_logits(w->m, base + r * d, n, lb, w->work, NULL, w->job, diag);
        if (p->slot != NULL) {
            held = *p->alt;
            exchange(p->slot, &held);
        }
        for (uint32_t k = 0; k < n_variants && rc == PARE_OK; k++) {
            rc = pare_head_logits(second->m, x + (k * rows + r) * d, n, lx, second->work, NULL, w->job, diag);
            for (uint32_t i = 0; i < n && rc == PARE_OK; i++) {
                struct pare_score s;
                bool              has = (r + i) % win->len + 1 < win->len;
                pare_score_row(&s, vk, lb + i * v, lx + i * v, (uint32_t)v, has ? win->ids[r + i + 1] : -1, tmp);
                out[k] += s.kld / (double)rows;
                if (tally != NULL) pare_tally_add(tally, &s, has);
            }
        }
        if (p->slot != NULL) exchange(p->slot, &held);
        if (rc == PARE_OK) rc = pare_job_check(w->job, diag);
    }
    pare_aligned_free(lb);
    return rc;
}

/* The same windows n times over: variants run as more windows. */
static int repeat_windows(struct pare_windows *out, const struct pare_windows *win, uint32_t n, struct pare_diag *diag)
{
    uint64_t one = (uint64_t)win->n * win->len;

    out->len = win->len;
    out->n = win->n * n;
    out->ids = pare_alloc_array(one * n, sizeof *out->ids);
    if (out->ids == NULL) return PARE_NOMEM(diag);
    for (uint32_t k = 0; k < n; k++) memcpy(out->ids + k * one, win->ids, one * sizeof *out->ids);
    return PARE_OK;
}

struct sense {
    struct pare_targets       *ts;
    struct pare_walk          *w;
    const struct pare_windows *win;
    float                     *base;   /* residual rows before the current unit */
    float                     *last;   /* residual rows after the last layer */
    float                     *var;    /* [max_variants] blocks of rows */
    uint32_t                   max_variants;
    uint64_t                   rows, d;
};

/* Measures up to max_variants targets of one unit at one probe: perturbed unit, then all variants through the rest. */
static int measure(struct sense *s, uint32_t unit, struct pare_target **t, uint32_t n, int point, struct pare_diag *diag)
{
    const struct pare_dtype *type = pare_dtype_of(probes[point]);
    uint32_t            n_units = pare_model_info_of(s->w->m)->n_units;
    struct pare_windows many = { 0 };
    double              kld[64];
    int                 rc = PARE_OK;

    for (uint32_t k = 0; k < n && rc == PARE_OK; k++) {
        float      *x = s->var + k * s->rows * s->d;
        struct swap sw;
        if ((rc = make_swap(&sw, t[k], type, s->w, diag)) < 0) break;
        memcpy(x, s->base, s->rows * s->d * sizeof *x);
        rc = swap_in(&sw, type, true, false, s->w, diag);
        if (rc == PARE_OK) {
            rc = pare_walk_unit(s->w, unit, s->win, x, NULL, diag);
            swap_out(&sw, true, false);
        }
        free_swap(&sw);
        t[k]->point_err[point] = sw.err;
    }
    if (rc == PARE_OK) rc = repeat_windows(&many, s->win, n, diag);
    if (rc == PARE_OK) rc = pare_walk_units(s->w, unit + 1, n_units - 1, &many, s->var, NULL, diag);
    if (rc == PARE_OK) rc = pare_walk_enter(s->w, n_units - 1, diag);
    if (rc == PARE_OK) rc = pare_head_divergence(&(struct pare_head_pair){ .w = s->w }, s->win, s->last, s->var, n, kld, NULL, diag);
    pare_walk_leave(s->w, n_units - 1);
    for (uint32_t k = 0; k < n && rc == PARE_OK; k++) {
        t[k]->point_kld[point] = kld[k];
        t[k]->n_points = (uint32_t)point + 1;
    }
    pare_free(many.ids);
    return rc;
}

/* A head and a table (tied or not): a full walk each. */
static int measure_ends(struct sense *s, struct pare_target *t, int point, struct pare_diag *diag)
{
    const struct pare_dtype *type = pare_dtype_of(probes[point]);
    uint32_t    n_units = pare_model_info_of(s->w->m)->n_units;
    bool        table = t->table != NULL, linear = t->multiplied;
    struct swap sw;
    double      kld = 0, looked_up = 0;
    int         rc = make_swap(&sw, t, type, s->w, diag);

    if (rc < 0) return rc;
    t->point_err[point] = sw.err;
    memcpy(s->var, s->last, s->rows * s->d * sizeof *s->var);
    if (table) {
        rc = swap_in(&sw, type, false, true, s->w, diag);
        if (rc == PARE_OK) rc = pare_walk_units(s->w, 0, n_units - 1, s->win, s->var, NULL, diag);
        swap_out(&sw, false, true);
    }
    if (rc == PARE_OK) rc = pare_walk_enter(s->w, n_units - 1, diag);
    if (rc == PARE_OK) {
        struct pare_head_pair p = { .w = s->w };
        if (linear && table && point == 0) rc = pare_head_divergence(&p, s->win, s->last, s->var, 1, &looked_up, NULL, diag);
        if (rc == PARE_OK && linear) {
            rc = pare_linear_bind(&sw.fake, type, sw.rows, sw.row_bytes, t->rows, t->cols, PARE_ACT_F32, s->w->job, diag);
            sw.fake.bias = t->slot->lin->bias;
            p.slot = t->slot->lin;
            p.alt = &sw.fake;
        }
        if (rc == PARE_OK) rc = pare_head_divergence(&p, s->win, s->last, s->var, 1, &kld, NULL, diag);
        sw.fake.bias = NULL;
        pare_linear_free(&sw.fake);
    }
    pare_walk_leave(s->w, n_units - 1);
    free_swap(&sw);
    t->point_kld[point] = kld;
    t->n_points = (uint32_t)point + 1;
    if (linear && table && point == 0 && kld > 0) t->lookup = looked_up < kld ? looked_up / kld : 1;
    return rc;
}

static uint32_t targets_of_unit(struct pare_targets *ts, uint32_t unit, struct pare_target **out, uint32_t max)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < ts->n && n < max; i++)
        if (ts->t[i].unit == unit && ts->t[i].multiplied && ts->t[i].table == NULL) out[n++] = &ts->t[i];
    return n;
}

static int sense_layers(struct sense *s, struct pare_diag *diag)
{
    uint32_t n_units = pare_model_info_of(s->w->m)->n_units;
    int      rc = PARE_OK;

    for (uint32_t u = 0; u + 1 < n_units && rc == PARE_OK; u++) {
        struct pare_target *t[64];
        uint32_t            n = u == 0 ? 0 : targets_of_unit(s->ts, u, t, 64);
        rc = pare_walk_enter(s->w, u, diag);
        for (int p = 0; p < (u % BEND_STEP == 1 ? 2 : 1) && rc == PARE_OK; p++)
            for (uint32_t k = 0; k < n && rc == PARE_OK; k += s->max_variants) {
                rc = measure(s, u, t + k, n - k < s->max_variants ? n - k : s->max_variants, p, diag);
                if (rc == PARE_OK) rc = pare_walk_enter(s->w, u, diag);
            }
        if (rc == PARE_OK) rc = pare_walk_unit(s->w, u, s->win, s->base, NULL, diag);
        pare_walk_leave(s->w, u);
        pare_job_progress(s->w->job, "sense", (u + 1.0) / n_units, NULL);
    }
    return rc;
}

/* The exponent between the two probes: a tensor's own where both were measured, the mean of those (in log) elsewhere. Our own
 * logarithm: plans must not depend on the C library. */
static void bend(struct pare_targets *ts)
{
    double   sum = 0, mean;
    uint32_t n = 0;

    for (uint32_t i = 0; i < ts->n; i++) {
        struct pare_target *t = &ts->t[i];
        double re, rk;
        if (t->n_points < 2 || !(t->point_err[1] > t->point_err[0]) || !(t->point_kld[0] > 0) || !(t->point_kld[1] > 0)) continue;
        re = pare_log(t->point_err[1] / t->point_err[0]);
        rk = pare_log(t->point_kld[1] / t->point_kld[0]);
        t->bend = rk / re;
        if (t->bend < 0.6) t->bend = 0.6;
        if (t->bend > 1.8) t->bend = 1.8;
        sum += t->bend;
        n++;
    }
    mean = n == 0 ? 1 : sum / n;
    for (uint32_t i = 0; i < ts->n; i++)
        if (!(ts->t[i].bend > 0)) ts->t[i].bend = mean;
}

int pare_sense(struct pare_targets *ts, struct pare_walk *w, const struct pare_windows *win, uint64_t max_rows,
               struct pare_diag *diag)
{
    const struct pare_model_info *info = pare_model_info_of(w->m);
    struct sense s = { ts, w, win, NULL, NULL, NULL, 1, (uint64_t)win->n * win->len, info->n_embd };
    int          rc;

    for (uint32_t u = 1; u + 1 < info->n_units; u++) { /* no more blocks than a unit has targets */
        struct pare_target *t[64];
        uint32_t            n = targets_of_unit(ts, u, t, 64);
        if (n > s.max_variants) s.max_variants = n;
    }
    if (s.max_variants > max_rows / s.rows) s.max_variants = (uint32_t)(max_rows / s.rows);
    if (s.max_variants < 1) s.max_variants = 1;
    s.base = pare_aligned(s.rows * s.d * sizeof(float));
    s.last = pare_aligned(s.rows * s.d * sizeof(float));
    s.var = pare_aligned(s.max_variants * s.rows * s.d * sizeof(float));
    rc = s.base == NULL || s.last == NULL || s.var == NULL ? PARE_NOMEM(diag) : PARE_OK;
    pare_job_progress(w->job, "sense", 0, NULL);
    if (rc == PARE_OK) rc = pare_walk_units(w, 0, info->n_units - 1, win, s.last, NULL, diag);
    if (rc == PARE_OK) rc = sense_layers(&s, diag);
    for (uint32_t i = 0; i < ts->n && rc == PARE_OK; i++) {
        struct pare_target *t = &ts->t[i];
        if (t->n_points != 0) continue;
        for (int p = 0; p < PARE_SENSE_POINTS && rc == PARE_OK; p++) rc = measure_ends(&s, t, p, diag);
    }
    if (rc == PARE_OK) bend(ts);
    pare_aligned_free(s.base);
    pare_aligned_free(s.last);
    pare_aligned_free(s.var);
    return rc;
}

double pare_sense_loss(const struct pare_target *t, double err)
{
    double e0 = t->point_err[0], k0 = t->point_kld[0];

    if (err <= 0 || t->n_points < 1 || !(e0 > 0) || !(k0 > 0)) return 0;
    if (err <= e0) return k0 / e0 * err;
    return k0 * pare_pow(err / e0, t->bend > 0 ? t->bend : 1);
}
