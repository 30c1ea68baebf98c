{{/*
Names. Names of cluster-scoped objects include the namespace, so that releases in different
namespaces do not collide. A namespace contains no dot, so the last dot separates the two.
*/}}
{{- define "mirrorhook.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "mirrorhook.fullname" -}}
{{- $name := include "mirrorhook.name" . }}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $default | replace "." "-" | replace "_" "-" | lower | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "mirrorhook.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{- define "mirrorhook.clusterName" -}}
{{ include "mirrorhook.fullname" . }}.{{ include "mirrorhook.namespace" . }}
{{- end }}

{{- define "mirrorhook.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "mirrorhook.fullname" .) }}
{{- end }}

{{- define "mirrorhook.certificateSecretName" -}}
{{- if eq .Values.certificates.mode "existing" }}
{{- .Values.certificates.existing.secretName }}
{{- else if eq .Values.certificates.mode "cert-manager" }}
{{- include "mirrorhook.fullname" . }}-tls
{{- else }}
{{- include "mirrorhook.fullname" . }}-ca
{{- end }}
{{- end }}

{{/*
Labels. Selectors include no label that an upgrade changes.
*/}}
{{- define "mirrorhook.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mirrorhook.name" . | toJson }}
app.kubernetes.io/instance: {{ .Release.Name | toJson }}
app.kubernetes.io/component: webhook
{{- end }}

{{- define "mirrorhook.testLabels" -}}
app.kubernetes.io/name: {{ include "mirrorhook.name" . | toJson }}
app.kubernetes.io/instance: {{ .Release.Name | toJson }}
app.kubernetes.io/component: test
{{- end }}

{{- define "mirrorhook.labels" -}}
{{- $labels := dict
  "app.kubernetes.io/name" (include "mirrorhook.name" .)
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/component" "webhook"
  "app.kubernetes.io/version" (.Values.image.tag | default .Chart.AppVersion | trunc 63 | regexFind ".*[A-Za-z0-9]")
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63)
}}
{{- toYaml (merge $labels (.Values.commonLabels | default dict)) }}
{{- end }}

{{/*
The metadata of an object. Takes root, and optionally name, labels, annotations, cluster (no
namespace), and namespace: in one that is not its own, the name includes the own one.
*/}}
{{- define "mirrorhook.metadata" -}}
{{- $root := .root }}
{{- $annotations := merge dict (.annotations | default dict) ($root.Values.commonAnnotations | default dict) }}
{{- $labels := merge dict (.labels | default dict) (include "mirrorhook.labels" $root | fromYaml) }}
{{- $namespace := .namespace | default (include "mirrorhook.namespace" $root) }}
{{- $name := .name | default (include "mirrorhook.fullname" $root) }}
{{- if ne $namespace (include "mirrorhook.namespace" $root) }}
{{- $name = printf "%s.%s" $name (include "mirrorhook.namespace" $root) }}
{{- end }}
{{- $metadata := dict "name" $name "labels" $labels }}
{{- if not .cluster }}{{ $_ := set $metadata "namespace" $namespace }}{{ end }}
{{- if $annotations }}{{ $_ := set $metadata "annotations" $annotations }}{{ end }}
{{- toYaml $metadata }}
{{- end }}

{{/*
Settings derived from the cloud values.
*/}}
{{- define "mirrorhook.hostNetwork" -}}
{{- if or .Values.hostNetwork .Values.cloud.eksOverlayNetwork }}true{{ end }}
{{- end }}

{{- define "mirrorhook.port" -}}
{{- if .Values.cloud.gkePrivateCluster }}10250{{ else }}{{ .Values.webhook.port }}{{ end }}
{{- end }}

{{/*
"true" if clients need a certificate, otherwise empty.
*/}}
{{- define "mirrorhook.verifiesClients" -}}
{{- with .Values.certificates.clients }}
{{- if or .configMapName .secretName }}true{{ end }}
{{- end }}
{{- end }}

{{/*
"true" if the Pods are clients of the API server, otherwise empty.
*/}}
{{- define "mirrorhook.usesApi" -}}
{{- if or (eq .Values.certificates.mode "self") .Values.customResources.enabled }}true{{ end }}
{{- end }}

{{/*
"true" if replicas look up and query each other for the console, otherwise empty.
*/}}
{{- define "mirrorhook.findsReplicas" -}}
{{- if and .Values.console.enabled (eq .Values.certificates.mode "self") }}true{{ end }}
{{- end }}

{{/*
The image of every Pod of the chart.
*/}}
{{- define "mirrorhook.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry | trimSuffix "/" }}
{{- $registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "mirrorhook.imagePullSecrets" -}}
{{- $names := list }}
{{- range concat (.Values.global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) }}
{{- if kindIs "map" . }}{{ $names = append $names .name }}{{ else }}{{ $names = append $names . }}{{ end }}
{{- end }}
{{- range uniq $names }}
- name: {{ . | toJson }}
{{- end }}
{{- end }}

{{/*
The rules file, copied from the values.
*/}}
{{- define "mirrorhook.rulesFile" -}}
{{- $file := dict "profiles" (.Values.profiles | default list) "rules" (.Values.rules | default list) "mode" .Values.mode "record" .Values.record }}
{{- with .Values.availability }}{{ $_ := set $file "availability" . }}{{ end }}
{{- with .Values.loops }}{{ $_ := set $file "loops" . }}{{ end }}
{{- with .Values.delegation }}{{ $_ := set $file "delegation" . }}{{ end }}
{{- $policies := dict }}
{{- range $name, $policy := .Values.policies }}
{{- $_ := set $policies $name (pick $policy "profiles" "rules" "mode" "record" "availability" "loops") }}
{{- end }}
{{- if $policies }}{{ $_ := set $file "policies" $policies }}{{ end }}
{{- toYaml $file }}
{{- end }}

{{/*
"true" if any policy checks mirrors, otherwise empty.
*/}}
{{- define "mirrorhook.asksMirrors" -}}
{{- range prepend (values (.Values.policies | default dict)) (dict "availability" .Values.availability) }}
{{- if eq (toString (dig "mode" "off" (.availability | default dict))) "check" }}true{{ end }}
{{- end }}
{{- end }}
