/* SPDX-License-Identifier: Apache-2.0
 * src/nn/linear_bind.c: parts of composite linears from memory: rows are packed or used where they lie, what comes from outside is
 * checked. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "nn/linear_private.h"

struct pack_job {
    const struct pare_packed *p;
    const uint8_t *rows;
    uint64_t       row_stride;
    uint8_t       *scratch;
    uint64_t       scratch_bytes;
};

static void pack_chunk(void *ctx, uint32_t panel, uint32_t worker)
{
    const struct pack_job *j = ctx;
    uint64_t r = (uint64_t)panel * PARE_PANEL, left = j->p->rows - r;

    pare_pack_panel(j->p, panel, j->rows + r * j->row_stride, j->row_stride, left < PARE_PANEL ? (uint32_t)left : PARE_PANEL,
                    j->scratch + worker * j->scratch_bytes);
}

/* Allocates and fills the panels of p; on success p->data is the caller's. */
static int pack_rows(struct pare_packed *p, const uint8_t *rows, uint64_t row_stride, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_team *team = job != NULL ? job->team : NULL;
    struct pack_job   j = { .p = p, .rows = rows, .row_stride = row_stride };
    uint64_t          bytes;

    if (!pare_mul_u64(p->n_panels, p->panel_bytes, &bytes)) PARE_FAIL(diag, PARE_E_LIMIT, "the packed size overflows");
    j.scratch_bytes = up64(pare_pack_scratch(p->type, p->cols));
    j.scratch = pare_aligned(j.scratch_bytes * pare_team_size(team));
    p->data = pare_aligned(bytes);
    if (j.scratch == NULL || p->data == NULL) {
        pare_aligned_free(j.scratch);
        pare_aligned_free(p->data);
        p->data = NULL;
        return PARE_ERR(diag, PARE_E_NOMEM, "out of memory for %llu bytes of packed weights", (unsigned long long)bytes);
    }
    pare_team_run(team, p->n_panels, pack_chunk, &j);
    pare_aligned_free(j.scratch);
    return PARE_OK;
}

static int check_type(const struct pare_dtype *type, uint64_t n_rows, uint64_t n_cols, struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, !(type->caps & (PARE_DT_FLOAT | PARE_DT_QUANT)), PARE_E_UNSUPPORTED, "weights of type %s cannot be multiplied",
                 type->name);
    PARE_FAIL_IF(diag, n_rows > (uint64_t)UINT32_MAX - PARE_PANEL || n_cols > UINT32_MAX - 32u, PARE_E_LIMIT,
                 "a matrix of [%llu, %llu] is too large", (unsigned long long)n_rows, (unsigned long long)n_cols);
    return PARE_OK;
}

/* Checks the shape against earlier parts and gives the slot of a new one. */
static int new_part(struct pare_linear *l, enum pare_part_kind kind, uint64_t n_rows, uint64_t n_cols, struct pare_part **part,
                    struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, l->n_parts == PARE_MAX_PARTS, PARE_E_LIMIT, "a weight has more than %d parts", PARE_MAX_PARTS);
    PARE_FAIL_IF(diag, (l->rows != 0 || l->n_parts != 0) && (l->rows != n_rows || l->cols != n_cols), PARE_E_CORRUPT,
                 "parts of one weight differ in shape: [%llu, %llu] and [%llu, %llu]", (unsigned long long)l->rows,
                 (unsigned long long)l->cols, (unsigned long long)n_rows, (unsigned long long)n_cols);
    *part = &l->part[l->n_parts];
    memset(*part, 0, sizeof **part);
    (*part)->kind = kind;
    return PARE_OK;
}

static void keep_part(struct pare_linear *l, uint64_t n_rows, uint64_t n_cols)
{
    l->rows = n_rows;
    l->cols = n_cols;
    l->n_parts++;
}

static enum pare_part_kind kind_of(const struct pare_dtype *type, enum pare_act_mode mode)
{
    if (type->type == PARE_F32 || type->type == PARE_F16 || type->type == PARE_BF16) return PARE_PART_FLOAT;
    return (type->caps & PARE_DT_QUANT) && mode == PARE_ACT_INT8 ? PARE_PART_PACKED : PARE_PART_DECODED;
}

