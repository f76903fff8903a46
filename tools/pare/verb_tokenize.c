/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "input.h"
#include "out.h"

static void print_ids(const struct pare_ids *ids)
{
    for (size_t i = 0; i < ids->n; i++) printf("%s%d", i > 0 ? "," : "", ids->ids[i]);
    putchar('\n');
}

/* With -v each id beside its piece, on standard error: what stands on standard output stays a list of ids. */
static void print_pieces(const struct pare_tokenizer *tok, const struct pare_ids *ids)
{
    json_t *doc = pare_cli_parse_json(pare_tokenizer_json(tok, ids->ids, ids->n)), *piece;
    size_t  i;
    char    buf[256];

    json_array_foreach(json_object_get(doc, "pieces"), i, piece)
        fprintf(stderr, "%8d  %s\n", ids->ids[i], pare_cli_clean(json_string_value(piece), 0, buf, sizeof buf));
    json_decref(doc);
}

int pare_verb_tokenize(const struct pare_cli *c)
{
    struct pare_tokenizer *tok = NULL;
    struct pare_ids        ids = { 0 };
    struct pare_diag       diag = { 0 };
    uint32_t               flags = (PARE_FLAG(c, no_bos) ? 0 : PARE_TOK_ADD_BOS) | (PARE_FLAG(c, special) ? PARE_TOK_PARSE_SPECIAL : 0);
    char                  *text = NULL;
    size_t                 n;
    int                    rc;

    rc = pare_cli_prompt(c, NULL, &text, &n);
    if (rc == 0 && pare_tokenizer_open(&tok, c->arg[0], &diag) < 0) rc = pare_cli_fail(c, &diag);
    if (rc == 0 && pare_tokenizer_warning(tok) != NULL) pare_cli_note(c, "pare: %s", pare_tokenizer_warning(tok));
    if (rc == 0 && pare_tokenizer_encode(tok, text, n, flags, &ids, &diag) < 0) rc = pare_cli_fail(c, &diag);
    if (rc == 0 && PARE_FLAG(c, json)) {
        rc = pare_cli_json(pare_tokenizer_json(tok, ids.ids, ids.n));
    } else if (rc == 0) {
        if (PARE_FLAG(c, verbose)) print_pieces(tok, &ids);
        print_ids(&ids);
        rc = pare_cli_flush();
    }
    pare_ids_free(&ids);
    pare_tokenizer_close(&tok);
    free(text);
    return rc;
}
