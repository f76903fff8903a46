/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/gemmq.c: which table of quantized products a tier gets. Plain C first; a tier is used only where the machine
 * and the build have it, whatever was asked for. */
#include "base/job.h"
#include "kernel/gemmq_layout.h"

const struct pare_gemmq *pare_gemmq_for(int tier)
{
#if defined(__x86_64__)
    int best = pare_cpu_best_tier();

    if (tier > best) tier = best;
    switch (tier) {
    case PARE_TIER_AVX2: return &pare_gemmq_avx2;
    case PARE_TIER_AVX512: return &pare_gemmq_avx512;
    case PARE_TIER_VNNI: return &pare_gemmq_vnni;
    default: break;
    }
#else
    (void)tier;
#endif
    return &pare_gemmq_ref;
}
