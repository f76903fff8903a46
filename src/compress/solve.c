/* SPDX-License-Identifier: Apache-2.0
 * How it works. For multipliers u >= 0 the relaxed problem min sum_i min_o (loss + u.weight) - u.limit falls apart into units
 * and is a lower bound L(u). The bisection (one limit) or the projected subgradient (several) finds good multipliers and, on
 * the way, feasible picks; a greedy pass improves the best one. Then states (partial picks) are extended unit by unit; a state
 * survives when it is not dominated and when loss + u.weight + rest(u) - u.limit is below the best loss known. The gap between
 * bound and incumbent is tiny for tables of this kind, so few states survive and the result is exact. */
#include "compress/solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"

struct state {
    double   loss;
    double   weight[PARE_MAX_LIMITS];
    uint32_t parent; /* index in the previous level's kept states */
    uint32_t pick;
};

struct work {
    const struct pare_problem *p;
    double    u[PARE_MAX_LIMITS];
    double    bound;             /* best L(u) seen, at multipliers u */
    uint32_t *pick, *best;       /* [n_units] */
    double    best_loss;
    double   *rest;              /* [n_units + 1] sum over units >= i of min_o (loss + u.weight) */
    double   *rest_w[PARE_MAX_LIMITS]; /* [n_units + 1] least weight that units >= i need */
};

static double reduced(const struct pare_problem *p, const struct pare_option *o, const double *u)
{
    double c = o->loss;

    for (uint32_t k = 0; k < p->n_limits; k++) c += u[k] * o->weight[k];
    return c;
}

/* The relaxed solution at u in pick, its weights in used; returns L(u). Ties take the lighter option. */
static double relax(const struct pare_problem *p, const double *u, uint32_t *pick, double *used, double *loss)
{
    double sum = 0;

    *loss = 0;
    for (uint32_t k = 0; k < p->n_limits; k++) used[k] = 0;
    for (uint32_t i = 0; i < p->n_units; i++) {
        const struct pare_choice *c = &p->unit[i];
        uint32_t                  b = 0;
        double                    cb = reduced(p, &c->option[0], u);
        for (uint32_t o = 1; o < c->n; o++) {
            double co = reduced(p, &c->option[o], u);
            if (co < cb || (co == cb && c->option[o].weight[0] < c->option[b].weight[0])) {
                b = o;
                cb = co;
            }
        }
        pick[i] = b;
        sum += cb;
        *loss += c->option[b].loss;
        for (uint32_t k = 0; k < p->n_limits; k++) used[k] += c->option[b].weight[k];
    }
    for (uint32_t k = 0; k < p->n_limits; k++) sum -= u[k] * p->limit[k];
    return sum;
}

static bool fits(const struct pare_problem *p, const double *used)
{
    for (uint32_t k = 0; k < p->n_limits; k++)
        if (used[k] > p->limit[k]) return false;
    return true;
}

/* Exact sums in written order: what feasibility and the answer are judged by. */
static double total(const struct pare_problem *p, const uint32_t *pick, double *used)
{
    double loss = 0;

    for (uint32_t k = 0; k < p->n_limits; k++) used[k] = 0;
    for (uint32_t i = 0; i < p->n_units; i++) {
        const struct pare_option *o = &p->unit[i].option[pick[i]];
        loss += o->loss;
        for (uint32_t k = 0; k < p->n_limits; k++) used[k] += o->weight[k];
    }
    return loss;
}

static void offer(struct work *w, const uint32_t *pick)
{
    double used[PARE_MAX_LIMITS], loss = total(w->p, pick, used);

    if (!fits(w->p, used) || !(loss < w->best_loss)) return;
    w->best_loss = loss;
    memcpy(w->best, pick, w->p->n_units * sizeof *pick);
}

