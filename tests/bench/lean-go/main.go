// A webhook as lean as encoding/json allows: of a review it decodes the uid and the images.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"mirrorhook.io/tests/bench/mirrors"
)

type container struct {
	Image string `json:"image"`
}

type volume struct {
	Image *struct {
		Reference string `json:"reference"`
	} `json:"image"`
}

type review struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Request    *struct {
		UID    string `json:"uid"`
		Object struct {
			Spec struct {
				Containers          []container `json:"containers"`
				InitContainers      []container `json:"initContainers"`
				EphemeralContainers []container `json:"ephemeralContainers"`
				Volumes             []volume    `json:"volumes"`
			} `json:"spec"`
		} `json:"object"`
	} `json:"request"`
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

type response struct {
	UID       string `json:"uid"`
	Allowed   bool   `json:"allowed"`
	Patch     []byte `json:"patch,omitempty"`
	PatchType string `json:"patchType,omitempty"`
}

type answer struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Response   response `json:"response"`
}

func patch(m mirrors.Targets, operations []operation, containers []container, field string) []operation {
	for index, each := range containers {
		if image := m.Rewrite(each.Image); image != each.Image {
			path := fmt.Sprintf("/spec/%s/%d/image", field, index)
			operations = append(operations, operation{"replace", path, image})
		}
	}
	return operations
}

type webhook struct{ targets mirrors.Targets }

func (w webhook) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	body := mirrors.Body(writer, request)
	if body == nil {
		return
	}
	var given review
	if err := json.Unmarshal(body, &given); err != nil || given.Request == nil {
		http.Error(writer, "the body is no AdmissionReview", http.StatusBadRequest)
		return
	}
	spec := given.Request.Object.Spec
	m := w.targets
	var operations []operation
	operations = patch(m, operations, spec.Containers, "containers")
	operations = patch(m, operations, spec.InitContainers, "initContainers")
	operations = patch(m, operations, spec.EphemeralContainers, "ephemeralContainers")
	for index, each := range spec.Volumes {
		if each.Image == nil {
			continue
		}
		if image := m.Rewrite(each.Image.Reference); image != each.Image.Reference {
			path := fmt.Sprintf("/spec/volumes/%d/image/reference", index)
			operations = append(operations, operation{"replace", path, image})
		}
	}
	answered := answer{given.APIVersion, given.Kind, response{UID: given.Request.UID, Allowed: true}}
	if len(operations) > 0 {
		patch, err := json.Marshal(operations)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusInternalServerError)
			return
		}
		answered.Response.Patch = patch
		answered.Response.PatchType = "JSONPatch"
	}
	mirrors.Answer(writer, answered)
}

func main() {
	mirrors.Serve(func(targets mirrors.Targets) http.Handler { return webhook{targets} })
}
