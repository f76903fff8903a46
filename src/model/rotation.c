/* SPDX-License-Identifier: Apache-2.0 */
#include "model/rotation.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

#define MAX_ORDER 1024

static bool is_prime(uint32_t p)
{
    if (p < 2) return false;
    for (uint32_t d = 2; d * d <= p; d++)
        if (p % d == 0) return false;
    return true;
}

/* Legendre's symbol by Euler's criterion. */
static int chi(uint64_t a, uint64_t q)
{
    uint64_t r = 1, b = a % q;

    if (b == 0) return 0;
    for (uint64_t e = (q - 1) / 2; e != 0; e >>= 1) {
        if (e & 1) r = r * b % q;
        b = b * b % q;
    }
    return r == 1 ? 1 : -1;
}

static bool paley_one(uint32_t k) { return k % 4 == 0 && is_prime(k - 1); }
static bool paley_two(uint32_t k) { return k % 4 == 0 && k / 2 % 2 == 0 && (k / 2 - 1) % 4 == 1 && is_prime(k / 2 - 1); }

/* The conference matrix of q = n - 1: zero diagonal, border of ones, chi(i - j) inside. */
static int conference(uint32_t i, uint32_t j, uint32_t q, bool skew)
{
    if (i == j) return 0;
    if (i == 0) return 1;
    if (j == 0) return skew ? -1 : 1;
    return chi((uint64_t)i + q - j, q);
}

/* Paley 1933: I + S for q = 3 mod 4; C x [1 1; 1 -1] + I x [1 -1; -1 -1] for q = 1 mod 4. */
static void paley(int8_t *t, uint32_t k)
{
    static const int c2[2][2] = { { 1, 1 }, { 1, -1 } }, d2[2][2] = { { 1, -1 }, { -1, -1 } };

    for (uint32_t i = 0; i < k; i++)
        for (uint32_t j = 0; j < k; j++)
            if (paley_one(k))
                t[i * k + j] = (int8_t)(i == j ? 1 : conference(i, j, k - 1, true));
            else
                t[i * k + j] = (int8_t)(i / 2 == j / 2 ? d2[i % 2][j % 2] : conference(i / 2, j / 2, k / 2 - 1, false) * c2[i % 2][j % 2]);
}

/* The smallest K that suits n; 1 for a power of two, 0 when there is none. */
static uint32_t order_of(uint64_t n)
{
    uint64_t odd = n;

    while (odd % 2 == 0) odd /= 2;
    if (odd == 1) return 1;
    for (uint64_t k = odd * 4; k <= MAX_ORDER && n % k == 0; k *= 2)
        if (paley_one((uint32_t)k) || paley_two((uint32_t)k)) return (uint32_t)k;
    return 0;
}

static int make_signs(struct pare_rotation *r, uint64_t n, uint64_t seed, struct pare_diag *diag)
{
    *r = (struct pare_rotation){ .n = n, .block = 1, .order = 1 };
    r->sign = pare_alloc_array(n, sizeof *r->sign);
    if (r->sign == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < n; i++) r->sign[i] = pare_rng_u64(seed, PARE_RNG_FOLD, i) >> 63 ? -1 : 1;
    return PARE_OK;
}

int pare_rotation_hadamard(struct pare_rotation *r, uint64_t n, uint64_t max_block, uint64_t seed, struct pare_diag *diag)
{
    uint64_t two = 1;

    PARE_FORWARD(make_signs(r, n, seed, diag));
    while (n % (two * 2) == 0 && (max_block == 0 || two * 2 <= max_block)) two *= 2;
    r->block = two;
    if (max_block != 0 || order_of(n) == 0) return PARE_OK;
    r->block = n;
    r->order = order_of(n);
    if (r->order == 1) return PARE_OK;
    r->table = pare_alloc_array((uint64_t)r->order * r->order, sizeof *r->table);
    if (r->table == NULL) {
        pare_rotation_free(r);
        return PARE_NOMEM(diag);
    }
    paley(r->table, r->order);
    return PARE_OK;
}

/* q <- q (I - 2 v v^T / v^T v) for one reflection after another. */
int pare_rotation_random(struct pare_rotation *r, uint64_t n, uint64_t seed, struct pare_diag *diag)
{
    double *v = pare_alloc_array(n, sizeof *v);
    int     rc = make_signs(r, n, seed, diag);

    if (rc == PARE_OK) r->dense = pare_alloc_array(n * n, sizeof *r->dense);
    if (v == NULL || (rc == PARE_OK && r->dense == NULL)) rc = PARE_NOMEM(diag);
    for (uint64_t i = 0; i < n && rc == PARE_OK; i++) r->sign[i] = 1;
    for (uint64_t i = 0; i < n * n && rc == PARE_OK; i++) r->dense[i] = i % n == i / n ? 1 : 0;
    for (uint64_t k = 0; k + 1 < n && rc == PARE_OK; k++) {
        double norm = 0, s;

        for (uint64_t i = k; i < n; i++) {
            v[i] = (double)pare_rng_normal(seed, PARE_RNG_FOLD, n * (k + 1) + i);
            norm += v[i] * v[i];
        }
        s = sqrt(norm);
        v[k] += v[k] < 0 ? -s : s; /* the reflection takes the drawn vector to -sign(v_k) |v| e_k */
        norm = 0;
        for (uint64_t i = k; i < n; i++) norm += v[i] * v[i];
        if (!(norm > 0)) continue;
        for (uint64_t i = 0; i < n; i++) {
            double *row = r->dense + i * n, d = 0;

            for (uint64_t j = k; j < n; j++) d += row[j] * v[j];
            d = 2 * d / norm;
            for (uint64_t j = k; j < n; j++) row[j] -= d * v[j];
        }
    }
    pare_free(v);
    if (rc < 0) pare_rotation_free(r);
    return rc;
}

