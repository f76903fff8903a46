/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/test_gemmq.c: quantized products. Plain C is compared with sums in double precision of decoded weights and
 * activations; every other tier is compared with plain C, bit for bit. */
#include "fixture.h"

#include <math.h>

#include "base/checked.h"
#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/gemmq.h"
#include "tensor/dtype.h"
#include "tensor/trellis.h"

#define MAX_TOKENS 40

static uint64_t key;
static uint32_t draw(void) { return (uint32_t)pare_rng_u64(7, PARE_RNG_TEST, key++); }
static float drawf(void) { return pare_rng_normal(7, PARE_RNG_TEST, key++); }

/* ---- made-up types, so that every shape of the kernels is met, also those that no format has today ---- */

/* An encoded row is a row of random bytes, at least this long for each column; unpack takes what it needs from them. */
#define SYNTH_ROW(cols) ((cols) * 2 + 64)

static void synth_unpack(const struct pare_pack_traits *p, const struct pare_unpacked *out, const uint8_t *src, uint64_t cols)
{
    uint64_t groups = (cols + p->group - 1) / p->group, supers = p->super ? (cols + p->super - 1) / p->super : 1;

    for (uint64_t i = 0; i < groups * p->group; i++) out->idx[i] = (uint8_t)(src[i < cols ? i : 0] & ((1u << p->bits) - 1));
    for (uint64_t g = 0; g < groups; g++) {
        out->s[g] = p->has_sub ? (int8_t)src[cols + g] : 1;
        if (p->has_min) out->m[g] = p->has_sub ? src[cols + 1 + g] : 1;
    }
    for (uint64_t i = 0; i < supers; i++) {
        out->d[i] = p->d_is_f16 ? (float)((int)src[i] - 128) * 0x1p-9f : ((float)((int)src[i] - 128) + 0.3f) * 0.01f;
        if (p->has_min) out->dmin[i] = (float)src[i + 1] * 0x1p-8f;
    }
}

static const int8_t lut4[16] = { -128, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 127 };
#define SYNTH(tag, nbits, ...)                                                                                         \
    static const struct pare_dtype synth_##tag;                                                                        \
    static void unpack_##tag(const struct pare_unpacked *out, const void *src, uint64_t cols)                          \
    {                                                                                                                  \
        synth_unpack(&synth_##tag.pack, out, src, cols);                                                               \
    }                                                                                                                  \
    static const struct pare_dtype synth_##tag = {                                                                     \
        .name = "synth_" #tag, .type = PARE_Q4_0, .block = 32, .block_bytes = 64, .row_bytes = 64,                     \
        .caps = PARE_DT_QUANT | PARE_DT_ANYWIDTH, .unpack = unpack_##tag, .pack = { .bits = nbits, __VA_ARGS__ },      \
    };
SYNTH(a2, 2, .group = 32, .super = 32, .has_min = true, .has_sub = true, .offset = -2)
SYNTH(a3, 3, .group = 32, .super = 0, .has_min = true, .d_is_f16 = true, .offset = -1)
SYNTH(a4h, 4, .group = 16, .super = 64, .has_sub = true, .offset = -8)
SYNTH(a5h, 5, .group = 16, .super = 0, .has_min = true, .has_sub = true, .d_is_f16 = true)
SYNTH(a6, 6, .group = 32, .super = 96, .has_min = true, .d_is_f16 = true, .offset = -32)
SYNTH(a8h, 8, .group = 16, .super = 32, .has_sub = true, .d_is_f16 = true, .offset = -128)
SYNTH(a8u, 8, .group = 32, .super = 0, .has_min = true, .offset = 0)
SYNTH(l2, 2, .group = 16, .super = 256, .has_min = true, .has_sub = true, .lut = lut4 + 12)
SYNTH(l3, 3, .group = 32, .super = 64, .d_is_f16 = true, .lut = lut4)
SYNTH(l4h, 4, .group = 16, .super = 0, .has_sub = true, .lut = lut4)
static const struct pare_dtype *const synth[] = { &synth_a2, &synth_a3, &synth_a4h, &synth_a5h, &synth_a6, &synth_a8h, &synth_a8u, &synth_l2, &synth_l3, &synth_l4h };
#define N_SYNTH (sizeof synth / sizeof *synth)

