/* SPDX-License-Identifier: Apache-2.0
 * src/format/metadata.c: GGUF metadata by key. Every reader names the type it wants; a value of another type is an error that
 * names the key, never a reinterpretation of its bytes. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"

uint32_t pare_kv_width(uint32_t type)
{
    static const uint8_t width[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

    return type < sizeof width ? width[type] : 0;
}

const char *pare_kv_type_name(uint32_t type)
{
    static const char *const names[] = { "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32",
                                         "bool",  "string", "array", "uint64", "int64", "float64" };

    return type < sizeof names / sizeof *names ? names[type] : "unknown type";
}

const struct pare_kv *pare_kv_find(const struct pare_checkpoint *c, const char *key)
{
    const struct pare_gguf_meta *m = c->priv;
    uint64_t                     i;

    if (c->n_kv == 0) return NULL; /* the other containers have none, and their priv is something else */
    i = pare_names_get(&m->names, key, strlen(key));
    return i == UINT64_MAX ? NULL : &c->kv[i];
}

static uint32_t type_of(const struct pare_kv *kv) { return kv->type == PARE_KV_ARRAY ? kv->elem : kv->type; }

/* Integers of every width. A uint64 above INT64_MAX is no int64. */
bool pare_kv_elem_int(const struct pare_kv *kv, uint64_t i, int64_t *out)
{
    const uint8_t *p;
    uint64_t       v;

    if (i >= kv->count || pare_kv_width(type_of(kv)) == 0) return false;
    p = kv->data + i * pare_kv_width(type_of(kv));
    switch (type_of(kv)) {
    case PARE_KV_U8: *out = *p; return true;
    case PARE_KV_I8: *out = (int8_t)*p; return true;
    case PARE_KV_U16: *out = pare_le16(p); return true;
    case PARE_KV_I16: *out = (int16_t)pare_le16(p); return true;
    case PARE_KV_U32: *out = pare_le32(p); return true;
    case PARE_KV_I32: *out = (int32_t)pare_le32(p); return true;
    case PARE_KV_U64:
    case PARE_KV_I64:
        v = pare_le64(p);
        if (type_of(kv) == PARE_KV_U64 && v > INT64_MAX) return false;
        *out = (int64_t)v;
        return true;
    default: return false;
    }
}

bool pare_kv_elem_real(const struct pare_kv *kv, uint64_t i, double *out)
{
    int64_t  n;
    uint64_t bits;

    if (i >= kv->count) return false;
    if (type_of(kv) == PARE_KV_F32) {
        *out = pare_bits_f32(pare_le32(kv->data + 4 * i));
        return true;
    }
    if (type_of(kv) == PARE_KV_F64) {
        bits = pare_le64(kv->data + 8 * i);
        memcpy(out, &bits, sizeof bits);
        return true;
    }
    if (!pare_kv_elem_int(kv, i, &n)) return false;
    *out = (double)n;
    return true;
}

bool pare_kv_elem_str(const struct pare_kv *kv, uint64_t i, struct pare_str *out)
{
    const uint8_t *p;

    *out = (struct pare_str){ NULL, 0 };
    if (i >= kv->count || type_of(kv) != PARE_KV_STRING) return false;
    p = kv->data + (kv->type == PARE_KV_ARRAY ? kv->str_off[i] : 0);
    *out = (struct pare_str){ (const char *)p + 8, pare_le64(p) };
    return true;
}

static int wrong(const struct pare_checkpoint *c, const struct pare_kv *kv, const char *want, struct pare_diag *d)
{
    if (c->n_maps != 0) pare_diag_file(d, c->maps[0].path);
    PARE_FAIL_AT(d, PARE_E_CORRUPT, kv->offset, kv->key, "must be %s, is %s%s", want, pare_kv_type_name(type_of(kv)),
                 kv->type == PARE_KV_ARRAY ? " array" : "");
}

int pare_kv_int(const struct pare_checkpoint *c, const char *key, int64_t min, int64_t max, int64_t dflt, int64_t *out, struct pare_diag *d)
{
    const struct pare_kv *kv = pare_kv_find(c, key);
    bool                  is_int;

    *out = dflt;
    if (kv == NULL) return PARE_OK;
    is_int = kv->type != PARE_KV_ARRAY && pare_kv_elem_int(kv, 0, out);
    if (!is_int && kv->type != PARE_KV_U64) return wrong(c, kv, "a whole number", d);
    if (is_int && *out >= min && *out <= max) return PARE_OK;
    if (c->n_maps != 0) pare_diag_file(d, c->maps[0].path);
    if (!is_int) PARE_FAIL_AT(d, PARE_E_CORRUPT, kv->offset, key, "is above 2^63, must lie in %" PRId64 "..%" PRId64, min, max);
    PARE_FAIL_AT(d, PARE_E_CORRUPT, kv->offset, key, "is %" PRId64 ", must lie in %" PRId64 "..%" PRId64, *out, min, max);
}

int pare_kv_real(const struct pare_checkpoint *c, const char *key, double dflt, double *out, struct pare_diag *d)
{
    const struct pare_kv *kv = pare_kv_find(c, key);

    *out = dflt;
    if (kv == NULL || (kv->type != PARE_KV_ARRAY && pare_kv_elem_real(kv, 0, out))) return PARE_OK;
    return wrong(c, kv, "a number", d);
}

int pare_kv_bool(const struct pare_checkpoint *c, const char *key, bool dflt, bool *out, struct pare_diag *d)
{
    const struct pare_kv *kv = pare_kv_find(c, key);

    *out = dflt;
    if (kv == NULL) return PARE_OK;
    if (kv->type != PARE_KV_BOOL) return wrong(c, kv, "true or false", d);
    *out = *kv->data != 0;
    return PARE_OK;
}

int pare_kv_str(const struct pare_checkpoint *c, const char *key, struct pare_str *out, struct pare_diag *d)
{
    const struct pare_kv *kv = pare_kv_find(c, key);

    *out = (struct pare_str){ NULL, 0 };
    if (kv == NULL) return PARE_OK;
    if (kv->type != PARE_KV_STRING) return wrong(c, kv, "a string", d);
    (void)pare_kv_elem_str(kv, 0, out);
    return PARE_OK;
}

int pare_checkpoint_json(struct pare_checkpoint *c, const char *key,
                         int (*take)(struct pare_checkpoint *c, json_t *doc, uint64_t at, struct pare_diag *diag), struct pare_diag *diag)
{
    const struct pare_kv *kv = pare_kv_find(c, key);
    struct pare_str       text;
    json_t               *doc = NULL;
    int                   rc;

    if (kv == NULL) return PARE_OK;
    PARE_FORWARD(pare_kv_str(c, key, &text, diag));
    if (text.len > PARE_MAX_INDEX) PARE_FAIL_AT(diag, PARE_E_LIMIT, kv->offset, key, "%" PRIu64 " bytes", text.len);
    rc = pare_json_load(&doc, text.s, text.len, key, diag);
    if (rc < 0 && diag != NULL && diag->offset != PARE_NO_OFFSET) /* counted from the text: from the file is what helps */
        diag->offset += (uint64_t)((const uint8_t *)text.s - c->maps[0].base);
    if (rc == PARE_OK) rc = take(c, doc, kv->offset, diag);
    json_decref(doc);
    if (rc < 0) {
        pare_diag_offset(diag, kv->offset);
        pare_diag_file(diag, c->maps[0].path);
    }
    return rc;
}
