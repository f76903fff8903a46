/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/bench_sparse.c: time of sparse products beside the engine's own dense kernel of the same type, in turns in one process, over
 * matrices that together are larger than the caches. Not run by the tests.
 *     bench_sparse [threads] [tier] [row ...]     rows of the table below by number, default all
 * Each line: bytes against dense, then dense time / sparse time for 1, 2, 4 and 8 tokens (above 1: sparse is faster), then the density at
 * which both would take the same time for one token, by a line through the two nearest densities. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/sparse.h"
#include "kernel/vec.h"

#define ROWS 2048u
#define COLS 4096u
#define SET ((uint64_t)400 << 20) /* bytes that the sparse matrices have together, at least */
#define ROUNDS 2
#define MAX_N 8u

static const struct bench { const char *name; enum pare_sparse_kind kind; enum pare_type type, dense; int how; } table[] = {
    { "tiled f16", PARE_SPARSE_TILED, PARE_F16, PARE_F16, 1 },   { "mask f32", PARE_SPARSE_MASK, PARE_F32, PARE_F32, 1 },
    { "mask f16", PARE_SPARSE_MASK, PARE_F16, PARE_F16, 1 },     { "mask q8_0", PARE_SPARSE_MASK, PARE_Q8_0, PARE_Q8_0, 1 },
    { "2:4 q8_0", PARE_SPARSE_N24, PARE_Q8_0, PARE_Q8_0, 2 },    { "group int4", PARE_SPARSE_GROUP, PARE_Q4_0, PARE_Q4_0, 0 },
    { "group int4 / pq4", PARE_SPARSE_GROUP, PARE_Q4_0, PARE_PQ4, 0 }, { "wide f32", PARE_SPARSE_WIDE, PARE_F32, PARE_F32, 16 },
    { "wide f16", PARE_SPARSE_WIDE, PARE_F16, PARE_F16, 16 },
};

struct run {
    const struct pare_sparse_kernels *k;
    const struct pare_gemmq *g;
    const struct pare_vec *v;
    struct pare_sparse s;
    struct pare_packed p;
    enum pare_type type;
    uint8_t *sparse, *dense; /* copies, one after the other */
    uint64_t sparse_bytes, dense_bytes;
    uint32_t n_mat, n, per;
    float *x, *y;
    struct pare_qact a;
};

static void sparse_chunk(void *ctx, uint32_t c, uint32_t worker)
{
    struct run        *r = ctx;
    struct pare_sparse s = r->s;
    const uint32_t     chunks = (s.n_panels + r->per - 1) / r->per, p0 = c % chunks * r->per, p1 = p0 + r->per < s.n_panels ? p0 + r->per : s.n_panels;

    (void)worker;
    s.data = r->sparse + c / chunks * r->sparse_bytes;
    r->k->gemm[s.kind](r->y, ROWS, &s, r->x, COLS, &r->a, r->n, p0, p1);
}

static void dense_chunk(void *ctx, uint32_t c, uint32_t worker)
{
    struct run    *r = ctx;
    const uint32_t chunks = (ROWS / 16 + r->per - 1) / r->per, p0 = c % chunks * r->per, p1 = p0 + r->per < ROWS / 16 ? p0 + r->per : ROWS / 16;
    const uint8_t *at = r->dense + c / chunks * r->dense_bytes;

    (void)worker;
    if (r->type == PARE_F32) r->v->gemm_f32(r->y, ROWS, at, COLS * 4, r->x, COLS, COLS, p0 * 16, p1 * 16, r->n);
    else if (r->type == PARE_F16) r->v->gemm_f16(r->y, ROWS, at, COLS * 2, r->x, COLS, COLS, p0 * 16, p1 * 16, r->n);
    else {
        struct pare_packed p = r->p;
        p.data = (uint8_t *)at;
        r->g->gemm(r->y, ROWS, &p, &r->a, p0, p1, 0, r->n);
    }
}

