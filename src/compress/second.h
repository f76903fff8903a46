/* SPDX-License-Identifier: Apache-2.0
 * src/compress/second.h: what calibration learns of the input of a matrix: moments, ranges and, where a method needs it, the full
 * second moment E[x x^T]. Matrices that multiply the same rows (q, k, v; gate, up) share one. Sums are taken in a fixed order: the same
 * bits for any number of threads and in every tier. */
#ifndef PARE_COMPRESS_SECOND_H
#define PARE_COMPRESS_SECOND_H

#include "base/job.h"

struct pare_second {
    uint64_t cols;
    uint64_t n;        /* rows seen */
    double   weight;   /* sum of the rows' weights; n where none were given */
    double  *sum;      /* [cols] sum of w x */
    double  *sumsq;    /* [cols] sum of w x^2 */
    double  *sumabs;   /* [cols] sum of w |x| */
    float   *min, *max;/* [cols] over rows of weight > 0; 0 where nothing was seen */
    double  *xx;       /* [cols][cols] sum of w x x^T, both triangles (after pare_second_finish); NULL: not asked for */
    float   *block;    /* private: rows that wait for their turn */
    uint32_t held;     /* private: how many */
};

/* pare_second_create allocates sums for inputs of cols channels; full: xx too, cols^2 * 8 bytes. On failure nothing is held. */
int  pare_second_create(struct pare_second *s, uint64_t cols, bool full, struct pare_diag *diag);
void pare_second_free(struct pare_second *s);
/* Forecast of what create allocates. */
uint64_t pare_second_bytes(uint64_t cols, bool full);

/* Adds n rows, ldx floats apart. weight [n], or NULL for 1 each: token weights, gate affinities of an expert. */
void pare_second_add(struct pare_second *s, const float *x, uint64_t ldx, uint32_t n, const float *weight, struct pare_job *job);
/* To be called once after the last row. PARE_E_CORRUPT when a sum is not finite (the text names the channel). */
int  pare_second_finish(struct pare_second *s, struct pare_job *job, struct pare_diag *diag);

#endif
