/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/stand_in.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/composite.h"

#define CHUNK_FLOATS (1u << 18)

/* Pages of the original that were read do not stay beside what is made of them. */
static void let_go(const struct pare_target *t)
{
    if (t->slot->weight.tensor != NULL) pare_checkpoint_advise(t->slot->weight.ckpt, t->slot->weight.tensor, PARE_DONTNEED);
}

static int encode_some(struct pare_stand_in *s, const struct pare_dtype *type, const struct pare_feedback *fb, uint64_t r, uint64_t n,
                       float *tmp, struct pare_job *job, struct pare_diag *diag)
{
    uint8_t *to = s->rows + r * s->row_bytes;

    if (fb == NULL) return pare_target_encode(s->t, type, r, n, false, to, tmp, job, diag);
    PARE_FORWARD(pare_target_floats(s->t, r, n, tmp, job, diag));
    return pare_feedback_encode(fb, type, tmp, n, to, NULL, job, diag);
}

int pare_stand_in_rows(struct pare_stand_in *s, struct pare_target *t, const struct pare_dtype *type, const struct pare_feedback *fb,
                       struct pare_job *job, struct pare_diag *diag)
{
    uint64_t step = CHUNK_FLOATS / t->cols / 16 * 16 + 16;
    float   *tmp = pare_alloc_array(step * t->cols, sizeof *tmp);
    int      rc = PARE_OK;

    memset(s, 0, sizeof *s);
    s->t = t;
    (void)pare_dtype_row_bytes(type, t->cols, &s->row_bytes);
    s->rows = pare_aligned(s->row_bytes * t->rows);
    if (tmp == NULL || s->rows == NULL) rc = PARE_NOMEM(diag);
    for (uint64_t r = 0; r < t->rows && rc == PARE_OK; r += step) {
        rc = encode_some(s, type, fb, r, t->rows - r < step ? t->rows - r : step, tmp, job, diag);
        let_go(t);
    }
    pare_free(tmp);
    if (rc < 0) pare_stand_in_drop(s);
    return rc;
}

int pare_stand_in_bind(struct pare_stand_in *s, const struct pare_dtype *type, bool keep_rows, struct pare_job *job, struct pare_diag *diag)
{
    PARE_FORWARD(pare_linear_bind(&s->lin, type, s->rows, s->row_bytes, s->t->rows, s->t->cols, PARE_ACT_INT8, job, diag));
    if (keep_rows || !(type->caps & PARE_DT_QUANT)) return PARE_OK;
    pare_aligned_free(s->rows);
    s->rows = NULL;
    return PARE_OK;
}

static int panels(struct pare_stand_in *s, const struct pare_dtype *type, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_target *t = s->t;
    uint64_t            step = (CHUNK_FLOATS / t->cols / PARE_PANEL + 1) * PARE_PANEL;
    struct pare_packed  p;
    float              *tmp = pare_alloc_array(step * t->cols, sizeof *tmp);
    uint8_t            *rows = pare_aligned(step * s->row_bytes);
    void               *scratch = pare_aligned(pare_pack_scratch(type, t->cols));
    int                 rc = PARE_OK;

    if (!pare_packed_shape(&p, type, t->rows, t->cols)) rc = PARE_ERR(diag, PARE_E_UNSUPPORTED, "type %s cannot be packed", type->name);
    p.data = rc < 0 ? NULL : pare_aligned(pare_packed_bytes(&p));
    if (rc == PARE_OK && (tmp == NULL || rows == NULL || scratch == NULL || p.data == NULL)) rc = PARE_NOMEM(diag);
    for (uint64_t r = 0; r < t->rows && rc == PARE_OK; r += step) {
        uint64_t n = t->rows - r < step ? t->rows - r : step;
        rc = pare_target_encode(t, type, r, n, false, rows, tmp, job, diag);
        for (uint64_t k = 0; k < n && rc == PARE_OK; k += PARE_PANEL)
            pare_pack_panel(&p, (uint32_t)((r + k) / PARE_PANEL), rows + k * s->row_bytes, s->row_bytes,
                            (uint32_t)(n - k < PARE_PANEL ? n - k : PARE_PANEL), scratch);
        let_go(t);
    }
    if (rc == PARE_OK) rc = pare_linear_append_packed(&s->lin, &p, diag);
    if (rc < 0) pare_aligned_free(p.data);
    pare_free(tmp);
    pare_aligned_free(rows);
    pare_aligned_free(scratch);
    return rc;
}

int pare_stand_in_linear(struct pare_stand_in *s, struct pare_target *t, const struct pare_dtype *type, struct pare_job *job,
                         struct pare_diag *diag)
{
    memset(s, 0, sizeof *s);
    s->t = t;
    (void)pare_dtype_row_bytes(type, t->cols, &s->row_bytes);
    if (type->caps & PARE_DT_QUANT) return panels(s, type, job, diag);
    PARE_FORWARD(pare_stand_in_rows(s, t, type, NULL, job, diag));
    return pare_stand_in_bind(s, type, true, job, diag);
}

int pare_stand_in_composite(struct pare_stand_in *s, struct pare_target *t, const struct pare_composite_maker *maker, struct pare_job *job,
                            struct pare_diag *diag)
{
    struct pare_composite *c = pare_zalloc(1, sizeof *c);
    int                    rc = c == NULL ? PARE_NOMEM(diag) : maker->make(maker, t, false, c, job, diag);

    memset(s, 0, sizeof *s);
    if (rc < 0) {
        pare_free(c);
        return rc;
    }
    s->t = t;
    s->composite = c;
    rc = pare_composite_bind(c, &s->lin, PARE_ACT_INT8, job, diag);
    let_go(t);
    if (rc < 0) pare_stand_in_drop(s);
    return rc;
}

void pare_stand_in_drop(struct pare_stand_in *s)
{
    if (s->t == NULL) return;
    s->lin.bias = NULL;
    pare_linear_free(&s->lin);
    pare_aligned_free(s->rows);
    if (s->composite != NULL) pare_composite_free(s->composite);
    pare_free(s->composite);
    memset(s, 0, sizeof *s);
}

void pare_stand_in_put(struct pare_stand_in *s)
{
    s->saved = *s->t->slot->lin;
    s->lin.bias = s->saved.bias;
    *s->t->slot->lin = s->lin;
}

void pare_stand_in_take(struct pare_stand_in *s) { *s->t->slot->lin = s->saved; }

void pare_stand_in_put_table(struct pare_stand_in *s, const struct pare_dtype *type)
{
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

void pare_stand_in_take_table(struct pare_stand_in *s)
{
    s->t->table->weight = s->saved_weight;
    s->t->table->fold = s->saved_fold;
}
