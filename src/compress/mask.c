/* SPDX-License-Identifier: Apache-2.0
 * src/compress/mask.c: masks: scores, the choice by a rule, shares of layers. */
#include "compress/mask.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/status.h"

#define PANEL 16u /* rows of a WIDE unit: kernel/sparse.h */

int pare_mask_create(struct pare_mask *m, uint64_t rows, uint64_t cols, struct pare_diag *diag)
{
    uint64_t n;

    *m = (struct pare_mask){ .rows = rows, .cols = cols, .words = (cols + 63) / 64 };
    PARE_FAIL_IF(diag, !pare_mul_u64(rows, m->words, &n), PARE_E_LIMIT, "a mask of %" PRIu64 " x %" PRIu64 " is too large", rows, cols);
    m->bits = pare_alloc_array(n, sizeof *m->bits);
    if (m->bits == NULL) return PARE_NOMEM(diag);
    memset(m->bits, 0xff, n * sizeof *m->bits);
    if (cols % 64 != 0)
        for (uint64_t r = 0; r < rows; r++) m->bits[r * m->words + m->words - 1] = ((uint64_t)1 << (cols % 64)) - 1;
    return PARE_OK;
}

void pare_mask_free(struct pare_mask *m)
{
    pare_free(m->bits);
    memset(m, 0, sizeof *m);
}

uint64_t pare_mask_count(const struct pare_mask *m)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < m->rows * m->words; i++) n += (uint64_t)__builtin_popcountll(m->bits[i]);
    return n;
}

void pare_mask_apply(const struct pare_mask *m, float *w)
{
    for (uint64_t r = 0; r < m->rows; r++)
        for (uint64_t c = 0; c < m->cols; c++)
            if (!pare_mask_keeps(m, r, c)) w[r * m->cols + c] = 0;
}

/* ---- scores ---- */

struct score_job {
    enum pare_score_kind kind;
    const float  *w;
    const double *by;     /* [cols] factor of |w| (WANDA) or of w^2 (OBS), or NULL */
    float        *score;
    uint64_t      cols;
    uint64_t     *bad;    /* [rows] column + 1 of the first weight that is not finite, or 0 */
};

static void score_row(void *ctx, uint32_t r, uint32_t worker)
{
    const struct score_job *j = ctx;
    const float            *w = j->w + r * j->cols;
    float                  *s = j->score + r * j->cols;

    (void)worker;
    j->bad[r] = 0;
    for (uint64_t c = 0; c < j->cols; c++) {
        double a = fabs((double)w[c]), v = j->kind == PARE_SCORE_OBS ? a * a : a;

        if (j->by != NULL) v *= j->by[c];
        if (!isfinite(w[c]) && j->bad[r] == 0) j->bad[r] = c + 1;
        s[c] = v > (double)3.0e38f ? 3.0e38f : (float)v;
    }
}

/* What each column multiplies |w| or w^2 by. A channel that was never active is worth nothing; where nothing was seen at all, |w| counts. */
static int factors(enum pare_score_kind kind, uint64_t cols, const struct pare_second *in, const double *inv_diag, double **by, struct pare_diag *diag)
{
    *by = NULL;
    if (kind == PARE_SCORE_MAGNITUDE || (kind == PARE_SCORE_WANDA && in->weight <= 0)) return PARE_OK;
    PARE_FAIL_IF(diag, kind == PARE_SCORE_WANDA && in->cols != cols, PARE_E_USAGE, "moments of %" PRIu64 " channels for %" PRIu64 " columns", in->cols, cols);
    *by = pare_alloc_array(cols, sizeof **by);
    if (*by == NULL) return PARE_NOMEM(diag);
    for (uint64_t c = 0; c < cols; c++) (*by)[c] = kind == PARE_SCORE_WANDA ? sqrt(in->sumsq[c] / in->weight) : 1.0 / inv_diag[c];
    return PARE_OK;
}

int pare_mask_score(enum pare_score_kind kind, const float *w, uint64_t rows, uint64_t cols, const struct pare_second *in,
                    const double *inv_diag, float *score, struct pare_job *job, struct pare_diag *diag)
{
    struct score_job j = { .kind = kind, .w = w, .score = score, .cols = cols };
    double          *by;
    int              rc = PARE_OK;

    PARE_FAIL_IF(diag, rows > UINT32_MAX, PARE_E_LIMIT, "a matrix of %" PRIu64 " rows is too large", rows);
    PARE_FORWARD(factors(kind, cols, in, inv_diag, &by, diag));
    j.by = by;
    j.bad = pare_alloc_array(rows, sizeof *j.bad);
    if (j.bad == NULL) {
        pare_free(by);
        return PARE_NOMEM(diag);
    }
    pare_team_run(job != NULL ? job->team : NULL, (uint32_t)rows, score_row, &j);
    for (uint64_t r = 0; rc == PARE_OK && r < rows; r++)
        if (j.bad[r] != 0) rc = PARE_ERR(diag, PARE_E_CORRUPT, "the weight of row %" PRIu64 ", column %" PRIu64 " is not finite", r, j.bad[r] - 1);
    pare_free(j.bad);
    pare_free(by);
    return rc;
}

