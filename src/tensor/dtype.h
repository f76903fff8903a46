/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/dtype.h: storage formats, one const row each (src/tensor/type_*.c, listed in dtype_list.h).
 *
 * Two views of a quantized row exist, and they must agree:
 *   decode  -> f32 values, bit for bit what the public reference decoder gives;
 *   unpack  -> the integer view that the run time multiplies with: value = dw * lut[idx] (+ mw), where
 *              dw = d * s and mw = -(dmin * m) are products that are exact in f32 (an 11-bit times an 8-bit significand).
 * The integer view is what kernels pack (src/kernel/pack.h) and what the 16-lane rule for block formats is written in:
 *     acc = fma((float)idot_group * dx_block, dw_group, acc);      idot = sum of lut[idx] * q, exact in int32
 *     acc = fma(mw_group, sx_group, acc);                          only for types with minima; sx = dx * (float)sum(q)
 * (types with int_sub: s is part of the integer sum, and a step is 32 columns; docs/kernels.md),
 * in column order, one accumulator per output. */
#ifndef PARE_TENSOR_DTYPE_H
#define PARE_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Order is free to change; numbers are never written to files. */
enum pare_type {
    PARE_F32, PARE_F16, PARE_BF16, PARE_F64,
    PARE_I8, PARE_I16, PARE_I32, PARE_I64, PARE_U8, PARE_BOOL,
    PARE_Q4_0, PARE_Q4_1, PARE_Q5_0, PARE_Q5_1, PARE_Q8_0, PARE_Q8_1,
    PARE_Q2_K, PARE_Q3_K, PARE_Q4_K, PARE_Q5_K, PARE_Q6_K, PARE_Q8_K,
    PARE_IQ1_S, PARE_IQ1_M, PARE_IQ2_XXS, PARE_IQ2_XS, PARE_IQ2_S, PARE_IQ3_XXS, PARE_IQ3_S, PARE_IQ4_NL, PARE_IQ4_XS,
    PARE_TQ1_0, PARE_TQ2_0, PARE_MXFP4,
    /* Our own, for rows of any width: one f16 scale a row, one signed byte of scale a group, codes of 2..6 bits.
     * "h": groups of 16 instead of 32. docs/own-types.md has the layout. */
    PARE_PQ2, PARE_PQ2H, PARE_PQ3, PARE_PQ3H, PARE_PQ4, PARE_PQ5, PARE_PQ6,
    /* Trellis codes, for rows of any width: one f16 scale a row (tensor/trellis.h). */
    PARE_TC2, PARE_TC3, PARE_TC4,
    PARE_TYPE_COUNT
};

enum {
    PARE_DT_FLOAT    = 1u << 0, /* F32, F16, BF16, F64: multiplied in f32 */
    PARE_DT_QUANT    = 1u << 1, /* has unpack: multiplied with int8 activations */
    PARE_DT_STANDARD = 1u << 2, /* has a GGUF number: other engines read it */
    PARE_DT_WRITE    = 1u << 3, /* has encode */
    PARE_DT_ANYWIDTH = 1u << 4, /* rows of any length; else cols % block == 0 */
    PARE_DT_SLOW     = 1u << 5  /* encoding takes about a microsecond a weight: estimates make do with fewer rows */
};

/* The integer view of one row. Arrays belong to the caller; n_group = ceil(cols / group), n_super = ceil(cols / super). */
struct pare_unpacked {
    uint8_t *idx;   /* [n_group * group], padding columns hold any index: the multiplication has zero activations there */
    int8_t  *s;     /* [n_group] sub-scale; 1 where the type has none */
    uint8_t *m;     /* [n_group] sub-minimum (1 where has_min without sub-scales); untouched where the type has none */
    float   *d;     /* [n_super] scale of the super-block */
    float   *dmin;  /* [n_super]; the value added is -(dmin * m). Untouched where the type has none */
};

struct pare_trellis;

