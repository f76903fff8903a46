/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/bench_planes.c: time of products with bit planes (popcount, tables of bytes, tables of floats) beside the engine's packed
 * int8 kernel and its f32 reference (rows decoded, then multiplied), one token, one thread. Not run by the tests.
 *     bench_planes [tier] [rows] [cols] [part of a name]
 * Matrices of one kind together are larger than the caches (200 MB) and are read once a round, all kernels in turns. Each matrix is timed
 * alone and the lower decile of all is printed, so that neighbours on the machine, who take milliseconds now and then, hardly count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/gemmq.h"
#include "kernel/planes.h"
#include "kernel/vec.h"

#define TOTAL ((uint64_t)200 << 20)
#define ROUNDS 7
#define DECODED 32 /* the f32 path is slow: this part of its rows is timed */

static uint64_t rows = 5632, cols = 2048;
static int tier = 3;
static float *x, *y;

/* A kernel and its n matrices. */
struct subject {
    char name[40];
    void (*prepare)(struct subject *s);    /* activations, once a round */
    void (*one)(struct subject *s, uint32_t i);
    uint64_t bytes;                        /* of one matrix */
    uint32_t n, abits, n_times;
    double *time, typical, first;          /* of each matrix in each round; first: prepare */
    struct pare_planes w;
    struct pare_plane_scales sc;
    struct pare_plane_acts a;
    struct pare_plane_tables t;
    struct pare_plane_ftables f;
    float *d;
    int16_t *q;
    struct pare_packed packed;
    struct pare_qact qa;
    const struct pare_dtype *type;
    uint8_t *data;
    void *mem;
};

static void prepare_popcount(struct subject *s) { pare_plane_acts_set(&s->a, s->mem, &s->w, s->q, 1, s->abits, s->w.kind); }
static void prepare_lookup(struct subject *s) { pare_plane_tables_set(&s->t, s->mem, &s->w, s->q, 1); }
static void prepare_flookup(struct subject *s) { pare_plane_ftables_set(&s->f, s->mem, &s->w, x, pare_plane_ops_for(tier)); }
static void prepare_packed(struct subject *s) { pare_gemmq_for(tier)->quantize(&s->qa, x, cols, 0, 1); }
static void prepare_nothing(struct subject *s) { (void)s; }

static void one_popcount(struct subject *s, uint32_t i)
{
    s->w.data = s->data + i * s->bytes;
    pare_planes_popcount(pare_plane_ops_for(tier), y, rows, &s->w, &s->sc, &s->a, s->d, 0, s->w.n_panels);
}
static void one_lookup(struct subject *s, uint32_t i)
{
    s->w.data = s->data + i * s->bytes;
    pare_planes_lookup(pare_plane_ops_for(tier), y, rows, &s->w, &s->sc, &s->t, s->d, 0, s->w.n_panels);
}
static void one_flookup(struct subject *s, uint32_t i)
{
    s->w.data = s->data + i * s->bytes;
    pare_planes_flookup(pare_plane_ops_for(tier), y, &s->w, &s->sc, &s->f, 0, s->w.n_panels);
}
static void one_packed(struct subject *s, uint32_t i)
{
    s->packed.data = s->data + i * s->bytes;
    pare_gemmq_for(tier)->gemm(y, rows, &s->packed, &s->qa, 0, s->packed.n_panels, 0, 1);
}
static void one_decoded(struct subject *s, uint32_t i)
{
    uint64_t stride = s->bytes / rows;
    float *line = s->mem;

    for (uint64_t r = 0; r < rows / DECODED; r++) {
        s->type->decode(line, s->data + i * s->bytes + r * stride, cols);
        y[r] = pare_vec_for(tier)->dot(line, x, cols);
    }
}

static void data_of(struct subject *s)
{
    s->n = (uint32_t)(TOTAL / s->bytes) + 1;
    s->data = pare_aligned(s->bytes * s->n);
    for (uint64_t i = 0; i < s->bytes * s->n; i += 8) {
        uint64_t v = pare_rng_u64(1, PARE_RNG_TEST, i) & 0x3b3b3b3b3b3b3b3bu; /* no f16 of these is infinite */

        memcpy(s->data + i, &v, 8);
    }
    s->time = pare_alloc_array((uint64_t)s->n * ROUNDS, sizeof *s->time);
}

