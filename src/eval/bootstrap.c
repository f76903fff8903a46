/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/bootstrap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"

void pare_window_add(struct pare_window_sum *w, const struct pare_score *s)
{
    w->n++;
    w->same += s->same_top;
    w->nll += s->nll;
    w->nll_base += s->nll_base;
    w->kld += s->kld;
}

enum { NLL, PPL, RATIO, KLD, TOP1, KINDS };

static void figures(double v[KINDS], const struct pare_window_sum *s)
{
    double n = (double)s->n;

    v[NLL] = s->nll / n;
    v[PPL] = pare_exp(v[NLL]);
    v[RATIO] = (s->nll - s->nll_base) / n;
    v[KLD] = s->kld / n;
    v[TOP1] = (double)s->same / n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Sorts x. The error is the spread of the draws around their own mean. */
static struct pare_interval interval(double *x, uint32_t n)
{
    double sum = 0, sq = 0;

    for (uint32_t i = 0; i < n; i++) sum += x[i];
    for (uint32_t i = 0; i < n; i++) sq += (x[i] - sum / n) * (x[i] - sum / n);
    qsort(x, n, sizeof *x, by_value);
    return (struct pare_interval){ n > 1 ? sqrt(sq / (n - 1)) : 0, x[n / 40], x[n - 1 - n / 40] };
}

static void draw(struct pare_window_sum *s, const struct pare_window_sum *w, uint32_t n, uint64_t seed, uint64_t round)
{
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < n; i++) {
        const struct pare_window_sum *p = &w[pare_rng_u64(seed, PARE_RNG_BOOT, round * n + i) % n];

        s->n += p->n;
        s->same += p->same;
        s->nll += p->nll;
        s->nll_base += p->nll_base;
        s->kld += p->kld;
    }
}

int pare_bootstrap(struct pare_boot *out, const struct pare_window_sum *w, uint32_t n, uint32_t rounds, uint64_t seed, struct pare_diag *diag)
{
    double  *x;
    uint32_t kept = 0;

    memset(out, 0, sizeof *out);
    if (rounds == 0) rounds = 1000;
    x = pare_alloc_array((uint64_t)rounds * KINDS, sizeof *x);
    if (x == NULL) return PARE_NOMEM(diag);
    for (uint32_t r = 0; r < rounds; r++) {
        struct pare_window_sum s;
        double                 v[KINDS];

        draw(&s, w, n, seed, r);
        if (s.n == 0) continue; /* windows without a token only */
        figures(v, &s);
        for (int k = 0; k < KINDS; k++) x[(uint64_t)k * rounds + kept] = v[k];
        kept++;
    }
    if (kept > 0) {
        struct pare_interval *to[KINDS] = { &out->nll, &out->ppl, &out->ln_ratio, &out->kld, &out->top1 };

        for (int k = 0; k < KINDS; k++) *to[k] = interval(x + (uint64_t)k * rounds, kept);
        out->rounds = kept;
    }
    pare_free(x);
    PARE_FAIL_IF(diag, kept == 0, PARE_E_USAGE, "no window has a scored token");
    return PARE_OK;
}

static void add(json_t *o, const char *name, const struct pare_interval *i)
{
    char key[40];

    snprintf(key, sizeof key, "%s_se", name);
    json_object_set_new(o, key, json_real(i->se));
    snprintf(key, sizeof key, "%s_95", name);
    json_object_set_new(o, key, json_pack("[f,f]", i->lo, i->hi));
}

json_t *pare_boot_json(const struct pare_boot *b, bool base)
{
    json_t *o = json_object();

    json_object_set_new(o, "rounds", json_integer(b->rounds));
    add(o, "nll", &b->nll);
    add(o, "ppl", &b->ppl);
    if (!base) return o;
    add(o, "ln_ppl_ratio", &b->ln_ratio);
    add(o, "kld", &b->kld);
    add(o, "top1", &b->top1);
    return o;
}
