/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_search.c: books of levels, and the search for the scale of least error. */
#include <math.h>
#include <string.h>

#include "tensor/dtype.h"
#include "tensor/enc_lanes.h"
#include "tensor/enc_levels.h"
#include "tensor/enc_search.h"

/* Range and density of the search per count of bits. Few levels: below 1, for clipping the extremes pays. Many levels: far above 1,
 * for the error jumps about as the levels move against the weights, and a coarser grid that happens to fit 16 or 32 of them is
 * worth up to a quarter of the error. Refits go beyond the range. */
static const struct {
    float t0, t1;
    int   n;
} search[9] = {
    [2] = { 0.42f, 1.14f, 13 }, [3] = { 0.62f, 1.26f, 14 }, [4] = { 0.80f, 1.34f, 19 },
    [5] = { 0.88f, 1.24f, 20 }, [6] = { 0.92f, 1.30f, 28 }, [8] = { 0.965f, 1.200f, 94 },
};

static void set_range(struct pare_enc_book *b, int bits)
{
    b->t0 = search[bits].t0;
    b->t1 = search[bits].t1;
    b->n_grid = search[bits].n;
    /* With many levels the error as a function of the scale is rough, so more draws find a better one; below, more do not help. */
    b->keep = bits < 6 ? 3 : PARE_ENC_KEEP;
    b->reach = bits < 6 ? 3 : 4;
}

void pare_enc_book_affine(struct pare_enc_book *b, int bits)
{
    b->table = false;
    b->both = bits < 6;
    b->lo = bits == 8 ? -127.0f : -(float)(1 << (bits - 1));
    b->hi = (float)((1 << (bits - 1)) - 1);
    b->ext = -b->lo;
    set_range(b, bits);
}

static void set_steps(struct pare_enc_book *b)
{
    b->stepped = true;
    for (int cell = 0; cell < 32; cell++) {
        int first = 16 * cell, last = first + 15, at = first;

        while (at <= last && b->near[at] == b->near[first]) at++;
        b->lower[cell] = b->near[first];
        b->upper[cell] = b->near[last];
        b->step[cell] = at;
        for (; at <= last; at++) b->stepped = b->stepped && b->near[at] == b->near[last];
    }
}

void pare_enc_book_table(struct pare_enc_book *b, const int8_t *lut, int n)
{
    int bits = n == 4 ? 2 : n == 8 ? 3 : 4, c = 0;

    b->table = true;
    b->both = true;
    b->lo = lut[0];
    b->hi = lut[n - 1];
    b->ext = -b->lo > b->hi ? -b->lo : b->hi;
    set_range(b, bits);
    for (int i = 0; i < PARE_ENC_TAB; i++) { /* cell i holds y in [(i - 256) / 2, (i - 255) / 2) */
        while (c < n - 1 && i - 256 >= lut[c] + lut[c + 1]) c++;
        b->near[i] = lut[c];
        b->code[i] = (uint8_t)c;
    }
    set_steps(b);
}

void pare_enc_codes(const struct pare_enc_book *b, const float *x, int n, float scale, uint8_t *code)
{
    float inv = pare_enc_inverse(scale), level[16];
    int32_t cell[16];

    for (int j = 0; j < n; j += 16) {
        if (b->table) {
            pare_enc_cells16(x + j, inv, cell);
            for (int i = 0; i < 16; i++) code[j + i] = b->code[cell[i]];
        } else {
            pare_enc_levels16(b, x + j, inv, level);
            for (int i = 0; i < 16; i++) code[j + i] = (uint8_t)(int)(level[i] - b->lo);
        }
    }
}

/* Best error after a refit, the objective of the search among scales. */
static float refitted(const struct pare_enc_fit *f)
{
    return f->h > 0.0f ? f->e - f->g * f->g / f->h : f->e;
}

struct best {
    float error, scale, curve;
};

static void consider(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale, struct best *best)
{
    struct pare_enc_fit f = pare_enc_probe(b, x, w, n, scale);
    float error = refitted(&f);

    if (f.h > 0.0f && error < best->error) *best = (struct best){ error, scale + f.g / f.h, f.h };
}

