/* SPDX-License-Identifier: Apache-2.0
 * include/pare/error.h: the one channel for errors. Functions return 0 or a negative enum pare_error;
 * the text, the place and the byte offset go to a struct pare_diag that belongs to the caller. */
#ifndef PARE_ERROR_H
#define PARE_ERROR_H

#include <pare/common.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers -1..-99 never change; <= -100 may. Gaps leave room. */
enum pare_error {
    PARE_OK            = 0,
    PARE_E_USAGE       = -1,  /* argument out of range, combination not allowed */
    PARE_E_NOMEM       = -10, /* allocation failed */
    PARE_E_LIMIT       = -11, /* a configured limit was reached; raising it may help */
    PARE_E_BUDGET      = -12, /* no plan satisfies the budgets; the text says the best that can be reached */
    PARE_E_IO          = -20, /* the operating system refused; errno is in the text */
    PARE_E_NOSPACE     = -21, /* no room on the disk */
    PARE_E_TRUNCATED   = -30, /* the file ends before what it promises */
    PARE_E_CORRUPT     = -31, /* contradicts itself or its format */
    PARE_E_UNSUPPORTED = -32, /* valid, but this build does not do it */
    PARE_E_CANCELLED   = -40  /* the job was asked to stop */
};

#define PARE_NO_OFFSET UINT64_MAX

/* The first error wins; later ones do not overwrite it. Start from {0} or pare_diag_clear(). */
struct pare_diag {
    int      code;        /* 0 or enum pare_error */
    uint64_t offset;      /* byte offset in the file, or PARE_NO_OFFSET */
    char     file[256];   /* the file concerned, "" if none; the tail when longer */
    char     where[160];  /* tensor or metadata key, "" if none */
    char     text[400];   /* one sentence, no newline */
};

/* pare_diag_clear empties *d. NULL is accepted. Since 0.1. */
PARE_API void pare_diag_clear(struct pare_diag *d);

/*
 * pare_diag_format writes "FILE: WHERE: text (at byte N)" with the parts that are known into buf,
 * always terminated. @return buf. Since 0.1.
 */
PARE_API const char *pare_diag_format(const struct pare_diag *d, char *buf, size_t size);

/* pare_error_name returns a short static name of a code, e.g. "corrupt". Since 0.1. */
PARE_API const char *pare_error_name(int code);

/* pare_error_exit_code maps a code to the exit code of the command (CLI contract). Since 0.1. */
PARE_API int pare_error_exit_code(int code);

#ifdef __cplusplus
}
#endif
#endif
