/* SPDX-License-Identifier: Apache-2.0
 * src/store/kv.c: one block of memory a page, which holds that page of every slot; a slot holds the keys of its heads, a tile each
 * (kernel/kv_tile.h), and then the values, tiles or [PAGE][dv] floats a head. A page of f16 keys of width 64 is 8 KiB: long enough for
 * sequential reads, short enough that a session of a few words costs little. */
#include "store/kv.h"

#include <stdatomic.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/status.h"
#include "kernel/kv_tile.h"

/* Where a layer lies in a page block. */
struct place {
    uint64_t k, v;              /* offsets of K and V */
    uint64_t k_head, v_head;    /* bytes of one head's page */
    struct pare_kv_shape shape;
};

struct pare_kv_cache {
    enum pare_type   type;
    uint32_t         n_layers, max_len;
    struct place    *place;      /* [n_layers] */
    uint64_t         page_bytes;
    uint8_t        **page;
    uint32_t         n_pages, cap_pages;
    _Atomic uint32_t len;        /* one past the last position stored */
};

static uint32_t pages_of(uint32_t len) { return (uint32_t)(((uint64_t)len + PARE_ATTN_PAGE - 1) / PARE_ATTN_PAGE); }

/* Bytes that one head's page of values takes: PAGE rows of floats, or a tile. Either way a multiple of 64. */
static uint64_t page_of_values(enum pare_type type, uint32_t dv)
{
    return pare_kv_tile_type(type) ? pare_vtile_bytes(type, dv) : PARE_ATTN_PAGE * (uint64_t)pare_dtype_of(type)->block_bytes * dv;
}

/* Bytes that a layer needs in a page block; *v is where its V begins. False on overflow. */
static bool layer_bytes(enum pare_type type, const struct pare_kv_shape *s, uint64_t *v, uint64_t *all)
{
    uint64_t k = 0, b = 0;

    return pare_mul_u64(pare_ktile_bytes(type, s->dk), s->n_head_kv, &k) && pare_mul_u64(page_of_values(type, s->dv), s->n_head_kv, &b) &&
           (*v = k, pare_add_u64(k, b, all));
}

/* Lays out a page block: layer l lies in slot l mod n_slots, a slot is as large as the largest of its layers. place may be NULL
 * when only the size is wanted. */
static bool lay_out(const struct pare_kv_settings *s, struct place *place, uint64_t *page_bytes)
{
    uint64_t at = 0, v, b;

    for (uint32_t slot = 0; slot < s->n_slots; slot++) {
        uint64_t largest = 0;

        for (uint32_t l = slot; l < s->n_layers; l += s->n_slots) {
            if (!layer_bytes(s->type, &s->shape[l], &v, &b)) return false;
            if (b > largest) largest = b;
            if (place != NULL)
                place[l] = (struct place){ .k = at, .v = at + v, .k_head = pare_ktile_bytes(s->type, s->shape[l].dk),
                                           .v_head = page_of_values(s->type, s->shape[l].dv), .shape = s->shape[l] };
            if (l > UINT32_MAX - s->n_slots) break;
        }
        if (!pare_add_u64(at, largest, &at)) return false;
    }
    *page_bytes = at;
    return true;
}

int pare_kv_create(struct pare_kv_cache **out, const struct pare_kv_settings *s, struct pare_diag *diag)
{
    struct pare_kv_cache *c;

    *out = NULL;
    PARE_FAIL_IF(diag, s->type != PARE_F32 && s->type != PARE_F16 && !pare_kv_tile_type(s->type), PARE_E_USAGE,
                 "the cache can hold f32, f16, q8_0, q5_0 or q4_0");
    PARE_FAIL_IF(diag, s->n_layers != 0 && (s->n_slots == 0 || s->n_slots > s->n_layers), PARE_E_USAGE,
                 "%u slots for %u layers", s->n_slots, s->n_layers);
    c = pare_zalloc(1, sizeof *c);
    if (c == NULL) return PARE_NOMEM(diag);
    c->type = s->type;
    c->n_layers = s->n_layers;
    c->max_len = s->max_len;
    c->place = pare_zalloc(s->n_layers, sizeof *c->place);
    if (c->place == NULL) {
        pare_kv_destroy(&c);
        return PARE_NOMEM(diag);
    }
    if (!lay_out(s, c->place, &c->page_bytes)) {
        pare_kv_destroy(&c);
        PARE_FAIL(diag, PARE_E_LIMIT, "the size of a cache page overflows");
    }
    *out = c;
    return PARE_OK;
}

void pare_kv_destroy(struct pare_kv_cache **cp)
{
    struct pare_kv_cache *c;

    if (cp == NULL || (c = *cp) == NULL) return;
    for (uint32_t i = 0; i < c->n_pages; i++) pare_aligned_free(c->page[i]);
    pare_free(c->page);
    pare_free(c->place);
    pare_free(c);
    *cp = NULL;
}

