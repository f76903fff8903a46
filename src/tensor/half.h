/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/half.h: half precision by the row; one number at a time is in dtype.h. */
#ifndef PARE_TENSOR_HALF_H
#define PARE_TENSOR_HALF_H

#include <stdint.h>

/* pare_f16_row decodes n little-endian halves at src (any alignment), the same bits as pare_f16_to_f32. */
void pare_f16_row(float *dst, const void *src, uint64_t n);

#endif
