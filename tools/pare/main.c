/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/main.c: picks the verb. All else stands in one file per verb, over the public headers only. */
#include <stdio.h>
#include <string.h>

#include "help.h"
#include "out.h"

static int unknown_verb(const char *word)
{
    const char *near = pare_cli_nearest_verb(word);

    if (word[0] == '-') return pare_cli_usage(NULL, "the verb comes first: pare VERB [arguments] [flags]; `pare help` lists the verbs");
    if (near != NULL) return pare_cli_usage(NULL, "no verb \"%s\"; did you mean \"%s\"?", word, near);
    return pare_cli_usage(NULL, "no verb \"%s\"; `pare help` lists them", word);
}

int main(int argc, char **argv)
{
    const struct pare_cli_verb *verb;
    struct pare_cli             c;
    const char                 *word = argc > 1 ? argv[1] : NULL;
    int                         rc;

    if (word == NULL) {
        pare_cli_help_overview(stderr);
        return 2;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) word = "help";
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) word = "version";
    verb = pare_cli_find_verb(word);
    if (verb == NULL) return unknown_verb(word);
    rc = pare_cli_parse(&c, verb, argc - 2, argv + 2);
    if (rc == 0 && PARE_FLAG(&c, help)) {
        pare_cli_help_verb(stdout, verb);
        rc = pare_cli_flush();
    } else if (rc == 0) {
        rc = verb->run(&c);
    }
    pare_cli_free(&c);
    return rc;
}
