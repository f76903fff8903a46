/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/options.c: the tables themselves, and the parser that they drive. */
#define _GNU_SOURCE
#include "options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

#define V(id) (1u << PARE_VERB_##id)
#define OPT(id, name, letter, verbs, kind, arg, min, max, dflt, choices, help)                                         \
    { name, letter, verbs, PARE_KIND_##kind, arg, min, max, dflt, choices, help },
const struct pare_cli_option pare_cli_options[PARE_OPT_COUNT] = {
#include "option_list.h"
};
#undef OPT

#define VERB(id, args, least, most, summary, about, example)                                                           \
    { #id, args, least, most, summary, about, example, pare_verb_##id },
const struct pare_cli_verb pare_cli_verbs[PARE_VERB_COUNT] = {
#include "verb_list.h"
};
#undef VERB

const struct pare_cli_verb *pare_cli_find_verb(const char *name)
{
    for (size_t i = 0; i < PARE_VERB_COUNT; i++)
        if (strcmp(pare_cli_verbs[i].name, name) == 0) return &pare_cli_verbs[i];
    return NULL;
}

bool pare_cli_has_option(const struct pare_cli_verb *v, const struct pare_cli_option *o)
{
    return (o->verbs >> (v - pare_cli_verbs) & 1) != 0;
}

const char *pare_cli_env_name(const char *flag, char buf[64])
{
    size_t n = (size_t)snprintf(buf, 64, "PARE_%s", flag);

    for (size_t i = 5; i < n && i < 63; i++) buf[i] = buf[i] == '-' ? '_' : (char)toupper((unsigned char)buf[i]);
    return buf;
}

#define MAX_WORD 32 /* no verb or flag is longer */

size_t pare_cli_distance(const char *a, const char *b, size_t most)
{
    size_t d[3][MAX_WORD + 1], na = strlen(a), nb = strlen(b);

    if (na > MAX_WORD || nb > MAX_WORD) return most + 1;
    for (size_t j = 0; j <= nb; j++) d[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t v = up[j - 1] + (a[i - 1] != b[j - 1]);

            if (up[j] + 1 < v) v = up[j] + 1;
            if (row[j - 1] + 1 < v) v = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < v) v = up2[j - 2] + 1;
            row[j] = v;
        }
    }
    return d[na % 3][nb] > most ? most + 1 : d[na % 3][nb];
}

/* A suggestion helps when it is near; two letters off in a word of three is another word. */
static size_t tolerance(const char *word) { return strlen(word) < 5 ? 1 : strlen(word) < 9 ? 2 : 3; }

const char *pare_cli_nearest_verb(const char *name)
{
    const char *best = NULL;
    size_t      limit = tolerance(name);

    for (size_t i = 0; i < PARE_VERB_COUNT; i++) {
        size_t d = pare_cli_distance(name, pare_cli_verbs[i].name, limit);

        if (d > limit || (best != NULL && d == limit)) continue;
        best = pare_cli_verbs[i].name;
        limit = d;
    }
    return best;
}

static const char *nearest_flag(const struct pare_cli_verb *verb, const char *name)
{
    const char *best = NULL;
    size_t      limit = tolerance(name);

    for (size_t i = 0; i < PARE_OPT_COUNT; i++) {
        size_t d = pare_cli_distance(name, pare_cli_options[i].name, limit);

        if (!pare_cli_has_option(verb, &pare_cli_options[i]) || d > limit || (best != NULL && d == limit)) continue;
        best = pare_cli_options[i].name;
        limit = d;
    }
    return best;
}

/* A flag of another verb deserves a better answer than "unknown". */
static int unknown_flag(const struct pare_cli_verb *verb, const char *name)
{
    const char *near = nearest_flag(verb, name);

    if (near != NULL) return pare_cli_usage(verb->name, "unknown flag --%s; did you mean --%s?", name, near);
    for (size_t i = 0; i < PARE_OPT_COUNT; i++)
        if (strcmp(pare_cli_options[i].name, name) == 0)
            return pare_cli_usage(verb->name, "--%s is no flag of `pare %s`", name, verb->name);
    return pare_cli_usage(verb->name, "unknown flag --%s", name);
}

static int read_environment(struct pare_cli *c)
{
    char name[64];
    int  rc = 0;

    for (size_t i = 0; i < PARE_OPT_COUNT && rc == 0; i++) {
        const struct pare_cli_option *o = &pare_cli_options[i];
        struct pare_cli_value        *v = &c->v[i];
        const char                   *text;

        if (!pare_cli_has_option(c->verb, o) || i == PARE_OPT_help || v->source == PARE_FROM_FLAG) continue;
        text = getenv(pare_cli_env_name(o->name, name));
        if (text == NULL || *text == '\0') continue;
        v->source = PARE_FROM_ENV;
        if (o->kind != PARE_KIND_LIST) {
            rc = pare_cli_value_set(v, o, name, text);
            continue;
        }
        /* A list in one variable: one entry a line. */
        if ((v->held = strdup(text)) == NULL) return pare_cli_nomem();
        for (char *p = v->held, *end; rc == 0 && p != NULL; p = end) {
            end = strchr(p, '\n');
            if (end != NULL) *end++ = '\0';
            if (*p != '\0') rc = pare_cli_value_set(v, o, name, p);
        }
    }
    return rc;
}

