/* SPDX-License-Identifier: Apache-2.0
 * src/format/writer_layout.c: declarations of tensors, the complete header, and where everything will lie. The header is made
 * before any data, so its hash says whether a journal of an earlier run still fits. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/json.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"
#include "format/writer_private.h"

/* How GGUF holds the tensor: types without a number as bytes, more than four dimensions with the outer ones multiplied. */
static int disk_form(struct pare_decl *t, struct pare_diag *d)
{
    struct pare_tensor view = { .name = t->name, .type = t->type, .n_dims = t->n_dims };
    uint64_t           row_bytes;

    memcpy(view.dims, t->dims, sizeof view.dims);
    for (uint32_t i = 0; i < t->n_dims; i++)
        if (t->dims[i] == 0) PARE_FAIL(d, PARE_E_UNSUPPORTED, "an empty tensor cannot be written to GGUF");
    PARE_FORWARD(pare_tensor_shape(&view, false, PARE_NO_OFFSET, d));
    t->bytes = view.bytes;
    t->own = t->type->gguf_id < 0 || t->n_dims == 0 || t->n_dims > PARE_GGUF_MAX_DIMS || t->packed != 0;
    if (t->packed != 0) {
        struct pare_packed p;

        if (!pare_packed_shape(&p, t->type, view.rows, view.cols))
            PARE_FAIL(d, PARE_E_USAGE, "a tensor of type %s and this shape cannot be packed", t->type->name);
        t->bytes = pare_packed_bytes(&p);
        t->disk_type = (uint32_t)pare_dtype_of(PARE_I8)->gguf_id;
        t->disk_n_dims = 2;
        t->disk_dims[0] = p.n_panels;
        t->disk_dims[1] = p.panel_bytes;
        return PARE_OK;
    }
    if (t->type->gguf_id < 0) {
        if (!pare_dtype_row_bytes(t->type, view.cols, &row_bytes)) PARE_FAIL(d, PARE_E_USAGE, "rows do not suit the type");
        t->disk_type = (uint32_t)pare_dtype_of(PARE_I8)->gguf_id;
        t->disk_n_dims = 2;
        t->disk_dims[0] = view.rows;
        t->disk_dims[1] = row_bytes;
        return PARE_OK;
    }
    t->disk_type = (uint32_t)t->type->gguf_id;
    t->disk_n_dims = t->n_dims == 0 ? 1 : t->n_dims;
    t->disk_dims[0] = 1;
    memcpy(t->disk_dims, t->dims, t->n_dims * sizeof *t->dims);
    while (t->disk_n_dims > PARE_GGUF_MAX_DIMS) {
        t->disk_dims[1] *= t->disk_dims[0]; /* a part of the checked number of elements */
        memmove(t->disk_dims, t->disk_dims + 1, --t->disk_n_dims * sizeof *t->disk_dims);
    }
    return PARE_OK;
}

static int declare(struct pare_writer *w, const char *name, const struct pare_dtype *type, uint32_t n_dims, const uint64_t *dims,
                   uint32_t packed, struct pare_diag *d)
{
    struct pare_decl *t;
    size_t            len;
    int               r;

    PARE_USAGE_CHECK(d, w != NULL && name != NULL && type != NULL && (dims != NULL || n_dims == 0));
    len = strlen(name);
    pare_diag_where(d, NULL);
    PARE_FAIL_IF(d, w->laid_out, PARE_E_USAGE, "a tensor is declared after the layout");
    PARE_FAIL_IF(d, len == 0 || len > PARE_MAX_NAME_LEN || !pare_is_name_text((const uint8_t *)name, len), PARE_E_USAGE,
                 "a tensor name must be 1..%u bytes of UTF-8", PARE_MAX_NAME_LEN);
    PARE_FAIL_IF(d, n_dims > PARE_MAX_DIMS, PARE_E_USAGE, "more than %d dimensions", PARE_MAX_DIMS);
    if (w->err < 0) return w->err;
    if (w->n_tensors == w->cap_tensors) {
        uint64_t cap = w->cap_tensors == 0 ? 64 : w->cap_tensors * 2;
        void    *p = pare_realloc_array(w->tensors, cap, sizeof *w->tensors);

        if (p == NULL) return w->err = PARE_NOMEM(d);
        w->tensors = p;
        w->cap_tensors = cap;
    }
    t = &w->tensors[w->n_tensors];
    *t = (struct pare_decl){ .name = pare_pool_add(&w->pool, name, len), .type = type, .n_dims = n_dims, .packed = packed };
    if (n_dims != 0) memcpy(t->dims, dims, n_dims * sizeof *dims);
    r = t->name == NULL ? PARE_E_NOMEM : pare_names_put(&w->names, t->name, w->n_tensors);
    if (r < 0) return w->err = PARE_NOMEM(d);
    if (r == 1) r = PARE_ERR(d, PARE_E_USAGE, "two tensors have this name");
    if (r == 0) r = disk_form(t, d);
    if (r < 0) {
        pare_diag_where(d, name);
        return w->err = r;
    }
    w->n_tensors++;
    return PARE_OK;
}

