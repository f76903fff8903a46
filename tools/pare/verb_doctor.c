/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/bench.h>

#include "out.h"
#include "table.h"

int pare_verb_doctor(const struct pare_cli *c)
{
    struct pare_job *job = NULL;
    struct pare_diag diag = { 0 };
    char            *doc = NULL;
    json_t          *v;
    int              rc = pare_cli_job(c, &job);

    if (rc != 0) return rc;
    if (pare_doctor(&doc, job, &diag) < 0) {
        rc = pare_cli_fail(c, &diag);
    } else if (PARE_FLAG(c, json)) {
        rc = pare_cli_json(doc);
    } else if ((v = pare_cli_parse_json(doc)) == NULL) {
        rc = 4;
    } else {
        pare_cli_progress_clear();
        pare_cli_tree(v, 0);
        json_decref(v);
        rc = pare_cli_flush();
    }
    pare_cli_job_end(&job);
    return rc;
}
