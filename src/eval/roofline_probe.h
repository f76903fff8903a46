/* SPDX-License-Identifier: Apache-2.0
 * src/eval/roofline_probe.h: what the roofline needs to know of the machine it runs on, measured on it: reading speed at the size of
 * the model, the cost of one parallel region, and for each type of the model seconds a weight out of the cache. */
#ifndef PARE_EVAL_ROOFLINE_PROBE_H
#define PARE_EVAL_ROOFLINE_PROBE_H

#include "base/job.h"
#include "base/json.h"
#include "eval/roofline.h"

/* limits: as measured by pare_measure_limits. About half a second a type. */
int pare_roof_probe(struct pare_roof_machine *m, const struct pare_roof_shape *s, const struct pare_limits *limits, enum pare_type kv,
                    struct pare_job *job, struct pare_diag *diag);
/* Seconds a weight of one type for each of pare_roof_columns, the least of several rounds of a matrix that stays in the cache. */
int pare_roof_probe_type(struct pare_roof_cost *c, struct pare_job *job, struct pare_diag *diag);

/* {"machine":{...}, "ops":[...], "decode":{...}, "prefill":{...}, "crossover_batch"} for a document; owned by the caller. */
json_t *pare_roof_json(const struct pare_roof_machine *m, const struct pare_roof_shape *s, const struct pare_roof_work *decode,
                       const struct pare_roof_work *prefill);

#endif
