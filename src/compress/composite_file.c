/* SPDX-License-Identifier: Apache-2.0
 * src/compress/composite_file.c: composites in GGUF files: which tensors there are, their entry of "pare.parts" (docs/format.md, Parts),
 * and their data. */
#include <string.h>

#include "base/status.h"
#include "compress/composite_private.h"
#include "compress/pack_rows.h"
#include "format/parts.h"

#define MAX_TENSORS (3 * PARE_COMPOSITE_PARTS + PARE_MAX_STEPS)

/* One tensor beside the weight. */
struct piece {
    const char             *word;
    uint32_t                nth;
    const struct pare_rows *rows;      /* a matrix, or NULL: */
    enum pare_type          type;
    uint32_t                n_dims;
    uint64_t                dims[2], bytes;
    const void             *data;
    const float            *signs;     /* data is made of these: a bit each */
};

struct pieces {
    struct piece p[MAX_TENSORS];
    uint32_t     n;
};

static struct piece *add(struct pieces *l, const char *word, uint32_t nth)
{
    struct piece *p = &l->p[l->n++];

    *p = (struct piece){ .word = word, .nth = nth };
    return p;
}

static void add_rows(struct pieces *l, const char *word, uint32_t nth, const struct pare_rows *r) { add(l, word, nth)->rows = r; }

static void add_plain(struct pieces *l, const char *word, uint32_t nth, enum pare_type type, uint64_t rows, uint64_t cols, const void *data, uint64_t bytes)
{
    struct piece *p = add(l, word, nth);

    p->type = type;
    p->n_dims = rows == 0 ? 1 : 2;
    p->dims[0] = rows == 0 ? cols : rows;
    p->dims[1] = cols;
    p->data = data;
    p->bytes = bytes;
}

/* All tensors but the base, in the order in which they are declared. */
static void list(struct pieces *l, const struct pare_composite *c)
{
    uint32_t seen[PARE_PART_CONST + 1] = { 0 }, steps[PARE_STEP_HADAMARD + 1] = { 0 };

    l->n = 0;
    for (uint32_t i = 0; i < c->n_parts; i++) {
        const struct pare_composite_part *p = &c->part[i];
        const struct pare_entries         *s = &p->sparse;
        uint32_t                          nth = seen[p->kind]++;

        switch (p->kind) {
        case PARE_PART_LOWRANK:
            add_rows(l, "low_a", nth, &p->a);
            add_rows(l, "low_b", nth, &p->b);
            break;
        case PARE_PART_COLUMNS:
            add_rows(l, "cols", nth, &p->a);
            add_plain(l, "cols_idx", nth, PARE_I32, 0, p->a.cols, p->index, p->a.cols * 4);
            break;
        case PARE_PART_SPARSE:
            add_plain(l, "sparse_val", nth, s->f16 ? PARE_F16 : PARE_F32, s->n_slots, PARE_ENTRIES_ROWS, s->val, pare_entries_val_bytes(s));
            add_plain(l, "sparse_col", nth, s->wide ? PARE_I32 : PARE_I16, s->n_slots, PARE_ENTRIES_ROWS, s->col, pare_entries_col_bytes(s));
            add_plain(l, "sparse_at", nth, PARE_I32, 0, pare_entries_at_bytes(s) / 4, s->at, pare_entries_at_bytes(s));
            break;
        default: add_plain(l, "const", nth, PARE_F32, 0, c->rows, p->value, c->rows * 4); break;
        }
    }
    for (uint32_t i = 0; c->input != NULL && c->input_of == NULL && i < c->input->n_steps; i++) {
        const struct pare_step *s = &c->input->step[i];
        uint32_t                nth = steps[s->kind]++;

        switch (s->kind) {
        case PARE_STEP_SCALE: add_plain(l, "in_scale", nth, PARE_F32, 0, c->cols, s->scale, c->cols * 4); break;
        case PARE_STEP_PERMUTE: add_plain(l, "in_perm", nth, PARE_I32, 0, c->cols, s->perm, c->cols * 4); break;
        case PARE_STEP_SIGNS:
            add_plain(l, "in_signs", nth, PARE_I8, 0, (c->cols + 7) / 8, NULL, (c->cols + 7) / 8);
            l->p[l->n - 1].signs = s->scale;
            break;
        case PARE_STEP_HADAMARD: break;
        }
    }
}

