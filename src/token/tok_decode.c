/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_decode.c: ids to text. The decoder steps of Hugging Face's tokenizers work on the list of all tokens; here each
 * token passes them alone, with what must be known of its neighbours (is it the first, is a space due) kept in the stream. */
#include <string.h>

#include "base/status.h"
#include "token/tok_impl.h"
#include "token/tok_unicode.h"

struct pare_detok {
    const struct pare_tokenizer *t;
    uint32_t                     flags;
    uint64_t                     count;     /* tokens that took part so far */
    uint32_t                     strip;     /* characters at the beginning of the text still to be stripped */
    bool                         stripping; /* the text has not begun */
    bool                         space_due; /* SUFFIX: a word ended; a space follows if anything does */
    struct pare_buf              a, b;      /* one token on its way through the steps */
    struct pare_buf              wait;      /* bytes not yet given out */
    struct pare_buf              out;       /* what push gave out last */
    struct pare_split_run       *run;
};

static bool swap(struct pare_detok *d)
{
    struct pare_buf x = d->a;
    d->a = d->b;
    d->b = x;
    d->b.len = 0;
    return !d->a.failed;
}

/* The byte alphabet back to bytes; a token with any other character stays as it is. */
static bool bytes(struct pare_detok *d)
{
    d->b.len = 0;
    for (size_t i = 0; i < d->a.len;) {
        uint32_t cp;
        uint8_t  byte;
        int      v;
        i += pare_utf8_next(d->a.data + i, d->a.len - i, &cp);
        if ((v = pare_cp_byte(cp)) < 0) return true;
        byte = (uint8_t)v;
        if (!pare_buf_add(&d->b, &byte, 1)) return false;
    }
    return swap(d);
}

static bool replace_all(struct pare_detok *d, const char *from, size_t nf, const char *to, size_t nt)
{
    size_t i = 0;

    if (nf == 0) return true;
    d->b.len = 0;
    while (i < d->a.len) {
        bool hit = d->a.len - i >= nf && memcmp(d->a.data + i, from, nf) == 0;
        if (!pare_buf_add(&d->b, hit ? to : (const char *)d->a.data + i, hit ? nt : 1)) return false;
        i += hit ? nf : 1;
    }
    return swap(d);
}

