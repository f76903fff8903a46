/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_expr.c: parses expressions. Precedence, loosest first: if-else, or, and, not, comparisons and "in", + and -, ~,
 * * / // %, **, unary + and -, then subscripts and calls, then filters and tests. */
#include <stdlib.h>
#include <string.h>

#include "token/jinja_call.h"
#include "token/jinja_parse.h"

static struct pare_jnode *subscripts(struct pare_jparser *P, struct pare_jnode *node);

static struct pare_jnode *chain_of(struct pare_jparser *P, struct pare_jnode *first, enum pare_jnode_kind kind)
{
    struct pare_jnode *n = pare_jp_node(P, kind);

    if (n != NULL) n->a = first;
    return n;
}

static void chain_add(struct pare_jparser *P, struct pare_jnode *n, enum pare_jop op, struct pare_jnode *operand)
{
    size_t   cap = n == NULL ? 0 : n->cap2;
    uint8_t *ops;

    if (n == NULL || operand == NULL) return;
    if (n->n == n->cap2) {
        ops = pare_jinja_grow(P->J, n->ops, n->n, (size_t)n->n + 1, 1, &cap);
        if (ops == NULL) return;
        n->ops = ops;
        n->cap2 = (uint32_t)cap;
    }
    n->ops[n->n] = (uint8_t)op;
    pare_jp_add(P, n, operand);
}

/* ---- primaries */

static struct pare_jnode *constant(struct pare_jparser *P, struct pare_jv v)
{
    struct pare_jnode *n = pare_jp_node(P, PARE_JN_CONST);

    if (n != NULL) n->value = v;
    return n;
}

static struct pare_jnode *string(struct pare_jparser *P)
{
    struct pare_jnode *n = constant(P, pare_jv_str(P->t->s));
    struct pare_buf    b;

    pare_jp_next(P);
    if (P->t->type != PARE_JT_STRING || n == NULL) return n;
    b = pare_jinja_buf(); /* neighbouring literals are one */
    pare_jv_write_str(P->J, &b, n->value);
    for (; P->t->type == PARE_JT_STRING && P->J->err == 0; pare_jp_next(P)) pare_jinja_buf_add(P->J, &b, P->t->s->p, P->t->s->n);
    n->value = pare_jv_take(P->J, &b);
    return n;
}

static struct pare_jnode *name(struct pare_jparser *P, bool with_namespace)
{
    struct pare_jstr  *s = P->t->s;
    struct pare_jnode *n;

    pare_jp_next(P);
    if (pare_jstr_is(s, "true") || pare_jstr_is(s, "True")) return constant(P, pare_jv_bool(true));
    if (pare_jstr_is(s, "false") || pare_jstr_is(s, "False")) return constant(P, pare_jv_bool(false));
    if (pare_jstr_is(s, "none") || pare_jstr_is(s, "None")) return constant(P, pare_jv_none());
    if (pare_jstr_is(s, "varargs")) P->uses |= PARE_JM_VARARGS;
    if (pare_jstr_is(s, "kwargs")) P->uses |= PARE_JM_KWARGS;
    if (pare_jstr_is(s, "caller")) P->uses |= PARE_JM_CALLER;
    n = pare_jp_node(P, PARE_JN_NAME);
    if (n == NULL) return NULL;
    n->name = s;
    if (with_namespace && pare_jp_skip_op(P, PARE_JOP_DOT)) {
        n->kind = PARE_JN_NSREF;
        n->value = pare_jv_str(pare_jp_expect_name(P));
    }
    return n;
}

static struct pare_jnode *list_literal(struct pare_jparser *P)
{
    struct pare_jnode *n = pare_jp_node(P, PARE_JN_LIST);

    pare_jp_next(P);
    while (P->J->err == 0 && !pare_jp_is_op(P, PARE_JOP_RBRACKET)) {
        if (n->n > 0) pare_jp_expect_op(P, PARE_JOP_COMMA);
        if (pare_jp_is_op(P, PARE_JOP_RBRACKET)) break;
        pare_jp_add(P, n, pare_jp_expr(P, true));
    }
    pare_jp_expect_op(P, PARE_JOP_RBRACKET);
    return n;
}

static struct pare_jnode *dict_literal(struct pare_jparser *P)
{
    struct pare_jnode *n = pare_jp_node(P, PARE_JN_DICT);

