/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/ohq.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "compress/cost.h"
#include "compress/method.h"
#include "compress/sense.h"
#include "compress/solve.h"
#include "kernel/vec.h"

/* ---- made-up inputs ---- */

static const struct pare_slot *find(const struct pare_unit *u, const char *role)
{
    for (uint32_t i = 0; i < u->n_slots; i++)
        if (strcmp(u->slot[i].role, role) == 0) return &u->slot[i];
    return NULL;
}

/* Squares of the weights of a norm, or ones. */
static int norm_squares(const struct pare_unit *u, const char *role, double *sq, uint64_t cols, struct pare_diag *diag)
{
    const struct pare_slot *s = find(u, role);
    float                  *w;
    int                     rc = PARE_OK;

    for (uint64_t c = 0; c < cols; c++) sq[c] = 1;
    if (s == NULL || s->rows * s->cols != cols) return PARE_OK;
    w = pare_alloc_array(cols, sizeof *w);
    if (w == NULL) return PARE_NOMEM(diag);
    rc = pare_slot_rows(s, 0, s->rows, w, diag);
    for (uint64_t c = 0; c < cols && rc == PARE_OK; c++) sq[c] = (double)w[c] * w[c];
    pare_free(w);
    return rc;
}

/* Mean squares of what the value matrix gives; channel c of attention's output belongs to the key head that its query head uses. */
static int value_squares(const struct pare_unit *u, const struct pare_kv_shape *kv, double *sq, uint64_t cols, struct pare_diag *diag)
{
    const struct pare_slot *v = find(u, "attn_v");
    double                 *in, *out;
    float                  *row;
    uint64_t                group;
    int                     rc;

    for (uint64_t c = 0; c < cols; c++) sq[c] = 1;
    if (v == NULL || kv->dv == 0 || v->rows != (uint64_t)kv->n_head_kv * kv->dv || cols % v->rows != 0) return PARE_OK;
    group = cols / v->rows;
    in = pare_alloc_array(v->cols, sizeof *in);
    out = pare_zalloc(v->rows, sizeof *out);
    row = pare_alloc_array(v->cols, sizeof *row);
    rc = in == NULL || out == NULL || row == NULL ? PARE_NOMEM(diag) : norm_squares(u, "attn_norm", in, v->cols, diag);
    for (uint64_t r = 0; r < v->rows && rc == PARE_OK; r++) {
        rc = pare_slot_rows(v, r, 1, row, diag);
        for (uint64_t c = 0; c < v->cols && rc == PARE_OK; c++) out[r] += (double)row[c] * row[c] * in[c];
    }
    for (uint64_t c = 0; c < cols && rc == PARE_OK; c++) sq[c] = out[c / kv->dv / group * kv->dv + c % kv->dv];
    pare_free(in);
    pare_free(out);
    pare_free(row);
    return rc;
}

struct made_up {
    const struct pare_vec *vk;
    float *x, *gate, *up, *w; /* x [rows][embd], gate and up [rows], w [embd]: one channel at a time */
};

