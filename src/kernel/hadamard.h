/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/hadamard.h: orthogonal Hadamard transforms of runs of channels. n = k * p with p a power of two; channel a * p + b of a run
 * is row (a, b). The transform is (H_k x W_p) / sqrt(n): a Walsh transform of each p neighbours, then for each b a product with the
 * k x k matrix, then the scale. k is 1 or one of 12, 20, 28, 36, 40, 52, 60, 108, 140, 156, 172.
 *
 * One recipe for every tier: the Walsh transform takes stages h = 1, 2, .. p / 2, in each (u, v) -> (u + v, u - v) for channels h apart;
 * the outer product adds its k terms in ascending order to +0; one multiplication by the scale ends both. */
#ifndef PARE_KERNEL_HADAMARD_H
#define PARE_KERNEL_HADAMARD_H

#include <stdbool.h>
#include <stdint.h>

#include <pare/error.h>

struct pare_hadamard {
    uint32_t n, k, p;
    float    scale;       /* 1 / sqrt(n) */
    float   *outer;       /* [k][k] of +-1, then its transpose [k][k]; owned; NULL when k == 1 */
};

/* k for n channels; 0 where there is no transform of n channels (n is neither 2^m nor K * 2^m). */
uint32_t pare_hadamard_order(uint64_t n);
static inline bool pare_hadamard_fits(uint64_t n) { return pare_hadamard_order(n) != 0; }
/* Largest power of two that divides cols: the block of a block-diagonal transform that always fits. */
uint64_t pare_hadamard_block(uint64_t cols);
/* PARE_E_UNSUPPORTED where n does not fit. On failure nothing is held. */
int  pare_hadamard_init(struct pare_hadamard *h, uint64_t n, struct pare_diag *diag);
void pare_hadamard_free(struct pare_hadamard *h);

/* Every run of h->n channels of a row of cols (a multiple of n) is transformed: y = T x; with back: y = T^T x, which is the inverse.
 * y may be x. Bits do not depend on tier (enum pare_cpu_tier). Allocates nothing. */
void pare_hadamard_run(const struct pare_hadamard *h, int tier, float *y, const float *x, uint64_t cols, bool back);

/* Writes the k x k matrix of +-1 of order k (1 and the orders above, row after row) to out [k * k]; false for another k. */
bool pare_hadamard_table(float *out, uint32_t k);

/* The two loops of a tier. */
struct pare_hadamard_kernel {
    int tier;
    /* Each of blocks runs of p channels (a power of two): y = scale * W_p x. In place allowed. */
    void (*walsh)(float *y, const float *x, uint32_t p, uint64_t blocks, float scale);
    /* One run of k * p channels: y[a][b] = scale * sum over c of t[a][c] * x[c][b]. In place allowed. k <= PARE_HADAMARD_MAX_K. */
    void (*outer)(float *y, const float *x, const float *t, uint32_t k, uint32_t p, float scale);
};
#define PARE_HADAMARD_MAX_K 172
const struct pare_hadamard_kernel *pare_hadamard_for(int tier); /* clamped to the machine; never NULL */

extern const struct pare_hadamard_kernel pare_hadamard_ref;
#if defined(__x86_64__)
extern const struct pare_hadamard_kernel pare_hadamard_avx2, pare_hadamard_avx512;
#endif

#endif
