/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/test_vec.c: every tier of the f32 kernels against plain C, bit for bit, over odd sizes, odd alignment and values
 * of every kind; and plain C against f64. Lines of canaries around each result show writes out of bounds. */
#include "fixture.h"

#include <math.h>

#include "base/checked.h"
#include "base/rng.h"
#include "kernel/vec.h"
#include <pare/job.h>

#define MAXN 1600
#define PAD 64

static const uint64_t more[] = { 256, 576, 1536 };
#define N_SIZES (101 + sizeof more / sizeof *more)
static uint64_t size_of(uint32_t i) { return i <= 100 ? i : more[i - 101]; }

static bool same(float a, float b) { return pare_f32_bits(a) == pare_f32_bits(b) || (isnan(a) && isnan(b)); }

static void expect_same(const float *a, const float *b, uint64_t n, const char *what, int tier)
{
    for (uint64_t i = 0; i < n; i++)
        if (!same(a[i], b[i])) fail_msg("%s, tier %d, n %u: element %u is %a, plain C has %a", what, tier, (unsigned)n, (unsigned)i, (double)b[i], (double)a[i]);
}

/* kind 0: normal; 1: wide range with denormals; 2: with infinities and NaN among zeros of both signs. */
static void draw(float *x, uint64_t n, int kind, uint64_t seed)
{
    static const float odd[] = { 0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-45f, -1e-45f, 3e38f, -3e38f, 1.0f, -1.0f, 88.0f, -104.0f };

    for (uint64_t i = 0; i < n; i++) {
        uint64_t u = pare_rng_u64(seed, PARE_RNG_TEST, i);

        x[i] = pare_rng_normal(seed, PARE_RNG_NOISE, i) * 2.0f;
        if (kind == 1) x[i] = pare_bits_f32((uint32_t)u & 0xbfffffffu); /* magnitudes below 2 down to nothing */
        if (kind == 2 && u % 7 == 0) x[i] = odd[(u >> 8) % (sizeof odd / sizeof *odd)];
        if (kind == 3 && u % 3 == 0) x[i] = odd[(u >> 8) % 2];
    }
}

/* Buffers whose data begin at an odd float, with canaries. */
static float buf[6][MAXN + 2 * PAD];
static void reset(float *b) { memset(b, 0x5a, sizeof buf[0]); }
static void expect_canaries(const float *b, uint64_t from, uint64_t n)
{
    static const uint32_t canary = 0x5a5a5a5a;

    for (uint64_t i = 0; i < MAXN + 2 * PAD; i++)
        if (i < from || i >= from + n)
            if (memcmp(&b[i], &canary, 4) != 0) fail_msg("written at %d, outside of [0, %u)", (int)(i - from), (unsigned)n);
}

enum { OPS_UNARY = 26 };
/* All functions that map vectors to a vector, by number. */
static const char *apply(const struct pare_vec *v, int op, float *y, const float *a, const float *b, const float *c, uint64_t n)
{
    switch (op) {
    case 0: v->rmsnorm(y, a, b, 0.0f, 1e-5f, n); return "rmsnorm";
    case 1: v->rmsnorm(y, a, b, 1.0f, 1e-6f, n); return "rmsnorm 1 + w";
    case 2: v->rmsnorm(y, a, NULL, 0.0f, 1e-6f, n); return "rmsnorm without weight";
    case 3: v->layernorm(y, a, b, 0.0f, c, 1e-5f, n); return "layernorm";
    case 4: v->layernorm(y, a, NULL, 0.0f, NULL, 1e-5f, n); return "layernorm without weight";
    case 5: v->layernorm(y, a, b, 1.0f, NULL, 1e-5f, n); return "layernorm 1 + w";
    case 6: v->layernorm(y, a, NULL, 0.0f, c, 1e-5f, n); return "layernorm bias";
    case 7: v->add(y, a, b, n); return "add";
    case 8: memcpy(y, b, n * 4); v->axpy(y, 1.7f, a, n); return "axpy";
    case 9: v->scale(y, a, -0.3f, n); return "scale";
    case 10: v->mul(y, a, b, n); return "mul";
    case 11: memcpy(y, a, n * 4); v->softcap(y, 30.0f, n); return "softcap";
    case 12: memcpy(y, a, n * 4); v->softmax(y, n); return "softmax";
    case 13: v->exp(y, a, n); return "exp";
    case 14: case 15: case 16: case 17: case 18: case 19: case 20: case 21: case 22:
        v->act(y, a, (enum pare_act)(op - 14), n); return "act";
    case 23: v->act_mul(y, a, b, PARE_ACT_SILU, n); return "act_mul silu";
    case 24: v->act_mul(y, a, b, PARE_ACT_GELU_TANH, n); return "act_mul gelu_tanh";
    default: memcpy(y, a, n * 4); v->act(y, y, PARE_ACT_GELU, n); return "act in place";
    }
}

