/* SPDX-License-Identifier: Apache-2.0
 * src/compress/rewrite.h: carries out a plan: every tensor encoded into the output, journalled, resumable, the same bytes for any
 * number of threads and any tier. Also what `convert` is: a plan that gives all tensors one type. */
#ifndef PARE_COMPRESS_REWRITE_H
#define PARE_COMPRESS_REWRITE_H

#include "compress/stream.h"
#include "compress/target.h"
#include "compress/trial.h"
#include "format/writer.h"
#include "token/tokenizer.h"

struct pare_rewrite {
    const char *out;
    struct pare_checkpoint *ckpt;
    struct pare_model *model;
    const struct pare_tokenizer *tok; /* may be NULL */
    struct pare_targets *ts;
    const uint32_t *pick;
    const char *plan_text;            /* canonical JSON, stored under "pare.plan"; NULL: none */
    uint64_t job_hash;
    bool resume;
    struct pare_walk *walk;           /* for targets that are rounded with error feedback, with the text it is learnt on; */
    const struct pare_windows *calib; /* both NULL: none are */
    const struct pare_kept *kept;     /* such targets as a trial has made them, or NULL: they are made again */
    const uint8_t *pack;              /* [ts->n] targets that are written as panels (pare_rewrite_choose_pack); NULL: none */
};

/* Says which targets can be written as panels: those that are multiplied, of a packable type, whose rows turn back bit for bit.
 * Sources that are copied are all read for that; what we encode ourselves turns back. pack [ts->n] gets PARE_PACK_*. */
enum { PARE_PACK_NO, PARE_PACK_YES, PARE_PACK_LOSES /* would be packed, but some byte would not come back */ };
int pare_rewrite_choose_pack(const struct pare_rewrite *r, uint8_t *pack, struct pare_job *job, struct pare_diag *diag);

/* Size of the file that the plan would give, without writing tensor data. */
int pare_rewrite_size(const struct pare_rewrite *r, uint64_t *bytes, struct pare_diag *diag);
int pare_rewrite_run(const struct pare_rewrite *r, struct pare_job *job, struct pare_diag *diag);

/* Bytes of all tensor data of a pick: targets and the rest. */
uint64_t pare_plan_bytes(const struct pare_targets *ts, const uint32_t *pick);
/* Type in which a tensor of the rest (norms, biases, positions) is written. */
const struct pare_dtype *pare_rest_type(const struct pare_slot *s);

#endif
