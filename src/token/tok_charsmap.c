/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_charsmap.c: SentencePiece's precompiled character map: a double-array trie (Darts-clone layout) of texts to be
 * replaced, then their replacements, zero-terminated. Layout: u32 bytes of the trie, trie, texts. Every index is checked: the
 * map is part of a model file. */
#include <string.h>
#include <utf8proc.h>

#include "base/checked.h"
#include "token/tok_impl.h"
#include "token/tok_unicode.h"

bool pare_charsmap_valid(const char *map, size_t len)
{
    uint32_t trie;

    if (len < 8) return false;
    trie = pare_le32(map);
    return trie >= 4 && trie % 4 == 0 && trie < len - 4 && map[len - 1] == '\0';
}

struct cm {
    const uint8_t *trie;
    uint32_t       units;
    const char    *text;
    size_t         text_len;
};

static bool unit(const struct cm *m, uint32_t i, uint32_t *u)
{
    if (i >= m->units) return false;
    *u = pare_le32(m->trie + 4 * (size_t)i);
    return true;
}

static uint32_t offset_of(uint32_t u) { return (u >> 10) << ((u & (1u << 9)) >> 6); }

/* Texts of the trie that begin at s: the shortest or the longest. Returns the replacement or NULL; *len: bytes matched. */
static const char *lookup(const struct cm *m, const uint8_t *s, size_t n, bool longest, size_t *len)
{
    uint32_t    node = 0, u, v;
    const char *best = NULL;

    if (!unit(m, 0, &u)) return NULL;
    node ^= offset_of(u);
    for (size_t i = 0; i < n && s[i] != 0; i++) {
        node ^= s[i];
        if (!unit(m, node, &u) || (u & 0x800000FFu) != s[i]) break;
        node ^= offset_of(u);
        if ((u >> 8 & 1) == 0) continue;
        if (!unit(m, node, &v)) break;
        v &= 0x7FFFFFFFu;
        if (v >= m->text_len) continue;
        best = m->text + v;
        *len = i + 1;
        if (!longest) break;
    }
    return best;
}

static size_t grapheme(const uint8_t *s, size_t n)
{
    uint32_t           a, b;
    size_t             i = pare_utf8_next(s, n, &a);
    utf8proc_int32_t   state = 0;

    while (i < n) {
        unsigned len = pare_utf8_next(s + i, n - i, &b);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)a, (utf8proc_int32_t)b, &state)) break;
        i += len;
        a = b;
    }
    return i;
}

/* Hugging Face maps a whole grapheme of up to 5 bytes by the shortest text that begins it, else character by character.
 * SentencePiece itself maps the longest text at each place. */
bool pare_charsmap_run(struct pare_buf *out, const char *map, size_t map_len, bool longest, const uint8_t *s, size_t n)
{
    uint32_t  trie = pare_le32(map);
    struct cm m = { (const uint8_t *)map + 4, trie / 4, map + 4 + trie, map_len - 4 - trie };

    for (size_t i = 0; i < n;) {
        size_t      g = longest ? n - i : grapheme(s + i, n - i), len = 0;
        const char *r = NULL;
        uint32_t    cp;
        if (longest || g < 6) r = lookup(&m, s + i, g, longest, &len);
        if (r != NULL) {
            if (!pare_buf_str(out, r)) return false;
            i += longest ? len : g;
            continue;
        }
        for (size_t end = longest ? i + pare_utf8_next(s + i, n - i, &cp) : i + g; i < end;) {
            unsigned k = pare_utf8_next(s + i, end - i, &cp);
            r = longest ? NULL : lookup(&m, s + i, k, false, &len);
            if (r != NULL ? !pare_buf_str(out, r) : !pare_buf_add(out, s + i, k)) return false;
            i += k;
        }
    }
    return true;
}
