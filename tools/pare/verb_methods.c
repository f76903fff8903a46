/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include <pare/fit.h>

#include "out.h"
#include "table.h"

static const char *text_of(const json_t *m, const char *key)
{
    const char *s = json_string_value(json_object_get(m, key));

    return s != NULL ? s : "-";
}

/* docs/coverage.md: everything that a row says, to be read as a page. */
static int markdown(const json_t *list)
{
    size_t        i;
    const json_t *m;

    printf("# Methods\n\nMade by `make docs` from the registry (`src/compress/method_list.h`). Figures are those of the acceptance tests as last run; "
           "where no model is\nnamed the test needs none.\n\n| id | what it is | where | guarantee | neutral setting | acceptance test | measured |\n"
           "|---|---|---|---|---|---|---|\n");
    json_array_foreach(list, i, m)
        printf("| `%s` | %s (%s) | `src/%s` | %s | %s | %s (`%s`) | %s |\n", text_of(m, "id"), text_of(m, "title"), text_of(m, "source"), text_of(m, "module"),
               text_of(m, "guarantee"), text_of(m, "neutral"), text_of(m, "acceptance"), text_of(m, "tested"), text_of(m, "measured"));
    return pare_cli_flush();
}

int pare_verb_methods(const struct pare_cli *c)
{
    static const struct pare_cli_column cols[] = {
        { "id", "method", 32 }, { "module", "module", 16 }, { "guarantee", "guarantee", 10 }, { "status", "status", 24 },
        { "neutral", "neutral setting", 32 }, { "tested", "tested in", 40 },
    };
    char   *doc = pare_methods_json();
    json_t *v;

    if (PARE_FLAG(c, json)) return pare_cli_json(doc);
    if ((v = pare_cli_parse_json(doc)) == NULL) return 4;
    if (PARE_FLAG(c, markdown)) {
        int rc = markdown(v);
        json_decref(v);
        return rc;
    }
    /* What does not fit 80 columns comes with -v. */
    pare_cli_table(v, cols, PARE_FLAG(c, verbose) ? sizeof cols / sizeof *cols : 4, 0);
    json_decref(v);
    return pare_cli_flush();
}
