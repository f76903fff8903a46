/* SPDX-License-Identifier: Apache-2.0
 * src/model/unit.c: the weights of a unit: read in bound order, loaded, dropped. Plain float matrices and panels stay in the
 * mapped file; whatever must be gathered, transposed, turned back or decoded first is copied. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/job.h"
#include "base/status.h"
#include "model/arch.h"
#include "model/fold.h"
#include "model/slot_parts.h"

/* Row of the file behind bound row r. */
static uint64_t file_row(const struct pare_slot *s, uint64_t r)
{
    if (s->order != PARE_ROWS_SLICE) return r;
    for (uint32_t i = 0; i < s->n_segs; i++) {
        if (r < s->seg[i].rows) return s->seg[i].row0 + r / s->seg[i].run * s->seg[i].stride + r % s->seg[i].run;
        r -= s->seg[i].rows;
    }
    return r;
}

static uint64_t elt_size(const struct pare_dtype *t) { return t->type == PARE_F32 ? 4 : 2; }
static bool is_half_or_single(const struct pare_dtype *t)
{
    return t->type == PARE_F32 || t->type == PARE_F16 || t->type == PARE_BF16;
}

/* Elements of a vector, in bound order. A vector may lie in the file as any shape: its elements are counted in C order. */
static int vector_elems(const struct pare_slot *s, float *dst, struct pare_diag *diag)
{
    const struct pare_weight *w = &s->weight;
    uint64_t                  n = s->rows * s->cols, total = w->rows * w->cols;
    float                    *all;
    int                       rc;

    if (s->order != PARE_ROWS_SLICE) return pare_weight_rows(w, 0, w->rows, dst, diag);
    all = pare_alloc_array(total, sizeof *all);
    if (all == NULL) return PARE_NOMEM(diag);
    rc = pare_weight_rows(w, 0, w->rows, all, diag);
    for (uint64_t i = 0; rc == 0 && i < n; i++) dst[i] = all[file_row(s, i)];
    pare_free(all);
    return rc;
}

static float element(const struct pare_dtype *t, const uint8_t *p)
{
    uint16_t h;
    float    f;

    if (t->type == PARE_F32) {
        memcpy(&f, p, sizeof f);
        return f;
    }
    memcpy(&h, p, sizeof h);
    return t->type == PARE_F16 ? pare_f16_to_f32(h) : pare_bf16_to_f32(h);
}

/* Columns [row0, row0 + n) of a matrix that is stored [cols, rows], as rows. Plain float types are picked element by element,
 * so that a few rows cost no more than they hold; anything else is decoded file row by file row. */
static int transposed_rows(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    const struct pare_weight *w = &s->weight;
    float                    *line;
    int                       rc = PARE_OK;

    if (w->data != NULL && is_half_or_single(w->type)) {
        uint64_t e = elt_size(w->type);

        PARE_FORWARD(pare_map_check(&w->ckpt->maps[w->tensor->file], diag));
        for (uint64_t c = 0; c < s->cols; c++)
            for (uint64_t r = 0; r < n; r++)
                dst[r * s->cols + c] = element(w->type, w->data + c * w->row_bytes + (row0 + r) * e);
        return PARE_OK;
    }
    line = pare_alloc_array(w->cols, sizeof *line);
    if (line == NULL) return PARE_NOMEM(diag);
    for (uint64_t c = 0; rc == 0 && c < s->cols; c++) {
        rc = pare_weight_rows(w, c, 1, line, diag);
        for (uint64_t r = 0; rc == 0 && r < n; r++) dst[r * s->cols + c] = line[row0 + r];
    }
    pare_free(line);
    return rc;
}

int pare_slot_rows(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    PARE_USAGE_CHECK(diag, row0 <= s->rows && n <= s->rows - row0);
    return s->fold != NULL ? pare_fold_rows(s, row0, n, dst, diag) : pare_slot_plain_rows(s, row0, n, dst, diag);
}

