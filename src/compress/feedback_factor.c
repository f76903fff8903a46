/* SPDX-License-Identifier: Apache-2.0
 * src/compress/feedback_factor.c: the factorization that error feedback rounds by. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/feedback.h"
#include "compress/method.h"
#include "compress/second.h"


void pare_feedback_free(struct pare_feedback *f)
{
    pare_aligned_free(f->ut);
    pare_aligned_free(f->h);
    pare_free(f->importance);
    pare_free(f->order);
    memset(f, 0, sizeof *f);
}

struct ranked { double key; uint32_t c; };
static int larger(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->key != y->key) return x->key < y->key ? 1 : -1;
    return x->c < y->c ? -1 : x->c > y->c;
}

static int rank(struct pare_feedback *f, const double *xx, struct pare_diag *diag)
{
    struct ranked *r = pare_alloc_array(f->n, sizeof *r);

    f->order = pare_alloc_array(f->n, sizeof *f->order);
    if (r == NULL || f->order == NULL) {
        pare_free(r);
        return PARE_NOMEM(diag);
    }
    for (uint64_t c = 0; c < f->n; c++) r[c] = (struct ranked){ xx[c * f->n + c], (uint32_t)c };
    qsort(r, f->n, sizeof *r, larger);
    for (uint64_t k = 0; k < f->n; k++) f->order[k] = r[k].c;
    pare_free(r);
    return PARE_OK;
}

static int chol(double *a, uint64_t n)
{
    for (uint64_t j = 0; j < n; j++) {
        for (uint64_t i = j; i < n; i++) {
            double s = a[i * n + j];
            for (uint64_t k = 0; k < j; k++) s -= a[i * n + k] * a[j * n + k];
            if (i == j) {
                if (!(s > 0)) return -1;
                a[j * n + j] = sqrt(s);
            } else a[i * n + j] = s / a[j * n + j];
        }
    }
    return 0;
}

int pare_feedback_create(struct pare_feedback *f, const double *xx, uint64_t n, const struct pare_feedback_settings *s,
                         struct pare_job *job, struct pare_diag *diag)
{
    double damp = s->damping > 0 ? s->damping : 0.01, mean = 0, *a = NULL, sum = 0;
    int    rc = PARE_OK, bad = -1;

    (void)job;
    memset(f, 0, sizeof *f);
    f->n = n;
    for (uint64_t c = 0; c < n; c++) mean += xx[c * n + c] / (double)n;
    if (!(mean > 0) || mean - mean != 0) PARE_FAIL(diag, PARE_E_CORRUPT, "the inputs' second moments are zero or not finite");
    f->ut = pare_aligned(n * n * sizeof *f->ut);
    f->importance = pare_alloc_array(n, sizeof *f->importance);
    a = pare_aligned(n * n * sizeof *a);
    if (f->ut == NULL || f->importance == NULL || a == NULL) rc = PARE_NOMEM(diag);
    if (rc == PARE_OK && s->by_size) rc = rank(f, xx, diag);
    for (int t = 0; t < 4 && rc == PARE_OK && bad != 0; t++, damp *= 10) {
        for (uint64_t i = 0; i < n; i++)
            for (uint64_t j = 0; j < n; j++) {
                uint64_t ci = f->order ? f->order[n - 1 - i] : n - 1 - i, cj = f->order ? f->order[n - 1 - j] : n - 1 - j;
                a[i * n + j] = xx[ci * n + cj] / mean + (i == j ? damp + s->ridge : 0);
            }
        bad = chol(a, n);
        f->damping = damp;
    }
    if (rc == PARE_OK && bad != 0) rc = PARE_ERR(diag, PARE_E_CORRUPT, "the inputs' second moments are singular");
    for (uint64_t k = 0; k < n && rc == PARE_OK; k++) {
        double d = a[(n - 1 - k) * n + (n - 1 - k)];
        for (uint64_t j = 0; j < k; j++) f->ut[k * n + j] = (float)(a[(n - 1 - j) * n + (n - 1 - k)] / d);
        f->importance[f->order ? f->order[k] : k] = (float)(d * d);
        sum += d * d;
    }
    for (uint64_t k = 0; k < n && rc == PARE_OK; k++) f->importance[k] = (float)((double)f->importance[k] * (double)n / sum);
    f->scale = sum / (double)n;
    pare_aligned_free(a);
    if (rc < 0) pare_feedback_free(f);
    return rc;
}

int pare_feedback_of(struct pare_feedback *f, const struct pare_second *s, double ridge, const char *name, struct pare_job *job,
                     struct pare_diag *diag)
{
    struct pare_feedback_settings set = { .by_size = true, .ridge = ridge };
    struct pare_diag why = { 0 };
    int rc = pare_feedback_create(f, s->xx, s->cols, &set, job, &why);

    if (rc == PARE_OK || rc == PARE_E_CORRUPT) return PARE_OK;
    pare_diag_where(diag, name);
    PARE_FAIL(diag, rc, "%s", why.text);
}

static const struct pare_method_option options[] = {
    { "damping", "real", "> 0", "0.01", "part of the mean second moment that is added to each channel's own" },
};
const struct pare_method pare_method_gptq = {
    .id = "gptq", .module = "compress/feedback", .title = "Rounding errors answered by the columns that are rounded later.",
    .source = "GPTQ, arXiv 2210.17323; LDLQ, arXiv 2307.13304", .stage = PARE_STAGE_ROUND, .guarantee = "bounded",
    .neutral = "uncorrelated inputs: the bytes of plain rounding", .tested = "tests/method/test_gptq.c", PARE_OPTIONS(options),
};
