/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_wide_line.h: types with minima; the middle of enc_wide_recipe.h.
 * lint: included in the middle */
#include <math.h>

struct line_fit {
    v16 e, gq, g1, hqq, hq;
};

/* Code of a column, from its distance to the base. */
V16 v16 line_code(v16 above, v16 inv, v16 top) { return wide_within(v_mul(above, inv), v_set1(0.0f), top); }

static struct line_fit line_probe(const struct pare_enc_lines *j, v16 scale, v16 base, v16 top)
{
    v16 zero = v_set1(0.0f), inv = wide_inverse(scale);
    struct line_fit f = { zero, zero, zero, zero, zero };

    for (int i = 0; i < j->at.n; i++) {
        v16 above = v_sub(v_load(j->at.x + 16 * i), base), w = v_load(j->at.w + 16 * i), q = line_code(above, inv, top);
        v16 r = v_sub(above, v_mul(scale, q)), wr = v_mul(w, r), wq = v_mul(w, q);

        f.e = v_add(f.e, v_mul(wr, r));
        f.gq = v_add(f.gq, v_mul(wr, q));
        f.g1 = v_add(f.g1, wr);
        f.hqq = v_add(f.hqq, v_mul(wq, q));
        f.hq = v_add(f.hq, wq);
    }
    return f;
}

static v16 line_error(const struct pare_enc_lines *j, v16 scale, v16 base, v16 top)
{
    v16 e = v_set1(0.0f), inv = wide_inverse(scale);

    for (int i = 0; i < j->at.n; i++) {
        v16 above = v_sub(v_load(j->at.x + 16 * i), base), r = v_sub(above, v_mul(scale, line_code(above, inv, top)));

        e = v_add(e, v_mul(v_mul(v_load(j->at.w + 16 * i), r), r));
    }
    return e;
}

struct line_best {
    v16 error, scale, base, hqq, hq, bound;
};

/* Codes on a line, both of its numbers refitted to them in closed form; kept where the error is the least so far. */
static void line_consider(const struct pare_enc_lines *j, v16 scale, v16 base, v16 h1, v16 top, struct line_best *best)
{
    struct line_fit f = line_probe(j, scale, base, top);
    v16 zero = v_set1(0.0f), two = v_set1(2.0f), both = v_mul(f.hqq, h1), det = v_sub(both, v_mul(f.hq, f.hq));
    v16 least = v_mul(v_set1(1e-6f), both), inv = v_select_lt(least, det, v_div(v_set1(1.0f), det), zero);
    v16 ds = v_mul(v_sub(v_mul(f.gq, h1), v_mul(f.g1, f.hq)), inv), db = v_mul(v_sub(v_mul(f.g1, f.hqq), v_mul(f.gq, f.hq)), inv);
    v16 over, e;

    db = v_select_lt(least, det, db, v_mul(f.g1, wide_over(h1))); /* all codes alike: the base alone */
    over = v_add(base, db);
    ds = v_select_lt(zero, over, v_mul(v_add(f.gq, v_mul(base, f.hq)), wide_over(f.hqq)), ds); /* held at 0 */
    db = v_select_lt(zero, over, v_sub(zero, base), db);
    /* e + quadratic form of the step (r becomes r - ds code - db) */
    e = v_sub(f.e, v_mul(two, v_add(v_mul(ds, f.gq), v_mul(db, f.g1))));
    e = v_add(e, v_add(v_mul(v_mul(ds, ds), f.hqq), v_add(v_mul(v_mul(two, v_mul(ds, db)), f.hq), v_mul(v_mul(db, db), h1))));
    best->scale = v_select_lt(e, best->error, v_add(scale, ds), best->scale);
    best->base = v_select_lt(e, best->error, v_add(base, db), best->base);
    best->hqq = v_select_lt(e, best->error, f.hqq, best->hqq);
    best->hq = v_select_lt(e, best->error, f.hq, best->hq);
    best->bound = v_select_lt(e, best->error, v_select_lt(zero, over, v_set1(1.0f), zero), best->bound);
    best->error = v_select_lt(e, best->error, e, best->error);
}

