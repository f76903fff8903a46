/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/half.c: IEEE 754 binary16 and bfloat16, in integer arithmetic so that neither the rounding mode nor a
 * flush-to-zero setting of the caller changes a bit. */
#include "tensor/half.h"

#include "base/checked.h"
#include "tensor/dtype.h"

/* Without branches, so that a row of them fills vector registers. a: the half without its sign.
 * Normal numbers only change the bias of their exponent (by 112); infinity and NaN change it by as much again, which
 * takes the exponent 31 to 255 and keeps the payload. Subnormal ones are a * 2^-24: conversion and product are exact. */
static inline uint32_t f16_bits(uint32_t h)
{
    uint32_t a = h & 0x7fffu;
    uint32_t wide = (a << 13) + UINT32_C(0x38000000) + (a >= 0x7c00u ? UINT32_C(0x38000000) : 0);
    uint32_t tiny = pare_f32_bits((float)(int32_t)a * 0x1p-24f);

    return (a < 0x400u ? tiny : wide) | (h & 0x8000u) << 16;
}

float pare_f16_to_f32(uint16_t h)
{
    return pare_bits_f32(f16_bits(h));
}

void pare_f16_row(float *dst, const void *src, uint64_t n)
{
    const uint8_t *p = src;
    uint64_t i = 0;

    for (; i + 16 <= n; i += 16, p += 32) {
        uint32_t h[16];

        for (int j = 0; j < 16; j++) h[j] = pare_le16(p + 2 * j);
        for (int j = 0; j < 16; j++) h[j] = f16_bits(h[j]);
        memcpy(dst + i, h, sizeof h);
    }
    for (; i < n; i++, p += 2) dst[i] = pare_f16_to_f32(pare_le16(p));
}

uint16_t pare_f32_to_f16(float f)
{
    uint32_t u = pare_f32_bits(f), sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;

    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (a >> 13 & 0x3ffu)); /* NaN, made quiet */
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);                     /* 65520 and above round to infinity */
    if (a >= 0x38800000u) return (uint16_t)(sign | (a - 0x38000000u + 0xfffu + (a >> 13 & 1u)) >> 13);
    if (a <= 0x33000000u) return (uint16_t)sign; /* 2^-25 and below: half the least subnormal ties to even, zero */
    /* Subnormal: the significand counts units of 2^(e - 150); units of 2^-24 are wanted. 14 <= shift <= 24. */
    uint32_t shift = 126u - (a >> 23), m = (a & 0x7fffffu) | 0x800000u;
    return (uint16_t)(sign | (m + (1u << (shift - 1)) - 1u + (m >> shift & 1u)) >> shift);
}

uint16_t pare_f32_to_bf16(float f)
{
    uint32_t u = pare_f32_bits(f);

    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u); /* a NaN whose payload is cut must not become infinity */
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}
