/* SPDX-License-Identifier: Apache-2.0
 * tests/golden/test_decode.c: every GGUF block format against the numpy decoder of the Python package gguf, bit for bit.
 * The data and how it was made: tests/golden/dtype/README.md. */
#include "fixture.h"

#include <inttypes.h>

#include "base/checked.h"
#include "base/rng.h"
#include "tensor/dtype.h"

#define DIR "tests/golden/dtype/"

/* In the order of generate.py, which numbers the streams of random bytes. high: bytes whose bit 6 is the top exponent bit
 * of a scale. */
static const struct golden {
    const char *name;
    uint16_t weights, bytes;
    int16_t high[2];
} types[] = {
    { "q4_0", 32, 18, { 1, -1 } },       { "q4_1", 32, 20, { 1, 3 } },      { "q5_0", 32, 22, { 1, -1 } },
    { "q5_1", 32, 24, { 1, 3 } },        { "q8_0", 32, 34, { 1, -1 } },     { "q8_1", 32, 36, { 1, 3 } },
    { "q2_k", 256, 84, { 81, 83 } },     { "q3_k", 256, 110, { 109, -1 } }, { "q4_k", 256, 144, { 1, 3 } },
    { "q5_k", 256, 176, { 1, 3 } },      { "q6_k", 256, 210, { 209, -1 } }, { "q8_k", 256, 292, { 3, -1 } },
    { "iq1_s", 256, 50, { 1, -1 } },     { "iq1_m", 256, 56, { 55, -1 } },  { "iq2_xxs", 256, 66, { 1, -1 } },
    { "iq2_xs", 256, 74, { 1, -1 } },    { "iq2_s", 256, 82, { 1, -1 } },   { "iq3_xxs", 256, 98, { 1, -1 } },
    { "iq3_s", 256, 110, { 1, -1 } },    { "iq4_nl", 32, 18, { 1, -1 } },   { "iq4_xs", 256, 136, { 1, -1 } },
    { "tq1_0", 256, 54, { 53, -1 } },    { "tq2_0", 256, 66, { 65, -1 } },  { "mxfp4", 32, 17, { -1, -1 } },
};
#define N_TYPES (sizeof types / sizeof types[0])

static const struct pare_dtype *row_of(const struct golden *g)
{
    const struct pare_dtype *t = pare_dtype_by_name(g->name);

    assert_non_null(t);
    assert_int_equal(t->block, g->weights);
    assert_int_equal(t->block_bytes, g->bytes);
    return t;
}

static void small_blocks(void **state)
{
    static uint8_t file[16384];
    static float got[1024];

    (void)state;
    for (size_t k = 0; k < N_TYPES; k++) {
        const struct pare_dtype *t = row_of(&types[k]);
        size_t blocks = t->block == 32 ? 8 : 4, head = blocks * t->block_bytes, n = blocks * t->block, len;
        char path[256];
        FILE *f;

        snprintf(path, sizeof path, DIR "%s.bin", t->name);
        f = fopen(path, "rb");
        assert_non_null(f);
        len = fread(file, 1, sizeof file, f);
        fclose(f);
        assert_int_equal(len, head + n * 4);
        t->decode(got, file, n);
        for (size_t i = 0; i < n; i++)
            if (pare_f32_bits(got[i]) != pare_le32(file + head + i * 4))
                fail_msg("%s: value %zu is %a, expected %a", t->name, i, (double)got[i],
                         (double)pare_bits_f32(pare_le32(file + head + i * 4)));
    }
}

static uint64_t hash_of(const float *v, size_t n)
{
    uint64_t h = 0;

    for (size_t i = 0; i < n; i++) h += ((uint64_t)pare_f32_bits(v[i]) + 1) * pare_mix64(i + 1);
    return h;
}

static void many_blocks(void **state)
{
    FILE *f = fopen(DIR "large.txt", "r");

    (void)state;
    assert_non_null(f);
    for (size_t k = 0; k < N_TYPES; k++) {
        const struct pare_dtype *t = row_of(&types[k]);
        char name[32];
        unsigned blocks;
        uint64_t want;

        assert_int_equal(fscanf(f, "%31s %u %" SCNx64, name, &blocks, &want), 3);
        assert_string_equal(name, t->name);

        size_t n = (size_t)blocks * t->block_bytes, cols = (size_t)blocks * t->block;
        uint8_t *src = malloc(n);
        float *got = malloc(cols * sizeof *got);

        assert_non_null(src);
        assert_non_null(got);
        for (size_t i = 0; i < n; i++)
            src[i] = (uint8_t)(pare_mix64((k + 1) * UINT64_C(0x9e3779b97f4a7c15) + i / 8) >> 8 * (i % 8));
        for (size_t b = 0; b < blocks; b++)
            for (int i = 0; i < 2; i++)
                if (types[k].high[i] >= 0) src[b * t->block_bytes + (size_t)types[k].high[i]] &= 0xbf;
        t->decode(got, src, cols);
        if (hash_of(got, cols) != want) fail_msg("%s: the values of %u blocks differ", t->name, blocks);
        free(got);
        free(src);
    }
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_blocks),
        cmocka_unit_test(many_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
