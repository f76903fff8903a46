/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_value.h: the values of a rendering and the state they live in. Values follow Python's data model where a
 * template can see it: strings are indexed by code point, dictionaries keep insertion order, True equals 1.
 *
 * Errors are sticky: the first failure sets J->err and the diagnosis, and everything after it returns undefined quickly. So
 * functions return values, not codes, and callers look at J->err where they loop or write. Everything lives in one bounded pool
 * that is released at once; nothing here is freed alone. */
#ifndef PARE_TOKEN_JINJA_VALUE_H
#define PARE_TOKEN_JINJA_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "token/jinja.h"

enum pare_jv_type {
    PARE_JV_ABSENT, /* an argument that was not given; never seen by a template */
    PARE_JV_UNDEF,
    PARE_JV_NONE,
    PARE_JV_BOOL,
    PARE_JV_INT,
    PARE_JV_FLOAT,
    PARE_JV_STR,
    PARE_JV_LIST,
    PARE_JV_TUPLE,
    PARE_JV_DICT,
    PARE_JV_RANGE,
    PARE_JV_VIEW,   /* dict.keys(), .values(), .items() */
    PARE_JV_GEN,    /* what select, map, ... return: read once */
    PARE_JV_NS,     /* namespace() */
    PARE_JV_MACRO,
    PARE_JV_FUNC,   /* a global function */
    PARE_JV_METHOD, /* a method bound to its object */
    PARE_JV_LOOP,
    PARE_JV_CYCLER,
    PARE_JV_JOINER
};

/* Why a value is undefined; decides the text of the error when it is used. */
enum pare_jv_undef { PARE_JU_NAME, PARE_JU_ATTR, PARE_JU_ITEM, PARE_JU_HINT, PARE_JU_METHOD };
enum pare_jv_view { PARE_JVIEW_KEYS, PARE_JVIEW_VALUES, PARE_JVIEW_ITEMS };

/* A buffer that the newest string built on it may extend in place: s = s + x in a loop stays linear. */
struct pare_jbuf {
    size_t used, cap;
    char   data[];
};

struct pare_jstr {
    const char       *p;     /* UTF-8, valid, not terminated; lives in the pool, the template or the context */
    size_t            n;     /* bytes */
    size_t            chars; /* code points; == n for ASCII */
    struct pare_jbuf *buf;   /* NULL, or the buffer p points into */
    uint64_t          hash;  /* 0: not computed */
    bool              safe;  /* marked by "safe" or "escape": + and % escape what they add */
};

struct pare_jv {
    uint8_t  type;  /* enum pare_jv_type */
    uint8_t  sub;   /* UNDEF: enum pare_jv_undef; VIEW: enum pare_jv_view; TUPLE: 1 for a group of groupby */
    uint16_t owner; /* UNDEF: type of the object that lacked it */
    union {
        bool                     b;
        int64_t                  i;
        double                   f;
        struct pare_jstr        *s; /* STR, UNDEF */
        struct pare_jlist       *l; /* LIST, TUPLE */
        struct pare_jdict       *d; /* DICT, VIEW, NS */
        struct pare_jrange      *r;
        struct pare_jgen        *g;
        struct pare_jmacro      *m;
        struct pare_jmethod     *bound; /* METHOD, UNDEF with PARE_JU_METHOD */
        struct pare_jloop       *loop;
        struct pare_jcycler     *cycler;
        struct pare_jjoiner     *joiner;
        const struct pare_jfunc *fn;
        const void              *p;
    } u;
};

struct pare_jlist {
    struct pare_jv *v;
    size_t          n, cap;
};
struct pare_jentry {
    struct pare_jv key, val; /* key.type PARE_JV_ABSENT: removed */
    uint64_t       hash;
};
struct pare_jdict {
    struct pare_jentry *e;
    uint32_t            n, cap, live; /* slots used, room, entries present */
    uint32_t           *index;        /* slot + 1 by hash, NULL while small */
    uint32_t            index_cap;
};
struct pare_jrange {
    int64_t start, stop, step, n;
};
struct pare_jgen {
    struct pare_jlist *l;
    size_t             pos;
};
struct pare_jmethod {
    struct pare_jv                 self;
    const struct pare_jmethod_row *row;
};
struct pare_jcycler {
    struct pare_jlist *l;
    size_t             pos;
};
struct pare_jjoiner {
    struct pare_jstr *sep;
    bool              used;
};

