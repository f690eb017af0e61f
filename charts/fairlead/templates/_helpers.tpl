{{/* Name of the chart in labels. */}}
{{- define "fairlead.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of the release's objects. A release named as the chart does not say it twice. */}}
{{- define "fairlead.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else }}
{{- $name := include "fairlead.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Name of objects outside namespaces: a release of the same name may be in another namespace. */}}
{{- define "fairlead.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "fairlead.fullname" .) }}
{{- end }}

{{/* What selects the operator's pods. It cannot be changed in a Deployment: keep it short. */}}
{{- define "fairlead.selectorLabels" -}}
app.kubernetes.io/name: {{ include "fairlead.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* What selects the recorder's pod. */}}
{{- define "fairlead.recorderSelectorLabels" -}}
app.kubernetes.io/name: {{ include "fairlead.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: recorder
{{- end }}

{{/* What selects the pod of `helm test`: not the component `operator`, or the Service would. */}}
{{- define "fairlead.testSelectorLabels" -}}
app.kubernetes.io/name: {{ include "fairlead.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end }}

{{/* How the operator's ports, and the recorder's, are spoken to. */}}
{{- define "fairlead.scheme" -}}
{{- ternary "https" "http" (not (empty .Values.tls.secretName)) }}
{{- end }}

{{- define "fairlead.recorderScheme" -}}
{{- ternary "https" "http" (not (empty .Values.recorder.tls.secretName)) }}
{{- end }}

{{/* How a monitor scrapes: by https where there is a certificate, whose name it does not check. */}}
{{- define "fairlead.scrapeTls" -}}
{{- if .secret -}}
scheme: https
tlsConfig:
  insecureSkipVerify: true
{{- else -}}
scheme: http
{{- end }}
{{- end }}

{{/* Egress rule: names. Where they are resolved differs from cluster to cluster. */}}
{{- define "fairlead.dnsEgress" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end }}

{{/* Egress rule: the API server, whose address no selector knows. */}}
{{- define "fairlead.apiServerEgress" -}}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - port: {{ int64 . }}
      protocol: TCP
    {{- end }}
{{- end }}

{{/* What the operator's `--network-policies` is given: who may talk to models and routers. */}}
{{- define "fairlead.networkPolicies" -}}
{{- $policy := .Values.networkPolicy }}
{{- $home := dict "matchLabels" (dict "kubernetes.io/metadata.name" .Release.Namespace) }}
{{- $operator := dict "namespaceSelector" $home "podSelector" (dict "matchLabels" (include "fairlead.selectorLabels" . | fromYaml)) }}
{{- $told := dict "operator" (list $operator) "clientsFrom" $policy.clientsFrom "metricsFrom" $policy.metricsFrom "modelsTo" $policy.modelsTo }}
{{- if .Values.recorder.enabled }}
{{- $recorder := dict "namespaceSelector" $home "podSelector" (dict "matchLabels" (include "fairlead.recorderSelectorLabels" . | fromYaml)) }}
{{- $_ := set $told "recorderTo" (list $recorder) }}
{{- end }}
{{- toJson $told }}
{{- end }}

{{- define "fairlead.recorderName" -}}
{{- printf "%s-recorder" (include "fairlead.fullname" .) }}
{{- end }}

{{- define "fairlead.recorderLabels" -}}
{{- $mine := include "fairlead.recorderSelectorLabels" . | fromYaml }}
{{- mustMerge (dict) $mine (include "fairlead.labels" . | fromYaml) | toYaml }}
{{- end }}

{{/* Labels of every object; ours win over the user's, because a selector relies on them. */}}
{{- define "fairlead.labels" -}}
{{- $ours := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "fairlead" }}
{{- $selector := include "fairlead.selectorLabels" . | fromYaml }}
{{- mustMerge (dict) $selector $ours .Values.commonLabels | toYaml }}
{{- end }}

{{- define "fairlead.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "fairlead.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "fairlead.leaseName" -}}
{{- default (include "fairlead.fullname" .) .Values.operator.leaseName }}
{{- end }}

{{- define "fairlead.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "fairlead.gpuRuntimeImage" -}}
{{- default (printf "fairlead/runtime:%s-cuda" .Chart.AppVersion) .Values.gpuRuntimeImage }}
{{- end }}

{{- define "fairlead.runtimeImage" -}}
{{- default (printf "fairlead/runtime:%s" .Chart.AppVersion) .Values.runtimeImage }}
{{- end }}

{{- define "fairlead.routerImage" -}}
{{- default (printf "fairlead/router:%s" .Chart.AppVersion) .Values.router.image }}
{{- end }}

{{/*
Refuse what the schema cannot see because it takes two values.
A whole number that came through YAML is a float to Helm: `%g` and int64 print it as it was written.
*/}}
{{- define "fairlead.validate" -}}
{{- $operator := .Values.operator }}
{{- if lt (float64 $operator.drainSeconds) (float64 $operator.connectionAgeSeconds) }}
{{- fail (printf "operator.drainSeconds (%g) must be at least operator.connectionAgeSeconds (%g): a replaced model would end while clients still hold connections to it" (float64 $operator.drainSeconds) (float64 $operator.connectionAgeSeconds)) }}
{{- end }}
{{- if lt (float64 $operator.settleSeconds) (float64 $operator.connectionAgeSeconds) }}
{{- fail (printf "operator.settleSeconds (%g) must be at least operator.connectionAgeSeconds (%g): a split would begin while clients still hold connections past the router" (float64 $operator.settleSeconds) (float64 $operator.connectionAgeSeconds)) }}
{{- end }}
{{- if eq (int64 $operator.healthPort) (int64 $operator.metricsPort) }}
{{- fail (printf "operator.healthPort and operator.metricsPort are both %d: give one of them another port" (int64 $operator.healthPort)) }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) }}
{{- fail "metrics.serviceMonitor.enabled needs metrics.service.enabled; without the Service use metrics.podMonitor.enabled" }}
{{- end }}
{{- end }}

{{/* The operator's rights in a namespace that it serves; README.md says what each is for. */}}
{{- define "fairlead.rules" -}}
- apiGroups: [fairlead.dev]
  resources: [modeldeployments, experiments]
  verbs: [get, list, watch]
- apiGroups: [fairlead.dev]
  resources: [modeldeployments/status, experiments/status]
  verbs: [patch]
# Where OwnerReferencesPermissionEnforcement is on (OpenShift), an owner reference that blocks the
# owner's deletion needs this right. No request is made to it, and it lets nobody write finalizers.
- apiGroups: [fairlead.dev]
  resources: [modeldeployments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [controllerrevisions, deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# Why a model is not ready: its pods say it, and the kubelet's Events on a volume that is missing.
# A router's pod is annotated, so that its kubelet hands out a new configuration at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
