/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_plain.c: rows of half precision and bfloat16, each weight rounded to nearest even on its own. */
#include "tensor/dtype.h"
#include "tensor/enc_put.h"
#include "tensor/encode.h"

/* Magnitudes above the largest half become that, not infinity: one infinite weight would turn every result into NaN. */
void pare_encode_f16(void *dst, const float *src, uint64_t cols, const float *importance)
{
    uint8_t *p = dst;

    (void)importance; /* each weight has its own code; nothing is shared out */
    for (uint64_t i = 0; i < cols; i++) {
        float v = src[i] > 65504.0f ? 65504.0f : src[i] < -65504.0f ? -65504.0f : src[i];

        pare_enc_put16(p + 2 * i, pare_f32_to_f16(v));
    }
}

void pare_encode_bf16(void *dst, const float *src, uint64_t cols, const float *importance)
{
    const float top = 0x1.fep127f; /* the largest finite bfloat16 */
    uint8_t *p = dst;

    (void)importance;
    for (uint64_t i = 0; i < cols; i++)
        pare_enc_put16(p + 2 * i, pare_f32_to_bf16(src[i] > top ? top : src[i] < -top ? -top : src[i]));
}
