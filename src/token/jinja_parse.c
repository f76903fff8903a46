/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_parse.c: parses statements and the template as a whole. */
#include "token/jinja_parse.h"

#include <string.h>

/* ---- helpers */

struct pare_jnode *pare_jp_node(struct pare_jparser *P, enum pare_jnode_kind kind)
{
    struct pare_jnode *n = P->J->err != 0 ? NULL : pare_jinja_alloc(P->J, sizeof *n);

    if (n == NULL) return NULL;
    n->kind = (uint8_t)kind;
    n->line = P->t->line;
    return n;
}

static void append(struct pare_jparser *P, struct pare_jnode ***list, uint32_t *n, uint32_t *cap, struct pare_jnode *child)
{
    struct pare_jnode **p;
    size_t              room = *cap;

    if (child == NULL || P->J->err != 0) return;
    if (*n == *cap) {
        p = pare_jinja_grow(P->J, *list, *n, (size_t)*n + 1, sizeof *p, &room);
        if (p == NULL) return;
        *list = p;
        *cap = (uint32_t)room;
    }
    (*list)[(*n)++] = child;
}

/* A chain keeps the room of its operators in cap2 and of its operands in cap. */
void pare_jp_add(struct pare_jparser *P, struct pare_jnode *n, struct pare_jnode *child)
{
    if (n != NULL) append(P, &n->list, &n->n, &n->cap, child);
}
void pare_jp_add2(struct pare_jparser *P, struct pare_jnode *n, struct pare_jnode *child)
{
    if (n != NULL) append(P, &n->list2, &n->n2, &n->cap2, child);
}

bool pare_jp_enter(struct pare_jparser *P)
{
    if (P->J->err != 0) return false;
    if (P->depth >= 3 * PARE_JINJA_MAX_NESTING) { /* a bracket and the expressions in it call this three times */
        P->J->line = P->t->line;
        pare_jinja_fail(P->J, PARE_E_LIMIT, "the template nests deeper than %u", PARE_JINJA_MAX_NESTING);
        return false;
    }
    P->depth++;
    return true;
}

void pare_jp_next(struct pare_jparser *P)
{
    if (P->t->type != PARE_JT_EOF) P->t++;
    P->J->line = P->t->line;
}

bool pare_jp_is_op(const struct pare_jparser *P, enum pare_jop op) { return P->t->type == PARE_JT_OP && P->t->op == op; }
bool pare_jp_is_name(const struct pare_jparser *P, const char *name)
{
    return P->t->type == PARE_JT_NAME && pare_jstr_is(P->t->s, name);
}

bool pare_jp_skip_op(struct pare_jparser *P, enum pare_jop op)
{
    if (P->J->err != 0 || !pare_jp_is_op(P, op)) return false;
    pare_jp_next(P);
    return true;
}
bool pare_jp_skip_name(struct pare_jparser *P, const char *name)
{
    if (P->J->err != 0 || !pare_jp_is_name(P, name)) return false;
    pare_jp_next(P);
    return true;
}

static const char *const op_text[] = { "?", "+", "-", "*", "/", "//", "%", "**", "~",  "(",  ")",  "[",  "]",  "{", "}",
                                       "==", "!=", ">", ">=", "<", "<=", "=", ".", ":", "|", ",", ";", "in", "not in" };

struct pare_jnode *pare_jp_unexpected(struct pare_jparser *P, const char *wanted)
{
    static const char *const what[] = { "the end of the template", "text",
                                         "{{", "}}", "{%", "%}", "", "a string", "a number", "a number", "" };
    const struct pare_jtok  *t = P->t;

    P->J->line = t->line;
    if (t->type == PARE_JT_NAME)
        pare_jinja_fail(P->J, PARE_E_CORRUPT, "expected %s, got '%.*s'", wanted, t->s->n > 60 ? 60 : (int)t->s->n, t->s->p);
    else if (t->type == PARE_JT_OP) pare_jinja_fail(P->J, PARE_E_CORRUPT, "expected %s, got '%s'", wanted, op_text[t->op]);
    else pare_jinja_fail(P->J, PARE_E_CORRUPT, "expected %s, got %s", wanted, what[t->type]);
    return NULL;
}

bool pare_jp_expect_op(struct pare_jparser *P, enum pare_jop op)
{
    if (P->J->err != 0) return false;
    if (pare_jp_skip_op(P, op)) return true;
    pare_jp_unexpected(P, op_text[op]);
    return false;
}

struct pare_jstr *pare_jp_expect_name(struct pare_jparser *P)
{
    struct pare_jstr *s = P->t->s;

