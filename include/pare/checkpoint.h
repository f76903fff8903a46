/* SPDX-License-Identifier: Apache-2.0
 * include/pare/checkpoint.h: looking into a model file without running it. */
#ifndef PARE_CHECKPOINT_H
#define PARE_CHECKPOINT_H

#include <pare/common.h>
#include <pare/error.h>
#include <pare/job.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * pare_inspect describes a model file or folder as a JSON document:
 *
 *     {"format", "arch", "params", "bytes", "data_bytes", "files": [], "metadata": {},
 *      "tensors": [{"name", "type", "shape": [], "offset", "bytes"}]}
 *
 * bytes is the size of all files together, data_bytes that of the tensors. Shapes have the contiguous dimension last; offset
 * counts from the beginning of the file, "file" names it by its number in "files" when there are several. Arrays of more than
 * 16 elements in the metadata are shortened to {"array": TYPE, "count": N, "first": [..]}.
 *
 * what: 0, or a sum of
 *   PARE_INSPECT_CHECK: all tensor data is read as well, and a member "check": {"nan", "inf", "bad_tensors": []} counts values that
 *     are not numbers or infinite and names the tensors that hold some;
 *   PARE_INSPECT_HAMMING: a member "hamming": {"delta", "rate", "shifted", "held", "tensors": [{"name", "rate", "shifted", "held"}]}:
 *     the share of one bits of every matrix rounded to 8 bits with one scale, and after its codes were raised by delta.
 *
 * On success *json_out is text that the caller releases with pare_free(); on failure it is NULL. job may be NULL; with one,
 * its threads share the reading and cancelling it stops. @return 0 or a negative enum pare_error. Since 0.1.
 */
enum pare_inspect_what { PARE_INSPECT_CHECK = 1, PARE_INSPECT_HAMMING = 2 };
PARE_API int pare_inspect(const char *path, unsigned what, char **json_out, struct pare_job *job, struct pare_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
