# SPDX-License-Identifier: Apache-2.0
# Every long flag has a twin in the environment, and the flag wins.
try_env "PARE_JSON" 0 PARE_JSON=1 version
json_is version "$("$pare" version --json | "$tools/jsoncheck" version)"
try_env "--json=no wins over PARE_JSON" 0 PARE_JSON=yes version --json=no
out_has "^pare "
try_env "PARE_CPU_MASK" 0 PARE_CPU_MASK=base version --json
json_is tier base
try_env "--cpu-mask wins" 0 PARE_CPU_MASK=nonsense version --json --cpu-mask base
try_env "PARE_THREADS" 0 PARE_THREADS=3 version --json
json_is threads 3
try_env "-t wins over PARE_THREADS" 0 PARE_THREADS=3 version --json -t 2
json_is threads 2
try_env "bad value in the environment" 2 PARE_THREADS=lots version
err_has "PARE_THREADS"
try_env "empty means unset" 0 PARE_THREADS= version
try_env "a twin of another verb is ignored" 0 PARE_SIZE=nonsense version
try_env "PARE_PROMPT" 0 PARE_PROMPT="Hello world" tokenize $model
cp "$out" "$tmp/env-ids"
try "-p gives the same" 0 tokenize $model -p "Hello world"
cmp -s "$out" "$tmp/env-ids" || wrong "other ids"
try_env "-f wins over PARE_PROMPT" 0 PARE_PROMPT=Other tokenize $model -f "$tmp/env-ids"
cmp -s "$out" "$tmp/env-ids" && wrong "the environment won"
try_env "PARE_NO_BOS" 0 PARE_NO_BOS=on tokenize $model -p ""
out_is ""
try_env "lists: one entry a line" 2 "PARE_LOGIT_BIAS=1=2
3=x" run $model -p a
err_has '"3=x"'
try_env "PARE_QUIET" 0 PARE_QUIET=1 eval $model --chunks 1 --ctx 64
err_empty
