/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_pq.c: our own types pq2 .. pq6, for rows of any width. Layout: type_pq.c.
 *
 * The search is that of enc_super.c over the whole row, sixteen groups at a time. An encoder may not allocate and a row has no
 * longest width, so what a group has to remember between passes (its ideal scale, then the scale of the next round) waits in the
 * row's own space for codes (at least four bytes a group) until the codes are written over it. */
#include <math.h>
#include <string.h>

#include "tensor/enc_put.h"
#include "tensor/enc_super.h"
#include "tensor/encode.h"
#include "tensor/pq_codebook.h"

enum { ROUNDS = 3, S_MAX = 127, LANES = PARE_ENC_WIDE };

struct row {
    const struct pare_enc_wide *wide;
    const float *src, *importance;
    uint64_t cols, n_group;
    int group, bits, stride;   /* stride: bytes of codes a group */
    struct pare_enc_unit u;
    uint8_t *s, *codes;
    struct pare_enc_scales j;  /* the sixteen groups at hand, scaled */
};

/* Loads groups [g, g + 16); returns how many there are. */
static int load(struct row *r, uint64_t g)
{
    float x[32 * LANES], w[32 * LANES];
    uint64_t c = g * (uint64_t)r->group, left = r->cols - c;
    int n = r->n_group - g < LANES ? (int)(r->n_group - g) : LANES, columns = n * r->group;
    int have = left < (uint64_t)columns ? (int)left : columns;

    pare_enc_load(&r->u, x, w, r->src + c, r->importance != NULL ? r->importance + c : NULL, have, columns, r->group);
    pare_enc_spread(&r->j.at, x, w, n, r->group);
    return n;
}

static void *note(const struct row *r, uint64_t g) { return r->codes + g * (uint64_t)r->stride; }

/* Finds the ideal scales; returns the one of largest magnitude. */
static float ideals(struct row *r)
{
    float extreme = 0.0f;

    for (uint64_t g = 0; g < r->n_group; g += LANES) {
        int n = load(r, g);

        r->wide->scale_ideal(&r->j);
        for (int i = 0; i < n; i++) {
            memcpy(note(r, g + (uint64_t)i), &r->j.want[i], sizeof(float));
            if (fabsf(r->j.want[i]) > fabsf(extreme)) extreme = r->j.want[i];
        }
    }
    return extreme;
}

/* The ideal scales of the groups at hand. */
static void recall(struct row *r, uint64_t g, int n)
{
    for (int i = 0; i < LANES; i++) {
        r->j.want[i] = 0.0f;
        if (i < n) memcpy(&r->j.want[i], note(r, g + (uint64_t)i), sizeof(float));
    }
}

struct candidate {
    float    d, cost;
    uint16_t bits;
};

/* The candidates for d of least rounding cost, best first; returns how many differ. */
static int shortlist(struct row *r, float extreme, struct candidate *list)
{
    float d[PARE_ENC_DRAWS] = { 0 }, sum[PARE_ENC_DRAWS], cost[PARE_ENC_TRIES] = { 0 }, unused[LANES];
    uint16_t bits[PARE_ENC_TRIES];
    int n = 0;

    for (int u = 0; u < PARE_ENC_TRIES; u++) d[u] = pare_enc_try_d(extreme, u, -S_MAX, S_MAX, r->u.k, &bits[u]);
    for (uint64_t g = 0; g < r->n_group; g += LANES) {
        int groups = load(r, g);

        recall(r, g, groups);
        r->wide->scale_sums(&r->j, r->j.want, unused, r->j.curve);
        r->wide->scale_costs(&r->j, 0, groups, d, sum);
        for (int u = 0; u < PARE_ENC_TRIES; u++) cost[u] += sum[u];
    }
    for (int u = 0; u < PARE_ENC_TRIES; u++) {
        bool seen = false;
        int at;

        for (int i = 0; i < n; i++) seen = seen || list[i].bits == bits[u];
        if (seen || (n == r->j.book->keep && !(cost[u] < list[n - 1].cost))) continue;
        n += n < r->j.book->keep;
        for (at = n - 1; at > 0 && cost[u] < list[at - 1].cost; at--) list[at] = list[at - 1];
        list[at] = (struct candidate){ d[u], cost[u], bits[u] };
    }
    return n;
}

static void fill(float *v, float x)
{
    for (int i = 0; i < LANES; i++) v[i] = x;
}

