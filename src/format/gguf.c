/* SPDX-License-Identifier: Apache-2.0
 * src/format/gguf.c: reads GGUF versions 2 and 3, one file or a split set (NAME-00001-of-0000N.gguf).
 *
 * A file is: "GGUF", u32 version, u64 tensors, u64 metadata records; the records; the tensor records (name, u32 rank,
 * u64 dimensions from the contiguous one outwards, u32 type, u64 offset from the data area); padding to general.alignment;
 * the data area. Metadata counts of a split set come from its first file; every file has its own tensors and data. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"

#define MAGIC "GGUF"

static int probe(const char *path, bool is_dir, const uint8_t *head, size_t n)
{
    (void)path;
    return !is_dir && n != 0 && memcmp(head, MAGIC, n < 4 ? n : 4) == 0;
}

struct file_head {
    uint64_t n_tensors, n_kv;
};

static int read_head(struct file_head *h, struct pare_cursor *cur)
{
    uint32_t version;

    *h = (struct file_head){ 0 };
    (void)pare_cursor_take(cur, 4, "the magic");
    version = pare_cursor_u32(cur, "the version");
    if (cur->err != 0) return cur->err;
    if (memcmp(cur->base, MAGIC, 4) != 0) /* a later part of a split: the first was probed */
        return cur->err = PARE_ERR_AT(cur->diag, PARE_E_CORRUPT, 0, NULL, "does not begin with GGUF");
    if ((version & 0xffff) == 0 && version != 0)
        return cur->err = PARE_ERR_AT(cur->diag, PARE_E_UNSUPPORTED, 4, NULL, "a big-endian file");
    if (version < PARE_GGUF_MIN_VERSION || version > PARE_GGUF_MAX_VERSION)
        return cur->err = PARE_ERR_AT(cur->diag, PARE_E_UNSUPPORTED, 4, NULL, "version %" PRIu32 "; versions %u to %u are read",
                                      version, PARE_GGUF_MIN_VERSION, PARE_GGUF_MAX_VERSION);
    h->n_tensors = pare_cursor_u64(cur, "the number of tensors");
    h->n_kv = pare_cursor_u64(cur, "the number of metadata records");
    if (cur->err != 0) return cur->err;
    if (h->n_tensors > pare_cursor_left(cur) / PARE_GGUF_MIN_INFO)
        return cur->err = PARE_ERR_AT(cur->diag, PARE_E_TRUNCATED, 8, NULL, "%" PRIu64 " tensors do not fit into the file", h->n_tensors);
    if (h->n_kv > pare_cursor_left(cur) / PARE_GGUF_MIN_KV)
        return cur->err = PARE_ERR_AT(cur->diag, PARE_E_TRUNCATED, 16, NULL, "%" PRIu64 " metadata records do not fit into the file", h->n_kv);
    return PARE_OK;
}

/* One tensor record; t->offset is still relative to the data area. */
static int read_info(struct pare_checkpoint *c, struct pare_cursor *cur, struct pare_diag *diag)
{
    uint64_t            at = cur->pos, len, ne[PARE_GGUF_MAX_DIMS] = { 0 };
    const uint8_t      *name = pare_cursor_name(cur, PARE_MAX_NAME_LEN, &len, "a tensor name");
    struct pare_tensor *t;
    uint32_t            n_dims, type;

    if (name == NULL) return cur->err;
    t = pare_checkpoint_push(c, name, len);
    if (t == NULL) return PARE_NOMEM(diag);
    n_dims = pare_cursor_u32(cur, "the rank");
    if (cur->err == 0 && n_dims > PARE_GGUF_MAX_DIMS)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, "%" PRIu32 " dimensions, at most %u are possible", n_dims, PARE_GGUF_MAX_DIMS);
    for (uint32_t i = 0; i < n_dims && cur->err == 0; i++) ne[i] = pare_cursor_u64(cur, "a dimension");
    type = pare_cursor_u32(cur, "the type");
    t->offset = pare_cursor_u64(cur, "the offset");
    if (cur->err != 0) {
        pare_diag_where(diag, t->name);
        return cur->err;
    }
    t->type = pare_dtype_by_gguf(type);
    if (t->type == NULL) PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, at, t->name, "tensor type number %" PRIu32 " is not known", type);
    t->n_dims = n_dims;
    for (uint32_t i = 0; i < n_dims; i++) t->dims[i] = ne[n_dims - 1 - i]; /* ours are in C order */
    return pare_tensor_shape(t, false, at, diag);
}

