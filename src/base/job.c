/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/job.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/mem.h"
#include "base/status.h"

void pare_job_settings_default(struct pare_job_settings *s)
{
    memset(s, 0, sizeof *s);
    s->max_tier = -1;
}

#if defined(__x86_64__)
static uint64_t xgetbv0(void)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* CPUID says what the core can do, XGETBV whether the system saves the registers: both are needed. */
static int detect(void)
{
    uint32_t a, b, c, d, b7, c7, d7;
    uint64_t x;

    if (!__get_cpuid(1, &a, &b, &c, &d)) return PARE_TIER_BASE;
    if (!(c & bit_OSXSAVE) || !(c & bit_AVX) || !(c & bit_FMA) || !(c & bit_F16C)) return PARE_TIER_BASE;
    x = xgetbv0();
    if ((x & 6) != 6) return PARE_TIER_BASE;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) || !(b7 & bit_AVX2)) return PARE_TIER_BASE;
    if ((x & 0xe6) != 0xe6 || !(b7 & bit_AVX512F) || !(b7 & bit_AVX512BW) || !(b7 & bit_AVX512DQ) ||
        !(b7 & bit_AVX512VL))
        return PARE_TIER_AVX2;
    return (c7 & bit_AVX512VNNI) ? PARE_TIER_VNNI : PARE_TIER_AVX512;
}
#else
static int detect(void) { return PARE_TIER_BASE; }
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int            best;
static void           detect_once(void) { best = detect(); }

int pare_cpu_best_tier(void)
{
    pthread_once(&once, detect_once);
    return best;
}

int pare_job_create(struct pare_job **out, const struct pare_job_settings *s, struct pare_diag *diag)
{
    struct pare_job *j;
    uint32_t         n;

    *out = NULL;
    PARE_FAIL_IF(diag, s->n_threads > 1024, PARE_E_USAGE, "%u threads: at most 1024", s->n_threads);
    j = pare_zalloc(1, sizeof *j);
    if (j == NULL) return PARE_NOMEM(diag);
    j->settings = *s;
    j->tier = pare_cpu_best_tier();
    if (s->max_tier >= 0 && s->max_tier < j->tier) j->tier = s->max_tier;
    n = s->n_threads != 0 ? s->n_threads : pare_available_cores();
    j->team = pare_team_create(n);
    if (j->team == NULL) {
        pare_job_destroy(&j);
        return PARE_ERR(diag, PARE_E_NOMEM, "cannot start %u threads", n);
    }
    j->t0 = pare_now();
    *out = j;
    return PARE_OK;
}

void pare_job_destroy(struct pare_job **jp)
{
    if (jp == NULL || *jp == NULL) return;
    pare_team_destroy(&(*jp)->team);
    pare_free(*jp);
    *jp = NULL;
}

void pare_job_cancel(struct pare_job *job) { atomic_store(&job->cancelled, 1); }
uint32_t pare_job_threads(const struct pare_job *job) { return pare_team_size(job->team); }
int pare_job_tier(const struct pare_job *job) { return job->tier; }

int pare_job_check(struct pare_job *job, struct pare_diag *diag)
{
    if (job != NULL && atomic_load(&job->cancelled)) PARE_FAIL(diag, PARE_E_CANCELLED, "interrupted");
    return PARE_OK;
}

void pare_job_progress(struct pare_job *job, const char *phase, double fraction, const char *note)
{
    struct pare_progress p = { phase, fraction, -1, note };
    double               t = pare_now();

    if (job == NULL || job->settings.progress == NULL) return;
    if (fraction <= 0) job->t0 = t;
    if (fraction > 0.01) p.eta_s = (t - job->t0) * (1 - fraction) / fraction;
    job->settings.progress(job->settings.progress_user, &p);
}

static const char *const tier_names[] = { "base", "avx2", "avx512", "vnni" };

const char *pare_tier_name(int tier) { return tier >= 0 && tier <= PARE_TIER_VNNI ? tier_names[tier] : "?"; }

int pare_tier_parse(const char *name)
{
    for (int i = 0; i <= PARE_TIER_VNNI; i++)
        if (strcmp(name, tier_names[i]) == 0) return i;
    return -1;
}

double pare_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint64_t proc_status(const char *key)
{
    char               line[256];
    unsigned long long kb = 0;
    size_t             n = strlen(key);
    FILE              *f = fopen("/proc/self/status", "re");

    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, n) == 0 && sscanf(line + n, " %llu", &kb) == 1) break;
    fclose(f);
    return (uint64_t)kb * 1024;
}

uint64_t pare_peak_rss(void) { return proc_status("VmHWM:"); }
uint64_t pare_current_rss(void) { return proc_status("VmRSS:"); }

void pare_reset_peak_rss(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "we");

    if (f == NULL) return;
    fputs("5", f);
    fclose(f);
}
