/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/trellis.h: codes whose value depends on the codes before them (types tc2, tc3, tc4; docs/own-types.md).
 *
 * A row is one ring of columns: first all columns c with c % 4 == 0 in ascending order, then those with c % 4 == 1, 2 and 3, and after
 * the last one the first again. The value of a column comes from a window of 12 bits: its own code and those before it on the ring. So
 * every bit of a code shapes several weights, and choosing a row is a search for the best path through 4096 states (enc_tc.c), which
 * leaves a third less error than the best scalar code of as many bits.
 *
 * A window is three numbers of 4 bits. Each picks a byte of its own table, the exclusive or of the three is a number h, and
 *     value = low[h & 15] + high[h >> 4].
 * Tables of 16 bytes are what a byte shuffle looks up in one instruction. That four rings would do without the ring's order is why it
 * runs through c % 4: a 32-bit lane of a panel holds four columns side by side, and the window must not cross them.
 *
 * Trellis-coded quantization: Marcellin and Fischer 1990; windows of a bit string instead of stored transitions, with values computed
 * from them, and rings: QTIP, arXiv 2406.11235. The tables were searched for here. */
#ifndef PARE_TENSOR_TRELLIS_H
#define PARE_TENSOR_TRELLIS_H

#include <stdint.h>

#define PARE_TRELLIS_BITS 12  /* of a window */
#define PARE_TRELLIS_BLOCK 32 /* columns whose codes lie together: 8 steps of the ring for each c % 4 */

struct pare_trellis {
    uint8_t bits;       /* of a code: 2, 3 or 4 */
    float   unit;       /* values that stand for weights of mean square 1 have about this scale; for encoders */
    uint8_t mix[3][16];
    int8_t  low[16], high[16]; /* every sum lies within -127 .. 127 */
};
extern const struct pare_trellis pare_trellis_tc2, pare_trellis_tc3, pare_trellis_tc4;

/* The three numbers of a window, from the codes of a column (code[0]) and of those before it (code[-stride], ...). */
static inline void pare_trellis_window(int bits, const uint8_t *code, int stride, unsigned n[3])
{
    const uint8_t *c = code;

    switch (bits) {
    case 2:
        for (int i = 0; i < 3; i++, c -= 2 * stride) n[i] = (unsigned)(c[-stride] | c[0] << 2);
        return;
    case 3: /* the low two bits of four codes, then their high bits */
        for (int i = 0; i < 2; i++, c -= 2 * stride) n[i] = (unsigned)((c[-stride] & 3) | (c[0] & 3) << 2);
        n[2] = (unsigned)(code[-3 * stride] >> 2 | code[-2 * stride] >> 2 << 1 | code[-stride] >> 2 << 2 | code[0] >> 2 << 3);
        return;
    default:
        for (int i = 0; i < 3; i++, c -= stride) n[i] = c[0];
    }
}

static inline int pare_trellis_value(const struct pare_trellis *t, const unsigned n[3])
{
    unsigned h = (unsigned)(t->mix[0][n[0]] ^ t->mix[1][n[1]] ^ t->mix[2][n[2]]);

    return t->low[h & 15] + t->high[h >> 4];
}

/* Codes of the block before the first one: those of the last block, moved on by a column of four. */
void pare_trellis_wrap(uint8_t before[PARE_TRELLIS_BLOCK], const uint8_t last[PARE_TRELLIS_BLOCK]);
/* Values of a block from its codes and those of the block before it, all in the order of columns. */
void pare_trellis_block(const struct pare_trellis *t, int8_t value[PARE_TRELLIS_BLOCK], const uint8_t before[PARE_TRELLIS_BLOCK],
                        const uint8_t code[PARE_TRELLIS_BLOCK]);
/* Values of a row from its codes, both of cols rounded up to whole blocks. */
void pare_trellis_row(const struct pare_trellis *t, int8_t *value, const uint8_t *code, uint64_t cols);

#endif