/* The candidate with the least error, every s being chosen near its ideal scale by exact trial. */
static int judge(struct row *r, const struct candidate *list, int n)
{
    double total[PARE_ENC_KEEP] = { 0 };
    float d[LANES], s[LANES], e[LANES];
    int best = 0;

    for (uint64_t g = 0; g < r->n_group; g += LANES) {
        int groups = load(r, g);

        recall(r, g, groups);
        for (int c = 0; c < n; c++) {
            fill(d, list[c].d);
            r->wide->scale_place(&r->j, r->j.book->reach, r->j.want, d, s, e);
            for (int i = 0; i < groups; i++) total[c] += (double)e[i];
        }
    }
    for (int c = 1; c < n; c++)
        if (total[c] < total[best]) best = c;
    return best;
}

/* The row at some d: its error, and the d in closed form for its codes. */
struct outcome {
    double error, fitted;
};

/* Chooses every s by exact trial, near the ideal scale or near the s there is, and writes it: where it stays, or as a note. */
static struct outcome place(struct row *r, float d, bool first)
{
    double error = 0.0, g_sum = 0.0, h_sum = 0.0;
    float dv[LANES], near[LANES], s[LANES], e[LANES], scale[LANES], gs[LANES], hs[LANES];

    fill(dv, d);
    for (uint64_t g = 0; g < r->n_group; g += LANES) {
        int n = load(r, g);

        if (first) recall(r, g, n);
        for (int i = 0; i < LANES; i++) near[i] = first ? r->j.want[i] : i < n ? d * (float)(int8_t)r->s[g + (uint64_t)i] : 0.0f;
        r->wide->scale_place(&r->j, first ? r->j.book->reach : 1, near, dv, s, e);
        for (int i = 0; i < LANES; i++) scale[i] = d * s[i];
        r->wide->scale_sums(&r->j, scale, gs, hs);
        for (int i = 0; i < n; i++) {
            uint8_t *to = first ? r->s + g + (uint64_t)i : note(r, g + (uint64_t)i);

            *to = (uint8_t)(int8_t)s[i];
            error += (double)e[i];
            g_sum += (double)(s[i] * gs[i]);
            h_sum += (double)(s[i] * s[i] * hs[i]);
        }
    }
    return (struct outcome){ error, h_sum > 0.0 ? g_sum / h_sum : (double)d };
}

/* Chooses d and every s; returns the f16 bits of d, *d_out its value in the scaled domain. */
static uint16_t choose(struct row *r, float extreme, float *d_out)
{
    struct candidate list[PARE_ENC_KEEP];
    int n = shortlist(r, extreme, list), at = judge(r, list, n);
    struct outcome now = place(r, list[at].d, true);
    float d = list[at].d;
    uint16_t bits = list[at].bits;

    for (int round = 0; round < ROUNDS; round++) {
        struct outcome then;
        uint16_t next_bits;
        float next = pare_enc_f16((float)now.fitted, r->u.k, &next_bits);

        if (next == d) break;
        then = place(r, next, false);
        if (!(then.error < now.error)) break;
        for (uint64_t g = 0; g < r->n_group; g++) r->s[g] = *(const uint8_t *)note(r, g);
        now = then;
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

static void write_codes(struct row *r, float d)
{
    float scale[LANES], at[32 * LANES];
    const struct pare_enc_book *b = r->j.book;

    for (uint64_t g = 0; g < r->n_group; g += LANES) {
        int n = load(r, g);

        for (int i = 0; i < LANES; i++) scale[i] = i < n ? d * (float)(int8_t)r->s[g + (uint64_t)i] : 0.0f;
        r->wide->scale_codes(&r->j, scale, at);
        for (int i = 0; i < n; i++) {
            uint8_t code[32];

            for (int c = 0; c < r->group; c++) code[c] = pare_enc_code_at(b, at[LANES * c + i]);
            put_codes(note(r, g + (uint64_t)i), code, r->group, r->bits);
        }
    }
}

static void encode(uint8_t *dst, const float *src, uint64_t cols, const float *importance, int bits, int group,
                   const int8_t *lut)
{
    struct pare_enc_book book;
    struct row r = { .wide = pare_enc_wide_now(), .src = src, .importance = importance, .cols = cols, .group = group, .bits = bits,
                     .n_group = (cols + (uint64_t)group - 1) / (uint64_t)group, .stride = group * bits / 8,
                     .j = { .book = &book, .s_lo = -S_MAX, .s_hi = S_MAX } };
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
    write_codes(&r, d);
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
