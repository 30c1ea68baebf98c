{{/*
A registry and its parent domains, longest first, joined by spaces. Only the registry if no
rule matches subdomains. Takes c and host.
*/}}
{{- define "mirrorhook.table.registries" -}}
{{- .host }}
{{- if .c.wide }}
  {{- $labels := trimPrefix "." .host | splitList "." }}
  {{- range $n := untilStep 1 (len $labels) 1 }} .{{ slice $labels $n | join "." }}{{ end }}
{{- end }}
{{- end }}

{{/*
Sets rests: the paths from a prefix to the edges below it. Takes c and name.
*/}}
{{- define "mirrorhook.table.below" -}}
{{- $c := .c }}
{{- $host := splitList "/" .name | first }}
{{- $rests := list }}
{{- range include "mirrorhook.table.registries" (dict "c" $c "host" $host) | splitList " " }}
  {{- $rests = concat $rests (get $c.below (printf "%s%s" . (trimPrefix $host $.name)) | default list) }}
{{- end }}
{{- $_ := set . "rests" (uniq $rests) }}
{{- end }}

{{/*
Sets rule: the first rule that matches a name and whose mirrors do not contain the name, or
an empty dict. Takes c and name.
*/}}
{{- define "mirrorhook.table.rule" -}}
{{- $at := . }}
{{- $parts := splitList "/" .name }}
{{- $host := first $parts }}
{{- $registries := include "mirrorhook.table.registries" (dict "c" .c "host" $host) | splitList " " }}
{{- $_ := set . "rule" dict }}
{{- range $n := untilStep (len $parts) 0 -1 }}
  {{- $path := slice $parts 1 $n | join "/" }}
  {{- range $registries }}
    {{- $rule := get $at.c.rules (empty $path | ternary . (printf "%s/%s" . $path)) | default dict }}
    {{- if and $rule (not $at.rule) }}
      {{- $own := false }}
      {{- range $rule.targets }}
        {{- if hasPrefix (printf "%s/" .name) (printf "%s/" $at.name) }}{{ $own = true }}{{ end }}
      {{- end }}
      {{- if not $own }}{{ $_ := set $at "rule" $rule }}{{ end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- with get .c.rules "*" }}
  {{- $own := false }}
  {{- range .targets }}{{ if eq .host $host }}{{ $own = true }}{{ end }}{{ end }}
  {{- if not (or $at.rule $own) }}{{ $_ := set $at "rule" . }}{{ end }}
{{- end }}
{{- end }}

