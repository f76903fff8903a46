/* SPDX-License-Identifier: Apache-2.0
 * src/base/status.h: how errors are raised and passed on. One return channel (int), the text beside the code.
 * Bad data never asserts; wrong use of the API aborts in debug builds and returns PARE_E_USAGE in release builds. */
#ifndef PARE_BASE_STATUS_H
#define PARE_BASE_STATUS_H

#include <pare/error.h>

/* Sets code and text in *d unless an error stands there already. d may be NULL. @return code. */
int pare_diag_set(struct pare_diag *d, int code, const char *src_file, int line, const char *fmt, ...) PARE_PRINTF(5, 6);

/* Adds what the innermost raiser did not know. Each only fills an empty field, so outer callers may call it blindly. */
void pare_diag_file(struct pare_diag *d, const char *path);
void pare_diag_where(struct pare_diag *d, const char *where);
void pare_diag_offset(struct pare_diag *d, uint64_t offset);

#define PARE_ERR(diag, code, ...) pare_diag_set((diag), (code), __FILE__, __LINE__, __VA_ARGS__)

#define PARE_FAIL(diag, code, ...) return PARE_ERR(diag, code, __VA_ARGS__)

#define PARE_FAIL_IF(diag, cond, code, ...)                                                                            \
    do {                                                                                                               \
        if (cond) PARE_FAIL(diag, code, __VA_ARGS__);                                                                  \
    } while (0)

#define PARE_FORWARD(expr)                                                                                             \
    do {                                                                                                               \
        int rc_ = (expr);                                                                                              \
        if (rc_ < 0) return rc_;                                                                                       \
    } while (0)

#define PARE_NOMEM(diag) PARE_ERR(diag, PARE_E_NOMEM, "out of memory")

void pare_usage_abort(const char *file, int line, const char *func, const char *cond);

#ifdef NDEBUG
#define PARE_USAGE_CHECK(diag, cond) PARE_FAIL_IF(diag, !(cond), PARE_E_USAGE, "invalid argument: %s", #cond)
#else
#define PARE_USAGE_CHECK(diag, cond)                                                                                   \
    do {                                                                                                               \
        if (!(cond)) pare_usage_abort(__FILE__, __LINE__, __func__, #cond);                                            \
        (void)(diag);                                                                                                  \
    } while (0)
#endif

#endif
