/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_k_min.c: q2_k, q4_k and q5_k: super-blocks of 256 whose groups have a whole-number scale and minimum, both times
 * an f16 of the super-block: value = (d * s) * code - (dmin * m).
 *
 * The steps are those of enc_super.c with two numbers instead of one, for as many super-blocks at once as fill sixteen lanes. d and
 * dmin may be negative: a super-block with groups wholly above zero, whose base would be forced down to 0, is encoded turned over
 * (-x, both scales negated). */
#include <math.h>
#include <string.h>

#include "tensor/enc_k_min.h"
#include "tensor/enc_put.h"

enum { KEEP = 4, ROUNDS = 4, TRIES = 27, FIRST = 4, LANES = PARE_ENC_WIDE };

struct job {
    struct pare_enc_lines *j;
    const struct pare_enc_wide *wide;
    int   supers, n_group;     /* super-blocks side by side, groups of each */
    const int *k;
    int   keep, reach;         /* of the first exact trial; fine levels have a rough error, worth more draws */
};

/* d and dmin of each lane's super-block. */
static void spread(const struct job *q, const struct pare_enc_k_min *o, float *d, float *dmin)
{
    for (int g = 0; g < LANES; g++) {
        bool here = g / q->n_group < q->supers;

        d[g] = here ? o[g / q->n_group].d : 0.0f;
        dmin[g] = here ? o[g / q->n_group].dmin : 0.0f;
    }
}

/* Fills s and m of every o for its d and dmin by exact trial near `near` (NULL: near the ideal scales); e: the errors. */
static void place(const struct job *q, int reach, int reach_m, const struct pare_enc_k_min *near, struct pare_enc_k_min *o, float *e)
{
    float d[LANES], dmin[LANES], at[LANES], s[LANES], m[LANES], error[LANES];

    spread(q, o, d, dmin);
    for (int g = 0; g < LANES; g++) at[g] = near != NULL && g / q->n_group < q->supers ? near[g / q->n_group].s[g % q->n_group] : 0.0f;
    q->wide->line_place(q->j, reach, reach_m, near != NULL ? at : NULL, d, dmin, s, m, error);
    for (int b = 0; b < q->supers; b++) {
        e[b] = 0.0f;
        for (int g = 0; g < q->n_group; g++) {
            int lane = b * q->n_group + g;

            o[b].s[g] = (uint8_t)(int)s[lane];
            o[b].m[g] = (uint8_t)(int)m[lane];
            e[b] += error[lane];
        }
    }
}

/* The lines that o stands for. */
static void lines(const struct job *q, const struct pare_enc_k_min *o, float *scale, float *base)
{
    for (int g = 0; g < LANES; g++) {
        const struct pare_enc_k_min *p = &o[g / q->n_group];
        bool here = g / q->n_group < q->supers;

        scale[g] = here ? p->d * (float)p->s[g % q->n_group] : 0.0f;
        base[g] = here ? -(p->dmin * (float)p->m[g % q->n_group]) : 0.0f;
    }
}

/* The closed-form d and dmin of one super-block for the codes of o, rounded to f16; false when nothing changes. */
static bool refit_one(const struct job *q, int b, const struct pare_enc_line_sums *sums, const struct pare_enc_k_min *o,
                      struct pare_enc_k_min *next)
{
    float a11 = 0.0f, a12 = 0.0f, a22 = 0.0f, b1 = 0.0f, b2 = 0.0f, det;

    for (int g = 0; g < q->n_group; g++) {
        int lane = b * q->n_group + g;
        float s = o->s[g], m = o->m[g];

        a11 += s * s * sums->hqq[lane];
        a12 -= s * m * sums->hq[lane];
        a22 += m * m * q->j->h1[lane];
        b1 += s * sums->gq[lane];
        b2 -= m * sums->g1[lane];
    }
    *next = *o;
    det = a11 * a22 - a12 * a12;
    if (det > 1e-6f * a11 * a22) {
        next->d = pare_enc_f16(o->d + (b1 * a22 - b2 * a12) / det, q->k[b], &next->d_bits);
        next->dmin = pare_enc_f16(o->dmin + (b2 * a11 - b1 * a12) / det, q->k[b], &next->dmin_bits);
    } else if (a11 > 0.0f) {
        next->d = pare_enc_f16(o->d + b1 / a11, q->k[b], &next->d_bits);
    }
    return next->d != o->d || next->dmin != o->dmin;
}