static int by_offset(const void *a, const void *b)
{
    const struct pare_tensor *x = *(const struct pare_tensor *const *)a, *y = *(const struct pare_tensor *const *)b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Two tensors must not share bytes: nobody writes that, and a rewriter would count such data twice. */
static int check_overlap(const struct pare_checkpoint *c, uint64_t first, struct pare_diag *diag)
{
    uint64_t             n = c->n_tensors - first;
    struct pare_tensor **order = pare_alloc_array(n, sizeof(struct pare_tensor *));
    int                  rc = PARE_OK;

    if (order == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < n; i++) order[i] = &c->tensors[first + i];
    qsort(order, n, sizeof(struct pare_tensor *), by_offset);
    for (uint64_t i = 1; i < n && rc == PARE_OK; i++)
        if (order[i]->offset - order[i - 1]->offset < order[i - 1]->bytes)
            rc = PARE_ERR_AT(diag, PARE_E_CORRUPT, order[i]->offset, order[i]->name, "overlaps tensor %s", order[i - 1]->name);
    pare_free(order);
    return rc;
}

static int place_all(struct pare_checkpoint *c, uint32_t file, uint64_t first, uint64_t align, uint64_t header_end, struct pare_diag *diag)
{
    uint64_t start, at;

    if (!pare_align_up(header_end, align, &start)) PARE_FAIL(diag, PARE_E_CORRUPT, "the data area begins beyond 2^64");
    for (uint64_t i = first; i < c->n_tensors; i++) {
        struct pare_tensor *t = &c->tensors[i];

        if (t->offset % align != 0)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, header_end, t->name, "offset %" PRIu64 " is not a multiple of the alignment %" PRIu64,
                         t->offset, align);
        if (!pare_add_u64(start, t->offset, &at))
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, header_end, t->name, "offset %" PRIu64 " overflows", t->offset);
        PARE_FORWARD(pare_tensor_place(t, c, file, at, diag));
    }
    return check_overlap(c, first, diag);
}

static int read_align(const struct pare_checkpoint *c, uint64_t *align, struct pare_diag *diag)
{
    const struct pare_kv *kv = pare_kv_find(c, "general.alignment");

    *align = PARE_ALIGN_DEFAULT;
    if (kv == NULL) return PARE_OK;
    if (kv->type != PARE_KV_U32)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, kv->offset, kv->key, "must be uint32, is %s", pare_kv_type_name(kv->type));
    *align = pare_le32(kv->data);
    if (*align < PARE_ALIGN_MIN || *align > PARE_ALIGN_MAX || (*align & (*align - 1)) != 0)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, kv->offset, kv->key, "is %" PRIu64 ", must be a power of two in %u..%u", *align,
                     PARE_ALIGN_MIN, PARE_ALIGN_MAX);
    return PARE_OK;
}

/* Position of one file in its split set. count 0 or 1: not split. */
struct split {
    int64_t no, count, tensors;
};

static int read_split(const struct pare_checkpoint *c, struct split *s, struct pare_diag *diag)
{
    PARE_FORWARD(pare_kv_int(c, "split.no", 0, 65535, 0, &s->no, diag));
    PARE_FORWARD(pare_kv_int(c, "split.count", 0, 65535, 0, &s->count, diag));
    return pare_kv_int(c, "split.tensors.count", 0, INT64_MAX, -1, &s->tensors, diag);
}

/* Reads file number `file` of c. Its metadata goes to m; the values the layout needs are taken from there. */
static int read_file(struct pare_checkpoint *c, uint32_t file, struct pare_gguf_meta *m, struct split *s, struct pare_diag *diag)
{
    const struct pare_map *map = &c->maps[file];
    struct pare_cursor     cur = { .base = map->base, .size = map->size, .diag = diag };
    struct pare_checkpoint view = { .priv = m, .maps = c->maps + file, .n_maps = 1 };
    struct file_head       h;
    uint64_t               first = c->n_tensors, align;
    int                    rc;

    if ((rc = read_head(&h, &cur)) < 0) goto fail;
    if ((rc = pare_gguf_meta_read(m, &cur, h.n_kv, diag)) < 0) goto fail;
    view.kv = m->kv;
    view.n_kv = m->n;
    if ((rc = read_align(&view, &align, diag)) < 0) goto fail;
    if ((rc = read_split(&view, s, diag)) < 0) goto fail;
    for (uint64_t i = 0; i < h.n_tensors; i++)
        if ((rc = read_info(c, &cur, diag)) < 0) goto fail;
    if ((rc = place_all(c, file, first, align, cur.pos, diag)) < 0) goto fail;
    return PARE_OK;
fail:
    pare_diag_file(diag, map->path);
    return rc;
}

