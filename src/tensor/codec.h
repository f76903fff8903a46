/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/codec.h: number formats for study and for methods, one const row each (src/tensor/codec_*.c, listed in codec_list.h).
 *
 * Unlike the storage formats of dtype.h a codec has no kernel and no place in a file: it says which numbers a group of weights (or of
 * activations, gradients) can become and how many bytes that takes, heads and padding counted. Methods that round in a format of their
 * own, trainers that imitate one, and comparisons of formats at equal bytes use the same rows, so that they agree bit for bit.
 *
 * A tensor is cut into groups of columns that share a head (scale, zero point, type id). Bytes: the front of the tensor, then row after
 * row, group after group: head, codes. Codes lie bit after bit, low bits first; codes of 3 or 5 levels as numbers of base 3 (five a
 * byte) or 5 (ten in three bytes). A group starts at a byte. Scalar plain C: the same bytes everywhere. */
#ifndef PARE_TENSOR_CODEC_H
#define PARE_TENSOR_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include <pare/error.h>

enum { PARE_CODEC_HEAD = 4 }; /* bytes of the largest head */

/* Sign, ebits of exponent, mbits of mantissa, subnormal numbers; magnitudes are coded 0 .. max_code. */
struct pare_minifloat {
    uint8_t ebits, mbits, max_code;
    int8_t  bias;
    float   max; /* largest magnitude */
};
extern const struct pare_minifloat pare_e4m3, pare_e5m2, pare_e2m3, pare_e3m2, pare_e2m1;
/* Nearest, halves to the even mantissa; beyond the largest number the largest number. x finite. Minus zero is not written. */
uint8_t pare_minifloat_encode(const struct pare_minifloat *f, float x);
float   pare_minifloat_decode(const struct pare_minifloat *f, uint8_t code);

struct pare_codec {
    const char *name;   /* "int4", "mxfp4", "bitmod3"; never reused for another layout */
    uint8_t  bits;      /* of a code; of the largest one where radix is set */
    uint8_t  radix;     /* 3 or 5 levels, packed as digits; 0: bits */
    uint8_t  head;      /* bytes of a group besides its codes */
    uint8_t  front;     /* bytes of the tensor besides its groups: 0, or 4 for a float that all scales are multiples of */
    uint16_t group;     /* columns of a group where the format fixes them; 0: the caller's choice */
    const char *help;   /* one short sentence */
    /* The front for a tensor whose largest magnitude is amax. NULL: none. */
    float (*front_of)(const struct pare_codec *c, float amax);
    /* fit chooses the head of one group of n numbers. */
    void (*fit)(const struct pare_codec *c, uint8_t *head, const float *x, uint64_t n, float front);
    /* encode and decode any part of a group under a given head. Codes are below 1 << bits, or below radix. */
    void (*encode)(const struct pare_codec *c, uint16_t *code, const float *x, uint64_t n, const uint8_t *head, float front);
    void (*decode)(const struct pare_codec *c, float *dst, const uint16_t *code, uint64_t n, const uint8_t *head, float front);
    /* What the functions read; each family its own. */
    int16_t lo, hi;                     /* whole numbers: lowest and highest */
    int16_t ceiling;                    /* power-of-two scales: exponent of the format's largest power; -1: the scale is rounded up */
    const struct pare_minifloat *elem;  /* floats; NULL: whole numbers */
};

/* By name, NULL if unknown; all rows. */
const struct pare_codec *pare_codec_by_name(const char *name);
const struct pare_codec *const *pare_codecs(uint32_t *n);

/* A tensor [rows][cols] and how it is cut: group columns share a head and never cross a row (the last group of a row may be shorter);
 * group >= cols: a row (channel); PARE_CODEC_TENSOR: all rows. Formats with a group of their own take only that (0 means it too). */
struct pare_codec_shape {
    uint64_t rows, cols, group;
};
#define PARE_CODEC_TENSOR UINT64_MAX

/* All bytes of the tensor. False when the group does not suit the codec, a side is 0, or the size overflows. */
bool pare_codec_bytes(const struct pare_codec *c, struct pare_codec_shape s, uint64_t *out);
/* Writes exactly pare_codec_bytes at dst. w holds finite numbers. */
void pare_codec_encode(const struct pare_codec *c, struct pare_codec_shape s, uint8_t *dst, const float *w);
void pare_codec_decode(const struct pare_codec *c, struct pare_codec_shape s, float *dst, const uint8_t *src);
/* Encodes and decodes in place. *bytes (may be NULL) is the size in between. PARE_E_USAGE for a wrong group, PARE_E_CORRUPT for a
 * number that is not finite (its index is in the text; w is unchanged). */
int pare_codec_round(const struct pare_codec *c, struct pare_codec_shape s, float *w, uint64_t *bytes, struct pare_diag *diag);

/* SEFP only: the bytes of the narrower format from those of the wider one, by dropping low mantissa bits; heads stay as they are.
 * The result is what encoding the original in the narrower format gives, bit for bit. False when from or to is no SEFP format, to is
 * the wider one, or the shape is none. */
bool pare_sefp_narrow(const struct pare_codec *to, uint8_t *dst, const struct pare_codec *from, const uint8_t *src,
                      struct pare_codec_shape s);
/* The levels of one BitMoD type (0..3) in ascending order, 8 or 16 (by c->bits); NULL for another codec. */
const float *pare_bitmod_levels(const struct pare_codec *c, uint32_t type);

/* Codes of n numbers from and to bytes (codec_pack.c). n codes take pare_codec_code_bytes. */
uint64_t pare_codec_code_bytes(const struct pare_codec *c, uint64_t n);
void pare_codec_pack(const struct pare_codec *c, uint8_t *dst, const uint16_t *code, uint64_t n);
void pare_codec_unpack(const struct pare_codec *c, uint16_t *code, const uint8_t *src, uint64_t n);
/* Numbers that fill whole bytes in every format: codes are made in pieces of this many. */
enum { PARE_CODEC_PIECE = 240 };

#endif