/* The i-th type under test: quantized formats first, then the made-up ones; NULL after the last. */
static const struct pare_dtype *type_at(unsigned i)
{
    for (int t = 0; t < PARE_TYPE_COUNT; t++) {
        const struct pare_dtype *d = pare_dtype_of((enum pare_type)t);

        if (d != NULL && (d->caps & PARE_DT_QUANT) && i-- == 0) return d;
    }
    return i < N_SYNTH ? synth[i] : NULL;
}

/* ---- a matrix and activations ---- */

struct mat {
    struct pare_packed w;
    uint8_t *rows;
    uint64_t stride;
    struct pare_unpacked u;  /* of one row */
};

/* Random bytes may spell a scale that is infinite, NaN, or so large that a product is; they are drawn again unless wanted. */
static bool finite_row(const struct mat *m, uint64_t cols)
{
    const struct pare_pack_traits *p = &m->w.type->pack;
    uint64_t supers = p->super ? (cols + p->super - 1) / p->super : 1;

    for (uint64_t i = 0; i < supers; i++)
        if (!(fabsf(m->u.d[i]) < 1e25f) || (p->has_min && !(fabsf(m->u.dmin[i]) < 1e25f))) return false;
    return true;
}

enum { RANDOM, ZEROS, ONES, WILD };

static void mat_fill(struct mat *m, uint64_t rows, uint64_t cols, int how)
{
    const struct pare_dtype *t = m->w.type;
    const bool blocks = !(t->caps & PARE_DT_ANYWIDTH); /* every block has its own scale: judge it alone */
    const uint64_t bytes = blocks ? t->block_bytes : m->stride, n = blocks ? t->block : cols;

    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t at = 0; at < m->stride; at += bytes) {
            uint8_t *p = m->rows + r * m->stride + at;

            do {
                for (uint64_t i = 0; i < bytes; i++) p[i] = how == ZEROS ? 0 : how == ONES ? 0x5f : (uint8_t)draw();
                t->unpack(&m->u, p, n);
            } while (how != WILD && how != ONES && !finite_row(m, n));
        }
}

static bool mat_make(struct mat *m, const struct pare_dtype *t, uint64_t rows, uint64_t cols, int how)
{
    uint8_t *scratch;

    *m = (struct mat){ .rows = NULL };
    if (!pare_packed_shape(&m->w, t, rows, cols)) return false;
    if (t->decode == NULL) m->stride = SYNTH_ROW(cols);
    else assert_true(pare_dtype_row_bytes(t, cols, &m->stride));
    m->rows = pare_malloc(rows * m->stride + 1);
    m->w.data = pare_aligned(pare_packed_bytes(&m->w) + 64);
    scratch = pare_malloc(pare_pack_scratch(t, cols) + 64);
    m->u.idx = pare_malloc(cols + 64);
    m->u.s = pare_malloc(cols / 16 + 16);
    m->u.m = pare_malloc(cols / 16 + 16);
    m->u.d = pare_alloc_array(cols / 32 + 2, sizeof(float));
    m->u.dmin = pare_alloc_array(cols / 32 + 2, sizeof(float));
    mat_fill(m, rows, cols, how);
    memset(m->w.data, 0xa5, pare_packed_bytes(&m->w) + 64);
    memset(scratch + pare_pack_scratch(t, cols), 0x5a, 64);
    for (uint32_t p = m->w.n_panels; p-- > 0;) { /* from the last, so that a write past a panel's end hits a packed one */
        uint64_t left = rows - (uint64_t)p * 16;
        pare_pack_panel(&m->w, p, m->rows + (uint64_t)p * 16 * m->stride, m->stride, left < 16 ? (uint32_t)left : 16, scratch);
    }
    for (int i = 0; i < 64; i++) {
        assert_int_equal(m->w.data[pare_packed_bytes(&m->w) + (uint64_t)i], 0xa5);
        assert_int_equal(scratch[pare_pack_scratch(t, cols) + (uint64_t)i], 0x5a);
    }
    pare_free(scratch);
    return true;
}