/* Fills what is of the matrix in part; nothing is held on failure. */
static int bind_matrix(struct pare_part *part, const struct pare_matrix *m, enum pare_act_mode mode, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_dtype *type = m->type;
    uint64_t                 bytes;

    PARE_FORWARD(check_type(type, m->n_rows, m->n_cols, diag));
    part->type = type;
    part->cols = m->n_cols;
    if (m->rows == NULL) {
        PARE_FAIL_IF(diag, (uintptr_t)m->packed.data % PARE_ALIGN != 0, PARE_E_USAGE, "panels must begin at a multiple of %d bytes", PARE_ALIGN);
        part->store = PARE_PART_PACKED;
        part->packed = m->packed;
        return PARE_OK;
    }
    PARE_FAIL_IF(diag, !pare_dtype_row_bytes(type, m->n_cols, &bytes), PARE_E_CORRUPT, "rows of %llu weights do not suit type %s",
                 (unsigned long long)m->n_cols, type->name);
    PARE_FAIL_IF(diag, m->row_stride < bytes, PARE_E_USAGE, "rows of %llu bytes lie %llu apart", (unsigned long long)bytes,
                 (unsigned long long)m->row_stride);
    part->store = kind_of(type, mode);
    part->rows = m->rows;
    part->row_stride = m->row_stride;
    if (part->store != PARE_PART_PACKED) return PARE_OK;
    PARE_FAIL_IF(diag, !pare_packed_shape(&part->packed, type, m->n_rows, m->n_cols), PARE_E_UNSUPPORTED,
                 "[%llu, %llu] of type %s cannot be packed", (unsigned long long)m->n_rows, (unsigned long long)m->n_cols, type->name);
    PARE_FORWARD(pack_rows(&part->packed, m->rows, m->row_stride, job, diag));
    part->owned = part->packed.data;
    part->rows = NULL; /* the source may go away */
    return PARE_OK;
}

int pare_linear_bind(struct pare_linear *l, const struct pare_dtype *type, const uint8_t *rows, uint64_t row_stride,
                     uint64_t n_rows, uint64_t n_cols, enum pare_act_mode mode, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_matrix m = { .type = type, .n_rows = n_rows, .n_cols = n_cols, .rows = rows, .row_stride = row_stride };
    struct pare_part  *part;

    PARE_FORWARD(new_part(l, kind_of(type, mode), n_rows, n_cols, &part, diag));
    PARE_FORWARD(bind_matrix(part, &m, mode, job, diag));
    keep_part(l, n_rows, n_cols);
    return PARE_OK;
}

int pare_linear_append_packed(struct pare_linear *l, struct pare_packed *take, struct pare_diag *diag)
{
    struct pare_part *part;

    PARE_FORWARD(check_type(take->type, take->rows, take->cols, diag));
    PARE_FORWARD(new_part(l, PARE_PART_PACKED, take->rows, take->cols, &part, diag));
    part->store = PARE_PART_PACKED;
    part->type = take->type;
    part->cols = take->cols;
    part->packed = *take;
    part->owned = take->data;
    take->data = NULL;
    keep_part(l, part->packed.rows, part->packed.cols);
    return PARE_OK;
}

int pare_linear_append_mapped(struct pare_linear *l, const struct pare_packed *panels, struct pare_diag *diag)
{
    struct pare_packed p = *panels;

    PARE_FAIL_IF(diag, (uintptr_t)p.data % PARE_ALIGN != 0, PARE_E_USAGE, "panels must begin at a multiple of %d bytes", PARE_ALIGN);
    PARE_FORWARD(pare_linear_append_packed(l, &p, diag));
    l->part[l->n_parts - 1].owned = NULL;
    return PARE_OK;
}

/* ---- further parts ---- */

int pare_linear_begin(struct pare_linear *l, uint64_t n_rows, uint64_t n_cols, struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, l->n_parts != 0, PARE_E_USAGE, "the linear has its shape already");
    l->rows = n_rows;
    l->cols = n_cols;
    return PARE_OK;
}

int pare_linear_low_rank(struct pare_linear *l, const struct pare_matrix *a, const struct pare_matrix *b, enum pare_act_mode mode,
                         struct pare_job *job, struct pare_diag *diag)
{
    struct pare_part *part, *inner;
    int               rc;

    PARE_FAIL_IF(diag, a->n_cols != b->n_rows, PARE_E_CORRUPT, "low-rank factors of rank %llu and %llu", (unsigned long long)a->n_cols,
                 (unsigned long long)b->n_rows);
    if (a->n_cols == 0) return PARE_OK;
    PARE_FAIL_IF(diag, a->n_cols > b->n_cols, PARE_E_CORRUPT, "rank %llu of a matrix of %llu columns", (unsigned long long)a->n_cols,
                 (unsigned long long)b->n_cols);
    PARE_FORWARD(new_part(l, PARE_PART_LOWRANK, a->n_rows, b->n_cols, &part, diag));
    inner = pare_zalloc(1, sizeof *inner);
    if (inner == NULL) return PARE_NOMEM(diag);
    inner->kind = kind_of(b->type, mode);
    rc = bind_matrix(inner, b, mode, job, diag);
    if (rc == PARE_OK) rc = bind_matrix(part, a, mode, job, diag);
    if (rc < 0) {
        pare_aligned_free(inner->owned);
        pare_free(inner);
        return rc;
    }
    part->inner = inner;
    keep_part(l, a->n_rows, b->n_cols);
    return PARE_OK;
}

