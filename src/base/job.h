/* SPDX-License-Identifier: Apache-2.0
 * src/base/job.h: the inside of struct pare_job. Looked at between units and rows. */
#ifndef PARE_BASE_JOB_H
#define PARE_BASE_JOB_H

#include <stdatomic.h>
#include <pare/job.h>

#include "base/team.h"

struct pare_job {
    struct pare_team        *team;
    int                      tier;       /* enum pare_cpu_tier in force */
    _Atomic int              cancelled;
    struct pare_job_settings settings;
    double                   t0;         /* start of the current phase, monotonic seconds */
};

/* pare_job_check returns PARE_E_CANCELLED (with diag) when the job was asked to stop, else 0. */
int pare_job_check(struct pare_job *job, struct pare_diag *diag);
/* pare_job_progress reports fraction done of a phase and computes the time left. Cheap; call it per unit. */
void pare_job_progress(struct pare_job *job, const char *phase, double fraction, const char *note);
/* Seconds of CLOCK_MONOTONIC. */
double pare_now(void);
/* Peak resident bytes of this process so far (VmHWM), and current resident bytes. 0 when unknown. */
uint64_t pare_peak_rss(void);
uint64_t pare_current_rss(void);
/* Resets the peak to the current value where the system allows it (/proc/self/clear_refs). */
void pare_reset_peak_rss(void);

/* Best tier of this machine: CPUID and XGETBV, detected once. */
int pare_cpu_best_tier(void);

#endif
