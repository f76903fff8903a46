/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_parse.h: the parser's state, shared by the files for expressions and for statements. */
#ifndef PARE_TOKEN_JINJA_PARSE_H
#define PARE_TOKEN_JINJA_PARSE_H

#include "token/jinja_ast.h"

struct pare_jparser {
    struct pare_jinja      *J;
    const struct pare_jtok *t;     /* current token; never past the end */
    uint32_t                depth;
    uint32_t                loops; /* enclosing for loops, for break and continue */
    uint8_t                 uses;  /* PARE_JM_* mentioned since the innermost macro began */
};

struct pare_jnode *pare_jp_node(struct pare_jparser *P, enum pare_jnode_kind kind);
void pare_jp_add(struct pare_jparser *P, struct pare_jnode *n, struct pare_jnode *child);  /* to list */
void pare_jp_add2(struct pare_jparser *P, struct pare_jnode *n, struct pare_jnode *child); /* to list2 */
bool pare_jp_enter(struct pare_jparser *P);
void pare_jp_next(struct pare_jparser *P);
bool pare_jp_is_op(const struct pare_jparser *P, enum pare_jop op);
bool pare_jp_is_name(const struct pare_jparser *P, const char *name);
bool pare_jp_skip_op(struct pare_jparser *P, enum pare_jop op);
bool pare_jp_skip_name(struct pare_jparser *P, const char *name);
bool pare_jp_expect_op(struct pare_jparser *P, enum pare_jop op);
struct pare_jstr  *pare_jp_expect_name(struct pare_jparser *P);
struct pare_jnode *pare_jp_unexpected(struct pare_jparser *P, const char *wanted);

/* Expressions. with_cond: conditional expressions are taken too; not so where "if" has its own meaning (for ... if). */
struct pare_jnode *pare_jp_expr(struct pare_jparser *P, bool with_cond);
struct pare_jnode *pare_jp_primary(struct pare_jparser *P, bool with_namespace);
/* Expressions joined by commas. end: a name that ends the tuple too, or NULL. */
enum pare_jtuple { PARE_JTUPLE_EXPR, PARE_JTUPLE_NO_COND, PARE_JTUPLE_TARGET, PARE_JTUPLE_NS_TARGET, PARE_JTUPLE_PAREN };
struct pare_jnode *pare_jp_tuple(struct pare_jparser *P, enum pare_jtuple how, const char *end);
/* Filters from the current "|" on; inline_start: the first comes without "|". node may be NULL. */
struct pare_jnode *pare_jp_filters(struct pare_jparser *P, struct pare_jnode *node, bool inline_start);

#endif
