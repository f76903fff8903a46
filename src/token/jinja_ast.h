/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_ast.h: tokens and the syntax tree. One node shape for everything; which member means what is written at the
 * kind. All of it lives in the pool of the rendering. */
#ifndef PARE_TOKEN_JINJA_AST_H
#define PARE_TOKEN_JINJA_AST_H

#include "token/jinja_value.h"

enum pare_jtok_type {
    PARE_JT_EOF,
    PARE_JT_DATA,
    PARE_JT_VAR_BEGIN,
    PARE_JT_VAR_END,
    PARE_JT_BLOCK_BEGIN,
    PARE_JT_BLOCK_END,
    PARE_JT_NAME,
    PARE_JT_STRING,
    PARE_JT_INT,
    PARE_JT_FLOAT,
    PARE_JT_OP
};

enum pare_jop {
    PARE_JOP_NONE,
    PARE_JOP_ADD,
    PARE_JOP_SUB,
    PARE_JOP_MUL,
    PARE_JOP_DIV,
    PARE_JOP_FLOORDIV,
    PARE_JOP_MOD,
    PARE_JOP_POW,
    PARE_JOP_TILDE,
    PARE_JOP_LPAREN,
    PARE_JOP_RPAREN,
    PARE_JOP_LBRACKET,
    PARE_JOP_RBRACKET,
    PARE_JOP_LBRACE,
    PARE_JOP_RBRACE,
    PARE_JOP_EQ,
    PARE_JOP_NE,
    PARE_JOP_GT,
    PARE_JOP_GE,
    PARE_JOP_LT,
    PARE_JOP_LE,
    PARE_JOP_ASSIGN,
    PARE_JOP_DOT,
    PARE_JOP_COLON,
    PARE_JOP_PIPE,
    PARE_JOP_COMMA,
    PARE_JOP_SEMICOLON,
    PARE_JOP_IN,
    PARE_JOP_NOTIN
};

struct pare_jtok {
    uint8_t           type; /* enum pare_jtok_type */
    uint8_t           op;   /* enum pare_jop of an operator */
    uint32_t          line;
    struct pare_jstr *s;    /* DATA, NAME (interned), STRING */
    union {
        int64_t i;
        double  f;
    } num;
};

struct pare_jtokens {
    struct pare_jtok *t; /* the last one is PARE_JT_EOF */
    size_t            n, cap;
};

/* pare_jinja_lex splits a template into tokens, with white space around tags already removed. Sets J->err. */
void pare_jinja_lex(struct pare_jinja *J, const char *src, size_t n, struct pare_jtokens *out);

enum pare_jnode_kind {
    /* expressions */
    PARE_JN_CONST,   /* value */
    PARE_JN_NAME,    /* name; as a macro parameter: a = default or NULL */
    PARE_JN_NSREF,   /* name . value (string): target of set */
    PARE_JN_TUPLE,   /* list; also a target */
    PARE_JN_LIST,    /* list */
    PARE_JN_DICT,    /* list: key, value, key, value, ... */
    PARE_JN_GETATTR, /* a . name */
    PARE_JN_GETITEM, /* a [ b ] */
    PARE_JN_SLICE,   /* a : b : c, each may be NULL */
    PARE_JN_CALL,    /* a ( args ); args of CALL, FILTER, TEST: list, list2 = KEYWORD nodes, b = *args, c = **kwargs */
    PARE_JN_FILTER,  /* a | name ( args ); a is NULL at the start of a filter block */
    PARE_JN_TEST,    /* a is name ( args ) */
    PARE_JN_KEYWORD, /* name = a */
    PARE_JN_NOT,     /* a */
    PARE_JN_NEG,
    PARE_JN_POS,
    PARE_JN_CHAIN,   /* a ops[0] list[0] ops[1] list[1] ..., left to right, one precedence level */
    PARE_JN_COMPARE, /* the same, as a chain of comparisons */
    PARE_JN_CONCAT,  /* list joined by ~ */
    PARE_JN_AND,     /* list */
    PARE_JN_OR,      /* list */
    PARE_JN_COND,    /* b if a else c; c may be NULL */
    /* statements */
    PARE_JN_DATA,    /* value */
    PARE_JN_OUTPUT,  /* a */
    PARE_JN_FOR,     /* for a in b if c: list, else: list2; flag: recursive */
    PARE_JN_IF,      /* list of BRANCH */
    PARE_JN_BRANCH,  /* a (NULL: else): list */
    PARE_JN_SET,     /* a = b */
    PARE_JN_SETBLOCK,/* a = rendering of list through the filters b */
    PARE_JN_MACRO,   /* name ( list ): list2; flags PARE_JM_* */
    PARE_JN_CALLBLOCK,   /* a: the call, b: MACRO named caller */
    PARE_JN_FILTERBLOCK, /* b: filters, list */
    PARE_JN_WITH,    /* list: target, value, ...; list2: body */
    PARE_JN_SCOPE,   /* list: body with its own variables (generation, block) */
    PARE_JN_BREAK,
    PARE_JN_CONTINUE
};

/* What a macro's body mentions decides what it accepts. */
enum { PARE_JM_VARARGS = 1, PARE_JM_KWARGS = 2, PARE_JM_CALLER = 4, PARE_JM_EXPLICIT_CALLER = 8 };

struct pare_jnode {
    uint8_t             kind; /* enum pare_jnode_kind */
    uint8_t             flags;
    uint32_t            line;
    struct pare_jstr   *name;
    struct pare_jv      value;
    struct pare_jnode  *a, *b, *c;
    struct pare_jnode **list, **list2;
    uint8_t            *ops;
    uint32_t            n, n2, cap, cap2;
};

/* pare_jinja_parse returns the root, a SCOPE node, or NULL with J->err set. */
struct pare_jnode *pare_jinja_parse(struct pare_jinja *J, const struct pare_jtokens *tokens);

#endif
