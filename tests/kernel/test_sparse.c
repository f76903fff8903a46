/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/test_sparse.c: every sparse format against the engine's own dense product of the matrix with zeros in place of what was
 * removed, bit for bit, and every tier against plain C. */
#include "fixture.h"

#include <math.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/sparse_layout.h"
#include "kernel/vec.h"

static struct pare_diag diag;
#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != PARE_OK) fail_msg("%s: %s", #call, pare_diag_format(&diag, (char[600]){ 0 }, 600));              \
    } while (0)
#define MAX_N 11u

struct matrix {
    uint64_t  rows, cols, words;
    float    *w, *masked;
    uint64_t *keep;
    float    *x;           /* [MAX_N][cols] */
    struct pare_qact a;    /* of n rows */
    void     *mem;
};

static uint64_t draw(uint64_t seed, uint64_t i) { return pare_rng_u64(seed, PARE_RNG_TEST, i); }

/* How bits are chosen. */
enum pattern { FREE, TWO_OF_FOUR, BY_16_ROWS };

static bool stays(enum pattern how, uint64_t seed, double density, uint64_t cols, uint64_t r, uint64_t c)
{
    if (how == BY_16_ROWS) r = r / 16 * 16;
    if (how == TWO_OF_FOUR) { /* two different places of four, sometimes one or none */
        uint64_t u = draw(seed, r * cols + c / 4), i = u % 4, k = (i + 1 + u / 4 % 3) % 4;

        return u >> 32 < (uint64_t)(density * 4294967296.0) && (c % 4 == i || (c % 4 == k && u / 16 % 8 != 0));
    }
    return pare_rng_f64(seed, PARE_RNG_TEST, r * cols + c) < density;
}

/* kind 0: ordinary numbers; 1: the largest codes everywhere; 2: sums that leave the range of floats. */
static void make(struct matrix *m, uint64_t rows, uint64_t cols, enum pattern how, double density, uint64_t seed, int kind)
{
    *m = (struct matrix){ .rows = rows, .cols = cols, .words = (cols + 63) / 64 };
    m->w = pare_alloc_array(rows * cols, sizeof(float));
    m->masked = pare_alloc_array(rows * cols, sizeof(float));
    m->keep = pare_zalloc(rows * m->words, sizeof *m->keep);
    m->x = pare_alloc_array(MAX_N * cols, sizeof(float));
    for (uint64_t i = 0; i < rows * cols; i++) {
        const bool k = stays(how, seed, density, cols, i / cols, i % cols);

        m->w[i] = kind == 1 ? (draw(seed + 1, i) & 1 ? 3.0f : -3.0f) : pare_rng_normal(seed + 1, PARE_RNG_TEST, i) * (kind == 2 ? 3e4f : 1.0f);
        if (kind == 0 && draw(seed + 3, i) % 11 == 0) m->w[i] = 0; /* zeros that stay */
        if (k) m->keep[i / cols * m->words + i % cols / 64] |= (uint64_t)1 << (i % cols % 64);
        m->masked[i] = k ? m->w[i] : 0;
    }
    for (uint64_t i = 0; i < MAX_N * cols; i++)
        m->x[i] = kind == 1 ? (draw(seed + 2, i) & 1 ? 1.0f : -1.0f) : pare_rng_normal(seed + 2, PARE_RNG_TEST, i) * (kind == 2 ? 1e34f : 1.0f);
    m->mem = pare_aligned(pare_qact_bytes(MAX_N, cols));
    pare_qact_init(&m->a, m->mem, MAX_N, cols);
    pare_gemmq_for(0)->quantize(&m->a, m->x, cols, 0, MAX_N);
}

static void drop(struct matrix *m)
{
    pare_free(m->w);
    pare_free(m->masked);
    pare_free(m->keep);
    pare_free(m->x);
    pare_aligned_free(m->mem);
}

