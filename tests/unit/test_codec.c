/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_codec.c: the number formats of tensor/codec.h against formulas of their own, written in double precision, and against
 * exhaustive search over the numbers that a code can stand for. */
#include "fixture.h"

#include <math.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tensor/codec.h"
#include "tensor/dtype.h"

enum { MOST = 512 };

static unsigned codes_of(const struct pare_codec *c) { return c->radix != 0 ? c->radix : 1u << c->bits; }
static bool named(const struct pare_codec *c, const char *prefix) { return strncmp(c->name, prefix, strlen(prefix)) == 0; }

/* Bell-shaped with a few large ones; format log2 takes magnitudes. */
static void draw(const struct pare_codec *c, float *x, uint64_t n, uint64_t seed, float scale)
{
    for (uint64_t i = 0; i < n; i++) {
        float z = pare_rng_normal(seed, PARE_RNG_TEST, i);

        x[i] = scale * (i % 37 == 5 ? 6.0f * z : z);
        if (named(c, "log2")) x[i] = fabsf(x[i]);
    }
}

/* ---- small floats ------------------------------------------------------------------------------------------------------------ */

/* The formula of the OCP texts, and the list of values that follows from it. */
static double float_value(const struct pare_minifloat *f, unsigned code)
{
    unsigned m = code & ((1u << f->mbits) - 1u), e = code >> f->mbits & ((1u << f->ebits) - 1u);
    double   v = e == 0 ? ldexp((double)m, 1 - f->bias - f->mbits) : ldexp(1.0 + (double)m / (1u << f->mbits), (int)e - f->bias);

    return code >> (f->mbits + f->ebits) != 0 ? -v : v;
}

static void small_floats(void **state)
{
    static const struct { const struct pare_minifloat *f; double max, least; } set[] = {
        { &pare_e4m3, 448, 0x1p-9 }, { &pare_e5m2, 57344, 0x1p-16 }, { &pare_e2m3, 7.5, 0.125 }, { &pare_e3m2, 28, 0.0625 }, { &pare_e2m1, 6, 0.5 }
    };

    (void)state;
    for (size_t k = 0; k < sizeof set / sizeof *set; k++) {
        const struct pare_minifloat *f = set[k].f;
        unsigned sign = 1u << (f->ebits + f->mbits);

        assert_true(float_value(f, f->max_code) == set[k].max && (double)f->max == set[k].max);
        assert_true(float_value(f, 1) == set[k].least);
        for (unsigned c = 0; c <= f->max_code; c++) {
            double v = float_value(f, c), up = c < f->max_code ? float_value(f, c + 1) : v;

            assert_true((double)pare_minifloat_decode(f, (uint8_t)c) == v);
            assert_true((double)pare_minifloat_decode(f, (uint8_t)(c | sign)) == -v);
            assert_int_equal(pare_minifloat_encode(f, (float)v), c);
            if (c != 0) assert_int_equal(pare_minifloat_encode(f, (float)-v), c | sign);
            if (c == f->max_code) break;
            /* the middle goes to the even mantissa, what lies beside it to its neighbour */
            float mid = (float)((v + up) / 2.0);
            assert_int_equal(pare_minifloat_encode(f, mid), c % 2 == 0 ? c : c + 1);
            assert_int_equal(pare_minifloat_encode(f, nextafterf(mid, 0.0f)), c);
            assert_int_equal(pare_minifloat_encode(f, nextafterf(mid, INFINITY)), c + 1);
        }
        assert_int_equal(pare_minifloat_encode(f, 3e38f), f->max_code);
        assert_int_equal(pare_minifloat_encode(f, -3e38f), f->max_code | sign);
        assert_int_equal(pare_minifloat_encode(f, 1e-40f), 0);
        assert_int_equal(pare_minifloat_encode(f, -1e-40f), 0);
    }
}

/* ---- every format: the nearest of its numbers --------------------------------------------------------------------------------- */

