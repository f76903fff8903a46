/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja.h: renders the chat templates that models carry. An interpreter of the Jinja 2 template language as the
 * public libraries configure it: trim_blocks, lstrip_blocks, loop controls, no auto-escaping, tojson as json.dumps with
 * ensure_ascii=False, and the functions raise_exception and strftime_now. Templates come from model files, so they are hostile
 * until rendered: depth, work, memory and output are bounded, and a template can reach nothing but its own variables.
 *
 * Where it differs from the reference: integers have 64 bits (beyond is an error); map, select and kin do their work at once, so
 * an element that fails does so even if nobody reads it; unknown filters and tests fail when they are reached, not before; methods
 * that change a list or a dict run; a name that is given by the caller and set at the top level only further down is visible in a
 * loop above that; objects print without their address; from_json exists. Not there: include, import, extends, \N{...}, urlize,
 * wordwrap, random, lipsum. */
#ifndef PARE_TOKEN_JINJA_H
#define PARE_TOKEN_JINJA_H

#include <jansson.h>
#include <pare/error.h>

/* Bounds of one rendering. The largest public template has 17 KB and nests 28 deep. */
#define PARE_JINJA_MAX_TEMPLATE ((size_t)1 << 20)  /* bytes of source */
#define PARE_JINJA_MAX_OUTPUT   ((size_t)8 << 20)  /* bytes of result */
#define PARE_JINJA_MAX_POOL     ((size_t)64 << 20) /* bytes of all values, nodes and captured blocks */
#define PARE_JINJA_MAX_WORK     32000000u          /* nodes visited, plus what strings and lists cost: about a second */
#define PARE_JINJA_MAX_STEPS    4000000u           /* statements executed; Gemma looks back over all messages in each: 2,000 need 3 M */
#define PARE_JINJA_MAX_NESTING  64u                /* of the source: blocks and brackets */
#define PARE_JINJA_MAX_DEPTH    600u               /* of the evaluation: nodes within nodes, across macro calls */
#define PARE_JINJA_MAX_MACROS   200u               /* macro calls within macro calls */
#define PARE_JINJA_MAX_RANGE    100000             /* elements of range(), the bound of the reference's sandbox */

/* The moment that strftime_now sees. */
struct pare_jinja_date {
    int year, month, day, hour, minute, second;
};

/*
 * pare_jinja_render renders the n bytes of tmpl with the variables in context, a JSON object that is only read. date is what
 * strftime_now reports; NULL is the local time. On success *out is zero-terminated and the caller's (pare_free), *out_len its
 * length. Errors: PARE_E_CORRUPT a template that is malformed or fails on these variables, PARE_E_USAGE the template refused
 * them by raise_exception, PARE_E_LIMIT a bound above, PARE_E_NOMEM; the text begins with the line.
 */
int pare_jinja_render(const char *tmpl, size_t n, json_t *context, const struct pare_jinja_date *date, char **out, size_t *out_len,
                      struct pare_diag *diag);

#endif