/* A scope: variables of a block. Macros keep the scope they were defined in alive, so scopes live in the pool. */
struct pare_jvar {
    const struct pare_jstr *name; /* interned: compared by address */
    struct pare_jv          val;
};
struct pare_jscope {
    struct pare_jscope *up;
    struct pare_jvar   *vars;
    uint32_t            n, cap;
    bool                captured; /* a macro refers to it: may not be reused for the next loop turn */
};

struct pare_jnode;

struct pare_jinja {
    struct pare_diag      *diag;
    int                    err;       /* sticky: enum pare_error */
    uint32_t               line;      /* of the source, for errors */
    struct pare_jchunk    *chunks;    /* the pool */
    size_t                 pool_used; /* bytes taken from the system */
    size_t                 captured;  /* bytes in output buffers */
    uint64_t               work;
    uint32_t               steps, depth, macros;
    struct pare_jdict     *names;     /* interned names */
    struct pare_jdict     *context;   /* variables given by the caller */
    struct pare_jscope    *scope;
    struct pare_buf       *out;       /* where output goes now */
    struct pare_jinja_date date;
};

/* Arguments of a call. */
struct pare_jkw {
    struct pare_jstr *name;
    struct pare_jv    val;
};
struct pare_jargs {
    struct pare_jv  *v;
    size_t           n;
    struct pare_jkw *kw;
    size_t           nkw;
};

/* ---- jinja_pool.c: memory, bounds, errors */

int   pare_jinja_fail(struct pare_jinja *J, int code, const char *fmt, ...) PARE_PRINTF(3, 4);
void *pare_jinja_alloc(struct pare_jinja *J, size_t n); /* zeroed, aligned to 16; NULL after setting J->err */
void *pare_jinja_grow(struct pare_jinja *J, const void *old, size_t used, size_t want, size_t size, size_t *cap);
void  pare_jinja_pool_free(struct pare_jinja *J);
bool  pare_jinja_work(struct pare_jinja *J, size_t n); /* false when the bound is reached or an error stands */
bool  pare_jinja_enter(struct pare_jinja *J);          /* one level deeper; pair with pare_jinja_leave when true */
void  pare_jinja_leave(struct pare_jinja *J);
void  pare_jinja_emit(struct pare_jinja *J, const char *p, size_t n);
struct pare_jv pare_jinja_undefined_error(struct pare_jinja *J, struct pare_jv v); /* the error of using v */

/* ---- jinja_value.c: making and taking apart */

struct pare_jv    pare_jv_undef(void);
struct pare_jv    pare_jv_undef_hint(struct pare_jinja *J, const char *hint);
struct pare_jv    pare_jv_none(void);
struct pare_jv    pare_jv_bool(bool b);
struct pare_jv    pare_jv_int(int64_t i);
struct pare_jv    pare_jv_float(double f);
struct pare_jstr *pare_jstr_ref(struct pare_jinja *J, const char *p, size_t n);  /* refers to p, which must outlive J */
struct pare_jstr *pare_jstr_copy(struct pare_jinja *J, const char *p, size_t n);
struct pare_jv    pare_jv_str(struct pare_jstr *s);
struct pare_jv    pare_jv_ref(struct pare_jinja *J, const char *p, size_t n);
struct pare_jv    pare_jv_copy(struct pare_jinja *J, const char *p, size_t n);
struct pare_jv    pare_jv_lit(struct pare_jinja *J, const char *literal);
/* Takes the content of b into the pool and frees b. */
struct pare_jv    pare_jv_take(struct pare_jinja *J, struct pare_buf *b);
struct pare_jlist *pare_jlist_new(struct pare_jinja *J, size_t room);
void               pare_jlist_add(struct pare_jinja *J, struct pare_jlist *l, struct pare_jv v);
struct pare_jv     pare_jv_list(struct pare_jlist *l);
struct pare_jv     pare_jv_tuple(struct pare_jlist *l);
struct pare_jv     pare_jv_pair(struct pare_jinja *J, struct pare_jv a, struct pare_jv b);
struct pare_jv     pare_jv_gen(struct pare_jinja *J, struct pare_jlist *l);
struct pare_jv     pare_jv_range(struct pare_jinja *J, int64_t start, int64_t stop, int64_t step);
struct pare_jstr  *pare_jinja_intern(struct pare_jinja *J, const char *p, size_t n);
/* From JSON; strings are borrowed from j, which must outlive the rendering. */
struct pare_jv     pare_jv_import(struct pare_jinja *J, const json_t *j);
bool               pare_jstr_is(const struct pare_jstr *s, const char *literal);

