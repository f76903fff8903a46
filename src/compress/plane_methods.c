/* SPDX-License-Identifier: Apache-2.0
 * src/compress/plane_methods.c: rows of methods that are kernels (kernel/planes.h). */
#include "compress/method.h"

static const struct pare_method_option width_options[] = {
    { "weights", "int", "1 .. 8", "2", "bits of weights" }, { "activations", "int", "1 .. 8", "2", "bits of activations" },
};
static const struct pare_method_option table_options[] = {
    { "weights", "int", "1 .. 8", "2", "bits, each a plane of its own" }, { "group", "int", "1 .. 16384", "128", "columns that share scales" },
};
const struct pare_method pare_method_apllm_bipolar = {
    .id = "apllm-bipolar", .module = "kernel/planes", .title = "Odd numbers without a sign bit: products by xor and counting of bits, any width.",
    .source = "APLLM, arXiv 2409.17870", .stage = PARE_STAGE_RUN, .guarantee = "lossless",
    .neutral = "any widths 1..8: the product equals the sum of integers exactly", .tested = "tests/kernel/test_planes.c",
    .acceptance = "equal to a sum in 64 bits for all 8 x 8 widths and 3 x 3 kinds of numbers, in every tier; the crossover is printed by bench_planes",
    .measured = "Xeon with AVX-512 VNNI, one thread, 5632 x 2048: W2A2 0.29 ms, the engine's 8-bit kernel 0.76, its 2-bit one 0.24; W1A1 0.12; "
                "with activations of 8 bits popcount takes 1.4 (one bit) to 3.3 times (four bits) as long as the engine",
    PARE_OPTIONS(width_options),
};
const struct pare_method pare_method_lut_gemm = {
    .id = "lut-gemm", .module = "kernel/planes", .title = "Sums of eight float activations in tables: weights in planes of signs need no decoding.",
    .source = "LUT-GEMM, arXiv 2206.09557", .stage = PARE_STAGE_RUN, .guarantee = "bounded",
    .neutral = "dequantize, then multiply, up to rounding", .tested = "tests/kernel/test_planes.c",
    .acceptance = "dequantize-then-multiply to 1e-5 for 1 to 4 planes and groups of any length, the same bits in every tier; time beside decoding to f32",
    .measured = "Xeon with AVX-512 VNNI, one thread, 5632 x 2048: 0.45, 0.75, 0.99, 1.41 ms for 1 to 4 bits; decoding to f32 17.4 (pq2), 18.9 (pq3), "
                "4.8 (q4_0); the engine's int8 kernels 0.24, 0.35, 0.42 for 2 to 4 bits are faster",
    PARE_OPTIONS(table_options),
};
const struct pare_method pare_method_lut_tensor_core = {
    .id = "lut-tensor-core", .module = "kernel/planes", .title = "Sums of four integer activations in tables of bytes, read by a byte shuffle.",
    .source = "LUT Tensor Core, arXiv 2408.06003", .stage = PARE_STAGE_RUN, .guarantee = "lossless",
    .neutral = "any widths: the product equals the sum of integers exactly", .tested = "tests/kernel/test_planes.c",
    .acceptance = "equal to a sum in 64 bits for weights of 1 to 8 bits and activations of 1 to 8, in every tier; time by bits beside the engine's kernel",
    .measured = "Xeon with AVX-512 VNNI, one thread, 5632 x 2048, A8: 0.13, 0.29, 0.37, 0.54 ms for 1 to 4 bits; the engine's int8 kernel 0.24, 0.35, 0.42 "
                "for 2 to 4 bits: the table wins at one bit only, against decoding to f32 always",
    PARE_OPTIONS(table_options),
};
