/* SPDX-License-Identifier: Apache-2.0
 * src/compress/make.h: a plan carried out on the model, unit by unit, while calibration text runs through what was made so far: each
 * unit's targets are rounded against the inputs that they will really see, those of the compressed units before it (GPTQ's order). Trials
 * and the writing of files are walks of this kind; both give the same bytes. */
#ifndef PARE_COMPRESS_MAKE_H
#define PARE_COMPRESS_MAKE_H

#include "compress/stand_in.h"
#include "compress/stream.h"

struct pare_make {
    struct pare_targets       *ts;
    const uint32_t            *pick;
    struct pare_walk          *w;
    const struct pare_windows *calib;
    float                     *x;       /* residual rows of calib in the compressed model; NULL when nothing needs them */
    /* Told of every target that was rounded with feedback: its rows, in bound order. May be NULL. */
    int (*made)(void *user, uint32_t target, const uint8_t *rows, uint64_t row_bytes, struct pare_diag *diag);
    void *user;
};

/* Anything to be rounded with feedback in this plan? */
bool pare_make_needed(const struct pare_targets *ts, const uint32_t *pick);

/* calib is borrowed. pare_make_close frees x. */
int  pare_make_open(struct pare_make *m, struct pare_targets *ts, const uint32_t *pick, struct pare_walk *w, const struct pare_windows *calib,
                    struct pare_diag *diag);
void pare_make_close(struct pare_make *m);
/* Bytes of the moments and factors that error feedback holds at once for a unit's targets. */
uint64_t pare_feedback_forecast(const struct pare_targets *ts, uint32_t unit);

/* Makes the unit: the embedding, a layer. The unit must have been entered. Rows y of other windows run through what was made too
 * (win NULL: none). Units are made in order, none left out. */
int  pare_make_unit(struct pare_make *m, uint32_t unit, const struct pare_windows *win, float *y, struct pare_diag *diag);
/* The head's linear as the plan has it, in *s; to be dropped by the caller. s->t is NULL where the model has no such target. */
int  pare_make_head(struct pare_make *m, struct pare_stand_in *s, struct pare_diag *diag);

#endif
