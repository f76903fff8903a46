/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "talk.h"

#include <pare/template.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

static int out_of_memory(struct pare_diag *diag)
{
    pare_diag_clear(diag);
    diag->code = PARE_E_NOMEM;
    return diag->code;
}

static int set_token(json_t *context, const char *key, const struct pare_tokenizer *tok, int32_t id, struct pare_diag *diag)
{
    char  *text = NULL;
    size_t n;
    int    rc;

    if (id < 0 || json_object_get(context, key) != NULL) return PARE_OK;
    rc = pare_tokenizer_decode(tok, &id, 1, PARE_TOK_VALID_UTF8, &text, &n, diag);
    if (rc == PARE_OK && json_object_set_new(context, key, json_stringn(text, n)) != 0) rc = out_of_memory(diag);
    pare_free(text);
    return rc;
}

int pare_cli_context_tokens(json_t *context, const struct pare_tokenizer *tok, struct pare_diag *diag)
{
    int rc;

    if (tok == NULL) return PARE_OK;
    rc = set_token(context, "bos_token", tok, pare_tokenizer_bos(tok), diag);
    return rc < 0 ? rc : set_token(context, "eos_token", tok, pare_tokenizer_eos(tok), diag);
}

int pare_cli_render(const char *tmpl, size_t n, const json_t *context, const char *date, char **out, size_t *len,
                    struct pare_diag *diag)
{
    char *text = json_dumps(context, JSON_COMPACT | JSON_REAL_PRECISION(17));
    int   rc;

    if (text == NULL) return out_of_memory(diag);
    rc = pare_template_render(tmpl, n, text, date, out, len, diag);
    free(text);
    return rc;
}

/* Length of the well-formed UTF-8 sequence at s (Unicode 15, table 3-7), 0 if there is none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    size_t        len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    unsigned char lo = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80, hi = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;

    if (len == 0 || len > n) return 0;
    for (size_t i = 1; i < len; i++) {
        if (s[i] < lo || s[i] > hi) return 0;
        lo = 0x80, hi = 0xbf;
    }
    return len;
}

int pare_cli_message(json_t *messages, const char *role, const char *text, size_t n)
{
    char  *clean = malloc(3 * n + 1);
    size_t len = 0;
    int    rc;

    if (clean == NULL) return -1;
    for (size_t i = 0; i < n;) {
        size_t k = utf8_length((const unsigned char *)text + i, n - i);

        /* A zero byte would end the string in a template. */
        if (k == 0 || text[i] == '\0') {
            memcpy(clean + len, "\xef\xbf\xbd", 3);
            len += 3;
            i++;
            continue;
        }
        memcpy(clean + len, text + i, k);
        len += k;
        i += k;
    }
    rc = json_array_append_new(messages, json_pack("{s:s, s:s%}", "role", role, "content", clean, len));
    free(clean);
    return rc;
}

/* For models without a template: turns that any base model has seen in its texts. */
static int plain_turns(struct pare_cli_talk *t, json_t *messages, struct pare_diag *diag)
{
    size_t  i, size = 0;
    FILE   *f = open_memstream(&t->text, &size);
    json_t *m;

    if (f == NULL) return out_of_memory(diag);
    json_array_foreach(messages, i, m)
    {
        const char *role = pare_cli_string(m, "role");

        if (strcmp(role, "system") == 0) fprintf(f, "%s\n\n", pare_cli_string(m, "content"));
        else fprintf(f, "%s: %s\n", strcmp(role, "user") == 0 ? "User" : "Assistant", pare_cli_string(m, "content"));
    }
    fputs("Assistant:", f);
    if (fclose(f) != 0) return out_of_memory(diag);
    t->len = size;
    return PARE_OK;
}

int pare_cli_talk_text(struct pare_cli_talk *t, const char *tmpl, const struct pare_tokenizer *tok, json_t *messages,
                       struct pare_diag *diag)
{
    json_t *context;
    int     rc;

    memset(t, 0, sizeof *t);
    t->plain = tmpl == NULL;
    if (t->plain) return plain_turns(t, messages, diag);
    context = json_pack("{s:O, s:b}", "messages", messages, "add_generation_prompt", 1);
    if (context == NULL) return out_of_memory(diag);
    rc = pare_cli_context_tokens(context, tok, diag);
    if (rc == PARE_OK) rc = pare_cli_render(tmpl, strlen(tmpl), context, NULL, &t->text, &t->len, diag);
    json_decref(context);
    return rc;
}

void pare_cli_talk_free(struct pare_cli_talk *t)
{
    if (t->plain) free(t->text);
    else pare_free(t->text);
    memset(t, 0, sizeof *t);
}
