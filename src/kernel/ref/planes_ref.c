/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/planes_ref.c: products with bit planes in plain C, which define every result (kernel/planes.h). Integer sums are taken
 * modulo 2^32; the results themselves fit 32 bits. */
#include <math.h>

#include "base/job.h"
#include "kernel/planes.h"

static uint8_t byte_of(const uint8_t *line, int r) { return line[4 * (r % 16) + r / 16]; }

static void popcount(int32_t *dot, int32_t base, const uint8_t *w, uint32_t bits, const int32_t *cw, const uint32_t *x, uint32_t x_stride,
                     uint32_t planes, const int32_t *cx, uint32_t blocks, bool by_xor)
{
    for (int r = 0; r < PARE_PLANE_ROWS; r++) {
        uint32_t sum = (uint32_t)base;

        for (uint32_t i = 0; i < bits; i++)
            for (uint32_t j = 0; j < planes; j++) {
                uint32_t n = 0;

                for (uint32_t b = 0; b < blocks; b++) {
                    uint32_t u = byte_of(w + ((uint64_t)b * bits + i) * 64, r), v = x[(uint64_t)b * x_stride + j] & 255;

                    n += (uint32_t)__builtin_popcount(by_xor ? u ^ v : u & v);
                }
                sum += n * (uint32_t)cw[i] * (uint32_t)cx[j];
            }
        dot[r] = (int32_t)sum;
    }
}

static void lookup(int32_t *dot, int32_t base, bool halve, const uint8_t *w, uint32_t bits, const int32_t *cw, const uint8_t *table,
                   uint32_t blocks, uint32_t run, bool narrow)
{
    (void)run;
    for (int r = 0; r < PARE_PLANE_ROWS; r++) {
        uint32_t sum = (uint32_t)base;

        for (uint32_t i = 0; i < bits; i++) {
            int32_t s = 0;

            for (uint32_t b = 0; b < blocks; b++) {
                uint8_t u = byte_of(w + ((uint64_t)b * bits + i) * 64, r);
                const uint8_t *lo = table + (uint64_t)b * 64 + (u & 15), *hi = table + (uint64_t)b * 64 + 32 + (u >> 4);

                if (narrow) s += (int8_t)*lo + (int8_t)*hi;
                else s += *lo + *hi + 32 * ((int8_t)lo[16] + (int8_t)hi[16]);
            }
            sum += (uint32_t)s * (uint32_t)cw[i];
        }
        dot[r] = halve ? (int32_t)sum / 2 : (int32_t)sum;
    }
}

static void flookup(float *y, const uint8_t *w, uint32_t bits, const float *alpha, const float *table, uint32_t blocks)
{
    for (int r = 0; r < PARE_PLANE_ROWS; r++)
        for (uint32_t i = 0; i < bits; i++) {
            float s = 0;

            for (uint32_t b = 0; b < blocks; b++) s += table[(uint64_t)b * 256 + byte_of(w + ((uint64_t)b * bits + i) * 64, r)];
            y[r] = fmaf(alpha[i * 64 + (uint32_t)r], s, y[r]);
        }
}

static void scale(float *y, const int32_t *dot, const float *s, float d, const float *z, float dsum)
{
    for (int r = 0; r < PARE_PLANE_ROWS; r++) {
        if (dot != NULL) y[r] = fmaf((float)dot[r], s[r] * d, y[r]);
        if (z != NULL) y[r] = fmaf(z[r], dsum, y[r]);
    }
}

static void ftable(float *table, const float *x)
{
    float a[2][16];

    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 16; i++) {
            const float *v = x + 4 * h;

            a[h][i] = ((i & 1 ? v[0] : -v[0]) + (i & 2 ? v[1] : -v[1])) + ((i & 4 ? v[2] : -v[2]) + (i & 8 ? v[3] : -v[3]));
        }
    for (int i = 0; i < 256; i++) table[i] = a[0][i & 15] + a[1][i >> 4];
}

const struct pare_plane_ops pare_plane_ops_ref = { PARE_TIER_BASE, popcount, lookup, flookup, scale, ftable };
