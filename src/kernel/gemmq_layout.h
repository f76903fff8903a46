/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/gemmq_layout.h: where things lie in a panel of packed weights. Only pack.c, unpack_panel.c and the kernels know
 * this. Files hold it too (docs/format.md): a change to it is a new PARE_PACK_LAYOUT.
 *
 * A panel holds 16 rows. Two regions, each read from its beginning to its end: first the headers, one a super block,
 *     d       16 x f16 (or f32)     scale of each row
 *     dmin    16 x f16 (or f32)     types with minima
 *     for each group of the super block:
 *         s   16 x int8             types with sub-scales
 *         m   16 x uint8            types with sub-scales and minima
 * then, at a multiple of 64 bytes, the codes, 64 * bits bytes for every block of 32 columns. The two regions are apart
 * because a code vector must start on a cache line: a header of 32 bytes in between would split every second load.
 *
 * Codes. Vector j (0..7) of a block is what the integer dot instruction eats: byte 4 * r + c belongs to row r and column
 * 4 * j + c. Narrow codes share bytes so that a shift and a mask give whole vectors back:
 *     2 bits   plane i = v[i] | v[i+2] << 2 | v[i+4] << 4 | v[i+6] << 6      i = 0, 1
 *     3 bits   the low two bits as above, then one plane whose bit j is bit 2 of v[j]
 *     4 bits   plane i = v[i] | v[i+4] << 4                                   i = 0..3
 *     5 bits   the low four bits as above, then one plane whose bit j is bit 4 of v[j]
 *     6 bits   the low four bits as above, then the high two bits as in 2 bits
 *     8 bits   v[0] .. v[7]
 * Codes of a trellis (tensor/trellis.h) share bytes in the order of the ring, whose steps are the vectors j of one block after another:
 *     2 bits   plane i = v[4i] | v[4i+1] << 2 | v[4i+2] << 4 | v[4i+3] << 6    i = 0, 1
 *     3 bits   the low two bits so, then one plane whose bit j is bit 2 of v[j]
 *     4 bits   plane i = v[2i] | v[2i+1] << 4                                i = 0..3
 *
 * Rows that a matrix does not have, and groups between its last column and the next multiple of 32, have all bytes 0. */
#ifndef PARE_KERNEL_GEMMQ_LAYOUT_H
#define PARE_KERNEL_GEMMQ_LAYOUT_H

#include "base/checked.h"
#include "kernel/gemmq.h"

/* How codes are unpacked: affine (A), through a table (L) or along a trellis (T), and their bits. */
enum pare_code_kind {
    PARE_CODE_A2, PARE_CODE_A3, PARE_CODE_A4, PARE_CODE_A5, PARE_CODE_A6, PARE_CODE_A8, PARE_CODE_L2, PARE_CODE_L3, PARE_CODE_L4,
    PARE_CODE_T2, PARE_CODE_T3, PARE_CODE_T4,
    PARE_CODE_COUNT
};

#define PARE_QBLOCK 32 /* columns that share an activation scale */

struct pare_layout {
    enum pare_code_kind kind;
    uint32_t n_block;      /* blocks of 32 columns */
    uint32_t gpb;          /* groups a block: 1 or 2 */
    uint32_t super_blocks; /* blocks that share d */
    uint32_t d_bytes;      /* 16 scales: 32 or 64 bytes */
    uint32_t group_at;     /* offset of the first group in a header: d_bytes, or twice that with minima */
    uint32_t group_bytes;  /* 0, 16 or 32 */
    uint32_t block_bytes;  /* codes of a block */
    uint64_t head_bytes;   /* of one super block */
    uint64_t codes_at;     /* offset of the codes in the panel */
    bool     f16, sub, min;
    bool     int_sub;      /* struct pare_pack_traits */
};

/* pare_layout_of fills *l for rows of cols columns; false for a type that cannot be packed. cols <= 2^31. */
bool pare_layout_of(struct pare_layout *l, const struct pare_dtype *t, uint64_t cols);

/* Writes one block of one row of a panel, for types whose blocks of 32 have a half-precision scale of their own and nothing else: d are
 * the scale's bits, codes are below 1 << bits. The row's other blocks and the other rows stay. */
void pare_pack_block(uint8_t *panel, const struct pare_layout *l, uint32_t block, uint32_t row, uint16_t d, const uint8_t code[PARE_QBLOCK]);

/* The integer view of one row in memory that pare_pack_scratch measured. */
struct pare_row_view {
    struct pare_unpacked u;
    uint64_t bytes;        /* used of mem */
};
struct pare_row_view pare_row_view(const struct pare_dtype *t, uint64_t cols, void *mem);

/* NaNs have many bit patterns and instructions disagree about which one comes out; results hold only this one. */
#define PARE_NAN_BITS 0x7fc00000u

/* Activations smaller than this are zero: above it, amax / 127 is a normal number and 127 / amax is finite. */
#define PARE_QACT_MIN_BITS 0x04000000u /* 2^-119 */
/* A block with an activation of this size or more counts as infinite: PARE_LIFT * d must be finite. */
#define PARE_QACT_MAX_BITS 0x76800000u /* 2^110 */

/* How kernels come from an integer sum to a float without converting it. Accumulators start at the bits of PARE_LIFT = 1.5 * 2^23, so
 * that after |sum| < 2^22 has been added in integers, their bits are those of PARE_LIFT + sum. Then
 *     fma(PARE_LIFT + sum, d, -PARE_LIFT * d) = sum * d, rounded once,
 * because the last operand is exact: PARE_LIFT = 3 * 2^22 and d has 22 bits. */
#define PARE_LIFT 12582912.0f
#define PARE_LIFT_BITS 0x4b400000

/* The scale of a block whose largest magnitude is amax: 22 bits of the quotient, halves up. */
static inline float pare_qact_scale(float amax) { return pare_bits_f32((pare_f32_bits(amax / 127.0f) + 2u) & ~3u); }

/* Everything of a block but its codes, from the scale and the codes' sums over 16 columns. */
static inline void pare_qact_put_scales(const struct pare_qact *a, uint64_t at, float d, int32_t sum0, int32_t sum1)
{
    a->d[at] = d;
    a->lift[at] = d * -PARE_LIFT;
    a->sum16[2 * at] = sum0;
    a->sum16[2 * at + 1] = sum1;
    a->s16[2 * at] = d * (float)sum0;
    a->s16[2 * at + 1] = d * (float)sum1;
    a->s32[at] = d * (float)(sum0 + sum1);
}

/* The tables of the tiers (gemmq_ref.c, x86/gemmq_*.c). */
extern const struct pare_gemmq pare_gemmq_ref, pare_gemmq_avx2, pare_gemmq_avx512, pare_gemmq_vnni;

/* A tier's names of kernels, one for every type of dtype_list.h, indexed by enum pare_type. */
#define PARE_GEMMQ_NAMES(suffix) { PARE_DTYPE_LIST(PARE_GEMMQ_NAME_##suffix) }
#define PARE_GEMMQ_NAME_base(id, name)   [PARE_##id] = "gemm_" #name "_16x1_base",
#define PARE_GEMMQ_NAME_avx2(id, name)   [PARE_##id] = "gemm_" #name "_16x4_avx2",
#define PARE_GEMMQ_NAME_avx512(id, name) [PARE_##id] = "gemm_" #name "_16x16_avx512",
#define PARE_GEMMQ_NAME_vnni(id, name)   [PARE_##id] = "gemm_" #name "_16x12_vnni",

#endif
