/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/hamming.h: share of one bits in 8-bit weights, and the constant shift that lowers it (AIM, arXiv 2511.04321): a small
 * negative number has many ones in two's complement, the same number plus delta has few. */
#ifndef PARE_TENSOR_HAMMING_H
#define PARE_TENSOR_HAMMING_H

#include <stdint.h>

/* One bits of n bytes. */
uint64_t pare_hamming_ones(const int8_t *q, uint64_t n);
/* dst = q + delta, held to [-128, 127]; returns how many were held. dst may be q. */
uint64_t pare_hamming_shift(int8_t *dst, const int8_t *q, uint64_t n, int delta);
/* y[r] = sum over c of shifted[r][c] x[c], less delta * sum of x, in 64 bits: equal to the product with the original wherever no weight
 * of the row was held. */
void pare_hamming_product(int64_t *y, const int8_t *shifted, uint64_t rows, uint64_t cols, const int8_t *x, int delta);

#endif
