/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/entries_avx2.c: the sparse product of the avx2 tier, recipe in entries_x86.h. */
#include "kernel/x86/v16_avx2.h"
#include "kernel/x86/entries_x86.h"

const struct pare_entries_kernel pare_entries_avx2 = { PARE_TIER_AVX2, gemm };
