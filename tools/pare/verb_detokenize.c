/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "out.h"

/* Standard input holds one list a line; together they are one text. */
static int read_ids(struct pare_ids *ids)
{
    char   *data, origin[48];
    size_t  n, line = 0;
    int     rc = pare_cli_read("-", &data, &n);

    if (rc != 0) return rc;
    if (strlen(data) != n) rc = pare_cli_usage(NULL, "standard input: a zero byte among the token ids");
    for (char *p = data, *end; rc == 0 && p != NULL; p = end) {
        end = strchr(p, '\n');
        if (end != NULL) *end++ = '\0';
        snprintf(origin, sizeof origin, "standard input, line %zu", ++line);
        rc = pare_cli_ids(p, origin, ids);
    }
    free(data);
    return rc;
}

int pare_verb_detokenize(const struct pare_cli *c)
{
    struct pare_tokenizer *tok = NULL;
    struct pare_ids        ids = { 0 };
    struct pare_diag       diag = { 0 };
    const char            *list = PARE_TEXT(c, ids);
    /* JSON can hold nothing but valid UTF-8; plain output gives the bytes as they are. */
    uint32_t flags = (PARE_FLAG(c, skip_special) ? PARE_TOK_SKIP_SPECIAL : 0) | (PARE_FLAG(c, json) ? PARE_TOK_VALID_UTF8 : 0);
    char    *text = NULL;
    size_t   n = 0;
    int      rc;

    if (list == NULL) return pare_cli_usage(c->verb->name, "--ids is missing: the token ids, as in --ids 1,2,3");
    rc = strcmp(list, "-") == 0 ? read_ids(&ids) : pare_cli_ids(list, "--ids", &ids);
    if (rc == 0 && pare_tokenizer_open(&tok, c->arg[0], &diag) < 0) rc = pare_cli_fail(c, &diag);
    if (rc == 0 && pare_tokenizer_decode(tok, ids.ids, ids.n, flags, &text, &n, &diag) < 0) rc = pare_cli_fail(c, &diag);
    if (rc == 0 && PARE_FLAG(c, json)) {
        rc = pare_cli_json_value(json_pack("{s:s%}", "text", text, n));
    } else if (rc == 0) {
        fwrite(text, 1, n, stdout);
        rc = pare_cli_flush();
    }
    pare_free(text);
    pare_tokenizer_close(&tok);
    free(ids.ids);
    return rc;
}