/* Mean squares of act(gate x) * up x over made-up rows. */
static int gated_squares(const struct pare_unit *u, double *sq, uint64_t cols, uint32_t rows, uint64_t seed, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_slot *g = find(u, "ffn_gate"), *up = find(u, "ffn_up");
    struct made_up          m = { .vk = pare_vec_for(job->tier) };
    double                 *norm;
    uint64_t                n;
    int                     rc;

    for (uint64_t c = 0; c < cols; c++) sq[c] = 1;
    if (g == NULL || up == NULL || g->rows != cols || up->rows != cols || g->cols != up->cols) return PARE_OK;
    n = g->cols;
    norm = pare_alloc_array(n, sizeof *norm);
    m.x = pare_aligned(rows * n * sizeof *m.x);
    m.gate = pare_aligned(rows * sizeof *m.gate);
    m.up = pare_aligned(rows * sizeof *m.up);
    m.w = pare_aligned(n * sizeof *m.w);
    rc = norm == NULL || m.x == NULL || m.gate == NULL || m.up == NULL || m.w == NULL ? PARE_NOMEM(diag) : norm_squares(u, "ffn_norm", norm, n, diag);
    for (uint64_t i = 0; i < rows * n && rc == PARE_OK; i++)
        m.x[i] = pare_rng_normal(seed + u->index, PARE_RNG_SYNTH, i) * (float)sqrt(norm[i % n]);
    for (uint64_t c = 0; c < cols && rc == PARE_OK; c++) {
        double sum = 0;

        rc = pare_slot_rows(g, c, 1, m.w, diag);
        for (uint32_t r = 0; r < rows && rc == PARE_OK; r++) m.gate[r] = m.vk->dot(m.w, m.x + r * n, n);
        if (rc == PARE_OK) rc = pare_slot_rows(up, c, 1, m.w, diag);
        for (uint32_t r = 0; r < rows && rc == PARE_OK; r++) m.up[r] = m.vk->dot(m.w, m.x + r * n, n);
        if (rc == PARE_OK) m.vk->act_mul(m.gate, m.gate, m.up, PARE_ACT_SILU, rows);
        for (uint32_t r = 0; r < rows && rc == PARE_OK; r++) sum += (double)m.gate[r] * m.gate[r];
        sq[c] = sum / rows;
    }
    pare_free(norm);
    pare_aligned_free(m.x);
    pare_aligned_free(m.gate);
    pare_aligned_free(m.up);
    pare_aligned_free(m.w);
    return rc;
}

static int squares_of(const struct pare_target *t, struct pare_model *m, double *sq, uint32_t rows, uint64_t seed, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_unit *u = pare_model_unit(m, t->unit);
    const char             *role = t->slot->role;

    if (u->kind == PARE_UNIT_HEAD) return norm_squares(u, "output_norm", sq, t->cols, diag);
    if (strcmp(role, "attn_output") == 0) return value_squares(u, &pare_model_info_of(m)->kv_shape[u->index], sq, t->cols, diag);
    if (strcmp(role, "ffn_down") == 0) return gated_squares(u, sq, t->cols, rows, seed, job, diag);
    return norm_squares(u, strncmp(role, "ffn_", 4) == 0 ? "ffn_norm" : "attn_norm", sq, t->cols, diag);
}

/* Mean 1, nothing below a thousandth of it: a channel that the made-up inputs leave out may yet be used. */
static void importance_of(float *imp, const double *sq, uint64_t cols)
{
    double mean = 0;

    for (uint64_t c = 0; c < cols; c++) mean += sq[c] / (double)cols;
    for (uint64_t c = 0; c < cols; c++) {
        double v = mean > 0 ? sq[c] / mean : 1;
        imp[c] = (float)(v < 1e-3 ? 1e-3 : v);
    }
}

int pare_ohq_inputs(struct pare_targets *ts, struct pare_model *m, uint32_t rows, uint64_t seed, struct pare_job *job, struct pare_diag *diag)
{
    if (rows == 0) rows = 32;
    for (uint32_t i = 0; i < ts->n; i++) {
        struct pare_target *t = &ts->t[i];
        double             *sq;
        int                 rc;

        if (!t->multiplied) continue;
        sq = pare_alloc_array(t->cols, sizeof *sq);
        if (t->importance == NULL) t->importance = pare_alloc_array(t->cols, sizeof *t->importance);
        rc = sq == NULL || t->importance == NULL ? PARE_NOMEM(diag) : squares_of(t, m, sq, rows, seed, job, diag);
        if (rc == PARE_OK) importance_of(t->importance, sq, t->cols);
        pare_free(sq);
        if (rc < 0) pare_diag_where(diag, t->name);
        PARE_FORWARD(rc);
        PARE_FORWARD(pare_job_check(job, diag));
    }
    return PARE_OK;
}

enum { WINDOWS = 8, LEN = 64 };

