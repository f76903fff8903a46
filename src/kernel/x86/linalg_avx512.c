/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/linalg_avx512.c: the whole tile of 8 rows by 16 columns in 16 registers. */
#define NAME pare_linalg_avx512
#define VL 8
#define ROWS 8
#define VECS 2
#include "kernel/linalg_loops.h"
