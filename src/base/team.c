/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/team.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* About 20 microseconds: longer than the gap between two operators of a forward pass, shorter than a scheduler tick. */
#define SPIN 4000

struct pare_team {
    uint32_t          n;
    pthread_t        *threads;
    _Alignas(64) _Atomic uint32_t epoch;   /* rises by one for each run; workers sleep on it */
    _Alignas(64) _Atomic uint32_t next;    /* next chunk to take */
    _Alignas(64) _Atomic uint32_t busy;    /* workers that have not finished this epoch; the caller sleeps on it */
    _Alignas(64) _Atomic uint32_t sleepers;
    uint32_t          n_chunks;
    pare_team_fn      fn;
    void             *ctx;
    _Atomic int       stop;
};

struct start {
    struct pare_team *team;
    uint32_t          worker;
};

static void futex_wait(_Atomic uint32_t *a, uint32_t seen)
{
    (void)syscall(SYS_futex, a, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *a, int n) { (void)syscall(SYS_futex, a, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0); }

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    sched_yield();
#endif
}

static void take_chunks(struct pare_team *t, uint32_t worker)
{
    uint32_t c;

    while ((c = atomic_fetch_add(&t->next, 1)) < t->n_chunks) t->fn(t->ctx, c, worker);
}

static void *worker_main(void *arg)
{
    struct start      s = *(struct start *)arg;
    struct pare_team *t = s.team;
    uint32_t          seen = 0;

    pare_free(arg);
    for (;;) {
        for (int i = 0; i < SPIN && atomic_load(&t->epoch) == seen; i++) relax();
        while (atomic_load(&t->epoch) == seen) {
            atomic_fetch_add(&t->sleepers, 1);
            futex_wait(&t->epoch, seen);
            atomic_fetch_sub(&t->sleepers, 1);
        }
        seen = atomic_load(&t->epoch);
        if (atomic_load(&t->stop)) return NULL;
        take_chunks(t, s.worker);
        if (atomic_fetch_sub(&t->busy, 1) == 1) futex_wake(&t->busy, 1);
    }
}

struct pare_team *pare_team_create(uint32_t n)
{
    struct pare_team *t;
    uint32_t          i;

    if (n < 1) n = 1;
    t = pare_aligned(sizeof *t);
    if (t == NULL) return NULL;
    *t = (struct pare_team){ .n = 1 };
    if (n > 1) {
        t->threads = pare_zalloc(n - 1, sizeof *t->threads);
        if (t->threads == NULL) goto fail;
    }
    for (i = 1; i < n; i++) {
        struct start *s = pare_malloc(sizeof *s);
        if (s == NULL) goto fail;
        *s = (struct start){ t, i };
        if (pthread_create(&t->threads[i - 1], NULL, worker_main, s) != 0) {
            pare_free(s);
            goto fail;
        }
        t->n = i + 1;
    }
    return t;
fail:
    pare_team_destroy(&t);
    return NULL;
}

void pare_team_destroy(struct pare_team **tp)
{
    struct pare_team *t = *tp;

    if (t == NULL) return;
    atomic_store(&t->stop, 1);
    atomic_fetch_add(&t->epoch, 1);
    futex_wake(&t->epoch, 1 << 20);
    for (uint32_t i = 1; i < t->n; i++) pthread_join(t->threads[i - 1], NULL);
    pare_free(t->threads);
    pare_aligned_free(t);
    *tp = NULL;
}

uint32_t pare_team_size(const struct pare_team *t) { return t == NULL ? 1 : t->n; }

void pare_team_run(struct pare_team *t, uint32_t n_chunks, pare_team_fn fn, void *ctx)
{
    uint32_t left;

    if (t == NULL || t->n == 1 || n_chunks <= 1) {
        for (uint32_t c = 0; c < n_chunks; c++) fn(ctx, c, 0);
        return;
    }
    t->fn = fn;
    t->ctx = ctx;
    t->n_chunks = n_chunks;
    atomic_store(&t->next, 0);
    atomic_store(&t->busy, t->n - 1);
    atomic_fetch_add(&t->epoch, 1);
    if (atomic_load(&t->sleepers) != 0) futex_wake(&t->epoch, (int)t->n);
    take_chunks(t, 0);
    for (int i = 0; i < SPIN && atomic_load(&t->busy) != 0; i++) relax();
    while ((left = atomic_load(&t->busy)) != 0) futex_wait(&t->busy, left);
}

/* The quota in cores, rounded up, or 0 when there is none. */
static uint32_t cgroup_quota(void)
{
    long long quota = 0, period = 0;
    char      word[32];
    FILE     *f = fopen("/sys/fs/cgroup/cpu.max", "re");

    if (f != NULL) {
        if (fscanf(f, "%31s %lld", word, &period) != 2 || sscanf(word, "%lld", &quota) != 1) quota = 0;
        fclose(f);
    } else {
        f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
        if (f != NULL) {
            if (fscanf(f, "%lld", &quota) != 1) quota = 0;
            fclose(f);
        }
        f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
        if (f != NULL) {
            if (fscanf(f, "%lld", &period) != 1) period = 0;
            fclose(f);
        }
    }
    if (quota <= 0 || period <= 0) return 0;
    return (uint32_t)((quota + period - 1) / period);
}

uint32_t pare_available_cores(void)
{
    cpu_set_t set;
    uint32_t  n = 1, q;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = (uint32_t)CPU_COUNT(&set);
    q = cgroup_quota();
    if (q != 0 && q < n) n = q;
    return n < 1 ? 1 : n;
}