uint32_t pare_composite_n_tensors(const struct pare_composite *c)
{
    struct pieces l;

    list(&l, c);
    return l.n;
}

/* ---- the entry ---- */

static json_t *part_json(const struct pare_composite_part *p)
{
    switch (p->kind) {
    case PARE_PART_LOWRANK: return json_pack("{s:s}", "kind", "low_rank");
    case PARE_PART_COLUMNS: return json_pack("{s:s}", "kind", "columns");
    case PARE_PART_SPARSE: return json_pack("{s:s}", "kind", "sparse");
    default: break;
    }
    return p->by_sum ? json_pack("{s:s, s:b}", "kind", "const", "sum", 1) : json_pack("{s:s}", "kind", "const");
}

static json_t *step_json(const struct pare_step *s)
{
    switch (s->kind) {
    case PARE_STEP_SCALE: return json_pack("{s:s}", "op", "scale");
    case PARE_STEP_PERMUTE: return json_pack("{s:s}", "op", "permute");
    case PARE_STEP_SIGNS: return json_pack("{s:s}", "op", "signs");
    case PARE_STEP_HADAMARD: break;
    }
    return json_pack("{s:s, s:I}", "op", "hadamard", "block", (json_int_t)s->had.n);
}

int pare_composite_entry(const struct pare_composite *c, const char *name, json_t *doc, struct pare_diag *diag)
{
    json_t *e, *parts, *input;
    int     bad = 0;

    if (c->n_parts == 0 && c->input == NULL && c->base.type != NULL) return PARE_OK;
    PARE_FAIL_IF(diag, c->base.type == NULL && (c->n_parts == 0 || c->part[0].kind != PARE_PART_LOWRANK), PARE_E_USAGE,
                 "%s: without a base the first part must be of low rank", name);
    e = json_object();
    if (c->n_parts != 0) {
        parts = json_array();
        for (uint32_t i = 0; i < c->n_parts; i++) bad |= json_array_append_new(parts, part_json(&c->part[i]));
        bad |= json_object_set_new(e, "parts", parts);
    }
    if (c->input_of != NULL) {
        bad |= json_object_set_new(e, "input", json_string(c->input_of));
    } else if (c->input != NULL) {
        input = json_array();
        for (uint32_t i = 0; i < c->input->n_steps; i++) bad |= json_array_append_new(input, step_json(&c->input->step[i]));
        bad |= json_object_set_new(e, "input", input);
    }
    if (c->base.type == NULL) {
        bad |= json_object_set_new(e, "base", json_false());
        bad |= json_object_set_new(e, "shape", json_pack("[I, I]", (json_int_t)c->rows, (json_int_t)c->cols));
    }
    bad |= json_object_set_new(doc, name, e);
    return bad != 0 ? PARE_NOMEM(diag) : PARE_OK;
}

/* ---- tensors ---- */

static bool packs(const struct pare_rows *r, bool pack)
{
    struct pare_packed p;

    return pack && pare_packed_shape(&p, r->type, r->rows, r->cols);
}

static int declare_rows(struct pare_writer *w, const char *name, const struct pare_rows *r, bool pack, struct pare_diag *diag)
{
    uint64_t dims[2] = { r->rows, r->cols };

    return (packs(r, pack) ? pare_writer_declare_packed : pare_writer_declare)(w, name, r->type, 2, dims, diag);
}

int pare_composite_declare_base(const struct pare_composite *c, struct pare_writer *w, const char *name, bool pack, struct pare_diag *diag)
{
    uint64_t one = 1;

    if (c->base.type == NULL) return pare_writer_declare(w, name, pare_dtype_of(PARE_I8), 1, &one, diag);
    return declare_rows(w, name, &c->base, pack, diag);
}