static void dense_float(const struct matrix *m, enum pare_type type, float *y)
{
    const struct pare_vec *vk = pare_vec_for(3);
    uint16_t              *h = pare_alloc_array(m->rows * m->cols, 2);

    for (uint64_t i = 0; i < m->rows * m->cols; i++) h[i] = pare_f32_to_f16(m->masked[i]);
    if (type == PARE_F16) vk->gemm_f16(y, m->rows, h, m->cols * 2, m->x, m->cols, m->cols, 0, m->rows, MAX_N);
    else vk->gemm_f32(y, m->rows, m->masked, m->cols * 4, m->x, m->cols, m->cols, 0, m->rows, MAX_N);
    pare_free(h);
}

/* The engine's product with encoded rows of a quantized type. */
static void dense_rows(const struct matrix *m, enum pare_type type, const uint8_t *rows, uint64_t stride, float *y)
{
    struct pare_packed p;
    void              *scratch = pare_malloc(pare_pack_scratch(pare_dtype_of(type), m->cols));

    assert_true(pare_packed_shape(&p, pare_dtype_of(type), m->rows, m->cols));
    p.data = pare_aligned(pare_packed_bytes(&p));
    for (uint32_t i = 0; i < p.n_panels; i++) {
        const uint64_t r = i * 16ull, left = m->rows - r;

        pare_pack_panel(&p, i, rows + r * stride, stride, left < 16 ? (uint32_t)left : 16, scratch);
    }
    pare_gemmq_for(3)->gemm(y, m->rows, &p, &m->a, 0, p.n_panels, 0, MAX_N);
    pare_aligned_free(p.data);
    pare_free(scratch);
}

static void dense_q8(const struct matrix *m, float *y)
{
    const uint64_t stride = m->cols / 32 * 34;
    uint8_t       *rows = pare_malloc(m->rows * stride);

    for (uint64_t r = 0; r < m->rows; r++) pare_dtype_of(PARE_Q8_0)->encode(rows + r * stride, m->masked + r * m->cols, m->cols, NULL);
    dense_rows(m, PARE_Q8_0, rows, stride, y);
    pare_free(rows);
}

static const struct pare_sparse_kernels *table(int i)
{
#if defined(__x86_64__)
    if (i == 4) return pare_cpu_best_tier() >= PARE_TIER_VNNI ? &pare_sparse_vnni : NULL;
#endif
    return i < 4 ? pare_sparse_for(i) : NULL;
}

/* want [MAX_N][rows]. nan: only that both are NaN matters (float formats promise no more). */
static void same(const char *what, int tier, const float *want, const float *got, uint64_t rows, uint32_t t0, uint32_t n)
{
    for (uint64_t i = 0; i < n * rows; i++) {
        const float a = want[t0 * rows + i], b = got[i];

        if (memcmp(&a, &b, 4) == 0 || (a != a && b != b)) continue;
        fail_msg("%s, table %d: row %d of token %d is %.9g, dense has %.9g", what, tier, (int)(i % rows), (int)(t0 + i / rows), (double)b, (double)a);
    }
}

/* All tables, all numbers of tokens, panels in two pieces. */
static void check(const char *what, const struct pare_sparse *s, const struct matrix *m, const float *want)
{
    float *y = pare_alloc_array((uint64_t)MAX_N * m->rows, sizeof(float));

    for (int i = 0; i < 5; i++) {
        const struct pare_sparse_kernels *k = table(i);

        if (k == NULL) continue;
        for (uint32_t n = 1; n <= MAX_N; n++) {
            const uint32_t    t0 = MAX_N - n, cut = s->n_panels / 2;
            struct pare_qact  a = pare_qact_rows(&m->a, t0, MAX_N);

            memset(y, 0xff, (uint64_t)n * m->rows * sizeof *y);
            k->gemm[s->kind](y, m->rows, s, m->x + t0 * m->cols, m->cols, &a, n, 0, cut);
            k->gemm[s->kind](y, m->rows, s, m->x + t0 * m->cols, m->cols, &a, n, cut, s->n_panels);
            same(what, i, want, y, m->rows, t0, n);
        }
    }
    pare_free(y);
}

