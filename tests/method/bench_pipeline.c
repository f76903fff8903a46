/* SPDX-License-Identifier: Apache-2.0
 * tests/method/bench_pipeline.c: two threads, one that multiplies matrices and one that reads a cache, sub-batches that alternate between
 * them, and the prediction from rates that were measured with both at work. Not run by the tests. */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/job.h"
#include "base/mem.h"
#include "compress/pipeline.h"
#include "kernel/vec.h"
#include "nn/linear.h"

/* Small, so that a whole run often passes between two visits of a neighbour; the best of many runs counts. */
enum { D = 512, FF = 1408, LAYERS = 4, HALF = 8, CTX = 192, HEADS = 8, DH = 64, TRIES = 300 };

struct rig {
    struct pare_job   *job;
    struct pare_linear l[3];
    float             *x, *y, *kv, *out, *s;
    void              *scratch;
    _Atomic int        ready, stage[2];  /* of each half: even gemm, odd attention */
    double             gemm_s, attend_s; /* of one half, with both at work */
    bool               alternate;
};

static void gemm(struct rig *r, uint32_t n)
{
    for (int k = 0; k < 3; k++) {
        struct pare_linear_out o = { &r->l[k], r->y, r->l[k].rows };
        pare_linear_apply(&o, 1, r->x, r->l[k].cols, n, r->scratch, r->job);
    }
}

/* Scores and sums of n sequences over CTX positions. */
static void attend(struct rig *r, uint32_t n)
{
    const struct pare_vec *v = pare_vec_for(r->job->tier);

    for (uint32_t i = 0; i < n; i++)
        for (uint32_t h = 0; h < HEADS; h++) {
            const float *keys = r->kv + ((uint64_t)i * HEADS + h) * CTX * DH;

            v->gemm_f32(r->s, CTX, keys, DH * sizeof *keys, r->kv, DH, DH, 0, CTX, 1);
            v->softmax(r->s, CTX);
            for (uint32_t p = 0; p < CTX; p++) v->axpy(r->out, r->s[p], keys + (uint64_t)p * DH, DH);
        }
}

static double least(double a, double b) { return a < b ? a : b; }

/* The half that can go on is worked on; spinning, since what is waited for takes microseconds. */
static void *worker(void *ctx, int odd)
{
    struct rig *r = ctx;

    if (odd) atomic_store(&r->ready, 1);
    for (int done = 0; done < 2 * LAYERS;) {
        int h = done & 1; /* halves in turn: the schedule of the prediction for equal halves */

        while (atomic_load(&r->stage[h]) != 2 * (done / 2) + odd) {}
        if (odd) attend(r, HALF);
        else gemm(r, HALF);
        atomic_fetch_add(&r->stage[h], 1);
        done++;
    }
    return NULL;
}
static void *multiplies(void *ctx) { return worker(ctx, 0); }
static void *attends(void *ctx) { return worker(ctx, 1); }

static _Atomic int stop;
static void *noise(void *ctx)
{
    struct rig *r = ctx;

    while (!atomic_load(&stop)) {
        double t = pare_now();
        if (r->alternate) attend(r, HALF);
        else gemm(r, HALF);
        t = pare_now() - t;
        if (r->alternate) r->attend_s = least(r->attend_s, t);
        else r->gemm_s = least(r->gemm_s, t);
    }
    return NULL;
}

/* Each rate with the other part at work on the other thread. */
static void rates(struct rig *r)
{
    r->gemm_s = r->attend_s = 1e9;
    for (int k = 0; k < 2; k++) {
        pthread_t other;

        r->alternate = k == 0;
        atomic_store(&stop, 0);
        pthread_create(&other, NULL, noise, r);
        for (int i = 0; i < TRIES; i++) {
            double t = pare_now();

            if (k == 0) gemm(r, HALF);
            else attend(r, HALF);
            t = pare_now() - t;
            if (k == 0) r->gemm_s = least(r->gemm_s, t);
            else r->attend_s = least(r->attend_s, t);
        }
        atomic_store(&stop, 1);
        pthread_join(other, NULL);
    }
}

