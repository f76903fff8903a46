/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_k_min.c: q2_k, q4_k and q5_k: super-blocks of 256 whose groups have a whole-number scale and minimum, both times
 * an f16 of the super-block: value = (d * s) * code - (dmin * m).
 *
 * The steps are those of enc_super.c with two numbers instead of one. d and dmin may be negative: a super-block with groups
 * wholly above zero, whose base would be forced down to 0, is encoded turned over (-x, both scales negated). */
#include <math.h>
#include <string.h>

#include "tensor/enc_k_min.h"
#include "tensor/enc_lanes.h"
#include "tensor/enc_min.h"
#include "tensor/enc_search.h"

enum { KEEP = 4, ROUNDS = 4 };

struct job {
    const float *x, *w;
    int   bits, group, n_group, s_max, k;
    float top;
    int   keep, reach;         /* of the first exact trial; fine levels have a rough error, worth more draws */
    struct pare_enc_line     want[16];
    struct pare_enc_line_fit fit[16];
};

/* The base that suits a scale near the ideal one, by the fit at the ideal line. */
static float base_for(const struct job *j, int g, float scale)
{
    const struct pare_enc_line_fit *f = &j->fit[g];

    return f->h1 > 0.0f ? j->want[g].base - f->hq / f->h1 * (scale - j->want[g].scale) : 0.0f;
}

enum { TRIES = 27, FIRST = 5, LANES = 32 };

static void inverses(float *inv, const float *d)
{
    for (int u = 0; u < LANES; u++) inv[u] = d[u] != 0.0f ? 1.0f / d[u] : 0.0f;
}

/* What rounding every group's scale to a multiple of d would cost by the quadratic form of its fit, the bases being free to
 * follow; for all candidates d[u] side by side. */
static void scale_costs(const struct job *j, const float *d, float *cost)
{
    float inv[LANES], top = (float)j->s_max;

    inverses(inv, d);
    for (int u = 0; u < LANES; u++) cost[u] = 0.0f;
    for (int g = 0; g < j->n_group; g++) {
        const struct pare_enc_line_fit *f = &j->fit[g];
        float curve = f->h1 > 0.0f ? f->hqq - f->hq * f->hq / f->h1 : 0.0f, want = j->want[g].scale;

        for (int u = 0; u < LANES; u++) {
            float miss = d[u] * pare_enc_within(want * inv[u], 0.0f, top) - want;

            cost[u] += curve * miss * miss;
        }
    }
}

/* What rounding the bases to multiples of dmin[v] would cost on top of d. */
static void base_costs(const struct job *j, float d, const float *dmin, float *cost)
{
    float inv = d != 0.0f ? 1.0f / d : 0.0f, inv_min[LANES], top = (float)j->s_max;

    inverses(inv_min, dmin);
    for (int v = 0; v < LANES; v++) cost[v] = 0.0f;
    for (int g = 0; g < j->n_group; g++) {
        float want = base_for(j, g, d * pare_enc_within(j->want[g].scale * inv, 0.0f, top)), h1 = j->fit[g].h1;

        for (int v = 0; v < LANES; v++) {
            float miss = want + dmin[v] * pare_enc_within(-want * inv_min[v], 0.0f, top);

            cost[v] += h1 * miss * miss;
        }
    }
}

/* Group g at o->d, o->dmin: tries scales within `reach` of want, for each the minimum its codes ask for and its neighbours. */
static float place_group(const struct job *j, int g, int reach, int near_s, struct pare_enc_k_min *o)
{
    const float *x = j->x + g * j->group, *w = j->w + g * j->group;
    float best = INFINITY;

    for (int s = near_s - reach; s <= near_s + reach; s++) {
        if (s < 0 || s > j->s_max) continue;
        struct pare_enc_line l = { .scale = o->d * (float)s };
        struct pare_enc_line_fit f;
        int m;

        l.base = base_for(j, g, l.scale);
        f = pare_enc_line_probe(&l, x, w, j->group, j->top);
        l.base += f.h1 > 0.0f ? f.g1 / f.h1 : 0.0f;
        m = o->dmin != 0.0f ? pare_enc_whole(-l.base / o->dmin, 0, j->s_max) : 0;
        for (int t = m - 1; t <= m + 1; t++) {
            if (t < 0 || t > (o->dmin != 0.0f ? j->s_max : 0)) continue;
            l.base = -(o->dmin * (float)t);
            float e = pare_enc_line_error(&l, x, w, j->group, j->top);
            if (e < best) {
                best = e;
                o->s[g] = (uint8_t)s;
                o->m[g] = (uint8_t)t;
            }
        }
    }
    return best;
}

