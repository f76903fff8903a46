/* SPDX-License-Identifier: Apache-2.0
 * src/format/inspect.c: a checkpoint as the JSON document of `pare inspect --json`. */
#include <pare/checkpoint.h>

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "format/checkpoint_private.h"
#include "format/inspect_check.h"
#include "format/inspect_hamming.h"

#define LONG_ARRAY 16u /* longer ones show their first elements only */
#define FIRST 8u

/* A string of a file as JSON: bytes that are not UTF-8, or that no JSON string can hold, become U+FFFD one by one. */
static json_t *text(const char *s, uint64_t n)
{
    struct pare_buf b = { .max = SIZE_MAX / 2 };
    json_t         *out = json_stringn(s, (size_t)n);

    if (out != NULL) return out;
    for (uint64_t i = 0; i < n;) {
        uint64_t len = 1;

        while (len <= 4 && len <= n - i && !pare_is_name_text((const uint8_t *)s + i, len)) len++;
        if (len <= 4 && len <= n - i) {
            pare_buf_add(&b, s + i, (size_t)len);
            i += len;
        } else {
            pare_buf_str(&b, "\xef\xbf\xbd");
            i++;
        }
    }
    out = b.failed ? NULL : json_stringn((const char *)b.data, b.len);
    pare_buf_free(&b);
    return out;
}

static json_t *element(const struct pare_kv *kv, uint64_t i)
{
    enum pare_kv_type type = kv->type == PARE_KV_ARRAY ? kv->elem : kv->type;
    struct pare_str   s;
    int64_t           n;
    double            r;

    if (pare_kv_elem_str(kv, i, &s)) return text(s.s, s.len);
    if (type == PARE_KV_BOOL) return json_boolean(kv->data[i]);
    if (pare_kv_elem_int(kv, i, &n)) return json_integer(n);
    if (type == PARE_KV_U64) return json_string("above 2^63"); /* no JSON reader would keep it whole */
    if (!pare_kv_elem_real(kv, i, &r)) return json_null();
    if (isfinite(r)) return json_real(r);
    return json_string(isnan(r) ? "NaN" : r > 0 ? "Infinity" : "-Infinity");
}

static json_t *value(const struct pare_kv *kv)
{
    uint64_t n = kv->count > LONG_ARRAY ? FIRST : kv->count;
    json_t  *a;

    if (kv->type != PARE_KV_ARRAY) return element(kv, 0);
    a = json_array();
    for (uint64_t i = 0; i < n; i++) json_array_append_new(a, element(kv, i));
    if (kv->count <= LONG_ARRAY) return a;
    return json_pack("{s:s, s:I, s:o}", "array", pare_kv_type_name(kv->elem), "count", (json_int_t)kv->count, "first", a);
}

static json_t *metadata(const struct pare_checkpoint *c)
{
    json_t *m;

    if (c->config != NULL) return json_incref(c->config);
    if (c->n_kv == 0 && pare_ckpt_index_of(c)->text != NULL) return json_incref(pare_ckpt_index_of(c)->text);
    m = json_object();
    for (uint64_t i = 0; i < c->n_kv; i++) json_object_set_new(m, c->kv[i].key, value(&c->kv[i]));
    return m;
}

/* What the file calls its family; "" when it does not say. */
static json_t *arch(const struct pare_checkpoint *c)
{
    static const char *const keys[] = { "model_type", "_class_name" };
    const struct pare_kv    *kv = pare_kv_find(c, "general.architecture");
    struct pare_str          s;

    if (kv != NULL && kv->type == PARE_KV_STRING && pare_kv_elem_str(kv, 0, &s)) return text(s.s, s.len);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(c->config, keys[i]);

        if (json_is_string(v)) return json_incref(v);
    }
    return json_string("");
}

/* Kinds of the further parts of a weight, and what its input goes through. */
static json_t *part_list(const struct pare_parts *p)
{
    static const char *const kinds[] = { "low_rank", "columns", "sparse", "const" };
    json_t                  *a = json_array();

    for (uint32_t i = 0; i < p->n_parts; i++) json_array_append_new(a, json_string(kinds[p->part[i].kind]));
    return a;
}