/* Fractions of the range cut off (or, negative, added) at either end, per count of bits: few levels clip much, many levels try
 * how they fall upon the weights. */
static const struct {
    int   n;
    float cut[6];
} line_ends[6] = {
    [2] = { 5, { -0.03f, 0.04f, 0.11f, 0.18f, 0.25f, 0.0f } },
    [4] = { 5, { -0.12f, -0.06f, -0.01f, 0.02f, 0.05f, 0.0f } },
    [5] = { 6, { -0.12f, -0.08f, -0.04f, -0.01f, 0.006f, 0.022f } },
};

struct line_range {
    v16 lo, hi;
};

/* The range of the columns whose weight is at least `least`. */
static struct line_range line_range_of(const struct pare_enc_lines *j, v16 least)
{
    v16 far = v_set1(INFINITY), close = v_set1(-INFINITY);
    struct line_range r = { far, close };

    for (int i = 0; i < j->at.n; i++) {
        v16 x = v_load(j->at.x + 16 * i), w = v_load(j->at.w + 16 * i);

        r.lo = v_min(v_select_lt(w, least, far, x), r.lo);
        r.hi = v_max(v_select_lt(w, least, close, x), r.hi);
    }
    return r;
}

static void line_search(const struct pare_enc_lines *j, struct line_range r, v16 h1, v16 top, struct line_best *best)
{
    v16 zero = v_set1(0.0f), lo = v_min(r.lo, zero), span = v_sub(r.hi, lo), over_top = v_div(v_set1(1.0f), top);

    for (int a = 0; a < line_ends[j->bits].n; a++)
        for (int c = 0; c < line_ends[j->bits].n; c++) {
            v16 l = v_min(v_add(lo, v_mul(v_set1(line_ends[j->bits].cut[a]), span)), zero);
            v16 h = v_sub(r.hi, v_mul(v_set1(line_ends[j->bits].cut[c]), span));

            line_consider(j, v_mul(v_sub(h, l), over_top), l, h1, top, best);
        }
}

V16 v16 line_top(const struct pare_enc_lines *j) { return v_set1((float)((1 << j->bits) - 1)); }

static void line_ideal(struct pare_enc_lines *j)
{
    v16 zero = v_set1(0.0f), one = v_set1(1.0f), h1 = wide_sum(j->at.w, j->at.n), top = line_top(j), other, slope;
    struct line_range whole = line_range_of(j, zero), heavy;
    struct line_best best = { v_set1(INFINITY), zero, zero, zero, zero, zero };

    line_search(j, whole, h1, top, &best);
    /* Columns of little importance may fall outside altogether. */
    heavy = line_range_of(j, v_mul(v_set1(0.1f), v_div(h1, v_set1((float)j->at.n))));
    other = v_select_lt(whole.lo, heavy.lo, one, v_select_lt(heavy.hi, whole.hi, one, zero));
    if (wide_any(other)) line_search(j, heavy, h1, top, &best);
    for (int i = 0; i < 3; i++) line_consider(j, best.scale, best.base, h1, top, &best); /* new codes on the refitted line */
    slope = v_mul(best.hq, wide_over(h1));
    v_store(j->scale, best.scale);
    v_store(j->base, best.base);
    v_store(j->slope, slope);
    v_store(j->curve, v_sub(best.hqq, v_mul(best.hq, slope)));
    v_store(j->h1, h1);
    v_store(j->bound, best.bound);
}

static void line_scale_costs(const struct pare_enc_lines *j, int lo, int hi, const float *d, float *cost)
{
    v16 zero = v_set1(0.0f), top = v_set1(j->s_hi);

    for (int u = 0; u < PARE_ENC_DRAWS; u += 16) {
        v16 dv = v_load(d + u), inv = wide_over(dv), sum = zero;

        for (int g = lo; g < hi; g++) {
            v16 want = v_set1(j->scale[g]), miss = v_sub(v_mul(dv, wide_within(v_mul(want, inv), zero, top)), want);

            sum = v_add(sum, v_mul(v_mul(v_set1(j->curve[g]), miss), miss));
        }
        v_store(cost + u, sum);
    }
}

