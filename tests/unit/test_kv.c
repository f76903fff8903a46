/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_kv.c: the cache against plain arrays, its forecast against what it allocates, failing allocations. */
#include "fixture.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "store/kv.h"

#define MAXLEN 333
#define LAYERS 3

static const struct pare_kv_shape shapes[LAYERS] = { { 2, 16, 16 }, { 1, 40, 24 }, { 3, 7, 33 } };
static float want_k[LAYERS][MAXLEN][3][40], want_v[LAYERS][MAXLEN][3][40];

static bool tiled(enum pare_type type) { return type == PARE_Q8_0 || type == PARE_Q4_0; }

static uint32_t half(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }

/* Position `row` of a tile of floats: panels of 16 positions, column after column. */
static void gather_keys(enum pare_type type, float *dst, const uint8_t *tile, uint32_t row, uint32_t d)
{
    uint32_t es = type == PARE_F16 ? 2 : 4;

    for (uint32_t i = 0; i < d; i++) pare_dtype_of(type)->decode(dst + i, tile + ((row / 16 * d + i) * 16 + row % 16) * es, 1);
}

/* Position `row` of a tile, read by the description of the layout: panels of 16 positions, code vectors of 4 columns. */
static void decode_keys(enum pare_type type, float *dst, const uint8_t *tile, uint32_t row, uint32_t d)
{
    uint32_t blocks = (d + 31) / 32, code = type == PARE_Q8_0 ? 512 : 256, at = (32 * blocks + 63) / 64 * 64;

    tile += row / 16 * (at + blocks * code);
    row %= 16;
    for (uint32_t i = 0; i < d; i++) {
        uint32_t       b = i / 32, j = i % 32 / 4;
        const uint8_t *c = tile + at + b * code + 4 * row + i % 4;
        int            q = type == PARE_Q8_0 ? c[64 * j] - 128 : (c[64 * (j % 4)] >> 4 * (j / 4) & 15) - 8;

        dst[i] = pare_f16_to_f32((uint16_t)half(tile + 32 * b + 2 * row)) * (float)q;
    }
}

static void decode_values(enum pare_type type, float *dst, const uint8_t *tile, uint32_t row, uint32_t d)
{
    uint32_t blocks = (d + 31) / 32, code = type == PARE_Q8_0 ? 32 : 16;

    for (uint32_t i = 0; i < d; i++) {
        uint32_t       b = i / 32, k = i % 32;
        const uint8_t *c = tile + 128 * blocks + (row * blocks + b) * code;
        int            q = type == PARE_Q8_0 ? (int8_t)c[k] : (c[k % 16] >> 4 * (k / 16) & 15) - 8;

        dst[i] = pare_f16_to_f32((uint16_t)half(tile + 2 * (64 * b + row))) * (float)q;
    }
}

/* q4_0 of GGUF: the extreme value gets the code -8. */
static void through_q4(float *x, const float *t, uint32_t d)
{
    for (uint32_t b = 0; b < d; b += 32) {
        float m = 0, s;

        for (uint32_t i = b; i < b + 32; i++)
            if (fabsf(t[i]) > fabsf(m)) m = t[i];
        s = m / -8;
        for (uint32_t i = b; i < b + 32 && i < d; i++) {
            int q = (int)(t[i] * (1.0f / s) + 8.5f) - 8;
            x[i] = pare_f16_to_f32(pare_f32_to_f16(s)) * (float)(q > 7 ? 7 : q);
        }
    }
}

/* What a row becomes when it is stored, found by the tensor types alone where they can encode it. */
static void through(enum pare_type type, float *x, uint32_t d)
{
    uint8_t q[256];
    float   t[64] = { 0 };

    memcpy(t, x, d * sizeof *t);
    if (type == PARE_F16)
        for (uint32_t i = 0; i < d; i++) x[i] = pare_f16_to_f32(pare_f32_to_f16(t[i]));
    if (type == PARE_Q8_0) {
        pare_vec_for(0)->store_q8(q, t, (d + 31) / 32 * 32);
        pare_dtype_of(type)->decode(t, q, (d + 31) / 32 * 32);
        memcpy(x, t, d * sizeof *t);
    }
    if (type == PARE_Q4_0) through_q4(x, t, d);
}