static json_t *step_list(const struct pare_parts *p)
{
    static const char *const ops[] = { "scale", "permute", "signs", "hadamard" };
    json_t                  *a = json_array();

    if (p->input_of != NULL) p = p->input_of;
    for (uint32_t i = 0; i < p->n_steps; i++) json_array_append_new(a, json_string(ops[p->step[i].op]));
    return a;
}

/* Bytes of a weight and of all that belongs to it. */
static uint64_t bytes_with_parts(const struct pare_checkpoint *c, const struct pare_tensor *t)
{
    uint64_t n = t->bytes;

    for (uint64_t i = 0; i < c->n_tensors; i++)
        if (c->tensors[i].part_of == t->name) n += c->tensors[i].bytes;
    return n;
}

static json_t *tensor(const struct pare_checkpoint *c, const struct pare_tensor *t)
{
    json_t *shape = json_array(), *o;

    for (uint32_t i = 0; i < t->n_dims; i++) json_array_append_new(shape, json_integer((json_int_t)t->dims[i]));
    o = json_pack("{s:s, s:s, s:o, s:I, s:I}", "name", t->name, "type", t->type->name, "shape", shape, "offset", (json_int_t)t->offset,
                  "bytes", (json_int_t)t->bytes);
    if (t->packed != 0) json_object_set_new(o, "packed", json_integer((json_int_t)t->packed));
    if (t->part_of != NULL) json_object_set_new(o, "part_of", json_string(t->part_of));
    if (t->parts != NULL) {
        json_object_set_new(o, "parts", part_list(t->parts));
        json_object_set_new(o, "input", step_list(t->parts));
        json_object_set_new(o, "base", json_boolean(!t->parts->no_base));
        json_object_set_new(o, "bytes_with_parts", json_integer((json_int_t)bytes_with_parts(c, t)));
    }
    if (c->n_maps > 1) json_object_set_new(o, "file", json_integer((json_int_t)t->file));
    return o;
}

static int describe(json_t **out, const struct pare_checkpoint *c, struct pare_diag *diag)
{
    json_t  *tensors = json_array(), *files = json_array();
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < c->n_maps; i++) {
        const char *slash = strrchr(c->maps[i].path, '/'), *name = slash == NULL ? c->maps[i].path : slash + 1;

        bytes += c->maps[i].size;
        json_array_append_new(files, text(name, strlen(name)));
    }
    for (uint64_t i = 0; i < c->n_tensors; i++) json_array_append_new(tensors, tensor(c, &c->tensors[i]));
    *out = json_pack("{s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "format", c->format->name, "arch", arch(c), "params",
                     (json_int_t)pare_checkpoint_params(c), "bytes", (json_int_t)bytes, "data_bytes",
                     (json_int_t)pare_checkpoint_data_bytes(c), "files", files, "metadata", metadata(c), "tensors", tensors);
    /* Appending NULL to an array fails without a word, so a missing element shows only here. */
    if (*out != NULL && json_array_size(tensors) == c->n_tensors && json_array_size(files) == c->n_maps) return PARE_OK;
    json_decref(*out);
    *out = NULL;
    return PARE_NOMEM(diag);
}

int pare_inspect(const char *path, unsigned what, char **json_out, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_checkpoint *c = NULL;
    json_t                 *doc = NULL, *check = NULL, *hamming = NULL;
    int                     rc;

    PARE_USAGE_CHECK(diag, path != NULL && json_out != NULL);
    *json_out = NULL;
    if ((rc = pare_checkpoint_open(&c, path, diag)) < 0) goto out;
    if ((rc = describe(&doc, c, diag)) < 0) goto out;
    if ((what & PARE_INSPECT_CHECK) != 0 && (rc = pare_check_data(&check, c, job, diag)) < 0) goto out;
    if (check != NULL && json_object_set_new(doc, "check", check) != 0) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK && (what & PARE_INSPECT_HAMMING) != 0) rc = pare_hamming_report(&hamming, c, job, diag);
    if (hamming != NULL && json_object_set_new(doc, "hamming", hamming) != 0) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK) *json_out = pare_json_text(doc);
    if (rc == PARE_OK && *json_out == NULL) rc = PARE_NOMEM(diag);
out:
    json_decref(doc);
    pare_checkpoint_close(&c);
    return rc;
}
