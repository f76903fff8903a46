/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/linalg_ref.c: the inner loops of linalg for any machine: pairs of doubles. What they compute is defined by plain loops
 * in tests/unit/test_linalg.c. */
#define NAME pare_linalg_ref
#define VL 2
#define ROWS 2
#define VECS 4
#include "kernel/linalg_loops.h"