/* Formats that cut or measure in the logarithm have rules of their own. */
static void check_code(const struct pare_codec *c, const float *value, unsigned n, const uint8_t *head, float x, unsigned code)
{
    double best = INFINITY, got = fabs((double)x - (double)value[code]);

    if (named(c, "sefp")) {
        unsigned m = c->bits - 1u;
        double   step = ldexp(1.0, (int)head[0] - 127 - (int)m);

        assert_int_equal((unsigned)floor(fabs((double)x) / step) | (x < 0.0f ? 1u << m : 0u), code);
        assert_true(got <= step / 2.0);
        return;
    }
    if (named(c, "log2")) {
        double s = (double)pare_f16_to_f32(pare_le16(head)), y = x > 0.0f ? -(double)(1 << head[2]) * log2((double)x / s) : 1e9;

        y = y < 0.0 ? 0.0 : y > n - 1 ? n - 1 : y;
        if (fabs(y - floor(y) - 0.5) > 1e-5) assert_int_equal((unsigned)floor(y + 0.5), code);
        assert_true(fabs((double)value[code] / s - exp2(-(double)code / (1 << head[2]))) < 1e-7);
        return;
    }
    for (unsigned k = 0; k < n; k++) { /* without NaN, and without the code below the lowest level of a symmetric format */
        if (c->elem != NULL ? (k & (n / 2 - 1)) > c->elem->max_code : c->hi > c->lo && (int)k > c->hi - c->lo) continue;
        best = fmin(best, fabs((double)x - (double)value[k]));
    }
    if (!(got <= best * (1.0 + 1e-5) + 1e-7 * fabs((double)x))) fail_msg("%s: %.9g became %.9g, %.9g is nearer by far", c->name, (double)x, (double)value[code], best);
}

static void nearest_of_all(void **state)
{
    uint32_t n_codec;
    const struct pare_codec *const *codec = pare_codecs(&n_codec);

    (void)state;
    for (uint32_t k = 0; k < n_codec; k++) {
        const struct pare_codec *c = codec[k];

        assert_ptr_equal(pare_codec_by_name(c->name), c);
        for (uint64_t round = 0; round < 12; round++) {
            uint64_t n = c->group != 0 ? c->group : 1 + 13 * round;
            float    x[MOST], y[MOST], value[MOST], front = 0.0f;
            uint16_t code[MOST], all[MOST];
            uint8_t  head[PARE_CODEC_HEAD] = { 0 };

            draw(c, x, n, 71 * k + round, round % 3 == 0 ? 0.02f : round % 3 == 1 ? 40.0f : 0.5f);
            if (round == 4) for (uint64_t i = 0; i < n; i++) x[i] = fabsf(x[i]) + 3.0f; /* one sign, far from zero */
            if (c->front_of != NULL) front = c->front_of(c, 7.0f);
            c->fit(c, head, x, n, front);
            c->encode(c, code, x, n, head, front);
            for (unsigned i = 0; i < codes_of(c); i++) all[i] = (uint16_t)i;
            c->decode(c, value, all, codes_of(c), head, front);
            c->decode(c, y, code, n, head, front);
            for (uint64_t i = 0; i < n; i++) {
                assert_true(code[i] < codes_of(c));
                assert_true(y[i] == value[code[i]]);
                check_code(c, value, codes_of(c), head, x[i], code[i]);
            }
        }
    }
    assert_null(pare_codec_by_name("int9"));
}

/* ---- heads -------------------------------------------------------------------------------------------------------------------- */

static void scales(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 200; round++) {
        float   x[32], amax = 0.0f, ext = 0.0f, lo = 0.0f, hi = 0.0f;
        uint8_t head[PARE_CODEC_HEAD];

        draw(pare_codec_by_name("int4"), x, 32, round, ldexpf(1.0f, (int)round % 30 - 20));
        for (int i = 0; i < 32; i++) {
            if (fabsf(x[i]) > amax) amax = fabsf(x[i]), ext = x[i];
            lo = fminf(lo, x[i]);
            hi = fmaxf(hi, x[i]);
        }
        const struct { const char *name; double top; int emax; } mx[] = {
            { "mxint8", 127, -1 }, { "mxint6", 31, -1 }, { "mxint4", 7, -1 }, { "mxfp8", 448, -1 }, { "mxfp6", 7.5, -1 }, { "mxfp4", 6, -1 },
            { "mxint8_floor", 127, 6 }, { "mxint4_floor", 7, 2 }, { "mxfp8_floor", 448, 8 }, { "mxfp4_floor", 6, 2 }, { "mxint8_wide", 128, 6 }
        };
        for (size_t k = 0; k < sizeof mx / sizeof *mx; k++) {
            const struct pare_codec *c = pare_codec_by_name(mx[k].name);
            int want = -127;

            if (mx[k].emax >= 0) want = ilogb((double)amax) - mx[k].emax;
            else while (mx[k].top * ldexp(1.0, want) < (double)amax) want++;
            c->fit(c, head, x, 32, 0.0f);
            assert_int_equal((int)head[0] - 127, want);
        }
        if (round % 30 < 8) continue; /* halves would be denormal */
        const struct { const char *name; double want; } set[] = {
            { "int4", (double)amax / 7 }, { "int8", (double)amax / 127 }, { "int4_full", (double)ext / -8 }, { "level5", (double)amax / 2 },
            { "int4_asym", ((double)hi - (double)lo) / 15 }, { "fp4_e2m1", (double)amax / 6 }
        };
        for (size_t k = 0; k < sizeof set / sizeof *set; k++) {
            const struct pare_codec *c = pare_codec_by_name(set[k].name);

            c->fit(c, head, x, 32, 0.0f);
            if (!(fabs((double)pare_f16_to_f32(pare_le16(head)) - set[k].want) <= fabs(set[k].want) * 0x1.01p-11 + 0x1.01p-25)) fail_msg("%s: scale %.9g, not %.9g", c->name, (double)pare_f16_to_f32(pare_le16(head)), set[k].want);
        }
    }
}