/* The candidates: d and dmin put the largest of the ideal values on 0.8 .. 1.25 times the top of the range, in whole steps of a
 * range of 63 and quarters of one of 15: a row that was decoded from the format finds its own scales among them. */
static float try_scale(float largest, int u, int s_max, int k, uint16_t *bits)
{
    float at = s_max > 15 ? 51.0f + (float)u : 12.0f + 0.25f * (float)u, d = pare_enc_f16(largest / at, k, bits);

    /* The least f16 there is, for blocks so small that everything else rounds to 0. */
    if (d == 0.0f && largest > 0.0f) d = pare_enc_f16(ldexpf(1.0f, -24 - k), k, bits);
    return d;
}

static void all_tries(float *d, uint16_t *bits, float largest, int s_max, int k)
{
    for (int u = 0; u < TRIES; u++) d[u] = try_scale(largest, u, s_max, k, &bits[u]);
    for (int u = TRIES; u < PARE_ENC_LINE_DRAWS; u++) d[u] = 0.0f;
}

/* Puts c into list[0 .. n - 1], sorted by cost, at most `most` long, unless it is there; returns the new n. */
static int insert(struct pare_enc_k_min *list, float *cost, int n, int most, const struct pare_enc_k_min *c, float sum)
{
    int at;

    for (int i = 0; i < n; i++)
        if (list[i].d_bits == c->d_bits && list[i].dmin_bits == c->dmin_bits) return n;
    n += n < most;
    for (at = n - 1; at > 0 && sum < cost[at - 1]; at--) {
        cost[at] = cost[at - 1];
        list[at] = list[at - 1];
    }
    cost[at] = sum;
    list[at] = *c;
    return n;
}

/* The pairs (d, dmin) of least rounding cost of super-block b, best first; returns how many. */
static int shortlist(const struct job *q, int b, struct pare_enc_k_min *list)
{
    int lo = b * q->n_group, hi = lo + q->n_group, s_max = (int)q->j->s_hi, n_first = 0, n = 0;
    struct pare_enc_k_min first[FIRST], c;
    float first_cost[FIRST], cost[KEEP], d[PARE_ENC_LINE_DRAWS], sum[PARE_ENC_LINE_DRAWS], scale = 0.0f, depth = 0.0f;
    uint16_t bits[TRIES];

    for (int g = lo; g < hi; g++) {
        scale = q->j->scale[g] > scale ? q->j->scale[g] : scale;
        depth = -q->j->base[g] > depth ? -q->j->base[g] : depth;
    }
    all_tries(d, bits, scale, s_max, q->k[b]);
    q->wide->line_scale_costs(q->j, lo, hi, d, sum);
    memset(&c, 0, sizeof c);
    for (int u = 0; u < TRIES; u++) {
        if (n_first == FIRST && !(sum[u] < first_cost[FIRST - 1])) continue;
        c.d = d[u];
        c.d_bits = bits[u];
        n_first = insert(first, first_cost, n_first, FIRST, &c, sum[u]);
    }
    all_tries(d, bits, depth, s_max, q->k[b]);
    for (int i = 0; i < n_first; i++) {
        q->wide->line_base_costs(q->j, lo, hi, first[i].d, d, sum);
        for (int v = 0; v < TRIES; v++) {
            if (n == q->keep && !(first_cost[i] + sum[v] < cost[n - 1])) continue;
            c = first[i];
            c.dmin = d[v];
            c.dmin_bits = bits[v];
            n = insert(list, cost, n, q->keep, &c, first_cost[i] + sum[v]);
        }
    }
    return n;
}

