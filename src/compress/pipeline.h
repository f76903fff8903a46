/* SPDX-License-Identifier: Apache-2.0
 * src/compress/pipeline.h: how long a batch takes in two groups of threads, one that multiplies matrices and one that attends, when it
 * is cut into sub-batches that alternate (NeuPIMs, Heo et al., ASPLOS 2024: there the second group is memory that computes). Only the
 * prediction: measured rates of both parts in, seconds out. */
#ifndef PARE_COMPRESS_PIPELINE_H
#define PARE_COMPRESS_PIPELINE_H

#include <stdint.h>

#define PARE_PIPE_MOST 16
struct pare_pipe {
    uint32_t layers;
    uint32_t parts;                    /* sub-batches, 1..PARE_PIPE_MOST; 1: nothing overlaps */
    double   gemm_s[PARE_PIPE_MOST];   /* seconds of one layer's matrices for each sub-batch, on its group of threads */
    double   attend_s[PARE_PIPE_MOST]; /* seconds of one layer's attention */
    double   hand_s;                   /* of handing a sub-batch over, each time */
};
struct pare_pipe_time {
    double seconds;                    /* of one step of the whole batch */
    double gemm_busy, attend_busy;     /* shares of it that each group works */
};
/* A sub-batch goes through gemm, attention, gemm, ... layer by layer, and each group takes what came first. parts 1 and hand 0 is the
 * plain sum, exactly. */
struct pare_pipe_time pare_pipe_predict(const struct pare_pipe *p);

#endif
