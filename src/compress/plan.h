/* SPDX-License-Identifier: Apache-2.0
 * src/compress/plan.h: the plan as a text document (docs/plan-format.md): canonical JSON, for each tensor the method and its
 * option. Made by the solver or by hand, executed by the rewriter, stored in the output, replayed to identical bytes. */
#ifndef PARE_COMPRESS_PLAN_H
#define PARE_COMPRESS_PLAN_H

#include <jansson.h>

#include "compress/target.h"

struct pare_plan_source {
    uint64_t fingerprint;      /* of the original checkpoint */
    uint64_t text_hash;        /* of the calibration token ids */
    uint32_t windows, window_len;
    uint64_t seed;
};

/* The method by which candidate c of a target is carried out. */
const char *pare_plan_method(const struct pare_target *t, uint32_t c);

/* The document of pick[] (candidate of each target). budgets may be NULL, else an object that is stored as it is. */
json_t *pare_plan_make(const struct pare_targets *ts, const uint32_t *pick, const struct pare_plan_source *src, json_t *budgets);
/* Reads a plan: fills pick. Every target must be named once, with a type that is among its candidates; foreign names are errors.
 * src is filled; 0 where the plan says nothing. The losses that the plan tells go into the picked candidates. */
int pare_plan_read(const json_t *plan, struct pare_targets *ts, uint32_t *pick, struct pare_plan_source *src, struct pare_diag *diag);

/* Hash of a checkpoint's names, shapes, types and the first bytes of each tensor: tells two originals apart without reading them
 * whole. */
uint64_t pare_checkpoint_fingerprint(const struct pare_checkpoint *c);

#endif
