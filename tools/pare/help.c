/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/help.c: `pare help`, `pare VERB --help`. Written for 80 columns. */
#include "help.h"

#include <string.h>

#include <pare/common.h>

#include "out.h"

bool pare_cli_is_common(const struct pare_cli_option *o) { return o->verbs == 0xffffffffu; }

void pare_cli_help_overview(FILE *f)
{
    fprintf(f, "pare %s: makes generative models small and fast on CPUs, and proves what was lost\n\n", pare_version());
    fputs("usage: pare VERB [arguments] [flags]\n\n", f);
    for (size_t i = 0; i < PARE_VERB_COUNT; i++)
        fprintf(f, "  %-11s %s\n", pare_cli_verbs[i].name, pare_cli_verbs[i].summary);
    fputs("\nFlags of every verb:\n\n", f);
    for (size_t i = 0; i < PARE_OPT_COUNT; i++) {
        const struct pare_cli_option *o = &pare_cli_options[i];
        char                          name[64];
        int                           n;

        if (!pare_cli_is_common(o)) continue;
        n = snprintf(name, sizeof name, "%s%c%s--%s%s%s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
                     o->letter ? ", " : "  ", o->name, o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
        fprintf(f, "  %s", name);
        pare_cli_wrap(f, o->help, 28, (size_t)n + 2);
    }
    fputs("\nEvery flag has a twin in the environment: --cpu-mask is PARE_CPU_MASK.\n"
          "`pare VERB --help` shows a verb's own flags. To begin:\n\n"
          "  pare fit model.gguf --ram 2G -o small.gguf\n"
          "  pare run small.gguf -p \"Once upon a time\"\n", f);
}

static void option_row(FILE *f, const struct pare_cli_option *o)
{
    char   name[64], help[512];
    int    n;
    size_t len;

    n = snprintf(name, sizeof name, "%s%c%s--%s%s%s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
                 o->letter ? ", " : "  ", o->name, o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
    len = (size_t)snprintf(help, sizeof help, "%s", o->help);
    if (o->choices != NULL) len += (size_t)snprintf(help + len, sizeof help - len, ": %s", o->choices);
    if (o->dflt != NULL) snprintf(help + len, sizeof help - len, " (default: %s)", o->dflt);
    fprintf(f, "  %s", name);
    if (n + 2 > 26) {
        fputc('\n', f);
        n = -2;
    }
    pare_cli_wrap(f, help, 28, (size_t)(n + 2));
}

void pare_cli_help_verb(FILE *f, const struct pare_cli_verb *v)
{
    fprintf(f, "usage: pare %s%s%s [flags]\n\n", v->name, *v->args ? " " : "", v->args);
    pare_cli_wrap(f, v->about, 0, 0);
    for (int common = 0; common < 2; common++) {
        bool any = false;

        for (size_t i = 0; i < PARE_OPT_COUNT; i++) {
            const struct pare_cli_option *o = &pare_cli_options[i];

            if (!pare_cli_has_option(v, o) || pare_cli_is_common(o) != (common != 0)) continue;
            if (!any) fputs(common ? "\nFlags of every verb:\n\n" : "\nFlags:\n\n", f);
            any = true;
            option_row(f, o);
        }
    }
    fprintf(f, "\nExample:\n\n  %s\n", v->example);
}