/* The base that suits a scale near the ideal one. */
V16 v16 line_base_for(v16 base, v16 slope, v16 ideal, v16 scale) { return v_sub(base, v_mul(slope, v_sub(scale, ideal))); }

static void line_base_costs(const struct pare_enc_lines *j, int lo, int hi, float d, const float *dmin, float *cost)
{
    v16 zero = v_set1(0.0f), top = v_set1(j->s_hi), scale = v_load(j->scale);
    v16 dv = v_set1(d), near = v_mul(dv, wide_within(v_mul(scale, wide_over(dv)), zero, top));
    float want[16];

    v_store(want, line_base_for(v_load(j->base), v_load(j->slope), scale, near));
    for (int u = 0; u < PARE_ENC_DRAWS; u += 16) {
        v16 step = v_load(dmin + u), inv = wide_over(step), sum = zero;

        for (int g = lo; g < hi; g++) {
            v16 depth = v_set1(-want[g]), miss = v_sub(v_mul(step, wide_within(v_mul(depth, inv), zero, top)), depth);

            sum = v_add(sum, v_mul(v_mul(v_set1(j->h1[g]), miss), miss));
        }
        v_store(cost + u, sum);
    }
}

static void line_place(const struct pare_enc_lines *j, int reach, const float *near, const float *dp, const float *dminp, float *sp,
                       float *mp, float *ep)
{
    v16 zero = v_set1(0.0f), d = v_load(dp), dmin = v_load(dminp), inv_min = wide_over(dmin), centre = v_load(near), top = line_top(j);
    v16 s_hi = v_set1(j->s_hi), m_hi = v_select_lt(zero, v_abs(dmin), s_hi, zero), over_h1 = wide_over(v_load(j->h1));
    v16 ideal = v_load(j->scale), base = v_load(j->base), slope = v_load(j->slope);
    v16 best = v_set1(INFINITY), best_s = zero, best_m = zero;

    for (int i = -reach; i <= reach; i++) {
        v16 s = v_min(v_max(v_add(centre, v_set1((float)i)), zero), s_hi), scale = v_mul(d, s);
        v16 want = line_base_for(base, slope, ideal, scale), m;

        want = v_add(want, v_mul(line_probe(j, scale, want, top).g1, over_h1));
        m = wide_within(v_mul(v_sub(zero, want), inv_min), zero, m_hi);
        for (int k = -1; k <= 1; k++) {
            v16 t = v_min(v_max(v_add(m, v_set1((float)k)), zero), m_hi), e;

            e = line_error(j, scale, v_sub(zero, v_mul(dmin, t)), top);
            best_s = v_select_lt(e, best, s, best_s);
            best_m = v_select_lt(e, best, t, best_m);
            best = v_select_lt(e, best, e, best);
        }
    }
    v_store(sp, best_s);
    v_store(mp, best_m);
    v_store(ep, best);
}

static void line_sums(const struct pare_enc_lines *j, const float *scale, const float *base, struct pare_enc_line_sums *sums)
{
    struct line_fit f = line_probe(j, v_load(scale), v_load(base), line_top(j));

    v_store(sums->gq, f.gq);
    v_store(sums->g1, f.g1);
    v_store(sums->hqq, f.hqq);
    v_store(sums->hq, f.hq);
}

static void line_codes(const struct pare_enc_lines *j, const float *scale, const float *base, float *code)
{
    v16 inv = wide_inverse(v_load(scale)), b = v_load(base), top = line_top(j);

    for (int i = 0; i < j->at.n; i++) v_store(code + 16 * i, line_code(v_sub(v_load(j->at.x + 16 * i), b), inv, top));
}
