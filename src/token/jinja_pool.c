/* SPDX-License-Identifier: Apache-2.0
 * src/token/jinja_pool.c: the pool of a rendering, its bounds, and how errors are raised. */
#include "token/jinja_value.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

#define CHUNK ((size_t)64 << 10)

struct pare_jchunk {
    struct pare_jchunk *next;
    size_t              used, size; /* of data */
    _Alignas(16) char   data[];
};

int pare_jinja_fail(struct pare_jinja *J, int code, const char *fmt, ...)
{
    char    text[320];
    va_list ap;

    if (J->err != 0) return J->err;
    J->err = code;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p != '\0'; p++)
        if (*p == '\n' || *p == '\r') *p = ' '; /* a diagnosis is one line, a template's own message need not be */
    pare_diag_where(J->diag, "chat template");
    (void)PARE_ERR(J->diag, code, "line %u: %s", (unsigned)J->line, text);
    return code;
}

void *pare_jinja_alloc(struct pare_jinja *J, size_t n)
{
    struct pare_jchunk *c = J->chunks;
    size_t              size;
    void               *p;

    if (n > PARE_JINJA_MAX_POOL) n = PARE_JINJA_MAX_POOL + 1; /* keeps the sums below from wrapping */
    n = (n + 15) & ~(size_t)15;
    if (c == NULL || n > c->size - c->used) {
        size = n > CHUNK / 4 ? n : CHUNK;
        if (size > PARE_JINJA_MAX_POOL - J->pool_used) {
            pare_jinja_fail(J, PARE_E_LIMIT, "the template needs more than %zu MiB of memory", PARE_JINJA_MAX_POOL >> 20);
            return NULL;
        }
        c = pare_malloc(sizeof *c + size);
        if (c == NULL) {
            pare_jinja_fail(J, PARE_E_NOMEM, "out of memory");
            return NULL;
        }
        c->used = 0;
        c->size = size;
        J->pool_used += size;
        /* A large block goes behind the current chunk, which still has room for small ones. */
        if (size != CHUNK && J->chunks != NULL) {
            c->next = J->chunks->next;
            J->chunks->next = c;
        } else {
            c->next = J->chunks;
            J->chunks = c;
        }
    }
    p = c->data + c->used;
    c->used += n;
    return memset(p, 0, n);
}

void *pare_jinja_grow(struct pare_jinja *J, const void *old, size_t used, size_t want, size_t size, size_t *cap)
{
    size_t room = *cap < 4 ? 4 : *cap * 2;
    void  *p;

    if (want > PARE_JINJA_MAX_POOL) want = PARE_JINJA_MAX_POOL;
    if (room < want) room = want;
    p = pare_jinja_alloc(J, room * size);
    if (p == NULL) return NULL;
    if (used > 0) memcpy(p, old, used * size);
    *cap = room;
    return p;
}

void pare_jinja_pool_free(struct pare_jinja *J)
{
    struct pare_jchunk *c = J->chunks, *next;

    for (; c != NULL; c = next) {
        next = c->next;
        pare_free(c);
    }
    J->chunks = NULL;
}

bool pare_jinja_work(struct pare_jinja *J, size_t n)
{
    if (J->err != 0) return false;
    J->work += n;
    if (J->work <= PARE_JINJA_MAX_WORK) return true;
    pare_jinja_fail(J, PARE_E_LIMIT, "the template takes more than %u operations", PARE_JINJA_MAX_WORK);
    return false;
}

bool pare_jinja_enter(struct pare_jinja *J)
{
    if (!pare_jinja_work(J, 1)) return false;
    if (J->depth >= PARE_JINJA_MAX_DEPTH) {
        pare_jinja_fail(J, PARE_E_LIMIT, "evaluation nests deeper than %u", PARE_JINJA_MAX_DEPTH);
        return false;
    }
    J->depth++;
    return true;
}

void pare_jinja_leave(struct pare_jinja *J) { J->depth--; }

void pare_jinja_emit(struct pare_jinja *J, const char *p, size_t n)
{
    if (!pare_jinja_work(J, n / 64) || n == 0) return;
    if (n > PARE_JINJA_MAX_OUTPUT - J->out->len || n > PARE_JINJA_MAX_POOL - J->captured) {
        pare_jinja_fail(J, PARE_E_LIMIT, "the output exceeds %zu MiB", PARE_JINJA_MAX_OUTPUT >> 20);
        return;
    }
    J->captured += n;
    if (!pare_buf_add(J->out, p, n)) pare_jinja_fail(J, PARE_E_NOMEM, "out of memory");
}

struct pare_jv pare_jinja_undefined_error(struct pare_jinja *J, struct pare_jv v)
{
    struct pare_jv owner = { .type = (uint8_t)v.owner };
    int            n = v.u.s == NULL || v.sub == PARE_JU_METHOD ? 0 : v.u.s->n > 200 ? 200 : (int)v.u.s->n;
    const char    *p = n == 0 ? "" : v.u.s->p;

    switch (v.sub) {
    case PARE_JU_ATTR:
        if (v.owner == PARE_JV_UNDEF) owner.type = PARE_JV_NONE;
        pare_jinja_fail(J, PARE_E_CORRUPT, "'%s object' has no attribute '%.*s'", pare_jv_typename(owner), n, p);
        break;
    case PARE_JU_ITEM:
        pare_jinja_fail(J, PARE_E_CORRUPT, "%s object has no element %.*s", pare_jv_typename(owner), n, p);
        break;
    case PARE_JU_HINT: pare_jinja_fail(J, PARE_E_CORRUPT, "%.*s", n, p); break;
    case PARE_JU_METHOD: pare_jinja_fail(J, PARE_E_CORRUPT, "a method that changes its object can only be called"); break;
    default: pare_jinja_fail(J, PARE_E_CORRUPT, "'%.*s' is undefined", n, p); break;
    }
    return pare_jv_undef();
}
