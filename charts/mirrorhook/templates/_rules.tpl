{{/*
Problems with the rules and options of one policy, in the words of `mirrorhook check`: a JSON
list of messages. Values of a wrong type or with unknown keys are refused by values.schema.json.
Takes root, path (of the policy: empty, or for example "policies.team-a.") and policy.
*/}}
{{- define "mirrorhook.ruleProblems" -}}
{{- $root := .root }}
{{- $path := .path }}
{{- $policy := .policy }}
{{- $grammar := ($root.Files.Get "files/policy.json" | fromJson).grammar }}
{{- $checks := eq (toString (dig "mode" "off" ($policy.availability | default dict))) "check" }}
{{- $problems := list }}
{{- range $index, $name := $policy.profiles }}
  {{- if has $name (slice $policy.profiles 0 $index) }}
    {{- $problems = append $problems (printf "%sprofiles[%d]: duplicate profile %s: remove one of them" $path $index $name) }}
  {{- end }}
{{- end }}
{{- /* A newer image may have more profiles. */}}
{{- if or (not $root.Values.image.tag) (eq $root.Values.image.tag $root.Chart.AppVersion) (eq $root.Values.rewriter "policy") $root.Values.enforce }}
  {{- $profiles := $root.Files.Get "files/profiles.json" | fromJson }}
  {{- range $index, $name := $policy.profiles }}
    {{- if not (hasKey $profiles $name) }}
      {{- $problems = append $problems (printf "%sprofiles[%d]: unknown profile %s; known profiles are %s" $path $index (include "mirrorhook.rules.quote" $name) (keys $profiles | sortAlpha | join ", ")) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $taken := dict }}
{{- $authorities := dict }}
{{- $valid := list }}
{{- range $index, $rule := $policy.rules }}
  {{- $at := printf "%srules[%d]" $path $index }}
  {{- $here := list }}
  {{- if not (or (hasKey $rule "match") (hasKey $rule "regex")) }}
    {{- $here = append $here (printf "%s: the rule has neither match nor regex: add one of them" $at) }}
  {{- end }}
  {{- if not (or (hasKey $rule "mirrors") (hasKey $rule "keep")) }}
    {{- $here = append $here (printf "%s: the rule has neither mirrors nor keep: true: add one of them" $at) }}
  {{- end }}
  {{- $wrongMatch := "" }}
  {{- if hasKey $rule "match" }}
    {{- $wrongMatch = include "mirrorhook.rules.matchProblem" (dict "grammar" $grammar "match" $rule.match) }}
    {{- with $wrongMatch }}{{ $here = append $here (printf "%s.match: %s" $at .) }}{{ end }}
  {{- end }}
  {{- if and (hasKey $rule "mirrors") (not $rule.mirrors) }}
    {{- $here = append $here (printf "%s.mirrors: the list is empty: add a mirror, or write keep: true instead" $at) }}
  {{- end }}
  {{- $targets := dict }}
  {{- range $number, $mirror := $rule.mirrors }}
    {{- $_ := set $targets (printf "mirrors[%d]" $number) $mirror }}
  {{- end }}
  {{- if hasKey $rule "trusted" }}{{ $_ := set $targets "trusted" $rule.trusted }}{{ end }}
  {{- range $field, $mirror := $targets }}
    {{- $where := printf "%s.%s" $at $field }}
    {{- if kindIs "string" $mirror }}{{ $mirror = dict "target" $mirror }}{{ else }}{{ $where = printf "%s.target" $where }}{{ end }}
    {{- $problem := include "mirrorhook.rules.targetProblem" (dict "grammar" $grammar "target" $mirror.target) }}
    {{- if $problem }}
      {{- $here = append $here (printf "%s: mirror %s %s%s" $where (include "mirrorhook.rules.quote" $mirror.target) $problem (include "mirrorhook.rules.targetAdvice" (dict "grammar" $grammar "target" $mirror.target))) }}
    {{- end }}
    {{- $registry := splitList "/" $mirror.target | first }}
    {{- with and (not $problem) $mirror.ca }}
      {{- if contains `\` $registry }}
        {{- $here = append $here (printf "%s.%s.ca: a CA file is for one host, but this target takes its host from the regex" $at $field) }}
      {{- else if ne . (get $authorities $registry | default .) }}
        {{- $here = append $here (printf "%s.%s.ca: %s already has the CA file %s: a registry can have only one" $at $field $registry (get $authorities $registry)) }}
      {{- end }}
      {{- $_ := set $authorities $registry (get $authorities $registry | default .) }}
    {{- end }}
    {{- with $mirror.allowlist }}
      {{- $found := include "mirrorhook.rules.allowlistProblem" (dict "files" ($root.Values.files | default dict) "name" .) }}
      {{- with $found }}{{ $here = append $here (printf "%s.%s.allowlist: %s" $at $field .) }}{{ end }}
    {{- end }}
  {{- end }}
  {{- if and (hasKey $rule "regex") (or $here (not (hasKey $rule "match"))) }}
    {{- /* Go has all of RE2's syntax except \C. */}}
    {{- if not (or (regexMatch (printf "|%s" $rule.regex) "") (contains `\C` $rule.regex)) }}
      {{- $here = append $here (printf "%s.regex: regex %s is refused by RE2" $at (include "mirrorhook.rules.quote" $rule.regex)) }}
    {{- end }}
  {{- end }}
  {{- if not $here }}
    {{- with include "mirrorhook.rules.combinationProblem" (dict "rule" $rule "targets" $targets) }}
      {{- $here = append $here (printf "%s%s" $at .) }}
    {{- end }}
  {{- end }}
  {{- $name := "" }}
  {{- if and (hasKey $rule "match") (not $wrongMatch) }}{{ $name = include "mirrorhook.rules.matchName" $rule.match }}{{ else if and (hasKey $rule "regex") (not (hasKey $rule "match")) }}{{ $name = printf "/%s/" $rule.regex }}{{ end }}
  {{- if and $name (hasKey $taken $name) }}
    {{- $here = append $here (printf "%s: %s already has a rule for %s: put the mirrors into one rule" $at (get $taken $name) $name) }}
  {{- else }}
    {{- $_ := set $taken $name $at }}
  {{- end }}
  {{- if not $here }}
    {{- $valid = append $valid $rule }}
    {{- if and $rule.verify (not $checks) }}
      {{- $here = append $here (printf "%s: verify: digest needs availability checks: add availability: {mode: check}" $at) }}
    {{- end }}
  {{- end }}
  {{- $problems = concat $problems $here }}
{{- end }}
{{- $problems = concat $problems (include "mirrorhook.rules.availabilityProblems" (dict "root" $root "path" $path "availability" $policy.availability "checks" $checks) | fromJsonArray) }}
{{- with ($policy.loops).within }}
  {{- with include "mirrorhook.rules.durationProblem" (list . 86400) }}{{ $problems = append $problems (printf "%sloops.within: %s" $path .) }}{{ end }}
{{- end }}
{{- $cycle := include "mirrorhook.rules.cycle" (dict "root" $root "rules" $valid "profiles" $policy.profiles) | fromJsonArray }}
{{- if $cycle }}
  {{- $at := printf "%sprofiles" $path }}
  {{- range $index, $rule := $policy.rules }}
    {{- if and (hasSuffix "profiles" $at) (has (include "mirrorhook.rules.matchName" ($rule.match | default "")) $cycle) }}{{ $at = printf "%srules[%d]" $path $index }}{{ end }}
  {{- end }}
  {{- $problems = append $problems (printf "%s: the rules form a cycle: %s; remove one of them, or give one `keep: true`" $at (append $cycle (first $cycle) | join " → ")) }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{/*
A text in quotes, as Python writes it.
*/}}
{{- define "mirrorhook.rules.quote" -}}
{{- $characters := splitList "" . }}
{{- $text := slice $characters 0 (min 160 (len $characters)) | join "" | replace `\` `\\` | replace "\n" `\n` | replace "\r" `\r` | replace "\t" `\t` }}
{{- if and (contains "'" $text) (not (contains `"` $text)) }}{{ printf `"%s"` $text }}{{ else }}{{ printf "'%s'" (replace "'" `\'` $text) }}{{ end }}
{{- if gt (len $characters) 160 }}{{ printf "… (%d characters)" (len $characters) }}{{ end }}
{{- end }}

{{/*
A match in normal form.
*/}}
{{- define "mirrorhook.rules.matchName" -}}
{{- regexReplaceAll "^index[.]docker[.]io(/|$)" . "docker.io${1}" }}
{{- end }}

{{/*
What is wrong with a match, with what to write instead; empty if it is valid. Takes grammar and
match.
*/}}
{{- define "mirrorhook.rules.matchProblem" -}}
{{- $registry := splitList "/" .match | first }}
{{- $path := trimPrefix $registry .match }}
{{- $domain := trimPrefix "*." $registry }}
{{- $problem := "" }}
{{- if or (not (regexMatch .grammar.match .match)) (gt (len $path) 256) }}
  {{- if regexMatch `[\^$()\[\]|+?\\]` .match }}
    {{- $problem = "is not a name: for a regular expression use regex" }}
  {{- else if contains "://" .match }}
    {{- $problem = "has a scheme" }}
  {{- else if or (contains "*" $domain) (contains "*" $path) }}
    {{- $problem = `has a "*" that is neither alone nor a leading "*."` }}
  {{- else if not (regexMatch .grammar.target $domain) }}
    {{- $problem = "does not start with a registry host such as docker.io" }}
  {{- else }}
    {{- $problem = include "mirrorhook.rules.pathProblem" (dict "grammar" .grammar "path" (trimPrefix "/" $path) "owner" "match") }}
  {{- end }}
  {{- $advice := include "mirrorhook.rules.suggestMatch" . }}
  {{- printf "match %s %s" (include "mirrorhook.rules.quote" .match) $problem }}{{ with $advice }}: write {{ . }}{{ end }}
{{- end }}
{{- end }}

{{/*
What is wrong with a target; empty if it is valid. Takes grammar and target.
*/}}
{{- define "mirrorhook.rules.targetProblem" -}}
{{- $template := regexReplaceAll `\$(?:\{([0-9])\}|([0-9]))` .target `\${1}${2}` }}
{{- $sample := regexReplaceAll `\\[0-9]` .target "x" }}
{{- $registry := splitList "/" $sample | first }}
{{- if ne $template .target }}
  {{- printf "uses $ for a group: write %s in a rule with regex; with match, the rest of the name follows by itself" $template }}
{{- else if contains "://" $sample }}
  {{- "has a scheme" }}
{{- else if contains "*" $sample }}
  {{- `has a "*", but the rest of the name follows by itself` }}
{{- else if not (regexMatch .grammar.target $registry) }}
  {{- "does not start with a registry host" }}
{{- else if and (eq $sample .target) (not (regexMatch .grammar.namesRegistry (printf "%s/" $registry))) }}
  {{- if eq $registry "v2" }}
    {{- "starts with the path of the registry API, not with a host" }}
  {{- else }}
    {{- printf "would be read as a name on Docker Hub, as '%s' has neither '.' nor ':'; write %s:443 or docker.io/%s" $registry $registry .target }}
  {{- end }}
{{- else if contains "/" $sample }}
  {{- include "mirrorhook.rules.pathProblem" (dict "grammar" .grammar "path" (trimPrefix (printf "%s/" $registry) $sample) "owner" "mirror") }}
{{- end }}
{{- end }}

{{/*
What to write instead of an invalid target, as the end of the message. Takes grammar and target.
*/}}
{{- define "mirrorhook.rules.targetAdvice" -}}
{{- $cleaned := (include "mirrorhook.rules.clean" (dict "grammar" .grammar "text" .target) | fromJson).name }}
{{- if and (ne $cleaned .target) (not (include "mirrorhook.rules.targetProblem" (dict "grammar" .grammar "target" $cleaned))) }}: write {{ $cleaned }}{{ end }}
{{- end }}

{{/*
What is wrong with the path of a match or target (owner); empty if it is valid. Takes grammar,
path and owner.
*/}}
{{- define "mirrorhook.rules.pathProblem" -}}
{{- if or (not (regexMatch .grammar.target (printf "x.example/%s" .path))) (gt (len .path) 255) }}
  {{- if regexMatch "[:@]" .path }}
    {{- printf "has a tag or digest, which a %s cannot have" .owner }}
  {{- else if or (not .path) (hasSuffix "/" .path) }}
    {{- "ends with a slash" }}
  {{- else }}
    {{- printf "has the path %s, which is not a valid repository" (include "mirrorhook.rules.quote" .path) }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
A name without its scheme, API path and tag, and whether it had a tag: a JSON object with name
and tagged. Takes grammar and text.
*/}}
{{- define "mirrorhook.rules.clean" -}}
{{- $parts := regexReplaceAll "^.*://" (trim .text) "" | splitList "/" | compact }}
{{- if eq (first $parts | default "") "v2" }}
  {{- $parts = rest $parts }}
{{- else if and (gt (len $parts) 1) (eq (index $parts 1 | default "") "v2") }}
  {{- $parts = concat (list (first $parts)) (slice $parts 2) }}
{{- end }}
{{- range $parts }}
  {{- if and (gt (len $parts) 1) (has (last $parts) (list "*" "**")) }}{{ $parts = initial $parts }}{{ end }}
{{- end }}
{{- $tagged := false }}
{{- if $parts }}
  {{- if or (gt (len $parts) 1) (not (regexMatch .grammar.target (first $parts))) }}
    {{- $last := regexReplaceAll "[:@].*" (last $parts) "" }}
    {{- $tagged = ne $last (last $parts) }}
    {{- $parts = append (initial $parts) $last }}
  {{- end }}
{{- end }}
{{- dict "name" (join "/" $parts | lower) "tagged" $tagged | toJson }}
{{- end }}

{{/*
The match that an invalid one probably stands for; empty if that is unclear. Takes grammar and
match.
*/}}
{{- define "mirrorhook.rules.suggestMatch" -}}
{{- if eq .match "**" }}*{{ else if not (regexMatch `[\^$()\[\]|+?\\]` .match) }}
{{- $cleaned := include "mirrorhook.rules.clean" (dict "grammar" .grammar "text" .match) | fromJson }}
{{- $name := $cleaned.name }}
{{- $domain := trimPrefix "*" $name | trimPrefix "." }}
{{- if contains "*" $domain }}
  {{- $registry := replace "." `\.` $name | splitList "/" | first }}
  {{- $path := trimPrefix $registry (replace "." `\.` $name) }}
  {{- $path = empty $path | ternary "/(.+)" (regexReplaceAll `\*+` $path "(.*)") }}
  {{- printf `regex: '%s%s' instead, and \1 in its mirrors` (regexReplaceAll `\*+` $registry "[^/]*") $path }}
{{- else }}
  {{- if ne $domain $name }}
    {{- $name = printf "*.%s" $domain }}
  {{- else if and $name (not (regexMatch .grammar.namesRegistry (printf "%s/" $name))) }}
    {{- $name = printf "docker.io/%s" $name }}
  {{- end }}
  {{- if or $cleaned.tagged (not (contains "/" .match)) }}
    {{- $name = regexReplaceAll "^docker[.]io/([^/]+)$" $name "docker.io/library/${1}" }}
  {{- end }}
  {{- if and (ne $name "*") (regexMatch .grammar.match $name) (lt (len (regexReplaceAll "^[^/]*/" $name "")) 256) }}{{ $name }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
What is wrong with a valid rule as a whole, with the field before it; empty if nothing is. Takes
rule, and targets (its mirrors, and trusted, by field).
*/}}
{{- define "mirrorhook.rules.combinationProblem" -}}
{{- $rule := .rule }}
{{- $problem := "" }}
{{- if and (hasKey $rule "match") (hasKey $rule "regex") }}
  {{- $problem = ": a rule needs either match or regex" }}
{{- else if and $rule.keep $rule.mirrors }}
  {{- $problem = ".keep: a rule cannot have both mirrors and keep: true" }}
{{- else if not (or $rule.keep $rule.mirrors) }}
  {{- $problem = ": mirrors is empty; add one, or write keep: true" }}
{{- else if and $rule.trusted (not $rule.verify) }}
  {{- $problem = ".trusted: trusted requires verify: digest" }}
{{- else if and $rule.keep $rule.verify }}
  {{- $problem = ".verify: a rule with keep: true cannot have verify" }}
{{- else }}
  {{- range $field, $mirror := .targets }}
    {{- if kindIs "string" $mirror }}{{ $mirror = dict "target" $mirror }}{{ end }}
    {{- $groups := regexFindAll `\\[0-9]` $mirror.target -1 | sortAlpha }}
    {{- $target := include "mirrorhook.rules.quote" $mirror.target }}
    {{- if $problem }}
    {{- else if not (hasKey $rule "regex") }}
      {{- if $groups }}{{ $problem = printf ".%s: mirror %s uses groups, but the rule has no regex; with match, the rest of the name follows by itself" $field $target }}{{ end }}
    {{- else if $mirror.flatten }}
      {{- $problem = printf ".%s: flatten cannot be used with a regex: write the whole target" $field }}
    {{- else if $groups }}
      {{- $highest := last $groups | trimPrefix `\` | atoi }}
      {{- $count := include "mirrorhook.rules.groupCount" $rule.regex | atoi }}
      {{- if gt $highest $count }}{{ $problem = printf ".%s: mirror %s uses group %d, and the regex has %d" $field $target $highest $count }}{{ end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $problem }}
{{- end }}

{{/*
The number of groups of a regular expression, or 9 if there are more or Go cannot count them: a
group that is added after them is the only one that can match the letter.
*/}}
{{- define "mirrorhook.rules.groupCount" -}}
{{- $added := printf "^(?:(?:%s)|)(x)$" . }}
{{- $count := 9 }}
{{- range $n := untilStep 9 0 -1 }}
  {{- if and (regexMatch $added "x") (eq (regexReplaceAll $added "x" (printf "${%d}" $n)) "x") }}{{ $count = sub $n 1 }}{{ end }}
{{- end }}
{{- $count }}
{{- end }}

{{/*
What is wrong with an allowlist; empty if it is valid, or in a folder that the chart does not
fill. Takes files and name.
*/}}
{{- define "mirrorhook.rules.allowlistProblem" -}}
{{- if not (contains "/" .name) }}
{{- if not (hasKey .files .name) }}
  {{- printf "%s cannot be read: No such file or directory; check the path and its permissions" .name }}
{{- else }}
  {{- $name := .name }}
  {{- $problem := printf "%s lists no images: write patterns such as docker.io/**" $name }}
  {{- range $index, $line := get .files .name | splitList "\n" }}
    {{- $pattern := splitList "#" $line | first | trim }}
    {{- if $pattern }}
      {{- $path := regexReplaceAll "^[^/]*/" $pattern "" }}
      {{- if hasPrefix (printf "%s lists" $name) $problem }}{{ $problem = "" }}{{ end }}
      {{- if and (not $problem) (or (not (regexMatch `^[A-Za-z0-9_.:/\[\]*-]+$` $pattern)) (contains ":" $path) (contains "//" $pattern) (hasSuffix "/" $pattern)) }}
        {{- $problem = printf "%s, line %d: %s is not a pattern of image names: write registry/repository, with * and ** but without a tag" $name (add1 $index) (include "mirrorhook.rules.quote" $pattern) }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- $problem }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Problems with the durations of availability, and with a budget that webhook.timeoutSeconds cannot
hold: a JSON list of messages. Takes root, path, availability and checks.
*/}}
{{- define "mirrorhook.rules.availabilityProblems" -}}
{{- $path := .path }}
{{- $problems := list }}
{{- range $key, $most := dict "timeout" 10 "budget" 10 "ttl" 86400 "negativeTTL" 86400 }}
  {{- with get ($.availability | default dict) $key }}
    {{- with include "mirrorhook.rules.durationProblem" (list . $most) }}{{ $problems = append $problems (printf "%savailability.%s: %s" $path $key .) }}{{ end }}
  {{- end }}
{{- end }}
{{- if and .checks (eq .root.Values.rewriter "webhook") (not $problems) }}
  {{- $budget := .availability.budget | default "1500ms" }}
  {{- /* The webhook answers half a second before the API server gives up. */}}
  {{- $least := addf (include "mirrorhook.rules.seconds" $budget | float64) 0.5 | ceil | int }}
  {{- if gt $least (int .root.Values.webhook.timeoutSeconds) }}
    {{- $problems = append $problems (printf "%savailability.budget: reviews may wait %s for mirrors, but the API server waits only %d seconds: set webhook.timeoutSeconds to %d, or a smaller budget" $path $budget (int .root.Values.webhook.timeoutSeconds) $least) }}
  {{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{/*
What is wrong with a duration; empty if it is valid. Takes a list of the duration and the most
seconds that it may have.
*/}}
{{- define "mirrorhook.rules.durationProblem" -}}
{{- $seconds := include "mirrorhook.rules.seconds" (first .) | float64 }}
{{- if or (le $seconds 0.0) (gt $seconds (last . | float64)) }}
  {{- printf "expected more than 0s and at most %ds, got %s" (last . | int) (first .) }}
{{- end }}
{{- end }}

{{/*
The seconds of a duration.
*/}}
{{- define "mirrorhook.rules.seconds" -}}
{{- $seconds := 0.0 }}
{{- range regexFindAll "[0-9.]+(?:ms|s|m|h)" . -1 }}
  {{- $unit := get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) (regexFind "[a-z]+$" .) }}
  {{- $seconds = addf $seconds (mulf (regexFind "^[0-9.]+" . | float64) $unit) }}
{{- end }}
{{- $seconds }}
{{- end }}

{{/*
The names of rules whose mirrors lead back to each other, as a JSON list; empty if there are none.
The same search as `MirrorMap` of the program makes, except that it does not go beyond names that
a regex matches. Takes root, rules and profiles.
*/}}
{{- define "mirrorhook.rules.cycle" -}}
{{- $profiles := .root.Files.Get "files/profiles.json" | fromJson }}
{{- $c := dict "rules" dict "edges" dict "below" dict "wide" false "regexes" list "final" dict "cycle" list }}
{{- $rules := list }}
{{- $names := dict }}
{{- $starts := list }}
{{- $sources := list (dict "rules" .rules) }}
{{- range .profiles }}
  {{- $sources = append $sources (dict "rules" (get $profiles . | default list) "suffix" (printf " (profile %s)" .)) }}
{{- end }}
{{- range $source := $sources }}
  {{- range .rules }}
    {{- if .regex }}{{ $_ := set $c "regexes" (append $c.regexes (printf "^(?:%s)$" .regex)) }}{{ end }}
    {{- $targets := list }}
    {{- range .mirrors }}
      {{- $mirror := kindIs "map" . | ternary . (dict "target" .) }}
      {{- if not (contains `\` $mirror.target) }}
        {{- $target := include "mirrorhook.prefix" $mirror.target | fromJson }}
        {{- $targets = append $targets (merge $target (dict "flatten" ($mirror.flatten | default false))) }}
        {{- $starts = append $starts (include "mirrorhook.rules.matchName" $mirror.target) }}
      {{- end }}
    {{- end }}
    {{- if .match }}
      {{- $name := include "mirrorhook.rules.matchName" .match }}
      {{- if not (hasKey $names $name) }}
        {{- $_ := set $names $name true }}
        {{- $rules = append $rules (include "mirrorhook.prefix" $name | fromJson | merge (dict "targets" $targets "name" (printf "%s%s" $name ($source.suffix | default "")))) }}
        {{- if not (hasPrefix "*" $name) }}{{ $starts = append $starts $name }}{{ end }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- include "mirrorhook.table.index" (dict "c" $c "rules" $rules) }}
{{- range $starts }}
  {{- if not $c.cycle }}
    {{- include "mirrorhook.rules.follow" (dict "c" $c "prefix" . "path" list "names" list) }}
  {{- end }}
{{- end }}
{{- toJson $c.cycle }}
{{- end }}

{{/*
Follows a prefix from rule to rule, and sets cycle in c if it comes back, or outgrows any name.
Takes c, prefix, and path and names (of the prefixes and rules so far).
*/}}
{{- define "mirrorhook.rules.follow" -}}
{{- $walk := . }}
{{- $c := .c }}
{{- if has .prefix .path }}
  {{- range $index, $passed := .path }}
    {{- if eq $passed $walk.prefix }}{{ $_ := set $c "cycle" (slice $walk.names $index) }}{{ end }}
  {{- end }}
{{- else if gt (len .prefix) 600 }}
  {{- range $end := untilStep 1 (len .names) 1 }}
    {{- range $begin := until $end }}
      {{- if eq (index $walk.names $begin) (index $walk.names $end) }}{{ $_ := set $c "cycle" (slice $walk.names $begin $end) }}{{ end }}
    {{- end }}
  {{- end }}
{{- /* Helm does not nest templates deeper than 1,000. */}}
{{- else if not (or (hasKey $c.final .prefix) (gt (len .path) 900)) }}
  {{- $at := dict "c" $c "name" .prefix }}
  {{- include "mirrorhook.table.rule" $at }}
  {{- range $c.regexes }}
    {{- if regexMatch . $walk.prefix }}{{ $_ := set $at "rule" dict }}{{ end }}
  {{- end }}
  {{- range $target := reverse ($at.rule.targets | default list) }}
    {{- if not $c.cycle }}
      {{- $repository := regexReplaceAll "^[^/]*/?" $walk.prefix "" }}
      {{- $rest := eq $at.rule.prefix "*" | ternary $walk.prefix (trimPrefix $at.rule.path $repository | trimPrefix "/") }}
      {{- if $target.flatten }}{{ $rest = splitList "/" ($rest | default $repository) | last }}{{ end }}
      {{- $name := empty $rest | ternary $target.name (printf "%s/%s" $target.name $rest) }}
      {{- include "mirrorhook.rules.follow" (dict "c" $c "prefix" $name "path" (append $walk.path $walk.prefix) "names" (append $walk.names $at.rule.name)) }}
    {{- end }}
  {{- end }}
  {{- $_ := set $c.final .prefix true }}
{{- end }}
{{- end }}
