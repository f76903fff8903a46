/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/fold_awq.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "compress/method.h"
#include "kernel/vec.h"

static const struct pare_method_option awq_options[] = {
    { "grid", "int", "1 .. 100", "20", "exponents tried" },
    { "loss", "name", "module, linear", "module", "whose output's error decides" },
};
const struct pare_method pare_method_awq = {
    .id = "awq", .module = "compress/fold_awq", .title = "Input channels scaled by a power of their size, the inverse folded into what makes them.",
    .source = "AWQ, arXiv 2306.00978", .stage = PARE_STAGE_ROUND, .guarantee = "bounded", .neutral = "grid = 1: exponent 0 only, bit for bit",
    .tested = "tests/method/test_folds.c",
    .acceptance = "Scales alone change no logit by more than 1e-4 of the largest; at 3 and 4 bits, groups of 128 with a zero point, divergence "
                  "and perplexity of scales and clipping are below those of rounding to nearest; with some channels 30 times larger scales alone "
                  "halve the divergence; the calibration loss is not above that of exponent 0.",
    .measured = "demo-llama: divergence at 4 bits 0.0237 instead of 0.0326, at 3 bits 0.0997 instead of 0.1693; with large channels, scales alone, "
                "0.0429 instead of 0.2723; logits change by 6e-7. Without large channels scales alone gain nothing here (4 bits: 0.0369), clipping does.", PARE_OPTIONS(awq_options),
};

#define CHUNK 16 /* rows a thread takes at once */

struct loss_job {
    const float  *w, *x;
    const double *s;
    uint64_t      rows, cols;
    uint32_t      n;
    pare_round_fn round;
    const void   *ctx;
    const struct pare_vec *vk;
    float        *scratch;  /* [workers][CHUNK * (cols + n)] */
    double       *sum;      /* [chunks] */
};

/* e = round(w s) / s - w for some rows, then its products with the sample. */
static void loss_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    struct loss_job *j = ctx;
    uint64_t         from = (uint64_t)chunk * CHUNK, n = j->rows - from < CHUNK ? j->rows - from : CHUNK;
    float           *e = j->scratch + (uint64_t)worker * CHUNK * (j->cols + j->n), *y = e + CHUNK * j->cols;
    double           sum = 0;

    for (uint64_t r = 0; r < n; r++) {
        const float *w = j->w + (from + r) * j->cols;
        float       *o = e + r * j->cols;

        for (uint64_t c = 0; c < j->cols; c++) o[c] = j->s == NULL ? w[c] : (float)((double)w[c] * j->s[c]);
        j->round(j->ctx, o, j->cols);
        for (uint64_t c = 0; c < j->cols; c++) o[c] = (j->s == NULL ? o[c] : (float)((double)o[c] / j->s[c])) - w[c];
    }
    j->vk->gemm_f32(y, CHUNK, e, j->cols * sizeof *e, j->x, j->cols, j->cols, 0, n, j->n);
    for (uint32_t t = 0; t < j->n; t++)
        for (uint64_t r = 0; r < n; r++) sum += (double)y[t * CHUNK + r] * (double)y[t * CHUNK + r];
    j->sum[chunk] = sum;
}

int pare_awq_loss(const float *w, uint64_t rows, uint64_t cols, const double *s, const float *x, uint32_t n, pare_round_fn round,
                  const void *ctx, struct pare_job *job, double *loss, struct pare_diag *diag)
{
    uint32_t        chunks = (uint32_t)((rows + CHUNK - 1) / CHUNK);
    struct loss_job j = { .w = w, .x = x, .s = s, .rows = rows, .cols = cols, .n = n, .round = round, .ctx = ctx, .vk = pare_vec_for(job->tier) };
    int             rc = PARE_OK;

    j.scratch = pare_aligned(pare_team_size(job->team) * CHUNK * (cols + n) * sizeof *j.scratch);
    j.sum = pare_zalloc(chunks, sizeof *j.sum);
    if (j.scratch == NULL || j.sum == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) pare_team_run(job->team, chunks, loss_chunk, &j);
    *loss = 0;
    for (uint32_t i = 0; rc == PARE_OK && i < chunks; i++) *loss += j.sum[i];
    *loss /= (double)rows * n;
    pare_aligned_free(j.scratch);
    pare_free(j.sum);
    return rc;
}

/* --- the loss of a module: the layer run with all readers of the site rounded --------------------------------------------------- */

