/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/status.h"

int pare_map_open(struct pare_map *m, const char *path, struct pare_diag *diag)
{
    struct stat st;
    int         rc = PARE_E_IO;

    *m = (struct pare_map){ .fd = -1 };
    m->path = pare_strdup(path);
    if (m->path == NULL) return PARE_NOMEM(diag);
    m->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (m->fd < 0) {
        rc = PARE_ERR(diag, PARE_E_IO, "cannot open: %s", strerror(errno));
        goto fail;
    }
    if (fstat(m->fd, &st) != 0) {
        rc = PARE_ERR(diag, PARE_E_IO, "cannot stat: %s", strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = PARE_ERR(diag, PARE_E_IO, "not a regular file");
        goto fail;
    }
    m->size = (uint64_t)st.st_size;
    m->dev = (uint64_t)st.st_dev;
    m->ino = (uint64_t)st.st_ino;
    if (m->size != 0) {
        void *p = mmap(NULL, m->size, PROT_READ, MAP_PRIVATE, m->fd, 0);
        if (p == MAP_FAILED) {
            rc = PARE_ERR(diag, PARE_E_IO, "cannot map: %s", strerror(errno));
            goto fail;
        }
        m->base = p;
    }
    return PARE_OK;
fail:
    pare_diag_file(diag, path);
    pare_map_close(m);
    return rc;
}

int pare_map_check(const struct pare_map *m, struct pare_diag *diag)
{
    struct stat st;

    if (m->fd < 0) return PARE_OK; /* no file: weights made in memory */
    if (fstat(m->fd, &st) == 0 && (uint64_t)st.st_size >= m->size) return PARE_OK;
    pare_diag_file(diag, m->path);
    PARE_FAIL(diag, PARE_E_TRUNCATED, "the file became shorter while it was in use");
}

void pare_map_advise(const struct pare_map *m, uint64_t offset, uint64_t len, enum pare_advice a)
{
    static const int advice[] = { MADV_WILLNEED, MADV_SEQUENTIAL, MADV_DONTNEED };
    uint64_t         page = 4096, end, from;

    if (m->base == NULL || offset >= m->size) return;
    if (len > m->size - offset) len = m->size - offset;
    end = offset + len;
    from = offset & ~(page - 1);
    (void)madvise((void *)(uintptr_t)(m->base + from), end - from, advice[a]); /* advice: failure changes nothing */
}

void pare_map_close(struct pare_map *m)
{
    if (m->base != NULL) munmap((void *)(uintptr_t)m->base, m->size);
    if (m->fd >= 0) close(m->fd);
    pare_free(m->path);
    *m = (struct pare_map){ .fd = -1 };
}

int pare_read_file(const char *path, uint64_t max, uint8_t **data, size_t *len, struct pare_diag *diag)
{
    struct pare_buf b = { .max = max };
    int             fd, rc = PARE_OK;
    bool            is_stdin = strcmp(path, "-") == 0;

    *data = NULL;
    *len = 0;
    fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        pare_diag_file(diag, path);
        PARE_FAIL(diag, PARE_E_IO, "cannot open: %s", strerror(errno));
    }
    for (;;) {
        ssize_t n;
        size_t  want = b.cap > b.len + 1 ? b.cap - b.len - 1 : 65536;
        if (want > max - b.len) want = (size_t)(max - b.len) + 1; /* one more byte tells "too long" */
        if (b.len + want > max) b.max = max + 1;
        if (!pare_buf_reserve(&b, want)) {
            rc = PARE_NOMEM(diag);
            break;
        }
        n = read(fd, b.data + b.len, want);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            rc = PARE_ERR(diag, PARE_E_IO, "cannot read: %s", strerror(errno));
            break;
        }
        if (n == 0) break;
        b.len += (size_t)n;
        if (b.len > max) {
            rc = PARE_ERR(diag, PARE_E_LIMIT, "longer than the limit of %llu bytes", (unsigned long long)max);
            break;
        }
    }
    if (!is_stdin) close(fd);
    if (rc == PARE_OK) {
        *len = b.len;
        *data = (uint8_t *)pare_buf_take(&b);
        if (*data == NULL) rc = PARE_NOMEM(diag);
    } else {
        pare_buf_free(&b);
    }
    if (rc < 0) pare_diag_file(diag, path);
    return rc;
}

bool pare_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool pare_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

char *pare_path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir) + strlen(name) + 2;
    char  *p = pare_malloc(n);

    if (p != NULL) snprintf(p, n, "%s/%s", dir, name);
    return p;
}

bool pare_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The folder of path as a string (pare_free), or NULL. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? pare_strdup(".") : pare_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

bool pare_path_can_create(const char *path)
{
    char *dir = folder_of(path);
    bool  ok = dir != NULL && pare_path_is_dir(dir) && access(dir, W_OK | X_OK) == 0;

    pare_free(dir);
    return ok;
}

uint64_t pare_disk_free(const char *path)
{
    struct statvfs v;
    char          *dir = folder_of(path);
    uint64_t       n = UINT64_MAX;

    if (dir != NULL && statvfs(dir, &v) == 0) n = (uint64_t)v.f_bavail * v.f_frsize;
    pare_free(dir);
    return n;
}
