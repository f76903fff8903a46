/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/sampler.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/status.h"

void pare_sampling_default(struct pare_sampling *s)
{
    memset(s, 0, sizeof *s);
    s->top_p = s->typical = s->repetition = 1;
    s->last_n = 64;
}

static int check(const struct pare_sampling *s, uint32_t n_vocab, struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, !(s->temperature >= 0) || isinf(s->temperature), PARE_E_USAGE, "temperature %g: 0 or more", (double)s->temperature);
    PARE_FAIL_IF(diag, !(s->top_p > 0 && s->top_p <= 1), PARE_E_USAGE, "top-p %g: above 0, at most 1", (double)s->top_p);
    PARE_FAIL_IF(diag, !(s->min_p >= 0 && s->min_p <= 1), PARE_E_USAGE, "min-p %g: 0 to 1", (double)s->min_p);
    PARE_FAIL_IF(diag, !(s->typical > 0 && s->typical <= 1), PARE_E_USAGE, "typical %g: above 0, at most 1", (double)s->typical);
    PARE_FAIL_IF(diag, !(s->repetition > 0) || isinf(s->repetition), PARE_E_USAGE, "repetition penalty %g: above 0", (double)s->repetition);
    PARE_FAIL_IF(diag, !isfinite(s->presence) || !isfinite(s->frequency), PARE_E_USAGE, "a penalty is not finite");
    for (uint32_t i = 0; i < s->n_bias; i++)
        PARE_FAIL_IF(diag, s->bias[i].id < 0 || (uint32_t)s->bias[i].id >= n_vocab || isnan(s->bias[i].bias), PARE_E_USAGE,
                     "logit bias of token %" PRId32 ": the vocabulary has %" PRIu32, s->bias[i].id, n_vocab);
    return PARE_OK;
}

int pare_sampler_create(struct pare_sampler **out, const struct pare_sampling *s, uint32_t n_vocab, const struct pare_vec *vk,
                        struct pare_diag *diag)
{
    struct pare_sampler *p;

    *out = NULL;
    PARE_FORWARD(check(s, n_vocab, diag));
    p = pare_zalloc(1, sizeof *p);
    if (p == NULL) return PARE_NOMEM(diag);
    p->s = *s;
    p->vk = vk;
    p->n_vocab = n_vocab;
    p->cand = pare_alloc_array(n_vocab, sizeof *p->cand);
    p->row = pare_alloc_array(n_vocab, sizeof *p->row);
    p->count = pare_zalloc(n_vocab, sizeof *p->count);
    if (p->cand == NULL || p->row == NULL || p->count == NULL) {
        pare_sampler_destroy(&p);
        return PARE_NOMEM(diag);
    }
    *out = p;
    return PARE_OK;
}

void pare_sampler_destroy(struct pare_sampler **s)
{
    if (s == NULL || *s == NULL) return;
    pare_free((*s)->cand);
    pare_free((*s)->row);
    pare_free((*s)->count);
    pare_free(*s);
    *s = NULL;
}

static void penalize(struct pare_sampler *s, const int32_t *history, size_t n)
{
    const struct pare_sampling *o = &s->s;
    size_t                      first = o->last_n != 0 && n > o->last_n ? n - o->last_n : 0;

    if (o->repetition == 1 && o->presence == 0 && o->frequency == 0) return;
    for (size_t i = first; i < n; i++)
        if (history[i] >= 0 && (uint32_t)history[i] < s->n_vocab && s->count[history[i]] < UINT16_MAX) s->count[history[i]]++;
    for (size_t i = first; i < n; i++) {
        int32_t id = history[i];
        float  *x;

        if (id < 0 || (uint32_t)id >= s->n_vocab || s->count[id] == 0) continue;
        x = &s->row[id];
        *x = *x > 0 ? *x / o->repetition : *x * o->repetition;
        *x -= o->presence + o->frequency * (float)s->count[id];
        s->count[id] = 0;
    }
}

/* Logits with biases and penalties, NaN and +inf made harmless, in s->row. */
static void adjust(struct pare_sampler *s, const float *logits, const int32_t *history, size_t n)
{
    for (uint32_t i = 0; i < s->n_vocab; i++)
        s->row[i] = isnan(logits[i]) ? -INFINITY : logits[i] > 3e38f ? 3e38f : logits[i];
    for (uint32_t i = 0; i < s->s.n_bias; i++) s->row[s->s.bias[i].id] += s->s.bias[i].bias;
    penalize(s, history, n);
}

/* A total order: no two candidates are equal, so every way of sorting gives the same list. */
static bool before(const struct pare_candidate *a, const struct pare_candidate *b)
{
    return a->key > b->key || (a->key == b->key && a->id < b->id);
}

static void sift(struct pare_candidate *h, uint32_t n, uint32_t i)
{
    struct pare_candidate x = h[i];

    for (uint32_t c = 2 * i + 1; c < n; c = 2 * i + 1) {
        if (c + 1 < n && before(&h[c + 1], &h[c])) c++;
        if (!before(&h[c], &x)) break;
        h[i] = h[c];
        i = c;
    }
    h[i] = x;
}

/*
 * A heap over n candidates whose best is taken off again and again: linear to build, log n for each one taken. Those taken are
 * kept behind the heap; tail[-1 - i] is the i-th best.
 */
struct heap {
    struct pare_candidate *h;
    uint32_t               n, taken;
};

static struct heap heap_of(struct pare_candidate *h, uint32_t n)
{
    for (uint32_t i = n / 2; i-- > 0;) sift(h, n, i);
    return (struct heap){ h, n, 0 };
}

