/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_pq.c: our own types pq2 .. pq6, for rows of any width. Layout: type_pq.c.
 *
 * The search is that of enc_super.c over the whole row. An encoder may not allocate and a row has no longest width, so the ideal
 * scales wait as f32 in the row's own space for codes (at least four bytes a group) until the codes are written over them. */
#include <math.h>
#include <string.h>

#include "tensor/enc_lanes.h"
#include "tensor/enc_search.h"
#include "tensor/encode.h"
#include "tensor/pq_codebook.h"

enum { ROUNDS = 3, S_MAX = 127 };

struct row {
    const struct pare_enc_book *b;
    const float *src, *importance;
    uint64_t cols, n_group;
    int group, bits, stride;   /* stride: bytes of codes a group */
    struct pare_enc_unit u;
    uint8_t *s, *codes;
    float x[32], w[32];        /* the group at hand, scaled */
};

static void load(struct row *r, uint64_t g)
{
    uint64_t c = g * (uint64_t)r->group, left = r->cols - c;
    int have = left < (uint64_t)r->group ? (int)left : r->group;

    pare_enc_load(&r->u, r->x, r->w, r->src + c, r->importance != NULL ? r->importance + c : NULL, have, r->group, r->group);
}

static float want_of(const struct row *r, uint64_t g)
{
    float v;

    memcpy(&v, r->codes + g * (uint64_t)r->stride, sizeof v);
    return v;
}

/* Finds the ideal scales; returns the one of largest magnitude. */
static float ideals(struct row *r)
{
    float extreme = 0.0f;

    for (uint64_t g = 0; g < r->n_group; g++) {
        float curve, want;

        load(r, g);
        want = pare_enc_ideal(r->b, r->x, r->w, r->group, &curve);
        memcpy(r->codes + g * (uint64_t)r->stride, &want, sizeof want);
        if (fabsf(want) > fabsf(extreme)) extreme = want;
    }
    return extreme;
}

struct candidate {
    float    d, cost;
    uint16_t bits;
};

/* The candidates for d of least rounding cost, best first; returns how many differ. */
static int shortlist(struct row *r, float extreme, struct candidate *list)
{
    struct candidate all[PARE_ENC_TRIES];
    int n = 0;

    for (int u = 0; u < PARE_ENC_TRIES; u++) {
        all[u].d = pare_enc_try_d(extreme, u, -S_MAX, S_MAX, r->u.k, &all[u].bits);
        all[u].cost = 0.0f;
    }
    for (uint64_t g = 0; g < r->n_group; g++) {
        float want = want_of(r, g), curve;

        load(r, g);
        curve = pare_enc_probe(r->b, r->x, r->w, r->group, want).h;
        for (int u = 0; u < PARE_ENC_TRIES; u++) all[u].cost += pare_enc_round_cost(want, curve, all[u].d, -S_MAX, S_MAX);
    }
    for (int u = 0; u < PARE_ENC_TRIES; u++) {
        bool seen = false;
        int at;

        for (int i = 0; i < n; i++) seen = seen || list[i].bits == all[u].bits;
        if (seen || (n == r->b->keep && !(all[u].cost < list[n - 1].cost))) continue;
        n += n < r->b->keep;
        for (at = n - 1; at > 0 && all[u].cost < list[at - 1].cost; at--) list[at] = list[at - 1];
        list[at] = all[u];
    }
    return n;
}

/* The error of the row at d with every s chosen by exact trial: near the ideal scale, or near the s there is. Writes s where
 * told. */
static double place(struct row *r, float d, bool near_ideal, bool write)
{
    double total = 0.0;

    for (uint64_t g = 0; g < r->n_group; g++) {
        float want = near_ideal ? want_of(r, g) : d * (float)(int8_t)r->s[g], e;
        int s;

        load(r, g);
        s = pare_enc_best_sub(r->b, r->x, r->w, r->group, d, want, -S_MAX, S_MAX, near_ideal ? r->b->reach : 1, &e);
        total += (double)e;
        if (write) r->s[g] = (uint8_t)(int8_t)s;
    }
    return total;
}