static void planes(struct subject *s, const char *how, uint32_t bits, uint32_t abits, enum pare_plane_kind kind)
{
    uint64_t ns;
    float *f;
    int32_t lo, hi;

    *s = (struct subject){ .abits = abits };
    s->prepare = *how == 'p' ? prepare_popcount : *how == 'l' ? prepare_lookup : prepare_flookup;
    s->one = *how == 'p' ? one_popcount : *how == 'l' ? one_lookup : one_flookup;
    if (*how == 'f') snprintf(s->name, sizeof s->name, "float table W%u A32", bits);
    else snprintf(s->name, sizeof s->name, "%s W%u A%u%s", *how == 'p' ? "popcount" : "byte table", bits, abits, kind == PARE_PLANE_BIPOLAR ? " bipolar" : "");
    if (pare_planes_shape(&s->w, (uint32_t)rows, (uint32_t)cols, 128, bits, kind, NULL) != PARE_OK) exit(1);
    s->bytes = pare_planes_bytes(&s->w);
    ns = pare_plane_scales_count(&s->w);
    f = pare_alloc_array(ns * bits, sizeof *f);
    for (uint64_t i = 0; i < ns * bits; i++) f[i] = 0.01f;
    s->sc = (struct pare_plane_scales){ .scale = f, .alpha = f };
    s->d = f;
    s->q = pare_alloc_array(cols, sizeof *s->q);
    pare_plane_range(kind, abits, &lo, &hi);
    for (uint64_t i = 0; i < cols; i++) s->q[i] = (int16_t)(lo + 1 + 2 * (int32_t)(pare_rng_u64(2, PARE_RNG_TEST, i) % (uint32_t)((hi - lo + 1) / 2)) - (kind == PARE_PLANE_BIPOLAR));
    s->mem = pare_aligned(*how == 'p' ? pare_plane_acts_bytes(&s->w, 1) : *how == 'l' ? pare_plane_tables_bytes(&s->w, 1) : pare_plane_ftables_bytes(&s->w));
    data_of(s);
}

static void engine(struct subject *s, const char *type, bool packed)
{
    uint64_t stride;

    *s = (struct subject){ .type = pare_dtype_by_name(type), .prepare = packed ? prepare_packed : prepare_nothing,
                            .one = packed ? one_packed : one_decoded };
    snprintf(s->name, sizeof s->name, packed ? "engine %s A8" : "decode %s, f32", type);
    if (!pare_packed_shape(&s->packed, s->type, rows, cols) || !pare_dtype_row_bytes(s->type, cols, &stride)) exit(1);
    s->bytes = packed ? pare_packed_bytes(&s->packed) : stride * rows;
    s->mem = pare_aligned(pare_qact_bytes(1, cols) + cols * sizeof(float));
    if (packed) pare_qact_init(&s->qa, s->mem, 1, cols);
    data_of(s);
}

static int by_time(const void *a, const void *b)
{
    double x0 = *(const double *)a, x1 = *(const double *)b;

    return x0 < x1 ? -1 : x0 > x1;
}

static const struct subject *named(const struct subject *s, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(s[i].name, name) == 0) return &s[i];
    return s;
}

