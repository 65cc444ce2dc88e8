#!/usr/bin/env bash
# Hostile input for everything that reads what others wrote (streams of a child, replies, definitions, commands, ignore
# rules, what goes to a page or a terminal) for MINUTES (default 10): the properties of `make test` with many more cases,
# round after round, each from a seed of its own. SEED (default: a random one, which is printed) is that of the first
# round. Usage: fuzz.sh [part of a property's name …]
source "$(dirname "$0")/lib.sh"
for tool in cargo git c++; do command -v "$tool" >/dev/null || { "$ROOT/scripts/setup.sh" build; break; }; done
cd "$ROOT"
MINUTES=${MINUTES:-10}
SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
LOGS=$ROOT/target/fuzz
mkdir -p "$LOGS"

# Program, property, and about how many cases a core does in some seconds.
properties=(
  "worker:events   hostile::a_recording_that_was_changed_anywhere_gives_the_same_in_any_pieces_and_no_more_than_came 75"
  "worker:events   hostile::text_is_neither_lost_nor_doubled_however_it_comes 500"
  "worker:events   hostile::what_is_kept_stays_below_the_limits 125"
  "worker:events   pieces::any_pieces_give_the_same_events 75"
  "worker:events   pieces::nothing_that_comes_in_makes_it_panic 1000"
  "worker:events   pieces::what_is_streamed_is_what_is_put_out 750"
  "worker:lib      events::written_calls::tests::limits_do_not_depend_on_pieces 2000"
  "worker:lib      events::written_calls::tests::pieces_make_no_difference 2000"
  "worker:lib      events::json::tests::pieces_say_what_the_string_says 2000"
  "worker:lib      text::tests::pieces_make_no_difference 5000"
  "worker:lib      cli::output::tests::nothing_that_a_terminal_obeys_is_left_whatever_comes 2500"
  "worker:lib      cli::output::tests::what_is_harmless_stays_as_it_is_and_what_is_not_goes_at_once 750"
  "worker:snapshot strange::what_is_ignored_is_what_git_ignores 20"
  "flows:commands  a_focus_arrives_byte_for_byte 1000"
  "flows:commands  any_line_is_a_command_or_says_why_not 1000"
  "flows:definition_hostile a_flow_that_was_changed_anywhere_expands_or_says_where_it_is_wrong 250"
  "flows:definition_hostile needs_in_a_circle_are_found_and_no_others 750"
  "flows:definition_hostile any_json_is_a_flow_or_an_error 1000"
  "flows:error_places no_text_is_a_panic 2500"
  "flows:findings_properties a_reply_is_findings_or_clean_or_raw 1000"
  "flows:findings_properties no_line_below_the_heading_is_lost 1000"
  "flows:findings_properties whatever_stands_before_them_findings_in_their_form_are_found 1000"
  "flows:findings_properties judging_joined_findings_names_each_once 500"
  "flows:findings_properties merging_and_judging_lose_no_finding 375"
  "flows:citation_properties places_are_right_whatever_the_text_is 2500"
  "flows:citation_properties each_form_is_found_once_with_its_lines_and_words 2500"
  "flows:prompt_properties what_must_stay_stays 250"
  "flows:prompt_properties qualifying_only_adds 2000"
  "flows:prompt_properties a_fold_loses_nothing 500"
  "flows:prompt_properties any_output_can_be_asked_for_a_field 2000"
  "flows:report_hostile any_output_makes_a_report 125"
  "flows:report_html_hostile any_output_makes_a_safe_page 50"
  "flows:report_html_hostile anything_in_any_place_is_text_and_nothing_else 25"
)
wanted=()
for property in "${properties[@]}"; do
  [ $# = 0 ] && wanted+=("$property")
  for part in "$@"; do case $property in *"$part"*) wanted+=("$property"); break ;; esac; done
done
[ ${#wanted[@]} != 0 ] || fail "no property is named so" "the names stand in scripts/fuzz.sh"

# The options of cargo for a program, `worker:events` or `worker:lib`.
program() {
  local target=(--test "${1#*:}")
  [ "${1#*:}" != lib ] || target=(--lib)
  echo "-p conductor-${1%:*} ${target[*]}"
}

say "building the tests"
programs=$(printf '%s\n' "${wanted[@]}" | awk '{print $1}' | sort -u)
for where in $programs; do
  # shellcheck disable=SC2046
  cargo test --quiet --no-run $(program "$where")
done
say "$MINUTES minutes from SEED=$SEED; Ctrl-C ends it"
end=$((SECONDS + MINUTES * 60)) round=0 cases=0 failed=0
while [ "$failed" = 0 ] && { [ "$SECONDS" -lt "$end" ] || [ "$round" = 0 ]; }; do
  seed=$((SEED + round))
  for property in "${wanted[@]}"; do
    read -r where name count <<<"$property"
    [ "$SECONDS" -lt "$end" ] || [ "$round" = 0 ] || break
    log=$LOGS/${name//[^a-z_]/-}.log
    # shellcheck disable=SC2046
    run=(env PROPTEST_RNG_SEED="$seed" PROPTEST_CASES="$count" cargo test --quiet $(program "$where") -- --exact "$name")
    if ! "${run[@]}" >"$log" 2>&1 || ! grep -q '^test result: ok. 1 passed' "$log"; then
      tail -n 40 "$log" >&2
      printf 'error: %s failed; once more: %s\n' "$name" "${run[*]}" >&2
      failed=$((failed + 1))
    fi
    cases=$((cases + count))
  done
  round=$((round + 1))
done
printf '%s cases of %s properties in %s rounds from SEED=%s, %s failed\n' \
  "$cases" "${#wanted[@]}" "$round" "$SEED" "$failed"
[ "$failed" = 0 ]
