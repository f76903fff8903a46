/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_super.c: the scale of a super-block and the whole-number scales of its groups, found together.
 *
 * 1. Each group's ideal scale, unrestricted, with the curvature of its error there.
 * 2. Many candidates for d, judged by what rounding every ideal scale to a multiple of d would cost.
 * 3. The best few judged exactly: every group tries the whole numbers near its ideal scale, with codes made anew each time.
 * 4. d refitted to the codes in closed form, rounded to f16, and step 3 again close by, as long as the error falls.
 *
 * As many super-blocks at once as fill sixteen lanes: one of 16 groups, two of 8. None sees the other. */
#include <math.h>
#include <string.h>

#include "tensor/enc_super.h"

enum { ROUNDS = 4, LANES = PARE_ENC_WIDE };

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

struct job {
    struct pare_enc_scales *j;
    const struct pare_enc_wide *wide;
    int supers, n_group; /* super-blocks side by side, groups of each */
    const int *k;
};

static bool here(const struct job *q, int lane) { return lane / q->n_group < q->supers; }

/* Fills o->s for o->d by exact trial near `near`, one ideal scale a lane; e: the errors of the super-blocks. */
static void place(const struct job *q, const float *near, int reach, struct pare_enc_super *o, float *e)
{
    float d[LANES], s[LANES], error[LANES];

    for (int g = 0; g < LANES; g++) d[g] = here(q, g) ? o[g / q->n_group].d : 0.0f;
    q->wide->scale_place(q->j, reach, near, d, s, error);
    for (int b = 0; b < q->supers; b++) {
        e[b] = 0.0f;
        for (int g = 0; g < q->n_group; g++) {
            o[b].s[g] = (int8_t)s[b * q->n_group + g];
            e[b] += error[b * q->n_group + g];
        }
    }
}

/* The scale of every lane. */
static void scales(const struct job *q, const struct pare_enc_super *o, float *scale)
{
    for (int g = 0; g < LANES; g++) scale[g] = here(q, g) ? o[g / q->n_group].d * (float)o[g / q->n_group].s[g % q->n_group] : 0.0f;
}

/* The closed-form d of one super-block for the codes of o, rounded to f16; false when that is no other d. */
static bool refit_one(const struct job *q, int b, const float *g_of, const float *h_of, const struct pare_enc_super *o,
                      struct pare_enc_super *next)
{
    float g_sum = 0.0f, h_sum = 0.0f;

    *next = *o;
    for (int g = 0; g < q->n_group; g++) {
        float s = o->s[g];

        g_sum += s * g_of[b * q->n_group + g];
        h_sum += s * s * h_of[b * q->n_group + g];
    }
    if (!(h_sum > 0.0f)) return false;
    next->d = pare_enc_f16(g_sum / h_sum, q->k[b], &next->d_bits);
    return next->d != o->d;
}

/* The candidates of least rounding cost, best first; returns how many differ: none where all weights are 0. */
static int shortlist(const struct job *q, int b, struct pare_enc_super *list)
{
    int lo = b * q->n_group, hi = lo + q->n_group, n = 0;
    float cost[PARE_ENC_KEEP], d[PARE_ENC_DRAWS] = { 0 }, sum[PARE_ENC_DRAWS], extreme = 0.0f;
    uint16_t bits[PARE_ENC_TRIES];

    for (int g = lo; g < hi; g++)
        if (fabsf(q->j->want[g]) > fabsf(extreme)) extreme = q->j->want[g];
    if (extreme == 0.0f) return 0;
    for (int u = 0; u < PARE_ENC_TRIES; u++)
        d[u] = pare_enc_try_d(extreme, u, (int)q->j->s_lo, (int)q->j->s_hi, q->k[b], &bits[u]);
    q->wide->scale_costs(q->j, lo, hi, d, sum);
    for (int u = 0; u < PARE_ENC_TRIES; u++) {
        int at;
        bool seen = false;

        if (n == q->j->book->keep && !(sum[u] < cost[n - 1])) continue;
        for (int i = 0; i < n; i++) seen = seen || list[i].d_bits == bits[u];
        if (seen) continue;
        n += n < q->j->book->keep;
        for (at = n - 1; at > 0 && sum[u] < cost[at - 1]; at--) {
            cost[at] = cost[at - 1];
            list[at] = list[at - 1];
        }
        cost[at] = sum[u];
        list[at] = (struct pare_enc_super){ .d_bits = bits[u], .d = d[u] };
    }
    return n;
}

