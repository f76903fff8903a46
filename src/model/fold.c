/* SPDX-License-Identifier: Apache-2.0 */
#include "model/fold.h"

#include <string.h>

#include "base/mem.h"
#include "model/arch.h"

/* What was added, in order: so that the last additions can be taken back. */
struct entry {
    struct pare_slot *slot;
    bool              in;
    void             *data;          /* value or index */
    struct pare_rotation *rot;
};

struct pare_folds {
    struct pare_model *m;
    struct entry      *log;
    uint32_t           n, cap;
    const struct pare_slot *whole_of; /* whose rows stand in whole */
    float             *whole;
};

/* --- reading --------------------------------------------------------------------------------------------------------------- */

/* x [width] <- op(x). tmp [width]. */
static void apply(const struct pare_fold_op *op, double *x, double *tmp)
{
    double *y = x + op->from;

    switch (op->verb) {
    case PARE_FOLD_SCALE:
        if (op->around != 0)
            for (uint64_t i = 0; i < op->n; i++) y[i] = op->value[i] == 1 ? y[i] : (y[i] + op->around) * op->value[i] - op->around;
        else
            for (uint64_t i = 0; i < op->n; i++) y[i] *= op->value[i];
        return;
    case PARE_FOLD_GATHER:
        memcpy(tmp, y, op->n * sizeof *tmp);
        for (uint64_t i = 0; i < op->n; i++) y[i] = tmp[op->index[i]];
        return;
    case PARE_FOLD_ROTATE:
        for (uint64_t i = 0; i < op->n; i += op->rot->n) pare_rotation_apply(op->rot, y + i, tmp);
        return;
    case PARE_FOLD_SET:
        memcpy(y, op->value, op->n * sizeof *y);
        return;
    case PARE_FOLD_ADD:
        for (uint64_t i = 0; i < op->n; i++) y[i] += op->value[i];
        return;
    }
}

static void apply_in(const struct pare_fold *f, float *row, uint64_t cols, double *x)
{
    for (uint64_t c = 0; c < cols; c++) x[c] = (double)row[c];
    for (uint32_t k = 0; k < f->n_in; k++) apply(&f->in[k], x, x + cols);
    for (uint64_t c = 0; c < cols; c++) row[c] = (float)x[c];
}

static int vector(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    uint64_t len = s->rows * s->cols;
    float   *all = pare_alloc_array(len, sizeof *all);
    double  *x = pare_alloc_array(2 * len, sizeof *x);
    int      rc = all == NULL || x == NULL ? PARE_NOMEM(diag) : pare_slot_plain_rows(s, 0, s->rows, all, diag);

    if (rc == PARE_OK) {
        for (uint64_t i = 0; i < len; i++) x[i] = (double)all[i];
        for (uint32_t k = 0; k < s->fold->n_out; k++) apply(&s->fold->out[k], x, x + len);
        for (uint64_t i = 0; i < n * s->cols; i++) dst[i] = (float)x[row0 * s->cols + i];
    }
    pare_free(all);
    pare_free(x);
    return rc;
}

/* Row r of the result is one row of the source times a number: both are found walking the operations backwards. */
static int plain(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    const struct pare_fold *f = s->fold;
    double                 *x = pare_alloc_array(2 * s->cols, sizeof *x);
    int                     rc = x == NULL ? PARE_NOMEM(diag) : PARE_OK;

    if (rc == PARE_OK && f->n_out == 0) rc = pare_slot_plain_rows(s, row0, n, dst, diag);
    for (uint64_t i = 0; i < n && rc == PARE_OK; i++) {
        float   *row = dst + i * s->cols;
        uint64_t r = row0 + i;
        double   scale = 1;

        for (uint32_t k = f->n_out; k-- > 0;) {
            const struct pare_fold_op *op = &f->out[k];

            if (r < op->from || r - op->from >= op->n) continue;
            if (op->verb == PARE_FOLD_SCALE) scale *= op->value[r - op->from];
            if (op->verb == PARE_FOLD_GATHER) r = op->from + op->index[r - op->from];
        }
        if (f->n_out != 0) rc = pare_slot_plain_rows(s, r, 1, row, diag);
        if (rc < 0) break;
        for (uint64_t c = 0; c < s->cols; c++) x[c] = (double)row[c] * scale;
        for (uint32_t k = 0; k < f->n_in; k++) apply(&f->in[k], x, x + s->cols);
        for (uint64_t c = 0; c < s->cols; c++) row[c] = (float)x[c];
    }
    pare_free(x);
    return rc;
}

