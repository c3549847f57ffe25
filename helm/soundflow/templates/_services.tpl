{{/* How the four services differ; all else is the same, and stands in services/. */}}

{{/* Seconds from SIGTERM until what a service has in work must be done. */}}
{{- define "soundflow.stopWithin" -}}
{{- $config := .root.Values.config -}}
{{- if eq .component "ingestion" -}}
{{- addf $config.ingestion.shutdownGraceS $config.ingestion.readGraceS $config.runner.stopWithinS | ceil | int -}}
{{- else -}}
{{- $config.runner.stopWithinS | ceil | int -}}
{{- end -}}
{{- end -}}

{{/* Every port of a service's container, by name. */}}
{{- define "soundflow.ports" -}}
{{- $config := .root.Values.config -}}
{{- if eq .component "ingestion" -}}
http: {{ $config.ingestion.httpPort | int }}
grpc: {{ $config.ingestion.grpcPort | int }}
delivery: {{ $config.ingestion.deliveryPort | int }}
{{ end -}}
admin: {{ $config.runner.adminPort | int }}
{{- end -}}

{{/* All that a service reads: what all services share, then its own. */}}
{{- define "soundflow.serviceSettings" -}}
{{- $sections := list "kafka" "redis" "runner" "model" "inference" -}}
{{- if hasKey .root.Values.config .component -}}
{{- $sections = append $sections .component -}}
{{- end -}}
{{- if eq .component "ingestion" }}
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: SOUNDFLOW_DELIVERY_ADDRESS
  value: $(POD_IP):{{ .root.Values.config.ingestion.deliveryPort | int }}
{{- end }}
{{- $servers := printf "%s-%%s.%s.svc:8001" (include "soundflow.fullname" .root) .root.Release.Namespace -}}
{{- $own := dict "host" "0.0.0.0" "stopWithinS" (include "soundflow.stopWithin" .) -}}
{{- $own = set $own "encoderAddresses" (printf $servers "encoder") -}}
{{- $own = set $own "decoderAddresses" (printf $servers "decoder") -}}
{{- include "soundflow.settings" (dict "root" .root "sections" $sections "secrets" (list "kafka" "redis") "own" $own) -}}
{{- end -}}

{{/* What the schema cannot say of values that depend on each other. */}}
{{- define "soundflow.check" -}}
{{- $kafka := .root.Values.config.kafka -}}
{{- if not $kafka.kafkaBrokers -}}
{{- fail "config.kafka.kafkaBrokers is empty: say where your Kafka is, as host:port" -}}
{{- end -}}
{{- if hasPrefix "SASL" $kafka.kafkaSecurityProtocol -}}
{{- with .root.Values.secrets.kafka.kafkaPassword -}}
{{- if not (and $kafka.kafkaUsername (or .secret .value)) -}}
{{- fail (printf "config.kafka.kafkaSecurityProtocol is %s: set config.kafka.kafkaUsername and secrets.kafka.kafkaPassword" $kafka.kafkaSecurityProtocol) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .root.Values.secrets.redis.redisUrl -}}
{{- if not (or .secret .value) -}}
{{- fail "secrets.redis.redisUrl is empty: say where your Redis is, as a Secret and its key, or as a value" -}}
{{- end -}}
{{- end -}}
{{- with .root.Values.config -}}
{{- if gt (mulf 3 .ingestion.leaseRenewS) (float64 .redis.leaseS) -}}
{{- fail (printf "config.ingestion.leaseRenewS is %v, and config.redis.leaseS %v: leases are renewed three times while they last, or more often" .ingestion.leaseRenewS .redis.leaseS) -}}
{{- end -}}
{{- end -}}
{{- $most := ternary .service.autoscaling.maxReplicas .service.replicas .service.autoscaling.enabled -}}
{{- if and (ne .component "ingestion") (gt (int $most) (int $kafka.kafkaPartitions)) -}}
{{- fail (printf "services.%s may have %d replicas, and %d partitions feed no more than as many" .component (int $most) (int $kafka.kafkaPartitions)) -}}
{{- end -}}
{{- end -}}