/* ---- choosing ---- */

/* Scores that are not negative order like their bits; the low word breaks ties so that the earlier one is larger. */
static uint64_t key_of(float s, uint64_t i)
{
    union { float f; uint32_t u; } b = { s };

    return (uint64_t)b.u << 32 | (uint32_t)(UINT32_MAX - i);
}

static uint64_t median(uint64_t x, uint64_t y, uint64_t z)
{
    uint64_t lo = x < y ? x : y, hi = x < y ? y : x;

    return z < lo ? lo : z > hi ? hi : z;
}

/* The k-th largest of n different keys (k from 1), which are moved about (Hoare's quickselect). */
static uint64_t kth_largest(uint64_t *a, uint64_t n, uint64_t k)
{
    int64_t lo = 0, hi = (int64_t)n - 1, want = (int64_t)(n - k);

    while (lo < hi) {
        uint64_t p = median(a[lo], a[lo + (hi - lo) / 2], a[hi]);
        int64_t  i = lo, j = hi;

        while (i <= j) {
            while (a[i] < p) i++;
            while (a[j] > p) j--;
            if (i <= j) {
                uint64_t t = a[i];

                a[i++] = a[j];
                a[j--] = t;
            }
        }
        if (want <= j) hi = j;
        else if (want >= i) lo = i;
        else break;
    }
    return a[want];
}

void pare_mask_best(const float *score, uint64_t n, uint64_t keep, uint8_t *stays, uint64_t *key)
{
    uint64_t least;

    if (keep == 0 || keep >= n) {
        memset(stays, keep != 0, n);
        return;
    }
    for (uint64_t i = 0; i < n; i++) key[i] = key_of(score[i], i);
    least = kth_largest(key, n, keep);
    for (uint64_t i = 0; i < n; i++) stays[i] = key_of(score[i], i) >= least;
}

int pare_mask_rule_check(const struct pare_mask_rule *rule, struct pare_diag *diag)
{
    if (rule->pattern == PARE_MASK_NM)
        PARE_FAIL_IF(diag, rule->m == 0 || rule->m > 64 || rule->n > rule->m, PARE_E_USAGE, "%" PRIu32 " of %" PRIu32 " weights cannot be kept: n <= m <= 64", rule->n, rule->m);
    else
        PARE_FAIL_IF(diag, !(rule->remove >= 0 && rule->remove <= 1), PARE_E_USAGE, "the share to remove must lie in 0 .. 1");
    PARE_FAIL_IF(diag, rule->pattern == PARE_MASK_GROUP && rule->m == 0, PARE_E_USAGE, "groups have no width");
    return PARE_OK;
}

/* A set of units that are compared with each other: unit i of set s covers some weights. */
struct choose_job {
    struct pare_mask            *mask;
    const float                 *score;
    const struct pare_mask_rule *rule;
    uint64_t  units;     /* of a set */
    float    *sum;       /* [workers][units] scores of units; rows of ROW are used in place */
    uint64_t *key;       /* [workers][units] */
    uint8_t  *stays;     /* [workers][units] */
};

/* Adds in f64, ascending, so that sums of units have one value. */
static float unit_score(const struct choose_job *j, uint64_t set, uint64_t i)
{
    const uint64_t cols = j->mask->cols, m = j->rule->m;
    double         s = 0;

    if (j->rule->pattern == PARE_MASK_WIDE) {
        for (uint64_t r = set * PANEL; r < (set + 1) * PANEL && r < j->mask->rows; r++) s += (double)j->score[r * cols + i];
    } else {
        uint64_t per = (cols + m - 1) / m, r = i / per, c0 = i % per * m;

        for (uint64_t c = c0; c < c0 + m && c < cols; c++) s += (double)j->score[r * cols + c];
    }
    return s > (double)3.0e38f ? 3.0e38f : (float)s;
}

static void put_unit(const struct choose_job *j, uint64_t set, uint64_t i, bool keep)
{
    const uint64_t cols = j->mask->cols, m = j->rule->m;

    switch (j->rule->pattern) {
    case PARE_MASK_ROW: pare_mask_set(j->mask, set, i, keep); break;
    case PARE_MASK_MATRIX: pare_mask_set(j->mask, i / cols, i % cols, keep); break;
    case PARE_MASK_WIDE:
        for (uint64_t r = set * PANEL; r < (set + 1) * PANEL && r < j->mask->rows; r++) pare_mask_set(j->mask, r, i, keep);
        break;
    default: {
        uint64_t per = (cols + m - 1) / m, r = i / per, c0 = i % per * m;

        for (uint64_t c = c0; c < c0 + m && c < cols; c++) pare_mask_set(j->mask, r, c, keep);
    }
    }
}

