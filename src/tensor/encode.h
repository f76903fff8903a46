/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/encode.h: the encoders of the writable storage formats, one function a format (src/tensor/enc_*.c).
 * They are reached through the rows of dtype.h; nothing else calls them by name except their own tests. */
#ifndef PARE_TENSOR_ENCODE_H
#define PARE_TENSOR_ENCODE_H

#include <stdint.h>

/*
 * Each writes one row of cols weights at dst, of exactly pare_dtype_row_bytes(type, cols) bytes. cols suits the type (a
 * multiple of its block, or any number for the types of our own). dst and src may not overlap; dst needs no alignment.
 * src holds finite numbers. importance: [cols] non-negative weights of the squared error, or NULL for all equal.
 * Deterministic and the same bytes on every machine; cannot fail.
 */
void pare_encode_f16(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_bf16(void *dst, const float *src, uint64_t cols, const float *importance);

void pare_encode_q4_0(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_q4_1(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_q5_0(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_q5_1(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_q8_0(void *dst, const float *src, uint64_t cols, const float *importance);

void pare_encode_q2_k(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_q3_k(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_q4_k(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_q5_k(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_q6_k(void *dst, const float *src, uint64_t cols, const float *importance);

void pare_encode_iq4_nl(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_iq4_xs(void *dst, const float *src, uint64_t cols, const float *importance);

void pare_encode_pq2(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_pq2h(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_pq3(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_pq3h(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_pq4(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_pq5(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_pq6(void *dst, const float *src, uint64_t cols, const float *importance);

void pare_encode_tc2(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_tc3(void *dst, const float *src, uint64_t cols, const float *importance);
void pare_encode_tc4(void *dst, const float *src, uint64_t cols, const float *importance);
#endif
