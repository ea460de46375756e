//go:build helm

package systemtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"invited/internal/config"
	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// These name the programs that `make helm-check` builds, and the folder of the definition of ServiceMonitor.
const (
	helmVariable            = "INVITED_TEST_HELM"
	kubectlValidateVariable = "INVITED_TEST_KUBECTL_VALIDATE"
	definitionsVariable     = "INVITED_TEST_KUBERNETES_DEFINITIONS"
)

const chart = "../../deploy/helm/invited"

// Versions of Kubernetes whose schemas the manifests are held to: the chart's oldest and the newest that kubectl-validate has.
var kubernetesVersions = []string{"1.25", "1.30"}

// The chart has no fault that Helm finds, and makes what Kubernetes takes, for each file of values in ci.
func TestHelmManifests(t *testing.T) {
	for _, values := range valuesFiles(t) {
		t.Run(filepath.Base(values), func(t *testing.T) {
			_, err := helm(t, "lint", "--strict", chart, "--values", values)
			require.NoError(t, err)
			file := filepath.Join(t.TempDir(), "manifests.yaml")
			require.NoError(t, os.WriteFile(file, []byte(template(t, values)), 0o600))
			for _, version := range kubernetesVersions {
				output, err := exec.Command(os.Getenv(kubectlValidateVariable), "--version", version, "--local-crds", os.Getenv(definitionsVariable),
					file).CombinedOutput()
				require.NoError(t, err, "Kubernetes %s:\n%s", version, output)
			}
		})
	}
}

// Every pod meets the profile "restricted" of Kubernetes' Pod Security Standards, and writes nothing into its image.
func TestHelmPodsAreRestricted(t *testing.T) {
	for _, values := range valuesFiles(t) {
		pods := 0
		for _, o := range manifests(t, template(t, values)) {
			spec := o.Spec.Template.Spec
			if len(spec.Containers) == 0 {
				continue
			}
			pods++
			name := filepath.Base(values) + " " + o.Kind + " " + o.Metadata.Name
			require.True(t, spec.SecurityContext.RunAsNonRoot, name)
			require.Equal(t, "RuntimeDefault", spec.SecurityContext.SeccompProfile.Type, name)
			require.Equal(t, false, spec.AutomountServiceAccountToken, name)
			require.Equal(t, false, spec.EnableServiceLinks, name)
			for _, c := range spec.Containers {
				require.Equal(t, false, c.SecurityContext.AllowPrivilegeEscalation, name)
				require.True(t, c.SecurityContext.ReadOnlyRootFilesystem, name)
				require.Equal(t, []string{"ALL"}, c.SecurityContext.Capabilities.Drop, name)
				require.NotEmpty(t, c.Resources.Requests["memory"], name)
				require.NotEmpty(t, c.Resources.Limits["memory"], name)
			}
		}
		require.NotZero(t, pods)
	}
}

// Replicas are replaced one by one, each after the next one is ready, and have the time that docs/operation.md names.
func TestHelmReplacesReplicas(t *testing.T) {
	objects := manifests(t, template(t, chart+"/ci/values-all.yaml"))
	deployment := find(t, objects, "Deployment", "test-invited")
	require.Equal(t, 2, deployment.Spec.Replicas)
	require.Equal(t, 0, deployment.Spec.Strategy.RollingUpdate["maxUnavailable"])
	require.Equal(t, 20+125, deployment.Spec.Template.Spec.TerminationGracePeriodSeconds)
	require.Contains(t, deployment.Spec.Template.Spec.Containers[0].environ(), "INVITED_SHUTDOWN_DELAY=20s")
	require.Len(t, deployment.Spec.Template.Spec.TopologySpreadConstraints, 2)
	require.Equal(t, 1, find(t, objects, "PodDisruptionBudget", "test-invited").Spec.MaxUnavailable)
	for _, each := range objects {
		for key, value := range each.Spec.Selector["matchLabels"] {
			if each.Kind == "Deployment" || each.Kind == "PodDisruptionBudget" {
				require.Equal(t, value, deployment.Spec.Template.Metadata.Labels[key], each.Kind)
			}
		}
	}
	// The Secret of the Job is there before the Job.
	least := manifests(t, template(t, chart+"/ci/values-least.yaml"))
	job, secret := find(t, least, "Job", "test-invited-migrate"), find(t, least, "Secret", "test-invited-migrate")
	require.Equal(t, "pre-install,pre-upgrade", job.Metadata.Annotations["helm.sh/hook"])
	require.Equal(t, job.Metadata.Annotations["helm.sh/hook"], secret.Metadata.Annotations["helm.sh/hook"])
	require.Equal(t, "-1", secret.Metadata.Annotations["helm.sh/hook-weight"])
	require.Equal(t, "0", job.Metadata.Annotations["helm.sh/hook-weight"])
}

