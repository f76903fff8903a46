/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_super.h: super-blocks of 256 without minima: value = d * s * level, s a whole number in [s_lo, s_hi], groups of 16 or
 * 32 columns. */
#ifndef PARE_TENSOR_ENC_SUPER_H
#define PARE_TENSOR_ENC_SUPER_H

#include "tensor/enc_wide.h"

struct pare_enc_super {
    uint16_t d_bits; /* f16 */
    float    d;      /* the same in the scaled domain */
    int8_t   s[16];
};
/* One super-block of 16 groups of 16, or one or two of 8 groups of 32, spread over j->at from pare_enc_load_super with exponents k;
 * j->book, s_lo and s_hi are set. Writes the codes too, 256 a super-block. */
void pare_enc_super_fit(struct pare_enc_scales *j, int supers, const int *k, struct pare_enc_super *out, uint8_t *code);

/* Scales the super-block at columns [at, at + 256) of a row, as pare_enc_load; returns its exponent. */
int pare_enc_load_super(float *x, float *w, const float *src, const float *importance, uint64_t at, int group);

/* A row of such super-blocks; write makes the `bytes` bytes of one. */
struct pare_enc_super_layout {
    const struct pare_enc_book *book;
    int      group, s_lo, s_hi;
    uint64_t bytes;
    void (*write)(uint8_t *p, const struct pare_enc_super *o, const uint8_t *code);
};
void pare_enc_super_rows(const struct pare_enc_super_layout *l, uint8_t *dst, const float *src, uint64_t cols,
                         const float *importance);

#endif
