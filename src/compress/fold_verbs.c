/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/fold_verbs.h"

#include <string.h>

#include "base/mem.h"

static int refuse(const struct pare_site *x, const char *why, struct pare_diag *diag)
{
    pare_diag_where(diag, x->kind == PARE_SITE_NORM ? x->norm->name : x->from.slot->name);
    PARE_FAIL(diag, PARE_E_UNSUPPORTED, "cannot be rewritten exactly: %s", why);
}

/* Rows of a matrix and of its bias. */
static int on_rows(struct pare_folds *f, const struct pare_site_rows *r, struct pare_fold_op op, struct pare_diag *diag)
{
    op.from += r->row0;
    PARE_FORWARD(pare_fold_out(f, r->slot, &op, diag));
    return r->bias == NULL ? PARE_OK : pare_fold_out(f, r->bias, &op, diag);
}

static int on_readers(struct pare_folds *f, const struct pare_site *x, const struct pare_fold_op *op, struct pare_diag *diag)
{
    for (uint32_t i = 0; i < x->n_to; i++) PARE_FORWARD(pare_fold_in(f, x->to[i], op, diag));
    return PARE_OK;
}

/* The channel that is made, behind channel c that is read. */
static uint64_t made(const struct pare_site *x, uint64_t c)
{
    return x->share == 1 ? c : c / x->head / x->share * x->head + c % x->head;
}

/* Does all of it or nothing. */
static int finish(struct pare_folds *f, struct pare_fold_mark m, int rc)
{
    if (rc < 0) pare_folds_back(f, m);
    return rc;
}

int pare_site_scale(struct pare_folds *f, const struct pare_site *x, const double *s, struct pare_diag *diag)
{
    struct pare_fold_mark mark = pare_folds_mark(f);
    struct pare_fold_op   op = { .verb = PARE_FOLD_SCALE, .n = x->own };
    double               *less, *more;
    int                   rc = PARE_OK;

    if (!x->scales) return refuse(x, "an activation function stands between", diag);
    for (uint64_t i = 0; i < x->own; i++)
        PARE_FAIL_IF(diag, !(s[i] - s[i] == 0) || s[i] == 0, PARE_E_USAGE, "scale %llu of a fold is zero or not finite", (unsigned long long)i);
    less = pare_alloc_array(x->own, sizeof *less);
    more = pare_alloc_array(x->width, sizeof *more);
    if (less == NULL || more == NULL) rc = PARE_NOMEM(diag);
    for (uint64_t i = 0; rc == PARE_OK && i < x->own; i++) less[i] = 1 / s[i];
    for (uint64_t i = 0; rc == PARE_OK && i < x->width; i++) more[i] = s[made(x, i)];
    op.value = less;
    if (rc == PARE_OK && x->kind == PARE_SITE_NORM) {
        op.around = (double)x->norm_add;
        rc = pare_fold_out(f, x->norm, &op, diag);
        op.around = 0;
        if (rc == PARE_OK && x->norm_bias != NULL) rc = pare_fold_out(f, x->norm_bias, &op, diag);
    } else if (rc == PARE_OK) {
        rc = on_rows(f, &x->from, op, diag);
    }
    op = (struct pare_fold_op){ .verb = PARE_FOLD_SCALE, .n = x->width, .value = more };
    if (rc == PARE_OK) rc = on_readers(f, x, &op, diag);
    pare_free(less);
    pare_free(more);
    return finish(f, mark, rc);
}

static int gather(struct pare_folds *f, const struct pare_site *x, const uint32_t *index, struct pare_diag *diag)
{
    struct pare_fold_op op = { .verb = PARE_FOLD_GATHER, .n = x->own, .index = index };
    uint32_t           *wide = pare_alloc_array(x->width, sizeof *wide);
    int                 rc = wide == NULL ? PARE_NOMEM(diag) : on_rows(f, &x->from, op, diag);

    if (rc == PARE_OK && x->gate.slot != NULL) rc = on_rows(f, &x->gate, op, diag);
    for (uint64_t i = 0; rc == PARE_OK && i < x->width; i++)
        wide[i] = x->share == 1 ? index[i] : (uint32_t)(i / x->head * x->head + index[made(x, i)] % x->head);
    op = (struct pare_fold_op){ .verb = PARE_FOLD_GATHER, .n = x->width, .index = wide };
    if (rc == PARE_OK) rc = on_readers(f, x, &op, diag);
    pare_free(wide);
    return rc;
}

