{{/*
The matchConditions of the webhook of one policy, as a YAML list.

If a condition is false, the webhook would change nothing now. The reverse need not hold: when
in doubt, a condition is true. A webhook that is not called is not called again if others add
containers (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#reinvocation-policy),
so the default conditions are only those that no added container can make true: containers
cannot be added by an UPDATE. No condition can fail to evaluate, because then the Pod would be
refused or not rewritten. Takes root and policy (rules, profiles).
*/}}
{{- define "mirrorhook.matchConditions" -}}
{{- $conditions := include "mirrorhook.requestConditions" . | fromYamlArray }}
{{- /* The chart does not know the rules of custom resources. */}}
{{- if and .root.Values.webhook.matchConditionsFromRules (not .root.Values.customResources.enabled) }}
  {{- with include "mirrorhook.imageCondition" . }}
    {{- $conditions = append $conditions (dict "name" "mirrorhook.io/has-images-of-the-rules" "expression" .) }}
  {{- end }}
{{- end }}
{{- toYaml $conditions }}
{{- end }}

{{/*
The matchConditions that do not depend on rules, as a YAML list.
*/}}
{{- define "mirrorhook.requestConditions" -}}
{{- $conditions := list
  (dict
    "name" "mirrorhook.io/is-no-mirror-pod"
    "expression" "!object.?metadata.?annotations[?'kubernetes.io/config.mirror'].hasValue()"
  )
  (dict
    "name" "mirrorhook.io/is-not-opted-out"
    "expression" (join "\n" (list
      "object.?metadata.?annotations[?'mirrorhook.io/rewrite'].orValue('') != 'disabled' &&"
      "object.?metadata.?labels[?'mirrorhook.io/rewrite'].orValue('') != 'disabled'"
    ))
  )
  (dict
    "name" "mirrorhook.io/has-new-containers"
    "expression" (join "\n" (list
      "request.operation != 'UPDATE' ||"
      "['containers', 'initContainers', 'ephemeralContainers']"
      "  .exists(field, object.?spec[?field] != oldObject.?spec[?field])"
    ))
  )
}}
{{- toYaml $conditions }}
{{- end }}

{{/*
An expression that is true if a Pod has an image that the rules may change, or nothing if the
chart cannot tell. Takes root and policy.

The API server limits the cost of an expression to 1,000,000. Matching an image of n
characters against a regular expression of m characters costs n * m / 40. The expression uses
at most 800,000; Pods with more text go to the webhook without matching. Each image counts as
30 characters longer, to allow for its normal form and for rounding.
*/}}
{{- define "mirrorhook.imageCondition" -}}
{{- $rules := include "mirrorhook.rulesInForce" . | fromJson }}
{{- $change := dict }}
{{- range list false true }}
  {{- if not $change.condition }}
    {{- $change = include "mirrorhook.changeCondition" (dict "rules" $rules "coarse" .) | fromJson }}
  {{- end }}
{{- end }}
{{- with $change.condition }}
{{- $limit := min 20000 (sub (div 32000000 (add (len .) 200)) 30) -}}
[['containers', 'initContainers', 'ephemeralContainers', 'volumes']
  .map(field, object.?spec[?field].orValue([])).filter(entries, type(entries) == list)]
.exists(lists, lists.exists(entries, entries.size() > 64) ||
[lists.map(entries, entries
  .filter(entry, type(entry) == map && entry.?imagePullPolicy.orValue('') != 'Never')
  .map(entry, entry.?image.orValue(''))
  .map(image, type(image) == map ? image.?reference.orValue('') : image)
  .filter(image, type(image) == string))]
.exists(lists, lists.exists(images, images.exists(image, image.size() > 500)) ||
[lists.map(images, images.join(' ')).join(' ').split(' ').filter(image, image != '')]
.exists(images, 30 * images.size() + images.join('').size() > {{ $limit }} ||
images
  .map(image, image.matches('^(?:[^/]*[.:A-Z][^/]*|localhost)/') ? image : 'docker.io/' + image)
  .map(image, image.startsWith('index.docker.io/') ? image.substring(6) : image)
  .map(image, image.matches('^docker[.]io/[^/]+$') ? 'docker.io/library/' + image.substring(10) : image)
  .exists(image, {{ . }}))))
{{- end }}
{{- end }}

