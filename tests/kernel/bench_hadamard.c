/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/bench_hadamard.c: bytes read a second by the Hadamard transform of rows that lie in memory, beside what the machine reads
 * at most, measured in turns in the same process. Not run by the tests.
 *     bench_hadamard [tier] [threads] [channels] */
#include <stdio.h>
#include <stdlib.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/gemmq.h"
#include "kernel/hadamard.h"

enum { ROWS = 4096, ROUNDS = 4, TRIES = 10, STEP = 64 };

struct work {
    const struct pare_hadamard *h;
    const float *x;
    float       *out; /* [threads][channels]: what is made of a row stays in the cache, as it does for the product that follows */
    uint64_t     cols;
    int          tier;
};

static void chunk(void *ctx, uint32_t c, uint32_t worker)
{
    const struct work *w = ctx;

    for (uint64_t r = 0; r < STEP; r++)
        pare_hadamard_run(w->h, w->tier, w->out + worker * w->cols, w->x + (c * (uint64_t)STEP + r) * w->cols, w->cols, false);
}

int main(int argc, char **argv)
{
    int      tier = argc > 1 ? atoi(argv[1]) : PARE_TIER_VNNI;
    uint32_t threads = argc > 2 ? (uint32_t)atoi(argv[2]) : pare_available_cores();
    uint64_t cols = argc > 3 ? (uint64_t)atoll(argv[3]) : 4096, n = pare_hadamard_fits(cols) ? cols : pare_hadamard_block(cols);
    struct pare_team    *team = pare_team_create(threads);
    struct pare_hadamard h;
    struct pare_limits   lim, top = { 0 };
    struct work          w = { &h, NULL, pare_aligned(threads * cols * sizeof(float)), cols, tier };
    float  *x = pare_aligned(ROWS * cols * sizeof *x);
    double  best = 1e9;

    if (x == NULL || w.out == NULL || pare_hadamard_init(&h, n, NULL) < 0) return 1;
    w.x = x;
    for (uint64_t i = 0; i < ROWS * cols; i++) x[i] = (float)(i & 1023) - 512.0f;
    for (int i = 0; i < ROUNDS; i++) {
        for (int j = 0; j < TRIES; j++) {
            double t = pare_now();
            pare_team_run(team, ROWS / STEP, chunk, &w);
            t = pare_now() - t;
            if (t < best) best = t;
        }
        pare_measure_limits(&lim, team, tier, 0.2);
        if (lim.read_bytes > top.read_bytes) top = lim;
    }
    printf("tier %d, %u threads, %llu channels in runs of %u (order %u): %.2f GB/s read, %.0f %% of %.2f GB/s\n", pare_hadamard_for(tier)->tier, threads,
           (unsigned long long)cols, h.n, h.k, (double)(ROWS * cols * 4) / best * 1e-9, (double)(ROWS * cols * 4) / best / top.read_bytes * 100,
           top.read_bytes * 1e-9);
    pare_hadamard_free(&h);
    pare_aligned_free(x);
    pare_aligned_free(w.out);
    pare_team_destroy(&team);
    return 0;
}