/* The closed-form d for the codes at d and the s there are. */
static float refit(struct row *r, float d)
{
    double g_sum = 0.0, h_sum = 0.0;

    for (uint64_t g = 0; g < r->n_group; g++) {
        float s = (int8_t)r->s[g];
        struct pare_enc_fit f;

        load(r, g);
        f = pare_enc_probe(r->b, r->x, r->w, r->group, d * s);
        g_sum += (double)(s * f.g);
        h_sum += (double)(s * s * f.h);
    }
    return h_sum > 0.0 ? d + (float)(g_sum / h_sum) : d;
}

/* Chooses d and every s; returns the f16 bits of d, *d_out its value in the scaled domain. */
static uint16_t choose(struct row *r, float extreme, float *d_out)
{
    struct candidate list[PARE_ENC_KEEP];
    int n = shortlist(r, extreme, list), at = 0;
    double least = INFINITY;

    for (int i = 0; i < n; i++) {
        double e = place(r, list[i].d, true, false);

        if (e < least) least = e, at = i;
    }
    (void)place(r, list[at].d, true, true);
    float d = list[at].d;
    uint16_t bits = list[at].bits;

    for (int round = 0; round < ROUNDS; round++) {
        uint16_t next_bits;
        float next = pare_enc_f16(refit(r, d), r->u.k, &next_bits);
        double e;

        if (next == d) break;
        e = place(r, next, false, false);
        if (!(e < least)) break;
        (void)place(r, next, false, true);
        least = e;
        d = next;
        bits = next_bits;
    }
    *d_out = d;
    return bits;
}

/* The plane of single bits is in plain order: bit i of the group is column i. */
static void put_bits(uint8_t *dst, const uint8_t *code, int n, int from)
{
    memset(dst, 0, (size_t)n / 8);
    for (int i = 0; i < n; i++) dst[i / 8] |= (uint8_t)((code[i] >> from & 1) << (i % 8));
}

static void put_codes(uint8_t *dst, const uint8_t *code, int n, int bits)
{
    uint8_t high[32];

    if (bits < 4) pare_enc_put_pairs(dst, code, n / 4);
    else pare_enc_put_nibbles(dst, code, n / 2);
    if (bits == 3) put_bits(dst + n / 4, code, n, 2);
    if (bits == 5) put_bits(dst + n / 2, code, n, 4);
    if (bits != 6) return;
    for (int i = 0; i < n; i++) high[i] = code[i] >> 4;
    pare_enc_put_pairs(dst + n / 2, high, n / 4);
}

static void encode(uint8_t *dst, const float *src, uint64_t cols, const float *importance, int bits, int group,
                   const int8_t *lut)
{
    struct pare_enc_book book;
    struct row r = { .b = &book, .src = src, .importance = importance, .cols = cols, .group = group, .bits = bits,
                     .n_group = (cols + (uint64_t)group - 1) / (uint64_t)group, .stride = group * bits / 8 };
    float extreme, d = 0.0f;
    uint16_t d_bits = 0;

    if (lut != NULL) pare_enc_book_table(&book, lut, 1 << bits);
    else pare_enc_book_affine(&book, bits);
    r.u = pare_enc_unit_of(src, importance, cols);
    r.s = dst + 2;
    r.codes = r.s + r.n_group;
    memset(r.s, 0, r.n_group);
    extreme = ideals(&r);
    if (extreme != 0.0f) d_bits = choose(&r, extreme, &d);
    pare_enc_put16(dst, d_bits);
    for (uint64_t g = 0; g < r.n_group; g++) {
        uint8_t code[32];

        load(&r, g);
        pare_enc_codes(&book, r.x, group, d * (float)(int8_t)r.s[g], code);
        put_codes(r.codes + g * (uint64_t)r.stride, code, group, bits);
    }
}

static const int8_t lut2[4] = PARE_PQ2_VALUES, lut3[8] = PARE_PQ3_VALUES, lut4[16] = PARE_PQ4_VALUES;

#define ENCODE(name, bits, group, lut)                                                                                 \
    void pare_encode_##name(void *dst, const float *src, uint64_t cols, const float *importance)                       \
    {                                                                                                                  \
        encode(dst, src, cols, importance, bits, group, lut);                                                          \
    }
ENCODE(pq2, 2, 32, lut2)
ENCODE(pq2h, 2, 16, lut2)
ENCODE(pq3, 3, 32, lut3)
ENCODE(pq3h, 3, 16, lut3)
ENCODE(pq4, 4, 32, lut4)
ENCODE(pq5, 5, 32, NULL)
ENCODE(pq6, 6, 32, NULL)
