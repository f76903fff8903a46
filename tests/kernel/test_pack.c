/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/test_pack.c: panels turn back into the rows they were made from, bit for bit, or say that they do not; panels of
 * any bytes turn into some rows. */
#include "fixture.h"

#include <math.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/gemmq.h"

enum { MAX_ROWS = 40, CANARY = 0x5a };

static uint64_t key;
static uint64_t draw(void) { return pare_rng_u64(11, PARE_RNG_TEST, key++); }

struct rig {
    struct pare_packed p;
    uint64_t bytes;              /* of a row */
    uint8_t *rows, *back, *scratch, *line;
};

static void rig_open(struct rig *g, const struct pare_dtype *t, uint64_t rows, uint64_t cols)
{
    assert_true(pare_packed_shape(&g->p, t, rows, cols));
    assert_true(pare_dtype_row_bytes(t, cols, &g->bytes));
    g->p.data = pare_aligned(pare_packed_bytes(&g->p));
    g->rows = pare_malloc(rows * g->bytes);
    g->back = pare_malloc(rows * g->bytes + 16);
    g->line = pare_malloc(g->bytes + 16);
    g->scratch = pare_aligned(pare_pack_scratch(t, cols));
    memset(g->p.data, CANARY, pare_packed_bytes(&g->p));
}

static void rig_close(struct rig *g)
{
    pare_aligned_free(g->p.data);
    pare_aligned_free(g->scratch);
    pare_free(g->rows);
    pare_free(g->back);
    pare_free(g->line);
}

/* Packs all rows; true when every panel says that it keeps them. */
static bool pack(struct rig *g)
{
    bool keeps = true;

    for (uint32_t i = 0; i < g->p.n_panels; i++) {
        uint64_t r = (uint64_t)i * PARE_PANEL, left = g->p.rows - r;
        uint32_t n = left < PARE_PANEL ? (uint32_t)left : PARE_PANEL;

        pare_pack_panel(&g->p, i, g->rows + r * g->bytes, g->bytes, n, g->scratch);
        memset(g->line + g->bytes, CANARY, 16);
        keeps = pare_panel_keeps(&g->p, i, g->rows + r * g->bytes, g->bytes, n, g->line, g->scratch) && keeps;
        for (int k = 0; k < 16; k++) assert_int_equal(g->line[g->bytes + (uint64_t)k], CANARY);
    }
    return keeps;
}

static void turn_back(struct rig *g)
{
    memset(g->back, CANARY, g->p.rows * g->bytes + 16);
    pare_unpack_rows(&g->p, 0, g->p.rows, g->back, g->bytes, g->scratch);
    for (int k = 0; k < 16; k++) assert_int_equal(g->back[g->p.rows * g->bytes + (uint64_t)k], CANARY);
}

static uint64_t some_cols(const struct pare_dtype *t)
{
    return t->caps & PARE_DT_ANYWIDTH ? draw() % 700 + 1 : t->block * (draw() % (1024 / t->block) + 1);
}

/* Types whose bytes say nothing twice: any bytes come back, but for half-precision NaNs that are not quiet. */
static bool says_all(const struct pare_dtype *t)
{
    return t->type != PARE_Q8_1 && t->type != PARE_Q8_K && t->type != PARE_TQ1_0;
}

/* The bytes that an encoder would write for these values. */
static void canonical(struct rig *g)
{
    (void)pack(g);
    turn_back(g);
    memcpy(g->rows, g->back, g->p.rows * g->bytes);
}

static void comes_back(void **state)
{
    (void)state;
    for (int i = 0; i < PARE_TYPE_COUNT; i++) {
        const struct pare_dtype *t = pare_dtype_of((enum pare_type)i);

        assert_int_equal(t->repack != NULL, t->unpack != NULL);
        if (!(t->caps & PARE_DT_QUANT)) continue;
        for (int trial = 0; trial < 40; trial++) {
            struct rig g;

            rig_open(&g, t, draw() % MAX_ROWS + 1, some_cols(t));
            for (uint64_t k = 0; k < g.p.rows * g.bytes; k++) g.rows[k] = (uint8_t)draw();
            canonical(&g);
            if (!pack(&g)) fail_msg("%s does not keep its own bytes", t->name);
            turn_back(&g);
            assert_memory_equal(g.back, g.rows, g.p.rows * g.bytes);
            /* Any rows of it, into rows that lie further apart. */
            uint64_t r0 = draw() % g.p.rows, n = draw() % (g.p.rows - r0) + 1, apart = g.bytes + draw() % 9;
            uint8_t *wide = pare_malloc(n * apart);
            pare_unpack_rows(&g.p, r0, n, wide, apart, g.scratch);
            for (uint64_t r = 0; r < n; r++) assert_memory_equal(wide + r * apart, g.rows + (r0 + r) * g.bytes, g.bytes);
            pare_free(wide);
            rig_close(&g);
        }
    }
}

