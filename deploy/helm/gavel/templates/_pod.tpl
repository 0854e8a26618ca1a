{{/* The services that read each secret, and what the name of the variable ends with if it names a file. */}}
{{- define "gavel.secretReaders" -}}
INGRESS_KEYS: {services: [ingress], suffix: _FILE}
CONVEX_TOKEN: {services: [fetcher, reporter], suffix: _FILE}
CONVEX_SIGNING_SECRETS: {services: [fetcher, reporter], suffix: _FILE}
JUDGE0_API_KEY: {services: [judge], suffix: _FILE}
JUDGE0_HEADERS: {services: [judge], suffix: _FILE}
NATS_PASSWORD: {services: [ingress, fetcher, judge, reporter], suffix: _FILE}
NATS_CREDS: {services: [ingress, fetcher, judge, reporter], suffix: ""}
NATS_NKEY: {services: [ingress, fetcher, judge, reporter], suffix: ""}
NATS_CA: {services: [ingress, fetcher, judge, reporter], suffix: ""}
NATS_CERT: {services: [ingress, fetcher, judge, reporter], suffix: ""}
NATS_KEY: {services: [ingress, fetcher, judge, reporter], suffix: ""}
{{- end }}

{{/* The secrets of a service, as JSON: a list of name, secret, key and suffix. Arguments: root, service. */}}
{{- define "gavel.secretsOf" -}}
{{- $secrets := list }}
{{- $readers := include "gavel.secretReaders" . | fromYaml }}
{{- range $name, $source := .root.Values.secrets }}
{{- $reader := index $readers $name }}
{{- if has $.service $reader.services }}
{{- $key := replace "ROLE" $.service $source.key }}
{{- $secrets = append $secrets (dict "name" $name "secret" $source.secret "key" $key "suffix" $reader.suffix) }}
{{- end }}
{{- end }}
{{- $secrets | toJson }}
{{- end }}

{{/* The environment of a service. Numbers are written without an exponent. Arguments: root, service, port. */}}
{{- define "gavel.env" -}}
{{- $values := index .root.Values .service }}
{{- $env := dict "BIND_ADDRESS" "0.0.0.0" }}
{{- if eq (include "gavel.isolation" .) "userNamespace" }}
{{- $_ := set $env "SANDBOX_TIER" "no-cgroup" }}
{{- end }}
{{- if .root.Values.nats.enabled }}
{{- $_ := set $env "NATS_REPLICAS" (.root.Values.nats.config.cluster.enabled | ternary .root.Values.nats.config.cluster.replicas 1) }}
{{- end }}
{{- $env = merge (dict "PORT" .port "NATS_URL" (include "gavel.natsUrl" .root) "SHUTDOWN_GRACE_MS" (mul $values.shutdownGraceSeconds 1000)) (deepCopy .root.Values.settings) $env }}
{{- if eq .service "judge" }}
{{- $_ := set $env "JUDGE_SLOTS" $values.slots }}
{{- end }}
{{- range include "gavel.secretsOf" . | fromJsonArray }}
{{- $_ := set $env (print .name .suffix) (print "/run/secrets/gavel/" .name) }}
{{- end }}
- name: INSTANCE
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ kindIs "float64" $value | ternary (int64 $value) $value | toString | quote }}
{{- end }}
{{- end }}

{{/* The isolation of the programs that a service runs: that of the judge, none for the others. Arguments: root, service. */}}
{{- define "gavel.isolation" -}}
{{ eq .service "judge" | ternary .root.Values.judge.isolation "none" }}
{{- end }}

{{/* The security context of a pod. Arguments: root, service. */}}
{{- define "gavel.podSecurityContext" -}}
{{- if eq (include "gavel.isolation" .) "none" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
# The files of the secrets belong to this group.
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- else -}}
runAsUser: 0
{{- end }}
{{- end }}

{{/* The security context of a container. Arguments: root, service. */}}
{{- define "gavel.containerSecurityContext" -}}
{{- $isolation := include "gavel.isolation" . -}}
readOnlyRootFilesystem: true
{{- if eq $isolation "privileged" }}
privileged: true
{{- else if eq $isolation "userNamespace" }}
allowPrivilegeEscalation: false
# To give each program its own user id.
capabilities: { drop: [ALL], add: [CHOWN, SETGID, SETUID] }
# A /proc without masks, so that each slot can mount its own.
procMount: Unmasked
seccompProfile: { type: Localhost, localhostProfile: {{ .root.Values.judge.seccompProfile }} }
# The profile of the container runtime forbids mounts.
appArmorProfile: { type: Unconfined }
{{- else }}
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
{{- end }}
{{- end }}

{{/* Where the pods of a service run. Arguments: root, service. */}}
{{- define "gavel.placement" -}}
{{- $values := index .root.Values .service }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "gavel.serviceSelectorLabels" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- if and (eq .service "judge") $values.onePerNode }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        namespaceSelector: {}
        labelSelector:
          matchLabels:
            app.kubernetes.io/name: gavel
            app.kubernetes.io/component: judge
{{- end }}
{{- end }}
