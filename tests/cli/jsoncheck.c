/* SPDX-License-Identifier: Apache-2.0
 * tests/cli/jsoncheck.c: is standard input exactly one JSON document, and what stands in it?
 *
 *     jsoncheck [-j | -n | -k] [PATH]
 *
 * PATH is like timings.load_s or tensors[0].name; "" or none is the whole document. Texts are printed as they are, everything else
 * as JSON. -j: texts as JSON too; -n: the number of members or elements; -k: the keys, one a line. Exit status: 0, 1 when the path
 * leads nowhere, 2 when the input is no JSON document. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *step(json_t *v, const char **path)
{
    const char *p = *path;
    char        key[128];
    size_t      n;

    if (*p == '[') {
        char *end;
        long  i = strtol(p + 1, &end, 10);

        if (*end != ']' || i < 0) return NULL;
        *path = end + 1;
        return json_array_get(v, (size_t)i);
    }
    if (*p == '.') p++;
    n = strcspn(p, ".[");
    if (n == 0 || n >= sizeof key) return NULL;
    memcpy(key, p, n);
    key[n] = '\0';
    *path = p + n;
    return json_object_get(v, key);
}

int main(int argc, char **argv)
{
    const char  *mode = argc > 1 && argv[1][0] == '-' ? argv[1] : "";
    const char  *path = argc > (*mode ? 2 : 1) ? argv[*mode ? 2 : 1] : "", *key;
    json_error_t e;
    json_t      *root = json_loadf(stdin, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e), *v = root, *member;

    if (root == NULL) {
        fprintf(stderr, "no JSON document: line %d: %s\n", e.line, e.text);
        return 2;
    }
    while (*path != '\0' && v != NULL) v = step(v, &path);
    if (v == NULL) {
        fprintf(stderr, "nothing there\n");
        json_decref(root);
        return 1;
    }
    if (strcmp(mode, "-n") == 0) {
        printf("%zu\n", json_is_array(v) ? json_array_size(v) : json_object_size(v));
    } else if (strcmp(mode, "-k") == 0) {
        json_object_foreach(v, key, member) puts(key);
    } else if (json_is_string(v) && strcmp(mode, "-j") != 0) {
        fwrite(json_string_value(v), 1, json_string_length(v), stdout);
    } else {
        json_dumpf(v, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
        putchar('\n');
    }
    json_decref(root);
    return 0;
}
