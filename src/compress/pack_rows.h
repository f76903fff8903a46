/* SPDX-License-Identifier: Apache-2.0
 * src/compress/pack_rows.h: rows into panels, a chunk at a time, on all threads, with the proof that they turn back. */
#ifndef PARE_COMPRESS_PACK_ROWS_H
#define PARE_COMPRESS_PACK_ROWS_H

#include <stdatomic.h>

#include "base/job.h"
#include "kernel/gemmq.h"

struct pare_pack_rows {
    struct pare_packed p;        /* of the chunk: data is owned, rows and n_panels are those of the last call */
    struct pare_team  *team;
    const uint8_t     *src;
    uint64_t           row_bytes, worker_bytes;
    uint8_t           *workers;  /* a worker's scratch and one row */
    atomic_bool        differs;
};

/* Takes chunks of at most max_rows rows of cols weights. On failure nothing is held. PARE_E_USAGE: not packable. */
int  pare_pack_rows_open(struct pare_pack_rows *k, const struct pare_dtype *type, uint64_t cols, uint64_t max_rows, struct pare_job *job,
                         struct pare_diag *diag);
void pare_pack_rows_close(struct pare_pack_rows *k);
/* Packs n rows that begin at a multiple of PARE_PANEL and, unless they are the last of their matrix, end at one. The panels are
 * k->p.data, pare_packed_bytes(&k->p) of them; the same bytes for any number of threads. @return whether all turned back. */
bool pare_pack_rows(struct pare_pack_rows *k, const uint8_t *rows, uint64_t n);

#endif
