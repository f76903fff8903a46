/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/options.h: the two tables of the command (verbs, flags) and what a parsed command line looks like. */
#ifndef PARE_TOOL_OPTIONS_H
#define PARE_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERB(id, ...) PARE_VERB_##id,
enum pare_cli_verb_id {
#include "verb_list.h"
    PARE_VERB_COUNT
};
#undef VERB

#define OPT(id, ...) PARE_OPT_##id,
enum pare_cli_opt_id {
#include "option_list.h"
    PARE_OPT_COUNT
};
#undef OPT

/* FLAG takes no argument (but --flag=no is allowed, so that a flag can undo its environment twin). LIST may be repeated. */
enum pare_cli_kind { PARE_KIND_FLAG, PARE_KIND_INT, PARE_KIND_REAL, PARE_KIND_SIZE, PARE_KIND_TEXT, PARE_KIND_CHOICE, PARE_KIND_LIST };

struct pare_cli_option {
    const char        *name;    /* without the dashes */
    char               letter;  /* short flag, 0: none */
    uint32_t           verbs;   /* bit 1 << enum pare_cli_verb_id */
    enum pare_cli_kind kind;
    const char        *arg;     /* what the help calls the argument; NULL for FLAG */
    double             min, max; /* INT and REAL; SIZE has a minimum only */
    const char        *dflt;    /* for the help: defaults themselves belong to the library; NULL: none */
    const char        *choices; /* "a|b|c" for CHOICE */
    const char        *help;
};

struct pare_cli;
struct pare_cli_verb {
    const char *name;
    const char *args;           /* positionals as the help shows them */
    size_t      min_args, max_args;
    const char *summary;        /* one line */
    const char *about;          /* a paragraph */
    const char *example;        /* one command line */
    int       (*run)(const struct pare_cli *c); /* @return exit code */
};

/* Where a value came from: the flag wins over the environment. */
enum pare_cli_source { PARE_FROM_DEFAULT, PARE_FROM_ENV, PARE_FROM_FLAG };

struct pare_cli_value {
    enum pare_cli_source source;
    bool          on;           /* FLAG */
    int64_t       integer;      /* INT */
    uint64_t      size;         /* SIZE */
    double        real;         /* REAL */
    const char   *text;         /* TEXT and CHOICE: borrowed from argv or the environment */
    const char  **list;         /* LIST: [n], entries borrowed or in `held` */
    size_t        n;
    char         *held;         /* a copy of the environment's list, cut into entries */
};

struct pare_cli {
    const struct pare_cli_verb *verb;
    struct pare_cli_value       v[PARE_OPT_COUNT];
    const char                **arg; /* positionals */
    size_t                      n_args;
};

extern const struct pare_cli_option pare_cli_options[PARE_OPT_COUNT];
extern const struct pare_cli_verb   pare_cli_verbs[PARE_VERB_COUNT];

/* Shorthands for verbs: was it given, and its value. */
#define PARE_HAS(c, id)  ((c)->v[PARE_OPT_##id].source != PARE_FROM_DEFAULT)
#define PARE_FLAG(c, id) ((c)->v[PARE_OPT_##id].on)
#define PARE_TEXT(c, id) ((c)->v[PARE_OPT_##id].text)

/* pare_cli_find_verb returns the row of a name, or NULL. pare_cli_nearest_verb: the closest name for a suggestion, or NULL. */
const struct pare_cli_verb *pare_cli_find_verb(const char *name);
const char *pare_cli_nearest_verb(const char *name);

/* pare_cli_has_option says whether option o belongs to verb v. */
bool pare_cli_has_option(const struct pare_cli_verb *v, const struct pare_cli_option *o);

/* pare_cli_env_name writes the environment twin of a flag name into buf ("cpu-mask" -> "PARE_CPU_MASK"). @return buf. */
const char *pare_cli_env_name(const char *flag, char buf[64]);

/*
 * pare_cli_parse reads the environment and the n words after the verb into *c, which it clears first. A mistake is described on
 * standard error, with the nearest flag when one is misspelt. @return 0, or 2 (the exit code of a usage error), or 4 when out of
 * memory. pare_cli_free releases what *c holds in either case.
 */
int  pare_cli_parse(struct pare_cli *c, const struct pare_cli_verb *verb, int n, char **words);
void pare_cli_free(struct pare_cli *c);

/* One value of option o from text, checked strictly; origin names it in errors ("--ctx", "PARE_CTX"). @return 0 or 2. */
int pare_cli_value_set(struct pare_cli_value *v, const struct pare_cli_option *o, const char *origin, const char *text);

/* pare_cli_parse_size reads "1536", "1.5K", "2G" (1024 each) into *out. @return false when it is no size. */
bool pare_cli_parse_size(const char *s, uint64_t *out);
/* Whole strings only, decimal, no spaces, nothing that is no finite number. */
bool pare_cli_parse_int(const char *s, int64_t *out);
bool pare_cli_parse_real(const char *s, double *out);

/* pare_cli_distance is the number of single-letter edits (insert, drop, replace, swap neighbours) from a to b, at most `most` + 1. */
size_t pare_cli_distance(const char *a, const char *b, size_t most);

/* The verbs; each returns the exit code. */
#define VERB(id, ...) int pare_verb_##id(const struct pare_cli *c);
#include "verb_list.h"
#undef VERB

#endif
