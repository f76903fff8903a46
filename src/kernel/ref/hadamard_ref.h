/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/hadamard_ref.h: the plain loops, which vector tiers use for runs shorter than a vector. */
#ifndef PARE_KERNEL_REF_HADAMARD_REF_H
#define PARE_KERNEL_REF_HADAMARD_REF_H

#include <pare/job.h>

#include "kernel/hadamard.h"

void pare_ref_walsh(float *y, const float *x, uint32_t p, uint64_t blocks, float scale);
void pare_ref_outer(float *y, const float *x, const float *t, uint32_t k, uint32_t p, float scale);

#endif
