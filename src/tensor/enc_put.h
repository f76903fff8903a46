/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_put.h: the packing of codes that several layouts have in common. */
#ifndef PARE_TENSOR_ENC_PUT_H
#define PARE_TENSOR_ENC_PUT_H

#include <stdint.h>

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
