/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/help_man.c: the manual page, in the man(7) macros. No date stands in it, so that the same tables give the same bytes. */
#include <string.h>

#include <pare/common.h>

#include "help.h"

/* roff reads \ as an escape, - as a hyphen and a leading . or ' as a macro. */
static void roff(FILE *f, const char *s)
{
    for (const char *p = s; *p != '\0'; p++) {
        if (*p == '\\') fputs("\\e", f);
        else if (*p == '-') fputs("\\-", f);
        else if ((*p == '.' || *p == '\'') && p == s) fprintf(f, "\\&%c", *p);
        else fputc(*p, f);
    }
}

static void option(FILE *f, const struct pare_cli_option *o)
{
    char env[64];

    fputs(".TP\n", f);
    if (o->letter != '\0') fprintf(f, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", f);
    roff(f, o->name);
    fputs("\\fR", f);
    if (o->arg != NULL) {
        fputs(" \\fI", f);
        roff(f, o->arg);
        fputs("\\fR", f);
    }
    fputc('\n', f);
    roff(f, o->help);
    if (o->choices != NULL) {
        fputs(": ", f);
        roff(f, o->choices);
    }
    if (o->dflt != NULL) {
        fputs(" (default: ", f);
        roff(f, o->dflt);
        fputc(')', f);
    }
    if (strcmp(o->name, "help") != 0) fprintf(f, ". Environment: \\fB%s\\fR", pare_cli_env_name(o->name, env));
    fputs(".\n", f);
}

static void verb(FILE *f, const struct pare_cli_verb *v)
{
    fprintf(f, ".SS \"pare %s%s", v->name, *v->args ? " " : "");
    roff(f, v->args);
    fputs("\"\n", f);
    roff(f, v->about);
    fputc('\n', f);
    for (size_t i = 0; i < PARE_OPT_COUNT; i++)
        if (pare_cli_has_option(v, &pare_cli_options[i]) && !pare_cli_is_common(&pare_cli_options[i])) option(f, &pare_cli_options[i]);
    fputs(".PP\nExample:\n.PP\n.nf\n.RS\n", f);
    roff(f, v->example);
    fputs("\n.RE\n.fi\n", f);
}

static const char tail[] =
    ".SH MODELS\n"
    "MODEL is a GGUF file (the first part of a split one too), a Hugging Face folder with config.json and safetensors files, or a\n"
    "llama2.c file. Sizes take K, M and G (powers of 1024) and plain bytes, with a fraction if need be: 1.5G.\n"
    ".SH OUTPUT\n"
    "Data goes to standard output, everything else to standard error. With \\fB\\-\\-json\\fR one JSON document and nothing else\n"
    "stands on standard output. Progress is a bar on a terminal and one line per 10 % elsewhere.\n"
    ".SH \"EXIT STATUS\"\n"
    ".TP\n0\nsuccess\n"
    ".TP\n1\nfailed at run time\n"
    ".TP\n2\nwrong usage\n"
    ".TP\n3\nbad model or input file\n"
    ".TP\n4\nnot enough memory, or a budget that cannot be met\n"
    ".TP\n130\ninterrupted\n"
    ".SH ENVIRONMENT\n"
    "Every long flag has a twin: \\fB\\-\\-cpu\\-mask\\fR is \\fBPARE_CPU_MASK\\fR. The flag wins. A flag without a value takes 1, yes,\n"
    "true, on or 0, no, false, off; one that may be repeated takes one entry a line. An empty variable counts as none.\n"
    ".PP\n"
    "\\fBNO_COLOR\\fR switches colour off.\n"
    ".SH SIGNALS\n"
    "Ctrl\\-C once stops the work cleanly, twice leaves at once.\n";

void pare_cli_help_man(FILE *f)
{
    fprintf(f, ".\\\" SPDX-License-Identifier: Apache-2.0\n.\\\" Made by `pare help --man`.\n");
    fprintf(f, ".TH PARE 1 \"\" \"pare %s\" \"User Commands\"\n", PARE_VERSION_STRING);
    fputs(".SH NAME\npare \\- makes generative models small and fast on CPUs, and proves what was lost\n"
          ".SH SYNOPSIS\n\\fBpare\\fR \\fIVERB\\fR [\\fIarguments\\fR] [\\fIflags\\fR]\n"
          ".SH VERBS\n", f);
    for (size_t i = 0; i < PARE_VERB_COUNT; i++) verb(f, &pare_cli_verbs[i]);
    fputs(".SH \"FLAGS OF EVERY VERB\"\n", f);
    for (size_t i = 0; i < PARE_OPT_COUNT; i++)
        if (pare_cli_is_common(&pare_cli_options[i])) option(f, &pare_cli_options[i]);
    fputs(tail, f);
}
