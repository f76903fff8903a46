/* SPDX-License-Identifier: Apache-2.0
 * src/compress/grid.h: plain uniform grids, as the papers on scales and rotations use them: whole rows or groups, with or without a zero
 * point. Values come back as numbers ("fake quantization"); no bytes are laid out here. Halves go to even, the same bits everywhere. */
#ifndef PARE_COMPRESS_GRID_H
#define PARE_COMPRESS_GRID_H

#include <stdbool.h>
#include <stdint.h>

struct pare_grid {
    uint32_t bits;   /* 2 .. 8 */
    uint32_t group;  /* columns that share a scale; 0: the whole row */
    bool     zero;   /* with a zero point: 2^bits levels between min and max, 0 among them; else -q .. q with q = 2^(bits-1) - 1 */
    float    clip;   /* part of the range that is kept; 0: all of it */
};

/* x [n] <- its values on the grid. ctx: struct pare_grid. A group that is all zero stays so. */
void pare_grid_round(const void *ctx, float *x, uint64_t n);
/* One number on a symmetric grid of step s (> 0), limited to -q .. q. */
float pare_grid_step(float x, float s, float q);
/* One number between lo and hi (lo <= 0 <= hi) with levels steps and a zero point. */
float pare_grid_range(float x, float lo, float hi, float levels);

#endif
