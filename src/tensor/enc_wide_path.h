/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_wide_path.h: the best path through a trellis code (Viterbi's algorithm); the middle of enc_wide_recipe.h.
 *
 * With K bits a code there are 2^(12-K) histories and 2^K states to each. A step adds to the cost of every history the error of each
 * newest code; then the 2^K states that leave the same history, which differ in their oldest code only, are compared. That oldest code
 * stands in the lowest bits of the cost itself, so the minimum says which one won, and where costs are equal the lowest code wins.
 * lint: included in the middle */

#define PATH_BITS 12

/* Loops of constant length around one vector operation each. */
#define PATH_UNROLL _Pragma("GCC unroll 16")

/* cost[c][u] of the states of history u and newest code c, from the cost of the history. */
V16 void path_step(float *cost, const float *history, const float *value, float y, float w, int k)
{
    const int codes = 1 << k, n = 1 << (PATH_BITS - k), same = n >> k;
    const v16 yv = v_set1(y), wv = v_set1(w);

    for (int oldest = 0; oldest < codes; oldest++)
        for (int u = oldest * same; u < (oldest + 1) * same; u += 16) {
            const v16 before = v_load(history + u);

            PATH_UNROLL
            for (int c = 0; c < codes; c++) {
                const v16 r = v_sub(yv, v_load(value + c * n + u));

                v_store(cost + c * n + u, v_tag(v_add(before, v_mul(v_mul(r, r), wv)), codes - 1, oldest));
            }
        }
}

/* Bits of a note in the trace, notes in a word of 32, words of sixteen lanes a step. */
V16 int path_note(int k) { return k == 3 ? 4 : k; }
V16 int path_words(int k) { return (1 << (PATH_BITS - k)) / 16 * path_note(k) / 32; }

/* The least cost of each history, and in the trace the oldest code that it came from. */
V16 void path_choose(float *history, float *trace, const float *cost, int k)
{
    const int codes = 1 << k, n = 1 << (PATH_BITS - k), same = n >> k, note = path_note(k), per = 32 / note;
    v16 notes = v_set1(0.0f);

    for (int v = 0; v < same; v += 16) {
        v16 m[16], z[16];

        PATH_UNROLL
        for (int c = 0; c < codes; c++) {
            const int at = v / 16 * codes + c;

            m[c] = v_load(cost + c * n + v);
            for (int p = 1; p < codes; p++) m[c] = v_min(v_load(cost + c * n + p * same + v), m[c]);
            notes = v_push(notes, m[c], note, codes - 1);
            if (at % per == per - 1) v_store(trace + at / per * 16, notes);
        }
        /* histories of the next step are v << k | c: columns of m, one after the other */
        PATH_UNROLL
        for (int round = 0; round < k; round++) {
            PATH_UNROLL
            for (int i = 0; i < codes / 2; i++) z[2 * i] = v_zip_lo(m[i], m[i + codes / 2]), z[2 * i + 1] = v_zip_hi(m[i], m[i + codes / 2]);
            PATH_UNROLL
            for (int i = 0; i < codes; i++) m[i] = z[i];
        }
        PATH_UNROLL
        for (int i = 0; i < codes; i++) v_store(history + v * codes + 16 * i, m[i]);
    }
}

/* The oldest code that history u came from. */
static int path_oldest(const float *trace, int u, int k)
{
    const int codes = 1 << k, v = u >> k, at = v / 16 * codes + (u & (codes - 1)), note = path_note(k), per = 32 / note;
    uint32_t word;

    memcpy(&word, trace + at / per * 16 + v % 16, sizeof word);
    return (int)(word >> (per - 1 - at % per) * note & (uint32_t)(codes - 1));
}

/* Costs stay small, so that what is added to them keeps its bits, and above 0. */
V16 void path_lower(float *history, int n)
{
    float lanes[16], least;
    v16 m = v_load(history);

    for (int u = 16; u < n; u += 16) m = v_min(v_load(history + u), m);
    v_store(lanes, m);
    least = lanes[0];
    for (int i = 1; i < 16; i++) least = lanes[i] < least ? lanes[i] : least;
    for (int u = 0; u < n; u += 16) v_store(history + u, v_add(v_sub(v_load(history + u), v_set1(least)), v_set1(1.0f)));
}

/* The state of least cost at the end, among those whose newest codes are the history `to`. */
static int path_end(const float *cost, int to, int k)
{
    const int codes = 1 << k, n = 1 << (PATH_BITS - k);
    int best = -1;
    float least = 0.0f;

    for (int s = 0; s < 1 << PATH_BITS; s++) {
        const float c = cost[(s & (codes - 1)) * n + (s >> k)];

        if (to >= 0 && (s & (n - 1)) != to) continue;
        if (best < 0 || c < least) best = s, least = c;
    }
    return best;
}

V16 void path_of(struct pare_enc_path *j, int k)
{
    const int n = 1 << (PATH_BITS - k), words = path_words(k);
    _Alignas(64) float cost[1 << PATH_BITS], history[1 << (PATH_BITS - 2)], trace[PARE_ENC_PATH * 4 * 16];
    int state;

    for (int u = 0; u < n; u++) history[u] = j->from < 0 || j->from == u ? 1.0f : 1e30f;
    for (int i = 0; i < j->n; i++) {
        if (i > 0) path_choose(history, trace + i * words * 16, cost, k);
        if (i % 16 == 15) path_lower(history, n);
        path_step(cost, history, j->value, j->y[i], j->w[i], k);
    }
    state = path_end(cost, j->to, k);
    for (int i = j->n - 1; i >= 0; i--) {
        j->code[i] = (uint8_t)(state & ((1 << k) - 1));
        state >>= k;
        if (i > 0) state |= path_oldest(trace + i * words * 16, state, k) << (PATH_BITS - k);
    }
}

static void path2(struct pare_enc_path *j) { path_of(j, 2); }
static void path3(struct pare_enc_path *j) { path_of(j, 3); }
static void path4(struct pare_enc_path *j) { path_of(j, 4); }
static void path(struct pare_enc_path *j) { (j->bits == 2 ? path2 : j->bits == 3 ? path3 : path4)(j); }
