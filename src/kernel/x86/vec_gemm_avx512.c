/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/vec_gemm_avx512.c: float products in tiles of 4 rows by 6 tokens: 24 accumulators of sixteen lanes, each one
 * output of the 16-lane rule, 4 weights and one activation fill the 32 registers; 10 loads feed 24 multiply-adds.
 *
 * Tokens are outside, rows inside: the activations of a tile are small enough for the first cache and stay there while the weights
 * pass by. Where they are not, k is cut and the sixteen lanes of every output wait in memory; an f32 in memory is the f32 that was
 * in the register, so no order changes. */
#include "kernel/x86/v16_avx512.h"
#include "kernel/x86/vec_gemm_x86.h"

enum kind { KIND_F32, KIND_F16, KIND_BF16 };

#define TOKENS 6
#define ROWS 4
#define BLOCK_ROWS 64              /* rows whose lanes wait together: 24 KB */
#define ACT_BYTES (24u << 10)      /* of the first cache, for activations */

V16 uint64_t width(int kind) { return kind == KIND_F32 ? 4 : 2; }

V16 v16 load(int kind, const uint8_t *p)
{
    return kind == KIND_F32 ? _mm512_loadu_ps((const void *)p) : kind == KIND_F16 ? v_load_f16(p) : v_load_bf16(p);
}
V16 v16 load_n(int kind, const uint8_t *p, uint32_t n)
{
    return kind == KIND_F32 ? _mm512_maskz_loadu_ps(first(n), (const void *)p) : kind == KIND_F16 ? v_load_f16_n(p, n) : v_load_bf16_n(p, n);
}

/* One tile: rows row[0..4) (absent ones repeat an earlier one), columns k0 .. k1. */
struct tile {
    const uint8_t *row[ROWS];
    uint32_t rows;
    uint64_t next;         /* bytes from a row to the one that this place of the next tile reads */
    const float *x;
    uint64_t ldx;
    float *y;
    uint64_t ldy;
    uint64_t k0, k1, k;
    float (*lanes)[ROWS][16]; /* [tokens] what waits between two cuts of k */
};

/* The same place four rows on into the second level, the near one into the first. */
V16 void ahead(const uint8_t *p, uint64_t next)
{
    __builtin_prefetch(p + next, 0, 2);
    __builtin_prefetch(p + 512, 0, 3);
}

V16 void run_tile(int kind, int tokens, const struct tile *t)
{
    const uint8_t *p0 = t->row[0], *p1 = t->row[1], *p2 = t->row[2], *p3 = t->row[3];
    const uint64_t es = width(kind);
    uint64_t       i = t->k0;
    v16            a[TOKENS][ROWS];

#pragma GCC unroll 6
    for (int n = 0; n < tokens; n++) {
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; r++) a[n][r] = t->k0 == 0 ? v_set1(0.0f) : v_load(t->lanes[n][r]);
    }
    for (; i + 16 <= t->k1; i += 16) {
        const v16 w0 = load(kind, p0 + i * es), w1 = load(kind, p1 + i * es), w2 = load(kind, p2 + i * es), w3 = load(kind, p3 + i * es);

        if (tokens <= 2) { /* reading memory is the limit */
            ahead(p0 + i * es, t->next);
            ahead(p1 + i * es, t->next);
            ahead(p2 + i * es, t->next);
            ahead(p3 + i * es, t->next);
        }
#pragma GCC unroll 6
        for (int n = 0; n < tokens; n++) {
            const v16 x = v_load(t->x + (unsigned)n * t->ldx + i);

            a[n][0] = v_fma(w0, x, a[n][0]);
            a[n][1] = v_fma(w1, x, a[n][1]);
            a[n][2] = v_fma(w2, x, a[n][2]);
            a[n][3] = v_fma(w3, x, a[n][3]);
        }
    }
    if (t->k1 < t->k) {
#pragma GCC unroll 6
        for (int n = 0; n < tokens; n++) {
#pragma GCC unroll 4
            for (int r = 0; r < ROWS; r++) v_store(t->lanes[n][r], a[n][r]);
        }
        return;
    }
    if (i < t->k) {
        const uint32_t  left = (uint32_t)(t->k - i);
        const __mmask16 m = first(left);
        const v16 w0 = load_n(kind, p0 + i * es, left), w1 = load_n(kind, p1 + i * es, left), w2 = load_n(kind, p2 + i * es, left),
                  w3 = load_n(kind, p3 + i * es, left);

#pragma GCC unroll 6
        for (int n = 0; n < tokens; n++) {
            const v16 x = _mm512_maskz_loadu_ps(m, t->x + (unsigned)n * t->ldx + i);

            a[n][0] = _mm512_mask3_fmadd_ps(w0, x, a[n][0], m);
            a[n][1] = _mm512_mask3_fmadd_ps(w1, x, a[n][1], m);
            a[n][2] = _mm512_mask3_fmadd_ps(w2, x, a[n][2], m);
            a[n][3] = _mm512_mask3_fmadd_ps(w3, x, a[n][3], m);
        }
    }