static void elementwise(void **state)
{
    const struct pare_vec *ref = pare_vec_for(0);

    (void)state;
    for (int tier = 1; tier <= PARE_TIER_VNNI; tier++) {
        const struct pare_vec *v = pare_vec_for(tier);

        if (v == ref) continue;
        for (uint32_t si = 0; si < N_SIZES; si++)
            for (int kind = 0; kind < 4; kind++) {
                uint64_t n = size_of(si), off = PAD + si % 7;
                float   *a = buf[0] + 1, *b = buf[1] + 3, *c = buf[2] + 2;

                draw(a, n, kind, 10 * si + (uint64_t)kind);
                draw(b, n, kind, 7777 + si);
                draw(c, n, kind, 8888 + si);
                for (int op = 0; op < OPS_UNARY; op++) {
                    const char *what;

                    reset(buf[3]);
                    reset(buf[4]);
                    apply(ref, op, buf[3] + off, a, b, c, n);
                    what = apply(v, op, buf[4] + off, a, b, c, n);
                    expect_same(buf[3] + off, buf[4] + off, n, what, tier);
                    expect_canaries(buf[4], off, n);
                }
            }
    }
}

static void reductions(void **state)
{
    const struct pare_vec *ref = pare_vec_for(0);

    (void)state;
    for (int tier = 1; tier <= PARE_TIER_VNNI; tier++) {
        const struct pare_vec *v = pare_vec_for(tier);

        for (uint32_t si = 0; si < N_SIZES; si++)
            for (int kind = 0; kind < 4; kind++) {
                uint64_t n = size_of(si);
                float   *a = buf[0] + 1, *b = buf[1] + 3, p, q;
                double   dp, dq;

                draw(a, n, kind, 10 * si + (uint64_t)kind);
                draw(b, n, kind, 7777 + si);
                p = ref->dot(a, b, n), q = v->dot(a, b, n);
                expect_same(&p, &q, 1, "dot", tier);
                p = ref->sum(a, n), q = v->sum(a, n);
                expect_same(&p, &q, 1, "sum", tier);
                p = ref->max(a, n), q = v->max(a, n);
                expect_same(&p, &q, 1, "max", tier);
                dp = ref->logsumexp(a, n), dq = v->logsumexp(a, n);
                if (memcmp(&dp, &dq, 8) != 0 && !(isnan(dp) && isnan(dq))) fail_msg("logsumexp, tier %d: %a, plain C %a", tier, dq, dp);
            }
    }
}

/* An underflowing product leaves -0 in a lane; a tail that adds +0 to lanes without an element would lose it. */
static void tails_leave_lanes_alone(void **state)
{
    float x[17], w[17];

    (void)state;
    for (int i = 0; i < 17; i++) x[i] = -1e-30f, w[i] = 1e-30f;
    for (int tier = 0; tier <= PARE_TIER_VNNI; tier++) {
        float y[2] = { 1, 1 };

        assert_true(signbit(pare_vec_for(tier)->dot(x, w, 17)));
        pare_vec_for(tier)->gemm_f32(y, 1, w, 0, x, 0, 17, 0, 1, 2);
        assert_true(y[0] == 0.0f && signbit(y[0]) && signbit(y[1]));
    }
}

static uint8_t wbuf[9 * MAXN * 4 + 64];

typedef void (*gemm)(float *, uint64_t, const void *, uint64_t, const float *, uint64_t, uint64_t, uint64_t, uint64_t, uint32_t);
static gemm gemm_of(const struct pare_vec *v, int type) { return type == 0 ? v->gemm_f32 : type == 1 ? v->gemm_f16 : v->gemm_bf16; }

