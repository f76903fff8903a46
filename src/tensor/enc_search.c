/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_search.c: books of levels, and what is done to a row before a search. */
#include <math.h>
#include <string.h>

#include "tensor/dtype.h"
#include "tensor/enc_search.h"

/* Range and density of the search per count of bits. Few levels: below 1, for clipping the extremes pays. Many levels: far above 1,
 * for the error jumps about as the levels move against the weights, and a coarser grid that happens to fit 16 or 32 of them is
 * worth up to a quarter of the error. Refits go beyond the range. */
static const struct {
    float t0, t1;
    int   n;
} search[9] = {
    [2] = { 0.42f, 1.14f, 13 }, [3] = { 0.62f, 1.26f, 14 }, [4] = { 0.80f, 1.34f, 19 },
    [5] = { 0.88f, 1.24f, 20 }, [6] = { 0.92f, 1.30f, 24 }, [8] = { 0.965f, 1.200f, 94 },
};

static void set_range(struct pare_enc_book *b, int bits)
{
    b->t0 = search[bits].t0;
    b->t1 = search[bits].t1;
    b->n_grid = search[bits].n;
    /* With many levels the error as a function of the scale is rough, so more draws find a better one; below, more do not help. */
    b->keep = bits < 6 ? 3 : bits == 6 ? 6 : PARE_ENC_KEEP;
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

/* Two factors, as 2^k alone may not be finite. */
float pare_enc_scaled_by(float x, int k)
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

/* Loops of a constant length become vector code. */
static void scale_row(float *to, const float *from, int n, float up)
{
    int i = 0;

    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) to[i + j] = from[i + j] * up;
    for (; i < n; i++) to[i] = from[i] * up;
}

static void weigh_row(float *to, const float *importance, int n, double up)
{
    int i = 0;

    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) to[i + j] = (float)((double)importance[i + j] * up);
    for (; i < n; i++) to[i] = (float)((double)importance[i] * up);
}

void pare_enc_load(const struct pare_enc_unit *u, float *x, float *w, const float *src, const float *importance, int have, int n,
                   int group)
{
    scale_row(x, src, have, u->up);
    if (u->weighted) weigh_row(w, importance, have, u->w_up);
    for (int i = 0; i < have && !u->weighted; i++) w[i] = 1.0f;
    for (int i = have; i < n; i++) x[i] = w[i] = 0.0f;
    for (int j = 0; u->weighted && j < have; j += group) {
        int end = j + group < have ? j + group : have;
        float sum = 0.0f;

        for (int i = j; i < end; i++) sum += w[i];
        for (int i = j; i < end && !(sum > 0.0f); i++) w[i] = 0x1p-20f;
    }
}

float pare_enc_f16(float scaled, int k, uint16_t *bits)
{
    float real = pare_enc_scaled_by(scaled, k);

    real = real > 65504.0f ? 65504.0f : real < -65504.0f ? -65504.0f : real;
    *bits = pare_f32_to_f16(real);
    return pare_enc_scaled_by(pare_f16_to_f32(*bits), -k);
}
