/* SPDX-License-Identifier: Apache-2.0
 * src/compress/composite_sparse.c: single entries into the panels of kernel/entries.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "compress/composite_private.h"

static int by_place(const void *a, const void *b)
{
    const struct pare_entry *x = a, *y = b;

    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return x->col < y->col ? -1 : x->col > y->col;
}

static int check_entries(const struct pare_composite *c, const struct pare_entry *e, uint64_t n, struct pare_diag *diag)
{
    for (uint64_t i = 0; i < n; i++) {
        PARE_FAIL_IF(diag, e[i].row >= c->rows || e[i].col >= c->cols, PARE_E_USAGE, "entry (%u, %u) lies outside the matrix", e[i].row, e[i].col);
        PARE_FAIL_IF(diag, !isfinite(e[i].value), PARE_E_CORRUPT, "entry (%u, %u) is not finite", e[i].row, e[i].col);
        PARE_FAIL_IF(diag, i > 0 && by_place(&e[i - 1], &e[i]) == 0, PARE_E_USAGE, "entry (%u, %u) is given twice", e[i].row, e[i].col);
    }
    return PARE_OK;
}

/* at[p] gets the first slot of panel p: a panel has as many as its longest row. */
static uint64_t count_slots(uint32_t *at, uint64_t panels, const struct pare_entry *e, uint64_t n)
{
    uint64_t slots = 0, i = 0;

    for (uint64_t p = 0; p < panels; p++) {
        uint64_t most = 0;

        at[p] = (uint32_t)slots;
        while (i < n && e[i].row / PARE_ENTRIES_ROWS == p) {
            uint64_t first = i;
            while (i < n && e[i].row == e[first].row) i++;
            if (i - first > most) most = i - first;
        }
        slots += most;
    }
    at[panels] = (uint32_t)slots;
    return slots;
}

static void put(struct pare_entries *s, uint64_t slot, const struct pare_entry *e)
{
    uint64_t i = slot * PARE_ENTRIES_ROWS + e->row % PARE_ENTRIES_ROWS;
    uint16_t h = pare_f32_to_f16(e->value), c = (uint16_t)e->col;

    if (s->wide) memcpy((uint8_t *)(uintptr_t)s->col + 4 * i, &e->col, 4);
    else memcpy((uint8_t *)(uintptr_t)s->col + 2 * i, &c, 2);
    if (s->f16) memcpy((uint8_t *)(uintptr_t)s->val + 2 * i, &h, 2);
    else memcpy((uint8_t *)(uintptr_t)s->val + 4 * i, &e->value, 4);
}

int pare_entries_make(struct pare_entries *s, uint64_t rows, uint64_t cols, struct pare_entry *e, uint64_t n, bool f16, struct pare_diag *diag)
{
    uint64_t  panels = pare_entries_panels(rows);
    uint32_t *at = pare_aligned((panels + 1) * sizeof *at);
    void     *col = NULL, *val = NULL;

    qsort(e, n, sizeof *e, by_place);
    *s = (struct pare_entries){ .rows = rows, .cols = cols, .wide = cols > 1u << 16, .f16 = f16, .at = (uint8_t *)at };
    if (at == NULL) return PARE_NOMEM(diag);
    s->n_slots = count_slots(at, panels, e, n);
    s->col = col = pare_aligned(pare_entries_col_bytes(s));
    s->val = val = pare_aligned(pare_entries_val_bytes(s));
    if (col == NULL || val == NULL) return PARE_NOMEM(diag);
    memset(col, 0, pare_entries_col_bytes(s));
    memset(val, 0, pare_entries_val_bytes(s));
    for (uint64_t i = 0, k = 0; i < n; i++) {
        k = i > 0 && e[i].row == e[i - 1].row ? k + 1 : at[e[i].row / PARE_ENTRIES_ROWS];
        put(s, k, &e[i]);
    }
    return PARE_OK;
}

int pare_composite_sparse(struct pare_composite *c, const struct pare_entry *e, uint64_t n, bool f16, struct pare_diag *diag)
{
    struct pare_composite_part *p;
    struct pare_entry          *sorted;
    uint64_t                    some = 0;
    int                         rc;

    PARE_FAIL_IF(diag, n > UINT32_MAX || c->cols > 1u << 31, PARE_E_LIMIT, "%llu sparse entries are too many", (unsigned long long)n);
    sorted = pare_alloc_array(n + 1, sizeof *sorted);
    if (sorted == NULL) return PARE_NOMEM(diag);
    if (n != 0) memcpy(sorted, e, n * sizeof *e);
    qsort(sorted, n, sizeof *sorted, by_place); /* equal places lie side by side */
    rc = check_entries(c, sorted, n, diag);
    for (uint64_t i = 0; i < n; i++) /* entries that are stored as 0 add nothing */
        if ((f16 ? pare_f16_to_f32(pare_f32_to_f16(sorted[i].value)) : sorted[i].value) != 0) sorted[some++] = sorted[i];
    if (rc < 0 || some == 0) {
        pare_free(sorted);
        return rc;
    }
    rc = pare_composite_new_part(c, PARE_PART_SPARSE, &p, diag);
    if (rc < 0) {
        pare_free(sorted);
        return rc;
    }
    rc = pare_entries_make(&p->sparse, c->rows, c->cols, sorted, some, f16, diag);
    if (rc == PARE_OK) c->n_parts++;
    else pare_composite_free_part(p);
    pare_free(sorted);
    return rc;
}