static void mat_free(struct mat *m)
{
    pare_free(m->rows);
    pare_aligned_free(m->w.data);
    pare_free(m->u.idx);
    pare_free(m->u.s);
    pare_free(m->u.m);
    pare_free(m->u.d);
    pare_free(m->u.dmin);
}

static void *acts_make(struct pare_qact *a, uint32_t n, uint64_t k)
{
    void *mem = pare_aligned(pare_qact_bytes(n, k) + 64);

    memset(mem, 0xa5, pare_qact_bytes(n, k) + 64);
    pare_qact_init(a, mem, n, k);
    return mem;
}

enum { NORMAL, EXTREME, TINY, HUGE_X, ZERO_X, SPIKY };

static void acts_fill(float *x, uint64_t n, int how)
{
    static const float spikes[] = { 0.0f, -0.0f, 1e-40f, 3e38f, 1.0f, -1e-30f };

    for (uint64_t i = 0; i < n; i++)
        x[i] = how == NORMAL ? drawf() : how == EXTREME ? (draw() & 1 ? 127.0f : -127.0f) : how == TINY ? drawf() * 0x1p-118f
             : how == HUGE_X ? drawf() * 1e30f : how == ZERO_X ? 0.0f : spikes[draw() % 6];
}

static int tiers(void) { return pare_cpu_best_tier(); }

/* ---- tests ---- */

static void check_tiers(const struct mat *m, const struct pare_qact *a, uint32_t n)
{
    uint64_t rows = m->w.rows, ldy = rows + 3, all = (uint64_t)n * ldy + 16;
    float *want = pare_alloc_array(all, sizeof(float)), *got = pare_alloc_array(all, sizeof(float));

    memset(want, 0x77, all * sizeof(float));
    pare_gemmq_for(0)->gemm(want, ldy, &m->w, a, 0, m->w.n_panels, 0, n);
    for (int tier = 1; tier <= tiers(); tier++) {
        memset(got, 0x77, all * sizeof(float));
        pare_gemmq_for(tier)->gemm(got, ldy, &m->w, a, 0, m->w.n_panels, 0, n);
        if (memcmp(want, got, all * sizeof(float)) == 0) continue;
        for (uint64_t i = 0; i < all; i++)
            if (memcmp(want + i, got + i, 4) != 0)
                fail_msg("%s tier %d rows %u cols %u tokens %u: token %u row %u: %a (%08x), plain C has %a (%08x)", m->w.type->name, tier,
                         (unsigned)rows, (unsigned)m->w.cols, n, (unsigned)(i / ldy), (unsigned)(i % ldy), (double)got[i],
                         pare_f32_bits(got[i]), (double)want[i], pare_f32_bits(want[i]));
    }
    pare_free(want);
    pare_free(got);
}

static void one_shape(const struct pare_dtype *t, uint64_t rows, uint64_t cols, uint32_t n, int weights, int acts)
{
    struct mat m;
    struct pare_qact a;
    float *x;
    void *mem;

    if (!mat_make(&m, t, rows, cols, weights)) return;
    x = pare_alloc_array(n * cols + 1, sizeof(float));
    acts_fill(x, n * cols, acts);
    mem = acts_make(&a, n, cols);
    pare_gemmq_for(0)->quantize(&a, x, cols, 0, n);
    check_tiers(&m, &a, n);
    pare_free(x);
    pare_aligned_free(mem);
    mat_free(&m);
}

static void test_tiers_equal_plain_c(void **state)
{
    static const uint64_t rows[] = { 1, 15, 16, 17, 40 };
    static const uint32_t tokens[] = { 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 33, 53 };
    const struct pare_dtype *t;

    (void)state;
    for (unsigned i = 0; (t = type_at(i)) != NULL; i++) {
        for (uint64_t cols = 1; cols <= 40; cols++) one_shape(t, rows[cols % 5], cols, tokens[cols % 13], RANDOM, NORMAL);
        for (unsigned r = 0; r < 5; r++)
            for (unsigned n = 0; n < 13; n++) {
                one_shape(t, rows[r], 256, tokens[n], RANDOM, NORMAL);
                if (n % 5 == r) one_shape(t, rows[r], 288, tokens[n], RANDOM, NORMAL);
                if (n % 5 == r) one_shape(t, rows[r], 576, tokens[n], RANDOM, NORMAL);
                if (n % 5 == r) one_shape(t, rows[r], 768, tokens[n], RANDOM, NORMAL);
            }
        one_shape(t, 17, 1104, 6, RANDOM, NORMAL);
        one_shape(t, 33, 8192 + 512, 4, RANDOM, NORMAL); /* wider than one run of the direct kernels */
        one_shape(t, 33, 8192 + 256, 1, RANDOM, NORMAL);
    }
}

