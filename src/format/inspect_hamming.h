/* SPDX-License-Identifier: Apache-2.0
 * src/format/inspect_hamming.h: the share of one bits that the matrices of a checkpoint would have as 8-bit weights. */
#ifndef PARE_FORMAT_INSPECT_HAMMING_H
#define PARE_FORMAT_INSPECT_HAMMING_H

#include <pare/job.h>

#include "format/checkpoint.h"

/* pare_hamming_report returns {"delta", "rate", "shifted", "held", "tensors": [{"name", "rate", "shifted", "held"}]} in *out
 * (json_decref): every matrix rounded to 8 bits with one scale, its share of one bits, the same after every code was raised by
 * delta, and how many codes that would have left their range. Values that are not finite count as 0. job may be NULL. */
int pare_hamming_report(json_t **out, const struct pare_checkpoint *c, struct pare_job *job, struct pare_diag *diag);

#endif