/* For each width of weights: which is fastest, and what each takes of the engine's time at the same width (its least is 2 bits). */
static void crossover(const struct subject *s, uint32_t n)
{
    static const char *const engine_of[] = { "engine pq2 A8", "engine pq2 A8", "engine pq3 A8", "engine q4_0 A8" };
    static const char *const decode_of[] = { "decode pq2, f32", "decode pq2, f32", "decode pq3, f32", "decode q4_0, f32" };

    for (int b = 1; b <= 4; b++) {
        double e = named(s, n, engine_of[b - 1])->typical;
        char name[5][40];
        double t[5];

        snprintf(name[0], 40, "popcount W%d A1 bipolar", b);
        snprintf(name[1], 40, "popcount W%d A8", b);
        snprintf(name[2], 40, "byte table W%d A8", b);
        snprintf(name[3], 40, "float table W%d A32", b);
        for (int k = 0; k < 4; k++) t[k] = named(s, n, name[k])->typical;
        printf("W%d: of the engine's time (%s): popcount A1 %.2f, popcount A8 %.2f, byte table A8 %.2f, float table %.2f; float table %.2f of decoding to f32\n",
               b, engine_of[b - 1], t[0] / e, t[1] / e, t[2] / e, t[3] / e, t[3] / named(s, n, decode_of[b - 1])->typical);
    }
    printf("W2A2: popcount %.2f, byte table %.2f of the engine's W2A8, %.2f and %.2f of its W8A8\n", named(s, n, "popcount W2 A2 bipolar")->typical / named(s, n, "engine pq2 A8")->typical,
           named(s, n, "byte table W2 A2 bipolar")->typical / named(s, n, "engine pq2 A8")->typical,
           named(s, n, "popcount W2 A2 bipolar")->typical / named(s, n, "engine q8_0 A8")->typical, named(s, n, "byte table W2 A2 bipolar")->typical / named(s, n, "engine q8_0 A8")->typical);
}

int main(int argc, char **argv)
{
    struct subject s[32];
    uint32_t n = 0;

    if (argc > 1) tier = atoi(argv[1]);
    if (argc > 2) rows = strtoull(argv[2], NULL, 10);
    if (argc > 3) cols = strtoull(argv[3], NULL, 10);
    x = pare_alloc_array(cols, sizeof *x);
    y = pare_alloc_array(rows, sizeof *y);
    for (uint64_t i = 0; i < cols; i++) x[i] = pare_rng_normal(3, PARE_RNG_TEST, i);
    for (uint32_t b = 1; b <= 4; b++) planes(&s[n++], "popcount", b, 1, PARE_PLANE_BIPOLAR);
    planes(&s[n++], "popcount", 2, 2, PARE_PLANE_BIPOLAR);
    for (uint32_t b = 1; b <= 4; b++) planes(&s[n++], "popcount", b, 8, PARE_PLANE_SIGNED);
    planes(&s[n++], "popcount", 6, 6, PARE_PLANE_SIGNED);
    for (uint32_t b = 1; b <= 4; b++) planes(&s[n++], "lookup", b, 8, PARE_PLANE_SIGNED);
    planes(&s[n++], "lookup", 2, 2, PARE_PLANE_BIPOLAR);
    for (uint32_t b = 1; b <= 4; b++) planes(&s[n++], "flookup", b, 8, PARE_PLANE_UNSIGNED);
    engine(&s[n++], "pq2", true);
    engine(&s[n++], "pq3", true);
    engine(&s[n++], "q4_0", true);
    engine(&s[n++], "q8_0", true);
    engine(&s[n++], "pq2", false);
    engine(&s[n++], "pq3", false);
    engine(&s[n++], "q4_0", false);
    engine(&s[n++], "q8_0", false);
    for (int round = 0; round < ROUNDS; round++)
        for (uint32_t i = 0; i < n; i++) {
            double t = pare_now();

            if (argc > 4 && strstr(s[i].name, argv[4]) == NULL) continue;
            s[i].prepare(&s[i]);
            t = pare_now() - t;
            if (round == 0 || t < s[i].first) s[i].first = t;
            for (uint32_t m = 0; m < s[i].n; m++) {
                t = pare_now();
                s[i].one(&s[i], m);
                s[i].time[s[i].n_times++] = (pare_now() - t) * (s[i].one == one_decoded ? DECODED : 1);
            }
        }
    printf("%llu x %llu, tier %s, one thread, one token\n", (unsigned long long)rows, (unsigned long long)cols, pare_tier_name(tier));
    for (uint32_t i = 0; i < n; i++) {
        if (s[i].n_times == 0) continue;
        qsort(s[i].time, s[i].n_times, sizeof *s[i].time, by_time);
        s[i].typical = s[i].time[s[i].n_times / 10];
        printf("%-24s %8.1f us  %6.1f weights/ns  %5.1f GB/s  (activations %.1f us a token)\n", s[i].name, s[i].typical * 1e6,
               (double)(rows * cols) / s[i].typical * 1e-9, (double)s[i].bytes / s[i].typical * 1e-9, s[i].first * 1e6);
    }
    if (argc <= 4) crossover(s, n);
    return 0;
}
