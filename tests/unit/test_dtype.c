/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_dtype.c: the table of storage formats, row sizes, half precision, and that the two views of a quantized
 * row (decode and unpack) agree on random bits. Values against a foreign decoder are in tests/golden/test_decode.c. */
#include "fixture.h"

#include <ctype.h>
#include <math.h>

#include "base/checked.h"
#include "base/rng.h"
#include "tensor/dtype.h"
#include "tensor/trellis.h"
#include "tensor/pq_codebook.h"

enum { CANARY = 0x5a, MAX_COLS = 1024 };

static uint64_t draw(uint64_t i)
{
    return pare_rng_u64(7, PARE_RNG_TEST, i);
}

/* ---- the table ---- */

static void table_is_consistent(void **state)
{
    (void)state;
    for (int i = 0; i < PARE_TYPE_COUNT; i++) {
        const struct pare_dtype *t = pare_dtype_of((enum pare_type)i);
        const struct pare_pack_traits *p;
        char upper[32] = { 0 };

        assert_non_null(t);
        p = &t->pack;
        assert_int_equal(t->type, i);
        for (size_t k = 0; t->name[k] != '\0'; k++) {
            assert_true(islower((unsigned char)t->name[k]) || isdigit((unsigned char)t->name[k]) || t->name[k] == '_');
            upper[k] = (char)toupper((unsigned char)t->name[k]);
        }
        assert_ptr_equal(pare_dtype_by_name(t->name), t); /* so names are unique, too */
        assert_ptr_equal(pare_dtype_by_name(upper), t);
        assert_true(strlen(t->help) > 10 && t->help[strlen(t->help) - 1] == '.');
        assert_non_null(t->decode);
        assert_int_equal(t->encode != NULL, (t->caps & PARE_DT_WRITE) != 0);
        assert_int_equal(t->unpack != NULL, (t->caps & PARE_DT_QUANT) != 0);
        assert_int_equal(t->gguf_id >= 0, (t->caps & PARE_DT_STANDARD) != 0);
        if (t->gguf_id >= 0) assert_ptr_equal(pare_dtype_by_gguf((uint32_t)t->gguf_id), t);
        assert_true(t->bits == t->block_bytes * 8.0 / t->block);
        assert_int_equal(t->row_bytes, t->caps & PARE_DT_ANYWIDTH ? 2 : 0);
        if (!(t->caps & PARE_DT_QUANT)) continue;
        assert_true(p->group == 16 || p->group == 32);
        assert_int_equal(t->block % p->group, 0);
        assert_int_equal(p->super, t->caps & PARE_DT_ANYWIDTH ? 0 : t->block);
        assert_non_null(strchr("\2\3\4\5\6\10", p->bits));
        if (p->lut != NULL) assert_true(p->bits <= 4 && p->offset == 0);
        assert_true(p->offset <= 0 && (p->bits < 8 || p->offset == -128));
    }
    assert_null(pare_dtype_by_name("q4"));
    assert_null(pare_dtype_by_name("q4_0 "));
    assert_null(pare_dtype_by_name(""));
    assert_null(pare_dtype_by_name(NULL));
    assert_null(pare_dtype_by_gguf(4)); /* numbers of formats that GGUF gave up */
    assert_null(pare_dtype_by_gguf(UINT32_MAX));
}

/* The numbers of the GGUF specification, with block sizes and bytes. */
static void gguf_numbers(void **state)
{
    static const struct { uint32_t id; const char *name; uint16_t block, bytes; } spec[] = {
        { 0, "f32", 1, 4 },          { 1, "f16", 1, 2 },         { 2, "q4_0", 32, 18 },       { 3, "q4_1", 32, 20 },
        { 6, "q5_0", 32, 22 },       { 7, "q5_1", 32, 24 },      { 8, "q8_0", 32, 34 },       { 9, "q8_1", 32, 36 },
        { 10, "q2_k", 256, 84 },     { 11, "q3_k", 256, 110 },   { 12, "q4_k", 256, 144 },    { 13, "q5_k", 256, 176 },
        { 14, "q6_k", 256, 210 },    { 15, "q8_k", 256, 292 },   { 16, "iq2_xxs", 256, 66 },  { 17, "iq2_xs", 256, 74 },
        { 18, "iq3_xxs", 256, 98 },  { 19, "iq1_s", 256, 50 },   { 20, "iq4_nl", 32, 18 },    { 21, "iq3_s", 256, 110 },
        { 22, "iq2_s", 256, 82 },    { 23, "iq4_xs", 256, 136 }, { 24, "i8", 1, 1 },          { 25, "i16", 1, 2 },
        { 26, "i32", 1, 4 },         { 27, "i64", 1, 8 },        { 28, "f64", 1, 8 },         { 29, "iq1_m", 256, 56 },
        { 30, "bf16", 1, 2 },        { 34, "tq1_0", 256, 54 },   { 35, "tq2_0", 256, 66 },    { 39, "mxfp4", 32, 17 },
    };
    unsigned standard = 0;

    (void)state;
    for (size_t i = 0; i < sizeof spec / sizeof spec[0]; i++) {
        const struct pare_dtype *t = pare_dtype_by_gguf(spec[i].id);

        assert_non_null(t);
        assert_string_equal(t->name, spec[i].name);
        assert_int_equal(t->block, spec[i].block);
        assert_int_equal(t->block_bytes, spec[i].bytes);
    }
    for (int i = 0; i < PARE_TYPE_COUNT; i++) standard += pare_dtype_of((enum pare_type)i)->gguf_id >= 0;
    assert_int_equal(standard, sizeof spec / sizeof spec[0]);
}