static float place(const struct job *j, int reach, const uint8_t *near, struct pare_enc_k_min *o)
{
    float total = 0.0f;

    for (int g = 0; g < j->n_group; g++) {
        int s = near != NULL ? near[g] : pare_enc_whole(o->d != 0.0f ? j->want[g].scale / o->d : 0.0f, 0, j->s_max);

        total += place_group(j, g, reach, s, o);
    }
    return total;
}

/* The closed-form d and dmin for the codes of o, rounded to f16; false when nothing changes. */
static bool refit(const struct job *j, const struct pare_enc_k_min *o, struct pare_enc_k_min *next)
{
    float a11 = 0.0f, a12 = 0.0f, a22 = 0.0f, b1 = 0.0f, b2 = 0.0f, det;

    for (int g = 0; g < j->n_group; g++) {
        float s = o->s[g], m = o->m[g];
        struct pare_enc_line l = { o->d * s, -(o->dmin * m) };
        struct pare_enc_line_fit f = pare_enc_line_probe(&l, j->x + g * j->group, j->w + g * j->group, j->group, j->top);

        a11 += s * s * f.hqq;
        a12 -= s * m * f.hq;
        a22 += m * m * f.h1;
        b1 += s * f.gq;
        b2 -= m * f.g1;
    }
    det = a11 * a22 - a12 * a12;
    if (det > 1e-6f * a11 * a22) {
        next->d = pare_enc_f16(o->d + (b1 * a22 - b2 * a12) / det, j->k, &next->d_bits);
        next->dmin = pare_enc_f16(o->dmin + (b2 * a11 - b1 * a12) / det, j->k, &next->dmin_bits);
    } else if (a11 > 0.0f) {
        next->d = pare_enc_f16(o->d + b1 / a11, j->k, &next->d_bits);
    }
    return next->d != o->d || next->dmin != o->dmin;
}

/* Candidates for d (or dmin) put the largest of the ideal values on 0.8 .. 1.25 times the top of the range, in whole steps of a
 * range of 63 and quarters of one of 15: a row that was decoded from the format finds its own scales among them. */
static float try_scale(float largest, int u, int s_max, int k, uint16_t *bits)
{
    float at = s_max > 15 ? 51.0f + (float)u : 12.0f + 0.25f * (float)u, d = pare_enc_f16(largest / at, k, bits);

    /* The least f16 there is, for blocks so small that everything else rounds to 0. */
    if (d == 0.0f && largest > 0.0f) d = pare_enc_f16(ldexpf(1.0f, -24 - k), k, bits);
    return d;
}

/* Puts c into list[0 .. n - 1], sorted by cost, at most `most` long, unless it is there; returns the new n. */
static int insert(struct pare_enc_k_min *list, float *cost, int n, int most, const struct pare_enc_k_min *c, float sum)
{
    int at;

    for (int i = 0; i < n; i++)
        if (list[i].d_bits == c->d_bits && list[i].dmin_bits == c->dmin_bits) return n;
    if (n == most && !(sum < cost[n - 1])) return n;
    n += n < most;
    for (at = n - 1; at > 0 && sum < cost[at - 1]; at--) {
        cost[at] = cost[at - 1];
        list[at] = list[at - 1];
    }
    cost[at] = sum;
    list[at] = *c;
    return n;
}

