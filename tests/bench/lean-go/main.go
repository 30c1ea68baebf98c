// A webhook as lean as encoding/json allows: of a review it decodes the uid and the images.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const maxBody = 7 << 20

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

// mirrors are the targets by registry.
type mirrors map[string]string

// rewrite returns an image at its mirror, or as it is.
func (m mirrors) rewrite(image string) string {
	registry, rest, found := strings.Cut(image, "/")
	switch {
	case !found:
		registry, rest = "docker.io", "library/"+image
	case !strings.ContainsAny(registry, ".:") && registry != "localhost":
		registry, rest = "docker.io", image
	}
	target, known := m[registry]
	if !known {
		return image
	}
	return target + "/" + rest
}

func (m mirrors) patch(operations []operation, containers []container, field string) []operation {
	for index, each := range containers {
		if image := m.rewrite(each.Image); image != each.Image {
			path := fmt.Sprintf("/spec/%s/%d/image", field, index)
			operations = append(operations, operation{"replace", path, image})
		}
	}
	return operations
}

func (m mirrors) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(writer, request.Body, maxBody))
	if err != nil {
		http.Error(writer, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	var given review
	if err := json.Unmarshal(body, &given); err != nil || given.Request == nil {
		http.Error(writer, "the body is no AdmissionReview", http.StatusBadRequest)
		return
	}
	spec := given.Request.Object.Spec
	var operations []operation
	operations = m.patch(operations, spec.Containers, "containers")
	operations = m.patch(operations, spec.InitContainers, "initContainers")
	operations = m.patch(operations, spec.EphemeralContainers, "ephemeralContainers")
	for index, each := range spec.Volumes {
		if each.Image == nil {
			continue
		}
		if image := m.rewrite(each.Image.Reference); image != each.Image.Reference {
			path := fmt.Sprintf("/spec/volumes/%d/image/reference", index)
			operations = append(operations, operation{"replace", path, image})
		}
	}
	answered := answer{given.APIVersion, given.Kind, response{UID: given.Request.UID, Allowed: true}}
	if len(operations) > 0 {
		answered.Response.Patch, err = json.Marshal(operations)
		answered.Response.PatchType = "JSONPatch"
	}
	if err == nil {
		writer.Header().Set("Content-Type", "application/json")
		err = json.NewEncoder(writer).Encode(answered)
	}
	if err != nil {
		log.Print(err)
	}
}

func main() {
	certificate := flag.String("cert", "", "PEM file of the certificate")
	key := flag.String("key", "", "PEM file of its key")
	rules := flag.String("rules", "", "JSON file: a target for each registry")
	flag.Parse()
	text, err := os.ReadFile(*rules)
	if err != nil {
		log.Fatal(err)
	}
	handler := mirrors{}
	if err := json.Unmarshal(text, &handler); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /mutate", handler)
	server := &http.Server{
		Handler:           mux,
		IdleTimeout:       120 * time.Second,
		ReadHeaderTimeout: 10 * time.Second,
		// The API server speaks HTTP/1.1 to webhooks, and so does the load here.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	fmt.Fprintf(os.Stderr, "ready: reviews on https://%s\n", listener.Addr())
	log.Fatal(server.ServeTLS(listener, *certificate, *key))
}