    pare_jp_next(P);
    while (P->J->err == 0 && !pare_jp_is_op(P, PARE_JOP_RBRACE)) {
        if (n->n > 0) pare_jp_expect_op(P, PARE_JOP_COMMA);
        if (pare_jp_is_op(P, PARE_JOP_RBRACE)) break;
        pare_jp_add(P, n, pare_jp_expr(P, true));
        pare_jp_expect_op(P, PARE_JOP_COLON);
        pare_jp_add(P, n, pare_jp_expr(P, true));
    }
    pare_jp_expect_op(P, PARE_JOP_RBRACE);
    return n;
}

struct pare_jnode *pare_jp_primary(struct pare_jparser *P, bool with_namespace)
{
    struct pare_jnode *n = NULL;

    switch (P->t->type) {
    case PARE_JT_NAME: return name(P, with_namespace);
    case PARE_JT_STRING: return string(P);
    case PARE_JT_INT: n = constant(P, pare_jv_int(P->t->num.i)); break;
    case PARE_JT_FLOAT: n = constant(P, pare_jv_float(P->t->num.f)); break;
    case PARE_JT_OP:
        if (!pare_jp_enter(P)) return NULL;
        if (pare_jp_skip_op(P, PARE_JOP_LPAREN)) {
            n = pare_jp_tuple(P, PARE_JTUPLE_PAREN, NULL);
            pare_jp_expect_op(P, PARE_JOP_RPAREN);
        } else if (pare_jp_is_op(P, PARE_JOP_LBRACKET)) {
            n = list_literal(P);
        } else if (pare_jp_is_op(P, PARE_JOP_LBRACE)) {
            n = dict_literal(P);
        } else {
            n = pare_jp_unexpected(P, "an expression");
        }
        P->depth--;
        return n;
    default: return pare_jp_unexpected(P, "an expression");
    }
    pare_jp_next(P);
    return n;
}

/* ---- calls, subscripts, filters, tests */

static void call_args(struct pare_jparser *P, struct pare_jnode *n)
{
    bool first = true;

    if (!pare_jp_expect_op(P, PARE_JOP_LPAREN) || !pare_jp_enter(P)) return;
    for (; P->J->err == 0 && !pare_jp_is_op(P, PARE_JOP_RPAREN); first = false) {
        if (!first) pare_jp_expect_op(P, PARE_JOP_COMMA);
        if (pare_jp_is_op(P, PARE_JOP_RPAREN)) break;
        if (n->b == NULL && n->c == NULL && pare_jp_skip_op(P, PARE_JOP_MUL)) {
            n->b = pare_jp_expr(P, true);
        } else if (n->c == NULL && pare_jp_skip_op(P, PARE_JOP_POW)) {
            n->c = pare_jp_expr(P, true);
        } else if (P->t->type == PARE_JT_NAME && P->t[1].type == PARE_JT_OP && P->t[1].op == PARE_JOP_ASSIGN && n->c == NULL) {
            struct pare_jnode *kw = pare_jp_node(P, PARE_JN_KEYWORD);
            if (kw == NULL) break;
            kw->name = P->t->s;
            pare_jp_next(P);
            pare_jp_next(P);
            kw->a = pare_jp_expr(P, true);
            pare_jp_add2(P, n, kw);
        } else if (n->b == NULL && n->c == NULL && n->n2 == 0) {
            pare_jp_add(P, n, pare_jp_expr(P, true));
        } else {
            pare_jp_unexpected(P, "a keyword argument");
        }
    }
    P->depth--;
    pare_jp_expect_op(P, PARE_JOP_RPAREN);
}

static struct pare_jnode *call(struct pare_jparser *P, struct pare_jnode *callee)
{
    struct pare_jnode *n = chain_of(P, callee, PARE_JN_CALL);

    if (n != NULL) call_args(P, n);
    return n;
}

static struct pare_jnode *slice_part(struct pare_jparser *P)
{
    if (pare_jp_is_op(P, PARE_JOP_COLON) || pare_jp_is_op(P, PARE_JOP_RBRACKET) || pare_jp_is_op(P, PARE_JOP_COMMA)) return NULL;
    return pare_jp_expr(P, true);
}

/* What stands between the brackets up to a comma: an expression or a slice. */
static struct pare_jnode *subscript(struct pare_jparser *P)
{
    struct pare_jnode *first = pare_jp_is_op(P, PARE_JOP_COLON) ? NULL : pare_jp_expr(P, true), *n;

