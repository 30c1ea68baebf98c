{{- define "mirrorhook.matchConditions" -}}
{{- end }}
