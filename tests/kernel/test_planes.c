/* SPDX-License-Identifier: Apache-2.0
 * Products with bit planes: integers equal a sum in 64 bits, floats a sum in double, and every tier the plain C bit for bit. */
#include "fixture.h"

#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/planes.h"

static const enum pare_plane_kind kinds[] = { PARE_PLANE_UNSIGNED, PARE_PLANE_SIGNED, PARE_PLANE_BIPOLAR };
static uint64_t draws;

static uint64_t draw(void) { return pare_rng_u64(7, PARE_RNG_TEST, draws++); }
static uint32_t below(uint32_t n) { return (uint32_t)(draw() % n); }

/* A value of the kind; hard: mostly the two ends, where sums are largest. */
static int16_t value(enum pare_plane_kind kind, uint32_t bits, bool hard)
{
    int32_t lo, hi, step = kind == PARE_PLANE_BIPOLAR ? 2 : 1;

    pare_plane_range(kind, bits, &lo, &hi);
    if (hard && below(8) != 0) return (int16_t)(below(16) != 0 ? hi : lo);
    return (int16_t)(lo + step * (int32_t)below((uint32_t)((hi - lo) / step + 1)));
}

/* A matrix with its values, and integer activations of n tokens. */
struct rig {
    struct pare_planes w;
    int16_t *v, *q;
    uint32_t n;
};

static void rig_make(struct rig *r, uint32_t rows, uint32_t cols, uint32_t group, uint32_t bits, enum pare_plane_kind kind, uint32_t n, uint32_t abits,
                     enum pare_plane_kind akind, bool hard)
{
    assert_int_equal(pare_planes_shape(&r->w, rows, cols, group, bits, kind, NULL), PARE_OK);
    r->n = n;
    r->v = pare_alloc_array((uint64_t)rows * cols, sizeof *r->v);
    r->q = pare_alloc_array((uint64_t)n * cols, sizeof *r->q);
    r->w.data = pare_aligned(pare_planes_bytes(&r->w));
    memset(r->w.data, 0, pare_planes_bytes(&r->w));
    for (uint64_t i = 0; i < (uint64_t)rows * cols; i++) r->v[i] = value(kind, bits, hard);
    for (uint64_t i = 0; i < (uint64_t)n * cols; i++) r->q[i] = value(akind, abits, hard);
    for (uint32_t i = 0; i < rows; i++) pare_planes_put(&r->w, i, r->v + (uint64_t)i * cols);
}
static void rig_free(struct rig *r)
{
    pare_free(r->v);
    pare_free(r->q);
    pare_aligned_free(r->w.data);
}

static int64_t dot64(const struct rig *r, uint32_t t, uint32_t g, uint32_t row)
{
    int64_t s = 0;

    for (uint32_t c = 0; c < pare_planes_cols(&r->w, g); c++)
        s += (int64_t)r->v[(uint64_t)row * r->w.cols + g * r->w.group + c] * r->q[(uint64_t)t * r->w.cols + g * r->w.group + c];
    return s;
}

static void check_dots(const struct rig *r, const int32_t *dot, const char *what, int tier)
{
    for (uint32_t t = 0; t < r->n; t++)
        for (uint32_t g = 0; g < r->w.n_groups; g++)
            for (uint32_t i = 0; i < r->w.rows; i++) {
                int64_t want = dot64(r, t, g, i);
                int32_t got = dot[((uint64_t)t * r->w.n_groups + g) * r->w.rows + i];

                if (got != want)
                    fail_msg("%s, tier %d, %u bits kind %d, %ux%u groups of %u: token %u, group %u, row %u: %d instead of %lld", what, tier,
                             r->w.bits, r->w.kind, r->w.rows, r->w.cols, r->w.group, t, g, i, got, (long long)want);
            }
}

static void all_dots(const struct rig *r, uint32_t abits, enum pare_plane_kind akind)
{
    uint64_t count = (uint64_t)r->n * r->w.n_groups * r->w.rows;
    int32_t *dot = pare_alloc_array(count, sizeof *dot);
    void *am = pare_aligned(pare_plane_acts_bytes(&r->w, r->n)), *tm = pare_aligned(pare_plane_tables_bytes(&r->w, r->n));
    struct pare_plane_acts a;
    struct pare_plane_tables t;

    pare_plane_acts_set(&a, am, &r->w, r->q, r->n, abits, akind);
    pare_plane_tables_set(&t, tm, &r->w, r->q, r->n);
    for (int tier = PARE_TIER_BASE; tier <= PARE_TIER_AVX512; tier++) {
        const struct pare_plane_ops *ops = pare_plane_ops_for(tier);

        memset(dot, 1, count * sizeof *dot);
        pare_planes_popcount_dot(ops, dot, &r->w, &a, 0, r->w.n_panels);
        check_dots(r, dot, "popcount", tier);
        memset(dot, 1, count * sizeof *dot);
        for (uint32_t p = r->w.n_panels; p-- > 0;) pare_planes_lookup_dot(ops, dot, &r->w, &t, p, p + 1);
        check_dots(r, dot, "lookup", tier);
    }
    pare_free(dot);
    pare_aligned_free(am);
    pare_aligned_free(tm);
}