int pare_slot_plain_rows(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    if (s->given != NULL) {
        memcpy(dst, s->given + row0 * s->cols, n * s->cols * sizeof *dst);
        return PARE_OK;
    }
    if (s->vec != NULL) {
        float *all;
        int    rc;

        if (n == s->rows) return vector_elems(s, dst, diag);
        all = pare_alloc_array(s->rows * s->cols, sizeof *all);
        if (all == NULL) return PARE_NOMEM(diag);
        rc = vector_elems(s, all, diag);
        if (rc == 0) memcpy(dst, all + row0 * s->cols, n * s->cols * sizeof *dst);
        pare_free(all);
        return rc;
    }
    if (s->weight.parts != NULL) return pare_slot_expand(s, row0, n, dst, diag);
    if (s->order == PARE_ROWS_TRANSPOSED) return transposed_rows(s, row0, n, dst, diag);
    if (s->order == PARE_ROWS_PLAIN) return pare_weight_rows(&s->weight, row0, n, dst, diag);
    for (uint64_t i = 0; i < n; i++)
        PARE_FORWARD(pare_weight_rows(&s->weight, file_row(s, row0 + i), 1, dst + i * s->cols, diag));
    return PARE_OK;
}

/* GGUF's Llama layout keeps the two numbers of a rotary pair side by side: row 2 i + j of a head comes from row
 * j * half + i of Hugging Face's. */
static uint64_t permuted(const struct pare_slot *s, uint64_t r, uint64_t n)
{
    uint64_t d = n / s->permute_heads, in = r % d;

    return r - in + in % 2 * (d / 2) + in / 2;
}

uint64_t pare_slot_out_row(const struct pare_slot *s, uint64_t r) { return s->permute_out ? permuted(s, r, s->rows) : r; }

int pare_slot_out_rows(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag)
{
    if (!s->permute_out) {
        PARE_FORWARD(pare_slot_rows(s, row0, n, dst, diag));
    } else if (s->vec != NULL) {
        uint64_t len = s->rows * s->cols;
        float   *all = pare_alloc_array(len, sizeof *all);
        int      rc;

        if (all == NULL) return PARE_NOMEM(diag);
        rc = pare_slot_rows(s, 0, s->rows, all, diag);
        for (uint64_t i = 0; rc == 0 && i < n * s->cols; i++) dst[i] = all[permuted(s, row0 * s->cols + i, len)];
        pare_free(all);
        PARE_FORWARD(rc);
    } else {
        for (uint64_t i = 0; i < n; i++)
            PARE_FORWARD(pare_slot_rows(s, permuted(s, row0 + i, s->rows), 1, dst + i * s->cols, diag));
    }
    if (s->out_add != 0)
        for (uint64_t i = 0; i < n * s->cols; i++) dst[i] += s->out_add;
    return PARE_OK;
}

/* Whether bind can use the file's bytes as they lie. */
static bool in_place(const struct pare_slot *s) { return s->fold == NULL && s->order == PARE_ROWS_PLAIN && s->weight.data != NULL; }

/* Panels that bind can use, in this mode. On the reference path they are rows again. */
static bool has_panels(const struct pare_model *m, const struct pare_slot *s)
{
    return s->fold == NULL && s->order == PARE_ROWS_PLAIN && s->weight.panels.data != NULL && m->options.act_mode == PARE_ACT_INT8;
}

static bool aligned(const void *p) { return (uintptr_t)p % PARE_ALIGN == 0; }

/* Panels where they lie in the file, or a copy where another tool has moved them off the alignment. */
static int load_panels(const struct pare_slot *s, struct pare_diag *diag)
{
    struct pare_packed p = s->weight.panels;
    int                rc;

    PARE_FORWARD(pare_map_check(&s->weight.ckpt->maps[s->weight.tensor->file], diag));
    if (aligned(p.data)) return pare_linear_append_mapped(s->lin, &p, diag);
    p.data = pare_aligned(pare_packed_bytes(&p));
    if (p.data == NULL) return PARE_NOMEM(diag);
    memcpy(p.data, s->weight.panels.data, pare_packed_bytes(&p));
    rc = pare_linear_append_packed(s->lin, &p, diag);
    pare_aligned_free(p.data); /* NULL once the linear has it */
    return rc;
}

