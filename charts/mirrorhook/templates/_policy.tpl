{{/*
What of the values a policy of the API server cannot do, as a JSON list of sentences.
*/}}
{{- define "mirrorhook.policyProblems" -}}
{{- $problems := list }}
{{- $instead := "set rewriter to webhook" }}
{{- if ne .Values.mode "rewrite" }}
{{- $problems = append $problems (printf "mode is %s, and a policy of the API server tells nobody what it would do: %s to observe." .Values.mode $instead) }}
{{- end }}
{{- if .Values.policies }}
{{- $problems = append $problems (printf "policies has %s, and the API server evaluates policies in no order: install a release of its own for each, with namespaces that no other selects, or %s." (keys .Values.policies | sortAlpha | join ", ") $instead) }}
{{- end }}
{{- if include "mirrorhook.asksMirrors" . }}
{{- $problems = append $problems (printf "availability.mode is check, and the API server asks no mirror: leave it out, or %s." $instead) }}
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
{{- if or $rule.verify $rule.trusted }}
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
{{- if $mirror.pullSecrets }}
{{- $problems = append $problems (printf "%s.mirrors[%d] has the pullSecrets %s, and a policy gives no Secret to a Pod: name them in the service accounts of the Pods, or %s." $path $number (join ", " $mirror.pullSecrets) $instead) }}
{{- end }}
{{- end }}
{{- if not (and (regexMatch $grammar.target $target) (regexMatch $grammar.namesRegistry (printf "%s/" $target))) }}
{{- $problems = append $problems (printf "%s.mirrors[%d] is %s, which is no registry host with '.' or ':' in it, with or without a path: write one such as harbor.example.com/hub." $path $number $target) }}
{{- end }}
{{- end }}
{{- end }}
{{- if not $problems }}
{{- $problems = (include "mirrorhook.table" (dict "root" . "policy" .Values) | fromJson).problems }}
{{- end }}
{{- toJson $problems }}
{{- end }}
