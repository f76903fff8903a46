/* SPDX-License-Identifier: Apache-2.0
 * tests/kernel/test_attention.c: attention against a plain softmax in f64, tiers against plain C bit for bit, and the
 * independence of segments' borders. */
#include "fixture.h"

#include <math.h>

#include "base/rng.h"
#include "kernel/kv_tile.h"
#include "kernel/vec.h"
#include <pare/job.h>

#define MAXPOS 1300
#define MAXD 160

static float    kf[MAXPOS][MAXD], vf[MAXPOS][MAXD]; /* the values that the stored rows decode to */
static uint8_t  ks[MAXPOS * (MAXD * 4 + 8) + 4096] __attribute__((aligned(64))), vs[MAXPOS * (MAXD * 4 + 8) + 4096] __attribute__((aligned(64)));
static uint64_t k_stride, v_stride; /* of whole tiles; of rows where values are floats */
static uint8_t  scratch[1 << 18] __attribute__((aligned(64)));

static const enum pare_type types[] = { PARE_F32, PARE_F16, PARE_Q8_0, PARE_Q5_0, PARE_Q4_0 };
#define N_TYPES 5

/* What the formats of GGUF say of 32 values x: q8_0 by the largest magnitude, the others by the extreme value, in f64. */
static void by_definition(float *decoded, const float *x, enum pare_type type)
{
    double m = 0, top = type == PARE_Q8_0 ? 127 : type == PARE_Q5_0 ? -16 : -8, d;

    for (int i = 0; i < 32; i++)
        if (fabs((double)x[i]) > fabs(m)) m = type == PARE_Q8_0 ? fabs((double)x[i]) : (double)x[i];
    d = (double)pare_f16_to_f32(pare_f32_to_f16((float)(m / top)));
    for (int i = 0; i < 32; i++) {
        double q = m == 0 ? 0 : type == PARE_Q8_0 ? nearbyint(x[i] * 127 / m) : fmin(floor(x[i] * top / m + 0.5), -top - 1);
        decoded[i] = (float)(d * q);
    }
}

static void store_tile(uint8_t *all, float *decoded, const float *x, uint32_t d, enum pare_type type, bool keys, uint32_t p)
{
    float    block[32], back[32];
    uint64_t bytes = keys ? pare_ktile_bytes(type, d) : pare_vtile_bytes(type, d);

    (keys ? pare_ktile_put : pare_vtile_put)(all + p / PARE_ATTN_PAGE * bytes, type, pare_vec_for(0), p % PARE_ATTN_PAGE, x, d);
    if (!pare_kv_tile_type(type)) {
        for (uint32_t i = 0; i < d; i++) decoded[i] = type == PARE_F32 ? x[i] : pare_f16_to_f32(pare_f32_to_f16(x[i]));
        return;
    }
    for (uint32_t i = 0; i < d; i += 32) {
        uint32_t n = d - i < 32 ? d - i : 32;

        memset(block, 0, sizeof block);
        memcpy(block, x + i, n * sizeof *x);
        by_definition(back, block, type);
        memcpy(decoded + i, back, n * sizeof *back);
    }
}

static uint64_t store(uint8_t *dst, float *decoded, const float *x, uint32_t d, enum pare_type type)
{
    uint64_t bytes = d * (type == PARE_F16 ? 2u : 4u);
    float    back[MAXD];
    uint16_t h[MAXD];

    if (type == PARE_F32) memcpy(dst, x, bytes);
    else {
        pare_vec_for(0)->store_f16(h, x, d);
        memcpy(dst, h, bytes);
    }
    pare_dtype_of(type)->decode(back, dst, d);
    memcpy(decoded, back, d * sizeof *back);
    return bytes;
}

static bool v_tile;

/* Positions 0 .. n - 1, rows at an odd stride. */
static void fill(uint32_t n, uint32_t dk, uint32_t dv, enum pare_type kt, enum pare_type vt, uint64_t seed)
{
    float x[MAXD];

    v_tile = pare_kv_tile_type(vt);
    k_stride = pare_ktile_bytes(kt, dk);
    v_stride = v_tile ? pare_vtile_bytes(vt, dv) : dv * (vt == PARE_F16 ? 2u : 4u) + 4;
    memset(ks, kt == PARE_F32 || kt == PARE_F16 ? 0xff : 0, (n / PARE_ATTN_PAGE + 1) * k_stride); /* floats: NaN where nothing was put */
    memset(vs, 0, v_tile ? (n / PARE_ATTN_PAGE + 1) * v_stride : 0);
    for (uint32_t p = 0; p < n; p++) {
        for (uint32_t i = 0; i < dk; i++) x[i] = pare_rng_normal(seed, PARE_RNG_TEST, p * 1000 + i);
        store_tile(ks, kf[p], x, dk, kt, true, p);
        for (uint32_t i = 0; i < dv; i++) x[i] = pare_rng_normal(seed + 1, PARE_RNG_TEST, p * 1000 + i);
        if (v_tile) store_tile(vs, vf[p], x, dv, vt, false, p);
        else store(vs + p * v_stride, vf[p], x, dv, vt);
    }
}