/* Every pair of widths and of kinds, with plain and with hard values. */
static void test_widths(void **state)
{
    struct rig r;

    (void)state;
    for (uint32_t w = 1; w <= 8; w++)
        for (uint32_t a = 1; a <= 8; a++)
            for (uint32_t k = 0; k < 9; k++) {
                rig_make(&r, 66, 72 + below(70), 24 + below(60), w, kinds[k / 3], 1, a, kinds[k % 3], (w + a + k) % 2 == 0);
                all_dots(&r, a, kinds[k % 3]);
                rig_free(&r);
            }
}

/* Groups of any length, several tokens, one row, many panels; the widest sums; more blocks than any counter of bytes takes. */
static void test_shapes(void **state)
{
    static const uint32_t shape[][4] = { { 1, 1, 1, 1 }, { 3, 7, 2, 3 }, { 64, 8, 8, 1 }, { 65, 100, 9, 2 }, { 200, 129, 128, 3 },
                                         { 130, 264, 33, 2 }, { 64, 1000, 0, 1 }, { 70, 2500, 1250, 2 } };
    struct rig r;

    (void)state;
    for (uint32_t i = 0; i < sizeof shape / sizeof *shape; i++)
        for (uint32_t k = 0; k < 3; k++) {
            uint32_t w = 1 + below(8), a = 1 + below(8);
            enum pare_plane_kind ak = kinds[below(3)];

            rig_make(&r, shape[i][0], shape[i][1], shape[i][2], w, kinds[k], shape[i][3], a, ak, k == 1);
            all_dots(&r, a, ak);
            rig_free(&r);
        }
    for (uint32_t k = 0; k < 9; k++) {
        int32_t lo, hi;

        rig_make(&r, 2, PARE_PLANE_GROUP_MAX, 0, 8, kinds[k / 3], 1, 8, kinds[k % 3], false);
        pare_plane_range(kinds[k / 3], 8, &lo, &hi);
        memset(r.w.data, 0, pare_planes_bytes(&r.w));
        for (uint32_t c = 0; c < r.w.cols; c++) {
            r.v[c] = (int16_t)lo;
            r.v[r.w.cols + c] = (int16_t)hi;
        }
        for (uint32_t i = 0; i < 2; i++) pare_planes_put(&r.w, i, r.v + i * r.w.cols);
        pare_plane_range(kinds[k % 3], 8, &lo, &hi);
        for (uint32_t end = 0; end < 2; end++) {
            for (uint32_t c = 0; c < r.w.cols; c++) r.q[c] = (int16_t)(end ? hi : lo);
            all_dots(&r, 8, kinds[k % 3]);
        }
        rig_free(&r);
    }
}

static void test_rows_and_errors(void **state)
{
    struct pare_planes p;
    struct pare_diag diag = { 0 };
    struct rig r;
    int16_t back[150];

    (void)state;
    for (uint32_t w = 1; w <= 8; w++)
        for (uint32_t k = 0; k < 3; k++) {
            rig_make(&r, 67, 150, 41, w, kinds[k], 1, 1, PARE_PLANE_UNSIGNED, false);
            for (uint32_t i = 0; i < 67; i++) {
                pare_planes_get(&r.w, i, back);
                assert_memory_equal(back, r.v + i * 150, sizeof back);
            }
            rig_free(&r);
        }
    assert_int_equal(pare_planes_shape(&p, 0, 8, 8, 2, PARE_PLANE_SIGNED, &diag), PARE_E_USAGE);
    assert_non_null(strstr(diag.text, "0 rows"));
    assert_int_equal(pare_planes_shape(&p, 8, 0, 8, 2, PARE_PLANE_SIGNED, NULL), PARE_E_USAGE);
    assert_int_equal(pare_planes_shape(&p, 8, 8, 8, 0, PARE_PLANE_SIGNED, NULL), PARE_E_USAGE);
    assert_int_equal(pare_planes_shape(&p, 8, 8, 8, 9, PARE_PLANE_SIGNED, NULL), PARE_E_USAGE);
    assert_int_equal(pare_planes_shape(&p, 8, PARE_PLANE_GROUP_MAX + 1, 0, 8, PARE_PLANE_SIGNED, NULL), PARE_E_USAGE);
}

static float *floats(uint64_t n, float spread)
{
    float *x = pare_alloc_array(n, sizeof *x);

    for (uint64_t i = 0; i < n; i++) x[i] = spread * pare_rng_normal(3, PARE_RNG_TEST, draws++);
    return x;
}