static const struct pare_candidate *take(struct heap *q)
{
    struct pare_candidate best;

    if (q->n == 0) return NULL;
    best = q->h[0];
    q->h[0] = q->h[--q->n];
    sift(q->h, q->n, 0);
    q->h[q->n] = best;
    q->taken++;
    return &q->h[q->n];
}

/* Brings what was taken to the front, best first. @return how many. */
static uint32_t settle(struct heap *q)
{
    struct pare_candidate *a = q->h + q->n;

    for (uint32_t i = 0; i < q->taken / 2; i++) {
        struct pare_candidate t = a[i];
        a[i] = a[q->taken - 1 - i];
        a[q->taken - 1 - i] = t;
    }
    memmove(q->h, a, q->taken * sizeof *a);
    return q->taken;
}

/* p of n candidates, summing to 1, with logits divided by t. max is their largest logit. The sum runs in list order, in f64. */
static void probabilities(struct pare_candidate *c, uint32_t n, float max, float t)
{
    double sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        c[i].p = pare_expf((c[i].logit - max) / t);
        sum += (double)c[i].p;
    }
    for (uint32_t i = 0; i < n; i++) c[i].p = (float)((double)c[i].p / sum);
}

/* Locally typical sampling: tokens whose surprise is nearest to the entropy, until they hold the mass. */
static uint32_t keep_typical(struct pare_candidate *c, uint32_t n, float max, float mass)
{
    double      entropy = 0, sum = 0;
    struct heap q;

    probabilities(c, n, max, 1);
    for (uint32_t i = 0; i < n; i++)
        if (c[i].p > 0) entropy -= (double)c[i].p * pare_log((double)c[i].p);
    for (uint32_t i = 0; i < n; i++)
        c[i].key = c[i].p > 0 ? (float)-fabs(-pare_log((double)c[i].p) - entropy) : -INFINITY;
    q = heap_of(c, n);
    while (sum < (double)mass) {
        const struct pare_candidate *x = take(&q);
        if (x == NULL) break;
        sum += (double)x->p;
    }
    n = settle(&q);
    for (uint32_t i = 0; i < n; i++) c[i].key = c[i].logit;
    return n;
}

/* Takes candidates best first while top-k, top-p and min-p allow. whole: sum of exp(logit - max) that top-p refers to. */
static uint32_t keep_best(struct pare_candidate *c, uint32_t n, uint32_t limit, double whole, const struct pare_sampling *o, float max)
{
    struct heap q = heap_of(c, n);
    double      sum = 0;

    while (q.taken < limit && q.n > 0) {
        float p = pare_expf(q.h[0].logit - max);

        if (q.taken > 0 && (sum >= (double)o->top_p * whole || p < o->min_p)) break;
        sum += (double)p;
        take(&q);
    }
    return settle(&q);
}

static double mass(const struct pare_candidate *c, uint32_t n, float max)
{
    double sum = 0;

    for (uint32_t i = 0; i < n; i++) sum += (double)pare_expf(c[i].logit - max);
    return sum;
}

const struct pare_candidate *pare_sampler_candidates(struct pare_sampler *s, const float *logits, const int32_t *history,
                                                     size_t n_history, uint32_t *n_out)
{
    const struct pare_sampling *o = &s->s;
    struct pare_sampling        all = { .top_p = 1 };
    struct pare_candidate      *c = s->cand;
    uint32_t                    n = 0, best = 0;
    float                       max = -INFINITY;

    adjust(s, logits, history, n_history);
    for (uint32_t i = 0; i < s->n_vocab; i++) {
        if (!(s->row[i] > -INFINITY)) continue;
        if (s->row[i] > max) {
            max = s->row[i];
            best = i;
        }
        c[n++] = (struct pare_candidate){ s->row[i], s->row[i], 0, (int32_t)i };
    }
    *n_out = n;
    if (n == 0) return c;
    if (o->temperature == 0) {
        c[0] = (struct pare_candidate){ max, max, 1, (int32_t)best };
        *n_out = 1;
        return c;
    }
    if (o->top_k != 0 && (o->typical < 1 || o->top_p < 1)) n = keep_best(c, n, o->top_k, INFINITY, &all, max);
    if (o->typical < 1) {
        n = keep_typical(c, n, max, o->typical);
        /* The most probable token need not be typical: later filters measure against the best that is left. */
        max = -INFINITY;
        for (uint32_t i = 0; i < n; i++) max = c[i].logit > max ? c[i].logit : max;
    }
    if (o->top_k != 0 || o->top_p < 1 || o->min_p > 0 || o->typical < 1)
        n = keep_best(c, n, o->top_k != 0 ? o->top_k : n, o->top_p < 1 ? mass(c, n, max) : INFINITY, o, max);
    probabilities(c, n, max, o->temperature);
    *n_out = n;
    return c;
}

int32_t pare_sampler_next(struct pare_sampler *s, const float *logits, const int32_t *history, size_t n, uint64_t pos)
{
    uint32_t                     k;
    const struct pare_candidate *c = pare_sampler_candidates(s, logits, history, n, &k);
    double                       u, sum = 0;

    if (k == 0) return -1;
    if (k == 1) return c[0].id;
    u = pare_rng_f64(s->s.seed, PARE_RNG_SAMPLE, pos);
    for (uint32_t i = 0; i < k; i++) {
        sum += (double)c[i].p;
        if (u < sum) return c[i].id;
    }
    /* Rounding left the sum a little below u: the last token that has any probability. */
    while (k > 1 && c[k - 1].p == 0) k--;
    return c[k - 1].id;
}