int pare_ohq_sense(struct pare_targets *ts, struct pare_walk *w, uint64_t seed, struct pare_diag *diag)
{
    uint32_t            len = w->len < LEN ? w->len : LEN, vocab = pare_model_info_of(w->m)->n_vocab;
    struct pare_windows win = { .ids = pare_alloc_array((uint64_t)WINDOWS * len, sizeof *win.ids), .n = WINDOWS, .len = len };
    int                 rc = win.ids == NULL ? PARE_NOMEM(diag) : pare_ohq_inputs(ts, w->m, 0, seed, w->job, diag);

    for (uint64_t i = 0; i < (uint64_t)WINDOWS * len && rc == PARE_OK; i++) win.ids[i] = (int32_t)(pare_rng_u64(seed, PARE_RNG_TEXT, i) % vocab);
    if (rc == PARE_OK) rc = pare_sense(ts, w, &win, 64 * WINDOWS * LEN, diag);
    if (rc == PARE_OK) rc = pare_cost_errors(ts, w->job, diag);
    pare_free(win.ids);
    return rc;
}

/* ---- the integer program ---- */

static uint32_t own_type(const struct pare_target *t)
{
    for (uint32_t c = 0; c < t->n_cand; c++)
        if (t->cand[c].type == t->slot->weight.type) return c;
    return 0;
}

int pare_ohq_plan(const struct pare_targets *ts, double seconds, uint64_t bytes, uint32_t *pick, double *loss, struct pare_diag *diag)
{
    struct pare_choice *unit = pare_zalloc(ts->n, sizeof *unit);
    struct pare_option *option = pare_zalloc((uint64_t)ts->n * PARE_MAX_CANDIDATES, sizeof *option);
    uint32_t           *at = pare_zalloc(ts->n, sizeof *at), n = 0;
    struct pare_problem p = { .unit = unit, .n_limits = bytes != 0 ? 2 : 1, .limit = { seconds, (double)bytes }, .limit_name = { "time", "size" },
                              .limit_unit = { "seconds", "bytes" } };
    struct pare_solution s = { 0 };
    uint64_t             tables = 0;
    int                  rc = unit == NULL || option == NULL || at == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint32_t i = 0; i < ts->n && rc == PARE_OK; i++) {
        const struct pare_target *t = &ts->t[i];

        pick[i] = own_type(t);
        if (!t->multiplied) {
            tables += t->cand[pick[i]].bytes;
            continue;
        }
        at[n] = i;
        unit[n] = (struct pare_choice){ option + (uint64_t)n * PARE_MAX_CANDIDATES, t->n_cand };
        for (uint32_t c = 0; c < t->n_cand; c++)
            option[(uint64_t)n * PARE_MAX_CANDIDATES + c] = (struct pare_option){ .loss = t->cand[c].loss, .weight = { t->cand[c].decode_s, (double)t->cand[c].bytes } };
        n++;
    }
    p.n_units = n;
    p.limit[1] -= (double)tables;
    if (rc == PARE_OK) rc = pare_solve(&s, &p, diag);
    for (uint32_t i = 0; i < n && rc == PARE_OK; i++) pick[at[i]] = s.pick[i];
    if (rc == PARE_OK) *loss = s.loss;
    pare_free(s.pick);
    pare_free(unit);
    pare_free(option);
    pare_free(at);
    return rc;
}

const struct pare_method pare_method_ohq = {
    .id = "ohq", .module = "compress/ohq", .title = "Types by measured kernel times and by output errors on made-up inputs; no text is read.",
    .source = "OHQ, arXiv 2309.01945", .stage = PARE_STAGE_PLAN, .guarantee = "bounded", .neutral = "one candidate a tensor: that plan",
    .tested = "tests/method/test_ohq.c",
    .acceptance = "the plan equals brute force on 8 matrices; at the bytes of a uniform type (bytes stand for time in the test), lower held-out "
                  "divergence",
    .measured = "demo-llama: at the bytes of q3_k divergence 0.1034 instead of 0.1521, of q4_k 0.0209 instead of 0.0302",
};
