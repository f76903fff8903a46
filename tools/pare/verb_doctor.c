/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/bench.h>

#include "out.h"
#include "table.h"

static void print_people(const struct pare_cli *c, const json_t *v)
{
    (void)c;
    pare_cli_tree(v, 0);
}

int pare_verb_doctor(const struct pare_cli *c)
{
    struct pare_job *job = NULL;
    struct pare_diag diag = { 0 };
    char            *doc = NULL;
    int              rc = pare_cli_job(c, &job);

    if (rc != 0) return rc;
    rc = pare_doctor(&doc, job, &diag);
    return pare_cli_report(c, rc, doc, print_people, &job, &diag);
}