// What the chart starts works: the Job migrates, the server serves by the arguments and variables of the Deployment, the
// probes find it, and the Job of the directory loads the file. Addresses and the database are those of the test.
func TestHelmServer(t *testing.T) {
	database := storetest.Engines[1].Empty(t)
	objects := manifests(t, template(t, chart+"/ci/values-least.yaml", "--set-string", "secret.values.INVITED_DATABASE_URL="+escaped(database),
		"--set-string", "directory.file="+escaped(harness.Directory), "--set", "metrics.port=9999"))
	containerOf := func(kind, name string) (spec container, env *harness.Env) {
		spec = find(t, objects, kind, name).Spec.Template.Spec.Containers[0]
		env = &harness.Env{T: t, Dir: t.TempDir(), Program: harness.Program}
		for _, from := range spec.EnvFrom {
			data := find(t, objects, "Secret", from.SecretRef.Name).StringData
			for _, key := range slices.Sorted(maps.Keys(data)) {
				env.Set(key + "=" + data[key])
			}
		}
		return spec, env.Set(spec.environ()...)
	}
	migrate, env := containerOf("Job", "test-invited-migrate")
	require.Contains(t, env.Run("", migrate.Args...).OK(), "applied")

	server, env := containerOf("Deployment", "test-invited")
	require.Equal(t, "serve", server.Args[0])
	require.Equal(t, "0.0.0.0:8080", env.Getenv("INVITED_LISTEN_ADDR"))
	require.Equal(t, "0.0.0.0:9999", env.Getenv("INVITED_METRICS_ADDR"))
	metrics := harness.FreeAddress(t)
	p := env.With("INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_METRICS_ADDR="+metrics).Serve(server.Args[1:]...)
	require.NotContains(t, p.Stderr.String(), "level=WARN") // as of a variable that the server does not know
	for _, each := range []probe{server.StartupProbe, server.LivenessProbe, server.ReadinessProbe} {
		require.Equal(t, "http", each.HTTPGet.Port)
		p.Do("GET", each.HTTPGet.Path, "", "").Is(200)
	}
	require.Equal(t, []port{{"http", 8080}, {"metrics", 9999}}, server.Ports)

	directory, env := containerOf("Job", "test-invited-directory")
	mount := directory.VolumeMounts[0].MountPath
	file := find(t, objects, "Secret", "test-invited-directory").StringData
	require.Len(t, file, 1)
	for name, text := range file {
		env.WriteFile(name, text)
		i := slices.Index(directory.Args, mount+"/"+name)
		require.Positive(t, i, directory.Args)
		directory.Args[i] = filepath.Join(env.Dir, name)
	}
	env.Run("", directory.Args...).OK()
	p.Create("ina@university.example")
	p.Stop()
}

// Values that make no server that works are refused, in words that say what to set.
func TestHelmRefusals(t *testing.T) {
	for _, each := range []struct{ set, says string }{
		{"image.repository=", "image.repository is not set: no image is published"},
		{"secret.values.INVITED_DATABASE_URL=sqlite:///data/invited.db", "replicas share one PostgreSQL"},
		{"secret.values.INVITED_SMTP_URL=", "INVITED_SMTP_URL is not set"},
		{"secret.values.INVITED_SECRET_KEY=", "INVITED_SECRET_KEY is not set"},
		{"env.INVITED_PUBLIC_URL=", "INVITED_PUBLIC_URL is not set"},
		{"env.INVITED_MAIL_FROM=", "INVITED_MAIL_FROM is not set"},
		{"secret.existing=invited", "exclude each other"},
		{"ingress.enabled=true", "ingress.host is not set"},
		{"ingress.enabled=true,ingress.host=invitations.example", "INVITED_TRUSTED_PROXIES is not set"},
		{"replicaCount=3", "replicaCount"},
		{"replicas=0", "replicas"},
		{"env.INVITED_LISTEN_ADDR=:80", "INVITED_LISTEN_ADDR"},
		{"env.INVITED_OIDC_CLIENT_SECRET=x", "INVITED_OIDC_CLIENT_SECRET"},
		{"env.OTEL_EXPORTER_OTLP_HEADERS=a=b", "OTEL_EXPORTER_OTLP_HEADERS"},
		{"env.invited_profile=secure", "invited_profile"},
	} {
		set := "--set-string"
		if strings.HasPrefix(each.set, "replica") || strings.HasPrefix(each.set, "ingress") {
			set = "--set"
		}
		output, err := helm(t, "template", "test", chart, "--values", chart+"/ci/values-least.yaml", set, each.set)
		require.Error(t, err, each.set)
		require.Contains(t, output, each.says, each.set)
	}
}

