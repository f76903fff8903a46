/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/planes.c: shapes of bit planes, rows in and out, activations made ready, and the walk over panels, groups and tokens.
 * A group of a panel is read for all tokens before the next one, so weights come from memory once. */
#include "kernel/planes.h"

#include <string.h>

#include "base/job.h"
#include "base/status.h"

static uint64_t aligned(uint64_t n) { return (n + 63) & ~(uint64_t)63; }

int pare_planes_shape(struct pare_planes *p, uint32_t rows, uint32_t cols, uint32_t group, uint32_t bits, enum pare_plane_kind kind,
                      struct pare_diag *diag)
{
    if (group == 0 || group > cols) group = cols;
    PARE_FAIL_IF(diag, rows == 0 || cols == 0 || bits < 1 || bits > 8 || group > PARE_PLANE_GROUP_MAX, PARE_E_USAGE,
                 "bit planes: %u rows, %u columns, groups of %u, %u bits", rows, cols, group, bits);
    *p = (struct pare_planes){ .rows = rows, .cols = cols, .group = group, .bits = bits, .kind = kind };
    p->n_groups = cols / group + (cols % group != 0);
    p->n_panels = rows / PARE_PLANE_ROWS + (rows % PARE_PLANE_ROWS != 0);
    p->group_blocks = (group + PARE_PLANE_COLS - 1) / PARE_PLANE_COLS;
    p->n_blocks = (p->n_groups - 1) * p->group_blocks + pare_planes_blocks(p, p->n_groups - 1);
    return PARE_OK;
}

void pare_plane_range(enum pare_plane_kind kind, uint32_t bits, int32_t *lo, int32_t *hi)
{
    int32_t n = 1 << bits;

    *lo = kind == PARE_PLANE_SIGNED ? -n / 2 : kind == PARE_PLANE_BIPOLAR ? 1 - n : 0;
    *hi = kind == PARE_PLANE_SIGNED ? n / 2 - 1 : n - 1;
}

/* The bits of a value. Two's complement is what a cast gives; bipolar numbers are 2 u - (2^n - 1). */
static uint32_t to_bits(int32_t v, enum pare_plane_kind kind, uint32_t bits)
{
    uint32_t mask = (1u << bits) - 1;

    return kind == PARE_PLANE_BIPOLAR ? (uint32_t)(v + (int32_t)mask) >> 1 : (uint32_t)v & mask;
}
static int16_t to_value(uint32_t u, enum pare_plane_kind kind, uint32_t bits)
{
    int32_t n = 1 << bits, v = (int32_t)u;

    if (kind == PARE_PLANE_BIPOLAR) v = 2 * v - (n - 1);
    else if (kind == PARE_PLANE_SIGNED && v >= n / 2) v -= n;
    return (int16_t)v;
}
/* Coefficients of the planes of a number, without the constant of bipolar ones. */
static void coefs(int32_t c[8], enum pare_plane_kind kind, uint32_t bits)
{
    for (uint32_t i = 0; i < bits; i++) c[i] = kind == PARE_PLANE_BIPOLAR ? 2 << i : 1 << i;
    if (kind == PARE_PLANE_SIGNED) c[bits - 1] = -c[bits - 1];
}

/* Where column c lies: its block, and its bit within the block. */
static uint64_t block_of(const struct pare_planes *p, uint32_t c) { return (uint64_t)(c / p->group) * p->group_blocks + c % p->group / PARE_PLANE_COLS; }
static uint32_t bit_of(const struct pare_planes *p, uint32_t c) { return c % p->group % PARE_PLANE_COLS; }

static uint8_t *line_of(const struct pare_planes *p, uint32_t r, uint32_t c)
{
    uint64_t line = ((uint64_t)(r / PARE_PLANE_ROWS) * p->n_blocks + block_of(p, c)) * p->bits;

    r %= PARE_PLANE_ROWS;
    return p->data + line * PARE_PLANE_ROWS + 4 * (r % 16) + r / 16;
}

void pare_planes_put(struct pare_planes *p, uint32_t r, const int16_t *values)
{
    for (uint32_t c = 0; c < p->cols; c++) {
        uint8_t *at = line_of(p, r, c);
        uint32_t u = to_bits(values[c], p->kind, p->bits), bit = bit_of(p, c);

        for (uint32_t i = 0; i < p->bits; i++) at[i * PARE_PLANE_ROWS] |= (uint8_t)((u >> i & 1) << bit);
    }
}

