/* SPDX-License-Identifier: Apache-2.0 */
#include "format/name_table.h"

#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "base/status.h"

#define CHUNK 65536u

struct pool_chunk {
    struct pool_chunk *next;
    size_t             used, size;
    char               text[];
};

char *pare_pool_add(struct pare_string_pool *p, const void *s, size_t n)
{
    struct pool_chunk *c = p->chunks;
    char              *out;

    if (n > SIZE_MAX - CHUNK - sizeof *c) return NULL;
    if (c == NULL || c->size - c->used < n + 1) {
        size_t size = n + 1 > CHUNK / 4 ? n + 1 : c == NULL ? 1024 : CHUNK; /* the first is small: most files are */

        if (size < n + 1) size = n + 1;
        c = pare_malloc(sizeof *c + size);
        if (c == NULL) return NULL;
        *c = (struct pool_chunk){ .next = p->chunks, .size = size };
        p->chunks = c;
    }
    out = c->text + c->used;
    if (n != 0) memcpy(out, s, n);
    out[n] = '\0';
    c->used += n + 1;
    return out;
}

void pare_pool_free(struct pare_string_pool *p)
{
    while (p->chunks != NULL) {
        struct pool_chunk *next = p->chunks->next;

        pare_free(p->chunks);
        p->chunks = next;
    }
}

struct name_slot {
    const char *key; /* NULL: free */
    uint64_t    id;
};

static uint64_t hash_of(const struct pare_name_table *t, const char *key, size_t len)
{
    return XXH3_64bits_withSeed(key, len, t->seed);
}

/* The slot of a key: its own, or the free one where it belongs. Linear probing; at most 3/4 of the slots are used. */
static struct name_slot *find(const struct pare_name_table *t, const char *key, size_t len)
{
    uint64_t i = hash_of(t, key, len) & (t->n_slots - 1);

    for (;; i = (i + 1) & (t->n_slots - 1)) {
        struct name_slot *s = &t->slots[i];

        if (s->key == NULL || (strncmp(s->key, key, len) == 0 && s->key[len] == '\0')) return s;
    }
}

static int grow(struct pare_name_table *t)
{
    struct pare_name_table bigger = *t;

    bigger.n_slots = t->n_slots == 0 ? 64 : t->n_slots * 2;
    /* Where the table lies differs from run to run, and nobody who wrote the file knows it. */
    if (t->n_slots == 0) bigger.seed = (uint64_t)(uintptr_t)t * 0x9e3779b97f4a7c15u;
    bigger.slots = pare_zalloc(bigger.n_slots, sizeof *bigger.slots);
    if (bigger.slots == NULL) return PARE_E_NOMEM;
    for (uint64_t i = 0; i < t->n_slots; i++)
        if (t->slots[i].key != NULL) *find(&bigger, t->slots[i].key, strlen(t->slots[i].key)) = t->slots[i];
    pare_free(t->slots);
    *t = bigger;
    return 0;
}

int pare_names_put(struct pare_name_table *t, const char *key, uint64_t id)
{
    struct name_slot *s;

    if (t->n_used + t->n_used / 3 >= t->n_slots && grow(t) < 0) return PARE_E_NOMEM;
    s = find(t, key, strlen(key));
    if (s->key != NULL) return 1;
    *s = (struct name_slot){ key, id };
    t->n_used++;
    return 0;
}

uint64_t pare_names_get(const struct pare_name_table *t, const char *key, size_t len)
{
    const struct name_slot *s;

    if (t->n_slots == 0) return UINT64_MAX;
    s = find(t, key, len);
    return s->key == NULL ? UINT64_MAX : s->id;
}

void pare_names_free(struct pare_name_table *t)
{
    pare_free(t->slots);
    *t = (struct pare_name_table){ 0 };
}
