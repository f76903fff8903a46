#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tests of the command: `tests/cli/run.sh [BUILD]` from the root of the repository, or with names of case files after BUILD. One
# line per case; the last line is the sum. A case is `try NAME STATUS ARGUMENTS...` and the checks that follow it.
set -u
LC_ALL=C
export LC_ALL
build=${1:-build}
[ $# -gt 0 ] && shift
pare=$build/pare
model=data/demo-llama
golden=tests/golden/demo-llama
fixtures=${PARE_FIXTURES:-../shared}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
out=$tmp/out err=$tmp/err in=/dev/null
passed=0 failed=0 name= why=

# The environment of whoever runs this must not reach the command.
for v in $(env | sed -n 's/^\(PARE_[A-Z0-9_]*\)=.*/\1/p'); do
    [ "$v" = PARE_FIXTURES ] || unset "$v"
done

tools=$build/tests/cli
mkdir -p "$tools"
for t in jsoncheck f32diff; do
    ${CC:-cc} -std=c11 -O1 -o "$tools/$t" "tests/cli/$t.c" $(pkg-config --cflags --libs jansson) -lm || exit 1
done
json() { "$tools/jsoncheck" "$@" <"$out"; }

finish() { # ends the case that is open
    [ -z "$name" ] && return
    if [ -z "$why" ]; then
        passed=$((passed + 1))
        echo "ok    $name"
    else
        failed=$((failed + 1))
        echo "FAIL  $name: $why"
        sed 's/^/        | /' "$err" | head -8
    fi
    name=
}
wrong() { [ -n "$why" ] || why=$*; }
judge() { # judge STATUS EXPECTED: "1,3" allows both; crashes and sanitizer reports fail whatever was expected
    case ,$2, in *,$1,*) ;; *) wrong "exit status $1, expected $2" ;; esac
    if grep -q 'Sanitizer\|runtime error' "$err"; then wrong "a sanitizer speaks"; fi
}
try() { # try NAME STATUS ARGUMENTS...: standard input is $in
    finish
    name=$1 why= want=$2
    shift 2
    "$pare" "$@" <"$in" >"$out" 2>"$err"
    judge $? "$want"
    in=/dev/null
}
try_env() { # try_env NAME STATUS VAR=VALUE ARGUMENTS...
    finish
    name=$1 why= want=$2 setting=$3
    shift 3
    env "$setting" "$pare" "$@" <"$in" >"$out" 2>"$err"
    judge $? "$want"
    in=/dev/null
}
out_is() { # the whole of standard output, with a newline at its end
    printf '%s\n' "$1" >"$tmp/want"
    cmp -s "$tmp/want" "$out" || wrong "standard output is \"$(head -c 200 "$out")\""
}
out_bytes() { # the same without a newline
    printf '%s' "$1" >"$tmp/want"
    cmp -s "$tmp/want" "$out" || wrong "standard output is \"$(head -c 200 "$out")\""
}
out_has() { grep -q -- "$1" "$out" || wrong "standard output lacks \"$1\""; }
out_empty() { [ ! -s "$out" ] || wrong "standard output is not empty: \"$(head -c 80 "$out")\""; }
err_has() { grep -q -- "$1" "$err" || wrong "standard error lacks \"$1\""; }
err_empty() { [ ! -s "$err" ] || wrong "standard error is not empty"; }
json_is() { # json_is PATH VALUE
    got=$(json "$1" 2>/dev/null) || wrong "no $1 in the document"
    [ "$got" = "$2" ] || wrong "$1 is $got, expected $2"
}
json_has() { # json_has PATH...: one valid document with these members
    for member in "$@"; do json "$member" >/dev/null 2>"$tmp/jsonerr" || wrong "$member: $(cat "$tmp/jsonerr")"; done
}
json_true() { # json_true PATH OPERATOR VALUE: awk compares the number
    json "$1" 2>/dev/null | awk "{ exit !(\$1 $2 $3) }" || wrong "$1 is $(json "$1" 2>/dev/null), expected $2 $3"
}

if [ $# -eq 0 ]; then set -- tests/cli/cases/*.sh; fi
for file in "$@"; do
    . "./$file"
    finish
done
echo "cli: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
