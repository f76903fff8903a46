/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/vec.c: which table of f32 kernels a tier gets. */
#include "kernel/vec.h"

#include "base/job.h"
#include "kernel/vec_tiers.h"

const struct pare_vec *pare_vec_for(int tier)
{
    int best = pare_cpu_best_tier();

    if (tier > best) tier = best;
#if defined(__x86_64__)
    /* VNNI adds nothing in f32. */
    if (tier >= PARE_TIER_AVX512) return &pare_vec_avx512;
    if (tier >= PARE_TIER_AVX2) return &pare_vec_avx2;
#endif
    return &pare_vec_ref;
}
