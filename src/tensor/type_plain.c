/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/type_plain.c: one number after another, little-endian: F32, F16, BF16, F64, integers, booleans. */
#include <string.h>

#include "base/checked.h"
#include "tensor/dtype_list.h"
#include "tensor/encode.h"
#include "tensor/half.h"

static void decode_f32(float *dst, const void *src, uint64_t cols)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(dst, src, cols * sizeof *dst);
#else
    for (uint64_t i = 0; i < cols; i++) dst[i] = pare_bits_f32(pare_le32((const uint8_t *)src + i * 4));
#endif
}

static void encode_f32(void *dst, const float *src, uint64_t cols, const float *importance)
{
    (void)importance;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(dst, src, cols * sizeof *src);
#else
    for (uint64_t i = 0; i < cols; i++) {
        uint32_t u = pare_f32_bits(src[i]);
        for (int b = 0; b < 4; b++) ((uint8_t *)dst)[i * 4 + b] = (uint8_t)(u >> 8 * b);
    }
#endif
}

static double bits_f64(uint64_t u)
{
    double f;

    memcpy(&f, &u, sizeof f);
    return f;
}

/* decode_NAME: expr is the value of the element at p. */
#define DECODE(name, size, expr)                                                                                       \
    static void decode_##name(float *dst, const void *src, uint64_t cols)                                              \
    {                                                                                                                  \
        const uint8_t *p = src;                                                                                        \
                                                                                                                       \
        for (uint64_t i = 0; i < cols; i++, p += (size)) dst[i] = (float)(expr);                                       \
    }
DECODE(bf16, 2, pare_bf16_to_f32(pare_le16(p)))
DECODE(f64, 8, bits_f64(pare_le64(p)))
DECODE(i8, 1, (int8_t)*p)
DECODE(i16, 2, (int16_t)pare_le16(p))
DECODE(i32, 4, (int32_t)pare_le32(p))
DECODE(i64, 8, (int64_t)pare_le64(p))
DECODE(u8, 1, *p)
DECODE(bool, 1, *p != 0)
#undef DECODE

const struct pare_dtype pare_dt_f32 = {
    .name = "f32", .type = PARE_F32, .gguf_id = 0, .block = 1, .block_bytes = 4,
    .caps = PARE_DT_FLOAT | PARE_DT_STANDARD | PARE_DT_WRITE, .bits = 32,
    .help = "IEEE single precision.", .decode = decode_f32, .encode = encode_f32,
};
const struct pare_dtype pare_dt_f16 = {
    .name = "f16", .type = PARE_F16, .gguf_id = 1, .block = 1, .block_bytes = 2,
    .caps = PARE_DT_FLOAT | PARE_DT_STANDARD | PARE_DT_WRITE, .bits = 16,
    .help = "IEEE half precision: 11 significant bits, largest value 65504.", .decode = pare_f16_row, .encode = pare_encode_f16,
};
const struct pare_dtype pare_dt_bf16 = {
    .name = "bf16", .type = PARE_BF16, .gguf_id = 30, .block = 1, .block_bytes = 2,
    .caps = PARE_DT_FLOAT | PARE_DT_STANDARD | PARE_DT_WRITE, .bits = 16,
    .help = "The upper half of single precision: 8 significant bits, full range.", .decode = decode_bf16,
    .encode = pare_encode_bf16,
};
const struct pare_dtype pare_dt_f64 = {
    .name = "f64", .type = PARE_F64, .gguf_id = 28, .block = 1, .block_bytes = 8,
    .caps = PARE_DT_FLOAT | PARE_DT_STANDARD, .bits = 64,
    .help = "IEEE double precision, rounded to single when read.", .decode = decode_f64,
};
const struct pare_dtype pare_dt_i8 = {
    .name = "i8", .type = PARE_I8, .gguf_id = 24, .block = 1, .block_bytes = 1,
    .caps = PARE_DT_STANDARD, .bits = 8, .help = "Signed bytes, not scaled.", .decode = decode_i8,
};
const struct pare_dtype pare_dt_i16 = {
    .name = "i16", .type = PARE_I16, .gguf_id = 25, .block = 1, .block_bytes = 2,
    .caps = PARE_DT_STANDARD, .bits = 16, .help = "Signed 16-bit integers.", .decode = decode_i16,
};
const struct pare_dtype pare_dt_i32 = {
    .name = "i32", .type = PARE_I32, .gguf_id = 26, .block = 1, .block_bytes = 4,
    .caps = PARE_DT_STANDARD, .bits = 32, .help = "Signed 32-bit integers.", .decode = decode_i32,
};
const struct pare_dtype pare_dt_i64 = {
    .name = "i64", .type = PARE_I64, .gguf_id = 27, .block = 1, .block_bytes = 8,
    .caps = PARE_DT_STANDARD, .bits = 64, .help = "Signed 64-bit integers.", .decode = decode_i64,
};
const struct pare_dtype pare_dt_u8 = {
    .name = "u8", .type = PARE_U8, .gguf_id = -1, .block = 1, .block_bytes = 1,
    .bits = 8, .help = "Unsigned bytes, not scaled.", .decode = decode_u8,
};
const struct pare_dtype pare_dt_bool = {
    .name = "bool", .type = PARE_BOOL, .gguf_id = -1, .block = 1, .block_bytes = 1,
    .bits = 8, .help = "One byte a truth value: zero is 0, anything else 1.", .decode = decode_bool,
};
