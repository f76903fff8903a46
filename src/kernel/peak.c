/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/peak.c: what this machine can do at most, measured by all threads together against one clock: integer and
 * float arithmetic that never leaves the registers, and reading memory. Speeds of the kernels are reported beside these. */
#include "kernel/peak.h"

#include <string.h>
#include <unistd.h>

#include "base/job.h"
#include "base/mem.h"
#include "kernel/gemmq.h"

/* ---- plain C ---- */

/* What the compiler makes of plain C is the peak of the plain C tier. */
static uint64_t int8_base(uint64_t steps, int seed)
{
    int32_t acc[16];
    int8_t w[16], x[16];

    for (int i = 0; i < 16; i++) {
        acc[i] = 0;
        w[i] = (int8_t)(seed + i);
        x[i] = (int8_t)(seed - i);
    }
    while (steps-- > 0) {
        for (int i = 0; i < 16; i++) acc[i] = (int32_t)((uint32_t)acc[i] + (uint32_t)(w[i] * x[i]));
        x[steps & 15] = (int8_t)(x[steps & 15] ^ 1);
    }
    for (int i = 1; i < 16; i++) acc[0] ^= acc[i];
    return (uint64_t)acc[0];
}

static float f32_base(uint64_t steps, float seed)
{
    float acc[16];

    for (int i = 0; i < 16; i++) acc[i] = seed;
    while (steps-- > 0)
        for (int i = 0; i < 16; i++) acc[i] = acc[i] * 0.999f + seed;
    for (int i = 1; i < 16; i++) acc[0] += acc[i];
    return acc[0];
}

static uint64_t read_base(const uint8_t *p, uint64_t bytes)
{
    uint64_t sum[4] = { 0 }, w[4];

    for (uint64_t i = 0; i < bytes; i += 32) {
        memcpy(w, p + i, sizeof w);
        for (int k = 0; k < 4; k++) sum[k] += w[k];
    }
    return sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
}

const struct pare_probes pare_probes_base = { .int8_per_step = 32, .f32_per_step = 32, .int8 = int8_base, .f32 = f32_base, .read = read_base };

static const struct pare_probes *probes_for(int tier)
{
#if defined(__x86_64__)
    switch (pare_gemmq_for(tier)->tier) {
    case PARE_TIER_AVX2: return &pare_probes_avx2;
    case PARE_TIER_AVX512: return &pare_probes_avx512;
    case PARE_TIER_VNNI: return &pare_probes_vnni;
    default: break;
    }
#else
    (void)tier;
#endif
    return &pare_probes_base;
}

/* ---- all threads, one clock ---- */

enum what { INT8, F32, READ };

struct run {
    const struct pare_probes *p;
    enum what what;
    uint64_t steps;
    const uint8_t *data;
    uint64_t data_chunks;
    _Atomic uint64_t sink;
};

#define CHUNK ((uint64_t)1 << 20) /* bytes; small, so that a thread that loses its core for a while holds nobody up */

static void probe(void *ctx, uint32_t chunk, uint32_t worker)
{
    struct run *r = ctx;
    uint64_t v = 0;

    (void)worker;
    switch (r->what) {
    case INT8: v = r->p->int8(r->steps, (int)chunk & 63); break;
    /* never 0: sums would decay into denormal numbers, which are slow */
    case F32: v = (uint64_t)(r->p->f32(r->steps, 1e-3f * (float)(1 + (chunk & 15))) * 1e6f); break;
    case READ: v = r->p->read(r->data + chunk % r->data_chunks * CHUNK, CHUNK); break;
    }
    atomic_fetch_xor(&r->sink, v);
}

/* Units of work (steps or chunks) a second. Rounds double until one takes long enough; the best of a few such rounds is what
 * the machine can do, the others are what its neighbours took. */
static double rate(struct run *r, struct pare_team *team, double seconds)
{
    const uint32_t n = pare_team_size(team);
    double best = 0, start = pare_now(), t;
    uint32_t chunks = r->what == READ ? (uint32_t)r->data_chunks : n * 8;
    int rounds = 0;

    r->steps = 1000;
    while (pare_now() - start < seconds || rounds < 2) {
        double work = (double)chunks * (r->what == READ ? 1.0 : (double)r->steps);

        t = pare_now();
        pare_team_run(team, chunks, probe, r);
        t = pare_now() - t;
        if (r->what != READ && t < seconds / 16) {
            r->steps *= 2;
            if (pare_now() - start < seconds * 4) continue;
        }
        if (t > 0 && work / t > best) best = work / t;
        rounds++;
    }
    return best;
}

/* The buffer must be far larger than the last cache level or what is measured is that cache. Virtual machines may report the
 * whole host's cache (hundreds of megabytes), of which a guest's two cores hold little for long; 512 MB, or 256 MB, or what
 * is left of memory, is a compromise, and one pass follows the other so that what was read first is evicted first. */
static uint8_t *read_buffer(uint64_t *bytes)
{
    const uint64_t least = (uint64_t)64 << 20;
    long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t unused = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;

    for (*bytes = (uint64_t)512 << 20; *bytes > least && *bytes > unused / 2; *bytes /= 2) {}
    return pare_aligned(*bytes);
}

static void touch(void *ctx, uint32_t chunk, uint32_t worker)
{
    (void)worker;
    memset((uint8_t *)ctx + chunk * CHUNK, (int)(chunk & 255) | 1, CHUNK);
}

void pare_measure_limits(struct pare_limits *out, struct pare_team *team, int tier, double seconds)
{
    struct run r = { .p = probes_for(tier) };
    uint64_t bytes;
    uint8_t *data = read_buffer(&bytes);

    *out = (struct pare_limits){ 0 };
    r.what = INT8;
    out->int8_ops = rate(&r, team, seconds / 3) * r.p->int8_per_step;
    r.what = F32;
    out->f32_flops = rate(&r, team, seconds / 3) * r.p->f32_per_step;
    if (data == NULL) return; /* no memory to measure with: 0 says unknown */
    r.what = READ;
    r.data = data;
    r.data_chunks = bytes / CHUNK;
    pare_team_run(team, (uint32_t)r.data_chunks, touch, data); /* pages exist only once they are written */
    out->read_bytes = rate(&r, team, seconds / 3) * (double)CHUNK;
    pare_aligned_free(data);
}

double pare_measure_read(struct pare_team *team, int tier, uint64_t bytes, double seconds)
{
    struct run r = { .p = probes_for(tier), .what = READ };
    uint64_t most;
    uint8_t *data;
    double   best;

    if (bytes < 4 * CHUNK) bytes = 4 * CHUNK;
    data = read_buffer(&most);
    pare_aligned_free(data);
    if (data == NULL) return 0;
    if (bytes > most) bytes = most;
    data = pare_aligned(bytes);
    if (data == NULL) return 0;
    r.data = data;
    r.data_chunks = bytes / CHUNK;
    pare_team_run(team, (uint32_t)r.data_chunks, touch, data);
    best = rate(&r, team, seconds) * (double)CHUNK;
    pare_aligned_free(data);
    return best;
}