#define STRIP 16 /* columns taken at once: a cache line of every row */

static int whole(const struct pare_slot *s, float *dst, struct pare_diag *diag)
{
    const struct pare_fold *f = s->fold;
    uint64_t                wide = s->rows > s->cols ? s->rows : s->cols;
    double                 *x = pare_alloc_array(wide * (STRIP + 1), sizeof *x);
    int                     rc = x == NULL ? PARE_NOMEM(diag) : pare_slot_plain_rows(s, 0, s->rows, dst, diag);

    for (uint64_t c0 = 0; c0 < s->cols && rc == PARE_OK; c0 += STRIP) {
        uint64_t n = s->cols - c0 < STRIP ? s->cols - c0 : STRIP;

        for (uint64_t r = 0; r < s->rows; r++)
            for (uint64_t c = 0; c < n; c++) x[c * s->rows + r] = (double)dst[r * s->cols + c0 + c];
        for (uint64_t c = 0; c < n; c++)
            for (uint32_t k = 0; k < f->n_out; k++) apply(&f->out[k], x + c * s->rows, x + STRIP * s->rows);
        for (uint64_t r = 0; r < s->rows; r++)
            for (uint64_t c = 0; c < n; c++) dst[r * s->cols + c0 + c] = (float)x[c * s->rows + r];
    }
    for (uint64_t r = 0; r < s->rows && rc == PARE_OK && f->n_in != 0; r++) apply_in(f, dst + r * s->cols, s->cols, x);
    pare_free(x);
    return rc;
}

static int mixed(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    struct pare_folds *o = s->fold->owner;

    if (n == s->rows) return whole(s, dst, diag);
    if (o->whole_of != s) {
        pare_aligned_free(o->whole);
        o->whole_of = NULL;
        o->whole = pare_aligned(s->rows * s->cols * sizeof *o->whole);
        if (o->whole == NULL) return PARE_NOMEM(diag);
        PARE_FORWARD(whole(s, o->whole, diag));
        o->whole_of = s;
    }
    memcpy(dst, o->whole + row0 * s->cols, n * s->cols * sizeof *dst);
    return PARE_OK;
}

int pare_fold_rows(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    if (s->vec != NULL) return vector(s, row0, n, dst, diag);
    return s->fold->mixes ? mixed(s, row0, n, dst, diag) : plain(s, row0, n, dst, diag);
}

/* --- building -------------------------------------------------------------------------------------------------------------- */

int pare_folds_create(struct pare_folds **out, struct pare_model *m, struct pare_diag *diag)
{
    *out = pare_zalloc(1, sizeof **out);
    if (*out == NULL) return PARE_NOMEM(diag);
    (*out)->m = m;
    return PARE_OK;
}

struct pare_model *pare_folds_model(const struct pare_folds *f) { return f->m; }
struct pare_fold_mark pare_folds_mark(const struct pare_folds *f) { return (struct pare_fold_mark){ f->n }; }

static void forget(struct pare_folds *f)
{
    pare_aligned_free(f->whole);
    f->whole = NULL;
    f->whole_of = NULL;
}

static void pop(struct pare_folds *f)
{
    struct entry     *e = &f->log[--f->n];
    struct pare_fold *fold = (struct pare_fold *)e->slot->fold;

    if (e->in)
        fold->n_in--;
    else
        fold->n_out--;
    fold->mixes = false;
    for (uint32_t k = 0; k < fold->n_out; k++) fold->mixes |= fold->out[k].verb == PARE_FOLD_ROTATE && e->slot->vec == NULL;
    if (fold->n_in == 0 && fold->n_out == 0) {
        pare_free(fold->in);
        pare_free(fold->out);
        pare_free(fold);
        e->slot->fold = NULL;
    }
    if (e->rot != NULL) pare_rotation_free(e->rot);
    pare_free(e->rot);
    pare_free(e->data);
}

void pare_folds_back(struct pare_folds *f, struct pare_fold_mark m)
{
    forget(f);
    while (f->n > m.n) pop(f);
}

void pare_folds_destroy(struct pare_folds **f)
{
    if (*f == NULL) return;
    pare_folds_back(*f, (struct pare_fold_mark){ 0 });
    pare_free((*f)->log);
    pare_free(*f);
    *f = NULL;
}

uint64_t pare_folds_bytes(const struct pare_folds *f)
{
    uint64_t most = 0;

    for (uint32_t i = 0; i < f->n; i++) {
        const struct pare_slot *s = f->log[i].slot;
        uint64_t                b = s->rows * s->cols * sizeof(float);

        if (s->fold->mixes && b > most) most = b;
    }
    return most;
}

