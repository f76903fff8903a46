/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_foreign.c: weights packed by GPTQ, AWQ and compressed-tensors. The test draws whole numbers, packs them as the
 * published layouts say, bit by bit, and expects (q - zero) * scale back exactly. */
#include "file_maker.h"

#include "base/rng.h"
#include "format/checkpoint.h"

#define OUT 32u
#define IN 96u
#define GROUP 32u
#define GROUPS (IN / GROUP)

static uint32_t draw(uint64_t i, uint32_t below) { return (uint32_t)(pare_rng_u64(77, PARE_RNG_TEST, i) % below); }

static uint32_t q[OUT][IN], zero[GROUPS][OUT], group_of[IN];
static uint32_t scale_bits[GROUPS][OUT]; /* of an f16: powers of two and halves between */

static float scale(uint32_t g, uint32_t o)
{
    uint32_t e = scale_bits[g][o] >> 10, m = scale_bits[g][o] & 1023;

    return (1.0f + (float)m / 1024.0f) * (e >= 15 ? (float)(1u << (e - 15)) : 1.0f / (float)(1u << (15 - e)));
}

static void draw_all(uint32_t bits, bool act_order)
{
    uint64_t k = bits * 100000u + act_order;

    for (uint32_t o = 0; o < OUT; o++)
        for (uint32_t i = 0; i < IN; i++) q[o][i] = draw(k++, 1u << bits);
    for (uint32_t g = 0; g < GROUPS; g++)
        for (uint32_t o = 0; o < OUT; o++) {
            zero[g][o] = o == 0 ? 0 : o == 1 ? (1u << bits) - 1 : draw(k++, 1u << bits); /* both ends, always */
            scale_bits[g][o] = (10 + draw(k, 6)) << 10 | draw(k + 1, 1024);
            k += 2;
        }
    for (uint32_t i = 0; i < IN; i++) group_of[i] = act_order ? draw(k++, GROUPS) : i / GROUP;
}

/* Sets `bits` bits at a bit position of a stream of 32-bit words; word w of the stream is word[w * stride]. */
static void set_bits(uint32_t *word, size_t stride, size_t at, uint32_t bits, uint32_t v)
{
    for (uint32_t b = 0; b < bits; b++)
        if (v >> b & 1) word[(at + b) / 32 * stride] |= 1u << ((at + b) % 32);
}

struct file {
    char         header[4096];
    struct maker data;
};

static void add_tensor(struct file *f, const char *name, const char *dtype, uint64_t a, uint64_t b, const void *p, size_t n)
{
    size_t len = strlen(f->header);

    len += (size_t)snprintf(f->header + len, sizeof f->header - len, "%s\"l.%s\":{\"dtype\":\"%s\",\"shape\":[", len > 1 ? "," : "", name, dtype);
    len += (size_t)snprintf(f->header + len, sizeof f->header - len, b ? "%d,%d" : "%d", (int)a, (int)b);
    snprintf(f->header + len, sizeof f->header - len, "],\"data_offsets\":[%zu,%zu]}", f->data.n, f->data.n + n);
    put(&f->data, p, n);
}

static void write_folder(struct file *f, const char *config)
{
    struct maker m;

    strcat(f->header, "}");
    m = make_st(f->header, 0);
    put(&m, f->data.p, f->data.n);
    mkdir(in_scratch("q"), 0700);
    write_file(in_scratch("q/model.safetensors"), m.p, m.n);
    write_file(in_scratch("q/config.json"), config, strlen(config));
    free_maker(&m);
    free_maker(&f->data);
}

static void add_scales(struct file *f)
{
    uint16_t s[GROUPS * OUT];

    for (uint32_t g = 0; g < GROUPS; g++)
        for (uint32_t o = 0; o < OUT; o++) s[g * OUT + o] = (uint16_t)scale_bits[g][o];
    add_tensor(f, "scales", "F16", GROUPS, OUT, s, sizeof s);
}