static int check_permutation(const uint32_t *index, uint64_t n, struct pare_diag *diag)
{
    uint8_t *seen = pare_zalloc(n, 1);
    bool     good = seen != NULL;

    if (seen == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < n && good; i++) {
        good = index[i] < n && !seen[index[i]];
        if (good) seen[index[i]] = 1;
    }
    pare_free(seen);
    PARE_FAIL_IF(diag, !good, PARE_E_USAGE, "an order that is no permutation of %llu channels", (unsigned long long)n);
    return PARE_OK;
}

int pare_site_permute(struct pare_folds *f, const struct pare_site *x, const uint32_t *index, struct pare_diag *diag)
{
    if (x->kind == PARE_SITE_NORM) return refuse(x, "the order of a norm's channels is that of the residual stream", diag);
    PARE_FORWARD(check_permutation(index, x->own, diag));
    for (uint64_t i = 0; x->head != 0 && i < x->own; i++)
        PARE_FAIL_IF(diag, index[i] / x->head != i / x->head, PARE_E_USAGE, "channel %llu would leave its head", (unsigned long long)i);
    return finish(f, pare_folds_mark(f), gather(f, x, index, diag));
}

int pare_site_split(struct pare_folds *f, const struct pare_site *x, uint32_t from, uint32_t onto, struct pare_diag *diag)
{
    struct pare_fold_mark mark = pare_folds_mark(f);
    struct pare_fold_op   op = { .verb = PARE_FOLD_SCALE, .n = x->width };
    uint32_t             *index;
    double               *half;
    int                   rc = PARE_OK;

    if (x->kind == PARE_SITE_NORM) return refuse(x, "the channels of a norm are those of the residual stream", diag);
    PARE_FAIL_IF(diag, from >= x->own || onto >= x->own || from == onto, PARE_E_USAGE, "no such channels to split");
    PARE_FAIL_IF(diag, x->head != 0 && from / x->head != onto / x->head, PARE_E_USAGE, "a channel cannot be split into another head");
    index = pare_alloc_array(x->own, sizeof *index);
    half = pare_alloc_array(x->width, sizeof *half);
    if (index == NULL || half == NULL) rc = PARE_NOMEM(diag);
    for (uint32_t i = 0; rc == PARE_OK && i < x->own; i++) index[i] = i == onto ? from : i;
    for (uint64_t i = 0; rc == PARE_OK && i < x->width; i++) half[i] = made(x, i) == from || made(x, i) == onto ? 0.5 : 1;
    op.value = half;
    if (rc == PARE_OK) rc = gather(f, x, index, diag);
    if (rc == PARE_OK) rc = on_readers(f, x, &op, diag);
    pare_free(index);
    pare_free(half);
    return finish(f, mark, rc);
}

int pare_site_rotate(struct pare_folds *f, const struct pare_site *x, const struct pare_rotation *rot, struct pare_diag *diag)
{
    struct pare_fold_mark mark = pare_folds_mark(f);
    struct pare_fold_op   op = { .verb = PARE_FOLD_ROTATE, .n = x->own, .rot = rot };
    int                   rc;

    if (x->kind != PARE_SITE_VALUE || !x->scales) return refuse(x, "something that is not linear stands between", diag);
    PARE_FAIL_IF(diag, rot->n != x->head, PARE_E_USAGE, "a rotation of %llu channels for heads of %u", (unsigned long long)rot->n, x->head);
    rc = on_rows(f, &x->from, op, diag);
    op.n = x->width;
    if (rc == PARE_OK) rc = on_readers(f, x, &op, diag);
    return finish(f, mark, rc);
}

