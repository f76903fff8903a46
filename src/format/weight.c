/* SPDX-License-Identifier: Apache-2.0
 * src/format/weight.c: the one way in which models read weights: by name, as rows of f32, whatever they are stored as. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "format/checkpoint_private.h"

static void from_foreign(struct pare_weight *w, const struct pare_foreign *f)
{
    w->name = f->name;
    w->tensor = f->q;
    w->type = pare_dtype_of(PARE_F32);
    w->n_dims = 2;
    w->dims[0] = w->rows = f->rows;
    w->dims[1] = w->cols = f->cols;
    w->row_bytes = f->cols * sizeof(float);
    w->foreign = f;
}

int pare_weight_find(struct pare_weight *w, const struct pare_checkpoint *c, const char *name, struct pare_diag *diag)
{
    const struct pare_ckpt_index *ix = c->index;
    const struct pare_tensor     *t;
    uint64_t                      i = pare_names_get(&ix->foreign, name, strlen(name));

    *w = (struct pare_weight){ .name = name, .ckpt = c };
    if (i != UINT64_MAX) {
        from_foreign(w, &ix->groups[i]);
        return PARE_OK;
    }
    t = pare_checkpoint_tensor(c, name);
    if (t == NULL) return PARE_OK;
    if (t->cols != 0 && !pare_dtype_row_bytes(t->type, t->cols, &w->row_bytes)) /* checked when opened */
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, t->offset, name, "rows do not suit type %s", t->type->name);
    w->name = t->name;
    w->tensor = t;
    w->type = t->type;
    w->n_dims = t->n_dims;
    memcpy(w->dims, t->dims, sizeof w->dims);
    w->rows = t->rows;
    w->cols = t->cols;
    w->data = t->data;
    return PARE_OK;
}

/* A cut file makes reading its mapping fatal. Looking at the size costs one system call for a block of rows. */
static int check_size(const struct pare_weight *w, const struct pare_tensor *t, struct pare_diag *diag)
{
    int rc = t == NULL ? PARE_OK : pare_map_check(&w->ckpt->maps[t->file], diag);

    if (rc < 0) {
        pare_diag_where(diag, w->name);
        pare_diag_offset(diag, t->offset);
    }
    return rc;
}

int pare_weight_rows(const struct pare_weight *w, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    const struct pare_foreign *f = w->foreign;

    PARE_USAGE_CHECK(diag, w->type != NULL && row0 <= w->rows && n <= w->rows - row0);
    PARE_FORWARD(check_size(w, w->tensor, diag));
    if (f != NULL) {
        PARE_FORWARD(check_size(w, f->scales, diag));
        PARE_FORWARD(check_size(w, f->zeros, diag));
        PARE_FORWARD(check_size(w, f->g_idx, diag));
        return pare_foreign_rows(f, row0, n, dst, diag);
    }
    if (w->type->decode == NULL) PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, w->tensor->offset, w->name, "type %s cannot be decoded", w->type->name);
    if (w->cols == 0) return PARE_OK;
    for (uint64_t i = 0; i < n; i++) w->type->decode(dst + i * w->cols, w->data + (row0 + i) * w->row_bytes, w->cols);
    return PARE_OK;
}
