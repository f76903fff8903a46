/* SPDX-License-Identifier: Apache-2.0
 * src/base/rng.h: counter-based random numbers, keyed by (seed, purpose, index): no stream, no state, the same in any
 * order and on any thread. Mixing function: two rounds of the finalizer of SplitMix64 (Steele, Lea, Flood 2014) over a
 * combined key; it passes the moment and chi-square checks of tests/unit/test_rng.c. */
#ifndef PARE_BASE_RNG_H
#define PARE_BASE_RNG_H

#include <stdint.h>

enum pare_rng_purpose { PARE_RNG_SAMPLE = 1, PARE_RNG_NOISE = 2, PARE_RNG_SYNTH = 3, PARE_RNG_TEXT = 4, PARE_RNG_TEST = 5, PARE_RNG_FOLD = 6,
                        PARE_RNG_BOOT = 20 };

static inline uint64_t pare_mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static inline uint64_t pare_rng_u64(uint64_t seed, uint32_t purpose, uint64_t index)
{
    uint64_t k = pare_mix64(seed + 0x9e3779b97f4a7c15u * (purpose + 1u));
    return pare_mix64(pare_mix64(index + 0x9e3779b97f4a7c15u) ^ k);
}
/* uniform in [0, 1), 24 bits: exact in f32 */
static inline float pare_rng_f32(uint64_t seed, uint32_t purpose, uint64_t index)
{
    return (float)(pare_rng_u64(seed, purpose, index) >> 40) * 0x1p-24f;
}
/* uniform in [0, 1), 53 bits */
static inline double pare_rng_f64(uint64_t seed, uint32_t purpose, uint64_t index)
{
    return (double)(pare_rng_u64(seed, purpose, index) >> 11) * 0x1p-53;
}
/* nearly normal, mean 0, variance 1: sum of twelve 16-bit uniforms of three draws (Irwin-Hall), bounded by 6; no libm,
 * so the same bits everywhere */
static inline float pare_rng_normal(uint64_t seed, uint32_t purpose, uint64_t index)
{
    uint32_t s = 0;
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t u = pare_rng_u64(seed, purpose, index * 3 + i);
        s += (uint32_t)(u & 0xffff) + (uint32_t)(u >> 16 & 0xffff) + (uint32_t)(u >> 32 & 0xffff) + (uint32_t)(u >> 48);
    }
    return (float)((int32_t)s - 6 * 65535) * (1.0f / 65536.0f);
}

#endif
