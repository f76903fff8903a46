/* SPDX-License-Identifier: Apache-2.0
 * src/compress/bitmod.h: a number type for each group of weights (BitMoD, arXiv 2411.11745). The formats are bitmod3 and bitmod4 of
 * tensor/codec.h; here is the product with their codes. */
#ifndef PARE_COMPRESS_BITMOD_H
#define PARE_COMPRESS_BITMOD_H

#include "tensor/codec.h"

/* y[s.rows] = W x, W in the bytes of codec c (bitmod3, bitmod4) cut by s, x[s.cols]. A group's inputs are added up by code, one
 * addition a weight; its 8 or 16 levels and its scale come in once at the end. Sums in the order of columns, the same bits everywhere. */
void pare_bitmod_gemv(float *y, const struct pare_codec *c, struct pare_codec_shape s, const uint8_t *w, const float *x);

#endif
