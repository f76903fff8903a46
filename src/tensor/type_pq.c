/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/type_pq.c: the formats of our own, for rows of any width; docs/own-types.md has the layout.
 *
 * A row: d (f16), one signed byte s for each group, then the codes of all groups. value = d * s * table[code]. All scales
 * of a row stand together so that a reader can take them in one go, and the codes stay aligned to their own size. */
#include "base/checked.h"
#include "tensor/dtype_list.h"
#include "tensor/enc_put.h"
#include "tensor/encode.h"
#include "tensor/pq_codebook.h"
#include "tensor/spread.h"
#include "tensor/unpacked.h"

const int8_t pare_pq2_lut[4] = PARE_PQ2_VALUES;
const int8_t pare_pq3_lut[8] = PARE_PQ3_VALUES;
const int8_t pare_pq4_lut[16] = PARE_PQ4_VALUES;

/* n columns of 2 bits at bit `at`: byte j holds columns j, j + n/4, j + n/2, j + 3n/4 from the low bits up. */
static inline void plane2(uint8_t *restrict idx, const uint8_t *restrict q, int n, int at)
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < n / 4; j++) idx[i * (n / 4) + j] |= (uint8_t)((q[j] >> 2 * i & 3) << at);
}

/* n columns of 4 bits: byte j holds columns j and j + n/2. */
static inline void plane4(uint8_t *restrict idx, const uint8_t *restrict q, int n)
{
    for (int j = 0; j < n / 2; j++) {
        idx[j] |= q[j] & 15;
        idx[j + n / 2] |= q[j] >> 4;
    }
}

/* n columns of 1 bit at bit `at`: column i is bit i % 8 of byte i / 8. */
static inline void plane1(uint8_t *restrict idx, const uint8_t *restrict q, int n, int at)
{
    for (int i = 0; i < n / 8; i++) pare_or8(idx + 8 * i, pare_spread1(q[i]) << at);
}

/* The codes of one group of n = 16 or 32 columns: a wide plane, and a narrow one for bits that 2 and 4 do not reach. */
static inline void group_codes(uint8_t *restrict idx, const uint8_t *restrict q, int n, int bits)
{
    for (int i = 0; i < n; i++) idx[i] = 0;
    if (bits < 4) plane2(idx, q, n, 0);
    else plane4(idx, q, n);
    if (bits == 3) plane1(idx, q + n / 4, n, 2);
    if (bits == 5) plane1(idx, q + n / 2, n, 4);
    if (bits == 6) plane2(idx, q + n / 2, n, 4);
}

static inline uint64_t groups_of(uint64_t cols, int n)
{
    return cols / (uint64_t)n + (cols % (uint64_t)n != 0);
}

static inline void unpack_row(const struct pare_unpacked *out, const uint8_t *p, uint64_t cols, int n, int bits)
{
    uint64_t groups = groups_of(cols, n), bytes = (uint64_t)(n * bits / 8);
    const uint8_t *q = p + 2 + groups;

    if (groups == 0) return;
    out->d[0] = pare_f16_to_f32(pare_le16(p));
    for (uint64_t g = 0; g < groups; g++, q += bytes) {
        out->s[g] = (int8_t)p[2 + g];
        group_codes(out->idx + g * (uint64_t)n, q, n, bits);
    }
}

static inline void plane1_back(uint8_t *q, const uint8_t *idx, int n, int at)
{
    for (int i = 0; i < n / 8; i++) q[i] = (uint8_t)pare_gather1(idx + 8 * i, at);
}

static inline void group_codes_back(uint8_t *restrict q, const uint8_t *restrict idx, int n, int bits)
{
    uint8_t high[32];

    if (bits < 4) pare_enc_put_pairs(q, idx, n / 4);
    else pare_enc_put_nibbles(q, idx, n / 2);
    if (bits == 3) plane1_back(q + n / 4, idx, n, 2);
    if (bits == 5) plane1_back(q + n / 2, idx, n, 4);
    if (bits != 6) return;
    for (int i = 0; i < n; i++) high[i] = idx[i] >> 4;
    pare_enc_put_pairs(q + n / 2, high, n / 4);
}

