/* SPDX-License-Identifier: Apache-2.0
 * tests/cli/peak.c: runs a command and writes the peak of its resident memory to a file.
 *
 *     peak FILE COMMAND ARGUMENTS...
 *
 * FILE receives kilobytes (ru_maxrss of wait4: the command, or the largest of its own children if that is more). The exit status
 * is the command's; 127 when it could not be started. The parent stays small, because a child inherits its peak until exec. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage use;
    int           status;
    pid_t         child;
    FILE         *f;

    if (argc < 3) {
        fprintf(stderr, "usage: peak FILE COMMAND ARGUMENTS...\n");
        return 127;
    }
    child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &use) != child) return 127;
    f = fopen(argv[1], "w");
    if (f == NULL || fprintf(f, "%ld\n", use.ru_maxrss) < 0 || fclose(f) != 0) return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
