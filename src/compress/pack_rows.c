/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/pack_rows.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"

int pare_pack_rows_open(struct pare_pack_rows *k, const struct pare_dtype *type, uint64_t cols, uint64_t max_rows, struct pare_job *job,
                        struct pare_diag *diag)
{
    uint64_t scratch = pare_pack_scratch(type, cols);

    memset(k, 0, sizeof *k);
    PARE_FAIL_IF(diag, !pare_packed_shape(&k->p, type, max_rows, cols), PARE_E_USAGE, "type %s cannot be packed", type->name);
    (void)pare_dtype_row_bytes(type, cols, &k->row_bytes); /* the shape was right */
    k->team = job != NULL ? job->team : NULL;
    k->worker_bytes = pare_arena_round(scratch + k->row_bytes);
    k->workers = pare_aligned(k->worker_bytes * pare_team_size(k->team));
    k->p.data = pare_aligned(pare_packed_bytes(&k->p));
    if (k->workers != NULL && k->p.data != NULL) return PARE_OK;
    pare_pack_rows_close(k);
    return PARE_NOMEM(diag);
}

void pare_pack_rows_close(struct pare_pack_rows *k)
{
    pare_aligned_free(k->workers);
    pare_aligned_free(k->p.data);
    memset(k, 0, sizeof *k);
}

static void chunk(void *ctx, uint32_t panel, uint32_t worker)
{
    struct pare_pack_rows *k = ctx;
    uint64_t               first = (uint64_t)panel * PARE_PANEL, left = k->p.rows - first;
    uint32_t               n = left < PARE_PANEL ? (uint32_t)left : PARE_PANEL;
    const uint8_t         *rows = k->src + first * k->row_bytes;
    uint8_t               *scratch = k->workers + worker * k->worker_bytes, *line = scratch + (k->worker_bytes - k->row_bytes);

    pare_pack_panel(&k->p, panel, rows, k->row_bytes, n, scratch);
    if (!pare_panel_keeps(&k->p, panel, rows, k->row_bytes, n, line, scratch)) atomic_store(&k->differs, true);
}

bool pare_pack_rows(struct pare_pack_rows *k, const uint8_t *rows, uint64_t n)
{
    k->src = rows;
    k->p.rows = n;
    k->p.n_panels = (uint32_t)((n + PARE_PANEL - 1) / PARE_PANEL);
    atomic_store(&k->differs, false);
    pare_team_run(k->team, k->p.n_panels, chunk, k);
    return !atomic_load(&k->differs);
}
