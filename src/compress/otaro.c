/* SPDX-License-Identifier: Apache-2.0
 * src/compress/otaro.c: the row of OTARo's number format; the format is in tensor/codec_group.c. Its tuning needs a trainer. */
#include "compress/method.h"

static const struct pare_method_option options[] = {
    { "bits", "int", "3 .. 8", "8", "bits of the mantissa that are read; what is stored stays" },
};
const struct pare_method pare_method_otaro = {
    .id = "otaro", .module = "tensor/codec_group", .title = "One exponent for 64 weights; narrower formats are the stored one cut, at load.",
    .source = "OTARo, arXiv 2511.13147 (the format SEFP; the reader takes the middle of the interval)", .stage = PARE_STAGE_ROUND,
    .guarantee = "bounded", .neutral = "bits = bits stored: the same bytes", .tested = "tests/unit/test_codec.c, tests/method/test_formats.c",
    .acceptance = "cutting 8 bits to 3 .. 7 gives the bytes of encoding the original at that width; perplexity at 8 bits within 1 % of the original; "
                  "divergence grows with every bit dropped; the middle of the interval loses less than its lower end",
    .measured = "demo-llama, 4 windows of 256: divergence 0.00017 (8 bits), 0.0024 (6), 0.0093 (5), 0.037 (4), 0.158 (3); at 4 bits read at the lower "
                "end 0.131; perplexity at 8 bits 263.1 of 262.3. SmolLM2-135M, 2 windows: 8 bits "
                "perplexity 42.10 of 41.97, divergence 0.0020; 4 bits 0.528", PARE_OPTIONS(options),
};
