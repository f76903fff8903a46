/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/hamming.h"

uint64_t pare_hamming_ones(const int8_t *q, uint64_t n)
{
    uint64_t ones = 0;

    for (uint64_t i = 0; i < n; i++) ones += (uint64_t)__builtin_popcount((uint8_t)q[i]);
    return ones;
}

uint64_t pare_hamming_shift(int8_t *dst, const int8_t *q, uint64_t n, int delta)
{
    uint64_t held = 0;

    for (uint64_t i = 0; i < n; i++) {
        int v = q[i] + delta, in = v < INT8_MIN ? INT8_MIN : v > INT8_MAX ? INT8_MAX : v;

        held += v != in;
        dst[i] = (int8_t)in;
    }
    return held;
}

void pare_hamming_product(int64_t *y, const int8_t *shifted, uint64_t rows, uint64_t cols, const int8_t *x, int delta)
{
    int64_t sum = 0;

    for (uint64_t c = 0; c < cols; c++) sum += x[c];
    for (uint64_t r = 0; r < rows; r++) {
        int64_t dot = 0;

        for (uint64_t c = 0; c < cols; c++) dot += shifted[r * cols + c] * x[c];
        y[r] = dot - delta * sum;
    }
}
