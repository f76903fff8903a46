/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out.h"

#define MAX_INPUT ((size_t)1 << 30) /* what the tokenizer takes at once */

static int read_stream(FILE *f, const char *name, char **data, size_t *n)
{
    size_t cap = 1 << 16, len = 0, got;
    char  *buf = malloc(cap), *more;

    if (buf == NULL) return pare_cli_nomem();
    while ((got = fread(buf + len, 1, cap - len - 1, f)) > 0) {
        len += got;
        if (len > MAX_INPUT) {
            free(buf);
            pare_cli_error("%s: more than 1 GiB of input", name);
            return 3;
        }
        if (cap - len > 1) continue;
        if ((more = realloc(buf, cap * 2)) == NULL) {
            free(buf);
            return pare_cli_nomem();
        }
        buf = more;
        cap *= 2;
    }
    if (ferror(f)) {
        pare_cli_error("%s: cannot read: %s", name, strerror(errno));
        free(buf);
        return 1;
    }
    buf[len] = '\0';
    *data = buf;
    *n = len;
    return 0;
}

int pare_cli_read(const char *path, char **data, size_t *n)
{
    FILE       *f;
    struct stat st;
    int         rc;

    if (strcmp(path, "-") == 0) return read_stream(stdin, "standard input", data, n);
    f = fopen(path, "re");
    if (f == NULL || fstat(fileno(f), &st) != 0) {
        pare_cli_error("%s: cannot open: %s", path, strerror(errno));
        if (f != NULL) fclose(f);
        return 1;
    }
    if (S_ISDIR(st.st_mode)) {
        fclose(f);
        pare_cli_error("%s: is a folder, not a file", path);
        return 1;
    }
    rc = read_stream(f, path, data, n);
    fclose(f);
    return rc;
}

static int copy_text(const char *s, char **data, size_t *n)
{
    *n = strlen(s);
    *data = strdup(s);
    return *data != NULL ? 0 : pare_cli_nomem();
}

int pare_cli_prompt(const struct pare_cli *c, const char *positional, char **data, size_t *n)
{
    const struct pare_cli_value *p = &c->v[PARE_OPT_prompt], *f = &c->v[PARE_OPT_file];
    int                          flags = (positional != NULL) + (p->source == PARE_FROM_FLAG) + (f->source == PARE_FROM_FLAG);
    const char                  *text = positional;

    if (flags > 1) return pare_cli_usage(c->verb->name, "the text was given twice: use one of -p, -f%s", c->verb->max_args > 1 ? " and PROMPT" : "");
    /* Among values of the same origin there is at most one here, but the environment may hold both. */
    if (text == NULL && p->source != PARE_FROM_DEFAULT && f->source != PARE_FROM_FLAG) text = p->text;
    if (text == NULL && f->source != PARE_FROM_DEFAULT) return pare_cli_read(f->text, data, n);
    if (text != NULL && strcmp(text, "-") != 0) return copy_text(text, data, n);
    if (text == NULL && isatty(STDIN_FILENO))
        return pare_cli_usage(c->verb->name, "no text: give -p TEXT or -f FILE, or pipe it in");
    return pare_cli_read("-", data, n);
}

static int append_id(struct pare_ids *ids, int64_t v)
{
    if (ids->n == ids->cap) {
        size_t   cap = ids->cap != 0 ? ids->cap * 2 : 64;
        int32_t *p = realloc(ids->ids, cap * sizeof *p);

        if (p == NULL) return pare_cli_nomem();
        ids->ids = p;
        ids->cap = cap;
    }
    ids->ids[ids->n++] = (int32_t)v;
    return 0;
}

static int bad_id(const char *origin, const char *text)
{
    char buf[64];

    return pare_cli_usage(NULL, "%s: \"%s\" is no token id; ids are whole numbers from 0 on, with commas between them", origin,
                          pare_cli_clean(text, 40, buf, sizeof buf));
}

static int plain_ids(const char *text, const char *origin, struct pare_ids *ids)
{
    static const char between[] = " \t\r\n";
    const char       *p = text + strspn(text, between);
    int               rc;

    while (*p != '\0') {
        size_t  len = strcspn(p, ", \t\r\n");
        char    word[24];
        int64_t v;

        if (len == 0 || len >= sizeof word) return bad_id(origin, p);
        memcpy(word, p, len);
        word[len] = '\0';
        if (!pare_cli_parse_int(word, &v) || v < 0 || v > INT32_MAX) return bad_id(origin, word);
        if ((rc = append_id(ids, v)) != 0) return rc;
        p += len;
        p += strspn(p, between);
        if (*p != ',') continue;
        p += 1 + strspn(p + 1, between);
        if (*p == '\0') return bad_id(origin, "");
    }
    return 0;
}

static int json_ids(const char *text, const char *origin, struct pare_ids *ids)
{
    json_error_t  e;
    json_t       *root = json_loads(text, JSON_REJECT_DUPLICATES, &e), *list, *v;
    size_t        i;
    int           rc = 0;

    list = json_is_object(root) ? json_object_get(root, "ids") : root;
    if (!json_is_array(list)) {
        rc = pare_cli_usage(NULL, "%s: no JSON array of token ids%s%s", origin, root == NULL ? ": " : "", root == NULL ? e.text : "");
    } else {
        json_array_foreach(list, i, v)
        {
            json_int_t id = json_integer_value(v);

            if (!json_is_integer(v) || id < 0 || id > INT32_MAX) rc = pare_cli_usage(NULL, "%s: element %zu is no token id", origin, i);
            else rc = append_id(ids, id);
            if (rc != 0) break;
        }
    }
    json_decref(root);
    return rc;
}

int pare_cli_ids(const char *text, const char *origin, struct pare_ids *ids)
{
    const char *p = text + strspn(text, " \t\r\n");

    return *p == '[' || *p == '{' ? json_ids(p, origin, ids) : plain_ids(p, origin, ids);
}

int pare_cli_load_json(const char *path, json_t **out)
{
    json_error_t e;
    char        *data;
    size_t       n;
    int          rc = pare_cli_read(path, &data, &n);

    if (rc != 0) return rc;
    *out = json_loadb(data, n, 0, &e);
    free(data);
    if (*out != NULL) return 0;
    pare_cli_error("%s: line %d, column %d: %s", strcmp(path, "-") == 0 ? "standard input" : path, e.line, e.column, e.text);
    return 3;
}