/* Zero stays zero where the format promises it. */
static void zero_is_exact(void **state)
{
    uint32_t n_codec;
    const struct pare_codec *const *codec = pare_codecs(&n_codec);

    (void)state;
    for (uint32_t k = 0; k < n_codec; k++) {
        const struct pare_codec *c = codec[k];
        struct pare_codec_shape  s = { 1, 64, c->group };
        float x[64];

        if (c->group == 0) s.group = 64;
        if (named(c, "sefp") || named(c, "log2") || strcmp(c->name, "int1") == 0 || strstr(c->name, "_zero") != NULL) continue;
        draw(c, x, 64, k, 1.0f);
        for (int i = 0; i < 64; i += 3) x[i] = 0.0f;
        assert_int_equal(pare_codec_round(c, s, x, NULL, NULL), PARE_OK);
        for (int i = 0; i < 64; i += 3) assert_true(x[i] == 0.0f);
    }
}

/* BitMoD: the type that was taken is none the worse of the four; levels written down here once more. */
static void number_types(void **state)
{
    static const double base3[] = { 0, 1, 2, 4, -1, -2, -4 }, base4[] = { 0, .5, 1, 1.5, 2, 3, 4, 6, -.5, -1, -1.5, -2, -3, -4, -6 };
    static const double special3[] = { 3, -3, 6, -6 }, special4[] = { 5, -5, 8, -8 };
    unsigned taken[2][4] = { { 0 } };

    (void)state;
    for (int bits = 3; bits <= 4; bits++) {
        const struct pare_codec *c = pare_codec_by_name(bits == 3 ? "bitmod3" : "bitmod4");
        const double *base = bits == 3 ? base3 : base4, *special = bits == 3 ? special3 : special4;
        int n_base = bits == 3 ? 7 : 15;

        for (uint64_t round = 0; round < 400; round++) {
            float    x[128], y[128];
            uint16_t code[128];
            uint8_t  head[PARE_CODEC_HEAD];
            double   got = 0.0, amax = 0.0;

            draw(c, x, 128, 1000 + round, 1.0f);
            if (round % 2 != 0) for (int i = 0; i < 128; i++) x[i] += 0.3f * x[i] * x[i] * (round % 4 == 1 ? 1.0f : -1.0f); /* one long tail */
            c->fit(c, head, x, 128, 0.0f);
            c->encode(c, code, x, 128, head, 0.0f);
            c->decode(c, y, code, 128, head, 0.0f);
            for (int i = 0; i < 128; i++) {
                got += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
                amax = fmax(amax, fabs((double)x[i]));
            }
            taken[bits - 3][head[2]]++;
            for (int t = 0; t < 4; t++) {
                double top = fmax(bits == 3 ? 4.0 : 6.0, fabs(special[t])), err = 0.0;
                double s = (double)pare_f16_to_f32(pare_f32_to_f16((float)amax / (float)top));

                for (int i = 0; i < 128; i++) {
                    double best = fabs((double)x[i] - s * special[t]);

                    for (int b = 0; b < n_base; b++) best = fmin(best, fabs((double)x[i] - s * base[b]));
                    err += best * best;
                }
                assert_true(got <= err * (1.0 + 1e-6));
                if (t == head[2]) assert_true(got >= err * (1.0 - 1e-6));
            }
        }
        for (int t = 0; t < 4; t++) assert_true(taken[bits - 3][t] > 0);
    }
}

