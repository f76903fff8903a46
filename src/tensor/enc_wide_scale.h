/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_wide_scale.h: types without minima; the middle of enc_wide_recipe.h.
 * lint: included in the middle */

/* Index into the tables of a book. */
V16 v16 scale_cell(v16 x, v16 inv)
{
    v16 y = v_add(v_mul(x, v_mul(v_set1(2.0f), inv)), v_set1(256.0f));

    return v_min(v_max(y, v_set1(0.0f)), v_set1(511.0f));
}

V16 v16 scale_level(const struct pare_enc_book *b, int table, v16 x, v16 inv)
{
    if (table) return ENC_TABLE_LEVEL(b, scale_cell(x, inv));
    return wide_within(v_mul(x, inv), v_set1(b->lo), v_set1(b->hi));
}

/* g: sum of w x level, h: sum of w level^2, at the codes of a scale. The best scale for them is g / h, and takes g^2 / h off the sum
 * of w x^2. */
struct scale_fit {
    v16 g, h;
};

V16 struct scale_fit scale_probe_of(const struct pare_enc_scales *j, int table, v16 scale)
{
    struct scale_fit f = { v_set1(0.0f), v_set1(0.0f) };
    v16 inv = wide_inverse(scale);

    for (int i = 0; i < j->at.n; i++) {
        v16 x = v_load(j->at.x + 16 * i), level = scale_level(j->book, table, x, inv), wl = v_mul(v_load(j->at.w + 16 * i), level);

        f.g = v_add(f.g, v_mul(wl, x));
        f.h = v_add(f.h, v_mul(wl, level));
    }
    return f;
}

V16 v16 scale_error_of(const struct pare_enc_scales *j, int table, v16 scale)
{
    v16 e = v_set1(0.0f), inv = wide_inverse(scale);

    for (int i = 0; i < j->at.n; i++) {
        v16 x = v_load(j->at.x + 16 * i), r = v_sub(x, v_mul(scale, scale_level(j->book, table, x, inv)));

        e = v_add(e, v_mul(v_mul(v_load(j->at.w + 16 * i), r), r));
    }
    return e;
}

/* Two copies of each loop, so that it does not ask what kind of levels there are. */
static struct scale_fit scale_probe(const struct pare_enc_scales *j, v16 scale)
{
    return j->book->table ? scale_probe_of(j, 1, scale) : scale_probe_of(j, 0, scale);
}
static v16 scale_error(const struct pare_enc_scales *j, v16 scale)
{
    return j->book->table ? scale_error_of(j, 1, scale) : scale_error_of(j, 0, scale);
}

struct scale_best {
    v16 gain, scale, curve;
};

/* Codes at a scale, the scale refitted to them; kept where the gain is the largest so far. */
static void scale_consider(const struct pare_enc_scales *j, v16 scale, struct scale_best *best)
{
    struct scale_fit f = scale_probe(j, scale);
    v16 fitted = v_mul(f.g, wide_over(f.h)), gain = v_mul(f.g, fitted);

    best->scale = v_select_lt(best->gain, gain, fitted, best->scale);
    best->curve = v_select_lt(best->gain, gain, f.h, best->curve);
    best->gain = v_select_lt(best->gain, gain, gain, best->gain);
}

/* The value of largest magnitude among the columns whose weight is at least `least`; 0 where there is none. */
static v16 scale_extreme(const struct pare_enc_scales *j, v16 least)
{
    v16 ext = v_set1(0.0f);

    for (int i = 0; i < j->at.n; i++) {
        v16 x = v_load(j->at.x + 16 * i), size = v_select_lt(v_load(j->at.w + 16 * i), least, v_set1(-1.0f), v_abs(x));

        ext = v_select_lt(v_abs(ext), size, x, ext);
    }
    return ext;
}