/* Least seconds for one matrix of the set, which no cache holds any more when its turn comes: short pieces, of which the least disturbed
 * counts, because the machine is shared. */
static void pass(struct run *r, struct pare_team *team, pare_team_fn fn, double *best)
{
    uint8_t *sparse = r->sparse, *dense = r->dense;

    for (uint32_t i = 0; i < r->n_mat; i++) {
        double t;

        r->sparse = sparse + i * r->sparse_bytes;
        r->dense = dense + i * r->dense_bytes;
        t = pare_now();
        pare_team_run(team, (ROWS / 16 + r->per - 1) / r->per, fn, r);
        t = pare_now() - t;
        if (t < *best) *best = t;
    }
    r->sparse = sparse;
    r->dense = dense;
}

static int make_sparse(struct run *r, const struct bench *b, double density, const float *w)
{
    struct pare_diag diag = { 0 };
    const uint64_t   words = COLS / 64, n = COLS / 16;
    uint64_t        *keep = pare_zalloc(ROWS * words, 8);
    int              rc;

    if (b->kind == PARE_SPARSE_GROUP) {
        uint16_t *d = pare_alloc_array(ROWS, 2);
        uint8_t  *bytes = pare_malloc(ROWS * (n * 3 + COLS));
        uint16_t *scale = pare_alloc_array(ROWS * n, 2);
        struct pare_group4 g = { ROWS, COLS, d, scale, bytes + ROWS * n, bytes + ROWS * n * 3, bytes + ROWS * n * 2 };

        for (uint64_t i = 0; i < ROWS; i++) d[i] = 0x2000;
        for (uint64_t i = 0; i < ROWS * n; i++) {
            scale[i] = (uint16_t)(i * 7 % 4096);
            bytes[ROWS * n + i] = (uint8_t)(i % 16);
            bytes[ROWS * n * 2 + i] = pare_rng_f64(3, PARE_RNG_TEST, i) < density;
        }
        for (uint64_t i = 0; i < ROWS * COLS; i++) bytes[ROWS * n * 3 + i] = (uint8_t)(i * 11 % 16);
        rc = pare_sparse_make_group(&r->s, &g, &diag);
        pare_free(d);
        pare_free(scale);
        pare_free(bytes);
    } else {
        for (uint64_t i = 0; i < ROWS; i++)
            for (uint64_t c = 0; c < COLS; c++)
                if (b->how == 2 ? c % 4 == i % 4 || c % 4 == (i + 1) % 4 : pare_rng_f64(3, PARE_RNG_TEST, (b->how == 16 ? i / 16 : i) * COLS + c) < density)
                    keep[i * words + c / 64] |= (uint64_t)1 << (c % 64);
        rc = pare_sparse_make(&r->s, b->kind, b->type, w, ROWS, COLS, keep, words, &diag);
    }
    pare_free(keep);
    if (rc < 0) fprintf(stderr, "%s\n", diag.text);
    return rc;
}

static void fill_dense(struct run *r, const struct pare_dtype *t, const float *w)
{
    uint64_t stride = COLS * (r->type == PARE_F32 ? 4 : 2);
    uint8_t *line;
    void    *scratch;

    for (uint64_t i = 0; r->type == PARE_F32 && i < ROWS; i++) memcpy(r->dense + i * stride, w + i * COLS, stride);
    for (uint64_t i = 0; r->type == PARE_F16 && i < (uint64_t)ROWS * COLS; i++) ((uint16_t *)(void *)r->dense)[i] = pare_f32_to_f16(w[i]);
    if (r->type == PARE_F32 || r->type == PARE_F16) return;
    pare_dtype_row_bytes(t, COLS, &stride);
    line = pare_malloc(16 * stride);
    scratch = pare_malloc(pare_pack_scratch(t, COLS));
    for (uint32_t i = 0; i < 16; i++) t->encode(line + i * stride, w + i * COLS, COLS, NULL);
    r->p.data = r->dense;
    for (uint32_t p = 0; p < r->p.n_panels; p++) pare_pack_panel(&r->p, p, line, stride, 16, scratch);
    pare_free(line);
    pare_free(scratch);
}

