/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/enc_tiers.h"

#include "base/job.h"

const struct pare_enc_wide *pare_enc_wide_for(int tier)
{
    int best = pare_cpu_best_tier();

    if (tier > best) tier = best;
#if defined(__x86_64__)
    if (tier >= PARE_TIER_AVX512) return &pare_enc_wide_avx512;
    if (tier >= PARE_TIER_AVX2) return &pare_enc_wide_avx2;
#endif
    return &pare_enc_wide_plain;
}
