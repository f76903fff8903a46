/* SPDX-License-Identifier: Apache-2.0
 * src/format/name_table.h: names kept once (a pool of zero-terminated strings) and found by hash. The hash is seeded per table,
 * so a file cannot be made to put all its names into one slot. */
#ifndef PARE_FORMAT_NAME_TABLE_H
#define PARE_FORMAT_NAME_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* Strings in chunks; pointers stay valid until the pool is freed. Start from zeros. */
struct pare_string_pool {
    struct pool_chunk *chunks;
};
char *pare_pool_add(struct pare_string_pool *p, const void *s, size_t n); /* NULL: out of memory */
void pare_pool_free(struct pare_string_pool *p);

/* name -> number. Keys are borrowed. Start from zeros. */
struct pare_name_table {
    struct name_slot *slots;
    uint64_t          n_slots, n_used, seed;
};
/* 0: put, 1: the name is there already (nothing changes), PARE_E_NOMEM. */
int pare_names_put(struct pare_name_table *t, const char *key, uint64_t id);
/* UINT64_MAX when absent. */
uint64_t pare_names_get(const struct pare_name_table *t, const char *key, size_t len);
void pare_names_free(struct pare_name_table *t);

#endif