static bool same_values(const float *a, const float *b, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (pare_f32_bits(a[i]) != pare_f32_bits(b[i]) && !(isnan(a[i]) && isnan(b[i]))) return false;
    return true;
}

/* Random bytes: NaN scales, bytes that no encoder writes. What comes back is the same, or it is said, and means the same. */
static void any_bytes(void **state)
{
    static float a[1024], b[1024];

    (void)state;
    for (int i = 0; i < PARE_TYPE_COUNT; i++) {
        const struct pare_dtype *t = pare_dtype_of((enum pare_type)i);
        unsigned kept = 0;

        if (!(t->caps & PARE_DT_QUANT)) continue;
        for (int trial = 0; trial < 60; trial++) {
            struct rig g;
            bool keeps;

            rig_open(&g, t, draw() % MAX_ROWS + 1, some_cols(t));
            for (uint64_t k = 0; k < g.p.rows * g.bytes; k++) g.rows[k] = (uint8_t)draw();
            keeps = pack(&g);
            kept += keeps;
            turn_back(&g);
            assert_int_equal(memcmp(g.back, g.rows, g.p.rows * g.bytes) == 0, keeps);
            for (uint64_t r = 0; r < g.p.rows; r++) {
                t->decode(a, g.rows + r * g.bytes, g.p.cols);
                t->decode(b, g.back + r * g.bytes, g.p.cols);
                if (!same_values(a, b, g.p.cols)) fail_msg("%s means something else when it is back", t->name);
            }
            rig_close(&g);
        }
        if (says_all(t)) assert_true(kept > 0);
    }
}

/* A quiet NaN and infinities come back; the signalling NaN is what cannot. */
static void special_scales(void **state)
{
    static const struct { uint16_t h; bool keeps; } scale[] = { { 0x7e00, true }, { 0xfe01, true }, { 0x7c00, true }, { 0xfc00, true },
                                                                { 0x8000, true }, { 0x0001, true }, { 0x7c01, false }, { 0xfdff, false } };
    static const enum pare_type type[] = { PARE_Q4_0, PARE_Q4_K, PARE_IQ2_XXS, PARE_IQ3_XXS, PARE_IQ1_S, PARE_IQ4_XS, PARE_PQ3 };

    (void)state;
    for (size_t i = 0; i < sizeof type / sizeof *type; i++)
        for (size_t k = 0; k < sizeof scale / sizeof *scale; k++) {
            struct rig g;

            rig_open(&g, pare_dtype_of(type[i]), 17, 256);
            for (uint64_t b = 0; b < 17 * g.bytes; b++) g.rows[b] = 0;
            g.rows[16 * g.bytes] = (uint8_t)scale[k].h; /* all of these begin with their scale */
            g.rows[16 * g.bytes + 1] = (uint8_t)(scale[k].h >> 8);
            assert_int_equal(pack(&g), scale[k].keeps);
            rig_close(&g);
        }
}

/* A packed file may hold anything. The rows it turns into are rows that pack to themselves. */
static void hostile_panels(void **state)
{
    (void)state;
    for (int i = 0; i < PARE_TYPE_COUNT; i++) {
        const struct pare_dtype *t = pare_dtype_of((enum pare_type)i);

        if (!(t->caps & PARE_DT_QUANT)) continue;
        for (int trial = 0; trial < 20; trial++) {
            struct rig g;

            rig_open(&g, t, draw() % MAX_ROWS + 1, some_cols(t));
            for (uint64_t k = 0; k < pare_packed_bytes(&g.p); k++) g.p.data[k] = (uint8_t)draw();
            turn_back(&g);
            memcpy(g.rows, g.back, g.p.rows * g.bytes);
            if (!pack(&g)) fail_msg("%s: rows out of a panel do not pack to themselves", t->name);
            rig_close(&g);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(special_scales),
        cmocka_unit_test(hostile_panels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
