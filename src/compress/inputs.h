/* SPDX-License-Identifier: Apache-2.0
 * src/compress/inputs.h: the inputs of matrices, told apart on a walk. Matrices that are multiplied with the same rows one after the other
 * (q, k, v; gate, up) are siblings: they share one struct pare_second. */
#ifndef PARE_COMPRESS_INPUTS_H
#define PARE_COMPRESS_INPUTS_H

#include "compress/second.h"
#include "compress/stream.h"

struct pare_inputs {
    struct pare_second *s;      /* [n] in the order in which they were first seen */
    uint32_t            n;
    struct pare_input_of { const struct pare_slot *slot; uint32_t in; bool first; } *of; /* [n_of]; the first sibling's rows are summed */
    uint32_t            n_of, cap;
    bool                full;   /* E[x x^T] too */
    struct pare_job    *job;
    struct pare_diag   *diag;
    int                 rc;     /* of the first failure, PARE_OK */
    /* private: the rows seen last */
    const float            *x;
    const struct pare_unit *unit;
};

/* Room for max_slots matrices. diag must live until pare_inputs_finish. */
int  pare_inputs_create(struct pare_inputs *in, uint32_t max_slots, bool full, struct pare_job *job, struct pare_diag *diag);
void pare_inputs_free(struct pare_inputs *in);
/* An observer's function (user: struct pare_inputs). */
void pare_inputs_see(void *user, const struct pare_unit *u, const struct pare_slot *s, const float *x, uint64_t ldx, uint32_t n);
/* Once after the walk. */
int  pare_inputs_finish(struct pare_inputs *in);
/* NULL when the slot was not seen. */
struct pare_second *pare_inputs_of(struct pare_inputs *in, const struct pare_slot *s);

/* Observes one entered unit on rows x [win->n * win->len, n_embd], which stay as they are. */
int  pare_inputs_gather(struct pare_inputs *in, struct pare_walk *w, uint32_t unit, const struct pare_windows *win, const float *x);

#endif