/* Tries the scales that put `extreme` on t0 .. t1 times the longer side of the levels. */
static void scale_range(const struct pare_enc_scales *j, v16 extreme, struct scale_best *best)
{
    const struct pare_enc_book *b = j->book;
    v16 unit = v_div(-b->lo >= b->hi ? v_sub(v_set1(0.0f), extreme) : extreme, v_set1(b->ext));
    float step = (b->t1 - b->t0) / (float)(b->n_grid - 1);

    for (int i = 0; i < b->n_grid; i++) {
        v16 s = v_mul(unit, v_set1(b->t0 + step * (float)i));

        scale_consider(j, s, best);
        if (b->both) scale_consider(j, v_sub(v_set1(0.0f), s), best);
    }
}

static void scale_ideal(struct pare_enc_scales *j)
{
    v16 zero = v_set1(0.0f), sw = wide_sum(j->at.w, j->at.n), whole = scale_extreme(j, zero), heavy, other;
    struct scale_best best = { zero, zero, zero };

    scale_range(j, whole, &best);
    /* Columns of little importance may fall outside altogether. Where there are none, the range is that of before. */
    heavy = scale_extreme(j, v_mul(v_set1(0.1f), v_div(sw, v_set1((float)j->at.n))));
    heavy = v_select_lt(zero, v_abs(heavy), heavy, whole);
    other = v_select_lt(v_abs(heavy), v_abs(whole), v_set1(1.0f), zero);
    if (wide_any(other)) scale_range(j, heavy, &best);
    for (int i = 0; i < 3; i++) scale_consider(j, best.scale, &best); /* new codes at the refitted scale, and a refit of those */
    v_store(j->want, best.scale);
    v_store(j->curve, best.curve);
}

static void scale_costs(const struct pare_enc_scales *j, int lo, int hi, const float *d, float *cost)
{
    for (int u = 0; u < PARE_ENC_DRAWS; u += 16) {
        v16 dv = v_load(d + u), inv = wide_over(dv), sum = v_set1(0.0f);

        for (int g = lo; g < hi; g++) {
            v16 want = v_set1(j->want[g]), s = wide_within(v_mul(want, inv), v_set1(j->s_lo), v_set1(j->s_hi));
            v16 miss = v_sub(want, v_mul(dv, s));

            sum = v_add(sum, v_mul(v_mul(v_set1(j->curve[g]), miss), miss));
        }
        v_store(cost + u, sum);
    }
}

static void scale_place(const struct pare_enc_scales *j, int reach, const float *near, const float *dp, float *sp, float *ep)
{
    v16 d = v_load(dp), lo = v_set1(j->s_lo), hi = v_set1(j->s_hi), centre = wide_within(v_mul(v_load(near), wide_over(d)), lo, hi);
    v16 s = centre, best = scale_error(j, v_mul(d, s));

    for (int i = 1; i <= reach; i++)
        for (int side = -1; side <= 1; side += 2) {
            v16 t = v_min(v_max(v_add(centre, v_set1((float)(side * i))), lo), hi), e = scale_error(j, v_mul(d, t));

            s = v_select_lt(e, best, t, s);
            best = v_select_lt(e, best, e, best);
        }
    v_store(sp, s);
    v_store(ep, best);
}

static void scale_sums(const struct pare_enc_scales *j, const float *scale, float *g, float *h)
{
    struct scale_fit f = scale_probe(j, v_load(scale));

    v_store(g, f.g);
    v_store(h, f.h);
}

static void scale_errors(const struct pare_enc_scales *j, const float *scale, float *e) { v_store(e, scale_error(j, v_load(scale))); }

static void scale_codes(const struct pare_enc_scales *j, const float *scale, float *code)
{
    v16 inv = wide_inverse(v_load(scale));

    for (int i = 0; i < j->at.n; i++) {
        v16 x = v_load(j->at.x + 16 * i);

        v_store(code + 16 * i, j->book->table ? scale_cell(x, inv) : v_sub(scale_level(j->book, 0, x, inv), v_set1(j->book->lo)));
    }
}
