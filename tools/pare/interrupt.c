/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/interrupt.c: the job of a verb and the signals that stop it. The first Ctrl-C asks the work to end cleanly, the second
 * one ends the process. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "out.h"

/* A signal handler can reach nothing but static storage; both are lock-free. */
static _Atomic(struct pare_job *) current;
static volatile sig_atomic_t      pressed, soft;

static void on_signal(int sig)
{
    static const char text[] = "\npare: stopping; once more to leave at once\n";
    struct pare_job  *job = atomic_load(&current);

    if (pressed != 0 || job == NULL) _exit(130);
    pressed = 1;
    if (soft != 0 && sig == SIGINT) return;
    pare_job_cancel(job);
    if (isatty(STDERR_FILENO) && write(STDERR_FILENO, text, sizeof text - 1) < 0) return;
}

bool pare_cli_interrupted(void) { return pressed != 0; }
void pare_cli_interrupt_reset(void) { pressed = 0; }
void pare_cli_interrupt_soft(void) { soft = 1; }

int pare_cli_job(const struct pare_cli *c, struct pare_job **out)
{
    struct pare_job_settings s;
    struct pare_diag         diag = { 0 };
    struct sigaction         sa;

    pare_job_settings_default(&s);
    if (PARE_HAS(c, threads)) s.n_threads = (uint32_t)c->v[PARE_OPT_threads].integer;
    if (PARE_HAS(c, cpu_mask)) s.max_tier = pare_tier_parse(PARE_TEXT(c, cpu_mask));
    s.progress = pare_cli_progress;
    s.progress_user = (void *)(uintptr_t)c;
    if (pare_job_create(out, &s, &diag) < 0) return pare_cli_fail(c, &diag);
    atomic_store(&current, *out);
    memset(&sa, 0, sizeof sa);
    sigemptyset(&sa.sa_mask);
    sa.sa_handler = on_signal;
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    return 0;
}

void pare_cli_job_end(struct pare_job **job)
{
    pare_cli_progress_clear();
    atomic_store(&current, NULL);
    pare_job_destroy(job);
}
