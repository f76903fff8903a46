/* SPDX-License-Identifier: Apache-2.0
 * src/compress/composite_private.h: what the files of composites share. */
#ifndef PARE_COMPRESS_COMPOSITE_PRIVATE_H
#define PARE_COMPRESS_COMPOSITE_PRIVATE_H

#include "compress/composite.h"

/* Type and sizes of rows; PARE_E_USAGE where the type does not suit. */
int  pare_rows_shape(struct pare_rows *r, const struct pare_dtype *type, uint64_t rows, uint64_t cols, struct pare_diag *diag);
/* The place of the next part, cleared; counted by the caller. */
int  pare_composite_new_part(struct pare_composite *c, enum pare_part_kind kind, struct pare_composite_part **p, struct pare_diag *diag);
void pare_composite_free_part(struct pare_composite_part *p);

static inline uint64_t pare_entries_at_bytes(const struct pare_entries *s) { return (pare_entries_panels(s->rows) + 1) * 4; }
static inline uint64_t pare_entries_col_bytes(const struct pare_entries *s) { return s->n_slots * PARE_ENTRIES_ROWS * (s->wide ? 4 : 2); }
static inline uint64_t pare_entries_val_bytes(const struct pare_entries *s) { return s->n_slots * PARE_ENTRIES_ROWS * (s->f16 ? 2 : 4); }

/* Panels of entries, which are sorted by row and column in place. What was allocated stays in s on failure. */
int pare_entries_make(struct pare_entries *s, uint64_t rows, uint64_t cols, struct pare_entry *e, uint64_t n, bool f16, struct pare_diag *diag);

#endif