    if (P->J->err == 0 && P->t->type == PARE_JT_NAME) {
        pare_jp_next(P);
        return s;
    }
    pare_jp_unexpected(P, "a name");
    return pare_jstr_ref(P->J, "", 0);
}

/* ---- statements */

static void statement(struct pare_jparser *P, struct pare_jnode *body, bool second);

static bool is_end(const struct pare_jparser *P, const char *const *ends)
{
    for (; ends != NULL && *ends != NULL; ends++)
        if (pare_jp_is_name(P, *ends)) return true;
    return false;
}

static void block_end(struct pare_jparser *P)
{
    if (P->J->err != 0) return;
    if (P->t->type == PARE_JT_BLOCK_END) pare_jp_next(P);
    else pare_jp_unexpected(P, "%}");
}

/* Everything up to a tag that begins with one of ends, which is left as the current token. second: into list2. */
static void body(struct pare_jparser *P, struct pare_jnode *n, bool second, const char *const *ends)
{
    struct pare_jnode *x;

    if (n == NULL || !pare_jp_enter(P)) return;
    if (ends != NULL) {
        pare_jp_skip_op(P, PARE_JOP_COLON);
        block_end(P);
    }
    while (P->J->err == 0) {
        if (P->t->type == PARE_JT_EOF) {
            if (ends != NULL) pare_jp_unexpected(P, ends[1] != NULL ? "an end tag" : ends[0]);
            break;
        }
        if (P->t->type == PARE_JT_DATA) {
            x = pare_jp_node(P, PARE_JN_DATA);
            if (x != NULL) x->value = pare_jv_str(P->t->s);
            second ? pare_jp_add2(P, n, x) : pare_jp_add(P, n, x);
            pare_jp_next(P);
        } else if (P->t->type == PARE_JT_VAR_BEGIN) {
            pare_jp_next(P);
            x = pare_jp_node(P, PARE_JN_OUTPUT);
            if (x != NULL) x->a = pare_jp_tuple(P, PARE_JTUPLE_EXPR, NULL);
            second ? pare_jp_add2(P, n, x) : pare_jp_add(P, n, x);
            if (P->J->err == 0 && P->t->type != PARE_JT_VAR_END) pare_jp_unexpected(P, "}}");
            pare_jp_next(P);
        } else {
            pare_jp_next(P); /* {% */
            if (is_end(P, ends)) break;
            statement(P, n, second);
            block_end(P);
        }
    }
    P->depth--;
}

static bool assignable(const struct pare_jnode *n, bool namespaces)
{
    if (n->kind == PARE_JN_NAME || (namespaces && n->kind == PARE_JN_NSREF)) return true;
    if (n->kind != PARE_JN_TUPLE) return false;
    for (uint32_t i = 0; i < n->n; i++)
        if (!assignable(n->list[i], namespaces)) return false;
    return true;
}

static struct pare_jnode *target(struct pare_jparser *P, bool namespaces, const char *end)
{
    uint8_t            uses = P->uses; /* an assignment to "caller" is not a use of it */
    struct pare_jnode *n = pare_jp_tuple(P, namespaces ? PARE_JTUPLE_NS_TARGET : PARE_JTUPLE_TARGET, end);

    P->uses = uses;
    if (n != NULL && !assignable(n, namespaces)) pare_jinja_fail(P->J, PARE_E_CORRUPT, "cannot assign to this expression");
    return P->J->err != 0 ? NULL : n;
}

static struct pare_jnode *parse_if(struct pare_jparser *P)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL }, *const last[] = { "endif", NULL };
    struct pare_jnode       *n = pare_jp_node(P, PARE_JN_IF), *br;
    bool                     more = true;

    while (more && P->J->err == 0) {
        pare_jp_next(P); /* if, elif */
        br = pare_jp_node(P, PARE_JN_BRANCH);
        if (br == NULL) return NULL;
        br->a = pare_jp_tuple(P, PARE_JTUPLE_NO_COND, NULL);
        body(P, br, false, ends);
        pare_jp_add(P, n, br);
        more = pare_jp_is_name(P, "elif");
    }
    if (pare_jp_skip_name(P, "else")) {
        br = pare_jp_node(P, PARE_JN_BRANCH);
        body(P, br, false, last);
        pare_jp_add(P, n, br);
    }
    pare_jp_next(P); /* endif */
    return n;
}

static struct pare_jnode *parse_for(struct pare_jparser *P)
{
    static const char *const ends[] = { "endfor", "else", NULL }, *const last[] = { "endfor", NULL };
    struct pare_jnode       *n = pare_jp_node(P, PARE_JN_FOR);

