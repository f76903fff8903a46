/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_block.h: blocks of 32 columns with numbers of their own, sixteen blocks at a time. */
#ifndef PARE_TENSOR_ENC_BLOCK_H
#define PARE_TENSOR_ENC_BLOCK_H

#include "tensor/enc_wide.h"

/* What a block is written with: halves d and m (0 for types without), 32 codes. */
struct pare_enc_block {
    uint16_t d_bits, m_bits;
    uint8_t  code[32];
};
typedef void pare_enc_block_writer(uint8_t *p, const struct pare_enc_block *b);

/* A row of blocks value = d * level, `bytes` each: the scale of least error among the halves. */
void pare_enc_scale_blocks(const struct pare_enc_book *book, uint64_t bytes, pare_enc_block_writer *write, uint8_t *dst,
                           const float *src, uint64_t cols, const float *importance);
/* A row of blocks value = d * code + m. */
void pare_enc_line_blocks(int bits, uint64_t bytes, pare_enc_block_writer *write, uint8_t *dst, const float *src, uint64_t cols,
                          const float *importance);

#endif