/* ---- jinja_dict.c */

struct pare_jdict  *pare_jdict_new(struct pare_jinja *J);
struct pare_jv      pare_jv_dict(struct pare_jdict *d);
struct pare_jentry *pare_jdict_find(struct pare_jinja *J, const struct pare_jdict *d, struct pare_jv key);
struct pare_jentry *pare_jdict_find_str(struct pare_jinja *J, const struct pare_jdict *d, struct pare_jstr *key);
void                pare_jdict_set(struct pare_jinja *J, struct pare_jdict *d, struct pare_jv key, struct pare_jv val);
void                pare_jdict_set_str(struct pare_jinja *J, struct pare_jdict *d, struct pare_jstr *key, struct pare_jv val);
void                pare_jdict_remove(struct pare_jdict *d, struct pare_jentry *e);
uint64_t            pare_jv_hash(struct pare_jinja *J, struct pare_jv v);
uint64_t            pare_jstr_hash(struct pare_jstr *s);

/* ---- jinja_compare.c */

const char *pare_jv_typename(struct pare_jv v); /* as Python says it */
bool        pare_jv_truth(struct pare_jinja *J, struct pare_jv v);
bool        pare_jv_eq(struct pare_jinja *J, struct pare_jv a, struct pare_jv b);
bool        pare_jstr_eq(const struct pare_jstr *a, const struct pare_jstr *b);
/* -1, 0, 1, or 2 for unordered (NaN); op is only for the error text. */
int         pare_jv_cmp(struct pare_jinja *J, struct pare_jv a, struct pare_jv b, const char *op);
bool        pare_jv_contains(struct pare_jinja *J, struct pare_jv seq, struct pare_jv x);
bool        pare_jv_is_number(struct pare_jv v); /* bool, int, float */
bool        pare_jv_as_int(struct pare_jv v, int64_t *out); /* bool and int */
double      pare_jv_as_double(struct pare_jv v);
/* Number of elements, or -1 when the type has none. */
int64_t     pare_jv_len(struct pare_jv v);
bool        pare_jv_iterable(struct pare_jv v);

/* One pass over anything iterable; a type error sets J->err. Reading a generator uses it up. */
struct pare_jiter {
    struct pare_jv          *v;
    const struct pare_jrange *r;
    const struct pare_jstr   *s;
    size_t                   i, n, at;
};
bool               pare_jv_iter(struct pare_jinja *J, struct pare_jv v, struct pare_jiter *it);
bool               pare_jiter_next(struct pare_jinja *J, struct pare_jiter *it, struct pare_jv *out);
struct pare_jlist *pare_jv_tolist(struct pare_jinja *J, struct pare_jv v); /* a fresh list */

/* ---- jinja_repr.c */

void              pare_jv_write_str(struct pare_jinja *J, struct pare_buf *b, struct pare_jv v);  /* str() */
void              pare_jv_write_repr(struct pare_jinja *J, struct pare_buf *b, struct pare_jv v); /* repr() */
struct pare_jstr *pare_jv_tostr(struct pare_jinja *J, struct pare_jv v);
struct pare_jstr *pare_jv_torepr(struct pare_jinja *J, struct pare_jv v);
void              pare_jinja_float_repr(double f, char out[40]);
struct pare_buf   pare_jinja_buf(void); /* an empty buffer with the bound of a value */
void              pare_jinja_buf_add(struct pare_jinja *J, struct pare_buf *b, const void *p, size_t n);

struct pare_json_style {
    const char *indent; /* NULL: one line */
    size_t      indent_n;
    const char *item_sep, *key_sep;
    size_t      item_sep_n, key_sep_n;
    bool        ascii, sort;
};
struct pare_jv pare_jinja_tojson(struct pare_jinja *J, struct pare_jv v, const struct pare_json_style *style);

#endif
