/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/help.h: the option table as text for people, as a manual page, as a completion script. */
#ifndef PARE_TOOL_HELP_H
#define PARE_TOOL_HELP_H

#include <stdio.h>

#include "options.h"

void pare_cli_help_overview(FILE *f);
void pare_cli_help_verb(FILE *f, const struct pare_cli_verb *v);
void pare_cli_help_man(FILE *f);
void pare_cli_help_bash(FILE *f);

/* pare_cli_is_common: a flag of every verb, listed last. */
bool pare_cli_is_common(const struct pare_cli_option *o);

#endif