int pare_writer_declare(struct pare_writer *w, const char *name, const struct pare_dtype *type, uint32_t n_dims, const uint64_t *dims,
                        struct pare_diag *d)
{
    return declare(w, name, type, n_dims, dims, 0, d);
}

int pare_writer_declare_packed(struct pare_writer *w, const char *name, const struct pare_dtype *type, uint32_t n_dims,
                               const uint64_t *dims, struct pare_diag *d)
{
    return declare(w, name, type, n_dims, dims, PARE_PACK_LAYOUT, d);
}

/* {"NAME":{"shape":[..],"type":"T"}}, with "packed":L for panels, canonical: the same declarations give the same bytes. */
static json_t *own_document(const struct pare_writer *w, uint64_t *count)
{
    json_t *doc = json_object();

    *count = 0;
    for (uint64_t i = 0; i < w->n_tensors && doc != NULL; i++) {
        const struct pare_decl *t = &w->tensors[i];
        json_t                 *shape, *entry;

        if (!t->own) continue;
        shape = json_array();
        for (uint32_t k = 0; k < t->n_dims; k++) json_array_append_new(shape, json_integer((json_int_t)t->dims[k]));
        entry = json_pack("{s:s, s:O}", "type", t->type->name, "shape", shape);
        if (t->packed != 0) json_object_set_new(entry, "packed", json_integer((json_int_t)t->packed));
        json_decref(shape);
        if (json_array_size(json_object_get(entry, "shape")) != t->n_dims || json_object_size(entry) != (t->packed != 0 ? 3 : 2) ||
            json_object_set(doc, t->name, entry) != 0) {
            json_decref(entry);
            json_decref(doc);
            return NULL;
        }
        json_decref(entry);
        ++*count;
    }
    return doc;
}

static int add_own_types(struct pare_writer *w, struct pare_diag *d)
{
    uint64_t n;
    json_t  *doc = own_document(w, &n);
    char    *text = doc == NULL ? NULL : pare_json_canonical(doc);
    uint8_t  head[8];
    int      rc = PARE_OK;

    if (text == NULL) rc = PARE_NOMEM(d);
    if (rc == PARE_OK && n != 0) {
        for (int i = 0; i < 8; i++) head[i] = (uint8_t)((uint64_t)strlen(text) >> (8 * i));
        rc = pare_writer_kv_raw(w, "pare.tensors", PARE_KV_STRING, head, 8, text, strlen(text), d);
    }
    pare_free(text);
    json_decref(doc);
    return rc;
}

static int build_header(struct pare_writer *w, struct pare_diag *d)
{
    struct pare_buf *b = &w->header;
    uint64_t         rel = 0, start = 0;

    *b = (struct pare_buf){ .max = PARE_MAX_HEADER };
    pare_buf_add(b, "GGUF", 4);
    pare_put_u32(b, PARE_GGUF_MAX_VERSION);
    pare_put_u64(b, w->n_tensors);
    pare_put_u64(b, w->n_kv);
    if (w->kv.len != 0) pare_buf_add(b, w->kv.data, w->kv.len);
    for (uint64_t i = 0; i < w->n_tensors; i++) {
        struct pare_decl *t = &w->tensors[i];

        pare_put_u64(b, strlen(t->name));
        pare_buf_str(b, t->name);
        pare_put_u32(b, t->disk_n_dims);
        for (uint32_t k = t->disk_n_dims; k-- > 0;) pare_put_u64(b, t->disk_dims[k]); /* GGUF begins with the contiguous one */
        pare_put_u32(b, t->disk_type);
        pare_put_u64(b, rel);
        t->offset = rel;
        if (!pare_add_u64(rel, t->bytes, &rel) || !pare_align_up(rel, w->align, &rel) || rel > INT64_MAX) {
            pare_diag_where(d, t->name);
            PARE_FAIL(d, PARE_E_LIMIT, "the tensors together are too large for a file");
        }
    }
    if (!b->failed) {
        static const uint8_t zeros[256];

        (void)pare_align_up(b->len, w->align, &start);
        while (!b->failed && b->len < start) pare_buf_add(b, zeros, start - b->len < sizeof zeros ? (size_t)(start - b->len) : sizeof zeros);
    }
    if (b->failed) return PARE_NOMEM(d);
    for (uint64_t i = 0; i < w->n_tensors; i++) w->tensors[i].offset += b->len;
    w->header_hash = XXH3_64bits(b->data, b->len);
    PARE_FAIL_IF(d, !pare_add_u64(rel, b->len, &w->size) || w->size > INT64_MAX, PARE_E_LIMIT, "too large for a file");
    return PARE_OK;
}

