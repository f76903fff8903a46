/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/input.h: files, standard input, prompts, token ids and JSON given by the user. */
#ifndef PARE_TOOL_INPUT_H
#define PARE_TOOL_INPUT_H

#include <jansson.h>
#include <pare/tokenizer.h>

#include "options.h"

/* pare_cli_read reads a whole file ("-": standard input) of at most 1 GiB; *data is zero-terminated, release with free. An error is
 * printed. @return 0 or the exit code. */
int pare_cli_read(const char *path, char **data, size_t *n);

/* pare_cli_prompt finds the text of run or tokenize: a positional (may be NULL), -p, -f, else standard input. *data: free. */
int pare_cli_prompt(const struct pare_cli *c, const char *positional, char **data, size_t *n);

/* pare_cli_ids appends ids to *ids, whose memory is released with free(ids->ids): "1,2,3" (commas or spaces between), "[1,2,3]", or an object with such a member "ids". origin
 * names the text in errors. @return 0 or the exit code. */
int pare_cli_ids(const char *text, const char *origin, struct pare_ids *ids);

/* pare_cli_load_json parses a file ("-": standard input); *out belongs to the caller. */
int pare_cli_load_json(const char *path, json_t **out);

#endif
