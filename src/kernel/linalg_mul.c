/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_mul.c: matrix products. Both operands are packed for 256 terms at a time, by all threads; then tiles of c are
 * updated in memory, which keeps each element's sum in order across such cuts. */
#include "kernel/linalg_private.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"

#define KC 256         /* a strip of b of this depth is 32 KB: it stays in the first cache */
#define BLOCK_ROWS 64  /* of c in a piece of work, 128 KB of a */
#define BLOCK_COLS 256
#define SMALL (1u << 18) /* terms that are not worth waking a thread */

const struct pare_linalg *pare_linalg_for(const struct pare_job *job)
{
    int best = pare_cpu_best_tier(), tier = job == NULL || job->tier > best ? best : job->tier;

#if defined(__x86_64__)
    if (tier >= PARE_TIER_AVX512) return &pare_linalg_avx512;
    if (tier >= PARE_TIER_AVX2) return &pare_linalg_avx2;
#endif
    (void)tier;
    return &pare_linalg_ref;
}

struct product {
    const struct pare_linalg *ops;
    double *c, *pa, *pb;
    uint64_t ldc, m, n, k0, kn; /* this cut: terms k0 .. k0 + kn - 1 */
    struct pare_view a, b;
    double sign;                /* of a when packed: the tiles subtract */
    bool   lower;
    uint64_t a_panels, col_blocks;
};

static uint64_t up(uint64_t n, uint64_t to) { return (n + to - 1) / to; }

/* `width` rows of v side by side: dst [kn][width], rows from r0 on, zeros where v has no more. */
static void pack(double *dst, struct pare_view v, uint64_t r0, uint64_t rows, uint64_t width, uint64_t k0, uint64_t kn, double sign)
{
    const double *p = v.p + (int64_t)r0 * v.rs + (int64_t)k0 * v.cs;
    uint64_t have = pare_min_u64(width, rows - r0);

    for (uint64_t k = 0; k < kn; k++, p += v.cs, dst += width) {
        for (uint64_t i = 0; i < have; i++) dst[i] = sign * p[(int64_t)i * v.rs];
        for (uint64_t i = have; i < width; i++) dst[i] = 0.0;
    }
}

static void pack_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct product *p = ctx;
    uint64_t i = chunk;

    (void)worker;
    if (i < p->a_panels) {
        pack(p->pa + i * PARE_MROWS * p->kn, p->a, i * PARE_MROWS, p->m, PARE_MROWS, p->k0, p->kn, p->sign);
        return;
    }
    i -= p->a_panels;
    pack(p->pb + i * PARE_STRIP * p->kn, (struct pare_view){ p->b.p, p->b.cs, p->b.rs }, i * PARE_STRIP, p->n, PARE_STRIP, p->k0, p->kn, 1.0);
}

/* A tile at the border, or across the diagonal of a lower triangle: by way of a copy. */
static void edge(const struct product *p, uint64_t i0, uint64_t j0, const double *a, const double *b)
{
    double   t[PARE_MROWS * PARE_STRIP] = { 0 };
    uint64_t rows = pare_min_u64(PARE_MROWS, p->m - i0), cols = pare_min_u64(PARE_STRIP, p->n - j0);

    for (uint64_t i = 0; i < rows; i++) memcpy(t + i * PARE_STRIP, p->c + (i0 + i) * p->ldc + j0, cols * sizeof *t);
    p->ops->tile(t, PARE_STRIP, a, b, p->kn);
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t keep = !p->lower ? cols : i0 + i < j0 ? 0 : pare_min_u64(cols, i0 + i - j0 + 1);
        memcpy(p->c + (i0 + i) * p->ldc + j0, t + i * PARE_STRIP, keep * sizeof *t);
    }
}

static void mul_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct product *p = ctx;
    uint64_t r0 = chunk / p->col_blocks * BLOCK_ROWS, c0 = chunk % p->col_blocks * BLOCK_COLS;
    uint64_t r1 = pare_min_u64(p->m, r0 + BLOCK_ROWS), c1 = pare_min_u64(p->n, c0 + BLOCK_COLS);

    (void)worker;
    for (uint64_t j = c0; j < c1; j += PARE_STRIP) {
        const double *b = p->pb + j * p->kn;
        for (uint64_t i = r0; i < r1; i += PARE_MROWS) {
            const double *a = p->pa + i * p->kn;
            if (p->lower && j > i + PARE_MROWS - 1) continue;
            if (i + PARE_MROWS > p->m || j + PARE_STRIP > p->n || (p->lower && j + PARE_STRIP - 1 > i)) edge(p, i, j, a, b);
            else p->ops->tile(p->c + i * p->ldc + j, (int64_t)p->ldc, a, b, p->kn);
        }
    }
}

