{{- define "cw.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "cw.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "cw.labels" -}}
{{ include "cw.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "cw.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* "host:port,host:port" of Kafka. */}}
{{- define "cw.kafka" -}}
{{- if .Values.kafka.enabled }}{{ include "cw.name" . }}-kafka:9092
{{- else }}{{ required "kafka.bootstrapServers is needed where kafka.enabled is false" .Values.kafka.bootstrapServers }}{{ end }}
{{- end }}

{{/* The Secret that holds the URL of the store under the key `url`. */}}
{{- define "cw.storeSecret" -}}
{{- if .Values.postgresql.enabled }}{{ .Values.postgresql.existingSecret | default (printf "%s-postgresql" (include "cw.name" .)) }}
{{- else }}{{ required "postgresql.existingSecret is needed where postgresql.enabled is false" .Values.postgresql.existingSecret }}{{ end }}
{{- end }}

{{- define "cw.prefectApi" -}}
{{- if .Values.prefect.server.enabled }}http://{{ include "cw.name" . }}-prefect:4200/api
{{- else }}{{ required "prefect.apiUrl is needed where prefect.server.enabled is false" .Values.prefect.apiUrl }}{{ end }}
{{- end }}

{{/* Articles that wait for one worker: what it codes in the target delay. */}}
{{- define "cw.lagThreshold" -}}
{{- max 1 (ceil (mulf .Values.worker.articlesPerSecond .Values.worker.targetDelaySeconds)) | int }}
{{- end }}

{{/* The Pod Security Standard `restricted`, and a read-only root besides. */}}
{{- define "cw.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "cw.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What a pod of the image needs besides its containers. */}}
{{- define "cw.podCommon" -}}
automountServiceAccountToken: false
# Kubernetes would add CONFLICTWIRE_…_PORT and the like for each Service, which settings could take for theirs.
enableServiceLinks: false
securityContext:
  {{- include "cw.podSecurity" .Values.user | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Broker and store, as environment, mounts and volumes: all that the migrations need. */}}
{{- define "cw.connectionEnv" -}}
- {name: CONFLICTWIRE_BROKER, value: {{ printf "kafka://%s" (include "cw.kafka" .) | quote }}}
- {name: CONFLICTWIRE_TOPICS__ARTICLES, value: {{ .Values.topics.articles | quote }}}
- {name: CONFLICTWIRE_TOPICS__EVENTS, value: {{ .Values.topics.events | quote }}}
- {name: CONFLICTWIRE_TOPICS__DEAD, value: {{ .Values.topics.dead | quote }}}
- {name: CONFLICTWIRE_TOPICS__INCIDENTS, value: {{ .Values.topics.incidents | quote }}}
- {name: CONFLICTWIRE_TOPICS__PARTITIONS, value: {{ .Values.topics.partitions | quote }}}
- {name: CONFLICTWIRE_KAFKA__REPLICATION_FACTOR, value: {{ .Values.kafka.replicationFactor | quote }}}
- {name: CONFLICTWIRE_STORE_FILE, value: /run/secrets/conflictwire/url}
- {name: CONFLICTWIRE_LOG, value: json}
{{- if not .Values.kafka.enabled }}
- {name: CONFLICTWIRE_KAFKA__SECURITY_PROTOCOL, value: {{ .Values.kafka.securityProtocol }}}
{{- if .Values.kafka.saslMechanism }}
- {name: CONFLICTWIRE_KAFKA__SASL_MECHANISM, value: {{ .Values.kafka.saslMechanism }}}
- name: CONFLICTWIRE_KAFKA__USERNAME
  valueFrom: {secretKeyRef: {name: {{ required "kafka.existingSecret is needed for SASL" .Values.kafka.existingSecret }}, key: username}}
- {name: CONFLICTWIRE_KAFKA__PASSWORD_FILE, value: /run/secrets/kafka/password}
{{- end }}
{{- if .Values.kafka.caSecret }}
- {name: CONFLICTWIRE_KAFKA__SSL_CAFILE, value: /run/secrets/kafka-ca/ca.crt}
{{- end }}
{{- end }}
{{- end }}

{{- define "cw.connectionMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: data, mountPath: /data}
- {name: store, mountPath: /run/secrets/conflictwire, readOnly: true}
{{- if and (not .Values.kafka.enabled) .Values.kafka.saslMechanism }}
- {name: kafka, mountPath: /run/secrets/kafka, readOnly: true}
{{- end }}
{{- if and (not .Values.kafka.enabled) .Values.kafka.caSecret }}
- {name: kafka-ca, mountPath: /run/secrets/kafka-ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "cw.connectionVolumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 1Gi}}
- {name: store, secret: {secretName: {{ include "cw.storeSecret" . }}, items: [{key: url, path: url}]}}
{{- if and (not .Values.kafka.enabled) .Values.kafka.saslMechanism }}
- {name: kafka, secret: {secretName: {{ .Values.kafka.existingSecret }}, items: [{key: password, path: password}]}}
{{- end }}
{{- if and (not .Values.kafka.enabled) .Values.kafka.caSecret }}
- {name: kafka-ca, secret: {secretName: {{ .Values.kafka.caSecret }}, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- end }}

{{- define "cw.prefectEnv" -}}
- {name: PREFECT_API_URL, value: {{ include "cw.prefectApi" . | quote }}}
- {name: PREFECT_HOME, value: /tmp/prefect}
{{- if .Values.prefect.existingSecret }}
- name: PREFECT_API_KEY
  valueFrom: {secretKeyRef: {name: {{ .Values.prefect.existingSecret }}, key: api-key}}
{{- end }}
{{- end }}

{{/* All settings, catalogue included: of the workers, and of the Jobs that Prefect starts. */}}
{{- define "cw.env" -}}
{{ include "cw.connectionEnv" . }}
{{- if .Values.feeds }}
- {name: CONFLICTWIRE_FEEDS, value: /etc/conflictwire/feeds.toml}
{{- end }}
{{- if .Values.contact }}
- {name: CONFLICTWIRE_FETCH__CONTACT, value: {{ .Values.contact | quote }}}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "cw.mounts" -}}
{{ include "cw.connectionMounts" . }}
{{- if .Values.feeds }}
- {name: feeds, mountPath: /etc/conflictwire, readOnly: true}
{{- end }}
{{- end }}

{{- define "cw.volumes" -}}
{{ include "cw.connectionVolumes" . }}
{{- if .Values.feeds }}
- {name: feeds, configMap: {name: {{ include "cw.name" . }}-feeds}}
{{- end }}
{{- end }}