static void row_sizes(void **state)
{
    uint64_t n = 77;

    (void)state;
    assert_true(pare_dtype_row_bytes(pare_dtype_of(PARE_Q4_K), 1536, &n));
    assert_int_equal(n, 6 * 144);
    n = 77;
    assert_false(pare_dtype_row_bytes(pare_dtype_of(PARE_Q4_K), 576, &n));
    assert_int_equal(n, 77);
    assert_true(pare_dtype_row_bytes(pare_dtype_of(PARE_PQ3), 576, &n)); /* 18 groups of 1 + 12 bytes, and the scale */
    assert_int_equal(n, 2 + 18 * 13);
    assert_true(pare_dtype_row_bytes(pare_dtype_of(PARE_PQ3H), 17, &n));
    assert_int_equal(n, 2 + 2 * 7);
    assert_true(pare_dtype_row_bytes(pare_dtype_of(PARE_PQ4), 1, &n));
    assert_int_equal(n, 2 + 17);
    assert_true(pare_dtype_bytes(pare_dtype_of(PARE_F16), 3, 5, &n));
    assert_int_equal(n, 30);
    assert_true(pare_dtype_bytes(pare_dtype_of(PARE_F32), 0, 5, &n));
    assert_int_equal(n, 0);
    n = 77;
    assert_false(pare_dtype_bytes(pare_dtype_of(PARE_F32), 1, UINT64_MAX / 4 + 1, &n));
    assert_false(pare_dtype_bytes(pare_dtype_of(PARE_F32), UINT64_C(1) << 33, UINT64_C(1) << 33, &n));
    assert_false(pare_dtype_row_bytes(pare_dtype_of(PARE_I64), UINT64_MAX, &n));
    assert_int_equal(n, 77);
    assert_true(pare_dtype_row_bytes(pare_dtype_of(PARE_PQ6), UINT64_MAX, &n)); /* 2^59 groups of 1 + 24 bytes fit just so */
    assert_true(n == (UINT64_C(1) << 59) * 25 + 2);
    assert_false(pare_dtype_bytes(pare_dtype_of(PARE_PQ6), 2, UINT64_MAX, &n));
}

/* ---- half precision, against the definition of the format in f64 ---- */

static double f16_value(unsigned h)
{
    unsigned e = h >> 10 & 31, m = h & 1023;
    double v = e == 0 ? ldexp(m, -24) : ldexp(1024 + m, (int)e - 25);

    return h & 0x8000 ? -v : v;
}

static void f16_every_value(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 65536; h++) {
        float f = pare_f16_to_f32((uint16_t)h);

        if ((h & 0x7c00) == 0x7c00) {
            if (h & 1023) assert_true(isnan(f) && (pare_f32_bits(f) >> 13 & 1023) == (h & 1023));
            else assert_true(isinf(f) && (signbit(f) != 0) == (h >> 15 != 0));
            assert_int_equal(pare_f32_to_f16(f), h & 1023 ? h | 0x200 : h); /* NaN becomes quiet, the rest stays */
        } else {
            assert_true((double)f == f16_value(h) && (signbit(f) != 0) == (h >> 15 != 0));
            assert_int_equal(pare_f32_to_f16(f), h);
        }
    }
}

