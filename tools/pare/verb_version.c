/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "out.h"

static const char *compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "unknown";
#endif
}

int pare_verb_version(const struct pare_cli *c)
{
    struct pare_job *job = NULL;
    json_t          *doc;
    int              rc = pare_cli_job(c, &job);

    if (rc != 0) return rc;
    doc = json_pack("{s:s, s:i, s:s, s:s, s:s, s:i}", "version", pare_version(), "abi", pare_abi_version(), "command",
                    PARE_VERSION_STRING, "compiler", compiler(), "tier", pare_tier_name(pare_job_tier(job)), "threads",
                    (int)pare_job_threads(job));
    if (PARE_FLAG(c, json)) {
        rc = pare_cli_json_value(doc);
    } else {
        printf("pare %s (ABI %d)\n", pare_version(), pare_abi_version());
        if (PARE_FLAG(c, verbose)) {
            printf("compiler  %s\n", compiler());
            printf("threads   %u\n", pare_job_threads(job));
            printf("kernels   %s", pare_tier_name(pare_job_tier(job)));
            fputs("  (tiers:", stdout);
            for (int t = PARE_TIER_BASE; t <= PARE_TIER_VNNI; t++) printf(" %s", pare_tier_name(t));
            fputs("; `pare doctor` says why)\n", stdout);
        }
        json_decref(doc);
        rc = pare_cli_flush();
    }
    pare_cli_job_end(&job);
    return rc;
}