static int set_from_flag(struct pare_cli *c, size_t i, const char *origin, const char *text)
{
    struct pare_cli_value *v = &c->v[i];

    v->source = PARE_FROM_FLAG;
    return pare_cli_value_set(v, &pare_cli_options[i], origin, text);
}

/* One long flag; *used becomes true when the next word was its argument. */
static int long_flag(struct pare_cli *c, const char *word, const char *next, bool *used)
{
    const char *eq = strchr(word, '=');
    char        name[MAX_WORD + 1], origin[MAX_WORD + 3];
    size_t      len = eq != NULL ? (size_t)(eq - word) : strlen(word);

    if (len > MAX_WORD) return pare_cli_usage(c->verb->name, "unknown flag --%s", word);
    memcpy(name, word, len);
    name[len] = '\0';
    snprintf(origin, sizeof origin, "--%s", name);
    for (size_t i = 0; i < PARE_OPT_COUNT; i++) {
        const struct pare_cli_option *o = &pare_cli_options[i];

        if (strcmp(o->name, name) != 0 || !pare_cli_has_option(c->verb, o)) continue;
        if (eq != NULL) return set_from_flag(c, i, origin, eq + 1);
        if (o->kind == PARE_KIND_FLAG) return set_from_flag(c, i, origin, "yes");
        if (next == NULL) return pare_cli_usage(c->verb->name, "--%s needs a value: --%s %s", name, name, o->arg);
        *used = true;
        return set_from_flag(c, i, origin, next);
    }
    return unknown_flag(c->verb, name);
}

/* A word of short flags: -q, -qv, -n 5, -n5. */
static int short_flags(struct pare_cli *c, const char *word, const char *next, bool *used)
{
    for (; *word != '\0'; word++) {
        char   origin[3] = { '-', *word, '\0' };
        size_t i;
        int    rc;

        for (i = 0; i < PARE_OPT_COUNT; i++)
            if (pare_cli_options[i].letter == *word && pare_cli_has_option(c->verb, &pare_cli_options[i])) break;
        if (i == PARE_OPT_COUNT) return pare_cli_usage(c->verb->name, "unknown flag -%c", *word);
        if (pare_cli_options[i].kind != PARE_KIND_FLAG) {
            if (word[1] != '\0') return set_from_flag(c, i, origin, word + 1);
            if (next == NULL) return pare_cli_usage(c->verb->name, "-%c needs a value: -%c %s", *word, *word, pare_cli_options[i].arg);
            *used = true;
            return set_from_flag(c, i, origin, next);
        }
        if ((rc = set_from_flag(c, i, origin, "yes")) != 0) return rc;
    }
    return 0;
}

static int check_positionals(const struct pare_cli *c)
{
    const struct pare_cli_verb *v = c->verb;

    if (c->n_args < v->min_args) return pare_cli_usage(v->name, "`pare %s` needs a model: pare %s %s", v->name, v->name, v->args);
    if (c->n_args > v->max_args)
        return pare_cli_usage(v->name, "unexpected \"%s\"; a text with spaces needs quotes", c->arg[v->max_args]);
    return 0;
}

int pare_cli_parse(struct pare_cli *c, const struct pare_cli_verb *verb, int n, char **words)
{
    bool flags_end = false;
    int  rc;

    memset(c, 0, sizeof *c);
    c->verb = verb;
    c->arg = calloc((size_t)n + 1, sizeof *c->arg);
    if (c->arg == NULL) return pare_cli_nomem();
    for (int i = 0; i < n; i++) {
        const char *w = words[i], *next = i + 1 < n ? words[i + 1] : NULL;
        bool        used = false;

        if (flags_end || w[0] != '-' || w[1] == '\0') {
            c->arg[c->n_args++] = w;
        } else if (strcmp(w, "--") == 0) {
            flags_end = true;
        } else {
            rc = w[1] == '-' ? long_flag(c, w + 2, next, &used) : short_flags(c, w + 1, next, &used);
            if (rc != 0) return rc;
            i += used;
        }
    }
    if (PARE_FLAG(c, help)) return 0;
    /* The environment comes last: a variable that a flag replaces may hold anything. */
    return (rc = read_environment(c)) != 0 ? rc : check_positionals(c);
}

void pare_cli_free(struct pare_cli *c)
{
    for (size_t i = 0; i < PARE_OPT_COUNT; i++) {
        free(c->v[i].list);
        free(c->v[i].held);
    }
    free(c->arg);
    memset(c, 0, sizeof *c);
}
