/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/sparse_layout.h: where things lie in a panel of a sparse matrix. Only sparse_make*.c and the kernels know this. Numbers are
 * little-endian; "16 x" means one a row of the panel. Panels begin at multiples of 64 and are followed by 64 bytes that may be read.
 *
 * TILED   n_tiles x u32      how many (value, position) pairs each tile has, rounded up to 16; to a multiple of 64 bytes
 *         for each 16 pairs  16 positions, u16, ascending through the tile: 16 * (column in the tile) + row of the panel; behind the
 *                            last pair PARE_SPARSE_VOID; then their 16 values, f16. One stream: two would confuse the machine's
 *                            prefetcher
 * MASK    cols x u16         f32, f16: bit r says whether row r keeps the column; to a multiple of 64 bytes
 *         values             column by column, in each in row order
 *         n_block x (16 x f16 scale, 8 x u64)   q8_0: bit 4 r + c of word j: row r keeps column 4 j + c of the block; then the codes, int8,
 *                            with the top bit turned
 * N24     n_block x          16 x f16 scale
 *                            64 bytes: byte 4 r + b holds four positions of row r, of vector v at bits 2 v
 *                            4 x 64 bytes: byte 4 r + b of vector v is the code whose column is 8 v + 4 (b / 2) + position
 * GROUP   16 x f16           d
 *         n_group x u16      bit r: row r has this run of 16 columns; to a multiple of 64 bytes. Then for each run, with k rows that have it:
 *         k x u16            scale, and the zero point << 12
 *         2 x k x 4 bytes    codes: byte c of plane h is column 4 h + c, and column 8 + 4 h + c << 4
 * WIDE    16 x u32           how many columns c with c mod 16 = j stay, for j = 0..15
 *         u16                c / 16 of those of j = 0, then of j = 1 ...; to a multiple of 64 bytes
 *         values             16 x f32 or f16 for each, in that order */
#ifndef PARE_KERNEL_SPARSE_LAYOUT_H
#define PARE_KERNEL_SPARSE_LAYOUT_H

#include "base/checked.h"
#include "kernel/sparse.h"

#define PARE_SPARSE_VOID (PARE_SPARSE_TILE * 16u) /* a place behind the tile */
#define PARE_SPARSE_MASK_HEAD 96u
#define PARE_SPARSE_N24_BLOCK 352u

static inline uint64_t pare_sparse_up64(uint64_t n) { return (n + 63) & ~(uint64_t)63; }
static inline uint32_t pare_sparse_tiles(const struct pare_sparse *s) { return (uint32_t)((s->cols + PARE_SPARSE_TILE - 1) / PARE_SPARSE_TILE); }
/* Writes the sums of a panel to their rows: acc [16], y of one token. */
static inline void pare_sparse_put(const struct pare_sparse *s, uint32_t panel, float *y, const float acc[16])
{
    const uint64_t r0 = (uint64_t)panel * 16, left = s->rows - r0;

    memcpy(y + r0, acc, (left < 16 ? left : 16) * sizeof *y);
}

extern const struct pare_sparse_kernels pare_sparse_ref;
#if defined(__x86_64__)
extern const struct pare_sparse_kernels pare_sparse_avx2, pare_sparse_avx512, pare_sparse_vnni, pare_sparse_vbmi2;
#endif

#endif