static void put(struct pare_kv_cache *c, enum pare_type type, uint32_t layer, uint32_t pos, uint64_t seed)
{
    const struct pare_kv_shape *s = &shapes[layer];
    float k[200], v[200];

    for (uint32_t i = 0; i < s->n_head_kv * s->dk; i++) k[i] = pare_rng_normal(seed, PARE_RNG_TEST, pos * 1000 + i);
    for (uint32_t i = 0; i < s->n_head_kv * s->dv; i++) v[i] = pare_rng_normal(seed + 1, PARE_RNG_TEST, pos * 1000 + i);
    pare_kv_put(c, pare_vec_for(3), layer, pos, k, v);
    for (uint32_t h = 0; h < s->n_head_kv; h++) {
        memcpy(want_k[layer][pos][h], k + h * s->dk, s->dk * 4);
        memcpy(want_v[layer][pos][h], v + h * s->dv, s->dv * 4);
        through(type, want_k[layer][pos][h], s->dk);
        through(type, want_v[layer][pos][h], s->dv);
    }
}

/* Reads [from, to) by segments and compares with the arrays. len: positions that are stored. */
static void expect(const struct pare_kv_cache *c, enum pare_type type, uint32_t layer, uint32_t from, uint32_t to, uint32_t len)
{
    struct pare_kv_seg seg[64];
    const struct pare_kv_shape *s = &shapes[layer];
    float    row[64];
    uint32_t next = from, end = to < len ? to : len;

    for (uint32_t h = 0; h < s->n_head_kv; h++) {
        uint32_t n = pare_kv_segments(c, layer, h, from, to, seg, 64);

        assert_true(n <= pare_kv_max_segments(c));
        next = from;
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(seg[i].pos0, next);
            for (uint32_t j = 0; j < seg[i].n; j++, next++) {
                if (tiled(type)) decode_keys(type, row, seg[i].k, next % 64, s->dk);
                else gather_keys(type, row, seg[i].k, next % 64, s->dk);
                assert_memory_equal(row, want_k[layer][next][h], s->dk * 4);
                if (tiled(type)) decode_values(type, row, seg[i].v, next % 64, s->dv);
                else pare_dtype_of(type)->decode(row, seg[i].v + j * seg[i].v_stride, s->dv);
                assert_memory_equal(row, want_v[layer][next][h], s->dv * 4);
            }
        }
        assert_int_equal(next, from < end ? end : from);
    }
}

static void store_and_read(void **state)
{
    static const enum pare_type types[] = { PARE_F32, PARE_F16, PARE_Q8_0, PARE_Q4_0 };

    (void)state;
    for (int t = 0; t < 4; t++) {
        struct pare_kv_settings s = { types[t], LAYERS, LAYERS, shapes, MAXLEN };
        struct pare_kv_cache   *c;
        uint64_t live = pare_mem_live(), before;
        uint32_t len = 0;

        assert_int_equal(pare_kv_create(&c, &s, NULL), 0);
        assert_int_equal(pare_kv_type(c), types[t]);
        assert_int_equal(pare_kv_max_segments(c), 6);
        /* Grow, roll back and grow again, with reads at random. */
        for (uint64_t step = 0; step < 60; step++) {
            uint64_t u = pare_rng_u64(42, PARE_RNG_TEST, step);
            uint32_t to = len + 1 + (uint32_t)(u % 23);

            if (to > MAXLEN) to = MAXLEN;
            assert_int_equal(pare_kv_reserve(c, to, NULL), 0);
            before = pare_mem_count();
            for (; len < to; len++)
                for (uint32_t l = 0; l < LAYERS; l++) put(c, types[t], l, len, 10 * step + l);
            for (uint32_t l = 0; l < LAYERS; l++) {
                uint32_t from = (uint32_t)(u >> 8) % (len + 1);

                expect(c, types[t], l, 0, len, len);
                expect(c, types[t], l, from, len, len);
                expect(c, types[t], l, from, from + (uint32_t)(u >> 20) % (len - from + 1), len);
            }
            if (u % 5 == 0) {
                len -= (uint32_t)(u >> 30) % (len + 1);
                pare_kv_truncate(c, len);
                for (uint32_t l = 0; l < LAYERS; l++) expect(c, types[t], l, 0, MAXLEN, len);
            }
            assert_int_equal(pare_mem_count(), before); /* storing and reading allocate nothing */
        }
        pare_kv_destroy(&c);
        assert_null(c);
        assert_int_equal(pare_mem_live(), live);
    }
}