struct search {
    const struct pare_fold_layer   *l;
    const struct pare_awq_settings *set;
    const struct pare_site         *x;
    const double                   *mean;    /* [own] mean |x| of a channel */
    double                         *s, *wide; /* [own], [width] */
    float                          *w[PARE_SITE_TO]; /* readers' rows; linear loss: those it looks at */
    uint64_t                        rows[PARE_SITE_TO];
    /* module */
    struct pare_windows             win;
    float                          *base, *now;  /* [rows][n_embd] the layer's output; or its input of the output projection */
    float                          *att, *att_now; /* [rows][o->cols] */
    uint64_t                        at;
    struct pare_slot               *o;           /* attention: the projection behind it, NULL: the layer's output decides */
    float                          *wo;
};

struct round_job { struct search *q; float *dst; uint32_t i; };

static void round_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    struct round_job *j = ctx;
    uint64_t          cols = j->q->x->to[j->i]->cols, to = ((uint64_t)chunk + 1) * CHUNK;
    const double     *s = j->q->wide;

    (void)worker;
    for (uint64_t r = (uint64_t)chunk * CHUNK; r < to && r < j->q->rows[j->i]; r++) {
        float       *o = j->dst + r * cols;
        const float *w = j->q->w[j->i] + r * cols;

        for (uint64_t c = 0; c < cols; c++) o[c] = (float)((double)w[c] * s[c]);
        j->q->set->round(j->q->set->ctx, o, cols);
        for (uint64_t c = 0; c < cols; c++) o[c] = (float)((double)o[c] / s[c]);
    }
}

static void see_attention(void *user, const struct pare_unit *u, const struct pare_slot *s, const float *x, uint64_t ldx, uint32_t n)
{
    struct search *q = user;

    (void)u;
    if (s != q->o) return;
    for (uint32_t r = 0; r < n; r++, q->at++) memcpy(q->att_now + q->at * s->cols, x + r * ldx, s->cols * sizeof *x);
}

/* The layer on the windows, into q->now (and q->att_now). */
static int run_layer(struct search *q, struct pare_diag *diag)
{
    uint64_t             d = pare_model_info_of(q->l->w->m)->n_embd, rows = (uint64_t)q->win.n * q->win.len;
    struct pare_observer obs = { see_attention, q };

    memcpy(q->now, q->l->x, rows * d * sizeof *q->now);
    q->at = 0;
    return pare_walk_unit(q->l->w, q->l->unit, &q->win, q->now, q->o != NULL ? &obs : NULL, diag);
}

