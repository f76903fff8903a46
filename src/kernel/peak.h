/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/peak.h: the loops that pare_measure_limits times, one table a tier. Each loop returns something that depends on
 * all its work, so that no compiler may leave any of it out. */
#ifndef PARE_KERNEL_LIMITS_H
#define PARE_KERNEL_LIMITS_H

#include <stdint.h>

struct pare_probes {
    uint32_t int8_per_step, f32_per_step; /* operations a step: two for every multiply-add */
    uint64_t (*int8)(uint64_t steps, int seed);
    float    (*f32)(uint64_t steps, float seed);
    uint64_t (*read)(const uint8_t *p, uint64_t bytes); /* p aligned to 64, bytes a multiple of 512 */
};

extern const struct pare_probes pare_probes_base, pare_probes_avx2, pare_probes_avx512, pare_probes_vnni;

#endif