/* How a type is packed and multiplied. */
struct pare_pack_traits {
    uint8_t  bits;      /* 2, 3, 4, 5, 6, 8: bits of idx in the packed form */
    uint8_t  group;     /* 16 or 32 columns share s (and m) */
    uint16_t super;     /* columns that share d (and dmin); 0: the whole row */
    bool     has_sub;   /* s varies (stored as one byte a group) */
    bool     has_min;
    bool     d_is_f16;  /* every d and dmin is exactly an f16; else kept as f32 */
    bool     int_sub;   /* groups of 16 whose s is multiplied in integers: every s * value lies in [-fold, 255 - fold] */
    uint8_t  fold;
    int8_t   offset;    /* affine types: lut[i] = i + offset (offset <= 0). For bits == 8: idx = value + 128, offset -128 */
    const int8_t *lut;  /* non-NULL for bits <= 4 with a table of 1 << bits values; NULL: affine */
    const struct pare_trellis *trellis; /* non-NULL: idx are codes of a trellis, and values follow from several of them (trellis.h);
                                         * group 32, super 0, no sub-scales, no minima */
};

struct pare_dtype {
    const char  *name;       /* as typed by users, lower case: "q4_k"; never reused for another layout */
    enum pare_type type;
    int32_t      gguf_id;    /* number on disk in GGUF, -1 if it has none */
    uint16_t     block;      /* weights a block; 1 for plain types; for ANYWIDTH types the group size */
    uint16_t     block_bytes;/* bytes a block; for ANYWIDTH types bytes a group (scale byte and codes) */
    uint16_t     row_bytes;  /* extra bytes a row (ANYWIDTH: 2 for the row scale), else 0 */
    uint32_t     caps;       /* PARE_DT_* */
    double       bits;       /* nominal bits a weight without row_bytes, for ordering and help */
    const char  *help;       /* one short sentence */
    /* decode writes cols floats. Cannot fail: sizes were checked when the tensor was bound. */
    void (*decode)(float *dst, const void *src, uint64_t cols);
    /* encode writes one row of cols weights. importance: [cols] non-negative weights of the squared error, or NULL.
     * Non-finite inputs must have been refused before. Deterministic, the same bytes in every tier. NULL: read only. */
    void (*encode)(void *dst, const float *src, uint64_t cols, const float *importance);
    void (*unpack)(const struct pare_unpacked *out, const void *src, uint64_t cols); /* NULL unless PARE_DT_QUANT */
    /* repack is unpack backwards: writes the bytes of a row, each of them, from its integer view; NULL unless PARE_DT_QUANT. Bytes
     * that say nothing about the values come out as encoders write them, so only a comparison tells whether a row came back. Any
     * view is taken, also one that unpack never gives: codes are cut to their bits, what has no code gets some code. */
    void (*repack)(void *dst, const struct pare_unpacked *in, uint64_t cols);
    struct pare_pack_traits pack;
};

/* pare_dtype_of returns the row of a type; never NULL for type < PARE_TYPE_COUNT. */
const struct pare_dtype *pare_dtype_of(enum pare_type type);
/* By name (case-insensitive) or GGUF number; NULL if unknown. */
const struct pare_dtype *pare_dtype_by_name(const char *name);
const struct pare_dtype *pare_dtype_by_gguf(uint32_t gguf_id);
/* pare_dtype_row_bytes sets *out to the bytes of a row of cols weights; false when cols does not suit the type or overflows. */
bool pare_dtype_row_bytes(const struct pare_dtype *t, uint64_t cols, uint64_t *out);
/* rows * row_bytes, overflow-checked. */
bool pare_dtype_bytes(const struct pare_dtype *t, uint64_t rows, uint64_t cols, uint64_t *out);

/* Half precision, round to nearest even, all special values; scalar, the same everywhere. */
float    pare_f16_to_f32(uint16_t h);
uint16_t pare_f32_to_f16(float f);
static inline float pare_bf16_to_f32(uint16_t h)
{
    union { uint32_t u; float f; } x = { (uint32_t)h << 16 };
    return x.f;
}
uint16_t pare_f32_to_bf16(float f); /* round to nearest even, NaN stays NaN */

#endif
