/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_super.c: the scale of a super-block and the whole-number scales of its groups, found together.
 *
 * 1. Each group's ideal scale, unrestricted, with the curvature of its error there.
 * 2. Many candidates for d, judged by what rounding every ideal scale to a multiple of d would cost.
 * 3. The best few judged exactly: every group tries the whole numbers near its ideal scale, with codes made anew each time.
 * 4. d refitted to the codes in closed form, rounded to f16, and step 3 again close by, as long as the error falls. */
#include <math.h>
#include <string.h>

#include "tensor/enc_lanes.h"
#include "tensor/enc_search.h"

enum { ROUNDS = 4 };

float pare_enc_try_d(float extreme, int u, int s_lo, int s_hi, int k, uint16_t *bits)
{
    /* 0.80 .. 1.18 in steps of 0.02: below 1 the largest group is clipped, above 1 the others land elsewhere. Odd u: the sign of d
     * that puts the largest group on the other, shorter side of s. The last two are the least f16 there is, for blocks so small
     * that everything else rounds to 0. */
    float d = extreme * (0.80f + 0.02f * (float)(u / 2)) / (float)(u % 2 ? s_hi : s_lo);

    d = pare_enc_f16(d, k, bits);
    if (d == 0.0f && extreme != 0.0f) d = pare_enc_f16(ldexpf(u % 2 ? 1.0f : -1.0f, -24 - k), k, bits);
    return d;
}

float pare_enc_round_cost(float want, float curve, float d, int s_lo, int s_hi)
{
    float miss = want - d * (float)pare_enc_whole(d != 0.0f ? want / d : 0.0f, s_lo, s_hi);

    return curve * miss * miss;
}

struct job {
    const struct pare_enc_book *b;
    const float *x, *w;
    int group, n_group, s_lo, s_hi, k;
    float want[16], curve[16];
};

/* Fills o->s for o->d by exact trial near want; returns the error of the super-block. */
static float place(const struct job *j, const float *want, int reach, struct pare_enc_super *o)
{
    float total = 0.0f, e;

    for (int g = 0; g < j->n_group; g++) {
        o->s[g] = (int8_t)pare_enc_best_sub(j->b, j->x + g * j->group, j->w + g * j->group, j->group, o->d, want[g], j->s_lo,
                                            j->s_hi, reach, &e);
        total += e;
    }
    return total;
}

/* The closed-form d for the codes of o, rounded to f16; false when that is no other d. */
static bool refit(const struct job *j, const struct pare_enc_super *o, struct pare_enc_super *next)
{
    float g_sum = 0.0f, h_sum = 0.0f;

    for (int g = 0; g < j->n_group; g++) {
        float s = o->s[g];
        struct pare_enc_fit f = pare_enc_probe(j->b, j->x + g * j->group, j->w + g * j->group, j->group, o->d * s);

        g_sum += s * f.g;
        h_sum += s * s * f.h;
    }
    if (!(h_sum > 0.0f)) return false;
    next->d = pare_enc_f16(o->d + g_sum / h_sum, j->k, &next->d_bits);
    return next->d != o->d;
}

/* The candidates of least rounding cost, best first; returns how many differ. */
static int shortlist(const struct job *j, float extreme, struct pare_enc_super *list)
{
    float cost[PARE_ENC_KEEP];
    int n = 0;

    for (int u = 0; u < PARE_ENC_TRIES; u++) {
        struct pare_enc_super c = { .d = 0.0f };
        float sum = 0.0f;
        int at;
        bool seen = false;

        c.d = pare_enc_try_d(extreme, u, j->s_lo, j->s_hi, j->k, &c.d_bits);
        for (int g = 0; g < j->n_group; g++) sum += pare_enc_round_cost(j->want[g], j->curve[g], c.d, j->s_lo, j->s_hi);
        for (int i = 0; i < n; i++) seen = seen || list[i].d_bits == c.d_bits;
        if (seen || (n == j->b->keep && !(sum < cost[n - 1]))) continue;
        n += n < j->b->keep;
        for (at = n - 1; at > 0 && sum < cost[at - 1]; at--) {
            cost[at] = cost[at - 1];
            list[at] = list[at - 1];
        }
        cost[at] = sum;
        list[at] = c;
    }
    return n;
}

void pare_enc_super_fit(const struct pare_enc_book *b, const float *x, const float *w, int group, int s_lo, int s_hi, int k,
                        struct pare_enc_super *out)
{
    struct job j = { .b = b, .x = x, .w = w, .group = group, .n_group = 256 / group, .s_lo = s_lo, .s_hi = s_hi, .k = k };
    struct pare_enc_super list[PARE_ENC_KEEP];
    float extreme = 0.0f, best = INFINITY;
    int n;

    memset(out, 0, sizeof *out);
    for (int g = 0; g < j.n_group; g++) {
        j.want[g] = pare_enc_ideal(b, x + g * group, w + g * group, group, &j.curve[g]);
        if (fabsf(j.want[g]) > fabsf(extreme)) extreme = j.want[g];
    }
    if (extreme == 0.0f) return;
    n = shortlist(&j, extreme, list);
    for (int i = 0; i < n; i++) {
        float e = place(&j, j.want, b->reach, &list[i]);

        if (e < best) best = e, *out = list[i];
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct pare_enc_super next = *out;
        float near[16], e;

        if (!refit(&j, out, &next)) break;
        for (int g = 0; g < j.n_group; g++) near[g] = next.d * (float)out->s[g];
        e = place(&j, near, b->reach - 2, &next);
        if (!(e < best)) break;
        best = e;
        *out = next;
    }
}