    pare_jp_next(P);
    if (n == NULL) return NULL;
    n->a = target(P, false, "in");
    if (P->J->err == 0 && !pare_jp_skip_name(P, "in")) pare_jp_unexpected(P, "in");
    n->b = pare_jp_tuple(P, PARE_JTUPLE_NO_COND, "recursive");
    if (pare_jp_skip_name(P, "if")) n->c = pare_jp_expr(P, true);
    if (pare_jp_skip_name(P, "recursive")) n->flags = 1;
    P->loops++;
    body(P, n, false, ends);
    P->loops--;
    if (pare_jp_skip_name(P, "else")) body(P, n, true, last);
    pare_jp_next(P); /* endfor */
    return n;
}

static struct pare_jnode *parse_set(struct pare_jparser *P)
{
    static const char *const ends[] = { "endset", NULL };
    struct pare_jnode       *n = pare_jp_node(P, PARE_JN_SET);

    pare_jp_next(P);
    if (n == NULL) return NULL;
    n->a = target(P, true, NULL);
    if (pare_jp_skip_op(P, PARE_JOP_ASSIGN)) {
        n->b = pare_jp_tuple(P, PARE_JTUPLE_EXPR, NULL);
        return n;
    }
    n->kind = PARE_JN_SETBLOCK;
    n->b = pare_jp_filters(P, NULL, false);
    body(P, n, false, ends);
    pare_jp_next(P);
    return n;
}

static void signature(struct pare_jparser *P, struct pare_jnode *macro)
{
    bool defaults = false;

    pare_jp_expect_op(P, PARE_JOP_LPAREN);
    while (P->J->err == 0 && !pare_jp_is_op(P, PARE_JOP_RPAREN)) {
        struct pare_jnode *p = pare_jp_node(P, PARE_JN_NAME);
        if (macro->n > 0) pare_jp_expect_op(P, PARE_JOP_COMMA);
        if (p == NULL) return;
        p->name = pare_jp_expect_name(P);
        if (pare_jstr_is(p->name, "caller")) macro->flags |= PARE_JM_EXPLICIT_CALLER;
        if (pare_jp_skip_op(P, PARE_JOP_ASSIGN)) {
            p->a = pare_jp_expr(P, true);
            defaults = true;
        } else if (defaults) {
            pare_jinja_fail(P->J, PARE_E_CORRUPT, "a parameter without default follows one with a default");
        }
        pare_jp_add(P, macro, p);
    }
    pare_jp_expect_op(P, PARE_JOP_RPAREN);
}

/* Body and signature of a macro or a call block. What the body mentions counts for the macros around it too. */
static void macro_body(struct pare_jparser *P, struct pare_jnode *macro, const char *const *ends)
{
    uint32_t loops = P->loops;
    uint8_t  outer = P->uses;

    P->uses = 0;
    P->loops = 0;
    body(P, macro, true, ends);
    pare_jp_next(P);
    macro->flags |= P->uses;
    P->uses |= outer;
    P->loops = loops;
}

static struct pare_jnode *parse_macro(struct pare_jparser *P)
{
    static const char *const ends[] = { "endmacro", NULL };
    struct pare_jnode       *n = pare_jp_node(P, PARE_JN_MACRO);

    pare_jp_next(P);
    if (n == NULL) return NULL;
    n->name = pare_jp_expect_name(P);
    signature(P, n);
    macro_body(P, n, ends);
    return n;
}

static struct pare_jnode *parse_call(struct pare_jparser *P)
{
    static const char *const ends[] = { "endcall", NULL };
    struct pare_jnode       *n = pare_jp_node(P, PARE_JN_CALLBLOCK), *macro = pare_jp_node(P, PARE_JN_MACRO);

    pare_jp_next(P);
    if (n == NULL || macro == NULL) return NULL;
    macro->name = pare_jinja_intern(P->J, "caller", 6);
    if (pare_jp_is_op(P, PARE_JOP_LPAREN)) signature(P, macro);
    n->a = pare_jp_expr(P, true);
    if (n->a != NULL && n->a->kind != PARE_JN_CALL) pare_jp_unexpected(P, "a call");
    n->b = macro;
    macro_body(P, macro, ends);
    return n;
}

static struct pare_jnode *parse_filter_block(struct pare_jparser *P)
{
    static const char *const ends[] = { "endfilter", NULL };
    struct pare_jnode       *n = pare_jp_node(P, PARE_JN_FILTERBLOCK);

    pare_jp_next(P);
    if (n == NULL) return NULL;
    n->b = pare_jp_filters(P, NULL, true);
    body(P, n, false, ends);
    pare_jp_next(P);
    return n;
}

static struct pare_jnode *parse_with(struct pare_jparser *P)
{
    static const char *const ends[] = { "endwith", NULL };
    struct pare_jnode       *n = pare_jp_node(P, PARE_JN_WITH);