int main(void)
{
    static const uint64_t    shape[3][2] = { { 4 * D, D }, { 2 * FF, D }, { D, FF } };
    struct rig               r = { 0 };
    struct pare_job_settings js;
    struct pare_diag         d = { 0 };
    struct pare_pipe         p = { .layers = LAYERS, .parts = 2 }, one = { .layers = LAYERS, .parts = 1 };
    double                   best = 1e9, plain = 1e9;

    pare_job_settings_default(&js);
    js.n_threads = 1;
    if (pare_job_create(&r.job, &js, &d) < 0) return 1;
    r.x = pare_aligned(2 * HALF * FF * sizeof *r.x);
    r.y = pare_aligned(2 * HALF * 2 * FF * sizeof *r.y);
    r.kv = pare_aligned((uint64_t)2 * HALF * HEADS * CTX * DH * sizeof *r.kv);
    r.out = pare_aligned(DH * sizeof *r.out);
    r.s = pare_aligned(CTX * sizeof *r.s);
    r.scratch = pare_aligned(pare_linear_scratch(2 * HALF, FF, 1, false));
    memset(r.x, 0, 2 * HALF * FF * sizeof *r.x);
    memset(r.kv, 0, (uint64_t)2 * HALF * HEADS * CTX * DH * sizeof *r.kv);
    memset(r.out, 0, DH * sizeof *r.out);
    for (int k = 0; k < 3; k++) {
        uint64_t row;
        uint8_t *data;

        (void)pare_dtype_row_bytes(pare_dtype_by_name("q8_0"), shape[k][1], &row);
        data = pare_aligned(row * shape[k][0]);
        memset(data, 0, row * shape[k][0]);
        if (pare_linear_bind(&r.l[k], pare_dtype_by_name("q8_0"), data, row, shape[k][0], shape[k][1], PARE_ACT_INT8, r.job, &d) < 0) return 1;
        pare_aligned_free(data);
    }
    rates(&r);
    for (int i = 0; i < TRIES; i++) {
        pthread_t b;
        double    t;

        atomic_store(&r.stage[0], 0);
        atomic_store(&r.stage[1], 0);
        atomic_store(&r.ready, 0);
        pthread_create(&b, NULL, attends, &r);
        while (!atomic_load(&r.ready)) {} /* its start is not part of the step */
        t = pare_now();
        multiplies(&r);
        while (atomic_load(&r.stage[1]) != 2 * LAYERS) {}
        best = least(best, pare_now() - t);
        pthread_join(b, NULL);
        t = pare_now();
        for (int k = 0; k < LAYERS; k++) {
            gemm(&r, 2 * HALF);
            attend(&r, 2 * HALF);
        }
        plain = least(plain, pare_now() - t);
    }
    for (int i = 0; i < 2; i++) {
        p.gemm_s[i] = r.gemm_s;
        p.attend_s[i] = r.attend_s;
    }
    (void)one;
    printf("one half: gemm %.2f ms, attention %.2f ms\n", 1e3 * r.gemm_s, 1e3 * r.attend_s);
    printf("two halves alternating: predicted %.1f ms, measured %.1f ms, ratio %.3f; one thread, whole batch: %.1f ms\n", 1e3 * pare_pipe_predict(&p).seconds,
           1e3 * best, pare_pipe_predict(&p).seconds / best, 1e3 * plain);
    for (int k = 0; k < 3; k++) pare_linear_free(&r.l[k]);
    pare_aligned_free(r.x);
    pare_aligned_free(r.y);
    pare_aligned_free(r.kv);
    pare_aligned_free(r.out);
    pare_aligned_free(r.s);
    pare_aligned_free(r.scratch);
    pare_job_destroy(&r.job);
    return 0;
}
