/* SPDX-License-Identifier: Apache-2.0
 * src/format/safetensors.c: reads one safetensors file (specification: README of the safetensors project).
 *
 * u64 header length, the header (JSON: name -> dtype, shape, data_offsets [begin, end) from the end of the header; an optional
 * "__metadata__" of strings), then the data. The data must be covered exactly: no hole, no overlap, nothing after the last. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"
#include "format/st_header.h"

static int probe(const char *path, bool is_dir, const uint8_t *head, size_t n)
{
    (void)path;
    /* Also a header length over the limit counts as ours, so that the error says what is wrong with it. */
    return !is_dir && n >= 9 && head[8] == '{' && pare_le64(head) >= 2;
}

static const struct {
    const char    *name;
    enum pare_type type;
} dtypes[] = {
    { "F32", PARE_F32 }, { "F16", PARE_F16 }, { "BF16", PARE_BF16 }, { "F64", PARE_F64 }, { "I8", PARE_I8 },
    { "I16", PARE_I16 }, { "I32", PARE_I32 }, { "I64", PARE_I64 },   { "U8", PARE_U8 },   { "BOOL", PARE_BOOL },
};
static const char *const other_dtypes[] = { "U16", "U32", "U64", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4", "C64",
                                            "F8_E4M3FNUZ", "F8_E5M2FNUZ" };

static int read_dtype(struct pare_tensor *t, struct pare_st_scan *s, struct pare_diag *diag)
{
    uint64_t at = s->cur.pos;

    PARE_FORWARD(pare_st_string(s));
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (pare_st_is(s, dtypes[i].name)) t->type = pare_dtype_of(dtypes[i].type);
    if (t->type != NULL) return PARE_OK;
    for (size_t i = 0; i < sizeof other_dtypes / sizeof *other_dtypes; i++)
        if (pare_st_is(s, other_dtypes[i])) PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, at, t->name, "dtype %s is not read", other_dtypes[i]);
    PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, "unknown dtype \"%.40s\"", (const char *)s->str.data);
}

static int read_shape(struct pare_tensor *t, struct pare_st_scan *s, struct pare_diag *diag)
{
    uint64_t at = s->cur.pos;

    PARE_FORWARD(pare_st_expect(s, '['));
    if (pare_st_accept(s, ']')) return PARE_OK;
    do {
        if (t->n_dims == PARE_MAX_DIMS)
            PARE_FAIL_AT(diag, PARE_E_LIMIT, at, t->name, "more than %d dimensions", PARE_MAX_DIMS);
        PARE_FORWARD(pare_st_number(s, &t->dims[t->n_dims]));
        t->n_dims++;
    } while (pare_st_more(s, ']'));
    return s->cur.err;
}

/* One tensor. t->offset is left relative to the data area. end: where its data ends there. */
static int read_entry(struct pare_tensor *t, struct pare_st_scan *s, uint64_t at, struct pare_diag *diag)
{
    unsigned seen = 0;
    uint64_t end = 0;

    PARE_FORWARD(pare_st_expect(s, '{'));
    do {
        uint64_t key_at = s->cur.pos;
        unsigned bit;

        PARE_FORWARD(pare_st_string(s));
        bit = pare_st_is(s, "dtype") ? 1 : pare_st_is(s, "shape") ? 2 : pare_st_is(s, "data_offsets") ? 4 : 0;
        if (bit == 0) PARE_FAIL_AT(diag, PARE_E_CORRUPT, key_at, t->name, "unknown member \"%.60s\"", (const char *)s->str.data);
        if (seen & bit) PARE_FAIL_AT(diag, PARE_E_CORRUPT, key_at, t->name, "member \"%.60s\" occurs twice", (const char *)s->str.data);
        seen |= bit;
        PARE_FORWARD(pare_st_expect(s, ':'));
        if (bit == 1) PARE_FORWARD(read_dtype(t, s, diag));
        if (bit == 2) PARE_FORWARD(read_shape(t, s, diag));
        if (bit == 4) {
            PARE_FORWARD(pare_st_expect(s, '['));
            PARE_FORWARD(pare_st_number(s, &t->offset));
            PARE_FORWARD(pare_st_expect(s, ','));
            PARE_FORWARD(pare_st_number(s, &end));
            PARE_FORWARD(pare_st_expect(s, ']'));
        }
    } while (pare_st_more(s, '}'));
    if (s->cur.err < 0) return s->cur.err;
    if (seen != 7) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, "dtype, shape or data_offsets is missing");
    PARE_FORWARD(pare_tensor_shape(t, true, at, diag));
    if (end < t->offset) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, "data_offsets end before they begin");
    if (end - t->offset != t->bytes)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, "data_offsets span %" PRIu64 " bytes, dtype and shape need %" PRIu64,
                     end - t->offset, t->bytes);
    return PARE_OK;
}

static int read_metadata(struct pare_checkpoint *c, struct pare_st_scan *s, struct pare_diag *diag)
{
    struct pare_ckpt_index *ix = c->index;

    if (ix->text == NULL) ix->text = json_object();
    PARE_FORWARD(pare_st_expect(s, '{'));
    if (pare_st_accept(s, '}')) return PARE_OK;
    do {
        char *key;
        int   bad = 0;

        PARE_FORWARD(pare_st_string(s));
        key = pare_strndup((const char *)s->str.data, s->str.len);
        if (key == NULL) return PARE_NOMEM(diag);
        if (pare_st_expect(s, ':') == PARE_OK && pare_st_string(s) == PARE_OK && json_object_get(ix->text, key) == NULL)
            bad = json_object_set_new(ix->text, key, json_stringn((const char *)s->str.data, s->str.len)) != 0;
        pare_free(key);
        if (bad) return PARE_NOMEM(diag);
    } while (pare_st_more(s, '}'));
    return s->cur.err;
}

