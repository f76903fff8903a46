/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/formula.h"

#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "kernel/vec.h"

int pare_formula_bind_parts(const struct pare_formula *f, struct pare_linear *l, enum pare_act_mode mode, struct pare_job *job,
                            struct pare_diag *diag)
{
    int rc = PARE_OK;

    if (l->n_parts == 0) rc = pare_linear_begin(l, f->rows, f->cols, diag);
    for (uint32_t i = 0; i < f->n_parts && rc == PARE_OK; i++) {
        const struct pare_formula_part *p = &f->part[i];

        switch (p->kind) {
        case PARE_PART_LOWRANK: rc = pare_linear_low_rank(l, &p->a, &p->b, mode, job, diag); break;
        case PARE_PART_COLUMNS: rc = pare_linear_columns(l, &p->a, p->index, mode, job, diag); break;
        case PARE_PART_SPARSE: rc = pare_linear_sparse(l, &p->sparse, diag); break;
        case PARE_PART_CONST: rc = pare_linear_const(l, p->value, p->by_sum, diag); break;
        default: rc = PARE_ERR(diag, PARE_E_USAGE, "part %u is no further part", i);
        }
    }
    l->input = f->input == NULL || f->input->n_steps == 0 ? NULL : &f->input->input;
    return rc;
}

int pare_formula_bind(const struct pare_formula *f, struct pare_linear *l, enum pare_act_mode mode, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_matrix *b = &f->base;
    int                       rc = PARE_OK;

    if (b->type != NULL && b->rows == NULL) rc = pare_linear_append_mapped(l, &b->packed, diag);
    else if (b->type != NULL) rc = pare_linear_bind(l, b->type, b->rows, b->row_stride, f->rows, f->cols, mode, job, diag);
    if (rc == PARE_OK) rc = pare_formula_bind_parts(f, l, mode, job, diag);
    if (rc < 0) pare_linear_free(l);
    return rc;
}

bool pare_formula_has_bias(const struct pare_formula *f)
{
    for (uint32_t i = 0; i < f->n_parts; i++)
        if (f->part[i].kind == PARE_PART_CONST && !f->part[i].by_sum) return true;
    return false;
}

static void decode(const struct pare_matrix *m, uint64_t r, float *dst)
{
    if (m->rows == NULL) pare_unpack_decode(&m->packed, r, dst);
    else m->type->decode(dst, m->rows + r * m->row_stride, m->n_cols);
}

/* w += sum over c of a[c] * B row c. Rows of B are decoded once for all rows of w. */
static int add_low_rank(const struct pare_formula_part *p, uint64_t row0, uint64_t n, float *w, const struct pare_vec *vk, struct pare_diag *diag)
{
    const uint64_t rank = p->a.n_cols, cols = p->b.n_cols;
    float         *a = pare_alloc_array(n * rank + 1, sizeof *a), *b = pare_alloc_array(cols + 1, sizeof *b);
    int            rc = a == NULL || b == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint64_t r = 0; r < n && rc == PARE_OK && rank != 0; r++) decode(&p->a, row0 + r, a + r * rank);
    for (uint64_t c = 0; c < rank && rc == PARE_OK; c++) {
        decode(&p->b, c, b);
        for (uint64_t r = 0; r < n; r++) vk->axpy(w + r * cols, a[r * rank + c], b, cols);
    }
    pare_free(a);
    pare_free(b);
    return rc;
}

static int add_columns(const struct pare_formula_part *p, uint64_t row0, uint64_t n, uint64_t cols, float *w, struct pare_diag *diag)
{
    float *s = pare_alloc_array(p->a.n_cols + 1, sizeof *s);

    if (s == NULL) return PARE_NOMEM(diag);
    for (uint64_t r = 0; r < n && p->a.n_cols != 0; r++) {
        decode(&p->a, row0 + r, s);
        for (uint64_t i = 0; i < p->a.n_cols; i++) w[r * cols + p->index[i]] += s[i];
    }
    pare_free(s);
    return PARE_OK;
}

static void add_sparse(const struct pare_entries *s, uint64_t row0, uint64_t n, float *w)
{
    for (uint64_t r = row0; r < row0 + n; r++) {
        const uint8_t *at = s->at + 4 * (r / PARE_ENTRIES_ROWS);

        for (uint64_t k = pare_le32(at); k < pare_le32(at + 4); k++) {
            uint64_t i = k * PARE_ENTRIES_ROWS + r % PARE_ENTRIES_ROWS;
            float    v = s->f16 ? pare_f16_to_f32(pare_le16(s->val + 2 * i)) : pare_bits_f32(pare_le32(s->val + 4 * i));
            w[(r - row0) * s->cols + (s->wide ? pare_le32(s->col + 4 * i) : pare_le16(s->col + 2 * i))] += v;
        }
    }
}

int pare_formula_expand(const struct pare_formula *f, uint64_t row0, uint64_t n, float *w, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_vec *vk = pare_vec_for(job != NULL ? job->tier : pare_cpu_best_tier());

    PARE_USAGE_CHECK(diag, row0 <= f->rows && n <= f->rows - row0);
    for (uint64_t r = 0; r < n; r++) {
        if (f->base.type == NULL) memset(w + r * f->cols, 0, f->cols * sizeof *w);
        else decode(&f->base, row0 + r, w + r * f->cols);
    }
    for (uint32_t i = 0; i < f->n_parts; i++) {
        const struct pare_formula_part *p = &f->part[i];

        switch (p->kind) {
        case PARE_PART_LOWRANK: PARE_FORWARD(add_low_rank(p, row0, n, w, vk, diag)); break;
        case PARE_PART_COLUMNS: PARE_FORWARD(add_columns(p, row0, n, f->cols, w, diag)); break;
        case PARE_PART_SPARSE: add_sparse(&p->sparse, row0, n, w); break;
        case PARE_PART_CONST:
            for (uint64_t r = 0; r < n && p->by_sum; r++)
                for (uint64_t c = 0; c < f->cols; c++) w[r * f->cols + c] += p->value[row0 + r];
            break;
        default: break;
        }
    }
    if (f->input != NULL) pare_transform_unfold(f->input, w, f->cols, n, job);
    return PARE_OK;
}