int pare_composite_declare_parts(const struct pare_composite *c, struct pare_writer *w, const char *name, bool pack, struct pare_diag *diag)
{
    struct pieces l;
    char          full[256];

    list(&l, c);
    for (uint32_t i = 0; i < l.n; i++) {
        const struct piece *p = &l.p[i];

        PARE_FAIL_IF(diag, strlen(name) + strlen(p->word) + 16 > sizeof full, PARE_E_LIMIT, "tensor name %.100s is too long", name);
        pare_part_name(full, sizeof full, name, p->word, p->nth);
        PARE_FORWARD(p->rows != NULL ? declare_rows(w, full, p->rows, pack, diag)
                                     : pare_writer_declare(w, full, pare_dtype_of(p->type), p->n_dims, p->dims, diag));
    }
    return PARE_OK;
}

#define PACK_ROWS 512u /* rows of panels made at a time */

static int write_rows(struct pare_writer *w, uint64_t i, const struct pare_rows *r, bool pack, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_pack_rows k;
    int                   rc;

    PARE_FAIL_IF(diag, r->data == NULL, PARE_E_USAGE, "a shape without numbers cannot be written");
    if (!packs(r, pack)) return pare_writer_data(w, i, r->data, r->rows * r->row_bytes, diag);
    rc = pare_pack_rows_open(&k, r->type, r->cols, PACK_ROWS, job, diag);
    if (rc < 0) return rc;
    for (uint64_t at = 0; at < r->rows && rc == PARE_OK; at += PACK_ROWS) {
        uint64_t n = r->rows - at < PACK_ROWS ? r->rows - at : PACK_ROWS;
        if (pare_pack_rows(&k, r->data + at * r->row_bytes, n)) rc = pare_writer_data(w, i, k.p.data, pare_packed_bytes(&k.p), diag);
        else rc = PARE_ERR(diag, PARE_E_CORRUPT, "packed rows of type %s do not turn back", r->type->name);
    }
    pare_pack_rows_close(&k);
    return rc;
}

int pare_composite_write_base(const struct pare_composite *c, struct pare_writer *w, uint64_t i, bool pack, struct pare_job *job, struct pare_diag *diag)
{
    static const uint8_t placeholder;

    if (pare_writer_done(w, i)) return PARE_OK;
    return c->base.type == NULL ? pare_writer_data(w, i, &placeholder, 1, diag) : write_rows(w, i, &c->base, pack, job, diag);
}

static int write_signs(struct pare_writer *w, uint64_t i, const float *signs, uint64_t cols, struct pare_diag *diag)
{
    uint8_t *bits = pare_zalloc((cols + 7) / 8, 1);
    int      rc;

    if (bits == NULL) return PARE_NOMEM(diag);
    for (uint64_t k = 0; k < cols; k++) bits[k / 8] |= (uint8_t)((signs[k] < 0) << (k % 8));
    rc = pare_writer_data(w, i, bits, (cols + 7) / 8, diag);
    pare_free(bits);
    return rc;
}

int pare_composite_write_parts(const struct pare_composite *c, struct pare_writer *w, uint64_t i, bool pack, struct pare_job *job, struct pare_diag *diag)
{
    struct pieces l;

    list(&l, c);
    for (uint32_t k = 0; k < l.n; k++, i++) {
        const struct piece *p = &l.p[k];

        if (pare_writer_done(w, i)) continue;
        if (p->rows != NULL) PARE_FORWARD(write_rows(w, i, p->rows, pack, job, diag));
        else if (p->signs != NULL) PARE_FORWARD(write_signs(w, i, p->signs, c->cols, diag));
        else {
            PARE_FAIL_IF(diag, p->data == NULL, PARE_E_USAGE, "a shape without numbers cannot be written");
            PARE_FORWARD(pare_writer_data(w, i, p->data, p->bytes, diag));
        }
    }
    return PARE_OK;
}