/* ---- split sets --------------------------------------------------------------------------------------------------- */

#define SUFFIX_LEN 20u /* "-00001-of-00003.gguf" */

static char *part_path(const char *first, int64_t no, int64_t count)
{
    size_t n = strlen(first);
    char  *p = pare_strdup(first), suffix[40];

    snprintf(suffix, sizeof suffix, "-%05d-of-%05d.gguf", (int)no + 1, (int)count); /* both at most 65535: SUFFIX_LEN long */
    if (p != NULL) memcpy(p + (n - SUFFIX_LEN), suffix, SUFFIX_LEN);
    return p;
}

/* The name of the first part must be what its own numbers say; the names of the others follow from it. */
static int check_first_name(const char *path, int64_t count, struct pare_diag *diag)
{
    size_t n = strlen(path);
    char   want[40];

    snprintf(want, sizeof want, "-%05d-of-%05d.gguf", 1, (int)count);
    if (n > SUFFIX_LEN && strcmp(path + n - SUFFIX_LEN, want) == 0) return PARE_OK;
    PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, "split.count", "the file is part 1 of %d, its name must end with %s", (int)count, want);
}

static int read_part(struct pare_checkpoint *c, int64_t no, int64_t count, struct pare_diag *diag)
{
    struct pare_gguf_meta m = { 0 };
    struct split          s;
    char                 *path = part_path(c->path, no, count);
    int                   rc;

    if (path == NULL) return PARE_NOMEM(diag);
    if ((rc = pare_checkpoint_map(c, path, diag)) < 0) goto out;
    if ((rc = read_file(c, c->n_maps - 1, &m, &s, diag)) < 0) goto out;
    if (s.no != no || s.count != count) {
        rc = PARE_ERR_AT(diag, PARE_E_CORRUPT, 0, "split.no", "the file says part %d of %d, its name part %d of %d", (int)s.no + 1,
                         (int)s.count, (int)no + 1, (int)count);
        pare_diag_file(diag, path);
    }
out:
    pare_gguf_meta_free(&m);
    pare_free(path);
    return rc;
}

static int gguf_open(struct pare_checkpoint *c, const char *path, struct pare_diag *diag)
{
    struct pare_gguf_meta *m = pare_zalloc(1, sizeof *m);
    struct split           s;

    c->priv = m;
    if (m == NULL) return PARE_NOMEM(diag);
    PARE_FORWARD(pare_checkpoint_map(c, path, diag));
    PARE_FORWARD(read_file(c, 0, m, &s, diag));
    c->kv = m->kv;
    c->n_kv = m->n;
    if (s.count <= 1) return PARE_OK;
    if (s.no != 0)
        PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, 0, "split.no", "part %d of %d; open the first part instead", (int)s.no + 1, (int)s.count);
    if (s.count > PARE_MAX_FILES)
        PARE_FAIL_AT(diag, PARE_E_LIMIT, 0, "split.count", "%d parts, at most %u are read", (int)s.count, PARE_MAX_FILES);
    PARE_FORWARD(check_first_name(path, s.count, diag));
    for (int64_t i = 1; i < s.count; i++) PARE_FORWARD(read_part(c, i, s.count, diag));
    if (s.tensors >= 0 && (uint64_t)s.tensors != c->n_tensors)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, "split.tensors.count", "%" PRId64 " tensors promised, the parts have %" PRIu64, s.tensors,
                     c->n_tensors);
    return PARE_OK;
}

static void gguf_close(struct pare_checkpoint *c)
{
    if (c->priv != NULL) pare_gguf_meta_free(c->priv);
    pare_free(c->priv);
    c->priv = NULL;
    c->kv = NULL;
    c->n_kv = 0;
}

extern const struct pare_format pare_format_gguf;
const struct pare_format pare_format_gguf = { .name = "gguf", .probe = probe, .open = gguf_open, .close = gguf_close };