{{/*
Follows a name from rule to rule. Appends to out.targets where it ends, and after that where it
stays if it becomes too long there; to out.candidates the names where it ends; to out.passed the
prefixes on the way; and to out.visited each mirror on it, as the walk ends after some of them.
After < stands how many characters may follow, if a name on the way is longer than the last one.
Sets out.chained if one rule leads to another. Takes c, name, names (the path so far), flat (whether a mirror flattened the name) and out.
*/}}
{{- define "mirrorhook.table.walk" -}}
{{- $walk := . }}
{{- $c := .c }}
{{- $at := dict "c" $c "name" .name }}
{{- include "mirrorhook.table.rule" $at }}
{{- $rule := $at.rule }}
{{- $refused := 0 }}
{{- $before := len .out.candidates }}
{{- if gt (len .names) 2 }}{{ $_ := set .out "chained" true }}{{ end }}
{{- range $rule.targets }}
{{- if and (not $c.problems) (lt (len $walk.out.visited) (int $c.limits.visits)) }}
  {{- $_ := set $walk.out "visited" (append $walk.out.visited .name) }}
  {{- $repository := regexReplaceAll "^[^/]*/" $walk.name "" }}
  {{- $rest := trimPrefix $rule.path $repository | trimPrefix "/" }}
  {{- if eq $rule.prefix "*" }}{{ $rest = $walk.name }}{{ end }}
  {{- if .flatten }}{{ $rest = splitList "/" ($rest | default $repository) | last }}{{ end }}
  {{- $name := empty $rest | ternary .name (printf "%s/%s" .name $rest) }}
  {{- $name = include "mirrorhook.table.validName" (dict "c" $c "name" $name) }}
  {{- $flat := or $walk.flat .flatten }}
  {{- if not $name }}
    {{- $refused = add1 $refused }}
  {{- else if or (has $name $walk.names) (gt (len $walk.names) 16) }}
    {{- $names := list }}
    {{- range $walk.names }}{{ $names = append $names (include "mirrorhook.table.stripUnknown" .) }}{{ end }}
    {{- $_ := set $c "problems" (append $c.problems (printf "The rules form a cycle: %s. Remove one of these rules." (join " → " $names))) }}
  {{- else }}
    {{- include "mirrorhook.table.checkSplit" (dict "c" $c "rule" $rule "target" . "name" $name "flat" $flat) }}
    {{- if not $flat }}
      {{- $_ := set $walk.out "passed" (append $walk.out.passed (include "mirrorhook.table.stripUnknown" $name)) }}
    {{- end }}
    {{- include "mirrorhook.table.walk" (dict "c" $c "name" $name "flat" $flat "names" (append $walk.names $name) "out" $walk.out) }}
  {{- end }}
{{- end }}
{{- end }}
{{- $ends := false }}
{{- if eq (int $refused) (len ($rule.targets | default list)) }}
  {{- if not (or (has .name .out.candidates) (ge (len .out.candidates) 64)) }}
    {{- $_ := set .out "candidates" (append .out.candidates .name) }}
    {{- $ends = true }}
  {{- end }}
{{- else if gt (len .out.candidates) $before }}
  {{- $ends = true }}
{{- end }}
{{- if and $ends (gt (len .names) 1) }}
  {{- $target := include "mirrorhook.table.stripUnknown" .name }}
  {{- if .flat }}{{ $target = printf "%s/*" $target }}{{ end }}
  {{- $size := 0 }}
  {{- range $n := untilStep 1 (sub (len .names) 1 | int) 1 }}
    {{- $size = max $size (len (regexReplaceAll "^[^/]*/" (index $walk.names $n) "")) }}
  {{- end }}
  {{- if gt (int $size) (len (regexReplaceAll "^[^/]*/" .name "")) }}
    {{- if .flat }}
      {{- $_ := set $c "problems" (append $c.problems (printf "The rule for %s leads through a longer path than that of the last mirror, and a mirror flattens names: use the final mirror in the rule itself, or set rewriter to webhook." (include "mirrorhook.table.stripUnknown" (first .names)))) }}
    {{- else }}
      {{- $rest := "/mirrorhook-unknown/mirrorhook-unknown" }}
      {{- $rest = hasPrefix "mirrorhook-unknown.invalid/" (first .names) | ternary (printf "mirrorhook-unknown.invalid%s" $rest) $rest }}
      {{- $target = printf "%s<%d" $target (add (sub (int $c.limits.repository) $size) (len $rest)) }}
    {{- end }}
  {{- end }}
  {{- $_ := set .out "targets" (append .out.targets $target | uniq) }}
{{- end }}
{{- end }}

