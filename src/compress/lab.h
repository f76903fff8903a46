/* SPDX-License-Identifier: Apache-2.0
 * src/compress/lab.h: a bench for methods: a model with all its matrices as dense f32, what calibration knows of their inputs, and the
 * loss on held-out text after any of them, or their inputs, were replaced. Acceptance tests of methods and measured options of plans
 * use it; the baseline is measured by the same call in the same run. Calibration and held-out windows share no text. */
#ifndef PARE_COMPRESS_LAB_H
#define PARE_COMPRESS_LAB_H

#include "compress/inputs.h"
#include "compress/stream.h"
#include "nn/score.h"

struct pare_lab_weight {
    const char *name;               /* "blk.0.attn_q.weight" */
    const char *role;               /* "attn_q" */
    uint32_t    unit;
    uint64_t    rows, cols;
    struct pare_slot         *slot;
    const struct pare_second *in;   /* of its input, shared between siblings; never NULL after pare_lab_calibrate */
};

struct pare_lab {
    struct pare_model      *m;      /* every unit loaded, f32 activations */
    struct pare_walk       *w;
    struct pare_windows     calib, eval;
    struct pare_lab_weight *weight; /* all matrices of layers and the head, in unit order */
    uint32_t                n_weights;
    struct pare_inputs      in;     /* moments, after pare_lab_calibrate */
    float                  *last;   /* residual rows of the original after the last layer, of eval */
};

/* The walk's model must stay alive; it is loaded whole (w->keep is set). Windows are borrowed; their len is the walk's. */
int  pare_lab_open(struct pare_lab *lab, struct pare_walk *w, const struct pare_windows *calib, const struct pare_windows *eval,
                   struct pare_diag *diag);
void pare_lab_close(struct pare_lab *lab);
/* Walks calib and fills the inputs' moments; full: E[x x^T] too. The head's input is sampled (every k-th row). */
int  pare_lab_calibrate(struct pare_lab *lab, bool full, struct pare_diag *diag);
/* The original weights of matrix i, [rows][cols], bound order. */
int  pare_lab_weight_rows(const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag);
/* Calls see for the input rows of every matrix on calib (siblings each get a call), in unit order. */
int  pare_lab_walk(struct pare_lab *lab, const struct pare_windows *win, void (*see)(void *user, const struct pare_lab *lab, uint32_t i,
                   const float *x, uint64_t ldx, uint32_t n), void *user, struct pare_diag *diag);

/* What is changed for one measurement. Either function may be NULL. */
struct pare_lab_change {
    /* w [rows][cols] holds the original; what stands there after is used. 1: unchanged, 0: changed, negative: error. */
    int (*weight)(void *user, const struct pare_lab *lab, uint32_t i, float *w, struct pare_diag *diag);
    /* x [n][cols]: a copy of the input rows of matrix i, to be changed in place (activations rounded, say). Called by one thread.
     * Return false to leave the inputs of matrix i alone (asked once, with n == 0). */
    bool (*input)(void *user, const struct pare_lab *lab, uint32_t i, float *x, uint64_t ldx, uint32_t n);
    void *user;
};
/* Divergence, perplexity and their standard errors on eval (or on other windows of the same length: win not NULL), against the
 * original. change NULL: the original itself (divergence exactly 0). */
int pare_lab_measure(struct pare_lab *lab, const struct pare_lab_change *change, const struct pare_windows *win,
                     struct pare_tally_result *out, struct pare_diag *diag);

#endif