void pare_planes_get(const struct pare_planes *p, uint32_t r, int16_t *values)
{
    for (uint32_t c = 0; c < p->cols; c++) {
        const uint8_t *at = line_of(p, r, c);
        uint32_t u = 0, bit = bit_of(p, c);

        for (uint32_t i = 0; i < p->bits; i++) u |= (uint32_t)(at[i * PARE_PLANE_ROWS] >> bit & 1) << i;
        values[c] = to_value(u, p->kind, p->bits);
    }
}

static void sums(int32_t *sum, const struct pare_planes *w, const int16_t *q, uint32_t n)
{
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t g = 0; g < w->n_groups; g++) {
            int32_t s = 0;

            for (uint32_t c = 0; c < pare_planes_cols(w, g); c++) s += q[(uint64_t)t * w->cols + g * w->group + c];
            sum[(uint64_t)t * w->n_groups + g] = s;
        }
}

/* The activations of a block, columns beyond its group's end as 0. */
static void block_columns(int16_t x[8], const struct pare_planes *w, const int16_t *q, uint32_t g, uint32_t b)
{
    uint32_t cols = pare_planes_cols(w, g), c0 = b * PARE_PLANE_COLS;

    for (uint32_t c = 0; c < PARE_PLANE_COLS; c++) x[c] = (int16_t)(c0 + c < cols ? q[g * w->group + c0 + c] : 0);
}

/* The planes of a block: bit j of eight bytes at distance 8 comes together by one multiplication. */
static void block_planes(const struct pare_plane_acts *a, uint32_t *at, const struct pare_planes *w, const int16_t *q, uint32_t g, uint32_t b)
{
    uint32_t left = pare_planes_cols(w, g) - b * PARE_PLANE_COLS, n = left < PARE_PLANE_COLS ? left : PARE_PLANE_COLS;
    const int16_t *x = q + g * w->group + b * PARE_PLANE_COLS;
    uint64_t u = 0;

    for (uint32_t c = 0; c < n; c++) u |= (uint64_t)to_bits(x[c], a->kind, a->bits) << 8 * c;
    for (uint32_t j = 0; j < a->bits; j++)
        at[j] = (uint32_t)((u >> j & 0x0101010101010101u) * 0x0102040810204080u >> 56) * 0x01010101u;
    if (a->planes > a->bits) at[a->bits] = ((1u << n) - 1) * 0x01010101u;
}

uint64_t pare_plane_acts_bytes(const struct pare_planes *w, uint32_t n)
{
    return aligned((uint64_t)n * w->n_blocks * 9 * sizeof(uint32_t)) + aligned((uint64_t)n * w->n_groups * sizeof(int32_t));
}

void pare_plane_acts_set(struct pare_plane_acts *a, void *mem, const struct pare_planes *w, const int16_t *q, uint32_t n, uint32_t bits,
                         enum pare_plane_kind kind)
{
    uint64_t words;

    *a = (struct pare_plane_acts){ .n = n, .bits = bits, .kind = kind, .planes = bits + (kind == PARE_PLANE_BIPOLAR) };
    coefs(a->coef, kind, bits);
    if (kind == PARE_PLANE_BIPOLAR) a->coef[bits] = -((1 << bits) - 1);
    words = (uint64_t)n * w->n_blocks * a->planes;
    a->bit = mem;
    a->sum = (int32_t *)((uint8_t *)mem + aligned(words * sizeof *a->bit));
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t g = 0; g < w->n_groups; g++)
            for (uint32_t b = 0; b < pare_planes_blocks(w, g); b++)
                block_planes(a, a->bit + ((uint64_t)t * w->n_blocks + (uint64_t)g * w->group_blocks + b) * a->planes, w, q + (uint64_t)t * w->cols, g, b);
    sums(a->sum, w, q, n);
}

uint64_t pare_plane_tables_bytes(const struct pare_planes *w, uint32_t n)
{
    return (uint64_t)n * w->n_blocks * 64 + aligned((uint64_t)n * w->n_groups * sizeof(int32_t));
}

