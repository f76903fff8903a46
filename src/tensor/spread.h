/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/spread.h: bit fields of a word spread to one byte each, without a vector unit. */
#ifndef PARE_TENSOR_SPREAD_H
#define PARE_TENSOR_SPREAD_H

#include <stdint.h>
#include <string.h>

/* 8 fields of 1 bit: bit j goes to the lowest bit of byte j. Copies of the 8 bits meet a mask that keeps bit j in byte j;
 * adding 127 carries any kept bit into the byte's highest bit, and never further. */
static inline uint64_t pare_spread1(unsigned bits)
{
    uint64_t x = (bits & 255u) * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);

    return (x + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101);
}

/* 8 fields of 2 bits: each step halves the runs of fields that still stand together. */
static inline uint64_t pare_spread2(unsigned fields)
{
    uint64_t x = fields & 0xffffu;

    x = (x | x << 24) & UINT64_C(0x000000ff000000ff);
    x = (x | x << 12) & UINT64_C(0x000f000f000f000f);
    return (x | x << 6) & UINT64_C(0x0303030303030303);
}

/* 4 fields of 4 bits, to the low 4 bytes. */
static inline uint64_t pare_spread4(unsigned fields)
{
    uint64_t x = fields & 0xffffu;

    x = (x | x << 8) & UINT64_C(0x00ff00ff);
    return (x | x << 4) & UINT64_C(0x0f0f0f0f);
}

/* The ways back: bit `at` of 8 bytes; the low 2 bits of 8 bytes; the low 3 bits of 4 bytes, as fields of 4. */
static inline unsigned pare_gather1(const uint8_t *p, int at)
{
    unsigned bits = 0;

    for (int j = 0; j < 8; j++) bits |= (p[j] >> at & 1u) << j;
    return bits;
}
static inline unsigned pare_gather2(const uint8_t *p)
{
    unsigned fields = 0;

    for (int j = 0; j < 8; j++) fields |= (p[j] & 3u) << 2 * j;
    return fields;
}
static inline unsigned pare_gather3(const uint8_t *p)
{
    return (p[0] & 7u) | (p[1] & 7u) << 4 | (p[2] & 7u) << 8 | (p[3] & 7u) << 12;
}

/* 32 columns of 4 bits in 16 bytes: byte j holds columns j (low) and j + 16 (high). */
static inline void pare_nibbles32(uint8_t *restrict idx, const uint8_t *restrict q)
{
    for (int j = 0; j < 16; j++) {
        idx[j] = q[j] & 15;
        idx[j + 16] = q[j] >> 4;
    }
}

/* Byte j of the word to p[j]. */
static inline void pare_store8(uint8_t *p, uint64_t x)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(p, &x, 8);
#else
    for (int j = 0; j < 8; j++) p[j] = (uint8_t)(x >> 8 * j);
#endif
}

/* p[j] |= byte j of the word */
static inline void pare_or8(uint8_t *p, uint64_t x)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t y;

    memcpy(&y, p, 8);
    y |= x;
    memcpy(p, &y, 8);
#else
    for (int j = 0; j < 8; j++) p[j] |= (uint8_t)(x >> 8 * j);
#endif
}

#endif