{{/*
The rules of a policy, as a JSON object: rules, and unknown, which is true if the chart cannot
tell what the rules are. A rule has regex, or the host and path of its match; the host of
`*.gcr.io` is `.gcr.io`. It also has targets with flatten, or no targets if it keeps images.
Takes root and policy.
*/}}
{{- define "mirrorhook.rulesInForce" -}}
{{- $profiles := .root.Files.Get "files/profiles.json" | fromJson }}
{{- $image := .root.Values.image }}
{{- $unknown := and .policy.profiles $image.tag (ne $image.tag .root.Chart.AppVersion) | not | not }}
{{- $given := .policy.rules | default list }}
{{- range .policy.profiles }}
  {{- if hasKey $profiles . }}
    {{- $given = concat $given (get $profiles .) }}
  {{- else }}
    {{- $unknown = true }}
  {{- end }}
{{- end }}
{{- $rules := dict }}
{{- range $given }}
  {{- $targets := list }}
  {{- range .mirrors }}
    {{- $target := . }}
    {{- $flatten := false }}
    {{- if kindIs "map" . }}{{ $target = .target }}{{ $flatten = .flatten | default false }}{{ end }}
    {{- $targets = append $targets (include "mirrorhook.prefix" $target | fromJson | merge (dict "flatten" $flatten)) }}
  {{- end }}
  {{- $rule := dict "regex" .regex "targets" $targets }}
  {{- $name := printf "/%s/" .regex }}
  {{- if .match }}
    {{- $rule = merge $rule (include "mirrorhook.prefix" .match | fromJson) }}
    {{- $name = printf "%s/%s" $rule.host $rule.path }}
  {{- end }}
  {{- if not (hasKey $rules $name) }}
    {{- $_ := set $rules $name $rule }}
  {{- end }}
{{- end }}
{{- /* Sorted by name, so that the same rules give the same conditions. */}}
{{- $inForce := list }}
{{- range $rules }}{{ $inForce = append $inForce . }}{{ end }}
{{- dict "unknown" (or $unknown (not $rules)) "rules" $inForce | toJson }}
{{- end }}

{{/*
A registry with an optional path, as a JSON object: host and path.
*/}}
{{- define "mirrorhook.prefix" -}}
{{- $host := regexFind "^[^/]*" . }}
{{- $path := trimPrefix $host . | trimPrefix "/" }}
{{- if eq $host "index.docker.io" }}{{ $host = "docker.io" }}{{ end }}
{{- dict "host" (trimPrefix "*" $host) "path" $path | toJson }}
{{- end }}

{{/*
The condition under which the rules may change an image: a JSON object with condition, an
expression of `image` (a name in normal form), which is empty if it would take too long to
evaluate. Takes rules, and coarse, to compare only registries.

Of the rules that match an image and whose mirrors do not contain it, the first applies:
regexes first, then the longest match. So an image may change if it has the match of a rule
with mirrors and is not one of the exceptions; if a regex matches it; or, with a rule for every
registry, if it is neither at that rule's mirrors nor kept by another rule.
*/}}
{{- define "mirrorhook.changeCondition" -}}
{{- $matched := list }}
{{- $kept := list }}
{{- $regexes := list }}
{{- $others := list }}
{{- $elsewhere := false }}
{{- $usable := not .rules.unknown }}
{{- range .rules.rules }}
  {{- if and .regex .targets }}
    {{- /* Checked by Go's regexp, because the API server refuses the same expressions, such as an
      unterminated quote. */}}
    {{- $regex := printf "^(?:%s)$" .regex }}
    {{- if not (regexMatch (printf "%s|" $regex) "") }}{{ $usable = false }}{{ end }}
    {{- $regexes = append $regexes (printf "name.matches(%s)" (toJson $regex)) }}
  {{- else if and .host .targets }}
    {{- $matched = append $matched . }}
  {{- else if .host }}
    {{- $kept = append $kept . }}
  {{- else if .targets }}
    {{- $elsewhere = true }}
    {{- range .targets }}
      {{- $others = append $others (dict "host" .host "path" "") }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $exceptions := list }}
{{- if not .coarse }}
  {{- $others = concat $others $kept }}
  {{- $exceptions = include "mirrorhook.exceptions" (dict "matched" $matched "kept" $kept) | fromJsonArray }}
{{- end }}
{{- $parts := list }}
{{- with $matched }}
  {{- $part := include "mirrorhook.matches" (dict "prefixes" . "coarse" $.coarse) }}
  {{- with $exceptions }}
    {{- $part = printf "%s && !%s" $part (include "mirrorhook.matches" (dict "prefixes" . "coarse" false)) }}
  {{- end }}
  {{- $parts = append $parts $part }}
{{- end }}
{{- with $regexes }}
  {{- $parts = append $parts (join "\n    " (list
    "[image.split('@')[0]]"
    ".map(name, name.lastIndexOf(':') <= name.lastIndexOf('/') ? name : name.substring(0, name.lastIndexOf(':')))"
    (printf ".exists(name, %s)" (join " || " .))
  )) }}
{{- end }}
{{- if $elsewhere }}
  {{- $parts = append $parts (printf "!%s" (include "mirrorhook.matches" (dict "prefixes" $others "coarse" false))) }}
{{- end }}
{{- $condition := join " ||\n    " $parts | default "false" }}
{{- if or (not $usable) (gt (len $condition) 16000) }}{{ $condition = "" }}{{ end }}
{{- dict "condition" $condition | toJson }}
{{- end }}

