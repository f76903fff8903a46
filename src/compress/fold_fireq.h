/* SPDX-License-Identifier: Apache-2.0
 * src/compress/fold_fireq.h: FireQ: keys made even before and after their rotation, so that 4 bits suffice for them; group scales of 4-bit
 * weights in FP8 behind a factor of the whole tensor, so that none is lost. */
#ifndef PARE_COMPRESS_FOLD_FIREQ_H
#define PARE_COMPRESS_FOLD_FIREQ_H

#include "compress/fold_verbs.h"

/* Scales for pare_qk_scale from keys k [n][ld] as they are before the rotation (head_kv * dk channels): a power of the largest |k| of each
 * rotated pair over that of the head's middle pair. strength 0: ones. A pair that is 0 keeps 1. */
int  pare_fireq_pairs(const struct pare_sites *all, const float *k, uint64_t ld, uint32_t n, double strength, double *s, struct pare_diag *diag);
/* Scales by channel for what is left after the rotation, where nothing can be folded: keys are divided, queries multiplied at run time.
 * Only channels whose largest |k| is more than `above` times that of the head's middle channel get one: their excess. */
int  pare_fireq_channels(const struct pare_sites *all, const float *k, uint64_t ld, uint32_t n, double above, double *t, struct pare_diag *diag);

/* Nearest FP8 number of 4 exponent and 3 mantissa bits (largest 448, smallest 2^-9), halves to even; x >= 0. */
float pare_fp8_e4m3(float x);
/* Symmetric 4-bit groups of w [rows][cols] with scales kept as FP8 times one factor: w becomes its rounded values. factor 0: chosen so that
 * the largest scale is 448; a scale that would be 0 becomes the smallest number. *zeros: groups that are not zero but got scale 0. */
int  pare_fireq_weight(float *w, uint64_t rows, uint64_t cols, uint32_t group, float factor, uint64_t *zeros, struct pare_diag *diag);

#endif
