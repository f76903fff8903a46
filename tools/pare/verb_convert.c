/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/fit.h>
#include <stdio.h>

#include "out.h"
#include "table.h"

/* The tensors that were to be packed and were not, or the others. */
static void print_kept(const json_t *kept, bool unpacked, const char *title)
{
    char    name[512];
    size_t  i, n = 0;
    json_t *e;

    json_array_foreach(kept, i, e)
    {
        if ((json_object_get(e, "packed") != NULL) != unpacked) continue;
        if (n++ == 0) printf("%s\n", title);
        printf("  %s  %s\n", pare_cli_clean(pare_cli_string(e, "tensor"), 0, name, sizeof name), pare_cli_string(e, "type"));
    }
}

static void print_people(const struct pare_cli *c, const json_t *v)
{
    char        size[32], name[512];

    (void)c;
    printf("%s: %s\n", pare_cli_clean(pare_cli_string(v, "output"), 0, name, sizeof name),
           pare_cli_bytes(pare_cli_number(v, "bytes"), size));
    if (json_object_get(v, "packed") != NULL) printf("matrices packed: %.0f\n", pare_cli_number(v, "packed"));
    print_kept(json_object_get(v, "kept"), false, "of another type, for their width does not suit it:");
    print_kept(json_object_get(v, "kept"), true, "not packed, for some bytes would not come back:");
}

int pare_verb_convert(const struct pare_cli *c)
{
    struct pare_job *job = NULL;
    struct pare_diag diag = { 0 };
    char            *doc = NULL;
    const char      *type = PARE_HAS(c, convert_type) ? PARE_TEXT(c, convert_type) : "keep";
    int              rc;

    if (!PARE_HAS(c, out)) return pare_cli_usage(c->verb->name, "-o is missing: the file to write");
    if (!PARE_HAS(c, convert_type) && !PARE_FLAG(c, pack)) return pare_cli_usage(c->verb->name, "--type is missing: a type such as q8_0 or f16, or keep");
    if ((rc = pare_cli_job(c, &job)) != 0) return rc;
    rc = pare_convert(c->arg[0], PARE_TEXT(c, out), type, PARE_FLAG(c, pack), PARE_FLAG(c, resume), &doc, job, &diag);
    return pare_cli_report(c, rc, doc, print_people, &job, &diag);
}
