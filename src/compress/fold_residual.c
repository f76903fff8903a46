/* SPDX-License-Identifier: Apache-2.0
 * src/compress/fold_residual.c: rewrites of the residual stream, in every tensor along it. */
#include "base/mem.h"
#include "compress/fold_verbs.h"

static int everywhere(struct pare_folds *f, const struct pare_residual *r, const struct pare_fold_op *op, bool vectors, struct pare_diag *diag)
{
    for (uint32_t i = 0; i < r->n_table; i++) PARE_FORWARD(pare_fold_in(f, r->table[i], op, diag));
    for (uint32_t i = 0; i < r->n_read; i++) PARE_FORWARD(pare_fold_in(f, r->read[i], op, diag));
    for (uint32_t i = 0; i < r->n_write; i++) PARE_FORWARD(pare_fold_out(f, r->write[i], op, diag));
    for (uint32_t i = 0; vectors && i < r->n_vec; i++) PARE_FORWARD(pare_fold_out(f, r->vec[i], op, diag));
    return PARE_OK;
}

static int undo_on_failure(struct pare_folds *f, struct pare_fold_mark m, int rc)
{
    if (rc < 0) pare_folds_back(f, m);
    return rc;
}

int pare_residual_permute(struct pare_folds *f, const struct pare_sites *all, const uint32_t *index, struct pare_diag *diag)
{
    struct pare_fold_op op = { .verb = PARE_FOLD_GATHER, .n = all->res.n, .index = index };
    uint8_t            *seen;
    bool                good = true;

    PARE_FAIL_IF(diag, all->res.no_order != NULL, PARE_E_UNSUPPORTED, "the residual stream cannot be permuted: %s", all->res.no_order);
    seen = pare_zalloc(all->res.n, 1);
    if (seen == NULL) return PARE_NOMEM(diag);
    for (uint32_t i = 0; i < all->res.n && good; i++) {
        good = index[i] < all->res.n && !seen[index[i]];
        if (good) seen[index[i]] = 1;
    }
    pare_free(seen);
    PARE_FAIL_IF(diag, !good, PARE_E_USAGE, "an order that is no permutation of %u channels", all->res.n);
    return undo_on_failure(f, pare_folds_mark(f), everywhere(f, &all->res, &op, true, diag));
}

int pare_residual_sign(struct pare_folds *f, const struct pare_sites *all, const double *sign, struct pare_diag *diag)
{
    struct pare_fold_op op = { .verb = PARE_FOLD_SCALE, .n = all->res.n, .value = sign };

    PARE_FAIL_IF(diag, all->res.no_sign != NULL, PARE_E_UNSUPPORTED, "signs of the residual stream cannot change: %s", all->res.no_sign);
    for (uint32_t i = 0; i < all->res.n; i++)
        PARE_FAIL_IF(diag, sign[i] != 1 && sign[i] != -1, PARE_E_USAGE, "sign %u is neither 1 nor -1", i);
    return undo_on_failure(f, pare_folds_mark(f), everywhere(f, &all->res, &op, false, diag));
}

int pare_site_fuse_gain(struct pare_folds *f, const struct pare_site *x, struct pare_diag *diag)
{
    struct pare_fold_mark mark = pare_folds_mark(f);
    float                *w = pare_alloc_array(x->own, sizeof *w);
    double               *g = pare_alloc_array(2 * x->own, sizeof *g), *one = g == NULL ? NULL : g + x->own;
    int                   rc = w == NULL || g == NULL ? PARE_NOMEM(diag) : pare_slot_rows(x->norm, 0, x->norm->rows, w, diag);

    for (uint64_t i = 0; i < x->own && rc == PARE_OK; i++) {
        g[i] = (double)w[i] + (double)x->norm_add;
        one[i] = 1 - (double)x->norm_add;
    }
    if (rc == PARE_OK && x->norm_bias != NULL) rc = PARE_ERR(diag, PARE_E_UNSUPPORTED, "%s: a norm with a bias keeps its gain", x->norm->name);
    if (rc == PARE_OK) rc = pare_fold_out(f, x->norm, &(struct pare_fold_op){ .verb = PARE_FOLD_SET, .n = x->own, .value = one }, diag);
    for (uint32_t i = 0; i < x->n_to && rc == PARE_OK; i++)
        rc = pare_fold_in(f, x->to[i], &(struct pare_fold_op){ .verb = PARE_FOLD_SCALE, .n = x->own, .value = g }, diag);
    pare_free(w);
    pare_free(g);
    return undo_on_failure(f, mark, rc);
}

int pare_residual_rotate(struct pare_folds *f, const struct pare_rotation *rot, struct pare_diag *diag)
{
    struct pare_fold_mark mark = pare_folds_mark(f);
    struct pare_sites     all;
    int                   rc;

    PARE_FORWARD(pare_sites_of(&all, pare_folds_model(f), diag));
    if (all.res.no_rotation != NULL)
        rc = PARE_ERR(diag, PARE_E_UNSUPPORTED, "the residual stream cannot be rotated: %s", all.res.no_rotation);
    else if (rot->n != all.res.n)
        rc = PARE_ERR(diag, PARE_E_USAGE, "a rotation of %llu channels for %u", (unsigned long long)rot->n, all.res.n);
    else
        rc = pare_model_untie(pare_folds_model(f), diag);
    pare_sites_free(&all); /* untied, the head's norm is a site too */
    if (rc == PARE_OK) rc = pare_sites_of(&all, pare_folds_model(f), diag);
    if (rc < 0) return rc;
    for (uint32_t i = 0; i < all.n && rc == PARE_OK; i++)
        if (all.site[i].kind == PARE_SITE_NORM && all.site[i].own == all.res.n && all.site[i].norm != NULL) rc = pare_site_fuse_gain(f, &all.site[i], diag);
    if (rc == PARE_OK)
        rc = everywhere(f, &all.res, &(struct pare_fold_op){ .verb = PARE_FOLD_ROTATE, .n = all.res.n, .rot = rot }, false, diag);
    pare_sites_free(&all);
    return undo_on_failure(f, mark, rc);
}
