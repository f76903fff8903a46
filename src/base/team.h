/* SPDX-License-Identifier: Apache-2.0
 * src/base/team.h: a thread team that spins briefly, then sleeps. Work is taken in small chunks from one counter, so a thread
 * that loses its core to a neighbour delays nobody. A chunk's result must never depend on who computes it. */
#ifndef PARE_BASE_TEAM_H
#define PARE_BASE_TEAM_H

#include <stdint.h>

struct pare_team;

/* chunk: 0 .. n_chunks-1, each exactly once; worker: 0 .. threads-1, for scratch memory only */
typedef void (*pare_team_fn)(void *ctx, uint32_t chunk, uint32_t worker);

/* pare_team_create starts n - 1 threads (the caller is worker 0). NULL when out of memory or threads. */
struct pare_team *pare_team_create(uint32_t n);
void pare_team_destroy(struct pare_team **t);
uint32_t pare_team_size(const struct pare_team *t);
/* pare_team_run calls fn for all chunks and returns when all are done. Not reentrant. t == NULL runs in the caller. */
void pare_team_run(struct pare_team *t, uint32_t n_chunks, pare_team_fn fn, void *ctx);

/* Cores that the affinity mask and the cgroup CPU quota (v1 or v2) really give, at least 1. */
uint32_t pare_available_cores(void);

#endif
