/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/status.h"

extern char **environ;

static int start(const char *const *argv, int write_end, pid_t *pid)
{
    posix_spawn_file_actions_t a;
    int                        rc;

    if ((rc = posix_spawn_file_actions_init(&a)) != 0) return rc;
    rc = posix_spawn_file_actions_addopen(&a, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0) rc = posix_spawn_file_actions_adddup2(&a, write_end, 1);
    if (rc == 0) rc = posix_spawn_file_actions_addopen(&a, 2, "/dev/null", O_WRONLY, 0);
    if (rc == 0) rc = posix_spawn(pid, argv[0], &a, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&a);
    return rc;
}

int pare_process_output(const char *const *argv, char **out, size_t *n, size_t max, struct pare_diag *diag)
{
    struct pare_buf b = { .max = max };
    int             fd[2], rc, status = 0;
    uint8_t         part[4096];
    ssize_t         got;
    pid_t           pid;

    *out = NULL;
    *n = 0;
    PARE_FAIL_IF(diag, pipe2(fd, O_CLOEXEC) != 0, PARE_E_IO, "cannot make a pipe: %s", strerror(errno));
    rc = start(argv, fd[1], &pid);
    close(fd[1]);
    if (rc != 0) {
        close(fd[0]);
        PARE_FAIL(diag, PARE_E_IO, "cannot start %s: %s", argv[0], strerror(rc));
    }
    while ((got = read(fd[0], part, sizeof part)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0 && !pare_buf_add(&b, part, (size_t)got)) break;
    close(fd[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (b.failed) PARE_FAIL(diag, PARE_E_LIMIT, "%s printed more than expected", argv[0]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        pare_buf_free(&b);
        PARE_FAIL(diag, PARE_E_IO, "%s ended with status %d", argv[0], WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    }
    *n = b.len;
    *out = pare_buf_take(&b);
    return *out == NULL ? PARE_NOMEM(diag) : PARE_OK;
}