static bool wordpiece(struct pare_detok *d, const struct pare_dec *s)
{
    static const char *const clean[][2] = { { " .", "." }, { " ?", "?" }, { " !", "!" }, { " ,", "," }, { " ' ", "'" }, { " n't", "n't" },
        { " 'm", "'m" }, { " do not", " don't" }, { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" } };
    bool go_on = d->a.len >= s->len && s->len > 0 && memcmp(d->a.data, s->text, s->len) == 0;

    if (d->count > 0) {
        d->b.len = 0;
        if (!go_on && !pare_buf_add(&d->b, " ", 1)) return false;
        if (!pare_buf_add(&d->b, d->a.data + (go_on ? s->len : 0), d->a.len - (go_on ? s->len : 0)) || !swap(d)) return false;
    }
    for (size_t i = 0; s->flag && i < sizeof clean / sizeof clean[0]; i++)
        if (!replace_all(d, clean[i][0], strlen(clean[i][0]), clean[i][1], strlen(clean[i][1]))) return false;
    return true;
}

static bool metaspace(struct pare_detok *d, const struct pare_dec *s)
{
    return replace_all(d, s->text, s->len, " ", s->flag && d->count == 0 ? 0 : 1);
}

/* Before the tokens are one text, STRIP means each token; after FUSE, the whole text. */
static void strip_token(struct pare_detok *d, const struct pare_dec *s)
{
    size_t k;

    for (k = 0; k < s->start && d->a.len >= s->len && memcmp(d->a.data, s->text, s->len) == 0; k++) {
        memmove(d->a.data, d->a.data + s->len, d->a.len - s->len);
        d->a.len -= s->len;
    }
    for (k = 0; k < s->stop && d->a.len >= s->len && memcmp(d->a.data + d->a.len - s->len, s->text, s->len) == 0; k++) d->a.len -= s->len;
}

static void strip_begin(struct pare_detok *d, const struct pare_dec *s)
{
    size_t at = 0;

    while (d->stripping && d->a.len - at >= s->len && d->a.len > at) {
        if (d->strip == 0 || memcmp(d->a.data + at, s->text, s->len) != 0) {
            d->stripping = false;
            break;
        }
        d->strip--;
        at += s->len;
    }
    if (at < d->a.len) d->stripping = false;
    memmove(d->a.data, d->a.data + at, d->a.len - at);
    d->a.len -= at;
}

static bool suffix(struct pare_detok *d, const struct pare_dec *s)
{
    bool due = d->space_due;

    d->b.len = 0;
    d->space_due = false;
    if (due && !pare_buf_add(&d->b, " ", 1)) return false;
    for (size_t i = 0; i < d->a.len;) { /* a suffix inside of a token is a space too */
        bool hit = s->len > 0 && d->a.len - i >= s->len && memcmp(d->a.data + i, s->text, s->len) == 0;
        if (hit && i + s->len == d->a.len)
            d->space_due = true;
        else if (!pare_buf_add(&d->b, hit ? " " : (const char *)d->a.data + i, 1))
            return false;
        i += hit ? s->len : 1;
    }
    return swap(d);
}

static int replace_pattern(struct pare_detok *d, const struct pare_dec *s, struct pare_diag *diag)
{
    struct pare_norm n = { .kind = PARE_NORM_REPLACE, .pattern = s->pattern, .text = s->text, .len = s->len };

    d->b.len = 0;
    PARE_FORWARD(pare_norm_run(&n, &d->run, d->a.data, d->a.len, &d->b, diag));
    return swap(d) ? PARE_OK : PARE_NOMEM(diag);
}

/* One token through the steps into d->a. */
static int run_steps(struct pare_detok *d, const char *text, size_t len, struct pare_diag *diag)
{
    bool fused = false, ok = true;

    d->a.len = 0;
    if (!pare_buf_reserve(&d->a, 1) || !pare_buf_reserve(&d->b, 1) || !pare_buf_add(&d->a, text, len)) return PARE_NOMEM(diag);
    for (uint32_t i = 0; ok && i < d->t->n_dec; i++) {
        const struct pare_dec *s = &d->t->dec[i];
        int                    v;
        switch (s->kind) {
        case PARE_DEC_BYTES: ok = bytes(d); break;
        case PARE_DEC_METASPACE: ok = metaspace(d, s); break;
        case PARE_DEC_WORDPIECE: ok = wordpiece(d, s); break;
        case PARE_DEC_BYTE_FALLBACK:
            v = pare_tok_byte_text((const char *)d->a.data, d->a.len);
            if (v >= 0) {
                d->a.data[0] = (uint8_t)v;
                d->a.len = 1;
            }
            break;
        case PARE_DEC_FUSE: fused = true; break;
        case PARE_DEC_STRIP:
            if (fused)
                strip_begin(d, s);
            else
                strip_token(d, s);
            break;
        case PARE_DEC_REPLACE: PARE_FORWARD(replace_pattern(d, s, diag)); break;
        case PARE_DEC_SUFFIX: ok = suffix(d, s); break;
        }
    }
    return ok ? PARE_OK : PARE_NOMEM(diag);
}

static void rewind_stream(struct pare_detok *d)
{
    bool fused = false;

    d->count = 0;
    d->space_due = false;
    d->stripping = false;
    d->wait.len = 0;
    for (uint32_t i = 0; i < d->t->n_dec; i++) {
        if (d->t->dec[i].kind == PARE_DEC_FUSE) fused = true;
        if (d->t->dec[i].kind == PARE_DEC_STRIP && fused && d->t->dec[i].start > 0) {
            d->stripping = true;
            d->strip = d->t->dec[i].start;
        }
    }
}

static void stream_init(struct pare_detok *d, const struct pare_tokenizer *t, uint32_t flags)
{
    *d = (struct pare_detok){ .t = t, .flags = flags };
    d->a.max = d->b.max = d->wait.max = d->out.max = SIZE_MAX / 4;
    rewind_stream(d);
}

static void stream_free(struct pare_detok *d)
{
    pare_buf_free(&d->a);
    pare_buf_free(&d->b);
    pare_buf_free(&d->wait);
    pare_buf_free(&d->out);
    pare_split_run_free(&d->run);
}

static int token_bytes(struct pare_detok *d, int32_t id, struct pare_diag *diag)
{
    const struct pare_tokenizer *t = d->t;
    size_t                       len;
    const char                  *s;

    d->a.len = 0;
    PARE_FAIL_IF(diag, id < 0 || (uint32_t)id >= t->n_vocab, PARE_E_USAGE, "token id %d is outside of 0..%u", id, t->n_vocab - 1);
    if ((uint32_t)id >= t->n_text) return PARE_OK;
    if (t->type[id] == PARE_TOKEN_CONTROL && (d->flags & PARE_TOK_SKIP_SPECIAL) != 0) return PARE_OK;
    s = pare_symtab_text(&t->sym, (uint32_t)id, &len);
    PARE_FORWARD(run_steps(d, s, len, diag));
    d->count++;
    return PARE_OK;
}

int pare_tokenizer_decode_buf(const struct pare_tokenizer *t, const int32_t *ids, size_t n, uint32_t flags, struct pare_buf *out,
                              struct pare_diag *diag)
{
    struct pare_detok d;
    struct pare_buf  *to = out;
    int               rc = PARE_OK;

    stream_init(&d, t, flags);
    if ((flags & PARE_TOK_VALID_UTF8) != 0) to = &d.wait;
    for (size_t i = 0; rc == PARE_OK && i < n; i++) {
        rc = token_bytes(&d, ids[i], diag);
        if (rc == PARE_OK && !pare_buf_add(to, d.a.data, d.a.len)) rc = PARE_NOMEM(diag);
    }
    if (rc == PARE_OK && to != out && !pare_utf8_lossy(out, to->data, to->len)) rc = PARE_NOMEM(diag);
    stream_free(&d);
    return rc;
}

int pare_tokenizer_decode(const struct pare_tokenizer *t, const int32_t *ids, size_t n, uint32_t flags, char **text, size_t *len,
                          struct pare_diag *diag)
{
    struct pare_buf b = { .max = SIZE_MAX / 4 };
    int             rc = pare_tokenizer_decode_buf(t, ids, n, flags, &b, diag);

    *text = NULL;
    *len = b.len;
    if (rc == PARE_OK && (!pare_buf_reserve(&b, 1) || (*text = pare_buf_take(&b)) == NULL)) rc = PARE_NOMEM(diag);
    if (rc < 0) *len = 0;
    pare_buf_free(&b);
    return rc;
}

int pare_tokenizer_piece(const struct pare_tokenizer *t, int32_t id, bool special, struct pare_buf *out)
{
    struct pare_detok d;
    int               rc;

    stream_init(&d, t, special ? 0 : PARE_TOK_SKIP_SPECIAL);
    d.count = 1; /* as if something stood before it: a space that belongs to the token stays */
    d.stripping = false;
    rc = token_bytes(&d, id, NULL);
    if (rc == PARE_OK && !pare_buf_add(out, d.a.data, d.a.len)) rc = PARE_E_NOMEM;
    stream_free(&d);
    return rc;
}

int pare_detok_create(struct pare_detok **out, const struct pare_tokenizer *t, uint32_t flags, struct pare_diag *diag)
{
    *out = pare_malloc(sizeof **out);
    if (*out == NULL) return PARE_NOMEM(diag);
    stream_init(*out, t, flags);
    return PARE_OK;
}

void pare_detok_destroy(struct pare_detok **d)
{
    if (d == NULL || *d == NULL) return;
    stream_free(*d);
    pare_free(*d);
    *d = NULL;
}

/* Gives out all of wait but the last `keep` bytes. */
static int give(struct pare_detok *d, size_t keep, const char **text, size_t *len, struct pare_diag *diag)
{
    size_t n = d->wait.len - keep;

    d->out.len = 0;
    *text = "";
    *len = 0;
    if (n == 0) return PARE_OK;
    if (!pare_utf8_lossy(&d->out, d->wait.data, n) || pare_buf_cstr(&d->out) == NULL) return PARE_NOMEM(diag);
    memmove(d->wait.data, d->wait.data + n, keep);
    d->wait.len = keep;
    *text = (const char *)d->out.data;
    *len = d->out.len;
    return PARE_OK;
}

int pare_detok_push(struct pare_detok *d, int32_t id, const char **text, size_t *len, struct pare_diag *diag)
{
    *text = "";
    *len = 0;
    PARE_FORWARD(token_bytes(d, id, diag));
    if (!pare_buf_add(&d->wait, d->a.data, d->a.len)) return PARE_NOMEM(diag);
    return give(d, pare_utf8_tail(d->wait.data, d->wait.len), text, len, diag);
}

int pare_detok_finish(struct pare_detok *d, const char **text, size_t *len, struct pare_diag *diag)
{
    int rc = give(d, 0, text, len, diag);

    rewind_stream(d);
    return rc;
}