static void choose_set(void *ctx, uint32_t set, uint32_t worker)
{
    const struct choose_job *j = ctx;
    const bool   single = j->rule->pattern == PARE_MASK_ROW || j->rule->pattern == PARE_MASK_MATRIX;
    const float *s = single ? j->score + set * j->units : j->sum + worker * j->units;
    uint8_t     *stays = j->stays + worker * j->units;

    for (uint64_t i = 0; !single && i < j->units; i++) j->sum[worker * j->units + i] = unit_score(j, set, i);
    pare_mask_best(s, j->units, j->units - (uint64_t)(j->rule->remove * (double)j->units), stays, j->key + worker * j->units);
    for (uint64_t i = 0; i < j->units; i++) put_unit(j, set, i, stays[i]);
}

static void choose_nm_row(void *ctx, uint32_t r, uint32_t worker)
{
    const struct choose_job *j = ctx;
    const uint64_t cols = j->mask->cols, m = j->rule->m;

    (void)worker;
    for (uint64_t c0 = 0; c0 < cols; c0 += m) {
        bool     whole = cols - c0 >= m;
        uint8_t  stays[64];
        uint64_t key[64];

        memset(stays, 1, sizeof stays);
        if (whole) pare_mask_best(j->score + r * cols + c0, m, j->rule->n, stays, key);
        for (uint64_t c = c0; c < c0 + m && c < cols; c++) pare_mask_set(j->mask, r, c, stays[c - c0]);
    }
}

int pare_mask_choose(struct pare_mask *mask, const float *score, const struct pare_mask_rule *rule, struct pare_job *job, struct pare_diag *diag)
{
    struct choose_job j = { .mask = mask, .score = score, .rule = rule };
    struct pare_team *team = job != NULL ? job->team : NULL;
    uint64_t          sets = 1, n;

    PARE_FORWARD(pare_mask_rule_check(rule, diag));
    PARE_FAIL_IF(diag, mask->rows > UINT32_MAX, PARE_E_LIMIT, "a matrix of %" PRIu64 " rows is too large", mask->rows);
    switch (rule->pattern) {
    case PARE_MASK_NM: pare_team_run(team, (uint32_t)mask->rows, choose_nm_row, &j); return PARE_OK;
    case PARE_MASK_ROW: sets = mask->rows, j.units = mask->cols; break;
    case PARE_MASK_WIDE: sets = (mask->rows + PANEL - 1) / PANEL, j.units = mask->cols; break;
    case PARE_MASK_MATRIX: j.units = mask->rows * mask->cols; break;
    case PARE_MASK_GROUP: j.units = mask->rows * ((mask->cols + rule->m - 1) / rule->m); break;
    }
    PARE_FAIL_IF(diag, j.units > UINT32_MAX, PARE_E_LIMIT, "%" PRIu64 " units are too many to compare", j.units);
    n = sets == 1 ? 1 : pare_team_size(team);
    j.sum = pare_alloc_array(n * j.units, sizeof *j.sum);
    j.key = pare_alloc_array(n * j.units, sizeof *j.key);
    j.stays = pare_alloc_array(n * j.units, 1);
    if (j.sum != NULL && j.key != NULL && j.stays != NULL) pare_team_run(sets == 1 ? NULL : team, (uint32_t)sets, choose_set, &j);
    n = j.sum == NULL || j.key == NULL || j.stays == NULL;
    pare_free(j.sum);
    pare_free(j.key);
    pare_free(j.stays);
    return n != 0 ? PARE_NOMEM(diag) : PARE_OK;
}

/* ---- shares of layers ---- */

static double share_at(const double *importance, double mean, double spread, double base, double amplitude, double most, uint32_t i)
{
    double s = base + (spread > 0 ? amplitude * (mean - importance[i]) / spread : 0);

    return s < 0 ? 0 : s > most ? most : s;
}

int pare_mask_allocate(const double *importance, const uint64_t *params, uint32_t n, double target, double amplitude, double most,
                       double *share, struct pare_diag *diag)
{
    double all = 0, mean = 0, spread = 0, lo = -1 - fabs(amplitude), hi = 1 + fabs(amplitude);

    PARE_FAIL_IF(diag, !(target >= 0 && target <= most && most <= 1), PARE_E_USAGE, "a share of %g cannot be removed when a layer may lose %g", target, most);
    for (uint32_t i = 0; i < n; i++) {
        PARE_FAIL_IF(diag, !isfinite(importance[i]), PARE_E_CORRUPT, "the importance of layer %" PRIu32 " is not finite", i);
        all += (double)params[i];
        mean += importance[i] / n;
    }
    for (uint32_t i = 0; i < n; i++) spread = fmax(spread, fabs(importance[i] - mean));
    for (int step = 0; step < 100; step++) {
        double base = lo + (hi - lo) / 2, got = 0;

        for (uint32_t i = 0; i < n; i++) got += share_at(importance, mean, spread, base, amplitude, most, i) * (double)params[i];
        if (got < target * all) lo = base;
        else hi = base;
    }
    for (uint32_t i = 0; i < n; i++) share[i] = share_at(importance, mean, spread, hi, amplitude, most, i);
    return PARE_OK;
}