int pare_linear_columns(struct pare_linear *l, const struct pare_matrix *s, const uint32_t *index, enum pare_act_mode mode,
                        struct pare_job *job, struct pare_diag *diag)
{
    struct pare_part *part;

    if (s->n_cols == 0) return PARE_OK;
    PARE_FAIL_IF(diag, s->n_cols > l->cols, PARE_E_CORRUPT, "%llu columns picked of %llu", (unsigned long long)s->n_cols, (unsigned long long)l->cols);
    for (uint64_t i = 0; i < s->n_cols; i++)
        PARE_FAIL_IF(diag, index[i] >= l->cols, PARE_E_CORRUPT, "column %u of a matrix of %llu", index[i], (unsigned long long)l->cols);
    PARE_FORWARD(new_part(l, PARE_PART_COLUMNS, s->n_rows, l->cols, &part, diag));
    PARE_FORWARD(bind_matrix(part, s, mode, job, diag));
    part->index = index;
    keep_part(l, s->n_rows, l->cols);
    return PARE_OK;
}

int pare_linear_sparse(struct pare_linear *l, const struct pare_entries *s, struct pare_diag *diag)
{
    struct pare_part *part;
    const char       *wrong = pare_entries_wrong(s);

    PARE_FAIL_IF(diag, wrong != NULL, PARE_E_CORRUPT, "sparse part: %s", wrong);
    if (s->n_slots == 0) return PARE_OK;
    PARE_FORWARD(new_part(l, PARE_PART_SPARSE, s->rows, s->cols, &part, diag));
    part->sparse = *s;
    keep_part(l, s->rows, s->cols);
    return PARE_OK;
}

int pare_linear_const(struct pare_linear *l, const float *value, bool by_sum, struct pare_diag *diag)
{
    struct pare_part *part;

    for (uint64_t i = 0; i < l->rows; i++)
        PARE_FAIL_IF(diag, !isfinite(value[i]), PARE_E_CORRUPT, "constant %llu is not finite", (unsigned long long)i);
    PARE_FORWARD(new_part(l, PARE_PART_CONST, l->rows, l->cols, &part, diag));
    part->value = value;
    part->by_sum = by_sum;
    keep_part(l, l->rows, l->cols);
    return PARE_OK;
}

uint64_t pare_linear_bytes(const struct pare_dtype *type, uint64_t n_rows, uint64_t n_cols, enum pare_act_mode mode)
{
    struct pare_packed p = { 0 };

    if (kind_of(type, mode) != PARE_PART_PACKED || !pare_packed_shape(&p, type, n_rows, n_cols)) return 0;
    return pare_packed_bytes(&p) + PARE_ALIGN; /* pare_aligned keeps one line before the block */
}

static uint64_t matrix_bytes(const struct pare_part *p, uint64_t rows)
{
    if (p->type == NULL) return 0;
    return p->store == PARE_PART_PACKED ? pare_packed_bytes(&p->packed) : p->row_stride * rows;
}

uint64_t pare_linear_read_bytes(const struct pare_linear *l)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < l->n_parts; i++) {
        const struct pare_part *p = &l->part[i];

        sum += matrix_bytes(p, l->rows);
        if (p->inner != NULL) sum += matrix_bytes(p->inner, p->cols);
        if (p->index != NULL) sum += p->cols * sizeof *p->index;
        if (p->value != NULL) sum += l->rows * sizeof *p->value;
        if (p->kind == PARE_PART_SPARSE) sum += p->sparse.n_slots * PARE_ENTRIES_ROWS * ((p->sparse.wide ? 4 : 2) + (p->sparse.f16 ? 2 : 4));
    }
    return sum;
}

void pare_linear_free(struct pare_linear *l)
{
    if (l == NULL) return;
    for (uint32_t i = 0; i < l->n_parts; i++) {
        pare_aligned_free(l->part[i].owned);
        if (l->part[i].inner != NULL) pare_aligned_free(l->part[i].inner->owned);
        pare_free(l->part[i].inner);
    }
    if (l->bias_owned) pare_free(l->bias);
    memset(l, 0, sizeof *l);
}