    pare_jp_next(P);
    if (n == NULL) return NULL;
    while (P->J->err == 0 && P->t->type != PARE_JT_BLOCK_END) {
        struct pare_jnode *t;
        if (n->n > 0) pare_jp_expect_op(P, PARE_JOP_COMMA);
        t = pare_jp_primary(P, false);
        if (t != NULL && !assignable(t, false)) pare_jinja_fail(P->J, PARE_E_CORRUPT, "cannot assign to this expression");
        pare_jp_add(P, n, t);
        pare_jp_expect_op(P, PARE_JOP_ASSIGN);
        pare_jp_add(P, n, pare_jp_expr(P, true));
    }
    body(P, n, true, ends);
    pare_jp_next(P);
    return n;
}

/* generation marks the assistant's part for training masks; in a rendering it is only a scope. A block is one too. */
static struct pare_jnode *parse_scope(struct pare_jparser *P, const char *end, bool named)
{
    const char *const  ends[] = { end, NULL };
    struct pare_jnode *n = pare_jp_node(P, PARE_JN_SCOPE);
    struct pare_jstr  *name = NULL;

    pare_jp_next(P);
    if (named) {
        name = pare_jp_expect_name(P);
        pare_jp_skip_name(P, "scoped");
    }
    body(P, n, false, ends);
    pare_jp_next(P);
    if (named && P->t->type == PARE_JT_NAME && P->t->s == name) pare_jp_next(P);
    return n;
}

static struct pare_jnode *parse_jump(struct pare_jparser *P, enum pare_jnode_kind kind)
{
    struct pare_jnode *n = pare_jp_node(P, kind);

    if (P->loops == 0) pare_jinja_fail(P->J, PARE_E_CORRUPT, "%s outside of a loop", kind == PARE_JN_BREAK ? "break" : "continue");
    pare_jp_next(P);
    return n;
}

/* {% print a, b %} is several outputs, so it adds them itself. */
static void parse_print(struct pare_jparser *P, struct pare_jnode *parent, bool second)
{
    bool first = true;

    pare_jp_next(P);
    for (; P->J->err == 0 && P->t->type != PARE_JT_BLOCK_END; first = false) {
        struct pare_jnode *n = pare_jp_node(P, PARE_JN_OUTPUT);
        if (!first) pare_jp_expect_op(P, PARE_JOP_COMMA);
        if (n == NULL) return;
        n->a = pare_jp_expr(P, true);
        second ? pare_jp_add2(P, parent, n) : pare_jp_add(P, parent, n);
    }
}

static void statement(struct pare_jparser *P, struct pare_jnode *parent, bool second)
{
    struct pare_jnode *n = NULL;

    if (pare_jp_is_name(P, "if")) n = parse_if(P);
    else if (pare_jp_is_name(P, "for")) n = parse_for(P);
    else if (pare_jp_is_name(P, "set")) n = parse_set(P);
    else if (pare_jp_is_name(P, "macro")) n = parse_macro(P);
    else if (pare_jp_is_name(P, "call")) n = parse_call(P);
    else if (pare_jp_is_name(P, "filter")) n = parse_filter_block(P);
    else if (pare_jp_is_name(P, "with")) n = parse_with(P);
    else if (pare_jp_is_name(P, "generation")) n = parse_scope(P, "endgeneration", false);
    else if (pare_jp_is_name(P, "block")) n = parse_scope(P, "endblock", true);
    else if (pare_jp_is_name(P, "break")) n = parse_jump(P, PARE_JN_BREAK);
    else if (pare_jp_is_name(P, "continue")) n = parse_jump(P, PARE_JN_CONTINUE);
    else if (pare_jp_is_name(P, "print")) parse_print(P, parent, second);
    else if (pare_jp_is_name(P, "include") || pare_jp_is_name(P, "import") || pare_jp_is_name(P, "extends") ||
             pare_jp_is_name(P, "from"))
        pare_jinja_fail(P->J, PARE_E_UNSUPPORTED, "a chat template cannot refer to other templates");
    else pare_jp_unexpected(P, "a statement");
    second ? pare_jp_add2(P, parent, n) : pare_jp_add(P, parent, n);
}

struct pare_jnode *pare_jinja_parse(struct pare_jinja *J, const struct pare_jtokens *tokens)
{
    struct pare_jparser P = { .J = J, .t = tokens->t };
    struct pare_jnode  *root;

    if (J->err != 0) return NULL;
    root = pare_jp_node(&P, PARE_JN_SCOPE);
    body(&P, root, false, NULL);
    return J->err != 0 ? NULL : root;
}
