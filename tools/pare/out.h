/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/out.h: what the command says and where: data to standard output, everything else to standard error. */
#ifndef PARE_TOOL_OUT_H
#define PARE_TOOL_OUT_H

#include <jansson.h>
#include <pare/job.h>

#include "options.h"

/* pare_cli_usage prints "pare: text" and where to read on (verb may be NULL). @return 2. */
int pare_cli_usage(const char *verb, const char *fmt, ...) PARE_PRINTF(2, 3);
/* pare_cli_nomem reports that memory ran out. @return 4. */
int pare_cli_nomem(void);
/* pare_cli_fail prints an error of the library with the next step, if one is known. @return the exit code for it. */
int pare_cli_fail(const struct pare_cli *c, const struct pare_diag *d);
/* pare_cli_error prints "pare: text" to standard error. */
void pare_cli_error(const char *fmt, ...) PARE_PRINTF(1, 2);
/* pare_cli_note prints a line to standard error unless -q. */
void pare_cli_note(const struct pare_cli *c, const char *fmt, ...) PARE_PRINTF(2, 3);

/* pare_cli_json prints a document and a newline, releases it with pare_free. NULL is out of memory. @return exit code. */
int pare_cli_json(char *doc);
/* pare_cli_json_value the same for a value, whose reference it takes over. */
int pare_cli_json_value(json_t *v);
/* pare_cli_parse_json turns a document of the library into a value for a table; releases doc. NULL after a message. */
json_t *pare_cli_parse_json(char *doc);

/* pare_cli_flush ends standard output: a full disk or a closed pipe must not look like success. @return 0 or 1. */
int pare_cli_flush(void);

/* Members of a value, whatever its type may be: nothing here trusts the document. */
double      pare_cli_number(const json_t *o, const char *key); /* 0 when absent */
const char *pare_cli_string(const json_t *o, const char *key); /* "" when absent */
bool        pare_cli_present(const json_t *o, const char *key); /* there, and not null */

/* pare_cli_bytes writes a size for people: "512 B", "1.50 GiB". @return buf. */
const char *pare_cli_bytes(double n, char buf[32]);
/* pare_cli_clean copies text without characters that steer a terminal, shortened to width columns if width > 0. @return buf. */
const char *pare_cli_clean(const char *s, size_t width, char *buf, size_t size);
/* pare_cli_write_terminal writes n bytes of text, leaving out the characters that steer a terminal (all but \n and \t). */
void pare_cli_write_terminal(const char *s, size_t n);

/* pare_cli_wrap prints text in lines of at most 80 columns, each indented; the first line begins at column `at`. */
void pare_cli_wrap(FILE *f, const char *text, size_t indent, size_t at);

/* pare_cli_color says whether f is a terminal that wants colour (NO_COLOR, TERM=dumb). */
bool pare_cli_color(FILE *f);

/* pare_cli_job starts the threads and hears Ctrl-C. On failure the error is printed. @return 0 or the exit code. */
int  pare_cli_job(const struct pare_cli *c, struct pare_job **out);
/* pare_cli_job_end clears the progress bar and stops the threads. */
void pare_cli_job_end(struct pare_job **job);
/* pare_cli_report ends a verb whose work gave one JSON document: an error (result below 0), the document itself with --json, or what people
 * prints of it. Releases doc and the job. @return the exit code. */
int  pare_cli_report(const struct pare_cli *c, int result, char *doc, void (*people)(const struct pare_cli *c, const json_t *v),
                     struct pare_job **job, const struct pare_diag *diag);
/* pare_cli_interrupted says whether Ctrl-C was pressed; pare_cli_interrupt_reset forgets it. */
bool pare_cli_interrupted(void);
void pare_cli_interrupt_reset(void);
/* pare_cli_interrupt_soft: from now on Ctrl-C only sets what pare_cli_interrupted reads; the job goes on (a talk outlives an answer). */
void pare_cli_interrupt_soft(void);

/* Progress on standard error: a bar on a terminal, else a line per 10 %. */
void pare_cli_progress(void *user, const struct pare_progress *p);
/* pare_cli_progress_clear removes the bar, so that something else may be printed. */
void pare_cli_progress_clear(void);

#endif
