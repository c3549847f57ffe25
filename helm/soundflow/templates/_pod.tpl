{{/* What every pod and container of the chart has in common. */}}

{{/* (dict "root" $ "component" "ingestion" "at" $placement): who may do what, and where it runs. */}}
{{- define "soundflow.pod" -}}
automountServiceAccountToken: false
{{- /* A Service named soundflow would bring variables of its own that begin with SOUNDFLOW_. */}}
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .at.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .at.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .at.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .at.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .at.affinity }}
affinity:
  {{- toYaml .at.affinity | nindent 2 }}
{{- else if .at.spread }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ .at.spread }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "soundflow.selector" . | nindent 8 }}
{{- end }}
{{- end -}}

{{/* The file by which brokers' certificates are checked, of those who come to Kafka. */}}
{{- define "soundflow.kafkaCaMount" -}}
{{- if .Values.kafkaCa.secret }}
- name: kafka-ca
  mountPath: /etc/soundflow/kafka
  readOnly: true
{{- end }}
{{- end -}}

{{- define "soundflow.kafkaCaVolume" -}}
{{- with .Values.kafkaCa }}
{{- if .secret }}
- name: kafka-ca
  secret:
    secretName: {{ .secret }}
    items:
      - {key: {{ required "kafkaCa.key: say which key of the Secret holds the certificates" .key }}, path: ca.crt}
{{- end }}
{{- end }}
{{- end -}}

{{- define "soundflow.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
A section of `config` as SOUNDFLOW_… variables, camelCase to SNAKE_CASE. Whole numbers are written
out: Helm knows only floats.
*/}}
{{- define "soundflow.env" -}}
{{- range $key, $value := . }}
- name: SOUNDFLOW_{{ snakecase $key | upper }}
  {{- if or (kindIs "slice" $value) (kindIs "map" $value) }}
  value: {{ toJson $value | quote }}
  {{- else if and (kindIs "float64" $value) (eq (floor $value) $value) }}
  value: {{ int64 $value | quote }}
  {{- else }}
  value: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Settings that are secrets: out of a Secret that exists, or as they are. */}}
{{- define "soundflow.secretEnv" -}}
{{- range $key, $from := . }}
{{- if $from.secret }}
- name: SOUNDFLOW_{{ snakecase $key | upper }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.secret }}
      key: {{ required (printf "secrets: say which key of %s holds %s" $from.secret $key) $from.key }}
{{- else if $from.value }}
- name: SOUNDFLOW_{{ snakecase $key | upper }}
  value: {{ $from.value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
(dict "root" $ "sections" (list "kafka") "secrets" (list "kafka") "own" (dict "host" "0.0.0.0")):
sections of `config`, sections of `secrets`, and what the manifest knows better.
*/}}
{{- define "soundflow.settings" -}}
{{- $values := .root.Values -}}
{{- $all := dict -}}
{{- range .sections -}}
{{- $all = mustMergeOverwrite $all (deepCopy (index $values.config .)) -}}
{{- end -}}
{{- if and (has "kafka" .sections) $values.kafkaCa.secret -}}
{{- $all = set $all "kafkaCaFile" "/etc/soundflow/kafka/ca.crt" -}}
{{- end -}}
{{- include "soundflow.env" (mustMergeOverwrite $all (default dict .own)) }}
{{- range .secrets }}
{{- include "soundflow.secretEnv" (default dict (index $values.secrets .)) }}
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
