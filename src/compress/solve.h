/* SPDX-License-Identifier: Apache-2.0
 * src/compress/solve.h: the budget solver. One option per unit, least total loss under one or several additive limits: the
 * multiple-choice knapsack problem (Kellerer, Pferschy, Pisinger: Knapsack Problems, ch. 11). Lagrangian start, exact dynamic
 * programming over undominated states with Lagrangian bounds as the finish. Deterministic: plain f64 in written order. */
#ifndef PARE_COMPRESS_SOLVE_H
#define PARE_COMPRESS_SOLVE_H

#include <pare/error.h>

#define PARE_MAX_LIMITS 5

struct pare_option {
    double loss;                     /* >= 0, additive */
    double weight[PARE_MAX_LIMITS];  /* >= 0: bytes, resident bytes, seconds, ...; additive */
};
struct pare_choice {
    const struct pare_option *option;
    uint32_t n; /* >= 1 */
};
struct pare_problem {
    const struct pare_choice *unit;
    uint32_t n_units;
    uint32_t n_limits;               /* 1..PARE_MAX_LIMITS */
    double   limit[PARE_MAX_LIMITS]; /* sum of weight[k] <= limit[k] */
    const char *limit_name[PARE_MAX_LIMITS]; /* for errors: "size", "ram", ... */
    const char *limit_unit[PARE_MAX_LIMITS]; /* "bytes", "seconds" */
    uint64_t max_states;             /* 0: 4 million; when the exact search needs more, the best found is returned with its gap */
};
struct pare_solution {
    uint32_t *pick;                  /* [n_units], option index; owned, free with pare_free */
    double    loss, bound;           /* total loss; proven lower bound of any solution's loss */
    double    used[PARE_MAX_LIMITS];
    bool      exact;                 /* loss is proven optimal */
    uint64_t  states;                /* states looked at */
};
/*
 * pare_solve finds the pick with the least loss. PARE_E_BUDGET when no pick satisfies the limits: the text names the limit and
 * the least value that any pick reaches. On failure out->pick is NULL.
 */
int pare_solve(struct pare_solution *out, const struct pare_problem *p, struct pare_diag *diag);

#endif