/* ---- bytes -------------------------------------------------------------------------------------------------------------------- */

static void packing(void **state)
{
    uint32_t n_codec;
    const struct pare_codec *const *codec = pare_codecs(&n_codec);

    (void)state;
    for (uint32_t k = 0; k < n_codec; k++)
        for (uint64_t n = 1; n < 70; n += 1 + n / 9) {
            const struct pare_codec *c = codec[k];
            uint16_t code[80], back[80];
            uint8_t  buf[160];
            uint64_t bytes = pare_codec_code_bytes(c, n);

            for (uint64_t i = 0; i < n; i++) code[i] = (uint16_t)(pare_rng_u64(k, PARE_RNG_TEST, i) % codes_of(c));
            memset(buf, 0xee, sizeof buf);
            pare_codec_pack(c, buf, code, n);
            assert_int_equal(buf[bytes], 0xee);
            if (c->radix == 0) {
                assert_int_equal(bytes, (n * c->bits + 7) / 8);
                for (uint64_t b = 0; b < n * c->bits; b++)
                    assert_int_equal(buf[b / 8] >> b % 8 & 1, code[b / c->bits] >> b % c->bits & 1);
            } else {
                uint64_t per = c->radix == 3 ? 5 : 10, word = c->radix == 3 ? 1 : 3;

                assert_int_equal(bytes, (n + per - 1) / per * word);
                for (uint64_t i = 0; i < n; i++) {
                    const uint8_t *w = buf + i / per * word;
                    double v = word == 1 ? w[0] : w[0] + 256.0 * w[1] + 65536.0 * w[2];

                    assert_int_equal((int)fmod(floor(v / pow(c->radix, (double)(i % per))), c->radix), code[i]);
                }
            }
            memset(back, 0xff, sizeof back);
            pare_codec_unpack(c, back, buf, n);
            assert_memory_equal(code, back, n * sizeof *code);
            assert_int_equal(back[n], 0xffff);
        }
}

/* Whole tensors: the size that is promised, nothing written past it, groups that do not know of each other. */
static void shapes(void **state)
{
    static const uint64_t widths[] = { 1, 7, 40, 64, 129, 576 }, groups[] = { 32, 128, 1000, PARE_CODEC_TENSOR };
    uint32_t n_codec;
    const struct pare_codec *const *codec = pare_codecs(&n_codec);
    float *x = pare_malloc(3 * 576 * sizeof *x), *y = pare_malloc(3 * 576 * sizeof *y), *z = pare_malloc(576 * sizeof *z);
    uint8_t *buf = pare_malloc(16384), *one = pare_malloc(8192);

    (void)state;
    for (uint32_t k = 0; k < n_codec; k++)
        for (size_t w = 0; w < 6; w++)
            for (size_t g = 0; g < 4; g++) {
                const struct pare_codec *c = codec[k];
                struct pare_codec_shape  s = { 3, widths[w], c->group != 0 ? (g % 2 != 0 ? c->group : 0) : groups[g] }, row = s;
                uint64_t cols = widths[w], len = s.group == 0 ? c->group : s.group, bytes, want = c->front, part;

                if (len == PARE_CODEC_TENSOR) want += c->head + pare_codec_code_bytes(c, 3 * cols);
                else for (uint64_t at = 0; at < cols; at += len) want += 3 * (c->head + pare_codec_code_bytes(c, cols - at < len ? cols - at : len));
                assert_true(pare_codec_bytes(c, s, &bytes));
                assert_int_equal(bytes, want);
                draw(c, x, 3 * cols, 5 * k + w, 0.1f);
                memset(buf, 0x5a, bytes + 16);
                pare_codec_encode(c, s, buf, x);
                for (int i = 0; i < 16; i++) assert_int_equal(buf[bytes + (uint64_t)i], 0x5a);
                pare_codec_decode(c, s, y, buf);
                if (len == PARE_CODEC_TENSOR || c->front != 0) continue;
                row.rows = 1; /* a row alone has the bytes that it has in the tensor */
                assert_true(pare_codec_bytes(c, row, &part));
                for (uint64_t r = 0; r < 3; r++) {
                    pare_codec_encode(c, row, one, x + r * cols);
                    assert_memory_equal(one, buf + r * part, part);
                    pare_codec_decode(c, row, z, one);
                    assert_memory_equal(z, y + r * cols, cols * sizeof *z);
                }
            }
    uint64_t bytes;
    assert_false(pare_codec_bytes(pare_codec_by_name("mxfp4"), (struct pare_codec_shape){ 1, 64, 64 }, &bytes));
    assert_false(pare_codec_bytes(pare_codec_by_name("int4"), (struct pare_codec_shape){ 1, 64, 0 }, &bytes));
    assert_false(pare_codec_bytes(pare_codec_by_name("int4"), (struct pare_codec_shape){ 1u << 20, UINT64_MAX / 8, 32 }, &bytes));
    assert_int_equal(pare_codec_round(pare_codec_by_name("mxfp4"), (struct pare_codec_shape){ 1, 64, 64 }, x, NULL, NULL), PARE_E_USAGE);
    x[9] = NAN;
    assert_int_equal(pare_codec_round(pare_codec_by_name("int4"), (struct pare_codec_shape){ 1, 64, 32 }, x, NULL, NULL), PARE_E_CORRUPT);
    pare_free(x);
    pare_free(y);
    pare_free(z);
    pare_free(buf);
    pare_free(one);
}