/* Scales of groups on both sides, with and without a zero: the same bits everywhere, and the dense product. */
static void test_scales(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 9; k++) {
        struct rig r;
        uint32_t w = 1 + below(8), a = 1 + below(8), n = 2;

        rig_make(&r, 100, 300, 64 + below(80), w, kinds[k / 3], n, a, kinds[k % 3], false);
        uint64_t ns = pare_plane_scales_count(&r.w);
        float *s = floats(ns, 0.1f), *z = floats(ns, 0.1f), *d = floats((uint64_t)n * r.w.n_groups, 0.3f), *y = floats(n * 100, 1), *first = floats(n * 100, 1);
        struct pare_plane_scales sc = { .scale = s, .zero = k % 2 ? z : NULL };
        void *am = pare_aligned(pare_plane_acts_bytes(&r.w, n)), *tm = pare_aligned(pare_plane_tables_bytes(&r.w, n));
        struct pare_plane_acts acts;
        struct pare_plane_tables tab;

        pare_plane_acts_set(&acts, am, &r.w, r.q, n, a, kinds[k % 3]);
        pare_plane_tables_set(&tab, tm, &r.w, r.q, n);
        pare_planes_popcount(pare_plane_ops_for(PARE_TIER_BASE), first, 100, &r.w, &sc, &acts, d, 0, r.w.n_panels);
        for (uint32_t t = 0; t < n; t++)
            for (uint32_t i = 0; i < 100; i++) {
                double want = 0, size = 1e-30;

                for (uint32_t g = 0; g < r.w.n_groups; g++) {
                    double e = (double)s[pare_plane_scale_at(&r.w, i, g)] * d[t * r.w.n_groups + g] * (double)dot64(&r, t, g, i);
                    double f = (k % 2 ? (double)z[pare_plane_scale_at(&r.w, i, g)] : 0) * d[t * r.w.n_groups + g] * acts.sum[t * r.w.n_groups + g];

                    want += e + f;
                    size += (e < 0 ? -e : e) + (f < 0 ? -f : f);
                }
                assert_true((double)first[t * 100 + i] - want < 1e-5 * size && want - (double)first[t * 100 + i] < 1e-5 * size);
            }
        for (int tier = PARE_TIER_BASE; tier <= PARE_TIER_AVX512; tier++) {
            pare_planes_popcount(pare_plane_ops_for(tier), y, 100, &r.w, &sc, &acts, d, 1, 2);
            pare_planes_popcount(pare_plane_ops_for(tier), y, 100, &r.w, &sc, &acts, d, 0, 1);
            assert_memory_equal(y, first, n * 100 * sizeof *y);
            memset(y, 0, n * 100 * sizeof *y);
            pare_planes_lookup(pare_plane_ops_for(tier), y, 100, &r.w, &sc, &tab, d, 0, 2);
            assert_memory_equal(y, first, n * 100 * sizeof *y);
        }
        pare_free(s); pare_free(z); pare_free(d); pare_free(y); pare_free(first);
        pare_aligned_free(am);
        pare_aligned_free(tm);
        rig_free(&r);
    }
}

/* One to four planes with scales of their own, groups of any length: dequantize-then-multiply to rounding, and one set of bits. */
static void test_float_tables(void **state)
{
    static const uint32_t groups[] = { 1, 3, 8, 10, 32, 50, 128, 0 };

    (void)state;
    for (uint32_t bits = 1; bits <= 4; bits++)
        for (uint32_t k = 0; k < sizeof groups / sizeof *groups; k++) {
            struct rig r;

            rig_make(&r, 90, 301, groups[k], bits, PARE_PLANE_UNSIGNED, 1, 1, PARE_PLANE_UNSIGNED, false);
            uint64_t ns = pare_plane_scales_count(&r.w);
            float *al = floats(ns * bits, 0.1f), *z = floats(ns, 0.1f), *x = floats(301, 1), y[90], first[90];
            struct pare_plane_scales sc = { .zero = z, .alpha = al };
            void *mem = pare_aligned(pare_plane_ftables_bytes(&r.w));
            struct pare_plane_ftables t;

            for (int tier = PARE_TIER_BASE; tier <= PARE_TIER_AVX512; tier++) {
                pare_plane_ftables_set(&t, mem, &r.w, x, pare_plane_ops_for(tier));
                pare_planes_flookup(pare_plane_ops_for(tier), tier == 0 ? first : y, &r.w, &sc, &t, 0, 2);
                if (tier != 0) assert_memory_equal(y, first, sizeof y);
            }
            for (uint32_t i = 0; i < 90; i++) {
                double want = 0, size = 1e-30;

                for (uint32_t c = 0; c < 301; c++) {
                    uint64_t at = pare_plane_scale_at(&r.w, i, c / r.w.group);
                    double v = z[at], e;

                    for (uint32_t b = 0; b < bits; b++)
                        v += (double)al[(at / 64 * bits + b) * 64 + at % 64] * (r.v[i * 301 + c] >> b & 1 ? 1 : -1);
                    e = v * x[c];
                    want += e;
                    size += e < 0 ? -e : e;
                }
                assert_true((double)first[i] - want < 1e-5 * size && want - (double)first[i] < 1e-5 * size);
            }
            pare_free(al); pare_free(z); pare_free(x);
            pare_aligned_free(mem);
            rig_free(&r);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths), cmocka_unit_test(test_shapes), cmocka_unit_test(test_rows_and_errors),
        cmocka_unit_test(test_scales), cmocka_unit_test(test_float_tables),
    };

    return cmocka_run_group_tests_name("planes", tests, NULL, NULL);
}
