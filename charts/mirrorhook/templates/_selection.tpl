{{/*
The requests that can set the image of a Pod, as a YAML list of rules.
*/}}
{{- define "mirrorhook.resourceRules" -}}
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [pods]
  scope: Namespaced
- apiGroups: [""]
  apiVersions: [v1]
  operations: [UPDATE]
  resources: [pods/ephemeralcontainers]
  scope: Namespaced
{{- end }}

{{/*
The namespaces of one policy, as a YAML list of the webhooks (or bindings of a policy of the
API server) to create: each has a prefix for its name and a namespaceSelector.

A selector has no "or", but "labelled or listed" needs one. In this case, a policy has two
webhooks. They never select the same namespace, so no Pod is reviewed twice. Takes root and
selection; the mode defaults to listed.
*/}}
{{- define "mirrorhook.namespaceSelectors" -}}
{{- $label := "mirrorhook.io/rewrite" }}
{{- $name := "kubernetes.io/metadata.name" }}
{{- $never := uniq (prepend (.selection.excludedNamespaces | default list) (include "mirrorhook.namespace" .root)) }}
{{- $listed := list }}
{{- range .selection.namespaces }}
{{- if not (has . $never) }}{{ $listed = append $listed . }}{{ end }}
{{- end }}
{{- $system := list }}
{{- range list "kube-system" "kube-public" "kube-node-lease" }}
{{- if not (or (has . $never) (has . $listed)) }}{{ $system = append $system . }}{{ end }}
{{- end }}
{{- $common := list }}
{{- if .root.Values.cloud.aks }}
{{- $common = list
  (dict "key" "kubernetes.azure.com/managedby" "operator" "NotIn" "values" (list "aks"))
  (dict "key" "control-plane" "operator" "NotIn" "values" (list "true"))
}}
{{- end }}
{{- $common = concat $common ((.selection.namespaceSelector).matchExpressions | default list) }}
{{- $enabled := dict "key" $label "operator" "In" "values" (list "enabled") }}
{{- $webhooks := list }}
{{- $mode := .selection.mode | default "listed" }}
{{- if eq $mode "listed" }}
  {{- $webhooks = append $webhooks (dict "prefix" "" "expressions" (list
    (dict "key" $label "operator" "NotIn" "values" (list "disabled"))
    (dict "key" $name "operator" "In" "values" $listed)
  )) }}
{{- else if eq $mode "all" }}
  {{- $webhooks = append $webhooks (dict "prefix" "" "expressions" (list
    (dict "key" $label "operator" "NotIn" "values" (list "disabled"))
    (dict "key" $name "operator" "NotIn" "values" (concat $never $system))
  )) }}
  {{- if $system }}
    {{- $webhooks = append $webhooks (dict "prefix" "system." "expressions" (list
      $enabled
      (dict "key" $name "operator" "In" "values" $system)
    )) }}
  {{- end }}
{{- else }}
  {{- $webhooks = append $webhooks (dict "prefix" "" "expressions" (list
    $enabled
    (dict "key" $name "operator" "NotIn" "values" $never)
  )) }}
  {{- if $listed }}
    {{- $webhooks = append $webhooks (dict "prefix" "listed." "expressions" (list
      (dict "key" $label "operator" "NotIn" "values" (list "enabled" "disabled"))
      (dict "key" $name "operator" "In" "values" $listed)
    )) }}
  {{- end }}
{{- end }}
{{- range $webhooks }}
- prefix: {{ .prefix | quote }}
  namespaceSelector:
    {{- with ($.selection.namespaceSelector).matchLabels }}
    matchLabels:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    matchExpressions:
      {{- toYaml (concat .expressions $common) | nindent 6 }}
{{- end }}
{{- end }}

{{/*
The Pods of one policy: excludes Pods that opted out (the webhook's own Pods have this label
too) and Pods of operators that compare images, and adds the selection's own selector. Takes
root, selection, and strict: if true, the opt-out label is ignored.
*/}}
{{- define "mirrorhook.objectSelector" -}}
{{- $operators := .root.Values.operators }}
{{- with (.selection.objectSelector).matchLabels }}
matchLabels:
  {{- toYaml . | nindent 2 }}
{{- end }}
matchExpressions:
  {{- if not .strict }}
  - key: mirrorhook.io/rewrite
    operator: NotIn
    values: [disabled]
  {{- end }}
  {{- if $operators.cloudNativePG }}
  - key: cnpg.io/podRole
    operator: NotIn
    values: [instance]
  {{- end }}
  {{- if $operators.zalandoPostgres }}
  - key: application
    operator: NotIn
    values: [spilo]
  {{- end }}
  {{- if $operators.olm }}
  - key: olm.catalogSource
    operator: DoesNotExist
  {{- end }}
  {{- if $operators.aerospike }}
  - key: aerospike.com/cr
    operator: DoesNotExist
  {{- end }}
  {{- if $operators.kubeVirt }}
  - key: kubevirt.io
    operator: NotIn
    values: [virt-launcher]
  {{- end }}
  {{- with (.selection.objectSelector).matchExpressions }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
