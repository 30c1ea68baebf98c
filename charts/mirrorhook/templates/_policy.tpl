{{/*
Problems with values that a policy of the API server does not support: a JSON list of
messages. A policy that only checks whether Pods were rewritten (enforces) supports more. Takes
root, enforces, and invalid (other problems).
*/}}
{{- define "mirrorhook.policyProblems" -}}
{{- $enforces := .enforces }}
{{- $invalid := .invalid }}
{{- $root := .root }}
{{- with .root }}
{{- $problems := list }}
{{- $instead := $enforces | ternary "leave enforce empty" "set rewriter to webhook" }}
{{- if $enforces }}
{{- if and (ne .Values.mode "rewrite") (ne .Values.enforce "warn") }}
{{- $problems = append $problems (printf "mode is %s, but enforce is %s: every Pod with an image that the rules rewrite would be refused. Set enforce to warn, or mode to rewrite." .Values.mode .Values.enforce) }}
{{- end }}
{{- if .Values.policies }}
{{- $problems = append $problems (printf "policies has %s, but enforce supports only one policy: install a separate release for each, or %s." (keys .Values.policies | sortAlpha | join ", ") $instead) }}
{{- end }}
{{- else }}
{{- if ne .Values.mode "rewrite" }}
{{- $problems = append $problems (printf "mode is %s, but a policy of the API server cannot report what it would change: %s to observe." .Values.mode $instead) }}
{{- end }}
{{- if .Values.policies }}
{{- $problems = append $problems (printf "policies has %s, but the API server evaluates policies in no defined order: install a separate release for each, with namespaces that no other selects, or %s." (keys .Values.policies | sortAlpha | join ", ") $instead) }}
{{- end }}
{{- if include "mirrorhook.asksMirrors" . }}
{{- $problems = append $problems (printf "availability.mode is check, but the API server cannot check mirrors: remove it, or %s." $instead) }}
{{- end }}
{{- end }}
{{- range $index, $rule := .Values.rules }}
{{- $path := printf "rules[%d]" $index }}
{{- if hasKey $rule "regex" }}
{{- $problems = append $problems (printf "%s has the regex %s, but a policy supports only prefixes: use match, or %s." $path $rule.regex $instead) }}
{{- end }}
{{- if and (not $enforces) (or $rule.verify $rule.trusted) }}
{{- $problems = append $problems (printf "%s has verify, but the API server cannot ask a registry for digests: remove it, or %s." $path $instead) }}
{{- end }}
{{- range $number, $mirror := $rule.mirrors }}
{{- if kindIs "map" $mirror }}
{{- if $mirror.allowlist }}
{{- $problems = append $problems (printf "%s.mirrors[%d] has the allowlist %s, but a policy does not support allowlists: write a rule for each path that the mirror has, or %s." $path $number $mirror.allowlist $instead) }}
{{- end }}
{{- if and $mirror.pullSecrets (not $enforces) }}
{{- $problems = append $problems (printf "%s.mirrors[%d] has the pullSecrets %s, but a policy cannot add pull secrets to a Pod: add them to the service accounts of the Pods, or %s." $path $number (join ", " $mirror.pullSecrets) $instead) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if not (or $invalid $problems) }}
{{- range (include "mirrorhook.table" (dict "root" $root "policy" $root.Values) | fromJson).problems }}
{{- $problems = append $problems (replace "set rewriter to webhook" $instead .) }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}
{{- end }}
