/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/vec_math_x86.h: exp, tanh, erf and the activations on sixteen lanes: the operations of ref/fmath.c and
 * pare_actf in the same order. Include after v16_avx2.h or v16_avx512.h. */
#ifndef PARE_KERNEL_X86_VEC_MATH_H
#define PARE_KERNEL_X86_VEC_MATH_H

#include "kernel/fmath_coef.h"
#include "kernel/vec.h"

/* exp of what is above lo, 0 for the rest. */
V16 v16 vm_exp_above(v16 x, float lo)
{
    v16   t, n, r, p, one = v_set1(1.0f);
    v_kept kept;

    x = v_min(v_set1(PARE_EXP_HI), x); /* this operand order lets a NaN through, and so does what follows */
    x = v_floor_of(x, lo, &kept);
    t = v_fma(x, v_set1(PARE_EXP_LOG2E), v_set1(PARE_EXP_MAGIC));
    n = v_sub(t, v_set1(PARE_EXP_MAGIC));
    r = v_fma(n, v_set1(-PARE_EXP_LN2_HI), x);
    r = v_fma(n, v_set1(-PARE_EXP_LN2_LO), r);
    p = v_fma(v_set1(PARE_EXP_C6), r, v_set1(PARE_EXP_C5));
    p = v_fma(p, r, v_set1(PARE_EXP_C4));
    p = v_fma(p, r, v_set1(PARE_EXP_C3));
    p = v_fma(p, r, v_set1(PARE_EXP_C2));
    p = v_fma(p, r, one);
    p = v_fma(p, r, one);
    return v_ldexp(p, n, t, kept);
}
V16 v16 vm_exp(v16 x) { return vm_exp_above(x, PARE_EXP_LO); }

V16 v16 vm_tanh(v16 x)
{
    v16 a = v_abs(x), z = v_mul(a, a), one = v_set1(1.0f), p, small, big;

    p = v_fma(v_set1(PARE_TANH_C4), z, v_set1(PARE_TANH_C3));
    p = v_fma(p, z, v_set1(PARE_TANH_C2));
    p = v_fma(p, z, v_set1(PARE_TANH_C1));
    p = v_fma(p, z, v_set1(PARE_TANH_C0));
    small = v_fma(v_mul(a, z), p, a);
    big = v_sub(one, v_div(v_set1(2.0f), v_add(vm_exp(v_add(a, a)), one)));
    return v_sign_of(v_select_lt(a, v_set1(PARE_TANH_BORDER), small, big), x);
}

V16 v16 vm_erf(v16 x)
{
    v16 a = v_abs(x), z = v_mul(a, a), t, p, g, small, big;

    p = v_fma(v_set1(PARE_ERF_C6), z, v_set1(PARE_ERF_C5));
    p = v_fma(p, z, v_set1(PARE_ERF_C4));
    p = v_fma(p, z, v_set1(PARE_ERF_C3));
    p = v_fma(p, z, v_set1(PARE_ERF_C2));
    p = v_fma(p, z, v_set1(PARE_ERF_C1));
    p = v_fma(p, z, v_set1(PARE_ERF_C0));
    small = v_fma(a, p, a);
    t = v_min(v_set1(PARE_ERF_TOP), a);
    g = v_fma(v_set1(PARE_ERF_G7), t, v_set1(PARE_ERF_G6));
    g = v_fma(g, t, v_set1(PARE_ERF_G5));
    g = v_fma(g, t, v_set1(PARE_ERF_G4));
    g = v_fma(g, t, v_set1(PARE_ERF_G3));
    g = v_fma(g, t, v_set1(PARE_ERF_G2));
    g = v_fma(g, t, v_set1(PARE_ERF_G1));
    g = v_fma(g, t, v_set1(PARE_ERF_G0));
    big = v_sub(v_set1(1.0f), vm_exp(v_sub(v_set1(0.0f), g)));
    return v_sign_of(v_select_lt(a, v_set1(PARE_ERF_BORDER), small, big), x);
}

/* 1 + exp(-x), the divisor of the sigmoid. */
V16 v16 vm_one_exp(v16 x) { return v_add(v_set1(1.0f), vm_exp(v_sub(v_set1(0.0f), x))); }

/* act is a constant wherever this is expanded. */
V16 v16 vm_act(v16 x, enum pare_act act)
{
    v16 one = v_set1(1.0f), half = v_set1(0.5f), t;

    switch (act) {
    case PARE_ACT_NONE: return x;
    case PARE_ACT_SILU: return v_div(x, vm_one_exp(x));
    case PARE_ACT_GELU: return v_mul(v_mul(half, x), v_add(one, vm_erf(v_mul(x, v_set1(PARE_GELU_RSQRT2)))));
    case PARE_ACT_GELU_TANH:
        t = v_fma(v_mul(v_set1(PARE_GELU_CUBE), v_mul(x, x)), x, x);
        return v_mul(v_mul(half, x), v_add(one, vm_tanh(v_mul(v_set1(PARE_GELU_SQRT_2_PI), t))));
    case PARE_ACT_RELU: return v_max(v_set1(0.0f), x);
    case PARE_ACT_RELU2:
        t = v_max(v_set1(0.0f), x);
        return v_mul(t, t);
    case PARE_ACT_QUICK_GELU: return v_mul(x, v_div(one, vm_one_exp(v_mul(v_set1(PARE_QUICK_GELU), x))));
    case PARE_ACT_TANH: return vm_tanh(x);
    case PARE_ACT_SIGMOID: return v_div(one, vm_one_exp(x));
    }
    return x;
}

#endif