static uint32_t segments(struct pare_kv_seg *seg, uint32_t from, uint32_t to, uint64_t cut_seed)
{
    uint32_t n = 0;

    while (from < to) {
        uint32_t len = cut_seed == 0 ? to - from : 1 + (uint32_t)(pare_rng_u64(cut_seed, PARE_RNG_TEST, n) % 90);

        if (len > to - from) len = to - from;
        if (len > PARE_ATTN_PAGE - from % PARE_ATTN_PAGE) len = PARE_ATTN_PAGE - from % PARE_ATTN_PAGE;
        seg[n++] = (struct pare_kv_seg){ ks + from / PARE_ATTN_PAGE * k_stride, vs + (v_tile ? from / PARE_ATTN_PAGE : from) * v_stride, v_stride, from, len };
        from += len;
    }
    return n;
}

/* The query as quantized keys meet it: blocks of 32 rounded to 255 steps. */
static void rounded_query(float *out, const float *q, uint32_t dk)
{
    for (uint32_t i = 0; i < dk; i += 32) {
        float    m = 0;
        uint32_t end = i + 32 < dk ? i + 32 : dk;

        for (uint32_t j = i; j < end; j++) m = fmaxf(m, fabsf(q[j]));
        for (uint32_t j = i; j < end; j++) out[j] = m == 0 ? 0 : (float)((double)(m / 127.0f) * nearbyint(q[j] * (127.0f / m)));
    }
}

static double bf16(double x) { return (double)pare_bf16_to_f32(pare_f32_to_bf16((float)x)); }

/* The definition, without pages: softmax over the visible keys in f64. */
static void naive(double *out, double *lse, const float *q, const struct pare_attn *a, uint32_t from, uint32_t to)
{
    static double s[MAXPOS];
    double m = -INFINITY, l = 0;
    float  coarse[MAXD];

    if (pare_kv_tile_type(a->k_type)) {
        rounded_query(coarse, q, a->dk);
        q = coarse;
    }
    for (uint32_t p = from; p < to; p++) {
        double dot = 0;

        s[p] = -INFINITY;
        if ((a->causal && p > a->pos) || (a->window != 0 && (int64_t)p <= (int64_t)a->pos - a->window)) continue;
        for (uint32_t i = 0; i < a->dk; i++) dot += (double)q[i] * kf[p][i];
        if (a->alibi_bf16) dot += bf16(bf16((double)a->alibi_slope) * p);
        s[p] = dot * a->scale;
        if (a->softcap != 0) s[p] = a->softcap * tanh(s[p] / a->softcap);
        if (!a->alibi_bf16) s[p] += (double)a->alibi_slope * p;
        m = fmax(m, s[p]);
    }
    if (a->sink != NULL) m = fmax(m, *a->sink);
    for (uint32_t i = 0; i < a->dv; i++) out[i] = 0;
    for (uint32_t p = from; p < to; p++)
        if (s[p] > -INFINITY) {
            l += exp(s[p] - m);
            for (uint32_t i = 0; i < a->dv; i++) out[i] += exp(s[p] - m) * vf[p][i];
        }
    if (a->sink != NULL) l += exp(*a->sink - m);
    for (uint32_t i = 0; i < a->dv; i++) out[i] = l == 0 ? 0 : out[i] / l;
    *lse = m + log(l);
}

/* Case number c sets features by its bits. */
static void configure(struct pare_attn *a, int c, uint32_t n, const float *sink)
{
    a->causal = (c & 1) == 0;
    a->pos = c & 2 ? n / 2 : n - 1;
    a->window = c & 4 ? 37 : 0;
    a->softcap = c & 8 ? 5.0f : 0.0f;
    a->alibi_slope = c & 16 ? -0.0371f : 0.0f;
    a->alibi_bf16 = (c & 32) != 0 && (c & 16) != 0;
    a->sink = c & 64 ? sink : NULL;
    a->scale = 0.125f;
}

