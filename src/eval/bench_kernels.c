/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/bench_kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "nn/linear.h"

/* A matrix of TinyLlama's feed-forward width, in copies that together are larger than the caches. */
enum { ROWS = 5632, COLS = 2048, COPIES = 12, MANY = 256, ROUNDS = 5 };

/* Seconds of one product with n tokens, the least of all rounds. */
static double best_time(const struct pare_linear *l, uint32_t n, const float *x, float *y, void *scratch, struct pare_job *job)
{
    uint32_t copies = n == MANY ? 2 : COPIES;
    double   best = INFINITY;

    for (int round = 0; round < ROUNDS; round++) {
        double t = pare_now();

        for (uint32_t c = 0; c < copies; c++) {
            struct pare_linear_out out = { &l[c], y, ROWS };

            pare_linear_apply(&out, 1, x, COLS, n, scratch, job);
        }
        best = fmin(best, (pare_now() - t) / copies);
    }
    return best;
}

static void add(json_t *tests, const struct pare_dtype *type, uint32_t n, double seconds, double limit)
{
    char    name[64];
    json_t *o = json_object();

    snprintf(name, sizeof name, "%s x%u", type->name, n);
    json_object_set_new(o, "name", json_string(name));
    json_object_set_new(o, "tps", json_real(n / seconds));
    json_object_set_new(o, "sd", json_real(0));
    json_object_set_new(o, "limit_tps", json_real(limit));
    json_object_set_new(o, "fraction", json_real(n / seconds / limit));
    json_array_append_new(tests, o);
}

int pare_bench_kernels(json_t *tests, const struct pare_limits *limits, struct pare_job *job, struct pare_diag *diag)
{
    float   *x = pare_aligned((uint64_t)MANY * COLS * sizeof *x), *y = pare_aligned((uint64_t)MANY * ROWS * sizeof *y);
    void    *scratch = pare_aligned(pare_linear_scratch(MANY, COLS, pare_job_threads(job), false));
    int      rc = x == NULL || y == NULL || scratch == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint64_t i = 0; rc == PARE_OK && i < MANY * COLS; i++) x[i] = pare_rng_normal(3, PARE_RNG_SYNTH, i);
    for (int k = 0; k < PARE_TYPE_COUNT && rc == PARE_OK; k++) {
        const struct pare_dtype *type = pare_dtype_of((enum pare_type)k);
        struct pare_linear       l[COPIES];
        uint64_t                 row, bytes = 0;
        uint8_t                 *data;
        memset(l, 0, sizeof l);
        if (!(type->caps & PARE_DT_QUANT) || !pare_dtype_row_bytes(type, COLS, &row)) continue;
        data = pare_aligned(ROWS * row);
        if (data == NULL) rc = PARE_NOMEM(diag);
        for (uint32_t c = 0; c < COPIES && rc == PARE_OK; c++) {
            memset(data, 0, ROWS * row);
            rc = pare_linear_bind(&l[c], type, data, row, ROWS, COLS, PARE_ACT_INT8, job, diag);
            if (rc == PARE_OK) bytes = pare_packed_bytes(&l[c].part[0].packed);
        }
        for (int batch = 0; batch < 4 && rc == PARE_OK; batch++) {
            uint32_t n = (const uint32_t[]){ 1, 4, 8, MANY }[batch];
            double   best = best_time(l, n, x, y, scratch, job), memory = n * limits->read_bytes / (double)bytes;

            add(tests, type, n, best, fmin(memory, limits->int8_ops / (2.0 * ROWS * COLS)));
        }
        for (uint32_t c = 0; c < COPIES; c++) pare_linear_free(&l[c]);
        pare_aligned_free(data);
        if (rc == PARE_OK) rc = pare_job_check(job, diag);
    }
    pare_aligned_free(x);
    pare_aligned_free(y);
    pare_aligned_free(scratch);
    return rc;
}
