/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_lanes.h: arithmetic shared by the encoders' inner loops, and the packing that several layouts have in common. */
#ifndef PARE_TENSOR_ENC_LANES_H
#define PARE_TENSOR_ENC_LANES_H

#include <stdint.h>

/* Adding and taking away 1.5 * 2^23 rounds |y| < 2^22 to a whole number, ties to even; it vectorises, and does not call libm. */
static inline float pare_enc_round(float y)
{
    return (y + 12582912.0f) - 12582912.0f;
}

/* y rounded and held within lo .. hi, whole numbers. */
static inline float pare_enc_within(float y, float lo, float hi)
{
    y = y > lo ? y : lo;
    y = y < hi ? y : hi;
    return pare_enc_round(y);
}

static inline void pare_enc_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* Low nibbles of 2 n codes: byte j holds codes j and j + n. */
static inline void pare_enc_put_nibbles(uint8_t *p, const uint8_t *code, int n)
{
    for (int j = 0; j < n; j++) p[j] = (uint8_t)((code[j] & 15) | (code[j + n] & 15) << 4);
}

/* Low pairs of bits of 4 n codes: byte j holds codes j, j + n, j + 2 n, j + 3 n from the low bits up. */
static inline void pare_enc_put_pairs(uint8_t *p, const uint8_t *code, int n)
{
    for (int j = 0; j < n; j++)
        p[j] = (uint8_t)((code[j] & 3) | (code[j + n] & 3) << 2 | (code[j + 2 * n] & 3) << 4 | (code[j + 3 * n] & 3) << 6);
}

#endif
