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
/* One super-block of 16 groups of 16, or one or two of 8 groups of 32, loaded into j->at with exponents k;
 * j->book, s_lo and s_hi are set. Writes the codes too, 256 a super-block. */
void pare_enc_super_fit(struct pare_enc_scales *j, int supers, const int *k, struct pare_enc_super *out, uint8_t *code);

/* Loads the next super-blocks of a row, of which `cols` columns are left: as many as fill the lanes. k: their exponents. Returns how
 * many there are, 1 or 2. */
int pare_enc_load_supers(struct pare_enc_groups *at, int *k, const float *src, const float *importance, uint64_t cols, int group);

/* Candidates for d: u is 0 .. PARE_ENC_TRIES - 1; `extreme` is the ideal scale of largest magnitude. */
enum { PARE_ENC_TRIES = 40 };
float pare_enc_try_d(float extreme, int u, int s_lo, int s_hi, int k, uint16_t *bits);

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
