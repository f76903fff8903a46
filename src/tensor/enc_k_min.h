/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_k_min.h: the search for super-blocks with minima (enc_k_min.c), apart from their bytes (enc_k_line.c). */
#ifndef PARE_TENSOR_ENC_K_MIN_H
#define PARE_TENSOR_ENC_K_MIN_H

#include <stdbool.h>
#include <stdint.h>

struct pare_enc_k_min {
    uint16_t d_bits, dmin_bits; /* f16, ready to store */
    float    d, dmin;           /* in the scaled domain, both >= 0, for -x where turned */
    bool     turned;
    uint8_t  s[16], m[16];
};
/* x, w: 256 columns from pare_enc_load with exponent k. Writes the codes too, 0 .. 2^bits - 1. */
void pare_enc_k_min_fit(const float *x, const float *w, int bits, int group, int s_max, int k, struct pare_enc_k_min *out,
                        uint8_t *code);

#endif
