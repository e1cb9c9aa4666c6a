// Package check holds the manifests of examples/kubernetes to Kubernetes's own types: a field that they don't have is an
// error. It is a module of its own, so that brs-exec's has nothing of Kubernetes.
package check

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func TestManifests(t *testing.T) {
	files, err := filepath.Glob("../*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("%q, %v; want 3", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			if err := decode(t, document); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// decode refuses fields that the kind does not have, and what the API would refuse in a pod of ours.
func decode(t *testing.T, document []byte) error {
	t.Helper()
	var is struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document, &is); err != nil {
		return err
	}
	switch is.APIVersion + " " + is.Kind {
	case "v1 ServiceAccount":
		return yaml.UnmarshalStrict(document, new(corev1.ServiceAccount))
	case "batch/v1 Job":
		var job batchv1.Job
		err := yaml.UnmarshalStrict(document, &job)
		pod(t, job.Spec.Template.Spec)
		return err
	case "batch/v1 CronJob":
		var cron batchv1.CronJob
		err := yaml.UnmarshalStrict(document, &cron)
		pod(t, cron.Spec.JobTemplate.Spec.Template.Spec)
		return err
	}
	t.Errorf("no type for %+v", is)
	return nil
}

// pod checks what types don't: volumes that are mounted are there, and a sidecar is one.
func pod(t *testing.T, p corev1.PodSpec) {
	t.Helper()
	volumes := make(map[string]bool)
	for _, v := range p.Volumes {
		volumes[v.Name] = true
	}
	for _, c := range p.InitContainers {
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways || c.StartupProbe == nil {
			t.Errorf("%s is no sidecar", c.Name)
		}
	}
	for _, c := range append(p.InitContainers, p.Containers...) {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s mounts %s, which is no volume", c.Name, m.Name)
			}
		}
	}
	if p.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("a Job's restartPolicy is %q", p.RestartPolicy)
	}
}
