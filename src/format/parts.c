/* SPDX-License-Identifier: Apache-2.0
 * src/format/parts.c: reads "pare.parts": {NAME: {"parts": [..], "input": [..] or NAME2, "base": false, "shape": [rows, cols]}}. */
#include "format/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"
#include "kernel/hadamard.h"
#include "kernel/entries.h"

#define KEY PARE_PARTS_KEY

struct reading {
    struct pare_checkpoint *c;
    struct pare_tensor     *w;     /* the weight */
    struct pare_parts      *p;
    uint64_t                at;    /* of the key in the file */
    uint32_t                seen[16]; /* how often a word was used */
};

void pare_part_name(char *out, size_t size, const char *weight, const char *word, uint32_t nth)
{
    if (nth == 0) snprintf(out, size, "%s.%s", weight, word);
    else snprintf(out, size, "%s.%s%" PRIu32, weight, word, nth + 1);
}

/* The tensor of a word, marked as part of the weight. */
static int tensor_of(const struct reading *r, const char *word, uint32_t nth, const struct pare_tensor **out, struct pare_diag *diag)
{
    char     name[PARE_MAX_NAME_LEN + 32];
    uint64_t i;

    pare_part_name(name, sizeof name, r->w->name, word, nth);
    i = pare_names_get(&pare_ckpt_index_of(r->c)->tensors, name, strlen(name));
    if (i == UINT64_MAX) PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, r->w->name, KEY ": needs the tensor \"%.150s\", which is not in the file", name);
    r->c->tensors[i].part_of = r->w->name;
    *out = &r->c->tensors[i];
    return PARE_OK;
}

static int want_shape(const struct reading *r, const struct pare_tensor *t, uint64_t rows, uint64_t cols, struct pare_diag *diag)
{
    if (t->rows == rows && t->cols == cols) return PARE_OK;
    PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, t->name, KEY ": is %" PRIu64 " x %" PRIu64 ", its place wants %" PRIu64 " x %" PRIu64, t->rows, t->cols,
                 rows, cols);
}

static int want_type(const struct reading *r, const struct pare_tensor *t, enum pare_type one, enum pare_type other, struct pare_diag *diag)
{
    if (t->type->type == one || t->type->type == other) return PARE_OK;
    PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, t->name, KEY ": is of type %s, its place wants %s", t->type->name, pare_dtype_of(one)->name);
}

static int want_matrix(const struct reading *r, const struct pare_tensor *t, struct pare_diag *diag)
{
    if ((t->type->caps & (PARE_DT_FLOAT | PARE_DT_QUANT)) != 0 && t->type->decode != NULL && t->n_dims == 2) return PARE_OK;
    PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, t->name, KEY ": is no matrix that can be multiplied");
}

static int read_low_rank(struct reading *r, struct pare_extra *e, uint32_t nth, struct pare_diag *diag)
{
    PARE_FORWARD(tensor_of(r, "low_a", nth, &e->a, diag));
    PARE_FORWARD(tensor_of(r, "low_b", nth, &e->b, diag));
    PARE_FORWARD(want_matrix(r, e->a, diag));
    PARE_FORWARD(want_matrix(r, e->b, diag));
    PARE_FORWARD(want_shape(r, e->a, r->w->rows, e->b->rows, diag));
    PARE_FORWARD(want_shape(r, e->b, e->a->cols, r->w->cols, diag));
    if (e->a->cols > r->w->cols) PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, e->a->name, KEY ": the rank is above the columns of the weight");
    return PARE_OK;
}

static int read_columns(struct reading *r, struct pare_extra *e, uint32_t nth, struct pare_diag *diag)
{
    PARE_FORWARD(tensor_of(r, "cols", nth, &e->a, diag));
    PARE_FORWARD(tensor_of(r, "cols_idx", nth, &e->b, diag));
    PARE_FORWARD(want_matrix(r, e->a, diag));
    PARE_FORWARD(want_shape(r, e->a, r->w->rows, e->a->cols, diag));
    PARE_FORWARD(want_type(r, e->b, PARE_I32, PARE_I32, diag));
    PARE_FORWARD(want_shape(r, e->b, 1, e->a->cols, diag));
    if (e->a->cols > r->w->cols) PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, e->a->name, KEY ": more columns than the weight has");
    return PARE_OK;
}

static int read_sparse(struct reading *r, struct pare_extra *e, uint32_t nth, struct pare_diag *diag)
{
    PARE_FORWARD(tensor_of(r, "sparse_val", nth, &e->a, diag));
    PARE_FORWARD(tensor_of(r, "sparse_col", nth, &e->b, diag));
    PARE_FORWARD(tensor_of(r, "sparse_at", nth, &e->c, diag));
    PARE_FORWARD(want_type(r, e->a, PARE_F32, PARE_F16, diag));
    PARE_FORWARD(want_type(r, e->b, PARE_I16, PARE_I32, diag));
    PARE_FORWARD(want_type(r, e->c, PARE_I32, PARE_I32, diag));
    PARE_FORWARD(want_shape(r, e->a, e->a->rows, PARE_ENTRIES_ROWS, diag));
    PARE_FORWARD(want_shape(r, e->b, e->a->rows, PARE_ENTRIES_ROWS, diag));
    return want_shape(r, e->c, 1, pare_entries_panels(r->w->rows) + 1, diag);
}

