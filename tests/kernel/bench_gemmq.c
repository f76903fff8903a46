/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/bench_gemmq.c: speed of the quantized products beside the limits of the machine, measured in the same process
 * and in turns. Not run by the tests.
 *     bench_gemmq [tier] [threads] [rows] [cols] [type ...]
 * Decode: the matrices together are larger than the caches; each is read once a pass by one token. Prefill: 512 tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/gemmq.h"

struct work {
    const struct pare_gemmq *g;
    struct pare_packed *w;
    struct pare_qact a;
    float *y;
    uint32_t n, per, chunks; /* tokens, panels a chunk, chunks a matrix */
};

static void chunk(void *ctx, uint32_t c, uint32_t worker)
{
    struct work *k = ctx;
    struct pare_packed *w = &k->w[c / k->chunks];
    uint32_t p0 = c % k->chunks * k->per, p1 = p0 + k->per < w->n_panels ? p0 + k->per : w->n_panels;

    (void)worker;
    k->g->gemm(k->y, w->rows, w, &k->a, p0, p1, 0, k->n);
}

/* Seconds for one pass over n_mat matrices. */
static double pass(struct work *k, struct pare_team *team, uint32_t n_mat, uint32_t n, uint32_t per)
{
    double t;

    k->n = n;
    k->per = per;
    k->chunks = (k->w->n_panels + per - 1) / per;
    t = pare_now();
    pare_team_run(team, k->chunks * n_mat, chunk, k);
    return pare_now() - t;
}

static void bench(const struct pare_dtype *t, int tier, struct pare_team *team, uint64_t rows, uint64_t cols)
{
    enum { TOKENS = 512 };
    struct pare_packed w[64];
    struct pare_limits lim = { 0 }, top = { 0 };
    struct work k = { .g = pare_gemmq_for(tier), .w = w };
    uint32_t n_mat = 0, ns[] = { 1, 2, 3, 4, 6, 8, 16, 32 };
    uint64_t stride, bytes;
    uint8_t *enc, *data;
    double best[8], decode = 1e9, prefill = 1e9;
    void *scratch = pare_malloc(pare_pack_scratch(t, cols)), *mem = pare_aligned(pare_qact_bytes(TOKENS, cols));
    float *x = pare_alloc_array(TOKENS * cols, sizeof(float));

    if (!pare_packed_shape(&w[0], t, rows, cols) || !pare_dtype_row_bytes(t, cols, &stride)) return;
    bytes = pare_packed_bytes(&w[0]);
    while (n_mat < 64 && n_mat * bytes < (uint64_t)400 << 20) n_mat++;
    data = pare_aligned(bytes * n_mat);
    enc = pare_malloc(16 * stride);
    for (uint64_t i = 0; i < 16 * stride; i++) enc[i] = (uint8_t)(pare_rng_u64(1, PARE_RNG_TEST, i) & 0x3b);
    double tp = pare_now();
    for (uint32_t m = 0; m < n_mat; m++) {
        w[m] = w[0];
        w[m].data = data + m * bytes;
        for (uint32_t p = 0; p < w[m].n_panels; p++)
            if (m == 0) pare_pack_panel(&w[m], p, enc, stride, 16, scratch);
        if (m == 0) tp = pare_now() - tp;
        else memcpy(w[m].data, w[0].data, bytes);
    }
    for (uint64_t i = 0; i < TOKENS * cols; i++) x[i] = pare_rng_normal(2, PARE_RNG_TEST, i);
    k.y = pare_alloc_array(TOKENS * rows, sizeof(float));
    pare_qact_init(&k.a, mem, TOKENS, cols);
    double tq = pare_now();
    k.g->quantize(&k.a, x, cols, 0, TOKENS);
    tq = pare_now() - tq;
    for (int i = 0; i < 8; i++) best[i] = 1e9;
    for (int round = 0; round < 4; round++) {
        double s;

        pare_measure_limits(&lim, team, tier, 0.6);
        if (lim.int8_ops > top.int8_ops) top.int8_ops = lim.int8_ops;
        if (lim.read_bytes > top.read_bytes) top.read_bytes = lim.read_bytes;
        for (int i = 0; i < 3; i++)
            if ((s = pass(&k, team, n_mat, 1, 8)) < decode) decode = s;
        for (int i = 0; i < 8; i++)
            if ((s = pass(&k, team, n_mat, ns[i], 8)) < best[i]) best[i] = s;
        for (int i = 0; i < 3; i++)
            if ((s = pass(&k, team, 1, TOKENS, 8)) < prefill) prefill = s;
    }
    if (decode < best[0]) best[0] = decode;
    printf("%-8s %5.2f bpw  decode %5.1f GB/s %3.0f%% of %5.1f | prefill %6.0f Gop/s %3.0f%% of %6.0f | n=", t->name,
           (double)bytes * 8 / (double)(rows * cols), (double)(bytes * n_mat) / best[0] / 1e9, (double)(bytes * n_mat) / best[0] / top.read_bytes * 100,
           top.read_bytes / 1e9, 2.0 * (double)(rows * cols) * TOKENS / prefill / 1e9, 200.0 * (double)(rows * cols) * TOKENS / prefill / top.int8_ops, top.int8_ops / 1e9);
    for (int i = 1; i < 8; i++) printf("%u:%.2f ", ns[i], best[i] / best[0]);
    printf("| pack %.2f ns/w, quantize %.2f ns/x\n", tp * 1e9 / (double)(rows * cols), tq * 1e9 / (double)(TOKENS * cols));
    fflush(stdout);
    pare_free(x);
    pare_free(scratch);
    pare_free(enc);
    pare_free(k.y);
    pare_aligned_free(mem);
    pare_aligned_free(data);
}

int main(int argc, char **argv)
{
    static const char *const all[] = { "q8_0", "q4_0", "q4_k", "q6_k", "iq4_xs", "q2_k", "q3_k", "q5_k", "pq2", "pq3", "pq4", "pq5", "pq6" };
    int tier = argc > 1 ? atoi(argv[1]) : 3;
    struct pare_team *team = pare_team_create(argc > 2 ? (uint32_t)atoi(argv[2]) : 2);
    uint64_t rows = argc > 3 ? strtoull(argv[3], NULL, 10) : 5632, cols = argc > 4 ? strtoull(argv[4], NULL, 10) : 2048;

    if (argc > 5)
        for (int i = 5; i < argc; i++) bench(pare_dtype_by_name(argv[i]), tier, team, rows, cols);
    else
        for (unsigned i = 0; i < sizeof all / sizeof *all; i++) bench(pare_dtype_by_name(all[i]), tier, team, rows, cols);
    pare_team_destroy(&team);
    return 0;
}