static void one(enum pare_sparse_kind kind, enum pare_type type, enum pattern how, uint64_t rows, uint64_t cols, double density, uint64_t seed, int values)
{
    struct matrix      m;
    struct pare_sparse s;
    char               what[100];
    float             *want = pare_alloc_array(MAX_N * rows, sizeof(float));

    snprintf(what, sizeof what, "kind %d, type %d, %d x %d, density %.2f, values %d", (int)kind, (int)type, (int)rows, (int)cols, density, values);
    make(&m, rows, cols, how, density, seed, values);
    OK(pare_sparse_make(&s, kind, type, m.w, rows, cols, m.keep, m.words, &diag));
    if (type == PARE_Q8_0) dense_q8(&m, want);
    else dense_float(&m, type, want);
    check(what, &s, &m, want);
    pare_sparse_free(&s);
    drop(&m);
    pare_free(want);
}

static const double densities[] = { 0, 0.03, 0.2, 0.5, 0.8, 1 };
#define EACH_DENSITY(call)                                                                                             \
    for (unsigned i = 0; i < sizeof densities / sizeof *densities; i++) { const double density = densities[i]; const uint64_t seed = 10 * i + 1; call; }

static void tiled(void **state)
{
    (void)state;
    EACH_DENSITY(one(PARE_SPARSE_TILED, PARE_F16, FREE, 37, 531, density, seed, 0))
    one(PARE_SPARSE_TILED, PARE_F16, FREE, 16, 256, 0.5, 3, 2);
    one(PARE_SPARSE_TILED, PARE_F16, FREE, 1, 5, 0.5, 3, 0);
}
static void mask_float(void **state)
{
    (void)state;
    EACH_DENSITY(one(PARE_SPARSE_MASK, PARE_F32, FREE, 37, 531, density, seed, 0))
    EACH_DENSITY(one(PARE_SPARSE_MASK, PARE_F16, FREE, 33, 300, density, seed, 0))
    one(PARE_SPARSE_MASK, PARE_F32, FREE, 40, 64, 0.5, 3, 2);
    one(PARE_SPARSE_MASK, PARE_F32, FREE, 1, 3, 0.5, 3, 0);
}
static void mask_q8(void **state)
{
    (void)state;
    EACH_DENSITY(one(PARE_SPARSE_MASK, PARE_Q8_0, FREE, 37, 1184, density, seed, 0))
    one(PARE_SPARSE_MASK, PARE_Q8_0, FREE, 37, 96, 1, 3, 1);
}
static void n24(void **state)
{
    (void)state;
    EACH_DENSITY(one(PARE_SPARSE_N24, PARE_Q8_0, TWO_OF_FOUR, 37, 1184, density, seed, 0))
    one(PARE_SPARSE_N24, PARE_Q8_0, TWO_OF_FOUR, 17, 96, 1, 3, 1);
}
static void wide(void **state)
{
    (void)state;
    EACH_DENSITY(one(PARE_SPARSE_WIDE, PARE_F32, BY_16_ROWS, 37, 531, density, seed, 0))
    EACH_DENSITY(one(PARE_SPARSE_WIDE, PARE_F16, BY_16_ROWS, 48, 300, density, seed, 0))
    one(PARE_SPARSE_WIDE, PARE_F32, BY_16_ROWS, 18, 33, 0.7, 3, 2);
}