static void test_adversarial_values(void **state)
{
    const struct pare_dtype *t;

    (void)state;
    for (unsigned i = 0; (t = type_at(i)) != NULL; i++)
        for (int w = RANDOM; w <= WILD; w++)
            for (int x = NORMAL; x <= SPIKY; x++) {
                one_shape(t, 17, 512, 3, w, x);
                one_shape(t, 17, 512, 19, w, x);
                one_shape(t, 17, 512, 43, w, x);
                one_shape(t, 16, 48, 2, w, x);
            }
}

/* A token's result does not depend on what stands beside it, nor a row's on the panels of the same call. */
static void test_alone_and_in_a_batch(void **state)
{
    const struct pare_dtype *t;

    (void)state;
    for (unsigned i = 0; (t = type_at(i)) != NULL; i++)
        for (int tier = 0; tier <= tiers(); tier++) {
            const struct pare_gemmq *g = pare_gemmq_for(tier);
            enum { ROWS = 83, COLS = 768, N = 37 };
            float *x = pare_alloc_array(N * COLS, sizeof(float));
            float *one = pare_alloc_array(ROWS * N, sizeof(float)), *all = pare_alloc_array(ROWS * N, sizeof(float));
            struct pare_qact a;
            struct mat m;
            void *mem = acts_make(&a, N, COLS);

            assert_int_equal(g->tier, tier);
            assert_true(mat_make(&m, t, ROWS, COLS, RANDOM));
            acts_fill(x, N * COLS, NORMAL);
            g->quantize(&a, x, COLS, 0, N);
            g->gemm(all, ROWS, &m.w, &a, 0, m.w.n_panels, 0, N);
            for (uint32_t k = 0; k < N; k++) g->gemm(one, ROWS, &m.w, &a, 0, m.w.n_panels, k, k + 1);
            assert_memory_equal(one, all, ROWS * N * sizeof(float));
            for (uint32_t p = 0; p < m.w.n_panels; p++) { /* other chunks */
                g->gemm(one, ROWS, &m.w, &a, p, p + 1, 0, 11);
                g->gemm(one, ROWS, &m.w, &a, p, p + 1, 11, 14);
                g->gemm(one, ROWS, &m.w, &a, p, p + 1, 14, N);
            }
            assert_memory_equal(one, all, ROWS * N * sizeof(float));
            memset(one, 0, ROWS * N * sizeof(float));
            g->gemm(one, ROWS, &m.w, &a, 2, 2, 0, N); /* nothing asked for, nothing written */
            g->gemm(one, ROWS, &m.w, &a, 0, 2, 5, 5);
            for (int k = 0; k < ROWS * N; k++) assert_true(one[k] == 0);
            pare_free(x);
            pare_free(one);
            pare_free(all);
            pare_aligned_free(mem);
            mat_free(&m);
        }
}

/* Decoded weights times dequantized activations in double. Each group adds three roundings, so the error is bounded by the
 * number of groups times 2^-23 of the sum of magnitudes. */
