// What GitOps tools make of our resources, by their own code: Argo CD's health checks and actions as
// argocd-cm configures them, and kstatus, which Flux and `kubectl wait`-like tools go by.
//
//	gitops health ARGOCD-CM FILE...       one JSON line for each file: file, status, message
//	gitops discovery ARGOCD-CM FILE...    one JSON line for each file: file, actions
//	gitops action ARGOCD-CM NAME FILE     a JSON list of what the action writes: operation, resource
//	gitops kstatus FILE...                one JSON line for each file: file, status, message
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/argo-cd/v3/util/settings"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/fake"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

const namespace = "argocd"

type verdict struct {
	File    string `json:"file"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	logrus.SetOutput(io.Discard)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 2 && args[0] == "kstatus":
		return each(args[1:], byKstatus)
	case len(args) >= 3 && args[0] == "health":
		overrides, err := configured(args[1])
		if err != nil {
			return err
		}
		return each(args[2:], func(file string, object *unstructured.Unstructured) (any, error) {
			return byArgo(overrides, file, object)
		})
	case len(args) >= 3 && args[0] == "discovery":
		overrides, err := configured(args[1])
		if err != nil {
			return err
		}
		return each(args[2:], func(file string, object *unstructured.Unstructured) (any, error) {
			return discovered(overrides, file, object)
		})
	case len(args) == 4 && args[0] == "action":
		overrides, err := configured(args[1])
		if err != nil {
			return err
		}
		return each(args[3:], func(_ string, object *unstructured.Unstructured) (any, error) {
			return acted(overrides, args[2], object)
		})
	}
	return errors.New("usage: health|discovery ARGOCD-CM FILE... | action ARGOCD-CM NAME FILE | kstatus FILE...")
}

func each(files []string, look func(string, *unstructured.Unstructured) (any, error)) error {
	for _, file := range files {
		document := json.RawMessage{}
		if err := read(file, &document); err != nil {
			return err
		}
		// As a client decodes it: whole numbers are int64.
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(document); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		found, err := look(file, object)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		line, err := json.Marshal(found)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		fmt.Println(string(line))
	}
	return nil
}

func byKstatus(file string, object *unstructured.Unstructured) (any, error) {
	result, err := kstatus.Compute(object)
	if err != nil {
		return nil, err
	}
	return verdict{File: file, Status: result.Status.String(), Message: result.Message}, nil
}

func byArgo(overrides map[string]v1alpha1.ResourceOverride, file string, object *unstructured.Unstructured) (any, error) {
	result, err := lua.ResourceHealthOverrides(overrides).GetResourceHealth(object)
	if err != nil {
		return nil, err
	}
	if result == nil {
		return nil, errors.New("Argo CD has no health check for it")
	}
	return verdict{File: file, Status: string(result.Status), Message: result.Message}, nil
}

func discovered(overrides map[string]v1alpha1.ResourceOverride, file string, object *unstructured.Unstructured) (any, error) {
	vm := lua.VM{ResourceOverrides: overrides}
	scripts, err := vm.GetResourceActionDiscovery(object)
	if err != nil {
		return nil, err
	}
	actions := []v1alpha1.ResourceAction{}
	if len(scripts) > 0 {
		if actions, err = vm.ExecuteResourceActionDiscovery(object, scripts); err != nil {
			return nil, err
		}
	}
	return map[string]any{"file": file, "actions": actions}, nil
}

func acted(overrides map[string]v1alpha1.ResourceOverride, name string, object *unstructured.Unstructured) (any, error) {
	vm := lua.VM{ResourceOverrides: overrides}
	action, err := vm.GetResourceAction(object, name)
	if err != nil {
		return nil, err
	}
	return vm.ExecuteResourceAction(object, action.ActionLua, nil)
}

// configured returns what Argo CD reads out of a ConfigMap, by its own settings code.
func configured(file string) (map[string]v1alpha1.ResourceOverride, error) {
	given := corev1.ConfigMap{}
	if err := read(file, &given); err != nil {
		return nil, err
	}
	given.Name, given.Namespace = "argocd-cm", namespace
	given.Labels = map[string]string{"app.kubernetes.io/part-of": "argocd"}
	secret := corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: "argocd-secret", Namespace: namespace, Labels: given.Labels,
	}}
	client := fake.NewClientset(&given, &secret)
	return settings.NewSettingsManager(context.Background(), client, namespace).GetResourceOverrides()
}

func read(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