/* b += W z, with W as it is read now. */
static int into_bias(struct pare_folds *f, struct pare_slot *w, struct pare_slot *bias, const double *z, struct pare_diag *diag)
{
    double *sum = pare_alloc_array(w->rows, sizeof *sum);
    float  *row = pare_alloc_array(w->cols, sizeof *row);
    int     rc = sum == NULL || row == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint64_t r = 0; r < w->rows && rc == PARE_OK; r++) {
        sum[r] = 0;
        rc = pare_slot_rows(w, r, 1, row, diag);
        for (uint64_t c = 0; c < w->cols && rc == PARE_OK; c++) sum[r] += (double)row[c] * z[c];
    }
    if (rc == PARE_OK) rc = pare_fold_out(f, bias, &(struct pare_fold_op){ .verb = PARE_FOLD_ADD, .n = w->rows, .value = sum }, diag);
    pare_free(sum);
    pare_free(row);
    return rc;
}

int pare_site_shift(struct pare_folds *f, const struct pare_site *x, const double *z, struct pare_diag *diag)
{
    struct pare_fold_mark mark = pare_folds_mark(f);
    struct pare_fold_op   op = { .verb = PARE_FOLD_ADD, .n = x->own };
    double               *minus;
    int                   rc;

    if (x->kind != PARE_SITE_NORM || !x->shifts) return refuse(x, "there is no bias that could take the shift", diag);
    minus = pare_alloc_array(x->own, sizeof *minus);
    if (minus == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < x->own; i++) minus[i] = -z[i];
    op.value = minus;
    rc = pare_fold_out(f, x->norm_bias, &op, diag);
    for (uint32_t i = 0; i < x->n_to && rc == PARE_OK; i++) rc = into_bias(f, x->to[i], x->to_bias[i], z, diag);
    pare_free(minus);
    return finish(f, mark, rc);
}

/* The other channel of a rotated pair; itself where nothing is rotated. */
static uint64_t partner(const struct pare_sites *all, uint64_t c)
{
    uint64_t i = c % all->dk, half = all->rotary / 2, base = c - i;

    if (i >= all->rotary) return c;
    if (all->pairs) return base + (i ^ 1);
    return base + (i < half ? i + half : i - half);
}

int pare_qk_scale(struct pare_folds *f, const struct pare_sites *all, const struct pare_site_qk *x, const double *s, struct pare_diag *diag)
{
    struct pare_fold_mark mark = pare_folds_mark(f);
    struct pare_fold_op   op = { .verb = PARE_FOLD_SCALE, .n = x->k.n };
    double               *less, *more;
    int                   rc = PARE_OK;

    if (!x->exact) {
        pare_diag_where(diag, x->k.slot->name);
        PARE_FAIL(diag, PARE_E_UNSUPPORTED, "cannot be rewritten exactly: norms or clipping stand between keys and scores");
    }
    for (uint64_t i = 0; i < x->k.n; i++) {
        PARE_FAIL_IF(diag, !(s[i] - s[i] == 0) || s[i] == 0, PARE_E_USAGE, "scale %llu of a fold is zero or not finite", (unsigned long long)i);
        PARE_FAIL_IF(diag, s[i] != s[partner(all, i)], PARE_E_USAGE,
                     "channel %llu is rotated together with channel %llu: their scales must be equal", (unsigned long long)i,
                     (unsigned long long)partner(all, i));
    }
    less = pare_alloc_array(x->k.n, sizeof *less);
    more = pare_alloc_array(x->q.n, sizeof *more);
    if (less == NULL || more == NULL) rc = PARE_NOMEM(diag);
    for (uint64_t i = 0; rc == PARE_OK && i < x->k.n; i++) less[i] = 1 / s[i];
    for (uint64_t i = 0; rc == PARE_OK && i < x->q.n; i++)
        more[i] = s[i / all->dk / (all->n_head / all->n_head_kv) * all->dk + i % all->dk];
    op.value = less;
    if (rc == PARE_OK) rc = on_rows(f, &x->k, op, diag);
    op = (struct pare_fold_op){ .verb = PARE_FOLD_SCALE, .n = x->q.n, .value = more };
    if (rc == PARE_OK) rc = on_rows(f, &x->q, op, diag);
    pare_free(less);
    pare_free(more);
    return finish(f, mark, rc);
}

int pare_fold_reload(struct pare_model *m, struct pare_job *job, struct pare_diag *diag)
{
    for (uint32_t u = 0; u < pare_model_info_of(m)->n_units; u++) {
        if (!pare_model_unit(m, u)->loaded) continue;
        pare_unit_unload(m, u);
        PARE_FORWARD(pare_unit_load(m, u, job, diag));
    }
    return PARE_OK;
}