/* Eight sums with the last sign minus, and their negatives. */
static void signed_sums(int16_t s[16], const int16_t x[4])
{
    int32_t a[4] = { -x[0] - x[1], x[0] - x[1], x[1] - x[0], x[0] + x[1] };

    for (int i = 0; i < 8; i++) {
        s[i] = (int16_t)(a[i & 3] + (i & 4 ? x[2] : -x[2]) - x[3]);
        s[15 - i] = (int16_t)-s[i];
    }
}

/* The largest of the sums. */
static int32_t magnitude(const int16_t x[4])
{
    int32_t m = 0;

    for (int c = 0; c < 4; c++) m += x[c] < 0 ? -x[c] : x[c];
    return m;
}

/* All tables of all tokens; returns the largest sum. fill NULL: that only. */
static int32_t tables_pass(struct pare_plane_tables *fill, const struct pare_planes *w, const int16_t *q, uint32_t n)
{
    int32_t top = 0;
    int16_t x[8], s[16];

    for (uint32_t i = 0; i < n; i++)
        for (uint32_t g = 0; g < w->n_groups; g++)
            for (uint32_t b = 0; b < pare_planes_blocks(w, g); b++) {
                block_columns(x, w, q + (uint64_t)i * w->cols, g, b);
                for (uint32_t half = 0; half < 2; half++) {
                    int32_t m = magnitude(x + 4 * half);
                    uint8_t *at;

                    if (m > top) top = m;
                    if (fill == NULL) continue;
                    at = fill->table + ((uint64_t)i * w->n_blocks + (uint64_t)g * w->group_blocks + b) * 64 + 32 * half;
                    signed_sums(s, x + 4 * half);
                    for (int e = 0; e < 16; e++) {
                        at[e] = (uint8_t)(fill->narrow ? s[e] : s[e] & 31);
                        at[16 + e] = (uint8_t)(fill->narrow ? 0 : (s[e] - (s[e] & 31)) / 32);
                    }
                }
            }
    return top;
}

void pare_plane_tables_set(struct pare_plane_tables *t, void *mem, const struct pare_planes *w, const int16_t *q, uint32_t n)
{
    int32_t top = tables_pass(NULL, w, q, n);

    *t = (struct pare_plane_tables){ .n = n, .run = top < 512 ? 4 : 2, .narrow = top < 16, .table = mem };
    t->sum = (int32_t *)(t->table + (uint64_t)n * w->n_blocks * 64);
    tables_pass(t, w, q, n);
    sums(t->sum, w, q, n);
}

uint64_t pare_plane_ftables_bytes(const struct pare_planes *w)
{
    return (uint64_t)w->n_blocks * 256 * sizeof(float) + aligned((uint64_t)w->n_groups * sizeof(float));
}

void pare_plane_ftables_set(struct pare_plane_ftables *t, void *mem, const struct pare_planes *w, const float *x, const struct pare_plane_ops *ops)
{
    t->table = mem;
    t->sum = t->table + (uint64_t)w->n_blocks * 256;
    for (uint32_t g = 0; g < w->n_groups; g++) {
        float s = 0;

        for (uint32_t b = 0; b < pare_planes_blocks(w, g); b++) {
            float *at = t->table + ((uint64_t)g * w->group_blocks + b) * 256, in[8];
            uint32_t cols = pare_planes_cols(w, g), c0 = b * PARE_PLANE_COLS;

            for (uint32_t c = 0; c < PARE_PLANE_COLS; c++) in[c] = c0 + c < cols ? x[g * w->group + c0 + c] : 0.0f;
            ops->ftable(at, in);
            s += at[255];
        }
        t->sum[g] = s;
    }
}

/* Integer products of one group: which planes are multiplied, and what is put right. */
struct way {
    int32_t cw[8], cx[9];
    uint32_t planes;
    bool by_xor;
    int32_t  fix;       /* added for each unit of the sum of activations, or, by_xor, for each column */
    bool     halve;
};

static struct way popcount_way(const struct pare_planes *w, const struct pare_plane_acts *a)
{
    struct way y = { .planes = a->planes };

