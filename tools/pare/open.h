/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/open.h: a model opened as the flags say, and the flags of generation. */
#ifndef PARE_TOOL_OPEN_H
#define PARE_TOOL_OPEN_H

#include <pare/generate.h>

#include "options.h"

/* pare_cli_open loads the model of the first positional; at_least: the context must hold so many tokens when --ctx is not given
 * (0: the default will do). An error is printed. @return 0 or the exit code. */
int pare_cli_open(const struct pare_cli *c, uint32_t at_least, struct pare_job *job, struct pare_llm **out);

/* pare_cli_sampling fills *g from the flags; *bias is an array that it may borrow from, release with free. stop strings are
 * borrowed from c. @return 0 or 2. */
int pare_cli_sampling(const struct pare_cli *c, struct pare_generate_settings *g, struct pare_logit_bias **bias);

/* pare_cli_timings prints what a generation took, with -v. */
void pare_cli_timings(const struct pare_cli *c, const struct pare_generated *g);

#endif
