{{/*
What of the values a policy of the API server cannot do, as a JSON list of sentences. One
that only says whether Pods were rewritten (enforces) can do a little more.
*/}}
{{- define "mirrorhook.policyProblems" -}}
{{- $enforces := .enforces }}
{{- $root := .root }}
{{- with .root }}
{{- $problems := list }}
{{- $instead := $enforces | ternary "leave enforce empty" "set rewriter to webhook" }}
{{- if $enforces }}
{{- if and (ne .Values.mode "rewrite") (ne .Values.enforce "warn") }}
{{- $problems = append $problems (printf "mode is %s, and enforce is %s: every Pod with an image of the rules would be refused. Set enforce to warn, or mode to rewrite." .Values.mode .Values.enforce) }}
{{- end }}
{{- if .Values.policies }}
{{- $problems = append $problems (printf "policies has %s, and enforce looks at one policy only: install a release of its own for each, or %s." (keys .Values.policies | sortAlpha | join ", ") $instead) }}
{{- end }}
{{- else }}
{{- if ne .Values.mode "rewrite" }}
{{- $problems = append $problems (printf "mode is %s, and a policy of the API server tells nobody what it would do: %s to observe." .Values.mode $instead) }}
{{- end }}
{{- if .Values.policies }}
{{- $problems = append $problems (printf "policies has %s, and the API server evaluates policies in no order: install a release of its own for each, with namespaces that no other selects, or %s." (keys .Values.policies | sortAlpha | join ", ") $instead) }}
{{- end }}
{{- if include "mirrorhook.asksMirrors" . }}
{{- $problems = append $problems (printf "availability.mode is check, and the API server asks no mirror: leave it out, or %s." $instead) }}
{{- end }}
{{- end }}
{{- $profiles := .Files.Get "files/profiles.json" | fromJson }}
{{- range .Values.profiles }}
{{- if not (hasKey $profiles .) }}
{{- $problems = append $problems (printf "profiles has %s, which this chart does not know: it knows %s." . (keys $profiles | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- $grammar := (.Files.Get "files/policy.json" | fromJson).grammar }}
{{- $taken := dict }}
{{- range $index, $rule := .Values.rules }}
{{- $path := printf "rules[%d]" $index }}
{{- if hasKey $rule "regex" }}
{{- $problems = append $problems (printf "%s has the regex %s, and a policy looks prefixes up: write it as match, or %s." $path $rule.regex $instead) }}
{{- end }}
{{- if and (not $enforces) (or $rule.verify $rule.trusted) }}
{{- $problems = append $problems (printf "%s has verify, and the API server asks no registry for digests: leave it out, or %s." $path $instead) }}
{{- end }}
{{- with $rule.match }}
{{- if not (regexMatch $grammar.match .) }}
{{- $problems = append $problems (printf "%s.match is %s, which is no registry, with or without a path: write one such as docker.io, docker.io/bitnami, *.gcr.io or *." $path .) }}
{{- end }}
{{- $match := regexReplaceAll "^index[.]docker[.]io(/|$)" . "docker.io${1}" }}
{{- with get $taken $match }}
{{- $problems = append $problems (printf "%s.match is %s, as in %s: put their mirrors into one rule." $path $match .) }}
{{- end }}
{{- $_ := set $taken $match $path }}
{{- end }}
{{- range $number, $mirror := $rule.mirrors }}
{{- $target := $mirror }}
{{- if kindIs "map" $mirror }}
{{- $target = $mirror.target }}
{{- if $mirror.allowlist }}
{{- $problems = append $problems (printf "%s.mirrors[%d] has the allowlist %s, and a policy has none: write a rule for each path that the mirror has, or %s." $path $number $mirror.allowlist $instead) }}
{{- end }}
{{- if and $mirror.pullSecrets (not $enforces) }}
{{- $problems = append $problems (printf "%s.mirrors[%d] has the pullSecrets %s, and a policy gives no Secret to a Pod: name them in the service accounts of the Pods, or %s." $path $number (join ", " $mirror.pullSecrets) $instead) }}
{{- end }}
{{- end }}
{{- if not (and (regexMatch $grammar.target $target) (regexMatch $grammar.namesRegistry (printf "%s/" $target))) }}
{{- $problems = append $problems (printf "%s.mirrors[%d] is %s, which is no registry host with '.' or ':' in it, with or without a path: write one such as harbor.example.com/hub." $path $number $target) }}
{{- end }}
{{- end }}
{{- end }}
{{- if not $problems }}
{{- range (include "mirrorhook.table" (dict "root" $root "policy" $root.Values) | fromJson).problems }}
{{- $problems = append $problems (replace "set rewriter to webhook" $instead .) }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}
{{- end }}
