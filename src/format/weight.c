/* SPDX-License-Identifier: Apache-2.0
 * src/format/weight.c: the one way in which models read weights: by name, as rows of f32, whatever they are stored as. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
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

int pare_weight_of(struct pare_weight *w, const struct pare_checkpoint *c, const struct pare_tensor *t, struct pare_diag *diag)
{
    *w = (struct pare_weight){ .name = t->name, .ckpt = c };
    if (t->cols != 0 && !pare_dtype_row_bytes(t->type, t->cols, &w->row_bytes)) /* checked when opened */
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, t->offset, t->name, "rows do not suit type %s", t->type->name);
    w->tensor = t;
    w->type = t->type;
    w->n_dims = t->n_dims;
    memcpy(w->dims, t->dims, sizeof w->dims);
    w->rows = t->rows;
    w->cols = t->cols;
    w->data = t->data;
    w->parts = t->parts;
    if (t->parts != NULL && t->parts->no_base) { /* a placeholder: zeros, in f32 */
        w->type = pare_dtype_of(PARE_F32);
        w->data = NULL;
        (void)pare_dtype_row_bytes(w->type, w->cols, &w->row_bytes);
        return PARE_OK;
    }
    if (t->packed == 0) return PARE_OK;
    if (!pare_packed_shape(&w->panels, t->type, t->rows, t->cols)) /* checked when opened */
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, t->offset, t->name, "type %s cannot be packed", t->type->name);
    w->panels.data = (uint8_t *)(uintptr_t)t->data; /* kernels only read it */
    w->data = NULL;
    return PARE_OK;
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
    return t == NULL ? PARE_OK : pare_weight_of(w, c, t, diag);
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

void pare_weight_decode(const struct pare_weight *w, uint64_t row, float *dst)
{
    if (w->panels.data != NULL) pare_unpack_decode(&w->panels, row, dst);
    else if (w->data == NULL) memset(dst, 0, w->cols * sizeof *dst);
    else w->type->decode(dst, w->data + row * w->row_bytes, w->cols);
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
    for (uint64_t i = 0; i < n; i++) pare_weight_decode(w, row0 + i, dst + i * w->cols);
    return PARE_OK;
}

int pare_weight_bytes(const struct pare_weight *w, uint64_t row0, uint64_t n, uint8_t *dst, struct pare_diag *diag)
{
    void *scratch;

    PARE_USAGE_CHECK(diag, w->type != NULL && w->foreign == NULL && row0 <= w->rows && n <= w->rows - row0);
    PARE_FORWARD(check_size(w, w->tensor, diag));
    if (w->panels.data == NULL) {
        PARE_FAIL_IF(diag, w->data == NULL, PARE_E_USAGE, "%s has no rows of its own", w->name);
        if (n * w->row_bytes != 0) memcpy(dst, w->data + row0 * w->row_bytes, n * w->row_bytes);
        return PARE_OK;
    }
    scratch = pare_aligned(pare_pack_scratch(w->type, w->cols));
    if (scratch == NULL) return PARE_NOMEM(diag);
    pare_unpack_rows(&w->panels, row0, n, dst, w->row_bytes, scratch);
    pare_aligned_free(scratch);
    return PARE_OK;
}
