/* SPDX-License-Identifier: Apache-2.0
 * src/compress/method.h: the registry: one const row a method, listed in method_list.h. `pare methods`, docs/coverage.md, the help and
 * the tests are generated from it. */
#ifndef PARE_COMPRESS_METHOD_H
#define PARE_COMPRESS_METHOD_H

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
    const struct pare_method_option *options;
    size_t n_options;
};
const struct pare_method *const *pare_methods(size_t *n);

#endif
