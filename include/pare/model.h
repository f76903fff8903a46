/* SPDX-License-Identifier: Apache-2.0
 * include/pare/model.h: a loaded language model with its tokenizer. Read-only after opening. */
#ifndef PARE_MODEL_H
#define PARE_MODEL_H

#include <pare/common.h>
#include <pare/error.h>
#include <pare/job.h>
#include <pare/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pare_llm; /* opaque */

/* How keys and values are kept. AUTO: as f32 when every weight is a float type (the reference), else as f16. */
enum pare_kv_kind { PARE_KEEP_AUTO = 0, PARE_KEEP_F32 = 1, PARE_KEEP_F16 = 2, PARE_KEEP_Q8_0 = 3, PARE_KEEP_Q5_0 = 4, PARE_KEEP_Q4_0 = 5 };

struct pare_llm_settings {
    uint32_t          n_ctx;           /* longest sequence, prompt and answer; 0: the model's own, at most 4096 */
    enum pare_kv_kind kv;
    bool              f32_activations; /* quantized weights are decoded and multiplied in f32 (slow, the reference) */
    uint32_t          batch;           /* rows computed at once while a prompt is read; 0: 512 */
    uint8_t           reserved[44];    /* zero */
};

/* pare_llm_settings_default fills *s. Never fails. Since 0.1. */
PARE_API void pare_llm_settings_default(struct pare_llm_settings *s);

/*
 * pare_llm_open opens a model (GGUF, Hugging Face folder, llama2.c) and loads it with the threads of job. On success *out
 * belongs to the caller, pare_llm_close() releases it; job must outlive it. On failure *out is NULL.
 * @return 0 or a negative enum pare_error. Since 0.1.
 */
PARE_API int pare_llm_open(struct pare_llm **out, const char *path, const struct pare_llm_settings *s, struct pare_job *job,
                           struct pare_diag *diag);

/* pare_llm_close frees *llm and sets it to NULL. NULL and a pointer to NULL are accepted. Since 0.1. */
PARE_API void pare_llm_close(struct pare_llm **llm);

/* pare_llm_n_vocab returns the width of a row of logits, pare_llm_n_ctx the longest sequence it was opened for. Since 0.1. */
PARE_API uint32_t pare_llm_n_vocab(const struct pare_llm *llm);
PARE_API uint32_t pare_llm_n_ctx(const struct pare_llm *llm);

/* pare_llm_tokenizer returns the model's tokenizer, borrowed; NULL when it has none. Since 0.1. */
PARE_API const struct pare_tokenizer *pare_llm_tokenizer(const struct pare_llm *llm);

/* pare_llm_chat_template returns the model's chat template, borrowed; NULL when it has none. Since 0.1. */
PARE_API const char *pare_llm_chat_template(const struct pare_llm *llm);

/*
 * pare_llm_logits runs n ids as one fresh sequence and writes the logits of the last position, or with all of every
 * position, to out ([1 or n][n_vocab]). An id outside the vocabulary or n == 0 is PARE_E_USAGE, n above the context
 * PARE_E_LIMIT. Since 0.1.
 */
PARE_API int pare_llm_logits(struct pare_llm *llm, const int32_t *ids, uint32_t n, bool all, float *out, struct pare_diag *diag);

/* pare_llm_info returns a JSON object as text (pare_free), NULL when out of memory: {"arch","format","params","layers","width",
 * "vocab","ctx","max_ctx","kv","float","load_s","tokenizer","chat_template"}. Since 0.1. */
PARE_API char *pare_llm_info(const struct pare_llm *llm);

/* pare_arch_names returns the families that can be opened, a NULL-terminated list of static strings. Since 0.1. */
PARE_API const char *const *pare_arch_names(void);

#ifdef __cplusplus
}
#endif
#endif