/* The value of largest magnitude among the columns whose weight is at least `least`; 0 when there is none. */
static float extreme_of(const float *x, const float *w, int n, float least)
{
    float extreme = 0.0f;

    for (int i = 0; i < n; i++)
        if (w[i] >= least && fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
    return extreme;
}

/* Tries the scales that put `extreme` on t0 .. t1 times the longer side of the levels. */
static void search_range(const struct pare_enc_book *b, const float *x, const float *w, int n, float extreme, struct best *best)
{
    float unit = (-b->lo >= b->hi ? -extreme : extreme) / b->ext, step = (b->t1 - b->t0) / (float)(b->n_grid - 1);

    for (int i = 0; i < b->n_grid; i++) {
        float t = b->t0 + step * (float)i;

        consider(b, x, w, n, unit * t, best);
        if (b->both) consider(b, x, w, n, -unit * t, best);
    }
}

float pare_enc_ideal(const struct pare_enc_book *b, const float *x, const float *w, int n, float *curve)
{
    float whole = extreme_of(x, w, n, 0.0f), heavy, sxx = 0.0f, sw = 0.0f;
    struct best best;

    for (int i = 0; i < n; i++) {
        sxx += w[i] * x[i] * x[i];
        sw += w[i];
    }
    best = (struct best){ sxx * 1.0001f + 1e-37f, 0.0f, sxx };
    *curve = sxx;
    if (whole == 0.0f) return 0.0f;
    search_range(b, x, w, n, whole, &best);
    /* Columns of little importance may fall outside altogether. */
    heavy = extreme_of(x, w, n, 0.1f * sw / (float)n);
    if (heavy != 0.0f && fabsf(heavy) < fabsf(whole)) search_range(b, x, w, n, heavy, &best);
    for (int i = 0; i < 3 && best.scale != 0.0f; i++) {
        float before = best.scale;

        consider(b, x, w, n, before, &best); /* new codes at the refitted scale, and a refit of those */
        if (best.scale == before) break;
    }
    *curve = best.curve;
    return best.scale;
}

int pare_enc_best_sub(const struct pare_enc_book *b, const float *x, const float *w, int n, float d, float want, int lo, int hi,
                      int reach, float *error)
{
    int centre = pare_enc_whole(d != 0.0f ? want / d : 0.0f, lo, hi), s = centre;

    *error = pare_enc_error(b, x, w, n, d * (float)s);
    for (int i = 1; i <= reach; i++) {
        for (int side = -1; side <= 1; side += 2) {
            int t = centre + side * i;
            float e;

            if (t < lo || t > hi) continue;
            e = pare_enc_error(b, x, w, n, d * (float)t);
            if (e < *error) *error = e, s = t;
        }
    }
    return s;
}

/* The power of two that brings the largest |p[i]| into [0.5, 1); 0 when all are 0. */
static int exponent_of(const float *p, uint64_t n)
{
    int32_t most = 0; /* magnitudes are in the order of their bit patterns, and whole numbers compare in vectors */
    float top;
    int k = 0;

    for (uint64_t i = 0; i + 16 <= n; i += 16) {
        int32_t bits[16];

        memcpy(bits, p + i, sizeof bits);
        for (int j = 0; j < 16; j++) {
            int32_t b = bits[j] & 0x7fffffff;

            most = b > most ? b : most;
        }
    }
    for (uint64_t i = n - n % 16; i < n; i++) {
        int32_t b;

        memcpy(&b, p + i, sizeof b);
        b &= 0x7fffffff;
        most = b > most ? b : most;
    }
    memcpy(&top, &most, sizeof top);
    (void)frexpf(top, &k);
    return k;
}

/* x * 2^k as ldexpf, without the call: two factors, as 2^k alone may not be finite. k is within +-300. */
static float scaled_by(float x, int k)
{
    int half = k / 2, rest = k - half;
    uint32_t a = (uint32_t)(half + 127) << 23, b = (uint32_t)(rest + 127) << 23;
    float fa, fb;

    memcpy(&fa, &a, sizeof fa);
    memcpy(&fb, &b, sizeof fb);
    return x * fa * fb;
}

struct pare_enc_unit pare_enc_unit_of(const float *src, const float *importance, uint64_t n)
{
    struct pare_enc_unit u = { .k = exponent_of(src, n), .w_up = 1.0 };

    /* Below 2^-60 no type with an f16 scale holds anything but zeros, and the power of two stays finite. */
    u.k = u.k > -60 ? u.k : -60;
    u.up = ldexpf(1.0f, -u.k);
    if (importance == NULL) return u;
    u.w_up = ldexp(1.0, -exponent_of(importance, n));
    for (uint64_t i = 0; i < n && !u.weighted; i++) u.weighted = importance[i] > 0.0f;
    return u;
}

void pare_enc_load(const struct pare_enc_unit *u, float *x, float *w, const float *src, const float *importance, int have, int n,
                   int group)
{
    for (int i = 0; i < have; i++) x[i] = src[i] * u->up;
    for (int i = have; i < n; i++) x[i] = 0.0f;
    for (int i = 0; i < have; i++) w[i] = u->weighted ? (float)((double)importance[i] * u->w_up) : 1.0f;
    for (int i = have; i < n; i++) w[i] = 0.0f;
    for (int j = 0; u->weighted && j < have; j += group) {
        int end = j + group < have ? j + group : have;
        float sum = 0.0f;

        for (int i = j; i < end; i++) sum += w[i];
        for (int i = j; i < end && !(sum > 0.0f); i++) w[i] = 0x1p-20f;
    }
}

float pare_enc_f16(float scaled, int k, uint16_t *bits)
{
    float real = scaled_by(scaled, k);

    real = real > 65504.0f ? 65504.0f : real < -65504.0f ? -65504.0f : real;
    *bits = pare_f32_to_f16(real);
    return scaled_by(pare_f16_to_f32(*bits), -k);
}

float pare_enc_block_scale(const struct pare_enc_book *b, const float *x, const float *w, int k, uint16_t *bits)
{
    float curve, want = pare_enc_ideal(b, x, w, 32, &curve), best = pare_enc_f16(want, k, bits), least;

    if (want == 0.0f) return 0.0f;
    least = pare_enc_error(b, x, w, 32, best);
    uint16_t centre = *bits;
    for (int step = -3; step <= 3; step++) { /* neighbouring halves: bit patterns of one sign are in order of magnitude */
        int h = (centre & 0x7fff) + step;
        float d, e;

        if (step == 0 || h < 0 || h > 0x7bff) continue;
        d = ldexpf(pare_f16_to_f32((uint16_t)((centre & 0x8000) | h)), -k);
        e = pare_enc_error(b, x, w, 32, d);
        if (e < least) {
            least = e;
            best = d;
            *bits = (uint16_t)((centre & 0x8000) | h);
        }
    }
    return best;
}
