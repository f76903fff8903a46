/* SPDX-License-Identifier: Apache-2.0
 * src/base/json.h: glue to jansson: bounded loading, typed access with errors that name the key. */
#ifndef PARE_BASE_JSON_H
#define PARE_BASE_JSON_H

#include <jansson.h>
#include <pare/error.h>

/* pare_json_load parses UTF-8 text of n bytes; duplicates are rejected, trailing text is an error. what names the document. */
int pare_json_load(json_t **out, const char *text, size_t n, const char *what, struct pare_diag *diag);
/* pare_json_load_file reads and parses a file of at most max bytes. "Infinity", "-Infinity" and "NaN" as bare words, which
 * Python writes, are read as the strings "Infinity", "-Infinity", "NaN". */
int pare_json_load_file(json_t **out, const char *path, size_t max, struct pare_diag *diag);

/* Typed members of an object. An absent (or null) key gives the default; a wrong type is PARE_E_CORRUPT naming the key. */
int pare_json_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t dflt, int64_t *out, struct pare_diag *d);
int pare_json_real(const json_t *o, const char *key, double dflt, double *out, struct pare_diag *d);
int pare_json_bool(const json_t *o, const char *key, bool dflt, bool *out, struct pare_diag *d);
/* *out is borrowed from o. */
int pare_json_str(const json_t *o, const char *key, const char *dflt, const char **out, struct pare_diag *d);
/* pare_json_text returns the document as text (pare_free): keys in insertion order, compact, reals with 17 digits. */
char *pare_json_text(const json_t *o);
/* The canonical form of plans: keys sorted, compact. */
char *pare_json_canonical(const json_t *o);

#endif
