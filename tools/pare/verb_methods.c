/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/fit.h>

#include "out.h"
#include "table.h"

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
    /* What does not fit 80 columns comes with -v. */
    pare_cli_table(v, cols, PARE_FLAG(c, verbose) ? sizeof cols / sizeof *cols : 4, 0);
    json_decref(v);
    return pare_cli_flush();
}
