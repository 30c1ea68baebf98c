{{/*
The table of a policy of the API server: each prefix with the targets for its images, after
following rules that lead to each other. Returns a JSON object with literal, the table in
CEL, and problems, a list of messages. Takes root and policy (rules, profiles).

The result is the same as that of webhook/render. The targets can change only at certain
prefixes (edges): each match, each mirror, and the prefixes below them after a step. From
each edge, a name that no rule mentions is followed from rule to rule. A prefix with the same
targets as the next shorter one is omitted. Prefixes of subdomains begin with their dot.
*/}}
{{- define "mirrorhook.table" -}}
{{- $c := dict "rules" dict "edges" dict "below" dict "found" dict "wide" false "problems" list }}
{{- $c = .root.Files.Get "files/policy.json" | fromJson | merge $c }}
{{- include "mirrorhook.table.index" (dict "c" $c "rules" (include "mirrorhook.rulesInForce" . | fromJson).rules) }}
{{- $ahead := keys $c.edges | sortAlpha }}
{{- range until 32 }}
  {{- $next := dict }}
  {{- range $prefix := $ahead }}
    {{- if not (or $c.problems (hasKey $c.found $prefix)) }}
      {{- $name := $prefix }}
      {{- if eq $prefix "*" }}{{ $name = "mirrorhook-unknown.invalid" }}{{ end }}
      {{- if hasPrefix "." $prefix }}{{ $name = printf "mirrorhook-unknown%s" $prefix }}{{ end }}
      {{- $out := dict "targets" list "candidates" list "passed" (list $name) "visited" list }}
      {{- $below := printf "%s/mirrorhook-unknown/mirrorhook-unknown" $name }}
      {{- include "mirrorhook.table.walk" (dict "c" $c "name" $below "flat" false "names" (list $below) "out" $out) }}
      {{- if and $out.chained (not $c.problems) (contains "/" $name) (not (regexMatch "^docker[.]io/[^/]+$" $name)) }}
        {{- include "mirrorhook.table.checkPrefixItself" (dict "c" $c "name" $name "targets" $out.targets) }}
      {{- end }}
      {{- $_ := set $c.found $prefix $out.targets }}
      {{- range uniq $out.passed }}
        {{- $at := dict "c" $c "name" . }}
        {{- include "mirrorhook.table.below" $at }}
        {{- range $at.rests }}
          {{- $_ := set $next (eq $prefix "*" | ternary . (printf "%s/%s" $prefix .)) true }}
        {{- end }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- $ahead = keys $next | sortAlpha }}
{{- end }}
{{- if and $ahead (not $c.problems) }}
  {{- $_ := set $c "problems" (append $c.problems "The rules lead to each other and expand to more prefixes than a policy can hold: use the final mirror in each rule, or set rewriter to webhook.") }}
{{- end }}
{{- include "mirrorhook.table.data" $c }}
{{- $pairs := list }}
{{- range $key, $targets := $c.data }}{{ $pairs = append $pairs (printf "'%s': '%s'" $key $targets) }}{{ end }}
{{- $literal := printf "{%s}" (join ",\n" $pairs) }}
{{- if gt (len $literal) (int $c.limits.literal) }}
  {{- $_ := set $c "problems" (append $c.problems (printf "The rules need %d characters of CEL, but a policy can hold at most %d: use fewer rules, or set rewriter to webhook." (len $literal) (int $c.limits.literal))) }}
{{- end }}
{{- dict "literal" $literal "problems" (uniq $c.problems) | toJson }}
{{- end }}