/* Ratios for 1, 2, 4, 8 tokens. */
static void measure(const struct bench *b, double density, struct pare_team *team, int tier, const float *w, float *x, double ratio[4])
{
    const struct pare_dtype *t = pare_dtype_of(b->dense);
    struct run r = { .k = pare_sparse_for(tier), .g = pare_gemmq_for(tier), .v = pare_vec_for(tier), .type = b->dense, .per = 4, .x = x };
    void      *mem = pare_aligned(pare_qact_bytes(MAX_N, COLS));

    if (make_sparse(&r, b, density, w) < 0) return;
    r.y = pare_alloc_array(MAX_N * ROWS, sizeof(float));
    r.sparse_bytes = r.s.at[r.s.n_panels];
    if (!pare_packed_shape(&r.p, t, ROWS, COLS)) r.dense_bytes = (uint64_t)ROWS * COLS * (b->dense == PARE_F32 ? 4 : 2);
    else r.dense_bytes = pare_packed_bytes(&r.p);
    r.n_mat = (uint32_t)(SET / r.sparse_bytes + 1);
    r.sparse = pare_aligned(r.sparse_bytes * r.n_mat + 64);
    r.dense = pare_aligned(r.dense_bytes * r.n_mat + 64);
    fill_dense(&r, t, w);
    memcpy(r.sparse, r.s.data, r.sparse_bytes);
    for (uint32_t i = 1; i < r.n_mat; i++) {
        memcpy(r.sparse + i * r.sparse_bytes, r.sparse, r.sparse_bytes);
        memcpy(r.dense + i * r.dense_bytes, r.dense, r.dense_bytes);
    }
    for (int k = 0; k < 4; k++) {
        double sparse = 1e9, dense = 1e9;

        r.n = 1u << k;
        pare_qact_init(&r.a, mem, r.n, COLS);
        r.g->quantize(&r.a, x, COLS, 0, r.n);
        for (int i = 0; i < ROUNDS; i++) {
            pass(&r, team, dense_chunk, &dense);
            pass(&r, team, sparse_chunk, &sparse);
        }
        ratio[k] = dense / sparse;
        if (k == 0)
            printf("%-17s %4.2f  bytes %.3f of dense | dense %5.1f GB/s, sparse %5.1f GB/s | x", b->name, density, (double)r.sparse_bytes / (double)r.dense_bytes,
                   (double)r.dense_bytes / dense / 1e9, (double)r.sparse_bytes / sparse / 1e9);
        printf(" %.2f", ratio[k]);
    }
    printf("\n");
    fflush(stdout);
    pare_sparse_free(&r.s);
    pare_free(r.y);
    pare_aligned_free(mem);
    pare_aligned_free(r.sparse);
    pare_aligned_free(r.dense);
}

