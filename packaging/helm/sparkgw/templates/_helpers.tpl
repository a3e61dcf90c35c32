{{- define "sparkgw.name" -}}
{{- $name := printf "%s-%s" .Release.Name .Chart.Name }}
{{- if contains .Chart.Name .Release.Name }}{{ $name = .Release.Name }}{{ end }}
{{- $name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "sparkgw.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sparkgw.labels" -}}
{{ include "sparkgw.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* What the gateway would refuse, or never answer to, is refused here. */}}
{{- define "sparkgw.check" -}}
{{- $text := toYaml .Values.config }}
{{- if and (contains "/etc/sparkgw-tls/" $text) (not .Values.tls.secretName) }}
{{- fail "config names files in /etc/sparkgw-tls: say in tls.secretName which secret holds them" }}
{{- end }}
{{- if and (contains "/etc/sparkgw-secrets/" $text) (not .Values.secrets.secretName) }}
{{- fail "config names files in /etc/sparkgw-secrets: say in secrets.secretName which secret holds them" }}
{{- end }}
{{- $ports := list }}
{{- range .Values.config.listeners }}
{{- $ports = append $ports (regexFind "[0-9]+$" .address) }}
{{- end }}
{{- if not (has (toString .Values.service.port) $ports) }}
{{- fail (printf "service.port is %v, but config.listeners has %s" .Values.service.port (join ", " $ports)) }}
{{- end }}
{{- end }}
