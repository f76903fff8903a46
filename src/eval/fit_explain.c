/* SPDX-License-Identifier: Apache-2.0
 * src/eval/fit_explain.c: why each tensor got what it got. A plan of least loss under a budget for bytes behaves as if a byte had a price:
 * the loss that the last bytes buy. At that price the second best option of each tensor, and what taking it would have cost, are told. */
#include <math.h>

#include "base/mem.h"
#include "eval/fit.h"

static double value(const struct pare_candidate *c, double price) { return c->loss + price * (double)c->bytes; }

/* How much the picks lose against the best options at a price, in all: convex in the price, 0 where the plan is what the price asks for. */
static double regret(const struct pare_fit *f, double price)
{
    double sum = 0;

    for (uint32_t i = 0; i < f->ts.n; i++) {
        const struct pare_target *t = &f->ts.t[i];
        double                    best = value(&t->cand[f->pick[i]], price), mine = best;

        for (uint32_t c = 0; c < t->n_cand; c++) best = fmin(best, value(&t->cand[c], price));
        sum += mine - best;
    }
    return sum;
}

/* Search on a logarithmic scale: prices lie between nothing and a nat a byte. */
double pare_fit_price(const struct pare_fit *f)
{
    double lo = -35, hi = 0;

    for (int k = 0; k < 80; k++) {
        double a = lo + (hi - lo) / 3, b = hi - (hi - lo) / 3;
        if (regret(f, exp2(a)) <= regret(f, exp2(b))) hi = b;
        else lo = a;
    }
    return exp2((lo + hi) / 2);
}

bool pare_fit_runner_up(const struct pare_fit *f, uint32_t i, double price, struct pare_fit_second *out)
{
    const struct pare_target    *t = &f->ts.t[i];
    const struct pare_candidate *mine = &t->cand[f->pick[i]], *best = NULL;

    for (uint32_t c = 0; c < t->n_cand; c++)
        if (c != f->pick[i] && (best == NULL || value(&t->cand[c], price) < value(best, price))) best = &t->cand[c];
    if (best == NULL) return false;
    *out = (struct pare_fit_second){ best->type->name, best->bytes, best->loss, value(best, price) - value(mine, price) };
    return true;
}

void pare_fit_explain_text(struct pare_buf *b, const json_t *plan)
{
    size_t        i;
    const json_t *e;

    pare_buf_str(b, "\n  tensor                           type     method       loss   runner-up     its loss  extra bytes   would cost\n");
    json_array_foreach(plan, i, e) {
        const json_t *s = json_object_get(e, "runner_up");
        pare_buf_printf(b, "  %-32s %-8s %-6s %10.3g", json_string_value(json_object_get(e, "tensor")), json_string_value(json_object_get(e, "type")),
                        json_string_value(json_object_get(e, "method")), json_number_value(json_object_get(e, "loss")));
        if (s != NULL)
            pare_buf_printf(b, "   %-8s %12.3g %12lld %12.3g", json_string_value(json_object_get(s, "type")), json_number_value(json_object_get(s, "loss")),
                            (long long)json_integer_value(json_object_get(s, "bytes")) - (long long)json_integer_value(json_object_get(e, "bytes")),
                            json_number_value(json_object_get(s, "cost")));
        pare_buf_str(b, "\n");
    }
    pare_buf_str(b, "  (losses in nats a token, each by itself; \"would cost\": extra loss of the plan at the same size)\n");
}