    coefs(y.cw, w->kind, w->bits);
    memcpy(y.cx, a->coef, sizeof y.cx);
    if (w->kind != PARE_PLANE_BIPOLAR) return y;
    y.fix = -((1 << w->bits) - 1);
    if (a->kind != PARE_PLANE_BIPOLAR) return y;
    /* (2 b - 1)(2 c - 1) is 1 - 2 (b xor c): no plane of ones is needed. */
    y.by_xor = true;
    y.planes = a->bits;
    y.fix = ((1 << w->bits) - 1) * ((1 << a->bits) - 1);
    for (uint32_t i = 0; i < w->bits; i++) y.cw[i] = -y.cw[i];
    for (uint32_t j = 0; j < a->bits; j++) y.cx[j] /= 2;
    return y;
}

/* Tables hold sums with signs s = 2 b - 1: bipolar numbers as they are, sum of c b = (sum of c s + sum of c) / 2 for the others. */
static struct way lookup_way(const struct pare_planes *w)
{
    struct way y = { .halve = w->kind != PARE_PLANE_BIPOLAR };

    coefs(y.cw, w->kind, w->bits);
    for (uint32_t i = 0; i < w->bits; i++) {
        if (!y.halve) y.cw[i] /= 2;
        else y.fix += y.cw[i];
    }
    return y;
}

static void popcount_group(const struct pare_plane_ops *ops, int32_t *dot, const struct pare_planes *w, const struct way *y,
                           const struct pare_plane_acts *a, uint32_t p, uint32_t g, uint32_t t)
{
    const uint32_t *x = a->bit + ((uint64_t)t * w->n_blocks + (uint64_t)g * w->group_blocks) * a->planes;

    int32_t units = y->by_xor ? (int32_t)pare_planes_cols(w, g) : a->sum[(uint64_t)t * w->n_groups + g];

    ops->popcount(dot, y->fix * units, pare_planes_at(w, p, g), w->bits, y->cw, x, a->planes, y->planes, y->cx, pare_planes_blocks(w, g),
                  y->by_xor);
}
static void lookup_group(const struct pare_plane_ops *ops, int32_t *dot, const struct pare_planes *w, const struct way *y,
                         const struct pare_plane_tables *t, uint32_t p, uint32_t g, uint32_t i)
{
    const uint8_t *at = t->table + ((uint64_t)i * w->n_blocks + (uint64_t)g * w->group_blocks) * 64;

    ops->lookup(dot, y->fix * t->sum[(uint64_t)i * w->n_groups + g], y->halve, pare_planes_at(w, p, g), w->bits, y->cw, at,
                pare_planes_blocks(w, g), t->run, t->narrow);
}

static uint32_t panel_rows(const struct pare_planes *w, uint32_t p)
{
    uint32_t left = w->rows - p * PARE_PLANE_ROWS;

    return left < PARE_PLANE_ROWS ? left : PARE_PLANE_ROWS;
}

/* One walk for both integer ways: exactly one of a and t is given, and one of dot_out and y_out. */
struct walk {
    const struct pare_planes *w;
    const struct pare_plane_acts *a;
    const struct pare_plane_tables *t;
    int32_t *dot;
    float   *y;
    uint64_t ldy;
    const struct pare_plane_scales *s;
    const float *d;
};

static void walk_panel(const struct pare_plane_ops *ops, const struct walk *k, const struct way *way, uint32_t p)
{
    const struct pare_planes *w = k->w;
    uint32_t n = k->a != NULL ? k->a->n : k->t->n, rows = panel_rows(w, p);
    const int32_t *sum = k->a != NULL ? k->a->sum : k->t->sum;
    int32_t dot[PARE_PLANE_ROWS];
    float y[PARE_PLANE_ROWS];

    for (uint32_t g = 0; g < w->n_groups; g++)
        for (uint32_t t = 0; t < n; t++) {
            uint64_t at = (uint64_t)t * w->n_groups + g, sc = ((uint64_t)p * w->n_groups + g) * PARE_PLANE_ROWS;
            float *out = k->y + t * k->ldy + (uint64_t)p * PARE_PLANE_ROWS;

            if (k->a != NULL) popcount_group(ops, dot, w, way, k->a, p, g, t);
            else lookup_group(ops, dot, w, way, k->t, p, g, t);
            if (k->dot != NULL) {
                memcpy(k->dot + at * w->rows + (uint64_t)p * PARE_PLANE_ROWS, dot, rows * sizeof *dot);
                continue;
            }
            if (g == 0) memset(y, 0, sizeof y);
            else memcpy(y, out, rows * sizeof *y);
            ops->scale(y, dot, k->s->scale + sc, k->d[at], k->s->zero != NULL ? k->s->zero + sc : NULL, k->d[at] * (float)sum[at]);
            memcpy(out, y, rows * sizeof *y);
        }
}