static void gemm_tiers(void **state)
{
    static const uint64_t ks[] = { 0, 1, 2, 15, 16, 17, 31, 33, 47, 64, 100, 576, 1536 };
    static float y0[16 * 12], y1[16 * 12];

    (void)state;
    for (int tier = 1; tier <= PARE_TIER_VNNI; tier++)
        for (int type = 0; type < 3; type++)
            for (size_t ki = 0; ki < sizeof ks / sizeof *ks; ki++)
                for (uint32_t n = 0; n <= 13; n += n < 8 ? 1 : 5)
                    for (uint64_t rows = 0; rows <= 9; rows += rows < 5 ? 1 : 4) {
                        uint64_t k = ks[ki], size = type == 0 ? 4 : 2, stride = k * size + 1, ldx = k + 3, r0 = rows > 2 ? 1 : 0;
                        float   *x = (float *)malloc((13 * ldx + 1) * 4);

                        draw(x, n * ldx, (int)(ki + n) % 4, ki * 100 + n);
                        for (uint64_t i = 0; i < rows * stride; i++) wbuf[1 + i] = (uint8_t)(pare_rng_u64(3, PARE_RNG_TEST, i + ki * 77777) >> 9);
                        if (type == 0) /* random f32 bits would nearly always overflow */
                            for (uint64_t r = 0; r < rows; r++) draw(buf[0], k, (int)rows % 4, r), memcpy(wbuf + 1 + r * stride, buf[0], k * 4);
                        memset(y0, 0x5a, sizeof y0);
                        memset(y1, 0x5a, sizeof y1);
                        gemm_of(pare_vec_for(0), type)(y0, 12, wbuf + 1, stride, x, ldx, k, r0, rows, n);
                        gemm_of(pare_vec_for(tier), type)(y1, 12, wbuf + 1, stride, x, ldx, k, r0, rows, n);
                        expect_same(y0, y1, 16 * 12, type == 0 ? "gemm_f32" : type == 1 ? "gemm_f16" : "gemm_bf16", tier);
                        free(x);
                    }
}

/* Rows of weights and of activations that no first cache holds, and more rows of outputs than wait together: tiers may cut k then. */
static void gemm_long(void **state)
{
    static const uint64_t ks[] = { 1537, 2048, 2400, 4700, 5632 };
    enum { ROWS = 131, TOKENS = 13, MOST = 5632 };
    float   *x = malloc(TOKENS * MOST * sizeof *x), *w = malloc(ROWS * MOST * sizeof *w);
    float   *y0 = malloc(ROWS * TOKENS * sizeof *y0), *y1 = malloc(ROWS * TOKENS * sizeof *y1);
    uint8_t *rows = malloc(ROWS * MOST * sizeof *w);

    (void)state;
    for (size_t ki = 0; ki < sizeof ks / sizeof *ks; ki++)
        for (int type = 0; type < 3; type++) {
            const uint64_t k = ks[ki], stride = k * (type == 0 ? 4 : 2);

            draw(x, TOKENS * k, ki == 3 ? 3 : 0, ki);
            draw(w, ROWS * k, 0, 50 + ki);
            for (uint64_t i = 0; i < ROWS * k; i++) {
                uint16_t h = type == 1 ? pare_f32_to_f16(w[i]) : pare_f32_to_bf16(w[i]);
                memcpy(rows + i * (type == 0 ? 4 : 2), type == 0 ? (void *)&w[i] : (void *)&h, type == 0 ? 4 : 2);
            }
            gemm_of(pare_vec_for(0), type)(y0, ROWS, rows, stride, x, k, k, 0, ROWS, TOKENS);
            for (int tier = 1; tier <= PARE_TIER_VNNI; tier++)
                for (uint32_t n = 1; n <= TOKENS; n += n < 8 ? 1 : 5) {
                    memset(y1, 0x5a, ROWS * TOKENS * sizeof *y1);
                    gemm_of(pare_vec_for(tier), type)(y1, ROWS, rows, stride, x, k, k, 0, ROWS, n);
                    expect_same(y0, y1, (uint64_t)ROWS * n, "gemm of long rows", tier);
                }
        }
    free(x);
    free(w);
    free(y0);
    free(y1);
    free(rows);
}

/* Plain C against sums in f64. */
static void gemm_right(void **state)
{
    static float w[7 * 577], x[3 * 577], y[3 * 7];
    static uint16_t h[7 * 577];

    (void)state;
    draw(w, 7 * 577, 0, 1);
    draw(x, 3 * 577, 0, 2);
    for (int type = 0; type < 3; type++) {
        for (int i = 0; i < 7 * 577; i++) {
            h[i] = type == 1 ? pare_f32_to_f16(w[i]) : pare_f32_to_bf16(w[i]);
            if (type != 0) w[i] = type == 1 ? pare_f16_to_f32(h[i]) : pare_bf16_to_f32(h[i]);
        }
        gemm_of(pare_vec_for(3), type)(y, 7, type == 0 ? (void *)w : (void *)h, 577 * (type == 0 ? 4 : 2), x, 577, 577, 0, 7, 3);
        for (int t = 0; t < 3; t++)
            for (int r = 0; r < 7; r++) {
                double s = 0, abs = 0;

                for (int i = 0; i < 577; i++) {
                    s += (double)w[r * 577 + i] * (double)x[t * 577 + i];
                    abs += fabs((double)w[r * 577 + i] * (double)x[t * 577 + i]);
                }
                assert_true(fabs(y[t * 7 + r] - s) <= 3e-6 * abs);
            }
    }
}