static int read_entries(struct pare_checkpoint *c, struct pare_st_scan *s, struct pare_diag *diag)
{
    bool have_metadata = false;

    PARE_FORWARD(pare_st_expect(s, '{'));
    if (pare_st_accept(s, '}')) return PARE_OK;
    do {
        uint64_t            at = s->cur.pos;
        struct pare_tensor *t;

        PARE_FORWARD(pare_st_string(s));
        if (pare_st_is(s, "__metadata__")) {
            if (have_metadata) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, "__metadata__", "occurs twice");
            have_metadata = true;
            PARE_FORWARD(pare_st_expect(s, ':'));
            PARE_FORWARD(read_metadata(c, s, diag));
            continue;
        }
        if (s->str.len == 0 || s->str.len > PARE_MAX_NAME_LEN)
            PARE_FAIL_AT(diag, s->str.len == 0 ? PARE_E_CORRUPT : PARE_E_LIMIT, at, NULL, "a tensor name has %zu bytes, must have 1..%u",
                         s->str.len, PARE_MAX_NAME_LEN);
        t = pare_checkpoint_push(c, s->str.data, s->str.len);
        if (t == NULL) return PARE_NOMEM(diag);
        PARE_FORWARD(pare_st_expect(s, ':'));
        PARE_FORWARD(read_entry(t, s, at, diag));
    } while (pare_st_more(s, '}'));
    return s->cur.err;
}

static int in_file_order(const void *a, const void *b)
{
    const struct pare_tensor *x = a, *y = b;

    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1; /* empty ones first: they end where they begin */
    return strcmp(x->name, y->name);
}

static int place_all(struct pare_checkpoint *c, uint32_t file, uint64_t first, uint64_t start, struct pare_diag *diag)
{
    uint64_t next = 0, size = c->maps[file].size - start;

    if (c->n_tensors > first) qsort(c->tensors + first, c->n_tensors - first, sizeof *c->tensors, in_file_order);
    for (uint64_t i = first; i < c->n_tensors; i++) {
        struct pare_tensor *t = &c->tensors[i];

        if (t->offset != next && i > first && t->offset < next)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, start + t->offset, t->name, "overlaps tensor %s", t[-1].name);
        if (t->offset != next)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, start + next, t->name, "a hole of %" PRIu64 " bytes before the tensor", t->offset - next);
        if (t->offset > size || t->bytes > size - t->offset)
            PARE_FAIL_AT(diag, PARE_E_TRUNCATED, start + t->offset, t->name, "needs %" PRIu64 " bytes, %" PRIu64 " are left", t->bytes,
                         t->offset > size ? 0 : size - t->offset);
        next = t->offset + t->bytes;
        PARE_FORWARD(pare_tensor_place(t, c, file, start + t->offset, diag));
    }
    if (next != size) PARE_FAIL_AT(diag, PARE_E_CORRUPT, start + next, NULL, "%" PRIu64 " bytes after the last tensor", size - next);
    return PARE_OK;
}

int pare_safetensors_part(struct pare_checkpoint *c, uint32_t file, struct pare_diag *diag)
{
    const struct pare_map *m = &c->maps[file];
    struct pare_st_scan    s = { .cur = { .base = m->base, .size = m->size, .diag = diag } };
    uint64_t               first = c->n_tensors, n = pare_cursor_u64(&s.cur, "the header length");
    int                    rc = s.cur.err;

    if (rc < 0) goto out;
    if (n > PARE_ST_MAX_HEADER) {
        rc = PARE_ERR_AT(diag, PARE_E_CORRUPT, 0, NULL, "a header of %" PRIu64 " bytes, at most %u are allowed", n, PARE_ST_MAX_HEADER);
        goto out;
    }
    if (!pare_cursor_has(&s.cur, n)) {
        rc = PARE_ERR_AT(diag, PARE_E_TRUNCATED, 0, NULL, "a header of %" PRIu64 " bytes in a file of %" PRIu64, n, m->size);
        goto out;
    }
    s.cur.size = 8 + n; /* the scanner must not see data */
    s.str.max = n + 1;
    if (n == 0 || m->base[8] != '{') {
        rc = PARE_ERR_AT(diag, PARE_E_CORRUPT, 8, NULL, "the header does not begin with {");
        goto out;
    }
    if ((rc = read_entries(c, &s, diag)) < 0) goto out;
    for (; s.cur.pos < s.cur.size && rc == PARE_OK; s.cur.pos++)
        if (m->base[s.cur.pos] != ' ') rc = PARE_ERR_AT(diag, PARE_E_CORRUPT, s.cur.pos, NULL, "something else than blanks after the header");
    if (rc == PARE_OK) rc = place_all(c, file, first, 8 + n, diag);
out:
    pare_buf_free(&s.str);
    if (rc < 0) {
        if (c->n_tensors > first) pare_diag_where(diag, c->tensors[c->n_tensors - 1].name); /* the one being read */
        pare_diag_file(diag, m->path);
    }
    return rc;
}

static int st_open(struct pare_checkpoint *c, const char *path, struct pare_diag *diag)
{
    PARE_FORWARD(pare_checkpoint_map(c, path, diag));
    return pare_safetensors_part(c, 0, diag);
}

extern const struct pare_format pare_format_safetensors;
const struct pare_format pare_format_safetensors = { .name = "safetensors", .probe = probe, .open = st_open };
