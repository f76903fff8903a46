/* SPDX-License-Identifier: Apache-2.0
 * src/compress/dual_binary.h: two-bit weights as two sparse binaries, w = a1 b1 + a2 b2 with b in {0, 1} (DB-LLM, arXiv 2402.11960).
 * A group begins at the two-bit grid {-s, 0, s, 2 s}, a1 = 2 s and a2 = -s, in either orientation; then scales by least squares, weighted by
 * the inputs' second moments, and bits by nearest level take turns. The published method trains the scales by distillation; this part needs
 * no gradient. Two f16 a group, as many bytes as plain two bits with scale and zero point. */
#ifndef PARE_COMPRESS_DUAL_BINARY_H
#define PARE_COMPRESS_DUAL_BINARY_H

#include <stdint.h>

#include <pare/error.h>

/* pare_dual_group splits n weights: code bit 0 = b1, bit 1 = b2. importance [n] or NULL. rounds: turns of refinement at most; 0: the grid of
 * the largest weight, s = max|w| / 2 with the sign of that weight, and nothing else. alpha holds what two f16 hold.
 * A group of zeros, or with a number that is not finite, gets alpha 0, code 0 and error 0. n is at most 1024. @return the
 * weighted squared error. */
double pare_dual_group(float alpha[2], uint8_t *code, const float *w, const float *importance, uint32_t n, uint32_t rounds);

/* The split of a matrix [rows][cols]. */
struct pare_dual {
    uint64_t rows, cols;
    uint32_t group, n_groups;
    float   *alpha; /* [rows][group][2] */
    uint8_t *code;  /* [rows][cols] */
    double   zeros; /* share of zero bits in both planes together */
};
int  pare_dual_create(struct pare_dual *d, const float *w, uint64_t rows, uint64_t cols, uint32_t group, const float *importance, uint32_t rounds,
                      struct pare_diag *diag);
void pare_dual_free(struct pare_dual *d);
void pare_dual_decode(const struct pare_dual *d, float *w);
/* Bytes in a file: two bits a weight and two f16 a group. */
uint64_t pare_dual_bytes(const struct pare_dual *d);

#endif
