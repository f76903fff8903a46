/* SPDX-License-Identifier: Apache-2.0
 * src/compress/format_lab.h: number formats compared on tensors (INT v.s. FP, arXiv 2510.25602): signal to noise of a cast, with and
 * without a Hadamard rotation, beside the crest factor of the blocks, which decides between whole numbers and floats. */
#ifndef PARE_COMPRESS_FORMAT_LAB_H
#define PARE_COMPRESS_FORMAT_LAB_H

#include "tensor/codec.h"

struct pare_format_noise {
    double   signal, noise; /* sums of squares; of several tensors they add up */
    double   bias;          /* sum of (y - x) */
    uint64_t bytes;
};
/* Adds what codec c does to x [s.rows][s.cols]. rotate: 0, or a power of two: whole blocks of so many columns are multiplied by the
 * orthonormal Hadamard matrix first (what is left of a row stays). Errors as pare_codec_round. */
int pare_format_noise(struct pare_format_noise *out, const struct pare_codec *c, struct pare_codec_shape s, const float *x, uint32_t rotate,
                      struct pare_diag *diag);
/* 10 log10(signal / noise); infinite without noise. */
double pare_format_db(const struct pare_format_noise *n);
/* Mean over blocks of `block` columns of largest magnitude / root mean square; blocks of zeros are left out. */
double pare_format_crest(const float *x, uint64_t rows, uint64_t cols, uint32_t block);

#endif
