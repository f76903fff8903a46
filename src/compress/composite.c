/* SPDX-License-Identifier: Apache-2.0
 * src/compress/composite.c: composites in memory: how methods fill them in, what they stand for. Sparse panels are
 * made in composite_sparse.c, files in composite_file.c, copies in composite_copy.c. */
#include "compress/composite_private.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "kernel/enc_tiers.h"

void pare_composite_init(struct pare_composite *c, uint64_t rows, uint64_t cols)
{
    memset(c, 0, sizeof *c);
    c->rows = rows;
    c->cols = cols;
}

static void free_rows(struct pare_rows *r)
{
    pare_aligned_free(r->data);
    memset(r, 0, sizeof *r);
}

void pare_composite_free_part(struct pare_composite_part *p)
{
    free_rows(&p->a);
    free_rows(&p->b);
    pare_free(p->index);
    pare_free(p->value);
    pare_aligned_free((void *)(uintptr_t)p->sparse.at);
    pare_aligned_free((void *)(uintptr_t)p->sparse.col);
    pare_aligned_free((void *)(uintptr_t)p->sparse.val);
    memset(p, 0, sizeof *p);
}

void pare_composite_free(struct pare_composite *c)
{
    if (!c->borrowed) {
        free_rows(&c->base);
        for (uint32_t i = 0; i < c->n_parts; i++) pare_composite_free_part(&c->part[i]);
        pare_transform_destroy(&c->input);
    }
    memset(c, 0, sizeof *c);
}

void pare_composite_view(struct pare_composite *out, const struct pare_composite *c)
{
    *out = *c;
    out->borrowed = true;
}

/* ---- encoding ---- */

struct encode_job {
    struct pare_rows *r;
    const float      *w, *importance;
    const struct pare_enc_wide *wide;
    atomic_bool       bad;
};

#define ENCODE_ROWS 4

static void encode_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    struct encode_job *e = ctx;
    uint64_t           from = (uint64_t)chunk * ENCODE_ROWS, to = from + ENCODE_ROWS < e->r->rows ? from + ENCODE_ROWS : e->r->rows;

    (void)worker;
    for (uint64_t i = from * e->r->cols; i < to * e->r->cols; i++)
        if (!(e->w[i] - e->w[i] == 0)) {
            atomic_store(&e->bad, true);
            return;
        }
    pare_enc_use(e->wide);
    for (uint64_t r = from; r < to; r++) e->r->type->encode(e->r->data + r * e->r->row_bytes, e->w + r * e->r->cols, e->r->cols, e->importance);
}

int pare_rows_shape(struct pare_rows *r, const struct pare_dtype *type, uint64_t rows, uint64_t cols, struct pare_diag *diag)
{
    memset(r, 0, sizeof *r);
    PARE_FAIL_IF(diag, !(type->caps & (PARE_DT_FLOAT | PARE_DT_QUANT)) || type->type == PARE_F64 || !pare_dtype_row_bytes(type, cols, &r->row_bytes),
                 PARE_E_USAGE, "type %s does not suit rows of %llu weights", type->name, (unsigned long long)cols);
    r->type = type;
    r->rows = rows;
    r->cols = cols;
    return PARE_OK;
}

static int encode_rows(struct pare_rows *r, const struct pare_dtype *type, uint64_t rows, uint64_t cols, const float *w, const float *importance,
                       struct pare_job *job, struct pare_diag *diag)
{
    struct encode_job e = { .r = r, .w = w, .importance = importance, .wide = pare_enc_wide_for(job != NULL ? job->tier : pare_cpu_best_tier()) };

    PARE_FAIL_IF(diag, !(type->caps & PARE_DT_WRITE), PARE_E_USAGE, "type %s can be read but not written", type->name);
    PARE_FORWARD(pare_rows_shape(r, type, rows, cols, diag));
    r->data = pare_aligned(rows * r->row_bytes);
    if (r->data == NULL) return PARE_NOMEM(diag);
    pare_team_run(job != NULL ? job->team : NULL, (uint32_t)((rows + ENCODE_ROWS - 1) / ENCODE_ROWS), encode_chunk, &e);
    if (!atomic_load(&e.bad)) return PARE_OK;
    free_rows(r);
    PARE_FAIL(diag, PARE_E_CORRUPT, "a weight to be encoded is not finite");
}

