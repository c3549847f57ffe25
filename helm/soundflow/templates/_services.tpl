{{/* How the four services differ; all else is the same, and stands in services/. */}}

{{/* Seconds from SIGTERM to the end: what the drain may take, and some to leave in order. */}}
{{- define "soundflow.drainSeconds" -}}
{{- $config := .root.Values.config -}}
{{- if eq .component "ingestion" -}}
{{- addf $config.ingestion.shutdownGraceS $config.ingestion.readGraceS 10 | ceil | int -}}
{{- else -}}
{{- 30 -}}
{{- end -}}
{{- end -}}

{{/* Every port of a service's container, by name. */}}
{{- define "soundflow.ports" -}}
{{- $config := .root.Values.config -}}
{{- if eq .component "ingestion" -}}
http: {{ $config.ingestion.httpPort | int }}
grpc: {{ $config.ingestion.grpcPort | int }}
delivery: {{ dig "ingestion" "deliveryPort" 50052 $config | int }}
{{ end -}}
admin: {{ dig "runner" "adminPort" 9464 $config | int }}
{{- end -}}

{{/* The settings of a service: those that all share, then its own. */}}
{{- define "soundflow.serviceEnv" -}}
{{- $values := .root.Values -}}
{{- range $section := list "kafka" "redis" "triton" "runner" .component }}
{{- include "soundflow.env" (index $values.config $section) }}
{{- end }}
{{- include "soundflow.secretEnv" $values.secrets }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
