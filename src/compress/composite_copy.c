/* SPDX-License-Identifier: Apache-2.0
 * src/compress/composite_copy.c: composites from a file, and with their rows in the order of written files. */
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "compress/composite_private.h"
#include "compress/target.h"
#include "format/parts.h"
#include "model/slot_parts.h"

static int copy_matrix(struct pare_rows *to, const struct pare_matrix *m, const struct pare_slot *order, struct pare_diag *diag)
{
    void *scratch = NULL;
    int   rc = PARE_OK;

    memset(to, 0, sizeof *to);
    if (m->type == NULL) return PARE_OK;
    PARE_FORWARD(pare_rows_shape(to, m->type, m->n_rows, m->n_cols, diag));
    to->data = pare_aligned(to->rows * to->row_bytes);
    if (m->rows == NULL) scratch = pare_aligned(pare_pack_scratch(m->type, m->n_cols));
    if (to->data == NULL || (m->rows == NULL && scratch == NULL)) rc = PARE_NOMEM(diag);
    for (uint64_t r = 0; r < to->rows && rc == PARE_OK; r++) {
        uint64_t from = order != NULL ? pare_slot_out_row(order, r) : r;
        if (m->rows != NULL) memcpy(to->data + r * to->row_bytes, m->rows + from * m->row_stride, to->row_bytes);
        else pare_unpack_rows(&m->packed, from, 1, to->data + r * to->row_bytes, to->row_bytes, scratch);
    }
    pare_aligned_free(scratch);
    if (rc < 0) {
        pare_aligned_free(to->data);
        memset(to, 0, sizeof *to);
    }
    return rc;
}

/* Entries of a sparse part, padding left out; with order, under the rows of written files. */
static uint64_t entries(const struct pare_entries *s, struct pare_entry *e, const uint32_t *row_to)
{
    uint64_t n = 0;

    for (uint64_t r = 0; r < s->rows; r++)
        for (uint64_t k = pare_le32(s->at + 4 * (r / PARE_ENTRIES_ROWS)); k < pare_le32(s->at + 4 * (r / PARE_ENTRIES_ROWS) + 4); k++) {
            uint64_t i = k * PARE_ENTRIES_ROWS + r % PARE_ENTRIES_ROWS;
            uint32_t col = s->wide ? pare_le32(s->col + 4 * i) : pare_le16(s->col + 2 * i);
            float    v = s->f16 ? pare_f16_to_f32(pare_le16(s->val + 2 * i)) : pare_bits_f32(pare_le32(s->val + 4 * i));

            if (v != 0) e[n++] = (struct pare_entry){ row_to != NULL ? row_to[r] : (uint32_t)r, col, v };
        }
    return n;
}

static int copy_bytes(const uint8_t **to, const uint8_t *from, uint64_t n, struct pare_diag *diag)
{
    uint8_t *p = pare_aligned(n + 1);

    *to = p;
    if (p == NULL) return PARE_NOMEM(diag);
    memcpy(p, from, n);
    return PARE_OK;
}

static int copy_sparse(struct pare_entries *to, const struct pare_entries *s, const struct pare_slot *order, struct pare_diag *diag)
{
    struct pare_entry *e;
    uint32_t          *row_to;
    uint64_t           n;
    int                rc;

    if (order == NULL) {
        *to = *s;
        to->at = to->col = to->val = NULL;
        PARE_FORWARD(copy_bytes(&to->at, s->at, pare_entries_at_bytes(s), diag));
        PARE_FORWARD(copy_bytes(&to->col, s->col, pare_entries_col_bytes(s), diag));
        return copy_bytes(&to->val, s->val, pare_entries_val_bytes(s), diag);
    }
    PARE_FAIL_IF(diag, s->at == NULL, PARE_E_USAGE, "the order of a sparse part can only be changed with its numbers");
    e = pare_alloc_array(s->n_slots * PARE_ENTRIES_ROWS + 1, sizeof *e);
    row_to = pare_alloc_array(s->rows, sizeof *row_to);
    rc = e == NULL || row_to == NULL ? PARE_NOMEM(diag) : PARE_OK;
    if (rc == PARE_OK) {
        for (uint64_t r = 0; r < s->rows; r++) row_to[pare_slot_out_row(order, r)] = (uint32_t)r;
        n = entries(s, e, row_to);
        rc = pare_entries_make(to, s->rows, s->cols, e, n, s->f16, diag);
    }
    pare_free(e);
    pare_free(row_to);
    return rc;
}

static int copy_part(struct pare_composite *c, const struct pare_formula_part *f, const struct pare_slot *order, struct pare_diag *diag)
{
    struct pare_composite_part *p;
    int                         rc;

    PARE_FORWARD(pare_composite_new_part(c, f->kind, &p, diag));
    c->n_parts++; /* half a part is freed with the composite */
    p->by_sum = f->by_sum;
    if (f->kind == PARE_PART_SPARSE) return copy_sparse(&p->sparse, &f->sparse, order, diag);
    if (f->kind == PARE_PART_CONST) {
        if ((p->value = pare_alloc_array(c->rows, sizeof *p->value)) == NULL) return PARE_NOMEM(diag);
        for (uint64_t r = 0; r < c->rows; r++) p->value[r] = f->value[order != NULL ? pare_slot_out_row(order, r) : r];
        return PARE_OK;
    }
    rc = copy_matrix(&p->a, &f->a, order, diag);
    if (rc == PARE_OK) rc = copy_matrix(&p->b, &f->b, NULL, diag); /* B's rows are ranks */
    if (rc == PARE_OK && f->index != NULL) {
        if ((p->index = pare_alloc_array(f->a.n_cols, sizeof *p->index)) == NULL) return PARE_NOMEM(diag);
        memcpy(p->index, f->index, f->a.n_cols * sizeof *p->index);
    }
    return rc;
}

