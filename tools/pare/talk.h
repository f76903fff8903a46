/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/talk.h: messages to the text that a model continues, by its chat template. */
#ifndef PARE_TOOL_TALK_H
#define PARE_TOOL_TALK_H

#include <jansson.h>
#include <pare/tokenizer.h>

#include "options.h"

/* pare_cli_context_tokens adds bos_token and eos_token, as the model writes them, to the variables of a template. tok may be NULL. */
int pare_cli_context_tokens(json_t *context, const struct pare_tokenizer *tok, struct pare_diag *diag);

/* pare_cli_render renders n bytes of template with an object of variables; *out is zero-terminated, release with pare_free. */
int pare_cli_render(const char *tmpl, size_t n, const json_t *context, const char *date, char **out, size_t *len,
                    struct pare_diag *diag);

/* pare_cli_message appends {"role","content"} to an array of messages. Bytes that are no UTF-8 become U+FFFD. @return 0 or -1 when
 * out of memory. */
int pare_cli_message(json_t *messages, const char *role, const char *text, size_t n);

/* pare_cli_talk_text gives the text for the model's next turn: by tmpl, or as plain "User:" and "Assistant:" turns when tmpl is
 * NULL. *out: pare_free, or free when tmpl is NULL; release it with pare_cli_talk_free. @return 0 or a negative enum pare_error. */
struct pare_cli_talk {
    char  *text;
    size_t len;
    bool   plain;
};
int  pare_cli_talk_text(struct pare_cli_talk *t, const char *tmpl, const struct pare_tokenizer *tok, json_t *messages,
                        struct pare_diag *diag);
void pare_cli_talk_free(struct pare_cli_talk *t);

#endif
