/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_wide_recipe.h: the operations of enc_wide.h in words of sixteen lanes. Include once a tier, after its words
 * (v16_plain.h, kernel/x86/v16_*.h); ENC_TABLE_LEVEL(book, y) may be defined before: the level of a table at index y.
 * lint: included in the middle */
#ifndef PARE_TENSOR_ENC_WIDE_RECIPE_H
#define PARE_TENSOR_ENC_WIDE_RECIPE_H

#include <string.h>

#include "tensor/enc_wide.h"

#ifndef ENC_TABLE_LEVEL
#define ENC_TABLE_LEVEL(book, y) v_gather((book)->near, y)
#endif

V16 v16 wide_round(v16 y) { return v_sub(v_add(y, v_set1(12582912.0f)), v_set1(12582912.0f)); } /* |y| < 2^22, ties to even; does not call libm */
V16 v16 wide_within(v16 y, v16 lo, v16 hi) { return wide_round(v_min(v_max(y, lo), hi)); }
/* 1 / s for scales; those below the limit (the scaled domain has its largest weight at 1/2 or above) put every code next to zero. */
V16 v16 wide_inverse(v16 s)
{
    return v_select_lt(v_set1(1e-18f), v_abs(s), v_div(v_set1(1.0f), s), v_set1(0.0f));
}
/* 1 / d, and 0 for 0. */
V16 v16 wide_over(v16 d) { return v_select_lt(v_set1(0.0f), v_abs(d), v_div(v_set1(1.0f), d), v_set1(0.0f)); }
V16 int wide_any(v16 x) /* some lane is above 0 */
{
    float t[16];
    int   any = 0;

    v_store(t, x);
    for (int g = 0; g < 16; g++) any |= t[g] > 0.0f;
    return any;
}
V16 v16 wide_sum(const float *p, int n)
{
    v16 s = v_set1(0.0f);

    for (int i = 0; i < n; i++) s = v_add(s, v_load(p + 16 * i));
    return s;
}

#include "tensor/enc_wide_scale.h"
#include "tensor/enc_wide_line.h"
#include "tensor/enc_wide_path.h"

#define ENC_WIDE_TABLE                                                                                                           \
    {                                                                                                                            \
        scale_ideal, scale_costs, scale_place, scale_sums, scale_errors, scale_codes, line_ideal, line_scale_costs, line_base_costs,           \
            line_place, line_sums, line_errors, line_codes, path                                                                                \
    }

#endif
