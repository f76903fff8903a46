/* SPDX-License-Identifier: Apache-2.0
 * src/format/checkpoint.c: opening by content, the tensor list and its name index. The containers are in their own files. */
#include "format/checkpoint.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"

#define FORMAT(name) extern const struct pare_format pare_format_##name;
#include "format/format_list.h"
#undef FORMAT

#define FORMAT(name) &pare_format_##name,
static const struct pare_format *const formats[] = {
#include "format/format_list.h"
};
#undef FORMAT

#define HEAD 64u                /* bytes a probe is shown */
#define SHORTEST_CONTAINER 28u  /* a llama2.c header of version 0 */

static bool starts(const uint8_t *head, size_t n, const char *with, size_t len)
{
    return n >= len && memcmp(head, with, len) == 0;
}

/* Nothing of ours: say what it is when it is well known, so that the user knows what to do. */
static int unknown(const uint8_t *head, size_t n, uint64_t size, struct pare_diag *diag)
{
    if (size < SHORTEST_CONTAINER)
        PARE_FAIL_AT(diag, PARE_E_TRUNCATED, size, NULL, "%" PRIu64 " bytes are too few for any model file", size);
    if (starts(head, n, "PK\3\4", 4) || starts(head, n, "\x80\2", 2))
        PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, 0, NULL, "a PyTorch pickle, which can run code when loaded; convert it to safetensors first");
    if (starts(head, n, "version https://git-lfs", 23))
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, NULL, "a git-lfs pointer, not the file itself; fetch it with git lfs pull");
    if (starts(head, n, "ggjt", 4) || starts(head, n, "tjgg", 4) || starts(head, n, "lmgg", 4))
        PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, 0, NULL, "a GGML file from before GGUF; convert it to GGUF first");
    PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, NULL, "not a model file: no known container begins like this");
}

static int choose(const struct pare_format **out, const char *path, struct pare_diag *diag)
{
    struct pare_map map;
    bool            is_dir = pare_path_is_dir(path);
    size_t          n = 0;
    int             rc = PARE_OK;

    *out = NULL;
    if (!is_dir) {
        PARE_FORWARD(pare_map_open(&map, path, diag));
        n = map.size < HEAD ? (size_t)map.size : HEAD;
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats && *out == NULL; i++)
        if (formats[i]->probe(path, is_dir, is_dir ? NULL : map.base, n)) *out = formats[i];
    if (*out == NULL) {
        rc = is_dir ? PARE_ERR(diag, PARE_E_IO, "the folder has no config.json") : unknown(map.base, n, map.size, diag);
        pare_diag_file(diag, path);
    }
    if (!is_dir) pare_map_close(&map);
    return rc;
}

int pare_checkpoint_open(struct pare_checkpoint **out, const char *path, struct pare_diag *diag)
{
    struct pare_checkpoint *c = NULL;
    int                     rc;

    PARE_USAGE_CHECK(diag, out != NULL && path != NULL);
    *out = NULL;
    c = pare_zalloc(1, sizeof *c);
    if (c == NULL) return PARE_NOMEM(diag);
    c->path = pare_strdup(path);
    c->index = pare_zalloc(1, sizeof(struct pare_ckpt_index));
    if (c->path == NULL || c->index == NULL) {
        rc = PARE_NOMEM(diag);
        goto fail;
    }
    if ((rc = choose(&c->format, path, diag)) < 0) goto fail;
    if ((rc = c->format->open(c, path, diag)) < 0) goto fail;
    if ((rc = pare_checkpoint_index(c, diag)) < 0) goto fail;
    if ((rc = pare_own_types(c, diag)) < 0) goto fail;
    if ((rc = pare_parts_read(c, diag)) < 0) goto fail;
    if ((rc = pare_foreign_scan(c, diag)) < 0) goto fail;
    *out = c;
    return PARE_OK;
fail:
    pare_diag_file(diag, path);
    pare_checkpoint_close(&c);
    return rc;
}

void pare_checkpoint_close(struct pare_checkpoint **pc)
{
    struct pare_checkpoint *c = pc == NULL ? NULL : *pc;
    struct pare_ckpt_index *ix;

    if (c == NULL) return;
    ix = c->index;
    if (c->format != NULL && c->format->close != NULL) c->format->close(c);
    for (uint32_t i = 0; i < c->n_maps; i++) pare_map_close(&c->maps[i]);
    pare_free(c->maps);
    pare_free(c->tensors);
    json_decref(c->config);
    json_decref(c->generation);
    if (ix != NULL) {
        pare_pool_free(&ix->pool);
        pare_names_free(&ix->tensors);
        pare_names_free(&ix->foreign);
        pare_free(ix->groups);
        pare_parts_free(c);
        json_decref(ix->text);
        pare_free(ix);
    }
    pare_free(c->dir);
    pare_free(c->path);
    pare_free(c);
    *pc = NULL;
}

/* ---- services for the containers ---------------------------------------------------------------------------------- */

struct pare_tensor *pare_checkpoint_push(struct pare_checkpoint *c, const void *name, size_t len)
{
    struct pare_ckpt_index *ix = c->index;
    struct pare_tensor     *t;

    if (c->n_tensors == ix->cap_tensors) { /* grows with what was parsed, never by what the header promises */
        uint64_t cap = ix->cap_tensors == 0 ? 64 : ix->cap_tensors * 2;
        void    *p = pare_realloc_array(c->tensors, cap, sizeof *c->tensors);

        if (p == NULL) return NULL;
        c->tensors = p;
        ix->cap_tensors = cap;
    }
    t = &c->tensors[c->n_tensors];
    *t = (struct pare_tensor){ .name = pare_pool_add(&ix->pool, name, len) };
    if (t->name == NULL) return NULL;
    c->n_tensors++;
    return t;
}

