/* SPDX-License-Identifier: Apache-2.0
 * src/base/outfile.h: files that are written: every system call that changes what is on a disk. Each write is complete or an
 * error, each close is checked, "disk full" has its own code. Two test hooks make the n-th call fail or the last one before a
 * kill, so that what a crash leaves behind can be tried at every point. */
#ifndef PARE_BASE_OUTFILE_H
#define PARE_BASE_OUTFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <pare/error.h>

/* An open output. Start from PARE_OUT_NONE; path is owned. */
struct pare_out {
    int   fd;
    char *path;
};
#define PARE_OUT_NONE ((struct pare_out){ .fd = -1, .path = NULL })

/* pare_out_create removes whatever has the name (a link itself, not what it points to) and creates the file anew. */
int pare_out_create(struct pare_out *o, const char *path, struct pare_diag *diag);
/* pare_out_reopen opens a regular file for reading and writing and leaves its content; a symbolic link is refused. create: make
 * it empty when it does not exist. */
int pare_out_reopen(struct pare_out *o, const char *path, bool create, struct pare_diag *diag);
/* pare_out_lock takes an advisory lock that ends with the file; PARE_E_IO when another process holds it. */
int pare_out_lock(const struct pare_out *o, struct pare_diag *diag);
int pare_out_size(const struct pare_out *o, uint64_t *size, struct pare_diag *diag);
/* pare_out_reserve makes the file exactly size bytes long and takes the room for it now; PARE_E_NOSPACE when there is none. */
int pare_out_reserve(const struct pare_out *o, uint64_t size, struct pare_diag *diag);
int pare_out_truncate(const struct pare_out *o, uint64_t size, struct pare_diag *diag);
int pare_out_write(const struct pare_out *o, uint64_t offset, const void *p, uint64_t n, struct pare_diag *diag);
int pare_out_sync(const struct pare_out *o, struct pare_diag *diag);
/* pare_out_close closes and frees in any case; the error of close is reported. Closing PARE_OUT_NONE is no error. */
int pare_out_close(struct pare_out *o, struct pare_diag *diag);

int pare_file_rename(const char *from, const char *to, struct pare_diag *diag);
/* pare_file_remove removes a name; one that does not exist is no error. */
int pare_file_remove(const char *path, struct pare_diag *diag);
/* pare_folder_sync syncs the folder that holds path, so that names made or removed in it survive a power loss. */
int pare_folder_sync(const char *path, struct pare_diag *diag);

/* Test hooks. kill_after: the process ends by SIGKILL as soon as n more changing calls are done. fail_after: the n-th changing
 * call from now (1 = next) does nothing and fails with err once; err 0 lets a write be short instead. n == 0: off. */
void pare_out_kill_after(uint64_t n);
void pare_out_fail_after(uint64_t n, int err);

#endif
