/* SPDX-License-Identifier: Apache-2.0 */
#include "model/slot_parts.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "format/parts.h"

static const struct pare_parts *steps_of(const struct pare_slot *s)
{
    return s->weight.parts->input_of != NULL ? s->weight.parts->input_of : s->weight.parts;
}

/* GGUF data begins at multiples of 8 or more, in the file and in memory: whole numbers and floats can be used in place. */
static const void *numbers(const struct pare_tensor *t) { return t->data; }

static int map_check(const struct pare_slot *s, const struct pare_tensor *t, struct pare_diag *diag)
{
    int rc = t == NULL ? PARE_OK : pare_map_check(&s->weight.ckpt->maps[t->file], diag);

    if (rc < 0) pare_diag_where(diag, t->name);
    return rc;
}

static struct pare_matrix matrix_of(const struct pare_tensor *t)
{
    struct pare_matrix m = { .type = t->type, .n_rows = t->rows, .n_cols = t->cols };

    if (t->packed != 0) {
        (void)pare_packed_shape(&m.packed, t->type, t->rows, t->cols); /* checked when opened */
        m.packed.data = (uint8_t *)(uintptr_t)t->data;                 /* kernels only read it */
        return m;
    }
    m.rows = t->data;
    (void)pare_dtype_row_bytes(t->type, t->cols, &m.row_stride);
    return m;
}

/* ---- steps ---- */

static int add_step(struct pare_transform *t, const struct pare_extra_step *e, struct pare_diag *diag)
{
    int rc = PARE_OK;

    switch (e->op) {
    case PARE_OP_SCALE: rc = pare_transform_scale(t, numbers(e->t), diag); break;
    case PARE_OP_PERMUTE: rc = pare_transform_permute(t, numbers(e->t), diag); break;
    case PARE_OP_SIGNS: rc = pare_transform_signs(t, numbers(e->t), diag); break;
    case PARE_OP_HADAMARD: rc = pare_transform_hadamard(t, e->block, diag); break;
    }
    if (rc < 0 && e->t != NULL) pare_diag_where(diag, e->t->name);
    return rc;
}

static int make_transform(const struct pare_slot *s, struct pare_transform **out, struct pare_diag *diag)
{
    const struct pare_parts *p = steps_of(s);
    int                      rc = pare_transform_create(out, s->cols, diag);

    for (uint32_t i = 0; i < p->n_steps && rc == PARE_OK; i++) {
        rc = map_check(s, p->step[i].t, diag);
        if (rc == PARE_OK) rc = add_step(*out, &p->step[i], diag);
    }
    if (rc < 0) pare_transform_destroy(out);
    return rc;
}

/* ---- parts ---- */

static int check_index(const struct pare_extra *e, uint64_t cols, struct pare_diag *diag)
{
    const uint32_t *index = numbers(e->b);

    for (uint64_t i = 0; i < e->b->cols; i++)
        if (index[i] >= cols) {
            pare_diag_where(diag, e->b->name);
            PARE_FAIL(diag, PARE_E_CORRUPT, "column %" PRIu32 " of a weight of %" PRIu64, index[i], cols);
        }
    return PARE_OK;
}

static int check_values(const struct pare_tensor *t, struct pare_diag *diag)
{
    const float *v = numbers(t);

    for (uint64_t i = 0; i < t->cols; i++)
        if (!isfinite(v[i])) {
            pare_diag_where(diag, t->name);
            PARE_FAIL(diag, PARE_E_CORRUPT, "value %" PRIu64 " is not finite", i);
        }
    return PARE_OK;
}

static int part_of(const struct pare_slot *s, const struct pare_extra *e, struct pare_formula_part *p, struct pare_diag *diag)
{
    const char *wrong;

    PARE_FORWARD(map_check(s, e->a, diag));
    PARE_FORWARD(map_check(s, e->b, diag));
    PARE_FORWARD(map_check(s, e->c, diag));
    memset(p, 0, sizeof *p);
    switch (e->kind) {
    case PARE_EXTRA_LOW_RANK:
        p->kind = PARE_PART_LOWRANK;
        p->a = matrix_of(e->a);
        p->b = matrix_of(e->b);
        return PARE_OK;
    case PARE_EXTRA_COLUMNS:
        p->kind = PARE_PART_COLUMNS;
        p->a = matrix_of(e->a);
        p->index = numbers(e->b);
        return check_index(e, s->cols, diag);
    case PARE_EXTRA_SPARSE:
        p->kind = PARE_PART_SPARSE;
        p->sparse = (struct pare_entries){ s->rows, s->cols, e->a->rows, e->b->type->type == PARE_I32, e->a->type->type == PARE_F16, e->c->data,
                                          e->b->data, e->a->data };
        wrong = pare_entries_wrong(&p->sparse);
        if (wrong == NULL) return PARE_OK;
        pare_diag_where(diag, e->b->name);
        PARE_FAIL(diag, PARE_E_CORRUPT, "%s", wrong);
    case PARE_EXTRA_CONST:
        p->kind = PARE_PART_CONST;
        p->value = numbers(e->a);
        p->by_sum = e->by_sum;
        return check_values(e->a, diag);
    }
    return PARE_OK;
}