    if (!pare_jp_is_op(P, PARE_JOP_COLON)) return first;
    n = chain_of(P, first, PARE_JN_SLICE);
    pare_jp_next(P);
    if (n == NULL) return NULL;
    n->b = slice_part(P);
    if (pare_jp_skip_op(P, PARE_JOP_COLON)) n->c = slice_part(P);
    return n;
}

static struct pare_jnode *item(struct pare_jparser *P, struct pare_jnode *node)
{
    struct pare_jnode *n = chain_of(P, node, PARE_JN_GETITEM), *tuple = NULL;

    if (n == NULL || !pare_jp_enter(P)) return NULL;
    pare_jp_next(P);
    while (P->J->err == 0 && !pare_jp_is_op(P, PARE_JOP_RBRACKET)) {
        if (n->b != NULL) {
            pare_jp_expect_op(P, PARE_JOP_COMMA);
            if (tuple == NULL) {
                tuple = pare_jp_node(P, PARE_JN_TUPLE);
                pare_jp_add(P, tuple, n->b);
                n->b = tuple;
            }
            pare_jp_add(P, tuple, subscript(P));
        } else {
            n->b = subscript(P);
        }
    }
    P->depth--;
    pare_jp_expect_op(P, PARE_JOP_RBRACKET);
    if (n->b == NULL) n->b = pare_jp_node(P, PARE_JN_TUPLE);
    return n;
}

/* x.a.b, x|a|b and the like nest the tree one deeper with each link, although the source does not nest. */
static void links_in_row(struct pare_jparser *P, uint32_t links)
{
    if (links > PARE_JINJA_MAX_NESTING)
        pare_jinja_fail(P->J, PARE_E_LIMIT, "more than %u subscripts, filters, tests or conditions in a row", PARE_JINJA_MAX_NESTING);
}

static struct pare_jnode *subscripts(struct pare_jparser *P, struct pare_jnode *node)
{
    uint32_t links = 0;

    while (P->J->err == 0 && node != NULL) {
        if (pare_jp_is_op(P, PARE_JOP_LPAREN)) {
            node = call(P, node);
        } else if (pare_jp_is_op(P, PARE_JOP_LBRACKET)) {
            node = item(P, node);
        } else if (pare_jp_skip_op(P, PARE_JOP_DOT)) {
            struct pare_jnode *n = chain_of(P, node, PARE_JN_GETATTR);
            if (n == NULL) return NULL;
            if (P->t->type == PARE_JT_INT) {
                n->kind = PARE_JN_GETITEM;
                n->b = pare_jp_primary(P, false);
            } else {
                n->name = pare_jp_expect_name(P);
            }
            node = n;
        } else {
            return node;
        }
        links_in_row(P, ++links);
    }
    return NULL;
}

/* Names of filters and tests may have dots, so "x|trim.upper()" asks for a filter called "trim.upper". */
static struct pare_jstr *dotted_name(struct pare_jparser *P)
{
    struct pare_jstr *s = pare_jp_expect_name(P);
    struct pare_jv    v;

    while (P->J->err == 0 && pare_jp_skip_op(P, PARE_JOP_DOT)) {
        v = pare_jinja_concat(P->J, s, pare_jstr_ref(P->J, ".", 1));
        if (P->J->err == 0) v = pare_jinja_concat(P->J, v.u.s, pare_jp_expect_name(P));
        if (P->J->err == 0) s = v.u.s;
    }
    return s;
}

struct pare_jnode *pare_jp_filters(struct pare_jparser *P, struct pare_jnode *node, bool inline_start)
{
    uint32_t links = 0;

    while (P->J->err == 0 && (inline_start || pare_jp_skip_op(P, PARE_JOP_PIPE))) {
        struct pare_jnode *n = chain_of(P, node, PARE_JN_FILTER);
        inline_start = false;
        if (n == NULL) return NULL;
        n->name = dotted_name(P);
        if (pare_jp_is_op(P, PARE_JOP_LPAREN)) call_args(P, n);
        node = n;
        links_in_row(P, ++links);
    }
    return node;
}

/* The argument of a test may come without parentheses: x is divisibleby 3. */
static bool starts_argument(const struct pare_jparser *P)
{
    switch (P->t->type) {
    case PARE_JT_NAME: return !pare_jp_is_name(P, "else") && !pare_jp_is_name(P, "or") && !pare_jp_is_name(P, "and");
    case PARE_JT_STRING:
    case PARE_JT_INT:
    case PARE_JT_FLOAT: return true;
    case PARE_JT_OP: return P->t->op == PARE_JOP_LBRACKET || P->t->op == PARE_JOP_LBRACE;
    default: return false;
    }
}

