//go:build tools

// What else is built as it is: named here, so that go.mod and go.sum pin all that it needs.
package programs

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
