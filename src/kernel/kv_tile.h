/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/kv_tile.h: one page (PARE_ATTN_PAGE positions) of keys, or of quantized values, of one head, laid out for the products
 * that attention makes of it.
 *
 *   keys    f32, f16: panels of 16 positions, column by column the 16 values of a panel; sixteen scores grow side by side
 *           quantized: a packed matrix [PAGE, dk] (gemmq_layout.h); scores are the integer product of it with the quantized query
 *   values  quantized: for each block of 32 columns the PAGE scales in half precision, then position by position the codes of its blocks:
 *               q8_0   32 signed bytes
 *               q5_0   16 bytes, column c and c + 16 share byte c; 4 bytes with the fifth bits, bit c for column c
 *               q4_0   16 bytes likewise
 *           value = d * code (q8_0), d * (code - 16) (q5_0), d * (code - 8) (q4_0)
 *
 * Blocks and their rounding are those of the GGUF types of the same name; only where the bytes lie differs. */
#ifndef PARE_KERNEL_KV_TILE_H
#define PARE_KERNEL_KV_TILE_H

#include "kernel/gemmq.h"
#include "kernel/vec.h"

/* Types that keys and values may be quantized to: q8_0, q5_0, q4_0. */
bool pare_kv_tile_type(enum pare_type t);

/* Bytes of a tile, multiples of 64; UINT64_MAX for keys of a width that no kernel takes. t is f32, f16 or a type of
 * pare_kv_tile_type; values in floats have no tiles. */
uint64_t pare_ktile_bytes(enum pare_type t, uint32_t dk);
uint64_t pare_vtile_bytes(enum pare_type t, uint32_t dv);
/* The matrix that a tile of quantized keys is; tile may be NULL when only the shape is wanted. */
void pare_ktile_matrix(struct pare_packed *p, const uint8_t *tile, enum pare_type t, uint32_t dk);

/* Bytes of the codes of 32 values. */
static inline uint32_t pare_vtile_code(enum pare_type t) { return t == PARE_Q8_0 ? 32 : t == PARE_Q5_0 ? 20 : 16; }
static inline uint64_t pare_vtile_codes_at(uint32_t dv) { return ((uint64_t)dv + 31) / 32 * PARE_ATTN_PAGE * 2; }

/* Puts k [dk] or v [dv], in type t, at position row (0 .. PAGE - 1) of a tile. Columns past the width are zeros. The rest of the tile is not
 * touched, but must have been written once (zeros will do). */
void pare_ktile_put(uint8_t *tile, enum pare_type t, const struct pare_vec *vk, uint32_t row, const float *k, uint32_t dk);
void pare_vtile_put(uint8_t *tile, enum pare_type t, const struct pare_vec *vk, uint32_t row, const float *v, uint32_t dv);

#endif
