/* SPDX-License-Identifier: Apache-2.0
 * src/eval/fit_effort.c: how long fit will take, told before it starts: what its phases multiply, at the rate that this machine shows in
 * a few milliseconds, and what they encode. */
#include "base/job.h"
#include "base/mem.h"
#include "eval/fit.h"
#include "kernel/vec.h"

/* Rounding a weight, in seconds of one thread on the reference machine of docs/SPEED.md at its usual pace, which reaches REFERENCE
 * multiply-adds a second; the same machine's pace scales both. */
#define ENCODE_S 35e-9
#define FEED_S 45e-9
#define REFERENCE 55e9
#define INT8_GAIN 2.5 /* int8 products of a unit beside f32 ones, everything else included */

enum { PROBE_N = 256, PROBE_K = 1024, PROBE_CHUNKS = 8 };
struct probe { const struct pare_vec *vk; const float *x; float *y; };

static void probe_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct probe *p = ctx;

    (void)worker;
    p->vk->gemm_f32(p->y + (uint64_t)chunk * PROBE_N * PROBE_N, PROBE_N, p->x, PROBE_K * sizeof(float), p->x, PROBE_K, PROBE_K, 0, PROBE_N, PROBE_N);
}

/* Multiply-adds a second of all threads together, best of three. */
static double rate(struct pare_job *job)
{
    struct probe p = { .vk = pare_vec_for(job->tier) };
    float       *mem = pare_aligned((PROBE_N * PROBE_K + (uint64_t)PROBE_CHUNKS * PROBE_N * PROBE_N) * sizeof *mem);
    double       best = 1e9;

    if (mem == NULL) return REFERENCE;
    for (uint64_t i = 0; i < PROBE_N * PROBE_K; i++) mem[i] = 1;
    p.x = mem;
    p.y = mem + PROBE_N * PROBE_K;
    for (int k = 0; k < 3; k++) {
        double t0 = pare_now();
        pare_team_run(job->team, PROBE_CHUNKS, probe_chunk, &p);
        t0 = pare_now() - t0;
        if (t0 < best) best = t0;
    }
    pare_aligned_free(mem);
    return best > 0 ? (double)PROBE_CHUNKS * PROBE_N * PROBE_N * PROBE_K / best : REFERENCE;
}

static double tokens(const struct pare_windows *w) { return (double)w->n * w->len; }

double pare_fit_seconds(const struct pare_fit *f)
{
    const uint32_t units = pare_model_info_of(f->o.model)->n_units;
    double         r = rate(f->job), layers = 0, head = 0, weights = 0, cand = 0, fed = 0, moments = 0, variants = 0, madds, encode;
    double         calib = tokens(&f->calib), tries = tokens(&f->tries), sense = tokens(&f->sense), proof = 0, trials = f->effort > 3 ? 4 : 1;

    for (uint32_t i = 0; i < f->ts.n; i++) {
        const struct pare_target *t = &f->ts.t[i];
        double                    n = (double)t->rows * (double)t->cols;

        weights += n;
        cand += n * t->n_cand;
        if (t->feedback) fed += n;
        if (!t->multiplied) continue;
        if (t->unit + 1 == units) {
            head += n;
            continue;
        }
        layers += n;
        variants++;
        if (t->feedback) moments += (double)t->cols * (double)t->cols / 4; /* half a triangle; about two targets share an input */
    }
    if (!f->s->no_proof) proof = 1.7e12 / (double)(f->ts.params + 1);
    proof = proof > 64 * 512 ? 64 * 512 : proof < 8 * 512 && proof > 0 ? 8 * 512 : proof;
    madds = calib * (layers + moments) + 4096 * head;
    madds += sense * variants * 1.2 * (layers / 2 + head);
    madds += trials * (tries * (layers + head) * (1 + 1 / INT8_GAIN) + (fed > 0 ? calib * (layers * (1 + 1 / INT8_GAIN) + moments) : 0));
    madds += proof * (layers + head) * (1 + 1 / INT8_GAIN);
    encode = (cand / 8 + weights * (trials + 1)) * ENCODE_S + (fed > 0 ? fed / weights * cand / 8 + fed * (trials + (f->work_ram != 0)) : 0) * FEED_S;
    return madds / r + encode * REFERENCE / r; /* both in seconds of all threads: REFERENCE is one thread's */
}
