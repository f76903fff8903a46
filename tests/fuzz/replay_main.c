/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/replay_main.c: runs a fuzz target over files, for compilers without libFuzzer:
 *     gcc -Iinclude -Isrc -o replay tests/fuzz/fuzz_gguf.c tests/fuzz/replay_main.c build/libpare.a ...
 *     ./replay tests/fuzz/corpus/fuzz_gguf */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_run;

static int run_file(const char *path)
{
    FILE    *f = fopen(path, "rb");
    uint8_t *p = NULL;
    size_t   n = 0, cap = 0, got;

    if (f == NULL) {
        perror(path);
        return 1;
    }
    do {
        if (n == cap) {
            uint8_t *q = realloc(p, cap = cap * 2 + 65536);

            if (q == NULL) {
                free(p);
                fclose(f);
                return 1;
            }
            p = q;
        }
        got = fread(p + n, 1, cap - n, f);
        n += got;
    } while (got != 0);
    fclose(f);
    p = realloc(p, n + 1); /* so that a sanitizer sees a read behind the end */
    if (p != NULL) (void)LLVMFuzzerTestOneInput(p, n);
    free(p);
    n_run++;
    return 0;
}

static int run_path(const char *path)
{
    struct stat    st;
    DIR           *d;
    struct dirent *e;
    int            bad = 0;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return run_file(path);
    d = opendir(path);
    if (d == NULL) return 1;
    while ((e = readdir(d)) != NULL) {
        char sub[4096];

        if (e->d_name[0] == '.') continue;
        snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
        bad |= run_path(sub);
    }
    closedir(d);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;

    for (int i = 1; i < argc; i++) bad |= run_path(argv[i]);
    printf("%u inputs\n", n_run);
    return bad;
}
