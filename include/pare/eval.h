/* SPDX-License-Identifier: Apache-2.0
 * include/pare/eval.h: perplexity with its standard error, and the divergence from a base model with its own. */
#ifndef PARE_EVAL_H
#define PARE_EVAL_H

#include <pare/job.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pare_eval_settings {
    const char *text;      /* file; NULL: the built-in proof text */
    const char *base;      /* model to compare with; NULL: perplexity only */
    uint32_t ctx;          /* window, 0: 512 */
    uint32_t chunks;       /* windows at most, 0: all */
    uint32_t skip_chunks;
    bool     bos;          /* each window is BOS and ctx - 1 tokens */
    bool     score_half;   /* score only the second half of each window */
    bool     f32_activations; /* reference path for quantized weights */
    const char *kv;        /* "auto", "f32", "f16", "q8_0", "q5_0", "q4_0"; NULL: "auto" */
    bool     noise_floor;  /* also the base against itself: other threads, cache in f16, int8 activations */
    const char *seen;      /* a calibration text: "overlap" says how much of the scored text stands in it. NULL: not checked */
    /* A task instead of a text: piqa, gsm8k, humaneval. */
    const char *task;      /* NULL: none */
    const char *data;      /* the questions, JSON lines as the public data set has them */
    const char *shots_data; /* examples in front of each question, from this file; NULL: none */
    const char *samples;   /* file that gets one JSON line for each question and what the model made of it; NULL: none */
    uint32_t limit;        /* questions at most, 0: all */
    uint32_t shots;        /* examples in front of each question */
    uint8_t  reserved[16]; /* zero */
};
/* pare_eval_settings_default fills *s. Never fails. Since 0.1. */
PARE_API void pare_eval_settings_default(struct pare_eval_settings *s);

/*
 * pare_eval scores the model at path. *json gets the document of `pare eval --json` (CLI contract); free with pare_free.
 * Logits are kept in full precision; the base is recomputed, never read from a truncated file.
 * @return 0 or a negative enum pare_error. Since 0.1.
 */
PARE_API int pare_eval(const char *path, const struct pare_eval_settings *s, char **json, struct pare_job *job,
                       struct pare_diag *diag);

struct pare_compare_settings {
    const char *types;     /* with commas between them: types to store the model in, or model files; NULL: q8_0,q6_k,q5_k,q4_k,q3_k,q2_k */
    const char *text;      /* file to score; NULL: the built-in proof text */
    const char *folder;    /* where converted files lie meanwhile; NULL: /tmp */
    const char *task, *data; /* questions as in pare_eval_settings; NULL: none */
    uint32_t limit;        /* questions at most, 0: all */
    uint32_t ctx, chunks;  /* windows: 0: 128 tokens, 0: 16 windows */
    bool     no_speed;     /* leaves out what is timed */
    uint8_t  reserved[63];
};
/* pare_compare_settings_default fills *s. Never fails. Since 0.1. */
PARE_API void pare_compare_settings_default(struct pare_compare_settings *s);

/*
 * pare_compare stores the model at path in several forms and measures each on every track: loss, generality, robustness, cost of
 * compression, size and memory, speed, likeness of generated text. *json: {"original", "configs":[...], "formulas", "absent"}; free with
 * pare_free. Converted files are removed. @return 0 or a negative enum pare_error. Since 0.1.
 */
PARE_API int pare_compare(const char *path, const struct pare_compare_settings *s, char **json, struct pare_job *job, struct pare_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
