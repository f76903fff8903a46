/* SPDX-License-Identifier: Apache-2.0
 * include/pare/template.h: renders the chat template of a model: from messages to the text that the model was trained on. */
#ifndef PARE_TEMPLATE_H
#define PARE_TEMPLATE_H

#include <pare/common.h>
#include <pare/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * pare_template_render renders a template in the Jinja 2 language, the n bytes of tmpl, with trim_blocks and lstrip_blocks as the
 * public libraries do. context_json is a JSON object whose members are the variables: messages, tools, add_generation_prompt,
 * bos_token, eos_token, ...; the order of keys is kept. date is what strftime_now reports, "YYYY-MM-DD" or
 * "YYYY-MM-DDTHH:MM:SS"; NULL is now, local time. On success *out is zero-terminated UTF-8 of *len bytes that the caller frees
 * with pare_free; on failure *out is NULL.
 * Errors: PARE_E_USAGE the template refused the messages (its own words are in the diagnosis) or the date is none,
 * PARE_E_CORRUPT the template or the JSON is malformed or the template fails on these variables, PARE_E_UNSUPPORTED, PARE_E_LIMIT
 * it nests, works, stores or prints more than is reasonable, PARE_E_NOMEM.
 * Thread-safe. Templates cannot reach files, the network or the process. Since 0.1.
 */
PARE_API int pare_template_render(const char *tmpl, size_t n, const char *context_json, const char *date, char **out, size_t *len,
                                  struct pare_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
