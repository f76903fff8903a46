/* SPDX-License-Identifier: Apache-2.0
 * src/compress/method.h: the registry: one const row a method, listed in method_list.h. `pare methods`, docs/coverage.md, the help and
 * the tests are generated from it. */
#ifndef PARE_COMPRESS_METHOD_H
#define PARE_COMPRESS_METHOD_H

#include <stdbool.h>
#include <stddef.h>

enum pare_method_stage { PARE_STAGE_OBSERVE, PARE_STAGE_PLAN, PARE_STAGE_ROUND, PARE_STAGE_RUN, PARE_STAGE_MEASURE };

struct pare_method_option {
    const char *name, *type, *range, *dflt, *help;
};
struct pare_method {
    const char *id;          /* as in plans and --methods; never reused */
    const char *module;      /* the house's room and file that carries it out */
    const char *title;       /* one sentence */
    const char *source;      /* paper or specification */
    enum pare_method_stage stage;
    const char *guarantee;   /* "lossless", "bounded", "trained" */
    const char *neutral;     /* the setting at which the result equals the plain run exactly */
    const char *tested;      /* where neutral setting and acceptance are tested */
    const char *acceptance;  /* what the acceptance test asserts, against which baseline; NULL: the neutral test is all there is */
    const char *measured;    /* figures of that test as last run, with the model or machine they belong to; NULL with acceptance */
    const struct pare_method_option *options;
    size_t n_options;
};
#define PARE_OPTIONS(a) .options = a, .n_options = sizeof a / sizeof *a

const struct pare_method *const *pare_methods(size_t *n);

/* Whether a comma-separated list of methods and types (NULL: everything) lets the method id be used: it names it, or names no method of
 * the same stage at all. */
bool pare_method_allowed(const char *list, const char *id);
/* PARE_E_USAGE for a name that is neither a method nor a type. */
struct pare_diag;
int pare_methods_check(const char *list, struct pare_diag *diag);

/* Every row of method_list.h, wherever it stands. */
#define METHOD(id) extern const struct pare_method pare_method_##id;
#include "compress/method_list.h"
#undef METHOD

#endif