int pare_composite_base(struct pare_composite *c, const struct pare_dtype *type, const float *w, const float *importance, struct pare_job *job,
                        struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, c->base.type != NULL, PARE_E_USAGE, "the composite has a base already");
    return encode_rows(&c->base, type, c->rows, c->cols, w, importance, job, diag);
}

int pare_composite_take_base(struct pare_composite *c, const struct pare_dtype *type, uint8_t *data, struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, c->base.type != NULL, PARE_E_USAGE, "the composite has a base already");
    PARE_FORWARD(pare_rows_shape(&c->base, type, c->rows, c->cols, diag));
    c->base.data = data;
    return PARE_OK;
}

int pare_composite_new_part(struct pare_composite *c, enum pare_part_kind kind, struct pare_composite_part **p, struct pare_diag *diag)
{
    *p = &c->part[c->n_parts < PARE_COMPOSITE_PARTS ? c->n_parts : 0];
    PARE_FAIL_IF(diag, c->n_parts == PARE_COMPOSITE_PARTS, PARE_E_LIMIT, "a weight has more than %d further parts", PARE_COMPOSITE_PARTS);
    memset(*p, 0, sizeof **p);
    (*p)->kind = kind;
    return PARE_OK;
}

int pare_composite_low_rank(struct pare_composite *c, uint64_t rank, const float *a, const struct pare_dtype *type_a, const float *b,
                            const struct pare_dtype *type_b, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_composite_part *p;
    int                         rc;

    if (rank == 0) return PARE_OK;
    PARE_FAIL_IF(diag, rank > c->cols, PARE_E_USAGE, "rank %llu of a matrix of %llu columns", (unsigned long long)rank, (unsigned long long)c->cols);
    PARE_FORWARD(pare_composite_new_part(c, PARE_PART_LOWRANK, &p, diag));
    rc = encode_rows(&p->a, type_a, c->rows, rank, a, NULL, job, diag);
    if (rc == PARE_OK) rc = encode_rows(&p->b, type_b, rank, c->cols, b, NULL, job, diag);
    if (rc == PARE_OK) c->n_parts++;
    else pare_composite_free_part(p);
    return rc;
}

int pare_composite_columns(struct pare_composite *c, uint64_t k, const uint32_t *index, const float *s, const struct pare_dtype *type,
                           struct pare_job *job, struct pare_diag *diag)
{
    struct pare_composite_part *p;
    int                         rc;

    if (k == 0) return PARE_OK;
    PARE_FAIL_IF(diag, k > c->cols, PARE_E_USAGE, "%llu columns of %llu", (unsigned long long)k, (unsigned long long)c->cols);
    for (uint64_t i = 0; i < k; i++) PARE_FAIL_IF(diag, index[i] >= c->cols, PARE_E_USAGE, "column %u of %llu", index[i], (unsigned long long)c->cols);
    PARE_FORWARD(pare_composite_new_part(c, PARE_PART_COLUMNS, &p, diag));
    rc = encode_rows(&p->a, type, c->rows, k, s, NULL, job, diag);
    if (rc == PARE_OK && (p->index = pare_alloc_array(k, sizeof *p->index)) == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) {
        memcpy(p->index, index, k * sizeof *index);
        c->n_parts++;
    } else {
        pare_composite_free_part(p);
    }
    return rc;
}

int pare_composite_const(struct pare_composite *c, const float *value, bool by_sum, struct pare_diag *diag)
{
    struct pare_composite_part *p;

    for (uint64_t i = 0; i < c->rows; i++) PARE_FAIL_IF(diag, !isfinite(value[i]), PARE_E_CORRUPT, "constant %llu is not finite", (unsigned long long)i);
    PARE_FORWARD(pare_composite_new_part(c, PARE_PART_CONST, &p, diag));
    p->value = pare_alloc_array(c->rows, sizeof *p->value);
    if (p->value == NULL) return PARE_NOMEM(diag);
    memcpy(p->value, value, c->rows * sizeof *value);
    p->by_sum = by_sum;
    c->n_parts++;
    return PARE_OK;
}

