/* SPDX-License-Identifier: Apache-2.0
 * src/format/own_types.c: tensors whose type or shape GGUF cannot say (docs/format.md). The metadata string "pare.tensors" is
 * JSON {NAME: {"type": T, "shape": [..]}}. Types without a GGUF number lie in an I8 tensor [rows, bytes of a row]; types with
 * one lie as themselves under another shape (more than four dimensions, or none). With "packed": L the rows lie as panels, in an
 * I8 tensor [panels, bytes of a panel]. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"
#include "kernel/gemmq.h"

#define KEY "pare.tensors"

static int read_shape(struct pare_tensor *t, const json_t *shape, uint64_t at, struct pare_diag *diag)
{
    if (!json_is_array(shape) || json_array_size(shape) > PARE_MAX_DIMS)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, KEY ": \"shape\" must be a list of at most %d numbers", PARE_MAX_DIMS);
    t->n_dims = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < t->n_dims; i++) {
        const json_t *d = json_array_get(shape, i);

        if (!json_is_integer(d) || json_integer_value(d) <= 0)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, KEY ": \"shape\" holds something else than positive whole numbers");
        t->dims[i] = (uint64_t)json_integer_value(d);
    }
    return PARE_OK;
}

/* Panels: any bytes are some panels, so the sizes are all there is to check. */
static int apply_packed(struct pare_tensor *t, const struct pare_tensor *stored, const json_t *packed, uint64_t at, struct pare_diag *diag)
{
    struct pare_packed p;

    if (!json_is_integer(packed)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, KEY ": \"packed\" must be a whole number");
    if (json_integer_value(packed) != PARE_PACK_LAYOUT)
        PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, at, t->name, KEY ": packed in layout %" PRId64 ", this version reads layout %d; unpack the "
                     "file with the version that wrote it", (int64_t)json_integer_value(packed), PARE_PACK_LAYOUT);
    if (stored->type->type != PARE_I8 || stored->n_dims != 2)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, KEY ": the stored tensor must be i8 with two dimensions");
    if (!pare_packed_shape(&p, t->type, t->rows, t->cols))
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, KEY ": a tensor of type %s and this shape cannot be packed", t->type->name);
    if (p.n_panels != stored->rows || p.panel_bytes != stored->cols)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, KEY ": shape needs %" PRIu32 " panels of %" PRIu64 " bytes, %" PRIu64 " x %" PRIu64
                     " are stored", p.n_panels, p.panel_bytes, stored->rows, stored->cols);
    t->packed = PARE_PACK_LAYOUT;
    t->bytes = stored->bytes;
    return PARE_OK;
}

/* The logical view must take exactly the bytes of the stored tensor, row by row. */
static int apply(struct pare_tensor *stored, const json_t *entry, uint64_t at, struct pare_diag *diag)
{
    struct pare_tensor t = *stored;
    const json_t      *type = json_object_get(entry, "type"), *packed = json_object_get(entry, "packed");
    uint64_t           row_bytes;

    if (!json_is_string(type)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t.name, KEY ": \"type\" is missing or no string");
    t.type = pare_dtype_by_name(json_string_value(type));
    if (t.type == NULL)
        PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, at, t.name, KEY ": type \"%s\" is not known to this version", json_string_value(type));
    PARE_FORWARD(read_shape(&t, json_object_get(entry, "shape"), at, diag));
    PARE_FORWARD(pare_tensor_shape(&t, false, at, diag));
    if (packed != NULL) {
        PARE_FORWARD(apply_packed(&t, stored, packed, at, diag));
    } else if (t.type->gguf_id >= 0) {
        if (t.type != stored->type || t.cols != stored->cols || t.rows != stored->rows)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t.name, KEY ": type or shape contradicts the stored tensor");
    } else {
        if (stored->type->type != PARE_I8 || stored->n_dims != 2)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t.name, KEY ": the stored tensor must be i8 with two dimensions");
        if (t.rows != stored->rows || !pare_dtype_row_bytes(t.type, t.cols, &row_bytes) || row_bytes != stored->cols)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t.name, KEY ": shape needs %" PRIu64 " rows of type %s, %" PRIu64 " x %" PRIu64
                         " bytes are stored", t.rows, t.type->name, stored->rows, stored->cols);
    }
    *stored = t;
    return PARE_OK;
}

static int apply_all(struct pare_checkpoint *c, json_t *doc, uint64_t at, struct pare_diag *diag)
{
    const char *name;
    json_t     *entry;

    if (!json_is_object(doc)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, KEY, "must be a JSON object");
    json_object_foreach(doc, name, entry) {
        uint64_t i = pare_names_get(&pare_ckpt_index_of(c)->tensors, name, strlen(name));

        if (i == UINT64_MAX) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, KEY, "names tensor \"%.200s\", which is not in the file", name);
        if (!json_is_object(entry)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, name, KEY ": the entry must be an object");
        PARE_FORWARD(apply(&c->tensors[i], entry, at, diag));
    }
    return PARE_OK;
}

int pare_own_types(struct pare_checkpoint *c, struct pare_diag *diag) { return pare_checkpoint_json(c, KEY, apply_all, diag); }