static struct pare_jnode *test(struct pare_jparser *P, struct pare_jnode *node)
{
    struct pare_jnode *n, *not;
    bool               negated;

    pare_jp_next(P); /* is */
    negated = pare_jp_skip_name(P, "not");
    n = chain_of(P, node, PARE_JN_TEST);
    if (n == NULL) return NULL;
    n->name = dotted_name(P);
    if (pare_jp_is_op(P, PARE_JOP_LPAREN)) {
        call_args(P, n);
    } else if (starts_argument(P)) {
        if (pare_jp_is_name(P, "is")) return pare_jp_unexpected(P, "no second test");
        pare_jp_add(P, n, subscripts(P, pare_jp_primary(P, false)));
    }
    if (!negated) return n;
    not = chain_of(P, n, PARE_JN_NOT);
    return not;
}

static struct pare_jnode *filters_and_tests(struct pare_jparser *P, struct pare_jnode *node)
{
    uint32_t links = 0;

    while (P->J->err == 0 && node != NULL) {
        if (pare_jp_is_op(P, PARE_JOP_PIPE)) node = pare_jp_filters(P, node, false);
        else if (pare_jp_is_name(P, "is")) node = test(P, node);
        else if (pare_jp_is_op(P, PARE_JOP_LPAREN)) node = call(P, node);
        else return node;
        links_in_row(P, ++links);
    }
    return NULL;
}

/* ---- operators */

static struct pare_jnode *unary(struct pare_jparser *P, bool with_filter)
{
    struct pare_jnode *n;
    bool               minus = pare_jp_is_op(P, PARE_JOP_SUB);

    if (minus || pare_jp_is_op(P, PARE_JOP_ADD)) {
        if (!pare_jp_enter(P)) return NULL;
        pare_jp_next(P);
        n = chain_of(P, unary(P, false), minus ? PARE_JN_NEG : PARE_JN_POS);
        P->depth--;
    } else {
        n = pare_jp_primary(P, false);
    }
    n = subscripts(P, n);
    return with_filter ? filters_and_tests(P, n) : n;
}

/* One level of left-associative binary operators becomes one node, so that a long sum does not nest. */
static struct pare_jnode *level(struct pare_jparser *P, int which)
{
    static const uint8_t ops[3][5] = { { PARE_JOP_ADD, PARE_JOP_SUB, 0, 0, 0 },
                                       { PARE_JOP_MUL, PARE_JOP_DIV, PARE_JOP_FLOORDIV, PARE_JOP_MOD, 0 },
                                       { PARE_JOP_POW, 0, 0, 0, 0 } };
    struct pare_jnode *n = NULL, *x;

    for (bool more = true; more && P->J->err == 0;) {
        enum pare_jop op = PARE_JOP_NONE;
        if (n != NULL) {
            op = (enum pare_jop)P->t->op;
            pare_jp_next(P);
        }
        if (which == 2) x = unary(P, true);
        else if (which == 1) x = level(P, 2);
        else {
            x = level(P, 1);
            if (pare_jp_is_op(P, PARE_JOP_TILDE)) {
                struct pare_jnode *c = pare_jp_node(P, PARE_JN_CONCAT);
                if (c == NULL) return NULL;
                pare_jp_add(P, c, x);
                while (P->J->err == 0 && pare_jp_skip_op(P, PARE_JOP_TILDE)) pare_jp_add(P, c, level(P, 1));
                x = c;
            }
        }
        more = P->t->type == PARE_JT_OP && P->t->op != 0 && memchr(ops[which], P->t->op, 5) != NULL;
        if (op != PARE_JOP_NONE) chain_add(P, n, op, x);
        else if (!more) return x;
        else n = chain_of(P, x, PARE_JN_CHAIN);
    }
    return n;
}

static enum pare_jop compare_op(struct pare_jparser *P)
{
    if (P->t->type == PARE_JT_OP && P->t->op >= PARE_JOP_EQ && P->t->op <= PARE_JOP_LE) return (enum pare_jop)P->t->op;
    if (pare_jp_is_name(P, "in")) return PARE_JOP_IN;
    if (pare_jp_is_name(P, "not") && P->t[1].type == PARE_JT_NAME && pare_jstr_is(P->t[1].s, "in")) {
        pare_jp_next(P);
        return PARE_JOP_NOTIN;
    }
    return PARE_JOP_NONE;
}

