// A webhook as most are written in Go: the Pod is decoded into its type, changed, encoded
// again, and the patch is the difference of the two texts.
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

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

const maxBody = 7 << 20

// mirrors are the targets by registry.
type mirrors struct {
	targets map[string]string
	decoder runtime.Decoder
}

// rewrite returns an image at its mirror, or as it is.
func (m mirrors) rewrite(image string) string {
	registry, rest, found := strings.Cut(image, "/")
	switch {
	case !found:
		registry, rest = "docker.io", "library/"+image
	case !strings.ContainsAny(registry, ".:") && registry != "localhost":
		registry, rest = "docker.io", image
	}
	target, known := m.targets[registry]
	if !known {
		return image
	}
	return target + "/" + rest
}

func (m mirrors) mutate(pod *corev1.Pod) {
	for index := range pod.Spec.Containers {
		pod.Spec.Containers[index].Image = m.rewrite(pod.Spec.Containers[index].Image)
	}
	for index := range pod.Spec.InitContainers {
		pod.Spec.InitContainers[index].Image = m.rewrite(pod.Spec.InitContainers[index].Image)
	}
	for index := range pod.Spec.EphemeralContainers {
		pod.Spec.EphemeralContainers[index].Image = m.rewrite(pod.Spec.EphemeralContainers[index].Image)
	}
	for index := range pod.Spec.Volumes {
		if source := pod.Spec.Volumes[index].Image; source != nil {
			source.Reference = m.rewrite(source.Reference)
		}
	}
}

func (m mirrors) respond(request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	pod := &corev1.Pod{}
	if _, _, err := m.decoder.Decode(request.Object.Raw, nil, pod); err != nil {
		return nil, err
	}
	m.mutate(pod)
	changed, err := json.Marshal(pod)
	if err != nil {
		return nil, err
	}
	operations, err := jsonpatch.CreatePatch(request.Object.Raw, changed)
	if err != nil {
		return nil, err
	}
	response := &admissionv1.AdmissionResponse{UID: request.UID, Allowed: true}
	if len(operations) > 0 {
		kind := admissionv1.PatchTypeJSONPatch
		response.PatchType = &kind
		response.Patch, err = json.Marshal(operations)
	}
	return response, err
}

func (m mirrors) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(writer, request.Body, maxBody))
	if err != nil {
		http.Error(writer, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	review := &admissionv1.AdmissionReview{}
	if _, _, err := m.decoder.Decode(body, nil, review); err != nil || review.Request == nil {
		http.Error(writer, "the body is no AdmissionReview", http.StatusBadRequest)
		return
	}
	answered := &admissionv1.AdmissionReview{TypeMeta: review.TypeMeta}
	if answered.Response, err = m.respond(review.Request); err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	writer.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(writer).Encode(answered); err != nil {
		log.Print(err)
	}
}

func newMirrors(path string) (mirrors, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{admissionv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return mirrors{}, err
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return mirrors{}, err
	}
	made := mirrors{decoder: serializer.NewCodecFactory(scheme).UniversalDeserializer()}
	return made, json.Unmarshal(text, &made.targets)
}

func main() {
	certificate := flag.String("cert", "", "PEM file of the certificate")
	key := flag.String("key", "", "PEM file of its key")
	rules := flag.String("rules", "", "JSON file: a target for each registry")
	flag.Parse()
	handler, err := newMirrors(*rules)
	if err != nil {
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
