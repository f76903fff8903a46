/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "help.h"
#include "out.h"

static json_t *option_json(const struct pare_cli_option *o)
{
    static const char *const kinds[] = { "flag", "int", "real", "size", "text", "choice", "list" };
    char                     env[64], letter[3] = { '-', o->letter, '\0' };
    json_t                  *j = json_object();

    json_object_set_new(j, "name", json_sprintf("--%s", o->name));
    if (o->letter != '\0') json_object_set_new(j, "short", json_string(letter));
    json_object_set_new(j, "type", json_string(kinds[o->kind]));
    if (o->kind == PARE_KIND_INT || o->kind == PARE_KIND_REAL) {
        json_object_set_new(j, "min", json_real(o->min));
        json_object_set_new(j, "max", json_real(o->max));
    }
    if (o->choices != NULL) json_object_set_new(j, "choices", json_string(o->choices));
    if (o->dflt != NULL) json_object_set_new(j, "default", json_string(o->dflt));
    json_object_set_new(j, "env", json_string(pare_cli_env_name(o->name, env)));
    json_object_set_new(j, "help", json_string(o->help));
    return j;
}

/* {"verbs":[{"name","args","summary","flags":[...]}]}: the tables, for other programs. */
static json_t *tables_json(void)
{
    json_t *root = json_object(), *verbs = json_array();

    for (size_t i = 0; i < PARE_VERB_COUNT; i++) {
        const struct pare_cli_verb *v = &pare_cli_verbs[i];
        json_t                     *j = json_object(), *flags = json_array();

        json_object_set_new(j, "name", json_string(v->name));
        json_object_set_new(j, "args", json_string(v->args));
        json_object_set_new(j, "summary", json_string(v->summary));
        for (size_t k = 0; k < PARE_OPT_COUNT; k++)
            if (pare_cli_has_option(v, &pare_cli_options[k])) json_array_append_new(flags, option_json(&pare_cli_options[k]));
        json_object_set_new(j, "flags", flags);
        json_array_append_new(verbs, j);
    }
    json_object_set_new(root, "verbs", verbs);
    return root;
}

int pare_verb_help(const struct pare_cli *c)
{
    const struct pare_cli_verb *v;
    const char                 *near;

    if (PARE_FLAG(c, json)) return pare_cli_json_value(tables_json());
    if (PARE_FLAG(c, man)) {
        pare_cli_help_man(stdout);
    } else if (PARE_FLAG(c, completion_bash)) {
        pare_cli_help_bash(stdout);
    } else if (c->n_args == 0) {
        pare_cli_help_overview(stdout);
    } else {
        v = pare_cli_find_verb(c->arg[0]);
        if (v == NULL) {
            near = pare_cli_nearest_verb(c->arg[0]);
            return near != NULL ? pare_cli_usage(NULL, "no verb \"%s\"; did you mean \"%s\"?", c->arg[0], near)
                                : pare_cli_usage(NULL, "no verb \"%s\"; `pare help` lists them", c->arg[0]);
        }
        pare_cli_help_verb(stdout, v);
    }
    return pare_cli_flush();
}
