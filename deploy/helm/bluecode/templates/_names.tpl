{{- define "bluecode.name" -}}
{{- if contains "bluecode" .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-bluecode" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "bluecode.selector" -}}
app.kubernetes.io/name: bluecode
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bluecode.labels" -}}
{{ include "bluecode.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "bluecode.image" -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end -}}
{{- end -}}

{{- define "bluecode.policy" -}}
{{ .Values.policy | default (.Files.Get "files/policy.toml") }}
{{- end -}}

{{- define "bluecode.confined" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Several providers as the setting `upstreams` reads them: inline tables of TOML. */}}
{{- define "bluecode.upstreams" -}}
{{- $tables := list -}}
{{- range $at, $one := . -}}
{{- $fields := list (printf "name = %s" (toJson $one.name)) (printf "upstream = %s" (toJson $one.upstream)) -}}
{{- range $key := list "models" "fallbacks" "protocols" -}}
{{- with index $one $key -}}
{{- $fields = append $fields (printf "%s = %s" $key (toJson .)) -}}
{{- end -}}
{{- end -}}
{{- with $one.aliases -}}
{{- $pairs := list -}}
{{- range $alias, $model := . -}}
{{- $pairs = append $pairs (printf "%s = %s" (toJson $alias) (toJson $model)) -}}
{{- end -}}
{{- $fields = append $fields (printf "aliases = { %s }" (join ", " $pairs)) -}}
{{- end -}}
{{- with $one.secret -}}
{{- $fields = append $fields (printf "key_file = \"/etc/bluecode-upstream-%d/%s\"" $at .key) -}}
{{- end -}}
{{- $tables = append $tables (printf "{ %s }" (join ", " $fields)) -}}
{{- end -}}
[{{ join ", " $tables }}]
{{- end -}}