int pare_checkpoint_map(struct pare_checkpoint *c, const char *path, struct pare_diag *diag)
{
    struct pare_map *maps;

    PARE_FAIL_IF(diag, c->n_maps >= PARE_MAX_FILES, PARE_E_LIMIT, "more than %u files", PARE_MAX_FILES);
    maps = pare_realloc_array(c->maps, c->n_maps + 1, sizeof *maps);
    if (maps == NULL) return PARE_NOMEM(diag);
    c->maps = maps;
    PARE_FORWARD(pare_map_open(&maps[c->n_maps], path, diag));
    c->n_maps++;
    for (uint32_t i = 0; i + 1 < c->n_maps; i++) {
        if (maps[i].dev != maps[c->n_maps - 1].dev || maps[i].ino != maps[c->n_maps - 1].ino) continue;
        pare_diag_file(diag, path);
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, NULL, "the same file as \"%s\": a part cannot occur twice", maps[i].path);
    }
    return PARE_OK;
}

int pare_tensor_shape(struct pare_tensor *t, bool zero_ok, uint64_t at, struct pare_diag *diag)
{
    uint64_t all = 1, row_bytes;
    bool     empty = false;

    t->rows = t->cols = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        uint64_t d = t->dims[i];

        if (d == 0) {
            empty = true;
            if (!zero_ok) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, "dimension %u is zero", i);
        }
        if (!pare_mul_u64(all, d == 0 ? 1 : d, &all) || all > INT64_MAX)
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, "the number of elements overflows");
    }
    for (uint32_t i = 0; i + 1 < t->n_dims; i++) t->rows *= t->dims[i];
    if (t->n_dims != 0) t->cols = t->dims[t->n_dims - 1];
    t->bytes = 0;
    if (empty) {
        if (!pare_mul_u64(all, t->type->block_bytes, &all))
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, "the size in bytes overflows");
        return PARE_OK;
    }
    if (!pare_dtype_row_bytes(t->type, t->cols, &row_bytes))
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, "rows of %" PRIu64 " elements do not suit type %s (blocks of %u)", t->cols,
                     t->type->name, t->type->block);
    if (!pare_mul_u64(t->rows, row_bytes, &t->bytes) || t->bytes > INT64_MAX)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, t->name, "the size in bytes overflows");
    return PARE_OK;
}

int pare_tensor_place(struct pare_tensor *t, const struct pare_checkpoint *c, uint32_t file, uint64_t offset, struct pare_diag *diag)
{
    const struct pare_map *m = &c->maps[file];

    t->file = file;
    t->offset = offset;
    if (offset > m->size || t->bytes > m->size - offset)
        PARE_FAIL_AT(diag, PARE_E_TRUNCATED, offset, t->name, "needs %" PRIu64 " bytes at byte %" PRIu64 ", the file has %" PRIu64,
                     t->bytes, offset, m->size);
    t->data = m->base == NULL ? NULL : m->base + offset;
    return PARE_OK;
}

int pare_checkpoint_index(struct pare_checkpoint *c, struct pare_diag *diag)
{
    struct pare_ckpt_index *ix = c->index;

    if (ix == NULL) { /* a checkpoint that was made in memory */
        ix = c->index = pare_zalloc(1, sizeof *ix);
        if (ix == NULL) return PARE_NOMEM(diag);
    }
    pare_names_free(&ix->tensors);
    for (uint64_t i = 0; i < c->n_tensors; i++) {
        const struct pare_tensor *t = &c->tensors[i];
        int                       r = pare_names_put(&ix->tensors, t->name, i);

        if (r < 0) return PARE_NOMEM(diag);
        if (r == 0) continue;
        pare_diag_file(diag, c->maps[t->file].path);
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, t->offset, t->name, "two tensors have this name");
    }
    return PARE_OK;
}

/* ---- looking things up -------------------------------------------------------------------------------------------- */

const struct pare_tensor *pare_checkpoint_tensor(const struct pare_checkpoint *c, const char *name)
{
    uint64_t i = pare_names_get(&pare_ckpt_index_of(c)->tensors, name, strlen(name));

    return i == UINT64_MAX ? NULL : &c->tensors[i];
}

uint64_t pare_checkpoint_params(const struct pare_checkpoint *c)
{
    const struct pare_ckpt_index *ix = c->index;
    uint64_t                      n = 0;

    for (uint64_t i = 0; i < c->n_tensors; i++)
        if (c->tensors[i].part == PARE_FOREIGN_NONE && c->tensors[i].part_of == NULL) n += c->tensors[i].rows * c->tensors[i].cols;
    for (uint64_t i = 0; i < ix->n_groups; i++) n += ix->groups[i].rows * ix->groups[i].cols;
    return n;
}

uint64_t pare_checkpoint_data_bytes(const struct pare_checkpoint *c)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < c->n_tensors; i++) n += c->tensors[i].bytes; /* extents lie in files: the sum cannot wrap soon */
    return n;
}

void pare_checkpoint_advise(const struct pare_checkpoint *c, const struct pare_tensor *t, enum pare_advice a)
{
    pare_map_advise(&c->maps[t->file], t->offset, t->bytes, a);
}