static void all_cases(void **state)
{
    static const uint32_t dims[][2] = { { 64, 64 }, { 16, 32 }, { 40, 24 }, { 7, 5 }, { 128, 96 }, { 80, 160 } };
    float       q[MAXD], out[MAXD + 1], first[MAXD + 1], lse, first_lse = 0;
    const float sink = 1.3f;
    double      worst = 0, largest = 0;

    (void)state;
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (int t = 0; t < N_TYPES * N_TYPES; t++) {
            struct pare_attn a = { .k_type = types[t / N_TYPES], .v_type = types[t % N_TYPES], .dk = dims[d][0], .dv = dims[d][1] };
            uint32_t n = (uint32_t[]){ 1, 63, 64, 65, 200, 300, 1100 }[(d + (size_t)t) % 7], from = t == 4 ? n / 3 : 0;

            assert_true(pare_attn_scratch(a.dk, a.dv) <= sizeof scratch);
            fill(n, a.dk, a.dv, a.k_type, a.v_type, d * 10 + (uint64_t)t);
            for (uint32_t i = 0; i < a.dk; i++) q[i] = 2.0f * pare_rng_normal(99 + d, PARE_RNG_TEST, i);
            for (int c = t % 3; c < 128; c += n > 300 ? 17 : 3) {
                double want[MAXD], want_lse;

                configure(&a, c, n, &sink);
                naive(want, &want_lse, q, &a, from, n);
                for (int tier = 0; tier <= PARE_TIER_VNNI; tier++)
                    for (uint64_t cut = 0; cut < 4; cut++) {
                        static struct pare_kv_seg seg[MAXPOS];

                        a.seg = seg;
                        a.n_seg = segments(seg, from, n, cut);
                        out[a.dv] = 12345.0f;
                        a.mm = pare_gemmq_for(tier);
                        pare_vec_for(tier)->attention(out, &lse, q, &a, scratch);
                        assert_true(out[a.dv] == 12345.0f);
                        if (tier == 0 && cut == 0) {
                            worst = 0;
                            memcpy(first, out, sizeof out);
                            first_lse = lse;
                            for (uint32_t i = 0; i < a.dv; i++) worst = fmax(worst, fabs(out[i] - want[i]));
                            if (worst > largest) largest = worst;
                            if (isfinite(want_lse)) worst = fmax(worst, fabs(lse - want_lse) / 4);
                            else assert_true(lse == -INFINITY);
                            /* alibi: scores of -40 have steps of 4e-6; a cap: 5 * tanh, three units in the last place; up to 128 products
                             * of a score are added one after the other */
                            if (!(worst < (c & 16 && n > 100 ? 1e-5 : c & 8 ? 6e-6 : 5e-6)))
                                fail_msg("dims %u,%u types %d case %d: off by %g", a.dk, a.dv, t, c, worst);
                        }
                        if (memcmp(first, out, a.dv * 4) != 0 || memcmp(&first_lse, &lse, 4) != 0)
                            fail_msg("tier %d, cut %d, dims %u,%u types %d case %d: other bits than plain C in one segment", tier, (int)cut, a.dk, a.dv, t, c);
                    }
            }
        }
    print_message("largest difference of a value from f64: %g\n", largest);
}

/* Chunked or evicted history: keys that are missing do not take part. */
static void gaps(void **state)
{
    struct pare_kv_seg seg[3];
    struct pare_attn   a = { .k_type = PARE_F32, .v_type = PARE_F32, .dk = 32, .dv = 32, .pos = 299, .causal = true, .scale = 0.2f };
    float  q[32], out[32], far[32];
    double s, m = 0, want = 0;

    (void)state;
    fill(300, 32, 32, PARE_F32, PARE_F32, 5);
    for (int i = 0; i < 32; i++) q[i] = pare_rng_normal(1, PARE_RNG_TEST, (uint64_t)i);
    segments(&seg[0], 3, 5, 0);
    segments(&seg[1], 70, 71, 0);
    segments(&seg[2], 290, 300, 0);
    a.seg = seg;
    a.n_seg = 3;
    pare_vec_for(3)->attention(out, NULL, q, &a, scratch);
    pare_vec_for(0)->attention(far, NULL, q, &a, scratch);
    assert_memory_equal(out, far, sizeof out);
    for (int p = 0; p < 300; p++) {
        if (!(p == 3 || p == 4 || p == 70 || p >= 290)) continue;
        s = 0;
        for (int i = 0; i < 32; i++) s += (double)q[i] * kf[p][i];
        m += exp(s * 0.2f);
        want += exp(s * 0.2f) * vf[p][7];
    }
    assert_true(fabs(out[7] - want / m) < 1e-6);
}

