/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/vec_gemm_x86.h: the float matrix products of the two tiers; contracts in kernel/vec.h. */
#ifndef PARE_KERNEL_X86_VEC_GEMM_H
#define PARE_KERNEL_X86_VEC_GEMM_H

#include <pare/job.h>
#include <stdint.h>

#define GEMM_ARGS                                                                                                      \
    float *y, uint64_t ldy, const void *w, uint64_t w_stride, const float *x, uint64_t ldx, uint64_t k, uint64_t r0, uint64_t r1, uint32_t n
void pare_gemm_f32_avx2(GEMM_ARGS);
void pare_gemm_f16_avx2(GEMM_ARGS);
void pare_gemm_bf16_avx2(GEMM_ARGS);
void pare_gemm_f32_avx512(GEMM_ARGS);
void pare_gemm_f16_avx512(GEMM_ARGS);
void pare_gemm_bf16_avx512(GEMM_ARGS);

#endif
