/* SPDX-License-Identifier: Apache-2.0
 * src/format/writer_kv.c: metadata records of a file being written. */
#include <string.h>

#include "base/checked.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"
#include "format/writer_private.h"

#define OWN_KEY "pare.tensors"
#define ALIGN_KEY "general.alignment"

bool pare_put_u32(struct pare_buf *b, uint32_t v)
{
    uint8_t p[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) };

    return pare_buf_add(b, p, sizeof p);
}

bool pare_put_u64(struct pare_buf *b, uint64_t v) { return pare_put_u32(b, (uint32_t)v) && pare_put_u32(b, (uint32_t)(v >> 32)); }

int pare_writer_kv_raw(struct pare_writer *w, const char *key, uint32_t type, const void *head, size_t head_len, const void *p,
                       uint64_t n, struct pare_diag *d)
{
    size_t len = strlen(key);
    char  *kept;
    int    r;

    if (len == 0 || len > PARE_MAX_KEY_LEN || !pare_is_name_text((const uint8_t *)key, len))
        PARE_FAIL(d, PARE_E_USAGE, "a metadata key must be 1..%u bytes of UTF-8", PARE_MAX_KEY_LEN);
    kept = pare_pool_add(&w->pool, key, len);
    r = kept == NULL ? PARE_E_NOMEM : pare_names_put(&w->keys, kept, 0);
    if (r < 0) return PARE_NOMEM(d);
    pare_diag_where(d, r == 1 ? key : NULL);
    PARE_FAIL_IF(d, r == 1, PARE_E_USAGE, "the metadata key is written twice");
    PARE_FAIL_IF(d, n > PARE_MAX_HEADER || w->kv.len > PARE_MAX_HEADER - n, PARE_E_LIMIT, "metadata of more than %llu bytes", PARE_MAX_HEADER);
    pare_put_u64(&w->kv, len);
    pare_buf_add(&w->kv, key, len);
    pare_put_u32(&w->kv, type);
    if (head_len != 0) pare_buf_add(&w->kv, head, head_len);
    if (n != 0) pare_buf_add(&w->kv, p, (size_t)n);
    if (w->kv.failed) return w->err = PARE_NOMEM(d);
    w->n_kv++;
    return PARE_OK;
}

/* The caller's order: metadata, then declarations. Two keys are the writer's own business. */
static int check_state(const struct pare_writer *w, const char *key, struct pare_diag *d)
{
    PARE_USAGE_CHECK(d, w != NULL && key != NULL);
    PARE_FAIL_IF(d, w->n_tensors != 0 || w->laid_out, PARE_E_USAGE, "metadata after the first tensor");
    PARE_FAIL_IF(d, strcmp(key, OWN_KEY) == 0, PARE_E_USAGE, OWN_KEY " is written from the declarations");
    return w->err;
}

static int scalar(struct pare_writer *w, const char *key, enum pare_kv_type type, uint64_t bits, struct pare_diag *d)
{
    uint8_t  v[8];
    uint32_t n = pare_kv_width(type);

    PARE_FORWARD(check_state(w, key, d));
    for (int i = 0; i < 8; i++) v[i] = (uint8_t)(bits >> (8 * i));
    if (strcmp(key, ALIGN_KEY) == 0) {
        if (type != PARE_KV_U32 || bits < PARE_ALIGN_MIN || bits > PARE_ALIGN_MAX || (bits & (bits - 1)) != 0)
            PARE_FAIL(d, PARE_E_USAGE, ALIGN_KEY " must be a uint32 power of two in %u..%u", PARE_ALIGN_MIN, PARE_ALIGN_MAX);
        w->align = bits;
    }
    return pare_writer_kv_raw(w, key, type, NULL, 0, v, n, d);
}

