/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/dtype.c: finding a storage format by constant, name or GGUF number, and the size of its rows. */
#include "tensor/dtype.h"

#include "base/checked.h"
#include "tensor/dtype_list.h"

#define ROW(id, name) [PARE_##id] = &pare_dt_##name,
static const struct pare_dtype *const rows[PARE_TYPE_COUNT] = { PARE_DTYPE_LIST(ROW) };
#undef ROW

const struct pare_dtype *pare_dtype_of(enum pare_type type)
{
    return (unsigned)type < PARE_TYPE_COUNT ? rows[type] : NULL;
}

/* Names are ASCII; the C library's comparison would follow the locale. */
static bool same_name(const char *a, const char *b)
{
    for (;; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + ('a' - 'A')) : *a;

        if (x != *b) return false;
        if (x == '\0') return true;
    }
}

const struct pare_dtype *pare_dtype_by_name(const char *name)
{
    if (name == NULL) return NULL;
    for (int i = 0; i < PARE_TYPE_COUNT; i++)
        if (same_name(name, rows[i]->name)) return rows[i];
    return NULL;
}

const struct pare_dtype *pare_dtype_by_gguf(uint32_t gguf_id)
{
    for (int i = 0; i < PARE_TYPE_COUNT; i++)
        if (rows[i]->gguf_id >= 0 && (uint32_t)rows[i]->gguf_id == gguf_id) return rows[i];
    return NULL;
}

bool pare_dtype_row_bytes(const struct pare_dtype *t, uint64_t cols, uint64_t *out)
{
    uint64_t blocks = cols / t->block, n;

    if (cols % t->block != 0) {
        if (!(t->caps & PARE_DT_ANYWIDTH)) return false;
        blocks++;
    }
    if (!pare_mul_u64(blocks, t->block_bytes, &n) || !pare_add_u64(n, t->row_bytes, &n)) return false;
    *out = n;
    return true;
}

bool pare_dtype_bytes(const struct pare_dtype *t, uint64_t n_rows, uint64_t cols, uint64_t *out)
{
    uint64_t row, n;

    if (!pare_dtype_row_bytes(t, cols, &row) || !pare_mul_u64(n_rows, row, &n)) return false;
    *out = n;
    return true;
}