static int read_const(struct reading *r, struct pare_extra *e, uint32_t nth, const json_t *o, struct pare_diag *diag)
{
    const json_t *sum = json_object_get(o, "sum");

    if (sum != NULL && !json_is_boolean(sum)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, r->w->name, KEY ": \"sum\" must be true or false");
    e->by_sum = json_is_true(sum);
    PARE_FORWARD(tensor_of(r, "const", nth, &e->a, diag));
    PARE_FORWARD(want_type(r, e->a, PARE_F32, PARE_F32, diag));
    return want_shape(r, e->a, 1, r->w->rows, diag);
}

static int read_part(struct reading *r, const json_t *o, struct pare_diag *diag)
{
    static const char *const kinds[] = { "low_rank", "columns", "sparse", "const" };
    const char              *kind = json_string_value(json_object_get(o, "kind"));
    struct pare_extra       *e;
    uint32_t                 k = 0;

    if (kind == NULL) PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, r->w->name, KEY ": a part without \"kind\"");
    while (k < 4 && strcmp(kind, kinds[k]) != 0) k++;
    if (k == 4) PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, r->at, r->w->name, KEY ": parts of kind \"%.60s\" are not known to this version", kind);
    if (r->p->n_parts == PARE_MAX_EXTRA) PARE_FAIL_AT(diag, PARE_E_LIMIT, r->at, r->w->name, KEY ": more than %d parts", PARE_MAX_EXTRA);
    e = &r->p->part[r->p->n_parts++];
    e->kind = (enum pare_extra_kind)k;
    switch (e->kind) {
    case PARE_EXTRA_LOW_RANK: return read_low_rank(r, e, r->seen[k]++, diag);
    case PARE_EXTRA_COLUMNS: return read_columns(r, e, r->seen[k]++, diag);
    case PARE_EXTRA_SPARSE: return read_sparse(r, e, r->seen[k]++, diag);
    case PARE_EXTRA_CONST: break;
    }
    return read_const(r, e, r->seen[k]++, o, diag);
}

static int read_step(struct reading *r, const json_t *o, struct pare_diag *diag)
{
    static const struct { const char *op, *word; } ops[] = { { "scale", "in_scale" }, { "permute", "in_perm" }, { "signs", "in_signs" }, { "hadamard", NULL } };
    const char             *op = json_string_value(json_object_get(o, "op"));
    const json_t           *block = json_object_get(o, "block");
    struct pare_extra_step *s;
    uint32_t                k = 0;

    if (op == NULL) PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, r->w->name, KEY ": a step of \"input\" without \"op\"");
    while (k < 4 && strcmp(op, ops[k].op) != 0) k++;
    if (k == 4) PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, r->at, r->w->name, KEY ": the input step \"%.60s\" is not known to this version", op);
    if (r->p->n_steps == PARE_MAX_EXTRA_STEPS) PARE_FAIL_AT(diag, PARE_E_LIMIT, r->at, r->w->name, KEY ": more than %d steps", PARE_MAX_EXTRA_STEPS);
    s = &r->p->step[r->p->n_steps++];
    s->op = (enum pare_extra_op)k;
    if (s->op == PARE_OP_HADAMARD) {
        if (!json_is_integer(block) || json_integer_value(block) <= 0 || r->w->cols % (uint64_t)json_integer_value(block) != 0 ||
            !pare_hadamard_fits((uint64_t)json_integer_value(block)))
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, r->w->name, KEY ": no Hadamard \"block\" of %" PRIu64 " columns", r->w->cols);
        s->block = (uint64_t)json_integer_value(block);
        return PARE_OK;
    }
    PARE_FORWARD(tensor_of(r, ops[k].word, r->seen[8 + k]++, &s->t, diag));
    PARE_FORWARD(want_type(r, s->t, s->op == PARE_OP_SCALE ? PARE_F32 : s->op == PARE_OP_PERMUTE ? PARE_I32 : PARE_I8,
                           s->op == PARE_OP_SCALE ? PARE_F32 : s->op == PARE_OP_PERMUTE ? PARE_I32 : PARE_I8, diag));
    return want_shape(r, s->t, 1, s->op == PARE_OP_SIGNS ? (r->w->cols + 7) / 8 : r->w->cols, diag);
}

