/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/codec_private.h: what the files of codecs share. */
#ifndef PARE_TENSOR_CODEC_PRIVATE_H
#define PARE_TENSOR_CODEC_PRIVATE_H

#include "base/checked.h"
#include "tensor/codec.h"
#include "tensor/dtype.h"
#include "tensor/enc_put.h"

#define CODEC(name) extern const struct pare_codec pare_codec_##name;
#include "tensor/codec_list.h"
#undef CODEC

/* Nearest whole number, halves to even, of |x| < 2^22. */
static inline float pare_codec_near(float x) { return (x + 12582912.0f) - 12582912.0f; }

/* x / scale as a whole number in [lo, hi]; scale 0 gives 0 (or the nearer end). Clamped first: the quotient may be anything. */
static inline int pare_codec_whole(float x, float scale, int lo, int hi)
{
    float y = scale == 0.0f ? 0.0f : x / scale;

    y = y < (float)lo ? (float)lo : y > (float)hi ? (float)hi : y;
    return (int)pare_codec_near(y);
}

static inline float pare_codec_amax(const float *x, uint64_t n)
{
    float m = 0.0f;

    for (uint64_t i = 0; i < n; i++) {
        float a = x[i] < 0.0f ? -x[i] : x[i];
        m = a > m ? a : m;
    }
    return m;
}

/* A scale as a half; what is beyond the largest one becomes the largest one. Below the smallest it becomes 0, and so does the group. */
static inline void pare_codec_put_scale(uint8_t *head, float s)
{
    uint16_t h = pare_f32_to_f16(s);

    if ((h & 0x7fffu) >= 0x7c00u) h = (uint16_t)((h & 0x8000u) | 0x7bffu);
    pare_enc_put16(head, h);
}
static inline float pare_codec_get_scale(const uint8_t *head) { return pare_f16_to_f32(pare_le16(head)); }

/* 2^e for a byte e - 127 as the MX formats store it; 0 means 2^-127. */
static inline float pare_codec_pow2(uint8_t e) { return pare_bits_f32(e == 0 ? 0x00400000u : (uint32_t)e << 23); }

#endif