/* Copies rows in bound order, in the type they are stored in where that is possible, else as f32. *stride: bytes a row. */
static int copy_rows(const struct pare_slot *s, uint8_t **out, const struct pare_dtype **type, uint64_t *stride,
                     struct pare_diag *diag)
{
    const struct pare_weight *w = &s->weight;
    bool                      turn = s->fold == NULL && w->panels.data != NULL && s->order != PARE_ROWS_TRANSPOSED;
    bool                      raw = turn || (s->fold == NULL && w->data != NULL && (s->order == PARE_ROWS_SLICE || is_half_or_single(w->type)));
    uint64_t                  bytes, e;
    uint8_t                  *p;
    int                       rc = PARE_OK;

    *type = raw ? w->type : pare_dtype_of(PARE_F32);
    if (!pare_dtype_row_bytes(*type, s->cols, stride) || !pare_mul_u64(*stride, s->rows, &bytes))
        PARE_FAIL(diag, PARE_E_CORRUPT, "%s: rows of %" PRIu64 " values do not suit the type", s->source, s->cols);
    p = pare_aligned(bytes);
    if (p == NULL) return PARE_NOMEM(diag);
    if (!raw) {
        rc = pare_slot_rows(s, 0, s->rows, (float *)p, diag);
    } else if (turn && s->order == PARE_ROWS_PLAIN) {
        rc = pare_weight_bytes(w, 0, s->rows, p, diag);
    } else if (turn) {
        for (uint64_t r = 0; rc == 0 && r < s->rows; r++) rc = pare_weight_bytes(w, file_row(s, r), 1, p + r * *stride, diag);
    } else {
        rc = pare_map_check(&w->ckpt->maps[w->tensor->file], diag);
        e = elt_size(w->type);
        for (uint64_t r = 0; rc == 0 && r < s->rows; r++) {
            if (s->order == PARE_ROWS_SLICE) {
                memcpy(p + r * *stride, w->data + file_row(s, r) * w->row_bytes, *stride);
                continue;
            }
            for (uint64_t c = 0; c < s->cols; c++)
                memcpy(p + r * *stride + c * e, w->data + c * w->row_bytes + r * e, e);
        }
    }
    if (rc < 0) {
        pare_aligned_free(p);
        p = NULL;
    }
    *out = p;
    return rc;
}

static int load_linear(struct pare_model *m, const struct pare_slot *s, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_weight *w = &s->weight;
    const struct pare_dtype  *type = w->type;
    uint64_t                  stride = w->row_bytes;
    uint8_t                  *copy = NULL;
    struct pare_part         *part;
    int                       rc;

    if (s->weight.parts != NULL && s->weight.data == NULL && s->weight.panels.data == NULL) return PARE_OK; /* nothing but parts */
    if (has_panels(m, s)) return load_panels(s, diag);
    if (in_place(s)) {
        PARE_FORWARD(pare_map_check(&w->ckpt->maps[w->tensor->file], diag));
        return pare_linear_bind(s->lin, type, w->data, stride, s->rows, s->cols, m->options.act_mode, job, diag);
    }
    PARE_FORWARD(copy_rows(s, &copy, &type, &stride, diag));
    rc = pare_linear_bind(s->lin, type, copy, stride, s->rows, s->cols, m->options.act_mode, job, diag);
    if (rc < 0 || s->lin->n_parts == 0) {
        pare_aligned_free(copy);
        return rc;
    }
    part = &s->lin->part[s->lin->n_parts - 1];
    if (part->kind == PARE_PART_PACKED)
        pare_aligned_free(copy);
    else
        part->owned = copy;
    return PARE_OK;
}