int pare_mul_space_init(struct pare_mul_space *s, uint64_t m, uint64_t n, struct pare_diag *diag)
{
    *s = (struct pare_mul_space){ .m = m, .n = n };
    s->a = pare_aligned(up(m, PARE_MROWS) * PARE_MROWS * KC * sizeof *s->a);
    s->b = pare_aligned(up(n, PARE_STRIP) * PARE_STRIP * KC * sizeof *s->b);
    if (s->a != NULL && s->b != NULL) return PARE_OK;
    pare_mul_space_free(s);
    return PARE_NOMEM(diag);
}

void pare_mul_space_free(struct pare_mul_space *s)
{
    pare_aligned_free(s->a);
    pare_aligned_free(s->b);
    *s = (struct pare_mul_space){ 0 };
}

void pare_matmul_in(const struct pare_mul_space *s, double *c, uint64_t ldc, uint64_t m, uint64_t n, uint64_t k, struct pare_view a,
                    struct pare_view b, enum pare_mul how, enum pare_part part, struct pare_job *job)
{
    struct product p = { pare_linalg_for(job), c, s->a, s->b, ldc, m, n, 0, 0, a, b, how == PARE_MUL_SUB ? 1.0 : -1.0,
                         part == PARE_PART_LOWER, up(m, PARE_MROWS), up(n, BLOCK_COLS) };
    struct pare_team *team = m * n < SMALL / KC || m * n * pare_min_u64(k, KC) < SMALL ? NULL : pare_linalg_team(job);

    if (m == 0 || n == 0) return;
    if (how == PARE_MUL_SET)
        for (uint64_t i = 0; i < m; i++) memset(c + i * ldc, 0, (p.lower ? pare_min_u64(i + 1, n) : n) * sizeof *c);
    for (p.k0 = 0; p.k0 < k; p.k0 += p.kn) {
        p.kn = pare_min_u64(KC, k - p.k0);
        pare_team_run(team, (uint32_t)(p.a_panels + up(n, PARE_STRIP)), pack_chunk, &p);
        pare_team_run(team, (uint32_t)(up(m, BLOCK_ROWS) * p.col_blocks), mul_chunk, &p);
    }
}

int pare_matmul(double *c, uint64_t ldc, uint64_t m, uint64_t n, uint64_t k, struct pare_view a, struct pare_view b, enum pare_mul how,
                enum pare_part part, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_mul_space s;

    PARE_FORWARD(pare_mul_space_init(&s, m, n, diag));
    pare_matmul_in(&s, c, ldc, m, n, k, a, b, how, part, job);
    pare_mul_space_free(&s);
    return PARE_OK;
}

void pare_mirror(double *a, uint64_t n, uint64_t ld)
{
    /* In squares: a column of a large matrix touches a page an element. */
    for (uint64_t i0 = 0; i0 < n; i0 += 32)
        for (uint64_t j0 = 0; j0 <= i0; j0 += 32)
            for (uint64_t i = i0; i < pare_min_u64(n, i0 + 32); i++)
                for (uint64_t j = j0; j < pare_min_u64(i, j0 + 32); j++) a[j * ld + i] = a[i * ld + j];
}

void pare_reverse(double *a, uint64_t n, uint64_t ld)
{
    for (uint64_t i = 0; i < (n + 1) / 2; i++) {
        double  *x = a + i * ld, *y = a + (n - 1 - i) * ld;
        uint64_t end = x == y ? n / 2 : n;
        for (uint64_t j = 0; j < end; j++) {
            double t = x[j];
            x[j] = y[n - 1 - j];
            y[n - 1 - j] = t;
        }
    }
}

double pare_max_abs(const double *a, uint64_t m, uint64_t n, uint64_t ld)
{
    double max = 0.0;

    for (uint64_t i = 0; i < m; i++)
        for (uint64_t j = 0; j < n; j++) {
            double x = fabs(a[i * ld + j]);
            if (!(x < INFINITY)) return INFINITY;
            if (x > max) max = x;
        }
    return max;
}

double pare_pow2_above(double max)
{
    int e = 0;

    if (max == 0.0) return 1.0;
    (void)frexp(max, &e);
    return ldexp(1.0, e > 1023 ? 1023 : e < -1000 ? -1000 : e);
}
