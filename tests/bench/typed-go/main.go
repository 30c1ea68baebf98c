// A webhook as most are written in Go: the Pod is decoded into its type, changed, encoded
// again, and the patch is the difference of the two texts.
package main

import (
	"encoding/json"
	"log"
	"net/http"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"mirrorhook.io/tests/bench/mirrors"
)

type webhook struct {
	targets mirrors.Targets
	decoder runtime.Decoder
}

func (m webhook) mutate(pod *corev1.Pod) {
	for index := range pod.Spec.Containers {
		pod.Spec.Containers[index].Image = m.targets.Rewrite(pod.Spec.Containers[index].Image)
	}
	for index := range pod.Spec.InitContainers {
		pod.Spec.InitContainers[index].Image = m.targets.Rewrite(pod.Spec.InitContainers[index].Image)
	}
	for index := range pod.Spec.EphemeralContainers {
		pod.Spec.EphemeralContainers[index].Image = m.targets.Rewrite(pod.Spec.EphemeralContainers[index].Image)
	}
	for index := range pod.Spec.Volumes {
		if source := pod.Spec.Volumes[index].Image; source != nil {
			source.Reference = m.targets.Rewrite(source.Reference)
		}
	}
}

func (m webhook) respond(request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
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

func (m webhook) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	body := mirrors.Body(writer, request)
	if body == nil {
		return
	}
	review := &admissionv1.AdmissionReview{}
	if _, _, err := m.decoder.Decode(body, nil, review); err != nil || review.Request == nil {
		http.Error(writer, "the body is no AdmissionReview", http.StatusBadRequest)
		return
	}
	answered := &admissionv1.AdmissionReview{TypeMeta: review.TypeMeta}
	response, err := m.respond(review.Request)
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	answered.Response = response
	mirrors.Answer(writer, answered)
}

func main() {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{admissionv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			log.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	mirrors.Serve(func(targets mirrors.Targets) http.Handler { return webhook{targets, decoder} })
}
