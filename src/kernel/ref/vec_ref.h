/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/ref/vec_ref.h: the plain C kernels, which define every result. Contracts: kernel/vec.h. Vector tiers take the few
 * functions from here that no one is in a hurry for. */
#ifndef PARE_KERNEL_REF_VEC_REF_H
#define PARE_KERNEL_REF_VEC_REF_H

#include "kernel/vec.h"

/* The tree of the 16-lane rule. */
static inline float pare_tree16(const float l[16])
{
    float t[8];

    for (int i = 0; i < 8; i++) t[i] = l[i] + l[i + 8];
    for (int i = 0; i < 4; i++) t[i] += t[i + 4];
    for (int i = 0; i < 2; i++) t[i] += t[i + 2];
    return t[0] + t[1];
}

float pare_actf(float x, enum pare_act act);
void  pare_ref_gemm_f32(float *y, uint64_t ldy, const void *w, uint64_t w_stride, const float *x, uint64_t ldx, uint64_t k, uint64_t r0, uint64_t r1, uint32_t n);
void  pare_ref_gemm_f16(float *y, uint64_t ldy, const void *w, uint64_t w_stride, const float *x, uint64_t ldx, uint64_t k, uint64_t r0, uint64_t r1, uint32_t n);
void  pare_ref_gemm_bf16(float *y, uint64_t ldy, const void *w, uint64_t w_stride, const float *x, uint64_t ldx, uint64_t k, uint64_t r0, uint64_t r1, uint32_t n);
float pare_ref_dot(const float *a, const float *b, uint64_t n);
void  pare_ref_store_f16(uint16_t *dst, const float *src, uint64_t n);
void  pare_ref_store_q8(uint8_t *dst, const float *src, uint64_t n);
void  pare_ref_attention_rows(const struct pare_attn_row *row, uint32_t n, const struct pare_attn *a, void *scratch);
void  pare_ref_attention_join(const struct pare_attn_row *row, uint32_t dv, const float *part, uint64_t stride, uint32_t n);
void  pare_ref_attention(float *out, float *lse, const float *q, const struct pare_attn *a, void *scratch);

#endif