int pare_rotation_dense(struct pare_rotation *r, uint64_t n, const double *q, struct pare_diag *diag)
{
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = i; j < n; j++) {
            double d = 0;

            for (uint64_t k = 0; k < n; k++) d += q[i * n + k] * q[j * n + k];
            d -= i == j ? 1 : 0;
            PARE_FAIL_IF(diag, !(d < 1e-9 && d > -1e-9), PARE_E_USAGE, "rows %llu and %llu of a rotation are not orthonormal",
                         (unsigned long long)i, (unsigned long long)j);
        }
    PARE_FORWARD(make_signs(r, n, 0, diag));
    for (uint64_t i = 0; i < n; i++) r->sign[i] = 1;
    r->dense = pare_alloc_array(n * n, sizeof *r->dense);
    if (r->dense == NULL) {
        pare_rotation_free(r);
        return PARE_NOMEM(diag);
    }
    memcpy(r->dense, q, n * n * sizeof *q);
    return PARE_OK;
}

int pare_rotation_copy(struct pare_rotation *r, const struct pare_rotation *from, struct pare_diag *diag)
{
    uint64_t n = from->n, k = from->order;

    *r = *from;
    r->sign = pare_alloc_array(n, sizeof *r->sign);
    r->table = from->table == NULL ? NULL : pare_alloc_array(k * k, sizeof *r->table);
    r->dense = from->dense == NULL ? NULL : pare_alloc_array(n * n, sizeof *r->dense);
    if (r->sign == NULL || (from->table != NULL && r->table == NULL) || (from->dense != NULL && r->dense == NULL)) {
        pare_rotation_free(r);
        return PARE_NOMEM(diag);
    }
    memcpy(r->sign, from->sign, n);
    if (r->table != NULL) memcpy(r->table, from->table, k * k);
    if (r->dense != NULL) memcpy(r->dense, from->dense, n * n * sizeof *r->dense);
    return PARE_OK;
}

void pare_rotation_free(struct pare_rotation *r)
{
    pare_free(r->sign);
    pare_free(r->table);
    pare_free(r->dense);
    memset(r, 0, sizeof *r);
}

/* Sylvester's matrix on 2^m numbers, in place, unscaled. */
static void walsh(double *x, uint64_t n)
{
    for (uint64_t h = 1; h < n; h *= 2)
        for (uint64_t i = 0; i < n; i += 2 * h)
            for (uint64_t j = i; j < i + h; j++) {
                double a = x[j], b = x[j + h];

                x[j] = a + b;
                x[j + h] = a - b;
            }
}

/* One block: [order][two] numbers; the K x K matrix acts across, transposed where turn says so. */
static void block(const struct pare_rotation *r, double *x, double *tmp, bool turn)
{
    uint64_t k = r->order, two = r->block / k;
    double   scale = 1.0 / sqrt((double)r->block);

    for (uint64_t i = 0; i < k; i++) walsh(x + i * two, two);
    if (k > 1) {
        memset(tmp, 0, r->block * sizeof *tmp);
        for (uint64_t i = 0; i < k; i++)
            for (uint64_t j = 0; j < k; j++) {
                int8_t t = turn ? r->table[j * k + i] : r->table[i * k + j];

                for (uint64_t c = 0; c < two; c++) tmp[j * two + c] += t > 0 ? x[i * two + c] : -x[i * two + c];
            }
        memcpy(x, tmp, r->block * sizeof *x);
    }
    for (uint64_t i = 0; i < r->block; i++) x[i] *= scale;
}

void pare_rotation_apply(const struct pare_rotation *r, double *x, double *tmp)
{
    for (uint64_t i = 0; i < r->n; i++) x[i] *= r->sign[i];
    if (r->dense != NULL) {
        memset(tmp, 0, r->n * sizeof *tmp);
        for (uint64_t i = 0; i < r->n; i++)
            for (uint64_t j = 0; j < r->n; j++) tmp[j] += x[i] * r->dense[i * r->n + j];
        memcpy(x, tmp, r->n * sizeof *x);
    } else if (r->block > 1) {
        for (uint64_t b = 0; b < r->n; b += r->block) block(r, x + b, tmp, false);
    }
}

void pare_rotation_back(const struct pare_rotation *r, double *x, double *tmp)
{
    if (r->dense != NULL) {
        for (uint64_t i = 0; i < r->n; i++) {
            tmp[i] = 0;
            for (uint64_t j = 0; j < r->n; j++) tmp[i] += x[j] * r->dense[i * r->n + j];
        }
        memcpy(x, tmp, r->n * sizeof *x);
    } else if (r->block > 1) {
        for (uint64_t b = 0; b < r->n; b += r->block) block(r, x + b, tmp, true);
    }
    for (uint64_t i = 0; i < r->n; i++) x[i] *= r->sign[i];
}
