/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_levels.h: the levels and codes nearest to sixteen values. The loops run over 16 lanes of constant count so that a compiler
 * makes vector code of them without being allowed to reorder a sum. */
#ifndef PARE_TENSOR_ENC_LEVELS_H
#define PARE_TENSOR_ENC_LEVELS_H

#include "tensor/enc_lanes.h"
#include "tensor/enc_min.h"
#include "tensor/enc_search.h"

static inline void pare_enc_cells16(const float *x, float inv, int32_t *cell)
{
    float inv2 = 2.0f * inv;

    for (int i = 0; i < 16; i++) {
        float y = x[i] * inv2 + 256.0f;

        y = y > 0.0f ? y : 0.0f;
        y = y < 511.0f ? y : 511.0f;
        cell[i] = (int32_t)y;
    }
}

static inline void pare_enc_levels16(const struct pare_enc_book *b, const float *x, float inv, float *level)
{
    if (b->table) {
        int32_t cell[16];

        pare_enc_cells16(x, inv, cell);
        for (int i = 0; i < 16; i++) level[i] = b->near[cell[i]];
        return;
    }
    float lo = b->lo, hi = b->hi;

    for (int i = 0; i < 16; i++) {
        float y = x[i] * inv;

        y = y > lo ? y : lo;
        y = y < hi ? y : hi;
        level[i] = pare_enc_round(y);
    }
}

/* Codes on a line. */
static inline void pare_enc_codes16(const struct pare_enc_line *l, const float *x, float inv, float top, float *code)
{
    float base = l->base;

    for (int i = 0; i < 16; i++) {
        float y = (x[i] - base) * inv;

        y = y > 0.0f ? y : 0.0f;
        y = y < top ? y : top;
        code[i] = pare_enc_round(y);
    }
}

#endif
