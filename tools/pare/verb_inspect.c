/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/checkpoint.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "table.h"

/* The name without its numbers, so that the layers of a model fall into one line: "blk.*.attn_q.weight". */
static void pattern(const char *name, char *buf, size_t size)
{
    size_t n = 0;

    for (const char *p = name; *p != '\0' && n + 1 < size;) {
        if (isdigit((unsigned char)*p) && (p == name || p[-1] == '.')) {
            const char *q = p + strspn(p, "0123456789");

            if (*q == '.' || *q == '\0') {
                buf[n++] = '*';
                p = q;
                continue;
            }
        }
        buf[n++] = *p++;
    }
    buf[n] = '\0';
}

static double elements(const json_t *t)
{
    double  n = 1;
    size_t  i;
    json_t *d;

    json_array_foreach(json_object_get(t, "shape"), i, d) n *= json_number_value(d);
    return n;
}

static void add(json_t *o, const char *key, double v)
{
    json_object_set_new(o, key, json_real(pare_cli_number(o, key) + v));
}

static const char *shape_text(const json_t *t, char *buf, size_t size)
{
    size_t  n = 0, i;
    json_t *d;

    buf[0] = '\0';
    json_array_foreach(json_object_get(t, "shape"), i, d)
        if (n + 24 < size) n += (size_t)snprintf(buf + n, size - n, "%s%.0f", i > 0 ? " x " : "", json_number_value(d));
    return buf;
}

/* Sums of the tensors that agree in `key`, an object per group, in the order of their first tensors. */
static json_t *groups(const json_t *tensors, bool by_type)
{
    json_t *index = json_object(), *t;
    size_t  i;

    json_array_foreach(tensors, i, t)
    {
        char        name[256], shape[128], packed[64], part[80], key[512];
        const char *type = pare_cli_string(t, "type");
        json_t     *g;

        pattern(pare_cli_string(t, "name"), name, sizeof name);
        shape_text(t, shape, sizeof shape);
        if (pare_cli_number(t, "packed") > 0) {
            snprintf(packed, sizeof packed, "%s packed", type);
            type = packed;
        }
        if (by_type && json_object_get(t, "part_of") != NULL) { /* bytes of a weight, but no weights of their own */
            snprintf(part, sizeof part, "%s part", type);
            type = part;
        }
        if (by_type) snprintf(key, sizeof key, "%s", type);
        else snprintf(key, sizeof key, "%s|%s|%s", name, type, shape);
        g = json_object_get(index, key);
        if (g == NULL) {
            g = json_object();
            if (!by_type) json_object_set_new(g, "name", json_string(name));
            json_object_set_new(g, "type", json_string(type));
            if (!by_type) json_object_set_new(g, "shape", json_string(shape));
            json_object_set_new(index, key, g);
        }
        add(g, "count", 1);
        add(g, "elements", elements(t));
        add(g, "bytes", pare_cli_number(t, "bytes"));
    }
    return index;
}

static json_t *group_rows(json_t *index)
{
    json_t     *rows = json_array(), *g;
    const char *key;

    json_object_foreach(index, key, g)
    {
        char   text[32];
        double n = pare_cli_number(g, "elements"), bytes = pare_cli_number(g, "bytes");

        json_object_set_new(g, "size", json_string(pare_cli_bytes(bytes, text)));
        if (n > 0) {
            snprintf(text, sizeof text, "%.3f", bytes * 8 / n);
            json_object_set_new(g, "bpw", json_string(text));
        }
        json_array_append(rows, g);
    }
    return rows;
}

static void print_groups(const json_t *tensors, bool by_type)
{
    static const struct pare_cli_column types[] = {
        { "type", "type", 16 }, { "count", "tensors", 0 }, { "elements", "weights", 0 }, { "size", "size", 0 }, { "bpw", "bits each", 0 },
    };
    static const struct pare_cli_column names[] = {
        { "name", "tensors", 40 }, { "count", "n", 0 }, { "type", "type", 16 }, { "shape", "shape", 24 }, { "size", "size", 0 },
    };
    json_t *index = groups(tensors, by_type), *rows = group_rows(index);

    pare_cli_table(rows, by_type ? types : names, 5, 2);
    json_decref(rows);
    json_decref(index);
}

/* "low_rank, sparse of scale, hadamard x" beside each weight that has such, and its bits with all of it. */
static void add_parts_text(json_t *tensors)
{
    size_t  i, k;
    json_t *t, *e;

    json_array_foreach(tensors, i, t)
    {
        char   text[256];
        size_t n = 0;

        if (json_object_get(t, "parts") == NULL) continue;
        text[0] = '\0';
        if (json_is_true(json_object_get(t, "base"))) n += (size_t)snprintf(text, sizeof text, "base");
        json_array_foreach(json_object_get(t, "parts"), k, e)
            if (n + 40 < sizeof text) n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n != 0 ? " + " : "", json_string_value(e));
        json_array_foreach(json_object_get(t, "input"), k, e)
            if (n + 40 < sizeof text) n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", k == 0 ? "; input " : ", ", json_string_value(e));
        json_object_set_new(t, "made_of", json_string(text));
        if (elements(t) > 0) {
            snprintf(text, sizeof text, "%.3f", pare_cli_number(t, "bytes_with_parts") * 8 / elements(t));
            json_object_set_new(t, "bits", json_string(text));
        }
    }
}

