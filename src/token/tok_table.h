/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_table.h: the three tables that tokenizers are made of: texts by id and by content, pairs of ids, a byte trie. */
#ifndef PARE_TOKEN_TOK_TABLE_H
#define PARE_TOKEN_TOK_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARE_SYM_MAX ((uint32_t)1 << 27) /* texts; above it ids no longer fit the keys of the other tables */

/* Texts numbered in the order they came, found by content in O(1). Bytes lie one after another in blob. */
struct pare_symtab {
    char     *blob;
    size_t    blob_len, blob_cap;
    uint64_t *off;      /* [n + 1] */
    uint32_t  n, cap;
    uint32_t *slot;     /* open addressing: index + 1, 0 empty */
    uint32_t  n_slot, used;
};
void pare_symtab_free(struct pare_symtab *t);
/* Appends a text and returns its number, or -1 (out of memory, table full). With index it is found by content from now on,
 * unless an equal text stands there already: the first one is found. */
int64_t pare_symtab_push(struct pare_symtab *t, const char *s, size_t len, bool index);
/* The number of a text, -1 if there is none. */
int32_t pare_symtab_find(const struct pare_symtab *t, const char *s, size_t len);
static inline const char *pare_symtab_text(const struct pare_symtab *t, uint32_t i, size_t *len)
{
    *len = (size_t)(t->off[i + 1] - t->off[i]);
    return t->blob == NULL ? "" : t->blob + t->off[i]; /* texts that are all empty have no memory */
}

/* 64-bit key to two 32-bit values. Keys below UINT64_MAX. */
struct pare_pair {
    uint64_t key;
    uint32_t a, b;
};
struct pare_pairmap {
    struct pare_pair *slot;
    uint32_t          n_slot, used;
};
void pare_pairmap_free(struct pare_pairmap *m);
/* Puts (a, b) unless the key is there already; *added says which. False when out of memory. */
bool pare_pairmap_put(struct pare_pairmap *m, uint64_t key, uint32_t a, uint32_t b, bool *added);
static inline uint64_t pare_pair_hash(uint64_t k)
{
    k ^= k >> 32;
    k *= 0x9E3779B97F4A7C15u; /* 2^64 / golden ratio: spreads neighbouring keys */
    return k ^ k >> 29;
}
static inline const struct pare_pair *pare_pairmap_get(const struct pare_pairmap *m, uint64_t key)
{
    if (m->n_slot == 0) return NULL;
    for (uint32_t i = (uint32_t)pare_pair_hash(key) & (m->n_slot - 1);; i = (i + 1) & (m->n_slot - 1)) {
        if (m->slot[i].key == key) return &m->slot[i];
        if (m->slot[i].key == UINT64_MAX) return NULL;
    }
}

/* A trie over bytes; a node's value is the number of the text that ends there, or -1. */
struct pare_trie {
    struct pare_pairmap edge;   /* node << 8 | byte -> child */
    int32_t            *value;
    uint32_t            n, cap; /* nodes; 0: empty trie */
};
void pare_trie_free(struct pare_trie *t);
/* The first of equal texts stays. Empty texts are ignored. False when out of memory. */
bool pare_trie_add(struct pare_trie *t, const char *s, size_t len, int32_t value);
/* The child of a node (root: 0), or 0 when there is none. */
static inline uint32_t pare_trie_step(const struct pare_trie *t, uint32_t node, uint8_t byte)
{
    const struct pare_pair *p = pare_pairmap_get(&t->edge, (uint64_t)node << 8 | byte);
    return p == NULL ? 0 : p->a;
}
/* The longest text at s; returns its value and *len, or -1. */
int32_t pare_trie_longest(const struct pare_trie *t, const uint8_t *s, size_t n, size_t *len);

#endif
