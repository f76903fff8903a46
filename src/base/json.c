/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/status.h"

int pare_json_load(json_t **out, const char *text, size_t n, const char *what, struct pare_diag *diag)
{
    json_error_t e;

    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (*out != NULL) return PARE_OK;
    pare_diag_where(diag, what);
    (void)PARE_ERR(diag, PARE_E_CORRUPT, "not valid JSON: %s (line %d)", e.text, e.line);
    if (diag != NULL && e.position > 0) pare_diag_offset(diag, (uint64_t)e.position);
    return PARE_E_CORRUPT;
}

/* Python's json module writes Infinity and NaN as bare words. Quote them, outside of strings, in a copy. */
static char *quote_bare_words(const char *s, size_t n, size_t *out_n)
{
    static const char *const words[] = { "-Infinity", "Infinity", "NaN" };
    struct pare_buf          b = { .max = 2 * n + 64 };
    bool                     in_string = false;

    for (size_t i = 0; i < n;) {
        size_t w, len = 0;
        if (in_string) {
            size_t step = s[i] == '\\' && i + 1 < n ? 2 : 1;
            if (s[i] == '"') in_string = false;
            pare_buf_add(&b, s + i, step);
            i += step;
            continue;
        }
        for (w = 0; w < 3; w++) {
            len = strlen(words[w]);
            if (len <= n - i && memcmp(s + i, words[w], len) == 0) break;
        }
        if (w < 3) {
            pare_buf_printf(&b, "\"%s\"", words[w]);
            i += len;
            continue;
        }
        if (s[i] == '"') in_string = true;
        pare_buf_add(&b, s + i, 1);
        i++;
    }
    *out_n = b.len;
    return pare_buf_take(&b);
}

int pare_json_load_file(json_t **out, const char *path, size_t max, struct pare_diag *diag)
{
    uint8_t *data = NULL;
    size_t   n = 0;
    char    *fixed;
    int      rc;

    *out = NULL;
    PARE_FORWARD(pare_read_file(path, max, &data, &n, diag));
    if (memmem(data, n, "Infinity", 8) != NULL || memmem(data, n, "NaN", 3) != NULL) {
        size_t m = 0;
        fixed = quote_bare_words((const char *)data, n, &m);
        pare_free(data);
        if (fixed == NULL) return PARE_NOMEM(diag);
        data = (uint8_t *)fixed;
        n = m;
    }
    rc = pare_json_load(out, (const char *)data, n, NULL, diag);
    pare_free(data);
    if (rc < 0) pare_diag_file(diag, path);
    return rc;
}

static int wrong(struct pare_diag *d, const char *key, const char *want)
{
    pare_diag_where(d, key);
    PARE_FAIL(d, PARE_E_CORRUPT, "\"%s\" must be %s", key, want);
}

static const json_t *member(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return v == NULL || json_is_null(v) ? NULL : v;
}

int pare_json_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t dflt, int64_t *out, struct pare_diag *d)
{
    const json_t *v = member(o, key);
    double        r;

    *out = dflt;
    if (v == NULL) return PARE_OK;
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
    } else if (json_is_real(v)) { /* 1e4 and 10000.0 are whole numbers too */
        r = json_real_value(v);
        if (!(r >= -9e15 && r <= 9e15) || r != (double)(int64_t)r) return wrong(d, key, "a whole number");
        *out = (int64_t)r;
    } else {
        return wrong(d, key, "a whole number");
    }
    if (*out >= min && *out <= max) return PARE_OK;
    pare_diag_where(d, key);
    PARE_FAIL(d, PARE_E_CORRUPT, "\"%s\" is %lld, must lie in %lld..%lld", key, (long long)*out, (long long)min, (long long)max);
}

int pare_json_real(const json_t *o, const char *key, double dflt, double *out, struct pare_diag *d)
{
    const json_t *v = member(o, key);

    *out = dflt;
    if (v == NULL) return PARE_OK;
    if (!json_is_number(v)) return wrong(d, key, "a number");
    *out = json_number_value(v);
    return PARE_OK;
}

int pare_json_bool(const json_t *o, const char *key, bool dflt, bool *out, struct pare_diag *d)
{
    const json_t *v = member(o, key);

    *out = dflt;
    if (v == NULL) return PARE_OK;
    if (!json_is_boolean(v)) return wrong(d, key, "true or false");
    *out = json_is_true(v);
    return PARE_OK;
}

int pare_json_str(const json_t *o, const char *key, const char *dflt, const char **out, struct pare_diag *d)
{
    const json_t *v = member(o, key);

    *out = dflt;
    if (v == NULL) return PARE_OK;
    if (!json_is_string(v)) return wrong(d, key, "a string");
    *out = json_string_value(v);
    return PARE_OK;
}

/* jansson allocates with malloc; hand out memory that pare_free accepts and counts. */
static char *dump(const json_t *o, size_t flags)
{
    char *s = json_dumps(o, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)), *t;

    if (s == NULL) return NULL;
    t = pare_strdup(s);
    free(s);
    return t;
}

char *pare_json_text(const json_t *o) { return dump(o, JSON_COMPACT); }
char *pare_json_canonical(const json_t *o) { return dump(o, JSON_COMPACT | JSON_SORT_KEYS); }