/* Improves d of each super-block in turn with its codes, until that gains nothing. */
static void descend(const struct job *q, struct pare_enc_super *out, float *best)
{
    bool active[2] = { true, true };

    for (int round = 0; round < ROUNDS; round++) {
        struct pare_enc_super next[2];
        float e[2], at[LANES], g_of[LANES], h_of[LANES];
        bool some = false;

        scales(q, out, at);
        q->wide->scale_sums(q->j, at, g_of, h_of);
        for (int b = 0; b < q->supers; b++) {
            active[b] = refit_one(q, b, g_of, h_of, &out[b], &next[b]) && active[b];
            some = some || active[b];
        }
        if (!some) break;
        for (int g = 0; g < LANES; g++) at[g] = here(q, g) ? next[g / q->n_group].d * (float)out[g / q->n_group].s[g % q->n_group] : 0.0f;
        place(q, at, q->j->book->reach - 2, next, e);
        for (int b = 0; b < q->supers; b++) {
            active[b] = active[b] && e[b] < best[b];
            if (active[b]) best[b] = e[b], out[b] = next[b];
        }
    }
}

static void write_codes(const struct job *q, const struct pare_enc_super *out, uint8_t *code)
{
    const struct pare_enc_book *book = q->j->book;
    float scale[LANES], at[32 * LANES];
    int n = q->j->at.n;

    scales(q, out, scale);
    q->wide->scale_codes(q->j, scale, at);
    for (int g = 0; g < q->supers * q->n_group; g++)
        for (int i = 0; i < n; i++) code[g * n + i] = pare_enc_code_at(book, at[LANES * i + g]);
}

void pare_enc_super_fit(struct pare_enc_scales *j, int supers, const int *k, struct pare_enc_super *out, uint8_t *code)
{
    struct job q = { .j = j, .wide = pare_enc_wide_now(), .supers = supers, .n_group = 256 / j->at.n, .k = k };
    struct pare_enc_super list[2][PARE_ENC_KEEP], c[2];
    float best[2] = { INFINITY, INFINITY }, e[2];
    int n[2];

    q.wide->scale_ideal(j);
    for (int b = 0; b < supers; b++) {
        memset(&out[b], 0, sizeof out[b]);
        n[b] = shortlist(&q, b, list[b]);
        if (n[b] == 0) list[b][n[b]++] = out[b];
    }
    for (int i = 0; i < j->book->keep && (i < n[0] || (supers > 1 && i < n[1])); i++) {
        for (int b = 0; b < supers; b++) c[b] = list[b][i < n[b] ? i : n[b] - 1];
        place(&q, j->want, j->book->reach, c, e);
        for (int b = 0; b < supers; b++)
            if (e[b] < best[b]) best[b] = e[b], out[b] = c[b];
    }
    descend(&q, out, best);
    write_codes(&q, out, code);
}

int pare_enc_load_supers(struct pare_enc_groups *at, int *k, const float *src, const float *importance, uint64_t cols, int group)
{
    float x[2 * 256], w[2 * 256];
    int n = PARE_ENC_WIDE * group / 256;

    if (cols < (uint64_t)n * 256) n = (int)(cols / 256);
    for (int b = 0; b < n; b++) {
        const float *imp = importance != NULL ? importance + 256 * b : NULL;
        struct pare_enc_unit u = pare_enc_unit_of(src + 256 * b, imp, 256);

        pare_enc_load(&u, x + 256 * b, w + 256 * b, src + 256 * b, imp, 256, 256, group);
        k[b] = u.k;
    }
    pare_enc_spread(at, x, w, n * 256 / group, group);
    return n;
}

void pare_enc_super_rows(const struct pare_enc_super_layout *l, uint8_t *dst, const float *src, uint64_t cols, const float *importance)
{
    struct pare_enc_scales j = { .book = l->book, .s_lo = (float)l->s_lo, .s_hi = (float)l->s_hi };
    struct pare_enc_super o[2];
    uint8_t code[2 * 256];
    int k[2], n;

    for (uint64_t c = 0; c < cols; c += 256 * (uint64_t)n) {
        n = pare_enc_load_supers(&j.at, k, src + c, importance != NULL ? importance + c : NULL, cols - c, l->group);
        pare_enc_super_fit(&j, n, k, o, code);
        for (int b = 0; b < n; b++, dst += l->bytes) l->write(dst, &o[b], code + 256 * b);
    }
}