static void test_plain_c_against_doubles(void **state)
{
    static const uint64_t widths[] = { 1, 31, 40, 48, 256, 768 };
    const struct pare_dtype *t;

    (void)state;
    for (unsigned i = 0; (t = type_at(i)) != NULL; i++)
        for (int k = 0; k < 6; k++) {
            enum { ROWS = 21, N = 3 };
            const uint64_t cols = widths[k];
            const struct pare_pack_traits *p = &t->pack;
            struct pare_qact a;
            struct mat m;
            float x[N * 768], v[768], y[N * ROWS];
            int8_t value[768];
            void *mem;

            if (!mat_make(&m, t, ROWS, cols, RANDOM)) continue;
            mem = acts_make(&a, N, cols);
            acts_fill(x, N * cols, NORMAL);
            pare_gemmq_for(0)->quantize(&a, x, cols, 0, N);
            pare_gemmq_for(0)->gemm(y, ROWS, &m.w, &a, 0, m.w.n_panels, 0, N);
            for (uint32_t r = 0; r < ROWS; r++) {
                t->unpack(&m.u, m.rows + r * m.stride, cols);
                if (t->decode != NULL) t->decode(v, m.rows + r * m.stride, cols);
                if (p->trellis != NULL) pare_trellis_row(p->trellis, value, m.u.idx, cols);
                for (uint32_t n = 0; n < N; n++) {
                    double sum = 0, size = 0;

                    for (uint64_t c = 0; c < cols; c++) {
                        uint64_t g = c / p->group, s = p->super ? c / p->super : 0;
                        uint64_t at = pare_qact_block(&a, n, c / 32);
                        double q = (double)a.q[at * 32 + c % 32] * (double)a.d[at];
                        double mn = p->has_min ? (double)m.u.dmin[s] * m.u.m[g] : 0;
                        double lv = p->trellis != NULL ? value[c] : p->lut != NULL ? p->lut[m.u.idx[c]] : (double)m.u.idx[c] + p->offset;
                        double full = (double)m.u.d[s] * m.u.s[g] * lv;

                        sum += q * (t->decode != NULL ? (double)v[c] : full - mn);
                        size += fabs(q) * (fabs(full) + fabs(mn));
                    }
                    if (!(fabs(sum - (double)y[n * ROWS + r]) <= size * (double)(cols / 16 + 4) * 0x1p-23 + 1e-37))
                        fail_msg("%s cols %u row %u: %.9g, expected %.9g", t->name, (unsigned)cols, r, (double)y[n * ROWS + r], sum);
                }
            }
            pare_aligned_free(mem);
            mat_free(&m);
        }
}

/* The integer part at its limits, where a 16-bit step would saturate: every code and every activation at one end. */
static void test_extreme_codes(void **state)
{
    (void)state;
    for (unsigned s = 0; s < N_SYNTH; s++)
        for (int ends = 0; ends < 4; ends++) {
            const struct pare_dtype *t = synth[s];
            const struct pare_pack_traits *p = &t->pack;
            uint8_t *scratch = pare_malloc(pare_pack_scratch(t, 64));
            unsigned top = (1u << p->bits) - 1;
            double lv;
            struct mat m;
            struct pare_qact a;
            float x[64 * 9], y[9 * 16];
            void *mem = acts_make(&a, 9, 64);

            for (int i = 0; i < 64 * 9; i++) x[i] = ends & 1 ? 127.0f : -127.0f;
            assert_true(mat_make(&m, t, 16, 64, RANDOM));
            memset(m.rows, ends & 2 ? (int)top : 0, 16 * m.stride);
            pare_pack_panel(&m.w, 0, m.rows, m.stride, 16, scratch);
            t->unpack(&m.u, m.rows, 64);
            lv = p->lut != NULL ? p->lut[m.u.idx[0]] : (double)m.u.idx[0] + p->offset;
            for (int tier = 0; tier <= tiers(); tier++) {
                pare_gemmq_for(tier)->quantize(&a, x, 64, 0, 9);
                for (uint32_t i = 0; i < 9 * 64; i++) assert_int_equal(a.q[pare_qact_block(&a, i / 64, i % 64 / 32) * 32 + i % 32], ends & 1 ? 127 : -127);
                pare_gemmq_for(tier)->gemm(y, 16, &m.w, &a, 0, 1, 0, 9);
                for (int i = 0; i < 9 * 16; i++) {
                    double mn = p->has_min ? (double)m.u.dmin[0] * m.u.m[0] : 0, one = (double)m.u.d[0] * m.u.s[0] * lv;
                    assert_true(fabs((double)y[i] - (one - mn) * 64 * (double)x[0]) <= 64 * 127 * (fabs(one) + fabs(mn)) * 0x1p-20);
                }
                pare_gemmq_for(tier)->gemm(y, 16, &m.w, &a, 0, 1, 3, 4);
            }
            pare_free(scratch);
            pare_aligned_free(mem);
            mat_free(&m);
        }
}