static double square_distance(const float *a, const float *b, uint64_t n)
{
    double sum = 0;

    for (uint64_t i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

/* |W_o (a' - a)|^2 over the rows. */
static int projected(struct search *q, double *loss, struct pare_diag *diag)
{
    uint64_t rows = (uint64_t)q->win.n * q->win.len, cols = q->o->cols, d = q->o->rows;
    float   *y = pare_aligned(rows * d * sizeof *y);

    if (y == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < rows * cols; i++) q->att_now[i] -= q->att[i];
    pare_vec_for(q->l->w->job->tier)->gemm_f32(y, d, q->wo, cols * sizeof *q->wo, q->att_now, cols, cols, 0, d, (uint32_t)rows);
    *loss = 0;
    for (uint64_t i = 0; i < rows * d; i++) *loss += (double)y[i] * (double)y[i];
    *loss /= (double)(rows * d);
    pare_aligned_free(y);
    return PARE_OK;
}

static int module_loss(struct search *q, double *loss, struct pare_diag *diag)
{
    struct pare_linear saved[PARE_SITE_TO];
    float             *dense[PARE_SITE_TO] = { NULL };
    uint64_t           n = (uint64_t)q->win.n * q->win.len * pare_model_info_of(q->l->w->m)->n_embd;
    uint32_t           put = 0;
    int                rc = PARE_OK;

    for (uint32_t i = 0; i < q->x->n_to && rc == PARE_OK; i++) {
        struct pare_slot  *to = q->x->to[i];
        struct pare_linear lin = { 0 };
        struct round_job   j = { q, NULL, i };

        dense[i] = j.dst = pare_aligned(to->rows * to->cols * sizeof *dense[i]);
        if (dense[i] == NULL) rc = PARE_NOMEM(diag);
        if (rc == PARE_OK) pare_team_run(q->l->w->job->team, (uint32_t)((to->rows + CHUNK - 1) / CHUNK), round_chunk, &j);
        if (rc == PARE_OK)
            rc = pare_linear_bind(&lin, pare_dtype_of(PARE_F32), (const uint8_t *)dense[i], to->cols * sizeof *dense[i], to->rows, to->cols,
                                  PARE_ACT_F32, q->l->w->job, diag);
        if (rc < 0) break;
        saved[put++] = *to->lin;
        lin.bias = to->lin->bias;
        lin.input = to->lin->input;
        *to->lin = lin;
    }
    if (rc == PARE_OK) rc = run_layer(q, diag);
    for (uint32_t i = 0; i < put; i++) *q->x->to[i]->lin = saved[i];
    for (uint32_t i = 0; i < q->x->n_to; i++) pare_aligned_free(dense[i]);
    if (rc < 0) return rc;
    if (q->o != NULL) return projected(q, loss, diag);
    *loss = square_distance(q->now, q->base, n) / (double)n;
    return PARE_OK;
}

static int linear_loss(struct search *q, double *loss, struct pare_diag *diag)
{
    const struct pare_fold_sample *p = pare_fold_rows_of(q->l, q->x->to[0]);

    *loss = 0;
    for (uint32_t i = 0; i < q->x->n_to; i++) {
        double one;

        PARE_FORWARD(pare_awq_loss(q->w[i], q->rows[i], q->x->width, q->wide, p->x, p->n, q->set->round, q->set->ctx, q->l->w->job, &one, diag));
        *loss += one * (double)q->x->to[i]->rows;
    }
    return PARE_OK;
}

/* --- the search of one site ------------------------------------------------------------------------------------------------------ */

/* mean^exponent, not below 1e-4, with the geometric mean of the extremes at 1. */
static void make_scales(struct search *q, uint32_t i, uint32_t grid)
{
    double lo = 0, hi = 0, middle;

    for (uint64_t c = 0; c < q->x->own; c++) {
        double s = i == 0 ? 1 : q->mean[c] > 0 ? pare_pow(q->mean[c], (double)i / grid) : 0;

        s = s < 1e-4 ? 1e-4 : s;
        lo = c == 0 || s < lo ? s : lo;
        hi = c == 0 || s > hi ? s : hi;
        q->s[c] = s;
    }
    middle = sqrt(lo * hi);
    for (uint64_t c = 0; c < q->x->own; c++) q->s[c] /= middle;
    for (uint64_t c = 0; c < q->x->width; c++) q->wide[c] = q->s[c]; /* no shared heads here */
}

/* Rows that the loss looks at: every step-th. */
static int read_rows(struct search *q, bool all, struct pare_diag *diag)
{
    for (uint32_t i = 0; i < q->x->n_to; i++) {
        const struct pare_slot *s = q->x->to[i];
        uint64_t                most = all || q->set->max_rows == 0 ? s->rows : q->set->max_rows, step = (s->rows + most - 1) / most;

        q->rows[i] = (s->rows + step - 1) / step;
        q->w[i] = pare_aligned(q->rows[i] * s->cols * sizeof *q->w[i]);
        if (q->w[i] == NULL) return PARE_NOMEM(diag);
        if (step == 1) PARE_FORWARD(pare_slot_rows(s, 0, s->rows, q->w[i], diag));
        for (uint64_t r = 0; step > 1 && r < q->rows[i]; r++) PARE_FORWARD(pare_slot_rows(s, r * step, 1, q->w[i] + r * s->cols, diag));
    }
    return PARE_OK;
}

static struct pare_slot *behind_attention(const struct pare_fold_layer *l, const struct pare_site *x)
{
    struct pare_unit *u = pare_model_unit(l->w->m, l->unit);
    bool              attention = false, other = false;

    for (uint32_t i = 0; i < x->n_to; i++) {
        bool a = strncmp(x->to[i]->role, "attn_", 5) == 0;
        attention |= a;
        other |= !a;
    }
    if (!attention || other || x->kind != PARE_SITE_NORM) return NULL;
    for (uint32_t i = 0; i < u->n_slots; i++)
        if (u->slot[i].lin != NULL && strcmp(u->slot[i].role, "attn_output") == 0) return &u->slot[i];
    return NULL;
}

/* What the layer gives before anything is rounded, on as many whole windows as make some 512 rows. */
static int open_module(struct search *q, struct pare_diag *diag)
{
    uint64_t d = pare_model_info_of(q->l->w->m)->n_embd, rows;
    uint32_t most = q->set->tokens == 0 ? PARE_FOLD_TOKENS : q->set->tokens, n = (most + q->l->win->len - 1) / q->l->win->len;

    q->win = *q->l->win;
    if (n < q->win.n) q->win.n = n;
    rows = (uint64_t)q->win.n * q->win.len;
    q->o = behind_attention(q->l, q->x);
    q->base = pare_aligned(rows * d * sizeof *q->base);
    q->now = pare_aligned(rows * d * sizeof *q->now);
    if (q->base == NULL || q->now == NULL) return PARE_NOMEM(diag);
    if (q->o != NULL) {
        q->att = pare_aligned(rows * q->o->cols * sizeof *q->att);
        q->att_now = pare_aligned(rows * q->o->cols * sizeof *q->att_now);
        q->wo = pare_aligned(q->o->rows * q->o->cols * sizeof *q->wo);
        if (q->att == NULL || q->att_now == NULL || q->wo == NULL) return PARE_NOMEM(diag);
        PARE_FORWARD(pare_slot_rows(q->o, 0, q->o->rows, q->wo, diag));
    }
    PARE_FORWARD(run_layer(q, diag));
    memcpy(q->base, q->now, rows * d * sizeof *q->base);
    if (q->o != NULL) memcpy(q->att, q->att_now, rows * q->o->cols * sizeof *q->att);
    return PARE_OK;
}

struct state {
    const struct pare_awq_settings *set;
    struct pare_awq_report         *report;
    struct choice { const struct pare_site *x; uint32_t i; double *s; } choice[8];
    uint32_t                        n;
};

static int search_site(struct state *st, const struct pare_fold_layer *l, const struct pare_site *x, struct pare_diag *diag)
{
    struct search             q = { .l = l, .set = st->set, .x = x };
    const struct pare_second *m = pare_fold_moments(l, x->to[0]);
    uint32_t                  grid = st->set->grid == 0 ? 20 : st->set->grid, best = 0;
    bool                      module = st->set->module && x->kind == PARE_SITE_NORM; /* one reader alone: the same thing */
    double                    first = 0, least = 0, *mean = pare_alloc_array(x->own, sizeof *mean);
    int                       rc = PARE_OK;

    q.s = pare_alloc_array(x->own, sizeof *q.s);
    q.wide = pare_alloc_array(x->width, sizeof *q.wide);
    q.mean = mean;
    if (mean == NULL || q.s == NULL || q.wide == NULL) rc = PARE_NOMEM(diag);
    for (uint64_t c = 0; rc == PARE_OK && c < x->own; c++) mean[c] = m->n == 0 ? 0 : m->sumabs[c] / m->weight;
    if (rc == PARE_OK) rc = read_rows(&q, module, diag);
    if (rc == PARE_OK && module) rc = open_module(&q, diag);
    for (uint32_t i = 0; i < grid && rc == PARE_OK; i++) {
        double loss;

        make_scales(&q, i, grid);
        rc = module ? module_loss(&q, &loss, diag) : linear_loss(&q, &loss, diag);
        if (i == 0) first = least = loss;
        if (rc == PARE_OK && loss < least) {
            least = loss;
            best = i;
        }
        if (rc == PARE_OK) rc = pare_job_check(l->w->job, diag);
    }
    if (rc == PARE_OK) {
        st->report->sites++;
        st->report->scaled += best != 0;
        st->report->loss += first > 0 ? least / first : 1;
        st->report->loss_plain += 1;
        make_scales(&q, best, grid);
        if (best != 0) {
            st->choice[st->n++] = (struct choice){ x, best, q.s };
            q.s = NULL;
        }
    }
    for (uint32_t i = 0; i < x->n_to; i++) pare_aligned_free(q.w[i]);
    pare_aligned_free(q.base);
    pare_aligned_free(q.now);
    pare_aligned_free(q.att);
    pare_aligned_free(q.att_now);
    pare_aligned_free(q.wo);
    pare_free(q.s);
    pare_free(q.wide);
    pare_free(mean);
    return rc;
}

/* All searches of a layer look at the layer as it was; then the scales are installed. */
static int see_layer(void *user, const struct pare_fold_layer *l, struct pare_diag *diag)
{
    struct state *st = user;
    int           rc = PARE_OK;

    st->n = 0;
    for (uint32_t i = 0; i < l->sites->n && rc == PARE_OK && st->n < 8; i++) {
        const struct pare_site *x = &l->sites->site[i];

        if (x->unit == l->unit && x->scales && x->share == 1 && x->n_to != 0 && pare_fold_moments(l, x->to[0]) != NULL)
            rc = search_site(st, l, x, diag);
    }
    for (uint32_t i = 0; i < st->n; i++) {
        if (rc == PARE_OK) rc = pare_site_scale(l->f, st->choice[i].x, st->choice[i].s, diag);
        pare_free(st->choice[i].s);
    }
    return rc;
}

int pare_fold_awq(struct pare_folds *f, struct pare_walk *w, const struct pare_windows *calib, const struct pare_awq_settings *s,
                  struct pare_awq_report *report, struct pare_diag *diag)
{
    struct state          st = { .set = s, .report = report };
    struct pare_fold_mark mark = pare_folds_mark(f);
    int                   rc;

    memset(report, 0, sizeof *report);
    rc = pare_fold_pass(f, w, calib, false, see_layer, &st, diag);
    if (rc < 0) pare_folds_back(f, mark);
    return rc;
}

/* --- clipping ---------------------------------------------------------------------------------------------------------------- */

struct clip_job {
    float        *w;
    uint64_t      rows, cols;
    uint32_t      group;
    const double *xx;
    pare_round_fn round;
    const void   *ctx;
    const struct pare_vec *vk;
    float        *h, *scratch;   /* [groups][group][group]; [workers][3 * group] */
};

static void clip_group(const struct clip_job *j, float *w, uint64_t at, uint32_t n, float *e)
{
    const float *h = j->h + at * j->group;
    float       *y = e + j->group, most = 0, keep;
    double       least = 0;

    for (uint32_t c = 0; c < n; c++) most = w[c] > most ? w[c] : -w[c] > most ? -w[c] : most;
    keep = most;
    for (int k = 0; k < 10; k++) {
        float  lim = most * (1 - (float)k * 0.05f);
        double loss;

        for (uint32_t c = 0; c < n; c++) e[c] = w[c] > lim ? lim : w[c] < -lim ? -lim : w[c];
        j->round(j->ctx, e, n);
        for (uint32_t c = 0; c < n; c++) e[c] -= w[c];
        j->vk->gemm_f32(y, n, h, j->group * sizeof *h, e, n, n, 0, n, 1);
        loss = (double)j->vk->dot(e, y, n);
        if (k == 0 || loss < least) {
            least = loss;
            keep = lim;
        }
    }
    for (uint32_t c = 0; c < n; c++) w[c] = w[c] > keep ? keep : w[c] < -keep ? -keep : w[c];
}

static void clip_row(void *ctx, uint32_t row, uint32_t worker)
{
    struct clip_job *j = ctx;

    for (uint64_t at = 0; at < j->cols; at += j->group)
        clip_group(j, j->w + row * j->cols + at, at, (uint32_t)(j->cols - at < j->group ? j->cols - at : j->group),
                   j->scratch + (uint64_t)worker * 3 * j->group);
}

int pare_awq_clip(float *w, uint64_t rows, uint64_t cols, uint32_t group, const double *xx, pare_round_fn round, const void *ctx,
                  struct pare_job *job, struct pare_diag *diag)
{
    uint64_t        n = (cols + group - 1) / group;
    struct clip_job j = { .w = w, .rows = rows, .cols = cols, .group = group, .round = round, .ctx = ctx, .vk = pare_vec_for(job->tier) };
    double          scale = 0;
    int             rc = PARE_OK;

    j.h = pare_aligned(n * group * group * sizeof *j.h);
    j.scratch = pare_aligned((uint64_t)pare_team_size(job->team) * 3 * group * sizeof *j.scratch);
    if (j.h == NULL || j.scratch == NULL) rc = PARE_NOMEM(diag);
    for (uint64_t i = 0; i < cols; i++) scale += xx[i * cols + i];
    for (uint64_t i = 0; rc == PARE_OK && scale > 0 && i < cols; i++)
        for (uint64_t k = i / group * group; k < cols && k < (i / group + 1) * group; k++)
            j.h[i * group + k % group] = (float)(xx[i * cols + k] / scale * (double)cols);
    if (rc == PARE_OK && scale > 0) pare_team_run(job->team, (uint32_t)rows, clip_row, &j);
    pare_aligned_free(j.h);
    pare_aligned_free(j.scratch);
    return rc;
}