/* Opens the folder and compares all rows, in blocks that do not divide them. */
static void expect_rows(const int32_t zero_is[GROUPS][OUT])
{
    struct pare_checkpoint *c = NULL;
    struct pare_diag        d = { 0 };
    struct pare_weight      w;
    static float            v[OUT * IN];

    if (pare_checkpoint_open(&c, in_scratch("q"), &d) != 0) fail_msg("%s: %s", d.where, d.text);
    assert_int_equal(pare_weight_find(&w, c, "l.weight", &d), 0);
    assert_non_null(w.type);
    assert_int_equal(w.n_dims, 2);
    assert_int_equal(w.rows, OUT);
    assert_int_equal(w.cols, IN);
    assert_int_equal(pare_checkpoint_params(c), OUT * IN);
    for (uint32_t o = 0; o < OUT; o += 5) assert_int_equal(pare_weight_rows(&w, o, o + 5 <= OUT ? 5 : OUT - o, v + o * IN, &d), 0);
    for (uint32_t o = 0; o < OUT; o++)
        for (uint32_t i = 0; i < IN; i++) {
            uint32_t g = group_of[i];
            float    want = (float)((int32_t)q[o][i] - zero_is[g][o]) * scale(g, o);

            if (v[o * IN + i] != want) fail_msg("output %u input %u: %g, expected %g", o, i, (double)v[o * IN + i], (double)want);
        }
    pare_checkpoint_close(&c);
}

static void plain_zeros(int32_t z[GROUPS][OUT])
{
    for (uint32_t g = 0; g < GROUPS; g++)
        for (uint32_t o = 0; o < OUT; o++) z[g][o] = (int32_t)zero[g][o];
}

/* version 1 stores zero - 1 (modulo the width), version 2 the zero itself; g_idx: none, in order, or in any order */
static void gptq(uint32_t bits, int version, int g_idx)
{
    struct file f = { .header = "{" };
    uint32_t    words[IN * 8 / 32 * OUT] = { 0 }, zeros[GROUPS * OUT * 8 / 32] = { 0 }, mask = (1u << bits) - 1;
    int32_t     z[GROUPS][OUT];
    size_t      qrows = IN * bits / 32, zcols = OUT * bits / 32;
    char        config[256];

    draw_all(bits, g_idx == 2);
    for (uint32_t o = 0; o < OUT; o++)
        for (uint32_t i = 0; i < IN; i++) set_bits(words + o, OUT, i * bits, bits, q[o][i]);
    for (uint32_t g = 0; g < GROUPS; g++)
        for (uint32_t o = 0; o < OUT; o++) set_bits(zeros + g * zcols, 1, o * bits, bits, (zero[g][o] - (version == 1)) & mask);
    add_tensor(&f, "qweight", "I32", qrows, OUT, words, qrows * OUT * 4);
    add_tensor(&f, "qzeros", "I32", GROUPS, zcols, zeros, GROUPS * zcols * 4);
    add_scales(&f);
    if (g_idx) add_tensor(&f, "g_idx", "I32", IN, 0, group_of, sizeof group_of);
    snprintf(config, sizeof config, "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":%u,\"group_size\":%u%s}}", bits, GROUP,
             version == 1 ? (g_idx ? ",\"checkpoint_format\":\"gptq\"" : "") : ",\"checkpoint_format\":\"gptq_v2\"");
    write_folder(&f, config);
    plain_zeros(z);
    expect_rows((const int32_t(*)[OUT])z);
}

static void test_gptq(void **state)
{
    static const uint32_t widths[] = { 2, 3, 4, 8 };

    (void)state;
    for (size_t b = 0; b < 4; b++)
        for (int version = 1; version <= 2; version++)
            for (int g = 0; g < 3; g++) gptq(widths[b], version, g);
}

