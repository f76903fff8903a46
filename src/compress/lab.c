/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/lab.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/observe.h"
#include "compress/sense.h"

static uint64_t rows_of(const struct pare_windows *win) { return (uint64_t)win->n * win->len; }
static uint32_t last_unit(const struct pare_lab *lab) { return pare_model_info_of(lab->m)->n_units - 1; }

static float *residual(const struct pare_lab *lab, const struct pare_windows *win)
{
    return pare_aligned(rows_of(win) * pare_model_info_of(lab->m)->n_embd * sizeof(float));
}

static int list_weights(struct pare_lab *lab, struct pare_diag *diag)
{
    uint32_t n_units = last_unit(lab) + 1, n = 0;

    for (uint32_t u = 0; u < n_units; u++) n += pare_model_unit(lab->m, u)->n_slots;
    lab->weight = pare_zalloc(n + 1u, sizeof *lab->weight);
    if (lab->weight == NULL) return PARE_NOMEM(diag);
    for (uint32_t u = 0; u < n_units; u++) {
        struct pare_unit *unit = pare_model_unit(lab->m, u);
        for (uint32_t i = 0; i < unit->n_slots; i++) {
            struct pare_slot *s = &unit->slot[i];
            if (!s->is_linear || s->lin == NULL) continue;
            lab->weight[lab->n_weights++] =
                (struct pare_lab_weight){ .name = s->name, .role = s->role, .unit = u, .rows = s->rows, .cols = s->cols, .slot = s };
        }
    }
    return PARE_OK;
}

int pare_lab_open(struct pare_lab *lab, struct pare_walk *w, const struct pare_windows *calib, const struct pare_windows *eval,
                  struct pare_diag *diag)
{
    int rc;

    *lab = (struct pare_lab){ .m = w->m, .w = w, .calib = *calib, .eval = *eval };
    w->keep = true;
    rc = list_weights(lab, diag);
    for (uint32_t u = 0; u <= last_unit(lab) && rc == PARE_OK; u++) rc = pare_walk_enter(w, u, diag);
    if (rc == PARE_OK && (lab->last = residual(lab, eval)) == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) rc = pare_walk_units(w, 0, last_unit(lab), eval, lab->last, NULL, diag);
    if (rc < 0) pare_lab_close(lab);
    return rc;
}

void pare_lab_close(struct pare_lab *lab)
{
    pare_inputs_free(&lab->in);
    pare_free(lab->weight);
    pare_aligned_free(lab->last);
    memset(lab, 0, sizeof *lab);
}

int pare_lab_weight_rows(const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag)
{
    return pare_slot_rows(lab->weight[i].slot, 0, lab->weight[i].rows, w, diag);
}

struct watch {
    struct pare_lab *lab;
    uint32_t         at; /* index of the last hit: slots come in order */
    void (*see)(void *user, const struct pare_lab *lab, uint32_t i, const float *x, uint64_t ldx, uint32_t n);
    void *user;
};

static void watch(void *user, const struct pare_unit *u, const struct pare_slot *s, const float *x, uint64_t ldx, uint32_t n)
{
    struct watch *w = user;

    (void)u;
    for (uint32_t k = 0; k < w->lab->n_weights; k++) {
        uint32_t i = (w->at + k) % w->lab->n_weights;
        if (w->lab->weight[i].slot != s) continue;
        w->at = i;
        w->see(w->user, w->lab, i, x, ldx, n);
        return;
    }
}

int pare_lab_walk(struct pare_lab *lab, const struct pare_windows *win, void (*see)(void *user, const struct pare_lab *lab, uint32_t i,
                  const float *x, uint64_t ldx, uint32_t n), void *user, struct pare_diag *diag)
{
    struct watch         w = { lab, 0, see, user };
    struct pare_observer obs = { watch, &w };
    float               *x = residual(lab, win);
    int                  rc = x == NULL ? PARE_NOMEM(diag) : PARE_OK;

    if (rc == PARE_OK) rc = pare_walk_units(lab->w, 0, last_unit(lab), win, x, &obs, diag);
    if (rc == PARE_OK) rc = pare_observe_head(lab->w, win, x, PARE_HEAD_ROWS, &obs, diag);
    pare_aligned_free(x);
    return rc;
}

int pare_lab_calibrate(struct pare_lab *lab, bool full, struct pare_diag *diag)
{
    struct pare_observer obs = { pare_inputs_see, &lab->in };
    float               *x = residual(lab, &lab->calib);
    int                  rc = x == NULL ? PARE_NOMEM(diag) : PARE_OK;

    pare_inputs_free(&lab->in);
    if (rc == PARE_OK) rc = pare_inputs_create(&lab->in, lab->n_weights, full, lab->w->job, diag);
    if (rc == PARE_OK) rc = pare_walk_units(lab->w, 0, last_unit(lab), &lab->calib, x, &obs, diag);
    if (rc == PARE_OK) rc = pare_observe_head(lab->w, &lab->calib, x, PARE_HEAD_ROWS, &obs, diag);
    if (rc == PARE_OK) rc = pare_inputs_finish(&lab->in);
    for (uint32_t i = 0; i < lab->n_weights; i++) lab->weight[i].in = pare_inputs_of(&lab->in, lab->weight[i].slot);
    pare_aligned_free(x);
    return rc;
}

/* --- measuring ----------------------------------------------------------------------------------------------------------- */

/* One matrix that stands in for the original meanwhile. */
struct stand_in {
    const struct pare_lab        *lab;
    const struct pare_lab_change *change;
    uint32_t                      i;
    struct pare_input             input;
    float                        *dense;
    struct pare_linear            lin, saved;
};