static struct pare_jnode *not_and_compare(struct pare_jparser *P)
{
    struct pare_jnode *x, *n = NULL;
    enum pare_jop      op;
    uint32_t           nots = 0;

    while (pare_jp_skip_name(P, "not")) nots++;
    x = level(P, 0);
    while (P->J->err == 0 && (op = compare_op(P)) != PARE_JOP_NONE) {
        if (n == NULL) n = chain_of(P, x, PARE_JN_COMPARE);
        pare_jp_next(P);
        chain_add(P, n, op, level(P, 0));
    }
    if (n == NULL) n = x;
    if (nots > 1) n = chain_of(P, n, PARE_JN_NOT); /* not not x is bool(x): two nodes say as much as many */
    if (nots > 1 && nots % 2 == 0) n = chain_of(P, n, PARE_JN_NOT);
    if (nots == 1) n = chain_of(P, n, PARE_JN_NOT);
    return n;
}

/* x or x or x: which is PARE_JN_OR, or PARE_JN_AND one level down. */
static struct pare_jnode *logic(struct pare_jparser *P, enum pare_jnode_kind which)
{
    const char        *word = which == PARE_JN_OR ? "or" : "and";
    struct pare_jnode *x = which == PARE_JN_OR ? logic(P, PARE_JN_AND) : not_and_compare(P), *n;

    if (!pare_jp_is_name(P, word)) return x;
    n = pare_jp_node(P, which);
    if (n == NULL) return NULL;
    pare_jp_add(P, n, x);
    while (P->J->err == 0 && pare_jp_skip_name(P, word))
        pare_jp_add(P, n, which == PARE_JN_OR ? logic(P, PARE_JN_AND) : not_and_compare(P));
    return n;
}

struct pare_jnode *pare_jp_expr(struct pare_jparser *P, bool with_cond)
{
    struct pare_jnode *x, *n;
    uint32_t           links = 0;

    if (!pare_jp_enter(P)) return NULL;
    x = logic(P, PARE_JN_OR);
    while (with_cond && P->J->err == 0 && pare_jp_skip_name(P, "if")) {
        n = pare_jp_node(P, PARE_JN_COND);
        if (n == NULL) break;
        n->b = x;
        n->a = logic(P, PARE_JN_OR);
        if (pare_jp_skip_name(P, "else")) n->c = pare_jp_expr(P, true);
        x = n;
        links_in_row(P, ++links);
    }
    P->depth--;
    return P->J->err != 0 ? NULL : x;
}

static bool tuple_end(const struct pare_jparser *P, const char *end)
{
    return P->t->type == PARE_JT_VAR_END || P->t->type == PARE_JT_BLOCK_END || P->t->type == PARE_JT_EOF ||
           pare_jp_is_op(P, PARE_JOP_RPAREN) || (end != NULL && pare_jp_is_name(P, end));
}

struct pare_jnode *pare_jp_tuple(struct pare_jparser *P, enum pare_jtuple how, const char *end)
{
    struct pare_jnode *tuple = NULL, *x = NULL;
    bool               target = how == PARE_JTUPLE_TARGET || how == PARE_JTUPLE_NS_TARGET;

    if (!pare_jp_enter(P)) return NULL;
    while (P->J->err == 0 && !tuple_end(P, end)) {
        x = target ? pare_jp_primary(P, how == PARE_JTUPLE_NS_TARGET) : pare_jp_expr(P, how != PARE_JTUPLE_NO_COND);
        if (tuple != NULL) pare_jp_add(P, tuple, x);
        if (!pare_jp_is_op(P, PARE_JOP_COMMA)) break;
        if (tuple == NULL) {
            tuple = pare_jp_node(P, PARE_JN_TUPLE);
            pare_jp_add(P, tuple, x);
        }
        pare_jp_next(P);
    }
    P->depth--;
    if (tuple == NULL && x == NULL) {
        if (how != PARE_JTUPLE_PAREN) return pare_jp_unexpected(P, "an expression");
        tuple = pare_jp_node(P, PARE_JN_TUPLE);
    }
    if (P->J->err != 0) return NULL;
    return tuple != NULL ? tuple : x;
}