static void test_awq(void **state)
{
    static const uint32_t order[8] = { 0, 2, 4, 6, 1, 3, 5, 7 }; /* nibble n of a word holds output order[n] of its eight */
    struct file           f = { .header = "{" };
    uint32_t              words[IN][OUT / 8] = { 0 }, zeros[GROUPS][OUT / 8] = { 0 };
    int32_t               z[GROUPS][OUT];

    (void)state;
    draw_all(4, false);
    for (uint32_t n = 0; n < 8; n++)
        for (uint32_t k = 0; k < OUT / 8; k++) {
            for (uint32_t i = 0; i < IN; i++) words[i][k] |= q[k * 8 + order[n]][i] << (4 * n);
            for (uint32_t g = 0; g < GROUPS; g++) zeros[g][k] |= zero[g][k * 8 + order[n]] << (4 * n);
        }
    add_tensor(&f, "qweight", "I32", IN, OUT / 8, words, sizeof words);
    add_tensor(&f, "qzeros", "I32", GROUPS, OUT / 8, zeros, sizeof zeros);
    add_scales(&f);
    write_folder(&f, "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":32,\"zero_point\":true,\"version\":\"gemm\"}}");
    plain_zeros(z);
    expect_rows((const int32_t(*)[OUT])z);
}

/* compressed-tensors: scales (outputs, groups); values and zeros plus half the range, zeros packed along the outputs. */
static void ct_packed(uint32_t bits, bool with_zeros)
{
    struct file f = { .header = "{" };
    uint32_t    words[OUT][IN * 8 / 32] = { { 0 } }, zeros[OUT * 8 / 32 * GROUPS] = { 0 };
    uint16_t    s[OUT][GROUPS];
    int64_t     shape[2] = { OUT, IN };
    int32_t     z[GROUPS][OUT];
    size_t      cols = IN * bits / 32;
    uint32_t    flat[OUT * IN * 8 / 32];

    draw_all(bits, false);
    for (uint32_t o = 0; o < OUT; o++) {
        for (uint32_t i = 0; i < IN; i++) set_bits(words[o], 1, i * bits, bits, q[o][i]);
        memcpy(flat + o * cols, words[o], cols * 4);
        for (uint32_t g = 0; g < GROUPS; g++) {
            s[o][g] = (uint16_t)scale_bits[g][o];
            set_bits(zeros + g, GROUPS, o * bits, bits, zero[g][o]);
            z[g][o] = with_zeros ? (int32_t)zero[g][o] : 1 << (bits - 1);
        }
    }
    add_tensor(&f, "weight_packed", "I32", OUT, cols, flat, OUT * cols * 4);
    add_tensor(&f, "weight_scale", "F16", OUT, GROUPS, s, sizeof s);
    add_tensor(&f, "weight_shape", "I64", 2, 0, shape, sizeof shape);
    if (with_zeros) add_tensor(&f, "weight_zero_point", "I32", OUT * bits / 32, GROUPS, zeros, OUT * bits / 32 * GROUPS * 4);
    write_folder(&f, "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\"}}");
    expect_rows((const int32_t(*)[OUT])z);
}

static void test_ct_packed(void **state)
{
    (void)state;
    ct_packed(4, false);
    ct_packed(4, true);
    ct_packed(8, false);
    ct_packed(8, true);
}

static void test_ct_int8(void **state)
{
    struct file f = { .header = "{" };
    int8_t      v[OUT][IN];
    uint16_t    s[OUT][GROUPS];
    int32_t     z[GROUPS][OUT];

    (void)state;
    draw_all(8, false);
    for (uint32_t o = 0; o < OUT; o++) {
        for (uint32_t i = 0; i < IN; i++) v[o][i] = (int8_t)(q[o][i] - 128);
        for (uint32_t g = 0; g < GROUPS; g++) {
            s[o][g] = (uint16_t)scale_bits[g][o];
            z[g][o] = 128;
        }
    }
    add_tensor(&f, "weight", "I8", OUT, IN, v, sizeof v);
    add_tensor(&f, "weight_scale", "F16", OUT, GROUPS, s, sizeof s);
    write_folder(&f, "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"int-quantized\"}}");
    expect_rows((const int32_t(*)[OUT])z);
}

static int teardown(void **state)
{
    (void)state;
    remove_scratch();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gptq),
        cmocka_unit_test(test_awq),
        cmocka_unit_test(test_ct_packed),
        cmocka_unit_test(test_ct_int8),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