#pragma GCC unroll 6
    for (int n = 0; n < tokens; n++)
        _mm_mask_storeu_ps(t->y + (unsigned)n * t->ldy, (__mmask8)((1u << t->rows) - 1u), v_tree4(a[n][0], a[n][1], a[n][2], a[n][3]));
}

typedef void (*tile_fn)(const struct tile *);

/* The numbers of tokens that a tile exists for; the largest that fits is taken. */
#define TILES(X, kind) X(kind, 1) X(kind, 2) X(kind, 4) X(kind, 6)
#define TILE(kind, n) \
    static void tile_##kind##_##n(const struct tile *t) { run_tile(KIND_##kind, n, t); }
TILES(TILE, F32) TILES(TILE, F16) TILES(TILE, BF16)
#define ENTRY(kind, n) [KIND_##kind][n] = tile_##kind##_##n,
static const tile_fn tiles[3][TOKENS + 1] = { TILES(ENTRY, F32) TILES(ENTRY, F16) TILES(ENTRY, BF16) };

/* Columns at a time so that the activations of n tokens stay in the first cache. */
static uint64_t columns(uint64_t k, uint32_t n)
{
    uint64_t most = ACT_BYTES / sizeof(float) / n / 16 * 16;

    return n == 1 || k <= most + most / 2 ? k : most;
}

/* n tokens (a number that tiles exist for), rows r0 .. r1. */
static void rows_of(int kind, const uint8_t *w, uint64_t w_stride, struct tile t, uint64_t r0, uint64_t r1, uint32_t n)
{
    float          lanes[BLOCK_ROWS / ROWS][TOKENS][ROWS][16] __attribute__((aligned(64)));
    const tile_fn  fn = tiles[kind][n];
    const uint64_t step = columns(t.k, n);
    float *const   y = t.y;

    t.next = ROWS * w_stride;
    for (uint64_t b = r0; b < r1; b += BLOCK_ROWS) {
        const uint64_t end = b + BLOCK_ROWS < r1 ? b + BLOCK_ROWS : r1;

        t.k0 = 0;
        do {
            t.k1 = t.k - t.k0 <= step ? t.k : t.k0 + step;
            for (uint64_t r = b; r < end; r += ROWS) {
                t.rows = end - r < ROWS ? (uint32_t)(end - r) : ROWS;
                for (uint32_t j = 0; j < ROWS; j++) t.row[j] = w + (r + (j < t.rows ? j : t.rows - 1)) * w_stride;
                t.y = y + r;
                t.lanes = lanes[(r - b) / ROWS];
                fn(&t);
            }
            t.k0 = t.k1;
        } while (t.k0 < t.k);
    }
}

static void gemm(int kind, float *y, uint64_t ldy, const void *w, uint64_t w_stride, const float *x, uint64_t ldx, uint64_t k, uint64_t r0,
                 uint64_t r1, uint32_t n)
{
    for (uint32_t i = 0, m; i < n; i += m) {
        const uint32_t left = n - i, want = left == 7 || left == 8 ? 4 : left < TOKENS ? left : TOKENS; /* 4 and 4, not 6 and 2 */

        for (m = want; tiles[kind][m] == NULL; m--) {}
        rows_of(kind, w, w_stride, (struct tile){ .x = x + i * ldx, .ldx = ldx, .y = y + i * ldy, .ldy = ldy, .k = k }, r0, r1, m);
    }
}

void pare_gemm_f32_avx512(GEMM_ARGS) { gemm(KIND_F32, y, ldy, w, w_stride, x, ldx, k, r0, r1, n); }
void pare_gemm_f16_avx512(GEMM_ARGS) { gemm(KIND_F16, y, ldy, w, w_stride, x, ldx, k, r0, r1, n); }
void pare_gemm_bf16_avx512(GEMM_ARGS) { gemm(KIND_BF16, y, ldy, w, w_stride, x, ldx, k, r0, r1, n); }
