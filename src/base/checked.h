/* SPDX-License-Identifier: Apache-2.0
 * src/base/checked.h: arithmetic on sizes that come from a file. Each returns false on overflow and leaves *out alone. */
#ifndef PARE_BASE_CHECKED_H
#define PARE_BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool pare_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t t;

    if (__builtin_mul_overflow(a, b, &t)) return false;
    *out = t;
    return true;
}
static inline bool pare_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t t;

    if (__builtin_add_overflow(a, b, &t)) return false;
    *out = t;
    return true;
}

/* align must be a power of two */
static inline bool pare_align_up(uint64_t a, uint64_t align, uint64_t *out)
{
    uint64_t t;

    if (__builtin_add_overflow(a, align - 1, &t)) return false;
    *out = t & ~(align - 1);
    return true;
}

static inline uint16_t pare_le16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t pare_le32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t pare_le64(const void *p)
{
    return (uint64_t)pare_le32(p) | (uint64_t)pare_le32((const uint8_t *)p + 4) << 32;
}
static inline float pare_bits_f32(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
static inline uint32_t pare_f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

#endif
