/* SPDX-License-Identifier: Apache-2.0
 * tests/golden/test_templates.c: chat templates of public models against what jinja2 renders from them, byte for byte. Four
 * templates lie beside this file; all others are in the folder of fixtures. A case that the reference refuses may be refused
 * or rendered, it only has to end. */
#include "fixture.h"

#include <dirent.h>

#include <pare/template.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

/* The variables of a case as JSON text. */
static char *context_of(const json_t *c)
{
    json_t *ctx = json_object(), *vars = json_object_get(c, "vars");
    char   *text;

    if (vars != NULL) json_object_update(ctx, vars);
    json_object_set(ctx, "messages", json_object_get(c, "messages"));
    if (json_object_get(c, "tools") != NULL) json_object_set(ctx, "tools", json_object_get(c, "tools"));
    text = pare_json_text(ctx);
    json_decref(ctx);
    return text;
}

static unsigned run_case(const char *file, const char *tmpl, size_t n, const json_t *c)
{
    const char      *want = json_string_value(json_object_get(c, "expect")), *name = json_string_value(json_object_get(c, "name"));
    char            *ctx = context_of(c), *out = NULL, buf[1024];
    size_t           len = 0;
    struct pare_diag diag = { 0 };
    int              rc;

    assert_non_null(ctx);
    rc = pare_template_render(tmpl, n, ctx, json_string_value(json_object_get(c, "date")), &out, &len, &diag);
    if (want != NULL) {
        if (rc != 0) fail_msg("%s, %s: %s", file, name, pare_diag_format(&diag, buf, sizeof buf));
        assert_int_equal(len, strlen(out));
        if (strcmp(out, want) != 0) fail_msg("%s, %s:\ngot  %s\nwant %s", file, name, out, want);
    } else if (rc != 0) {
        assert_null(out);
        assert_true(diag.text[0] != '\0');
    }
    pare_free(out);
    pare_free(ctx);
    return want != NULL;
}

/* Every NAME.json of cases with templates/NAME.jinja. Returns the number of renderings that were compared. */
static unsigned run_folder(const char *cases, const char *templates, unsigned *files)
{
    DIR           *dir = opendir(cases);
    struct dirent *e;
    unsigned       compared = 0;

    assert_non_null(dir);
    *files = 0;
    while ((e = readdir(dir)) != NULL) {
        size_t           k = strlen(e->d_name), n = 0, i;
        char             path[1024];
        json_t          *doc = NULL, *c;
        uint8_t         *tmpl = NULL;
        struct pare_diag diag = { 0 };

        if (k < 6 || strcmp(e->d_name + k - 5, ".json") != 0) continue;
        snprintf(path, sizeof path, "%s/%s", cases, e->d_name);
        assert_int_equal(pare_json_load_file(&doc, path, 1 << 24, &diag), 0);
        snprintf(path, sizeof path, "%s/%.*s.jinja", templates, (int)k - 5, e->d_name);
        assert_int_equal(pare_read_file(path, 1 << 20, &tmpl, &n, &diag), 0);
        json_array_foreach(json_object_get(doc, "cases"), i, c) compared += run_case(e->d_name, (const char *)tmpl, n, c);
        pare_free(tmpl);
        json_decref(doc);
        (*files)++;
    }
    closedir(dir);
    return compared;
}

static void own_templates(void **state)
{
    unsigned files, n = run_folder("tests/golden/templates", "tests/golden/templates", &files);

    (void)state;
    assert_int_equal(files, 4);
    assert_true(n >= 30);
}

static void all_templates(void **state)
{
    char        a[1024], b[1024];
    const char *cases = fixture(a, "goldens/templates"), *templates = fixture(b, "data/templates");
    unsigned    files, n;

    (void)state;
    NEED_FIXTURE(cases);
    NEED_FIXTURE(templates);
    n = run_folder(cases, templates, &files);
    print_message("%u renderings of %u templates are equal\n", n, files);
    assert_true(files > 0 && n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(own_templates), cmocka_unit_test(all_templates) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