/* The row decoder takes most numbers another way; every value, at every place in its stride, unaligned. */
static void f16_rows(void **state)
{
    static uint8_t src[2 * 65536 + 1];
    static float got[65536 + 1];

    (void)state;
    for (unsigned h = 0; h < 65536; h++) {
        src[1 + 2 * h] = (uint8_t)h;
        src[2 + 2 * h] = (uint8_t)(h >> 8);
    }
    for (unsigned skip = 0; skip < 17; skip++) {
        uint64_t n = 65536 - skip - skip % 5;

        memset(got, CANARY, sizeof got);
        pare_dtype_of(PARE_F16)->decode(got, src + 1 + 2 * skip, n);
        for (uint64_t i = 0; i < n; i++)
            assert_int_equal(pare_f32_bits(got[i]), pare_f32_bits(pare_f16_to_f32((uint16_t)(i + skip))));
        assert_int_equal(pare_f32_bits(got[n]), 0x5a5a5a5a);
    }
}

/* Between each pair of neighbours: the middle goes to the even one, one step to either side to the nearer one. */
static void f16_rounding(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x7c00; h++) {
        double above = h + 1 == 0x7c00 ? 65536.0 : f16_value(h + 1);
        float mid = (float)((f16_value(h) + above) / 2); /* exact: one bit more */

        assert_true((double)mid * 2 == f16_value(h) + above);
        assert_int_equal(pare_f32_to_f16(mid), h + (h & 1));
        assert_int_equal(pare_f32_to_f16(nextafterf(mid, 0.0f)), h);
        assert_int_equal(pare_f32_to_f16(nextafterf(mid, INFINITY)), h + 1);
        assert_int_equal(pare_f32_to_f16(-mid), (h + (h & 1)) | 0x8000);
    }
    assert_int_equal(pare_f32_to_f16(3.4e38f), 0x7c00);
    assert_int_equal(pare_f32_to_f16(-1e-45f), 0x8000);
}

static void bf16_rounding(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        uint32_t u = (uint32_t)draw(i);
        float f;
        uint16_t h;

        if (i % 4 == 0) u = (u & 0xffff0000u) | 0x8000u; /* ties */
        f = pare_bits_f32(u);
        h = pare_f32_to_bf16(f);
        if (isnan(f)) {
            assert_true(isnan(pare_bf16_to_f32(h)));
            continue;
        }
        /* Neighbours by magnitude; the one above the largest counts as 2^128, like any overflow. */
        double lo = pare_bits_f32(u & 0xffff0000u), up = pare_bits_f32((u & 0xffff0000u) + 0x10000u);
        if (isinf(up)) up = copysign(0x1p128, up);
        double x = f, got = pare_bf16_to_f32(h);
        if (isinf(x)) {
            assert_true(got == x);
            continue;
        }
        if (isinf(got)) got = copysign(0x1p128, got);
        double a = fabs(x - lo), b = fabs(x - up);
        assert_true(a < b ? got == lo : b < a ? got == up : (h & 1) == 0 && (got == lo || got == up));
        assert_int_equal(signbit(f) != 0, h >> 15);
    }
    assert_int_equal(pare_f32_to_bf16(pare_bits_f32(0x7f800001u)) & 0x7fff, 0x7fc0); /* payload below the cut */
}

/* ---- plain types ---- */

static void plain_values(void **state)
{
    static const uint8_t src[] = { 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80 };
    const double pi = 3.14159265358979323846;
    uint8_t raw[8];
    float f[2];

    (void)state;
    pare_dtype_of(PARE_I8)->decode(f, src + 1, 1);
    assert_true(f[0] == -2.0f);
    pare_dtype_of(PARE_U8)->decode(f, src + 1, 2);
    assert_true(f[0] == 254.0f && f[1] == 255.0f);
    pare_dtype_of(PARE_BOOL)->decode(f, src, 2);
    assert_true(f[0] == 0.0f && f[1] == 1.0f);
    pare_dtype_of(PARE_I16)->decode(f, src + 1, 1);
    assert_true(f[0] == -2.0f);
    pare_dtype_of(PARE_I32)->decode(f, src, 1);
    assert_true(f[0] == -512.0f);
    pare_dtype_of(PARE_I64)->decode(f, src + 1, 1);
    assert_true(f[0] == -0x7fp56f); /* -(0x7f00000000000002), rounded to 24 bits */
    memcpy(raw, &pi, 8);
    pare_dtype_of(PARE_F64)->decode(f, raw, 1);
    assert_true(f[0] == (float)pi);
    pare_dtype_of(PARE_F32)->encode(raw, f, 1, NULL);
    pare_dtype_of(PARE_F32)->decode(f + 1, raw, 1);
    assert_memory_equal(f, f + 1, 4);
}

/* ---- the two views ---- */