int pare_composite_input(struct pare_composite *c, const struct pare_transform *t, const char *input_of, struct pare_diag *diag)
{
    struct pare_transform *copy = NULL;

    PARE_FAIL_IF(diag, t != NULL && t->cols != c->cols, PARE_E_USAGE, "a transform of %llu channels for %llu columns", (unsigned long long)t->cols,
                 (unsigned long long)c->cols);
    if (t != NULL && t->n_steps != 0) PARE_FORWARD(pare_transform_copy(&copy, t, diag));
    pare_transform_destroy(&c->input);
    c->input = copy;
    c->input_of = copy == NULL ? NULL : input_of;
    return PARE_OK;
}

/* ---- what it stands for ---- */

static struct pare_matrix matrix_of(const struct pare_rows *r)
{
    return (struct pare_matrix){ .type = r->type, .n_rows = r->rows, .n_cols = r->cols, .rows = r->data, .row_stride = r->row_bytes };
}

void pare_composite_formula(const struct pare_composite *c, struct pare_formula *f)
{
    memset(f, 0, sizeof *f);
    f->rows = c->rows;
    f->cols = c->cols;
    f->base = matrix_of(&c->base);
    f->input = c->input;
    for (uint32_t i = 0; i < c->n_parts; i++) {
        const struct pare_composite_part *p = &c->part[i];
        f->part[f->n_parts++] = (struct pare_formula_part){ .kind = p->kind, .a = matrix_of(&p->a), .b = matrix_of(&p->b), .index = p->index,
                                                            .sparse = p->sparse, .value = p->value, .by_sum = p->by_sum };
    }
}

int pare_composite_dense(const struct pare_composite *c, uint64_t row0, uint64_t n, float *w, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_formula f;

    pare_composite_formula(c, &f);
    return pare_formula_expand(&f, row0, n, w, job, diag);
}

int pare_composite_bind(const struct pare_composite *c, struct pare_linear *l, enum pare_act_mode mode, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_formula f;

    pare_composite_formula(c, &f);
    return pare_formula_bind(&f, l, mode, job, diag);
}

uint64_t pare_composite_bytes(const struct pare_composite *c)
{
    uint64_t sum = c->base.type == NULL ? 1 : c->base.rows * c->base.row_bytes;

    for (uint32_t i = 0; i < c->n_parts; i++) {
        const struct pare_composite_part *p = &c->part[i];
        sum += p->a.rows * p->a.row_bytes + p->b.rows * p->b.row_bytes;
        if (p->kind == PARE_PART_COLUMNS) sum += p->a.cols * sizeof *p->index;
        if (p->kind == PARE_PART_SPARSE) sum += pare_entries_at_bytes(&p->sparse) + pare_entries_col_bytes(&p->sparse) + pare_entries_val_bytes(&p->sparse);
        if (p->kind == PARE_PART_CONST) sum += c->rows * sizeof *p->value;
    }
    for (uint32_t i = 0; c->input != NULL && c->input_of == NULL && i < c->input->n_steps; i++)
        switch (c->input->step[i].kind) {
        case PARE_STEP_SCALE: case PARE_STEP_PERMUTE: sum += c->cols * 4; break;
        case PARE_STEP_SIGNS: sum += (c->cols + 7) / 8; break;
        case PARE_STEP_HADAMARD: break;
        }
    return sum;
}

static uint64_t rows_resident(const struct pare_rows *r)
{
    uint64_t packed = r->type == NULL ? 0 : pare_linear_bytes(r->type, r->rows, r->cols, PARE_ACT_INT8);

    return packed != 0 ? packed : r->rows * r->row_bytes;
}

uint64_t pare_composite_resident(const struct pare_composite *c)
{
    uint64_t sum = pare_composite_bytes(c) - c->base.rows * c->base.row_bytes + rows_resident(&c->base);

    for (uint32_t i = 0; i < c->n_parts; i++) {
        const struct pare_composite_part *p = &c->part[i];
        sum += rows_resident(&p->a) + rows_resident(&p->b) - p->a.rows * p->a.row_bytes - p->b.rows * p->b.row_bytes;
    }
    return sum + (c->input != NULL && c->input_of == NULL ? pare_transform_bytes(c->input) : 0);
}
