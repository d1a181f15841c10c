#!/usr/bin/env bash
# mutants.sh BUILD: would a model notice if a memory order were weaker, or a re-check missing?
#
# BUILD is a build folder in which the target rota_model_tests is up to date. Every memory order of the files in
# covered.txt is made one step weaker, one at a time, and the models of that file run; where none of them notices, the
# order is made weaker still. (No rebuild: the model's atomics do it, see order.hpp.) The programs *_without_recheck_N,
# which are built without one line, must find something, too. What survives must stand in equivalent.txt, with the
# reason why it changes nothing; and nothing may stand there that is killed.
set -euo pipefail
readonly programs=$(cd "$1" && pwd)/tests/model
cd "$(dirname "$(readlink -f "$0")")"
readonly root=$(cd ../.. && pwd)
readonly work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

declare -A kinds       # FILE:LINE:COLUMN: load, store or rmw; of the orders that a model uses
declare -A tried       # FILE:LINE:COLUMN=ORDER
declare -A equivalent  # KEY of equivalent.txt: unmet or met
total=0 killed=0 excused=0

# weaker KIND ORDER: the next ones.
weaker() {
  case $1:$2 in
    load:seq_cst) echo acquire ;;
    store:seq_cst) echo release ;;
    rmw:seq_cst) echo acq_rel ;;
    *:acq_rel) echo acquire release ;;
    *:acquire | *:release) echo relaxed ;;
  esac
}

# orders_in FILE: LINE:COLUMN ORDER of each that is stronger than relaxed, but for those in comments.
orders_in() {
  awk '{
    code = $0
    sub(/\/\/.*/, "", code)
    for (at = 1; match(substr(code, at), /std::memory_order_[a-z_]+/); at += RSTART + RLENGTH - 1) {
      order = substr(code, at + RSTART + 17, RLENGTH - 18)
      if (order != "relaxed") print NR ":" (at + RSTART - 1), order
    }
  }' "$1"
}

# code_at FILE LINE: the text, and which one it is if there are several like it.
code_at() {
  awk -v line="$2" '{
    sub(/^ +/, "")
    ++seen[$0]
    if (NR == line) print $0 (seen[$0] > 1 ? " (" seen[$0] ")" : "")
  }' "$1"
}

# survives COMMAND... FOR TESTS: succeeds when none of "${tests[@]}" notices.
survives() {
  local test
  for test in "${tests[@]}"; do
    ROTA_MODEL_WEAKEN=$1 "$programs/$test" --gtest_fail_fast >"$work/log" 2>&1 || return 1
  done
}

# judge KEY LINE: it survived.
judge() {
  if [[ -n ${equivalent[$1]:-} ]]; then
    equivalent[$1]=met
    excused=$((excused + 1))
    echo "equivalent  line $2: $1"
  else
    echo "SURVIVED    line $2: $1"
  fi
}

# weaken FILE LINE:COLUMN WRITTEN NOW: what lies below NOW, of the order that was written as WRITTEN.
weaken() {
  local file=$1 place=$2 written=$3 now=$4 order key
  for order in $(weaker "${kinds[$file:$place]}" "$now"); do
    [[ -z ${tried[$file:$place=$order]:-} ]] || continue
    tried[$file:$place=$order]=yes
    total=$((total + 1))
    key="$file | $(code_at "$root/$file" "${place%:*}") | $written -> $order"
    if survives "$file:$place=$order"; then
      judge "$key" "${place%:*}"
      weaken "$file" "$place" "$written" "$order"
    else
      killed=$((killed + 1))
      echo "killed      line ${place%:*}: $key"
    fi
  done
}

# Which orders the models use, and that they pass as the code is.
find_sites() {
  local test file kind
  for test in $(sed '/^#/d' covered.txt | cut -d' ' -f2- | tr ' ' '\n' | sort -u); do
    if ! ROTA_MODEL_SITES=$work/sites "$programs/$test" >"$work/log" 2>&1; then
      cat "$work/log" >&2
      echo "$test fails as the code is: mend that first" >&2
      exit 1
    fi
    while read -r file kind _; do kinds[${file#"$root/"}]=$kind; done <"$work/sites"
  done
}

weaken_all() {
  local file place order line
  while IFS= read -r line; do
    [[ $line != *' -> '* ]] || equivalent[$line]=unmet
  done < <(sed '/^[# ]/d' equivalent.txt)
  while read -r file line; do
    read -ra tests <<<"$line"
    while read -r place order; do
      if [[ -n ${kinds[$file:$place]:-} ]]; then
        weaken "$file" "$place" "$order" "$order"
      else
        total=$((total + 1))
        judge "$file | $(code_at "$root/$file" "${place%:*}") | $order -> no model comes here" "${place%:*}"
      fi
    done < <(orders_in "$root/$file")
  done < <(sed '/^#/d' covered.txt)
}

leave_out_rechecks() {
  local program
  for program in "$programs"/*_without_recheck_*; do
    total=$((total + 1))
    if "$program" --gtest_fail_fast >"$work/log" 2>&1; then
      echo "SURVIVED    ${program##*/}"
    else
      killed=$((killed + 1))
      echo "killed      ${program##*/}"
    fi
  done
}

find_sites
weaken_all
leave_out_rechecks
stale=0
for key in "${!equivalent[@]}"; do
  [[ ${equivalent[$key]} == unmet ]] || continue
  stale=$((stale + 1))
  echo "equivalent.txt: no such mutant survives: $key"
done
echo "mutants: $killed of $total killed, $excused equivalent"
[[ $total -gt 0 && $((killed + excused)) == "$total" && $stale == 0 ]]
