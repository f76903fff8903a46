/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/half.c: IEEE 754 binary16 and bfloat16, in integer arithmetic so that neither the rounding mode nor a
 * flush-to-zero setting of the caller changes a bit. */
#include "base/checked.h"
#include "tensor/dtype.h"

float pare_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = h >> 10 & 31u, m = h & 0x3ffu;

    if (e == 31) return pare_bits_f32(sign | 0x7f800000u | m << 13); /* infinity, or NaN with its payload */
    if (e != 0) return pare_bits_f32(sign | (e + 112u) << 23 | m << 13);
    if (m == 0) return pare_bits_f32(sign);
    /* Subnormal: m * 2^-24. The leading one of m, at bit 10 - z, becomes the hidden one of an ordinary f32. */
    uint32_t z = (uint32_t)__builtin_clz(m) - 21u;
    return pare_bits_f32(sign | (113u - z) << 23 | (m << z & 0x3ffu) << 13);
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