/* A group matrix is a part of q6_K: d, scales of a group of 16, codes from -32 to 31. */
static void as_q6_k(const struct pare_group4 *g, uint8_t *rows)
{
    const uint64_t n = g->cols / 16;

    for (uint64_t r = 0; r < g->rows; r++) {
        uint8_t *idx = pare_malloc(g->cols);
        int8_t  *sub = pare_malloc(n);
        float   *d = pare_alloc_array(g->cols / 256, sizeof *d);
        struct pare_unpacked u = { .idx = idx, .s = sub, .d = d };

        for (uint64_t c = 0; c < g->cols; c++) {
            const bool keep = g->keep[r * n + c / 16] != 0;

            idx[c] = (uint8_t)(32 + (keep ? g->code[r * g->cols + c] - g->zero[r * n + c / 16] : 0));
        }
        for (uint64_t i = 0; i < n; i++) sub[i] = (int8_t)g->scale[r * n + i];
        for (uint64_t i = 0; i < g->cols / 256; i++) d[i] = pare_f16_to_f32(g->d[r]);
        pare_dtype_of(PARE_Q6_K)->repack(rows + r * (g->cols / 256 * 210), &u, g->cols);
        pare_free(idx);
        pare_free(sub);
        pare_free(d);
    }
}

/* mode 0: any density; 1: rows of very different density; 2: one group at each end, more than 255 apart. */
static void group_case(uint64_t rows, uint64_t cols, double density, int mode, uint64_t seed)
{
    const uint64_t n = cols / 16;
    uint16_t *d = pare_alloc_array(rows, 2);
    uint16_t *scale = pare_alloc_array(rows * n, 2);
    uint8_t  *zero = pare_malloc(rows * n), *code = pare_malloc(rows * cols), *keep = pare_malloc(rows * n);
    uint8_t  *bytes = pare_malloc(rows * (cols / 256 * 210));
    float    *want = pare_alloc_array(MAX_N * rows, sizeof(float));
    struct pare_group4 g = { rows, cols, d, scale, zero, code, keep };
    struct pare_sparse s;
    struct matrix      m;
    char               what[80];

    snprintf(what, sizeof what, "groups, mode %d, density %.2f", mode, density);
    make(&m, rows, cols, FREE, 1, seed, mode == 3);
    for (uint64_t r = 0; r < rows; r++) d[r] = pare_f32_to_f16(0.01f + pare_rng_f32(seed, PARE_RNG_TEST, r));
    for (uint64_t i = 0; i < rows * n; i++) {
        scale[i] = mode == 3 ? 127 : (uint16_t)(draw(seed + 5, i) % 128);
        zero[i] = mode == 3 ? (uint8_t)(i % 2 * 15) : (uint8_t)(draw(seed + 6, i) % 16);
        keep[i] = mode == 2 ? i % n == (uint64_t)(i / n % 3) || i % n == n - 1 : pare_rng_f64(seed + 7, PARE_RNG_TEST, i) < (mode == 1 ? (double)(i / n + 1) / (double)rows : density);
    }
    for (uint64_t i = 0; i < rows * cols; i++) code[i] = mode == 3 ? (uint8_t)(draw(seed + 8, i) % 2 * 15) : (uint8_t)(draw(seed + 8, i) % 16);
    OK(pare_sparse_make_group(&s, &g, &diag));
    as_q6_k(&g, bytes);
    dense_rows(&m, PARE_Q6_K, bytes, cols / 256 * 210, want);
    check(what, &s, &m, want);
    pare_sparse_free(&s);
    drop(&m);
    pare_free(d), pare_free(scale), pare_free(zero), pare_free(code), pare_free(keep), pare_free(bytes), pare_free(want);
}

static void groups(void **state)
{
    (void)state;
    EACH_DENSITY(group_case(37, 1280, density, 0, seed))
    group_case(53, 1536, 0, 1, 5);
    group_case(19, 256 * 33, 0, 2, 5);
    group_case(16, 512, 1, 3, 5);
}