/* The columns behind the last one are part of the view, so their codes come back too. */
static inline void repack_row(uint8_t *p, const struct pare_unpacked *in, uint64_t cols, int n, int bits)
{
    uint64_t groups = groups_of(cols, n), bytes = (uint64_t)(n * bits / 8);
    uint8_t *q = p + 2 + groups;

    pare_enc_put16(p, groups == 0 ? 0 : pare_f32_to_f16(in->d[0]));
    for (uint64_t g = 0; g < groups; g++, q += bytes) {
        p[2 + g] = (uint8_t)in->s[g];
        group_codes_back(q, in->idx + g * (uint64_t)n, n, bits);
    }
}

static inline void decode_row(const struct pare_pack_traits *t, float *dst, const uint8_t *p, uint64_t cols, int n, int bits)
{
    uint64_t groups = groups_of(cols, n), bytes = (uint64_t)(n * bits / 8);
    const uint8_t *q = p + 2 + groups;
    float d = pare_f16_to_f32(pare_le16(p));
    uint8_t idx[32];

    for (uint64_t g = 0; g < groups; g++, q += bytes) {
        uint64_t left = cols - g * (uint64_t)n;

        group_codes(idx, q, n, bits);
        pare_decode_group(t, dst + g * (uint64_t)n, idx, left < (uint64_t)n ? (unsigned)left : (unsigned)n,
                          d * (float)(int8_t)p[2 + g], 0.0f);
    }
}

/* A row of the table: groups of n columns, codes of `bits` bits, values from a table or affine. */
#define PQ(tag, NAME, n, nbits, text, ...)                                                                             \
    static void decode_##tag(float *dst, const void *src, uint64_t cols)                                               \
    {                                                                                                                  \
        decode_row(&pare_dt_##tag.pack, dst, src, cols, n, nbits);                                                     \
    }                                                                                                                  \
    static void unpack_##tag(const struct pare_unpacked *out, const void *src, uint64_t cols)                          \
    {                                                                                                                  \
        unpack_row(out, src, cols, n, nbits);                                                                          \
    }                                                                                                                  \
    static void repack_##tag(void *dst, const struct pare_unpacked *in, uint64_t cols)                                 \
    {                                                                                                                  \
        repack_row(dst, in, cols, n, nbits);                                                                           \
    }                                                                                                                  \
    const struct pare_dtype pare_dt_##tag = {                                                                          \
        .name = #tag, .type = NAME, .gguf_id = -1, .block = n, .block_bytes = 1 + (n) * (nbits) / 8, .row_bytes = 2,   \
        .caps = PARE_DT_QUANT | PARE_DT_WRITE | PARE_DT_ANYWIDTH, .bits = (nbits) + 8.0 / (n), .help = text,           \
        .decode = decode_##tag, .encode = pare_encode_##tag, .unpack = unpack_##tag, .repack = repack_##tag,           \
        .pack = { .bits = nbits, .group = n, .has_sub = true, .d_is_f16 = true, __VA_ARGS__ },                         \
    };

PQ(pq2, PARE_PQ2, 32, 2, "2-bit codes for 4 values, an 8-bit scale every 32 weights; rows of any width.", .lut = pare_pq2_lut)
PQ(pq2h, PARE_PQ2H, 16, 2, "2-bit codes for 4 values, an 8-bit scale every 16 weights; rows of any width.", .lut = pare_pq2_lut)
PQ(pq3, PARE_PQ3, 32, 3, "3-bit codes for 8 values, an 8-bit scale every 32 weights; rows of any width.", .lut = pare_pq3_lut)
PQ(pq3h, PARE_PQ3H, 16, 3, "3-bit codes for 8 values, an 8-bit scale every 16 weights; rows of any width.", .lut = pare_pq3_lut)
PQ(pq4, PARE_PQ4, 32, 4, "4-bit codes for 16 values, an 8-bit scale every 32 weights; rows of any width.", .lut = pare_pq4_lut)
PQ(pq5, PARE_PQ5, 32, 5, "5-bit integers, an 8-bit scale every 32 weights; rows of any width.", .offset = PARE_PQ5_OFFSET)
PQ(pq6, PARE_PQ6, 32, 6, "6-bit integers, an 8-bit scale every 32 weights; rows of any width.", .offset = PARE_PQ6_OFFSET)
