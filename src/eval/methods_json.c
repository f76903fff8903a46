/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/fit.h>

#include "base/json.h"
#include "compress/method.h"

char *pare_methods_json(void)
{
    size_t                           n;
    const struct pare_method *const *m = pare_methods(&n);
    json_t                          *list = json_array();
    char                            *text;

    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object(), *options = json_array();
        for (size_t k = 0; k < m[i]->n_options; k++) {
            const struct pare_method_option *p = &m[i]->options[k];
            json_array_append_new(options, json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", p->name, "type", p->type, "range", p->range,
                                                     "default", p->dflt, "help", p->help));
        }
        json_object_set_new(o, "id", json_string(m[i]->id));
        json_object_set_new(o, "module", json_string(m[i]->module));
        json_object_set_new(o, "guarantee", json_string(m[i]->guarantee));
        json_object_set_new(o, "status", json_string("works"));
        json_object_set_new(o, "title", json_string(m[i]->title));
        json_object_set_new(o, "source", json_string(m[i]->source));
        json_object_set_new(o, "neutral", json_string(m[i]->neutral));
        json_object_set_new(o, "tested", json_string(m[i]->tested));
        if (m[i]->acceptance != NULL) json_object_set_new(o, "acceptance", json_string(m[i]->acceptance));
        if (m[i]->measured != NULL) json_object_set_new(o, "measured", json_string(m[i]->measured));
        json_object_set_new(o, "options", options);
        json_array_append_new(list, o);
    }
    text = pare_json_text(list);
    json_decref(list);
    return text;
}
