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
    .neutral = "any widths 1..8: the product equals the sum of integers exactly", .tested = "tests/kernel/test_planes.c", PARE_OPTIONS(width_options),
};
const struct pare_method pare_method_lut_gemm = {
    .id = "lut-gemm", .module = "kernel/planes", .title = "Sums of eight float activations in tables: weights in planes of signs need no decoding.",
    .source = "LUT-GEMM, arXiv 2206.09557", .stage = PARE_STAGE_RUN, .guarantee = "bounded",
    .neutral = "dequantize, then multiply, up to rounding", .tested = "tests/kernel/test_planes.c", PARE_OPTIONS(table_options),
};
const struct pare_method pare_method_lut_tensor_core = {
    .id = "lut-tensor-core", .module = "kernel/planes", .title = "Sums of four integer activations in tables of bytes, read by a byte shuffle.",
    .source = "LUT Tensor Core, arXiv 2408.06003", .stage = PARE_STAGE_RUN, .guarantee = "lossless",
    .neutral = "any widths: the product equals the sum of integers exactly", .tested = "tests/kernel/test_planes.c", PARE_OPTIONS(table_options),
};
