/* SPDX-License-Identifier: Apache-2.0
 * src/compress/stand_in.h: a target in some type, ready to stand in for the original while a unit runs. */
#ifndef PARE_COMPRESS_STAND_IN_H
#define PARE_COMPRESS_STAND_IN_H

#include "compress/feedback.h"
#include "compress/target.h"

struct pare_stand_in {
    struct pare_target *t;
    struct pare_composite *composite; /* what lin borrows, of an option with a maker; owned, else NULL */
    uint8_t            *rows;      /* encoded, bound order; NULL where panels were made chunk by chunk */
    uint64_t            row_bytes;
    struct pare_linear  lin, saved;
    struct pare_weight  saved_weight;
    const struct pare_fold *saved_fold;
};

/* Encodes the whole target into owned rows, with error feedback unless fb is NULL. err and norm, if not NULL, get what feedback leaves:
 * sum of D (w - q)^2 and of importance w^2 (pare_feedback). */
int  pare_stand_in_rows(struct pare_stand_in *s, struct pare_target *t, const struct pare_dtype *type, const struct pare_feedback *fb,
                        struct pare_job *job, struct pare_diag *diag);
/* Makes the linear of owned rows; quantized rows are packed and dropped unless keep_rows. */
int  pare_stand_in_bind(struct pare_stand_in *s, const struct pare_dtype *type, bool keep_rows, struct pare_job *job, struct pare_diag *diag);
/* Plain encoding straight into panels: the encoded tensor never stands beside the packed one. Float types are bound as rows. */
int  pare_stand_in_linear(struct pare_stand_in *s, struct pare_target *t, const struct pare_dtype *type, struct pare_job *job,
                          struct pare_diag *diag);
/* The linear of an option with a maker (struct pare_candidate). */
int  pare_stand_in_composite(struct pare_stand_in *s, struct pare_target *t, const struct pare_composite_maker *maker, struct pare_job *job,
                             struct pare_diag *diag);
void pare_stand_in_drop(struct pare_stand_in *s);

/* Exchange of the slot's linear, which keeps its bias; of the table's weight. */
void pare_stand_in_put(struct pare_stand_in *s);
void pare_stand_in_take(struct pare_stand_in *s);
void pare_stand_in_put_table(struct pare_stand_in *s, const struct pare_dtype *type);
void pare_stand_in_take_table(struct pare_stand_in *s);

#endif
