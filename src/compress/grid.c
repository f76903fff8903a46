/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/grid.h"

#include <math.h>

static float limit(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }

/* Nearest whole number, halves to even, for |x| < 2^22: adding 1.5 * 2^23 leaves no room for a fraction. */
static float nearest(float x)
{
    float y = x + 12582912.0f;

    return y - 12582912.0f;
}

float pare_grid_step(float x, float s, float q) { return nearest(limit(x / s, -q, q)) * s; }

float pare_grid_range(float x, float lo, float hi, float levels)
{
    float s = (hi - lo) / levels, zero;

    if (!(s > 0)) return 0;
    zero = nearest(limit(-lo / s, 0, levels));
    return (limit(nearest(limit(x / s, -levels - 1, levels + 1)) + zero, 0, levels) - zero) * s;
}

static void round_group(const struct pare_grid *g, float *x, uint64_t n)
{
    float lo = 0, hi = 0, clip = g->clip > 0 ? g->clip : 1, q;

    for (uint64_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    if (lo == 0 && hi == 0) return;
    if (g->zero) {
        q = (float)((1u << g->bits) - 1);
        for (uint64_t i = 0; i < n; i++) x[i] = pare_grid_range(x[i], lo * clip, hi * clip, q);
        return;
    }
    q = (float)((1u << (g->bits - 1)) - 1);
    hi = (hi > -lo ? hi : -lo) * clip / q;
    for (uint64_t i = 0; i < n; i++) x[i] = hi > 0 ? pare_grid_step(x[i], hi, q) : 0;
}

void pare_grid_round(const void *ctx, float *x, uint64_t n)
{
    const struct pare_grid *g = ctx;
    uint64_t                step = g->group == 0 ? n : g->group;

    for (uint64_t i = 0; i < n; i += step) round_group(g, x + i, n - i < step ? n - i : step);
}
