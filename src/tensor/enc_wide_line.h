/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_wide_line.h: types with minima; the middle of enc_wide_recipe.h.
 * lint: included in the middle */
#include <math.h>

V16 v16 line_top(const struct pare_enc_lines *j) { return v_set1((float)((1 << j->bits) - 1)); }

struct line_fit {
    v16 gq, g1, hqq, hq;
};

/* Code of a column, from its distance to the base. */
V16 v16 line_code(v16 above, v16 inv, v16 top) { return wide_within(v_mul(above, inv), v_set1(0.0f), top); }

static struct line_fit line_probe(const struct pare_enc_lines *j, v16 scale, v16 base, v16 top)
{
    v16 zero = v_set1(0.0f), inv = wide_inverse(scale);
    struct line_fit f = { zero, zero, zero, zero };

    for (int i = 0; i < j->at.n; i++) {
        v16 above = v_sub(v_load(j->at.x + 16 * i), base), w = v_load(j->at.w + 16 * i), q = line_code(above, inv, top);
        v16 r = v_sub(above, v_mul(scale, q)), wr = v_mul(w, r), wq = v_mul(w, q);

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

/* Sum of w r, r = x - value: how far the base could move with these codes. */
static v16 line_pull(const struct pare_enc_lines *j, v16 scale, v16 base, v16 top)
{
    v16 g1 = v_set1(0.0f), inv = wide_inverse(scale);

    for (int i = 0; i < j->at.n; i++) {
        v16 above = v_sub(v_load(j->at.x + 16 * i), base), r = v_sub(above, v_mul(scale, line_code(above, inv, top)));

        g1 = v_add(g1, v_mul(v_load(j->at.w + 16 * i), r));
    }
    return g1;
}

/* The search for the ideal line. With x measured from its weighted mean the best line through given codes needs three sums only:
 * `gain` is what it takes off the sum of w x^2 about the mean. */
struct line_search {
    const struct pare_enc_lines *j;
    v16 h1, over_h1, mean, below, top, base_hi; /* below: what holding the base at 0 costs before any code: h1 mean^2 */
    v16 gain, scale, base, hqq, hq, bound; /* the best so far */
    _Alignas(64) float wx[32 * 16];      /* w (x - mean) */
};

/* Codes on a line, both of its numbers refitted to them in closed form; kept where the gain is the largest so far. */
static void line_consider(struct line_search *f, v16 scale, v16 base)
{
    v16 zero = v_set1(0.0f), inv = wide_inverse(scale), wxq = zero, hqq = zero, hq = zero, free_hqq, s, b, gain, over, held;

    for (int i = 0; i < f->j->at.n; i++) {
        v16 q = line_code(v_sub(v_load(f->j->at.x + 16 * i), base), inv, f->top), wq = v_mul(v_load(f->j->at.w + 16 * i), q);

        wxq = v_add(wxq, v_mul(v_load(f->wx + 16 * i), q));
        hqq = v_add(hqq, v_mul(wq, q));
        hq = v_add(hq, wq);
    }
    free_hqq = v_sub(hqq, v_mul(hq, v_mul(hq, f->over_h1)));
    s = v_select_lt(v_mul(v_set1(1e-6f), hqq), free_hqq, v_mul(wxq, wide_over(free_hqq)), zero); /* all codes alike: the base alone */
    b = v_sub(f->mean, v_mul(s, v_mul(hq, f->over_h1)));
    gain = v_mul(s, wxq);
    over = v_select_lt(f->base_hi, b, v_set1(1.0f), zero);
    held = v_add(wxq, v_mul(f->mean, hq)); /* sum of w x code */
    s = v_select_lt(zero, over, v_mul(held, wide_over(hqq)), s);
    b = v_select_lt(zero, over, zero, b);
    gain = v_select_lt(zero, over, v_sub(v_mul(s, held), f->below), gain);
    f->scale = v_select_lt(f->gain, gain, s, f->scale);
    f->base = v_select_lt(f->gain, gain, b, f->base);
    f->hqq = v_select_lt(f->gain, gain, hqq, f->hqq);
    f->hq = v_select_lt(f->gain, gain, hq, f->hq);
    f->bound = v_select_lt(f->gain, gain, over, f->bound);
    f->gain = v_select_lt(f->gain, gain, gain, f->gain);
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

static void line_try_range(struct line_search *f, struct line_range r)
{
    v16 lo = v_min(r.lo, f->base_hi), span = v_sub(r.hi, lo), over_top = v_div(v_set1(1.0f), f->top);
    int n = line_ends[f->j->bits].n;

    for (int a = 0; a < n; a++)
        for (int c = 0; c < n; c++) {
            v16 l = v_min(v_add(lo, v_mul(v_set1(line_ends[f->j->bits].cut[a]), span)), f->base_hi);
            v16 h = v_sub(r.hi, v_mul(v_set1(line_ends[f->j->bits].cut[c]), span));

            line_consider(f, v_mul(v_sub(h, l), over_top), l);
        }
}

static void line_start(struct line_search *f, const struct pare_enc_lines *j)
{
    v16 zero = v_set1(0.0f), sum = zero;

    f->j = j;
    f->top = line_top(j);
    f->base_hi = v_set1(j->base_hi);
    f->h1 = wide_sum(j->at.w, j->at.n);
    f->over_h1 = wide_over(f->h1);
    for (int i = 0; i < j->at.n; i++) sum = v_add(sum, v_mul(v_load(j->at.w + 16 * i), v_load(j->at.x + 16 * i)));
    f->mean = v_mul(sum, f->over_h1);
    f->below = v_mul(f->h1, v_mul(f->mean, f->mean));
    for (int i = 0; i < j->at.n; i++)
        v_store(f->wx + 16 * i, v_mul(v_load(j->at.w + 16 * i), v_sub(v_load(j->at.x + 16 * i), f->mean)));
    f->gain = v_set1(-INFINITY);
    f->scale = f->base = f->hqq = f->hq = f->bound = zero;
}

static void line_ideal(struct pare_enc_lines *j)
{
    struct line_search f;
    v16 zero = v_set1(0.0f), one = v_set1(1.0f), other, slope;
    struct line_range whole = line_range_of(j, zero), heavy;

    line_start(&f, j);
    line_try_range(&f, whole);
    /* Columns of little importance may fall outside altogether. */
    heavy = line_range_of(j, v_mul(v_set1(0.1f), v_div(f.h1, v_set1((float)j->at.n))));
    other = v_select_lt(whole.lo, heavy.lo, one, v_select_lt(heavy.hi, whole.hi, one, zero));
    if (wide_any(other)) line_try_range(&f, heavy);
    for (int i = 0; i < 3; i++) line_consider(&f, f.scale, f.base); /* new codes on the refitted line */
    slope = v_mul(f.hq, f.over_h1);
    v_store(j->scale, f.scale);
    v_store(j->base, f.base);
    v_store(j->slope, slope);
    v_store(j->curve, v_sub(f.hqq, v_mul(f.hq, slope)));
    v_store(j->h1, f.h1);
    v_store(j->bound, f.bound);
}

static void line_scale_costs(const struct pare_enc_lines *j, int lo, int hi, const float *d, float *cost)
{
    v16 zero = v_set1(0.0f), top = v_set1(j->s_hi);

    for (int u = 0; u < PARE_ENC_LINE_DRAWS; u += 16) {
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
    for (int u = 0; u < PARE_ENC_LINE_DRAWS; u += 16) {
        v16 step = v_load(dmin + u), inv = wide_over(step), sum = zero;

        for (int g = lo; g < hi; g++) {
            v16 depth = v_set1(-want[g]), miss = v_sub(v_mul(step, wide_within(v_mul(depth, inv), zero, top)), depth);

            sum = v_add(sum, v_mul(v_mul(v_set1(j->h1[g]), miss), miss));
        }
        v_store(cost + u, sum);
    }
}

static void line_place(const struct pare_enc_lines *j, int reach, int reach_m, const float *near, const float *dp, const float *dminp, float *sp,
                       float *mp, float *ep)
{
    v16 zero = v_set1(0.0f), d = v_load(dp), dmin = v_load(dminp), inv_min = wide_over(dmin), top = line_top(j), centre;
    v16 s_hi = v_set1(j->s_hi), m_hi = v_select_lt(zero, v_abs(dmin), s_hi, zero), over_h1 = wide_over(v_load(j->h1));
    v16 ideal = v_load(j->scale), base = v_load(j->base), slope = v_load(j->slope);
    v16 best = v_set1(INFINITY), best_s = zero, best_m = zero;

    centre = near != NULL ? v_load(near) : wide_within(v_mul(ideal, wide_over(d)), zero, s_hi);
    for (int i = -reach; i <= reach; i++) {
        v16 s = v_min(v_max(v_add(centre, v_set1((float)i)), zero), s_hi), scale = v_mul(d, s);
        v16 want = line_base_for(base, slope, ideal, scale), m;

        want = v_add(want, v_mul(line_pull(j, scale, want, top), over_h1));
        m = wide_within(v_mul(v_sub(zero, want), inv_min), zero, m_hi);
        for (int k = -reach_m; k <= reach_m; k++) {
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

static void line_errors(const struct pare_enc_lines *j, const float *scale, const float *base, float *e)
{
    v_store(e, line_error(j, v_load(scale), v_load(base), line_top(j)));
}

static void line_codes(const struct pare_enc_lines *j, const float *scale, const float *base, float *code)
{
    v16 inv = wide_inverse(v_load(scale)), b = v_load(base), top = line_top(j);

    for (int i = 0; i < j->at.n; i++) v_store(code + 16 * i, line_code(v_sub(v_load(j->at.x + 16 * i), b), inv, top));
}