/* One slot for all layers: each layer overwrites the former and reads back its own shape. */
static void streaming(void **state)
{
    struct pare_kv_settings s = { PARE_F16, LAYERS, 1, shapes, 100 };
    struct pare_kv_cache   *c;

    (void)state;
    assert_int_equal(pare_kv_create(&c, &s, NULL), 0);
    assert_int_equal(pare_kv_reserve(c, 100, NULL), 0);
    for (uint32_t l = 0; l < LAYERS; l++) {
        for (uint32_t p = 0; p < 100; p++) put(c, PARE_F16, l, p, l);
        expect(c, PARE_F16, l, 0, 100, 100);
    }
    pare_kv_destroy(&c);
}

/* The forecast by hand: pages of 64 positions, all layers, one cache line a block. */
static void forecast(void **state)
{
    struct pare_kv_settings s = { PARE_F16, LAYERS, LAYERS, shapes, 1000 };
    uint64_t row = 0, largest = 0;

    (void)state;
    for (int l = 0; l < LAYERS; l++) {
        uint64_t b = 2ull * shapes[l].n_head_kv * (shapes[l].dk + shapes[l].dv);
        row += b;
        if (b > largest) largest = b;
    }
    assert_int_equal(pare_kv_bytes(&s, 0), 0);
    assert_int_equal(pare_kv_bytes(&s, 1), 64 * row + 64);
    assert_int_equal(pare_kv_bytes(&s, 64), 64 * row + 64);
    assert_int_equal(pare_kv_bytes(&s, 65), 2 * (64 * row + 64));
    s.n_slots = 1;
    assert_int_equal(pare_kv_bytes(&s, 64), 64 * largest + 64);
    s.n_slots = LAYERS;
    s.type = PARE_Q8_0;
    /* Keys are padded to blocks of 32 and their panels' scales to whole lines: 4 * (64 + 512) a block of keys, 64 * 34 one of values. */
    assert_int_equal(pare_kv_bytes(&s, 1), 2 * (2304 + 2176) + (4 * (64 + 1024) + 2176) + 3 * (2304 + 2 * 2176) + 64);
}

static void failures(void **state)
{
    struct pare_kv_settings s = { PARE_F32, LAYERS, LAYERS, shapes, MAXLEN };
    struct pare_kv_cache   *c = NULL;
    struct pare_diag d;
    uint64_t live = pare_mem_live();
    bool     done = false;

    (void)state;
    for (uint64_t fail = 1; !done; fail++) { /* every allocation of create and reserve fails once */
        int rc;

        pare_diag_clear(&d);
        pare_mem_fail_after(fail);
        rc = pare_kv_create(&c, &s, &d);
        if (rc == 0) rc = pare_kv_reserve(c, MAXLEN, &d);
        pare_mem_fail_after(0);
        assert_true(rc == 0 || rc == PARE_E_NOMEM);
        done = rc == 0;
        if (c != NULL) { /* the next attempt works */
            assert_int_equal(pare_kv_reserve(c, MAXLEN, NULL), 0);
            put(c, PARE_F32, 2, MAXLEN - 1, 1);
        }
        pare_kv_destroy(&c);
        assert_int_equal(pare_mem_live(), live);
        assert_true(fail < 20);
    }
    assert_int_equal(pare_kv_create(&c, &s, NULL), 0);
    pare_diag_clear(&d);
    assert_int_equal(pare_kv_reserve(c, MAXLEN + 1, &d), PARE_E_LIMIT);
    pare_kv_destroy(&c);
    pare_kv_destroy(&c);
    pare_kv_destroy(NULL);
    s.type = PARE_Q6_K;
    assert_int_equal(pare_kv_create(&c, &s, NULL), PARE_E_USAGE);
    s.type = PARE_F32;
    s.n_slots = 0;
    assert_int_equal(pare_kv_create(&c, &s, NULL), PARE_E_USAGE);
    s.n_slots = LAYERS;
    /* A promise of four billion positions costs nothing until they come. */
    s.max_len = UINT32_MAX;
    assert_int_equal(pare_kv_create(&c, &s, NULL), 0);
    assert_int_equal(pare_kv_reserve(c, 10, NULL), 0);
    pare_kv_destroy(&c);
    /* A shape whose size overflows. */
    s.shape = (struct pare_kv_shape[]){ { UINT32_MAX, UINT32_MAX, 1 }, { UINT32_MAX, UINT32_MAX, 1 }, { 1, 1, 1 } };
    pare_diag_clear(&d);
    assert_int_equal(pare_kv_create(&c, &s, &d), PARE_E_LIMIT);
    assert_null(c);
    assert_int_equal(pare_kv_bytes(&s, 1), UINT64_MAX);
    assert_int_equal(pare_mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_and_read), cmocka_unit_test(streaming), cmocka_unit_test(forecast), cmocka_unit_test(failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