struct view {
    uint8_t idx[MAX_COLS + 64], m[MAX_COLS / 16 + 4];
    int8_t s[MAX_COLS / 16 + 4];
    int8_t value[MAX_COLS + 32]; /* of a trellis */
    float d[MAX_COLS / 32 + 4], dmin[MAX_COLS / 32 + 4];
};

static bool all_canary(const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        if (b[i] != CANARY) return false;
    return true;
}

static void check_row(const struct pare_dtype *t, const uint8_t *src, uint64_t cols)
{
    static struct view v;
    static float got[MAX_COLS + 4];
    const struct pare_pack_traits *p = &t->pack;
    uint64_t super = p->super ? p->super : cols, groups = (cols + p->group - 1) / p->group, supers = (cols + super - 1) / super;
    struct pare_unpacked u = { .idx = v.idx, .s = v.s, .m = v.m, .d = v.d, .dmin = v.dmin };

    memset(&v, CANARY, sizeof v);
    memset(got, CANARY, sizeof got);
    t->unpack(&u, src, cols);
    t->decode(got, src, cols);

    assert_true(all_canary(got + cols, sizeof got - cols * 4));
    assert_true(all_canary(v.idx + groups * p->group, sizeof v.idx - groups * p->group));
    assert_true(all_canary(v.s + groups, sizeof v.s - groups));
    assert_true(all_canary(v.d + supers, sizeof v.d - supers * 4));
    assert_true(all_canary(p->has_min ? v.m + groups : v.m, sizeof v.m - (p->has_min ? groups : 0)));
    assert_true(all_canary(p->has_min ? v.dmin + supers : v.dmin, sizeof v.dmin - (p->has_min ? supers * 4 : 0)));

    for (uint64_t g = 0; g < groups * p->group; g++) assert_true(v.idx[g] < 1u << p->bits);
    if (p->trellis != NULL) pare_trellis_row(p->trellis, v.value, v.idx, cols);
    for (uint64_t c = 0; c < cols; c++) {
        uint64_t g = c / p->group, k = c / super;
        double lut = p->trellis ? v.value[c] : p->lut ? p->lut[v.idx[c]] : v.idx[c] + p->offset;
        double dw = (double)v.d[k] * v.s[g], mw = p->has_min ? -((double)v.dmin[k] * v.m[g]) : 0.0;
        double want = dw * lut + mw;

        if (!p->has_sub) assert_int_equal(v.s[g], 1);
        assert_true((double)(float)dw == dw && (double)(float)mw == mw); /* exact in f32 */
        if (p->d_is_f16) {
            assert_true(pare_f16_to_f32(pare_f32_to_f16(v.d[k])) == v.d[k]);
            if (p->has_min) assert_true(pare_f16_to_f32(pare_f32_to_f16(v.dmin[k])) == v.dmin[k]);
        }
        /* mxfp4 reaches beyond the largest f32 */
        if (fabs(want) >= 0x1p128) assert_true(isinf(got[c]) && (want > 0) == (got[c] > 0));
        else if (!(fabs(got[c] - want) <= 0x1p-24 * fabs(dw * lut) + 0x1p-24 * fabs(want) + 0x1p-150))
            fail_msg("%s: column %u is %a, the integer view says %a", t->name, (unsigned)c, (double)got[c], want);
    }
}

/* Bytes of a block whose bit 6 makes a scale infinite or NaN; cleared. */
static int scale_byte(enum pare_type type, int i)
{
    switch (type) {
    case PARE_Q4_1: case PARE_Q5_1: case PARE_Q8_1: case PARE_Q4_K: case PARE_Q5_K: return i ? 3 : 1;
    case PARE_Q2_K: return i ? 83 : 81;
    case PARE_Q3_K: return 109;
    case PARE_Q6_K: return 209;
    case PARE_Q8_K: return 3;
    case PARE_IQ1_M: return 55;
    case PARE_TQ1_0: return 53;
    case PARE_TQ2_0: return 65;
    case PARE_MXFP4: return -1;
    default: return 1;
    }
}