/* Improves d and dmin of each super-block in turn with its codes, until that gains nothing. */
static void descend(const struct job *q, struct pare_enc_k_min *out, float *best)
{
    bool active[2] = { true, true };

    for (int round = 0; round < ROUNDS && (active[0] || active[1]); round++) {
        struct pare_enc_k_min next[2];
        struct pare_enc_line_sums sums;
        float e[2], scale[LANES], base[LANES];
        bool some = false;

        lines(q, out, scale, base);
        q->wide->line_sums(q->j, scale, base, &sums);
        for (int b = 0; b < q->supers; b++) {
            active[b] = (refit_one(q, b, &sums, &out[b], &next[b]) || round == 0) && active[b];
            some = some || active[b];
        }
        if (!some) break;
        place(q, 1, 1, out, next, e);
        for (int b = 0; b < q->supers; b++) {
            active[b] = active[b] && e[b] < best[b];
            if (active[b]) best[b] = e[b], out[b] = next[b];
        }
    }
}

static void fit_one_way(const struct job *q, struct pare_enc_k_min *out, float *best)
{
    struct pare_enc_k_min list[2][KEEP], c[2];
    float e[2];
    int n[2];

    for (int b = 0; b < q->supers; b++) {
        n[b] = shortlist(q, b, list[b]);
        best[b] = INFINITY;
        memset(&out[b], 0, sizeof out[b]);
    }
    for (int i = 0; i < q->keep; i++) {
        for (int b = 0; b < q->supers; b++) c[b] = list[b][i < n[b] ? i : n[b] - 1];
        place(q, q->reach, 0, NULL, c, e);
        for (int b = 0; b < q->supers; b++)
            if (e[b] < best[b]) best[b] = e[b], out[b] = c[b];
    }
    descend(q, out, best);
}

static void turn(struct pare_enc_lines *j, int lo, int hi)
{
    for (int i = 0; i < j->at.n; i++)
        for (int g = lo; g < hi; g++) j->at.x[LANES * i + g] = -j->at.x[LANES * i + g];
}

/* Encodes the super-blocks of which some group's base was forced the other way round too, and takes what is better; leaves each
 * super-block's x as `turned` says. */
static void try_turned(const struct job *q, struct pare_enc_k_min *out, float *best)
{
    struct pare_enc_k_min other[2];
    float e[2];
    bool bound[2] = { false, false };

    for (int b = 0; b < q->supers; b++)
        for (int g = 0; g < q->n_group; g++) bound[b] = bound[b] || q->j->bound[b * q->n_group + g] > 0.0f;
    if (!bound[0] && !bound[1]) return;
    turn(q->j, 0, LANES);
    q->wide->line_ideal(q->j);
    fit_one_way(q, other, e);
    for (int b = 0; b < q->supers; b++) {
        if (bound[b] && e[b] < best[b]) {
            out[b] = other[b];
            out[b].turned = true;
        } else {
            turn(q->j, b * q->n_group, (b + 1) * q->n_group);
        }
    }
}

void pare_enc_k_min_fit(struct pare_enc_lines *j, int supers, const int *k, struct pare_enc_k_min *out, uint8_t *code)
{
    struct job q = { .j = j, .wide = pare_enc_wide_now(), .supers = supers, .n_group = 256 / j->at.n, .k = k,
                     .keep = j->bits == 5 ? KEEP : KEEP - 1, .reach = j->bits == 5 ? 2 : 1 };
    float best[2], scale[LANES], base[LANES], q_code[32 * LANES];

    q.wide->line_ideal(j);
    fit_one_way(&q, out, best);
    try_turned(&q, out, best);
    lines(&q, out, scale, base);
    q.wide->line_codes(j, scale, base, q_code);
    for (int g = 0; g < supers * q.n_group; g++)
        for (int i = 0; i < j->at.n; i++) code[g * j->at.n + i] = (uint8_t)(int)q_code[LANES * i + g];
    for (int b = 0; b < supers; b++)
        if (out[b].turned) out[b].d_bits ^= 0x8000, out[b].dmin_bits ^= 0x8000;
}
