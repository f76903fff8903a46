/* SPDX-License-Identifier: Apache-2.0
 * src/nn/transform.h: exact input transforms of a linear: chains of scale, permutation, signs and Hadamard, x' = T x with T = S_n .. S_1.
 * What a transform does to inputs it undoes in the weights: w . x = (T^-T w) . (T x), so fold turns rows of a weight into what is
 * multiplied with transformed inputs, and unfold (T^T) turns them back. */
#ifndef PARE_NN_TRANSFORM_H
#define PARE_NN_TRANSFORM_H

#include "kernel/hadamard.h"
#include "nn/linear.h"

enum pare_step_kind {
    PARE_STEP_SCALE,    /* x[i] * scale[i] */
    PARE_STEP_PERMUTE,  /* out[i] = x[perm[i]] */
    PARE_STEP_SIGNS,    /* x[i] or -x[i] */
    PARE_STEP_HADAMARD  /* each run of n channels, orthogonal */
};
#define PARE_MAX_STEPS 8

struct pare_step {
    enum pare_step_kind kind;
    float    *scale;           /* SCALE: [cols], finite, not 0; SIGNS: [cols] of +-1. Owned */
    uint32_t *perm;            /* PERMUTE: [cols], each channel once. Owned */
    uint32_t *cycle;           /* PERMUTE: the cycles of perm one after another, the last of each marked by PARE_CYCLE_END; owned */
    struct pare_hadamard had;  /* HADAMARD */
};
#define PARE_CYCLE_END 0x80000000u

struct pare_transform {
    struct pare_input input;   /* what linears point to: &t->input; its ctx is the transform */
    uint64_t cols;
    uint32_t n_steps;
    struct pare_step step[PARE_MAX_STEPS];
};

/* An empty chain (the identity) for rows of cols channels; *out is NULL on failure. */
int  pare_transform_create(struct pare_transform **out, uint64_t cols, struct pare_diag *diag);
void pare_transform_destroy(struct pare_transform **t); /* NULL and a pointer to NULL are accepted */
/* Each appends a step, which sees what the ones before gave; arguments are copied. Errors: PARE_E_LIMIT above PARE_MAX_STEPS,
 * PARE_E_CORRUPT for a scale that is 0 or not finite and for a perm that is none, PARE_E_UNSUPPORTED for a block that has no transform
 * or does not divide cols. The chain stays as it was. */
int pare_transform_scale(struct pare_transform *t, const float *scale, struct pare_diag *diag);
int pare_transform_permute(struct pare_transform *t, const uint32_t *perm, struct pare_diag *diag);
int pare_transform_signs(struct pare_transform *t, const uint8_t *bits, struct pare_diag *diag); /* [ceil(cols / 8)]; a set bit i % 8 of byte i / 8 negates channel i */
int pare_transform_random_signs(struct pare_transform *t, uint64_t seed, struct pare_diag *diag);
int pare_transform_hadamard(struct pare_transform *t, uint64_t block, struct pare_diag *diag);   /* 0: cols where that fits, else pare_hadamard_block */

/* A copy of its own. */
int pare_transform_copy(struct pare_transform **out, const struct pare_transform *t, struct pare_diag *diag);
/* Same steps with the same numbers. */
bool pare_transform_same(const struct pare_transform *a, const struct pare_transform *b);
/* Memory that a transform holds; pare_step_bytes: that one step adds (block: of a Hadamard step). */
uint64_t pare_transform_bytes(const struct pare_transform *t);
uint64_t pare_step_bytes(enum pare_step_kind kind, uint64_t cols, uint64_t block);

/* n rows of cols floats, ld apart, in place, on the threads of job (NULL: the caller's): x = T x, w = T^-T w, w = T^T w. Same bits for any
 * tier and number of threads. */
void pare_transform_rows(const struct pare_transform *t, float *x, uint64_t ld, uint64_t n, struct pare_job *job);
void pare_transform_fold(const struct pare_transform *t, float *w, uint64_t ld, uint64_t n, struct pare_job *job);
void pare_transform_unfold(const struct pare_transform *t, float *w, uint64_t ld, uint64_t n, struct pare_job *job);

/* The run of t->input (struct pare_input): dst [n][cols] = T x, row by row. */
void pare_transform_input(const struct pare_input *in, float *dst, uint64_t ld_dst, const float *x, uint64_t ldx, uint32_t n, struct pare_job *job);

#endif
