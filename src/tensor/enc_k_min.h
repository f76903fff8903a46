/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_k_min.h: the search for super-blocks with minima (enc_k_min.c), apart from their bytes (enc_k_line.c). */
#ifndef PARE_TENSOR_ENC_K_MIN_H
#define PARE_TENSOR_ENC_K_MIN_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/enc_wide.h"

struct pare_enc_k_min {
    uint16_t d_bits, dmin_bits; /* f16, ready to store */
    float    d, dmin;           /* in the scaled domain, both >= 0, for -x where turned */
    bool     turned;
    uint8_t  s[16], m[16];
};
/* One super-block of 16 groups of 16, or one or two of 8 groups of 32, loaded into j->at with exponents k; j->bits
 * and j->s_hi are set. Writes the codes too, 0 .. 2^bits - 1, 256 a super-block. Overwrites j. */
void pare_enc_k_min_fit(struct pare_enc_lines *j, int supers, const int *k, struct pare_enc_k_min *out, uint8_t *code);

#endif