/* What was packed or gathered has its own memory now: the file's pages would only double it. */
static void drop_source(const struct pare_model *m, const struct pare_slot *s)
{
    const struct pare_part *p = s->lin->n_parts == 0 ? NULL : &s->lin->part[s->lin->n_parts - 1];

    if (p == NULL || s->weight.tensor == NULL || p->owned == NULL) return;
    pare_checkpoint_advise(m->ckpt, s->weight.tensor, PARE_DONTNEED);
}

static int load_vector(const struct pare_slot *s, struct pare_diag *diag)
{
    uint64_t n = s->rows * s->cols;
    float   *p = pare_aligned(n * sizeof *p);

    if (p == NULL) return PARE_NOMEM(diag);
    *s->vec = p;
    return pare_slot_rows(s, 0, s->rows, p, diag);
}

int pare_unit_load(struct pare_model *m, uint32_t u, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_unit *x = &m->units[u];
    int               rc = PARE_OK;

    if (x->loaded) return PARE_OK;
    for (uint32_t i = 0; rc == 0 && i < x->n_slots; i++) {
        struct pare_slot *s = &x->slot[i];

        rc = pare_job_check(job, diag);
        if (rc == 0 && s->lin != NULL) rc = load_linear(m, s, job, diag);
        if (rc == 0 && s->lin != NULL) drop_source(m, s);
        if (rc == 0 && s->lin != NULL && s->weight.parts != NULL) rc = pare_slot_load_parts(m, x, s, job, diag);
        if (rc == 0 && s->vec != NULL) rc = load_vector(s, diag);
        if (rc < 0) {
            pare_diag_file(diag, m->ckpt->path);
            pare_diag_where(diag, s->source); /* unless a part has named itself */
        }
    }
    x->loaded = rc == 0;
    if (rc < 0) pare_unit_unload(m, u);
    return rc;
}

void pare_unit_unload(struct pare_model *m, uint32_t u)
{
    struct pare_unit *x = &m->units[u];

    for (uint32_t i = 0; i < x->n_slots; i++) {
        struct pare_slot *s = &x->slot[i];

        if (s->vec != NULL) {
            pare_aligned_free(*s->vec);
            *s->vec = NULL;
        }
    }
    for (uint32_t i = 0; i < x->n_slots; i++) {
        struct pare_slot *s = &x->slot[i];

        if (s->lin != NULL) pare_linear_free(s->lin);
        pare_transform_destroy(&s->transform);
        if (s->weight.tensor != NULL && s->weight.foreign == NULL)
            pare_checkpoint_advise(m->ckpt, s->weight.tensor, PARE_DONTNEED);
    }
    x->loaded = false;
}

uint64_t pare_unit_bytes(const struct pare_model *m, uint32_t u)
{
    const struct pare_unit *x = &m->units[u];
    uint64_t                sum = 0;

    for (uint32_t i = 0; i < x->n_slots; i++) {
        const struct pare_slot  *s = &x->slot[i];
        const struct pare_dtype *t = s->weight.type;
        uint64_t                 row;

        if (s->vec != NULL) sum += pare_arena_round(s->rows * s->cols * sizeof(float));
        if (s->lin == NULL) continue;
        sum += pare_slot_parts_bytes(m, s);
        if (s->weight.parts != NULL && s->weight.data == NULL && s->weight.panels.data == NULL) continue;
        if (has_panels(m, s)) {
            if (!aligned(s->weight.panels.data)) sum += pare_linear_bytes(t, s->rows, s->cols, PARE_ACT_INT8);
            continue;
        }
        if (s->fold != NULL || (s->weight.data == NULL && s->weight.panels.data == NULL) ||
            (s->order == PARE_ROWS_TRANSPOSED && !is_half_or_single(t)))
            t = pare_dtype_of(PARE_F32);
        sum += pare_linear_bytes(t, s->rows, s->cols, m->options.act_mode);
        /* A copy in bound order stays unless packing replaces it. */
        if (!in_place(s) && !(m->options.act_mode == PARE_ACT_INT8 && (t->caps & PARE_DT_QUANT)) &&
            pare_dtype_row_bytes(t, s->cols, &row))
            sum += row * s->rows;
    }
    return sum;
}
