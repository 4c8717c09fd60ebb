{{/*
The base job template of the work pool: what a flow run's Job looks like. Prefect fills in `{{ name }}` from its own
(command, env, labels, name) and from `variables`, whose values a deployment may set as job variables.
*/}}
{{- define "cw.baseJobTemplate" -}}
{{- $at := dict "root" . "component" "puller" }}
variables:
  type: object
  properties:
    name: {type: string, title: Name, description: "Name given to the Job; made by Prefect if empty."}
    namespace: {type: string, title: Namespace, default: {{ .Release.Namespace | quote }}}
    image: {type: string, title: Image, default: {{ include "cw.image" . | quote }}}
    env: {type: object, title: Environment, additionalProperties: {anyOf: [{type: string}, {type: "null"}]}}
    labels: {type: object, title: Labels, additionalProperties: {type: string}}
    command: {type: string, title: Command}
    finished_job_ttl: {type: integer, title: Seconds that a finished Job stays, default: {{ .Values.puller.ttlSecondsAfterFinished }}}
    job_watch_timeout_seconds: {type: integer, title: Job watch timeout}
    pod_watch_timeout_seconds: {type: integer, title: Pod watch timeout, default: 300}
    stream_output: {type: boolean, title: Stream output, default: true}
job_configuration:
  command: {{ "{{ command }}" | quote }}
  env: {{ "{{ env }}" | quote }}
  labels: {{ "{{ labels }}" | quote }}
  name: {{ "{{ name }}" | quote }}
  namespace: {{ "{{ namespace }}" | quote }}
  job_watch_timeout_seconds: {{ "{{ job_watch_timeout_seconds }}" | quote }}
  pod_watch_timeout_seconds: {{ "{{ pod_watch_timeout_seconds }}" | quote }}
  stream_output: {{ "{{ stream_output }}" | quote }}
  job_manifest:
    apiVersion: batch/v1
    kind: Job
    metadata:
      labels: {{ "{{ labels }}" | quote }}
      namespace: {{ "{{ namespace }}" | quote }}
      generateName: {{ "{{ name }}-" | quote }}
    spec:
      # Prefect itself decides whether a run is tried again.
      backoffLimit: 0
      ttlSecondsAfterFinished: {{ "{{ finished_job_ttl }}" | quote }}
      template:
        metadata:
          labels:
            {{- include "cw.labels" $at | nindent 12 }}
        spec:
          {{- include "cw.podCommon" . | nindent 10 }}
          restartPolicy: Never
          containers:
            - name: prefect-job
              image: {{ "{{ image }}" | quote }}
              imagePullPolicy: {{ .Values.image.pullPolicy }}
              # In place of the image's entry point, which is `conflictwire`.
              command: [tini, --]
              args: {{ "{{ command }}" | quote }}
              env:
                {{- include "cw.env" . | nindent 16 }}
                {{- include "cw.prefectEnv" . | nindent 16 }}
              resources:
                {{- toYaml .Values.puller.resources | nindent 16 }}
              securityContext:
                {{- include "cw.containerSecurity" . | nindent 16 }}
              volumeMounts:
                {{- include "cw.mounts" . | nindent 16 }}
          volumes:
            {{- include "cw.volumes" . | nindent 12 }}
            {{- if .Values.puller.dataClaim }}
            - {name: data, persistentVolumeClaim: {claimName: {{ .Values.puller.dataClaim }}}}
            {{- else }}
            - {name: data, emptyDir: {sizeLimit: 2Gi}}
            {{- end }}
{{- end }}