/* From a feasible pick: take, again and again, the single change with the most loss saved per relative weight that still fits. */
static void improve(struct work *w, uint32_t *pick)
{
    const struct pare_problem *p = w->p;
    double used[PARE_MAX_LIMITS];

    (void)total(p, pick, used);
    for (uint32_t round = 0; round < 4 * p->n_units + 16; round++) {
        double   best_rate = 0;
        uint32_t bi = UINT32_MAX, bo = 0;
        for (uint32_t i = 0; i < p->n_units; i++) {
            const struct pare_option *cur = &p->unit[i].option[pick[i]];
            for (uint32_t o = 0; o < p->unit[i].n; o++) {
                const struct pare_option *c = &p->unit[i].option[o];
                double gain = cur->loss - c->loss, cost = 1e-12;
                bool   ok = gain > 0;
                for (uint32_t k = 0; k < p->n_limits && ok; k++) {
                    double d = c->weight[k] - cur->weight[k];
                    ok = used[k] + d <= p->limit[k];
                    if (d > 0 && p->limit[k] > 0) cost += d / p->limit[k];
                }
                if (ok && gain / cost > best_rate) {
                    best_rate = gain / cost;
                    bi = i;
                    bo = o;
                }
            }
        }
        if (bi == UINT32_MAX) break;
        for (uint32_t k = 0; k < p->n_limits; k++)
            used[k] += p->unit[bi].option[bo].weight[k] - p->unit[bi].option[pick[bi]].weight[k];
        pick[bi] = bo;
    }
    offer(w, pick);
}

/* Looks at multipliers u: keeps the best bound, offers the pick when it fits. Returns the weights used. */
static void probe(struct work *w, const double *u, double *used)
{
    double loss, bound = relax(w->p, u, w->pick, used, &loss);

    if (bound > w->bound) {
        w->bound = bound;
        memcpy(w->u, u, sizeof w->u);
    }
    if (fits(w->p, used)) improve(w, w->pick);
}

/* One limit: the weight used falls as u grows; bisect on the border between too heavy and feasible. */
static void multiplier_bisect(struct work *w)
{
    double u[PARE_MAX_LIMITS] = { 0 }, used[PARE_MAX_LIMITS], lo = 0, hi = 1e-30;

    probe(w, u, used);
    if (fits(w->p, used)) return;
    for (int i = 0; i < 400; i++, hi *= 4) {
        u[0] = hi;
        probe(w, u, used);
        if (fits(w->p, used)) break;
        lo = hi;
    }
    for (int i = 0; i < 200; i++) {
        double mid = lo > 0 ? sqrt(lo) * sqrt(hi) : hi / 4;
        if (!(mid > lo) || !(mid < hi)) break;
        u[0] = mid;
        probe(w, u, used);
        if (fits(w->p, used))
            hi = mid;
        else
            lo = mid;
    }
}

/* Several limits: coordinate bisection from the last multipliers, a few sweeps; each coordinate's border is as with one limit. */
static void multiplier_sweeps(struct work *w)
{
    const struct pare_problem *p = w->p;
    double u[PARE_MAX_LIMITS] = { 0 }, used[PARE_MAX_LIMITS];

    probe(w, u, used);
    for (int sweep = 0; sweep < 12; sweep++) {
        for (uint32_t k = 0; k < p->n_limits; k++) {
            double lo = 0, hi = 1e-30;
            u[k] = 0;
            probe(w, u, used);
            if (used[k] <= p->limit[k]) continue;
            for (int i = 0; i < 400; i++, hi *= 4) {
                u[k] = hi;
                probe(w, u, used);
                if (used[k] <= p->limit[k]) break;
                lo = hi;
            }
            for (int i = 0; i < 60; i++) {
                u[k] = lo > 0 ? sqrt(lo) * sqrt(hi) : hi / 4;
                probe(w, u, used);
                if (used[k] <= p->limit[k])
                    hi = u[k];
                else
                    lo = u[k];
            }
            u[k] = hi;
        }
    }
}

static int least(const struct pare_problem *p, struct pare_diag *diag)
{
    for (uint32_t k = 0; k < p->n_limits; k++) {
        double sum = 0;
        for (uint32_t i = 0; i < p->n_units; i++) {
            double m = p->unit[i].option[0].weight[k];
            for (uint32_t o = 1; o < p->unit[i].n; o++)
                if (p->unit[i].option[o].weight[k] < m) m = p->unit[i].option[o].weight[k];
            sum += m;
        }
        PARE_FAIL_IF(diag, sum > p->limit[k], PARE_E_BUDGET,
                     "the %s budget of %.10g %s cannot be reached: the least possible is %.10g %s", p->limit_name[k],
                     p->limit[k], p->limit_unit[k], sum, p->limit_unit[k]);
    }
    return PARE_OK;
}

