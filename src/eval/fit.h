/* SPDX-License-Identifier: Apache-2.0
 * src/eval/fit.h: the state of one fit, shared by its steps: prepare, search (fit_search.c), prove (fit_prove.c), report. */
#ifndef PARE_EVAL_FIT_H
#define PARE_EVAL_FIT_H

#include <jansson.h>
#include <pare/fit.h>

#include "base/mem.h"
#include "compress/plan.h"
#include "compress/rewrite.h"
#include "compress/target.h"
#include "compress/trial.h"
#include "eval/opened.h"
#include "eval/bootstrap.h"
#include "eval/overlap.h"
#include "nn/score.h"

/* A point of the size-loss curve: solved for, and perhaps tried. */
struct pare_fit_point {
    uint64_t bytes;      /* of tensor data */
    double   predicted;  /* divergence */
    double   tried;      /* measured on calibration text, or negative */
};
#define PARE_FIT_POINTS 24

struct pare_fit {
    const struct pare_fit_settings *s;
    const char            *path;
    struct pare_job       *job;
    struct pare_opened     o;          /* the original, streamed */
    struct pare_targets    ts;
    uint32_t              *pick;
    uint64_t               rest_bytes; /* of tensors that are not chosen for */
    uint64_t               work_ram;   /* what this process may use, 0: no limit asked for */
    uint64_t               base_rss;   /* resident after opening, before any window */
    uint32_t               ctx;        /* window of calibration and proof */
    uint32_t               effort;     /* 1..5: what time is spent on (docs of --effort) */
    uint32_t               run_ctx;    /* context of the ram budget */
    struct pare_windows    calib, sense, tries;
    struct pare_plan_source source;
    /* search */
    double                 ratio;      /* joint divergence / sum of single ones, measured at the chosen plan */
    double                 flat;       /* exponent that solve() puts on single losses, 0: 1 */
    double                 sum;        /* sum of the picked candidates' losses */
    double                 predicted_kld;
    uint64_t               predicted_bytes;  /* of the whole file */
    double                 decode_s, prefill_s; /* predicted seconds a token in the matrices */
    bool                   timed;
    struct pare_kept       kept;       /* of the last trial; empty under --work-ram */
    struct pare_fit_point  point[PARE_FIT_POINTS];
    uint32_t               n_points;
    json_t                *plan;       /* document */
    char                  *plan_text;  /* canonical */
    /* proof */
    struct pare_tally_result proof;
    struct pare_boot       boot;       /* errors of the proof over windows */
    struct pare_overlap    overlap;    /* of the proof text with the calibration text */
    bool                   proved;
    uint32_t               proof_windows, proof_left_out;
    json_t                *run_new, *run_old; /* what a real run of each printed, or NULL */
    uint64_t               out_bytes, in_bytes;
};

/* Chooses windows so that memory and time stay in bounds; reads texts. */
int pare_fit_texts(struct pare_fit *f, struct pare_diag *diag);
/* How much of the proof text calibration sees; PARE_E_USAGE when both are the same text. */
int pare_fit_overlap(struct pare_fit *f, struct pare_diag *diag);
/* Drops the windows of a built-in text whose first quarter the original predicts much worse than its best windows: languages that it
 * does not speak. Keeps order. */
int pare_fit_leave_out(struct pare_fit *f, struct pare_windows *win, struct pare_diag *diag);
/* Peak memory of fit itself, bytes; kept, or refused before anything is read, when --work-ram is given. */
uint64_t pare_fit_forecast(const struct pare_fit *f);
/* Seconds that the whole fit will take, roughly: measures for some milliseconds. */
double pare_fit_seconds(const struct pare_fit *f);
/* PARE_E_BUDGET when a budget is below what any plan reaches, or the work memory below what fit needs. */
int pare_fit_possible(const struct pare_fit *f, struct pare_diag *diag);
/* Fills pick, predicted values and the curve. */
int pare_fit_search(struct pare_fit *f, struct pare_diag *diag);
/* Reads f->s->plan into pick and observes what its encoding needs. */
int pare_fit_replay(struct pare_fit *f, struct pare_diag *diag);
int pare_fit_prove(struct pare_fit *f, struct pare_diag *diag);
/* Resident bytes of the matrices as they are picked. */
uint64_t pare_fit_resident(const struct pare_fit *f);
/* Peak resident bytes of `pare run --ctx ctx` when all matrices take `resident` bytes. */
uint64_t pare_fit_run_bytes(const struct pare_fit *f, uint64_t resident, uint32_t ctx);

/* What a byte is worth in loss at the budget that the plan was made for, nats a byte. */
double pare_fit_price(const struct pare_fit *f);
struct pare_fit_second { const char *type; uint64_t bytes; double loss, cost; /* cost: extra loss of the plan at the same size */ };
/* The second best option of target i at that price; false when it has but one. */
bool pare_fit_runner_up(const struct pare_fit *f, uint32_t i, double price, struct pare_fit_second *out);
/* The table of --explain, from the document's plan. */
struct pare_buf;
void pare_fit_explain_text(struct pare_buf *b, const json_t *plan);

/* {"plan","predicted","measured","original","curve","output","seconds","seed"} */
json_t *pare_fit_document(const struct pare_fit *f, double seconds);
/* The report for people, from the document; and as one HTML file without outside references. pare_free; NULL: out of memory. */
char *pare_report_text(const json_t *doc, bool explain);
char *pare_report_html(const json_t *doc);

#endif
