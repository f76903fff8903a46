/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/fmath_coef.h: constants of the f32 functions, shared by every tier. The recipes that use them, in exact order of
 * operations, stand in docs/kernels-f32.md. Polynomials are our own weighted minimax fits (Lawson iteration, coefficients
 * rounded to f32 one after another with the rest fitted again). */
#ifndef PARE_KERNEL_FMATH_COEF_H
#define PARE_KERNEL_FMATH_COEF_H

/* exp(x) = 2^n * p(r). Outside [LO, HI] the result is 0 or infinity anyway; clamping keeps n small. */
#define PARE_EXP_HI 89.0f
#define PARE_EXP_LO -104.0f
/* Attention takes exp(x) for 0 up to here: what is below would be a denormal number, which costs products two hundred cycles each. */
#define PARE_ATTN_EXP_LO -87.0f
#define PARE_EXP_LOG2E 0x1.715476p+0f
#define PARE_EXP_MAGIC 12582912.0f /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
#define PARE_EXP_MAGIC_BITS 0x4b400000u
#define PARE_EXP_LN2_HI 0x1.62e430p-1f
#define PARE_EXP_LN2_LO -0x1.05c610p-29f
/* p(r) = 1 + r + r^2 (C2 + ... + C6 r^4), |r| <= 0.35: relative error 2^-28.1 before rounding. */
#define PARE_EXP_C2 0x1.fffffcp-2f
#define PARE_EXP_C3 0x1.55548cp-3f
#define PARE_EXP_C4 0x1.5558b8p-5f
#define PARE_EXP_C5 0x1.123e58p-7f
#define PARE_EXP_C6 0x1.6a4d6ep-10f

/* tanh(a) = a + a^3 T(a^2) below the border (relative error 2^-27.8), 1 - 2 / (exp(2a) + 1) from there. */
#define PARE_TANH_BORDER 0.625f
#define PARE_TANH_C0 -0x1.555534p-2f
#define PARE_TANH_C1 0x1.110760p-3f
#define PARE_TANH_C2 -0x1.b84340p-5f
#define PARE_TANH_C3 0x1.52509ep-6f
#define PARE_TANH_C4 -0x1.76922ap-8f

/* erf(a) = a + a E(a^2) below 1 (2^-29.4), 1 - exp(-G(a)) from there, G the fit of -log(erfc) weighted by erfc (2^-35);
 * from 4 on erf rounds to 1. */
#define PARE_ERF_BORDER 1.0f
#define PARE_ERF_TOP 4.0f
#define PARE_ERF_C0 0x1.06eba8p-3f
#define PARE_ERF_C1 -0x1.81273ep-2f
#define PARE_ERF_C2 0x1.ce2ce6p-4f
#define PARE_ERF_C3 -0x1.b7f71ap-6f
#define PARE_ERF_C4 0x1.53f224p-8f
#define PARE_ERF_C5 -0x1.a3515ep-11f
#define PARE_ERF_C6 0x1.4771fcp-14f
#define PARE_ERF_G0 -0x1.8b3f52p-13f
#define PARE_ERF_G1 0x1.212c2cp+0f
#define PARE_ERF_G2 0x1.4434f8p-1f
#define PARE_ERF_G3 0x1.bc186ap-4f
#define PARE_ERF_G4 -0x1.9d0a6cp-6f
#define PARE_ERF_G5 0x1.13963cp-8f
#define PARE_ERF_G6 -0x1.cedfdcp-12f
#define PARE_ERF_G7 0x1.6bf48ap-16f

#define PARE_GELU_RSQRT2 0x1.6a09e6p-1f  /* 1 / sqrt 2 */
#define PARE_GELU_SQRT_2_PI 0x1.988454p-1f /* sqrt(2 / pi) */
#define PARE_GELU_CUBE 0x1.6e4e26p-5f    /* 0.044715 */
#define PARE_QUICK_GELU 0x1.b3b646p+0f   /* 1.702 */

#endif
