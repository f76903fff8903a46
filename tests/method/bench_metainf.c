/* SPDX-License-Identifier: Apache-2.0
 * tests/method/bench_metainf.c: a log of measured runs (shapes x types x batches, one layer's matrices, one thread, processor time), and
 * how well methods are chosen from it with the model left out. Not run by the tests.
 *     bench_metainf [FILE]     writes the log as JSON lines */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "compress/metainf.h"
#include "nn/linear.h"

static double cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of the seven matrices of a layer for n vectors: the least of a few rounds over copies that no cache holds together. */
static double layer_seconds(const struct pare_dtype *type, uint64_t d, uint64_t ff, uint32_t n, struct pare_job *job)
{
    uint64_t             shape[3][2] = { { 4 * d, d }, { 2 * ff, d }, { d, ff } }, wide = ff > d ? ff : d;
    struct pare_diag     diag = { 0 };
    float               *x = pare_aligned(n * wide * sizeof *x), *y = pare_aligned((uint64_t)n * (4 * d > 2 * ff ? 4 * d : 2 * ff) * sizeof *y);
    void                *scratch = pare_aligned(pare_linear_scratch(n, wide, 1, false));
    double               sum = 0;

    for (uint64_t i = 0; i < n * wide; i++) x[i] = pare_rng_normal(1, PARE_RNG_SYNTH, i);
    for (int k = 0; k < 3; k++) {
        uint64_t           row, bytes;
        uint32_t           copies;
        struct pare_linear l[24] = { { 0 } };
        uint8_t           *data;
        double             best = 1e9;

        if (!pare_dtype_row_bytes(type, shape[k][1], &row)) exit(1);
        bytes = row * shape[k][0];
        copies = (uint32_t)((10u << 20) / bytes) + 1;
        if (copies > 24) copies = 24;
        data = pare_aligned(bytes);
        memset(data, 0, bytes);
        for (uint32_t c = 0; c < copies; c++)
            if (pare_linear_bind(&l[c], type, data, row, shape[k][0], shape[k][1], PARE_ACT_INT8, job, &diag) < 0) exit(1);
        for (int round = 0; round < 3; round++) {
            double t = cpu_now();

            for (uint32_t c = 0; c < copies; c++) {
                struct pare_linear_out o = { &l[c], y, shape[k][0] };
                pare_linear_apply(&o, 1, x, shape[k][1], n, scratch, job);
            }
            t = (cpu_now() - t) / copies;
            if (t < best) best = t;
        }
        sum += best;
        for (uint32_t c = 0; c < copies; c++) pare_linear_free(&l[c]);
        pare_aligned_free(data);
    }
    pare_aligned_free(x);
    pare_aligned_free(y);
    pare_aligned_free(scratch);
    return sum;
}

int main(int argc, char **argv)
{
    static const struct { const char *name; uint64_t d, ff; uint32_t layers; } models[] = {
        { "a", 256, 768, 6 }, { "b", 256, 1024, 12 }, { "c", 512, 1536, 8 }, { "d", 512, 2048, 16 }, { "e", 768, 2048, 12 }, { "f", 768, 3072, 24 }, { "g", 1024, 2816, 20 }, { "h", 512, 1792, 28 },
    };
    static const struct { const char *type; double loss; } methods[] = { /* mean divergence of the demo model in that type (pare compare) */
        { "q8_0", 0.0005 }, { "q6_k", 0.003 }, { "q5_k", 0.011 }, { "q4_k", 0.045 }, { "q3_k", 0.257 },
    };
    static const uint32_t    batch[] = { 1, 2, 4, 8, 16, 48 };
    struct pare_job_settings js;
    struct pare_job         *job;
    struct pare_meta_log     log = { 0 };
    struct pare_meta_score   s;
    struct pare_diag         d = { 0 };

    pare_job_settings_default(&js);
    js.n_threads = 1;
    if (pare_job_create(&job, &js, &d) < 0) return 1;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++)
        for (size_t k = 0; k < sizeof methods / sizeof *methods; k++)
            for (size_t b = 0; b < sizeof batch / sizeof *batch; b++) {
                struct pare_meta_run r = { .feature = { (double)models[m].d, (double)models[m].ff, models[m].layers, batch[b], 128, 1 }, .quality = methods[k].loss };

                r.seconds = models[m].layers * layer_seconds(pare_dtype_by_name(methods[k].type), models[m].d, models[m].ff, batch[b], job);
                snprintf(r.model, sizeof r.model, "%s", models[m].name);
                snprintf(r.machine, sizeof r.machine, "this");
                snprintf(r.method, sizeof r.method, "%s", methods[k].type);
                if (pare_meta_add(&log, &r, &d) < 0) return 1;
            }
    for (int k = 0; k < 2; k++) {
        if (pare_meta_evaluate(&log, k == 0 ? 0.3 : 0.02, &s, &d) < 0) return fprintf(stderr, "%s\n", d.text), 1;
        printf("%u runs, loss at most %.2f: %u workloads, chosen %.3f of the best, %.0f %% within 10 %%; always %s: %.3f\n", log.n, k == 0 ? 0.3 : 0.02, s.workloads,
               s.mean_ratio, 100 * s.within, s.fixed, s.fixed_ratio);
    }
    if (argc > 1) {
        char *text = pare_meta_write(&log);
        FILE *f = fopen(argv[1], "w");

        if (text == NULL || f == NULL) return 1;
        fputs(text, f);
        fclose(f);
        pare_free(text);
    }
    pare_meta_free(&log);
    pare_job_destroy(&job);
    return 0;
}
