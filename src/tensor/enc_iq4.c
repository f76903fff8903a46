/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_iq4.c: iq4_nl and iq4_xs, 16 uneven levels.
 *
 * Bytes (GGUF). iq4_nl, 32 columns: d, 16 bytes (low nibbles columns 0..15, high ones 16..31). iq4_xs, 256 columns: d, 16 bits with
 * the upper pairs of 8 scales + 32, 4 bytes with their low nibbles, then 8 groups of 16 bytes as above. */
#include <string.h>

#include "tensor/enc_block.h"
#include "tensor/enc_put.h"
#include "tensor/enc_super.h"
#include "tensor/encode.h"
#include "tensor/iq_tables.h"

static void write_nl(uint8_t *p, const struct pare_enc_block *b)
{
    pare_enc_put16(p, b->d_bits);
    pare_enc_put_nibbles(p + 2, b->code, 16);
}

void pare_encode_iq4_nl(void *dst, const float *src, uint64_t cols, const float *importance)
{
    struct pare_enc_book book;

    pare_enc_book_table(&book, pare_iq4_values, 16);
    pare_enc_scale_blocks(&book, 18, write_nl, dst, src, cols, importance);
}

static void write_xs(uint8_t *p, const struct pare_enc_super *o, const uint8_t *code)
{
    uint16_t high = 0;

    memset(p + 4, 0, 4);
    for (int g = 0; g < 8; g++) {
        unsigned s = (unsigned)(o->s[g] + 32);

        p[4 + g / 2] |= (uint8_t)((s & 15) << (4 * (g % 2)));
        high = (uint16_t)(high | (s >> 4) << (2 * g));
        pare_enc_put_nibbles(p + 8 + 16 * g, code + 32 * g, 16);
    }
    pare_enc_put16(p, o->d_bits);
    pare_enc_put16(p + 2, high);
}

void pare_encode_iq4_xs(void *dst, const float *src, uint64_t cols, const float *importance)
{
    struct pare_enc_book book;

    pare_enc_book_table(&book, pare_iq4_values, 16);
    pare_enc_super_rows(&(struct pare_enc_super_layout){ &book, 32, -32, 31, 136, write_xs }, dst, src, cols, importance);
}
