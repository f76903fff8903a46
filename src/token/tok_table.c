/* SPDX-License-Identifier: Apache-2.0 */
#include "token/tok_table.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

void pare_symtab_free(struct pare_symtab *t)
{
    pare_free(t->blob);
    pare_free(t->off);
    pare_free(t->slot);
    memset(t, 0, sizeof *t);
}

static uint32_t text_hash(const char *s, size_t len) { return (uint32_t)XXH3_64bits(s, len); }

static bool symtab_grow(struct pare_symtab *t, size_t len)
{
    if (t->n + 1 >= t->cap) {
        uint32_t  cap = t->cap == 0 ? 256 : t->cap * 2;
        uint64_t *p = pare_realloc_array(t->off, cap, sizeof *p);
        if (p == NULL) return false;
        if (t->cap == 0) p[0] = 0;
        t->off = p;
        t->cap = cap;
    }
    if (len > t->blob_cap - t->blob_len) {
        size_t cap = t->blob_cap == 0 ? 4096 : t->blob_cap;
        char  *p;
        while (cap - t->blob_len < len) {
            if (cap > SIZE_MAX / 4) return false;
            cap *= 2;
        }
        p = pare_realloc_array(t->blob, cap, 1);
        if (p == NULL) return false;
        t->blob = p;
        t->blob_cap = cap;
    }
    return true;
}

/* Slots hold only the number of a text, so that growing means hashing all texts again: a few milliseconds a million. */
static bool symtab_rehash(struct pare_symtab *t)
{
    uint32_t  n_slot = t->n_slot == 0 ? 512 : t->n_slot * 2;
    uint32_t *slot = pare_zalloc(n_slot, sizeof *slot);

    if (slot == NULL) return false;
    for (uint32_t i = 0; i < t->n_slot; i++) {
        size_t      len;
        const char *s;
        uint32_t    h;
        if (t->slot[i] == 0) continue;
        s = pare_symtab_text(t, t->slot[i] - 1, &len);
        for (h = text_hash(s, len) & (n_slot - 1); slot[h] != 0; h = (h + 1) & (n_slot - 1)) {}
        slot[h] = t->slot[i];
    }
    pare_free(t->slot);
    t->slot = slot;
    t->n_slot = n_slot;
    return true;
}

static uint32_t symtab_slot(const struct pare_symtab *t, const char *s, size_t len)
{
    uint32_t h = text_hash(s, len) & (t->n_slot - 1);

    for (; t->slot[h] != 0; h = (h + 1) & (t->n_slot - 1)) {
        size_t      m;
        const char *p = pare_symtab_text(t, t->slot[h] - 1, &m);
        if (m == len && memcmp(p, s, len) == 0) break;
    }
    return h;
}

int64_t pare_symtab_push(struct pare_symtab *t, const char *s, size_t len, bool index)
{
    uint32_t id = t->n;

    if (id >= PARE_SYM_MAX || !symtab_grow(t, len)) return -1;
    if (index && t->used * 2 >= t->n_slot && !symtab_rehash(t)) return -1;
    if (len != 0) memcpy(t->blob + t->blob_len, s, len);
    t->blob_len += len;
    t->off[++t->n] = t->blob_len;
    if (index) {
        uint32_t h = symtab_slot(t, t->blob + t->blob_len - len, len);
        if (t->slot[h] == 0) {
            t->slot[h] = id + 1;
            t->used++;
        }
    }
    return id;
}

int32_t pare_symtab_find(const struct pare_symtab *t, const char *s, size_t len)
{
    return t->n_slot == 0 ? -1 : (int32_t)t->slot[symtab_slot(t, s, len)] - 1;
}

void pare_pairmap_free(struct pare_pairmap *m)
{
    pare_free(m->slot);
    memset(m, 0, sizeof *m);
}

static struct pare_pair *pair_slot(const struct pare_pairmap *m, uint64_t key)
{
    uint32_t i = (uint32_t)pare_pair_hash(key) & (m->n_slot - 1);

    while (m->slot[i].key != key && m->slot[i].key != UINT64_MAX) i = (i + 1) & (m->n_slot - 1);
    return &m->slot[i];
}

static bool pairmap_grow(struct pare_pairmap *m)
{
    struct pare_pairmap g = { .n_slot = m->n_slot == 0 ? 256 : m->n_slot * 2, .used = m->used };

    if (g.n_slot > (uint32_t)1 << 30) return false;
    g.slot = pare_alloc_array(g.n_slot, sizeof *g.slot);
    if (g.slot == NULL) return false;
    memset(g.slot, 0xFF, (size_t)g.n_slot * sizeof *g.slot);
    for (uint32_t i = 0; i < m->n_slot; i++)
        if (m->slot[i].key != UINT64_MAX) *pair_slot(&g, m->slot[i].key) = m->slot[i];
    pare_free(m->slot);
    *m = g;
    return true;
}

bool pare_pairmap_put(struct pare_pairmap *m, uint64_t key, uint32_t a, uint32_t b, bool *added)
{
    struct pare_pair *p;

    if ((uint64_t)m->used * 2 >= m->n_slot && !pairmap_grow(m)) return false;
    p = pair_slot(m, key);
    *added = p->key == UINT64_MAX;
    if (*added) {
        *p = (struct pare_pair){ key, a, b };
        m->used++;
    }
    return true;
}

void pare_trie_free(struct pare_trie *t)
{
    pare_pairmap_free(&t->edge);
    pare_free(t->value);
    memset(t, 0, sizeof *t);
}

static bool trie_node(struct pare_trie *t)
{
    if (t->n == t->cap) {
        uint32_t cap = t->cap == 0 ? 64 : t->cap * 2;
        int32_t *p = t->cap > (uint32_t)1 << 29 ? NULL : pare_realloc_array(t->value, cap, sizeof *p);
        if (p == NULL) return false;
        t->value = p;
        t->cap = cap;
    }
    t->value[t->n++] = -1;
    return true;
}

bool pare_trie_add(struct pare_trie *t, const char *s, size_t len, int32_t value)
{
    uint32_t node = 0;

    if (len == 0) return true;
    if (t->n == 0 && !trie_node(t)) return false;
    for (size_t i = 0; i < len; i++) {
        uint32_t next = pare_trie_step(t, node, (uint8_t)s[i]);
        if (next == 0) {
            bool added;
            next = t->n;
            if (!trie_node(t) || !pare_pairmap_put(&t->edge, (uint64_t)node << 8 | (uint8_t)s[i], next, 0, &added)) return false;
        }
        node = next;
    }
    if (t->value[node] < 0) t->value[node] = value;
    return true;
}

int32_t pare_trie_longest(const struct pare_trie *t, const uint8_t *s, size_t n, size_t *len)
{
    int32_t  best = -1;
    uint32_t node = 0;

    *len = 0;
    if (t->n == 0) return -1;
    for (size_t i = 0; i < n && (node = pare_trie_step(t, node, s[i])) != 0; i++)
        if (t->value[node] >= 0) {
            best = t->value[node];
            *len = i + 1;
        }
    return best;
}