{{/*
Sets in c: rules, by their prefixes; edges, the prefixes at which the targets may change; and
below, the paths from each prefix to the edges below it. Takes c and rules.
*/}}
{{- define "mirrorhook.table.index" -}}
{{- $c := .c }}
{{- range $rule := .rules }}
  {{- $prefix := .host | default "*" }}
  {{- with .path }}{{ $prefix = printf "%s/%s" $prefix . }}{{ end }}
  {{- if hasPrefix "." $prefix }}{{ $_ := set $c "wide" true }}{{ end }}
  {{- $_ := set $c.edges $prefix true }}
  {{- $targets := list }}
  {{- range .targets }}
    {{- $name := empty .path | ternary .host (printf "%s/%s" .host .path) }}
    {{- $_ := set $c.edges .host true }}
    {{- $_ := set $c.edges $name true }}
    {{- $targets = append $targets (merge (dict "name" $name) .) }}
  {{- end }}
  {{- $_ := set $c.rules $prefix (merge (dict "prefix" $prefix "targets" $targets) $rule) }}
{{- end }}
{{- range $edge, $_ := $c.edges }}
  {{- $parts := splitList "/" $edge }}
  {{- range $n := untilStep 1 (len $parts) 1 }}
    {{- $above := slice $parts 0 $n | join "/" }}
    {{- $_ := set $c.below $above (append (get $c.below $above | default list) (slice $parts $n | join "/")) }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
Sets data in c: the targets that were found, by the key of each prefix. Shorter prefixes come
first, so that longer ones with the same targets can be omitted.
*/}}
{{- define "mirrorhook.table.data" -}}
{{- $c := . }}
{{- $order := dict }}
{{- range $prefix, $_ := .found }}
  {{- $host := splitList "/" $prefix | first }}
  {{- $place := printf "%05d %t %05d %s" (sub (len $prefix) (len $host) | int) (hasPrefix "." $host | not) (len $host) $prefix }}
  {{- $_ := set $order (eq $prefix "*" | ternary "" $place) $prefix }}
{{- end }}
{{- $kept := dict }}
{{- $domains := dict }}
{{- $depth := 0 }}
{{- $data := dict }}
{{- range $place := keys $order | sortAlpha }}
  {{- $prefix := get $order $place }}
  {{- $targets := get $c.found $prefix }}
  {{- $implied := include "mirrorhook.table.implied" (dict "c" $c "prefix" $prefix "kept" $kept) | fromJsonArray }}
  {{- if ne (join " " $targets) (join " " $implied) }}
    {{- $_ := set $kept $prefix $targets }}
    {{- $key := replace "/" ".." $prefix | replace ":" "_" | replace "[" "-" | replace "]" "-" }}
    {{- if eq $prefix "*" }}{{ $key = "_every-registry" }}{{ end }}
    {{- $_ := set $data $key (join " " $targets) }}
    {{- if hasPrefix "." $key }}
      {{- $domain := splitList ".." $key | first }}
      {{- $_ := set $domains (printf "%05d %s" (sub 10000 (len $domain)) $domain) $domain }}
    {{- end }}
    {{- $depth = max $depth (sub (splitList "/" $prefix | len) 1) }}
    {{- if gt (len $key) (int $c.limits.key) }}
      {{- $_ := set $c "problems" (append $c.problems (printf "The prefix %s has %d characters including separators, but a policy supports at most %d: set rewriter to webhook." $prefix (len $key) (int $c.limits.key))) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $listed := list }}
{{- range $place := keys $domains | sortAlpha }}{{ $listed = append $listed (get $domains $place) }}{{ end }}
{{- if gt (int $depth) (int $c.limits.depth) }}
  {{- $_ := set $c "problems" (append $c.problems (printf "A rule has a path of %d parts, but a policy supports at most %d: set rewriter to webhook." (int $depth) (int $c.limits.depth))) }}
{{- end }}
{{- if gt (len $listed) (int $c.limits.domains) }}
  {{- $_ := set $c "problems" (append $c.problems (printf "The rules match subdomains of %d domains, but a policy supports at most %d: set rewriter to webhook." (len $listed) (int $c.limits.domains))) }}
{{- end }}
{{- $_ := set $data "_depth" (toString $depth) }}
{{- $_ := set $data "_domains" (join " " $listed) }}
{{- $_ := set $c "data" $data }}
{{- end }}

{{/*
The targets that a prefix inherits from the next shorter one, as a JSON list. Takes c, prefix,
and kept (the targets of the shorter prefixes).
*/}}
{{- define "mirrorhook.table.implied" -}}
{{- $prefix := .prefix }}
{{- $kept := .kept }}
{{- $parts := splitList "/" $prefix }}
{{- $registries := include "mirrorhook.table.registries" (dict "c" .c "host" (first $parts)) | splitList " " }}
{{- $above := "" }}
{{- $rest := "" }}
{{- range $n := untilStep (len $parts) 0 -1 }}
  {{- range $registries }}
    {{- $shorter := prepend (slice $parts 1 $n) . | join "/" }}
    {{- if and (not $above) (hasKey $kept $shorter) }}
      {{- $above = $shorter }}
      {{- $rest = slice $parts $n | join "/" }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $targets := list }}
{{- range get $kept ($above | default "*") | default list }}
  {{- $more := empty $above | ternary $prefix $rest }}
  {{- if or (hasSuffix "/*" .) (empty $more) }}
    {{- $targets = append $targets . }}
  {{- else }}
    {{- $parts := splitList "<" . }}
    {{- $target := printf "%s/%s" (first $parts) $more }}
    {{- range rest $parts }}
      {{- $limit := sub (atoi .) (len $more) }}
      {{- if $above }}{{ $limit = sub $limit 1 }}{{ end }}
      {{- if $limit }}{{ $target = printf "%s<%d" $target $limit }}{{ end }}
    {{- end }}
    {{- $targets = append $targets $target }}
  {{- end }}
{{- end }}
{{- toJson $targets }}
{{- end }}
