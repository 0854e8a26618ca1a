{{/* The four services with their ports. */}}
{{- define "gavel.ports" -}}
{ingress: 4001, fetcher: 4002, judge: 4003, reporter: 4004}
{{- end }}

{{/* The prefix of all names, at most 40 characters, so that names of pods stay below 63. */}}
{{- define "gavel.fullname" -}}
{{- if contains "gavel" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-gavel" (.Release.Name | trunc 34 | trimSuffix "-") }}
{{- end }}
{{- end }}

{{/* Labels that select the objects of a release. */}}
{{- define "gavel.selectorLabels" -}}
app.kubernetes.io/name: gavel
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "gavel.labels" -}}
{{ include "gavel.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels that select the pods of a service. Arguments: root, service. */}}
{{- define "gavel.serviceSelectorLabels" -}}
{{ include "gavel.selectorLabels" .root }}
app.kubernetes.io/component: {{ .service }}
{{- end }}

{{/* The name of the objects of a service. Arguments: root, service. */}}
{{- define "gavel.serviceName" -}}
{{ include "gavel.fullname" .root }}-{{ .service }}
{{- end }}

{{/* The image of a service. Arguments: root, service. */}}
{{- define "gavel.image" -}}
{{- $own := (index .root.Values .service).image }}
{{- if $own }}{{ $own }}
{{- else }}{{ .root.Values.image.repository }}-{{ .service }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* The name that the chart of NATS gives its objects. */}}
{{- define "gavel.natsName" -}}
{{- if .Values.nats.fullnameOverride }}{{ .Values.nats.fullnameOverride }}
{{- else if contains "nats" .Release.Name }}{{ .Release.Name }}
{{- else }}{{ .Release.Name }}-nats
{{- end }}
{{- end }}

{{/* NATS_URL. */}}
{{- define "gavel.natsUrl" -}}
{{- if .Values.settings.NATS_URL }}{{ .Values.settings.NATS_URL }}
{{- else if .Values.nats.enabled }}nats://{{ include "gavel.natsName" . }}:4222
{{- else }}{{ fail "set settings.NATS_URL to the address of NATS, such as nats://nats.nats.svc:4222, or nats.enabled=true to install NATS" }}
{{- end }}
{{- end }}