static void run_input(const struct pare_input *in, float *dst, uint64_t ld, const float *x, uint64_t ldx, uint32_t n, struct pare_job *job)
{
    const struct stand_in *s = in->ctx;

    (void)job;
    for (uint32_t r = 0; r < n; r++) memcpy(dst + r * ld, x + r * ldx, in->cols * sizeof *dst);
    (void)s->change->input(s->change->user, s->lab, s->i, dst, ld, n);
}

/* Leaves s->dense NULL where the weights stay, s->input.run NULL where the inputs do. */
static int make(struct stand_in *s, const struct pare_lab *lab, const struct pare_lab_change *c, uint32_t i, struct pare_diag *diag)
{
    const struct pare_lab_weight *w = &lab->weight[i];
    int                           same = 1;

    *s = (struct stand_in){ .lab = lab, .change = c, .i = i };
    if (c->weight != NULL) {
        s->dense = pare_aligned(w->rows * w->cols * sizeof *s->dense);
        if (s->dense == NULL) return PARE_NOMEM(diag);
        PARE_FORWARD(pare_lab_weight_rows(lab, i, s->dense, diag));
        same = c->weight(c->user, lab, i, s->dense, diag);
        if (same != 0) {
            pare_aligned_free(s->dense);
            s->dense = NULL;
        }
        if (same < 0) return same;
    }
    if (c->input != NULL && c->input(c->user, lab, i, NULL, w->cols, 0)) s->input = (struct pare_input){ run_input, w->cols, s };
    if (s->dense == NULL) {
        s->lin = *w->slot->lin;
    } else {
        PARE_FORWARD(pare_linear_bind(&s->lin, pare_dtype_of(PARE_F32), (const uint8_t *)s->dense, w->cols * sizeof *s->dense, w->rows,
                                      w->cols, PARE_ACT_F32, lab->w->job, diag));
        s->lin.bias = w->slot->lin->bias;
        s->lin.input = w->slot->lin->input;
    }
    if (s->input.run != NULL) s->lin.input = &s->input;
    return PARE_OK;
}

static int measure_unit(struct pare_lab *lab, const struct pare_lab_change *c, struct stand_in *in, uint32_t u,
                        const struct pare_windows *win, float *x, struct pare_diag *diag)
{
    uint32_t first = 0, n = 0;
    int      rc = PARE_OK;

    while (first < lab->n_weights && lab->weight[first].unit < u) first++;
    for (; first + n < lab->n_weights && lab->weight[first + n].unit == u && rc == PARE_OK; n++) rc = make(&in[n], lab, c, first + n, diag);
    if (rc == PARE_OK) {
        for (uint32_t k = 0; k < n; k++) {
            struct pare_linear *lin = lab->weight[first + k].slot->lin;
            in[k].saved = *lin;
            *lin = in[k].lin;
        }
        rc = pare_walk_unit(lab->w, u, win, x, NULL, diag);
        for (uint32_t k = 0; k < n; k++) *lab->weight[first + k].slot->lin = in[k].saved;
    }
    for (uint32_t k = 0; k < n; k++) {
        pare_aligned_free(in[k].dense);
        in[k].dense = NULL;
    }
    return rc;
}

static int measure_head(struct pare_lab *lab, const struct pare_lab_change *c, struct stand_in *in, const struct pare_windows *win,
                        const float *base, const float *x, struct pare_tally *tally, struct pare_diag *diag)
{
    struct pare_head_pair p = { .w = lab->w };
    uint32_t              head = lab->n_weights - 1;
    double                kld;
    int                   rc = PARE_OK;

    if (c != NULL && lab->n_weights > 0 && lab->weight[head].unit == last_unit(lab)) {
        rc = make(in, lab, c, head, diag);
        p.slot = lab->weight[head].slot->lin;
        p.alt = &in->lin;
    }
    if (rc == PARE_OK) rc = pare_head_divergence(&p, win, base, x, 1, &kld, tally, diag);
    if (c != NULL) pare_aligned_free(in->dense);
    return rc;
}

int pare_lab_measure(struct pare_lab *lab, const struct pare_lab_change *change, const struct pare_windows *win,
                     struct pare_tally_result *out, struct pare_diag *diag)
{
    const struct pare_windows *on = win != NULL ? win : &lab->eval;
    struct pare_tally          tally = { .cap = rows_of(on) };
    struct stand_in           *in = pare_zalloc(lab->n_weights + 1u, sizeof *in);
    float                     *x = residual(lab, on), *base = lab->last;
    int                        rc = PARE_OK;

    tally.klds = pare_alloc_array(tally.cap, sizeof *tally.klds);
    if (win != NULL) base = residual(lab, win);
    if (x == NULL || in == NULL || base == NULL || tally.klds == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK && win != NULL) rc = pare_walk_units(lab->w, 0, last_unit(lab), win, base, NULL, diag);
    for (uint32_t u = 0; u < last_unit(lab) && rc == PARE_OK; u++)
        rc = change == NULL ? pare_walk_unit(lab->w, u, on, x, NULL, diag) : measure_unit(lab, change, in, u, on, x, diag);
    if (rc == PARE_OK) rc = measure_head(lab, change, in, on, base, x, &tally, diag);
    if (rc == PARE_OK) pare_tally_finish(&tally, out);
    if (win != NULL) pare_aligned_free(base);
    pare_aligned_free(x);
    pare_free(in);
    pare_free(tally.klds);
    return rc;
}
