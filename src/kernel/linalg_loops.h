/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_loops.h: the inner loops, written once with vectors of VL doubles and compiled for each tier; ROWS x VECS vectors
 * of a tile are in registers at a time. lint: included in the middle of a file that defines NAME, VL, ROWS and VECS. */
#include "kernel/linalg_tiers.h"

#include <string.h>

typedef double vec __attribute__((vector_size(8 * VL)));
#define NV (PARE_STRIP / VL) /* vectors of a strip */
#define V static inline __attribute__((always_inline))

V void load(vec *v, const double *p) { memcpy(v, p, sizeof *v); }
V void store(double *p, const vec *v) { memcpy(p, v, sizeof *v); }

/* ROWS rows, VECS vectors of columns. The accumulators must be indexed by constants only, or they would live in memory. */
V void part(double *c, int64_t ldc, const double *a, const double *b, uint64_t n)
{
    vec acc[ROWS][VECS];

#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
        for (int j = 0; j < VECS; j++) load(&acc[i][j], c + i * ldc + j * VL);
    for (uint64_t k = 0; k < n; k++, a += PARE_MROWS, b += PARE_STRIP) {
        vec bv[VECS];

#pragma GCC unroll 8
        for (int j = 0; j < VECS; j++) load(&bv[j], b + j * VL);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECS; j++) acc[i][j] -= a[i] * bv[j];
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
        for (int j = 0; j < VECS; j++) store(c + i * ldc + j * VL, &acc[i][j]);
}

static void tile(double *c, int64_t ldc, const double *a, const double *b, uint64_t n)
{
    for (int j = 0; j < PARE_STRIP; j += VECS * VL)
        for (int i = 0; i < PARE_MROWS; i += ROWS) part(c + i * ldc + j, ldc, a + i, b + j, n);
}

static void solve(double *x, const double *t, uint64_t n)
{
    for (uint64_t k = 0; k < n; k++, t += n) {
        vec xk[NV], d;

#pragma GCC unroll 8
        for (int v = 0; v < NV; v++) {
            load(&xk[v], x + k * PARE_STRIP + v * VL);
            xk[v] /= t[k];
            store(x + k * PARE_STRIP + v * VL, &xk[v]);
        }
        for (uint64_t j = k + 1; j < n; j++)
#pragma GCC unroll 8
            for (int v = 0; v < NV; v++) {
                load(&d, x + j * PARE_STRIP + v * VL);
                d -= t[j] * xk[v];
                store(x + j * PARE_STRIP + v * VL, &d);
            }
    }
}

static void rotate(double *z, const struct pare_rotation *r, uint64_t n)
{
    vec p[NV], q, u;

#pragma GCC unroll 8
    for (int v = 0; v < NV; v++) load(&p[v], z + v * VL);
    for (uint64_t i = 0; i < n; i++, z += PARE_STRIP)
#pragma GCC unroll 8
        for (int v = 0; v < NV; v++) {
            load(&q, z + PARE_STRIP + v * VL);
            u = r[i].c * p[v] + r[i].s * q;
            store(z + v * VL, &u);
            p[v] = r[i].c * q - r[i].s * p[v];
        }
#pragma GCC unroll 8
    for (int v = 0; v < NV; v++) store(z + v * VL, &p[v]);
}

static double dot(const double *a, const double *b, uint64_t n)
{
    vec      s[NV], x, y;
    double   l[PARE_STRIP];
    uint64_t i = 0;

#pragma GCC unroll 8
    for (int v = 0; v < NV; v++) s[v] = (vec){ 0 };
    for (; i + PARE_STRIP <= n; i += PARE_STRIP)
#pragma GCC unroll 8
        for (int v = 0; v < NV; v++) {
            load(&x, a + i + v * VL);
            load(&y, b + i + v * VL);
            s[v] += x * y;
        }
#pragma GCC unroll 8
    for (int v = 0; v < NV; v++) store(l + v * VL, &s[v]);
    for (; i < n; i++) l[i & 15] += a[i] * b[i];
    for (int h = 8; h >= 1; h /= 2)
        for (int j = 0; j < h; j++) l[j] += l[j + h];
    return l[0];
}

static void axpy(double *y, double a, const double *x, uint64_t n)
{
    vec      u, w;
    uint64_t i = 0;

    for (; i + VL <= n; i += VL) {
        load(&u, y + i);
        load(&w, x + i);
        u += a * w;
        store(y + i, &u);
    }
    for (; i < n; i++) y[i] += a * x[i];
}

const struct pare_linalg NAME = { .tile = tile, .solve = solve, .rotate = rotate, .dot = dot, .axpy = axpy };
