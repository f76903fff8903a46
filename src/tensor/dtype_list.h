/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/dtype_list.h: the one list of storage formats: X(the PARE_ constant, the row pare_dt_NAME).
 * A new format is one row in a type_*.c file, one constant in dtype.h and one line here. */
#ifndef PARE_TENSOR_DTYPE_LIST_H
#define PARE_TENSOR_DTYPE_LIST_H

#include "tensor/dtype.h"

#define PARE_DTYPE_LIST(X)                                                                                             \
    X(F32, f32) X(F16, f16) X(BF16, bf16) X(F64, f64)                                                                  \
    X(I8, i8) X(I16, i16) X(I32, i32) X(I64, i64) X(U8, u8) X(BOOL, bool)                                              \
    X(Q4_0, q4_0) X(Q4_1, q4_1) X(Q5_0, q5_0) X(Q5_1, q5_1) X(Q8_0, q8_0) X(Q8_1, q8_1)                                \
    X(Q2_K, q2_k) X(Q3_K, q3_k) X(Q4_K, q4_k) X(Q5_K, q5_k) X(Q6_K, q6_k) X(Q8_K, q8_k)                                \
    X(IQ1_S, iq1_s) X(IQ1_M, iq1_m) X(IQ2_XXS, iq2_xxs) X(IQ2_XS, iq2_xs) X(IQ2_S, iq2_s)                              \
    X(IQ3_XXS, iq3_xxs) X(IQ3_S, iq3_s) X(IQ4_NL, iq4_nl) X(IQ4_XS, iq4_xs)                                            \
    X(TQ1_0, tq1_0) X(TQ2_0, tq2_0) X(MXFP4, mxfp4)                                                                    \
    X(PQ2, pq2) X(PQ2H, pq2h) X(PQ3, pq3) X(PQ3H, pq3h) X(PQ4, pq4) X(PQ5, pq5) X(PQ6, pq6)                         \
    X(TC2, tc2) X(TC3, tc3) X(TC4, tc4)

#define PARE_DTYPE_EXTERN(id, name) extern const struct pare_dtype pare_dt_##name;
PARE_DTYPE_LIST(PARE_DTYPE_EXTERN)
#undef PARE_DTYPE_EXTERN

#endif