static void walk_panels(const struct pare_plane_ops *ops, const struct walk *k, uint32_t p0, uint32_t p1)
{
    struct way way = k->a != NULL ? popcount_way(k->w, k->a) : lookup_way(k->w);

    for (uint32_t p = p0; p < p1; p++) walk_panel(ops, k, &way, p);
}

void pare_planes_popcount_dot(const struct pare_plane_ops *ops, int32_t *dot, const struct pare_planes *w, const struct pare_plane_acts *a,
                              uint32_t p0, uint32_t p1)
{
    walk_panels(ops, &(struct walk){ .w = w, .a = a, .dot = dot }, p0, p1);
}
void pare_planes_lookup_dot(const struct pare_plane_ops *ops, int32_t *dot, const struct pare_planes *w, const struct pare_plane_tables *t,
                            uint32_t p0, uint32_t p1)
{
    walk_panels(ops, &(struct walk){ .w = w, .t = t, .dot = dot }, p0, p1);
}
void pare_planes_popcount(const struct pare_plane_ops *ops, float *y, uint64_t ldy, const struct pare_planes *w, const struct pare_plane_scales *s,
                          const struct pare_plane_acts *a, const float *d, uint32_t p0, uint32_t p1)
{
    walk_panels(ops, &(struct walk){ .w = w, .a = a, .y = y, .ldy = ldy, .s = s, .d = d }, p0, p1);
}
void pare_planes_lookup(const struct pare_plane_ops *ops, float *y, uint64_t ldy, const struct pare_planes *w, const struct pare_plane_scales *s,
                        const struct pare_plane_tables *t, const float *d, uint32_t p0, uint32_t p1)
{
    walk_panels(ops, &(struct walk){ .w = w, .t = t, .y = y, .ldy = ldy, .s = s, .d = d }, p0, p1);
}

/* Blocks whose tables stay in a first-level cache of 32 KB and more while all panels read them. */
#define FTABLE_BLOCKS 24

void pare_planes_flookup(const struct pare_plane_ops *ops, float *y, const struct pare_planes *w, const struct pare_plane_scales *s,
                         const struct pare_plane_ftables *t, uint32_t p0, uint32_t p1)
{
    uint32_t step = w->group_blocks < FTABLE_BLOCKS ? FTABLE_BLOCKS / w->group_blocks : 1;
    float v[PARE_PLANE_ROWS];

    for (uint32_t g0 = 0; g0 < w->n_groups; g0 += step)
        for (uint32_t p = p0; p < p1; p++) {
            float *out = y + (uint64_t)p * PARE_PLANE_ROWS;
            uint32_t rows = panel_rows(w, p), g1 = g0 + step < w->n_groups ? g0 + step : w->n_groups;

            if (g0 == 0) memset(v, 0, sizeof v);
            else memcpy(v, out, rows * sizeof *v);
            for (uint32_t g = g0; g < g1; g++) {
                uint64_t sc = ((uint64_t)p * w->n_groups + g) * PARE_PLANE_ROWS;

                ops->flookup(v, pare_planes_at(w, p, g), w->bits, s->alpha + sc * w->bits, t->table + (uint64_t)g * w->group_blocks * 256,
                             pare_planes_blocks(w, g));
                if (s->zero != NULL) ops->scale(v, NULL, NULL, 0, s->zero + sc, t->sum[g]);
            }
            memcpy(out, v, rows * sizeof *v);
        }
}

const struct pare_plane_ops *pare_plane_ops_for(int tier)
{
    int best = pare_cpu_best_tier();

    if (tier > best) tier = best;
#if defined(__x86_64__)
    if (tier >= PARE_TIER_AVX512) return &pare_plane_ops_avx512;
    if (tier >= PARE_TIER_AVX2) return &pare_plane_ops_avx2;
#endif
    return &pare_plane_ops_ref;
}
