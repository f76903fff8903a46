/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/help_bash.c: completion for bash: verbs, the flags of the verb on the line, the choices of a flag, else file names.
 * Use: source <(pare help --completion-bash) */
#include "help.h"

static void flags_of(FILE *f, const struct pare_cli_verb *v)
{
    fprintf(f, "        %s) flags=\"", v->name);
    for (size_t i = 0, n = 0; i < PARE_OPT_COUNT; i++)
        if (pare_cli_has_option(v, &pare_cli_options[i])) fprintf(f, "%s--%s", n++ > 0 ? " " : "", pare_cli_options[i].name);
    fputs("\" ;;\n", f);
}

void pare_cli_help_bash(FILE *f)
{
    fputs("# SPDX-License-Identifier: Apache-2.0\n"
          "# bash completion of pare, made by `pare help --completion-bash`\n"
          "_pare()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} flags=\n"
          "    local verbs=\"", f);
    for (size_t i = 0; i < PARE_VERB_COUNT; i++) fprintf(f, "%s%s", i > 0 ? " " : "", pare_cli_verbs[i].name);
    fputs("\"\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ] || [ \"$verb\" = help ] && [ \"${cur#-}\" = \"$cur\" ]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$verbs\" -- \"$cur\")\n"
          "        return\n"
          "    fi\n"
          "    case $prev in\n", f);
    for (size_t i = 0; i < PARE_OPT_COUNT; i++) {
        const struct pare_cli_option *o = &pare_cli_options[i];

        if (o->kind != PARE_KIND_CHOICE) continue;
        fprintf(f, "        --%s)\n            mapfile -t COMPREPLY < <(compgen -W \"", o->name);
        for (const char *p = o->choices; *p != '\0'; p++) fputc(*p == '|' ? ' ' : *p, f);
        fputs("\" -- \"$cur\")\n            return ;;\n", f);
    }
    fputs("    esac\n    case $verb in\n", f);
    for (size_t i = 0; i < PARE_VERB_COUNT; i++) flags_of(f, &pare_cli_verbs[i]);
    fputs("    esac\n"
          "    case $cur in\n"
          "        -*) mapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"$cur\") ;;\n"
          "        *) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
          "    esac\n"
          "}\n"
          "complete -o filenames -F _pare pare\n", f);
}
