/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/linalg_avx2.c: 2 rows by 16 columns are 8 accumulators, enough for the latency of one addition a cycle. */
#define NAME pare_linalg_avx2
#define VL 4
#define ROWS 2
#define VECS 4
#include "kernel/linalg_loops.h"