/* Zeros, denormal numbers, the largest floats, one number among zeros: finite results, never further off than the group is wide. */
static void strange_groups(void **state)
{
    static const float peaks[] = { 0.0f, 1e-45f, 1e-38f, 1e-12f, 1.0f, 1e30f, 3.4e38f };
    uint32_t n_codec;
    const struct pare_codec *const *codec = pare_codecs(&n_codec);

    (void)state;
    for (uint32_t k = 0; k < n_codec; k++)
        for (size_t p = 0; p < sizeof peaks / sizeof *peaks; p++)
            for (int shape = 0; shape < 3; shape++) {
                const struct pare_codec *c = codec[k];
                struct pare_codec_shape  s = { 1, 96, c->group != 0 ? c->group : 96 };
                float x[96] = { 0 };

                for (int i = 0; i < 96; i++) x[i] = shape == 0 ? peaks[p] : shape == 1 ? (i == 50 ? -peaks[p] : 0.0f) : (i % 2 ? peaks[p] : -peaks[p]);
                assert_int_equal(pare_codec_round(c, s, x, NULL, NULL), PARE_OK);
                for (int i = 0; i < 96; i++) {
                    if (!isfinite(x[i])) fail_msg("%s: peak %g, shape %d", c->name, (double)peaks[p], shape);
                    assert_true(fabs((double)x[i]) <= (double)peaks[p] * 2.0 + 1e-7);
                }
            }
}

/* ---- one file, several widths --------------------------------------------------------------------------------------------------- */

static void narrowing(void **state)
{
    enum { ROWS = 5, COLS = 200 };
    float   *x = pare_malloc(ROWS * COLS * sizeof *x);
    uint8_t *wide = pare_malloc(4096), *cut = pare_malloc(4096), *want = pare_malloc(4096);
    struct pare_codec_shape s = { ROWS, COLS, 0 };
    char     a[16], b[16];

    (void)state;
    draw(pare_codec_by_name("sefp8"), x, ROWS * COLS, 3, 0.05f);
    for (int i = 0; i < 64; i++) x[i] = 0.0f;
    for (int from = 3; from <= 8; from++)
        for (int to = 3; to <= from; to++) {
            const struct pare_codec *f = pare_codec_by_name((snprintf(a, sizeof a, "sefp%d", from), a));
            const struct pare_codec *t = pare_codec_by_name((snprintf(b, sizeof b, "sefp%d", to), b));
            uint64_t bytes;

            assert_true(pare_codec_bytes(t, s, &bytes));
            pare_codec_encode(f, s, wide, x);
            pare_codec_encode(t, s, want, x);
            assert_true(pare_sefp_narrow(t, cut, f, wide, s));
            assert_memory_equal(cut, want, bytes);
            if (from > to) assert_false(pare_sefp_narrow(f, cut, t, wide, s));
        }
    assert_false(pare_sefp_narrow(pare_codec_by_name("int4"), cut, pare_codec_by_name("sefp8"), wide, s));
    pare_free(x);
    pare_free(wide);
    pare_free(cut);
    pare_free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_floats), cmocka_unit_test(nearest_of_all), cmocka_unit_test(scales), cmocka_unit_test(zero_is_exact),
        cmocka_unit_test(number_types), cmocka_unit_test(packing), cmocka_unit_test(shapes), cmocka_unit_test(strange_groups),
        cmocka_unit_test(narrowing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