// What is secret goes into the secret, also a variable that is new.
func TestHelmRefusesSecretsInEnv(t *testing.T) {
	want := map[string]bool{"INVITED_LISTEN_ADDR": false, "INVITED_METRICS_ADDR": false, "INVITED_SHUTDOWN_DELAY": false}
	secrets := []reflect.Type{reflect.TypeFor[config.Secret](), reflect.TypeFor[[]config.Secret](), reflect.TypeFor[config.Database]()}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		if name := field.Tag.Get("env"); name != "" && slices.Contains(secrets, field.Type) {
			want["INVITED_"+name] = false
		}
	}
	content, err := os.ReadFile(chart + "/values.schema.json")
	require.NoError(t, err)
	var schema struct {
		Properties struct {
			Env struct {
				AllOf []struct{ Properties map[string]bool }
			}
		}
	}
	require.NoError(t, json.Unmarshal(content, &schema))
	require.Equal(t, want, schema.Properties.Env.AllOf[1].Properties)
}

func valuesFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(chart + "/ci/values-*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func template(t *testing.T, values string, args ...string) string {
	t.Helper()
	output, err := helm(t, append([]string{"template", "test", chart, "--namespace", "portal", "--values", values}, args...)...)
	require.NoError(t, err, output)
	return output
}

// helm runs Helm and returns what it prints; of a failure, what it says.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program := os.Getenv(helmVariable)
	require.NotEmpty(t, program, "%s is not set: run make helm-check", helmVariable)
	cmd := exec.Command(program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

// escaped returns a value for --set-string, in which commas separate values.
func escaped(value string) string {
	return strings.NewReplacer(`\`, `\\`, ",", `\,`, "{", `\{`, "}", `\}`, "[", `\[`, "]", `\]`).Replace(value)
}

// An object has the fields of a manifest that the tests read.
type object struct {
	Kind     string
	Metadata struct {
		Name                string
		Labels, Annotations map[string]string
	}
	StringData map[string]string `yaml:"stringData"`
	Spec       struct {
		Replicas       int
		MaxUnavailable int `yaml:"maxUnavailable"`
		Selector       selector
		Strategy       struct {
			RollingUpdate map[string]int `yaml:"rollingUpdate"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     podSpec
		}
	}
}

// selector has matchLabels, or of a Service the labels themselves, which are left out.
type selector map[string]map[string]string

func (s *selector) UnmarshalYAML(node *yaml.Node) error {
	labels := map[string]map[string]string{}
	if node.Decode(&labels) == nil {
		*s = labels
	}
	return nil
}

type podSpec struct {
	AutomountServiceAccountToken  any   `yaml:"automountServiceAccountToken"`
	EnableServiceLinks            any   `yaml:"enableServiceLinks"`
	TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
	TopologySpreadConstraints     []any `yaml:"topologySpreadConstraints"`
	SecurityContext               struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []container
}

type container struct {
	Args    []string
	Env     []struct{ Name, Value string }
	EnvFrom []struct {
		SecretRef struct{ Name string } `yaml:"secretRef"`
	} `yaml:"envFrom"`
	Ports           []port
	StartupProbe    probe `yaml:"startupProbe"`
	LivenessProbe   probe `yaml:"livenessProbe"`
	ReadinessProbe  probe `yaml:"readinessProbe"`
	Resources       struct{ Requests, Limits map[string]string }
	SecurityContext struct {
		AllowPrivilegeEscalation any                     `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool                    `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string } `yaml:"capabilities"`
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type port struct {
	Name          string
	ContainerPort int `yaml:"containerPort"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// environ returns the variables of a container as KEY=VALUE.
func (c container) environ() []string {
	var environ []string
	for _, each := range c.Env {
		environ = append(environ, each.Name+"="+each.Value)
	}
	return environ
}

func manifests(t *testing.T, text string) []object {
	t.Helper()
	var objects []object
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var o object
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return objects
		}
		require.NoError(t, err)
		objects = append(objects, o)
	}
}

func find(t *testing.T, objects []object, kind, name string) object {
	t.Helper()
	for _, o := range objects {
		if o.Kind == kind && o.Metadata.Name == name {
			return o
		}
	}
	require.FailNow(t, "there is no "+kind+" "+name)
	panic("unreachable")
}
