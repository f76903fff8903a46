/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/hadamard.c: sizes, tables and the choice of a tier. The loops are in ref/ and x86/. */
#include "kernel/hadamard.h"

#include <math.h>
#include <string.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/status.h"

/* Orders of outer matrices, the largest first: the first one that leaves a power of two is taken. */
static const uint32_t orders[] = { 172, 156, 140, 108, 60, 52, 36, 28, 40, 20, 12 };

static bool power_of_two(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

uint32_t pare_hadamard_order(uint64_t n)
{
    if (n == 0 || n > UINT32_MAX / 2) return 0;
    if (power_of_two(n)) return 1;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (n % orders[i] == 0 && power_of_two(n / orders[i])) return orders[i];
    return 0;
}

uint64_t pare_hadamard_block(uint64_t cols) { return cols == 0 ? 1 : cols & (~cols + 1); }

int pare_hadamard_init(struct pare_hadamard *h, uint64_t n, struct pare_diag *diag)
{
    uint32_t k = pare_hadamard_order(n);

    memset(h, 0, sizeof *h);
    PARE_FAIL_IF(diag, k == 0, PARE_E_UNSUPPORTED, "there is no Hadamard transform of %llu channels", (unsigned long long)n);
    if (k > 1) {
        float *t = pare_alloc_array(2u * k * k, sizeof *t);

        if (t == NULL) return PARE_NOMEM(diag);
        (void)pare_hadamard_table(t, k); /* pare_hadamard_order names only orders that it has */
        for (uint32_t a = 0; a < k; a++)
            for (uint32_t c = 0; c < k; c++) t[(k + c) * k + a] = t[a * k + c];
        h->outer = t;
    }
    h->n = (uint32_t)n;
    h->k = k;
    h->p = (uint32_t)n / k;
    h->scale = (float)(1.0 / sqrt((double)n));
    return PARE_OK;
}

void pare_hadamard_free(struct pare_hadamard *h)
{
    pare_free(h->outer);
    memset(h, 0, sizeof *h);
}

void pare_hadamard_run(const struct pare_hadamard *h, int tier, float *y, const float *x, uint64_t cols, bool back)
{
    const struct pare_hadamard_kernel *hk = pare_hadamard_for(tier);
    const float                       *t = h->outer + (back ? (uint64_t)h->k * h->k : 0);

    if (h->k == 1) {
        hk->walsh(y, x, h->p, cols / h->p, h->scale);
        return;
    }
    for (uint64_t at = 0; at + h->n <= cols; at += h->n) {
        hk->walsh(y + at, x + at, h->p, h->k, 1.0f);
        hk->outer(y + at, y + at, t, h->k, h->p, h->scale);
    }
}

const struct pare_hadamard_kernel *pare_hadamard_for(int tier)
{
#if defined(__x86_64__)
    int best = pare_cpu_best_tier();

    if (tier > best) tier = best;
    if (tier >= PARE_TIER_AVX512) return &pare_hadamard_avx512;
    if (tier >= PARE_TIER_AVX2) return &pare_hadamard_avx2;
#else
    (void)tier;
#endif
    return &pare_hadamard_ref;
}