/* A weight of nothing but parts has a placeholder of one byte and says its shape here. */
static int read_base(struct reading *r, const json_t *o, struct pare_diag *diag)
{
    const json_t *base = json_object_get(o, "base"), *shape = json_object_get(o, "shape");
    struct pare_tensor *w = r->w;

    if (base == NULL || json_is_true(base)) {
        if (w->n_dims != 2 || (w->type->caps & (PARE_DT_FLOAT | PARE_DT_QUANT)) == 0)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, w->name, KEY ": parts of a tensor that is no matrix");
        return PARE_OK;
    }
    if (!json_is_false(base)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, w->name, KEY ": \"base\" must be true or false");
    if (w->type->type != PARE_I8 || w->bytes != 1) PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, w->name, KEY ": without a base the tensor must be one i8");
    if (!json_is_array(shape) || json_array_size(shape) != 2) PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, w->name, KEY ": \"shape\" must be two numbers");
    w->n_dims = 2;
    for (uint32_t i = 0; i < 2; i++) {
        const json_t *d = json_array_get(shape, i);
        if (!json_is_integer(d) || json_integer_value(d) <= 0 || json_integer_value(d) > INT32_MAX)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, w->name, KEY ": \"shape\" must be two numbers from 1 to 2^31 - 1");
        w->dims[i] = (uint64_t)json_integer_value(d);
    }
    w->rows = w->dims[0];
    w->cols = w->dims[1];
    r->p->no_base = true;
    return PARE_OK;
}

static int read_entry(struct reading *r, const json_t *o, struct pare_diag *diag)
{
    const json_t *parts = json_object_get(o, "parts"), *input = json_object_get(o, "input");

    PARE_FORWARD(read_base(r, o, diag));
    if (parts != NULL && !json_is_array(parts)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, r->w->name, KEY ": \"parts\" must be a list");
    for (size_t i = 0; i < json_array_size(parts); i++) PARE_FORWARD(read_part(r, json_array_get(parts, i), diag));
    /* Factors are as large as the shape says: a file cannot promise more than it holds. */
    if (r->p->no_base && (r->p->n_parts == 0 || r->p->part[0].kind != PARE_EXTRA_LOW_RANK))
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, r->w->name, KEY ": without a base the first part must be low_rank");
    if (input != NULL && !json_is_array(input) && !json_is_string(input))
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, r->at, r->w->name, KEY ": \"input\" must be a list of steps or the name of a weight");
    for (size_t i = 0; i < json_array_size(input); i++) PARE_FORWARD(read_step(r, json_array_get(input, i), diag));
    return PARE_OK;
}

/* "input": NAME2: the steps of another weight, which has steps of its own and as many columns. */
static int link_input(struct pare_checkpoint *c, struct pare_parts *p, const char *other, uint64_t at, struct pare_diag *diag)
{
    const struct pare_tensor *t = pare_checkpoint_tensor(c, other), *w = pare_checkpoint_tensor(c, p->name);

    if (t == NULL || t->parts == NULL || t->parts->n_steps == 0 || t->parts == p)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, p->name, KEY ": \"input\" names \"%.150s\", which has no input steps of its own", other);
    if (t->cols != w->cols) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, p->name, KEY ": takes the input of \"%.150s\", which is of another width", other);
    p->input_of = t->parts;
    return PARE_OK;
}

static int read_all(struct pare_checkpoint *c, json_t *doc, uint64_t at, struct pare_diag *diag)
{
    struct pare_ckpt_index *ix = c->index;
    const char             *name;
    json_t                 *entry;
    uint64_t                n = 0;

    if (!json_is_object(doc)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, KEY, "must be a JSON object");
    ix->parts = pare_zalloc(json_object_size(doc) + 1, sizeof *ix->parts);
    if (ix->parts == NULL) return PARE_NOMEM(diag);
    json_object_foreach(doc, name, entry) {
        uint64_t       i = pare_names_get(&ix->tensors, name, strlen(name));
        struct reading r = { .c = c, .p = &ix->parts[n++], .at = at };

        if (i == UINT64_MAX) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, KEY, "names tensor \"%.200s\", which is not in the file", name);
        if (!json_is_object(entry)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, name, KEY ": the entry must be an object");
        r.w = &c->tensors[i];
        r.p->name = r.w->name;
        r.w->parts = r.p;
        PARE_FORWARD(read_entry(&r, entry, diag));
    }
    json_object_foreach(doc, name, entry) {
        const struct pare_tensor *w = pare_checkpoint_tensor(c, name);
        const char               *other = json_string_value(json_object_get(entry, "input"));

        if (w->part_of != NULL) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, name, KEY ": a part of \"%.150s\" cannot have parts", w->part_of);
        if (other != NULL) PARE_FORWARD(link_input(c, &ix->parts[w->parts - ix->parts], other, at, diag));
    }
    return PARE_OK;
}

int pare_parts_read(struct pare_checkpoint *c, struct pare_diag *diag) { return pare_checkpoint_json(c, KEY, read_all, diag); }

void pare_parts_free(struct pare_checkpoint *c)
{
    struct pare_ckpt_index *ix = c->index;

    pare_free(ix->parts);
    ix->parts = NULL;
}
