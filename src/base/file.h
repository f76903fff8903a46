/* SPDX-License-Identifier: Apache-2.0
 * src/base/file.h: all system calls on files. Paths are the caller's; errors name the file and errno. */
#ifndef PARE_BASE_FILE_H
#define PARE_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <pare/error.h>

/* A file mapped read-only (MAP_PRIVATE). The size is that of the open descriptor, checked again by pare_map_check. */
struct pare_map {
    const uint8_t *base;   /* NULL for an empty file */
    uint64_t       size;
    int            fd;
    uint64_t       dev, ino;
    char          *path;
};
int pare_map_open(struct pare_map *m, const char *path, struct pare_diag *diag);
/* PARE_E_TRUNCATED when the file has become shorter since it was opened. */
int pare_map_check(const struct pare_map *m, struct pare_diag *diag);
/* Advice for a byte range: will be read soon, will be read in order, not needed (drops resident pages). */
enum pare_advice { PARE_WILLNEED, PARE_SEQUENTIAL, PARE_DONTNEED };
void pare_map_advise(const struct pare_map *m, uint64_t offset, uint64_t len, enum pare_advice a);
void pare_map_close(struct pare_map *m);

/* pare_read_file reads a whole file of at most max bytes; *data is zero-terminated, free with pare_free. "-" is stdin. */
int pare_read_file(const char *path, uint64_t max, uint8_t **data, size_t *len, struct pare_diag *diag);

/* pare_write_file replaces a file as a whole: temporary name, sync, rename. What stood there stays when anything fails. */
int pare_write_file(const char *path, const void *data, uint64_t n, struct pare_diag *diag);

bool pare_path_is_dir(const char *path);
bool pare_path_exists(const char *path);
/* True when the folder that would hold path exists and may be written. */
bool pare_path_can_create(const char *path);
/* pare_path_join returns dir/name (pare_free), or NULL. */
char *pare_path_join(const char *dir, const char *name);
/* True when both name the same file (st_dev, st_ino). */
bool pare_same_file(const char *a, const char *b);
/* Free bytes on the file system that holds path's folder; UINT64_MAX when unknown. */
uint64_t pare_disk_free(const char *path);

#endif