static int by_weight_then_loss(const void *a, const void *b)
{
    const struct state *x = a, *y = b;

    for (int k = 0; k < PARE_MAX_LIMITS; k++)
        if (x->weight[k] != y->weight[k]) return x->weight[k] < y->weight[k] ? -1 : 1;
    if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
    if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
    return x->pick < y->pick ? -1 : x->pick > y->pick;
}

/* Removes dominated states. One limit: one pass in order of weight. Several: against the last kept ones, a bounded look back,
 * which keeps too many rather than too few. */
static uint64_t undominated(struct state *s, uint64_t n, uint32_t n_limits)
{
    uint64_t kept = 0;

    qsort(s, n, sizeof *s, by_weight_then_loss);
    for (uint64_t i = 0; i < n; i++) {
        bool     bad = false;
        uint64_t back = n_limits == 1 ? 1 : 64;
        for (uint64_t j = kept; j > 0 && kept - j < back && !bad; j--) {
            bad = s[j - 1].loss <= s[i].loss;
            for (uint32_t k = 0; k < n_limits && bad; k++) bad = s[j - 1].weight[k] <= s[i].weight[k];
        }
        if (!bad) s[kept++] = s[i];
    }
    return kept;
}

/* Only the newest level needs its sums; of the others the way back is enough. */
struct back {
    uint32_t parent, pick;
};
struct level {
    struct state *s;
    struct back  *back;
    uint64_t      n;
};

/* Extends the kept states by unit i. Returns the number written to out, or UINT64_MAX when it would exceed max. */
static uint64_t extend(const struct work *w, const struct level *from, uint32_t i, struct state *out, uint64_t max, double cut)
{
    const struct pare_problem *p = w->p;
    uint64_t n = 0;
    double   u_limit = 0;

    for (uint32_t k = 0; k < p->n_limits; k++) u_limit += w->u[k] * p->limit[k];
    for (uint64_t j = 0; j < from->n; j++) {
        for (uint32_t o = 0; o < p->unit[i].n; o++) {
            const struct pare_option *opt = &p->unit[i].option[o];
            struct state t = { .loss = from->s[j].loss + opt->loss, .parent = (uint32_t)j, .pick = o };
            double       b = t.loss + w->rest[i + 1] - u_limit;
            bool         ok = true;
            for (uint32_t k = 0; k < p->n_limits; k++) {
                t.weight[k] = from->s[j].weight[k] + opt->weight[k];
                b += w->u[k] * t.weight[k];
                ok = ok && t.weight[k] + w->rest_w[k][i + 1] <= p->limit[k];
            }
            if (!ok || b >= cut) continue;
            if (n == max) return UINT64_MAX;
            out[n++] = t;
        }
    }
    return n;
}

static void suffix_sums(struct work *w)
{
    const struct pare_problem *p = w->p;

    for (uint32_t i = p->n_units; i-- > 0;) {
        const struct pare_choice *c = &p->unit[i];
        double m = reduced(p, &c->option[0], w->u);
        for (uint32_t o = 1; o < c->n; o++) {
            double r = reduced(p, &c->option[o], w->u);
            if (r < m) m = r;
        }
        w->rest[i] = w->rest[i + 1] + m;
        for (uint32_t k = 0; k < p->n_limits; k++) {
            double l = c->option[0].weight[k];
            for (uint32_t o = 1; o < c->n; o++)
                if (c->option[o].weight[k] < l) l = c->option[o].weight[k];
            w->rest_w[k][i] = w->rest_w[k][i + 1] + l;
        }
    }
}

