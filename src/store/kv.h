/* SPDX-License-Identifier: Apache-2.0
 * src/store/kv.h: keys and values of one session: append, read as segments, truncate. Layers map to slots, so that the
 * streaming calibration can keep one layer's cache only (n_slots = 1). Pages of PARE_ATTN_PAGE positions are allocated as
 * the session grows, up to max_len; decode within the reserved length allocates nothing. */
#ifndef PARE_STORE_KV_H
#define PARE_STORE_KV_H

#include <pare/error.h>

#include "kernel/vec.h"

struct pare_kv_shape { uint32_t n_head_kv, dk, dv; };

struct pare_kv_cache;

struct pare_kv_settings {
    enum pare_type type;        /* PARE_F32, PARE_F16, or a type of kernel/kv_tile.h: q8_0, q5_0, q4_0 */
    uint32_t n_layers;
    uint32_t n_slots;           /* n_layers normally; 1 when streaming */
    const struct pare_kv_shape *shape; /* [n_layers]; when n_slots < n_layers all equal or the slot takes the largest */
    uint32_t max_len;
};
int  pare_kv_create(struct pare_kv_cache **out, const struct pare_kv_settings *s, struct pare_diag *diag);
void pare_kv_destroy(struct pare_kv_cache **c);
/* Reserves pages so that positions < len can be stored without allocating. */
int  pare_kv_reserve(struct pare_kv_cache *c, uint32_t len, struct pare_diag *diag);
/* Stores k [n_head_kv * dk] and v [n_head_kv * dv] of position pos (f32) in a layer. The page must be reserved. */
void pare_kv_put(struct pare_kv_cache *c, const struct pare_vec *vk, uint32_t layer, uint32_t pos, const float *k, const float *v);
/* Segments of one KV head that cover positions [from, to): writes up to max, returns their number. */
uint32_t pare_kv_segments(const struct pare_kv_cache *c, uint32_t layer, uint32_t head, uint32_t from, uint32_t to,
                          struct pare_kv_seg *seg, uint32_t max);
uint32_t pare_kv_max_segments(const struct pare_kv_cache *c);
/* Forgets positions >= len (rolling back). Pages stay reserved. */
void pare_kv_truncate(struct pare_kv_cache *c, uint32_t len);
/* Bytes for len positions, the forecast: the same code that allocates. */
uint64_t pare_kv_bytes(const struct pare_kv_settings *s, uint32_t len);
enum pare_type pare_kv_type(const struct pare_kv_cache *c);

#endif
