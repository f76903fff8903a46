/* SPDX-License-Identifier: Apache-2.0
 * src/format/inspect_check.h: reading all data of a checkpoint to find values that are no numbers. */
#ifndef PARE_FORMAT_INSPECT_CHECK_H
#define PARE_FORMAT_INSPECT_CHECK_H

#include <pare/job.h>

#include "format/checkpoint.h"

/* pare_check_data returns {"nan": N, "inf": N, "bad_tensors": [names]} in *out (json_decref). job may be NULL. */
int pare_check_data(json_t **out, const struct pare_checkpoint *c, struct pare_job *job, struct pare_diag *diag);

#endif
