/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/linalg_ql.c: implicit symmetric QR steps with Wilkinson's shift (Golub and Van Loan, Matrix Computations, 8.3.3). The chase
 * itself is a loop over a few numbers in one thread; its rotations are written down and carried out on the eigenvectors later, many
 * sweeps at a time, by strips of columns that stay in a cache. */
#include "kernel/linalg_ql.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"

#define KEEP (1u << 16) /* rotations before they are carried out: 1 MB */

struct sweep {
    uint32_t first, count, at; /* rows first .. first + count; rotations at .. */
};
struct chase {
    const struct pare_linalg *ops;
    double  *d, *e, *zt, *strips;
    uint64_t n, ld;
    struct pare_rotation *r;
    struct sweep *s;
    uint32_t n_r, n_s, cap;
};

static void strip_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct chase *c = ctx;
    double  *x = c->strips + worker * c->n * PARE_STRIP;
    uint64_t c0 = (uint64_t)chunk * PARE_STRIP, have = pare_min_u64(PARE_STRIP, c->n - c0);

    for (uint64_t i = 0; i < c->n; i++) {
        memcpy(x + i * PARE_STRIP, c->zt + i * c->ld + c0, have * sizeof *x);
        memset(x + i * PARE_STRIP + have, 0, (PARE_STRIP - have) * sizeof *x);
    }
    for (uint32_t i = 0; i < c->n_s; i++) c->ops->rotate(x + c->s[i].first * (uint64_t)PARE_STRIP, c->r + c->s[i].at, c->s[i].count);
    for (uint64_t i = 0; i < c->n; i++) memcpy(c->zt + i * c->ld + c0, x + i * PARE_STRIP, have * sizeof *x);
}

static void carry_out(struct chase *c, struct pare_job *job)
{
    if (c->n_s == 0) return;
    pare_team_run(pare_linalg_team(job), (uint32_t)((c->n + PARE_STRIP - 1) / PARE_STRIP), strip_chunk, c);
    c->n_r = c->n_s = 0;
}

/* c, s and r with c x + s z = r and c z = s x, without squares that leave the range. */
static struct pare_rotation rotation(double x, double z, double *r)
{
    double t, u;

    if (z == 0.0) {
        *r = x;
        return (struct pare_rotation){ 1.0, 0.0 };
    }
    if (fabs(z) > fabs(x)) {
        t = x / z;
        u = sqrt(1.0 + t * t);
        *r = z * u;
        return (struct pare_rotation){ t / u, 1.0 / u };
    }
    t = z / x;
    u = sqrt(1.0 + t * t);
    *r = x * u;
    return (struct pare_rotation){ 1.0 / u, t / u };
}

/* The eigenvalue of the last two rows' block that is nearer to the last element. */
static double shift(const double *d, const double *e, uint64_t hi)
{
    double h = (d[hi - 1] - d[hi]) / 2.0, b = e[hi - 1], r;

    (void)rotation(h, b, &r);
    return d[hi] - b * (b / (h < 0.0 ? h - fabs(r) : h + fabs(r)));
}

/* One sweep over rows lo .. hi, none of whose e is 0. */
static void sweep(struct chase *c, uint64_t lo, uint64_t hi)
{
    double *d = c->d, *e = c->e, x = d[lo] - shift(d, e, hi), z = e[lo], r;

    c->s[c->n_s++] = (struct sweep){ (uint32_t)lo, (uint32_t)(hi - lo), c->n_r };
    for (uint64_t k = lo; k < hi; k++) {
        struct pare_rotation g = rotation(x, z, &r);
        double u = g.s * (d[k + 1] - d[k]) + 2.0 * g.c * e[k];

        if (k > lo) e[k - 1] = r;
        d[k] += g.s * u;
        d[k + 1] -= g.s * u;
        e[k] = g.c * u - e[k];
        x = e[k];
        if (k + 1 < hi) {
            z = g.s * e[k + 1];
            e[k + 1] *= g.c;
        }
        c->r[c->n_r++] = g;
    }
}

static bool nothing(const struct chase *c, uint64_t k)
{
    double x = fabs(c->e[k]);

    return x <= DBL_EPSILON * (fabs(c->d[k]) + fabs(c->d[k + 1])) || x < 1e-30;
}

static int run(struct chase *c, struct pare_job *job, struct pare_diag *diag)
{
    uint64_t hi = c->n - 1, tries = 0;

    while (hi > 0) {
        uint64_t lo = hi;

        while (lo > 0 && !nothing(c, lo - 1)) lo--;
        if (lo > 0) c->e[lo - 1] = 0.0;
        if (lo == hi) {
            hi--;
            tries = 0;
            continue;
        }
        /* Two or three sweeps are usual; the bound only keeps a mistake from running for ever. */
        PARE_FAIL_IF(diag, ++tries > 100, PARE_E_CORRUPT, "an eigenvalue was not found in 100 sweeps");
        if (c->n_r + (hi - lo) > c->cap || c->n_s == c->cap) carry_out(c, job);
        sweep(c, lo, hi);
    }
    carry_out(c, job);
    return PARE_OK;
}

int pare_tridiagonal(double *d, double *e, double *zt, uint64_t n, uint64_t ld, struct pare_job *job, struct pare_diag *diag)
{
    struct chase c = { .ops = pare_linalg_for(job), .d = d, .e = e, .zt = zt, .n = n, .ld = ld };
    int rc = PARE_OK;

    if (n < 2) return PARE_OK;
    PARE_FAIL_IF(diag, n > UINT32_MAX / 2, PARE_E_LIMIT, "a matrix of more than 2^31 rows");
    c.cap = (uint32_t)(n > KEEP ? n : KEEP);
    c.strips = pare_aligned(n * PARE_STRIP * pare_team_size(pare_linalg_team(job)) * sizeof *c.strips);
    c.r = pare_alloc_array(c.cap, sizeof *c.r);
    c.s = pare_alloc_array(c.cap, sizeof *c.s);
    if (c.strips == NULL || c.r == NULL || c.s == NULL) rc = PARE_NOMEM(diag);
    if (rc == 0) rc = run(&c, job, diag);
    pare_aligned_free(c.strips);
    pare_free(c.r);
    pare_free(c.s);
    return rc;
}