static void test_quantizer(void **state)
{
    static const uint32_t widths[] = { 1, 5, 15, 16, 17, 31, 32, 33, 63, 100, 256, 512, 1100 };
    enum { N = 24 };

    (void)state;
    for (int k = 0; k < 13; k++) {
        struct pare_qact ref, a;
        const uint32_t cols = widths[k];
        const uint64_t bytes = pare_qact_bytes(N, cols);
        float *x = pare_alloc_array(N * cols, sizeof(float));
        void *mem0 = acts_make(&ref, N, cols), *mem;

        for (uint32_t t = 0; t < N; t++) acts_fill(x + t * cols, cols, (int)(t % 6));
        for (uint32_t t = 18; t < N; t++) /* bit patterns of every kind, infinities and NaNs among them */
            for (uint32_t c = 0; c < cols; c++) x[t * cols + c] = pare_bits_f32(draw());
        for (uint32_t c = 0; c < cols; c++) x[12 * cols + c] = (float)((int)(draw() % 255) - 127) + (c == 0 ? 0 : 0.5f); /* ties */
        x[13 * cols] = INFINITY;
        x[14 * cols] = -NAN;
        pare_gemmq_for(0)->quantize(&ref, x, cols, 0, N);
        for (int tier = 1; tier <= tiers(); tier++) {
            mem = acts_make(&a, N, cols);
            pare_gemmq_for(tier)->quantize(&a, x, cols, 0, 7);
            pare_gemmq_for(tier)->quantize(&a, x, cols, 7, N);
            assert_memory_equal(mem, mem0, bytes + 64);
            pare_aligned_free(mem);
        }
        for (uint32_t b = 0; b < ref.kp / 32; b++) {
            assert_true(isnan(ref.d[pare_qact_block(&ref, 13, b)]) == (b == 0));
            assert_true(isnan(ref.s32[pare_qact_block(&ref, 14, b)]) == (b == 0));
        }
        for (uint32_t t = 0; t < 12; t++) /* what the header promises: half a step, sums of what was stored */
            for (uint32_t b = 0; b < ref.kp / 32; b++) {
                uint64_t at = pare_qact_block(&ref, t, b);
                float amax = 0;
                int sum = 0;

                for (uint32_t c = b * 32; c < cols && c < b * 32 + 32; c++) amax = fmaxf(amax, fabsf(x[t * cols + c]));
                if (amax < 0x1p-119f) amax = 0;
                if (amax >= 0x1p110f) { /* counts as infinite */
                    assert_true(isnan(ref.d[at]) && isnan(ref.lift[at]) && isnan(ref.s32[at]));
                    continue;
                }
                assert_true(fabs((double)ref.d[at] - (double)amax / 127) <= (double)amax / 127 * 0x1.5p-22); /* 22 bits, after 24 */
                assert_true((double)ref.lift[at] == -1.5 * 0x1p23 * (double)ref.d[at]); /* exact: that is what it is for */
                for (uint32_t c = b * 32; c < b * 32 + 32; c++) {
                    int q = ref.q[at * 32 + c % 32];
                    float v = c < cols && amax != 0 ? x[t * cols + c] : 0;

                    sum += q;
                    assert_true(q >= -127 && q <= 127);
                    assert_true(fabs((double)v - (double)ref.d[at] * q) <= (double)ref.d[at] * 0.50005);
                    if (c % 16 == 15) {
                        assert_int_equal(ref.sum16[at * 2 + (c % 32) / 16], sum - (c % 32 == 15 ? 0 : ref.sum16[at * 2]));
                        assert_true(ref.s16[at * 2 + (c % 32) / 16] == ref.d[at] * (float)ref.sum16[at * 2 + (c % 32) / 16]);
                    }
                }
                assert_true(ref.s32[at] == ref.d[at] * (float)sum);
            }
        pare_free(x);
        pare_aligned_free(mem0);
    }
}

