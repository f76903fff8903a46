/* SPDX-License-Identifier: Apache-2.0
 * include/pare/job.h: what long work is given: threads, a cancel flag, a progress callback. There is no global state
 * in the library; everything that runs for long takes a job. */
#ifndef PARE_JOB_H
#define PARE_JOB_H

#include <pare/common.h>
#include <pare/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pare_job; /* opaque; used by one thread at a time */

/* CPU tiers; a mask can only remove what the machine has. */
enum pare_cpu_tier {
    PARE_TIER_BASE   = 0, /* plain C, the definition of every result */
    PARE_TIER_AVX2   = 1, /* AVX2 + FMA + F16C */
    PARE_TIER_AVX512 = 2, /* AVX-512 F, BW, DQ, VL */
    PARE_TIER_VNNI   = 3  /* the same with AVX-512 VNNI */
};

struct pare_progress {
    const char *phase;     /* e.g. "observe"; static string */
    double      fraction;  /* 0..1 within the whole job, or negative when unknown */
    double      eta_s;     /* seconds left, or negative when unknown */
    const char *note;      /* may be NULL; valid during the callback only */
};
typedef void (*pare_progress_fn)(void *user, const struct pare_progress *p);

struct pare_job_settings {
    uint32_t         n_threads;      /* 0: what the affinity mask and the cgroup quota really give */
    int              max_tier;       /* enum pare_cpu_tier; -1: no limit */
    pare_progress_fn progress;       /* may be NULL; called from the thread that runs the job */
    void            *progress_user;
    uint8_t          reserved[32];   /* zero */
};

/* pare_job_settings_default fills *s. Never fails. Since 0.1. */
PARE_API void pare_job_settings_default(struct pare_job_settings *s);

/*
 * pare_job_create starts a thread team and picks the kernels. On success *out belongs to the caller, release it with
 * pare_job_destroy(). On failure *out is NULL. @return 0 or a negative enum pare_error. Since 0.1.
 */
PARE_API int pare_job_create(struct pare_job **out, const struct pare_job_settings *s, struct pare_diag *diag);

/* pare_job_destroy stops the team, frees *job and sets it to NULL. NULL and a pointer to NULL are accepted. */
PARE_API void pare_job_destroy(struct pare_job **job);

/* pare_job_cancel asks the work to stop soon; safe from a signal handler and from other threads. Since 0.1. */
PARE_API void pare_job_cancel(struct pare_job *job);

/* pare_job_threads returns the number of threads that compute. pare_job_tier returns the tier chosen. Since 0.1. */
PARE_API uint32_t pare_job_threads(const struct pare_job *job);
PARE_API int pare_job_tier(const struct pare_job *job);

/* pare_tier_name returns "base", "avx2", "avx512" or "vnni"; pare_tier_parse the inverse, -1 if unknown. */
PARE_API const char *pare_tier_name(int tier);
PARE_API int pare_tier_parse(const char *name);

#ifdef __cplusplus
}
#endif
#endif