static int copy_formula(struct pare_composite *c, const struct pare_formula *f, const struct pare_slot *order, struct pare_diag *diag)
{
    int rc;

    pare_composite_init(c, f->rows, f->cols);
    rc = copy_matrix(&c->base, &f->base, order, diag);
    for (uint32_t i = 0; i < f->n_parts && rc == PARE_OK; i++) rc = copy_part(c, &f->part[i], order, diag);
    if (rc == PARE_OK && f->input != NULL) rc = pare_composite_input(c, f->input, NULL, diag);
    if (rc < 0) pare_composite_free(c);
    return rc;
}

static bool is_shape(const struct pare_composite *c)
{
    if (c->base.type != NULL) return c->base.data == NULL;
    return c->n_parts != 0 && c->part[0].a.type != NULL && c->part[0].a.data == NULL;
}

int pare_composite_out_order(struct pare_composite *out, struct pare_composite *c, const struct pare_slot *s, struct pare_diag *diag)
{
    struct pare_formula f;
    const char         *input_of = c->input_of;

    if (!s->permute_out || is_shape(c)) { /* a shape is the same in any order, but for the slots of sparse parts */
        for (uint32_t i = 0; i < c->n_parts && s->permute_out; i++)
            PARE_FAIL_IF(diag, c->part[i].kind == PARE_PART_SPARSE, PARE_E_USAGE, "the order of a sparse part can only be changed with its numbers");
        *out = *c;
        c->borrowed = true;
        return PARE_OK;
    }
    pare_composite_formula(c, &f);
    PARE_FORWARD(copy_formula(out, &f, s, diag));
    out->input_of = input_of;
    pare_composite_free(c);
    return PARE_OK;
}

/* Sizes and types alone, from the file's tensors. */
static int shape_of_slot(struct pare_composite *c, const struct pare_formula *f, struct pare_diag *diag)
{
    pare_composite_init(c, f->rows, f->cols);
    if (f->base.type != NULL) PARE_FORWARD(pare_rows_shape(&c->base, f->base.type, f->rows, f->cols, diag));
    for (uint32_t i = 0; i < f->n_parts; i++) {
        const struct pare_formula_part *from = &f->part[i];
        struct pare_composite_part     *p;

        PARE_FORWARD(pare_composite_new_part(c, from->kind, &p, diag));
        p->by_sum = from->by_sum;
        p->sparse = from->sparse;
        p->sparse.at = p->sparse.col = p->sparse.val = NULL;
        if (from->a.type != NULL) PARE_FORWARD(pare_rows_shape(&p->a, from->a.type, from->a.n_rows, from->a.n_cols, diag));
        if (from->b.type != NULL) PARE_FORWARD(pare_rows_shape(&p->b, from->b.type, from->b.n_rows, from->b.n_cols, diag));
        c->n_parts++;
    }
    return f->input == NULL ? PARE_OK : pare_composite_input(c, f->input, NULL, diag);
}

int pare_composite_of_slot(struct pare_composite *c, const struct pare_slot *s, const struct pare_unit *u, bool shape, struct pare_diag *diag)
{
    struct pare_transform *own;
    struct pare_formula    f;
    int                    rc = pare_slot_formula(s, &f, &own, NULL, diag);

    memset(c, 0, sizeof *c);
    if (rc == PARE_OK) rc = shape ? shape_of_slot(c, &f, diag) : copy_formula(c, &f, NULL, diag);
    pare_transform_destroy(&own);
    for (uint32_t i = 0; rc == PARE_OK && u != NULL && s->weight.parts->input_of != NULL && i < u->n_slots; i++)
        if (u->slot[i].weight.parts == s->weight.parts->input_of) c->input_of = u->slot[i].name;
    if (rc < 0) pare_composite_free(c);
    return rc;
}

/* ---- makers ---- */

static int make_kept(const struct pare_composite_maker *m, const struct pare_target *t, bool shape, struct pare_composite *out, struct pare_job *job,
                     struct pare_diag *diag)
{
    (void)m;
    (void)job;
    return pare_composite_of_slot(out, t->slot, t->of, shape, diag);
}
const struct pare_composite_maker pare_composite_keep = { make_kept, NULL };

static int make_held(const struct pare_composite_maker *m, const struct pare_target *t, bool shape, struct pare_composite *out, struct pare_job *job,
                     struct pare_diag *diag)
{
    const struct pare_composite *c = m->user;

    (void)shape;
    (void)job;
    PARE_FAIL_IF(diag, c->rows != t->rows || c->cols != t->cols, PARE_E_USAGE, "%s: a composite of [%llu, %llu]", t->name, (unsigned long long)c->rows,
                 (unsigned long long)c->cols);
    pare_composite_view(out, c);
    return PARE_OK;
}

void pare_composite_hold(struct pare_composite_maker *m, const struct pare_composite *c) { *m = (struct pare_composite_maker){ make_held, c }; }
