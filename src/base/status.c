/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *pare_version(void) { return PARE_VERSION_STRING; }
int pare_abi_version(void) { return PARE_ABI_VERSION; }

void pare_diag_clear(struct pare_diag *d)
{
    if (d == NULL) return;
    memset(d, 0, sizeof *d);
    d->offset = PARE_NO_OFFSET;
}

int pare_diag_set(struct pare_diag *d, int code, const char *src_file, int line, const char *fmt, ...)
{
    va_list ap;

    if (d == NULL || d->code != 0) return code;
    d->code = code;
    if (d->offset == 0 && d->text[0] == '\0') d->offset = PARE_NO_OFFSET; /* started from {0} */
    va_start(ap, fmt);
    vsnprintf(d->text, sizeof d->text, fmt, ap);
    va_end(ap);
    for (char *p = d->text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?'; /* names in hostile files must not steer a terminal */
#ifdef PARE_DEBUG_ERRORS
    fprintf(stderr, "%s:%d: %s: %s\n", src_file, line, pare_error_name(code), d->text);
#else
    (void)src_file;
    (void)line;
#endif
    return code;
}

static void copy_clean(char *dst, size_t size, const char *src, bool keep_tail)
{
    size_t n = strlen(src);

    if (n >= size && keep_tail) src += n - (size - 1);
    snprintf(dst, size, "%s", src);
    for (char *p = dst; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
}

void pare_diag_file(struct pare_diag *d, const char *path)
{
    if (d != NULL && d->file[0] == '\0' && path != NULL) copy_clean(d->file, sizeof d->file, path, true);
}

void pare_diag_where(struct pare_diag *d, const char *where)
{
    if (d != NULL && d->where[0] == '\0' && where != NULL) copy_clean(d->where, sizeof d->where, where, false);
}

void pare_diag_offset(struct pare_diag *d, uint64_t offset)
{
    if (d != NULL && d->offset == PARE_NO_OFFSET) d->offset = offset;
}

const char *pare_diag_format(const struct pare_diag *d, char *buf, size_t size)
{
    char at[48] = "";

    if (d->offset != PARE_NO_OFFSET && d->offset != 0) snprintf(at, sizeof at, " (at byte %" PRIu64 ")", d->offset);
    snprintf(buf, size, "%s%s%s%s%s%s", d->file, d->file[0] ? ": " : "", d->where, d->where[0] ? ": " : "",
             d->text[0] ? d->text : pare_error_name(d->code), at);
    return buf;
}

static const struct {
    int         code, exit_code;
    const char *name;
} codes[] = {
    { PARE_OK, 0, "ok" },
    { PARE_E_USAGE, 2, "usage" },
    { PARE_E_NOMEM, 4, "out of memory" },
    { PARE_E_LIMIT, 3, "limit" },
    { PARE_E_BUDGET, 4, "budget impossible" },
    { PARE_E_IO, 1, "input/output" },
    { PARE_E_NOSPACE, 1, "no space" },
    { PARE_E_TRUNCATED, 3, "truncated" },
    { PARE_E_CORRUPT, 3, "corrupt" },
    { PARE_E_UNSUPPORTED, 3, "unsupported" },
    { PARE_E_CANCELLED, 130, "cancelled" },
};

const char *pare_error_name(int code)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == code) return codes[i].name;
    return "unknown error";
}

int pare_error_exit_code(int code)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == code) return codes[i].exit_code;
    return 1;
}

void pare_usage_abort(const char *file, int line, const char *func, const char *cond)
{
    fprintf(stderr, "%s:%d: %s: caller broke: %s\n", file, line, func, cond);
    abort();
}