static void views_agree(void **state)
{
    static uint8_t src[8192], odd[8192];
    static float a[MAX_COLS], b[MAX_COLS];
    uint64_t at = 0;

    (void)state;
    for (int i = 0; i < PARE_TYPE_COUNT; i++) {
        const struct pare_dtype *t = pare_dtype_of((enum pare_type)i);

        if (!(t->caps & PARE_DT_QUANT)) continue;
        for (unsigned trial = 0; trial < 200; trial++) {
            uint64_t cols = t->caps & PARE_DT_ANYWIDTH ? draw(at++) % 700 + 1 : t->block * (draw(at++) % (MAX_COLS / t->block) + 1);
            uint64_t n;

            assert_true(pare_dtype_row_bytes(t, cols, &n) && n < sizeof src);
            for (uint64_t k = 0; k < n; k++) src[k] = (uint8_t)draw(at++);
            for (uint64_t k = 0; k < (t->row_bytes ? 1 : cols / t->block); k++)
                for (int j = 0; j < 2; j++)
                    if (scale_byte(t->type, j) >= 0) src[k * t->block_bytes + (uint64_t)scale_byte(t->type, j)] &= 0xbf;
            check_row(t, src, cols);

            /* Mapped files give any alignment. */
            memcpy(odd + 1, src, n);
            t->decode(a, src, cols);
            t->decode(b, odd + 1, cols);
            assert_memory_equal(a, b, cols * 4);
        }
    }
}

/* ---- our own types, read a second way: from the description in docs/own-types.md, one bit string at a time ---- */

static unsigned pq_code(const uint8_t *q, unsigned n, unsigned bits, unsigned c)
{
    unsigned quarter = n / 4, half = n / 2;

    switch (bits) {
    case 2: return q[c % quarter] >> 2 * (c / quarter) & 3;
    case 3: return pq_code(q, n, 2, c) | (q[n / 4 + c / 8] >> c % 8 & 1u) << 2;
    case 4: return c < half ? q[c] % 16 : q[c - half] / 16;
    case 5: return pq_code(q, n, 4, c) | (q[n / 2 + c / 8] >> c % 8 & 1u) << 4;
    default: return pq_code(q, n, 4, c) | pq_code(q + n / 2, n, 2, c) << 4;
    }
}

static void own_types(void **state)
{
    static const struct { enum pare_type type; unsigned group, bits; const int8_t *lut; int offset; } own[] = {
        { PARE_PQ2, 32, 2, pare_pq2_lut, 0 },  { PARE_PQ2H, 16, 2, pare_pq2_lut, 0 }, { PARE_PQ3, 32, 3, pare_pq3_lut, 0 },
        { PARE_PQ3H, 16, 3, pare_pq3_lut, 0 }, { PARE_PQ4, 32, 4, pare_pq4_lut, 0 },  { PARE_PQ5, 32, 5, NULL, -16 },
        { PARE_PQ6, 32, 6, NULL, -32 },
    };
    static uint8_t src[1024];
    static float got[200];
    uint64_t at = UINT64_C(1) << 40;

    (void)state;
    for (size_t k = 0; k < sizeof own / sizeof own[0]; k++) {
        const struct pare_dtype *t = pare_dtype_of(own[k].type);

        for (unsigned cols = 1; cols <= 200; cols++) {
            unsigned n = own[k].group, groups = (cols + n - 1) / n;
            uint64_t bytes;
            double d;

            assert_true(pare_dtype_row_bytes(t, cols, &bytes));
            assert_int_equal(bytes, 2 + groups + groups * n * own[k].bits / 8);
            for (uint64_t i = 0; i < bytes; i++) src[i] = (uint8_t)draw(at++);
            src[1] &= 0xbf;
            d = f16_value(src[0] | (unsigned)src[1] << 8);
            t->decode(got, src, cols);
            for (unsigned c = 0; c < cols; c++) {
                unsigned g = c / n, idx = pq_code(src + 2 + groups + g * (n * own[k].bits / 8), n, own[k].bits, c % n);
                double v = own[k].lut ? own[k].lut[idx] : (int)idx + own[k].offset;

                /* d * s * value is exact in f64; f32 rounds it once */
                assert_true(got[c] == (float)(d * (int8_t)src[2 + g] * v));
            }
        }
    }
}

/* Searches need ascending values without repetition; kernels that negate a value need -128 left out. */
static void codebooks(void **state)
{
    static const struct { const int8_t *v; int n; } book[] = { { pare_pq2_lut, 4 }, { pare_pq3_lut, 8 }, { pare_pq4_lut, 16 } };

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        for (int i = 1; i < book[k].n; i++) assert_true(book[k].v[i - 1] < book[k].v[i]);
        assert_true(book[k].v[0] > -128 && book[k].v[0] < 0 && book[k].v[book[k].n - 1] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_consistent), cmocka_unit_test(gguf_numbers), cmocka_unit_test(row_sizes),
        cmocka_unit_test(f16_every_value),     cmocka_unit_test(f16_rows),     cmocka_unit_test(f16_rounding),
        cmocka_unit_test(bf16_rounding),       cmocka_unit_test(plain_values), cmocka_unit_test(views_agree),
        cmocka_unit_test(own_types),           cmocka_unit_test(codebooks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