static void nothing_visible(void **state)
{
    struct pare_attn a = { .k_type = PARE_F32, .v_type = PARE_F32, .dk = 32, .dv = 32, .pos = 10, .causal = true, .scale = 1 };
    float sink = 2.5f, q[32] = { 0 }, out[32], lse;
    struct pare_kv_seg seg;

    (void)state;
    fill(40, 32, 32, PARE_F32, PARE_F32, 5);
    segments(&seg, 20, 40, 0);
    a.seg = &seg;
    for (uint32_t n = 0; n < 2; n++)
        for (int tier = 0; tier <= PARE_TIER_VNNI; tier++) {
            a.n_seg = n;
            a.sink = NULL;
            pare_vec_for(tier)->attention(out, &lse, q, &a, scratch);
            assert_true(lse == -INFINITY);
            for (int i = 0; i < 32; i++) assert_true(out[i] == 0.0f);
            a.sink = &sink;
            pare_vec_for(tier)->attention(out, &lse, q, &a, scratch);
            assert_true(lse == sink);
            for (int i = 0; i < 32; i++) assert_true(out[i] == 0.0f);
        }
}

/* A NaN in a visible key spoils the row on every tier; in an invisible one it does nothing. */
static void nan_is_seen(void **state)
{
    struct pare_attn a = { .k_type = PARE_F32, .v_type = PARE_F32, .dk = 16, .dv = 16, .causal = true, .scale = 1 };
    float q[16], out[16], bad = NAN;
    struct pare_kv_seg seg[2];

    (void)state;
    fill(100, 16, 16, PARE_F32, PARE_F32, 5);
    for (int i = 0; i < 16; i++) q[i] = 1.0f;
    memcpy(ks + k_stride + 16 * 16 * 4, &bad, 4); /* position 80: page 1, panel 1, position 0 of it, column 0 */
    a.n_seg = segments(seg, 0, 100, 0);
    a.seg = seg;
    for (int tier = 0; tier <= PARE_TIER_VNNI; tier++) {
        a.pos = 79;
        pare_vec_for(tier)->attention(out, NULL, q, &a, scratch);
        for (int i = 0; i < 16; i++) assert_true(isfinite(out[i]));
        a.pos = 99;
        pare_vec_for(tier)->attention(out, NULL, q, &a, scratch);
        for (int i = 0; i < 16; i++) assert_true(isnan(out[i]));
    }
}

/* Rows in company have the bits that they have alone, whatever each of them sees. */
static void rows_together(void **state)
{
    static const uint32_t dims[][2] = { { 64, 64 }, { 16, 32 }, { 40, 24 }, { 7, 5 }, { 128, 96 }, { 80, 160 } };
    static float q[PARE_ATTN_ROWS][MAXD], out[PARE_ATTN_ROWS][MAXD + 1], lse[PARE_ATTN_ROWS];
    const float  sink = 0.7f;

    (void)state;
    for (uint32_t c = 0; c < 600; c++) {
        static struct pare_kv_seg seg[MAXPOS];
        struct pare_attn_row row[PARE_ATTN_ROWS];
        uint32_t d = (uint32_t)(pare_rng_u64(7, PARE_RNG_TEST, c) % 6), n = 1 + (uint32_t)(pare_rng_u64(8, PARE_RNG_TEST, c) % (c % 16 == 0 ? MAXPOS : 300));
        uint32_t rows = 1 + (uint32_t)(pare_rng_u64(9, PARE_RNG_TEST, c) % PARE_ATTN_ROWS), from = c % 5 == 0 ? n / 3 : 0;
        struct pare_attn a = { .seg = seg, .k_type = types[c % N_TYPES], .v_type = types[c / N_TYPES % N_TYPES], .dk = dims[d][0], .dv = dims[d][1] };

        configure(&a, (int)(c % 128), n, &sink);
        if (c % 3 == 0) a.window = 1 + n / 4;
        if (c % 11 == 0) a.scale = 9.0f; /* scores far apart: probabilities down to where they become 0 */
        fill(n, a.dk, a.dv, a.k_type, a.v_type, c);
        a.n_seg = segments(seg, from, n, c % 2 ? c : 0);
        if (c % 7 == 0 && a.n_seg > 2) { /* a gap */
            memmove(seg + 1, seg + 2, (a.n_seg - 2) * sizeof *seg);
            a.n_seg--;
        }
        for (uint32_t r = 0; r < rows; r++) {
            for (uint32_t i = 0; i < a.dk; i++) q[r][i] = pare_rng_normal(50 + c, PARE_RNG_TEST, r * 1000 + i);
            out[r][a.dv] = 777.0f;
            row[r] = (struct pare_attn_row){ q[r], out[r], &lse[r], (uint32_t)(pare_rng_u64(10 + c, PARE_RNG_TEST, r) % n),
                                             c % 128 & 16 ? -0.01f * (float)r : 0.0f, c % 128 & 64 ? &sink : NULL, NULL };
        }
        for (int tier = 0; tier <= PARE_TIER_VNNI; tier++) {
            a.mm = pare_gemmq_for(tier);
            pare_vec_for(tier)->attention_rows(row, rows, &a, scratch);
            for (uint32_t r = 0; r < rows; r++) {
                struct pare_attn one = a;
                float alone[MAXD], alone_lse;

                one.pos = row[r].pos;
                one.alibi_slope = row[r].alibi_slope;
                one.sink = row[r].sink;
                pare_vec_for(0)->attention(alone, &alone_lse, q[r], &one, scratch);
                assert_true(out[r][a.dv] == 777.0f);
                if (memcmp(alone, out[r], a.dv * 4) != 0 || memcmp(&alone_lse, &lse[r], 4) != 0)
                    fail_msg("case %u, tier %d, row %u of %u: other bits than alone", c, tier, r, rows);
            }
        }
    }
}