int pare_writer_kv_u32(struct pare_writer *w, const char *key, uint32_t v, struct pare_diag *d) { return scalar(w, key, PARE_KV_U32, v, d); }
int pare_writer_kv_u64(struct pare_writer *w, const char *key, uint64_t v, struct pare_diag *d) { return scalar(w, key, PARE_KV_U64, v, d); }
int pare_writer_kv_i32(struct pare_writer *w, const char *key, int32_t v, struct pare_diag *d)
{
    return scalar(w, key, PARE_KV_I32, (uint32_t)v, d);
}
int pare_writer_kv_f32(struct pare_writer *w, const char *key, float v, struct pare_diag *d)
{
    return scalar(w, key, PARE_KV_F32, pare_f32_bits(v), d);
}
int pare_writer_kv_bool(struct pare_writer *w, const char *key, bool v, struct pare_diag *d) { return scalar(w, key, PARE_KV_BOOL, v, d); }

static void store_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}

int pare_writer_kv_str(struct pare_writer *w, const char *key, const char *s, uint64_t len, struct pare_diag *d)
{
    uint8_t head[8];

    PARE_FORWARD(check_state(w, key, d));
    PARE_FAIL_IF(d, strcmp(key, ALIGN_KEY) == 0, PARE_E_USAGE, ALIGN_KEY " must be a uint32");
    store_u64(head, len);
    return pare_writer_kv_raw(w, key, PARE_KV_STRING, head, 8, s, len, d);
}

static int array(struct pare_writer *w, const char *key, enum pare_kv_type elem, const void *p, uint64_t bytes, uint64_t count, struct pare_diag *d)
{
    uint8_t head[12] = { (uint8_t)elem };

    PARE_FORWARD(check_state(w, key, d));
    PARE_FAIL_IF(d, strcmp(key, ALIGN_KEY) == 0, PARE_E_USAGE, ALIGN_KEY " must be a uint32");
    store_u64(head + 4, count);
    return pare_writer_kv_raw(w, key, PARE_KV_ARRAY, head, sizeof head, p, bytes, d);
}

int pare_writer_kv_array(struct pare_writer *w, const char *key, enum pare_kv_type elem, const void *data, uint64_t count, struct pare_diag *d)
{
    uint64_t bytes;

    PARE_FAIL_IF(d, pare_kv_width(elem) == 0 || !pare_mul_u64(count, pare_kv_width(elem), &bytes), PARE_E_USAGE,
                 "an array of this type and length cannot be written");
    return array(w, key, elem, data, bytes, count, d);
}

int pare_writer_kv_strs(struct pare_writer *w, const char *key, const struct pare_str *s, uint64_t count, struct pare_diag *d)
{
    struct pare_buf b = { .max = PARE_MAX_HEADER };
    int             rc;

    for (uint64_t i = 0; i < count; i++) {
        pare_put_u64(&b, s[i].len);
        if (s[i].len != 0) pare_buf_add(&b, s[i].s, (size_t)s[i].len);
    }
    rc = b.failed ? PARE_NOMEM(d) : array(w, key, PARE_KV_STRING, b.data, b.len, count, d);
    pare_buf_free(&b);
    return rc;
}

/* Entries that describe the layout of the file they come from would be lies in another. */
static bool describes_layout(const char *key)
{
    return strcmp(key, OWN_KEY) == 0 || strcmp(key, "split.no") == 0 || strcmp(key, "split.count") == 0 ||
           strcmp(key, "split.tensors.count") == 0;
}

int pare_writer_kv_copy(struct pare_writer *w, const struct pare_kv *kv, struct pare_diag *d)
{
    if (describes_layout(kv->key)) return PARE_OK;
    if (kv->type == PARE_KV_ARRAY) return array(w, kv->key, kv->elem, kv->data, kv->bytes, kv->count, d);
    if (strcmp(kv->key, ALIGN_KEY) == 0) return pare_writer_kv_u32(w, kv->key, pare_le32(kv->data), d);
    PARE_FORWARD(check_state(w, kv->key, d));
    return pare_writer_kv_raw(w, kv->key, kv->type, NULL, 0, kv->data, kv->bytes, d);
}
