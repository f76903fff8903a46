/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/status.h"

static _Atomic uint64_t kill_in, fail_in; /* 0: off */
static _Atomic int      fail_errno;

void pare_out_kill_after(uint64_t n) { atomic_store(&kill_in, n); }
void pare_out_fail_after(uint64_t n, int err)
{
    atomic_store(&fail_errno, err);
    atomic_store(&fail_in, n);
}

/* 1: go ahead, 0: fail with errno, 2: be short */
static int before(void)
{
    int err;

    if (atomic_load_explicit(&fail_in, memory_order_relaxed) == 0 || atomic_fetch_sub(&fail_in, 1) != 1) return 1;
    err = atomic_load(&fail_errno);
    if (err == 0) return 2;
    errno = err;
    return 0;
}

static void after(void)
{
    if (atomic_load_explicit(&kill_in, memory_order_relaxed) != 0 && atomic_fetch_sub(&kill_in, 1) == 1) raise(SIGKILL);
}

static int failed(const char *what, const char *path, struct pare_diag *diag)
{
    int e = errno;
    int code = e == ENOSPC || e == EDQUOT || e == EFBIG ? PARE_E_NOSPACE : PARE_E_IO;

    pare_diag_file(diag, path);
    PARE_FAIL(diag, code, "cannot %s: %s", what, strerror(e));
}

static int open_at(struct pare_out *o, const char *path, int flags, struct pare_diag *diag)
{
    struct stat st;
    int         rc;

    *o = PARE_OUT_NONE;
    o->path = pare_strdup(path);
    if (o->path == NULL) return PARE_NOMEM(diag);
    if (before()) o->fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0666);
    after();
    if (o->fd < 0) {
        rc = failed("create or open", path, diag);
    } else if (fstat(o->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = PARE_ERR(diag, PARE_E_IO, "not a regular file");
        pare_diag_file(diag, path);
    } else {
        return PARE_OK;
    }
    (void)pare_out_close(o, NULL);
    return rc;
}

int pare_out_create(struct pare_out *o, const char *path, struct pare_diag *diag)
{
    *o = PARE_OUT_NONE;
    PARE_FORWARD(pare_file_remove(path, diag));
    return open_at(o, path, O_CREAT | O_EXCL, diag);
}

int pare_out_reopen(struct pare_out *o, const char *path, bool create, struct pare_diag *diag)
{
    return open_at(o, path, create ? O_CREAT : 0, diag);
}

int pare_out_lock(const struct pare_out *o, struct pare_diag *diag)
{
    if (flock(o->fd, LOCK_EX | LOCK_NB) == 0) return PARE_OK;
    if (errno != EWOULDBLOCK) return PARE_OK; /* a file system without locks: nothing to protect with */
    pare_diag_file(diag, o->path);
    PARE_FAIL(diag, PARE_E_IO, "another process is writing this output");
}

int pare_out_size(const struct pare_out *o, uint64_t *size, struct pare_diag *diag)
{
    struct stat st;

    if (fstat(o->fd, &st) != 0) return failed("stat", o->path, diag);
    *size = (uint64_t)st.st_size;
    return PARE_OK;
}

int pare_out_truncate(const struct pare_out *o, uint64_t size, struct pare_diag *diag)
{
    int r = -1;

    PARE_FAIL_IF(diag, size > INT64_MAX, PARE_E_NOSPACE, "no file can have %llu bytes", (unsigned long long)size);
    do {
        if (before()) r = ftruncate(o->fd, (off_t)size);
    } while (r != 0 && errno == EINTR);
    after();
    return r == 0 ? PARE_OK : failed("set the size", o->path, diag);
}

int pare_out_reserve(const struct pare_out *o, uint64_t size, struct pare_diag *diag)
{
    uint64_t have, room;
    int      r = -1;

    PARE_FORWARD(pare_out_size(o, &have, diag));
    PARE_FORWARD(pare_out_truncate(o, size, diag)); /* also cuts a longer leftover */
    if (size == 0) return PARE_OK;
    do {
        if (before()) r = fallocate(o->fd, 0, 0, (off_t)size);
    } while (r != 0 && errno == EINTR);
    after();
    if (r == 0) return PARE_OK;
    if (errno != EOPNOTSUPP && errno != ENOSYS) return failed("take the room", o->path, diag);
    room = pare_disk_free(o->path); /* no fallocate here: ask instead, a full disk still shows at each write */
    if (size <= have || size - have <= room) return PARE_OK;
    pare_diag_file(diag, o->path);
    PARE_FAIL(diag, PARE_E_NOSPACE, "needs %llu bytes, %llu are free", (unsigned long long)(size - have), (unsigned long long)room);
}

int pare_out_write(const struct pare_out *o, uint64_t offset, const void *p, uint64_t n, struct pare_diag *diag)
{
    const uint8_t *b = p;

    while (n != 0) {
        size_t  step = n < (1u << 30) ? (size_t)n : 1u << 30;
        ssize_t r = -1;
        int     go = before();

        if (go == 2 && step > 1) step /= 2;
        if (go) r = pwrite(o->fd, b, step, (off_t)offset);
        after();
        if (r < 0 && errno == EINTR) continue;
        if (r == 0) errno = EIO;
        if (r <= 0) return failed("write", o->path, diag);
        b += r;
        offset += (uint64_t)r;
        n -= (uint64_t)r;
    }
    return PARE_OK;
}

int pare_out_sync(const struct pare_out *o, struct pare_diag *diag)
{
    int r = -1;

    do {
        if (before()) r = fsync(o->fd);
    } while (r != 0 && errno == EINTR);
    after();
    return r == 0 ? PARE_OK : failed("sync", o->path, diag);
}

int pare_out_close(struct pare_out *o, struct pare_diag *diag)
{
    int rc = PARE_OK;

    if (o->fd >= 0) {
        int go = before();

        /* The descriptor is gone whatever close says; EINTR is no loss because data was synced before. */
        if ((close(o->fd) != 0 || !go) && errno != EINTR) rc = failed("close", o->path, diag);
        after();
    }
    pare_free(o->path);
    *o = PARE_OUT_NONE;
    return rc;
}

int pare_file_rename(const char *from, const char *to, struct pare_diag *diag)
{
    int r = -1;

    if (before()) r = rename(from, to);
    after();
    return r == 0 ? PARE_OK : failed("rename to the final name", from, diag);
}

int pare_file_remove(const char *path, struct pare_diag *diag)
{
    int r = -1;

    if (before()) r = unlink(path);
    after();
    return r == 0 || errno == ENOENT ? PARE_OK : failed("remove", path, diag);
}

int pare_folder_sync(const char *path, struct pare_diag *diag)
{
    const char *slash = strrchr(path, '/');
    char       *dir = slash == NULL ? pare_strdup(".") : pare_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    int         fd, r = -1, rc = PARE_OK;

    if (dir == NULL) return PARE_NOMEM(diag);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        rc = failed("open the folder", dir, diag);
    } else {
        do {
            if (before()) r = fsync(fd);
        } while (r != 0 && errno == EINTR);
        after();
        /* Some file systems do not sync folders and say EINVAL: then there is nothing to do. */
        if (r != 0 && errno != EINVAL && errno != ENOTSUP) rc = failed("sync the folder", dir, diag);
        close(fd);
    }
    pare_free(dir);
    return rc;
}
