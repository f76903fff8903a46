/* SPDX-License-Identifier: Apache-2.0
 * src/eval/task.h: questions with answers, scored inside the engine as the public harness (lm-eval) scores them: compression-facts 2.5.
 * The parts that decide a score are functions of their own, tested alone. */
#ifndef PARE_EVAL_TASK_H
#define PARE_EVAL_TASK_H

#include <pare/eval.h>

#include "base/json.h"
#include "base/mem.h"
#include "generate/llm.h"

/* `pare eval --task`: *json {"task","n","accuracy","accuracy_se", ...}. */
int pare_eval_task(const char *path, const struct pare_eval_settings *s, char **json, struct pare_job *job, struct pare_diag *diag);

/* The same on a model that is open already; *out is owned by the caller. */
int pare_task_run(struct pare_llm *llm, const struct pare_eval_settings *s, json_t **out, struct pare_diag *diag);

/* One row a task, listed in task_list.h. */
struct pare_task_state;
struct pare_task {
    const char *name;
    const char *help;
    /* Scores question number i; q is its JSON object. Adds to st. */
    int  (*one)(struct pare_task_state *st, const json_t *q, uint32_t i, struct pare_diag *diag);
    /* Text of an answered example, to stand in front of questions. NULL: the task takes none. */
    bool (*example)(struct pare_buf *b, const json_t *q);
    const char *metrics[4]; /* names of st->sum, NULL at the end */
};
struct pare_task_state {
    const struct pare_task *task;
    struct pare_llm        *llm;
    const char             *shots;    /* text in front of each question, "" for none */
    double                  sum[4], sum2[4];
    uint32_t                n;
    const uint8_t          *labels;   /* [n_labels], of data sets that keep them in a file of their own */
    uint64_t                n_labels;
    struct pare_buf         samples;  /* JSON lines */
};
void pare_task_add(struct pare_task_state *st, const double *value, uint32_t n);
const struct pare_task *pare_task_by_name(const char *name);

/* Log-likelihood of a continuation after a context (lm-eval): spaces at the end of the context move to the continuation, both are
 * encoded together and cut where the context alone ends, what is too long loses its beginning. *greedy: the continuation is what the
 * model says itself. */
int pare_loglikelihood(struct pare_llm *llm, const char *context, const char *continuation, double *ll, bool *greedy, struct pare_diag *diag);

/* Number of the answer in a text. strict: what stands after the first "#### "; else the last number-like run. *out points into text.
 * Returns its length, 0 when there is none. After lm-eval's gsm8k: "#### (\-?[0-9\.\,]+)" and "(-?[$0-9.,]{2,})|(-?[0-9]+)". */
size_t pare_task_number(const char *text, bool strict, const char **out);
/* Equal after lm-eval's cleaning of gsm8k: everything up to the last "#### ", commas, dollar signs and one full stop at the end left out,
 * case ignored. */
bool pare_task_same_answer(const char *a, size_t na, const char *b, size_t nb);
/* A completion that can be Python: not blank, its first line of code indented (it continues a function), brackets and quotes closed. It
 * is not run: whether it is right is for the data set's own tests. */
bool pare_task_well_formed(const char *code);

#endif