/* ---- taking up an earlier run --------------------------------------------------------------------------------------- */

/* Journalled tensors count as done. The data of the last one is read again: a record was written after its data was synced,
 * but a machine may lie about that, and it does so for the newest data first. */
static bool adopt_records(struct pare_writer *w, const struct pare_map *m)
{
    while (w->n_records != 0) {
        const struct pare_journal_record *r = &w->records[w->n_records - 1];

        if (XXH3_64bits(m->base + r->offset, r->bytes) == r->hash) break;
        w->log_len = r->begin;
        w->n_records--;
    }
    if (w->renamed && w->n_records != w->n_tensors) return false; /* nothing to be mended under the final name */
    for (uint64_t i = 0; i < w->n_records; i++) {
        w->tensors[w->records[i].index].done = true;
        w->tensors[w->records[i].index].hash = w->records[i].hash;
    }
    return true;
}

/* Every record must be a tensor of this layout, once. */
static bool records_fit(const struct pare_writer *w)
{
    bool *seen = pare_zalloc(w->n_tensors, sizeof *seen);
    bool  ok = seen != NULL && w->old_header_hash == w->header_hash && w->old_size == w->size;

    for (uint64_t i = 0; i < w->n_records && ok; i++) {
        const struct pare_journal_record *r = &w->records[i];

        ok = r->index < w->n_tensors && !seen[r->index] && r->offset == w->tensors[r->index].offset && r->bytes == w->tensors[r->index].bytes;
        if (ok) seen[r->index] = true;
    }
    pare_free(seen);
    return ok;
}

/* Tries to go on where an earlier run of the same job stopped: 1 done so, 0 there is nothing that fits. */
static int take_up(struct pare_writer *w, struct pare_diag *d)
{
    const char     *from = pare_path_exists(w->part) ? w->part : w->path;
    struct pare_map m;

    if (!w->have_old || !records_fit(w) || !pare_path_exists(from)) return 0;
    w->renamed = from == w->path;
    PARE_FORWARD(pare_map_open(&m, from, d));
    if (m.size != w->size || (w->renamed && memcmp(m.base, w->header.data, w->header.len) != 0) || !adopt_records(w, &m)) {
        pare_map_close(&m);
        w->renamed = false; /* what stands there is something else */
        return 0;
    }
    pare_map_close(&m);
    if (w->renamed) return 1;
    PARE_FORWARD(pare_out_reopen(&w->data, w->part, false, d));
    PARE_FORWARD(pare_out_truncate(&w->log, w->log_len, d));
    return 1;
}

int pare_writer_layout(struct pare_writer *w, struct pare_diag *d)
{
    int r;

    PARE_USAGE_CHECK(d, w != NULL && !w->laid_out);
    if (w->err < 0) return w->err;
    if ((r = add_own_types(w, d)) < 0) goto fail;
    if ((r = build_header(w, d)) < 0) goto fail;
    w->laid_out = true;
    if (w->path == NULL) return PARE_OK; /* only the size was asked for */
    if ((r = take_up(w, d)) < 0) goto fail;
    if (r == 1) return PARE_OK;
    if ((r = pare_journal_reset(w, d)) < 0) goto fail; /* first: old promises must not outlive the data they speak of */
    if ((r = pare_out_create(&w->data, w->part, d)) < 0) goto fail;
    if ((r = pare_out_reserve(&w->data, w->size, d)) < 0) goto fail;
    if ((r = pare_journal_begin(w, d)) < 0) goto fail;
    if ((r = pare_folder_sync(w->part, d)) < 0) goto fail;
    return PARE_OK;
fail:
    return w->err = r;
}

uint64_t pare_writer_size(const struct pare_writer *w) { return w->size; }