/* Bytes are what break-even promises; a matrix that gains nothing says so. */
static void bytes(void **state)
{
    static const struct { enum pare_sparse_kind kind; enum pare_type type; } t[] = {
        { PARE_SPARSE_TILED, PARE_F16 }, { PARE_SPARSE_MASK, PARE_F32 }, { PARE_SPARSE_MASK, PARE_F16 }, { PARE_SPARSE_MASK, PARE_Q8_0 }, { PARE_SPARSE_WIDE, PARE_F16 },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
        const double even = pare_sparse_break_even(t[i].kind, t[i].type);

        for (int side = -1; side <= 1; side += 2) {
            struct matrix      m;
            struct pare_sparse s;
            char               text[200];

            make(&m, 256, 2048, t[i].kind == PARE_SPARSE_WIDE ? BY_16_ROWS : FREE, even + 0.03 * side, 7, 0);
            OK(pare_sparse_make(&s, t[i].kind, t[i].type, m.w, m.rows, m.cols, m.keep, m.words, &diag));
            assert_int_equal(s.bytes < pare_sparse_dense_bytes(s.kind, s.type, m.rows, m.cols), side < 0);
            pare_sparse_verdict(&s, text, sizeof text);
            assert_int_equal(strstr(text, "nothing is gained") != NULL, side > 0);
            pare_sparse_free(&s);
            drop(&m);
        }
    }
}

/* Equal bytes, not equal rows. */
static void split(void **state)
{
    enum { ROWS = 4096, COLS = 512 };
    struct matrix      m;
    struct pare_sparse s;
    uint32_t           bound[9];

    (void)state;
    make(&m, ROWS, COLS, FREE, 1, 3, 0);
    for (uint64_t r = 0; r < ROWS; r++) /* from empty to full */
        for (uint64_t c = 0; c < COLS; c++)
            if (pare_rng_f64(5, PARE_RNG_TEST, r * COLS + c) >= (double)r / ROWS) m.keep[r * m.words + c / 64] &= ~((uint64_t)1 << (c % 64));
    OK(pare_sparse_make(&s, PARE_SPARSE_MASK, PARE_F32, m.w, ROWS, COLS, m.keep, m.words, &diag));
    for (uint32_t parts = 1; parts <= 8; parts++) {
        uint64_t most = 0;

        pare_sparse_split(&s, parts, bound);
        assert_int_equal(bound[0], 0);
        assert_int_equal(bound[parts], s.n_panels);
        for (uint32_t i = 0; i < parts; i++) {
            assert_true(bound[i] <= bound[i + 1]);
            if (s.at[bound[i + 1]] - s.at[bound[i]] > most) most = s.at[bound[i + 1]] - s.at[bound[i]];
        }
        assert_true((double)most < 1.05 * (double)s.at[s.n_panels] / parts);
    }
    pare_sparse_free(&s);
    drop(&m);
}

static void refusals(void **state)
{
    struct matrix      m;
    struct pare_sparse s;

    (void)state;
    make(&m, 20, 64, FREE, 0.9, 3, 0);
    assert_int_equal(pare_sparse_make(&s, PARE_SPARSE_N24, PARE_Q8_0, m.w, 20, 64, m.keep, m.words, NULL), PARE_E_USAGE);
    assert_int_equal(pare_sparse_make(&s, PARE_SPARSE_WIDE, PARE_F32, m.w, 20, 64, m.keep, m.words, NULL), PARE_E_USAGE);
    assert_int_equal(pare_sparse_make(&s, PARE_SPARSE_TILED, PARE_F32, m.w, 20, 64, m.keep, m.words, NULL), PARE_E_USAGE);
    assert_int_equal(pare_sparse_make(&s, PARE_SPARSE_MASK, PARE_Q8_0, m.w, 20, 60, m.keep, m.words, NULL), PARE_E_USAGE);
    for (uint64_t i = 1; i < 10; i++) {
        const uint64_t live = pare_mem_live();

        pare_mem_fail_after(i);
        if (pare_sparse_make(&s, PARE_SPARSE_MASK, PARE_Q8_0, m.w, 20, 64, m.keep, m.words, NULL) == PARE_OK) {
            pare_mem_fail_after(0);
            pare_sparse_free(&s);
            break;
        }
        pare_mem_fail_after(0);
        assert_int_equal(pare_mem_live(), live);
    }
    drop(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiled), cmocka_unit_test(mask_float), cmocka_unit_test(mask_q8), cmocka_unit_test(n24), cmocka_unit_test(wide),
        cmocka_unit_test(groups), cmocka_unit_test(bytes), cmocka_unit_test(split), cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