static void print_each(json_t *tensors)
{
    static const struct pare_cli_column cols[] = {
        { "name", "tensor", 64 }, { "type", "type", 12 }, { "shape", "shape", 32 }, { "offset", "offset", 0 }, { "bytes", "bytes", 0 },
        { "packed", "packed", 0 }, { "bits", "bits", 0 }, { "made_of", "made of", 72 },
    };

    add_parts_text(tensors);
    pare_cli_table(tensors, cols, 8, 2); /* a column that no tensor fills is not shown */
}

static void print_metadata(const json_t *metadata)
{
    const char *key;
    json_t     *v;
    char        name[256], text[512], item[64];

    json_object_foreach((json_t *)(uintptr_t)metadata, key, v)
    {
        const json_t *first = json_object_get(v, "first");
        size_t        n, i;
        json_t       *e;

        if (first == NULL) {
            pare_cli_value_text(v, 44, text, sizeof text);
        } else { /* an array that was shortened */
            n = (size_t)snprintf(text, sizeof text, "%.0f x %s:", pare_cli_number(v, "count"), pare_cli_string(v, "array"));
            json_array_foreach(first, i, e)
            {
                if (i == 3 || n + 80 > sizeof text) break;
                n += (size_t)snprintf(text + n, sizeof text - n, " %s", pare_cli_value_text(e, 12, item, sizeof item));
            }
            snprintf(text + n, sizeof text - n, " ...");
        }
        printf("  %-32s %s\n", pare_cli_clean(key, 60, name, sizeof name), text);
    }
}

static void print_check(const json_t *check)
{
    size_t  i;
    json_t *t;
    char    name[256];

    if (check == NULL) return;
    printf("\nCheck: all data read, %.0f NaN, %.0f infinite\n", pare_cli_number(check, "nan"), pare_cli_number(check, "inf"));
    json_array_foreach(json_object_get(check, "bad_tensors"), i, t) printf("  %s\n", pare_cli_value_text(t, 0, name, sizeof name));
}

static void print_hamming(const json_t *h, bool each)
{
    size_t  i;
    json_t *t;
    char    name[256];

    if (h == NULL) return;
    printf("\nOne bits at 8 bits and one scale a tensor: %.4f, after a shift by %.0f %.4f; %.0f weights held%s\n", pare_cli_number(h, "rate"),
           pare_cli_number(h, "delta"), pare_cli_number(h, "shifted"), pare_cli_number(h, "held"), each ? "" : " (-v shows each tensor)");
    json_array_foreach(json_object_get(h, "tensors"), i, t)
    {
        if (!each) break;
        printf("  %-48s %.4f %.4f %8.0f\n", pare_cli_clean(pare_cli_string(t, "name"), 48, name, sizeof name), pare_cli_number(t, "rate"),
               pare_cli_number(t, "shifted"), pare_cli_number(t, "held"));
    }
}

static void print_people(const struct pare_cli *c, const json_t *v)
{
    const json_t *tensors = json_object_get(v, "tensors");
    double        params = pare_cli_number(v, "params"), data = pare_cli_number(v, "data_bytes");
    char          size[32], name[512];

    printf("%s\n", pare_cli_clean(c->arg[0], 0, name, sizeof name));
    printf("  format      %s\n", pare_cli_clean(pare_cli_string(v, "format"), 64, name, sizeof name));
    printf("  family      %s\n", pare_cli_clean(pare_cli_string(v, "arch"), 64, name, sizeof name));
    printf("  parameters  %.0f\n", params);
    printf("  size        %s", pare_cli_bytes(pare_cli_number(v, "bytes"), size));
    if (params > 0 && data > 0) printf(", %.3f bits per weight", data * 8 / params);
    printf("\n\nMetadata:\n\n");
    print_metadata(json_object_get(v, "metadata"));
    printf("\nTypes:\n\n");
    print_groups(tensors, true);
    printf("\nTensors:%s\n\n", PARE_FLAG(c, verbose) ? "" : " (-v shows each)");
    if (PARE_FLAG(c, verbose)) print_each(json_object_get(v, "tensors"));
    else print_groups(tensors, false);
    print_check(json_object_get(v, "check"));
    print_hamming(json_object_get(v, "hamming"), PARE_FLAG(c, verbose));
}

int pare_verb_inspect(const struct pare_cli *c)
{
    struct pare_job *job = NULL;
    struct pare_diag diag = { 0 };
    char            *doc = NULL;
    int              rc = pare_cli_job(c, &job);

    if (rc != 0) return rc;
    rc = pare_inspect(c->arg[0], (PARE_FLAG(c, check) ? PARE_INSPECT_CHECK : 0u) | (PARE_FLAG(c, hamming) ? PARE_INSPECT_HAMMING : 0u), &doc, job, &diag);
    return pare_cli_report(c, rc, doc, print_people, &job, &diag);
}
