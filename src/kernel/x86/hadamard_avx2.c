/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/hadamard_avx2.c: the Hadamard loops of the avx2 tier, recipes in hadamard_x86.h. */
#include "kernel/x86/v16_avx2.h"

#define MOST 4
#include "kernel/x86/hadamard_x86.h"

const struct pare_hadamard_kernel pare_hadamard_avx2 = { PARE_TIER_AVX2, walsh, outer };
