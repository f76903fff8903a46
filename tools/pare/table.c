/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "out.h"

#define MAX_COLUMNS 12
#define CELL        512

static const char *real_text(double v, char *buf, size_t size)
{
    /* Four digits behind the first are what a measurement carries; whole numbers stay whole. */
    if (v == floor(v) && fabs(v) < 1e15) snprintf(buf, size, "%.0f", v);
    else snprintf(buf, size, "%.5g", v);
    return buf;
}

const char *pare_cli_value_text(const json_t *v, size_t width, char *buf, size_t size)
{
    char raw[CELL];
    size_t len = 0, i;
    json_t *e;

    switch (v != NULL ? json_typeof(v) : JSON_NULL) {
    case JSON_STRING: return pare_cli_clean(json_string_value(v), width, buf, size);
    case JSON_INTEGER: snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v)); return buf;
    case JSON_REAL: return real_text(json_real_value(v), buf, size);
    case JSON_TRUE: snprintf(buf, size, "yes"); return buf;
    case JSON_FALSE: snprintf(buf, size, "no"); return buf;
    case JSON_ARRAY:
        raw[0] = '\0';
        json_array_foreach(v, i, e)
        {
            char item[CELL / 2];

            if (len + sizeof item + 2 >= sizeof raw) break;
            len += (size_t)snprintf(raw + len, sizeof raw - len, "%s%s", i > 0 ? ", " : "", pare_cli_value_text(e, 100, item, sizeof item));
        }
        return pare_cli_clean(raw, width, buf, size);
    case JSON_OBJECT: snprintf(buf, size, "{%zu members}", json_object_size(v)); return buf;
    default: snprintf(buf, size, "-"); return buf;
    }
}

/* Columns that text takes on a terminal, one per code point. */
static size_t text_width(const char *s)
{
    size_t n = 0;

    for (; *s != '\0'; s++) n += (*s & 0xc0) != 0x80;
    return n;
}

static void cell(const char *text, size_t width, bool right, bool last)
{
    int pad = (int)(width - text_width(text));

    if (right) printf("%*s%s", pad, "", text);
    else if (last) fputs(text, stdout);
    else printf("%s%*s", text, pad, "");
    fputs(last ? "\n" : "  ", stdout);
}

void pare_cli_table(const json_t *rows, const struct pare_cli_column *cols, size_t n, size_t indent)
{
    size_t width[MAX_COLUMNS] = { 0 }, last = 0, i;
    bool   right[MAX_COLUMNS] = { false };
    char   buf[CELL];
    json_t *row;

    if (n > MAX_COLUMNS) n = MAX_COLUMNS;
    json_array_foreach(rows, i, row)
    {
        for (size_t k = 0; k < n; k++) {
            const json_t *v = json_object_get(row, cols[k].key);
            size_t        w = text_width(pare_cli_value_text(v, cols[k].width, buf, sizeof buf));

            if (v == NULL) continue;
            if (width[k] == 0) right[k] = json_is_number(v);
            if (w > width[k]) width[k] = w;
            if (text_width(cols[k].title) > width[k]) width[k] = text_width(cols[k].title);
            if (k > last) last = k;
        }
    }
    if (json_array_size(rows) == 0) return;
    printf("%*s", (int)indent, "");
    for (size_t k = 0; k <= last; k++)
        if (width[k] != 0) cell(cols[k].title, width[k], right[k], k == last);
    json_array_foreach(rows, i, row)
    {
        printf("%*s", (int)indent, "");
        for (size_t k = 0; k <= last; k++) {
            if (width[k] == 0) continue;
            cell(pare_cli_value_text(json_object_get(row, cols[k].key), cols[k].width, buf, sizeof buf), width[k], right[k], k == last);
        }
    }
}

static void tree_table(const json_t *rows, size_t indent)
{
    struct pare_cli_column cols[MAX_COLUMNS];
    size_t                 n = 0;
    const char            *key;
    json_t                *v;

    json_object_foreach(json_array_get(rows, 0), key, v)
    {
        if (n == MAX_COLUMNS) break;
        cols[n++] = (struct pare_cli_column){ key, key, 60 };
    }
    pare_cli_table(rows, cols, n, indent);
}

void pare_cli_tree(const json_t *v, size_t indent)
{
    char        buf[CELL];
    size_t      width = 0;
    const char *key;
    json_t     *m;

    if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
        tree_table(v, indent);
        return;
    }
    if (!json_is_object(v)) {
        printf("%*s%s\n", (int)indent, "", pare_cli_value_text(v, 0, buf, sizeof buf));
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)v, key, m) width = strlen(key) > width ? strlen(key) : width;
    json_object_foreach((json_t *)(uintptr_t)v, key, m)
    {
        bool nested = (json_is_object(m) && json_object_size(m) > 0) || json_is_object(json_array_get(m, 0));
        char name[CELL];

        pare_cli_clean(key, 60, name, sizeof name);
        if (nested) {
            printf("%*s%s\n", (int)indent, "", name);
            pare_cli_tree(m, indent + 2);
        } else {
            size_t col = (width < 24 ? width : 24) + indent + 2, at;

            at = (size_t)printf("%*s%-*s", (int)indent, "", (int)(col - indent), name);
            pare_cli_wrap(stdout, pare_cli_value_text(m, 0, buf, sizeof buf), col, at);
        }
    }
}