{{/*
Prefixes that a rule matches but does not change: prefixes that a rule keeps, and mirrors of a
rule within its own match. Prefixes below which another rule might change images are omitted.
A JSON list. Takes matched and kept.
*/}}
{{- define "mirrorhook.exceptions" -}}
{{- $exceptions := list }}
{{- $matched := .matched }}
{{- if le (mul (len .kept) (len $matched)) 20000 }}
{{- range $kept := .kept }}
  {{- $covered := false }}
  {{- $safe := true }}
  {{- range $matched }}
    {{- $within := and (hasPrefix "." $kept.host) (hasSuffix $kept.host .host) }}
    {{- $around := or (eq .host $kept.host) (and (hasPrefix "." .host) (hasSuffix .host $kept.host)) }}
    {{- if or $within $around }}
      {{- if or (and (eq .path $kept.path) $within) (and (ne .path $kept.path) (or (not $kept.path) (hasPrefix (printf "%s/" $kept.path) .path))) }}
        {{- $safe = false }}
      {{- else if or (not .path) (eq .path $kept.path) (hasPrefix (printf "%s/" .path) $kept.path) }}
        {{- $covered = true }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- if and $safe $covered }}{{ $exceptions = append $exceptions $kept }}{{ end }}
{{- end }}
{{- end }}
{{- range $index, $rule := $matched }}
  {{- range $target := .targets }}
    {{- if include "mirrorhook.overlap" (list $rule $target) }}
      {{- $safe := true }}
      {{- range $other, $_ := $matched }}
        {{- if and $safe (ne $other $index) (include "mirrorhook.overlap" (list . $target)) }}{{ $safe = false }}{{ end }}
      {{- end }}
      {{- if $safe }}{{ $exceptions = append $exceptions $target }}{{ end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- toJson $exceptions }}
{{- end }}

{{/*
"true" if a rule's match and a target overlap, otherwise empty.
*/}}
{{- define "mirrorhook.overlap" -}}
{{- $rule := first . }}
{{- $target := last . }}
{{- if or (eq $rule.host $target.host) (and (hasPrefix "." $rule.host) (hasSuffix $rule.host $target.host)) }}
  {{- $below := printf "%s/" $target.path }}
  {{- if or (not $rule.path) (not $target.path) (hasPrefix (printf "%s/" $rule.path) $below) (hasPrefix $below $rule.path) }}true{{ end }}
{{- end }}
{{- end }}

{{/*
An expression that is true if `image` is below one of prefixes or, with coarse, at one of
their registries. Takes prefixes and coarse.
*/}}
{{- define "mirrorhook.matches" -}}
{{- $paths := dict }}
{{- range .prefixes }}
  {{- $host := regexQuoteMeta .host }}
  {{- if hasPrefix "." .host }}{{ $host = printf "[^/]+%s" $host }}{{ end }}
  {{- $_ := set $paths $host (append (get $paths $host | default list) (regexQuoteMeta .path)) }}
{{- end }}
{{- $prefixes := list }}
{{- range $host, $below := $paths }}
  {{- if or $.coarse (has "" $below) }}
    {{- $prefixes = append $prefixes (printf "%s/" $host) }}
  {{- else }}
    {{- $prefixes = append $prefixes (printf "%s/(?:%s)(?:[/:@]|$)" $host (join "|" $below)) }}
  {{- end }}
{{- end }}
{{- printf "image.matches(%s)" (printf "^(?:%s)" (join "|" $prefixes) | toJson) }}
{{- end }}