/* Chunks that were worked on apart, by anybody, join to the bits of one call. */
static void chunks_apart(void **state)
{
    static struct pare_kv_seg seg[MAXPOS];
    static float q[PARE_ATTN_ROWS][MAXD], out[PARE_ATTN_ROWS][MAXD], part[PARE_ATTN_ROWS][4][2 + MAXD], joined[MAXD];
    const float  sink = 0.7f;
    const uint32_t dk = 64, dv = 96;

    (void)state;
    for (uint32_t c = 0; c < 60; c++) {
        uint32_t n = 300 + (uint32_t)(pare_rng_u64(21, PARE_RNG_TEST, c) % 1000), rows = 1 + c % 9;
        struct pare_attn a = { .seg = seg, .k_type = types[c % N_TYPES], .v_type = types[c / N_TYPES % N_TYPES], .dk = dk, .dv = dv,
                               .causal = true, .scale = 0.2f, .window = c % 3 == 0 ? 100 + 7 * c : 0 };
        struct pare_attn_row row[PARE_ATTN_ROWS];
        float lse[PARE_ATTN_ROWS], joined_lse;

        fill(n, dk, dv, a.k_type, a.v_type, 300 + c);
        for (uint32_t r = 0; r < rows; r++) {
            for (uint32_t i = 0; i < dk; i++) q[r][i] = pare_rng_normal(60 + c, PARE_RNG_TEST, r * 1000 + i);
            row[r] = (struct pare_attn_row){ q[r], out[r], &lse[r], n - 1 - r % 3 * (n / 4), 0.0f, c % 2 ? &sink : NULL, NULL };
        }
        for (int tier = 0; tier <= PARE_TIER_VNNI; tier++) {
            a.mm = pare_gemmq_for(tier);
            a.n_seg = segments(seg, 0, n, c);
            pare_vec_for(tier)->attention_rows(row, rows, &a, scratch);
            for (uint32_t k = 0; k * PARE_ATTN_CHUNK < n; k++) {
                struct pare_attn_row some[PARE_ATTN_ROWS];
                uint32_t end = (k + 1) * PARE_ATTN_CHUNK < n ? (k + 1) * PARE_ATTN_CHUNK : n;

                memcpy(some, row, sizeof some);
                for (uint32_t r = 0; r < rows; r++) some[r].part = part[r][k];
                a.n_seg = segments(seg, k * PARE_ATTN_CHUNK, end, c + 1);
                pare_vec_for(tier)->attention_rows(some, rows, &a, scratch);
            }
            for (uint32_t r = 0; r < rows; r++) {
                struct pare_attn_row one = row[r];

                one.out = joined;
                one.lse = &joined_lse;
                pare_vec_for(tier)->attention_join(&one, dv, part[r][0], 2 + MAXD, (n + PARE_ATTN_CHUNK - 1) / PARE_ATTN_CHUNK);
                if (memcmp(joined, out[r], dv * 4) != 0 || memcmp(&joined_lse, &lse[r], 4) != 0)
                    fail_msg("case %u, tier %d, row %u: other bits than in one call", c, tier, r);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_cases), cmocka_unit_test(gaps), cmocka_unit_test(nothing_visible), cmocka_unit_test(nan_is_seen),
        cmocka_unit_test(rows_together), cmocka_unit_test(chunks_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