{{/*
Adds a problem if the rules give the name of a prefix another name than its targets do: another
rule may flatten the path of the mirror, and a mirror without a path has no name for it. Takes c, name, and
targets (those of the names below the prefix).
*/}}
{{- define "mirrorhook.table.checkPrefixItself" -}}
{{- $at := . }}
{{- $c := .c }}
{{- $written := "" }}
{{- range .targets }}
  {{- $target := splitList "<" . | first }}
  {{- if hasSuffix "/*" $target }}{{ $target = printf "%s/%s" (trimSuffix "/*" $target) (splitList "/" $at.name | last) }}{{ end }}
  {{- $written = $written | default (include "mirrorhook.table.validName" (dict "c" $c "name" $target)) }}
{{- end }}
{{- $out := dict "targets" list "candidates" list "passed" list "visited" list }}
{{- include "mirrorhook.table.walk" (dict "c" $c "name" .name "flat" false "names" (list .name) "out" $out) }}
{{- if ne ($written | default .name) (first $out.candidates | default .name) }}
  {{- include "mirrorhook.table.rule" $at }}
  {{- $_ := set $c "problems" (append $c.problems (printf "The rule for %s leads to another rule, which treats %s itself differently from the images below it: use the final mirror in the rule itself, or set rewriter to webhook." (regexReplaceAll "^[.]" $at.rule.prefix "*.") (replace "mirrorhook-unknown" "*" .name))) }}
{{- end }}
{{- end }}

{{/*
A name in its normal form; empty for a registry alone and for an invalid name. Takes c and name.
*/}}
{{- define "mirrorhook.table.validName" -}}
{{- $name := regexReplaceAll "^docker[.]io/([^/]+)$" .name "docker.io/library/${1}" }}
{{- $long := gt (len (regexReplaceAll "^[^/]*/" $name "")) (int .c.limits.repository) }}
{{- if and (contains "/" $name) (regexMatch .c.grammar.target $name) (not $long) }}{{ $name }}{{ end }}
{{- end }}

{{/*
A name without its placeholder parts (mirrorhook-unknown).
*/}}
{{- define "mirrorhook.table.stripUnknown" -}}
{{- trimSuffix "/mirrorhook-unknown" . | trimSuffix "/mirrorhook-unknown" | trimSuffix "/mirrorhook-unknown.invalid" }}
{{- end }}

{{/*
Adds a problem if a rule leads to a name, but other images with the same prefix would match a
different rule next: images that a rule names, if a mirror flattens; and images with a single
path part at Docker Hub, which are in library/. Takes c, rule, target, name and flat.
*/}}
{{- define "mirrorhook.table.checkSplit" -}}
{{- $c := .c }}
{{- $match := regexReplaceAll "^[.]" .rule.prefix "*." }}
{{- $here := dict "c" $c "name" .name }}
{{- if or .flat (eq .target.name "docker.io") }}
  {{- include "mirrorhook.table.rule" $here }}
{{- end }}
{{- if .flat }}
  {{- $above := regexReplaceAll "/[^/]*$" .name "" }}
  {{- $at := dict "c" $c "name" $above }}
  {{- include "mirrorhook.table.below" $at }}
  {{- range $at.rests }}
    {{- $other := dict "c" $c "name" (printf "%s/%s" $above .) }}
    {{- include "mirrorhook.table.rule" $other }}
    {{- $leads := empty $other.rule.targets | ternary "" $other.rule.prefix }}
    {{- if and (not (contains "/" .)) (ne $leads (empty $here.rule.targets | ternary "" $here.rule.prefix)) }}
      {{- $_ := set $c "problems" (append $c.problems (printf "The rule for %s flattens images to %s, but another rule treats %s differently: use the final mirror in the rule itself, or set rewriter to webhook." $match $above $other.name)) }}
    {{- end }}
  {{- end }}
{{- else if eq .target.name "docker.io" }}
  {{- $leads := $here.rule.targets }}
  {{- range get $c.below "docker.io" | default list }}
    {{- if hasPrefix "library/" (printf "%s/" .) }}
      {{- $other := dict "c" $c "name" (printf "docker.io/%s" .) }}
      {{- include "mirrorhook.table.rule" $other }}
      {{- $leads = or $leads $other.rule.targets }}
    {{- end }}
  {{- end }}
  {{- if $leads }}
    {{- $_ := set $c "problems" (append $c.problems (printf "The rule for %s leads to docker.io, where an image with a single path part is in library/, and another rule applies next: use the final mirror in the rule itself, or set rewriter to webhook." $match)) }}
  {{- end }}
{{- end }}
{{- end }}
