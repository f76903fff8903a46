/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/unpacked.h: decoding by way of the integer view. Every quantized format of ours and of GGUF is
 *     value = (d * s) * lut[idx] - (dmin * m),
 * with d * s and dmin * m exact in f32, one rounding for the product and one for the difference: exactly the operations
 * of the reference decoders. So a format only says how its bytes become indices and scales (unpack), and the two views
 * cannot drift apart. */
#ifndef PARE_TENSOR_UNPACKED_H
#define PARE_TENSOR_UNPACKED_H

#include "tensor/dtype.h"

/* pare_decode_group writes n <= 32 values: dst[j] = dw * value(idx[j]) + mw, the last only for types with minima. */
void pare_decode_group(const struct pare_pack_traits *p, float *dst, const uint8_t *idx, unsigned n, float dw, float mw);

/* pare_decode_blocks decodes a row of whole blocks by way of t->unpack. t->block divides cols and 256. */
void pare_decode_blocks(const struct pare_dtype *t, float *dst, const void *src, uint64_t cols);

/* A row's decode function: static void decode_NAME(...). */
#define PARE_DECODE_BLOCKS(name)                                                                                       \
    static void decode_##name(float *dst, const void *src, uint64_t cols)                                              \
    {                                                                                                                  \
        pare_decode_blocks(&pare_dt_##name, dst, src, cols);                                                           \
    }

#endif
