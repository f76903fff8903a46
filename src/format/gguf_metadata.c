/* SPDX-License-Identifier: Apache-2.0
 * src/format/gguf_metadata.c: the metadata records of a GGUF file (specification: gguf.md of the ggml project, versions 2 and 3).
 * A record is key (u64 length, bytes), u32 type, value. Nothing is copied but the keys; values stay in the mapping. */
#include <inttypes.h>

#include "base/checked.h"
#include "base/mem.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"

/* Strings of an array: where each begins. count <= bytes left / 8 was checked, so the table is no larger than the file. */
static int read_strings(struct pare_kv *kv, struct pare_cursor *cur)
{
    uint64_t *off = pare_alloc_array(kv->count, sizeof *off);

    if (off == NULL) return cur->err = PARE_NOMEM(cur->diag);
    kv->str_off = off;
    for (uint64_t i = 0; i < kv->count; i++) {
        uint64_t n;

        off[i] = (uint64_t)(cur->base + cur->pos - kv->data);
        n = pare_cursor_u64(cur, "the length of a string");
        if (pare_cursor_take(cur, n, "a string of the array") == NULL) return cur->err;
    }
    return PARE_OK;
}

static int check_bools(const struct pare_kv *kv, struct pare_cursor *cur)
{
    for (uint64_t i = 0; i < kv->count; i++)
        if (kv->data[i] > 1)
            return cur->err = PARE_ERR_AT(cur->diag, PARE_E_CORRUPT, (uint64_t)(kv->data - cur->base) + i, kv->key,
                                          "a bool must be 0 or 1, is %u", kv->data[i]);
    return PARE_OK;
}

static int read_array(struct pare_kv *kv, struct pare_cursor *cur)
{
    uint64_t at = cur->pos, bytes;
    uint32_t elem = pare_cursor_u32(cur, "the element type of an array"), width;

    kv->count = pare_cursor_u64(cur, "the length of an array");
    if (cur->err != 0) return cur->err;
    if (elem == PARE_KV_ARRAY)
        return cur->err = PARE_ERR_AT(cur->diag, PARE_E_UNSUPPORTED, at, kv->key, "an array of arrays");
    if (elem > PARE_KV_F64)
        return cur->err = PARE_ERR_AT(cur->diag, PARE_E_CORRUPT, at, kv->key, "unknown element type %" PRIu32, elem);
    kv->elem = elem;
    kv->data = cur->base + cur->pos;
    width = elem == PARE_KV_STRING ? 8 : pare_kv_width(elem); /* an empty string still has its length */
    if (kv->count > pare_cursor_left(cur) / width)
        return cur->err = PARE_ERR_AT(cur->diag, PARE_E_TRUNCATED, at, kv->key,
                                      "an array of %" PRIu64 " elements does not fit into the %" PRIu64 " bytes left", kv->count,
                                      pare_cursor_left(cur));
    if (elem == PARE_KV_STRING) return read_strings(kv, cur);
    bytes = kv->count * width; /* at most the bytes left */
    if (pare_cursor_take(cur, bytes, "an array") == NULL) return cur->err;
    return elem == PARE_KV_BOOL ? check_bools(kv, cur) : PARE_OK;
}

static int read_value(struct pare_kv *kv, struct pare_cursor *cur)
{
    uint64_t at = cur->pos, n;
    uint32_t type = pare_cursor_u32(cur, "the type of a value");

    if (cur->err != 0) return cur->err;
    if (type > PARE_KV_F64)
        return cur->err = PARE_ERR_AT(cur->diag, PARE_E_CORRUPT, at, kv->key, "unknown value type %" PRIu32, type);
    kv->type = kv->elem = type;
    kv->count = 1;
    kv->data = cur->base + cur->pos;
    if (type == PARE_KV_ARRAY) {
        if (read_array(kv, cur) < 0) return cur->err;
    } else if (type == PARE_KV_STRING) {
        n = pare_cursor_u64(cur, "the length of a string");
        if (pare_cursor_take(cur, n, "a string") == NULL) return cur->err;
    } else {
        if (pare_cursor_take(cur, pare_kv_width(type), "a value") == NULL) return cur->err;
        if (type == PARE_KV_BOOL && check_bools(kv, cur) < 0) return cur->err;
    }
    kv->bytes = (uint64_t)(cur->base + cur->pos - kv->data);
    return PARE_OK;
}

static struct pare_kv *push(struct pare_gguf_meta *m)
{
    if (m->n == m->cap) {
        uint64_t cap = m->cap == 0 ? 32 : m->cap * 2;
        void    *p = pare_realloc_array(m->kv, cap, sizeof *m->kv);

        if (p == NULL) return NULL;
        m->kv = p;
        m->cap = cap;
    }
    m->kv[m->n] = (struct pare_kv){ 0 };
    return &m->kv[m->n++];
}

int pare_gguf_meta_read(struct pare_gguf_meta *m, struct pare_cursor *cur, uint64_t n, struct pare_diag *diag)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t        at = cur->pos, len;
        const uint8_t  *key = pare_cursor_name(cur, PARE_MAX_KEY_LEN, &len, "a metadata key");
        struct pare_kv *kv;
        int             r;

        if (key == NULL) return cur->err;
        kv = push(m);
        if (kv == NULL) return PARE_NOMEM(diag);
        kv->offset = at;
        kv->key = pare_pool_add(&m->keys, key, len);
        if (kv->key == NULL) return PARE_NOMEM(diag);
        r = pare_names_put(&m->names, kv->key, i);
        if (r < 0) return PARE_NOMEM(diag);
        if (r == 1) PARE_FAIL_AT(diag, PARE_E_CORRUPT, at, kv->key, "two metadata entries have this key");
        if (read_value(kv, cur) < 0) {
            pare_diag_where(diag, kv->key);
            return cur->err;
        }
    }
    return PARE_OK;
}

void pare_gguf_meta_free(struct pare_gguf_meta *m)
{
    for (uint64_t i = 0; i < m->n; i++) pare_free((void *)(uintptr_t)m->kv[i].str_off);
    pare_free(m->kv);
    pare_pool_free(&m->keys);
    pare_names_free(&m->names);
    *m = (struct pare_gguf_meta){ 0 };
}
