/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/hadamard_avx512.c: the Hadamard loops of the avx512 tier, recipes in hadamard_x86.h. */
#include "kernel/x86/v16_avx512.h"

#define MOST 16
#include "kernel/x86/hadamard_x86.h"

const struct pare_hadamard_kernel pare_hadamard_avx512 = { PARE_TIER_AVX512, walsh, outer };
