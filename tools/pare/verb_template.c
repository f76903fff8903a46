/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "out.h"
#include "talk.h"

/* The variables of the template: those in the file, then --tools, then --set, which wins over both. */
static int read_messages(const struct pare_cli *c, json_t **context)
{
    json_t *doc = NULL;
    int     rc = pare_cli_load_json(PARE_TEXT(c, messages), &doc);

    if (rc != 0) return rc;
    if (json_is_array(doc)) {
        *context = json_pack("{s:o}", "messages", doc);
        return *context != NULL ? 0 : pare_cli_nomem();
    }
    *context = doc;
    if (json_is_array(json_object_get(doc, "messages"))) return 0;
    pare_cli_error("%s: neither an array of messages nor an object with an array \"messages\"", PARE_TEXT(c, messages));
    return 3;
}

static int set_variables(const struct pare_cli *c, json_t *context)
{
    const struct pare_cli_value *set = &c->v[PARE_OPT_set];

    for (size_t i = 0; i < set->n; i++) {
        const char  *eq = strchr(set->list[i], '=');
        json_error_t e;
        json_t      *v;
        char         name[128];

        if (eq == NULL || eq == set->list[i] || (size_t)(eq - set->list[i]) >= sizeof name)
            return pare_cli_usage(c->verb->name, "--set: \"%s\" is not NAME=JSON", set->list[i]);
        snprintf(name, sizeof name, "%.*s", (int)(eq - set->list[i]), set->list[i]);
        v = json_loads(eq + 1, JSON_DECODE_ANY, &e);
        if (v == NULL) return pare_cli_usage(c->verb->name, "--set %s: no JSON value: %s (a text needs quotes: '%s=\"...\"')", name, e.text, name);
        if (json_object_set_new(context, name, v) != 0) return pare_cli_usage(c->verb->name, "--set: \"%s\" is no name", name);
    }
    return 0;
}

static int build_context(const struct pare_cli *c, json_t **context)
{
    json_t *tools = NULL;
    int     rc = read_messages(c, context);

    if (rc == 0 && PARE_HAS(c, tools)) {
        rc = pare_cli_load_json(PARE_TEXT(c, tools), &tools);
        if (rc == 0) json_object_set_new(*context, "tools", tools);
    }
    if (rc == 0 && (PARE_FLAG(c, no_generation_prompt) || json_object_get(*context, "add_generation_prompt") == NULL))
        json_object_set_new(*context, "add_generation_prompt", json_boolean(!PARE_FLAG(c, no_generation_prompt)));
    return rc != 0 ? rc : set_variables(c, *context);
}

/* The template's text: that of --template, else the model's. */
static int find_template(const struct pare_cli *c, const struct pare_tokenizer *tok, char **held, const char **tmpl, size_t *n)
{
    int rc = 0;

    if (PARE_HAS(c, template)) {
        rc = pare_cli_read(PARE_TEXT(c, template), held, n);
        *tmpl = *held;
        return rc;
    }
    *tmpl = pare_tokenizer_chat_template(tok);
    if (*tmpl == NULL) {
        pare_cli_error("%s: the model has no chat template; give one with --template FILE", c->arg[0]);
        return 3;
    }
    *n = strlen(*tmpl);
    return 0;
}

int pare_verb_template(const struct pare_cli *c)
{
    struct pare_tokenizer *tok = NULL;
    struct pare_diag       diag = { 0 };
    json_t                *context = NULL;
    const char            *tmpl;
    char                  *held = NULL, *text = NULL;
    size_t                 n = 0, len = 0;
    bool                   no_model = strcmp(c->arg[0], "-") == 0;
    int                    rc;

    if (!PARE_HAS(c, messages)) return pare_cli_usage(c->verb->name, "--messages is missing: a file of messages as JSON");
    if (no_model && !PARE_HAS(c, template)) return pare_cli_usage(c->verb->name, "a MODEL of - needs --template FILE");
    rc = build_context(c, &context);
    if (rc == 0 && !no_model && pare_tokenizer_open(&tok, c->arg[0], &diag) < 0) rc = pare_cli_fail(c, &diag);
    if (rc == 0) rc = find_template(c, tok, &held, &tmpl, &n);
    if (rc == 0 && pare_cli_context_tokens(context, tok, &diag) < 0) rc = pare_cli_fail(c, &diag);
    if (rc == 0 && pare_cli_render(tmpl, n, context, PARE_TEXT(c, date), &text, &len, &diag) < 0) rc = pare_cli_fail(c, &diag);
    if (rc == 0 && PARE_FLAG(c, json)) {
        rc = pare_cli_json_value(json_pack("{s:s%}", "text", text, len));
    } else if (rc == 0) {
        fwrite(text, 1, len, stdout);
        rc = pare_cli_flush();
    }
    pare_free(text);
    free(held);
    json_decref(context);
    pare_tokenizer_close(&tok);
    return rc;
}