/* Rows from nearly empty to full: parts with the same number of groups against parts with the same number of rows. */
static void uneven(struct pare_team *team, int tier, const float *x)
{
    const uint64_t n = COLS / 16;
    uint16_t *d = pare_alloc_array(ROWS, 2), *scale = pare_zalloc(ROWS * n, 2);
    uint8_t  *bytes = pare_malloc(ROWS * (n * 3 + COLS));
    struct pare_group4 g = { ROWS, COLS, d, scale, bytes + ROWS * n, bytes + ROWS * n * 3, bytes + ROWS * n * 2 };
    struct pare_diag diag = { 0 };
    struct run r = { .k = pare_sparse_for(tier), .per = 1, .x = (float *)x, .n = 1 };
    void *mem = pare_aligned(pare_qact_bytes(1, COLS));
    uint32_t bound[65], parts = pare_team_size(team);
    double best[2] = { 1e9, 1e9 };

    memset(bytes, 3, ROWS * (n * 3 + COLS));
    for (uint64_t i = 0; i < ROWS; i++) d[i] = 0x2000;
    for (uint64_t i = 0; i < ROWS * n; i++) bytes[ROWS * n * 2 + i] = pare_rng_f64(3, PARE_RNG_TEST, i) * ROWS < (double)(i / n);
    if (pare_sparse_make_group(&r.s, &g, &diag) < 0) return;
    r.y = pare_alloc_array(ROWS, sizeof(float));
    pare_qact_init(&r.a, mem, 1, COLS);
    pare_gemmq_for(tier)->quantize(&r.a, x, COLS, 0, 1);
    for (int round = 0; round < 60; round++)
        for (int how = 0; how < 2; how++) {
            double s;

            if (how == 0) pare_sparse_split(&r.s, parts, bound);
            else
                for (uint32_t i = 0; i <= parts; i++) bound[i] = r.s.n_panels * i / parts;
            s = 0;
            for (uint32_t i = 0; i < parts; i++) { /* each part alone: the slowest is what a team waits for; the machine is shared */
                double t = pare_now();
                r.k->gemm[PARE_SPARSE_GROUP](r.y, ROWS, &r.s, NULL, 0, &r.a, 1, bound[i], bound[i + 1]);
                t = pare_now() - t;
                if (t > s) s = t;
            }
            if (s < best[how]) best[how] = s;
        }
    pare_sparse_split(&r.s, parts, bound);
    printf("uneven rows, %u parts: the longest part takes %.0f us by equal groups, %.0f us by equal rows; loads differ by %.1f %%\n", parts, best[0] * 1e6, best[1] * 1e6,
           100.0 * (double)(r.s.at[bound[1]] - r.s.at[bound[0]]) * parts / (double)r.s.at[r.s.n_panels] - 100.0);
    pare_sparse_free(&r.s);
    pare_free(r.y);
    pare_free(d);
    pare_free(scale);
    pare_free(bytes);
    pare_aligned_free(mem);
}

int main(int argc, char **argv)
{
    static const double densities[] = { 0.2, 0.25, 0.5, 0.7 };
    struct pare_team *team = pare_team_create(argc > 1 ? (uint32_t)atoi(argv[1]) : 1);
    const int tier = argc > 2 ? atoi(argv[2]) : 3;
    float *w = pare_alloc_array((uint64_t)ROWS * COLS, sizeof(float)), *x = pare_alloc_array(MAX_N * COLS, sizeof(float));

    for (uint64_t i = 0; i < (uint64_t)ROWS * COLS; i++) w[i] = pare_rng_normal(1, PARE_RNG_TEST, i);
    for (uint64_t i = 0; i < MAX_N * COLS; i++) x[i] = pare_rng_normal(2, PARE_RNG_TEST, i);
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        bool   wanted = argc < 4;
        double last[4] = { 0 }, even = 0;

        for (int k = 3; k < argc; k++) wanted = wanted || atoi(argv[k]) == (int)i;
        for (unsigned k = 0; wanted && k < sizeof densities / sizeof *densities; k++) {
            double ratio[4] = { 0 };

            if (table[i].how == 2 && densities[k] != 0.5) continue;
            measure(&table[i], densities[k], team, tier, w, x, ratio);
            /* 1 / ratio is nearly a line in the density */
            if (last[0] != 0 && (even == 0 || ratio[0] >= 1) && last[0] != ratio[0])
                even = densities[k - 1] + (densities[k] - densities[k - 1]) * (1 - 1 / last[0]) / (1 / ratio[0] - 1 / last[0]);
            memcpy(last, ratio, sizeof last);
        }
        if (even != 0) printf("%-17s the same time as dense at density %.2f\n", table[i].name, even);
    }
    uneven(team, tier, x);
    pare_free(w);
    pare_free(x);
    pare_team_destroy(&team);
    return 0;
}
