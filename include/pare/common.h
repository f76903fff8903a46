/* SPDX-License-Identifier: Apache-2.0
 * include/pare/common.h: what every public header needs. */
#ifndef PARE_COMMON_H
#define PARE_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PARE_API __attribute__((visibility("default")))
#define PARE_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define PARE_API
#define PARE_PRINTF(f, a)
#endif

#define PARE_VERSION_MAJOR 0
#define PARE_VERSION_MINOR 1
#define PARE_VERSION_PATCH 0
#define PARE_VERSION_STRING "0.1.0"
#define PARE_ABI_VERSION 0

#ifdef __cplusplus
extern "C" {
#endif

/* pare_version returns "MAJOR.MINOR.PATCH" of the library that runs, a static string. Since 0.1. */
PARE_API const char *pare_version(void);

/* pare_abi_version returns PARE_ABI_VERSION of the library that runs. Since 0.1. */
PARE_API int pare_abi_version(void);

/*
 * pare_free releases memory that a pare function handed to the caller as "free with pare_free".
 * NULL is accepted. Since 0.1.
 */
PARE_API void pare_free(void *p);

#ifdef __cplusplus
}
#endif
#endif
