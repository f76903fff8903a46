/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/type_ternary.c: tq1_0 and tq2_0, weights of -1, 0, 1 times one f16 scale every 256.
 *
 * tq2_0: 64 bytes of 2-bit codes, d; value = d * (code - 1), laid out like the codes of q2_k.
 * tq1_0: 48 bytes of 5 ternary digits each, 4 bytes of 4 digits, d. A byte is the number 0.t0t1t2t3t4 (base 3) times 256,
 * rounded up: multiplying by 3 in 8 bits drops the digits already read, and the next one is what 3 * byte carries out of
 * the 8 bits. Digit n of byte j belongs to column 32 n + j for the first 32 bytes, 160 + 16 n + j for the next 16, and
 * 240 + 4 n + j for the last 4. */
#include "base/checked.h"
#include "tensor/dtype_list.h"
#include "tensor/enc_put.h"
#include "tensor/unpacked.h"

/* digits digits of each of n bytes; digit k of byte j goes to idx[k * n + j] */
static void digits3(uint8_t *restrict idx, const uint8_t *restrict q, int n, int digits)
{
    unsigned power = 1;

    for (int k = 0; k < digits; k++, power *= 3)
        for (int j = 0; j < n; j++) idx[k * n + j] = (uint8_t)((q[j] * power & 255u) * 3u >> 8);
}

static void unpack_tq1_0(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 256; b++, p += 54) {
        uint8_t *idx = out->idx + b * 256;

        digits3(idx, p, 32, 5);
        digits3(idx + 160, p + 32, 16, 5);
        digits3(idx + 240, p + 48, 4, 4);
        out->d[b] = pare_f16_to_f32(pare_le16(p + 52));
        for (int g = 0; g < 8; g++) out->s[b * 8 + g] = 1;
    }
}

static void unpack_tq2_0(const struct pare_unpacked *out, const void *src, uint64_t cols)
{
    const uint8_t *p = src;

    for (uint64_t b = 0; b < cols / 256; b++, p += 66) {
        for (int i = 0; i < 8; i++) {
            uint8_t *restrict idx = out->idx + b * 256 + i * 32;
            const uint8_t *restrict q = p + i / 4 * 32;

            for (int j = 0; j < 32; j++) idx[j] = q[j] >> 2 * (i % 4) & 3;
        }
        out->d[b] = pare_f16_to_f32(pare_le16(p + 64));
        for (int g = 0; g < 8; g++) out->s[b * 8 + g] = 1;
    }
}

/* Bytes that digits3 reads as these digits; of several such bytes the one that encoders write. */
static void digits3_back(uint8_t *restrict q, const uint8_t *restrict idx, int n, int digits)
{
    for (int j = 0; j < n; j++) {
        unsigned v = 0;

        for (int k = 0; k < 5; k++) v = v * 3 + (k < digits ? idx[k * n + j] & 3u : 0);
        q[j] = (uint8_t)((v * 256 + 242) / 243);
    }
}

static void repack_tq1_0(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 256; b++, p += 54) {
        const uint8_t *idx = in->idx + b * 256;

        digits3_back(p, idx, 32, 5);
        digits3_back(p + 32, idx + 160, 16, 5);
        digits3_back(p + 48, idx + 240, 4, 4);
        pare_enc_put16(p + 52, pare_f32_to_f16(in->d[b]));
    }
}

static void repack_tq2_0(void *dst, const struct pare_unpacked *in, uint64_t cols)
{
    uint8_t *p = dst;

    for (uint64_t b = 0; b < cols / 256; b++, p += 66) {
        for (int half = 0; half < 2; half++) pare_enc_put_pairs(p + half * 32, in->idx + b * 256 + half * 128, 32);
        pare_enc_put16(p + 64, pare_f32_to_f16(in->d[b]));
    }
}

PARE_DECODE_BLOCKS(tq1_0)
PARE_DECODE_BLOCKS(tq2_0)

const struct pare_dtype pare_dt_tq1_0 = {
    .name = "tq1_0", .type = PARE_TQ1_0, .gguf_id = 34, .block = 256, .block_bytes = 54,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD, .bits = 1.6875,
    .help = "Ternary weights, five to a byte, for models trained that way; read only.",
    .decode = decode_tq1_0, .unpack = unpack_tq1_0, .repack = repack_tq1_0,
    .pack = { .bits = 2, .group = 32, .super = 256, .d_is_f16 = true, .offset = -1 },
};
const struct pare_dtype pare_dt_tq2_0 = {
    .name = "tq2_0", .type = PARE_TQ2_0, .gguf_id = 35, .block = 256, .block_bytes = 66,
    .caps = PARE_DT_QUANT | PARE_DT_STANDARD, .bits = 2.0625,
    .help = "Ternary weights, four to a byte, for models trained that way; read only.",
    .decode = decode_tq2_0, .unpack = unpack_tq2_0, .repack = repack_tq2_0,
    .pack = { .bits = 2, .group = 32, .super = 256, .d_is_f16 = true, .offset = -1 },
};
