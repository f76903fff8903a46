/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/vec_elem_avx512.c: the f32 kernels of the avx512 tier, recipes in vec_*_x86.h, and the tier's table. */
#include <string.h>

#include "kernel/vec_tiers.h"
#include "kernel/x86/v16_avx512.h"
#include "kernel/x86/vec_attn_x86.h"
#include "kernel/x86/vec_elem_x86.h"
#include "kernel/x86/vec_gemm_x86.h"

PARE_ATTN_ENTRIES(static, attention, pare_vec_avx512, attn_ops)

const struct pare_vec pare_vec_avx512 = {
    .tier = PARE_TIER_AVX512,
    .gemm_f32 = pare_gemm_f32_avx512, .gemm_f16 = pare_gemm_f16_avx512, .gemm_bf16 = pare_gemm_bf16_avx512,
    .dot = dot, .sum = sum, .max = max, .rmsnorm = rmsnorm, .layernorm = layernorm,
    .add = add, .axpy = axpy, .scale = scale, .mul = mul, .act = act, .act_mul = act_mul, .rope = rope,
    .softcap = softcap, .softmax = softmax, .logsumexp = logsumexp, .exp = exp_all, .attention = attention,
    .attention_rows = attention_rows, .attention_join = attention_join,
    .store_f16 = store_f16, .store_q8 = store_q8,
};