static void test_shapes_and_sizes(void **state)
{
    struct pare_packed p;
    const struct pare_dtype *t;

    (void)state;
    assert_false(pare_packed_shape(&p, pare_dtype_of(PARE_F32), 16, 64));
    assert_false(pare_packed_shape(&p, pare_dtype_of(PARE_Q4_0), 16, 33));
    assert_false(pare_packed_shape(&p, pare_dtype_of(PARE_Q4_0), UINT64_MAX, 64));
    assert_false(pare_packed_shape(&p, pare_dtype_of(PARE_Q4_0), 16, UINT64_MAX - 31));
    assert_false(pare_packed_shape(&p, pare_dtype_of(PARE_Q4_0), 1ull << 36, 1ull << 31));
    assert_true(pare_packed_shape(&p, pare_dtype_of(PARE_Q4_0), 0, 64));
    assert_int_equal(pare_packed_bytes(&p), 0);
    for (unsigned i = 0; (t = type_at(i)) != NULL && t->decode != NULL; i++) {
        uint64_t file;

        assert_true(pare_packed_shape(&p, t, 4096, 4096));
        assert_int_equal(p.panel_bytes % 64, 0);
        assert_true(pare_dtype_bytes(t, 4096, 4096, &file));
        /* Packed bytes stay near the file's: codes take whole bits, a group's scale and minimum a byte each, d 16 or 32 bits. */
        assert_true((double)pare_packed_bytes(&p) * 8 / (4096.0 * 4096) <= t->pack.bits + 0.01 + (t->pack.has_sub + (t->pack.has_sub && t->pack.has_min)) * 8.0 / t->pack.group
                    + (1 + t->pack.has_min) * (t->pack.d_is_f16 ? 16.0 : 32.0) / (t->pack.super ? t->pack.super : 4096));
        for (int tier = 0; tier <= tiers(); tier++) {
            const char *name = pare_gemmq_for(tier)->describe(t->type);

            assert_non_null(name);
            assert_non_null(strstr(name, t->name));
            assert_non_null(strstr(name, pare_tier_name(tier)));
        }
    }
    assert_null(pare_gemmq_for(0)->describe(PARE_F32));
    assert_int_equal(pare_gemmq_for(-1)->tier, 0);
    assert_int_equal(pare_gemmq_for(99)->tier, tiers());
}

static void test_no_columns(void **state)
{
    struct pare_packed p;
    struct pare_qact a;
    uint8_t one[64];
    void *mem = acts_make(&a, 3, 0);
    uint8_t *data = pare_aligned(64);

    (void)state;
    assert_true(pare_packed_shape(&p, pare_dtype_of(PARE_Q8_0), 20, 0));
    p.data = data;
    pare_pack_panel(&p, 0, one, 0, 16, one);
    for (int tier = 0; tier <= tiers(); tier++) {
        float y[3 * 20], x[1] = { 0 };

        memset(y, 0x7f, sizeof y);
        pare_gemmq_for(tier)->quantize(&a, x, 0, 0, 3);
        pare_gemmq_for(tier)->gemm(y, 20, &p, &a, 0, p.n_panels, 0, 3);
        for (int i = 0; i < 60; i++) assert_true(pare_f32_bits(y[i]) == 0);
    }
    pare_aligned_free(data);
    pare_aligned_free(mem);
}

static void test_limits_are_plausible(void **state)
{
    struct pare_team *team = pare_team_create(2);
    struct pare_limits base, best;

    (void)state;
    pare_measure_limits(&base, team, 0, 0.3);
    pare_measure_limits(&best, team, tiers(), 0.3);
    assert_true(base.int8_ops > 1e8 && base.f32_flops > 1e8 && base.read_bytes > 1e8);
    assert_true(isfinite(best.int8_ops) && isfinite(best.f32_flops) && isfinite(best.read_bytes));
    if (tiers() > 0) assert_true(best.int8_ops > base.int8_ops && best.f32_flops > base.f32_flops);
    pare_measure_limits(&base, NULL, tiers(), 0.05);
    assert_true(base.int8_ops > 1e8);
    pare_team_destroy(&team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiers_equal_plain_c),
        cmocka_unit_test(test_adversarial_values),
        cmocka_unit_test(test_alone_and_in_a_batch),
        cmocka_unit_test(test_plain_c_against_doubles),
        cmocka_unit_test(test_extreme_codes),
        cmocka_unit_test(test_quantizer),
        cmocka_unit_test(test_shapes_and_sizes),
        cmocka_unit_test(test_no_columns),
        cmocka_unit_test(test_limits_are_plausible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