/* The exact finish. Returns 1 when the optimum is proven, 0 when there were too many states, negative on error. */
static int search(struct work *w, uint64_t max, uint64_t *states, struct pare_diag *diag)
{
    const struct pare_problem *p = w->p;
    struct level *lv = pare_zalloc((size_t)p->n_units + 1, sizeof *lv);
    struct state *buf = NULL;
    uint64_t      cap = 1u << 16;
    double        cut;
    int           rc = 1;

    if (lv == NULL) return PARE_NOMEM(diag);
    suffix_sums(w);
    cut = w->best_loss * (1 - 1e-13); /* only states that can still become strictly better */
    lv[0].s = pare_zalloc(1, sizeof *buf);
    lv[0].n = 1;
    buf = pare_alloc_array(cap, sizeof *buf);
    if (lv[0].s == NULL || buf == NULL) rc = PARE_NOMEM(diag);
    for (uint32_t i = 0; i < p->n_units && rc == 1; i++) {
        uint64_t n;
        while ((n = extend(w, &lv[i], i, buf, cap, cut)) == UINT64_MAX && cap < max) {
            pare_free(buf);
            cap = cap * 2 < max ? cap * 2 : max;
            buf = pare_alloc_array(cap, sizeof *buf);
            if (buf == NULL) break;
        }
        if (buf == NULL || n == UINT64_MAX) {
            rc = 0; /* not an error: the incumbent and its gap are the answer */
            break;
        }
        n = undominated(buf, n, p->n_limits);
        *states += n;
        lv[i + 1].n = n;
        lv[i + 1].s = pare_alloc_array(n ? n : 1, sizeof *buf);
        lv[i + 1].back = pare_alloc_array(n ? n : 1, sizeof *lv[i + 1].back);
        if (lv[i + 1].s == NULL || lv[i + 1].back == NULL) {
            rc = PARE_NOMEM(diag);
            break;
        }
        memcpy(lv[i + 1].s, buf, n * sizeof *buf);
        for (uint64_t j = 0; j < n; j++) lv[i + 1].back[j] = (struct back){ buf[j].parent, buf[j].pick };
        pare_free(lv[i].s);
        lv[i].s = NULL;
    }
    if (rc == 1 && lv[p->n_units].n != 0) { /* something better than the incumbent exists: walk back from the least loss */
        const struct level *end = &lv[p->n_units];
        uint64_t            b = 0, at;
        for (uint64_t j = 1; j < end->n; j++)
            if (end->s[j].loss < end->s[b].loss) b = j;
        at = b;
        for (uint32_t i = p->n_units; i-- > 0;) {
            w->pick[i] = lv[i + 1].back[at].pick;
            at = lv[i + 1].back[at].parent;
        }
        offer(w, w->pick);
    }
    for (uint32_t i = 0; i <= p->n_units; i++) {
        pare_free(lv[i].s);
        pare_free(lv[i].back);
    }
    pare_free(lv);
    pare_free(buf);
    return rc;
}

int pare_solve(struct pare_solution *out, const struct pare_problem *p, struct pare_diag *diag)
{
    struct work w = { .p = p, .bound = -INFINITY, .best_loss = INFINITY };
    int         rc;

    memset(out, 0, sizeof *out);
    PARE_USAGE_CHECK(diag, p->n_limits >= 1 && p->n_limits <= PARE_MAX_LIMITS);
    PARE_FORWARD(least(p, diag));
    w.pick = pare_zalloc((size_t)p->n_units + 1, sizeof *w.pick);
    w.best = pare_zalloc((size_t)p->n_units + 1, sizeof *w.best);
    w.rest = pare_zalloc((size_t)p->n_units + 1, sizeof *w.rest);
    rc = w.pick == NULL || w.best == NULL || w.rest == NULL ? PARE_NOMEM(diag) : PARE_OK;
    for (uint32_t k = 0; k < p->n_limits; k++) {
        w.rest_w[k] = pare_zalloc((size_t)p->n_units + 1, sizeof(double));
        if (w.rest_w[k] == NULL) rc = PARE_NOMEM(diag);
    }
    if (rc < 0) goto done;
    if (p->n_limits == 1)
        multiplier_bisect(&w);
    else
        multiplier_sweeps(&w);
    rc = search(&w, p->max_states ? p->max_states : 4u << 20, &out->states, diag);
    if (rc < 0) goto done;
    out->exact = rc == 1;
    if (w.best_loss == INFINITY) {
        rc = PARE_ERR(diag, PARE_E_BUDGET, "the budgets cannot be met together: each alone is possible, no choice satisfies all of them%s",
                      out->exact ? "" : " (search stopped at its limit)");
        goto done;
    }
    out->loss = total(p, w.best, out->used);
    out->bound = out->exact ? out->loss : w.bound;
    out->pick = w.best;
    w.best = NULL;
    rc = PARE_OK;
done:
    pare_free(w.pick);
    pare_free(w.best);
    pare_free(w.rest);
    for (uint32_t k = 0; k < PARE_MAX_LIMITS; k++) pare_free(w.rest_w[k]);
    return rc;
}
