/* SPDX-License-Identifier: Apache-2.0
 * src/eval/synthetic.h: a checkpoint of a given shape with random weights in memory, for speed measurements without a file. */
#ifndef PARE_EVAL_SYNTHETIC_H
#define PARE_EVAL_SYNTHETIC_H

#include "format/checkpoint.h"

/* shape: a name of shapes[] in synthetic.c. All matrices have the given type, vectors are f32. Quantized tensors of equal width share
 * their source rows (packing copies them); float tensors have memory of their own. Free with pare_synthetic_free. */
int  pare_synthetic_create(struct pare_checkpoint **out, const char *shape, const struct pare_dtype *type, struct pare_diag *diag);
void pare_synthetic_free(struct pare_checkpoint **c);

#endif