/* The table of pages grows by half, so that it never costs more than what is stored. */
static int grow_table(struct pare_kv_cache *c, uint32_t need, struct pare_diag *diag)
{
    uint32_t cap = c->cap_pages + c->cap_pages / 2, most = pages_of(c->max_len);
    uint8_t **t;

    if (need <= c->cap_pages) return PARE_OK;
    if (cap < need) cap = need;
    if (cap > most) cap = most;
    t = pare_realloc_array(c->page, cap, sizeof *t);
    if (t == NULL) return PARE_NOMEM(diag);
    c->page = t;
    c->cap_pages = cap;
    return PARE_OK;
}

int pare_kv_reserve(struct pare_kv_cache *c, uint32_t len, struct pare_diag *diag)
{
    uint32_t need = pages_of(len);

    PARE_FAIL_IF(diag, len > c->max_len, PARE_E_LIMIT, "the cache was made for %u positions, %u are wanted", c->max_len, len);
    PARE_FORWARD(grow_table(c, need, diag));
    while (c->n_pages < need) {
        uint8_t *p = pare_aligned(c->page_bytes);

        if (p == NULL)
            return PARE_ERR(diag, PARE_E_NOMEM, "out of memory for cache page %u of %u (%llu bytes each)", c->n_pages + 1, need,
                            (unsigned long long)c->page_bytes);
        /* Panels are multiplied whole, positions to come included: what they give is not looked at, whatever floats lie there. Scales must
         * have been written once (kernel/kv_tile.h). Memory that is not used yet is not touched. */
        if (pare_kv_tile_type(c->type)) memset(p, 0, c->page_bytes);
        c->page[c->n_pages++] = p;
    }
    return PARE_OK;
}

/* One row in the cache's type. */
static void store_floats(enum pare_type type, const struct pare_vec *vk, uint8_t *head, uint64_t row, const float *src, uint32_t width)
{
    uint8_t *dst = head + row * width * pare_dtype_of(type)->block_bytes;

    if (type == PARE_F32) memcpy(dst, src, (size_t)width * sizeof *src);
    else vk->store_f16((uint16_t *)(void *)dst, src, width); /* even: rows are whole f16 */
}

void pare_kv_put(struct pare_kv_cache *c, const struct pare_vec *vk, uint32_t layer, uint32_t pos, const float *k, const float *v)
{
    const struct place *p = &c->place[layer];
    uint8_t            *base = c->page[pos / PARE_ATTN_PAGE];
    uint32_t            row = pos % PARE_ATTN_PAGE;
    uint32_t            len = atomic_load_explicit(&c->len, memory_order_relaxed);

    for (uint64_t h = 0; h < p->shape.n_head_kv; h++, k += p->shape.dk, v += p->shape.dv) {
        uint8_t *kh = base + p->k + h * p->k_head, *vh = base + p->v + h * p->v_head;

        pare_ktile_put(kh, c->type, vk, row, k, p->shape.dk);
        if (pare_kv_tile_type(c->type)) pare_vtile_put(vh, c->type, vk, row, v, p->shape.dv);
        else store_floats(c->type, vk, vh, row, v, p->shape.dv);
    }
    /* Rows of a batch may be put by several threads; the largest position wins in any order. */
    while (len <= pos && !atomic_compare_exchange_weak_explicit(&c->len, &len, pos + 1, memory_order_relaxed, memory_order_relaxed))
        ;
}

uint32_t pare_kv_segments(const struct pare_kv_cache *c, uint32_t layer, uint32_t head, uint32_t from, uint32_t to,
                          struct pare_kv_seg *seg, uint32_t max)
{
    const struct place *p = &c->place[layer];
    uint32_t            n = 0, len = atomic_load_explicit(&c->len, memory_order_relaxed);

    if (to > len) to = len;
    while (from < to && n < max) {
        uint64_t v_row = p->v_head / PARE_ATTN_PAGE;
        uint32_t first = pare_kv_tile_type(c->type) ? 0 : from % PARE_ATTN_PAGE; /* tiles are named whole */
        uint32_t room = PARE_ATTN_PAGE - from % PARE_ATTN_PAGE, take = to - from < room ? to - from : room;
        uint8_t *base = c->page[from / PARE_ATTN_PAGE];

        seg[n++] = (struct pare_kv_seg){ .k = base + p->k + head * p->k_head, .v = base + p->v + head * p->v_head + first * v_row,
                                         .v_stride = v_row, .pos0 = from, .n = take };
        from += take;
    }
    return n;
}

uint32_t pare_kv_max_segments(const struct pare_kv_cache *c) { return pages_of(c->max_len); }

void pare_kv_truncate(struct pare_kv_cache *c, uint32_t len)
{
    if (len < atomic_load(&c->len)) atomic_store(&c->len, len);
}

uint64_t pare_kv_bytes(const struct pare_kv_settings *s, uint32_t len)
{
    uint64_t page, all;

    if (s->n_layers != 0 && (s->n_slots == 0 || s->n_slots > s->n_layers)) return UINT64_MAX;
    if (!lay_out(s, NULL, &page)) return UINT64_MAX;
    /* pare_aligned keeps one line before each block. */
    if (!pare_add_u64(page, PARE_ALIGN, &page) || !pare_mul_u64(page, pages_of(len), &all)) return UINT64_MAX;
    return all;
}

enum pare_type pare_kv_type(const struct pare_kv_cache *c) { return c->type; }
