/* SPDX-License-Identifier: Apache-2.0
 * src/eval/overlap.h: text that stands in two texts. A loss measured on text that calibration has seen is too small. */
#ifndef PARE_EVAL_OVERLAP_H
#define PARE_EVAL_OVERLAP_H

#include <stddef.h>
#include <stdint.h>
#include <pare/error.h>

#define PARE_SHINGLE 50 /* bytes from which on a passage counts as shared: longer than most turns of phrase, shorter than a sentence */

struct pare_overlap {
    uint64_t bytes;  /* of b that lie in passages of at least `run` bytes that stand in a too */
    double   share;  /* of b */
    uint64_t at;     /* where in b the first such passage begins */
    bool     same;   /* the texts are equal */
};
/* Exact: candidates found by hash are compared byte by byte. Memory: about 1.3 bytes a byte of a. run >= 8. */
int pare_text_overlap(struct pare_overlap *o, const char *a, size_t na, const char *b, size_t nb, uint32_t run, struct pare_diag *diag);

#endif
