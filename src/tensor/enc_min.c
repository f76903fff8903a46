/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_min.c: the error of a group on a line, and the search for the best line. */
#include <math.h>

#include "tensor/dtype.h"
#include "tensor/enc_lanes.h"
#include "tensor/enc_levels.h"
#include "tensor/enc_min.h"
#include "tensor/enc_search.h"

void pare_enc_line_codes(const struct pare_enc_line *l, const float *x, int n, float top, uint8_t *code)
{
    float inv = pare_enc_inverse(l->scale), q[16];

    for (int j = 0; j < n; j += 16) {
        pare_enc_codes16(l, x + j, inv, top, q);
        for (int i = 0; i < 16; i++) code[j + i] = (uint8_t)(int)q[i];
    }
}

struct best {
    float error;
    struct pare_enc_line line;
    struct pare_enc_line_fit fit;
    bool bound;
};

/* Probes a line, refits both numbers to its codes in closed form, and keeps the result if its error is the least so far. */
static void consider(struct pare_enc_line l, const float *x, const float *w, int n, float top, bool below, struct best *best)
{
    struct pare_enc_line_fit f = pare_enc_line_probe(&l, x, w, n, top);
    float det = f.hqq * f.h1 - f.hq * f.hq, ds = 0.0f, db, error;
    bool bound = false;

    if (det > 1e-6f * f.hqq * f.h1) {
        ds = (f.gq * f.h1 - f.g1 * f.hq) / det;
        db = (f.g1 * f.hqq - f.gq * f.hq) / det;
    } else {
        db = f.h1 > 0.0f ? f.g1 / f.h1 : 0.0f;
    }
    if (below && l.base + db > 0.0f) {
        bound = true;
        db = -l.base;
        ds = f.hqq > 0.0f ? (f.gq - db * f.hq) / f.hqq : 0.0f;
    }
    /* e + quadratic form of the step (r becomes r - ds code - db) */
    error = f.e - 2.0f * (ds * f.gq + db * f.g1) + ds * ds * f.hqq + 2.0f * ds * db * f.hq + db * db * f.h1;
    if (error < best->error) *best = (struct best){ error, { l.scale + ds, l.base + db }, f, bound };
}

/* Fractions of the range cut off (or, negative, added) at either end, per count of bits: few levels clip much, many levels try
 * how they fall upon the weights. */
static const struct {
    int   n;
    float cut[6];
} ends[6] = {
    [2] = { 5, { -0.03f, 0.04f, 0.11f, 0.18f, 0.25f, 0.0f } },
    [4] = { 5, { -0.12f, -0.06f, -0.01f, 0.02f, 0.05f, 0.0f } },
    [5] = { 6, { -0.12f, -0.08f, -0.04f, -0.01f, 0.006f, 0.022f } },
};

struct range {
    float lo, hi;
};

/* The range of the columns whose weight is at least `least`. */
static struct range range_of(const float *x, const float *w, int n, float least)
{
    struct range r = { INFINITY, -INFINITY };

    for (int i = 0; i < n; i++) {
        if (!(w[i] >= least)) continue;
        r.lo = x[i] < r.lo ? x[i] : r.lo;
        r.hi = x[i] > r.hi ? x[i] : r.hi;
    }
    return r;
}

static void search_range(struct range r, const float *x, const float *w, int n, int bits, bool below, struct best *best)
{
    float top = (float)((1 << bits) - 1), span;

    if (below && r.lo > 0.0f) r.lo = 0.0f;
    span = r.hi - r.lo;
    for (int a = 0; a < ends[bits].n; a++)
        for (int c = 0; c < ends[bits].n; c++) {
            float l = r.lo + ends[bits].cut[a] * span, h = r.hi - ends[bits].cut[c] * span;

            if (below && l > 0.0f) l = 0.0f;
            consider((struct pare_enc_line){ (h - l) / top, l }, x, w, n, top, below, best);
        }
}

struct pare_enc_line pare_enc_ideal_line(const float *x, const float *w, int n, int bits, bool below, bool *bound,
                                         struct pare_enc_line_fit *fit)
{
    float top = (float)((1 << bits) - 1), sum = 0.0f;
    struct range whole = range_of(x, w, n, 0.0f), heavy;
    struct best best = { .error = INFINITY };

    search_range(whole, x, w, n, bits, below, &best);
    /* Columns of little importance may fall outside altogether. */
    for (int i = 0; i < n; i++) sum += w[i];
    heavy = range_of(x, w, n, 0.1f * sum / (float)n);
    if (heavy.lo > whole.lo || heavy.hi < whole.hi) search_range(heavy, x, w, n, bits, below, &best);
    for (int i = 0; i < 3; i++) {
        struct pare_enc_line before = best.line;

        consider(before, x, w, n, top, below, &best); /* new codes on the refitted line, and a refit to those */
        if (best.line.scale == before.scale && best.line.base == before.base) break;
    }
    *bound = best.bound;
    *fit = best.fit;
    return best.line;
}

struct pare_enc_line pare_enc_block_line(const float *x, const float *w, int bits, int k, uint16_t *scale_bits,
                                         uint16_t *base_bits)
{
    bool bound;
    struct pare_enc_line_fit fit;
    struct pare_enc_line want = pare_enc_ideal_line(x, w, 32, bits, false, &bound, &fit), best;
    float top = (float)((1 << bits) - 1), least;
    uint16_t sb, bb;

    best.scale = pare_enc_f16(want.scale, k, scale_bits);
    best.base = pare_enc_f16(want.base, k, base_bits);
    least = pare_enc_line_error(&best, x, w, 32, top);
    for (int i = -2; i <= 2; i++) { /* neighbouring halves of the scale, each with the base that suits it */
        struct pare_enc_line l = { .base = want.base };

        l.scale = pare_enc_f16(want.scale * (1.0f + 0x1p-11f * (float)i), k, &sb);
        fit = pare_enc_line_probe(&l, x, w, 32, top);
        l.base = pare_enc_f16(want.base + (fit.h1 > 0.0f ? fit.g1 / fit.h1 : 0.0f), k, &bb);
        float e = pare_enc_line_error(&l, x, w, 32, top);
        if (e < least) {
            least = e;
            best = l;
            *scale_bits = sb;
            *base_bits = bb;
        }
    }
    return best;
}
