/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/progress.c: long work on standard error. On a terminal one line that is rewritten, elsewhere (a log file) one line
 * per 10 %. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "out.h"

#define BAR 24 /* columns */

static struct {
    bool        shown;      /* a bar stands on the line */
    const char *phase;      /* static strings of the library */
    int         tenth;      /* last tenth printed */
    double      begun;      /* when the phase began */
    double      drawn;      /* when the bar was drawn last */
} state;

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void pare_cli_progress_clear(void)
{
    if (!state.shown) return;
    fputs("\r\033[K", stderr);
    state.shown = false;
}

static const char *duration(double s, char buf[32])
{
    if (s < 0) buf[0] = '\0';
    else if (s < 60) snprintf(buf, 32, "  %.0fs left", s);
    else if (s < 3600) snprintf(buf, 32, "  %dm%02ds left", (int)s / 60, (int)s % 60);
    else snprintf(buf, 32, "  %dh%02dm left", (int)(s / 3600), (int)s / 60 % 60);
    return buf;
}

static size_t columns(void)
{
    struct winsize ws;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 ? ws.ws_col : 80;
}

static void draw(const struct pare_progress *p)
{
    char   bar[BAR + 1], left[32], line[512], clean[512];
    int    full = p->fraction < 0 ? 0 : (int)(p->fraction * BAR + 0.5);
    size_t n;

    if (full > BAR) full = BAR;
    memset(bar, '.', BAR);
    memset(bar, '#', (size_t)full);
    bar[BAR] = '\0';
    if (p->fraction < 0) snprintf(line, sizeof line, "%s  ", p->phase);
    else snprintf(line, sizeof line, "%-10s [%s] %3d %%%s  ", p->phase, bar, (int)(p->fraction * 100), duration(p->eta_s, left));
    n = strlen(line);
    if (p->note != NULL && n < sizeof line - 1)
        snprintf(line + n, sizeof line - n, "%s", pare_cli_clean(p->note, 0, clean, sizeof clean));
    /* One column stays free: a line that fills the terminal would wrap and leave its first half behind. */
    fprintf(stderr, "\r\033[K%s", pare_cli_clean(line, columns() - 1, clean, sizeof clean));
    fflush(stderr);
    state.shown = true;
}

/* Work that is over at once needs no report: a phase is silent for its first moments. */
#define QUIET_S 0.5

void pare_cli_progress(void *user, const struct pare_progress *p)
{
    const struct pare_cli *c = user;
    double                 t = now();
    char                   left[32];
    int                    tenth = p->fraction < 0 ? 0 : (int)(p->fraction * 10 + 1e-9);

    if (PARE_FLAG(c, quiet)) return;
    if (strcmp(p->phase, "begin") == 0 && p->note != NULL) { /* what long work will take is said once, before it starts */
        char clean[512];
        pare_cli_progress_clear();
        fprintf(stderr, "pare: %s\n", pare_cli_clean(p->note, 0, clean, sizeof clean));
        return;
    }
    if (state.phase == NULL || strcmp(state.phase, p->phase) != 0) {
        state.phase = p->phase;
        state.begun = t;
        state.drawn = 0;
        state.tenth = -1;
    }
    if (t - state.begun < QUIET_S) return;
    if (isatty(STDERR_FILENO)) {
        if (p->fraction < 1 && t - state.drawn < 0.1) return;
        state.drawn = t;
        draw(p);
    } else if (tenth > state.tenth) {
        fprintf(stderr, "%s: %d %%%s\n", p->phase, tenth * 10, duration(p->eta_s, left));
        state.tenth = tenth;
    }
}
