/* SPDX-License-Identifier: Apache-2.0
 * src/compress/target.h: the tensors that fit decides about, with what is known of each: statistics of its input, its candidate
 * types with bytes, error, loss and time, and how the model's output answers to errors in it. */
#ifndef PARE_COMPRESS_TARGET_H
#define PARE_COMPRESS_TARGET_H

#include "compress/inputs.h"

#define PARE_MAX_CANDIDATES 24
#define PARE_SENSE_POINTS 2

struct pare_composite;
struct pare_target;

/* Makes the weight of an option that is more than rows of a type (compress/composite.h). Called several times for one target, and must
 * give the same each time: as a shape to count and declare, whole to be written. out is in bound order and freed by the caller. */
struct pare_composite_maker {
    int (*make)(const struct pare_composite_maker *m, const struct pare_target *t, bool shape, struct pare_composite *out, struct pare_job *job,
                struct pare_diag *diag);
    const void *user;
};
/* Keeps what the source has: base, parts and transform as they are. */
extern const struct pare_composite_maker pare_composite_keep;
/* Fills *m with a maker that gives views of c, which must outlive it. */
void pare_composite_hold(struct pare_composite_maker *m, const struct pare_composite *c);

struct pare_candidate {
    const struct pare_dtype *type;      /* of the rows; of the base where there is a maker */
    const struct pare_composite_maker *maker; /* borrowed; NULL: rows of the type, encoded from the source */
    uint64_t bytes;       /* of the whole tensor in the file */
    uint64_t resident;    /* bytes in memory when loaded to run */
    double   err;         /* relative output error: sum imp (w - w^)^2 / sum imp w^2, or what error feedback leaves over the same */
    bool     fed;         /* err was measured with error feedback */
    double   loss;        /* predicted mean KL divergence this choice alone causes, nats a token */
    double   decode_s;    /* seconds a token, measured on this machine; 0 when not measured */
    double   prefill_s;   /* seconds a token at batch 512 */
};

struct pare_target {
    const char      *name;        /* in written files; borrowed from the slot */
    uint32_t         unit;        /* where it is multiplied (or looked up when it is only a table) */
    struct pare_slot *slot;
    const struct pare_unit *of;   /* the unit of slot */
    struct pare_slot *table;      /* the slot that reads it as an embedding, or NULL */
    bool             multiplied;
    bool             feedback;    /* may be rounded with error feedback (compress/feedback.h) */
    double           lookup;      /* of a tied head: the part of its loss that comes from looking tokens up */
    uint64_t         rows, cols;
    /* observed */
    uint64_t         seen;        /* rows of input; 0 for pure tables */
    float           *importance;  /* [cols] mean x^2, normalised to mean 1, floored; NULL: plain squared error */
    /* sensed: mean divergence under injected errors of known size */
    double           point_err[PARE_SENSE_POINTS], point_kld[PARE_SENSE_POINTS];
    uint32_t         n_points;
    double           bend;        /* loss grows as error to this power above the first point */
    struct pare_candidate cand[PARE_MAX_CANDIDATES];
    uint32_t         n_cand;
};

struct pare_targets {
    struct pare_target *t;
    uint32_t n;
    /* Everything else that a written file holds: norms, biases, positions; kept in f32. */
    struct pare_slot **rest;
    uint32_t n_rest;
    struct pare_inputs head;      /* full moments of the head's input in the original, for a tied head; n 0: not gathered */
    uint64_t params;              /* of the original, all tensors counted once */
};

/* Collects the targets in unit order; a tied head is one target. */
int  pare_targets_create(struct pare_targets *ts, struct pare_model *m, struct pare_diag *diag);
void pare_targets_free(struct pare_targets *ts);

/* Fills the candidates' types and bytes: every writable type that suits the width, and the source's own type. portable: only
 * types that other GGUF engines read. list: comma-separated names, or NULL for all. */
int  pare_targets_candidates(struct pare_targets *ts, bool portable, const char *list, struct pare_diag *diag);

/* True when the slot's own bytes can be copied: same type as the candidate, no reordering, no parts. */
bool pare_target_is_source(const struct pare_target *t, const struct pare_dtype *type);

/* Encodes rows [row0, row0 + n) of a slot (out: in the order of written files, else bound order) into dst, on all threads.
 * Source types are copied. The same bytes for any number of threads. tmp: n * cols floats. */
int  pare_target_encode(const struct pare_target *t, const struct pare_dtype *type, uint64_t row0, uint64_t n, bool out,
                        uint8_t *dst, float *tmp, struct pare_job *job, struct pare_diag *diag);

/* Whether candidate c will be rounded with error feedback. */
bool pare_target_feeds(const struct pare_target *t, uint32_t c);

/* How much an error counts as such, beside what it does to the head's outputs, in units of the inputs' mean square: from t->lookup. */
double pare_target_ridge(const struct pare_target *t);

/* Rows [row0, row0 + n) as f32, bound order; PARE_E_CORRUPT naming the first weight that is not finite. */
int  pare_target_floats(const struct pare_target *t, uint64_t row0, uint64_t n, float *dst, struct pare_job *job, struct pare_diag *diag);

/* Sum over rows of imp (a - b)^2 and imp a^2 in f64, row order: importance NULL means 1. */
void pare_weighted_error(const float *a, const float *b, const float *importance, uint64_t cols, double *err, double *norm);

#endif