int pare_slot_formula(const struct pare_slot *s, struct pare_formula *f, struct pare_transform **own, const struct pare_transform *given,
                      struct pare_diag *diag)
{
    const struct pare_parts *p = s->weight.parts;

    *own = NULL;
    memset(f, 0, sizeof *f);
    f->rows = s->rows;
    f->cols = s->cols;
    if (!p->no_base) {
        PARE_FORWARD(map_check(s, s->weight.tensor, diag));
        f->base = matrix_of(s->weight.tensor);
    }
    for (uint32_t i = 0; i < p->n_parts; i++) PARE_FORWARD(part_of(s, &p->part[i], &f->part[f->n_parts++], diag));
    if (steps_of(s)->n_steps == 0) return PARE_OK;
    if (given == NULL) {
        PARE_FORWARD(make_transform(s, own, diag));
        given = *own;
    }
    f->input = given;
    return PARE_OK;
}

/* Panels cannot be used on the reference path, nor off their alignment: rows of their own then. */
static bool needs_copy(const struct pare_model *m, const struct pare_matrix *x)
{
    return x->type != NULL && x->rows == NULL && (m->options.act_mode != PARE_ACT_INT8 || (uintptr_t)x->packed.data % PARE_ALIGN != 0);
}

static int copy_rows(struct pare_matrix *x, uint8_t **copy, struct pare_diag *diag)
{
    void *scratch = pare_aligned(pare_pack_scratch(x->type, x->n_cols));

    (void)pare_dtype_row_bytes(x->type, x->n_cols, &x->row_stride);
    *copy = pare_aligned(x->row_stride * x->n_rows);
    if (scratch != NULL && *copy != NULL) pare_unpack_rows(&x->packed, 0, x->n_rows, *copy, x->row_stride, scratch);
    x->rows = *copy;
    pare_aligned_free(scratch);
    return scratch == NULL || *copy == NULL ? PARE_NOMEM(diag) : PARE_OK;
}

/* A copy that was packed again has served; one that is used as rows belongs to the part. */
static void settle(struct pare_part *p, uint8_t *copy)
{
    if (p == NULL || p->store == PARE_PART_PACKED) pare_aligned_free(copy);
    else if (copy != NULL) p->owned = copy;
}

static int bind_part(struct pare_model *m, struct pare_slot *s, const struct pare_formula *f, uint32_t i, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_formula one = *f;
    uint8_t            *a = NULL, *b = NULL;
    uint32_t            had = s->lin->n_parts;
    int                 rc = PARE_OK;
    struct pare_part   *got;

    one.part[0] = f->part[i];
    one.n_parts = 1;
    if (needs_copy(m, &one.part[0].a)) rc = copy_rows(&one.part[0].a, &a, diag);
    if (rc == PARE_OK && needs_copy(m, &one.part[0].b)) rc = copy_rows(&one.part[0].b, &b, diag);
    if (rc == PARE_OK) rc = pare_formula_bind_parts(&one, s->lin, m->options.act_mode, job, diag);
    got = rc == PARE_OK && s->lin->n_parts > had ? &s->lin->part[had] : NULL;
    settle(got, a);
    settle(got == NULL ? NULL : got->inner, b);
    return rc;
}

/* The transform that the sibling whose input this is too has loaded. */
static const struct pare_transform *sibling(const struct pare_unit *u, const struct pare_slot *s)
{
    for (uint32_t i = 0; i < u->n_slots; i++)
        if (u->slot[i].weight.parts == s->weight.parts->input_of && u->slot[i].lin != NULL) return u->slot[i].transform;
    return NULL;
}

