/* SPDX-License-Identifier: Apache-2.0
 * include/pare/generate.h: text from a model. The same model, prompt, settings and seed give the same tokens, whatever the
 * threads. */
#ifndef PARE_GENERATE_H
#define PARE_GENERATE_H

#include <pare/model.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pare_logit_bias { int32_t id; float bias; }; /* added to the logit; -INFINITY forbids the token */

/* Applied in this order: bias, penalties, top_k, typical, top_p, min_p, temperature. Neutral values switch a step off. */
struct pare_sampling {
    float    temperature;       /* 0: the best token (lowest id among equals) */
    uint32_t top_k;             /* 0: all */
    float    top_p;             /* 1: all */
    float    min_p;             /* 0: all; else tokens with p >= min_p * best p */
    float    typical;           /* 1: all (Meister et al. 2022) */
    float    repetition;        /* 1: none; positive logits are divided by it, negative multiplied (Keskar et al. 2019) */
    float    presence;          /* 0: none; subtracted once from tokens that occurred */
    float    frequency;         /* 0: none; subtracted for each occurrence */
    uint32_t last_n;            /* how many of the latest tokens the penalties look at, prompt included; 0: all */
    uint64_t seed;
    const struct pare_logit_bias *bias; /* [n_bias] borrowed */
    uint32_t n_bias;
    uint8_t  reserved[32];      /* zero */
};
/* pare_sampling_default fills *s: temperature 0, everything else neutral, last_n 64. Since 0.1. */
PARE_API void pare_sampling_default(struct pare_sampling *s);

/* What the caller sees of the text as it grows: whole code points. Return false to stop. */
typedef bool (*pare_text_fn)(void *user, const char *text, size_t len);
typedef bool (*pare_token_fn)(void *user, int32_t id);

struct pare_generate_settings {
    struct pare_sampling sampling;
    uint32_t             max_tokens;    /* at most so many new tokens; 0: until the context is full */
    const char *const   *stop;          /* [n_stop] strings that end the text; they are not part of it */
    uint32_t             n_stop;
    bool                 ignore_eog;    /* goes on after end-of-text tokens */
    bool                 parse_special; /* special tokens written in the prompt become their ids (rendered chat templates) */
    bool                 no_bos;        /* does not put in front what the model puts in front by default */
    pare_text_fn         on_text;       /* may be NULL */
    pare_token_fn        on_token;      /* may be NULL; sees every new id before its text */
    void                *user;
    uint8_t              reserved[32];  /* zero */
};
/* pare_generate_settings_default fills *s: greedy, 128 tokens. Since 0.1. */
PARE_API void pare_generate_settings_default(struct pare_generate_settings *s);

enum pare_finish { PARE_FINISH_STOP, PARE_FINISH_LENGTH, PARE_FINISH_CALLER };

struct pare_generated {
    char            *text;         /* zero-terminated UTF-8, text_len bytes */
    size_t           text_len;
    struct pare_ids  prompt_ids, ids;
    enum pare_finish finish;       /* STOP: end-of-text token or stop string; LENGTH: max_tokens or context; CALLER: a callback */
    double           prefill_tps, decode_tps, load_s;
    uint64_t         peak_rss;     /* bytes */
};

/*
 * pare_generate continues text (n bytes), or with text NULL the n_ids ids. *out is overwritten and must be released with
 * pare_generated_free, also after a failure, when it holds what was made until then. A prompt that fills the context is
 * PARE_E_LIMIT, a prompt of no tokens at all PARE_E_USAGE. Text needs a tokenizer; without one ids are continued and no text
 * comes out. @return 0 or a negative enum pare_error. Since 0.1.
 */
PARE_API int pare_generate(struct pare_llm *llm, const char *text, size_t n, const int32_t *ids, size_t n_ids,
                           const struct pare_generate_settings *s, struct pare_generated *out, struct pare_diag *diag);
PARE_API void pare_generated_free(struct pare_generated *g);

/* pare_generated_json returns {"text","prompt_ids":[],"ids":[],"finish_reason","timings":{"prefill_tps","decode_tps","load_s",
 * "peak_rss"}} as text (pare_free), NULL when out of memory. finish_reason is "stop" or "length" ("cancelled" for CALLER).
 * Since 0.1. */
PARE_API char *pare_generated_json(const struct pare_generated *g);

#ifdef __cplusplus
}
#endif
#endif
