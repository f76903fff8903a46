/* SPDX-License-Identifier: Apache-2.0
 * include/pare/fit.h: the main job: observe, plan, rewrite, prove. And convert, which is a rewrite without a search. */
#ifndef PARE_FIT_H
#define PARE_FIT_H

#include <pare/job.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pare_fit_settings {
    const char *out;         /* output file; may be NULL with plan_only */
    /* Budgets; 0: none. At least one, or a plan. */
    uint64_t    size;        /* bytes of the whole file */
    double      bpw;         /* all tensor data in bits, divided by the original's parameters */
    uint64_t    ram;         /* peak memory of `pare run` at ctx */
    double      loss;        /* mean KL divergence from the original, nats a token */
    double      decode_tps, prefill_tps; /* tokens a second on this machine */
    uint32_t    ctx;         /* context for ram, 0: 2048 or the model's maximum */
    const char *text;        /* calibration text: a file, "self" to sample it from the model, NULL: built in */
    const char *eval_text;   /* text to prove on, NULL: built in (never the calibration text) */
    uint32_t    eval_chunks; /* windows of 512 to prove on at most, 0: chosen by the model's size */
    const char *plan;        /* execute this plan (file) instead of searching */
    bool        plan_only;   /* stop before rewriting: json holds the plan and the prediction */
    bool        portable;    /* only types that other GGUF engines read */
    bool        resume;      /* continue a run that was interrupted */
    bool        no_proof;    /* rewrite only */
    uint32_t    effort;      /* 1 (fast) .. 5 (thorough), 0: PARE_FIT_EFFORT */
    bool        explain;     /* the text tells the runner-up of every tensor (the JSON always does) */
    uint64_t    work_ram;    /* peak memory of fit itself, 0: half of what the machine has free */
    const char *report;      /* HTML file, NULL: none */
    const char *methods;     /* comma-separated methods or types allowed, NULL: all */
    uint64_t    seed;
    const char *self;        /* path of the pare command, for measuring a real run in a process of its own; NULL: not measured */
    uint8_t     reserved[64];
};
#define PARE_FIT_EFFORT 3
/* pare_fit_settings_default fills *s. Never fails. Since 0.1. */
PARE_API void pare_fit_settings_default(struct pare_fit_settings *s);

/*
 * pare_fit makes the model at path fit. *json gets the document of `pare fit --json`, *text a report for people; both are freed
 * with pare_free; text may be NULL. On failure nothing stands under the final name.
 * @return 0 or a negative enum pare_error: PARE_E_BUDGET when the budget cannot be met. Since 0.1.
 */
PARE_API int pare_fit(const char *path, const struct pare_fit_settings *s, char **json, char **text, struct pare_job *job,
                      struct pare_diag *diag);

/*
 * pare_convert writes the model at path as GGUF with one type (a name, e.g. "q8_0", "f16", "keep") for all matrices; a matrix whose
 * width does not suit the type keeps its own, and is named in *json {"output","bytes","kept":[...]}. pack: matrices lie in the file
 * as the kernels read them, so that loading maps them and copies nothing; "packed" counts them. They say what type they came from
 * and turn back bit for bit when the file is converted without pack; one that would not is written unpacked and named in "kept" with
 * "packed": false. Since 0.1.
 */
PARE_API int pare_convert(const char *path, const char *out, const char *type, bool pack, bool resume, char **json,
                          struct pare_job *job, struct pare_diag *diag);

/* pare_methods_json returns the registry (`pare methods --json`); free with pare_free; NULL when out of memory. Since 0.1. */
PARE_API char *pare_methods_json(void);

#ifdef __cplusplus
}
#endif
#endif
