/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/dtype_list.h: the one list of storage formats: X(the PARE_ constant, the row pare_dt_NAME).
 * A new format is one row in a type_*.c file, one constant in dtype.h and one line here. */
#ifndef PARE_TENSOR_DTYPE_LIST_H
#define PARE_TENSOR_DTYPE_LIST_H

#include "tensor/dtype.h"

#define PARE_DTYPE_LIST(X)                                                                                             \
    X(F32, f32) X(F16, f16) X(BF16, bf16) X(F64, f64)                                                                  \
    X(I8, i8) X(I16, i16) X(I32, i32) X(I64, i64) X(U8, u8) X(BOOL, bool)                                              \
    X(Q4_0, q4_0) X(Q4_1, q4_1) X(Q5_0, q5_0) X(Q5_1, q5_1) X(Q8_0, q8_0) X(Q8_1, q8_1)

#define PARE_DTYPE_EXTERN(id, name) extern const struct pare_dtype pare_dt_##name;
PARE_DTYPE_LIST(PARE_DTYPE_EXTERN)
#undef PARE_DTYPE_EXTERN

#endif