int pare_slot_load_parts(struct pare_model *m, struct pare_unit *u, struct pare_slot *s, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_transform *given = s->weight.parts->input_of != NULL ? sibling(u, s) : NULL;
    struct pare_formula          f;
    int                          rc = pare_slot_formula(s, &f, &s->transform, given, diag);

    if (rc == PARE_OK && f.n_parts == 0) rc = pare_formula_bind_parts(&f, s->lin, m->options.act_mode, job, diag); /* the transform alone */
    for (uint32_t i = 0; i < f.n_parts && rc == PARE_OK; i++) rc = bind_part(m, s, &f, i, job, diag);
    return rc;
}

static uint64_t matrix_bytes(const struct pare_model *m, const struct pare_tensor *t)
{
    struct pare_matrix x;
    uint64_t           row = 0;

    if (t == NULL || (t->type->caps & PARE_DT_QUANT) == 0) return 0;
    x = matrix_of(t);
    if (x.rows == NULL && !needs_copy(m, &x)) return 0;
    if (m->options.act_mode == PARE_ACT_INT8) return pare_linear_bytes(t->type, t->rows, t->cols, PARE_ACT_INT8);
    return x.rows == NULL && pare_dtype_row_bytes(t->type, t->cols, &row) ? row * t->rows : 0;
}

uint64_t pare_slot_parts_bytes(const struct pare_model *m, const struct pare_slot *s)
{
    const struct pare_parts *p = s->weight.parts;
    uint64_t                 sum = 0;

    if (p == NULL) return 0;
    for (uint32_t i = 0; i < p->n_parts; i++) {
        const struct pare_extra *e = &p->part[i];
        if (e->kind == PARE_EXTRA_LOW_RANK) sum += sizeof(struct pare_part) + matrix_bytes(m, e->b);
        if (e->kind == PARE_EXTRA_LOW_RANK || e->kind == PARE_EXTRA_COLUMNS) sum += matrix_bytes(m, e->a);
    }
    if (p->n_steps != 0) sum += sizeof(struct pare_transform);
    for (uint32_t i = 0; i < p->n_steps; i++) /* the operations stand in the order of pare_step_kind */
        sum += pare_step_bytes((enum pare_step_kind)p->step[i].op, s->cols, p->step[i].block);
    return sum;
}

int pare_slot_expand(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    struct pare_transform *own;
    struct pare_formula    f;
    int                    rc = pare_slot_formula(s, &f, &own, s->transform, diag);

    if (rc == PARE_OK && pare_formula_has_bias(&f)) {
        pare_diag_where(diag, s->source);
        rc = PARE_ERR(diag, PARE_E_UNSUPPORTED, "has a constant part, which is no matrix: keep its type to rewrite it");
    }
    if (rc == PARE_OK) rc = pare_formula_expand(&f, row0, n, dst, NULL, diag);
    pare_transform_destroy(&own);
    return rc;
}

/* ---- working memory ---- */

static uint64_t slot_inner(const struct pare_slot *s, uint32_t n)
{
    const struct pare_parts *p = s->weight.parts;
    uint64_t                 sum = 0;

    for (uint32_t i = 0; p != NULL && i < p->n_parts; i++) {
        const struct pare_extra *e = &p->part[i];
        bool packed = (e->a->type->caps & PARE_DT_QUANT) != 0; /* in either mode: trials run int8 linears in a model of f32 ones */

        if (e->kind == PARE_EXTRA_LOW_RANK || e->kind == PARE_EXTRA_COLUMNS) sum += pare_inner_scratch(n, e->a->cols, packed);
        if (e->kind == PARE_EXTRA_CONST && e->by_sum) sum += pare_inner_scratch(n, 1, false);
    }
    return sum;
}

uint64_t pare_model_inner_scratch(const struct pare_model *m, uint32_t n)
{
    uint64_t most = 0;

    for (uint32_t u = 0; u < m->info.n_units; u++) {
        uint64_t sum = 0; /* not all linears of a unit go together, but no more than these do */
        for (uint32_t i = 0; i < m->units[u].n_slots; i++) sum += slot_inner(&m->units[u].slot[i], n);
        if (sum > most) most = sum;
    }
    return most + (m->options.part_cols != 0 ? pare_inner_scratch(n, m->options.part_cols, true) : 0);
}

bool pare_model_has_inputs(const struct pare_model *m)
{
    if (m->options.inputs) return true;
    for (uint32_t u = 0; u < m->info.n_units; u++)
        for (uint32_t i = 0; i < m->units[u].n_slots; i++) {
            const struct pare_parts *p = m->units[u].slot[i].weight.parts;
            if (p != NULL && (p->n_steps != 0 || p->input_of != NULL)) return true;
        }
    return false;
}