static void norms_right(void **state)
{
    static float x[576], w[576], b[576], y[576];
    double ss = 0, mean = 0, var = 0;

    (void)state;
    draw(x, 576, 0, 5);
    draw(w, 576, 0, 6);
    draw(b, 576, 0, 7);
    for (int i = 0; i < 576; i++) ss += (double)x[i] * x[i], mean += x[i];
    mean /= 576;
    for (int i = 0; i < 576; i++) var += (x[i] - mean) * (x[i] - mean);
    pare_vec_for(0)->rmsnorm(y, x, w, 1.0f, 1e-5f, 576);
    for (int i = 0; i < 576; i++) assert_true(fabs(y[i] - x[i] / sqrt(ss / 576 + 1e-5f) * (w[i] + 1.0)) < 2e-6 * (1 + fabs(y[i])));
    pare_vec_for(0)->layernorm(y, x, w, 0.0f, b, 1e-5f, 576);
    for (int i = 0; i < 576; i++) assert_true(fabs(y[i] - ((x[i] - mean) / sqrt(var / 576 + 1e-5f) * w[i] + b[i])) < 4e-6 * (1 + fabs(y[i])));
}

static double act_f64(double x, int a)
{
    switch (a) {
    case PARE_ACT_SILU: return x / (1 + exp(-x));
    case PARE_ACT_GELU: return 0.5 * x * (1 + erf(x / sqrt(2.0)));
    case PARE_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979324) * (x + 0.044715 * x * x * x)));
    case PARE_ACT_RELU: return x > 0 ? x : 0;
    case PARE_ACT_RELU2: return x > 0 ? x * x : 0;
    case PARE_ACT_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case PARE_ACT_TANH: return tanh(x);
    case PARE_ACT_SIGMOID: return 1 / (1 + exp(-x));
    default: return x;
    }
}

static void acts_right(void **state)
{
    (void)state;
    for (int a = 0; a <= PARE_ACT_SIGMOID; a++)
        for (float x = -30.0f; x < 30.0f; x += 0.0037f) {
            double want = act_f64((double)x, a), rel = 5e-7;
            float  y;

            pare_vec_for(0)->act(&y, &x, (enum pare_act)a, 1);
            /* 1 + erf and 1 + tanh cancel on the left: what is left over is a few ulp of x. The rounding of 1.702 x, an absolute
             * error of the exponent, is a relative one of the result. */
            if (a == PARE_ACT_QUICK_GELU) rel += 1.2e-7 * 1.702 * fabs((double)x);
            if (!(fabs(y - want) <= rel * fabs(want) + (a == PARE_ACT_GELU || a == PARE_ACT_GELU_TANH ? 2.5e-7 * fabs((double)x) : 1e-37)))
                fail_msg("act %d of %g is %g, want %g", a, (double)x, (double)y, want);
        }
}

static void softmax_right(void **state)
{
    static float x[1000], y[1000];
    double sum = 0, lse;

    (void)state;
    draw(x, 1000, 0, 9);
    memcpy(y, x, sizeof x);
    pare_vec_for(0)->softmax(y, 1000);
    for (int i = 0; i < 1000; i++) sum += exp((double)x[i]);
    for (int i = 0; i < 1000; i++) assert_true(fabs(y[i] / (exp((double)x[i]) / sum) - 1) < 1e-6);
    lse = pare_vec_for(0)->logsumexp(x, 1000);
    assert_true(fabs(lse - log(sum)) < 1e-7);
    assert_true(pare_vec_for(3)->logsumexp(x, 0) == -INFINITY && pare_vec_for(3)->max(x, 0) == -INFINITY);
}