static void all_tries(float *d, uint16_t *bits, float largest, const struct job *j)
{
    for (int u = 0; u < TRIES; u++) d[u] = try_scale(largest, u, j->s_max, j->k, &bits[u]);
    for (int u = TRIES; u < LANES; u++) d[u] = 0.0f;
}

static int shortlist(const struct job *j, float scale, float depth, struct pare_enc_k_min *list)
{
    struct pare_enc_k_min first[FIRST], c;
    float first_cost[FIRST], cost[KEEP], d[LANES], sum[LANES];
    uint16_t bits[LANES];
    int n_first = 0, n = 0;

    all_tries(d, bits, scale, j);
    scale_costs(j, d, sum);
    for (int u = 0; u < TRIES; u++) {
        memset(&c, 0, sizeof c);
        c.d = d[u];
        c.d_bits = bits[u];
        n_first = insert(first, first_cost, n_first, FIRST, &c, sum[u]);
    }
    all_tries(d, bits, depth, j);
    for (int i = 0; i < n_first; i++) {
        base_costs(j, first[i].d, d, sum);
        for (int v = 0; v < TRIES; v++) {
            c = first[i];
            c.dmin = d[v];
            c.dmin_bits = bits[v];
            n = insert(list, cost, n, j->keep, &c, first_cost[i] + sum[v]);
        }
    }
    return n;
}

/* Ideal lines of all groups; whether some group's base was forced. */
static bool ideals(struct job *j)
{
    bool any = false;

    for (int g = 0; g < j->n_group; g++) {
        bool bound;

        j->want[g] = pare_enc_ideal_line(j->x + g * j->group, j->w + g * j->group, j->group, j->bits, true, &bound, &j->fit[g]);
        any = any || bound;
    }
    return any;
}

static float fit_one_way(struct job *j, struct pare_enc_k_min *out)
{
    struct pare_enc_k_min list[KEEP];
    float scale = 0.0f, depth = 0.0f, best = INFINITY;
    int n;

    memset(out, 0, sizeof *out);
    for (int g = 0; g < j->n_group; g++) {
        scale = j->want[g].scale > scale ? j->want[g].scale : scale;
        depth = -j->want[g].base > depth ? -j->want[g].base : depth;
    }
    n = shortlist(j, scale, depth, list);
    for (int i = 0; i < n; i++) {
        float e = place(j, j->reach, NULL, &list[i]);

        if (e < best) best = e, *out = list[i];
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct pare_enc_k_min next = *out;
        float e;

        if (!refit(j, out, &next) && round > 0) break;
        e = place(j, round == 0 ? 2 : 1, out->s, &next);
        if (!(e < best)) break;
        best = e;
        *out = next;
    }
    return best;
}

void pare_enc_k_min_fit(const float *x, const float *w, int bits, int group, int s_max, int k, struct pare_enc_k_min *out,
                        uint8_t *code)
{
    struct job j = { .x = x, .w = w, .bits = bits, .group = group, .n_group = 256 / group, .s_max = s_max, .k = k,
                     .top = (float)((1 << bits) - 1),
                     .keep = bits == 5 ? KEEP : KEEP - 1, .reach = bits == 5 ? 2 : 1 };
    bool bound = ideals(&j);
    float e = fit_one_way(&j, out), turned[256];

    if (bound) {
        struct pare_enc_k_min other;

        for (int i = 0; i < 256; i++) turned[i] = -x[i];
        j.x = turned;
        (void)ideals(&j);
        if (fit_one_way(&j, &other) < e) {
            *out = other;
            out->turned = true;
        } else {
            j.x = x;
        }
    }
    for (int g = 0; g < j.n_group; g++) {
        struct pare_enc_line l = { out->d * (float)out->s[g], -(out->dmin * (float)out->m[g]) };

        pare_enc_line_codes(&l, j.x + g * group, group, j.top, code + g * group);
    }
    if (out->turned) out->d_bits ^= 0x8000, out->dmin_bits ^= 0x8000;
}
