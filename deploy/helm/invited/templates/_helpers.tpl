{{/* The name of everything: the release's, with the chart's where the release's does not have it. */}}
{{- define "invited.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 42 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* What finds the replicas: these labels never change. */}}
{{- define "invited.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "invited.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "invited.image" -}}
{{- $repository := required "image.repository is not set: no image is published, so build one with deploy/container/Containerfile, push it to a registry of yours, and name it" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The data of the Secret that the chart makes. */}}
{{- define "invited.secretData" -}}
{{- range $name, $value := .Values.secret.values }}
{{ $name }}: {{ toString $value | quote }}
{{- end }}
{{- end -}}

{{/* Fails where the values make no server that works. */}}
{{- define "invited.check" -}}
{{- $variables := merge (dict) .Values.env .Values.secret.values -}}
{{- if and .Values.secret.existing .Values.secret.values -}}
{{- fail "secret.existing and secret.values exclude each other" -}}
{{- end -}}
{{- if not .Values.secret.existing -}}
{{- range list "INVITED_DATABASE_URL" "INVITED_SECRET_KEY" "INVITED_SMTP_URL" -}}
{{- if not (index $variables .) -}}
{{- fail (printf "secret.values.%s is not set: set it, or secret.existing to the name of a Secret that has it" .) -}}
{{- end -}}
{{- end -}}
{{- if not (hasPrefix "postgres" (toString $variables.INVITED_DATABASE_URL)) -}}
{{- fail "INVITED_DATABASE_URL is not postgres://…: replicas share one PostgreSQL" -}}
{{- end -}}
{{- end -}}
{{- if not (index $variables "INVITED_PUBLIC_URL") -}}
{{- fail "env.INVITED_PUBLIC_URL is not set: it is the base of the URLs that people and clients see" -}}
{{- end -}}
{{- if not (index $variables "INVITED_MAIL_FROM") -}}
{{- fail "env.INVITED_MAIL_FROM is not set: it is the address that mails come from" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host is not set" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not (index $variables "INVITED_TRUSTED_PROXIES")) -}}
{{- fail "env.INVITED_TRUSTED_PROXIES is not set: it is where the ingress controller connects from, which every client would share as its address otherwise" -}}
{{- end -}}
{{- end -}}

{{/* Variables of the server and of the Jobs, beside those of the Secret. */}}
{{- define "invited.env" -}}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ toString $value | quote }}
{{- end }}
{{- end -}}

{{- define "invited.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "invited.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What the pods of replicas and Jobs share. */}}
{{- define "invited.pod" -}}
automountServiceAccountToken: false
# A Service named invited would give the pods variables such as INVITED_PORT, which the server does not know.
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "invited.podSecurity" . | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
