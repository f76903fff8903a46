/* SPDX-License-Identifier: Apache-2.0
 * tests/method/lab_rig.h: the demo model (or the one that PARE_ACCEPT names) opened in a lab, for acceptance tests of methods. */
#ifndef PARE_TESTS_LAB_RIG_H
#define PARE_TESTS_LAB_RIG_H

#include "fixture.h"

#include "compress/lab.h"
#include "eval/opened.h"
#include "eval/texts.h"

struct rig {
    struct pare_job    *job;
    struct pare_opened  o;
    struct pare_windows calib, eval;
    struct pare_lab     lab;
    struct pare_diag    diag;
    const char         *model; /* for what tests print */
};

#define RIG_OK(call)                                                                                                   \
    do {                                                                                                               \
        if ((call) != PARE_OK) fail_msg("%s: %s", #call, pare_diag_format(&r->diag, (char[600]){ 0 }, 600));                                    \
    } while (0)

/* n_calib windows of the built-in calibration text, n_eval of the built-in proof text, len tokens each. full: E[x x^T]. */
static inline void rig_open(struct rig *r, uint32_t len, uint32_t n_calib, uint32_t n_eval, bool full)
{
    struct pare_job_settings   js;
    struct pare_open_settings  os = { .act_mode = PARE_ACT_F32, .kv = "f32", .ctx = len, .stream = true, .tokenizer = true, .inputs = true };
    struct pare_text_settings  ts = { .ctx = len, .spread = true };
    uint64_t total;
    size_t   n;
    const char *text;

    memset(r, 0, sizeof *r);
    r->model = getenv("PARE_ACCEPT");
    if (r->model == NULL || *r->model == '\0') r->model = "data/demo-llama";
    pare_job_settings_default(&js);
    RIG_OK(pare_job_create(&r->job, &js, &r->diag));
    RIG_OK(pare_opened_open(&r->o, r->model, &os, r->job, &r->diag));
    text = pare_text_calibration(&n);
    ts.max = n_calib;
    RIG_OK(pare_text_windows(&r->calib, r->o.tok, text, n, &ts, &total, &r->diag));
    text = pare_text_proof(&n);
    ts.max = n_eval;
    RIG_OK(pare_text_windows(&r->eval, r->o.tok, text, n, &ts, &total, &r->diag));
    RIG_OK(pare_lab_open(&r->lab, &r->o.walk, &r->calib, &r->eval, &r->diag));
    RIG_OK(pare_lab_calibrate(&r->lab, full, &r->diag));
}

static inline void rig_close(struct rig *r)
{
    pare_lab_close(&r->lab);
    pare_free(r->calib.ids);
    pare_free(r->eval.ids);
    pare_opened_close(&r->o);
    pare_job_destroy(&r->job);
}

static inline struct pare_tally_result rig_measure(struct rig *r, const struct pare_lab_change *c)
{
    struct pare_tally_result t;

    RIG_OK(pare_lab_measure(&r->lab, c, NULL, &t, &r->diag));
    return t;
}

#endif