static bool fits(const struct pare_slot *s, const struct pare_fold_op *op, uint64_t width, bool in)
{
    bool vec = s->vec != NULL;

    if (op->from > width || op->n > width - op->from || op->n == 0 || (in && vec) || s->given != NULL) return false;
    if (op->verb == PARE_FOLD_GATHER) {
        for (uint64_t i = 0; i < op->n; i++)
            if (op->index[i] >= op->n) return false;
        return true;
    }
    if (op->verb == PARE_FOLD_ROTATE) return op->n % op->rot->n == 0;
    for (uint64_t i = 0; i < op->n; i++)
        if (op->value[i] - op->value[i] != 0) return false;
    return op->verb == PARE_FOLD_SCALE ? vec || op->around == 0 : vec && !in;
}

static int copy_op(struct entry *e, struct pare_fold_op *to, const struct pare_fold_op *op, struct pare_diag *diag)
{
    *to = *op;
    if (op->verb == PARE_FOLD_ROTATE) {
        e->rot = pare_zalloc(1, sizeof *e->rot);
        if (e->rot == NULL) return PARE_NOMEM(diag);
        to->rot = e->rot;
        return pare_rotation_copy(e->rot, op->rot, diag);
    }
    if (op->verb == PARE_FOLD_GATHER) {
        e->data = pare_alloc_array(op->n, sizeof *op->index);
        if (e->data != NULL) memcpy(e->data, op->index, op->n * sizeof *op->index);
        to->index = e->data;
    } else {
        e->data = pare_alloc_array(op->n, sizeof *op->value);
        if (e->data != NULL) memcpy(e->data, op->value, op->n * sizeof *op->value);
        to->value = e->data;
    }
    return e->data == NULL ? PARE_NOMEM(diag) : PARE_OK;
}

static int add(struct pare_folds *f, struct pare_slot *s, const struct pare_fold_op *op, bool in, struct pare_diag *diag)
{
    uint64_t             width = in ? s->cols : s->vec != NULL ? s->rows * s->cols : s->rows;
    struct pare_fold    *fold = (struct pare_fold *)s->fold;
    struct pare_fold_op *list, copy;
    struct entry         e = { .slot = s, .in = in };
    uint32_t             n;
    int                  rc;

    if (!fits(s, op, width, in)) {
        pare_diag_where(diag, s->name);
        PARE_FAIL(diag, PARE_E_USAGE, "a fold does not fit: %llu elements from %llu on, of %llu", (unsigned long long)op->n,
                  (unsigned long long)op->from, (unsigned long long)width);
    }
    if (f->n == f->cap) {
        struct entry *p = pare_realloc_array(f->log, f->cap * 2u + 16, sizeof *p);

        if (p == NULL) return PARE_NOMEM(diag);
        f->log = p;
        f->cap = f->cap * 2 + 16;
    }
    if (fold == NULL) fold = pare_zalloc(1, sizeof *fold);
    if (fold == NULL) return PARE_NOMEM(diag);
    n = in ? fold->n_in : fold->n_out;
    list = pare_realloc_array(in ? fold->in : fold->out, n + 1u, sizeof *list);
    if (list != NULL && in) fold->in = list;
    if (list != NULL && !in) fold->out = list;
    rc = list == NULL ? PARE_NOMEM(diag) : copy_op(&e, &copy, op, diag);
    if (rc < 0) {
        if (e.rot != NULL) pare_rotation_free(e.rot);
        pare_free(e.rot);
        pare_free(e.data);
        if (s->fold == NULL) {
            pare_free(fold->in);
            pare_free(fold->out);
            pare_free(fold);
        }
        return rc;
    }
    list[n] = copy;
    if (in) fold->n_in++;
    else fold->n_out++;
    fold->owner = f;
    fold->mixes |= !in && op->verb == PARE_FOLD_ROTATE && s->vec == NULL;
    s->fold = fold;
    f->log[f->n++] = e;
    forget(f);
    return PARE_OK;
}

int pare_fold_in(struct pare_folds *f, struct pare_slot *s, const struct pare_fold_op *op, struct pare_diag *diag)
{
    return add(f, s, op, true, diag);
}

int pare_fold_out(struct pare_folds *f, struct pare_slot *s, const struct pare_fold_op *op, struct pare_diag *diag)
{
    return add(f, s, op, false, diag);
}