static void rope_tiers(void **state)
{
    (void)state;
    for (uint32_t half = 0; half <= 80; half++)
        for (int inter = 0; inter < 2; inter++) {
            float *cs = buf[0] + 1, *x = buf[1] + 1, *y0 = buf[2] + 1, *y1 = buf[3] + PAD + 1;

            draw(cs, 2 * half, 0, half);
            draw(x, 2 * half, (int)half % 3, half + 100);
            memcpy(y0, x, half * 8);
            pare_vec_for(0)->rope(y0, cs, half, inter != 0);
            for (uint32_t i = 0; i < half && half % 3 == 0; i++) { /* the definition, in f64 */
                uint32_t p = inter ? 2 * i : i, q = inter ? 2 * i + 1 : i + half;
                double   c = cs[2 * i], s = cs[2 * i + 1], e = 4e-7 * (fabs(x[p]) + fabs(x[q])) * (fabs(c) + fabs(s));
                assert_true(fabs(y0[p] - (x[p] * c - x[q] * s)) <= e && fabs(y0[q] - (x[q] * c + x[p] * s)) <= e);
            }
            for (int tier = 1; tier <= PARE_TIER_VNNI; tier++) {
                reset(buf[3]);
                memcpy(y1, x, half * 8);
                pare_vec_for(tier)->rope(y1, cs, half, inter != 0);
                expect_same(y0, y1, 2 * half, "rope", tier);
                expect_canaries(buf[3], PAD + 1, 2 * half);
            }
        }
}

static void stores(void **state)
{
    static uint16_t h0[MAXN], h1[MAXN];
    static uint8_t  q0[MAXN * 2], q1[MAXN * 2];
    static float    back[MAXN];

    (void)state;
    for (uint32_t si = 0; si < N_SIZES; si++)
        for (int kind = 0; kind < 4; kind++) {
            uint64_t n = size_of(si), blocks = (n + 31) / 32;
            float   *x = buf[0] + 1;

            draw(x, n, kind, si + 5);
            pare_vec_for(0)->store_f16(h0, x, n);
            memset(q0, 0x5a, sizeof q0);
            pare_vec_for(0)->store_q8(q0, x, n);
            for (int tier = 1; tier <= PARE_TIER_VNNI; tier++) {
                memset(h1, 0x5a, sizeof h1);
                memset(q1, 0x5a, sizeof q1);
                pare_vec_for(tier)->store_f16(h1, x, n);
                for (uint64_t i = 0; i < n; i++) assert_true(h0[i] == h1[i] || (isnan(x[i]) && (h0[i] & 0x7fff) > 0x7c00 && (h1[i] & 0x7fff) > 0x7c00));
                assert_int_equal(h1[n], 0x5a5a);
                pare_vec_for(tier)->store_q8(q1, x, n);
                assert_memory_equal(q0, q1, sizeof q0);
            }
            if (kind != 0) continue;
            pare_dtype_of(PARE_Q8_0)->decode(back, q0, blocks * 32);
            for (uint64_t b = 0; b < blocks; b++) {
                float amax = 0;

                for (uint64_t i = b * 32; i < n && i < b * 32 + 32; i++) amax = fmaxf(amax, fabsf(x[i]));
                for (uint64_t i = b * 32; i < b * 32 + 32; i++) /* half a step, and the rounding of the scale to f16 */
                    assert_true(fabsf(back[i] - (i < n ? x[i] : 0)) <= amax / 127 * 0.5f + amax * 0.0006f);
            }
        }
}

/* What is not finite must not come back as an ordinary number. */
static void q8_shows_nonfinite(void **state)
{
    float   x[32] = { 1, 2, 3 }, back[32];
    uint8_t q[34];

    (void)state;
    for (int tier = 0; tier <= PARE_TIER_VNNI; tier++) {
        x[5] = NAN;
        pare_vec_for(tier)->store_q8(q, x, 32);
        pare_dtype_of(PARE_Q8_0)->decode(back, q, 32);
        assert_true(isnan(back[0]) && isnan(back[5]));
        x[5] = -INFINITY;
        pare_vec_for(tier)->store_q8(q, x, 32);
        pare_dtype_of(PARE_Q8_0)->decode(back, q, 32);
        assert_true(!isfinite(back[5]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise), cmocka_unit_test(reductions), cmocka_unit_test(tails_leave_lanes_alone), cmocka_unit_test(gemm_tiers),
        cmocka_unit_test(gemm_long),
        cmocka_unit_test(gemm_right), cmocka_unit_test(norms_right), cmocka_unit_test(acts_right), cmocka_unit_test(softmax_right),
        cmocka_unit_test(rope_tiers), cmocka_unit_test(stores), cmocka_unit_test(q8_shows_nonfinite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
